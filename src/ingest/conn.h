/*
 * One WebSocket connection to a Kismet server: libcurl connects (DNS, TCP, TLS, proxy), our own
 * handshake and deframer do the rest on the connected socket.
 *
 * Driven by the ingest loop: fds, ready, tick; never blocks. Owns its curl handles and buffers.
 * Each connection has a multi handle to itself: libcurl regards a CONNECT_ONLY connection as idle
 * in its cache, and a cache that is shared throws it out when another transfer connects and it is
 * 118 s old or has bytes to read. One thread. Failure: `closed` is called once, with the cause;
 * afterwards the connection is idle and may be started again.
 *
 * Every connection has: 10 s from start to upgrade, a ping each 10 s, an end after 20 s without any
 * byte, an end when a write has not finished for 5 s. Only the newest ping is answered.
 */
#ifndef KX_INGEST_CONN_H
#define KX_INGEST_CONN_H

#include "ingest/endpoint.h"
#include "ingest/ws.h"
#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KX_CONN_FDS_MAX = 8 };

enum kx_conn_cause {
    KX_CONN_CLOSED,    /* the peer closed */
    KX_CONN_REFUSED,   /* could not connect, or the server said no for now */
    KX_CONN_AUTH,      /* 401 */
    KX_CONN_NOT_FOUND, /* 404 */
    KX_CONN_PROTOCOL,  /* the peer broke HTTP or WebSocket */
    KX_CONN_TIMEOUT,   /* no upgrade in time */
    KX_CONN_SILENT,    /* no byte in time */
    KX_CONN_WRITE,     /* our bytes were not taken in time */
};

struct kx_conn_ops {
    /* Upgraded: subscriptions may be sent. */
    void (*opened)(void *context);
    /* A text, binary or skipped message; data is valid during the call. */
    void (*message)(void *context,
                    enum kx_ws_event event,
                    const struct kx_ws_message *message,
                    int64_t received_ns);
    /* The messages of one read have been given; bytes is what came. */
    void (*read_end)(void *context, size_t bytes);
    /* The end. partial: a message was incomplete. */
    void (*closed)(void *context,
                   enum kx_conn_cause cause,
                   bool partial,
                   const struct kx_error *err);
};

struct kx_conn;

/* path: "/devices/monitor.ws"; borrowed, as everything else, for the connection's life. */
enum kx_code kx_conn_create(struct kx_conn **ret_conn,
                            const struct kx_endpoint *endpoint,
                            const char *path,
                            const struct kx_conn_ops *ops,
                            void *context,
                            struct kx_error *err);
void kx_conn_destroy(struct kx_conn *conn);

/* Begins to connect. A failure here is reported by `closed` from the next tick. */
void kx_conn_start(struct kx_conn *conn, uint64_t now_ns);
/* Ends it without a word to the owner: no `closed` is called. */
void kx_conn_stop(struct kx_conn *conn);
/* For how long the answer that refused the upgrade asked us to stay away; 0 = it did not, or the
 * connection was stopped since. */
unsigned kx_conn_retry_after_s(const struct kx_conn *conn);
bool kx_conn_is_open(const struct kx_conn *conn);
/* Queues one text message (a subscription). Only when open. */
void kx_conn_send(struct kx_conn *conn, const char *text, size_t length);

/* What to wait for: up to KX_CONN_FDS_MAX entries. Returns how many. */
size_t kx_conn_fds(struct kx_conn *conn, struct curl_waitfd fds[KX_CONN_FDS_MAX]);
/* After the wait, with the same entries. */
void kx_conn_ready(struct kx_conn *conn,
                   const struct curl_waitfd *fds,
                   size_t count,
                   uint64_t now_ns);
/* Deadlines and timers. Returns the next time it wants to be called (CLOCK_BOOTTIME ns), UINT64_MAX
 * = never, 0 = at once: there is more to read. */
uint64_t kx_conn_tick(struct kx_conn *conn, uint64_t now_ns);

#endif
