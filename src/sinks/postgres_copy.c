/*
 * COPY BINARY. Text would be smaller, but costs the server more: see the figures in the commit.
 */
#include "sinks/postgres_copy.h"

#include "base/text.h"
#include "encode/mac.h"
#include <endian.h>
#include <math.h>
#include <string.h>

static const int64_t YEAR_2000_S = 946684800; /* PostgreSQL's times begin there */
static const int64_t EVENT_COLUMNS = 7;

/* What the Python script wrote 0 and "" into. The two times stay unknown: a first_seen of 0 would
 * be the smallest for good. */
static const uint64_t SCRIPT_FIELDS = (1ull << KX_F_SOURCE) - (1ull << KX_F_NAME) -
                                      (1ull << KX_F_FIRST_SEEN) - (1ull << KX_F_LAST_SEEN);

/* --- values --- */

static void put_16(struct kx_buf *out, int64_t value)
{
    uint16_t bytes = htobe16((uint16_t)value);
    kx_buf_bytes(out, &bytes, sizeof bytes);
}

static void put_32(struct kx_buf *out, int64_t value)
{
    uint32_t bytes = htobe32((uint32_t)value);
    kx_buf_bytes(out, &bytes, sizeof bytes);
}

static void put_null(struct kx_buf *out)
{
    put_32(out, -1);
}

static void put_i32(struct kx_buf *out, int32_t value)
{
    uint64_t bytes = htobe64((uint64_t)sizeof value << 32 | (uint32_t)value);
    kx_buf_bytes(out, &bytes, sizeof bytes);
}

static void put_i64(struct kx_buf *out, int64_t value)
{
    char *at = kx_buf_reserve(out, 12);
    uint32_t length = htobe32(8);
    uint64_t bytes = htobe64((uint64_t)value);
    if (at == NULL)
        return;
    memcpy(at, &length, sizeof length);
    memcpy(at + sizeof length, &bytes, sizeof bytes);
    out->length += 12;
}

static void put_f64(struct kx_buf *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (isfinite(value))
        put_i64(out, (int64_t)bits);
    else
        put_null(out);
}

static void put_bool(struct kx_buf *out, bool value)
{
    put_32(out, 1);
    kx_buf_byte(out, value ? 1 : 0);
}

/* A TIMESTAMPTZ: microseconds since 2000. */
static void put_time(struct kx_buf *out, int64_t wall_ns)
{
    int64_t us = wall_ns / 1000 - (wall_ns % 1000 < 0); /* down, before 1970 too */
    put_i64(out, us - YEAR_2000_S * 1000000);
}

/* Printable or not, ASCII without NUL goes as it is: nearly every text is that. */
static bool is_plain(const char *text, size_t length)
{
    const uint64_t high = 0x8080808080808080u;
    const uint64_t ones = 0x0101010101010101u;
    uint64_t word;
    size_t i = 0;
    for (; i + sizeof word <= length; i += sizeof word) {
        memcpy(&word, text + i, sizeof word);
        if (((word | (word - ones)) & high) != 0) /* a byte above 127, or a zero (or near one) */
            return false;
    }
    for (; i < length; i++)
        if (text[i] <= 0)
            return false;
    return true;
}

/* A repaired copy: each ill-formed part and each NUL is U+FFFD. */
static void put_repaired(struct kx_buf *out, const char *text, size_t length)
{
    size_t at = out->length;
    put_32(out, 0); /* known in the end */
    while (length > 0) {
        size_t good = strnlen(text, length);
        char *room = kx_buf_reserve(out, 3 * good);
        if (good > 0 && room != NULL)
            out->length += kx_text_utf8_repair(text, good, room, NULL);
        text += good;
        length -= good;
        if (length > 0) {
            kx_buf_text(out, "\xef\xbf\xbd");
            text++;
            length--;
        }
    }
    if (out->failed)
        return;
    uint32_t bytes = htobe32((uint32_t)(out->length - at - sizeof bytes));
    memcpy(out->data + at, &bytes, sizeof bytes);
}

static void put_text(struct kx_buf *out, const char *text, size_t length)
{
    bool good = is_plain(text, length) ||
                (memchr(text, '\0', length) == NULL && kx_text_utf8_valid(text, length) == length);
    if (!good) {
        put_repaired(out, text, length);
        return;
    }
    char *at = kx_buf_reserve(out, 4 + length);
    uint32_t bytes = htobe32((uint32_t)length);
    if (at == NULL)
        return;
    memcpy(at, &bytes, sizeof bytes);
    memcpy(at + sizeof bytes, text, length);
    out->length += 4 + length;
}

static void put_mac(struct kx_buf *out, enum kx_mac_case mac_case, const char *text, size_t length)
{
    char lower[KX_ENCODE_MAC_MAX];
    put_text(out, kx_encode_mac(mac_case, text, length, lower), length);
}

/* --- rows --- */

void kx_postgres_copy_head(struct kx_buf *out)
{
    static const char head[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0"; /* no flags, no extension */
    kx_buf_bytes(out, head, sizeof head);
}

void kx_postgres_copy_tail(struct kx_buf *out)
{
    put_16(out, -1);
}

static bool is_text(enum kx_type type)
{
    return type == KX_TYPE_TEXT || type == KX_TYPE_JSON;
}

/* What is not known. */
static void
put_unknown(const struct kx_postgres_copy *copy, struct kx_buf *out, enum kx_field field)
{
    enum kx_type type = kx_fields[field].type;
    bool script = copy->compat == KX_COMPAT_SCRIPT && (SCRIPT_FIELDS >> field & 1) != 0;
    if (field == KX_F_SOURCE) /* a part of keys, and no two NULLs are the same */
        put_text(out, "", 0);
    else if (!script)
        put_null(out);
    else if (is_text(type))
        put_text(out, "", 0);
    else if (type == KX_TYPE_I32)
        put_i32(out, 0);
    else
        put_i64(out, 0); /* a double's zero is the same bits */
}

static void
put_number(struct kx_postgres_copy *copy, struct kx_buf *out, enum kx_field field, int64_t value)
{
    if (field == KX_F_FIRST_SEEN && value < YEAR_2000_S) {
        put_null(out);
    } else if ((copy->narrow >> field & 1) != 0 && value != (int32_t)value) {
        copy->out_of_range++;
        put_null(out);
    } else {
        put_i64(out, value);
    }
}

static void put_field(struct kx_postgres_copy *copy,
                      struct kx_buf *out,
                      const struct kx_device *device,
                      enum kx_field field)
{
    const void *at = (const char *)device + kx_fields[field].offset;
    const struct kx_text *text = at;
    if (!kx_record_has(&device->head, field)) {
        put_unknown(copy, out, field);
        return;
    }
    switch (kx_fields[field].type) {
    case KX_TYPE_TEXT:
    case KX_TYPE_JSON:
        if (field == KX_F_MAC_ADDR)
            put_mac(out, copy->mac_case, kx_record_text(&device->head, *text), text->length);
        else
            put_text(out, kx_record_text(&device->head, *text), text->length);
        break;
    case KX_TYPE_TIME:
    case KX_TYPE_I64:
        put_number(copy, out, field, *(const int64_t *)at);
        break;
    case KX_TYPE_I32:
        put_i32(out, *(const int32_t *)at);
        break;
    case KX_TYPE_F64:
        put_f64(out, *(const double *)at);
        break;
    case KX_TYPE_BOOL:
        put_bool(out, *(const bool *)at);
        break;
    }
}

static void
put_extra(struct kx_buf *out, enum kx_extra_type type, const struct kx_extra_value *value)
{
    if (!value->known) {
        put_null(out);
        return;
    }
    switch (type) {
    case KX_EXTRA_TEXT:
        put_text(out, value->text, value->length);
        break;
    case KX_EXTRA_INTEGER:
        put_i64(out, value->integer);
        break;
    case KX_EXTRA_NUMBER:
        put_f64(out, value->number);
        break;
    case KX_EXTRA_BOOL:
        put_bool(out, value->boolean);
        break;
    }
}

static void
put_extras(const struct kx_postgres_copy *copy, struct kx_buf *out, const struct kx_device *device)
{
    struct kx_extra_value values[KX_EXTRA_COLUMNS_MAX];
    char room[KX_EXTRA_BYTES_MAX];
    kx_extra_read(device, copy->extra_columns, values, room);
    for (uint64_t rest = copy->extras; rest != 0; rest &= rest - 1) {
        size_t i = (size_t)__builtin_ctzll(rest);
        put_extra(out, copy->extra_columns->items[i].type, &values[i]);
    }
}

void kx_postgres_copy_device(struct kx_postgres_copy *copy,
                             struct kx_buf *out,
                             const struct kx_device *device,
                             uint32_t n)
{
    put_16(out, 3 + __builtin_popcountll(copy->fields) + __builtin_popcountll(copy->extras));
    put_i32(out, (int32_t)n);
    put_time(out, device->heard_at_ns);
    put_time(out, device->head.received_ns);
    for (uint64_t rest = copy->fields; rest != 0; rest &= rest - 1)
        put_field(copy, out, device, (enum kx_field)__builtin_ctzll(rest));
    if (copy->extras != 0)
        put_extras(copy, out, device);
}

static void put_event_text(struct kx_buf *out, const struct kx_event *event, struct kx_text text)
{
    if (text.length == 0)
        put_null(out);
    else
        put_text(out, kx_record_text(&event->head, text), text.length);
}

void kx_postgres_copy_event(const struct kx_postgres_copy *copy,
                            struct kx_buf *out,
                            const struct kx_event *event)
{
    put_16(out, EVENT_COLUMNS);
    put_32(out, 2 * KX_UID_BYTES);
    kx_buf_hex(out, event->uid, KX_UID_BYTES);
    put_event_text(out, event, event->type);
    put_time(out, event->time_ns);
    put_event_text(out, event, event->source);
    put_event_text(out, event, event->device_key);
    if (event->device_mac.length == 0)
        put_null(out);
    else
        put_mac(out, copy->mac_case, kx_record_text(&event->head, event->device_mac),
                event->device_mac.length);
    put_event_text(out, event, event->data);
}
