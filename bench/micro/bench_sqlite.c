/*
 * Records a second into SQLite: the sink against bare prepared upserts of the same rows, in
 * transactions of the same size, with the same settings, in turn.
 *
 *   bench_sqlite DIRECTORY [rounds]      a round writes each of 10,000 devices once, all changed
 */
#include "base/clock.h"
#include "sinks/sqlite.h"
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEVICES = 10000, BATCH = 1000, RECORD_MAX = 1024, RUNS = 5 };

static char *memory;
static uint32_t offsets[DEVICES];
static uint64_t done[(DEVICES + 63) / 64];

static void put_text(struct kx_builder *builder, enum kx_field field, const char *text)
{
    kx_builder_field(builder, field, text, strlen(text));
}

static void build(unsigned i, unsigned round)
{
    struct kx_builder builder;
    offsets[i] = i * RECORD_MAX;
    struct kx_device *device = kx_builder_device(&builder, memory + offsets[i], RECORD_MAX);
    unsigned octets = i * 2654435761u; /* devices do not come in the order of their MACs */
    char mac[18];
    char key[34];
    snprintf(mac, sizeof mac, "AA:BB:%02X:%02X:%02X:%02X", octets >> 24, octets >> 16 & 255,
             octets >> 8 & 255, octets & 255);
    snprintf(key, sizeof key, "4202770D00000000_%08X%04X", octets, 0xbbaa);
    put_text(&builder, KX_F_MAC_ADDR, mac);
    put_text(&builder, KX_F_NAME, "Living room");
    put_text(&builder, KX_F_PHY_TYPE, "IEEE802.11");
    put_text(&builder, KX_F_MANUFACTURER, "Espressif Inc.");
    put_text(&builder, KX_F_CHANNEL, "11");
    put_text(&builder, KX_F_SOURCE, "kitchen");
    put_text(&builder, KX_F_SERVER_UUID, "5FE308BD-0000-0000-0000-DCA632000001");
    put_text(&builder, KX_F_DEVICE_KEY, key);
    put_text(&builder, KX_F_DEVICE_TYPE, "Wi-Fi AP");
    put_text(&builder, KX_F_CRYPT, "WPA2-PSK");
    device->head.received_ns = (1737131445 + (int64_t)round) * (int64_t)KX_NS_PER_S;
    device->heard_at_ns = device->head.received_ns;
    device->first_seen = 1737130000 + i;
    device->last_seen = 1737131445 + round;
    device->frequency = 2462000;
    device->total_packets = 1250 + i + round;
    device->tx_packets = 800 + i + round;
    device->rx_packets = 450;
    device->data_size = 1048576 + i + round;
    device->signal_dbm = -45 - (int)((i + round) % 40);
    device->noise_dbm = -95;
    device->snr_db = device->signal_dbm - device->noise_dbm;
    device->latitude = (407128 + i) / 10000.0;
    device->longitude = -74.0060;
    device->altitude = 10.5;
    device->head.present |= (1ull << (KX_F_MAC_RANDOM + 1)) - 1;
    device->head.present &= ~(1ull << KX_F_USERNAME);
    if (kx_builder_finish(&builder) == 0)
        abort();
}

/* --- the floor --- */

static sqlite3 *floor_db;
static sqlite3_stmt *floor_upsert;

static void must(int result, int wanted)
{
    if (result == wanted)
        return;
    fprintf(stderr, "sqlite: %s\n", floor_db != NULL ? sqlite3_errmsg(floor_db) : "no memory");
    exit(1);
}

static void floor_open(const char *path)
{
    char sql[4096] = "CREATE TABLE kismet_devices (mac_addr TEXT PRIMARY KEY";
    char set[2048] = "";
    size_t used = strlen(sql);
    size_t set_used = 0;
    for (int field = KX_F_MAC_ADDR + 1; field < KX_FIELDS; field++) {
        enum kx_type type = kx_fields[field].type;
        used += (size_t)snprintf(sql + used, sizeof sql - used, ", %s %s", kx_fields[field].name,
                                 type == KX_TYPE_TEXT || type == KX_TYPE_JSON ? "TEXT"
                                 : type == KX_TYPE_F64                        ? "REAL"
                                                                              : "INTEGER");
        set_used += (size_t)snprintf(set + set_used, sizeof set - set_used, "%s = excluded.%s, ",
                                     kx_fields[field].name, kx_fields[field].name);
    }
    snprintf(sql + used, sizeof sql - used,
             ", last_updated TEXT, created_at TEXT, updated_at TEXT)");
    must(sqlite3_open(path, &floor_db), SQLITE_OK);
    must(sqlite3_exec(floor_db,
                      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-8192",
                      NULL, NULL, NULL),
         SQLITE_OK);
    must(sqlite3_exec(floor_db, sql, NULL, NULL, NULL), SQLITE_OK);
    used = (size_t)snprintf(sql, sizeof sql, "INSERT INTO kismet_devices VALUES (?1");
    for (int i = 2; i < KX_FIELDS + 3; i++)
        used += (size_t)snprintf(sql + used, sizeof sql - used, ", ?%d", i);
    snprintf(sql + used, sizeof sql - used,
             ") ON CONFLICT (mac_addr) DO UPDATE SET %slast_updated = excluded.last_updated,"
             " updated_at = excluded.updated_at",
             set);
    must(sqlite3_prepare_v2(floor_db, sql, -1, &floor_upsert, NULL), SQLITE_OK);
}

static void floor_bind(const struct kx_device *device)
{
    for (int field = KX_F_MAC_ADDR; field < KX_FIELDS; field++) {
        const void *at = (const char *)device + kx_fields[field].offset;
        const struct kx_text *text = at;
        if (!kx_record_has(&device->head, (enum kx_field)field)) {
            sqlite3_bind_null(floor_upsert, field);
            continue;
        }
        switch (kx_fields[field].type) {
        case KX_TYPE_TEXT:
        case KX_TYPE_JSON:
            sqlite3_bind_text(floor_upsert, field, kx_record_text(&device->head, *text),
                              text->length, SQLITE_STATIC);
            break;
        case KX_TYPE_I64:
        case KX_TYPE_TIME:
            sqlite3_bind_int64(floor_upsert, field, *(const int64_t *)at);
            break;
        case KX_TYPE_I32:
            sqlite3_bind_int(floor_upsert, field, *(const int32_t *)at);
            break;
        case KX_TYPE_F64:
            sqlite3_bind_double(floor_upsert, field, *(const double *)at);
            break;
        case KX_TYPE_BOOL:
            sqlite3_bind_int(floor_upsert, field, *(const bool *)at);
            break;
        }
    }
}

static void floor_write(uint32_t first, uint32_t end)
{
    static const char time[] = "2025-01-17 16:30:45.123456";
    must(sqlite3_exec(floor_db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    for (uint32_t i = first; i < end; i++) {
        floor_bind((const void *)(memory + offsets[i]));
        for (int at = KX_FIELDS; at < KX_FIELDS + 3; at++)
            sqlite3_bind_text(floor_upsert, at, time, sizeof time - 1, SQLITE_STATIC);
        must(sqlite3_step(floor_upsert), SQLITE_DONE);
        sqlite3_reset(floor_upsert);
    }
    must(sqlite3_exec(floor_db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
}

/* --- the sink --- */

static void *sink;

static void sink_write(uint32_t first, uint32_t end)
{
    struct kx_call call = {.stop_fd = -1};
    struct kx_error err = {.code = KX_OK};
    struct kx_batch batch = {
        .bytes = memory, .offsets = offsets, .first = first, .end = end, .done = done};
    if (kx_sqlite_ops.deliver(sink, &batch, &call, &err) == KX_SENT)
        return;
    fprintf(stderr, "sink: %s\n", err.text);
    exit(1);
}

static double measure(void (*write)(uint32_t, uint32_t), unsigned rounds, unsigned *round)
{
    uint64_t took_ns = 0;
    for (unsigned k = 0; k < rounds; k++) {
        for (unsigned i = 0; i < DEVICES; i++)
            build(i, *round);
        ++*round;
        memset(done, 0, sizeof done);
        uint64_t start_ns = kx_clock_boot_ns();
        for (uint32_t first = 0; first < DEVICES; first += BATCH)
            write(first, first + BATCH);
        took_ns += kx_clock_boot_ns() - start_ns;
    }
    return (double)DEVICES * rounds * (double)KX_NS_PER_S / (double)took_ns;
}

static int compare(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;
    return (difference > 0) - (difference < 0);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 20;
    memory = aligned_alloc(KX_RECORD_ALIGN, (size_t)DEVICES * RECORD_MAX);
    if (argc < 2 || memory == NULL || rounds == 0 || chdir(argv[1]) != 0) {
        fprintf(stderr, "usage: bench_sqlite DIRECTORY [rounds]\n");
        return 64;
    }
    static char name[] = "bench", path[] = "bench-sink.db";
    struct kx_source_config source = {0};
    struct kx_config config = {.sources = &source, .source_count = 1};
    struct kx_sink_config sink_config = {.name = name, .sqlite.path = path};
    struct kx_sink_env env = {.config = &config, .counters = kx_counters_create()};
    struct kx_error err;
    if (env.counters == NULL || kx_sqlite_ops.open(&sink_config, &env, &sink, &err) != KX_OK)
        return 1;
    floor_open("bench-floor.db");
    double floor_rates[RUNS];
    double sink_rates[RUNS];
    unsigned floor_round = 0;
    unsigned sink_round = 0;
    measure(floor_write, 1, &floor_round); /* the first round inserts */
    measure(sink_write, 1, &sink_round);
    for (unsigned run = 0; run < RUNS; run++) {
        floor_rates[run] = measure(floor_write, rounds, &floor_round);
        sink_rates[run] = measure(sink_write, rounds, &sink_round);
        printf("bare %.0f  sink %.0f records/s\n", floor_rates[run], sink_rates[run]);
    }
    qsort(floor_rates, RUNS, sizeof floor_rates[0], compare);
    qsort(sink_rates, RUNS, sizeof sink_rates[0], compare);
    printf("median: bare %.0f  sink %.0f  ratio %.2f  stale %" PRIu64 "\n", floor_rates[RUNS / 2],
           sink_rates[RUNS / 2], sink_rates[RUNS / 2] / floor_rates[RUNS / 2],
           kx_counter_get(env.counters, KX_C_ROWS_STALE));
    kx_sqlite_ops.close(sink);
    sqlite3_finalize(floor_upsert);
    sqlite3_close(floor_db);
    kx_counters_destroy(env.counters);
    free(memory);
    return 0;
}
