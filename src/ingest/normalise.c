/*
 * The rules of normalise.h, one function a rule.
 */
#include "ingest/normalise.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAC_TEXT_MAX = 17, MAC_LOCAL_BIT = 0x02, FIX_3D = 3 };

static bool in_has(const struct kx_json_device *in, enum kx_json_field field)
{
    return (in->has >> field & 1) != 0;
}

static void mark(struct kx_device *device, enum kx_field field)
{
    device->head.present |= (uint64_t)1 << field;
}

static bool text_is(struct kx_json_text text, const char *expected)
{
    size_t length = strlen(expected);
    return text.length == length && memcmp(text.data, expected, length) == 0;
}

static bool text_starts(struct kx_json_text text, const char *prefix)
{
    size_t length = strlen(prefix);
    return text.length >= length && memcmp(text.data, prefix, length) == 0;
}

static void
put_text(struct kx_builder *builder, enum kx_field field, const struct kx_json_text *text)
{
    if (text->length > 0)
        kx_builder_field(builder, field, text->data, text->length);
}

/* --- names and addresses --- */

static struct kx_json_text server_of(const struct kx_normalise *ctx, struct kx_json_text own)
{
    return own.length > 0 ? own : ctx->server_uuid;
}

struct kx_registry_name kx_normalise_name(const struct kx_normalise *ctx,
                                          struct kx_json_text server_uuid,
                                          struct kx_json_text key)
{
    struct kx_json_text server = server_of(ctx, server_uuid);
    return (struct kx_registry_name){
        .server_uuid = server.data,
        .server_uuid_length = server.length,
        .key = key.data,
        .key_length = key.length,
        .source = ctx->source_index,
    };
}

/* A MAC in the asked case, written to out, with its bits. What is no MAC is left alone: nobody
 * knows what its letters mean. */
static struct kx_json_text mac_cased(struct kx_json_text text,
                                     enum kx_mac_case mac_case,
                                     char out[MAC_TEXT_MAX],
                                     uint64_t *ret_bits)
{
    if (text.length == 0 || !kx_text_mac(text.data, text.length, ret_bits))
        return text;
    char from = mac_case == KX_MAC_UPPER ? 'a' : 'A';
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.data[i];
        bool other_case = byte >= from && byte <= from + ('f' - 'a');
        out[i] = other_case ? (char)(byte ^ ('a' ^ 'A')) : byte;
    }
    return (struct kx_json_text){out, text.length};
}

/* As addresses where both are, else as texts. */
static bool same_mac(struct kx_json_text a, struct kx_json_text b)
{
    uint64_t a_bits, b_bits;
    if (a.length == 0 || b.length == 0)
        return false;
    if (a.length == b.length && memcmp(a.data, b.data, a.length) == 0)
        return true; /* nearly always */
    return kx_text_mac(a.data, a.length, &a_bits) && kx_text_mac(b.data, b.length, &b_bits) &&
           a_bits == b_bits;
}

static void put_mac(const struct kx_normalise *ctx,
                    const struct kx_json_device *in,
                    struct kx_builder *builder,
                    struct kx_device *device)
{
    char cased[MAC_TEXT_MAX];
    uint64_t bits;
    struct kx_json_text mac = mac_cased(in->mac_addr, ctx->mac_case, cased, &bits);
    put_text(builder, KX_F_MAC_ADDR, &mac);
    if (mac.data != cased)
        return;
    device->mac_bits = bits;
    if (text_starts(in->phy_type, "IEEE802.11") || text_starts(in->phy_type, "Bluetooth") ||
        text_starts(in->phy_type, "BTLE")) {
        device->mac_random = (bits >> 40 & MAC_LOCAL_BIT) != 0;
        mark(device, KX_F_MAC_RANDOM);
    }
}

static void put_name(const struct kx_json_device *in, struct kx_builder *builder)
{
    if (in->name.length > 0)
        put_text(builder, KX_F_NAME, &in->name);
    else if (!same_mac(in->common_name, in->mac_addr))
        put_text(builder, KX_F_NAME, &in->common_name);
}

static void put_texts(const struct kx_normalise *ctx,
                      const struct kx_json_device *in,
                      struct kx_builder *builder)
{
    struct kx_json_text server = server_of(ctx, in->server_uuid);
    put_name(in, builder);
    put_text(builder, KX_F_USERNAME, &in->username);
    put_text(builder, KX_F_PHY_TYPE, &in->phy_type);
    put_text(builder, KX_F_MANUFACTURER, &in->manufacturer);
    put_text(builder, KX_F_CHANNEL, &in->channel);
    put_text(builder, KX_F_SOURCE, &ctx->source);
    put_text(builder, KX_F_SERVER_UUID, &server);
    put_text(builder, KX_F_DEVICE_KEY, &in->key);
    put_text(builder, KX_F_DEVICE_TYPE, &in->device_type);
    put_text(builder, KX_F_CRYPT, &in->crypt);
    put_text(builder, KX_F_EXTRA, &in->extra);
}

/* --- numbers --- */

/* A number that counts something: not negative, and unknown below least. */
static void put_count(struct kx_device *device,
                      enum kx_field field,
                      int64_t value,
                      int64_t least,
                      struct kx_normalise_notes *notes)
{
    if (value < 0)
        notes->range++;
    if (value < least)
        return;
    memcpy((char *)device + kx_fields[field].offset, &value, sizeof value);
    mark(device, field);
}

static void put_counts(const struct kx_json_device *in,
                       struct kx_device *device,
                       struct kx_normalise_notes *notes)
{
    /* least 1: no time and no frequency is 0, it is Kismet's way of saying nothing. */
    if (in_has(in, KX_J_FIRST_SEEN))
        put_count(device, KX_F_FIRST_SEEN, in->first_seen, 1, notes);
    if (in_has(in, KX_J_FREQUENCY))
        put_count(device, KX_F_FREQUENCY, in->frequency, 1, notes);
    if (in_has(in, KX_J_TOTAL_PACKETS))
        put_count(device, KX_F_TOTAL_PACKETS, in->total_packets, 0, notes);
    if (in_has(in, KX_J_TX_PACKETS))
        put_count(device, KX_F_TX_PACKETS, in->tx_packets, 0, notes);
    if (in_has(in, KX_J_RX_PACKETS))
        put_count(device, KX_F_RX_PACKETS, in->rx_packets, 0, notes);
    if (in_has(in, KX_J_DATA_SIZE))
        put_count(device, KX_F_DATA_SIZE, in->data_size, 0, notes);
    if (in_has(in, KX_J_NUM_ALERTS))
        put_count(device, KX_F_NUM_ALERTS, in->num_alerts, 0, notes);
}

static bool
put_i32(struct kx_device *device, enum kx_field field, int64_t value, uint32_t *ret_range)
{
    if (value < INT32_MIN || value > INT32_MAX) {
        ++*ret_range;
        return false;
    }
    int32_t narrow = (int32_t)value;
    memcpy((char *)device + kx_fields[field].offset, &narrow, sizeof narrow);
    mark(device, field);
    return true;
}

static void put_signal(const struct kx_json_device *in,
                       struct kx_device *device,
                       struct kx_normalise_notes *notes)
{
    /* Captures from before signal_type was asked for lack it. */
    if (in->signal_type.length > 0 && !text_is(in->signal_type, "dbm"))
        return;
    bool signal = in_has(in, KX_J_SIGNAL) && in->signal_dbm != 0 &&
                  put_i32(device, KX_F_SIGNAL_DBM, in->signal_dbm, &notes->range);
    bool noise = in_has(in, KX_J_NOISE) && in->noise_dbm != 0 &&
                 put_i32(device, KX_F_NOISE_DBM, in->noise_dbm, &notes->range);
    if (signal && noise)
        put_i32(device, KX_F_SNR_DB, in->signal_dbm - in->noise_dbm, &notes->range);
}

static void put_location(const struct kx_json_device *in,
                         struct kx_device *device,
                         struct kx_normalise_notes *notes)
{
    if (in_has(in, KX_J_GEOPOINT)) {
        /* fabs of a NaN is not <= anything. */
        bool on_globe = fabs(in->latitude) <= 90 && fabs(in->longitude) <= 180;
        bool nowhere = in->latitude == 0 && in->longitude == 0;
        if (!on_globe)
            notes->range++;
        else if (!nowhere) {
            device->latitude = in->latitude;
            device->longitude = in->longitude;
            mark(device, KX_F_LATITUDE);
            mark(device, KX_F_LONGITUDE);
        }
    }
    if (in_has(in, KX_J_ALTITUDE) && in_has(in, KX_J_FIX) && in->fix == FIX_3D) {
        if (!isfinite(in->altitude)) {
            notes->range++;
            return;
        }
        device->altitude = in->altitude;
        mark(device, KX_F_ALTITUDE);
    }
}

/* --- time --- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The seconds in which a wall-clock ns lies. */
static int64_t seconds_of(int64_t ns)
{
    return ns / (int64_t)KX_NS_PER_S;
}

/* When the device was heard, by the server's word; may be in the future. */
static int64_t heard_by_word(const struct kx_normalise *ctx, int64_t last_seen)
{
    int64_t ns;
    if (__builtin_mul_overflow(last_seen, (int64_t)KX_NS_PER_S, &ns))
        return ctx->received_ns; /* last_seen is positive: far in the future */
    if (ctx->skew_known && __builtin_sub_overflow(ns, ctx->skew_ns, &ns))
        return ctx->received_ns;
    return ns > 0 ? ns : 0;
}

/* Whether the server started to count this device anew. */
static bool is_new_life(const struct kx_told *before, int64_t first_seen, int64_t total_packets)
{
    bool moved = first_seen > 0 && before->first_seen > 0 && first_seen != before->first_seen;
    return moved || (total_packets >= 0 && total_packets < before->total_packets);
}

/* heard_at and last_seen as they are to be remembered; told is a copy of before, which is zero in a
 * new life. last_seen and total_packets: 0 and -1 = unknown. */
static void told_heard(const struct kx_normalise *ctx,
                       const struct kx_told *before,
                       int64_t last_seen,
                       int64_t total_packets,
                       struct kx_told *told)
{
    uint8_t by_word = ctx->skew_known ? KX_HEARD_COMPUTED : KX_HEARD_ASSUMED;
    bool fresh = before->last_seen == 0; /* nothing to compare with */
    bool unsure = before->heard == KX_HEARD_ASSUMED && ctx->skew_known;
    bool set_back = last_seen < before->last_seen && total_packets > before->total_packets;
    if (last_seen != 0 && (fresh || last_seen > before->last_seen || set_back)) {
        bool watched = !fresh && before->epoch == ctx->epoch;
        int64_t heard = watched ? ctx->received_ns : heard_by_word(ctx, last_seen);
        /* Estimates of the skew differ by a little: the device is not heard earlier for that. */
        bool floored = !fresh && !unsure && before->heard_at_ns > heard;
        told->heard_at_ns = floored ? before->heard_at_ns : heard;
        told->heard = watched ? KX_HEARD_WATCHED : by_word;
        told->last_seen = last_seen;
    } else if (before->heard == KX_HEARD_NEVER) {
        told->heard_at_ns = ctx->received_ns; /* Kismet told of it just now: all we know */
        told->heard = by_word;
    } else if (unsure && !fresh) {
        told->heard_at_ns = heard_by_word(ctx, before->last_seen);
        told->heard = KX_HEARD_COMPUTED;
    }
    told->heard_at_ns = earlier(told->heard_at_ns, ctx->received_ns);
}

static struct kx_told tell(const struct kx_normalise *ctx,
                           const struct kx_json_device *in,
                           const struct kx_told *last,
                           struct kx_normalise_notes *notes)
{
    int64_t first_seen = in_has(in, KX_J_FIRST_SEEN) && in->first_seen > 0 ? in->first_seen : 0;
    int64_t last_seen = in_has(in, KX_J_LAST_SEEN) && in->last_seen > 0 ? in->last_seen : 0;
    int64_t total = in_has(in, KX_J_TOTAL_PACKETS) ? in->total_packets : -1;
    struct kx_told before = *last;
    if (last->heard != KX_HEARD_NEVER && is_new_life(last, first_seen, total)) {
        notes->new_life = true;
        before = (struct kx_told){.mod_time = last->mod_time}; /* the server's clock goes on */
    }
    struct kx_told told = before;
    told_heard(ctx, &before, last_seen, total, &told);
    told.epoch = ctx->epoch;
    if (first_seen > 0)
        told.first_seen = first_seen;
    if (total >= 0)
        told.total_packets = total;
    if (in_has(in, KX_J_MOD_TIME) && in->mod_time > 0)
        told.mod_time = in->mod_time;
    return told;
}

static void put_times(const struct kx_normalise *ctx,
                      const struct kx_json_device *in,
                      const struct kx_told *told,
                      struct kx_device *device,
                      struct kx_normalise_notes *notes)
{
    device->heard_at_ns = told->heard_at_ns;
    if (in_has(in, KX_J_MOD_TIME) && in->mod_time > 0)
        device->mod_time = in->mod_time;
    if (!in_has(in, KX_J_LAST_SEEN))
        return;
    int64_t last_seen = in->last_seen;
    if (last_seen > seconds_of(ctx->received_ns) + KX_CLOCK_AHEAD_S) {
        /* Not the receive time of each message: an idle device would seem to be heard. */
        last_seen = seconds_of(told->heard_at_ns);
        notes->clock_ahead = true;
    }
    put_count(device, KX_F_LAST_SEEN, last_seen, 1, notes);
}

/* --- devices --- */

static void put_head(const struct kx_normalise *ctx,
                     const struct kx_registry_entry *entry,
                     struct kx_record *head)
{
    head->source = ctx->source_index;
    head->sequence = ctx->sequence;
    head->received_ns = ctx->received_ns;
    if (entry != NULL) {
        head->device_id = entry->id;
        head->generation = entry->generation;
    }
}

static size_t finish(struct kx_builder *builder, struct kx_normalise_notes *notes)
{
    size_t length = kx_builder_finish(builder);
    notes->text_cut = builder->texts_cut;
    notes->too_big = length == 0;
    return length;
}

size_t kx_normalise_device(const struct kx_normalise *ctx,
                           const struct kx_json_device *in,
                           struct kx_registry_entry *entry,
                           void *memory,
                           size_t capacity,
                           struct kx_normalise_notes *notes)
{
    struct kx_builder builder;
    *notes = (struct kx_normalise_notes){0};
    struct kx_device *device = kx_builder_device(&builder, memory, capacity);
    if (device == NULL)
        return finish(&builder, notes);
    struct kx_told told = tell(ctx, in, &entry->told, notes);
    put_head(ctx, entry, &device->head);
    put_times(ctx, in, &told, device, notes);
    put_counts(in, device, notes);
    put_signal(in, device, notes);
    put_location(in, device, notes);
    put_mac(ctx, in, &builder, device);
    put_texts(ctx, in, &builder);
    size_t length = finish(&builder, notes);
    if (length > 0)
        entry->told = told;
    return length;
}

/* --- events --- */

/* Microseconds since 1970, Kismet's own precision; 0 = the event has no time that can be. */
static int64_t event_time_us(double seconds, struct kx_normalise_notes *notes)
{
    const double most = 9223372036; /* seconds that nanoseconds in 64 bits can hold: year 2262 */
    if (seconds >= 0 && seconds <= most)
        return (int64_t)(seconds * 1e6 + 0.5);
    notes->range++;
    return 0;
}

/* "00_0", "0" and whatever else is nothing but zeros. */
static bool is_no_key(struct kx_json_text key)
{
    for (size_t i = 0; i < key.length; i++)
        if (key.data[i] != '0' && key.data[i] != '_')
            return false;
    return true;
}

static void event_uid(const struct kx_json_event *in,
                      struct kx_json_text server,
                      int64_t time_us,
                      struct kx_json_text body,
                      uint8_t ret_uid[KX_UID_BYTES])
{
    char time[24];
    int time_length = snprintf(time, sizeof time, "%" PRId64, time_us);
    const struct kx_hash_part parts[] = {
        {server.data, server.length},    {"", 1}, {in->topic.data, in->topic.length}, {"", 1},
        {time, (size_t)time_length + 1}, /* with the zero behind it */
        {body.data, body.length},
    };
    uint8_t digest[32];
    kx_hash_sha256(parts, sizeof parts / sizeof parts[0], digest);
    memcpy(ret_uid, digest, KX_UID_BYTES);
}

static void put_event_text(struct kx_builder *builder,
                           struct kx_text *slot,
                           struct kx_json_text text,
                           size_t limit)
{
    if (text.length > 0)
        kx_builder_text(builder, slot, text.data, text.length, limit);
}

size_t kx_normalise_event(const struct kx_normalise *ctx,
                          const struct kx_json_event *in,
                          struct kx_json_text data,
                          const struct kx_registry_entry *entry,
                          void *memory,
                          size_t capacity,
                          struct kx_normalise_notes *notes)
{
    struct kx_builder builder;
    *notes = (struct kx_normalise_notes){0};
    struct kx_event *event = kx_builder_event(&builder, memory, capacity);
    if (event == NULL)
        return finish(&builder, notes);
    put_head(ctx, entry, &event->head);
    struct kx_json_text server = server_of(ctx, in->server_uuid);
    int64_t time_us = event_time_us(in->time, notes);
    event->time_ns = time_us > 0 ? time_us * 1000 : ctx->received_ns;
    if (in->severity >= 0 && in->severity < UINT8_MAX)
        event->head.severity = (uint8_t)(in->severity + 1);
    put_event_text(&builder, &event->type, in->topic, KX_TEXT_BYTES_MAX);
    put_event_text(&builder, &event->source, ctx->source, KX_TEXT_BYTES_MAX);
    put_event_text(&builder, &event->server_uuid, server, KX_TEXT_BYTES_MAX);
    if (!is_no_key(in->device_key))
        put_event_text(&builder, &event->device_key, in->device_key, KX_TEXT_BYTES_MAX);
    char cased[MAC_TEXT_MAX];
    uint64_t bits;
    struct kx_json_text mac = mac_cased(in->device_mac, ctx->mac_case, cased, &bits);
    if (mac.data != cased || bits != 0)
        put_event_text(&builder, &event->device_mac, mac, KX_TEXT_BYTES_MAX);
    put_event_text(&builder, &event->data, data, SIZE_MAX); /* never cut: it would not be JSON */
    if (!builder.overflow) { /* megabytes that are refused anyway are not hashed */
        struct kx_json_text body = in->alert_hash.length > 0 ? in->alert_hash : data;
        if (time_us == 0)
            time_us = seconds_of(ctx->received_ns) * 1000000;
        event_uid(in, server, time_us, body, event->uid);
    }
    return finish(&builder, notes);
}
