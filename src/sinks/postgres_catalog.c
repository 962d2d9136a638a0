/*
 * The queries. PostgreSQL 12 and later have all that they name.
 */
#include "sinks/postgres_catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const object_names[KX_PO_OBJECTS] = {
    [KX_PO_ALERTS] = "kismet_alerts",
    [KX_PO_NEW_DEVICES] = "new_devices",
    [KX_PO_RECENT_DEVICES] = "recent_devices",
    [KX_PO_DEVICE_STATS] = "device_stats",
    [KX_PO_LAST_SEEN] = "kismet_devices_last_seen",
    [KX_PO_PHY_TYPE] = "kismet_devices_phy_type",
};

const char *kx_postgres_object_name(enum kx_postgres_object object)
{
    return object_names[object];
}

static const char place_sql[] =
    "SELECT p.name, n.oid IS NOT NULL,"
    " n.oid IS NOT NULL AND has_schema_privilege(n.oid, 'USAGE'),"
    " CASE WHEN n.oid IS NULL THEN has_database_privilege(current_database(), 'CREATE')"
    "  ELSE has_schema_privilege(n.oid, 'CREATE') END,"
    " has_database_privilege(current_database(), 'TEMP'),"
    " current_user, current_database(),"
    " (SELECT en.nspname FROM pg_catalog.pg_extension e"
    "  JOIN pg_catalog.pg_namespace en ON en.oid = e.extnamespace"
    "  WHERE e.extname = 'timescaledb')"
    " FROM (SELECT coalesce($1::text,"
    "  (SELECT tn.nspname::text FROM pg_catalog.pg_class c"
    "   JOIN pg_catalog.pg_namespace tn ON tn.oid = c.relnamespace"
    "   WHERE c.oid = to_regclass('kismet_devices') AND c.relpersistence <> 't'),"
    "  current_schema()::text) AS name) p"
    " LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = p.name";

static const char relations_sql[] =
    "SELECT c.relname, c.relkind, pg_has_role(c.relowner, 'USAGE'),"
    " has_table_privilege(c.oid, 'SELECT'),"
    " has_table_privilege(c.oid, 'INSERT') OR has_any_column_privilege(c.oid, 'INSERT'),"
    " has_table_privilege(c.oid, 'UPDATE') OR has_any_column_privilege(c.oid, 'UPDATE'),"
    " has_table_privilege(c.oid, 'DELETE'),"
    " EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indexrelid = c.oid AND NOT i.indisvalid"
    /* One that is being built just now is not broken. */
    "  AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index b"
    "   WHERE b.datname = current_database() AND coalesce(b.index_relid = c.oid, true)))"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = $1 AND (c.relname LIKE 'kismet\\_%'"
    "  OR c.relname IN ('new_devices', 'recent_devices', 'device_stats'))";

static const char columns_sql[] =
    "SELECT c.relname, a.attname, coalesce(nullif(t.typbasetype, 0), t.oid),"
    " CASE t.typtype WHEN 'd' THEN t.typtypmod ELSE a.atttypmod END <> -1,"
    " format_type(a.atttypid, a.atttypmod), a.attnotnull,"
    " a.atthasdef OR a.attidentity <> '', a.attgenerated = '' AND a.attidentity <> 'a'"
    " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    " JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
    " WHERE n.nspname = $1 AND c.relname LIKE 'kismet\\_%' AND c.relkind IN ('r', 'p')"
    " ORDER BY a.attnum";

/* What ON CONFLICT can infer: whole, immediate, over plain columns. */
static const char keys_sql[] =
    "SELECT c.relname, string_agg(a.attname, ', ' ORDER BY a.attname)"
    " FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(number, place)"
    " JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number"
    " WHERE n.nspname = $1 AND c.relname LIKE 'kismet\\_%' AND k.place <= i.indnkeyatts"
    " AND i.indisunique AND i.indimmediate AND i.indisvalid"
    " AND i.indpred IS NULL AND i.indexprs IS NULL"
    " GROUP BY c.relname, i.indexrelid";

static const char hypertable_sql[] =
    "SELECT 1 FROM timescaledb_information.hypertables"
    " WHERE hypertable_schema = $1 AND hypertable_name = 'kismet_device_history'";

/* --- rows --- */

static bool is_true(const PGresult *rows, int row, int column)
{
    return PQgetvalue(rows, row, column)[0] == 't';
}

static void take_name(char *out, size_t size, const PGresult *rows, int row, int column)
{
    snprintf(out, size, "%s", PQgetvalue(rows, row, column));
}

/* KX_PG_TABLES = none of ours. */
static enum kx_postgres_table table_of(const PGresult *rows, int row)
{
    enum kx_postgres_table table = 0;
    while (table < KX_PG_TABLES &&
           strcmp(kx_postgres_table(table)->name, PQgetvalue(rows, row, 0)) != 0)
        table++;
    return table;
}

static void take_relation(struct kx_postgres_catalog *catalog, const PGresult *rows, int row)
{
    enum kx_postgres_table table = table_of(rows, row);
    for (enum kx_postgres_object object = 0; object < KX_PO_OBJECTS; object++)
        if (strcmp(object_names[object], PQgetvalue(rows, row, 0)) == 0) {
            catalog->objects |= 1u << object;
            if (is_true(rows, row, 7))
                catalog->broken_indexes |= 1u << object;
        }
    if (table == KX_PG_TABLES)
        return;
    struct kx_postgres_seen_table *seen = &catalog->tables[table];
    seen->exists = true;
    seen->kind = PQgetvalue(rows, row, 1)[0];
    seen->owned = is_true(rows, row, 2);
    seen->may_select = is_true(rows, row, 3);
    seen->may_insert = is_true(rows, row, 4);
    seen->may_update = is_true(rows, row, 5);
    seen->may_delete = is_true(rows, row, 6);
}

static struct kx_postgres_seen_column *column_of(struct kx_postgres_catalog *catalog,
                                                 const struct kx_postgres_extras *extras,
                                                 enum kx_postgres_table table,
                                                 const char *name)
{
    const struct kx_postgres_column_info *info = kx_postgres_column(table, name);
    if (info != NULL)
        return &catalog->tables[table].columns[info->column];
    for (size_t i = 0; i < extras->count; i++)
        if (strcmp(extras->items[i].name, name) == 0)
            return &catalog->tables[table].extras[i];
    return NULL;
}

static void take_column(struct kx_postgres_catalog *catalog,
                        const struct kx_postgres_extras *extras,
                        const PGresult *rows,
                        int row)
{
    enum kx_postgres_table table = table_of(rows, row);
    if (table == KX_PG_TABLES)
        return;
    struct kx_postgres_seen_column *column =
        column_of(catalog, extras, table, PQgetvalue(rows, row, 1));
    bool not_null = is_true(rows, row, 5);
    if (column == NULL) {
        char *stranger = catalog->tables[table].stranger;
        if (not_null && !is_true(rows, row, 6) && is_true(rows, row, 7) && stranger[0] == '\0')
            take_name(stranger, KX_POSTGRES_IDENTIFIER_MAX, rows, row, 1);
        return;
    }
    column->type = kx_postgres_type_of((uint32_t)strtoul(PQgetvalue(rows, row, 2), NULL, 10),
                                       is_true(rows, row, 3));
    take_name(column->type_name, sizeof column->type_name, rows, row, 4);
    column->not_null = not_null;
    column->writable = is_true(rows, row, 7);
}

static void take_key(struct kx_postgres_catalog *catalog, const PGresult *rows, int row)
{
    enum kx_postgres_table table = table_of(rows, row);
    if (table < KX_PG_TABLES &&
        strcmp(kx_postgres_table(table)->key_set, PQgetvalue(rows, row, 1)) == 0)
        catalog->tables[table].has_key = true;
}

/* --- queries --- */

static enum kx_outcome read_place(struct kx_postgres_db *db,
                                  const char *schema,
                                  struct kx_postgres_catalog *catalog,
                                  struct kx_error *err)
{
    PGresult *rows = NULL;
    enum kx_outcome outcome = kx_postgres_query(db, place_sql, &schema, 1, &rows, err);
    if (outcome != KX_SENT)
        return outcome;
    take_name(catalog->schema, sizeof catalog->schema, rows, 0, 0);
    catalog->schema_exists = is_true(rows, 0, 1);
    catalog->may_use = is_true(rows, 0, 2);
    catalog->may_create = is_true(rows, 0, 3);
    catalog->may_temp = is_true(rows, 0, 4);
    take_name(catalog->role, sizeof catalog->role, rows, 0, 5);
    take_name(catalog->database, sizeof catalog->database, rows, 0, 6);
    take_name(catalog->timescale, sizeof catalog->timescale, rows, 0, 7);
    PQclear(rows);
    return KX_SENT;
}

static enum kx_outcome
read_version(struct kx_postgres_db *db, struct kx_postgres_catalog *catalog, struct kx_error *err)
{
    const struct kx_postgres_seen_table *meta = &catalog->tables[KX_PG_META];
    struct kx_buf sql;
    PGresult *rows = NULL;
    if (!meta->may_select || meta->columns[KX_PC_SCHEMA_VERSION].type != KX_PT_INTEGER)
        return KX_SENT;
    bool dated = meta->columns[KX_PC_MIN_WRITER].type == KX_PT_INTEGER;
    kx_buf_init(&sql, 1024);
    kx_buf_printf(&sql, "SELECT schema_version, %s FROM ", dated ? "coalesce(min_writer, 0)" : "0");
    kx_postgres_put_identifier(&sql, catalog->schema);
    kx_buf_text(&sql, ".kismet_export_meta ORDER BY schema_version DESC LIMIT 1");
    kx_buf_byte(&sql, '\0');
    enum kx_outcome outcome = KX_RETRY;
    if (sql.failed)
        kx_error_set(err, KX_ERR_NOMEM, 0, "%s: no memory for a statement", db->name);
    else
        outcome = kx_postgres_query(db, sql.data, NULL, 0, &rows, err);
    kx_buf_fini(&sql);
    if (outcome == KX_SENT && PQntuples(rows) > 0) {
        catalog->version = (int)strtol(PQgetvalue(rows, 0, 0), NULL, 10);
        catalog->min_writer = (int)strtol(PQgetvalue(rows, 0, 1), NULL, 10);
    }
    PQclear(rows);
    return outcome;
}

enum kx_outcome kx_postgres_catalog_read(struct kx_postgres_db *db,
                                         const char *schema,
                                         const struct kx_postgres_extras *extras,
                                         struct kx_postgres_catalog *ret_catalog,
                                         struct kx_error *err)
{
    *ret_catalog = (struct kx_postgres_catalog){0};
    enum kx_outcome outcome = read_place(db, schema, ret_catalog, err);
    const char *name = ret_catalog->schema;
    PGresult *rows = NULL;
    if (outcome != KX_SENT || !ret_catalog->schema_exists)
        return outcome;
    outcome = kx_postgres_query(db, relations_sql, &name, 1, &rows, err);
    for (int i = 0; outcome == KX_SENT && i < PQntuples(rows); i++)
        take_relation(ret_catalog, rows, i);
    PQclear(rows);
    rows = NULL;
    if (outcome == KX_SENT)
        outcome = kx_postgres_query(db, columns_sql, &name, 1, &rows, err);
    for (int i = 0; outcome == KX_SENT && i < PQntuples(rows); i++)
        take_column(ret_catalog, extras, rows, i);
    PQclear(rows);
    rows = NULL;
    if (outcome == KX_SENT)
        outcome = kx_postgres_query(db, keys_sql, &name, 1, &rows, err);
    for (int i = 0; outcome == KX_SENT && i < PQntuples(rows); i++)
        take_key(ret_catalog, rows, i);
    PQclear(rows);
    rows = NULL;
    if (outcome == KX_SENT && ret_catalog->timescale[0] != '\0') {
        outcome = kx_postgres_query(db, hypertable_sql, &name, 1, &rows, err);
        ret_catalog->hypertable = outcome == KX_SENT && PQntuples(rows) > 0;
        PQclear(rows);
    }
    return outcome == KX_SENT ? read_version(db, ret_catalog, err) : outcome;
}
