/*
 * The stats port: a thread with an HTTP server (libwebsockets) that shows what the program does.
 *
 *   /metrics      Prometheus' text format 0.0.4, or OpenMetrics when Accept asks for it
 *   /healthz      200 while every thread moves, else 503 and which does not
 *   /readyz       200 while every source and sink is well, else 503 and the reasons
 *   /status.json  everything, with the last ten minutes
 *   /             the page
 *
 * Owns its socket, its libwebsockets context and its thread; borrows the feed. create (which
 * binds), start, stop, destroy are the main thread's; create before any thread starts. Nothing of
 * the record path waits for it: it only reads.
 *
 * Strangers may connect, so everything has a limit: GET and HEAD only, 4 KiB of headers, 8
 * connections, each over after 5 s, whatever it is doing, one answer each; what is turned away is
 * counted (stats_connections_closed_total). With a token all but / and /healthz, which tell
 * nothing, want "Authorization: Bearer TOKEN".
 *
 *   state   written by   read by     ordered by
 *   stop    main         stats       release, acquire; lws_cancel_service wakes it
 *   alive   stats        any         itself
 */
#ifndef KX_STATS_SERVER_H
#define KX_STATS_SERVER_H

#include "base/error.h"
#include "stats/feed.h"
#include <stdbool.h>
#include <stdint.h>

struct kx_server;

struct kx_server_params {
    const struct kx_feed *feed;
    const char *listen;         /* stats/listen.h; not off */
    const char *token;          /* NULL = nobody is asked for one */
    const char *cert_file;      /* PEM; NULL = no TLS */
    const char *key_file;       /* PEM */
    const char *client_ca_file; /* PEM: clients need a certificate of it; NULL = they need none */
};

/* KX_ERR_UNAVAILABLE: it cannot listen there. KX_ERR_CONFIG: address or certificates are wrong. */
enum kx_code kx_server_create(struct kx_server **ret_server,
                              const struct kx_server_params *params,
                              struct kx_error *err);
/* Where it listens: "http://127.0.0.1:2502/". */
const char *kx_server_words(const struct kx_server *server);
enum kx_code kx_server_start(struct kx_server *server, struct kx_error *err);
/* Ends the thread and waits for it; NULL-safe. It waits for nobody else, so it does not hang. */
void kx_server_stop(struct kx_server *server);
/* NULL-safe. Not started, or stopped. */
void kx_server_destroy(struct kx_server *server);
/* Until when the thread may stay silent (boot clock). `of` is the server: a kx_feed_ask. */
uint64_t kx_server_alive_ns(const void *of);

#endif
