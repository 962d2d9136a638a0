/*
 * The extra fields of the configuration (extra_fields) as columns of PostgreSQL's.
 *
 * Plain data, owned by the caller; names are borrowed from the configuration. Any thread.
 */
#ifndef KX_SINKS_POSTGRES_EXTRAS_H
#define KX_SINKS_POSTGRES_EXTRAS_H

#include "config/columns.h"
#include "sinks/postgres_tables.h"

struct kx_postgres_extra_set {
    struct kx_extra_columns columns;                        /* for reading records */
    struct kx_postgres_extra items[KX_POSTGRES_EXTRAS_MAX]; /* the same, for the tables */
};

/* None when the sink's `fields` leave `extra` out. The answer borrows set. */
struct kx_postgres_extras kx_postgres_extras_get(struct kx_postgres_extra_set *set,
                                                 const struct kx_config *config,
                                                 const struct kx_sink_config *sink);

#endif
