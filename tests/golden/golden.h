/*
 * The records of the golden tests, and the comparison with a file of this folder.
 *
 * KX_GOLDEN_WRITE=1 in the environment writes the files anew; read the difference before it is
 * committed: users' tools parse these bytes.
 */
#ifndef KX_TESTS_GOLDEN_H
#define KX_TESTS_GOLDEN_H

#include "../unit/sinks/records.h"
#include "base/buf.h"
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { GOLDEN_BYTES_MAX = 1 << 20 };

/* The manual's device and event, with everything known; a device of which next to nothing is known;
 * numbers at their ends; a name that means harm. */
static inline void golden_records(struct box *box)
{
    enum { SEEN = 1737131445 };
    const int64_t ns = (int64_t)SEEN * 1000000000 + 123456789;
    box_device(box, &(struct device_spec){.mac = "AA:BB:CC:DD:EE:FF",
                                          .name = "Device Name",
                                          .username = "Custom User Name",
                                          .phy = "IEEE802.11",
                                          .manufacturer = "Apple",
                                          .channel = "6",
                                          .source = "kitchen",
                                          .server_uuid = "5FE308BD-0000-0000-0000-DCA632000001",
                                          .key = "4202770D00000000_FFEEDDCCBBAA",
                                          .type = "Wi-Fi AP",
                                          .crypt = "WPA2-PSK",
                                          .extra = "{\"dot11.device.ssid\":\"caf\xc3\xa9\"}",
                                          .first_seen = SEEN - 100,
                                          .last_seen = SEEN,
                                          .frequency = 2437000,
                                          .packets = 1250,
                                          .tx = 800,
                                          .rx = 450,
                                          .bytes = 1048576,
                                          .alerts = 3,
                                          .signal = -45,
                                          .noise = -95,
                                          .snr = 50,
                                          .location = true,
                                          .latitude = 40.7128,
                                          .longitude = -74.006,
                                          .altitude = 10.5,
                                          .random_known = true,
                                          .heard_ns = ns,
                                          .received_ns = ns});
    box_device(box, &(struct device_spec){
                        .mac = "02:00:00:00:00:01", .last_seen = SEEN, .received_ns = ns + 1000});
    box_device(box, &(struct device_spec){.mac = "02:00:00:00:00:02",
                                          .name = "<b>\"\\\033[2J\xe2\x80\xae'); --",
                                          .phy = "Bluetooth",
                                          .channel = "FHSS",
                                          .first_seen = INT64_MIN,
                                          .last_seen = SEEN,
                                          .packets = INT64_MAX,
                                          .signal = INT32_MIN,
                                          .noise = INT32_MAX,
                                          .location = true,
                                          .latitude = -89.9999999,
                                          .longitude = 1e-7,
                                          .altitude = -0.1,
                                          .random_known = true,
                                          .random = true,
                                          .received_ns = ns});
    box_event(
        box, &(struct event_spec){.type = "ALERT",
                                  .server_uuid = "5FE308BD-0000-0000-0000-DCA632000001",
                                  .key = "4202770D00000000_FFEEDDCCBBAA",
                                  .mac = "AA:BB:CC:DD:EE:FF",
                                  .data = "{\"kismet.alert.header\":\"DEAUTHFLOOD\","
                                          "\"kismet.alert.text\":\"quoted \\\" and \xe2\x98\x83\"}",
                                  .time_ns = ns,
                                  .uid = 0x0f});
    box_event(box, &(struct event_spec){.type = "DATASOURCE_ERROR", .time_ns = ns, .uid = 0xf0});
}

static inline void golden_compare(const char *name, const struct kx_buf *bytes)
{
    char path[PATH_MAX];
    assert_false(bytes->failed);
    snprintf(path, sizeof path, "%s/golden/%s", KX_TESTS_DIR, name);
    bool write = getenv("KX_GOLDEN_WRITE") != NULL;
    FILE *file = fopen(path, write ? "w" : "r");
    assert_non_null(file);
    if (write) {
        assert_int_equal(fwrite(bytes->data, 1, bytes->length, file), bytes->length);
        fclose(file);
        return;
    }
    char *wanted = malloc(GOLDEN_BYTES_MAX);
    assert_non_null(wanted);
    size_t length = fread(wanted, 1, GOLDEN_BYTES_MAX, file);
    fclose(file);
    if (length != bytes->length || memcmp(wanted, bytes->data, length) != 0)
        print_error("%s differs; what came:\n%.*s\n", name, (int)bytes->length, bytes->data);
    assert_int_equal(length, bytes->length);
    assert_memory_equal(wanted, bytes->data, length);
    free(wanted);
}

#endif
