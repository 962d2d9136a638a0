/* Wiring of the stats port: who is asked for what. */
#include "feed.h"

#include "stats/process.h"
#include <stdio.h>
#include <stdlib.h>

enum { THREAD_NAME_MAX = KX_NAME_BYTES_MAX + 4, NOT_OF_SINKS = 3, STATS_THREAD = 1 };

struct lists {
    struct kx_feed feed; /* first: what is handed out */
    struct kx_feed_source *sources;
    struct kx_feed_sink *sinks;
    struct kx_feed_thread *threads;
    char (*names)[THREAD_NAME_MAX]; /* of the threads */
};

static uint64_t ask_ring(const void *of)
{
    return kx_ring_fill(of);
}

static uint64_t ask_devices(const void *of)
{
    return kx_loop_devices(of);
}

static uint64_t ask_ingest(const void *of)
{
    return kx_loop_alive_ns(of);
}

static uint64_t ask_worker(const void *of)
{
    return kx_pipe_worker_alive_ns(of);
}

static uint64_t ask_sender(const void *of)
{
    return kx_pipe_sender_alive_ns(of);
}

/* Main, which feeds the watchdog: who does not, starves it. And a stats thread that is not there.
 */
static uint64_t ask_nobody(const void *of)
{
    (void)of;
    return UINT64_MAX;
}

static uint64_t ask_pending(const void *of)
{
    return kx_pipe_pending(of);
}

static enum kx_gauge mode_of(const struct kx_config *config, const struct kx_source_config *source)
{
    if (config->command == KX_COMMAND_REPLAY)
        return KX_G_MODE_REPLAY;
    switch (source->mode) {
    case KX_MODE_AUTO:
        break;
    case KX_MODE_MONITOR:
        return KX_G_MODE_MONITOR;
    case KX_MODE_POLL:
        return KX_G_MODE_POLL;
    }
    return KX_G_MODE_AUTO;
}

static void fill_thread(
    struct lists *lists, const char *kind, const char *name, kx_feed_ask *ask, const void *of)
{
    size_t at = lists->feed.thread_count++;
    snprintf(lists->names[at], THREAD_NAME_MAX, "%s%s", kind, name);
    lists->threads[at] =
        (struct kx_feed_thread){.name = lists->names[at], .alive_ns = ask, .of = of};
}

static void fill(struct lists *lists, const struct kx_feed_parts *parts)
{
    const struct kx_config *config = parts->config;
    for (size_t i = 0; i < config->source_count; i++)
        lists->sources[i] = (struct kx_feed_source){.name = config->sources[i].name,
                                                    .mode = mode_of(config, &config->sources[i]),
                                                    .tls_insecure = config->sources[i].tls.insecure,
                                                    .counters = parts->sources[i]};
    fill_thread(lists, "", KX_PROCESS_MAIN, ask_nobody, NULL);
    fill_thread(lists, "", "stats", ask_nobody, NULL); /* see kx_feed_serve */
    fill_thread(lists, "", "ingest", ask_ingest, parts->loop);
    for (size_t i = 0; i < config->sink_count; i++) {
        const struct kx_pipe *pipe = parts->pipes[i];
        const struct kx_sink_config *sink = &config->sinks[i];
        lists->sinks[i] = (struct kx_feed_sink){.name = sink->name,
                                                .type = kx_sink_type_name(sink->type),
                                                .tls_insecure = sink->tls.insecure,
                                                .worker = kx_pipe_worker_counters(pipe),
                                                .sender = kx_pipe_sender_counters(pipe),
                                                .histograms = kx_pipe_histograms(pipe),
                                                .pending = ask_pending,
                                                .of = pipe};
        fill_thread(lists, "w:", sink->name, ask_worker, pipe);
        fill_thread(lists, "s:", sink->name, ask_sender, pipe);
    }
}

enum kx_code
kx_feed_create(struct kx_feed **ret_feed, const struct kx_feed_parts *parts, struct kx_error *err)
{
    const struct kx_config *config = parts->config;
    size_t threads = 2 * config->sink_count + NOT_OF_SINKS;
    struct lists *lists = calloc(1, sizeof *lists);
    if (lists != NULL) {
        lists->sources = calloc(config->source_count + 1, sizeof *lists->sources);
        lists->sinks = calloc(config->sink_count + 1, sizeof *lists->sinks);
        lists->threads = calloc(threads, sizeof *lists->threads);
        lists->names = calloc(threads, sizeof *lists->names);
    }
    if (lists == NULL || lists->sources == NULL || lists->sinks == NULL || lists->threads == NULL ||
        lists->names == NULL) {
        kx_feed_destroy(lists == NULL ? NULL : &lists->feed);
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the statistics");
    }
    lists->feed = (struct kx_feed){.sensor = config->sensor,
                                   .board = parts->board,
                                   .sources = lists->sources,
                                   .source_count = config->source_count,
                                   .sinks = lists->sinks,
                                   .sink_count = config->sink_count,
                                   .threads = lists->threads,
                                   .process = parts->process,
                                   .main = parts->main,
                                   .ring_used = ask_ring,
                                   .ring = parts->ring,
                                   .ring_capacity = kx_ring_capacity(parts->ring),
                                   .devices = ask_devices,
                                   .registry = parts->loop,
                                   .devices_max = config->max_devices};
    fill(lists, parts);
    *ret_feed = &lists->feed;
    return KX_OK;
}

void kx_feed_serve(struct kx_feed *feed, const struct kx_server *server)
{
    struct lists *lists = (struct lists *)(void *)feed;
    struct kx_feed_thread *thread = &lists->threads[STATS_THREAD];
    thread->alive_ns = server == NULL ? ask_nobody : kx_server_alive_ns;
    thread->of = server;
}

void kx_feed_destroy(struct kx_feed *feed)
{
    struct lists *lists = (struct lists *)(void *)feed;
    if (lists == NULL)
        return;
    free(lists->sources);
    free(lists->sinks);
    free(lists->threads);
    free(lists->names);
    free(lists);
}
