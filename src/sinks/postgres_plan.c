/*
 * The SQL. A table that is not there is made whole; one that is there gets the columns it lacks,
 * and nothing else of it is touched.
 */
#include "sinks/postgres_plan.h"

#include "base/error.h"
#include <string.h>

/* Columns whose presence depends on nothing but the table. */
static bool is_device_table(enum kx_postgres_table table)
{
    return table == KX_PG_DEVICES || table == KX_PG_DEVICE_SOURCES;
}

bool kx_postgres_table_needed(enum kx_postgres_table table,
                              const struct kx_postgres_schema_params *params)
{
    switch (table) {
    case KX_PG_DEVICES:
        return true;
    case KX_PG_DEVICE_SOURCES:
        return params->per_source;
    case KX_PG_HISTORY:
        return params->history;
    case KX_PG_EVENTS:
        return params->events;
    default:
        return false;
    }
}

static bool may_create(const struct kx_postgres_catalog *catalog,
                       const struct kx_postgres_schema_params *params)
{
    return params->as_owner || catalog->may_create;
}

static bool may_alter(const struct kx_postgres_catalog *catalog,
                      const struct kx_postgres_schema_params *params,
                      enum kx_postgres_table table)
{
    return params->as_owner || catalog->tables[table].owned;
}

static void
put_name(struct kx_buf *sql, const struct kx_postgres_catalog *catalog, const char *name)
{
    kx_postgres_put_identifier(sql, catalog->schema);
    kx_buf_byte(sql, '.');
    kx_buf_text(sql, name);
}

/* The same inside a literal. */
static void
put_literal_name(struct kx_buf *sql, const struct kx_postgres_catalog *catalog, const char *name)
{
    char prefix[KX_POSTGRES_PREFIX_MAX];
    kx_postgres_prefix(catalog, prefix);
    kx_postgres_put_literal(sql, prefix, name);
}

/* --- tables --- */

static void put_new_table(struct kx_buf *sql,
                          const struct kx_postgres_catalog *catalog,
                          const struct kx_postgres_schema_params *params,
                          enum kx_postgres_table table)
{
    const struct kx_postgres_table_info *info = kx_postgres_table(table);
    kx_buf_text(sql, "CREATE TABLE IF NOT EXISTS ");
    put_name(sql, catalog, info->name);
    kx_buf_text(sql, " (");
    for (size_t i = 0; i < info->count; i++)
        kx_buf_printf(sql, "%s\n    %s %s", i == 0 ? "" : ",", info->columns[i].name,
                      info->columns[i].declared);
    for (size_t i = 0; is_device_table(table) && i < params->extras.count; i++) {
        kx_buf_text(sql, ",\n    ");
        kx_postgres_put_identifier(sql, params->extras.items[i].name);
        kx_buf_printf(sql, " %s", kx_postgres_type_name(params->extras.items[i].type));
    }
    if (info->tail[0] != '\0')
        kx_buf_printf(sql, ",\n    %s", info->tail);
    kx_buf_printf(sql, "\n)%s;\n", info->with);
}

static void put_new_column(struct kx_buf *sql,
                           const struct kx_postgres_catalog *catalog,
                           enum kx_postgres_table table,
                           bool *begun)
{
    if (!*begun) {
        kx_buf_text(sql, "ALTER TABLE ");
        put_name(sql, catalog, kx_postgres_table(table)->name);
    }
    kx_buf_printf(sql, "%s\n    ADD COLUMN IF NOT EXISTS ", *begun ? "," : "");
    *begun = true;
}

/* Nullable, whatever CREATE TABLE says: rows are there already. */
static void put_new_columns(struct kx_buf *sql,
                            const struct kx_postgres_catalog *catalog,
                            const struct kx_postgres_schema_params *params,
                            enum kx_postgres_table table)
{
    const struct kx_postgres_table_info *info = kx_postgres_table(table);
    const struct kx_postgres_seen_table *seen = &catalog->tables[table];
    bool begun = false;
    for (size_t i = 0; i < info->count; i++) {
        const struct kx_postgres_column_info *column = &info->columns[i];
        if (seen->columns[column->column].type != KX_PT_NONE || column->column == KX_PC_ID)
            continue;
        put_new_column(sql, catalog, table, &begun);
        kx_buf_printf(sql, "%s %s", column->name, kx_postgres_type_name(column->type));
    }
    for (size_t i = 0; is_device_table(table) && i < params->extras.count; i++) {
        if (seen->extras[i].type != KX_PT_NONE)
            continue;
        put_new_column(sql, catalog, table, &begun);
        kx_postgres_put_identifier(sql, params->extras.items[i].name);
        kx_buf_printf(sql, " %s", kx_postgres_type_name(params->extras.items[i].type));
    }
    if (begun)
        kx_buf_text(sql, ";\n");
}

/* What a new history is made into: chunks of a day where TimescaleDB is, else a small index that
 * finds an hour of an ordered table. */
static void put_history_extent(struct kx_buf *sql, const struct kx_postgres_catalog *catalog)
{
    if (catalog->timescale[0] == '\0') {
        kx_buf_text(sql, "CREATE INDEX IF NOT EXISTS kismet_device_history_time ON ");
        put_name(sql, catalog, "kismet_device_history");
        kx_buf_text(sql, " USING brin (time);\n");
        return;
    }
    kx_buf_text(sql, "SELECT ");
    kx_postgres_put_identifier(sql, catalog->timescale);
    kx_buf_text(sql, ".create_hypertable(");
    put_literal_name(sql, catalog, "kismet_device_history");
    kx_buf_text(sql,
                ", 'time', chunk_time_interval => INTERVAL '1 day', if_not_exists => true);\n");
}

static void put_tables(struct kx_buf *sql,
                       const struct kx_postgres_catalog *catalog,
                       const struct kx_postgres_schema_params *params)
{
    for (enum kx_postgres_table table = 0; table < KX_PG_TABLES; table++) {
        bool exists = catalog->tables[table].exists;
        if (exists && may_alter(catalog, params, table))
            put_new_columns(sql, catalog, params, table);
        if (exists || !may_create(catalog, params))
            continue;
        put_new_table(sql, catalog, params, table);
        if (table == KX_PG_HISTORY)
            put_history_extent(sql, catalog);
        if (table == KX_PG_EVENTS) {
            kx_buf_text(sql, "CREATE INDEX IF NOT EXISTS kismet_events_time ON ");
            put_name(sql, catalog, "kismet_events");
            kx_buf_text(sql, " USING brin (event_time);\n");
        }
    }
    /* An adopted table gets it too: its column is new, or was ours. */
    const struct kx_postgres_seen_table *events = &catalog->tables[KX_PG_EVENTS];
    bool made = !events->exists && may_create(catalog, params);
    bool unkeyed = events->exists && !events->has_key && may_alter(catalog, params, KX_PG_EVENTS);
    if (made || unkeyed) {
        kx_buf_text(sql, "CREATE UNIQUE INDEX IF NOT EXISTS kismet_events_uid ON ");
        put_name(sql, catalog, "kismet_events");
        kx_buf_text(sql, " (event_uid);\n");
    }
}

/* --- views --- */

struct view {
    enum kx_postgres_object object;
    enum kx_postgres_table table;
    uint64_t columns; /* that it needs */
    const char *select;
    const char *rest;
};

#define NAMING                                                                                     \
    (KX_PC_BIT(KX_F_MAC_ADDR) | KX_PC_BIT(KX_F_NAME) | KX_PC_BIT(KX_F_MANUFACTURER) |              \
     KX_PC_BIT(KX_F_PHY_TYPE) | KX_PC_BIT(KX_F_SOURCE))
#define OF_ALERT(key) "    event_data ->> 'kismet.alert." key "' AS " key
static const struct view
    views[] =
        {
            {.object = KX_PO_ALERTS,
             .table = KX_PG_EVENTS,
             .columns = KX_PC_BIT(KX_PC_EVENT_TYPE) | KX_PC_BIT(KX_PC_EVENT_TIME) |
                        KX_PC_BIT(KX_F_SOURCE) | KX_PC_BIT(KX_PC_EVENT_DATA),
             /* A severity that is no number shall not cost the view. */
             .select =
                 "SELECT event_time AS time,\n"
                 "    source,\n" OF_ALERT(
                     "header") ",\n"
                               "    CASE WHEN event_data ->> 'kismet.alert.severity' ~ "
                               "'^[0-9]{1,6}$'\n"
                               "        THEN (event_data ->> 'kismet.alert.severity')::integer END "
                               "AS severity,\n" OF_ALERT("text") ",\n" OF_ALERT("transmitter_mac") ",\n" OF_ALERT(
                                   "source_mac") ",\n" OF_ALERT("dest_mac") ",\n" OF_ALERT("other_"
                                                                                           "mac") ",\n" OF_ALERT("channel") "\n",
             .rest = "WHERE event_type = 'ALERT'"},
            {.object = KX_PO_NEW_DEVICES,
             .table = KX_PG_DEVICES,
             .columns = NAMING | KX_PC_BIT(KX_PC_CREATED_AT),
             .select = "SELECT mac_addr, name, manufacturer, phy_type, source, created_at\n",
             .rest = "WHERE created_at > NOW() - INTERVAL '24 hours'\nORDER BY created_at DESC"},
            {.object = KX_PO_RECENT_DEVICES,
             .table = KX_PG_DEVICES,
             .columns = NAMING | KX_PC_BIT(KX_F_CHANNEL) | KX_PC_BIT(KX_F_SIGNAL_DBM) |
                        KX_PC_BIT(KX_PC_LAST_UPDATED),
             .select =
                 "SELECT mac_addr, name, manufacturer, phy_type, channel, signal_dbm, source,\n"
                 "    last_updated\n",
             .rest =
                 "WHERE last_updated > NOW() - INTERVAL '5 minutes'\nORDER BY last_updated DESC"},
            {.object = KX_PO_DEVICE_STATS,
             .table = KX_PG_DEVICES,
             .columns = KX_PC_BIT(KX_F_PHY_TYPE) | KX_PC_BIT(KX_F_SIGNAL_DBM) |
                        KX_PC_BIT(KX_F_TOTAL_PACKETS) | KX_PC_BIT(KX_PC_LAST_UPDATED),
             .select = "SELECT phy_type,\n"
                       "    count(*) AS device_count,\n"
                       "    count(*) FILTER (WHERE last_updated > NOW() - INTERVAL '5 minutes')"
                       " AS recent_count,\n"
                       "    avg(signal_dbm) AS avg_signal_dbm,\n"
                       "    sum(total_packets) AS total_packets,\n"
                       "    max(last_updated) AS last_updated\n",
             .rest = "GROUP BY phy_type"},
};
enum { VIEWS = sizeof views / sizeof views[0] };

/* The columns, rightly typed, that a table has once the plan was carried out. */
static uint64_t columns_after(const struct kx_postgres_catalog *catalog,
                              const struct kx_postgres_schema_params *params,
                              enum kx_postgres_table table)
{
    const struct kx_postgres_table_info *info = kx_postgres_table(table);
    const struct kx_postgres_seen_table *seen = &catalog->tables[table];
    bool adds = seen->exists ? may_alter(catalog, params, table) : may_create(catalog, params);
    uint64_t columns = 0;
    for (size_t i = 0; i < info->count; i++) {
        unsigned column = info->columns[i].column;
        enum kx_postgres_type type = seen->columns[column].type;
        if (type == KX_PT_NONE ? adds : kx_postgres_type_takes(&info->columns[i], type))
            columns |= KX_PC_BIT(column);
    }
    return columns;
}

/* Whether the view would work: text has no keys to look at. */
static bool view_fits(const struct view *view,
                      const struct kx_postgres_catalog *catalog,
                      const struct kx_postgres_schema_params *params)
{
    const struct kx_postgres_seen_table *seen = &catalog->tables[view->table];
    bool of_text = (view->columns & KX_PC_BIT(KX_PC_EVENT_DATA)) != 0 &&
                   seen->columns[KX_PC_EVENT_DATA].type == KX_PT_TEXT;
    bool there = (catalog->objects >> view->object & 1) != 0;
    bool readable = !seen->exists || seen->may_select || params->as_owner;
    return !there && !of_text && readable && may_create(catalog, params) &&
           (view->columns & ~columns_after(catalog, params, view->table)) == 0;
}

static void put_views(struct kx_buf *sql,
                      const struct kx_postgres_catalog *catalog,
                      const struct kx_postgres_schema_params *params)
{
    for (size_t i = 0; i < VIEWS; i++) {
        if (!view_fits(&views[i], catalog, params))
            continue;
        kx_buf_text(sql, "CREATE VIEW ");
        put_name(sql, catalog, kx_postgres_object_name(views[i].object));
        kx_buf_printf(sql, " AS\n%sFROM ", views[i].select);
        put_name(sql, catalog, kx_postgres_table(views[i].table)->name);
        kx_buf_printf(sql, "\n%s;\n", views[i].rest);
    }
}

/* --- the whole --- */

/* Whether the plan leaves no table and no column out for want of rights. */
static bool is_whole(const struct kx_postgres_catalog *catalog,
                     const struct kx_postgres_schema_params *params)
{
    for (enum kx_postgres_table table = 0; table < KX_PG_TABLES; table++) {
        const struct kx_postgres_table_info *info = kx_postgres_table(table);
        const struct kx_postgres_seen_table *seen = &catalog->tables[table];
        if (seen->exists ? may_alter(catalog, params, table) : may_create(catalog, params))
            continue;
        for (size_t i = 0; i < info->count; i++)
            if (seen->columns[info->columns[i].column].type == KX_PT_NONE &&
                info->columns[i].column != KX_PC_ID)
                return false;
    }
    return true;
}

static void put_version(struct kx_buf *sql,
                        const struct kx_postgres_catalog *catalog,
                        const struct kx_postgres_schema_params *params)
{
    const struct kx_postgres_seen_table *meta = &catalog->tables[KX_PG_META];
    bool may_write = params->as_owner || !meta->exists || (meta->may_insert && meta->may_select);
    if (catalog->version >= KX_POSTGRES_SCHEMA_VERSION || !may_write || !is_whole(catalog, params))
        return;
    kx_buf_text(sql, "INSERT INTO ");
    put_name(sql, catalog, "kismet_export_meta");
    kx_buf_printf(sql,
                  " (schema_version, applied_by, min_writer)\n"
                  "VALUES (%d, 'kismet-export " KX_VERSION " as ' || current_user, 1)"
                  " ON CONFLICT DO NOTHING;\n",
                  KX_POSTGRES_SCHEMA_VERSION);
}

void kx_postgres_plan(struct kx_buf *sql,
                      const struct kx_postgres_catalog *catalog,
                      const struct kx_postgres_schema_params *params)
{
    if (!catalog->schema_exists && may_create(catalog, params)) {
        kx_buf_text(sql, "CREATE SCHEMA IF NOT EXISTS ");
        kx_postgres_put_identifier(sql, catalog->schema);
        kx_buf_text(sql, ";\n");
    }
    put_tables(sql, catalog, params);
    put_views(sql, catalog, params);
    put_version(sql, catalog, params);
}

static bool names_column(const struct kx_strings *list, const char *column)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], column) == 0)
            return true;
    return false;
}

/* Concurrently, as the table may be large and has readers and writers. What was interrupted is
 * removed first: it is of no use and costs each write. */
void kx_postgres_plan_indexes(struct kx_buf *sql,
                              const struct kx_postgres_catalog *catalog,
                              const struct kx_postgres_schema_params *params)
{
    static const struct {
        enum kx_postgres_object object;
        const char *column;
    } indexes[] = {{KX_PO_LAST_SEEN, "last_seen"}, {KX_PO_PHY_TYPE, "phy_type"}};
    if (params->indexes == NULL || !may_alter(catalog, params, KX_PG_DEVICES))
        return;
    for (size_t i = 0; i < sizeof indexes / sizeof indexes[0]; i++) {
        const char *name = kx_postgres_object_name(indexes[i].object);
        bool broken = (catalog->broken_indexes >> indexes[i].object & 1) != 0;
        bool there = (catalog->objects >> indexes[i].object & 1) != 0;
        if (!names_column(params->indexes, indexes[i].column) || (there && !broken))
            continue;
        if (broken) {
            kx_buf_text(sql, "DROP INDEX CONCURRENTLY IF EXISTS ");
            put_name(sql, catalog, name);
            kx_buf_text(sql, ";\n");
        }
        kx_buf_printf(sql, "CREATE INDEX CONCURRENTLY IF NOT EXISTS %s ON ", name);
        put_name(sql, catalog, "kismet_devices");
        kx_buf_printf(sql, " (%s);\n", indexes[i].column);
    }
}
