/*
 * What is to be done about a database: the SQL that makes or completes our tables, and the findings
 * about what it has.
 *
 * Pure functions over a catalogue; constant data. Only what adds: tables, nullable columns, indexes
 * and views that are not there. Nothing is planned that our role may not do, unless `as_owner` says
 * that somebody else will run it.
 */
#ifndef KX_SINKS_POSTGRES_PLAN_H
#define KX_SINKS_POSTGRES_PLAN_H

#include "config/config.h"
#include "sinks/postgres_catalog.h"

enum {
    KX_POSTGRES_PLAN_BYTES_MAX = 64 << 10,
    KX_POSTGRES_FINDINGS_MAX = 32,
    KX_POSTGRES_REMEDY_MAX = 320,
};

/* What the sink's configuration asks for; borrowed. */
struct kx_postgres_schema_params {
    enum kx_migrate migrate;
    const char *schema; /* NULL = where the search_path leads */
    uint64_t fields;    /* what is written of a device: bit (1ull << enum kx_field) */
    bool per_source;    /* kismet_device_sources is written */
    bool history;       /* kismet_device_history is */
    bool events;        /* kismet_events is */
    uint32_t expires;   /* bit (1u << enum kx_postgres_table): retention deletes from it */
    const struct kx_strings *indexes; /* columns of kismet_devices; NULL = none */
    struct kx_postgres_extras extras;
    bool as_owner; /* plan what our role may not do, too */
};

/* Statements for one transaction, each ended by ";\n". Nothing appended = nothing to do. */
void kx_postgres_plan(struct kx_buf *sql,
                      const struct kx_postgres_catalog *catalog,
                      const struct kx_postgres_schema_params *params);
/* Statements that each need to be alone, outside a transaction, on a line of its own. */
void kx_postgres_plan_indexes(struct kx_buf *sql,
                              const struct kx_postgres_catalog *catalog,
                              const struct kx_postgres_schema_params *params);

struct kx_postgres_finding {
    bool hold; /* nothing may be written; else it is only told */
    char text[KX_POSTGRES_REMEDY_MAX];
    char remedy[KX_POSTGRES_REMEDY_MAX]; /* SQL, or what to set; "" = the text says it */
};
struct kx_postgres_findings {
    struct kx_postgres_finding items[KX_POSTGRES_FINDINGS_MAX];
    size_t count;
};

/* What stands in the way whatever is added: strange types, keys that are missing, a newer version
 * that forbids us. */
void kx_postgres_find_faults(struct kx_postgres_findings *findings,
                             const struct kx_postgres_catalog *catalog,
                             const struct kx_postgres_schema_params *params);
/* What is not there after all that could be added was. */
void kx_postgres_find_gaps(struct kx_postgres_findings *findings,
                           const struct kx_postgres_catalog *catalog,
                           const struct kx_postgres_schema_params *params);

/* "\"public\".", to be put before a table's name. */
void kx_postgres_prefix(const struct kx_postgres_catalog *catalog,
                        char ret_prefix[KX_POSTGRES_PREFIX_MAX]);
/* What a writer may name. */
void kx_postgres_tables_fill(struct kx_postgres_tables *tables,
                             const struct kx_postgres_catalog *catalog);

/* Whether this sink writes the table. kismet_sources is written where it can be. */
bool kx_postgres_table_needed(enum kx_postgres_table table,
                              const struct kx_postgres_schema_params *params);

#endif
