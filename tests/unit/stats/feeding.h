/* A feed without a program behind it: two sources, two sinks, two threads. */
#ifndef FEEDING_H
#define FEEDING_H

#include "stats/feed.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct feeding {
    struct kx_feed feed;
    struct kx_feed_source sources[2];
    struct kx_feed_sink sinks[2];
    struct kx_feed_thread threads[2];
    struct kx_counters *blocks[8];
    struct kx_histograms *histograms[2];
    uint64_t pending[2], alive[2], ring, devices;
};

static inline uint64_t feeding_answer(const void *of)
{
    const uint64_t *value = of;
    return *value;
}

static inline struct kx_counters *feeding_block(struct feeding *f, size_t i)
{
    f->blocks[i] = kx_counters_create();
    assert_non_null(f->blocks[i]);
    return f->blocks[i];
}

/* hostile: what a name with quotes and line breaks becomes. */
static inline void feeding_init(struct feeding *f, const char *hostile)
{
    memset(f, 0, sizeof *f);
    f->alive[0] = f->alive[1] = UINT64_MAX;
    f->sources[0] = (struct kx_feed_source){
        .name = "attic", .mode = KX_G_MODE_AUTO, .counters = feeding_block(f, 0)};
    f->sources[1] = (struct kx_feed_source){.name = hostile,
                                            .mode = KX_G_MODE_POLL,
                                            .tls_insecure = true,
                                            .counters = feeding_block(f, 1)};
    for (size_t i = 0; i < 2; i++) {
        f->histograms[i] = kx_histograms_create();
        assert_non_null(f->histograms[i]);
        f->sinks[i] = (struct kx_feed_sink){.name = i == 0 ? "db" : "lines",
                                            .type = i == 0 ? "sqlite" : "console",
                                            .worker = feeding_block(f, 2 + 2 * i),
                                            .sender = feeding_block(f, 3 + 2 * i),
                                            .histograms = f->histograms[i],
                                            .pending = feeding_answer,
                                            .of = &f->pending[i]};
        f->threads[i] = (struct kx_feed_thread){
            .name = i == 0 ? "ingest" : "w:db", .alive_ns = feeding_answer, .of = &f->alive[i]};
    }
    f->feed = (struct kx_feed){.sensor = "vm",
                               .sources = f->sources,
                               .source_count = 2,
                               .sinks = f->sinks,
                               .sink_count = 2,
                               .threads = f->threads,
                               .thread_count = 2,
                               .process = feeding_block(f, 6),
                               .main = feeding_block(f, 7),
                               .ring_used = feeding_answer,
                               .ring = &f->ring,
                               .ring_capacity = 16 << 20,
                               .devices = feeding_answer,
                               .registry = &f->devices,
                               .devices_max = 200000};
    assert_int_equal(kx_board_create(&f->feed.board, 2, 2, NULL), KX_OK);
}

static inline void feeding_fini(struct feeding *f)
{
    kx_board_destroy(f->feed.board);
    for (size_t i = 0; i < 8; i++)
        kx_counters_destroy(f->blocks[i]);
    for (size_t i = 0; i < 2; i++)
        kx_histograms_destroy(f->histograms[i]);
}

static inline void
feeding_source(struct feeding *f, size_t i, enum kx_source_state state, const char *text)
{
    struct kx_source_status status;
    kx_board_source_get(f->feed.board, i, &status);
    status.state = state;
    snprintf(status.text, sizeof status.text, "%s", text);
    kx_board_source_set(f->feed.board, i, &status);
}

static inline void
feeding_sink(struct feeding *f, size_t i, enum kx_sink_state state, const char *text)
{
    struct kx_sink_status status;
    kx_board_sink_get(f->feed.board, i, &status);
    status.state = state;
    snprintf(status.text, sizeof status.text, "%s", text);
    kx_board_sink_set(f->feed.board, i, &status);
}

#endif
