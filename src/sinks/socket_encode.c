/* Lines by hand; the shapes stand in the header. */
#include "sinks/socket_encode.h"
#include "base/clock.h"
#include "base/decimal.h"
#include "base/error.h"
#include "base/text.h"
#include "encode/mac.h"
#include <string.h>

void kx_socket_encode_init(struct kx_socket_encode *line,
                           const struct kx_sink_config *config,
                           enum kx_socket_format format,
                           bool guard)
{
    *line = (struct kx_socket_encode){
        .format = format,
        .guard = guard,
        .fields = kx_sink_fields(config),
    };
    kx_encode_json_init(&line->json, config->compat, config->mac_case, line->fields);
    kx_encode_json_init(&line->brief, config->compat, config->mac_case,
                        line->fields & ~(1ull << KX_F_EXTRA));
}

/* --- csv and simple --- */

static bool
known(const struct kx_socket_encode *line, const struct kx_device *device, enum kx_field field)
{
    return (line->fields >> field & 1) != 0 && kx_record_has(&device->head, field);
}

/* Text made safe for a terminal, with a replacement for each `special`, which is ASCII and
 * printable and so never comes from the filter itself. */
static void put_split(
    struct kx_buf *buf, const char *text, size_t length, char special, const char *replacement)
{
    for (;;) {
        const char *at = memchr(text, special, length);
        size_t piece = at == NULL ? length : (size_t)(at - text);
        kx_text_terminal(buf, text, piece);
        if (at == NULL)
            return;
        kx_buf_text(buf, replacement);
        text += piece + 1;
        length -= piece + 1;
    }
}

static void
put_text(const struct kx_socket_encode *line, struct kx_buf *buf, const char *text, size_t length)
{
    if (line->format == KX_SOCKET_SIMPLE) {
        put_split(buf, text, length, '|', "\\x7C");
        return;
    }
    bool formula = line->guard && length > 0 && memchr("=+-@", text[0], 4) != NULL;
    bool quoted = memchr(text, ',', length) != NULL || memchr(text, '"', length) != NULL;
    if (quoted)
        kx_buf_byte(buf, '"');
    if (formula)
        kx_buf_byte(buf, '\'');
    put_split(buf, text, length, '"', "\"\"");
    if (quoted)
        kx_buf_byte(buf, '"');
}

static void put_number(const struct kx_socket_encode *line,
                       struct kx_buf *buf,
                       const struct kx_device *device,
                       enum kx_field field,
                       int64_t number)
{
    if (known(line, device, field))
        kx_buf_i64(buf, number);
    else if (line->json.compat == KX_COMPAT_SCRIPT)
        kx_buf_byte(buf, '0');
}

static void put_time(const struct kx_socket_encode *line, struct kx_buf *buf, int64_t wall_ns)
{
    char text[KX_CLOCK_RFC3339_MAX];
    size_t length = line->json.compat == KX_COMPAT_SCRIPT ? kx_clock_iso8601_local(wall_ns, text)
                                                          : kx_clock_iso8601(wall_ns, text);
    kx_buf_bytes(buf, text, length);
}

static void
put_columns(const struct kx_socket_encode *line, struct kx_buf *buf, const struct kx_device *device)
{
    const char bar = line->format == KX_SOCKET_CSV ? ',' : '|';
    char lower[KX_ENCODE_MAC_MAX];
    kx_buf_text(buf, "DEVICE");
    kx_buf_byte(buf, bar);
    put_text(line, buf,
             kx_encode_mac(line->json.mac_case, kx_record_text(&device->head, device->mac_addr),
                           device->mac_addr.length, lower),
             device->mac_addr.length);
    kx_buf_byte(buf, bar);
    if (known(line, device, KX_F_PHY_TYPE))
        put_text(line, buf, kx_record_text(&device->head, device->phy_type),
                 device->phy_type.length);
    kx_buf_byte(buf, bar);
    put_number(line, buf, device, KX_F_SIGNAL_DBM, device->signal_dbm);
    kx_buf_byte(buf, bar);
    put_number(line, buf, device, KX_F_TOTAL_PACKETS, device->total_packets);
    if (line->format == KX_SOCKET_SIMPLE)
        return;
    kx_buf_byte(buf, bar);
    put_time(line, buf, device->head.received_ns);
}

/* --- json --- */

/* Epoch seconds with their microseconds: a float to every reader, and exact. */
static void put_epoch(struct kx_buf *buf, int64_t wall_ns)
{
    enum { US_PER_S = 1000000 };
    int64_t us = wall_ns / 1000;
    if (us < 0) /* before 1970: a clock that was never set */
        us = 0;
    char digits[KX_DECIMAL_MAX];
    /* One more in front keeps the zeros. */
    size_t length = kx_decimal_i64(us % US_PER_S + US_PER_S, digits);
    kx_buf_i64(buf, us / US_PER_S);
    digits[0] = '.';
    kx_buf_bytes(buf, digits, length);
}

void kx_socket_encode(const struct kx_socket_encode *line,
                      struct kx_buf *buf,
                      const struct kx_record *record,
                      bool brief)
{
    const struct kx_encode_json *json = brief ? &line->brief : &line->json;
    const struct kx_device *device = kx_record_device(record);
    const struct kx_event *event = kx_record_event(record);
    KX_ASSERT(device != NULL || event != NULL);
    if (line->format == KX_SOCKET_JSON) {
        kx_buf_text(buf, device != NULL ? "{\"type\":\"device\",\"data\":"
                                        : "{\"type\":\"event\",\"data\":");
        if (device != NULL)
            kx_encode_json_device(json, buf, device);
        else
            kx_encode_json_event(json, buf, event);
        kx_buf_text(buf, ",\"sequence\":");
        kx_buf_u64(buf, record->sequence);
        kx_buf_text(buf, ",\"timestamp\":");
        put_epoch(buf, record->received_ns);
        kx_buf_byte(buf, '}');
    } else if (device != NULL) {
        put_columns(line, buf, device);
    } else {
        kx_buf_text(buf, "EVENT|");
        kx_encode_json_event(json, buf, event);
    }
    kx_buf_byte(buf, '\n');
}
