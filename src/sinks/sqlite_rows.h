/*
 * Records as rows: the prepared statements of one connection and what is bound to them.
 *
 * Which row wins is decided in the statements themselves: the newest observation, or a new life of
 * the device at the same source; a row in which nothing changed is not written. Owns the
 * statements; prepare/fini in place; one thread, inside the caller's transaction. Counts are of
 * this transaction, for the caller to add up once it is committed.
 */
#ifndef KX_SINKS_SQLITE_ROWS_H
#define KX_SINKS_SQLITE_ROWS_H

#include "record/extra.h"
#include "sinks/sqlite_db.h"

struct kx_sqlite_rows {
    /* Set by the caller. */
    enum kx_mac_case mac_case;
    uint32_t fields; /* bit (1 << enum kx_field): columns that are written; keys always are */
    bool per_source;
    const struct kx_history_config *history; /* borrowed */
    struct kx_extra_columns extras;          /* columns of their own; none without `extra` */

    int64_t now_ns; /* wall clock of this transaction */
    uint64_t stale; /* devices that the table knew newer */
    uint64_t known; /* events that the table had */

    sqlite3_stmt *device, *device_source, *history_row, *event, *source; /* NULL until prepared */
    sqlite3_stmt *is_stale, *earlier, *expire;

    struct kx_extra_value extra_values[KX_EXTRA_COLUMNS_MAX]; /* of the present record */
    char extra_room[KX_EXTRA_BYTES_MAX];                      /* their texts */
};

/* Prepares all statements for an open connection whose schema is applied. */
enum kx_outcome
kx_sqlite_rows_prepare(struct kx_sqlite_rows *rows, struct kx_sqlite_db *db, struct kx_error *err);
/* Finalizes them; the settings stay. Safe when not prepared. */
void kx_sqlite_rows_fini(struct kx_sqlite_rows *rows);

/* Starts the counts of a transaction. */
void kx_sqlite_rows_begin(struct kx_sqlite_rows *rows, int64_t now_ns);
/* A device or event; a SQLite result code, SQLITE_DONE when all is well. A device without a MAC,
 * which is the tables' key, is SQLITE_MISMATCH. */
int kx_sqlite_rows_record(struct kx_sqlite_rows *rows, const struct kx_record *record);
/* What the board says of a source. */
int kx_sqlite_rows_source(struct kx_sqlite_rows *rows, const struct kx_source_status *status);
/* Deletes up to KX_SQLITE_EXPIRE_ROWS rows of history that are older than the retention. */
enum { KX_SQLITE_EXPIRE_ROWS = 1000 };
int kx_sqlite_rows_expire(struct kx_sqlite_rows *rows, int *ret_deleted);

#endif
