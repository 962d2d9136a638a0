/*
 * Line protocol by hand: room for the whole line is taken once, then it is copies, digits, and one
 * look at eight bytes of each text at a time.
 */
#include "encode/line.h"

#include "base/clock.h"
#include "base/decimal.h"
#include "base/error.h"
#include "base/hash.h"
#include "encode/mac.h"
#include <string.h>

enum {
    LINE_SPARE = 512,    /* measurement, keys of an event, time */
    FIELD_MAX = 32 + 32, /* separator, key and any number */
};

#define DEVICE "device_metrics"
#define EVENT "kismet_events"
#define BIT(field) (1ull << (field))
#define SECOND ((int64_t)KX_NS_PER_S)
#define SECONDS_MAX (INT64_MAX / SECOND - 1)

/* Fixed: the place of a device within its second is the same in every run. */
static const struct kx_hash_key place_key = {0x6b69736d65740001, 0x6c696e6570726f74};

static const int64_t divisors[] = {
    [KX_INFLUX_NS] = 1,
    [KX_INFLUX_US] = 1000,
    [KX_INFLUX_MS] = 1000000,
    [KX_INFLUX_S] = 1000000000,
};

/* In the order of their names. */
static const enum kx_field tag_order[] = {KX_F_MAC_ADDR, KX_F_MANUFACTURER, KX_F_PHY_TYPE,
                                          KX_F_SOURCE};
enum { TAGS = sizeof tag_order / sizeof tag_order[0] };

void kx_encode_line_init(struct kx_encode_line *line,
                         const struct kx_sink_config *config,
                         uint64_t fields)
{
    *line = (struct kx_encode_line){
        .precision = config->influxdb.precision,
        .timestamp = config->influxdb.timestamp,
        .mac_as = config->influxdb.mac_as,
        .compat = config->compat,
        .mac_case = config->mac_case,
    };
    if (config->compat == KX_COMPAT_SCRIPT)
        fields &= BIT(KX_F_SOURCE) - 1;
    for (size_t i = 0; i < TAGS; i++)
        line->tags |= BIT(tag_order[i]);
    line->tags &= fields | BIT(KX_F_MAC_ADDR);
    line->fields = fields & ~line->tags & ~BIT(KX_F_TIMESTAMP);
    if (line->mac_as != KX_INFLUX_MAC_TAG)
        line->fields |= BIT(KX_F_MAC_ADDR);
    if (line->mac_as == KX_INFLUX_MAC_FIELD)
        line->tags &= ~BIT(KX_F_MAC_ADDR);
    for (enum kx_field field = 0; field < KX_FIELDS; field++) {
        struct kx_encode_line_key *key = &line->keys[field];
        size_t length = strlen(kx_fields[field].name);
        KX_ASSERT(length + 1 <= sizeof key->text);
        memcpy(key->text, kx_fields[field].name, length);
        key->text[length] = '=';
        key->length = (uint8_t)(length + 1);
    }
}

/* --- texts --- */

#define EACH(byte) (0x0101010101010101ull * (byte))

/* Whether one of eight bytes is below n (n <= 0x80), exact for the question "any at all". */
static inline uint64_t below(uint64_t word, uint64_t n)
{
    return (word - EACH(n)) & ~word & EACH(0x80);
}

static inline uint64_t equal(uint64_t word, uint64_t byte)
{
    return below(word ^ EACH(byte), 1);
}

static inline bool tag_is_plain(uint64_t word)
{
    return (below(word, 0x21) | equal(word, 0x7f) | equal(word, ',') | equal(word, '=') |
            equal(word, '\\')) == 0;
}

static inline bool field_is_plain(uint64_t word)
{
    return (below(word, 0x20) | equal(word, 0x7f) | equal(word, '"') | equal(word, '\\')) == 0;
}

static inline bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static char *put_tag_bytes(char *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == ',' || c == '=' || c == ' ')
            *out++ = '\\';
        *out++ = is_control(c) || c == '\\' ? '_' : c;
    }
    return out;
}

static char *put_field_bytes(char *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == '"' || c == '\\')
            *out++ = '\\';
        *out++ = is_control(c) ? '_' : c;
    }
    return out;
}

/* Eight bytes at a time while nothing in them is special. */
static inline char *put_text(char *out,
                             const char *text,
                             size_t length,
                             bool (*is_plain)(uint64_t),
                             char *(*put_bytes)(char *, const char *, size_t))
{
    size_t at = 0;
    for (; at + 8 <= length; at += 8) {
        uint64_t word;
        memcpy(&word, text + at, 8);
        if (is_plain(word)) {
            memcpy(out, &word, 8);
            out += 8;
        } else {
            out = put_bytes(out, text + at, 8);
        }
    }
    return put_bytes(out, text + at, length - at);
}

static char *put_tag_text(char *out, const char *text, size_t length)
{
    return put_text(out, text, length, tag_is_plain, put_tag_bytes);
}

static char *put_field_text(char *out, const char *text, size_t length)
{
    *out++ = '"';
    out = put_text(out, text, length, field_is_plain, put_field_bytes);
    *out++ = '"';
    return out;
}

static inline char *put(char *out, const char *literal, size_t length)
{
    memcpy(out, literal, length);
    return out + length;
}
#define PUT(out, literal) put((out), "" literal, sizeof(literal) - 1)

/* --- time --- */

/* The second of a time, and in it a place. */
static int64_t place_in_second(int64_t time_ns, uint64_t place)
{
    int64_t second = time_ns / SECOND - (time_ns % SECOND < 0);
    return second * SECOND + (int64_t)(place % KX_NS_PER_S);
}

static uint64_t place_of_device(const struct kx_device *device)
{
    const struct kx_record *record = &device->head;
    bool keyed = kx_record_has(record, KX_F_DEVICE_KEY);
    struct kx_text text = keyed ? device->device_key : device->mac_addr;
    uint64_t place = kx_hash_sip(&place_key, kx_record_text(record, text), text.length);
    if (kx_record_has(record, KX_F_SERVER_UUID))
        place ^= kx_hash_sip(&place_key, kx_record_text(record, device->server_uuid),
                             device->server_uuid.length);
    return place;
}

static int64_t device_time_ns(const struct kx_encode_line *line, const struct kx_device *device)
{
    int64_t time_ns = device->head.received_ns;
    if (line->timestamp == KX_INFLUX_LAST_SEEN && kx_record_has(&device->head, KX_F_LAST_SEEN) &&
        device->last_seen > -SECONDS_MAX && device->last_seen < SECONDS_MAX)
        time_ns = device->last_seen * SECOND;
    if (line->mac_as == KX_INFLUX_MAC_FIELD)
        time_ns = place_in_second(time_ns, place_of_device(device));
    return time_ns;
}

static int64_t event_time_ns(const struct kx_event *event)
{
    uint64_t place = 0;
    for (size_t i = 0; i < sizeof place; i++)
        place = place << 8 | event->uid[i];
    return place_in_second(event->time_ns, place);
}

int64_t kx_encode_line_time_ns(const struct kx_encode_line *line, const struct kx_record *record)
{
    const struct kx_event *event = kx_record_event(record);
    return event != NULL ? event_time_ns(event) : device_time_ns(line, kx_record_device(record));
}

static char *put_end(const struct kx_encode_line *line, char *out, int64_t time_ns)
{
    int64_t divisor = divisors[line->precision];
    int64_t time = time_ns / divisor - (time_ns % divisor < 0);
    *out++ = ' ';
    out += kx_decimal_i64(time, out);
    *out++ = '\n';
    return out;
}

/* --- devices --- */

static inline struct kx_text text_of(const struct kx_device *device, enum kx_field field)
{
    struct kx_text text;
    memcpy(&text, (const char *)device + kx_fields[field].offset, sizeof text);
    return text;
}

static char *put_tags(const struct kx_encode_line *line, char *out, const struct kx_device *device)
{
    const struct kx_record *record = &device->head;
    char lower[KX_ENCODE_MAC_MAX];
    for (size_t i = 0; i < TAGS; i++) {
        enum kx_field field = tag_order[i];
        if ((line->tags & record->present & BIT(field)) == 0)
            continue;
        struct kx_text text = text_of(device, field);
        const char *bytes = kx_record_text(record, text);
        if (text.length == 0) /* no server takes an empty tag */
            continue;
        if (field == KX_F_MAC_ADDR)
            bytes = kx_encode_mac(line->mac_case, bytes, text.length, lower);
        *out++ = ',';
        out = put(out, line->keys[field].text, line->keys[field].length);
        out = put_tag_text(out, bytes, text.length);
    }
    return out;
}

static char *put_text_value(const struct kx_encode_line *line,
                            char *out,
                            const struct kx_device *device,
                            enum kx_field field)
{
    char lower[KX_ENCODE_MAC_MAX];
    struct kx_text text = text_of(device, field);
    const char *bytes = kx_record_text(&device->head, text);
    if (field == KX_F_MAC_ADDR)
        bytes = kx_encode_mac(line->mac_case, bytes, text.length, lower);
    return put_field_text(out, bytes, text.length);
}

/* NULL when line protocol cannot say it: NaN, an infinity. */
static char *put_value(const struct kx_encode_line *line,
                       char *out,
                       const struct kx_device *device,
                       enum kx_field field)
{
    const void *at = (const char *)device + kx_fields[field].offset;
    size_t length;
    switch (kx_fields[field].type) {
    case KX_TYPE_I64:
    case KX_TYPE_TIME:
        out += kx_decimal_i64(*(const int64_t *)at, out);
        *out++ = 'i';
        return out;
    case KX_TYPE_I32:
        out += kx_decimal_i64(*(const int32_t *)at, out);
        *out++ = 'i';
        return out;
    case KX_TYPE_F64:
        length = kx_decimal_f64(*(const double *)at, out);
        return length > 0 ? out + length : NULL;
    case KX_TYPE_BOOL:
        return *(const bool *)at ? PUT(out, "true") : PUT(out, "false");
    case KX_TYPE_TEXT:
    case KX_TYPE_JSON:
        break;
    }
    return put_text_value(line, out, device, field);
}

/* What the script wrote for unknown. */
static char *put_unknown(char *out, enum kx_type type)
{
    if (type == KX_TYPE_TEXT)
        return PUT(out, "\"\"");
    return type == KX_TYPE_F64 ? PUT(out, "0") : PUT(out, "0i");
}

/* The fields of the mask that have a value; separator: what stands before the first. */
static char *put_fields(const struct kx_encode_line *line,
                        char *out,
                        const struct kx_device *device,
                        uint64_t wanted)
{
    char separator = ' ';
    if (line->compat == KX_COMPAT_NONE)
        wanted &= device->head.present;
    for (; wanted != 0; wanted &= wanted - 1) {
        enum kx_field field = (enum kx_field)__builtin_ctzll(wanted);
        const struct kx_encode_line_key *key = &line->keys[field];
        char *begin = out;
        *out++ = separator;
        memcpy(out, key->text, sizeof key->text); /* a copy of a fixed size is two moves */
        out += key->length;
        out = kx_record_has(&device->head, field) ? put_value(line, out, device, field)
                                                  : put_unknown(out, kx_fields[field].type);
        if (out == NULL)
            out = begin;
        else
            separator = ',';
    }
    return out;
}

void kx_encode_line_device(const struct kx_encode_line *line,
                           struct kx_buf *buf,
                           const struct kx_device *device,
                           uint64_t changed)
{
    /* Every text twice (a MAC may be tag and field) and each byte as two. */
    size_t most = 4 * (size_t)device->head.length + KX_FIELDS * FIELD_MAX + LINE_SPARE;
    char *begin = kx_buf_reserve(buf, most);
    if (begin == NULL)
        return;
    int64_t time_ns = device_time_ns(line, device);
    char *tags_end = put_tags(line, PUT(begin, DEVICE), device);
    char *out = put_fields(line, tags_end, device, line->fields & changed);
    if (out == tags_end)
        out = put_fields(line, tags_end, device, line->fields);
    if (out == tags_end) {
        out = PUT(out, " last_seen=");
        out += kx_decimal_i64(time_ns / SECOND, out);
        *out++ = 'i';
    }
    out = put_end(line, out, time_ns);
    buf->length += (size_t)(out - begin);
}

/* --- events --- */

static char *
put_event_tag(char *out, const struct kx_event *event, const char *key, struct kx_text text)
{
    if (text.length == 0)
        return out;
    out = put(out, key, strlen(key));
    return put_tag_text(out, kx_record_text(&event->head, text), text.length);
}

static char *
put_event_field(char *out, const struct kx_event *event, const char *key, struct kx_text text)
{
    if (text.length == 0)
        return out;
    out = put(out, key, strlen(key));
    return put_field_text(out, kx_record_text(&event->head, text), text.length);
}

static char *put_hex(char *out, const uint8_t *bytes, size_t count)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    return out;
}

static char *
put_device_mac(const struct kx_encode_line *line, char *out, const struct kx_event *event)
{
    char lower[KX_ENCODE_MAC_MAX];
    struct kx_text text = event->device_mac;
    const char *bytes = kx_record_text(&event->head, text);
    if (text.length == 0)
        return out;
    out = PUT(out, ",device_mac=");
    return put_field_text(out, kx_encode_mac(line->mac_case, bytes, text.length, lower),
                          text.length);
}

void kx_encode_line_event(const struct kx_encode_line *line,
                          struct kx_buf *buf,
                          const struct kx_event *event)
{
    const struct kx_record *record = &event->head;
    char *begin = kx_buf_reserve(buf, 2 * (size_t)record->length + LINE_SPARE);
    if (begin == NULL)
        return;
    char *out = PUT(begin, EVENT);
    bool script = line->compat == KX_COMPAT_SCRIPT;
    out = put_event_tag(out, event, ",event_type=", event->type);
    if (!script)
        out = put_event_tag(out, event, ",source=", event->source);
    out = PUT(out, " event_data=");
    if (event->data.length == 0)
        out = PUT(out, "\"{}\"");
    else
        out = put_field_text(out, kx_record_text(record, event->data), event->data.length);
    if (!script) {
        out = put_event_field(out, event, ",device_key=", event->device_key);
        out = put_device_mac(line, out, event);
        out = PUT(out, ",event_uid=\"");
        out = put_hex(out, event->uid, sizeof event->uid);
        *out++ = '"';
        out = put_event_field(out, event, ",server_uuid=", event->server_uuid);
    }
    out = put_end(line, out, event_time_ns(event));
    buf->length += (size_t)(out - begin);
}
