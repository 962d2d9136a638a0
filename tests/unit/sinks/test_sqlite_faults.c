/*
 * The SQLite sink when things break: locks, limits, full and read-only disks, damaged and moved
 * files, rows that a table refuses. The faults are real ones.
 */
#include "sinks/sqlite_db.h"
#include "sqlite_fixture.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { T0 = 1737131445 };
static const char MAC[] = "AA:BB:CC:00:00:01";
static const struct device_spec DEVICE = {.mac = MAC, .last_seen = T0, .packets = 1};
static const char COUNT[] = "SELECT count(*) FROM kismet_devices";

/* --- limits of a call --- */

static void test_lock_is_waited_for_until_the_deadline(void **state)
{
    struct fixture *f = *state;
    fixture_send(f, &DEVICE);
    sqlite3 *other = file_open(f->path);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    box_clear(&f->box);
    box_device(&f->box, &(struct device_spec){.mac = "AA:BB:CC:00:00:02", .last_seen = T0});
    box_event(&f->box, &(struct event_spec){.type = "ALERT", .time_ns = 1});
    struct kx_call call = {.deadline_ns = kx_clock_boot_ns() + 20 * KX_NS_PER_MS, .stop_fd = -1};
    assert_int_equal(kx_sqlite_ops.deliver(f->sink, &f->box.batch, &call, &f->err), KX_RETRY);
    assert_non_null(strstr(f->err.text, "lock"));
    assert_false(kx_batch_done(&f->box.batch, 0));
    sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_close(other);
    assert_int_equal(fixture_deliver(f), KX_SENT);
    expect_rows(f, COUNT, "2\n");
    assert_int_equal(fixture_count(f, KX_C_EVENTS_KNOWN), 0); /* the first try left nothing */
}

static void test_reader_does_not_stop_us(void **state)
{
    struct fixture *f = *state;
    fixture_send(f, &DEVICE);
    sqlite3 *reader = file_open(f->path);
    sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM kismet_devices", NULL, NULL, NULL);
    fixture_send(f, &(struct device_spec){.mac = "AA:BB:CC:00:00:02", .last_seen = T0});
    expect_rows(f, COUNT, "2\n");
    sqlite3_close(reader);
}

static void test_stop_ends_the_waiting(void **state)
{
    struct fixture *f = *state;
    fixture_send(f, &DEVICE);
    sqlite3 *other = file_open(f->path);
    sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    int stop = eventfd(1, EFD_CLOEXEC);
    struct kx_call call = {.deadline_ns = 0, .stop_fd = stop}; /* without the stop, five seconds */
    box_clear(&f->box);
    box_device(&f->box, &DEVICE);
    assert_int_equal(kx_sqlite_ops.deliver(f->sink, &f->box.batch, &call, &f->err), KX_RETRY);
    assert_int_equal(f->err.code, KX_ERR_STOPPED);
    assert_int_equal(kx_sqlite_ops.idle(f->sink, &call, &f->err), KX_RETRY);
    close(stop);
    sqlite3_close(other);
}

static void test_passed_deadline(void **state)
{
    struct fixture *f = *state;
    struct kx_call call = {.deadline_ns = 1, .stop_fd = -1};
    box_device(&f->box, &DEVICE);
    fixture_open(f);
    assert_int_equal(kx_sqlite_ops.deliver(f->sink, &f->box.batch, &call, &f->err), KX_RETRY);
    assert_int_equal(f->err.code, KX_ERR_TIMEOUT);
    assert_int_not_equal(access(f->path, F_OK),
                         0); /* open() and a call that is over touch nothing */
}

/* The limits hold inside a long statement and inside the wait for a lock too. */
static void test_limits_inside_sqlite(void **state)
{
    struct fixture *f = *state;
    struct kx_call call = {.deadline_ns = kx_clock_boot_ns() + KX_NS_PER_S, .stop_fd = -1};
    struct kx_sqlite_db db = {.path = f->path, .call = &call};
    assert_int_equal(kx_sqlite_open(&db, &f->err), KX_SENT);
    call.deadline_ns = 1;
    static const char endless[] =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    assert_int_equal(kx_sqlite_exec(&db, endless, &f->err), KX_RETRY);
    call.deadline_ns = 0;
    call.stop_fd = eventfd(1, EFD_CLOEXEC);
    assert_int_equal(kx_sqlite_exec(&db, endless, &f->err), KX_RETRY);
    sqlite3 *other = file_open(f->path);
    sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    assert_int_equal(kx_sqlite_exec(&db, "BEGIN IMMEDIATE", &f->err), KX_RETRY);
    assert_int_equal(f->err.code, KX_ERR_TIMEOUT);
    close(call.stop_fd);
    call = (struct kx_call){.deadline_ns = 1, .stop_fd = -1};
    assert_int_equal(kx_sqlite_exec(&db, "BEGIN IMMEDIATE", &f->err), KX_RETRY);
    assert_int_equal(db.busy_until_ns, 1); /* not five seconds */
    sqlite3_close(other);
    kx_sqlite_close(&db);
}

/* Even when the call's time is over. */
static void test_rollback(void **state)
{
    struct fixture *f = *state;
    struct kx_call call = {.deadline_ns = 1, .stop_fd = -1};
    struct kx_sqlite_db db = {.path = f->path};
    kx_sqlite_rollback(&db); /* closed: nothing to do */
    assert_int_equal(kx_sqlite_open(&db, &f->err), KX_SENT);
    kx_sqlite_rollback(&db); /* no transaction */
    assert_int_equal(kx_sqlite_exec(&db, "CREATE TABLE t (x)", &f->err), KX_SENT);
    assert_int_equal(kx_sqlite_exec(&db, "BEGIN IMMEDIATE; INSERT INTO t VALUES (1)", &f->err),
                     KX_SENT);
    db.call = &call;
    kx_sqlite_rollback(&db);
    assert_ptr_equal(db.call, &call);
    file_run(f->path, "INSERT INTO t VALUES (2)"); /* the lock is free */
    expect_rows(f, "SELECT x FROM t", "2\n");
    kx_sqlite_close(&db);
    kx_sqlite_close(&db);
}

/* A batch that is cut off in the middle leaves neither rows nor its lock. */
static void test_deadline_within_a_batch(void **state)
{
    struct fixture *f = *state;
    fixture_send(f, &DEVICE);
    file_run(f->path, "CREATE TRIGGER slow BEFORE INSERT ON kismet_events BEGIN"
                      " DELETE FROM kismet_sources WHERE 0 = (WITH RECURSIVE n(i) AS"
                      " (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n); END;"
                      "INSERT INTO kismet_sources (source) VALUES ('any')");
    box_clear(&f->box);
    box_device(&f->box, &(struct device_spec){.mac = "AA:BB:CC:00:00:02", .last_seen = T0});
    box_event(&f->box, &(struct event_spec){.type = "ALERT", .time_ns = 1});
    struct kx_call call = {.deadline_ns = kx_clock_boot_ns() + 20 * KX_NS_PER_MS, .stop_fd = -1};
    assert_int_equal(kx_sqlite_ops.deliver(f->sink, &f->box.batch, &call, &f->err), KX_RETRY);
    expect_rows(f, COUNT, "1\n");
    file_run(f->path, "DROP TRIGGER slow");
    assert_int_equal(fixture_deliver(f), KX_SENT);
    expect_rows(f, COUNT, "2\n");
}

/* --- the table of faults --- */

static void test_faults(void **state)
{
    struct fixture *f = *state;
    static const struct {
        int result;
        enum kx_outcome outcome;
    } rows[] = {
        {SQLITE_OK, KX_SENT},
        {SQLITE_ROW, KX_SENT},
        {SQLITE_DONE, KX_SENT},
        {SQLITE_BUSY, KX_RETRY},
        {SQLITE_BUSY_SNAPSHOT, KX_RETRY},
        {SQLITE_LOCKED, KX_RETRY},
        {SQLITE_PROTOCOL, KX_RETRY},
        {SQLITE_INTERRUPT, KX_RETRY},
        {SQLITE_SCHEMA, KX_RETRY},
        {SQLITE_NOMEM, KX_RETRY},
        {SQLITE_MISUSE, KX_RETRY},
        {SQLITE_FULL, KX_HOLD},
        {SQLITE_IOERR_FSYNC, KX_HOLD},
        {SQLITE_READONLY_DIRECTORY, KX_HOLD},
        {SQLITE_PERM, KX_HOLD},
        {SQLITE_CANTOPEN, KX_HOLD},
        {SQLITE_AUTH, KX_HOLD},
        {SQLITE_ERROR, KX_HOLD},
        {SQLITE_CORRUPT_INDEX, KX_HOLD},
        {SQLITE_NOTADB, KX_HOLD},
        {SQLITE_CONSTRAINT_CHECK, KX_REJECTED},
        {SQLITE_MISMATCH, KX_REJECTED},
        {SQLITE_TOOBIG, KX_REJECTED},
    };
    struct kx_sqlite_db db = {.path = f->path};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        f->err = (struct kx_error){.code = KX_OK};
        assert_int_equal(kx_sqlite_fault(&db, rows[i].result, &f->err), rows[i].outcome);
        assert_int_equal(f->err.code == KX_OK, rows[i].outcome == KX_SENT);
    }
    kx_sqlite_fault(&db, SQLITE_CORRUPT_VTAB, &f->err);
    assert_true(db.broken);
    kx_sqlite_fault(&db, SQLITE_BUSY, &f->err);
    assert_false(db.broken);
}

/* --- places that cannot be written --- */

static void test_open_looks_at_the_path(void **state)
{
    struct fixture *f = *state;
    static char missing[] = "/nonexistent/kx/kismet.db", empty[] = "", memory[] = ":memory:";
    char *const paths[] = {missing, empty, memory, f->directory, NULL};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        f->sink_config.sqlite.path = paths[i];
        assert_int_equal(kx_sqlite_ops.open(&f->sink_config, &f->env, &f->sink, &f->err),
                         KX_ERR_CONFIG);
        assert_null(f->sink);
    }
    static char bare[] = "only-a-name.db"; /* the present directory, not written by open */
    f->sink_config.sqlite.path = bare;
    assert_int_equal(kx_sqlite_ops.open(&f->sink_config, &f->env, &f->sink, &f->err), KX_OK);
    kx_sqlite_ops.close(NULL);
}

/* Root may write everywhere, so the test becomes somebody else for a while. */
static bool become_nobody(void)
{
    return geteuid() != 0 || seteuid(65534) == 0;
}

static void become_root(void)
{
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
}

static void test_read_only_directory(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(chmod(f->directory, 0555), 0);
    box_device(&f->box, &DEVICE);
    assert_true(become_nobody());
    enum kx_outcome outcome = fixture_deliver(f);
    become_root();
    assert_int_equal(outcome, KX_HOLD);
    assert_non_null(strstr(f->err.text, "directory"));
    assert_int_equal(chmod(f->directory, 0755), 0);
    assert_int_equal(fixture_deliver(f), KX_SENT); /* mended: it goes on by itself */
    expect_rows(f, COUNT, "1\n");
}

static void test_read_only_file(void **state)
{
    struct fixture *f = *state;
    fixture_send(f, &DEVICE);
    fixture_close(f);
    assert_int_equal(chmod(f->path, 0444), 0);
    assert_int_equal(chmod(f->directory, 0777), 0);
    box_clear(&f->box);
    box_device(&f->box, &(struct device_spec){.mac = MAC, .last_seen = T0 + 1});
    assert_true(become_nobody());
    enum kx_outcome outcome = fixture_deliver(f);
    become_root();
    assert_int_equal(outcome, KX_HOLD);
    assert_non_null(strstr(f->err.text, "write the file"));
}

static void test_full_disk(void **state)
{
    struct fixture *f = *state;
    fixture_send(f, &DEVICE);
    box_clear(&f->box);
    for (unsigned i = 0; i < 500; i++) {
        char mac[18];
        snprintf(mac, sizeof mac, "AA:BB:DD:00:%02X:%02X", i >> 8, i & 255);
        box_device(&f->box, &(struct device_spec){.mac = mac, .last_seen = T0});
    }
    /* A quota: no file of this process may pass 64 KiB. */
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = {.rlim_cur = 65536, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum kx_outcome outcome = fixture_deliver(f);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(outcome, KX_HOLD);
    assert_false(kx_batch_done(&f->box.batch, 0));
    expect_rows(f, COUNT, "1\n"); /* all or nothing */
    assert_int_equal(fixture_deliver(f), KX_SENT);
    expect_rows(f, COUNT, "501\n");
}

/* --- damaged files --- */

static void write_file(const char *path, off_t at, const void *bytes, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, length, at), (ssize_t)length);
    close(fd);
}

/* The name of the file that was set aside; asserts that there is one. */
static void find_aside(const struct fixture *f, char out[PATH_MAX])
{
    out[0] = '\0';
    DIR *directory = opendir(f->directory);
    struct dirent *entry;
    while ((entry = readdir(directory)) != NULL)
        if (strncmp(entry->d_name, "kismet.db.corrupt-", 18) == 0 &&
            strchr(entry->d_name + 18, '-') == NULL) /* not its log */
            snprintf(out, PATH_MAX, "%s/%s", f->directory, entry->d_name);
    closedir(directory);
    assert_string_not_equal(out, "");
}

static void test_no_database(void **state)
{
    struct fixture *f = *state;
    char aside[PATH_MAX];
    char bytes[64] = {0};
    static const char text[] = "Dear diary, this is no database at all, whatever its name says.";
    write_file(f->path, 0, text, sizeof text - 1);
    box_device(&f->box, &DEVICE);
    assert_int_equal(fixture_deliver(f), KX_RETRY);
    find_aside(f, aside);
    assert_non_null(strstr(f->err.text, aside)); /* it is said where it went */
    int fd = open(aside, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, bytes, sizeof bytes), sizeof text - 1);
    close(fd);
    assert_string_equal(bytes, text); /* and nothing of it is lost */
    assert_int_equal(fixture_deliver(f), KX_SENT);
    expect_rows(f, COUNT, "1\n");
}

static void test_damaged_page(void **state)
{
    struct fixture *f = *state;
    char aside[PATH_MAX];
    char garbage[4096];
    memset(garbage, 0xa5, sizeof garbage);
    fixture_send(f, &DEVICE);
    fixture_close(f); /* the log is in the file now */
    for (off_t page = 1; page < 6; page++)
        write_file(f->path, page * (off_t)sizeof garbage, garbage, sizeof garbage);
    sqlite3 *other = file_open(f->path); /* keeps a log, with the good first page in it */
    sqlite3_exec(other, "PRAGMA application_id = 5", NULL, NULL, NULL);
    box_clear(&f->box);
    box_device(&f->box, &DEVICE);
    assert_int_equal(fixture_deliver(f), KX_RETRY);
    find_aside(f, aside);
    strcat(aside, "-wal");
    assert_int_equal(access(aside, F_OK), 0);
    sqlite3_close(other);
    assert_int_equal(fixture_deliver(f), KX_SENT);
    expect_rows(f, COUNT, "1\n");
}

/* --- files that move --- */

static void test_moved_file(void **state)
{
    struct fixture *f = *state;
    char moved[PATH_MAX];
    snprintf(moved, sizeof moved, "%s/moved.db", f->directory);
    fixture_send(f, &DEVICE);
    assert_int_equal(rename(f->path, moved), 0);
    fixture_send(f, &(struct device_spec){.mac = "AA:BB:CC:00:00:02", .last_seen = T0});
    expect_rows(f, "SELECT mac_addr FROM kismet_devices", "AA:BB:CC:00:00:02\n");
    /* What was committed to the old file is in the old file, though its log had the new name. */
    expect_rows_in(moved, "SELECT mac_addr FROM kismet_devices", "AA:BB:CC:00:00:01\n");
    unlink(moved);
}

static void test_deleted_file(void **state)
{
    struct fixture *f = *state;
    fixture_send(f, &DEVICE);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(fixture_idle(f), KX_SENT); /* noticed without a batch, too */
    expect_rows(f, COUNT, "0\n");
    fixture_send(f, &DEVICE);
    expect_rows(f, COUNT, "1\n");
}

static void test_replaced_file(void **state)
{
    struct fixture *f = *state;
    char backup[PATH_MAX];
    snprintf(backup, sizeof backup, "%s/backup.db", f->directory);
    file_run(backup, "CREATE TABLE kismet_devices (mac_addr TEXT PRIMARY KEY, name TEXT);"
                     "INSERT INTO kismet_devices VALUES ('AA:BB:CC:00:00:09', 'restored')");
    fixture_send(f, &DEVICE);
    assert_int_equal(rename(backup, f->path), 0);
    fixture_send(f, &DEVICE);
    expect_rows(f, "SELECT mac_addr, name FROM kismet_devices ORDER BY mac_addr",
                "AA:BB:CC:00:00:01|NULL\nAA:BB:CC:00:00:09|restored\n");
    expect_rows(f, "PRAGMA integrity_check", "ok\n");
}

/* --- rows and tables --- */

static void test_refused_rows(void **state)
{
    struct fixture *f = *state;
    fixture_send(f, &DEVICE);
    file_run(f->path, "CREATE TRIGGER house_rules BEFORE INSERT ON kismet_devices"
                      " WHEN NEW.name = 'bad' BEGIN SELECT RAISE(ABORT, 'no bad names'); END");
    box_clear(&f->box);
    box_device(&f->box,
               &(struct device_spec){.mac = "AA:BB:CC:00:00:02", .name = "good", .last_seen = T0});
    box_device(&f->box,
               &(struct device_spec){.mac = "AA:BB:CC:00:00:03", .name = "bad", .last_seen = T0});
    box_device(&f->box, &(struct device_spec){.name = "no MAC", .last_seen = T0});
    box_event(&f->box, &(struct event_spec){.type = "ALERT", .time_ns = 1});
    assert_int_equal(fixture_deliver(f), KX_REJECTED);
    assert_non_null(strstr(f->err.text, "no bad names"));
    assert_string_not_equal(f->box.batch.reason, "");
    static const bool done[] = {true, false, false, true}; /* the neighbours are in */
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(kx_batch_done(&f->box.batch, i), done[i]);
    expect_rows(f, "SELECT name FROM kismet_devices ORDER BY mac_addr", "NULL\ngood\n");
    expect_rows(f, "SELECT count(*) FROM kismet_events", "1\n");
    f->box.batch.first = 2; /* a single record, as the engine sends it at last */
    f->box.batch.end = 3;
    assert_int_equal(fixture_deliver(f), KX_REJECTED);
    assert_non_null(strstr(f->err.text, "no row can hold"));
}

static void test_all_rows_refused(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 65; i++)
        box_device(&f->box, &(struct device_spec){.name = "no MAC", .last_seen = T0});
    box_event(&f->box, &(struct event_spec){.type = "ALERT", .time_ns = 1});
    assert_int_equal(fixture_deliver(f), KX_REJECTED);
    for (uint32_t i = 0; i < f->box.batch.end; i++) /* nothing is half done */
        assert_false(kx_batch_done(&f->box.batch, i));
    expect_rows(f, "SELECT count(*) FROM kismet_events", "0\n");
}

static void test_table_dropped_under_us(void **state)
{
    struct fixture *f = *state;
    fixture_send(f, &DEVICE);
    file_run(f->path, "DROP TABLE kismet_events; DROP VIEW kismet_alerts");
    box_clear(&f->box);
    box_event(&f->box, &(struct event_spec){.type = "ALERT", .time_ns = 1});
    assert_int_equal(fixture_deliver(f), KX_HOLD);
    assert_non_null(strstr(f->err.text, "kismet_events"));
    assert_int_equal(fixture_deliver(f), KX_SENT); /* the new connection made it again */
    expect_rows(f, "SELECT count(*) FROM kismet_events", "1\n");
    expect_rows(f, COUNT, "1\n");
}

static void test_long_log_is_said(void **state)
{
    struct fixture *f = *state;
    char log[PATH_MAX];
    char line[1024] = "";
    snprintf(log, sizeof log, "%s-wal", f->path);
    fixture_open(f);
    fixture_send(f, &DEVICE);
    fixture_close(f);
    /* A reader keeps the log alive; its length is made up, without taking the disk. */
    sqlite3 *reader = file_open(f->path);
    sqlite3_exec(reader, "SELECT count(*) FROM kismet_devices", NULL, NULL, NULL);
    assert_int_equal(truncate(log, 300ll << 20), 0);
    int saved = dup(STDERR_FILENO);
    int pipe_fds[2];
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
    dup2(pipe_fds[1], STDERR_FILENO);
    box_clear(&f->box);
    box_device(&f->box, &DEVICE);
    enum kx_outcome outcome = fixture_deliver(f);
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t length = read(pipe_fds[0], line, sizeof line - 1);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    sqlite3_close(reader);
    assert_int_equal(outcome, KX_SENT);
    assert_true(length > 0);
    assert_non_null(strstr(line, "sink db"));
    assert_non_null(strstr(line, "has grown to 300 MiB"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lock_is_waited_for_until_the_deadline),
        TEST(test_reader_does_not_stop_us),
        TEST(test_stop_ends_the_waiting),
        TEST(test_passed_deadline),
        TEST(test_limits_inside_sqlite),
        TEST(test_rollback),
        TEST(test_deadline_within_a_batch),
        TEST(test_faults),
        TEST(test_open_looks_at_the_path),
        TEST(test_read_only_directory),
        TEST(test_read_only_file),
        TEST(test_full_disk),
        TEST(test_no_database),
        TEST(test_damaged_page),
        TEST(test_moved_file),
        TEST(test_deleted_file),
        TEST(test_replaced_file),
        TEST(test_refused_rows),
        TEST(test_all_rows_refused),
        TEST(test_table_dropped_under_us),
        TEST(test_long_log_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
