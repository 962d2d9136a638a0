/*
 * The mqtt sink alone, against a broker: batches of 100 devices, one behind the other, as the
 * engine hands them over.
 *
 *   bench_mqtt URL PROTOCOL(auto|5|3.1.1) MESSAGES
 * Prints messages a second and the bytes of a payload; the floor is bench/floors/floor_mqtt.c.
 */
#include "../../tests/unit/sinks/records.h"
#include "base/clock.h"
#include "sinks/mqtt.h"
#include <stdio.h>

enum { BATCH = 100, BOXES = 3 };

static void fill(struct box *box, uint32_t *number, uint64_t *changed)
{
    box_clear(box);
    for (uint32_t i = 0; i < BATCH; i++, ++*number) {
        char mac[18];
        snprintf(mac, sizeof mac, "02:00:00:00:%02X:%02X", *number >> 8 & 15, *number & 255);
        box_device(box, &(struct device_spec){.mac = mac,
                                              .name = "a device of some name",
                                              .phy = "IEEE802.11",
                                              .manufacturer = "Some Manufacturer",
                                              .channel = "6",
                                              .source = "sensor",
                                              .key = "4202770D00000000_280000EB27B8",
                                              .type = "Wi-Fi AP",
                                              .first_seen = 1700000000,
                                              .last_seen = 1700000000 + *number,
                                              .frequency = 2437000,
                                              .packets = *number,
                                              .signal = -50});
        changed[i] = UINT64_MAX;
    }
    box->batch.changed = changed;
}

int main(int argc, char **argv)
{
    static uint64_t changed[BATCH];
    static struct box boxes[BOXES];
    if (argc != 4)
        return 64;
    struct kx_counters *counters = kx_counters_create();
    struct kx_config config = {.sensor = (char[]){"bench"}};
    struct kx_sink_config sink = {.name = (char[]){"mqtt"}, .type = KX_SINK_MQTT};
    sink.mqtt.url = argv[1];
    sink.mqtt.prefix = (char[]){"floor"};
    sink.mqtt.protocol = strcmp(argv[2], "5") == 0       ? KX_MQTT_ONLY_5
                         : strcmp(argv[2], "3.1.1") == 0 ? KX_MQTT_ONLY_311
                                                         : KX_MQTT_AUTO;
    sink.mqtt.qos = 1;
    sink.mqtt.keep_alive_ns = 30 * KX_NS_PER_S;
    const struct kx_sink_env env = {.config = &config, .counters = counters};
    struct kx_error err;
    void *self = NULL;
    if (kx_mqtt_ops.open(&sink, &env, &self, &err) != KX_OK)
        return 1;
    const struct kx_call call = {.deadline_ns = kx_clock_boot_ns() + 600 * KX_NS_PER_S,
                                 .stop_fd = -1};
    uint32_t number = 0, batches = (uint32_t)atoi(argv[3]) / BATCH;
    for (size_t i = 0; i < BOXES; i++)
        box_init(&boxes[i]);
    if (kx_mqtt_ops.idle(self, &call, &err) != KX_SENT) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    fill(&boxes[0], &number, changed);
    uint64_t begun = kx_clock_boot_ns();
    for (uint32_t i = 0; i < batches; i++) {
        struct kx_batch *next = &boxes[(i + 1) % BOXES].batch;
        if (i + 1 < batches)
            fill(&boxes[(i + 1) % BOXES], &number, changed);
        boxes[i % BOXES].batch.next = i + 1 < batches ? next : NULL;
        if (kx_mqtt_ops.deliver(self, &boxes[i % BOXES].batch, &call, &err) != KX_SENT) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
    }
    double seconds = (double)(kx_clock_boot_ns() - begun) / 1e9;
    printf("%.0f\n", batches * BATCH / seconds);
    kx_mqtt_ops.close(self);
    for (size_t i = 0; i < BOXES; i++)
        box_fini(&boxes[i]);
    kx_counters_destroy(counters);
    return 0;
}
