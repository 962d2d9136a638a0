/*
 * Reading, planning, carrying out, judging; the contract stands in the header.
 */
#include "sinks/postgres_schema.h"

#include "sinks/postgres_retention.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void kx_postgres_schema_params_init(struct kx_postgres_schema_params *params,
                                    const struct kx_sink_config *sink,
                                    const struct kx_config *config)
{
    const struct kx_postgres_retention retention = {.config = &sink->postgres.retention,
                                                    .history = &sink->tables.history};
    *params = (struct kx_postgres_schema_params){
        .migrate = sink->postgres.migrate,
        .schema = sink->postgres.schema,
        .fields = kx_sink_fields(sink),
        .per_source = sink->tables.per_source == KX_ON ||
                      (sink->tables.per_source == KX_AUTO && config->source_count > 1),
        .history = sink->tables.history.on,
        .events = true,
        .expires = kx_postgres_retention_tables(&retention),
        .indexes = &sink->postgres.indexes,
    };
}

/* READ COMMITTED, so that what another program made is seen once we have its lock. The wait for
 * that lock has the call's whole time; a reader in the way of ALTER TABLE has three seconds, as
 * everybody else waits behind us meanwhile. The number is ours for ever: "kismet" in ASCII. */
#define BEGIN_LOCKED                                                                               \
    "BEGIN ISOLATION LEVEL READ COMMITTED;\n"                                                      \
    "SET LOCAL statement_timeout = '60s';\n"                                                       \
    "SELECT pg_advisory_xact_lock(118100652287348);\n"                                             \
    "SET LOCAL lock_timeout = '3s';\n"

static enum kx_outcome no_memory(const struct kx_postgres_db *db, struct kx_error *err)
{
    kx_error_set(err, KX_ERR_NOMEM, 0, "%s: no memory to look at its tables",
                 db->name[0] != '\0' ? db->name : "postgres");
    return KX_RETRY;
}

static enum kx_outcome run_text(struct kx_postgres_db *db, struct kx_buf *sql, struct kx_error *err)
{
    kx_buf_byte(sql, '\0');
    return sql->failed ? no_memory(db, err) : kx_postgres_exec(db, sql->data, err);
}

static enum kx_outcome look(struct kx_postgres_db *db,
                            const struct kx_postgres_schema_params *params,
                            struct kx_postgres_catalog *catalog,
                            struct kx_error *err)
{
    enum kx_outcome outcome =
        kx_postgres_catalog_read(db, params->schema, &params->extras, catalog, err);
    if (outcome != KX_SENT || catalog->schema[0] != '\0')
        return outcome;
    kx_error_set(err, KX_ERR_CONFIG, 0,
                 "%s: the search_path of role %s leads to no schema: set `schema`, or run GRANT "
                 "USAGE ON SCHEMA public TO it",
                 db->name, catalog->role);
    return KX_HOLD;
}

/* The first finding that forbids writing, and how many more there are. */
static enum kx_outcome judge(const struct kx_postgres_db *db,
                             const struct kx_postgres_findings *findings,
                             struct kx_error *err)
{
    const struct kx_postgres_finding *first = NULL;
    size_t count = 0;
    for (size_t i = 0; i < findings->count; i++) {
        if (!findings->items[i].hold)
            continue;
        count++;
        if (first == NULL)
            first = &findings->items[i];
    }
    if (first == NULL)
        return KX_SENT;
    char more[64] = "";
    if (count > 1)
        snprintf(more, sizeof more, " (and %zu more: run kismet-export probe)", count - 1);
    kx_error_set(err, KX_ERR_CONFIG, 0, "%s: %s%s: %s", db->name, first->text, more, first->remedy);
    return KX_HOLD;
}

/* One line of what is not as it should be. */
static void warn(const struct kx_postgres_findings *findings, char warning[KX_ERROR_TEXT_MAX])
{
    size_t count = 0;
    warning[0] = '\0';
    for (size_t i = 0; i < findings->count; i++) {
        const struct kx_postgres_finding *finding = &findings->items[i];
        if (finding->hold)
            continue;
        if (count++ == 0)
            snprintf(warning, KX_ERROR_TEXT_MAX, "%.200s: %.180s", finding->text, finding->remedy);
    }
    size_t used = strlen(warning);
    char more[64];
    int length = snprintf(more, sizeof more, " (%zu more: run kismet-export probe)", count - 1);
    if (count > 1 && used + (size_t)length < KX_ERROR_TEXT_MAX)
        memcpy(warning + used, more, (size_t)length + 1);
}

/* Whether there is anything to do; with lock it is asked anew, and done. */
static enum kx_outcome migrate(struct kx_postgres_db *db,
                               const struct kx_postgres_schema_params *params,
                               struct kx_postgres_catalog *catalog,
                               struct kx_error *err)
{
    struct kx_buf sql;
    kx_buf_init(&sql, KX_POSTGRES_PLAN_BYTES_MAX);
    kx_postgres_plan(&sql, catalog, params);
    enum kx_outcome outcome = sql.failed ? no_memory(db, err) : KX_SENT;
    if (outcome == KX_SENT && sql.length > 0) {
        kx_buf_clear(&sql);
        outcome = kx_postgres_exec(db, BEGIN_LOCKED, err);
        if (outcome == KX_SENT)
            outcome = look(db, params, catalog, err);
        kx_postgres_plan(&sql, catalog, params);
        if (outcome == KX_SENT)
            outcome = run_text(db, &sql, err);
        if (outcome == KX_SENT)
            outcome = kx_postgres_exec(db, "COMMIT", err);
        if (outcome == KX_SENT)
            outcome = look(db, params, catalog, err);
        kx_postgres_rollback(db);
    }
    kx_buf_fini(&sql);
    return outcome;
}

/* One statement a line, each in its own right. An index is a wish: a failure is told, and nothing
 * waits for it; the next connection tries again. */
static enum kx_outcome build_indexes(struct kx_postgres_db *db,
                                     const struct kx_postgres_schema_params *params,
                                     const struct kx_postgres_catalog *catalog,
                                     struct kx_postgres_tables *tables,
                                     struct kx_error *err)
{
    struct kx_buf sql;
    kx_buf_init(&sql, KX_POSTGRES_PLAN_BYTES_MAX);
    kx_postgres_plan_indexes(&sql, catalog, params);
    kx_buf_byte(&sql, '\0');
    enum kx_outcome outcome = sql.failed ? no_memory(db, err) : KX_SENT;
    char *rest = sql.data;
    char *line;
    while (outcome == KX_SENT && rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
        struct kx_error failure;
        if (line[0] == '\0' || kx_postgres_exec(db, line, &failure) == KX_SENT)
            continue;
        if (db->handle == NULL) {
            *err = failure;
            outcome = KX_RETRY;
        }
        snprintf(tables->warning, sizeof tables->warning, "%.300s", failure.text);
    }
    kx_buf_fini(&sql);
    return outcome;
}

/* What needs the catalogue's memory, which is too much for a stack of ours. */
struct scratch {
    struct kx_postgres_catalog catalog;
    struct kx_postgres_findings findings;
};

static enum kx_outcome apply(struct kx_postgres_db *db,
                             const struct kx_postgres_schema_params *params,
                             struct scratch *scratch,
                             struct kx_postgres_tables *ret_tables,
                             struct kx_error *err)
{
    struct kx_postgres_catalog *catalog = &scratch->catalog;
    struct kx_postgres_findings *findings = &scratch->findings;
    enum kx_outcome outcome = look(db, params, catalog, err);
    if (outcome == KX_SENT) {
        /* Before anything is added: a table that cannot be written stays as it is. */
        kx_postgres_find_faults(findings, catalog, params);
        outcome = judge(db, findings, err);
    }
    if (outcome == KX_SENT && params->migrate == KX_MIGRATE_AUTO)
        outcome = migrate(db, params, catalog, err);
    if (outcome != KX_SENT)
        return outcome;
    findings->count = 0;
    kx_postgres_find_faults(findings, catalog, params);
    kx_postgres_find_gaps(findings, catalog, params);
    outcome = judge(db, findings, err);
    if (outcome != KX_SENT)
        return outcome;
    struct kx_postgres_tables tables;
    kx_postgres_tables_fill(&tables, catalog);
    warn(findings, tables.warning);
    if (params->migrate == KX_MIGRATE_AUTO)
        outcome = build_indexes(db, params, catalog, &tables, err);
    if (outcome == KX_SENT)
        *ret_tables = tables;
    return outcome;
}

enum kx_outcome kx_postgres_schema_apply(struct kx_postgres_db *db,
                                         const struct kx_postgres_schema_params *params,
                                         struct kx_postgres_tables *ret_tables,
                                         struct kx_error *err)
{
    struct scratch *scratch = calloc(1, sizeof *scratch);
    if (scratch == NULL)
        return no_memory(db, err);
    enum kx_outcome outcome = apply(db, params, scratch, ret_tables, err);
    free(scratch);
    return outcome;
}

/* --- print --- */

enum kx_outcome kx_postgres_schema_print(struct kx_postgres_db *db,
                                         const struct kx_postgres_schema_params *params,
                                         struct kx_buf *out,
                                         struct kx_error *err)
{
    struct kx_postgres_schema_params owner = *params;
    struct kx_postgres_catalog *catalog = calloc(1, sizeof *catalog);
    struct kx_buf plan;
    struct kx_buf indexes;
    enum kx_outcome outcome = KX_SENT;
    if (catalog == NULL)
        return no_memory(db, err);
    owner.as_owner = true;
    kx_buf_init(&plan, KX_POSTGRES_PLAN_BYTES_MAX);
    kx_buf_init(&indexes, KX_POSTGRES_PLAN_BYTES_MAX);
    if (db->handle != NULL) {
        outcome = look(db, params, catalog, err);
    } else {
        catalog->schema_exists = params->schema == NULL;
        snprintf(catalog->schema, sizeof catalog->schema, "%s",
                 params->schema != NULL ? params->schema : "public");
    }
    kx_postgres_plan(&plan, catalog, &owner);
    kx_postgres_plan_indexes(&indexes, catalog, &owner);
    if (outcome == KX_SENT && plan.length > 0) {
        kx_buf_text(out, BEGIN_LOCKED);
        kx_buf_bytes(out, plan.data, plan.length);
        kx_buf_text(out, "COMMIT;\n");
    }
    if (outcome == KX_SENT)
        kx_buf_bytes(out, indexes.data, indexes.length);
    if (outcome == KX_SENT && (plan.failed || indexes.failed || out->failed))
        outcome = no_memory(db, err);
    kx_buf_fini(&plan);
    kx_buf_fini(&indexes);
    free(catalog);
    return outcome;
}
