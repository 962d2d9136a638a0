/*
 * A record as one line of InfluxDB's line protocol.
 *
 *   device_metrics,mac_addr=...,manufacturer=...,phy_type=...,source=... name="...",... TIME
 *   kismet_events,event_type=...,source=... event_data="{...}",device_key="...",... TIME
 *
 * Tags are in the order of their names, as the server sorts them; integers end in `i`. Unknown is
 * left out: line protocol has no null. In a tag `,`, `=` and space stand behind a backslash; in a
 * text field `"` and `\`. Control characters (a line break above all, which some servers take for
 * the end of the line even between quotes) become `_`, in a tag the backslash too: before a comma,
 * or at the end, each kind of server reads it in its own way. `compat: script` leaves out what the
 * script had not, and writes 0 and "" for unknown, as it did.
 *
 * Every record gives exactly one line. A device of which no field is known, or wanted, or changed,
 * is written with all its fields, or, when it has none, with last_seen alone.
 *
 * Two points of one series and time would be one. Where that can happen (events; devices without
 * the MAC as a tag) the time is a whole second and, within it, a place of 0 to 999,999,999 ns that
 * is the record's own: of the event's uid, or of server and device. It is the same after a restart,
 * so that what is sent again is the same point.
 *
 * Owns nothing but the keys that init writes down; any thread may encode with it. Without room (up
 * to some KiB before the buffer's limit) the buffer fails and holds whole lines only.
 */
#ifndef KX_ENCODE_LINE_H
#define KX_ENCODE_LINE_H

#include "base/buf.h"
#include "config/config.h"
#include "record/record.h"
#include <stdint.h>

enum { KX_ENCODE_LINE_KEY_MAX = 23 };

struct kx_encode_line_key {
    uint8_t length;
    char text[KX_ENCODE_LINE_KEY_MAX]; /* name= */
};

struct kx_encode_line {
    enum kx_influx_precision precision;
    enum kx_influx_time timestamp;
    enum kx_influx_mac mac_as;
    enum kx_compat compat;
    enum kx_mac_case mac_case;
    uint64_t tags;                             /* bit a kx_field: written as a tag */
    uint64_t fields;                           /* as a field */
    struct kx_encode_line_key keys[KX_FIELDS]; /* by enum kx_field */
};

/* fields: bit (1ull << enum kx_field) of what is written of a device. */
void kx_encode_line_init(struct kx_encode_line *line,
                         const struct kx_sink_config *config,
                         uint64_t fields);
/* Appends the line, with its end. changed: bit a kx_field that may differ from what was sent
 * before; of the others only the tags are written. */
void kx_encode_line_device(const struct kx_encode_line *line,
                           struct kx_buf *buf,
                           const struct kx_device *device,
                           uint64_t changed);
void kx_encode_line_event(const struct kx_encode_line *line,
                          struct kx_buf *buf,
                          const struct kx_event *event);
/* The time of its point, ns. */
int64_t kx_encode_line_time_ns(const struct kx_encode_line *line, const struct kx_record *record);

#endif
