/*
 * Our tables in a database: made, adopted, completed; run after each connect.
 *
 * Owns nothing; one thread, outside a transaction, and none is left open. With migrate auto one
 * transaction under an advisory lock carries out the plan (postgres_plan.h), so that any number of
 * programs may start at once; nothing is locked or written when nothing is missing. What our role
 * may not do is not tried: the columns that exist are written, and ret_tables->warning says so.
 * KX_HOLD, with the SQL that mends it, when a table cannot be written as it is; KX_RETRY for locks
 * and lost connections, as postgres_db.h says it.
 */
#ifndef KX_SINKS_POSTGRES_SCHEMA_H
#define KX_SINKS_POSTGRES_SCHEMA_H

#include "sinks/postgres_plan.h"

/* What a sink's configuration asks for; extras are the caller's to add. Borrows both. */
void kx_postgres_schema_params_init(struct kx_postgres_schema_params *params,
                                    const struct kx_sink_config *sink,
                                    const struct kx_config *config);

enum kx_outcome kx_postgres_schema_apply(struct kx_postgres_db *db,
                                         const struct kx_postgres_schema_params *params,
                                         struct kx_postgres_tables *ret_tables,
                                         struct kx_error *err);

/* Appends what `apply` would run now, as a script for psql whose reader is the tables' owner. With
 * a closed db: everything, as for a new database. KX_SENT = done. */
enum kx_outcome kx_postgres_schema_print(struct kx_postgres_db *db,
                                         const struct kx_postgres_schema_params *params,
                                         struct kx_buf *out,
                                         struct kx_error *err);

#endif
