/*
 * Extra fields in columns of their own: made, adopted, refused, filled, and left alone.
 */
#include "base/probe.h"
#include "sqlite_fixture.h"
#include <unistd.h>

enum { T0 = 1737131445 };
static const char MAC[] = "AA:BB:CC:00:00:01";

static char bssid[] = "bssid", channels[] = "channels", rate[] = "2rate", hidden[] = "order";
static struct kx_extra_field fields[] = {{.as = bssid, .type = KX_EXTRA_TEXT},
                                         {.as = channels, .type = KX_EXTRA_INTEGER},
                                         {.as = rate, .type = KX_EXTRA_NUMBER},
                                         {.as = hidden, .type = KX_EXTRA_BOOL}};

/* Two sources, so that both tables of devices are written. */
static int setup(void **state)
{
    if (fixture_setup(state) != 0)
        return -1;
    struct fixture *f = *state;
    f->sources[0].extra = (struct kx_extra_fields){fields, 3};
    f->sources[1].extra = (struct kx_extra_fields){fields + 1, 3};
    f->config.source_count = 2;
    return 0;
}

static void send(struct fixture *f, int64_t last_seen, const char *extra)
{
    fixture_send(f, &(struct device_spec){
                        .mac = MAC, .source = "pi", .last_seen = last_seen, .extra = extra});
}

static const char values_sql[] = "SELECT bssid, channels, \"2rate\", \"order\" FROM kismet_devices";

static void test_columns_are_made(void **state)
{
    struct fixture *f = *state;
    send(f, T0, "{\"bssid\":\"a\\\"b\",\"channels\":11,\"2rate\":1.5,\"order\":true}");
    expect_rows(f, values_sql, "a\"b|11|1.5|1\n");
    static const char *const tables[] = {"kismet_devices", "kismet_device_sources"};
    for (size_t i = 0; i < 2; i++) {
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT name, type FROM pragma_table_info('%s') WHERE cid >= 30",
                 tables[i]);
        expect_rows(f, sql, "bssid|TEXT\nchannels|BIGINT\n2rate|DOUBLE PRECISION\norder|BOOLEAN\n");
    }
    expect_rows(f, "SELECT bssid, channels, \"2rate\", \"order\" FROM kismet_device_sources",
                "a\"b|11|1.5|1\n");
    expect_rows(f, "SELECT typeof(bssid), typeof(channels), typeof(\"2rate\") FROM kismet_devices",
                "text|integer|real\n");
}

static void test_values_come_and_go(void **state)
{
    struct fixture *f = *state;
    send(f, T0, "{\"channels\":1}");
    expect_rows(f, values_sql, "NULL|1|NULL|NULL\n");
    send(f, T0, "{\"channels\":2,\"order\":false}"); /* they alone are a change */
    expect_rows(f, values_sql, "NULL|2|NULL|0\n");
    send(f, T0 - 1, "{\"channels\":3}"); /* stale */
    expect_rows(f, values_sql, "NULL|2|NULL|0\n");
    send(f, T0 + 1, "{\"channels\":\"x\",\"2rate\":7}"); /* of another type: unknown */
    expect_rows(f, values_sql, "NULL|NULL|7.0|NULL\n");
    send(f, T0 + 2, NULL);
    expect_rows(f, values_sql, "NULL|NULL|NULL|NULL\n");
}

/* A file that was written before the fields were asked for gets the columns, and the next record
 * fills them though nothing else of it changed. */
static void test_an_older_file(void **state)
{
    struct fixture *f = *state;
    f->config.source_count = 0;
    send(f, T0, "{\"channels\":5}");
    expect_rows(f, "SELECT count(*) FROM pragma_table_info('kismet_devices')", "30\n");
    fixture_close(f);
    f->config.source_count = 2;
    send(f, T0, "{\"channels\":5}");
    expect_rows(f, values_sql, "NULL|5|NULL|NULL\n");
    /* And keeps them when they are not asked for any longer. */
    fixture_close(f);
    f->config.source_count = 0;
    send(f, T0 + 1, "{\"channels\":6}");
    expect_rows(f, values_sql, "NULL|5|NULL|NULL\n");
}

static void test_a_column_that_fits_is_used(void **state)
{
    struct fixture *f = *state;
    file_run(f->path, "CREATE TABLE kismet_devices (mac_addr TEXT PRIMARY KEY, Bssid VARCHAR(20),"
                      " channels INTEGER, \"2rate\" NUMERIC, \"order\" INT)");
    send(f, T0, "{\"bssid\":\"a\",\"channels\":11,\"2rate\":1.5,\"order\":true}");
    expect_rows(f, values_sql, "a|11|1.5|1\n");
    expect_rows(f, "SELECT count(*) FROM pragma_table_info('kismet_devices')", "34\n");
}

static void test_a_column_of_another_kind(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *column, *says;
    } rows[] = {
        {"bssid INTEGER", "column bssid of kismet_devices is INTEGER, the extra field of that name "
                          "wants TEXT: give the field another name (`as`), or drop the column"},
        {"bssid NUMERIC", "wants TEXT"},
        {"channels TEXT", "column channels of kismet_devices is TEXT"},
        {"channels DOUBLE", "wants BIGINT"},
        {"\"2rate\" INTEGER", "wants DOUBLE PRECISION"},
        {"\"order\" CLOB", "wants BOOLEAN"},
        {"\"order\" REAL", "wants BOOLEAN"},
        {"channels INTEGER AS (1)", "is computed INTEGER"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char sql[256];
        snprintf(sql, sizeof sql,
                 "DROP TABLE IF EXISTS kismet_devices;"
                 "CREATE TABLE kismet_devices (mac_addr TEXT PRIMARY KEY, %s)",
                 rows[i].column);
        file_run(f->path, "DROP VIEW IF EXISTS recent_devices; DROP VIEW IF EXISTS device_stats");
        file_run(f->path, sql);
        box_clear(&f->box);
        box_device(&f->box, &(struct device_spec){.mac = MAC, .last_seen = T0});
        assert_int_equal(fixture_deliver(f), KX_HOLD);
        if (strstr(f->err.text, rows[i].says) == NULL)
            fail_msg("%s: %s", rows[i].column, f->err.text);
        fixture_close(f);
    }
    /* Mended by the operator, the same batch is taken. */
    file_run(f->path, "ALTER TABLE kismet_devices DROP COLUMN channels");
    assert_int_equal(fixture_deliver(f), KX_SENT);
}

/* `fields` without extra has none of it. */
static void test_fields_without_extra(void **state)
{
    struct fixture *f = *state;
    static char last_seen[] = "last_seen";
    static char *names[] = {last_seen};
    f->sink_config.fields = (struct kx_strings){names, 1};
    send(f, T0, "{\"channels\":5}");
    expect_rows(f, "SELECT count(*) FROM pragma_table_info('kismet_devices')", "30\n");
}

/* The probe's lines hold the words, and so many failures. */
static void expect_probe(struct fixture *f, unsigned failures, const char *words)
{
    char text[4096] = "";
    struct kx_probe probe;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    kx_probe_init(&probe, ends[1]);
    fixture_open(f);
    assert_int_equal(kx_sqlite_ops.probe(f->sink, &probe), KX_OK);
    fixture_close(f);
    close(ends[1]);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    close(ends[0]);
    assert_int_equal(probe.failures, failures);
    if (strstr(text, words) == NULL)
        fail_msg("no '%s' in: %s", words, text);
}

static void test_probe(void **state)
{
    struct fixture *f = *state;
    f->config.source_count = 0;
    send(f, T0, NULL);
    fixture_close(f);
    f->config.source_count = 2;
    expect_probe(f, 0, "the first start adds them");
    expect_rows(f, "SELECT count(*) FROM pragma_table_info('kismet_devices')", "30\n");
    send(f, T0, NULL);
    fixture_close(f);
    expect_probe(f, 0, "it has the columns of the extra fields");
    file_run(f->path, "ALTER TABLE kismet_devices DROP COLUMN bssid;"
                      "ALTER TABLE kismet_devices ADD COLUMN bssid REAL");
    expect_probe(f, 1, "column bssid of kismet_devices is REAL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_columns_are_made, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_values_come_and_go, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_an_older_file, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_column_that_fits_is_used, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_column_of_another_kind, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_fields_without_extra, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_probe, setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
