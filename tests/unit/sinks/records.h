/*
 * Records and batches for the tests of sinks: a device or an event in one expression.
 *
 * Used by tests/unit/sinks and tests/golden. 0 and NULL in a spec mean unknown.
 */
#ifndef KX_TESTS_RECORDS_H
#define KX_TESTS_RECORDS_H

#include "batch/sink.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BOX_RECORDS = 2048, BOX_BYTES = 4 << 20 };

struct box {
    char *bytes;
    size_t used;
    uint32_t offsets[BOX_RECORDS];
    uint64_t done[BOX_RECORDS / 64];
    uint64_t sequence;
    struct kx_batch batch;
};

struct device_spec {
    const char *mac, *name, *username, *phy, *manufacturer, *channel;
    const char *source, *server_uuid, *key, *type, *crypt, *extra;
    int64_t first_seen, last_seen, frequency, packets, tx, rx, bytes, alerts;
    int32_t signal, noise, snr;
    double latitude, longitude, altitude;
    bool location, random_known, random;
    int64_t heard_ns, received_ns; /* 0 = at last_seen */
};

struct event_spec {
    const char *type, *source, *server_uuid, *key, *mac, *data;
    int64_t time_ns, received_ns;
    uint8_t uid; /* repeated in all its bytes */
};

static inline void box_init(struct box *box)
{
    *box = (struct box){.bytes = aligned_alloc(KX_RECORD_ALIGN, BOX_BYTES)};
    if (box->bytes == NULL)
        abort();
    box->batch = (struct kx_batch){.bytes = box->bytes, .offsets = box->offsets, .done = box->done};
}

static inline void box_fini(struct box *box)
{
    free(box->bytes);
}

/* Empty again; sequences go on. */
static inline void box_clear(struct box *box)
{
    box->used = 0;
    memset(box->done, 0, sizeof box->done);
    box->batch = (struct kx_batch){.bytes = box->bytes, .offsets = box->offsets, .done = box->done};
}

static inline void box_take(struct box *box, struct kx_record *record, struct kx_builder *builder)
{
    record->sequence = ++box->sequence;
    size_t length = kx_builder_finish(builder);
    if (length == 0 || box->batch.end == BOX_RECORDS)
        abort();
    box->offsets[box->batch.end++] = (uint32_t)box->used;
    box->used += length;
}

static inline void box_text(struct kx_builder *builder, enum kx_field field, const char *text)
{
    if (text != NULL)
        kx_builder_field(builder, field, text, strlen(text));
}

static inline void box_device(struct box *box, const struct device_spec *spec)
{
    struct kx_builder builder;
    struct kx_device *device =
        kx_builder_device(&builder, box->bytes + box->used, BOX_BYTES - box->used);
    const struct {
        enum kx_field field;
        int64_t *to;
        int64_t value;
    } numbers[] = {
        {KX_F_FIRST_SEEN, &device->first_seen, spec->first_seen},
        {KX_F_LAST_SEEN, &device->last_seen, spec->last_seen},
        {KX_F_FREQUENCY, &device->frequency, spec->frequency},
        {KX_F_TOTAL_PACKETS, &device->total_packets, spec->packets},
        {KX_F_TX_PACKETS, &device->tx_packets, spec->tx},
        {KX_F_RX_PACKETS, &device->rx_packets, spec->rx},
        {KX_F_DATA_SIZE, &device->data_size, spec->bytes},
        {KX_F_NUM_ALERTS, &device->num_alerts, spec->alerts},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        *numbers[i].to = numbers[i].value;
        if (numbers[i].value != 0)
            device->head.present |= 1ull << numbers[i].field;
    }
    device->signal_dbm = spec->signal;
    device->noise_dbm = spec->noise;
    device->snr_db = spec->snr;
    device->latitude = spec->latitude;
    device->longitude = spec->longitude;
    device->altitude = spec->altitude;
    device->mac_random = spec->random;
    uint64_t present = 1ull << KX_F_TIMESTAMP;
    present |= (uint64_t)(spec->signal != 0) << KX_F_SIGNAL_DBM;
    present |= (uint64_t)(spec->noise != 0) << KX_F_NOISE_DBM;
    present |= (uint64_t)(spec->snr != 0) << KX_F_SNR_DB;
    present |= (uint64_t)spec->location * (7ull << KX_F_LATITUDE);
    present |= (uint64_t)spec->random_known << KX_F_MAC_RANDOM;
    device->head.present |= present;
    int64_t seen_ns;
    if (__builtin_mul_overflow(spec->last_seen, INT64_C(1000000000), &seen_ns))
        seen_ns = 0; /* a time that ns cannot hold */
    device->heard_at_ns = spec->heard_ns != 0 ? spec->heard_ns : seen_ns;
    device->head.received_ns = spec->received_ns != 0 ? spec->received_ns : seen_ns;
    box_text(&builder, KX_F_MAC_ADDR, spec->mac);
    box_text(&builder, KX_F_NAME, spec->name);
    box_text(&builder, KX_F_USERNAME, spec->username);
    box_text(&builder, KX_F_PHY_TYPE, spec->phy);
    box_text(&builder, KX_F_MANUFACTURER, spec->manufacturer);
    box_text(&builder, KX_F_CHANNEL, spec->channel);
    box_text(&builder, KX_F_SOURCE, spec->source != NULL ? spec->source : "kitchen");
    box_text(&builder, KX_F_SERVER_UUID, spec->server_uuid);
    box_text(&builder, KX_F_DEVICE_KEY, spec->key);
    box_text(&builder, KX_F_DEVICE_TYPE, spec->type);
    box_text(&builder, KX_F_CRYPT, spec->crypt);
    box_text(&builder, KX_F_EXTRA, spec->extra);
    box_take(box, &device->head, &builder);
}

static inline void box_event(struct box *box, const struct event_spec *spec)
{
    struct kx_builder builder;
    struct kx_event *event =
        kx_builder_event(&builder, box->bytes + box->used, BOX_BYTES - box->used);
    const struct {
        struct kx_text *to;
        const char *text;
    } texts[] = {
        {&event->type, spec->type},
        {&event->source, spec->source != NULL ? spec->source : "kitchen"},
        {&event->server_uuid, spec->server_uuid},
        {&event->device_key, spec->key},
        {&event->device_mac, spec->mac},
        {&event->data, spec->data != NULL ? spec->data : "{}"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].text != NULL)
            kx_builder_text(&builder, texts[i].to, texts[i].text, strlen(texts[i].text),
                            KX_RECORD_BYTES_MAX);
    event->time_ns = spec->time_ns;
    event->head.received_ns = spec->received_ns != 0 ? spec->received_ns : spec->time_ns;
    memset(event->uid, spec->uid, sizeof event->uid);
    box_take(box, &event->head, &builder);
}

/* What the hostile-names list asks for, as a name that reached a record: well-formed UTF-8. */
static const char *const hostile_names[] = {
    "a\nadmin,x=1 y=1",
    "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
    "\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\",
    "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"",
    ",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,",
    "'); DROP TABLE kismet_devices; --",
    "\\.",
    "=HYPERLINK(\"http://x\")",
    "\033]0;x\a",
    "\033[2J",
    "\xe2\x80\xae"
    "evil",
    "a\xe2\x80\xa8"
    "b",
    "\xef\xbb\xbf"
    "bom",
    "\xc2\x9b"
    "31m",
    "\xf3\xa0\x81\x81tag",
    "\x7f",
    "%n%s%s",
    "${jndi:ldap://x}",
    "../../etc/x",
    "<script>alert(1)</script>",
    "   ",
    "\r[1] Device: forged",
};
enum { HOSTILE_NAMES = sizeof hostile_names / sizeof hostile_names[0] };

#endif
