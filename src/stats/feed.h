/*
 * What the program shows of itself: blocks and questions that main lends the stats thread.
 *
 * stats/ knows neither sinks nor sources: main fills this in once, before the threads start, and
 * nothing of it changes or goes away while the stats thread runs. Every block may be read, and
 * every function called, by the stats thread at any time; they answer at once and lock nothing that
 * the record path locks.
 */
#ifndef KX_STATS_FEED_H
#define KX_STATS_FEED_H

#include "stats/board.h"
#include "stats/counters.h"
#include "stats/histogram.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t kx_feed_ask(const void *of);

struct kx_feed_source { /* as many as the board has, in its order */
    const char *name;
    enum kx_gauge mode; /* KX_G_MODE_... */
    bool tls_insecure;
    const struct kx_counters *counters;
};

struct kx_feed_sink { /* as many as the board has, in its order */
    const char *name, *type;
    bool tls_insecure;
    const struct kx_counters *worker, *sender;
    const struct kx_histograms *histograms; /* the sender's */
    kx_feed_ask *pending;
    const void *of;
};

struct kx_feed_thread {
    const char *name;
    kx_feed_ask *alive_ns; /* until when it may stay silent (boot clock); UINT64_MAX = for ever */
    const void *of;
};

struct kx_feed {
    const char *sensor;
    struct kx_board *board;
    const struct kx_feed_source *sources;
    size_t source_count;
    const struct kx_feed_sink *sinks;
    size_t sink_count;
    const struct kx_feed_thread *threads;
    size_t thread_count;
    const struct kx_counters *process, *main;
    kx_feed_ask *ring_used; /* bytes */
    const void *ring;
    uint64_t ring_capacity;
    kx_feed_ask *devices; /* remembered */
    const void *registry;
    uint64_t devices_max;
};

#endif
