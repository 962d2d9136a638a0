/* Taking a snapshot; how the account of a sink is made to balance stands in the header. */
#include "stats/snapshot.h"

#include "base/log.h"
#include <stdlib.h>
#include <string.h>

enum { READINGS_MAX = 64 };

void kx_snapshot_destroy(struct kx_snapshot *snapshot)
{
    if (snapshot == NULL)
        return;
    free(snapshot->sources);
    free(snapshot->sinks);
    free(snapshot->threads);
    kx_pulse_destroy(snapshot->pulse);
    free(snapshot);
}

enum kx_code kx_snapshot_create(struct kx_snapshot **ret_snapshot,
                                const struct kx_feed *feed,
                                uint64_t now_ns,
                                struct kx_error *err)
{
    struct kx_snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (snapshot != NULL) {
        snapshot->feed = feed;
        snapshot->started_ns = now_ns;
        /* One more than there are: calloc(0) may be NULL, and that is no failure. */
        snapshot->sources = calloc(feed->source_count + 1, sizeof *snapshot->sources);
        snapshot->sinks = calloc(feed->sink_count + 1, sizeof *snapshot->sinks);
        snapshot->threads = calloc(feed->thread_count + 1, sizeof *snapshot->threads);
    }
    if (snapshot == NULL || snapshot->sources == NULL || snapshot->sinks == NULL ||
        snapshot->threads == NULL) {
        kx_snapshot_destroy(snapshot);
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the statistics");
    }
    enum kx_code code = kx_pulse_create(&snapshot->pulse, feed, err);
    if (code != KX_OK) {
        kx_snapshot_destroy(snapshot);
        return code;
    }
    for (size_t i = 0; i < feed->source_count; i++)
        snapshot->sources[i].of = &feed->sources[i];
    for (size_t i = 0; i < feed->sink_count; i++)
        snapshot->sinks[i].of = &feed->sinks[i];
    for (size_t i = 0; i < feed->thread_count; i++)
        snapshot->threads[i].of = &feed->threads[i];
    *ret_snapshot = snapshot;
    return KX_OK;
}

/* --- gauges --- */

static void forget(double gauges[KX_GAUGES])
{
    for (size_t i = 0; i < KX_GAUGES; i++)
        gauges[i] = KX_UNKNOWN;
}

/* One of a row of gauges is 1, the others 0. */
static void choose(double gauges[KX_GAUGES], enum kx_gauge first, enum kx_gauge last, size_t chosen)
{
    for (size_t i = first; i <= last; i++)
        gauges[i] = i == (size_t)first + chosen ? 1 : 0;
}

static double time_of(int64_t wall_ns)
{
    return wall_ns > 0 ? (double)wall_ns / 1e9 : KX_UNKNOWN;
}

static void take_source(struct kx_snapshot_source *source, struct kx_board *board, size_t i)
{
    struct kx_source_status *status = &source->status;
    double *gauges = source->gauges;
    kx_board_source_get(board, i, status);
    memset(source->counters, 0, sizeof source->counters);
    kx_counters_add(source->of->counters, KX_SCOPE_SOURCE, source->counters);
    forget(gauges);
    choose(gauges, KX_G_SOURCE_CONNECTING, KX_G_SOURCE_ENDED, (size_t)status->state);
    choose(gauges, KX_G_MODE_AUTO, KX_G_MODE_REPLAY, (size_t)(source->of->mode - KX_G_MODE_AUTO));
    gauges[KX_G_LAST_CONTACT] = time_of(status->last_contact_ns);
    gauges[KX_G_CLOCK_SKEW] = status->skew_known ? status->clock_skew_s : KX_UNKNOWN;
    gauges[KX_G_DATASOURCES_RUNNING] =
        status->datasources_ok >= 0 ? status->datasources_ok : KX_UNKNOWN;
    gauges[KX_G_DATASOURCES_FAILED] =
        status->datasources_failed >= 0 ? status->datasources_failed : KX_UNKNOWN;
    gauges[KX_G_KISMET_DEVICES] = status->devices >= 0 ? (double)status->devices : KX_UNKNOWN;
    gauges[KX_G_KISMET_MEMORY] =
        status->memory_bytes > 0 ? (double)status->memory_bytes : KX_UNKNOWN;
    gauges[KX_G_SOURCE_INSECURE] = source->of->tls_insecure;
}

/* --- the account --- */

struct reading {
    uint64_t counters[KX_COUNTERS];
    uint64_t pending;
};

static void read_sink(const struct kx_feed_sink *sink, struct reading *ret)
{
    memset(ret->counters, 0, sizeof ret->counters);
    kx_counters_add(sink->sender, KX_SCOPE_SENDER, ret->counters);
    kx_counters_add(sink->worker, KX_SCOPE_WORKER, ret->counters);
    ret->pending = sink->pending(sink->of);
}

static void take_account(struct kx_snapshot_sink *sink)
{
    struct reading readings[2];
    read_sink(sink->of, &readings[0]);
    sink->torn = true;
    size_t last = 0;
    for (size_t i = 1; i < READINGS_MAX && sink->torn; i++) {
        last = i % 2;
        read_sink(sink->of, &readings[last]);
        sink->torn = memcmp(&readings[0], &readings[1], sizeof readings[0]) != 0;
    }
    memcpy(sink->counters, readings[last].counters, sizeof sink->counters);
    sink->pending = readings[last].pending;
}

static void take_sink(struct kx_snapshot_sink *sink, struct kx_board *board, size_t i)
{
    take_account(sink);
    kx_board_sink_get(board, i, &sink->status);
    forget(sink->gauges);
    choose(sink->gauges, KX_G_SINK_STARTING, KX_G_SINK_GONE, (size_t)sink->status.state);
    sink->gauges[KX_G_SINK_INSECURE] = sink->of->tls_insecure;
    sink->gauges[KX_G_PENDING] = (double)sink->pending;
    sink->gauges[KX_G_LAST_DELIVERY] = time_of(sink->status.last_delivery_ns);
    for (size_t h = 0; h < KX_HISTOGRAMS; h++)
        kx_histogram_copy(sink->of->histograms, (enum kx_histogram)h, &sink->histograms[h]);
}

void kx_snapshot_account(const struct kx_snapshot_sink *sink, struct kx_snapshot_account *ret)
{
    *ret = (struct kx_snapshot_account){.pending = sink->pending};
    for (size_t i = 0; i < KX_COUNTERS; i++) {
        const char *metric = kx_counter_infos[i].metric;
        uint64_t value = sink->counters[i];
        if (strncmp(metric, "records_", 8) != 0)
            continue;
        if (strcmp(metric, "records_received_total") == 0)
            ret->received += value;
        else if (strcmp(metric, "records_filtered_total") == 0)
            ret->filtered += value;
        else if (strcmp(metric, "records_unchanged_total") == 0)
            ret->unchanged += value;
        else if (strcmp(metric, "records_coalesced_total") == 0)
            ret->coalesced += value;
        else if (strcmp(metric, "records_delivered_total") == 0)
            ret->delivered += value;
        else if (strcmp(metric, "records_dropped_total") == 0)
            ret->dropped += value;
        else if (strcmp(metric, "records_dead_lettered_total") == 0)
            ret->dead_lettered += value;
    }
}

/* --- the process --- */

static void take_cpu(struct kx_snapshot *snapshot)
{
    struct kx_process_thread running[KX_PROCESS_THREADS_MAX];
    size_t count = kx_process_threads(running);
    for (size_t i = 0; i < snapshot->feed->thread_count; i++) {
        struct kx_snapshot_thread *thread = &snapshot->threads[i];
        thread->cpu_known = false;
        for (size_t j = 0; j < count; j++) {
            /* The kernel cut the name. */
            if (strncmp(running[j].name, thread->of->name, KX_PROCESS_NAME_MAX - 1) != 0)
                continue;
            thread->cpu_known = true;
            thread->cpu_s = running[j].cpu_s;
        }
    }
}

void kx_snapshot_take_threads(struct kx_snapshot *snapshot, uint64_t now_ns)
{
    kx_pulse_look(snapshot->pulse, now_ns);
    for (size_t i = 0; i < snapshot->feed->thread_count; i++)
        snapshot->threads[i].late_ns = snapshot->pulse->threads[i].late_ns;
}

static void take_process(struct kx_snapshot *snapshot)
{
    const struct kx_feed *feed = snapshot->feed;
    double *gauges = snapshot->gauges;
    memset(snapshot->counters, 0, sizeof snapshot->counters);
    kx_counters_add(feed->process, KX_SCOPE_PROCESS, snapshot->counters);
    kx_counters_add(feed->main, KX_SCOPE_MAIN, snapshot->counters);
    if (snapshot->stats != NULL)
        kx_counters_add(snapshot->stats, KX_SCOPE_STATS, snapshot->counters);
    kx_board_reload_get(feed->board, &snapshot->reload);
    kx_process_usage(&snapshot->usage);
    forget(gauges);
    gauges[KX_G_RING_USED] = (double)feed->ring_used(feed->ring);
    gauges[KX_G_RING_CAPACITY] = (double)feed->ring_capacity;
    gauges[KX_G_DEVICES_TRACKED] = (double)feed->devices(feed->registry);
    gauges[KX_G_DEVICES_MAX] = (double)feed->devices_max;
    /* What the program was started with was read, too. */
    bool reloaded = snapshot->reload.last_ns > 0;
    gauges[KX_G_RELOAD_OK] = !reloaded || snapshot->reload.ok ? 1 : 0;
    gauges[KX_G_RELOAD_TIME] =
        reloaded ? time_of(snapshot->reload.last_ns) : snapshot->usage.started_s;
    gauges[KX_G_LOG_LOST] = (double)kx_log_lost();
}

void kx_snapshot_take(struct kx_snapshot *snapshot, uint64_t now_ns, int64_t wall_ns)
{
    const struct kx_feed *feed = snapshot->feed;
    snapshot->now_ns = now_ns;
    snapshot->wall_ns = wall_ns;
    for (size_t i = 0; i < feed->source_count; i++)
        take_source(&snapshot->sources[i], feed->board, i);
    for (size_t i = 0; i < feed->sink_count; i++)
        take_sink(&snapshot->sinks[i], feed->board, i);
    take_process(snapshot);
    kx_snapshot_take_threads(snapshot, now_ns);
    take_cpu(snapshot);
}

/* --- verdicts --- */

bool kx_snapshot_source_well(const struct kx_snapshot_source *source)
{
    return source->status.state == KX_SOURCE_STREAMING ||
           source->status.state == KX_SOURCE_POLLING || source->status.state == KX_SOURCE_ENDED;
}

bool kx_snapshot_sink_well(const struct kx_snapshot_sink *sink)
{
    return sink->status.state == KX_SINK_STARTING || sink->status.state == KX_SINK_OK;
}
