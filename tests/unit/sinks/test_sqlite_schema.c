/*
 * The SQLite sink's tables: a fresh file, files that others made, files of other versions.
 */
#include "sinks/sqlite_schema.h"
#include "sqlite_fixture.h"

enum { T0 = 1737131445 };
static const char MAC[] = "AA:BB:CC:00:00:01";

/* The table as the Python script's manual gives it. */
static const char script_table[] =
    "CREATE TABLE kismet_devices (mac_addr TEXT PRIMARY KEY, name TEXT, username TEXT,"
    " phy_type TEXT, manufacturer TEXT, first_seen BIGINT, last_seen BIGINT, channel TEXT,"
    " frequency BIGINT, total_packets BIGINT, tx_packets BIGINT, rx_packets BIGINT,"
    " data_size BIGINT, signal_dbm INTEGER, noise_dbm INTEGER, snr_db INTEGER,"
    " latitude DOUBLE PRECISION, longitude DOUBLE PRECISION, altitude DOUBLE PRECISION,"
    " last_updated TIMESTAMP);";

/* Name and type of every column of the seed's table, then ours: queries, dashboards and COPYs that
 * users wrote rest on them. */
static void test_fresh_file(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_idle(f), KX_SENT);
    expect_rows(f, "SELECT name, type, pk FROM pragma_table_info('kismet_devices')",
                "mac_addr|TEXT|1\nname|TEXT|0\nusername|TEXT|0\nphy_type|TEXT|0\n"
                "manufacturer|TEXT|0\nfirst_seen|BIGINT|0\nlast_seen|BIGINT|0\nchannel|TEXT|0\n"
                "frequency|BIGINT|0\ntotal_packets|BIGINT|0\ntx_packets|BIGINT|0\n"
                "rx_packets|BIGINT|0\ndata_size|BIGINT|0\nsignal_dbm|INTEGER|0\n"
                "noise_dbm|INTEGER|0\nsnr_db|INTEGER|0\nlatitude|DOUBLE PRECISION|0\n"
                "longitude|DOUBLE PRECISION|0\naltitude|DOUBLE PRECISION|0\nlast_updated|TEXT|0\n"
                "source|TEXT|0\nserver_uuid|TEXT|0\ndevice_key|TEXT|0\ndevice_type|TEXT|0\n"
                "crypt|TEXT|0\nnum_alerts|BIGINT|0\nmac_random|BOOLEAN|0\nextra|TEXT|0\n"
                "created_at|TEXT|0\nupdated_at|TEXT|0\n");
    expect_rows(f,
                "SELECT count(*) FROM pragma_table_info('kismet_device_sources') s"
                " WHERE s.name IN (SELECT name FROM pragma_table_info('kismet_devices'))",
                "30\n");
    expect_rows(f,
                "SELECT name FROM pragma_table_info('kismet_device_sources') WHERE pk ORDER BY pk",
                "source\nmac_addr\n");
    expect_rows(f, "SELECT group_concat(name) FROM pragma_table_info('kismet_events')",
                "id,event_uid,event_type,event_time,source,device_key,device_mac,event_data,"
                "created_at\n");
    expect_rows(f, "PRAGMA user_version", "1\n");
}

/* Every exported field has its column. */
static void test_every_field_has_a_column(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_idle(f), KX_SENT);
    for (enum kx_field field = KX_F_MAC_ADDR; field < KX_FIELDS; field++) {
        char sql[256];
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM pragma_table_info('kismet_devices') WHERE name = '%s'",
                 kx_fields[field].name);
        expect_rows(f, sql, "1\n");
    }
}

static void test_adopted_table(void **state)
{
    struct fixture *f = *state;
    file_run(f->path, script_table);
    file_run(f->path, "ALTER TABLE kismet_devices ADD COLUMN room TEXT DEFAULT 'attic';"
                      "INSERT INTO kismet_devices (mac_addr, name, first_seen, last_seen,"
                      " last_updated) VALUES ('AA:BB:CC:00:00:01', 'old', 1600000000, 1600000000,"
                      " '2020-09-13 12:26:40'), ('AA:BB:CC:00:00:02', 'left alone', 1, 2, NULL);"
                      "CREATE TABLE bookmarks (url TEXT); INSERT INTO bookmarks VALUES ('x')");
    fixture_send(
        f, &(struct device_spec){
               .mac = MAC, .name = "new", .first_seen = T0, .last_seen = T0, .key = "4202_1"});
    expect_rows(f,
                "SELECT mac_addr, name, first_seen, last_seen, last_updated, device_key, source,"
                " created_at, room FROM kismet_devices ORDER BY mac_addr",
                "AA:BB:CC:00:00:01|new|1600000000|1737131445|2025-01-17 16:30:45.000000|4202_1|"
                "kitchen|NULL|attic\n"
                "AA:BB:CC:00:00:02|left alone|1|2|NULL|NULL|NULL|NULL|attic\n");
    expect_rows(f, "SELECT url FROM bookmarks", "x\n");
    fixture_close(f);
    fixture_send(f, &(struct device_spec){.mac = MAC, .last_seen = T0 + 1}); /* and once more */
}

/* An adopted events table gets its columns, and the uniqueness that makes repeats invisible. */
static void test_adopted_events(void **state)
{
    struct fixture *f = *state;
    file_run(f->path, "CREATE TABLE kismet_events (id INTEGER PRIMARY KEY, event_type TEXT,"
                      " event_data TEXT); INSERT INTO kismet_events VALUES (7, 'OLD', NULL)");
    box_event(&f->box, &(struct event_spec){.type = "ALERT", .time_ns = 1, .uid = 1});
    box_event(&f->box, &(struct event_spec){.type = "ALERT", .time_ns = 1, .uid = 1});
    assert_int_equal(fixture_deliver(f), KX_SENT);
    expect_rows(f, "SELECT id, event_type FROM kismet_events ORDER BY id", "7|OLD\n8|ALERT\n");
}

/* A table that another program gave no key cannot be written by key: the operator is told. */
static void test_table_without_key(void **state)
{
    struct fixture *f = *state;
    file_run(f->path, "CREATE TABLE kismet_devices (mac_addr TEXT, name TEXT)");
    box_device(&f->box, &(struct device_spec){.mac = MAC, .last_seen = T0});
    assert_int_equal(fixture_deliver(f), KX_HOLD);
    assert_non_null(strstr(f->err.text, "rename"));
    file_run(f->path, "ALTER TABLE kismet_devices RENAME TO theirs");
    assert_int_equal(fixture_deliver(f), KX_SENT);
    expect_rows(f, "SELECT mac_addr FROM kismet_devices", "AA:BB:CC:00:00:01\n");
}

/* Views are made when there is none of that name. */
static void test_views_of_others_stay(void **state)
{
    struct fixture *f = *state;
    file_run(f->path, "CREATE VIEW recent_devices AS SELECT 'mine' AS whose");
    assert_int_equal(fixture_idle(f), KX_SENT);
    expect_rows(f, "SELECT whose FROM recent_devices", "mine\n");
    expect_rows(f, "SELECT count(*) FROM device_stats", "0\n");
}

/* user_version belongs to a newer version, or to the program whose file we share. */
static void test_newer_version_stays(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_idle(f), KX_SENT);
    fixture_close(f);
    file_run(f->path, "ALTER TABLE kismet_devices ADD COLUMN from_the_future TEXT;"
                      "PRAGMA user_version = 9");
    fixture_send(f, &(struct device_spec){.mac = MAC, .last_seen = T0});
    expect_rows(f, "PRAGMA user_version", "9\n");
    fixture_close(f);
    file_run(f->path, "DROP INDEX kismet_events_uid"); /* what we need is made all the same */
    fixture_send(f, &(struct device_spec){.mac = MAC, .last_seen = T0});
    expect_rows(f, "PRAGMA user_version", "9\n");
    expect_rows(f, "SELECT name FROM sqlite_master WHERE name = 'kismet_events_uid'",
                "kismet_events_uid\n");
}

/* A complete file is opened without a write. */
static void test_complete_file_is_left(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fixture_idle(f), KX_SENT);
    fixture_close(f);
    sqlite3 *other = file_open(f->path);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(fixture_idle(f), KX_SENT); /* under another's lock */
    sqlite3_close(other);
}

/* A migration that cannot be finished leaves nothing half done. */
static void test_migration_is_all_or_nothing(void **state)
{
    struct fixture *f = *state;
    file_run(f->path, "CREATE TABLE kismet_devices (mac_addr TEXT PRIMARY KEY);"
                      "CREATE TABLE kismet_events (event_uid TEXT);"
                      "INSERT INTO kismet_events VALUES ('same'), ('same')"); /* no unique index */
    box_device(&f->box, &(struct device_spec){.mac = MAC, .last_seen = T0});
    assert_int_equal(fixture_deliver(f), KX_HOLD); /* not the fault of the records */
    expect_rows(f, "SELECT count(*) FROM pragma_table_info('kismet_devices')", "1\n");
    expect_rows(f, "PRAGMA user_version", "0\n");
    file_run(f->path, "DELETE FROM kismet_events");
    assert_int_equal(fixture_deliver(f), KX_SENT);
    expect_rows(f, "SELECT count(*) FROM pragma_table_info('kismet_devices')", "30\n");
}

/* Nor are records refused because another table of ours is. */
static void test_upkeep_that_is_refused(void **state)
{
    struct fixture *f = *state;
    file_run(f->path, "CREATE TABLE kismet_sources (source TEXT PRIMARY KEY CHECK (source <> ''))");
    assert_int_equal(kx_board_create(&f->env.board, 1, 1, &f->err), KX_OK);
    box_device(&f->box, &(struct device_spec){.mac = MAC, .last_seen = T0});
    assert_int_equal(fixture_deliver(f), KX_HOLD); /* the board's source has no name yet */
    assert_false(kx_batch_done(&f->box.batch, 0));
    fixture_close(f);
    kx_board_destroy(f->env.board);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_fresh_file),
        TEST(test_every_field_has_a_column),
        TEST(test_adopted_table),
        TEST(test_adopted_events),
        TEST(test_table_without_key),
        TEST(test_views_of_others_stay),
        TEST(test_newer_version_stays),
        TEST(test_complete_file_is_left),
        TEST(test_migration_is_all_or_nothing),
        TEST(test_upkeep_that_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
