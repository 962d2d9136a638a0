/* The probe of a database file; the contract stands in the header. */
#include "sinks/sqlite_probe.h"

#include "base/clock.h"
#include "sinks/sqlite_db.h"
#include "sinks/sqlite_extras.h"
#include "sinks/sqlite_schema.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BUSY_MS = 2000,
    CHECK_S_MAX = 10,     /* a file of many gigabytes is not read to its end */
    CHECK_STEPS = 100000, /* of SQLite's machine between two looks at the clock */
};

static const char rights[] = "let this user write the file and its directory, or set `path`";

/* False = nothing could be opened here. */
static bool probe_directory(const char *path, struct kx_probe *probe)
{
    char directory[PATH_MAX];
    snprintf(directory, sizeof directory, "%s", path);
    char *slash = strrchr(directory, '/');
    if (slash == NULL)
        strcpy(directory, ".");
    else
        slash[slash == directory ? 1 : 0] = '\0';
    if (faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) != 0) {
        kx_probe_fail(probe, rights, "cannot write in the directory %s (%s)", directory,
                      strerror(errno));
        return false;
    }
    kx_probe_ok(probe, "its directory %s can be written", directory);
    return true;
}

/* The first column of a statement's first row, as a number. */
static enum kx_outcome
ask(struct kx_sqlite_db *db, const char *sql, int *ret_number, struct kx_error *err)
{
    sqlite3_stmt *statement = NULL;
    enum kx_outcome outcome = kx_sqlite_prepare(db, sql, &statement, err);
    if (outcome != KX_SENT)
        return outcome;
    outcome = kx_sqlite_fault(db, sqlite3_step(statement), err);
    if (outcome == KX_SENT)
        *ret_number = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return outcome;
}

/* False = it cannot be opened, or is no database. */
static bool probe_lock(struct kx_sqlite_db *db, struct kx_probe *probe)
{
    struct kx_error err;
    int tables = 0;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
    int result = sqlite3_open_v2(db->path, &db->handle, flags, NULL);
    enum kx_outcome outcome = kx_sqlite_fault(db, result, &err);
    sqlite3_busy_timeout(db->handle, BUSY_MS);
    if (outcome == KX_SENT)
        outcome = ask(db, "SELECT count(*) FROM sqlite_master", &tables, &err);
    if (outcome == KX_SENT)
        outcome = kx_sqlite_exec(db, "BEGIN IMMEDIATE", &err);
    kx_sqlite_rollback(db);
    if (outcome == KX_SENT) {
        kx_probe_ok(probe, "%s opens, and can be written", db->path);
        return true;
    }
    if (outcome == KX_RETRY) {
        kx_probe_warn(probe, NULL, "%s", err.text);
        return true;
    }
    kx_probe_fail(probe, db->broken ? "the next start moves it aside and begins a new one" : NULL,
                  "%s", err.text);
    return false;
}

static void probe_schema(struct kx_sqlite_db *db, struct kx_probe *probe)
{
    struct kx_error err;
    int version = 0;
    int tables = 0;
    static const char tables_sql[] = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND "
                                     "name IN ('kismet_devices', 'kismet_events')";
    enum kx_outcome outcome = ask(db, "PRAGMA user_version", &version, &err);
    if (outcome == KX_SENT)
        outcome = ask(db, tables_sql, &tables, &err);
    if (outcome != KX_SENT)
        kx_probe_fail(probe, NULL, "%s", err.text);
    else if (version > KX_SQLITE_SCHEMA_VERSION)
        kx_probe_warn(probe, "all that ours needs is there, too",
                      "its tables are a newer version's (%d, ours is %d)", version,
                      KX_SQLITE_SCHEMA_VERSION);
    else if (version == KX_SQLITE_SCHEMA_VERSION && tables == 2)
        kx_probe_ok(probe, "its tables are ours, version %d", version);
    else
        kx_probe_ok(probe,
                    "its tables are not all there yet: the first start adds what is missing");
}

static void
probe_extras(struct kx_sqlite_db *db, const struct kx_extra_columns *extras, struct kx_probe *probe)
{
    struct kx_error err;
    unsigned missing = 0;
    if (extras->count == 0)
        return;
    if (kx_sqlite_extras_missing(db, extras, &missing, &err) != KX_SENT)
        kx_probe_fail(probe, NULL, "%s", err.text);
    else if (missing > 0)
        kx_probe_ok(probe, "columns of extra fields are missing: the first start adds them");
    else
        kx_probe_ok(probe, "it has the columns of the extra fields");
}

static int on_progress(void *context)
{
    const uint64_t *deadline_ns = context;
    return kx_clock_boot_ns() >= *deadline_ns;
}

static void probe_pages(struct kx_sqlite_db *db, struct kx_probe *probe)
{
    uint64_t deadline_ns = kx_clock_boot_ns() + CHECK_S_MAX * KX_NS_PER_S;
    struct kx_error err;
    sqlite3_stmt *statement = NULL;
    if (kx_sqlite_prepare(db, "PRAGMA quick_check(1)", &statement, &err) != KX_SENT) {
        kx_probe_fail(probe, NULL, "%s", err.text);
        return;
    }
    sqlite3_progress_handler(db->handle, CHECK_STEPS, on_progress, &deadline_ns);
    int result = sqlite3_step(statement);
    sqlite3_progress_handler(db->handle, 0, NULL, NULL);
    const char *word = result == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : "";
    if ((result & 0xff) == SQLITE_INTERRUPT)
        kx_probe_ok(probe, "it is too large to be checked within %d s", CHECK_S_MAX);
    else if (result == SQLITE_ROW && word != NULL && strcmp(word, "ok") == 0)
        kx_probe_ok(probe, "it is sound (quick_check)");
    else
        kx_probe_fail(probe,
                      "save what you need with sqlite3 FILE .recover; a file too damaged to write "
                      "is moved aside and a new one begun",
                      "it is damaged: %.200s",
                      result == SQLITE_ROW && word != NULL ? word : sqlite3_errmsg(db->handle));
    sqlite3_finalize(statement);
}

void kx_sqlite_probe(const char *path,
                     const struct kx_extra_columns *extras,
                     struct kx_probe *probe)
{
    struct kx_sqlite_db db = {.path = path};
    struct stat status;
    if (!probe_directory(path, probe))
        return;
    if (stat(path, &status) != 0 && errno == ENOENT) {
        kx_probe_ok(probe, "%s is not there yet: the first start makes it", path);
        return;
    }
    if (probe_lock(&db, probe)) {
        probe_schema(&db, probe);
        probe_extras(&db, extras, probe);
        probe_pages(&db, probe);
    }
    kx_sqlite_close(&db);
}
