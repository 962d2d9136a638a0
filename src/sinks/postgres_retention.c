/*
 * The deletes. Each finds its rows first, by their time, and locks them without waiting, so that
 * two programs and a writer never wait for each other in a circle.
 */
#include "sinks/postgres_retention.h"

#include "base/clock.h"
#include <inttypes.h>
#include <stdlib.h>

enum { SQL_BYTES_MAX = 4096 };

/* 0 = for ever. */
static uint64_t age_of(const struct kx_postgres_retention *retention, enum kx_postgres_table table)
{
    switch (table) {
    case KX_PG_DEVICES:
    case KX_PG_DEVICE_SOURCES:
        return retention->config->devices_ns;
    case KX_PG_HISTORY:
        if (retention->config->history_ns != 0)
            return retention->config->history_ns;
        return retention->history->on ? retention->history->retention_ns : 0;
    case KX_PG_EVENTS:
        return retention->config->events_ns;
    default:
        return 0;
    }
}

uint32_t kx_postgres_retention_tables(const struct kx_postgres_retention *retention)
{
    uint32_t tables = 0;
    for (enum kx_postgres_table table = 0; table < KX_PG_TABLES; table++)
        if (age_of(retention, table) != 0)
            tables |= 1u << table;
    return tables;
}

bool kx_postgres_retention_due(const struct kx_postgres_retention *retention, uint64_t now_ns)
{
    return kx_postgres_retention_tables(retention) != 0 && now_ns >= retention->due_ns;
}

/* The column that says how old a row is, the first of those that are there; NULL = none is. */
static const char *time_column(enum kx_postgres_table table,
                               const struct kx_postgres_table_state *state)
{
    static const struct {
        unsigned column;
        const char *name;
    } columns[] = {{KX_PC_LAST_UPDATED, "last_updated"},
                   {KX_PC_TIME, "time"},
                   {KX_PC_EVENT_TIME, "event_time"},
                   {KX_PC_UPDATED_AT, "updated_at"},
                   {KX_PC_CREATED_AT, "created_at"}};
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        bool of_events = table == KX_PG_EVENTS || columns[i].column != KX_PC_CREATED_AT;
        if (of_events && (state->columns & KX_PC_BIT(columns[i].column)) != 0)
            return columns[i].name;
    }
    return NULL;
}

/* What tells a row from every other; NULL = nothing. */
static const char *row_key(enum kx_postgres_table table,
                           const struct kx_postgres_table_state *state)
{
    if (table == KX_PG_EVENTS && (state->columns & KX_PC_BIT(KX_PC_ID)) != 0)
        return "id";
    return state->has_key ? kx_postgres_table(table)->key : NULL;
}

static void put_delete(struct kx_buf *sql,
                       const struct kx_postgres_tables *tables,
                       enum kx_postgres_table table,
                       uint64_t age_ns)
{
    const struct kx_postgres_table_state *state = &tables->table[table];
    const char *name = kx_postgres_table(table)->name;
    const char *key = row_key(table, state);
    kx_buf_printf(sql, "DELETE FROM %s%s WHERE (%s) IN (SELECT %s FROM %s%s", tables->prefix, name,
                  key, key, tables->prefix, name);
    kx_buf_printf(sql,
                  " WHERE %s < now() - INTERVAL '%" PRIu64 " seconds'"
                  " LIMIT %d FOR UPDATE SKIP LOCKED)",
                  time_column(table, state), age_ns / (uint64_t)KX_NS_PER_S,
                  KX_POSTGRES_EXPIRE_ROWS);
}

static void put_drop(struct kx_buf *sql, const struct kx_postgres_tables *tables, uint64_t age_ns)
{
    kx_buf_text(sql, "SELECT ");
    kx_postgres_put_identifier(sql, tables->timescale);
    kx_buf_text(sql, ".drop_chunks(");
    kx_postgres_put_literal(sql, tables->prefix, "kismet_device_history");
    kx_buf_printf(sql, ", older_than => now() - INTERVAL '%" PRIu64 " seconds')",
                  age_ns / (uint64_t)KX_NS_PER_S);
}

/* Whether rows of this table can be deleted at all. What cannot, the schema's warning has told. */
static bool can_delete(const struct kx_postgres_tables *tables, enum kx_postgres_table table)
{
    const struct kx_postgres_table_state *state = &tables->table[table];
    return state->exists && state->may_delete && time_column(table, state) != NULL &&
           row_key(table, state) != NULL;
}

static enum kx_outcome run(struct kx_postgres_db *db,
                           struct kx_buf *sql,
                           bool drops,
                           uint64_t *ret_rows,
                           struct kx_error *err)
{
    enum { STATEMENTS = 5, DELETE = 3 };
    PGresult *results[STATEMENTS];
    enum kx_outcome outcome = kx_postgres_results(db, sql->data, results, STATEMENTS, err);
    if (outcome != KX_SENT) {
        kx_postgres_rollback(db);
        return outcome;
    }
    *ret_rows = drops ? (uint64_t)PQntuples(results[DELETE])
                      : (uint64_t)strtoull(PQcmdTuples(results[DELETE]), NULL, 10);
    for (size_t i = 0; i < STATEMENTS; i++)
        PQclear(results[i]);
    return KX_SENT;
}

enum kx_outcome kx_postgres_retention_step(struct kx_postgres_retention *retention,
                                           struct kx_postgres_db *db,
                                           const struct kx_postgres_tables *tables,
                                           uint64_t now_ns,
                                           uint64_t *ret_rows,
                                           struct kx_error *err)
{
    struct kx_buf sql;
    enum kx_outcome outcome = KX_SENT;
    enum kx_postgres_table table = retention->next;
    *ret_rows = 0;
    while (table < KX_PG_TABLES && (age_of(retention, table) == 0 || !can_delete(tables, table)))
        table++;
    if (table < KX_PG_TABLES) {
        const struct kx_postgres_table_state *state = &tables->table[table];
        bool drops = state->hypertable && state->owned;
        kx_buf_init(&sql, SQL_BYTES_MAX);
        kx_buf_printf(&sql,
                      "BEGIN; SET LOCAL lock_timeout = '3s'; SET LOCAL statement_timeout = %d; ",
                      kx_postgres_left_ms(db));
        if (drops)
            put_drop(&sql, tables, age_of(retention, table));
        else
            put_delete(&sql, tables, table, age_of(retention, table));
        kx_buf_bytes(&sql, "; COMMIT", sizeof "; COMMIT");
        if (sql.failed) {
            kx_error_set(err, KX_ERR_NOMEM, 0, "%s: no memory for a statement", db->name);
            outcome = KX_RETRY;
        } else {
            outcome = run(db, &sql, drops, ret_rows, err);
        }
        kx_buf_fini(&sql);
        bool more = outcome == KX_SENT && !drops && *ret_rows == KX_POSTGRES_EXPIRE_ROWS;
        table += more ? 0 : 1;
    }
    bool round_over = table >= KX_PG_TABLES;
    retention->next = round_over ? 0 : table;
    bool wait = round_over || outcome != KX_SENT;
    retention->due_ns = wait ? now_ns + KX_POSTGRES_EXPIRE_EVERY_S * (uint64_t)KX_NS_PER_S : now_ns;
    return outcome;
}
