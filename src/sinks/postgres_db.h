/*
 * One connection to a PostgreSQL server: opened and closed, kept within a call's limits, and what
 * each failure means for the engine.
 *
 * Owns the connection; zeroed memory is a closed one; one thread. libpq runs in non-blocking mode,
 * so that a readable stop_fd or a passed deadline ends every wait here within a moment: the
 * connection is closed then (not PQcancel, which waits for a hung server) and the server rolls back
 * by itself. Only looking up a host name cannot be interrupted. Every call that can fail answers as
 * a sink does (KX_SENT = done), fills err with the server, its words and the remedy, and leaves in
 * `sqlstate` what the server said, "" when it said nothing. A failure that another connection may
 * not have has closed this one; after the others the caller rolls back. Notices are swallowed, a
 * password never gets into err.
 */
#ifndef KX_SINKS_POSTGRES_DB_H
#define KX_SINKS_POSTGRES_DB_H

#include "batch/sink.h"
#include "sinks/postgres_sqlstate.h"
#include <libpq-fe.h>

enum { KX_POSTGRES_NAME_MAX = 160 };

struct kx_postgres_db {
    PGconn *handle;             /* NULL while closed */
    const struct kx_call *call; /* limits of the present call; NULL = none */
    /* Of the last failure: the SQLSTATE, and the row of the table that it found. */
    char sqlstate[KX_SQLSTATE_LENGTH + 1];
    const struct kx_postgres_fault *fault;
    char name[KX_POSTGRES_NAME_MAX]; /* "postgres db.example:5432/kismet": what errors call it */
    bool pooled;   /* something between us and the server shares sessions among its clients */
    unsigned turn; /* hosts that hung when we connected: the next attempt begins behind them */
};

/* Where to connect to, borrowed for the call. NULLs are allowed: libpq's own defaults (PG* in the
 * environment, .pgpass, service file) fill in what is not said. */
struct kx_postgres_target {
    const char *conninfo;  /* a URI or "key=value ..." */
    const char *password;  /* instead of what conninfo says */
    enum kx_switch pooler; /* auto: asks the server whether we have a session of our own */
};

/* Connects, unless it is connected, and checks that the database keeps UTF-8. */
enum kx_outcome kx_postgres_connect(struct kx_postgres_db *db,
                                    const struct kx_postgres_target *target,
                                    struct kx_error *err);
/* Whether conninfo can be read at all, without network: KX_ERR_CONFIG otherwise. */
enum kx_code kx_postgres_check(const char *conninfo, struct kx_error *err);
/* Safe when closed. An open transaction is rolled back by the server. */
void kx_postgres_close(struct kx_postgres_db *db);

/* Runs one statement or several with ; between them; results are thrown away. */
enum kx_outcome kx_postgres_exec(struct kx_postgres_db *db, const char *sql, struct kx_error *err);
/* The same, and keeps the results of the first `count` statements, to be PQclear'ed; all NULL after
 * a failure. A statement that gave none leaves NULL. */
enum kx_outcome kx_postgres_results(struct kx_postgres_db *db,
                                    const char *sql,
                                    PGresult **ret_results,
                                    size_t count,
                                    struct kx_error *err);
/* One statement with $1, $2, ... as texts (NULL = NULL); *ret_result (may be NULL: thrown away) is
 * the caller's to PQclear. */
enum kx_outcome kx_postgres_query(struct kx_postgres_db *db,
                                  const char *sql,
                                  const char *const *values,
                                  size_t count,
                                  PGresult **ret_result,
                                  struct kx_error *err);

/* COPY ... FROM STDIN: sql may have other statements before the COPY. Bytes given to put are at the
 * server, or in the socket's own buffer, when it returns. */
enum kx_outcome
kx_postgres_copy_begin(struct kx_postgres_db *db, const char *sql, struct kx_error *err);
enum kx_outcome kx_postgres_copy_put(struct kx_postgres_db *db,
                                     const char *bytes,
                                     size_t length,
                                     struct kx_error *err);
enum kx_outcome kx_postgres_copy_end(struct kx_postgres_db *db, struct kx_error *err);

/* Ends a transaction that is open without committing it; when that cannot be done at once the
 * connection is closed. err of an earlier failure stays as it is. */
void kx_postgres_rollback(struct kx_postgres_db *db);

/* Milliseconds that are left of the call, at least 1; 30 s when it has no deadline. */
int kx_postgres_left_ms(const struct kx_postgres_db *db);

#endif
