/*
 * Columns of their own for the extra fields of the configuration, in the tables of devices.
 *
 * Like the schema they are only ever added; a column of that name that is there already is used
 * when its type fits. No state; one thread, outside of a transaction.
 */
#ifndef KX_SINKS_SQLITE_EXTRAS_H
#define KX_SINKS_SQLITE_EXTRAS_H

#include "record/extra.h"
#include "sinks/sqlite_db.h"

/* Adds what is missing. KX_HOLD when a column is there with another type. */
enum kx_outcome kx_sqlite_extras_apply(struct kx_sqlite_db *db,
                                       const struct kx_extra_columns *columns,
                                       struct kx_error *err);
/* Only looks: how many are missing, or KX_HOLD as above. */
enum kx_outcome kx_sqlite_extras_missing(struct kx_sqlite_db *db,
                                         const struct kx_extra_columns *columns,
                                         unsigned *ret_missing,
                                         struct kx_error *err);

#endif
