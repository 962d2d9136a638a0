/*
 * Rows that are older than the configuration wants them: deleted a few at a time.
 *
 * Plain data in the sink; one thread, outside a transaction. A step is one short transaction that
 * deletes at most KX_POSTGRES_EXPIRE_ROWS rows and waits for nobody (rows that somebody has locked
 * are left for the next time); where the history is a hypertable of ours, whole chunks are dropped
 * instead. A step that fails is tried again after a minute: it costs no record. Time comes as an
 * argument; what is old the server's clock says.
 */
#ifndef KX_SINKS_POSTGRES_RETENTION_H
#define KX_SINKS_POSTGRES_RETENTION_H

#include "config/config.h"
#include "sinks/postgres_db.h"
#include "sinks/postgres_tables.h"

enum { KX_POSTGRES_EXPIRE_ROWS = 2000, KX_POSTGRES_EXPIRE_EVERY_S = 60 };

struct kx_postgres_retention {
    /* Set by the caller, borrowed. */
    const struct kx_retention_config *config;
    const struct kx_history_config *history;

    unsigned next;   /* enum kx_postgres_table: whose turn it is */
    uint64_t due_ns; /* boot clock; 0 = at once */
};

/* Bits (1u << enum kx_postgres_table) of the tables that are ever deleted from; 0 = retention is
 * off. */
uint32_t kx_postgres_retention_tables(const struct kx_postgres_retention *retention);
bool kx_postgres_retention_due(const struct kx_postgres_retention *retention, uint64_t now_ns);
/* Deletes the next few rows. *ret_rows says how many (of a hypertable, chunks); while there is more
 * it is due again at once. Otherwise than KX_SENT err says why, and the transaction is rolled back;
 * db may be closed. */
enum kx_outcome kx_postgres_retention_step(struct kx_postgres_retention *retention,
                                           struct kx_postgres_db *db,
                                           const struct kx_postgres_tables *tables,
                                           uint64_t now_ns,
                                           uint64_t *ret_rows,
                                           struct kx_error *err);

#endif
