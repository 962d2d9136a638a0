/*
 * The statements. In an upsert t is the row that is there, EXCLUDED the one that comes; elsewhere s
 * is the row of the temporary table.
 */
#include "sinks/postgres_sql.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SQL_BYTES_MAX = 65536, LOCK_TIMEOUT_MS = 5000, IDLE_TIMEOUT_MS = 60000, AHEAD_S_MAX = 300 };
static const int64_t YEAR_2000_S = 946684800;

#define BIT(column) KX_PC_BIT(column)
#define STAGE_DEVICES "pg_temp.kismet_export_devices"
#define STAGE_EVENTS "pg_temp.kismet_export_events"

static const uint64_t DEVICE_FIELDS = BIT(KX_FIELDS) - BIT(KX_F_MAC_ADDR);
static const uint64_t KEY_FIELDS = BIT(KX_F_MAC_ADDR) | BIT(KX_F_SOURCE);

/* What is being written, and from what. */
struct making {
    const struct kx_postgres_sql_params *params;
    const struct kx_postgres_tables *tables;
    uint64_t written; /* fields that go into our tables */
    uint64_t staged;  /* and those of the temporary one: what decides is among them */
    uint64_t extras;  /* of the temporary one */
    struct kx_buf sql;
};

static const struct kx_postgres_table_state *state_of(const struct making *making,
                                                      enum kx_postgres_table table)
{
    return &making->tables->table[table];
}

static bool has(const struct making *making, enum kx_postgres_table table, int column)
{
    return (state_of(making, table)->columns & BIT(column)) != 0;
}

static void put_table(struct making *making, enum kx_postgres_table table)
{
    kx_buf_printf(&making->sql, "%s%s", making->tables->prefix, kx_postgres_table(table)->name);
}

/* "before.name, before.name ..." of each field in the set. */
static void put_fields(struct kx_buf *sql, uint64_t fields, const char *before, const char *between)
{
    for (uint64_t rest = fields; rest != 0; rest &= rest - 1) {
        kx_buf_printf(sql, "%s%s", before, kx_fields[__builtin_ctzll(rest)].name);
        if ((rest & (rest - 1)) != 0)
            kx_buf_text(sql, between);
    }
}

/* The extra fields that a table has a column for. */
static uint64_t extras_of(const struct making *making, enum kx_postgres_table table)
{
    uint64_t wanted = making->params->extras.count == 64
                          ? UINT64_MAX
                          : (1ull << making->params->extras.count) - 1;
    return state_of(making, table)->extras & wanted;
}

/* ", before"name"" of each of them. */
static void put_extras(struct making *making, enum kx_postgres_table table, const char *before)
{
    for (uint64_t rest = extras_of(making, table); rest != 0; rest &= rest - 1) {
        kx_buf_printf(&making->sql, ", %s", before);
        kx_postgres_put_identifier(&making->sql,
                                   making->params->extras.items[__builtin_ctzll(rest)].name);
    }
}

/* --- the temporary tables --- */

static const char *stage_type(enum kx_type type)
{
    switch (type) {
    case KX_TYPE_TIME:
    case KX_TYPE_I64:
        return "bigint";
    case KX_TYPE_I32:
        return "integer";
    case KX_TYPE_F64:
        return "double precision";
    case KX_TYPE_BOOL:
        return "boolean";
    case KX_TYPE_TEXT:
    case KX_TYPE_JSON:
        break;
    }
    return "text";
}

/*
 * The table of devices has no TOAST table behind it unless a record needs one (`wide`): emptying
 * that and building its index anew, at each commit, costs the server as much as eighty rows. Its
 * columns come by ALTER, because CREATE TABLE knows no STORAGE before PostgreSQL 16. That of events
 * keeps its rows beyond the commit for the same reason, and is emptied where there are some.
 */
static void put_stages(struct making *making)
{
    struct kx_buf *sql = &making->sql;
    bool pooled = making->params->pooled;
    kx_buf_printf(sql,
                  "CREATE TEMP TABLE kismet_export_devices (n integer, heard_at timestamptz, "
                  "received_at timestamptz) ON COMMIT %s; ALTER TABLE " STAGE_DEVICES,
                  pooled ? "DROP" : "DELETE ROWS");
    for (uint64_t rest = making->staged; rest != 0; rest &= rest - 1) {
        const struct kx_field_info *field = &kx_fields[__builtin_ctzll(rest)];
        const char *type = stage_type(field->type);
        kx_buf_printf(sql, "%s ADD COLUMN %s %s", rest == making->staged ? "" : ",", field->name,
                      type);
        if (!making->params->wide && strcmp(type, "text") == 0)
            kx_buf_printf(sql, ", ALTER COLUMN %s SET STORAGE PLAIN", field->name);
    }
    /* Users choose the names of extra fields: here they have none of ours. */
    for (uint64_t rest = making->extras; rest != 0; rest &= rest - 1) {
        int i = __builtin_ctzll(rest);
        enum kx_postgres_type type = making->params->extras.items[i].type;
        kx_buf_printf(sql, ", ADD COLUMN extra_%d %s", i, kx_postgres_type_name(type));
        if (!making->params->wide && type == KX_PT_TEXT)
            kx_buf_printf(sql, ", ALTER COLUMN extra_%d SET STORAGE PLAIN", i);
    }
    kx_buf_printf(sql,
                  "; CREATE TEMP TABLE kismet_export_events (event_uid text, event_type text, "
                  "event_time timestamptz, source text, device_key text, device_mac text, "
                  "event_data text) ON COMMIT %s; ",
                  pooled ? "DROP" : "PRESERVE ROWS");
}

/* The settings of a session, or of a transaction when there is no session. */
static void put_settings(struct making *making)
{
    static const char *const words[] = {
        [KX_SYNC_OFF] = "off",
        [KX_SYNC_LOCAL] = "local",
        [KX_SYNC_REMOTE_WRITE] = "remote_write",
        [KX_SYNC_ON] = "on",
        [KX_SYNC_REMOTE_APPLY] = "remote_apply",
    };
    const char *set = making->params->pooled ? "SET LOCAL" : "SET";
    enum kx_sync_commit sync = making->params->synchronous_commit;
    /* A transaction of ours that hangs, because this machine does, shall not hold its locks. */
    kx_buf_printf(&making->sql,
                  "%s lock_timeout = %d; %s idle_in_transaction_session_timeout = %d; ", set,
                  LOCK_TIMEOUT_MS, set, IDLE_TIMEOUT_MS);
    /* A batch is sorted in memory; the default of 4 MB holds fewer than 10,000 rows. */
    kx_buf_printf(&making->sql, "%s work_mem = '32MB'; ", set);
    if (sync != KX_SYNC_SERVER)
        kx_buf_printf(&making->sql, "%s synchronous_commit = %s; ", set, words[sync]);
}

/* --- which row wins --- */

/* When the row was last heard, NULL when it does not say. The naive last_updated is the server's
 * local time and repeats an hour each autumn, so it counts only for rows that have nothing else. */
static void put_heard(struct making *making, enum kx_postgres_table table, const char *row)
{
    bool updated_at = has(making, table, KX_PC_UPDATED_AT);
    bool last_updated = has(making, table, KX_PC_LAST_UPDATED);
    struct kx_buf *sql = &making->sql;
    if (updated_at && last_updated)
        kx_buf_printf(sql, "coalesce(%s.updated_at, %s.last_updated::timestamptz)", row, row);
    else if (updated_at)
        kx_buf_printf(sql, "%s.updated_at", row);
    else if (last_updated)
        kx_buf_printf(sql, "%s.last_updated::timestamptz", row);
    else
        kx_buf_text(sql, "NULL::timestamptz");
}

/* The same of the one that comes. */
static void put_heard_new(struct making *making, enum kx_postgres_table table, const char *row)
{
    if (strcmp(row, "s") == 0)
        kx_buf_text(&making->sql, "s.heard_at");
    else if (has(making, table, KX_PC_UPDATED_AT))
        kx_buf_printf(&making->sql, "%s.updated_at", row);
    else if (has(making, table, KX_PC_LAST_UPDATED))
        kx_buf_printf(&making->sql, "%s.last_updated::timestamptz", row);
    else
        kx_buf_text(&making->sql, "NULL::timestamptz");
}

/* When the record came. An upsert knows the columns of its table only, and none has it. */
static void put_received(struct making *making, bool source, const char *row)
{
    if (strcmp(row, "s") == 0) {
        kx_buf_text(&making->sql, "s.received_at");
        return;
    }
    kx_buf_printf(
        &making->sql,
        "(SELECT max(r.received_at) FROM " STAGE_DEVICES " r WHERE r.mac_addr = %s.mac_addr", row);
    if (source)
        kx_buf_printf(&making->sql, " AND r.source = %s.source", row);
    kx_buf_byte(&making->sql, ')');
}

/*
 * When a row gives way: it knows no last_seen, the record's is as new, or the row's is a wrong
 * clock's. Or when the device began a new life at the same source (Kismet restarted: first_seen
 * moved or the packets were counted anew) while the sensor's clock went back. Or when only that
 * clock went back: the record was heard later, by our own reckoning. An older state of the same
 * life looks the same but for one thing: it came before the row was last heard.
 *
 * A column that is not written proves nothing. Without last_seen the last hearing decides.
 */
static void
put_newer(struct making *making, enum kx_postgres_table table, uint64_t columns, const char *row)
{
    struct kx_buf *sql = &making->sql;
    if ((columns & BIT(KX_F_LAST_SEEN)) == 0) {
        kx_buf_byte(sql, '(');
        put_heard(making, table, "t");
        kx_buf_text(sql, " IS NULL OR ");
        put_heard_new(making, table, row);
        kx_buf_text(sql, " >= ");
        put_heard(making, table, "t");
        kx_buf_byte(sql, ')');
        return;
    }
    kx_buf_printf(sql,
                  "(t.last_seen IS NULL OR %s.last_seen >= t.last_seen"
                  " OR t.last_seen > extract(epoch FROM now()) + %d",
                  row, AHEAD_S_MAX);
    if ((columns & BIT(KX_F_SOURCE)) == 0) { /* whose life it is is not known */
        kx_buf_byte(sql, ')');
        return;
    }
    kx_buf_printf(sql, " OR (t.source IS NOT DISTINCT FROM %s.source AND ", row);
    put_received(making, (columns & BIT(KX_F_SOURCE)) != 0, row);
    kx_buf_text(sql, " >= coalesce(");
    put_heard(making, table, "t");
    kx_buf_text(sql, ", '-infinity') AND (");
    if ((columns & BIT(KX_F_FIRST_SEEN)) != 0)
        kx_buf_printf(sql, "t.first_seen IS DISTINCT FROM %s.first_seen OR ", row);
    if ((columns & BIT(KX_F_TOTAL_PACKETS)) != 0)
        kx_buf_printf(sql, "%s.total_packets < t.total_packets OR ", row);
    put_heard_new(making, table, row);
    kx_buf_text(sql, " > ");
    put_heard(making, table, "t");
    kx_buf_text(sql, ")))");
}

/* The smallest first_seen; one before 2000 is none (the record's is NULL then). */
static void put_first_seen(struct kx_buf *sql)
{
    kx_buf_printf(sql,
                  "CASE WHEN t.first_seen >= %" PRId64
                  " THEN least(t.first_seen, EXCLUDED.first_seen) ELSE EXCLUDED.first_seen END",
                  YEAR_2000_S);
}

/* Whether anything changed, beginning with what nearly always did. heard_at belongs to last_seen;
 * beside it, it counts from a second on: it is corrected when the server's clock becomes known. */
static void put_changed(struct making *making, enum kx_postgres_table table, uint64_t columns)
{
    struct kx_buf *sql = &making->sql;
    uint64_t values = columns & ~BIT(KX_F_LAST_SEEN) & ~BIT(KX_F_FIRST_SEEN);
    kx_buf_byte(sql, '(');
    if ((columns & BIT(KX_F_LAST_SEEN)) != 0)
        kx_buf_text(sql, "t.last_seen IS DISTINCT FROM EXCLUDED.last_seen OR ");
    if ((columns & BIT(KX_F_FIRST_SEEN)) != 0) {
        kx_buf_text(sql, "t.first_seen IS DISTINCT FROM ");
        put_first_seen(sql);
        kx_buf_text(sql, " OR ");
    }
    if (values != 0 || extras_of(making, table) != 0) {
        kx_buf_text(sql, "(true"); /* equal: so that there is one at least */
        put_fields(sql, values, ", t.", "");
        put_extras(making, table, "t.");
        kx_buf_text(sql, ") IS DISTINCT FROM (true");
        put_fields(sql, values, ", EXCLUDED.", "");
        put_extras(making, table, "EXCLUDED.");
        kx_buf_text(sql, ") OR ");
    }
    put_heard_new(making, table, "EXCLUDED");
    kx_buf_text(sql, " > ");
    put_heard(making, table, "t");
    kx_buf_text(sql, (columns & BIT(KX_F_LAST_SEEN)) != 0 ? " + interval '1 second')" : ")");
}

/* --- upserts --- */

static void put_heard_columns(struct making *making, enum kx_postgres_table table)
{
    struct kx_buf *sql = &making->sql;
    bool updated_at = has(making, table, KX_PC_UPDATED_AT);
    if (has(making, table, KX_PC_LAST_UPDATED)) {
        kx_buf_text(sql, ", last_updated = CASE WHEN ");
        put_heard(making, table, "t");
        kx_buf_text(sql, " > ");
        put_heard_new(making, table, "EXCLUDED");
        kx_buf_text(sql, " THEN t.last_updated ELSE EXCLUDED.last_updated END");
    }
    if (updated_at) {
        kx_buf_text(sql, ", updated_at = greatest(");
        put_heard(making, table, "t");
        kx_buf_text(sql, ", EXCLUDED.updated_at)");
    }
}

static void put_select(struct making *making, enum kx_postgres_table table, uint64_t columns)
{
    struct kx_buf *sql = &making->sql;
    bool by_source = table == KX_PG_DEVICE_SOURCES;
    const char *key =
        by_source ? "source COLLATE \"C\", mac_addr COLLATE \"C\"" : "mac_addr COLLATE \"C\"";
    kx_buf_printf(sql, " SELECT DISTINCT ON (%s) ", key);
    for (uint64_t rest = columns; rest != 0; rest &= rest - 1) {
        enum kx_field field = (enum kx_field)__builtin_ctzll(rest);
        kx_buf_printf(sql, "%s%s%s", rest == columns ? "" : ", ", kx_fields[field].name,
                      kx_fields[field].type == KX_TYPE_JSON ? "::jsonb" : "");
    }
    for (uint64_t rest = extras_of(making, table); rest != 0; rest &= rest - 1)
        kx_buf_printf(sql, ", extra_%d", __builtin_ctzll(rest));
    if (has(making, table, KX_PC_LAST_UPDATED))
        kx_buf_text(sql, ", heard_at");
    if (has(making, table, KX_PC_UPDATED_AT))
        kx_buf_text(sql, ", heard_at");
    if (has(making, table, KX_PC_CREATED_AT))
        kx_buf_text(sql, ", now()");
    kx_buf_printf(sql, " FROM " STAGE_DEVICES " ORDER BY %s", key);
    kx_buf_text(sql, ", last_seen DESC NULLS LAST, heard_at DESC, n DESC");
}

static void put_upsert(struct making *making, enum kx_postgres_table table, uint64_t columns)
{
    struct kx_buf *sql = &making->sql;
    uint64_t keys = table == KX_PG_DEVICES ? BIT(KX_F_MAC_ADDR) : KEY_FIELDS;
    uint64_t values = columns & ~keys;
    kx_buf_text(sql, "INSERT INTO ");
    put_table(making, table);
    kx_buf_text(sql, " AS t (");
    put_fields(sql, columns, "", ", ");
    put_extras(making, table, "");
    if (has(making, table, KX_PC_LAST_UPDATED))
        kx_buf_text(sql, ", last_updated");
    if (has(making, table, KX_PC_UPDATED_AT))
        kx_buf_text(sql, ", updated_at");
    if (has(making, table, KX_PC_CREATED_AT))
        kx_buf_text(sql, ", created_at");
    kx_buf_byte(sql, ')');
    put_select(making, table, columns);
    /* first: a key's own value, which says nothing and begins the list */
    kx_buf_printf(sql, " ON CONFLICT (%s) DO UPDATE SET mac_addr = t.mac_addr",
                  kx_postgres_table(table)->key);
    for (uint64_t rest = values & ~BIT(KX_F_FIRST_SEEN); rest != 0; rest &= rest - 1) {
        const char *name = kx_fields[__builtin_ctzll(rest)].name;
        kx_buf_printf(sql, ", %s = EXCLUDED.%s", name, name);
    }
    for (uint64_t rest = extras_of(making, table); rest != 0; rest &= rest - 1) {
        const char *name = making->params->extras.items[__builtin_ctzll(rest)].name;
        kx_buf_text(sql, ", ");
        kx_postgres_put_identifier(sql, name);
        kx_buf_text(sql, " = EXCLUDED.");
        kx_postgres_put_identifier(sql, name);
    }
    if ((columns & BIT(KX_F_FIRST_SEEN)) != 0) {
        kx_buf_text(sql, ", first_seen = ");
        put_first_seen(sql);
    }
    put_heard_columns(making, table);
    kx_buf_text(sql, " WHERE ");
    put_newer(making, table, columns, "EXCLUDED");
    kx_buf_text(sql, " AND ");
    put_changed(making, table, values);
}

static void put_stale(struct making *making, uint64_t columns)
{
    kx_buf_text(&making->sql, "SELECT count(*) FROM " STAGE_DEVICES " s JOIN ");
    put_table(making, KX_PG_DEVICES);
    kx_buf_text(&making->sql, " t ON t.mac_addr = s.mac_addr WHERE NOT coalesce(");
    put_newer(making, KX_PG_DEVICES, columns, "s");
    kx_buf_text(&making->sql, ", false)");
}

/* A state that comes too late may still know a smaller first_seen: another sensor's. */
static void put_earlier(struct making *making)
{
    struct kx_buf *sql = &making->sql;
    kx_buf_text(sql, "UPDATE ");
    put_table(making, KX_PG_DEVICES);
    kx_buf_printf(sql,
                  " t SET first_seen = s.first_seen FROM (SELECT mac_addr, min(first_seen) AS"
                  " first_seen FROM " STAGE_DEVICES
                  " WHERE first_seen IS NOT NULL GROUP BY mac_addr) s"
                  " WHERE t.mac_addr = s.mac_addr AND (t.first_seen IS NULL OR"
                  " t.first_seen < %" PRId64 " OR s.first_seen < t.first_seen)",
                  YEAR_2000_S);
}

/* --- history, events, sources --- */

static void put_history(struct making *making)
{
    struct kx_buf *sql = &making->sql;
    uint64_t columns = state_of(making, KX_PG_HISTORY)->columns & making->written;
    uint64_t us = making->params->history->min_interval_ns / 1000;
    kx_buf_text(sql, "INSERT INTO ");
    put_table(making, KX_PG_HISTORY);
    kx_buf_text(sql, " (time, ");
    put_fields(sql, columns, "", ", ");
    kx_buf_text(sql, ") SELECT to_timestamp(s.last_seen), ");
    put_fields(sql, columns, "s.", ", ");
    /* min_interval: the table itself knows when the last row was, after a restart too. LATERAL
     * with a LIMIT is looked up in the index for each row, whatever the planner believes of the
     * table's size. */
    kx_buf_printf(
        sql, " FROM (SELECT DISTINCT ON (source COLLATE \"C\", mac_addr COLLATE \"C\") *"
             " FROM " STAGE_DEVICES " WHERE last_seen BETWEEN 0 AND 253402300799"
             " ORDER BY source COLLATE \"C\", mac_addr COLLATE \"C\", last_seen DESC, n DESC) s"
             " LEFT JOIN LATERAL (SELECT true AS there FROM ");
    put_table(making, KX_PG_HISTORY);
    kx_buf_printf(sql,
                  " h WHERE h.source = s.source AND h.mac_addr = s.mac_addr"
                  " AND h.time > to_timestamp(s.last_seen) - interval '%" PRIu64 " microseconds'"
                  " AND h.time < to_timestamp(s.last_seen) + interval '%" PRIu64 " microseconds'"
                  " LIMIT 1) h ON true WHERE h.there IS NULL"
                  " ORDER BY s.source COLLATE \"C\", s.mac_addr COLLATE \"C\""
                  " ON CONFLICT DO NOTHING",
                  us, us);
}

static void put_events(struct making *making)
{
    static const struct {
        int column;
        const char *name;
    } columns[] = {
        {KX_PC_EVENT_UID, "event_uid"},   {KX_PC_EVENT_TYPE, "event_type"},
        {KX_PC_EVENT_TIME, "event_time"}, {KX_F_SOURCE, "source"},
        {KX_F_DEVICE_KEY, "device_key"},  {KX_PC_DEVICE_MAC, "device_mac"},
        {KX_PC_EVENT_DATA, "event_data"}, {KX_PC_CREATED_AT, "created_at"},
    };
    struct kx_buf *sql = &making->sql;
    const struct kx_postgres_table_state *state = state_of(making, KX_PG_EVENTS);
    bool uid = has(making, KX_PG_EVENTS, KX_PC_EVENT_UID);
    const char *between = "";
    kx_buf_text(sql, "INSERT INTO ");
    put_table(making, KX_PG_EVENTS);
    kx_buf_text(sql, " (");
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        if (has(making, KX_PG_EVENTS, columns[i].column)) {
            kx_buf_printf(sql, "%s%s", between, columns[i].name);
            between = ", ";
        }
    kx_buf_text(sql, ") SELECT DISTINCT ON (event_uid COLLATE \"C\") ");
    between = "";
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        if (!has(making, KX_PG_EVENTS, columns[i].column))
            continue;
        bool created = columns[i].column == KX_PC_CREATED_AT;
        kx_buf_printf(sql, "%s%s", between, created ? "now()" : columns[i].name);
        if (columns[i].column == KX_PC_EVENT_DATA && state->types[KX_PC_EVENT_DATA] != KX_PT_TEXT)
            kx_buf_text(sql, state->types[KX_PC_EVENT_DATA] == KX_PT_JSON ? "::json" : "::jsonb");
        between = ", ";
    }
    kx_buf_text(sql, " FROM " STAGE_EVENTS " ORDER BY event_uid COLLATE \"C\"");
    if (uid && state->has_key)
        kx_buf_text(sql, " ON CONFLICT (event_uid) DO NOTHING");
}

static void put_sources(struct making *making)
{
    static const struct {
        int column;
        const char *name;
    } columns[] = {
        {KX_F_SERVER_UUID, "server_uuid"},    {KX_PC_STATE, "state"},
        {KX_PC_LAST_CONTACT, "last_contact"}, {KX_PC_DATASOURCES_OK, "datasources_ok"},
        {KX_PC_CLOCK_SKEW_S, "clock_skew_s"}, {KX_PC_VERSION, "version"},
        {KX_PC_UPDATED_AT, "updated_at"},
    };
    enum { COUNT = sizeof columns / sizeof columns[0] };
    struct kx_buf *sql = &making->sql;
    kx_buf_text(sql, "INSERT INTO ");
    put_table(making, KX_PG_SOURCES);
    kx_buf_text(sql, " (source");
    for (size_t i = 0; i < COUNT; i++)
        if (has(making, KX_PG_SOURCES, columns[i].column))
            kx_buf_printf(sql, ", %s", columns[i].name);
    kx_buf_text(sql, ") SELECT source");
    for (size_t i = 0; i < COUNT; i++)
        if (has(making, KX_PG_SOURCES, columns[i].column))
            kx_buf_printf(sql, ", %s",
                          columns[i].column == KX_PC_UPDATED_AT ? "now()" : columns[i].name);
    kx_buf_text(sql, " FROM json_to_recordset($1::json) AS s(source text, server_uuid text,"
                     " state text, last_contact timestamptz, datasources_ok integer,"
                     " clock_skew_s double precision, version text) ORDER BY source COLLATE \"C\""
                     " ON CONFLICT (source) DO UPDATE SET source = EXCLUDED.source");
    for (size_t i = 0; i < COUNT; i++)
        if (has(making, KX_PG_SOURCES, columns[i].column))
            kx_buf_printf(sql, ", %s = EXCLUDED.%s", columns[i].name, columns[i].name);
}

/* --- all of them --- */

/* What was put so far, as a text of its own; NULL when there was no memory. */
static char *take(struct making *making)
{
    char *text = NULL;
    kx_buf_byte(&making->sql, '\0');
    if (!making->sql.failed)
        text = strdup(making->sql.data);
    kx_buf_clear(&making->sql);
    return text;
}

/* A statement that a session keeps planned is called by its name. */
static char *take_prepared(struct making *making, struct kx_buf *session, const char *name)
{
    char *text = take(making);
    if (text == NULL || making->params->pooled)
        return text;
    kx_buf_printf(session, "PREPARE kismet_export_%s AS ", name);
    kx_buf_text(session, text);
    kx_buf_text(session, "; ");
    free(text);
    kx_buf_printf(&making->sql, "EXECUTE kismet_export_%s", name);
    return take(making);
}

static bool
make_devices(struct making *making, struct kx_postgres_sql *made, struct kx_buf *session)
{
    uint64_t columns = state_of(making, KX_PG_DEVICES)->columns & making->written;
    put_upsert(making, KX_PG_DEVICES, columns);
    made->devices = take_prepared(making, session, "devices");
    put_stale(making, columns);
    made->stale = take(making);
    if ((columns & BIT(KX_F_FIRST_SEEN)) == 0)
        return made->devices != NULL && made->stale != NULL;
    put_earlier(making);
    made->first_seen = take(making);
    return made->devices != NULL && made->stale != NULL && made->first_seen != NULL;
}

static bool make_others(struct making *making, struct kx_postgres_sql *made, struct kx_buf *session)
{
    bool good = true;
    if (making->params->per_source && state_of(making, KX_PG_DEVICE_SOURCES)->exists) {
        uint64_t columns = state_of(making, KX_PG_DEVICE_SOURCES)->columns & making->written;
        put_upsert(making, KX_PG_DEVICE_SOURCES, columns);
        made->device_sources = take_prepared(making, session, "device_sources");
        good = made->device_sources != NULL;
    }
    if (making->params->history->on && state_of(making, KX_PG_HISTORY)->exists) {
        put_history(making);
        made->history = take(making);
        good = good && made->history != NULL;
    }
    if (state_of(making, KX_PG_EVENTS)->exists) {
        put_events(making);
        made->events = take_prepared(making, session, "events");
        good = good && made->events != NULL;
    }
    if (state_of(making, KX_PG_SOURCES)->exists) {
        put_sources(making);
        made->sources = take(making);
        good = good && made->sources != NULL;
    }
    return good;
}

static bool make_copies(struct making *making, struct kx_postgres_sql *made)
{
    if (making->params->pooled) {
        put_settings(making);
        put_stages(making);
    }
    made->begin = take(making);
    kx_buf_text(&making->sql, "COPY " STAGE_DEVICES " FROM STDIN (FORMAT binary)");
    made->copy_devices = take(making);
    if (!making->params->pooled)
        kx_buf_text(&making->sql, "TRUNCATE " STAGE_EVENTS "; ");
    kx_buf_text(&making->sql, "COPY " STAGE_EVENTS " FROM STDIN (FORMAT binary)");
    made->copy_events = take(making);
    return made->begin != NULL && made->copy_devices != NULL && made->copy_events != NULL;
}

enum kx_code kx_postgres_sql_make(struct kx_postgres_sql *ret_sql,
                                  const struct kx_postgres_sql_params *params,
                                  const struct kx_postgres_tables *tables,
                                  struct kx_error *err)
{
    struct kx_postgres_sql made = {.staged = 0};
    struct making making = {.params = params, .tables = tables};
    struct kx_buf session;
    kx_buf_init(&making.sql, SQL_BYTES_MAX);
    kx_buf_init(&session, 4 * SQL_BYTES_MAX);
    making.written = (params->fields | KEY_FIELDS) & DEVICE_FIELDS;
    /* A column that no table has is not sent. */
    making.staged = making.written & (KEY_FIELDS | tables->table[KX_PG_DEVICES].columns |
                                      tables->table[KX_PG_DEVICE_SOURCES].columns |
                                      tables->table[KX_PG_HISTORY].columns);
    making.staged |= BIT(KX_F_LAST_SEEN); /* the order, and the time of history */
    making.extras = extras_of(&making, KX_PG_DEVICES) | extras_of(&making, KX_PG_DEVICE_SOURCES);
    made.staged = making.staged;
    made.extras = making.extras;
    if (!params->pooled) {
        kx_buf_text(&making.sql, "DEALLOCATE ALL; DROP TABLE IF EXISTS " STAGE_DEVICES
                                 ", " STAGE_EVENTS "; "); /* of one that was not wide */
        put_settings(&making);
        put_stages(&making);
        kx_buf_bytes(&session, making.sql.data, making.sql.length);
        kx_buf_clear(&making.sql);
    }
    bool good = make_devices(&making, &made, &session) && make_others(&making, &made, &session) &&
                make_copies(&making, &made);
    kx_buf_byte(&session, '\0');
    if (good && !params->pooled && !session.failed)
        made.session = strdup(session.data);
    good = good && (params->pooled || made.session != NULL);
    kx_buf_fini(&making.sql);
    kx_buf_fini(&session);
    if (!good) {
        kx_postgres_sql_fini(&made);
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the statements");
    }
    *ret_sql = made;
    return KX_OK;
}

void kx_postgres_sql_fini(struct kx_postgres_sql *sql)
{
    char **const texts[] = {&sql->session,     &sql->begin,   &sql->copy_devices,
                            &sql->copy_events, &sql->devices, &sql->device_sources,
                            &sql->history,     &sql->events,  &sql->stale,
                            &sql->first_seen,  &sql->sources};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        free(*texts[i]);
        *texts[i] = NULL;
    }
}
