/*
 * The PostgreSQL sink: the same tables as SQLite's, filled by COPY into a temporary table and one
 * upsert from there; one transaction a batch.
 *
 * Connects at the first delivery or idle call and looks at the tables then (postgres_schema.h).
 * What was confirmed is committed, as durably as the server's synchronous_commit says. Owns the
 * connection; one thread. What a failure means stands in postgres_sqlstate.c; whatever it is,
 * nothing of its transaction stays, and a batch whose COMMIT was not confirmed can be sent again:
 * the rows are the same then.
 */
#ifndef KX_SINKS_POSTGRES_H
#define KX_SINKS_POSTGRES_H

#include "batch/sink.h"

extern const struct kx_sink_ops kx_postgres_ops;

#endif
