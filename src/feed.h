/*
 * What the stats port and the watchdog are fed with: the program's parts, as stats/feed.h wants
 * them.
 *
 * Owns the lists; borrows everything that they point to, which outlives it. The main thread's.
 */
#ifndef KX_FEED_H
#define KX_FEED_H

#include "batch/pipe.h"
#include "config/config.h"
#include "ingest/loop.h"
#include "stats/feed.h"
#include "stats/server.h"

struct kx_feed_parts {
    const struct kx_config *config;
    struct kx_board *board;
    const struct kx_ring *ring;
    const struct kx_loop *loop;
    struct kx_pipe *const *pipes;       /* one of each sink */
    struct kx_counters *const *sources; /* a block a source */
    const struct kx_counters *process, *main;
};

/* *ret_feed is destroyed when nobody reads it any more. */
enum kx_code
kx_feed_create(struct kx_feed **ret_feed, const struct kx_feed_parts *parts, struct kx_error *err);
/* The stats thread is one that must move, too. Before any thread starts; NULL = it is gone, and
 * that is right. */
void kx_feed_serve(struct kx_feed *feed, const struct kx_server *server);
void kx_feed_destroy(struct kx_feed *feed); /* NULL-safe */

#endif
