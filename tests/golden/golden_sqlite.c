/*
 * Records in, the rows of the SQLite file out: every table, every column but those that hold our
 * own clock.
 */
#include "base/clock.h"
#include "golden.h"
#include "sinks/sqlite.h"
#include <sqlite3.h>
#include <unistd.h>

/* The table's rows as "column=value" lines; SQLite's own quoting, so text, number and NULL differ.
 */
static void dump(struct kx_buf *out, sqlite3 *db, const char *table)
{
    char sql[128];
    sqlite3_stmt *rows = NULL;
    sqlite3_stmt *quote = NULL;
    snprintf(sql, sizeof sql, "SELECT * FROM %s ORDER BY 1, 2, 3", table);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &rows, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT quote(?1)", -1, &quote, NULL), SQLITE_OK);
    kx_buf_printf(out, "-- %s\n", table);
    while (sqlite3_step(rows) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(rows); i++) {
            const char *name = sqlite3_column_name(rows, i);
            if (strcmp(name, "created_at") == 0)
                continue;
            sqlite3_bind_value(quote, 1, sqlite3_column_value(rows, i));
            assert_int_equal(sqlite3_step(quote), SQLITE_ROW);
            kx_buf_printf(out, "%s=%s\n", name, (const char *)sqlite3_column_text(quote, 0));
            sqlite3_reset(quote);
        }
        kx_buf_byte(out, '\n');
    }
    sqlite3_finalize(quote);
    sqlite3_finalize(rows);
}

static void remove_database(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        unlink(name);
    }
}

static void test_rows(void **state)
{
    (void)state;
    static const char *const tables[] = {"kismet_devices", "kismet_device_sources",
                                         "kismet_device_history", "kismet_events", "kismet_alerts"};
    static char name[] = "db";
    char path[] = "/tmp/kx-golden-XXXXXX";
    close(mkstemp(path)); /* an empty file is an empty database */
    struct kx_source_config sources[2] = {0};
    struct kx_config config = {.sources = sources, .source_count = 2};
    struct kx_sink_config sink_config = {
        .name = name,
        .sqlite = {.path = path},
        .tables = {.history = {.on = true, .min_interval_ns = KX_NS_PER_S}}};
    struct kx_sink_env env = {.config = &config, .counters = kx_counters_create()};
    struct kx_call call = {.deadline_ns = kx_clock_boot_ns() + 10 * KX_NS_PER_S, .stop_fd = -1};
    struct kx_error err;
    struct box box;
    void *sink = NULL;
    box_init(&box);
    golden_records(&box);
    assert_int_equal(kx_sqlite_ops.open(&sink_config, &env, &sink, &err), KX_OK);
    assert_int_equal(kx_sqlite_ops.deliver(sink, &box.batch, &call, &err), KX_SENT);
    kx_sqlite_ops.close(sink);

    struct kx_buf out;
    sqlite3 *db = NULL;
    kx_buf_init(&out, GOLDEN_BYTES_MAX);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        dump(&out, db, tables[i]);
    sqlite3_close(db);
    remove_database(path);
    golden_compare("sqlite.txt", &out);
    kx_buf_fini(&out);
    kx_counters_destroy(env.counters);
    box_fini(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
