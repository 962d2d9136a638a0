/*
 * The schema's text, and how a file comes to it.
 *
 * Which columns a table lacks is found by comparing it with a database in memory that was made from
 * the same text, so that no column is named twice.
 */
#include "sinks/sqlite_schema.h"
#include <stdio.h>
#include <string.h>

#define DEVICE_COLUMNS                                                                             \
    "    name TEXT,\n"                                                                             \
    "    username TEXT,\n"                                                                         \
    "    phy_type TEXT,\n"                                                                         \
    "    manufacturer TEXT,\n"                                                                     \
    "    first_seen BIGINT,\n"                                                                     \
    "    last_seen BIGINT,\n"                                                                      \
    "    channel TEXT,\n"                                                                          \
    "    frequency BIGINT,\n"                                                                      \
    "    total_packets BIGINT,\n"                                                                  \
    "    tx_packets BIGINT,\n"                                                                     \
    "    rx_packets BIGINT,\n"                                                                     \
    "    data_size BIGINT,\n"                                                                      \
    "    signal_dbm INTEGER,\n"                                                                    \
    "    noise_dbm INTEGER,\n"                                                                     \
    "    snr_db INTEGER,\n"                                                                        \
    "    latitude DOUBLE PRECISION,\n"                                                             \
    "    longitude DOUBLE PRECISION,\n"                                                            \
    "    altitude DOUBLE PRECISION,\n"                                                             \
    "    last_updated TEXT DEFAULT CURRENT_TIMESTAMP,\n"

#define DEVICE_ADDITIONS                                                                           \
    "    server_uuid TEXT,\n"                                                                      \
    "    device_key TEXT,\n"                                                                       \
    "    device_type TEXT,\n"                                                                      \
    "    crypt TEXT,\n"                                                                            \
    "    num_alerts BIGINT,\n"                                                                     \
    "    mac_random BOOLEAN,\n"                                                                    \
    "    extra TEXT,\n"                                                                            \
    "    created_at TEXT,\n"                                                                       \
    "    updated_at TEXT"

/*
 * Migration 1. Times are UTC text that compares with datetime('now'). Tables keep their rowid: it
 * puts devices that came together on the same pages, and a batch writes a third as many as it would
 * in the order of the MACs (bench_sqlite: WITHOUT ROWID wrote 98 k records/s where this writes 280
 * k).
 */
static const char *const statements[] = {
    "CREATE TABLE IF NOT EXISTS kismet_devices (\n"
    "    mac_addr TEXT PRIMARY KEY,\n" DEVICE_COLUMNS "    source TEXT,\n" DEVICE_ADDITIONS "\n)",

    "CREATE TABLE IF NOT EXISTS kismet_device_sources (\n"
    "    source TEXT NOT NULL,\n"
    "    mac_addr TEXT NOT NULL,\n" DEVICE_COLUMNS DEVICE_ADDITIONS ",\n"
    "    PRIMARY KEY (source, mac_addr)\n)",

    "CREATE TABLE IF NOT EXISTS kismet_device_history (\n"
    "    time TEXT NOT NULL,\n"
    "    source TEXT NOT NULL,\n"
    "    mac_addr TEXT NOT NULL,\n"
    "    channel TEXT,\n"
    "    frequency BIGINT,\n"
    "    total_packets BIGINT,\n"
    "    tx_packets BIGINT,\n"
    "    rx_packets BIGINT,\n"
    "    data_size BIGINT,\n"
    "    signal_dbm INTEGER,\n"
    "    noise_dbm INTEGER,\n"
    "    snr_db INTEGER,\n"
    "    latitude DOUBLE PRECISION,\n"
    "    longitude DOUBLE PRECISION,\n"
    "    altitude DOUBLE PRECISION,\n"
    "    UNIQUE (source, mac_addr, time)\n)",

    "CREATE INDEX IF NOT EXISTS kismet_device_history_time ON kismet_device_history (time)",

    "CREATE TABLE IF NOT EXISTS kismet_events (\n"
    "    id INTEGER PRIMARY KEY,\n"
    "    event_uid TEXT,\n"
    "    event_type TEXT,\n"
    "    event_time TEXT,\n"
    "    source TEXT,\n"
    "    device_key TEXT,\n"
    "    device_mac TEXT,\n"
    "    event_data TEXT,\n"
    "    created_at TEXT\n)",

    /* On its own, so that an adopted table gets it too. */
    "CREATE UNIQUE INDEX IF NOT EXISTS kismet_events_uid ON kismet_events (event_uid)",

    "CREATE TABLE IF NOT EXISTS kismet_sources (\n"
    "    source TEXT PRIMARY KEY,\n"
    "    server_uuid TEXT,\n"
    "    state TEXT,\n"
    "    last_contact TEXT,\n"
    "    datasources_ok INTEGER,\n"
    "    clock_skew_s DOUBLE PRECISION,\n"
    "    version TEXT,\n"
    "    updated_at TEXT\n)",

    "CREATE VIEW IF NOT EXISTS kismet_alerts AS\n"
    "SELECT event_time AS time,\n"
    "    source,\n"
    "    json_extract(event_data, '$.\"kismet.alert.header\"') AS header,\n"
    "    json_extract(event_data, '$.\"kismet.alert.severity\"') AS severity,\n"
    "    json_extract(event_data, '$.\"kismet.alert.text\"') AS text,\n"
    "    json_extract(event_data, '$.\"kismet.alert.transmitter_mac\"') AS transmitter_mac,\n"
    "    json_extract(event_data, '$.\"kismet.alert.source_mac\"') AS source_mac,\n"
    "    json_extract(event_data, '$.\"kismet.alert.dest_mac\"') AS dest_mac,\n"
    "    json_extract(event_data, '$.\"kismet.alert.other_mac\"') AS other_mac,\n"
    "    json_extract(event_data, '$.\"kismet.alert.channel\"') AS channel\n"
    "FROM kismet_events\n"
    "WHERE event_type = 'ALERT' AND json_valid(event_data)",

    "CREATE VIEW IF NOT EXISTS recent_devices AS\n"
    "SELECT mac_addr, name, manufacturer, phy_type, channel, signal_dbm, source, last_updated\n"
    "FROM kismet_devices\n"
    "WHERE last_updated > datetime('now', '-5 minutes')\n"
    "ORDER BY last_updated DESC",

    "CREATE VIEW IF NOT EXISTS device_stats AS\n"
    "SELECT phy_type,\n"
    "    count(*) AS device_count,\n"
    "    sum(last_updated > datetime('now', '-5 minutes')) AS recent_count,\n"
    "    avg(signal_dbm) AS avg_signal_dbm,\n"
    "    sum(total_packets) AS total_packets,\n"
    "    max(last_updated) AS last_updated\n"
    "FROM kismet_devices\n"
    "GROUP BY phy_type",
};
enum { STATEMENTS = sizeof statements / sizeof statements[0] };

/* --- what is there --- */

static enum kx_outcome read_version(struct kx_sqlite_db *db, int *ret_version, struct kx_error *err)
{
    sqlite3_stmt *statement = NULL;
    enum kx_outcome outcome = kx_sqlite_prepare(db, "PRAGMA user_version", &statement, err);
    if (outcome != KX_SENT)
        return outcome;
    outcome = kx_sqlite_fault(db, sqlite3_step(statement), err);
    *ret_version = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return outcome;
}

/* What our text makes and the file has not. */
struct missing {
    struct kx_sqlite_db *db;
    sqlite3 *ours; /* in memory, made from our text */
    unsigned count;
    bool add_columns; /* else only count */
};

static enum kx_outcome add_column(struct missing *missing,
                                  const char *table,
                                  const char *column,
                                  const char *type,
                                  struct kx_error *err)
{
    char sql[256];
    missing->count++;
    if (!missing->add_columns)
        return KX_SENT;
    snprintf(sql, sizeof sql, "ALTER TABLE %s ADD COLUMN %s %s", table, column, type);
    return kx_sqlite_exec(missing->db, sql, err);
}

/* Whether a query about ?1, ?2 finds something in the file. */
static enum kx_outcome look(struct kx_sqlite_db *db,
                            const char *sql,
                            const char *first,
                            const char *second,
                            bool *ret_found,
                            struct kx_error *err)
{
    sqlite3_stmt *statement = NULL;
    enum kx_outcome outcome = kx_sqlite_prepare(db, sql, &statement, err);
    if (outcome != KX_SENT)
        return outcome;
    sqlite3_bind_text(statement, 1, first, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, second, -1, SQLITE_STATIC);
    int result = sqlite3_step(statement);
    *ret_found = result == SQLITE_ROW;
    outcome = kx_sqlite_fault(db, result, err);
    sqlite3_finalize(statement);
    return outcome;
}

/* Compares the columns of our tables and the names of our indexes. */
static enum kx_outcome compare(struct missing *missing, struct kx_error *err)
{
    static const char ours_sql[] =
        "SELECT t.name, c.name, c.type FROM sqlite_master t, pragma_table_info(t.name) c"
        " WHERE t.type = 'table'"
        " UNION ALL SELECT name, NULL, NULL FROM sqlite_master"
        " WHERE type = 'index' AND sql IS NOT NULL";
    static const char column_sql[] = "SELECT 1 FROM pragma_table_info(?1) WHERE lower(name) = ?2";
    static const char index_sql[] =
        "SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = ?1 AND ?2 IS NULL";
    sqlite3_stmt *ours = NULL;
    enum kx_outcome outcome = KX_SENT;
    missing->count = 0;
    int result = sqlite3_prepare_v2(missing->ours, ours_sql, -1, &ours, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_step(ours);
    for (; outcome == KX_SENT && result == SQLITE_ROW; result = sqlite3_step(ours)) {
        const char *name = (const char *)sqlite3_column_text(ours, 0);
        const char *column = (const char *)sqlite3_column_text(ours, 1);
        const char *type = (const char *)sqlite3_column_text(ours, 2);
        bool found = false;
        outcome =
            look(missing->db, column != NULL ? column_sql : index_sql, name, column, &found, err);
        if (outcome == KX_SENT && !found && column != NULL)
            outcome = add_column(missing, name, column, type, err);
        else if (!found)
            missing->count++;
    }
    sqlite3_finalize(ours);
    if (outcome == KX_SENT && result != SQLITE_DONE) {
        kx_error_set(err, KX_ERR_NOMEM, 0, "%s: no memory to compare tables", missing->db->path);
        return KX_RETRY;
    }
    return outcome;
}

/* --- what is to be done --- */

static enum kx_outcome migrate(struct missing *missing, struct kx_error *err)
{
    struct kx_sqlite_db *db = missing->db;
    char version_sql[64];
    int version = 0;
    /* Tables first: a view may name a column that an adopted table gets only then. */
    enum kx_outcome outcome = kx_sqlite_exec(db, "BEGIN IMMEDIATE", err);
    for (size_t i = 0; outcome == KX_SENT && i < STATEMENTS; i++)
        if (strncmp(statements[i], "CREATE TABLE", 12) == 0)
            outcome = kx_sqlite_exec(db, statements[i], err);
    missing->add_columns = true;
    if (outcome == KX_SENT)
        outcome = compare(missing, err);
    for (size_t i = 0; outcome == KX_SENT && i < STATEMENTS; i++)
        outcome = kx_sqlite_exec(db, statements[i], err);
    if (outcome == KX_SENT)
        outcome = read_version(db, &version, err);
    if (outcome == KX_SENT && version < KX_SQLITE_SCHEMA_VERSION) {
        snprintf(version_sql, sizeof version_sql, "PRAGMA user_version = %d",
                 KX_SQLITE_SCHEMA_VERSION);
        outcome = kx_sqlite_exec(db, version_sql, err);
    }
    if (outcome == KX_SENT)
        outcome = kx_sqlite_exec(db, "COMMIT", err);
    return outcome; /* the caller rolls back */
}

/* A database in memory with our tables and nothing in them. */
static bool open_ours(sqlite3 **ret_ours)
{
    int result = sqlite3_open_v2(":memory:", ret_ours, SQLITE_OPEN_READWRITE, NULL);
    for (size_t i = 0; result == SQLITE_OK && i < STATEMENTS; i++)
        result = sqlite3_exec(*ret_ours, statements[i], NULL, NULL, NULL);
    return result == SQLITE_OK;
}

enum kx_outcome kx_sqlite_schema_apply(struct kx_sqlite_db *db, struct kx_error *err)
{
    struct missing missing = {.db = db};
    int version = 0;
    enum kx_outcome outcome = KX_RETRY;
    if (!open_ours(&missing.ours))
        kx_error_set(err, KX_ERR_NOMEM, 0, "%s: no memory to compare its tables", db->path);
    else
        outcome = read_version(db, &version, err);
    if (outcome == KX_SENT)
        outcome = compare(&missing, err);
    if (outcome == KX_SENT && (version < KX_SQLITE_SCHEMA_VERSION || missing.count > 0))
        outcome = migrate(&missing, err);
    sqlite3_close(missing.ours);
    return outcome;
}
