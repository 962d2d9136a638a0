/*
 * One open database file: opened and closed, kept within a call's limits, and what each of SQLite's
 * result codes means for the engine.
 *
 * Owns the connection; init/close in place; one thread. Every call that can fail answers as a sink
 * does (KX_SENT = done) and fills err with the file, SQLite's words and the remedy. SQLite waits
 * for a lock, and a long statement runs, until the call's deadline or stop_fd says so, and for a
 * lock at most five seconds.
 */
#ifndef KX_SINKS_SQLITE_DB_H
#define KX_SINKS_SQLITE_DB_H

#include "batch/sink.h"
#include <sqlite3.h>
#include <sys/types.h>

struct kx_sqlite_db {
    const char *path;           /* borrowed */
    sqlite3 *handle;            /* NULL while closed */
    const struct kx_call *call; /* limits of the present call; NULL = none */
    uint64_t busy_until_ns;
    dev_t device; /* of the file behind handle */
    ino_t inode;  /* 0 = not known */
    bool broken;  /* a result code said that the file is damaged: set it aside */
};

/* Opens the file, creating it, in WAL mode with synchronous=FULL. Does nothing when it is open. */
enum kx_outcome kx_sqlite_open(struct kx_sqlite_db *db, struct kx_error *err);
/* Statements must be finalized before. Safe when closed. */
void kx_sqlite_close(struct kx_sqlite_db *db);

/* Whether the path no longer leads to the open file: somebody moved, deleted or replaced it. */
bool kx_sqlite_moved(const struct kx_sqlite_db *db);
/* Brings everything committed home into the moved file and leaves no log behind under the old name,
 * which SQLite would apply to the next file of that name. Then close. */
void kx_sqlite_part(struct kx_sqlite_db *db);
/* Closes and renames a broken file, and its log with it, to <path>.corrupt-<UTC time>; the next
 * open makes a new one. KX_RETRY with that said in err (never KX_SENT), or KX_HOLD when the
 * renaming fails. */
enum kx_outcome kx_sqlite_set_aside(struct kx_sqlite_db *db, struct kx_error *err);

/* What to do about a result code, err filled. KX_SENT for OK, ROW and DONE. */
enum kx_outcome kx_sqlite_fault(struct kx_sqlite_db *db, int result, struct kx_error *err);

enum kx_outcome kx_sqlite_exec(struct kx_sqlite_db *db, const char *sql, struct kx_error *err);
enum kx_outcome kx_sqlite_prepare(struct kx_sqlite_db *db,
                                  const char *sql,
                                  sqlite3_stmt **ret_statement,
                                  struct kx_error *err);
/* Ends a transaction that is open without committing it. */
void kx_sqlite_rollback(struct kx_sqlite_db *db);

#endif
