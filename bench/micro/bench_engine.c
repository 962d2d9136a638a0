/*
 * What the engine costs a record and sink, with a sink that says SENT at once.
 *
 *   bench_engine [millions of records a run, default 2]
 *
 * Records as Kismet's Wi-Fi devices make them (400 bytes), told round after round, go through ring,
 * worker, queue and sender. First step by step on one thread, so that the worker's part (read,
 * filter, delta, copy, seal) and the sender's (deliver, settle, recycle) are told apart (CPU time);
 * then with both threads of a pipe and a writer that never waits longer than for room: records a
 * second, and CPU time of the process a record, the writer's copy among it. "changed": last_seen
 * and a counter moved; "unchanged": nothing did, so nothing is sent. Median of five.
 */
#include "base/clock.h"
#include "base/log.h"
#include "batch/pipe.h"
#include "batch/sender.h"
#include "batch/settings.h"
#include "batch/worker.h"
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RUNS = 5, RECORD_ROOM = 512, DEVICES_MOST = 200000, RING_BYTES = 16 << 20 };

static const struct setting {
    const char *name;
    uint32_t devices, batch;
    bool newest, changed;
} settings[] = {
    {"1,000 devices, changed, table", 1000, 1000, true, true},
    {"1,000 devices, changed, series", 1000, 1000, false, true},
    {"1,000 devices, changed, batches of 100", 1000, 100, true, true},
    {"1,000 devices, unchanged", 1000, 1000, true, false},
    {"20,000 devices, changed, table", 20000, 1000, true, true},
    {"200,000 devices, changed, table", 200000, 1000, true, true},
};
enum { SETTINGS = sizeof settings / sizeof settings[0] };

static char *memory; /* the records */
static struct kx_config config;
static char name[] = "null";

/* CPU time, so that what else runs on the machine is not in it. */
static uint64_t cpu_ns(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * KX_NS_PER_S + (uint64_t)time.tv_nsec;
}

/* --- records --- */

static void text(struct kx_builder *builder, enum kx_field field, const char *value)
{
    kx_builder_field(builder, field, value, strlen(value));
}

static struct kx_device *record_at(uint32_t i)
{
    return (struct kx_device *)(void *)(memory + (size_t)i * RECORD_ROOM);
}

static void make(uint32_t id)
{
    struct kx_builder builder;
    char mac[18], key[40], label[24];
    struct kx_device *device = kx_builder_device(&builder, record_at(id), RECORD_ROOM);
    snprintf(mac, sizeof mac, "02:00:00:%02X:%02X:%02X", id >> 16 & 255, id >> 8 & 255, id & 255);
    snprintf(key, sizeof key, "4202770D00000000_%012X", id);
    snprintf(label, sizeof label, "a network %u", id);
    device->head.device_id = id;
    device->head.generation = 1;
    device->mac_bits = 0x020000000000u | id;
    device->first_seen = 1700000000;
    device->last_seen = 1700000100;
    device->total_packets = 1000;
    device->signal_dbm = -60;
    device->latitude = 52.5;
    device->longitude = 13.4;
    device->head.present |= 1u << KX_F_FIRST_SEEN | 1u << KX_F_LAST_SEEN |
                            1u << KX_F_TOTAL_PACKETS | 1u << KX_F_SIGNAL_DBM | 1u << KX_F_LATITUDE |
                            1u << KX_F_LONGITUDE | 1u << KX_F_MAC_RANDOM;
    text(&builder, KX_F_MAC_ADDR, mac);
    text(&builder, KX_F_NAME, label);
    text(&builder, KX_F_PHY_TYPE, "IEEE802.11");
    text(&builder, KX_F_MANUFACTURER, "Raspberry Pi Trading Ltd");
    text(&builder, KX_F_CHANNEL, "11HT40+");
    text(&builder, KX_F_SOURCE, "kitchen");
    text(&builder, KX_F_SERVER_UUID, "BFAE90F0-E6A4-11F1-B392-4B49534D4554");
    text(&builder, KX_F_DEVICE_KEY, key);
    text(&builder, KX_F_DEVICE_TYPE, "Wi-Fi AP");
    text(&builder, KX_F_CRYPT, "WPA2-PSK AES-CCMP");
    kx_builder_finish(&builder);
}

/* As a source would: once more, a little later. */
static void put(struct kx_ring *ring, uint32_t id, bool changed)
{
    static uint64_t sequence;
    struct kx_device *device = record_at(id);
    void *place;
    while ((place = kx_ring_reserve(ring, device->head.length)) == NULL) {
        kx_ring_publish(ring);
        sched_yield();
    }
    device->head.sequence = ++sequence;
    device->last_seen += changed;
    device->total_packets += 3 * changed;
    memcpy(place, device, device->head.length);
    kx_ring_commit(ring, device->head.length);
}

/* --- the sink --- */

static enum kx_code null_open(const struct kx_sink_config *sink,
                              const struct kx_sink_env *env,
                              void **ret_self,
                              struct kx_error *err)
{
    (void)sink, (void)env, (void)err;
    *ret_self = name;
    return KX_OK;
}

static enum kx_outcome
null_deliver(void *self, struct kx_batch *batch, const struct kx_call *call, struct kx_error *err)
{
    (void)self, (void)batch, (void)call, (void)err;
    return KX_SENT;
}

static void null_close(void *self)
{
    (void)self;
}

static struct kx_sink_ops ops = {
    .type = "null", .open = null_open, .deliver = null_deliver, .close = null_close};

static struct kx_sink_config sink_of(const struct setting *setting)
{
    return (struct kx_sink_config){
        .name = name,
        .batch = {.records = setting->batch, .bytes = 4 << 20, .interval_ns = KX_NS_PER_S}};
}

static void need(enum kx_code code)
{
    if (code != KX_OK)
        exit(1);
}

/* --- step by step --- */

static struct kx_sink_settings *compiled;

static const struct kx_sink_settings *get_compiled(void *context)
{
    (void)context;
    return compiled;
}

struct parts {
    struct kx_ring *ring;
    struct kx_queue *queue;
    struct kx_worker *worker;
    struct kx_sender *sender;
    struct kx_counters *counters[2];
    struct kx_board *board;
    struct kx_wake *wake;
    uint64_t now_ns, worker_ns, sender_ns;
};

static void make_parts(struct parts *parts, const struct setting *setting)
{
    const struct kx_sink_config sink = sink_of(setting);
    *parts = (struct parts){.now_ns = kx_clock_boot_ns()};
    parts->counters[0] = kx_counters_create();
    parts->counters[1] = kx_counters_create();
    need(kx_ring_create(&parts->ring, RING_BYTES, 1, 0, NULL));
    need(kx_wake_create(&parts->wake, NULL));
    need(kx_board_create(&parts->board, 0, 1, NULL));
    need(kx_queue_create(&parts->queue, kx_ring_wake(parts->ring, 0), parts->wake, NULL));
    need(kx_sink_settings_compile(&sink, &compiled, NULL));
    const struct kx_worker_params worker = {.settings = get_compiled,
                                            .newest_per_device = setting->newest,
                                            .max_devices = DEVICES_MOST,
                                            .ring = parts->ring,
                                            .queue = parts->queue,
                                            .counters = parts->counters[0]};
    need(kx_worker_create(&parts->worker, &worker, NULL));
    const struct kx_sender_params sender = {
        .sink = &sink,
        .ops = &ops,
        .env = {.config = &config, .board = parts->board, .counters = parts->counters[1]},
        .queue = parts->queue,
        .wake = parts->wake,
        .stop_fd = -1};
    need(kx_sender_create(&parts->sender, &sender, NULL));
}

static void free_parts(struct parts *parts)
{
    kx_sender_destroy(parts->sender);
    kx_worker_destroy(parts->worker);
    kx_sink_settings_destroy(compiled);
    kx_queue_destroy(parts->queue);
    kx_board_destroy(parts->board);
    kx_wake_destroy(parts->wake);
    kx_ring_destroy(parts->ring);
    kx_counters_destroy(parts->counters[0]);
    kx_counters_destroy(parts->counters[1]);
}

/* CPU time since *from, without what looking at the clock takes. */
static uint64_t since(uint64_t from_ns)
{
    static uint64_t look_ns;
    enum { LOOKS = 100000 };
    if (look_ns == 0) {
        uint64_t start_ns = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
        for (int i = 0; i < LOOKS; i++)
            look_ns = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
        look_ns = (look_ns - start_ns) / LOOKS + 1;
        return 0;
    }
    uint64_t took_ns = cpu_ns(CLOCK_THREAD_CPUTIME_ID) - from_ns;
    return took_ns > look_ns ? took_ns - look_ns : 0;
}

/* Until both want to sleep; a second later, so that the rest is sealed too. */
static void drain(struct parts *parts)
{
    uint64_t until_ns;
    enum kx_step worker;
    parts->now_ns += KX_NS_PER_S;
    do {
        uint64_t start_ns = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
        worker = kx_worker_step(parts->worker, parts->now_ns, &until_ns);
        parts->worker_ns += since(start_ns);
        if (!kx_sender_ready(parts->sender))
            continue;
        start_ns = cpu_ns(CLOCK_THREAD_CPUTIME_ID);
        while (kx_sender_step(parts->sender, parts->now_ns, 1, &until_ns) == KX_STEP_AGAIN)
            ;
        parts->sender_ns += since(start_ns);
    } while (worker == KX_STEP_AGAIN);
}

/* One median run: nanoseconds a record of either part. */
static void
step_by_step(const struct setting *setting, uint32_t rounds, double *ret_worker, double *ret_sender)
{
    enum { PORTION = 20000 }; /* what fits the ring */
    struct parts parts;
    uint64_t records = 0;
    make_parts(&parts, setting);
    for (uint32_t round = 0; round <= rounds; round++) {
        for (uint32_t i = 0; i < setting->devices; i++) {
            put(parts.ring, i, setting->changed || round == 0);
            if (i % PORTION == PORTION - 1 || i == setting->devices - 1) {
                kx_ring_publish(parts.ring);
                drain(&parts);
            }
        }
        if (round == 0)
            parts.worker_ns = parts.sender_ns = 0; /* pages and devices are known from now on */
        else
            records += setting->devices;
    }
    parts.now_ns += KX_NS_PER_S;
    drain(&parts);
    uint64_t delivered = kx_counter_get(parts.counters[1], KX_C_DELIVERED);
    uint64_t told = setting->changed ? (uint64_t)(rounds + 1) * setting->devices : setting->devices;
    if (delivered != told)
        printf("  (delivered %llu of %llu)\n", (unsigned long long)delivered,
               (unsigned long long)told);
    *ret_worker = (double)parts.worker_ns / (double)records;
    *ret_sender = (double)parts.sender_ns / (double)records;
    free_parts(&parts);
}

/* --- with its threads --- */

static void
with_threads(const struct setting *setting, uint32_t rounds, double *ret_rate, double *ret_cpu_ns)
{
    enum { READ = 64 }; /* records a socket read brings */
    const struct kx_sink_config sink = sink_of(setting);
    struct kx_ring *ring = NULL;
    struct kx_board *board = NULL;
    struct kx_pipe *pipe = NULL;
    struct kx_error err;
    ops.newest_per_device = setting->newest;
    need(kx_ring_create(&ring, RING_BYTES, 1, 0, NULL));
    need(kx_board_create(&board, 0, 1, NULL));
    const struct kx_pipe_params params = {
        .config = &config, .sink = &sink, .ops = &ops, .board = board, .ring = ring};
    need(kx_pipe_create(&pipe, &params, &err));
    need(kx_pipe_start(pipe, &err));
    uint64_t start_cpu_ns = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t start_ns = kx_clock_boot_ns();
    for (uint32_t round = 0; round < rounds; round++)
        for (uint32_t i = 0; i < setting->devices; i++) {
            put(ring, i, setting->changed || round == 0);
            if (i % READ == READ - 1)
                kx_ring_publish(ring);
        }
    kx_ring_publish(ring);
    kx_ring_close(ring);
    need(kx_pipe_join(pipe, kx_clock_boot_ns() + 60 * KX_NS_PER_S, &err));
    double records = (double)rounds * setting->devices;
    *ret_rate = records / ((double)(kx_clock_boot_ns() - start_ns) / 1e9);
    *ret_cpu_ns = (double)(cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - start_cpu_ns) / records;
    struct kx_sink_totals totals = kx_pipe_totals(pipe);
    if (!kx_conservation(&totals) || totals.dropped > 0)
        printf("  (dropped %llu, or the account is wrong)\n", (unsigned long long)totals.dropped);
    kx_pipe_destroy(pipe);
    kx_ring_destroy(ring);
    kx_board_destroy(board);
}

/* --- */

static int compare(const void *a, const void *b)
{
    double left, right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return (left > right) - (left < right);
}

static double median(double values[RUNS])
{
    qsort(values, RUNS, sizeof values[0], compare);
    return values[RUNS / 2];
}

int main(int argc, char **argv)
{
    uint32_t millions = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 2;
    memory = aligned_alloc(KX_RECORD_ALIGN, (size_t)DEVICES_MOST * RECORD_ROOM);
    if (memory == NULL || millions == 0)
        return 1;
    config.max_devices = DEVICES_MOST;
    kx_log_level_set(KX_LOG_ERROR);
    for (uint32_t i = 0; i < DEVICES_MOST; i++)
        make(i);
    printf("%-40s  %10s  %10s  %12s  %14s\n", "", "worker ns", "sender ns", "records/s",
           "CPU ns, all");
    for (size_t s = 0; s < SETTINGS; s++) {
        const struct setting *setting = &settings[s];
        double worker[RUNS], sender[RUNS], rate[RUNS], cpu[RUNS];
        uint32_t rounds = millions * 1000000 / setting->devices;
        for (int run = 0; run < RUNS; run++) {
            step_by_step(setting, rounds, &worker[run], &sender[run]);
            with_threads(setting, rounds, &rate[run], &cpu[run]);
        }
        printf("%-40s  %10.1f  %10.1f  %12.0f  %14.1f\n", setting->name, median(worker),
               median(sender), median(rate), median(cpu));
    }
    free(memory);
    return 0;
}
