/*
 * The connection: its settings, its patience, and the table of faults.
 */
#include "sinks/sqlite_db.h"
#include "base/clock.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    BUSY_MS_MAX = 5000,
    BUSY_STEP_MS_MAX = 25,  /* nobody tells us that a lock is free */
    PROGRESS_STEPS = 20000, /* of SQLite's machine between two looks at the limits: some 100 rows */
    ASIDE_NAMES_MAX = 100,
};

static const char *const settings =
    "PRAGMA journal_mode=WAL;"            /* readers never stop us, nor we them */
    "PRAGMA synchronous=FULL;"            /* what was confirmed survives a power cut */
    "PRAGMA journal_size_limit=67108864;" /* what a long reader made the log grow to is given back
                                           */
    "PRAGMA cache_size=-8192;"            /* KiB: some 20,000 devices */
    "PRAGMA trusted_schema=OFF;";         /* the file may come from elsewhere */

/* --- patience --- */

/* Whether the call may go on, after waiting for stop_fd for that long. */
static bool may_go_on(const struct kx_call *call, uint64_t until_ns, int wait_most_ms)
{
    if (call == NULL)
        return true;
    struct pollfd stop = {.fd = call->stop_fd, .events = POLLIN};
    int wait_ms = kx_clock_poll_ms(until_ns, kx_clock_boot_ns(), wait_most_ms);
    poll(&stop, 1, wait_ms); /* an interrupted wait is a short one */
    return stop.revents == 0 && (until_ns == 0 || kx_clock_boot_ns() < until_ns);
}

static int on_busy(void *context, int count)
{
    struct kx_sqlite_db *db = context;
    if (db->call == NULL)
        return 0;
    if (count == 0) {
        db->busy_until_ns = kx_clock_boot_ns() + BUSY_MS_MAX * KX_NS_PER_MS;
        if (db->call->deadline_ns != 0 && db->call->deadline_ns < db->busy_until_ns)
            db->busy_until_ns = db->call->deadline_ns;
    }
    int wait_ms = count < BUSY_STEP_MS_MAX ? count + 1 : BUSY_STEP_MS_MAX;
    return may_go_on(db->call, db->busy_until_ns, wait_ms);
}

static int on_progress(void *context)
{
    const struct kx_sqlite_db *db = context;
    return db->call != NULL && !may_go_on(db->call, db->call->deadline_ns, 0);
}

/* --- faults --- */

struct fault {
    int primary; /* SQLite's result code without its extension */
    enum kx_outcome outcome;
    enum kx_code code;
    const char *remedy;
};

static const struct fault faults[] = {
    {SQLITE_BUSY, KX_RETRY, KX_ERR_TIMEOUT, "another program holds its lock"},
    {SQLITE_LOCKED, KX_RETRY, KX_ERR_TIMEOUT, "another statement holds its lock"},
    {SQLITE_PROTOCOL, KX_RETRY, KX_ERR_TIMEOUT, "other programs keep locking it"},
    {SQLITE_INTERRUPT, KX_RETRY, KX_ERR_TIMEOUT, "the call's time was over"},
    {SQLITE_SCHEMA, KX_RETRY, KX_ERR_PROTOCOL, "its tables were changed just now"},
    {SQLITE_NOMEM, KX_RETRY, KX_ERR_NOMEM, "this machine is short of memory"},
    {SQLITE_FULL, KX_HOLD, KX_ERR_IO, "make room on its disk"},
    {SQLITE_IOERR, KX_HOLD, KX_ERR_IO, "check its disk and the system's log"},
    {SQLITE_READONLY, KX_HOLD, KX_ERR_IO, "let this user write the file and its directory"},
    {SQLITE_PERM, KX_HOLD, KX_ERR_IO, "let this user write the file and its directory"},
    {SQLITE_CANTOPEN, KX_HOLD, KX_ERR_IO, "its directory must exist and be this user's to write"},
    {SQLITE_AUTH, KX_HOLD, KX_ERR_AUTH, "the file refuses this statement"},
    {SQLITE_CORRUPT, KX_HOLD, KX_ERR_IO, "the file is damaged"},
    {SQLITE_NOTADB, KX_HOLD, KX_ERR_IO, "the file is no SQLite database"},
    {SQLITE_ERROR, KX_HOLD, KX_ERR_NOT_FOUND,
     "a table of it is not as we make it; rename that one, and a new one is made"},
    {SQLITE_CONSTRAINT, KX_REJECTED, KX_ERR_PARSE, "a constraint of the table refuses this row"},
    {SQLITE_MISMATCH, KX_REJECTED, KX_ERR_PARSE, "no row can hold this record"},
    {SQLITE_TOOBIG, KX_REJECTED, KX_ERR_LIMIT, "the row is too big"},
};

static const struct fault *find_fault(int result)
{
    static const struct fault other = {0, KX_RETRY, KX_ERR_IO, "not a fault that we know"};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        if (faults[i].primary == (result & 0xff))
            return &faults[i];
    return &other;
}

enum kx_outcome kx_sqlite_fault(struct kx_sqlite_db *db, int result, struct kx_error *err)
{
    if (result == SQLITE_OK || result == SQLITE_ROW || result == SQLITE_DONE)
        return KX_SENT;
    const struct fault *fault = find_fault(result);
    db->broken = fault->primary == SQLITE_CORRUPT || fault->primary == SQLITE_NOTADB;
    bool its_own = db->handle != NULL && sqlite3_extended_errcode(db->handle) == result;
    kx_error_set(err, fault->code,
                 its_own && fault->code == KX_ERR_IO ? sqlite3_system_errno(db->handle) : 0,
                 "%s: %s (%s)", db->path,
                 its_own ? sqlite3_errmsg(db->handle) : sqlite3_errstr(result), fault->remedy);
    return fault->outcome;
}

/* --- open, close --- */

static enum kx_outcome configure(struct kx_sqlite_db *db, struct kx_error *err)
{
    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_busy_handler(db->handle, on_busy, db);
    sqlite3_progress_handler(db->handle, PROGRESS_STEPS, on_progress, db);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return kx_sqlite_exec(db, settings, err);
}

enum kx_outcome kx_sqlite_open(struct kx_sqlite_db *db, struct kx_error *err)
{
    if (db->handle != NULL)
        return KX_SENT;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int result = sqlite3_open_v2(db->path, &db->handle, flags, NULL);
    enum kx_outcome outcome = kx_sqlite_fault(db, result, err);
    if (outcome == KX_SENT)
        outcome = configure(db, err);
    struct stat status = {0};
    if (outcome == KX_SENT && stat(db->path, &status) != 0) {
        kx_error_set(err, KX_ERR_IO, errno, "%s vanished as it was opened", db->path);
        outcome = KX_RETRY;
    }
    db->device = status.st_dev;
    db->inode = status.st_ino;
    return outcome; /* a half-open connection is the caller's to close, or to set aside */
}

void kx_sqlite_close(struct kx_sqlite_db *db)
{
    sqlite3_close_v2(db->handle);
    db->handle = NULL;
    db->inode = 0;
    db->broken = false;
}

void kx_sqlite_rollback(struct kx_sqlite_db *db)
{
    if (db->handle == NULL || sqlite3_get_autocommit(db->handle) != 0)
        return;
    const struct kx_call *call = db->call;
    db->call = NULL; /* not to be interrupted; it waits for nobody */
    sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    db->call = call;
}

/* --- files that move or break --- */

bool kx_sqlite_moved(const struct kx_sqlite_db *db)
{
    struct stat status;
    if (db->handle == NULL || db->inode == 0)
        return false;
    return stat(db->path, &status) != 0 || status.st_dev != db->device ||
           status.st_ino != db->inode;
}

void kx_sqlite_part(struct kx_sqlite_db *db)
{
    if (db->handle == NULL)
        return;
    sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    kx_sqlite_close(db);
}

static bool exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

/* A name that is free, for the file and its log. */
static bool find_aside(const char *path, char out[PATH_MAX])
{
    char stamp[32];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
    for (unsigned i = 1; i <= ASIDE_NAMES_MAX; i++) {
        char suffix[16] = "";
        if (i > 1)
            snprintf(suffix, sizeof suffix, "-%u", i);
        int length = snprintf(out, PATH_MAX, "%s.corrupt-%s%s", path, stamp, suffix);
        if (length < 0 || length >= PATH_MAX - 8)
            return false;
        if (!exists(out))
            return true;
    }
    return false;
}

/* Its log goes with it, for whoever wants to rescue what is in there; a missing one is no fault. */
static void move_beside(const char *from, const char *to, const char *suffix)
{
    char old[PATH_MAX + 8];
    char new[PATH_MAX + 8];
    snprintf(old, sizeof old, "%s%s", from, suffix);
    snprintf(new, sizeof new, "%s%s", to, suffix);
    rename(old, new);
}

enum kx_outcome kx_sqlite_set_aside(struct kx_sqlite_db *db, struct kx_error *err)
{
    char aside[PATH_MAX];
    bool moved = kx_sqlite_moved(db);
    kx_sqlite_close(db);
    if (moved) {
        kx_error_set(err, KX_ERR_IO, 0, "%s was replaced; it is opened again", db->path);
        return KX_RETRY;
    }
    struct stat status;
    if (lstat(db->path, &status) != 0 || !S_ISREG(status.st_mode)) {
        kx_error_set(err, KX_ERR_IO, 0, "%s is no database; set another path", db->path);
        return KX_HOLD;
    }
    errno = ENAMETOOLONG;
    if (!find_aside(db->path, aside) || rename(db->path, aside) != 0) {
        kx_error_set(err, KX_ERR_IO, errno, "%s is damaged; move it away", db->path);
        return KX_HOLD;
    }
    move_beside(db->path, aside, "-wal");
    move_beside(db->path, aside, "-shm");
    kx_error_set(err, KX_ERR_IO, 0, "%s is damaged: it is %s now, and a new one is begun", db->path,
                 aside);
    return KX_RETRY;
}

/* --- statements --- */

enum kx_outcome kx_sqlite_exec(struct kx_sqlite_db *db, const char *sql, struct kx_error *err)
{
    return kx_sqlite_fault(db, sqlite3_exec(db->handle, sql, NULL, NULL, NULL), err);
}

enum kx_outcome kx_sqlite_prepare(struct kx_sqlite_db *db,
                                  const char *sql,
                                  sqlite3_stmt **ret_statement,
                                  struct kx_error *err)
{
    int result =
        sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_statement, NULL);
    return kx_sqlite_fault(db, result, err);
}
