/* The probe of a PostgreSQL database; the contract stands in the header. */
#include "sinks/postgres_probe.h"

#include "base/clock.h"
#include "sinks/postgres_tls.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_S = 15, VERSION_MIN = 120000, SKEW_S_MAX = 5 };

static void probe_tls(struct kx_postgres_db *db, struct kx_probe *probe)
{
    char text[512];
    PQconninfoOption *options = PQconninfo(db->handle);
    bool weak = options != NULL && kx_postgres_tls_weak(options, text, sizeof text);
    PQconninfoFree(options);
    if (PQsslInUse(db->handle) != 0)
        kx_probe_ok(probe, "encrypted with %s", PQsslAttribute(db->handle, "protocol"));
    else
        kx_probe_ok(probe, "not encrypted");
    if (weak)
        kx_probe_warn(probe, NULL, "%s", text);
}

/* Version, role, encoding, zone, clock. False = nothing more can be asked. */
static bool probe_server(struct kx_postgres_db *db, struct kx_probe *probe)
{
    static const char sql[] =
        "SELECT current_setting('server_version'), current_setting('server_version_num')::int,"
        " current_user, current_database(), current_setting('server_encoding'),"
        " current_setting('TimeZone'), extract(epoch FROM clock_timestamp())::text,"
        " pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'";
    struct kx_error err;
    PGresult *rows = NULL;
    if (kx_postgres_query(db, sql, NULL, 0, &rows, &err) != KX_SENT) {
        kx_probe_fail(probe, NULL, "%s", err.text);
        return false;
    }
    kx_probe_ok(probe, "PostgreSQL %s, database %s, as role %s", PQgetvalue(rows, 0, 0),
                PQgetvalue(rows, 0, 3), PQgetvalue(rows, 0, 2));
    bool known = atoi(PQgetvalue(rows, 0, 1)) >= VERSION_MIN;
    if (!known)
        kx_probe_fail(probe, "use PostgreSQL 12 or later", "this version is too old");
    kx_probe_ok(probe, "encoding %s; last_updated is in the time zone %s", PQgetvalue(rows, 0, 4),
                PQgetvalue(rows, 0, 5));
    double theirs = strtod(PQgetvalue(rows, 0, 6), NULL);
    double skew = theirs - (double)kx_clock_wall_ns() / (double)KX_NS_PER_S;
    if (skew > SKEW_S_MAX || skew < -SKEW_S_MAX)
        kx_probe_warn(probe, "let both ask an NTP server",
                      "its clock is %.0f s %s ours: NOW() in queries does not fit last_updated",
                      skew > 0 ? skew : -skew, skew > 0 ? "ahead of" : "behind");
    if (PQgetvalue(rows, 0, 7)[0] == 't')
        kx_probe_fail(probe,
                      "name the primary, or several hosts and "
                      "target_session_attrs=read-write",
                      "the server takes no writes: it is a standby, or read-only");
    PQclear(rows);
    if (db->pooled)
        kx_probe_ok(probe, "a pooler stands between us and the server: nothing is kept in the "
                           "session");
    return known;
}

static void put_right(char out[128], const char *name, bool there)
{
    if (!there) {
        strcat(out, out[0] == '\0' ? "" : ", ");
        strcat(out, name);
    }
}

/* What the writer does with each table, and who may not. */
static void probe_rights(const struct kx_postgres_catalog *catalog,
                         const struct kx_postgres_schema_params *params,
                         struct kx_probe *probe)
{
    char prefix[KX_POSTGRES_PREFIX_MAX];
    char remedy[2 * KX_POSTGRES_REMEDY_MAX];
    bool all = true;
    kx_postgres_prefix(catalog, prefix);
    for (enum kx_postgres_table table = 0; table < KX_PG_TABLES; table++) {
        const struct kx_postgres_seen_table *seen = &catalog->tables[table];
        const char *name = kx_postgres_table(table)->name;
        bool needed = kx_postgres_table_needed(table, params);
        char rights[128] = "";
        if (!seen->exists || table == KX_PG_META || (!needed && table != KX_PG_SOURCES))
            continue;
        put_right(rights, "SELECT", seen->may_select);
        put_right(rights, "INSERT", seen->may_insert);
        put_right(rights, "UPDATE",
                  seen->may_update || table == KX_PG_EVENTS || table == KX_PG_HISTORY);
        if (rights[0] == '\0')
            continue;
        all = false;
        snprintf(remedy, sizeof remedy, "GRANT %s ON %s%s TO \"%s\"", rights, prefix, name,
                 catalog->role);
        if (needed)
            kx_probe_fail(probe, remedy, "the role may not %s on %s", rights, name);
        else
            kx_probe_warn(probe, remedy, "the role may not %s on %s", rights, name);
    }
    if (all)
        kx_probe_ok(probe, "the role may read and write the tables that are there");
    if (catalog->may_temp)
        return;
    snprintf(remedy, sizeof remedy, "GRANT TEMP ON DATABASE \"%s\" TO \"%s\"", catalog->database,
             catalog->role);
    kx_probe_fail(probe, remedy, "the role may not make temporary tables, which each batch needs");
}

static void tell(const struct kx_postgres_findings *findings, struct kx_probe *probe)
{
    for (size_t i = 0; i < findings->count; i++) {
        const struct kx_postgres_finding *finding = &findings->items[i];
        const char *remedy = finding->remedy[0] != '\0' ? finding->remedy : NULL;
        if (finding->hold)
            kx_probe_fail(probe, remedy, "%s", finding->text);
        else
            kx_probe_warn(probe, remedy, "%s", finding->text);
    }
}

/* What the next start would do about the tables. */
static void probe_tables(const struct kx_postgres_catalog *catalog,
                         const struct kx_postgres_schema_params *params,
                         struct kx_postgres_findings *findings,
                         struct kx_probe *probe)
{
    struct kx_buf plan;
    kx_buf_init(&plan, KX_POSTGRES_PLAN_BYTES_MAX);
    if (params->migrate == KX_MIGRATE_AUTO)
        kx_postgres_plan(&plan, catalog, params);
    kx_postgres_find_faults(findings, catalog, params);
    size_t faults = findings->count;
    /* What a start would add is no gap. */
    if (plan.length == 0)
        kx_postgres_find_gaps(findings, catalog, params);
    tell(findings, probe);
    if (plan.length > 0)
        kx_probe_ok(probe, "its tables are not all there yet: the first start adds what is missing "
                           "(`kismet-export schema` prints it)");
    else if (findings->count == 0)
        kx_probe_ok(probe,
                    "its tables are whole, with keys and types as they should be, version "
                    "%d",
                    catalog->version);
    else if (faults == 0)
        kx_probe_ok(probe, "keys and types are as they should be");
    kx_buf_fini(&plan);
}

struct scratch {
    struct kx_postgres_catalog catalog;
    struct kx_postgres_findings findings;
};

static void probe_connected(struct kx_postgres_db *db,
                            const struct kx_postgres_schema_params *params,
                            struct scratch *scratch,
                            struct kx_probe *probe)
{
    struct kx_error err;
    probe_tls(db, probe);
    if (!probe_server(db, probe))
        return;
    if (kx_postgres_catalog_read(db, params->schema, &params->extras, &scratch->catalog, &err) !=
        KX_SENT) {
        kx_probe_fail(probe, NULL, "%s", err.text);
        return;
    }
    if (scratch->catalog.schema[0] == '\0') {
        kx_probe_fail(probe, "set `schema`, or GRANT USAGE ON SCHEMA public to the role",
                      "the search_path of role %s leads to no schema", scratch->catalog.role);
        return;
    }
    probe_rights(&scratch->catalog, params, probe);
    probe_tables(&scratch->catalog, params, &scratch->findings, probe);
}

void kx_postgres_probe(const struct kx_postgres_target *target,
                       const struct kx_postgres_schema_params *params,
                       struct kx_probe *probe)
{
    struct kx_call call = {.deadline_ns = kx_clock_boot_ns() + WAIT_S * KX_NS_PER_S, .stop_fd = -1};
    struct kx_postgres_db db = {.call = &call};
    struct kx_error err;
    struct scratch *scratch = calloc(1, sizeof *scratch);
    if (scratch == NULL) {
        kx_probe_fail(probe, NULL, "no memory");
        return;
    }
    if (kx_postgres_connect(&db, target, &err) == KX_SENT)
        probe_connected(&db, params, scratch, probe);
    else
        kx_probe_fail(probe, NULL, "%s", err.text);
    kx_postgres_close(&db);
    free(scratch);
}
