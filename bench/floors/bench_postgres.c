/*
 * Rows a second into PostgreSQL: the sink, the libpq floor (COPY into a temporary table, then one
 * INSERT ... ON CONFLICT from it, of rows that are encoded already) and row-by-row upserts (a
 * prepared statement, a transaction each, as the Python script does), in turn, on the same server
 * with the same settings.
 *
 *   bench_postgres CONNINFO BATCH [rounds [runs]]   a round writes each of 10,000 devices, all
 *                                                   changed
 *
 * CONNINFO names a database that may be written over. bench/floors/postgres starts a server for it.
 */
#include "base/clock.h"
#include "sinks/postgres.h"
#include "sinks/postgres_copy.h"
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { DEVICES = 10000, RECORD_MAX = 1024, RUNS = 5, SQL_MAX = 8192, ROWS_BYTES_MAX = 16 << 20 };
enum { BLOCK_BYTES = 65536, BY_ROW_DEVICES = 500, WRITES_MAX = 4096 };

static char *memory;
static uint32_t offsets[DEVICES];
static uint64_t done[(DEVICES + 63) / 64];
static unsigned batch_records;

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

static PGconn *plain;
static char columns[1024], insert_sql[SQL_MAX], by_row_sql[SQL_MAX];
static struct kx_postgres_copy copy;
static struct kx_buf encoded;
static size_t batch_ends[DEVICES + 1]; /* in encoded, of each batch */

static void must(PGresult *result, ExecStatusType wanted)
{
    if (PQresultStatus(result) != wanted) {
        fprintf(stderr, "server: %s\n", PQerrorMessage(plain));
        exit(1);
    }
    PQclear(result);
}

static const char *type_of(enum kx_field field)
{
    static const char *const names[] = {
        [KX_TYPE_TIME] = "bigint", [KX_TYPE_TEXT] = "text",  [KX_TYPE_I64] = "bigint",
        [KX_TYPE_I32] = "integer", [KX_TYPE_F64] = "float8", [KX_TYPE_BOOL] = "boolean",
        [KX_TYPE_JSON] = "text",
    };
    return names[kx_fields[field].type];
}

/* The columns and statements. The floor's table is made like the sink's, and so are its temporary
 * table (nothing behind it to be emptied at each commit) and its statement (planned once). */
static void floor_open(const char *conninfo)
{
    char stage[SQL_MAX] = "CREATE TEMP TABLE stage (n integer, heard timestamptz, received "
                          "timestamptz) ON COMMIT DELETE ROWS; ALTER TABLE stage";
    char set[SQL_MAX] = "", values[1024] = "";
    for (enum kx_field field = KX_F_MAC_ADDR; field < KX_FIELDS; field++) {
        const char *name = kx_fields[field].name;
        snprintf(stage + strlen(stage), sizeof stage - strlen(stage), "%s ADD COLUMN %s %s",
                 field > KX_F_MAC_ADDR ? "," : "", name, type_of(field));
        if (strcmp(type_of(field), "text") == 0)
            snprintf(stage + strlen(stage), sizeof stage - strlen(stage),
                     ", ALTER COLUMN %s SET STORAGE PLAIN", name);
        if (field == KX_F_EXTRA)
            continue;
        snprintf(columns + strlen(columns), sizeof columns - strlen(columns), "%s, ", name);
        snprintf(values + strlen(values), sizeof values - strlen(values), "$%d::%s, ", field,
                 type_of(field));
        if (field != KX_F_MAC_ADDR)
            snprintf(set + strlen(set), sizeof set - strlen(set), "%s = EXCLUDED.%s, ", name, name);
    }
    snprintf(insert_sql, sizeof insert_sql,
             "PREPARE floor AS INSERT INTO floor_devices (%slast_updated, updated_at, created_at) "
             "SELECT %sheard, "
             "heard, now() FROM stage ON CONFLICT (mac_addr) DO UPDATE SET %slast_updated = "
             "EXCLUDED.last_updated, updated_at = EXCLUDED.updated_at",
             columns, columns, set);
    snprintf(by_row_sql, sizeof by_row_sql,
             "INSERT INTO by_row_devices (%slast_updated, updated_at, created_at) VALUES (%s"
             "to_timestamp($27::float8), to_timestamp($27::float8), now()) ON CONFLICT (mac_addr)"
             " DO UPDATE SET %slast_updated = EXCLUDED.last_updated, updated_at = "
             "EXCLUDED.updated_at",
             columns, values, set);
    plain = PQconnectdb(conninfo);
    must(PQexec(plain, "SET client_min_messages = warning"), PGRES_COMMAND_OK);
    must(
        PQexec(
            plain,
            "DROP TABLE IF EXISTS floor_devices, by_row_devices;"
            "CREATE TABLE floor_devices (LIKE kismet_devices INCLUDING ALL) WITH (fillfactor = 60);"
            "CREATE TABLE by_row_devices (LIKE kismet_devices INCLUDING ALL) WITH (fillfactor = "
            "60)"),
        PGRES_COMMAND_OK);
    must(PQexec(plain, stage), PGRES_COMMAND_OK);
    must(PQexec(plain, insert_sql), PGRES_COMMAND_OK);
    must(PQprepare(plain, "by_row", by_row_sql, 0, NULL), PGRES_COMMAND_OK);
    copy.fields = (1ull << KX_FIELDS) - (1ull << KX_F_MAC_ADDR);
    kx_buf_init(&encoded, ROWS_BYTES_MAX);
}

/* Before the clock runs. */
static void floor_encode(void)
{
    size_t batches = 0;
    kx_buf_clear(&encoded);
    for (unsigned first = 0; first < DEVICES; first += batch_records) {
        kx_postgres_copy_head(&encoded);
        for (unsigned i = first; i < first + batch_records; i++)
            kx_postgres_copy_device(&copy, &encoded, (const void *)(memory + offsets[i]), i);
        kx_postgres_copy_tail(&encoded);
        batch_ends[batches++] = encoded.length;
    }
    if (encoded.failed)
        abort();
}

static void floor_write(unsigned first, unsigned end)
{
    (void)end;
    size_t batch = first / batch_records;
    size_t at = batch > 0 ? batch_ends[batch - 1] : 0;
    must(PQexec(plain, "BEGIN; COPY stage FROM STDIN (FORMAT binary)"), PGRES_COPY_IN);
    while (at < batch_ends[batch]) {
        size_t bytes = batch_ends[batch] - at;
        if (bytes > BLOCK_BYTES)
            bytes = BLOCK_BYTES;
        if (PQputCopyData(plain, encoded.data + at, (int)bytes) != 1)
            abort();
        at += bytes;
    }
    if (PQputCopyEnd(plain, NULL) != 1)
        abort();
    must(PQgetResult(plain), PGRES_COMMAND_OK);
    while (PQgetResult(plain) != NULL) {
    }
    must(PQexec(plain, "EXECUTE floor"), PGRES_COMMAND_OK);
    must(PQexec(plain, "COMMIT"), PGRES_COMMAND_OK);
}

/* --- row by row --- */

static void by_row_write_one(const struct kx_device *device)
{
    static char texts[KX_FIELDS + 1][1100];
    const char *values[KX_FIELDS];
    for (enum kx_field field = KX_F_MAC_ADDR; field < KX_F_EXTRA; field++) {
        const void *at = (const char *)device + kx_fields[field].offset;
        const struct kx_text *text = at;
        char *out = texts[field];
        values[field - 1] = out;
        if (!kx_record_has(&device->head, field)) {
            values[field - 1] = NULL;
            continue;
        }
        switch (kx_fields[field].type) {
        case KX_TYPE_TEXT:
        case KX_TYPE_JSON:
            snprintf(out, 1100, "%.*s", (int)text->length, kx_record_text(&device->head, *text));
            break;
        case KX_TYPE_TIME:
        case KX_TYPE_I64:
            snprintf(out, 1100, "%" PRId64, *(const int64_t *)at);
            break;
        case KX_TYPE_I32:
            snprintf(out, 1100, "%" PRId32, *(const int32_t *)at);
            break;
        case KX_TYPE_F64:
            snprintf(out, 1100, "%.17g", *(const double *)at);
            break;
        case KX_TYPE_BOOL:
            snprintf(out, 1100, "%s", *(const bool *)at ? "t" : "f");
            break;
        }
    }
    snprintf(texts[0], 1100, "%" PRId64, device->last_seen);
    values[KX_F_EXTRA - 1] = texts[0];
    must(PQexecPrepared(plain, "by_row", KX_F_EXTRA, values, NULL, NULL, 0), PGRES_COMMAND_OK);
}

static void by_row_write(unsigned first, unsigned end)
{
    for (unsigned i = first; i < end && i < BY_ROW_DEVICES; i++)
        by_row_write_one((const void *)(memory + offsets[i]));
}

/* --- the sink --- */

static void *sink;

static void sink_write(unsigned first, unsigned end)
{
    struct kx_call call = {.stop_fd = -1};
    struct kx_error err = {.code = KX_OK};
    struct kx_batch batch = {
        .bytes = memory, .offsets = offsets, .first = first, .end = end, .done = done};
    if (kx_postgres_ops.deliver(sink, &batch, &call, &err) == KX_SENT)
        return;
    fprintf(stderr, "sink: %s\n", err.text);
    exit(1);
}

/* --- measuring --- */

struct way {
    const char *name;
    void (*write)(unsigned, unsigned);
    unsigned devices; /* a round */
    unsigned round;
    int server_pid;
    double rates[RUNS];
    double client_us[RUNS], server_us[RUNS]; /* CPU a row */
    double writes_ms[WRITES_MAX];            /* the first so many of all, each a batch */
    unsigned writes;
};

static unsigned runs = RUNS;

static double client_cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double server_cpu_s(int pid)
{
    char path[64];
    unsigned long user = 0;
    unsigned long system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
               &system) != 2)
        user = system = 0;
    fclose(file);
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static void measure(struct way *way, unsigned rounds, unsigned run)
{
    uint64_t took_ns = 0;
    double client_s = 0;
    double server_s = server_cpu_s(way->server_pid);
    for (unsigned k = 0; k < rounds; k++) {
        for (unsigned i = 0; i < DEVICES; i++)
            build(i, way->round);
        way->round++;
        floor_encode();
        memset(done, 0, sizeof done);
        double before_s = client_cpu_s();
        uint64_t start_ns = kx_clock_boot_ns();
        uint64_t at_ns = start_ns;
        for (unsigned first = 0; first < way->devices; first += batch_records) {
            way->write(first, first + batch_records);
            uint64_t now_ns = kx_clock_boot_ns();
            if (way->writes < WRITES_MAX)
                way->writes_ms[way->writes++] = (double)(now_ns - at_ns) / 1e6;
            at_ns = now_ns;
        }
        took_ns += at_ns - start_ns;
        client_s += client_cpu_s() - before_s;
    }
    double rows = (double)way->devices * rounds;
    way->rates[run] = rows * (double)KX_NS_PER_S / (double)took_ns;
    way->client_us[run] = client_s * 1e6 / rows;
    way->server_us[run] = (server_cpu_s(way->server_pid) - server_s) * 1e6 / rows;
}

static int compare(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;
    return (difference > 0) - (difference < 0);
}

static double median(double values[RUNS])
{
    double sorted[RUNS];
    memcpy(sorted, values, sizeof sorted);
    qsort(sorted, runs, sizeof sorted[0], compare);
    return sorted[runs / 2];
}

/* Of the batches that this way wrote; its own order is gone behind it. */
static double write_ms(struct way *way, double q)
{
    qsort(way->writes_ms, way->writes, sizeof way->writes_ms[0], compare);
    return way->writes_ms[(unsigned)(q * (way->writes - 1))];
}

/* The process of the sink's session, which is the only other one of this database. */
static int sink_pid(void)
{
    PGresult *result = PQexec(plain, "SELECT pid FROM pg_stat_activity WHERE datname = "
                                     "current_database() AND application_name = 'kismet-export'");
    int pid = PQntuples(result) == 1 ? atoi(PQgetvalue(result, 0, 0)) : 0;
    PQclear(result);
    return pid;
}

int main(int argc, char **argv)
{
    batch_records = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    unsigned rounds = argc > 3 ? (unsigned)atoi(argv[3]) : 10;
    runs = argc > 4 ? (unsigned)atoi(argv[4]) : RUNS;
    memory = aligned_alloc(KX_RECORD_ALIGN, (size_t)DEVICES * RECORD_MAX);
    if (memory == NULL || batch_records == 0 || DEVICES % batch_records != 0 || rounds == 0 ||
        runs == 0 || runs > RUNS) {
        fprintf(stderr, "usage: bench_postgres CONNINFO BATCH [rounds [runs]]\n");
        return 64;
    }
    static char name[] = "bench";
    struct kx_source_config source = {.name = name};
    struct kx_config config = {.sources = &source, .source_count = 1};
    struct kx_sink_config sink_config = {.name = name};
    struct kx_sink_env env = {.config = &config, .counters = kx_counters_create()};
    struct kx_error err;
    struct kx_call call = {.stop_fd = -1};
    if (env.counters == NULL || kx_secret_set(&sink_config.postgres.conn, argv[1], &err) != KX_OK ||
        kx_postgres_ops.open(&sink_config, &env, &sink, &err) != KX_OK ||
        kx_postgres_ops.idle(sink, &call, &err) != KX_SENT) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    floor_open(argv[1]);
    static struct way ways[] = {
        {.name = "floor", .write = floor_write, .devices = DEVICES},
        {.name = "sink", .write = sink_write, .devices = DEVICES},
        {.name = "by row", .write = by_row_write, .devices = BY_ROW_DEVICES}};
    enum { WAYS = sizeof ways / sizeof ways[0] };
    for (int i = 0; i < WAYS; i++)
        ways[i].server_pid = i == 1 ? sink_pid() : PQbackendPID(plain);
    for (int i = 0; i < WAYS; i++) /* the first rounds insert, and fill the caches */
        measure(&ways[i], 2, 0);
    for (int i = 0; i < WAYS; i++)
        ways[i].writes = 0;
    for (unsigned run = 0; run < runs; run++)
        for (int i = 0; i < WAYS; i++)
            measure(&ways[i], i == 2 ? 1 : rounds, run);
    for (int i = 0; i < WAYS; i++) {
        printf("batch %5u  %-6s  median %7.0f rows/s  CPU a row: client %5.2f us, server %6.2f us"
               "  runs",
               batch_records, ways[i].name, median(ways[i].rates), median(ways[i].client_us),
               median(ways[i].server_us));
        for (unsigned run = 0; run < runs; run++)
            printf(" %.0f", ways[i].rates[run]);
        printf("  a batch: p50 %.2f p99 %.2f ms", write_ms(&ways[i], 0.5),
               write_ms(&ways[i], 0.99));
        printf("\n");
    }
    printf("batch %5u  sink / floor %.2f (R2)   sink / by row %.1f (R3)   stale %" PRIu64 "\n",
           batch_records, median(ways[1].rates) / median(ways[0].rates),
           median(ways[1].rates) / median(ways[2].rates),
           kx_counter_get(env.counters, KX_C_ROWS_STALE));
    kx_postgres_ops.close(sink);
    kx_secret_fini(&sink_config.postgres.conn);
    kx_buf_fini(&encoded);
    PQfinish(plain);
    kx_counters_destroy(env.counters);
    free(memory);
    return 0;
}
