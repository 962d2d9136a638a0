/*
 * The InfluxDB sink by itself: records in memory to an answer of the server, batch by batch; or the
 * same batches as files, for a floor to post; or the encoder alone.
 *
 *   bench_influxdb post URL API BATCHES    prints lines, ns and the process's own CPU ns
 *   bench_influxdb dump DIRECTORY BATCHES  writes 0000, 0001, ... as the sink would post them
 *   bench_influxdb encode [ROUNDS]         ns of CPU a line, seven times
 *
 * A batch has 5,000 lines: 1,000 devices, five points each, all fields known.
 */
#include "base/clock.h"
#include "encode/line.h"
#include "sinks/influxdb.h"
#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEVICES = 1000, LINES = 5000, RECORD_MAX = 1024, RUNS = 7, BODY_MAX = 64 << 20 };

static char *memory;
static uint32_t offsets[LINES];
static uint64_t done[(LINES + 63) / 64];
static uint64_t changed[LINES];

static void put_text(struct kx_builder *builder, enum kx_field field, const char *text)
{
    kx_builder_field(builder, field, text, strlen(text));
}

/* Point `number` of a device. */
static void build(void *at, unsigned i, unsigned number)
{
    struct kx_builder builder;
    struct kx_device *device = kx_builder_device(&builder, at, RECORD_MAX);
    char mac[18], key[34];
    snprintf(mac, sizeof mac, "AA:BB:CC:00:%02X:%02X", i >> 8, i & 255);
    snprintf(key, sizeof key, "4202770D00000000_%02X%02X00CCBBAA", i & 255, i >> 8);
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
    device->first_seen = 1737130000 + i;
    device->last_seen = 1737131445 + number;
    device->head.received_ns = device->last_seen * (int64_t)KX_NS_PER_S;
    device->head.device_id = i;
    device->head.generation = 1;
    device->frequency = 2462000;
    device->total_packets = 1250 + i + number * 7;
    device->tx_packets = 800 + i + number * 4;
    device->rx_packets = 450 + number * 3;
    device->data_size = 1048576 + i + number * 1100;
    device->signal_dbm = -45 - (int)((i + number) % 40);
    device->noise_dbm = -95;
    device->snr_db = 50 - (int)((i + number) % 40);
    device->latitude = (407128 + i) / 10000.0; /* as read from Kismet's decimal text */
    device->longitude = -74.0060;
    device->altitude = 10.5;
    device->head.present |= (1ull << (KX_F_NUM_ALERTS + 1)) - 1;
    device->head.present &= ~(1ull << KX_F_USERNAME); /* as nearly everywhere */
    device->head.present |= 1ull << KX_F_MAC_RANDOM;
    if (kx_builder_finish(&builder) == 0)
        abort();
}

static struct kx_batch make_batch(unsigned batch)
{
    memset(done, 0, sizeof done);
    for (unsigned i = 0; i < LINES; i++) {
        offsets[i] = i * RECORD_MAX;
        changed[i] = UINT64_MAX;
        build(memory + offsets[i], i % DEVICES, batch * (LINES / DEVICES) + i / DEVICES);
    }
    return (struct kx_batch){
        .bytes = memory, .offsets = offsets, .changed = changed, .end = LINES, .done = done};
}

static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * KX_NS_PER_S + (uint64_t)now.tv_nsec;
}

static int post(char *url, const char *api, unsigned batches)
{
    static char name[] = "bench", bucket[] = "kismet";
    struct kx_sink_config config = {.name = name, .influxdb = {.url = url, .bucket = bucket}};
    struct kx_sink_env env = {0};
    struct kx_error err;
    void *sink = NULL;
    uint64_t took_ns = 0, used_ns = 0;
    if (strcmp(api, "v1") == 0)
        config.influxdb.api = KX_INFLUX_V1;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    enum kx_code code = kx_influxdb_ops.open(&config, &env, &sink, &err);
    for (unsigned i = 0; i < batches && code == KX_OK; i++) {
        struct kx_batch batch = make_batch(i); /* not the sink's work, so not in its time */
        struct kx_call call = {.deadline_ns = kx_clock_boot_ns() + 60 * KX_NS_PER_S, .stop_fd = -1};
        uint64_t begun_ns = kx_clock_boot_ns(), begun_cpu_ns = cpu_ns();
        if (kx_influxdb_ops.deliver(sink, &batch, &call, &err) != KX_SENT)
            code = KX_ERR_UNAVAILABLE;
        took_ns += kx_clock_boot_ns() - begun_ns;
        used_ns += cpu_ns() - begun_cpu_ns;
    }
    kx_influxdb_ops.close(sink);
    if (code != KX_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    printf("%u %" PRIu64 " %" PRIu64 "\n", batches * LINES, took_ns, used_ns);
    return 0;
}

static bool encode(struct kx_buf *body, const struct kx_batch *batch)
{
    static const struct kx_sink_config config = {0};
    struct kx_encode_line line;
    kx_encode_line_init(&line, &config, (1ull << KX_FIELDS) - 1);
    kx_buf_clear(body);
    for (uint32_t i = 0; i < batch->end; i++)
        kx_encode_line_device(&line, body, kx_record_device(kx_batch_record(batch, i)), UINT64_MAX);
    return !body->failed;
}

static int dump(const char *directory, unsigned batches)
{
    struct kx_buf body;
    kx_buf_init(&body, BODY_MAX);
    for (unsigned i = 0; i < batches; i++) {
        struct kx_batch batch = make_batch(i);
        char path[4096];
        snprintf(path, sizeof path, "%s/%04u", directory, i);
        FILE *file = encode(&body, &batch) ? fopen(path, "w") : NULL;
        if (file == NULL || fwrite(body.data, 1, body.length, file) != body.length ||
            fclose(file) != 0)
            return 1;
    }
    kx_buf_fini(&body);
    return 0;
}

static int measure_encoder(uint64_t rounds)
{
    struct kx_buf body;
    struct kx_batch batch = make_batch(0);
    kx_buf_init(&body, BODY_MAX);
    for (unsigned run = 0; run < RUNS; run++) {
        uint64_t begun_ns = cpu_ns(); /* other programs may run, too */
        for (uint64_t round = 0; round < rounds; round++)
            if (!encode(&body, &batch))
                return 1;
        uint64_t took_ns = cpu_ns() - begun_ns;
        printf("%" PRIu64 " ns a line, %zu bytes a line\n", took_ns / (rounds * LINES),
               body.length / LINES);
    }
    kx_buf_fini(&body);
    return 0;
}

int main(int argc, char **argv)
{
    memory = aligned_alloc(KX_RECORD_ALIGN, (size_t)LINES * RECORD_MAX);
    if (memory == NULL)
        return 1;
    int status = 2;
    if (argc == 5 && strcmp(argv[1], "post") == 0)
        status = post(argv[2], argv[3], (unsigned)strtoul(argv[4], NULL, 10));
    else if (argc == 4 && strcmp(argv[1], "dump") == 0)
        status = dump(argv[2], (unsigned)strtoul(argv[3], NULL, 10));
    else if (argc >= 2 && strcmp(argv[1], "encode") == 0)
        status = measure_encoder(argc > 2 ? strtoull(argv[2], NULL, 10) : 100);
    free(memory);
    if (status == 2)
        fprintf(stderr, "usage: see the head of bench_influxdb.c\n");
    return status;
}
