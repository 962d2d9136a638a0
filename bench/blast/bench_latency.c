/*
 * R9: from the time at which a frame was due to the moment at which a sink had it confirmed, for
 * every record of every sink of a configuration. The program's own loop, ring, workers and senders;
 * only the sinks' `deliver` is watched from outside.
 *
 *   bench_latency CONFIG SECONDS     prints one JSON object; stops early with SIGTERM
 *
 * A frame's due time comes in its extra field `due_ns` (CLOCK_REALTIME). A record takes the moment
 * at which its batch was confirmed. Records without a due time are counted apart.
 */
#include "base/clock.h"
#include "batch/pipe.h"
#include "config/config.h"
#include "ingest/loop.h"
#include "sinks/sinks.h"
#include <curl/curl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SUB_BITS = 5, BUCKETS = 64 << SUB_BITS }; /* log-linear: an error of 3 % at most */

/* Counts of nanoseconds. */
struct histogram {
    uint64_t buckets[BUCKETS], count, max;
};

static unsigned bucket_of(uint64_t ns)
{
    if (ns < 1u << SUB_BITS)
        return (unsigned)ns;
    unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - SUB_BITS;
    return (unsigned)((shift + 1) << SUB_BITS) + (unsigned)(ns >> shift & ((1u << SUB_BITS) - 1));
}

static uint64_t upper_of(unsigned bucket)
{
    if (bucket < 2u << SUB_BITS)
        return bucket;
    unsigned shift = (bucket >> SUB_BITS) - 1;
    return ((uint64_t)(bucket & ((1u << SUB_BITS) - 1)) + (1u << SUB_BITS) + 1) << shift;
}

static void observe(struct histogram *histogram, uint64_t ns)
{
    histogram->buckets[bucket_of(ns)]++;
    histogram->count++;
    histogram->max = ns > histogram->max ? ns : histogram->max;
}

static double quantile_s(const struct histogram *histogram, double q)
{
    uint64_t wanted = (uint64_t)(q * (double)histogram->count), seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > wanted)
            return (double)(upper_of(i) < histogram->max ? upper_of(i) : histogram->max) / 1e9;
    }
    return (double)histogram->max / 1e9;
}

/* --- a sink that is watched --- */

struct watch {
    const struct kx_sink_ops *ops;
    void *self;
    struct histogram latency; /* due to confirmed */
    struct histogram call;    /* of one confirmed deliver */
    uint64_t records, without_due, batches;
};

static struct watch watches[KX_SINKS_MAX]; /* each its sender's; read after the join */
static size_t watch_count;

static enum kx_code watch_open(const struct kx_sink_config *config,
                               const struct kx_sink_env *env,
                               void **ret_self,
                               struct kx_error *err)
{
    struct watch *watch = &watches[watch_count++]; /* by main, in the order of the sinks */
    watch->ops = kx_sinks_find(config->type);
    *ret_self = watch;
    return watch->ops->open(config, env, &watch->self, err);
}

static uint64_t due_of(const struct kx_record *record)
{
    static const char key[] = "\"due_ns\":";
    if (record->kind != KX_KIND_DEVICE || !kx_record_has(record, KX_F_EXTRA))
        return 0;
    struct kx_text extra = kx_record_device(record)->extra;
    const char *at = memmem(kx_record_text(record, extra), extra.length, key, sizeof key - 1);
    return at == NULL ? 0 : strtoull(at + sizeof key - 1, NULL, 10); /* '}' stands behind it */
}

static enum kx_outcome
watch_deliver(void *self, struct kx_batch *batch, const struct kx_call *call, struct kx_error *err)
{
    struct watch *watch = self;
    uint64_t begun_ns = kx_clock_boot_ns();
    enum kx_outcome outcome = watch->ops->deliver(watch->self, batch, call, err);
    if (outcome != KX_SENT)
        return outcome;
    uint64_t now_ns = (uint64_t)kx_clock_wall_ns();
    observe(&watch->call, kx_clock_boot_ns() - begun_ns);
    watch->batches++;
    for (uint32_t i = batch->first; i < batch->end; i++) {
        uint64_t due_ns = due_of(kx_batch_record(batch, i));
        watch->records++;
        if (due_ns == 0)
            watch->without_due++;
        else
            observe(&watch->latency, now_ns > due_ns ? now_ns - due_ns : 0);
    }
    return outcome;
}

static enum kx_outcome watch_idle(void *self, const struct kx_call *call, struct kx_error *err)
{
    struct watch *watch = self;
    return watch->ops->idle == NULL ? KX_SENT : watch->ops->idle(watch->self, call, err);
}

static void watch_close(void *self)
{
    struct watch *watch = self;
    if (watch != NULL)
        watch->ops->close(watch->self);
}

/* --- the program without its signals and its port --- */

static void die(const char *what)
{
    fprintf(stderr, "bench_latency: %s\n", what);
    exit(1);
}

static struct kx_pipe *make_pipe(const struct kx_config *config,
                                 size_t i,
                                 struct kx_ring *ring,
                                 struct kx_board *board,
                                 const struct kx_counters *process)
{
    static struct kx_sink_ops ops[KX_SINKS_MAX];
    struct kx_pipe *pipe = NULL;
    struct kx_error err;
    ops[i] = *kx_sinks_find(config->sinks[i].type);
    ops[i].open = watch_open;
    ops[i].deliver = watch_deliver;
    ops[i].idle = watch_idle;
    ops[i].probe = NULL;
    ops[i].close = watch_close;
    const struct kx_pipe_params params = {.config = config,
                                          .sink = &config->sinks[i],
                                          .ops = &ops[i],
                                          .board = board,
                                          .index = i,
                                          .ring = ring,
                                          .reader = (unsigned)i,
                                          .process = process};
    if (kx_pipe_create(&pipe, &params, &err) != KX_OK || kx_pipe_start(pipe, &err) != KX_OK)
        die(err.text);
    return pipe;
}

static void print_quantiles(const char *name, const struct histogram *histogram)
{
    printf("\"%s\": {\"count\": %" PRIu64 ", \"p50\": %.6f, \"p90\": %.6f, \"p99\": %.6f, "
           "\"p999\": %.6f, \"max\": %.6f}",
           name, histogram->count, quantile_s(histogram, 0.5), quantile_s(histogram, 0.9),
           quantile_s(histogram, 0.99), quantile_s(histogram, 0.999), (double)histogram->max / 1e9);
}

static bool print_sink(const struct kx_config *config, size_t i, const struct kx_pipe *pipe)
{
    const struct watch *watch = &watches[i];
    struct kx_sink_totals totals = kx_pipe_totals(pipe);
    char line[KX_TOTALS_LINE_MAX];
    kx_sink_totals_line(&totals, line);
    printf("%s{\"sink\": \"%s\", \"interval_s\": %.3f, ", i > 0 ? ", " : "", config->sinks[i].name,
           (double)config->sinks[i].batch.interval_ns / 1e9);
    print_quantiles("latency_s", &watch->latency);
    printf(", ");
    print_quantiles("deliver_s", &watch->call);
    printf(", \"records\": %" PRIu64 ", \"without_due\": %" PRIu64 ", \"batches\": %" PRIu64
           ", \"account\": \"%s\", \"balances\": %s}",
           watch->records, watch->without_due, watch->batches, line,
           kx_conservation(&totals) ? "true" : "false");
    return kx_conservation(&totals);
}

static struct kx_counters **make_counters(size_t count)
{
    struct kx_counters **blocks = calloc(count, sizeof *blocks);
    for (size_t i = 0; blocks != NULL && i < count; i++)
        if ((blocks[i] = kx_counters_create()) == NULL)
            die("no memory");
    return blocks;
}

int main(int argc, char **argv)
{
    static struct kx_pipe *pipes[KX_SINKS_MAX];
    char flag[] = "--config", name[] = "kismet-export";
    if (argc != 3 || atoi(argv[2]) < 1) {
        fprintf(stderr, "usage: bench_latency CONFIG SECONDS\n");
        return 64;
    }
    char *arguments[] = {name, flag, argv[1], NULL};
    struct kx_config *config = NULL;
    struct kx_ring *ring = NULL;
    struct kx_board *board = NULL;
    struct kx_loop *loop = NULL;
    struct kx_error err;
    bool done = false;
    sigset_t signals;
    sigfillset(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (kx_config_load(3, arguments, &config, &done, &err) != KX_OK)
        die(err.text);
    struct kx_counters **sources = make_counters(config->source_count);
    struct kx_counters **process = make_counters(1);
    if (sources == NULL || process == NULL ||
        kx_board_create(&board, config->source_count, config->sink_count, &err) != KX_OK ||
        kx_ring_create(&ring, config->ring_bytes, (unsigned)config->sink_count, 0, &err) != KX_OK)
        die("no memory");
    for (size_t i = 0; i < config->sink_count; i++)
        pipes[i] = make_pipe(config, i, ring, board, process[0]);
    if (kx_loop_create(&loop, config, ring, board, sources, process[0], &err) != KX_OK ||
        kx_loop_start(loop, &err) != KX_OK)
        die(err.text);
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigaddset(&term, SIGINT);
    sigtimedwait(&term, NULL, &(struct timespec){.tv_sec = atoi(argv[2])});
    kx_loop_stop(loop);
    uint64_t end_ns = kx_clock_boot_ns() + 10 * KX_NS_PER_S;
    bool good = kx_loop_join(loop, end_ns);
    printf("{\"ring_refused\": %" PRIu64 ", \"sinks\": [",
           kx_counter_get(process[0], KX_C_RING_REFUSED_DEVICE));
    for (size_t i = 0; i < config->sink_count; i++) {
        kx_pipe_stop(pipes[i], end_ns, end_ns);
        good = kx_pipe_join(pipes[i], end_ns + 5 * KX_NS_PER_S, &err) == KX_OK && good;
        good = print_sink(config, i, pipes[i]) && good;
    }
    printf("]}\n");
    return good ? 0 : 1; /* the rest ends with the process */
}
