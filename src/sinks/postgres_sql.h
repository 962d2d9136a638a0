/*
 * The texts of the PostgreSQL sink's statements, made from the tables that there are.
 *
 * Which row wins is decided in the statements themselves: the newest observation, or a new life of
 * the device at the same source; a row in which nothing changed is not written. Each batch goes
 * into temporary tables first; the statements read those. Owns its texts; no database; one thread;
 * a zeroed struct is an empty one. Failure: KX_ERR_NOMEM, nothing is left.
 */
#ifndef KX_SINKS_POSTGRES_SQL_H
#define KX_SINKS_POSTGRES_SQL_H

#include "config/config.h"
#include "sinks/postgres_tables.h"

/* What the configuration asks for; borrowed. */
struct kx_postgres_sql_params {
    uint64_t fields; /* bit (1ull << enum kx_field): columns that are written; keys always are */
    struct kx_postgres_extras extras;
    bool per_source;
    const struct kx_history_config *history;
    enum kx_sync_commit synchronous_commit;
    bool pooled; /* nothing may stay in the session */
    bool wide;   /* rows may be larger than a page */
};

/* Each NUL-terminated; NULL = there is no such table, or nobody wants it. */
struct kx_postgres_sql {
    uint64_t staged; /* columns of the temporary table of devices */
    uint64_t extras; /* bit i: and one of extras.items[i], behind them */
    char *session;   /* run once after connecting; NULL behind a pooler */
    char *begin;     /* behind BEGIN and the timeout of the statement */
    char *copy_devices, *copy_events;
    char *devices, *device_sources, *history, *events; /* from the temporary tables to ours */
    char *stale;      /* how many devices of the batch the table knew newer */
    char *first_seen; /* takes over the smaller first_seen of those */
    char *sources;    /* $1: what the board says, as a JSON array */
};

enum kx_code kx_postgres_sql_make(struct kx_postgres_sql *ret_sql,
                                  const struct kx_postgres_sql_params *params,
                                  const struct kx_postgres_tables *tables,
                                  struct kx_error *err);
void kx_postgres_sql_fini(struct kx_postgres_sql *sql);

#endif
