/*
 * JSON by hand: the keys are written down once, so a device costs copies, digits and one look at
 * each text.
 */
#include "encode/json.h"
#include "base/clock.h"
#include "base/decimal.h"
#include "base/error.h"
#include "base/text.h"
#include "encode/mac.h"
#include <string.h>

/* Inlined, so that the length of a literal is known when it is compiled. */
static inline void put(struct kx_buf *buf, const char *literal)
{
    kx_buf_bytes(buf, literal, strlen(literal));
}

void kx_encode_json_init(struct kx_encode_json *json,
                         enum kx_compat compat,
                         enum kx_mac_case mac_case,
                         uint64_t fields)
{
    *json = (struct kx_encode_json){
        .compat = compat,
        .mac_case = mac_case,
    };
    enum kx_field end = compat == KX_COMPAT_SCRIPT ? KX_F_SOURCE : KX_FIELDS;
    for (enum kx_field field = 0; field < end; field++) {
        if ((fields >> field & 1) == 0)
            continue;
        struct kx_encode_json_key *key = &json->keys[field];
        size_t length = strlen(kx_fields[field].name);
        KX_ASSERT(length + 4 <= sizeof key->text);
        key->text[0] = json->count == 0 ? '{' : ',';
        key->text[1] = '"';
        memcpy(key->text + 2, kx_fields[field].name, length);
        memcpy(key->text + 2 + length, "\":", 2);
        key->length = (uint8_t)(length + 4);
        json->fields[json->count++] = (uint8_t)field;
    }
}

static void put_string(struct kx_buf *buf, const char *text, size_t length)
{
    kx_buf_byte(buf, '"');
    kx_text_json(buf, text, length);
    kx_buf_byte(buf, '"');
}

static void
put_mac(const struct kx_encode_json *json, struct kx_buf *buf, const char *text, size_t length)
{
    char lower[KX_ENCODE_MAC_MAX];
    put_string(buf, kx_encode_mac(json->mac_case, text, length, lower), length);
}

static void put_time(const struct kx_encode_json *json, struct kx_buf *buf, int64_t wall_ns)
{
    char text[KX_CLOCK_RFC3339_MAX];
    size_t length = json->compat == KX_COMPAT_SCRIPT ? kx_clock_iso8601_local(wall_ns, text)
                                                     : kx_clock_iso8601(wall_ns, text);
    kx_buf_byte(buf, '"');
    kx_buf_bytes(buf, text, length);
    kx_buf_byte(buf, '"');
}

static const char *unknown(const struct kx_encode_json *json, enum kx_type type)
{
    if (json->compat == KX_COMPAT_NONE)
        return "null";
    return type == KX_TYPE_TEXT ? "\"\"" : "0";
}

/* A text that is known: its bytes between quotes, or as they are when they are JSON already. */
static void put_text(const struct kx_encode_json *json,
                     struct kx_buf *buf,
                     const struct kx_device *device,
                     enum kx_field field)
{
    struct kx_text text;
    memcpy(&text, (const char *)device + kx_fields[field].offset, sizeof text);
    const char *bytes = kx_record_text(&device->head, text);
    if (field == KX_F_MAC_ADDR)
        put_mac(json, buf, bytes, text.length);
    else if (kx_fields[field].type == KX_TYPE_JSON)
        kx_buf_bytes(buf, bytes, text.length);
    else
        put_string(buf, bytes, text.length);
}

/* A number that is known, to memory that holds any. Returns the length. */
static size_t
write_number(const struct kx_encode_json *json, char *out, const void *at, enum kx_type type)
{
    if (type == KX_TYPE_I64)
        return kx_decimal_i64(*(const int64_t *)at, out);
    if (type == KX_TYPE_I32)
        return kx_decimal_i64(*(const int32_t *)at, out);
    size_t length = 0;
    const char *word = unknown(json, type); /* JSON has none for infinities */
    if (type == KX_TYPE_F64)
        length = kx_decimal_f64(*(const double *)at, out);
    else
        word = *(const bool *)at ? "true" : "false";
    if (length > 0)
        return length;
    length = strlen(word);
    memcpy(out, word, length);
    return length;
}

/* Key and value. Room for the key and any number is taken at once: most fields are numbers. */
static void put_field(const struct kx_encode_json *json,
                      struct kx_buf *buf,
                      const struct kx_device *device,
                      enum kx_field field)
{
    const struct kx_encode_json_key *key = &json->keys[field];
    char *out = kx_buf_reserve(buf, sizeof key->text + KX_DECIMAL_MAX);
    if (out == NULL)
        return;
    memcpy(out, key->text, sizeof key->text); /* all of it: a copy of a fixed size is two moves */
    out += key->length;
    buf->length += key->length;
    enum kx_type type = kx_fields[field].type;
    const void *at = (const char *)device + kx_fields[field].offset;
    if (!kx_record_has(&device->head, field)) {
        const char *word = unknown(json, type);
        size_t length = strlen(word);
        memcpy(out, word, length);
        buf->length += length;
    } else if (type == KX_TYPE_TIME) {
        put_time(json, buf, *(const int64_t *)at);
    } else if (type == KX_TYPE_TEXT || type == KX_TYPE_JSON) {
        put_text(json, buf, device, field);
    } else {
        buf->length += write_number(json, out, at, type);
    }
}

void kx_encode_json_device(const struct kx_encode_json *json,
                           struct kx_buf *buf,
                           const struct kx_device *device)
{
    for (size_t i = 0; i < json->count; i++)
        put_field(json, buf, device, json->fields[i]);
    kx_buf_byte(buf, '}');
}

/* A text of an event, of which length 0 means unknown. */
static void put_event_text(const struct kx_encode_json *json,
                           struct kx_buf *buf,
                           const struct kx_event *event,
                           struct kx_text text)
{
    if (text.length == 0)
        kx_buf_text(buf, unknown(json, KX_TYPE_TEXT));
    else
        put_string(buf, kx_record_text(&event->head, text), text.length);
}

void kx_encode_json_event(const struct kx_encode_json *json,
                          struct kx_buf *buf,
                          const struct kx_event *event)
{
    put(buf, "{\"event_type\":");
    put_event_text(json, buf, event, event->type);
    put(buf, ",\"timestamp\":");
    put_time(json, buf, event->time_ns);
    put(buf, ",\"device_key\":");
    put_event_text(json, buf, event, event->device_key);
    put(buf, ",\"event_data\":");
    if (event->data.length == 0)
        put(buf, "{}");
    else
        kx_buf_bytes(buf, kx_record_text(&event->head, event->data), event->data.length);
    if (json->compat == KX_COMPAT_NONE) {
        put(buf, ",\"device_mac\":");
        if (event->device_mac.length == 0)
            put(buf, "null");
        else
            put_mac(json, buf, kx_record_text(&event->head, event->device_mac),
                    event->device_mac.length);
        put(buf, ",\"source\":");
        put_event_text(json, buf, event, event->source);
        put(buf, ",\"server_uuid\":");
        put_event_text(json, buf, event, event->server_uuid);
        put(buf, ",\"event_uid\":\"");
        kx_buf_hex(buf, event->uid, sizeof event->uid);
        kx_buf_byte(buf, '"');
    }
    kx_buf_byte(buf, '}');
}
