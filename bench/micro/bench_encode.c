/*
 * How long the JSON of one device takes: ns a device over records as a busy sensor gives them.
 *
 *   bench_encode [rounds]
 */
#include "base/clock.h"
#include "encode/json.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICES = 1000, RECORD_MAX = 1024, RUNS = 7 };

static void put_text(struct kx_builder *builder, enum kx_field field, const char *text)
{
    kx_builder_field(builder, field, text, strlen(text));
}

/* A device with everything known, as the table of a Kismet beside a road shows it. */
static size_t build(void *memory, unsigned i)
{
    struct kx_builder builder;
    struct kx_device *device = kx_builder_device(&builder, memory, RECORD_MAX);
    char mac[18];
    char key[34];
    snprintf(mac, sizeof mac, "AA:BB:CC:00:%02X:%02X", i >> 8 & 255, i & 255);
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
    device->head.received_ns = 1737131445123456789 + i * 1000;
    device->first_seen = 1737130000 + i;
    device->last_seen = 1737131445;
    device->frequency = 2462000;
    device->total_packets = 1250 + i;
    device->tx_packets = 800 + i;
    device->rx_packets = 450;
    device->data_size = 1048576 + i;
    device->signal_dbm = -45 - (int)(i % 40);
    device->noise_dbm = -95;
    device->snr_db = 50 - (int)(i % 40);
    device->latitude = (407128 + i) / 10000.0; /* as read from Kismet's decimal text */
    device->longitude = -74.0060;
    device->altitude = 10.5;
    device->head.present |= (1ull << (KX_F_NUM_ALERTS + 1)) - 1;
    device->head.present &= ~(1ull << KX_F_USERNAME); /* as nearly everywhere */
    device->head.present |= 1ull << KX_F_MAC_RANDOM;
    return kx_builder_finish(&builder);
}

int main(int argc, char **argv)
{
    uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 200;
    char *memory = aligned_alloc(KX_RECORD_ALIGN, (size_t)DEVICES * RECORD_MAX);
    if (memory == NULL || rounds == 0)
        return 1;
    for (unsigned i = 0; i < DEVICES; i++)
        if (build(memory + (size_t)i * RECORD_MAX, i) == 0)
            return 1;
    struct kx_encode_json json;
    kx_encode_json_init(&json, KX_COMPAT_NONE, KX_MAC_UPPER, UINT64_MAX);
    struct kx_buf buf;
    kx_buf_init(&buf, 16 << 20);
    for (unsigned run = 0; run < RUNS; run++) {
        uint64_t bytes = 0;
        uint64_t start_ns = kx_clock_boot_ns();
        for (uint64_t round = 0; round < rounds; round++) {
            kx_buf_clear(&buf);
            for (unsigned i = 0; i < DEVICES; i++)
                kx_encode_json_device(&json, &buf, (const void *)(memory + (size_t)i * RECORD_MAX));
            bytes += buf.length;
        }
        uint64_t took_ns = kx_clock_boot_ns() - start_ns;
        printf("%" PRIu64 " ns a device, %" PRIu64 " bytes a device\n",
               took_ns / (rounds * DEVICES), bytes / (rounds * DEVICES));
    }
    bool failed = buf.failed;
    kx_buf_fini(&buf);
    free(memory);
    return failed ? 1 : 0;
}
