/*
 * The SQLite sink's rows: what is written, what wins, what is left alone. Real files, read back by
 * a second connection.
 */
#include "sqlite_fixture.h"

enum { T0 = 1737131445 }; /* 2025-01-17 16:30:45 UTC */
static const char MAC[] = "AA:BB:CC:00:00:01";

static void test_device_row(void **state)
{
    struct fixture *f = *state;
    box_device(&f->box, &(struct device_spec){.mac = MAC,
                                              .name = "Living room",
                                              .username = "anna",
                                              .phy = "IEEE802.11",
                                              .manufacturer = "Espressif Inc.",
                                              .channel = "6",
                                              .server_uuid = "uuid-1",
                                              .key = "4202_1",
                                              .type = "Wi-Fi AP",
                                              .crypt = "WPA2",
                                              .extra = "{\"a\":[1,\"x\"]}",
                                              .first_seen = T0 - 100,
                                              .last_seen = T0,
                                              .frequency = 2437000,
                                              .packets = 1250,
                                              .tx = 800,
                                              .rx = 450,
                                              .bytes = 1048576,
                                              .alerts = 2,
                                              .signal = -45,
                                              .noise = -95,
                                              .snr = 50,
                                              .location = true,
                                              .latitude = 40.7128,
                                              .longitude = -74.006,
                                              .altitude = 10.5,
                                              .random_known = true,
                                              .random = true,
                                              .heard_ns = (int64_t)T0 * 1000000000 + 123456789});
    box_device(&f->box, &(struct device_spec){.mac = "AA:BB:CC:00:00:02", .last_seen = T0});
    assert_int_equal(fixture_deliver(f), KX_SENT);
    assert_true(kx_batch_done(&f->box.batch, 0));
    assert_true(kx_batch_done(&f->box.batch, 1));
    expect_rows(
        f,
        "SELECT mac_addr, name, username, phy_type, manufacturer, first_seen, last_seen,"
        " channel, frequency, total_packets, tx_packets, rx_packets, data_size,"
        " signal_dbm, noise_dbm, snr_db, latitude, longitude, altitude, last_updated,"
        " source, server_uuid, device_key, device_type, crypt, num_alerts, mac_random,"
        " extra, updated_at FROM kismet_devices ORDER BY mac_addr",
        "AA:BB:CC:00:00:01|Living room|anna|IEEE802.11|Espressif Inc.|1737131345|1737131445"
        "|6|2437000|1250|800|450|1048576|-45|-95|50|40.7128|-74.006|10.5"
        "|2025-01-17 16:30:45.123456|kitchen|uuid-1|4202_1|Wi-Fi AP|WPA2|2|1"
        "|{\"a\":[1,\"x\"]}|2025-01-17 16:30:45.123456\n"
        "AA:BB:CC:00:00:02|NULL|NULL|NULL|NULL|NULL|1737131445|NULL|NULL|NULL|NULL|NULL|NULL"
        "|NULL|NULL|NULL|NULL|NULL|NULL|2025-01-17 16:30:45.000000"
        "|kitchen|NULL|NULL|NULL|NULL|NULL|NULL|NULL|2025-01-17 16:30:45.000000\n");
    /* created_at is now, on our clock; values have the types that a query expects. */
    expect_rows(f,
                "SELECT count(*) FROM kismet_devices WHERE created_at > datetime('now', '-1 hour')"
                " AND created_at < datetime('now', '+1 hour') AND typeof(last_seen) = 'integer'"
                " AND typeof(last_updated) = 'text' AND typeof(created_at) = 'text'",
                "2\n");
    expect_rows(f, "SELECT * FROM kismet_device_sources", "");
    expect_rows(f, "SELECT * FROM kismet_device_history", "");
    expect_rows(f, "PRAGMA journal_mode", "wal\n");
}

static void test_restart(void **state)
{
    struct fixture *f = *state;
    fixture_send(f, &(struct device_spec){.mac = MAC, .last_seen = T0, .packets = 1});
    file_run(f->path, "UPDATE kismet_devices SET created_at = 'kept'");
    fixture_close(f);
    fixture_send(f, &(struct device_spec){.mac = MAC, .last_seen = T0 + 9, .packets = 2});
    expect_rows(f, "SELECT last_seen, total_packets, created_at FROM kismet_devices",
                "1737131454|2|kept\n");
}

static void test_newest_wins(void **state)
{
    struct fixture *f = *state;
    struct device_spec attic = {.mac = MAC, .source = "attic", .last_seen = T0, .signal = -40};
    struct device_spec cellar = {
        .mac = MAC, .source = "cellar", .last_seen = T0 - 10, .signal = -80};
    fixture_send(f, &attic);
    fixture_send(f, &cellar); /* older: kept back */
    expect_rows(f, "SELECT source, signal_dbm FROM kismet_devices", "attic|-40\n");
    assert_int_equal(fixture_count(f, KX_C_ROWS_STALE), 1);
    cellar.last_seen = T0; /* as new: the later word counts */
    fixture_send(f, &cellar);
    expect_rows(f, "SELECT source, signal_dbm FROM kismet_devices", "cellar|-80\n");
    attic.last_seen = 0; /* no order without a time */
    fixture_send(f, &attic);
    expect_rows(f, "SELECT source, signal_dbm FROM kismet_devices", "cellar|-80\n");
    assert_int_equal(fixture_count(f, KX_C_ROWS_STALE), 2);
}

static void test_wrong_clock_gives_way(void **state)
{
    struct fixture *f = *state;
    int64_t now = kx_clock_wall_ns() / 1000000000;
    fixture_send(f, &(struct device_spec){.mac = MAC, .source = "attic", .last_seen = now + 3600});
    fixture_send(f, &(struct device_spec){.mac = MAC, .source = "cellar", .last_seen = now});
    expect_rows(f, "SELECT source FROM kismet_devices", "cellar\n");
    /* Four minutes ahead is within what clocks do. */
    fixture_send(f, &(struct device_spec){.mac = MAC, .source = "attic", .last_seen = now + 240});
    fixture_send(f, &(struct device_spec){.mac = MAC, .source = "cellar", .last_seen = now + 1});
    expect_rows(f, "SELECT source FROM kismet_devices", "attic\n");
    /* A row without a time gives way to anything. */
    file_run(f->path, "UPDATE kismet_devices SET last_seen = NULL");
    fixture_send(f, &(struct device_spec){.mac = MAC, .source = "cellar", .last_seen = T0});
    expect_rows(f, "SELECT source FROM kismet_devices", "cellar\n");
}

static void test_unchanged_is_not_written(void **state)
{
    struct fixture *f = *state;
    struct device_spec device = {.mac = MAC,
                                 .name = "x",
                                 .last_seen = T0,
                                 .packets = 7,
                                 .first_seen = T0 - 5,
                                 .latitude = 1.5,
                                 .location = true};
    fixture_send(f, &device);
    sqlite3 *watcher = file_open(f->path);
    sqlite3_stmt *version = NULL;
    sqlite3_prepare_v2(watcher, "PRAGMA data_version", -1, &version, NULL);
    assert_int_equal(sqlite3_step(version), SQLITE_ROW);
    int before = sqlite3_column_int(version, 0);
    sqlite3_reset(version);
    device.heard_ns = (int64_t)T0 * 1000000000 + 999999999; /* told again, by REST say */
    fixture_send(f, &device);
    sqlite3_step(version);
    assert_int_equal(sqlite3_column_int(version, 0), before); /* nobody wrote the file */
    sqlite3_reset(version);
    expect_rows(f, "SELECT last_updated FROM kismet_devices", "2025-01-17 16:30:45.000000\n");
    assert_int_equal(fixture_count(f, KX_C_ROWS_STALE), 0); /* it was not older either */
    device.packets = 8;
    fixture_send(f, &device);
    sqlite3_step(version);
    assert_int_not_equal(sqlite3_column_int(version, 0), before);
    sqlite3_reset(version);
    /* The server's clock is known by now, and when it was heard was corrected. */
    device.heard_ns = (int64_t)(T0 + 50) * 1000000000;
    fixture_send(f, &device);
    sqlite3_step(version);
    expect_rows(f, "SELECT last_updated, updated_at FROM kismet_devices",
                "2025-01-17 16:31:35.000000|2025-01-17 16:31:35.000000\n");
    assert_int_equal(fixture_count(f, KX_C_ROWS_STALE), 0);
    sqlite3_finalize(version);
    sqlite3_close(watcher);
}

/* Each column by itself is a change. */
static void test_every_column_counts(void **state)
{
    struct fixture *f = *state;
    struct device_spec device = {.mac = MAC, .last_seen = T0, .first_seen = T0};
    struct device_spec full = {.mac = MAC,
                               .name = "n",
                               .username = "u",
                               .phy = "p",
                               .manufacturer = "m",
                               .channel = "c",
                               .source = "s",
                               .server_uuid = "v",
                               .key = "k",
                               .type = "t",
                               .crypt = "r",
                               .extra = "{}",
                               .first_seen = T0 - 1,
                               .last_seen = T0 + 1,
                               .frequency = 1,
                               .packets = 2,
                               .tx = 3,
                               .rx = 4,
                               .bytes = 5,
                               .alerts = 6,
                               .signal = -7,
                               .noise = -8,
                               .snr = 9,
                               .latitude = 1,
                               .longitude = 2,
                               .altitude = 3,
                               .location = true,
                               .random_known = true,
                               .random = true};
    fixture_send(f, &device);
    for (enum kx_field field = KX_F_NAME; field < KX_FIELDS; field++) {
        char sql[128];
        fixture_send(f, &full);
        snprintf(sql, sizeof sql, "UPDATE kismet_devices SET %s = NULL, created_at = 'other'",
                 kx_fields[field].name);
        file_run(f->path, sql);
        fixture_send(f, &full);
        snprintf(sql, sizeof sql, "SELECT %s IS NULL FROM kismet_devices", kx_fields[field].name);
        expect_rows(f, sql, "0\n");
    }
}

/* The packets' clock of a sensor steps back an hour in mid-life: the row must not freeze until the
 * clock has caught up. */
static void test_clock_set_back(void **state)
{
    struct fixture *f = *state;
    int64_t s = 1000000000;
    struct device_spec device = {.mac = MAC,
                                 .last_seen = T0,
                                 .first_seen = T0 - 500,
                                 .packets = 90,
                                 .heard_ns = T0 * s,
                                 .received_ns = T0 * s};
    fixture_send(f, &device);
    device.last_seen -= 3600;
    device.packets = 95;
    device.heard_ns = device.received_ns = (T0 + 10) * s;
    struct device_spec elsewhere = device;
    elsewhere.source = "attic"; /* another sensor's older view stays out */
    elsewhere.packets = 7;
    fixture_send(f, &elsewhere);
    expect_rows(f, "SELECT total_packets FROM kismet_devices", "90\n");
    fixture_send(f, &device);
    expect_rows(f, "SELECT total_packets, last_updated FROM kismet_devices",
                "95|2025-01-17 16:30:55.000000\n");
    assert_int_equal(fixture_count(f, KX_C_ROWS_STALE), 1);
}

static void test_new_life(void **state)
{
    struct fixture *f = *state;
    int64_t s = 1000000000;
    struct device_spec device = {.mac = MAC,
                                 .last_seen = T0,
                                 .first_seen = T0 - 500,
                                 .packets = 90,
                                 .heard_ns = T0 * s,
                                 .received_ns = T0 * s};
    fixture_send(f, &device);
    /* An older state of the same life, out of a spool: it came before. */
    struct device_spec older = device;
    older.last_seen -= 60;
    older.packets = 60;
    older.heard_ns = older.received_ns = (T0 - 60) * s;
    fixture_send(f, &older);
    expect_rows(f, "SELECT total_packets FROM kismet_devices", "90\n");
    assert_int_equal(fixture_count(f, KX_C_ROWS_STALE), 1);
    /* The sensor's clock went back an hour and Kismet counts from 1. */
    struct device_spec reborn = {.mac = MAC,
                                 .last_seen = T0 - 3600,
                                 .first_seen = T0 - 3600,
                                 .packets = 1,
                                 .heard_ns = (T0 - 3600) * s,
                                 .received_ns = (T0 + 10) * s};
    struct device_spec elsewhere = reborn;
    elsewhere.source = "attic";
    fixture_send(f, &elsewhere); /* another sensor's older state is no new life */
    expect_rows(f, "SELECT total_packets FROM kismet_devices", "90\n");
    assert_int_equal(fixture_count(f, KX_C_ROWS_STALE), 2);
    fixture_send(f, &reborn);
    expect_rows(f, "SELECT total_packets, last_seen, last_updated FROM kismet_devices",
                "1|1737127845|2025-01-17 16:30:45.000000\n"); /* heard: never moved back */
    /* Its counters alone tell it too, when first_seen stays. */
    file_run(f->path, "UPDATE kismet_devices SET last_seen = last_seen + 100, total_packets = 50");
    reborn.packets = 2;
    reborn.received_ns += s;
    fixture_send(f, &reborn);
    expect_rows(f, "SELECT total_packets FROM kismet_devices", "2\n");
    /* And first_seen alone, when it was heard more often than in the life before. */
    file_run(f->path, "UPDATE kismet_devices SET last_seen = last_seen + 100");
    reborn.first_seen += 60;
    reborn.packets = 3;
    reborn.received_ns += s;
    fixture_send(f, &reborn);
    expect_rows(f, "SELECT total_packets FROM kismet_devices", "3\n");
    assert_int_equal(fixture_count(f, KX_C_ROWS_STALE), 2);
}

static void test_first_seen(void **state)
{
    struct fixture *f = *state;
    struct device_spec device = {.mac = MAC, .last_seen = T0, .first_seen = 100};
    fixture_send(f, &device); /* 1970: a clock that was not set */
    expect_rows(f, "SELECT first_seen FROM kismet_devices", "NULL\n");
    static const struct {
        int64_t first_seen;
        const char *row;
    } steps[] = {
        {T0 - 50, "1737131395\n"}, {T0 - 10, "1737131395\n"}, {T0 - 90, "1737131355\n"},
        {100, "1737131355\n"},     {0, "1737131355\n"},
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        device.last_seen++;
        device.first_seen = steps[i].first_seen;
        fixture_send(f, &device);
        expect_rows(f, "SELECT first_seen FROM kismet_devices", steps[i].row);
    }
    file_run(f->path, "UPDATE kismet_devices SET first_seen = 5"); /* another tool's */
    device.first_seen = T0;
    device.last_seen++;
    fixture_send(f, &device);
    expect_rows(f, "SELECT first_seen FROM kismet_devices", "1737131445\n");
}

/* A state that comes too late is not written, but another sensor may have known the device longer.
 */
static void test_first_seen_of_a_late_state(void **state)
{
    struct fixture *f = *state;
    struct device_spec late = {.mac = MAC, .source = "attic", .last_seen = T0 - 5, .packets = 1};
    fixture_send(
        f, &(struct device_spec){.mac = MAC, .source = "cellar", .last_seen = T0, .packets = 7});
    static const struct {
        int64_t first_seen;
        const char *row;
    } steps[] = {
        {100, "NULL|7|cellar\n"}, /* 1970 */
        {T0 - 50, "1737131395|7|cellar\n"}, {T0 - 10, "1737131395|7|cellar\n"},
        {T0 - 90, "1737131355|7|cellar\n"}, {0, "1737131355|7|cellar\n"},
    };
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        late.first_seen = steps[i].first_seen;
        fixture_send(f, &late);
        expect_rows(f, "SELECT first_seen, total_packets, source FROM kismet_devices",
                    steps[i].row);
        assert_int_equal(fixture_count(f, KX_C_ROWS_STALE), i + 1);
    }
    file_run(f->path, "UPDATE kismet_devices SET first_seen = 5"); /* another tool's */
    late.first_seen = T0 - 20;
    fixture_send(f, &late);
    expect_rows(f, "SELECT first_seen FROM kismet_devices", "1737131425\n");
}

static void test_unknown_overwrites(void **state)
{
    struct fixture *f = *state;
    fixture_send(f, &(struct device_spec){.mac = MAC,
                                          .name = "x",
                                          .last_seen = T0,
                                          .signal = -40,
                                          .latitude = 1,
                                          .location = true,
                                          .extra = "{}"});
    fixture_send(f, &(struct device_spec){.mac = MAC, .last_seen = T0});
    expect_rows(f, "SELECT name, signal_dbm, latitude, extra FROM kismet_devices",
                "NULL|NULL|NULL|NULL\n");
}

static void test_last_updated_never_back(void **state)
{
    struct fixture *f = *state;
    fixture_send(f, &(struct device_spec){.mac = MAC,
                                          .last_seen = T0,
                                          .packets = 1,
                                          .heard_ns = (int64_t)(T0 + 30) * 1000000000});
    fixture_send(f, &(struct device_spec){.mac = MAC,
                                          .last_seen = T0 + 5,
                                          .packets = 2,
                                          .heard_ns = (int64_t)(T0 + 5) * 1000000000});
    expect_rows(f, "SELECT total_packets, last_updated, updated_at FROM kismet_devices",
                "2|2025-01-17 16:31:15.000000|2025-01-17 16:31:15.000000\n");
}

static void test_per_source(void **state)
{
    struct fixture *f = *state;
    struct device_spec attic = {.mac = MAC, .source = "attic", .last_seen = T0, .signal = -40};
    struct device_spec cellar = {
        .mac = MAC, .source = "cellar", .last_seen = T0 - 10, .signal = -80};
    f->config.source_count = 2; /* auto */
    fixture_send(f, &attic);
    fixture_send(f, &cellar);
    expect_rows(f, "SELECT source, mac_addr, signal_dbm FROM kismet_device_sources ORDER BY source",
                "attic|AA:BB:CC:00:00:01|-40\ncellar|AA:BB:CC:00:00:01|-80\n");
    expect_rows(f, "SELECT source FROM kismet_devices", "attic\n");
    fixture_close(f);
    f->sink_config.tables.per_source = KX_OFF;
    attic.signal = -41;
    fixture_send(f, &attic);
    expect_rows(f, "SELECT signal_dbm FROM kismet_device_sources WHERE source = 'attic'", "-40\n");
    fixture_close(f);
    f->sink_config.tables.per_source = KX_ON;
    f->config.source_count = 1;
    attic.signal = -42;
    fixture_send(f, &attic);
    expect_rows(f, "SELECT signal_dbm FROM kismet_device_sources WHERE source = 'attic'", "-42\n");
}

static void test_history(void **state)
{
    struct fixture *f = *state;
    f->sink_config.tables.history =
        (struct kx_history_config){.on = true, .min_interval_ns = 60 * KX_NS_PER_S};
    struct device_spec device = {.mac = MAC,
                                 .channel = "6",
                                 .frequency = 2437000,
                                 .packets = 1,
                                 .signal = -40,
                                 .latitude = 1.5,
                                 .longitude = 2.5,
                                 .altitude = 3.5,
                                 .location = true};
    static const int seconds[] = {0, 0, 30, 59, 60, 100, 119, 125};
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
        device.last_seen = T0 + seconds[i];
        fixture_send(f, &device);
        if (i == 4) /* a restart forgets nothing */
            fixture_close(f);
    }
    struct device_spec attic = device;
    attic.source = "attic"; /* each source has its own interval */
    fixture_send(f, &attic);
    device.last_seen = 0;
    fixture_send(f, &device); /* no time, no row */
    expect_rows(f,
                "SELECT time, source, mac_addr, channel, frequency, total_packets, signal_dbm,"
                " noise_dbm, latitude, longitude, altitude FROM kismet_device_history"
                " ORDER BY time, source",
                "2025-01-17 16:30:45.000000|kitchen|AA:BB:CC:00:00:01|6|2437000|1|-40|NULL|1.5|2.5|"
                "3.5\n"
                "2025-01-17 16:31:45.000000|kitchen|AA:BB:CC:00:00:01|6|2437000|1|-40|NULL|1.5|2.5|"
                "3.5\n"
                "2025-01-17 16:32:50.000000|attic|AA:BB:CC:00:00:01|6|2437000|1|-40|NULL|1.5|2.5|"
                "3.5\n"
                "2025-01-17 16:32:50.000000|kitchen|AA:BB:CC:00:00:01|6|2437000|1|-40|NULL|1.5|2.5|"
                "3.5\n");
    /* Without an interval every second that was heard is a row, and no second is two. */
    fixture_close(f);
    f->sink_config.tables.history.min_interval_ns = 0;
    file_run(f->path, "DELETE FROM kismet_device_history");
    device.last_seen = T0;
    fixture_send(f, &device);
    fixture_send(f, &device);
    device.last_seen = T0 + 1;
    fixture_send(f, &device);
    expect_rows(f, "SELECT count(*) FROM kismet_device_history", "2\n");
}

static void test_retention(void **state)
{
    struct fixture *f = *state;
    f->sink_config.tables.history =
        (struct kx_history_config){.on = true, .retention_ns = 86400 * KX_NS_PER_S};
    assert_int_equal(fixture_idle(f), KX_SENT); /* makes the tables */
    fixture_close(f);
    file_run(f->path,
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)"
             " INSERT INTO kismet_device_history (time, source, mac_addr)"
             " SELECT datetime('now', '-2 days', '-' || i || ' seconds'), 'kitchen', 'm' FROM n;"
             " INSERT INTO kismet_device_history (time, source, mac_addr)"
             " VALUES (datetime('now', '-23 hours'), 'kitchen', 'm')");
    static const char *const left[] = {"1501\n", "501\n", "1\n", "1\n"};
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) { /* a batch of deletes a call */
        assert_int_equal(fixture_idle(f), KX_SENT);
        expect_rows(f, "SELECT count(*) FROM kismet_device_history", left[i]);
    }
}

static void test_events(void **state)
{
    struct fixture *f = *state;
    struct event_spec alert = {.type = "ALERT",
                               .key = "4202_1",
                               .mac = MAC,
                               .uid = 0x1f,
                               .data = "{\"kismet.alert.header\":\"DEAUTH\","
                                       "\"kismet.alert.severity\":10,"
                                       "\"kismet.alert.text\":\"'quoted' \\u2603\","
                                       "\"kismet.alert.source_mac\":\"AA:AA:AA:AA:AA:AA\","
                                       "\"kismet.alert.channel\":\"6\"}",
                               .time_ns = (int64_t)T0 * 1000000000 + 92421000};
    box_event(&f->box, &alert);
    box_event(&f->box, &(struct event_spec){.type = "NEW_DEVICE", .uid = 2, .time_ns = 1});
    box_event(&f->box, &alert);
    assert_int_equal(fixture_deliver(f), KX_SENT);
    assert_int_equal(fixture_count(f, KX_C_EVENTS_KNOWN), 1);
    box_clear(&f->box);
    box_event(&f->box, &alert); /* again, after a crash say */
    assert_int_equal(fixture_deliver(f), KX_SENT);
    assert_int_equal(fixture_count(f, KX_C_EVENTS_KNOWN), 2);
    expect_rows(
        f,
        "SELECT id, event_uid, event_type, event_time, source, device_key, device_mac"
        " FROM kismet_events ORDER BY id",
        "1|1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f|ALERT|2025-01-17 16:30:45.092421|kitchen|4202_1|"
        "AA:BB:CC:00:00:01\n"
        "2|02020202020202020202020202020202|NEW_DEVICE|1970-01-01 00:00:00.000000|kitchen|"
        "NULL|NULL\n");
    expect_rows(f, "SELECT * FROM kismet_alerts",
                "2025-01-17 16:30:45.092421|kitchen|DEAUTH|10|'quoted' \xe2\x98\x83|NULL|"
                "AA:AA:AA:AA:AA:AA|NULL|NULL|6\n");
    expect_rows(f,
                "SELECT count(*) FROM kismet_events WHERE created_at > datetime('now', '-1 hour')",
                "2\n");
}

static void test_sources(void **state)
{
    struct fixture *f = *state;
    struct kx_source_status status = {.name = "kitchen",
                                      .state = KX_SOURCE_STREAMING,
                                      .server_uuid = "uuid-1",
                                      .version = "2025-09-R1",
                                      .last_contact_ns = (int64_t)T0 * 1000000000,
                                      .datasources_ok = 2,
                                      .skew_known = true,
                                      .clock_skew_s = -0.25};
    struct kx_source_status silent = {
        .name = "attic", .state = KX_SOURCE_CONNECTING, .datasources_ok = -1};
    assert_int_equal(kx_board_create(&f->env.board, 2, 1, &f->err), KX_OK);
    kx_board_source_set(f->env.board, 0, &status);
    kx_board_source_set(f->env.board, 1, &silent);
    assert_int_equal(fixture_idle(f), KX_SENT);
    static const char query[] = "SELECT source, server_uuid, state, last_contact, datasources_ok,"
                                " clock_skew_s, version FROM kismet_sources ORDER BY source";
    expect_rows(f, query,
                "attic|NULL|connecting|NULL|NULL|NULL|NULL\n"
                "kitchen|uuid-1|streaming|2025-01-17 16:30:45.000000|2|-0.25|2025-09-R1\n");
    status.version[0] = 'x'; /* within the minute only a change of state is news */
    kx_board_source_set(f->env.board, 0, &status);
    assert_int_equal(fixture_idle(f), KX_SENT);
    expect_rows(f, "SELECT version FROM kismet_sources WHERE source = 'kitchen'", "2025-09-R1\n");
    silent.state = KX_SOURCE_AUTH_FAILED;
    kx_board_source_set(f->env.board, 1, &silent);
    fixture_send(f, &(struct device_spec){.mac = MAC, .last_seen = T0}); /* a busy sink too */
    expect_rows(f, query,
                "attic|NULL|auth_failed|NULL|NULL|NULL|NULL\n"
                "kitchen|uuid-1|streaming|2025-01-17 16:30:45.000000|2|-0.25|x025-09-R1\n");
    unlink(f->path); /* a new file knows no sources yet, and does not wait for the minute */
    assert_int_equal(fixture_idle(f), KX_SENT);
    expect_rows(f, "SELECT count(*) FROM kismet_sources", "2\n");
    fixture_close(f);
    kx_board_destroy(f->env.board);
}

static void test_views(void **state)
{
    struct fixture *f = *state;
    int64_t now = kx_clock_wall_ns() / 1000000000;
    box_device(&f->box,
               &(struct device_spec){
                   .mac = MAC, .phy = "IEEE802.11", .signal = -40, .last_seen = now, .packets = 3});
    box_device(&f->box, &(struct device_spec){.mac = "AA:BB:CC:00:00:02",
                                              .phy = "IEEE802.11",
                                              .signal = -60,
                                              .last_seen = now - 900,
                                              .packets = 4});
    assert_int_equal(fixture_deliver(f), KX_SENT);
    expect_rows(f, "SELECT mac_addr FROM recent_devices", "AA:BB:CC:00:00:01\n");
    expect_rows(f,
                "SELECT phy_type, device_count, recent_count, avg_signal_dbm, total_packets"
                " FROM device_stats",
                "IEEE802.11|2|1|-50.0|7\n");
    expect_rows(f,
                "SELECT mac_addr FROM kismet_devices"
                " WHERE last_updated > datetime('now', '-5 minutes')",
                "AA:BB:CC:00:00:01\n");
}

static void test_mac_case(void **state)
{
    struct fixture *f = *state;
    f->sink_config.mac_case = KX_MAC_LOWER;
    box_device(&f->box, &(struct device_spec){.mac = MAC, .last_seen = T0});
    box_event(&f->box, &(struct event_spec){.type = "ALERT", .mac = MAC, .time_ns = 1});
    assert_int_equal(fixture_deliver(f), KX_SENT);
    expect_rows(f, "SELECT mac_addr FROM kismet_devices", "aa:bb:cc:00:00:01\n");
    expect_rows(f, "SELECT device_mac FROM kismet_events", "aa:bb:cc:00:00:01\n");
}

static void test_hostile_names(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < HOSTILE_NAMES; i++) {
        char mac[18];
        snprintf(mac, sizeof mac, "AA:BB:CC:00:00:%02X", (unsigned)i);
        box_device(&f->box,
                   &(struct device_spec){.mac = mac, .name = hostile_names[i], .last_seen = T0});
    }
    assert_int_equal(fixture_deliver(f), KX_SENT);
    sqlite3 *db = file_open(f->path);
    sqlite3_stmt *statement = NULL;
    sqlite3_prepare_v2(db, "SELECT name FROM kismet_devices ORDER BY mac_addr", -1, &statement,
                       NULL);
    for (size_t i = 0; i < HOSTILE_NAMES; i++) {
        assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
        assert_string_equal((const char *)sqlite3_column_text(statement, 0), hostile_names[i]);
    }
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

/* What is done already, in another half of the batch say, is not written again. */
static void test_done_records_are_left(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 4; i++) {
        char mac[18];
        snprintf(mac, sizeof mac, "AA:BB:CC:00:00:%02X", (unsigned)i);
        box_device(&f->box, &(struct device_spec){.mac = mac, .last_seen = T0});
    }
    kx_batch_mark(&f->box.batch, 1);
    f->box.batch.end = 3;
    assert_int_equal(fixture_deliver(f), KX_SENT);
    expect_rows(f, "SELECT mac_addr FROM kismet_devices ORDER BY mac_addr",
                "AA:BB:CC:00:00:00\nAA:BB:CC:00:00:02\n");
    assert_false(kx_batch_done(&f->box.batch, 3));
}

static void set_fields(struct fixture *f, const char *names)
{
    kx_strings_fini(&f->sink_config.fields);
    assert_true(kx_strings_split(&f->sink_config.fields, names));
    fixture_close(f);
}

/* Columns that nobody asked for stay as they are: what was there, or NULL. */
static void test_fields(void **state)
{
    struct fixture *f = *state;
    const char query[] = "SELECT mac_addr, source, name, first_seen, last_seen, signal_dbm,"
                         " total_packets FROM kismet_devices ORDER BY mac_addr";
    struct device_spec spec = {.mac = MAC,
                               .name = "old",
                               .first_seen = T0 - 100,
                               .last_seen = T0,
                               .packets = 10,
                               .signal = -40};
    fixture_send(f, &spec);
    set_fields(f, "signal_dbm, first_seen, last_seen");
    spec = (struct device_spec){.mac = MAC,
                                .name = "new",
                                .first_seen = T0 - 50,
                                .last_seen = T0 + 5,
                                .packets = 20,
                                .signal = -50};
    fixture_send(f, &spec);
    expect_rows(f, query, "AA:BB:CC:00:00:01|kitchen|old|1737131345|1737131450|-50|10\n");
    spec.mac = "AA:BB:CC:00:00:02";
    fixture_send(f, &spec);
    spec.last_seen = T0; /* older, of the same life: kept back */
    spec.signal = -99;
    spec.received_ns = ((int64_t)T0 - 1) * 1000000000;
    fixture_send(f, &spec);
    expect_rows(f, query,
                "AA:BB:CC:00:00:01|kitchen|old|1737131345|1737131450|-50|10\n"
                "AA:BB:CC:00:00:02|kitchen|NULL|1737131395|1737131450|-50|NULL\n");
    assert_int_equal(fixture_count(f, KX_C_ROWS_STALE), 1);
    kx_strings_fini(&f->sink_config.fields);
}

/* Without last_seen the last hearing says what is newer, and moves with each. */
static void test_fields_without_times(void **state)
{
    struct fixture *f = *state;
    const char query[] = "SELECT signal_dbm, last_seen, last_updated FROM kismet_devices";
    struct device_spec spec = {
        .mac = MAC, .last_seen = T0, .signal = -40, .heard_ns = (int64_t)T0 * 1000000000};
    set_fields(f, "signal_dbm");
    f->sink_config.tables.per_source = KX_ON;
    f->sink_config.tables.history = (struct kx_history_config){.on = true};
    fixture_send(f, &spec);
    expect_rows(f, query, "-40|NULL|2025-01-17 16:30:45.000000\n");
    spec.heard_ns += 1000000000;
    spec.last_seen++;
    fixture_send(f, &spec);
    expect_rows(f, query, "-40|NULL|2025-01-17 16:30:46.000000\n");
    spec.heard_ns -= 500000000;
    spec.signal = -70;
    fixture_send(f, &spec);
    expect_rows(f, query, "-40|NULL|2025-01-17 16:30:46.000000\n");
    expect_rows(f, "SELECT source, signal_dbm, last_seen FROM kismet_device_sources",
                "kitchen|-40|NULL\n");
    expect_rows(f, "SELECT time, source, signal_dbm, channel FROM kismet_device_history",
                "2025-01-17 16:30:45.000000|kitchen|-40|NULL\n"
                "2025-01-17 16:30:46.000000|kitchen|-40|NULL\n");
    kx_strings_fini(&f->sink_config.fields);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_device_row),
        TEST(test_restart),
        TEST(test_newest_wins),
        TEST(test_wrong_clock_gives_way),
        TEST(test_unchanged_is_not_written),
        TEST(test_every_column_counts),
        TEST(test_clock_set_back),
        TEST(test_new_life),
        TEST(test_first_seen),
        TEST(test_first_seen_of_a_late_state),
        TEST(test_unknown_overwrites),
        TEST(test_last_updated_never_back),
        TEST(test_per_source),
        TEST(test_history),
        TEST(test_retention),
        TEST(test_events),
        TEST(test_sources),
        TEST(test_views),
        TEST(test_mac_case),
        TEST(test_hostile_names),
        TEST(test_done_records_are_left),
        TEST(test_fields),
        TEST(test_fields_without_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
