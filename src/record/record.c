/*
 * The field table, the builder and the check of foreign bytes. The layout itself is record.h's.
 */
#include "record/record.h"
#include "base/error.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

#define FIELD(text, kind, member)                                                                  \
    .name = text, .type = kind, .offset = (uint16_t)offsetof(struct kx_device, member)

const struct kx_field_info kx_fields[KX_FIELDS] = {
    [KX_F_TIMESTAMP] = {FIELD("timestamp", KX_TYPE_TIME, head.received_ns)},
    [KX_F_MAC_ADDR] = {FIELD("mac_addr", KX_TYPE_TEXT, mac_addr)},
    [KX_F_NAME] = {FIELD("name", KX_TYPE_TEXT, name)},
    [KX_F_USERNAME] = {FIELD("username", KX_TYPE_TEXT, username)},
    [KX_F_PHY_TYPE] = {FIELD("phy_type", KX_TYPE_TEXT, phy_type)},
    [KX_F_MANUFACTURER] = {FIELD("manufacturer", KX_TYPE_TEXT, manufacturer)},
    [KX_F_FIRST_SEEN] = {FIELD("first_seen", KX_TYPE_I64, first_seen)},
    [KX_F_LAST_SEEN] = {FIELD("last_seen", KX_TYPE_I64, last_seen)},
    [KX_F_CHANNEL] = {FIELD("channel", KX_TYPE_TEXT, channel)},
    [KX_F_FREQUENCY] = {FIELD("frequency", KX_TYPE_I64, frequency)},
    [KX_F_TOTAL_PACKETS] = {FIELD("total_packets", KX_TYPE_I64, total_packets)},
    [KX_F_TX_PACKETS] = {FIELD("tx_packets", KX_TYPE_I64, tx_packets)},
    [KX_F_RX_PACKETS] = {FIELD("rx_packets", KX_TYPE_I64, rx_packets)},
    [KX_F_DATA_SIZE] = {FIELD("data_size", KX_TYPE_I64, data_size)},
    [KX_F_SIGNAL_DBM] = {FIELD("signal_dbm", KX_TYPE_I32, signal_dbm)},
    [KX_F_NOISE_DBM] = {FIELD("noise_dbm", KX_TYPE_I32, noise_dbm)},
    [KX_F_SNR_DB] = {FIELD("snr_db", KX_TYPE_I32, snr_db)},
    [KX_F_LATITUDE] = {FIELD("latitude", KX_TYPE_F64, latitude)},
    [KX_F_LONGITUDE] = {FIELD("longitude", KX_TYPE_F64, longitude)},
    [KX_F_ALTITUDE] = {FIELD("altitude", KX_TYPE_F64, altitude)},
    [KX_F_SOURCE] = {FIELD("source", KX_TYPE_TEXT, source)},
    [KX_F_SERVER_UUID] = {FIELD("server_uuid", KX_TYPE_TEXT, server_uuid)},
    [KX_F_DEVICE_KEY] = {FIELD("device_key", KX_TYPE_TEXT, device_key)},
    [KX_F_DEVICE_TYPE] = {FIELD("device_type", KX_TYPE_TEXT, device_type)},
    [KX_F_CRYPT] = {FIELD("crypt", KX_TYPE_TEXT, crypt)},
    [KX_F_NUM_ALERTS] = {FIELD("num_alerts", KX_TYPE_I64, num_alerts)},
    [KX_F_MAC_RANDOM] = {FIELD("mac_random", KX_TYPE_BOOL, mac_random)},
    [KX_F_EXTRA] = {FIELD("extra", KX_TYPE_JSON, extra)},
};

enum kx_field kx_field_find(const char *name, size_t length)
{
    for (enum kx_field field = 0; field < KX_FIELDS; field++)
        if (strlen(kx_fields[field].name) == length &&
            memcmp(kx_fields[field].name, name, length) == 0)
            return field;
    return KX_FIELDS;
}

/* --- foreign bytes --- */

static bool text_within(struct kx_text text, size_t fixed, size_t length)
{
    if (text.length == 0)
        return text.offset <= length;
    return text.offset >= fixed && (size_t)text.offset + text.length <= length;
}

static bool device_valid(const unsigned char *bytes, size_t length)
{
    struct kx_record head;
    memcpy(&head, bytes, sizeof head);
    if (length < sizeof(struct kx_device) || head.present >> KX_FIELDS != 0)
        return false;
    for (enum kx_field field = 0; field < KX_FIELDS; field++) {
        const unsigned char *value = bytes + kx_fields[field].offset;
        struct kx_text text;
        double number;
        switch (kx_fields[field].type) {
        case KX_TYPE_TEXT:
        case KX_TYPE_JSON:
            memcpy(&text, value, sizeof text);
            if (!text_within(text, sizeof(struct kx_device), length))
                return false;
            break;
        case KX_TYPE_F64:
            memcpy(&number, value, sizeof number);
            if (!isfinite(number) && (head.present >> field & 1) != 0)
                return false;
            break;
        case KX_TYPE_BOOL:
            if (*value > 1) /* a bool that is neither is undefined to read */
                return false;
            break;
        case KX_TYPE_TIME:
        case KX_TYPE_I64:
        case KX_TYPE_I32:
            break; /* any bits are a number */
        }
    }
    return true;
}

static bool event_valid(const unsigned char *bytes, size_t length)
{
    struct kx_event event;
    if (length < sizeof event)
        return false;
    memcpy(&event, bytes, sizeof event);
    return text_within(event.type, sizeof event, length) &&
           text_within(event.source, sizeof event, length) &&
           text_within(event.server_uuid, sizeof event, length) &&
           text_within(event.device_key, sizeof event, length) &&
           text_within(event.device_mac, sizeof event, length) &&
           text_within(event.data, sizeof event, length);
}

bool kx_record_valid(const void *bytes, size_t length)
{
    struct kx_record head;
    if (length < sizeof head || length > KX_RECORD_BYTES_MAX || length % KX_RECORD_ALIGN != 0)
        return false;
    memcpy(&head, bytes, sizeof head);
    if (head.length != length)
        return false;
    if (head.kind == KX_KIND_DEVICE)
        return device_valid(bytes, length);
    return head.kind == KX_KIND_EVENT && event_valid(bytes, length);
}

/* --- writing --- */

/* What both kinds begin with; NULL when not even the fixed part fits. */
static void *builder_start(
    struct kx_builder *builder, void *memory, size_t capacity, enum kx_kind kind, size_t fixed)
{
    if (capacity > KX_RECORD_BYTES_MAX)
        capacity = KX_RECORD_BYTES_MAX;
    /* Rounded down once, so that the padding of finish always has its room. */
    capacity -= capacity % KX_RECORD_ALIGN;
    *builder = (struct kx_builder){.capacity = capacity};
    if (capacity < fixed) {
        builder->overflow = true;
        return NULL;
    }
    KX_ASSERT((uintptr_t)memory % KX_RECORD_ALIGN == 0);
    memset(memory, 0, fixed);
    builder->record = memory;
    builder->used = fixed;
    builder->record->kind = (uint8_t)kind;
    builder->record->device_id = KX_DEVICE_NONE;
    return memory;
}

struct kx_device *kx_builder_device(struct kx_builder *builder, void *memory, size_t capacity)
{
    struct kx_device *device =
        builder_start(builder, memory, capacity, KX_KIND_DEVICE, sizeof *device);
    if (device != NULL)
        device->head.present = (uint64_t)1 << KX_F_TIMESTAMP;
    return device;
}

struct kx_event *kx_builder_event(struct kx_builder *builder, void *memory, size_t capacity)
{
    return builder_start(builder, memory, capacity, KX_KIND_EVENT, sizeof(struct kx_event));
}

void kx_builder_text(
    struct kx_builder *builder, struct kx_text *slot, const char *text, size_t length, size_t limit)
{
    if (builder->overflow)
        return;
    if (length > limit) {
        length = kx_text_utf8_cut(text, length, limit);
        builder->texts_cut++;
    }
    if (length > builder->capacity - builder->used) {
        builder->overflow = true;
        return;
    }
    slot->offset = (uint16_t)builder->used;
    slot->length = (uint16_t)length;
    if (length > 0) /* text may be NULL then */
        memcpy((char *)builder->record + builder->used, text, length);
    builder->used += length;
}

void kx_builder_field(struct kx_builder *builder,
                      enum kx_field field,
                      const char *text,
                      size_t length)
{
    if (builder->overflow)
        return;
    const struct kx_field_info *info = &kx_fields[field];
    KX_ASSERT(builder->record->kind == KX_KIND_DEVICE);
    KX_ASSERT(info->type == KX_TYPE_TEXT || info->type == KX_TYPE_JSON);
    if (info->type == KX_TYPE_JSON && length > KX_EXTRA_BYTES_MAX) {
        builder->texts_cut++;
        return;
    }
    struct kx_text *slot = (struct kx_text *)((char *)builder->record + info->offset);
    size_t limit = info->type == KX_TYPE_JSON ? KX_EXTRA_BYTES_MAX : KX_TEXT_BYTES_MAX;
    kx_builder_text(builder, slot, text, length, limit);
    if (!builder->overflow)
        builder->record->present |= (uint64_t)1 << field;
}

size_t kx_builder_finish(struct kx_builder *builder)
{
    if (builder->overflow)
        return 0;
    /* Zeros between the last text and the end: the same record is the same bytes everywhere. */
    while (builder->used % KX_RECORD_ALIGN != 0)
        ((char *)builder->record)[builder->used++] = '\0';
    builder->record->length = (uint32_t)builder->used;
    return builder->used;
}
