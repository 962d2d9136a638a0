/*
 * What filter and delta cost a record and sink; the budget is 60 ns.
 *
 * Records as Kismet's Wi-Fi devices make them (eleven texts, 400 bytes), told round after round in
 * one order, from an array the size of the ring. "unchanged": nothing moved since the last round;
 * "heard": last_seen and the counters moved, so each passes; "filter": five rules that all pass,
 * the name's expression among them. Median of five rounds; the copy into the batch is not in it.
 */
#include "base/clock.h"
#include "batch/delta.h"
#include "batch/filter.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS = 1 << 21, ROUNDS = 5, RECORD_ROOM = 512, DEVICES_MOST = 200000 };

enum what {
    DELTA_UNCHANGED,
    DELTA_HEARD,
    DELTA_FIELDS,
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
    {1000, DELTA_FIELDS, "delta, heard, mode fields"},
    {1000, FILTER_NONE, "filter without rules"},
    {1000, FILTER_RULES, "filter, five rules"},
    {1000, FILTER_NAME, "filter, a name's expression"},
    {1000, BOTH, "five rules and delta, heard"},
    {10000, DELTA_UNCHANGED, "delta, unchanged"},
    {10000, DELTA_HEARD, "delta, heard"},
    {10000, BOTH, "five rules and delta, heard"},
    {200000, DELTA_UNCHANGED, "delta, unchanged"},
    {200000, DELTA_HEARD, "delta, heard"},
};
enum { RUNS = sizeof runs / sizeof runs[0] };

static char *memory; /* the records, as in the ring */

static void text(struct kx_builder *builder, enum kx_field field, const char *value)
{
    kx_builder_field(builder, field, value, strlen(value));
}

static void make(void *at, uint32_t id)
{
    struct kx_builder builder;
    char mac[18], key[40], name[24];
    struct kx_device *device = kx_builder_device(&builder, at, RECORD_ROOM);
    snprintf(mac, sizeof mac, "02:00:00:%02X:%02X:%02X", id >> 16 & 255, id >> 8 & 255, id & 255);
    snprintf(key, sizeof key, "4202770D00000000_%012X", id);
    snprintf(name, sizeof name, "a network %u", id);
    device->head.device_id = id;
    device->head.generation = 1;
    device->mac_bits = 0x020000000000u | id;
    device->first_seen = 1700000000;
    device->last_seen = 1700000100;
    device->total_packets = device->rx_packets = 1000;
    device->signal_dbm = -60;
    device->latitude = 52.5;
    device->longitude = 13.4;
    device->head.present |= 1u << KX_F_FIRST_SEEN | 1u << KX_F_LAST_SEEN |
                            1u << KX_F_TOTAL_PACKETS | 1u << KX_F_RX_PACKETS |
                            1u << KX_F_SIGNAL_DBM | 1u << KX_F_LATITUDE | 1u << KX_F_LONGITUDE |
                            1u << KX_F_MAC_RANDOM;
    text(&builder, KX_F_MAC_ADDR, mac);
    text(&builder, KX_F_NAME, name);
    text(&builder, KX_F_USERNAME, "");
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

static struct kx_device *record_at(uint32_t i)
{
    return (struct kx_device *)(void *)(memory + (size_t)i * RECORD_ROOM);
}

/* Nanoseconds a record. The records are written anew, as ingest would, outside of the measured
 * time, a ring's worth at a time. */
static double measure(const struct run *run, uint64_t *sink)
{
    struct kx_counters *counters = kx_counters_create();
    struct kx_delta *delta = NULL;
    struct kx_filter filter;
    struct kx_sink_config config = filter_of(run->what);
    uint64_t all = ((1ull << KX_FIELDS) - 1) & ~1ull, spent = 0, done = 0, changed;
    struct kx_delta_rules rules = {.mode = run->what == DELTA_FIELDS ? KX_DELTA_FIELDS
                                                                     : KX_DELTA_CHANGED,
                                   .fields = all,
                                   .watched = all};
    bool filters = run->what >= FILTER_NONE,
         deltas = run->what <= DELTA_FIELDS || run->what == BOTH;
    if (counters == NULL || kx_filter_init(&filter, &config, NULL) != KX_OK ||
        kx_delta_create(&delta, DEVICES_MOST, counters, NULL) != KX_OK)
        exit(1);
    kx_delta_set_rules(delta, &rules);
    for (uint32_t i = 0; i < run->devices; i++)
        make(record_at(i), i);
    for (uint32_t round = 0; done < RECORDS + run->devices; round++) {
        if (run->what != DELTA_UNCHANGED)
            for (uint32_t i = 0; i < run->devices; i++) {
                record_at(i)->last_seen += 5;
                record_at(i)->total_packets += 3;
            }
        uint64_t start = kx_clock_boot_ns();
        for (uint32_t i = 0; i < run->devices; i++) {
            const struct kx_record *record = &record_at(i)->head;
            if (filters)
                *sink += kx_filter_match(&filter, record);
            if (deltas) {
                *sink += kx_delta_displaced(delta, record) != NULL;
                *sink += kx_delta_offer(delta, record, start, &changed);
            }
        }
        if (round > 0) /* the first one touches the memory */
            spent += kx_clock_boot_ns() - start;
        done += run->devices;
    }
    kx_filter_fini(&filter);
    kx_delta_destroy(delta);
    kx_counters_destroy(counters);
    return (double)spent / (double)(done - run->devices);
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
    memory = calloc(DEVICES_MOST, RECORD_ROOM);
    if (memory == NULL)
        return 1;
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i < RUNS; i++)
            times[i][round] = measure(&runs[i], &sink);
    printf("%-30s %10s %12s\n", "", "devices", "ns a record");
    for (unsigned i = 0; i < RUNS; i++) {
        qsort(times[i], ROUNDS, sizeof times[i][0], by_value);
        printf("%-30s %10u %12.1f\n", runs[i].name, (unsigned)runs[i].devices,
               times[i][ROUNDS / 2]);
    }
    free(memory);
    return sink == 1; /* used, so that nothing is left out */
}
