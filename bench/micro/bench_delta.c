/*
 * What filter and delta cost a record and sink; the budget is 60 ns.
 *
 * Records as Kismet's Wi-Fi devices make them (eleven texts, 400 bytes), in a ring of 16 MiB whose
 * next slice is written anew, unmeasured, before it is read: as ingest leaves it, but for the way
 * from the other core's cache. Devices come in a random order that is the same every round, so no
 * prefetcher of the processor's guesses the next entry. "unchanged": nothing moved since the last
 * round; "heard": last_seen and the counters moved, so each passes; "a text": the channel did, too;
 * "filter": five rules that all pass, the name's expression among them.
 *
 * Processor time of this thread, not the clock's: others may use the machine. Median, least and
 * most of the rounds; the copy into the batch is not in it.
 */
#include "base/clock.h"
#include "batch/delta.h"
#include "batch/filter.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    RECORDS = 1 << 18,
    ROUNDS = 7,
    RECORD_ROOM = 512,
    DEVICES_MOST = 200000,
    RING_SLOTS = (16 << 20) / RECORD_ROOM,
    GROUP = 16,   /* records that are asked for ahead */
    SLICE = 1024, /* records between two looks at the clock; a part of RING_SLOTS */
};
static_assert(RING_SLOTS % SLICE == 0, "slices go round");

enum what {
    DELTA_UNCHANGED,
    DELTA_HEARD,
    DELTA_TEXT,
    DELTA_FIELDS,
    DELTA_FIELDS_TEXT,
    FILTER_NONE,
    FILTER_RULES,
    FILTER_NAME,
    BOTH
};

static const struct run {
    uint32_t devices;
    enum what what;
    const char *name;
} runs[] = {
    {1000, DELTA_UNCHANGED, "delta, unchanged"},
    {1000, DELTA_HEARD, "delta, heard"},
    {1000, DELTA_TEXT, "delta, a text"},
    {1000, DELTA_FIELDS, "mode fields, heard"},
    {1000, DELTA_FIELDS_TEXT, "mode fields, a text"},
    {1000, FILTER_NONE, "filter without rules"},
    {1000, FILTER_RULES, "filter, five rules"},
    {1000, FILTER_NAME, "filter, a name's expression"},
    {1000, BOTH, "five rules and delta, heard"},
    {10000, DELTA_UNCHANGED, "delta, unchanged"},
    {10000, DELTA_HEARD, "delta, heard"},
    {10000, DELTA_FIELDS, "mode fields, heard"},
    {10000, BOTH, "five rules and delta, heard"},
    {200000, DELTA_UNCHANGED, "delta, unchanged"},
    {200000, DELTA_HEARD, "delta, heard"},
    {200000, DELTA_FIELDS, "mode fields, heard"},
    {200000, BOTH, "five rules and delta, heard"},
};
enum { RUNS = sizeof runs / sizeof runs[0] };

static char *memory;                      /* the ring */
static uint32_t order[DEVICES_MOST];      /* of the devices in a round */
static uint64_t pattern[RECORD_ROOM / 8]; /* a record of which `write_record` changes some digits */

static void text(struct kx_builder *builder, enum kx_field field, const char *value)
{
    kx_builder_field(builder, field, value, strlen(value));
}

static void make_pattern(void)
{
    struct kx_builder builder;
    struct kx_device *device = kx_builder_device(&builder, pattern, sizeof pattern);
    device->head.generation = 1;
    device->first_seen = 1700000000;
    device->signal_dbm = -60;
    device->latitude = 52.5;
    device->longitude = 13.4;
    device->head.present |= 1u << KX_F_FIRST_SEEN | 1u << KX_F_LAST_SEEN |
                            1u << KX_F_TOTAL_PACKETS | 1u << KX_F_RX_PACKETS |
                            1u << KX_F_SIGNAL_DBM | 1u << KX_F_LATITUDE | 1u << KX_F_LONGITUDE |
                            1u << KX_F_MAC_RANDOM;
    text(&builder, KX_F_MAC_ADDR, "02:00:00:00:00:00");
    text(&builder, KX_F_NAME, "a network 000000");
    text(&builder, KX_F_USERNAME, "");
    text(&builder, KX_F_PHY_TYPE, "IEEE802.11");
    text(&builder, KX_F_MANUFACTURER, "Raspberry Pi Trading Ltd");
    text(&builder, KX_F_CHANNEL, "11HT40+");
    text(&builder, KX_F_SOURCE, "kitchen");
    text(&builder, KX_F_SERVER_UUID, "BFAE90F0-E6A4-11F1-B392-4B49534D4554");
    text(&builder, KX_F_DEVICE_KEY, "4202770D00000000_000000000000");
    text(&builder, KX_F_DEVICE_TYPE, "Wi-Fi AP");
    text(&builder, KX_F_CRYPT, "WPA2-PSK AES-CCMP");
    kx_builder_finish(&builder);
}

/* The last `count` digits of a text, ':' left where it is. */
static void put_digits(struct kx_device *device, struct kx_text where, unsigned count, uint32_t id)
{
    static const char digits[] = "0123456789ABCDEF";
    char *at = (char *)device + where.offset + where.length;
    for (; count > 0; id >>= 4, count--) {
        at -= at[-1] == ':' ? 2 : 1;
        *at = digits[id & 15];
    }
}

/* Device `id` as it is in that round. */
static void write_record(void *at, uint32_t id, uint32_t round, enum what what)
{
    struct kx_device *device = at;
    uint32_t moved = what == DELTA_UNCHANGED ? 0 : round;
    memcpy(device, pattern, ((const struct kx_record *)(const void *)pattern)->length);
    device->head.device_id = id;
    device->mac_bits = 0x020000000000u | id;
    device->last_seen = 1700000100 + 5 * (int64_t)moved;
    device->total_packets = device->rx_packets = 1000 + 3 * (int64_t)moved;
    put_digits(device, device->mac_addr, 6, id);
    put_digits(device, device->name, 6, id);
    put_digits(device, device->device_key, 6, id);
    if (what == DELTA_TEXT || what == DELTA_FIELDS_TEXT)
        ((char *)device)[device->channel.offset] = (char)('1' + (round & 7));
}

static struct kx_sink_config filter_of(enum what what)
{
    static char phy[] = "IEEE802.11", type[] = "Wi-Fi AP", mac[] = "0A:00:00:00:00:00";
    static char *phys[] = {phy}, *types[] = {type}, *macs[] = {mac};
    static char name[] = "net.*[0-9]$";
    struct kx_sink_config config = {0};
    if (what == FILTER_RULES || what == BOTH) {
        config.filter.phy_type = (struct kx_strings){phys, 1};
        config.filter.device_type = (struct kx_strings){types, 1};
        config.filter.macs_deny = (struct kx_strings){macs, 1};
        config.filter.min_signal_dbm = (struct kx_real){-90, true};
        config.filter.geofence = (struct kx_geofence_config){.lat_min = {52, true},
                                                             .lat_max = {53, true},
                                                             .lon_min = {13, true},
                                                             .lon_max = {14, true}};
    }
    if (what == FILTER_NAME)
        config.filter.name = name;
    return config;
}

static void *slot(uint64_t number)
{
    return memory + number % RING_SLOTS * RECORD_ROOM;
}

static uint64_t spent_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * KX_NS_PER_S + (uint64_t)time.tv_nsec;
}

static void shuffle(uint32_t devices)
{
    uint64_t random = 88172645463325252u;
    for (uint32_t i = 0; i < devices; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        uint32_t other = (uint32_t)(random % (i + 1));
        order[i] = order[other];
        order[other] = i;
    }
}

struct both {
    struct kx_filter filter;
    struct kx_delta *delta;
    bool filters, deltas;
};

/* A slice of the ring, as batch/worker.c takes it. */
static uint64_t take(struct both *both, uint64_t first, uint32_t count, uint64_t now_ns)
{
    uint64_t sum = 0, changed;
    for (uint64_t at = first; at < first + count; at++) {
        for (uint64_t ahead = at; both->deltas && at % GROUP == 0 && ahead < at + GROUP; ahead++)
            kx_delta_prefetch(both->delta, slot(ahead));
        const struct kx_record *record = slot(at);
        if (both->filters)
            sum += kx_filter_match(&both->filter, record);
        if (both->deltas) {
            sum += kx_delta_displaced(both->delta, record) != NULL;
            sum += kx_delta_offer(both->delta, record, now_ns, &changed);
        }
    }
    return sum;
}

/* Nanoseconds a record. */
static double measure(const struct run *run, uint64_t *sink)
{
    struct kx_counters *counters = kx_counters_create();
    struct kx_sink_config config = filter_of(run->what);
    uint64_t all = ((1ull << KX_FIELDS) - 1) & ~1ull, spent = 0, done = 0, measured = 0;
    bool fields = run->what == DELTA_FIELDS || run->what == DELTA_FIELDS_TEXT;
    struct kx_delta_rules rules = {
        .mode = fields ? KX_DELTA_FIELDS : KX_DELTA_CHANGED, .fields = all, .watched = all};
    struct both both = {.filters = run->what >= FILTER_NONE,
                        .deltas = run->what < FILTER_NONE || run->what == BOTH};
    if (counters == NULL || kx_filter_init(&both.filter, &config, NULL) != KX_OK ||
        kx_delta_create(&both.delta, DEVICES_MOST, counters, NULL) != KX_OK)
        exit(1);
    kx_delta_set_rules(both.delta, &rules);
    shuffle(run->devices);
    for (uint32_t round = 0; measured < RECORDS; round++)
        for (uint32_t i = 0; i < run->devices; i += SLICE) {
            uint32_t count = run->devices - i < SLICE ? run->devices - i : SLICE;
            for (uint32_t k = 0; k < count; k++)
                write_record(slot(done + k), order[i + k], round, run->what);
            uint64_t start = spent_ns();
            *sink += take(&both, done, count, start);
            done += count;
            if (round == 0) /* touches the memory */
                continue;
            spent += spent_ns() - start;
            measured += count;
        }
    kx_filter_fini(&both.filter);
    kx_delta_destroy(both.delta);
    kx_counters_destroy(counters);
    return (double)spent / (double)measured;
}

static int by_value(const void *a, const void *b)
{
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

int main(void)
{
    static double times[RUNS][ROUNDS];
    uint64_t sink = 0;
    memory = aligned_alloc(64, (size_t)RING_SLOTS * RECORD_ROOM);
    if (memory == NULL)
        return 1;
    make_pattern();
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i < RUNS; i++)
            times[i][round] = measure(&runs[i], &sink);
    printf("%-30s %10s %12s %8s %8s\n", "", "devices", "ns a record", "least", "most");
    for (unsigned i = 0; i < RUNS; i++) {
        qsort(times[i], ROUNDS, sizeof times[i][0], by_value);
        printf("%-30s %10u %12.1f %8.1f %8.1f\n", runs[i].name, (unsigned)runs[i].devices,
               times[i][ROUNDS / 2], times[i][0], times[i][ROUNDS - 1]);
    }
    free(memory);
    return sink == 1; /* used, so that nothing is left out */
}
