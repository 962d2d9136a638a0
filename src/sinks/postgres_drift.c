/*
 * Where a database's tables are not as ours, and what mends it. The SQL of the remedies is for the
 * tables' owner to run: this program changes no type and adds no key to a table that it finds.
 */
#include "sinks/postgres_plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { QUALIFIED_MAX = KX_POSTGRES_PREFIX_MAX + KX_POSTGRES_IDENTIFIER_MAX };

/* What is looked at. */
struct look {
    struct kx_postgres_findings *findings;
    const struct kx_postgres_catalog *catalog;
    const struct kx_postgres_schema_params *params;
    enum kx_postgres_table table;
    const struct kx_postgres_table_info *info;
    const struct kx_postgres_seen_table *seen;
    char name[QUALIFIED_MAX]; /* of the table, as SQL */
};

static void quote(const char *name, char *out, size_t size)
{
    struct kx_buf quoted;
    kx_buf_init(&quoted, size - 1);
    kx_postgres_put_identifier(&quoted, name);
    snprintf(out, size, "%.*s", (int)quoted.length, quoted.data != NULL ? quoted.data : "");
    kx_buf_fini(&quoted);
}

static void look_at(struct look *look, enum kx_postgres_table table)
{
    char schema[KX_POSTGRES_PREFIX_MAX];
    quote(look->catalog->schema, schema, sizeof schema);
    look->table = table;
    look->info = kx_postgres_table(table);
    look->seen = &look->catalog->tables[table];
    snprintf(look->name, sizeof look->name, "%s.%s", schema, look->info->name);
}

/* The next finding; the last place is kept by what comes last. */
static struct kx_postgres_finding *add(struct look *look, bool hold)
{
    struct kx_postgres_findings *findings = look->findings;
    if (findings->count < KX_POSTGRES_FINDINGS_MAX)
        findings->items[findings->count++] = (struct kx_postgres_finding){0};
    struct kx_postgres_finding *finding = &findings->items[findings->count - 1];
    finding->hold = finding->hold || hold;
    return finding;
}

static void say(char out[KX_POSTGRES_REMEDY_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void say(char out[KX_POSTGRES_REMEDY_MAX], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out, KX_POSTGRES_REMEDY_MAX, format, arguments);
    va_end(arguments);
}

static bool has_extras(const struct look *look)
{
    return look->table == KX_PG_DEVICES || look->table == KX_PG_DEVICE_SOURCES;
}

/* Whether the sink writes this column. */
static bool is_written(const struct look *look, const struct kx_postgres_column_info *column)
{
    if (!kx_postgres_is_field(column->column) || column->key)
        return true;
    bool of_devices = has_extras(look) || look->table == KX_PG_HISTORY;
    return !of_devices || (look->params->fields >> column->column & 1) != 0;
}

/* --- faults --- */

static void find_wrong_types(struct look *look)
{
    for (size_t i = 0; i < look->info->count; i++) {
        const struct kx_postgres_column_info *column = &look->info->columns[i];
        const struct kx_postgres_seen_column *seen = &look->seen->columns[column->column];
        if (seen->type == KX_PT_NONE || !is_written(look, column) || column->column == KX_PC_ID ||
            kx_postgres_type_takes(column, seen->type))
            continue;
        const char *type = kx_postgres_type_name(column->type);
        struct kx_postgres_finding *finding = add(look, true);
        say(finding->text, "%s.%s is %s where %s is needed", look->info->name, column->name,
            seen->type_name, type);
        say(finding->remedy, "ALTER TABLE %s ALTER COLUMN %s TYPE %s USING %s::%s", look->name,
            column->name, type, column->name, type);
    }
    for (size_t i = 0; has_extras(look) && i < look->params->extras.count; i++) {
        const struct kx_postgres_extra *extra = &look->params->extras.items[i];
        const struct kx_postgres_seen_column *seen = &look->seen->extras[i];
        const struct kx_postgres_column_info column = {.type = extra->type};
        if (seen->type == KX_PT_NONE || kx_postgres_type_takes(&column, seen->type))
            continue;
        struct kx_postgres_finding *finding = add(look, true);
        say(finding->text, "%s.%s is %s where extra_fields says %s", look->info->name, extra->name,
            seen->type_name, kx_postgres_type_name(extra->type));
        say(finding->remedy, "write another `as` for the field, or drop the column");
    }
}

static void find_missing_key(struct look *look)
{
    if (look->seen->has_key || look->table == KX_PG_EVENTS)
        return;
    struct kx_postgres_finding *finding = add(look, true);
    say(finding->text, "%s has no primary key or unique index on (%s)", look->info->name,
        look->info->key);
    say(finding->remedy, "ALTER TABLE %s ADD %s (%s)", look->name,
        look->table == KX_PG_DEVICES ? "PRIMARY KEY" : "UNIQUE", look->info->key);
}

static void find_demands(struct look *look)
{
    char stranger[KX_POSTGRES_PREFIX_MAX];
    if (look->seen->stranger[0] == '\0')
        return;
    quote(look->seen->stranger, stranger, sizeof stranger);
    struct kx_postgres_finding *finding = add(look, true);
    say(finding->text, "%s.%s is NOT NULL without a default, and kismet-export does not know it",
        look->info->name, look->seen->stranger);
    say(finding->remedy, "ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL", look->name, stranger);
}

void kx_postgres_find_faults(struct kx_postgres_findings *findings,
                             const struct kx_postgres_catalog *catalog,
                             const struct kx_postgres_schema_params *params)
{
    struct look look = {.findings = findings, .catalog = catalog, .params = params};
    if (catalog->min_writer > KX_POSTGRES_SCHEMA_VERSION) {
        struct kx_postgres_finding *finding = add(&look, true);
        say(finding->text,
            "the tables are a newer version's (%d), which this one (%d) must not "
            "write",
            catalog->version, KX_POSTGRES_SCHEMA_VERSION);
        say(finding->remedy, "install a newer kismet-export");
    }
    for (enum kx_postgres_table table = 0; table < KX_PG_TABLES; table++) {
        look_at(&look, table);
        if (!look.seen->exists || !kx_postgres_table_needed(table, params))
            continue;
        if (look.seen->kind != 'r' && look.seen->kind != 'p') {
            struct kx_postgres_finding *finding = add(&look, true);
            say(finding->text, "%s is no table", look.name);
            say(finding->remedy, "rename it, or set `schema` to another one");
            continue;
        }
        find_wrong_types(&look);
        find_missing_key(&look);
        find_demands(&look);
    }
}

/* --- gaps --- */

/* What the owner is to do; `schema` prints it all. */
static const char by_owner[] = "let the owner run what `kismet-export schema` prints";

static void find_missing_table(struct look *look)
{
    bool needed = kx_postgres_table_needed(look->table, look->params);
    if (!needed && (look->params->migrate != KX_MIGRATE_AUTO || look->catalog->may_create))
        return;
    char role[KX_POSTGRES_PREFIX_MAX];
    char schema[KX_POSTGRES_PREFIX_MAX];
    quote(look->catalog->role, role, sizeof role);
    quote(look->catalog->schema, schema, sizeof schema);
    struct kx_postgres_finding *finding = add(look, needed);
    if (look->catalog->schema_exists && !look->catalog->may_use) {
        say(finding->text, "role %s may not use the schema %s", look->catalog->role,
            look->catalog->schema);
        say(finding->remedy, "GRANT USAGE ON SCHEMA %s TO %s", schema, role);
        return;
    }
    say(finding->text, "there is no table %s%s", look->name,
        look->params->migrate == KX_MIGRATE_AUTO ? ", and the role may not make it" : "");
    if (look->params->migrate != KX_MIGRATE_AUTO)
        say(finding->remedy, "%s, or set `migrate: auto`", by_owner);
    else if (look->catalog->schema_exists)
        say(finding->remedy, "GRANT CREATE ON SCHEMA %s TO %s, or %s", schema, role, by_owner);
    else
        say(finding->remedy, "CREATE SCHEMA %s AUTHORIZATION %s", schema, role);
}

struct names {
    char text[KX_POSTGRES_REMEDY_MAX / 2];
    size_t used;
    size_t count;
};

/* What finds no room is counted only. */
static void add_name(struct names *names, const char *name)
{
    static const char more[] = ", ...";
    names->count++;
    if (names->used + strlen(name) + sizeof more + 2 < sizeof names->text)
        names->used += (size_t)snprintf(names->text + names->used, sizeof names->text - names->used,
                                        "%s%s", names->used == 0 ? "" : ", ", name);
    else if (strstr(names->text, more) == NULL)
        strcat(names->text, more);
}

static void find_missing_columns(struct look *look)
{
    struct names names = {.used = 0};
    const struct kx_postgres_extras *extras = &look->params->extras;
    for (size_t i = 0; i < look->info->count; i++) {
        const struct kx_postgres_column_info *column = &look->info->columns[i];
        if (look->seen->columns[column->column].type == KX_PT_NONE && is_written(look, column) &&
            column->column != KX_PC_ID)
            add_name(&names, column->name);
    }
    for (size_t i = 0; has_extras(look) && i < extras->count; i++)
        if (look->seen->extras[i].type == KX_PT_NONE)
            add_name(&names, extras->items[i].name);
    if (names.count == 0)
        return;
    struct kx_postgres_finding *finding = add(look, false);
    say(finding->text, "%s lacks %zu column%s, which %s not written: %s", look->info->name,
        names.count, names.count == 1 ? "" : "s", names.count == 1 ? "is" : "are", names.text);
    say(finding->remedy, "%s", by_owner);
}

static void find_narrow_columns(struct look *look)
{
    for (size_t i = 0; i < look->info->count; i++) {
        const struct kx_postgres_column_info *column = &look->info->columns[i];
        bool may_be_null = kx_postgres_is_field(column->column)
                               ? !column->key && is_written(look, column)
                               : column->column == KX_PC_DEVICE_MAC;
        if (!may_be_null || !look->seen->columns[column->column].not_null)
            continue;
        struct kx_postgres_finding *finding = add(look, false);
        say(finding->text, "%s.%s is NOT NULL: what has none is refused", look->info->name,
            column->name);
        say(finding->remedy, "ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL", look->name,
            column->name);
    }
}

static void find_version(struct look *look)
{
    const struct kx_postgres_catalog *catalog = look->catalog;
    if (look->params->migrate != KX_MIGRATE_CHECK || catalog->version >= KX_POSTGRES_SCHEMA_VERSION)
        return;
    struct kx_postgres_finding *finding = add(look, catalog->version == 0);
    if (catalog->version > 0)
        say(finding->text, "the tables are of version %d, ours is %d: what both have is written",
            catalog->version, KX_POSTGRES_SCHEMA_VERSION);
    else if (catalog->tables[KX_PG_META].exists && !catalog->tables[KX_PG_META].may_select)
        say(finding->text, "the role may not read %s", look->name);
    else
        say(finding->text, "%s says no version, and `migrate: check` makes nothing", look->name);
    say(finding->remedy, "%s", by_owner);
}

void kx_postgres_find_gaps(struct kx_postgres_findings *findings,
                           const struct kx_postgres_catalog *catalog,
                           const struct kx_postgres_schema_params *params)
{
    struct look look = {.findings = findings, .catalog = catalog, .params = params};
    look_at(&look, KX_PG_META);
    find_version(&look);
    for (enum kx_postgres_table table = 0; table < KX_PG_TABLES; table++) {
        look_at(&look, table);
        bool told = params->migrate != KX_MIGRATE_OFF && table != KX_PG_META;
        if (!look.seen->exists) {
            find_missing_table(&look);
            continue;
        }
        if (!told || !kx_postgres_table_needed(table, params))
            continue;
        find_missing_columns(&look);
        find_narrow_columns(&look);
        if ((params->expires >> table & 1) != 0 && !look.seen->may_delete) {
            struct kx_postgres_finding *finding = add(&look, false);
            say(finding->text, "the role may not delete from %s: its old rows stay",
                look.info->name);
            char role[KX_POSTGRES_PREFIX_MAX];
            quote(catalog->role, role, sizeof role);
            say(finding->remedy, "GRANT DELETE ON %s TO %s", look.name, role);
        }
        if (table == KX_PG_EVENTS && !look.seen->has_key) {
            struct kx_postgres_finding *finding = add(&look, false);
            say(finding->text, "kismet_events has no unique event_uid: after an interruption an "
                               "event may be there twice");
            say(finding->remedy, "%s", by_owner);
        }
    }
}

/* --- what a writer may name --- */

void kx_postgres_prefix(const struct kx_postgres_catalog *catalog,
                        char ret_prefix[KX_POSTGRES_PREFIX_MAX])
{
    quote(catalog->schema, ret_prefix, KX_POSTGRES_PREFIX_MAX - 1);
    strcat(ret_prefix, ".");
}

void kx_postgres_tables_fill(struct kx_postgres_tables *tables,
                             const struct kx_postgres_catalog *catalog)
{
    *tables = (struct kx_postgres_tables){0};
    kx_postgres_prefix(catalog, tables->prefix);
    memcpy(tables->timescale, catalog->timescale, sizeof tables->timescale);
    for (enum kx_postgres_table table = 0; table < KX_PG_TABLES; table++) {
        const struct kx_postgres_table_info *info = kx_postgres_table(table);
        const struct kx_postgres_seen_table *seen = &catalog->tables[table];
        struct kx_postgres_table_state *state = &tables->table[table];
        state->exists = seen->exists && (seen->kind == 'r' || seen->kind == 'p');
        state->has_key = seen->has_key;
        state->hypertable = table == KX_PG_HISTORY && catalog->hypertable;
        state->may_delete = seen->may_delete;
        state->owned = seen->owned;
        for (size_t i = 0; i < info->count; i++) {
            const struct kx_postgres_seen_column *column = &seen->columns[info->columns[i].column];
            if (!column->writable || !kx_postgres_type_takes(&info->columns[i], column->type))
                continue;
            state->columns |= KX_PC_BIT(info->columns[i].column);
            state->types[info->columns[i].column] = (uint8_t)column->type;
        }
        for (size_t i = 0; i < KX_POSTGRES_EXTRAS_MAX; i++)
            if (seen->extras[i].writable && state->exists)
                state->extras |= 1ull << i;
    }
}
