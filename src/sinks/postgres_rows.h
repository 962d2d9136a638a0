/*
 * Batches as transactions: into the temporary tables by COPY, from there into ours, committed.
 *
 * Owns the texts of its statements and one block of COPY data; prepare/fini in place; one thread.
 * Every failure leaves the transaction to the caller's kx_postgres_rollback. Counts are of the
 * last write, for the caller to add up when it succeeded.
 */
#ifndef KX_SINKS_POSTGRES_ROWS_H
#define KX_SINKS_POSTGRES_ROWS_H

#include "sinks/postgres_copy.h"
#include "sinks/postgres_db.h"
#include "sinks/postgres_sql.h"

struct kx_postgres_rows {
    /* Set by the caller. */
    struct kx_postgres_sql_params params;
    enum kx_mac_case mac_case;
    enum kx_compat compat;
    const struct kx_extra_columns *extra_columns; /* of params.extras */

    uint64_t stale;        /* devices that the table knew newer */
    uint64_t known;        /* events that the table had */
    uint64_t out_of_range; /* numbers that were left out */

    const struct kx_postgres_tables *tables; /* as prepare had them */
    struct kx_postgres_sql sql;
    struct kx_postgres_copy copy;
    struct kx_buf block;
    bool ready;
};

/* For a new connection whose tables are these; they are borrowed until fini. */
enum kx_outcome kx_postgres_rows_prepare(struct kx_postgres_rows *rows,
                                         struct kx_postgres_db *db,
                                         const struct kx_postgres_tables *tables,
                                         struct kx_error *err);
/* The settings stay. Safe when not prepared. */
void kx_postgres_rows_fini(struct kx_postgres_rows *rows);

/* One transaction: the batch's records that are not done (NULL = none), and what the board says of
 * the sources as a JSON array (NULL = nothing). KX_REJECTED is the records' fault alone. */
enum kx_outcome kx_postgres_rows_write(struct kx_postgres_rows *rows,
                                       struct kx_postgres_db *db,
                                       const struct kx_batch *batch,
                                       const char *sources,
                                       struct kx_error *err);

#endif
