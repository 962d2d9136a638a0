/*
 * What is planned and found about a catalogue, without a server: types, names that need quoting,
 * nothing twice, no more findings than there is room for.
 */
#include "sinks/postgres_plan.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct kx_postgres_schema_params everything = {
    .fields = ~0ull, .per_source = true, .history = true, .events = true};

/* The catalogue of a database whose tables are ours. */
static struct kx_postgres_catalog *whole(void)
{
    struct kx_postgres_catalog *catalog = calloc(1, sizeof *catalog);
    assert_non_null(catalog);
    strcpy(catalog->schema, "public");
    catalog->schema_exists = true;
    catalog->may_use = true;
    catalog->may_create = true;
    catalog->version = KX_POSTGRES_SCHEMA_VERSION;
    catalog->objects = (1u << KX_PO_LAST_SEEN) - 1;
    for (enum kx_postgres_table table = 0; table < KX_PG_TABLES; table++) {
        const struct kx_postgres_table_info *info = kx_postgres_table(table);
        struct kx_postgres_seen_table *seen = &catalog->tables[table];
        *seen = (struct kx_postgres_seen_table){
            .exists = true, .kind = 'r', .owned = true, .may_select = true, .has_key = true};
        for (size_t i = 0; i < info->count; i++) {
            seen->columns[info->columns[i].column].type = info->columns[i].type;
            seen->columns[info->columns[i].column].writable = true;
        }
    }
    return catalog;
}

static void whole_tables_want_nothing(void **state)
{
    struct kx_postgres_findings findings = {.count = 0};
    struct kx_postgres_catalog *catalog = whole();
    struct kx_postgres_tables tables;
    struct kx_buf sql;
    (void)state;
    kx_buf_init(&sql, KX_POSTGRES_PLAN_BYTES_MAX);
    kx_postgres_plan(&sql, catalog, &everything);
    kx_postgres_plan_indexes(&sql, catalog, &everything);
    kx_postgres_find_faults(&findings, catalog, &everything);
    kx_postgres_find_gaps(&findings, catalog, &everything);
    assert_int_equal(sql.length, 0);
    assert_int_equal(findings.count, 0);
    kx_postgres_tables_fill(&tables, catalog);
    assert_string_equal(tables.prefix, "\"public\".");
    for (enum kx_field field = KX_F_MAC_ADDR; field < KX_FIELDS; field++)
        if ((tables.table[KX_PG_DEVICES].columns & KX_PC_BIT(field)) == 0)
            fail_msg("%s is no column", kx_fields[field].name);
    kx_buf_fini(&sql);
    free(catalog);
}

static void names_are_quoted(void **state)
{
    char prefix[KX_POSTGRES_PREFIX_MAX];
    struct kx_postgres_catalog *catalog = calloc(1, sizeof *catalog);
    struct kx_buf sql;
    (void)state;
    assert_non_null(catalog);
    memset(catalog->schema, '"', KX_POSTGRES_IDENTIFIER_MAX - 1); /* the longest there is */
    kx_postgres_prefix(catalog, prefix);
    assert_int_equal(strlen(prefix), 2 * (KX_POSTGRES_IDENTIFIER_MAX - 1) + 3);
    assert_string_equal(prefix + strlen(prefix) - 3, "\"\".");

    strcpy(catalog->schema, "it's");
    strcpy(catalog->timescale, "ts");
    catalog->schema_exists = true;
    catalog->may_create = true;
    kx_buf_init(&sql, KX_POSTGRES_PLAN_BYTES_MAX);
    kx_postgres_plan(&sql, catalog, &everything);
    kx_buf_byte(&sql, '\0');
    assert_false(sql.failed);
    assert_non_null(
        strstr(sql.data, "\"ts\".create_hypertable('\"it''s\".kismet_device_history', 'time'"));
    assert_null(strstr(sql.data, "kismet_device_history_time"));
    kx_buf_fini(&sql);
    free(catalog);
}

static void types(void **state)
{
    (void)state;
    static const struct {
        const char *column;
        uint32_t oid;
        bool modified, taken;
    } rows[] = {
        {"name", 25, false, true},           {"name", 1043, true, true},
        {"name", 1042, true, false},         {"name", 19, false, false},
        {"signal_dbm", 23, false, true},     {"signal_dbm", 20, false, true},
        {"signal_dbm", 21, false, false},    {"signal_dbm", 1700, false, true},
        {"total_packets", 23, false, false}, {"total_packets", 1700, true, false},
        {"latitude", 700, false, false},     {"latitude", 1700, false, true},
        {"mac_random", 16, false, true},     {"mac_random", 23, false, false},
        {"last_updated", 1114, false, true}, {"last_updated", 1184, false, true},
        {"last_updated", 1114, true, false}, {"last_updated", 1082, false, false},
        {"extra", 3802, false, true},        {"extra", 114, false, false},
        {"extra", 25, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct kx_postgres_column_info *column =
            kx_postgres_column(KX_PG_DEVICES, rows[i].column);
        enum kx_postgres_type type = kx_postgres_type_of(rows[i].oid, rows[i].modified);
        if (kx_postgres_type_takes(column, type) != rows[i].taken)
            fail_msg("%s of type %u", rows[i].column, rows[i].oid);
    }
    assert_null(kx_postgres_column(KX_PG_DEVICES, "event_uid"));
}

static void more_findings_than_room(void **state)
{
    struct kx_postgres_findings findings = {.count = 0};
    struct kx_postgres_catalog *catalog = whole();
    (void)state;
    for (enum kx_postgres_table table = 0; table < KX_PG_TABLES; table++)
        for (size_t i = 0; i < kx_postgres_table(table)->count; i++)
            catalog->tables[table].columns[kx_postgres_table(table)->columns[i].column].type =
                KX_PT_OTHER;
    kx_postgres_find_faults(&findings, catalog, &everything);
    assert_int_equal(findings.count, KX_POSTGRES_FINDINGS_MAX);
    assert_true(findings.items[KX_POSTGRES_FINDINGS_MAX - 1].hold);
    free(catalog);
}

/* Every field that leaves the program has its column, with the name that it has everywhere. */
static void fields_are_columns(void **state)
{
    (void)state;
    for (enum kx_field field = KX_F_MAC_ADDR; field < KX_FIELDS; field++) {
        for (enum kx_postgres_table table = KX_PG_DEVICES; table <= KX_PG_DEVICE_SOURCES; table++) {
            const struct kx_postgres_column_info *column =
                kx_postgres_column(table, kx_fields[field].name);
            if (column == NULL || column->column != (unsigned)field)
                fail_msg("%s of %s", kx_fields[field].name, kx_postgres_table(table)->name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_tables_want_nothing),
        cmocka_unit_test(names_are_quoted),
        cmocka_unit_test(types),
        cmocka_unit_test(more_findings_than_room),
        cmocka_unit_test(fields_are_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
