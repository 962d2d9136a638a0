/*
 * A record as one line: what the socket sink sends, in the shapes that the Python script's
 * companions parse.
 *
 *   json    {"type":"device","data":{...},"sequence":12,"timestamp":1737131445.123456}
 *   csv     DEVICE,mac,phy,signal,total,timestamp
 *   simple  DEVICE|mac|phy|signal|total
 *           of an event in both: EVENT|{...}
 *
 * One record is one line, whatever its texts hold. In csv and simple a text first becomes safe for
 * a terminal (base/text.h), so that no control byte is left. Then csv puts a text with a comma or a
 * quote between quotes and doubles the quotes (RFC 4180); with `guard` a text that a spreadsheet
 * would take for a formula (= + - @ in front) gets a ' before it, numbers do not. In simple a bar
 * inside a text becomes \x7C. Unknown is empty, with compat: script 0 where a number belongs. The
 * sequence is the record's own, the same when it is sent again. Pure, any thread; the buffer fails
 * as encode_json.h says.
 */
#ifndef KX_SINKS_SOCKET_ENCODE_H
#define KX_SINKS_SOCKET_ENCODE_H

#include "base/buf.h"
#include "config/config.h"
#include "encode/json.h"
#include "record/record.h"
#include <assert.h>

enum { KX_SOCKET_LINE_MAX = 458752 }; /* bytes of the longest line */
/* A byte becomes six at most (\u0007), and a device has some 28 keys beside its texts. */
static_assert(KX_SOCKET_LINE_MAX >= KX_RECORD_BYTES_MAX * 6 + 4096, "no record makes a longer one");

struct kx_socket_encode {
    enum kx_socket_format format;
    bool guard;
    uint64_t fields;
    struct kx_encode_json json;
    struct kx_encode_json brief; /* without `extra` */
};

void kx_socket_encode_init(struct kx_socket_encode *line,
                           const struct kx_sink_config *config,
                           enum kx_socket_format format,
                           bool guard);
/* Appends the line with its newline. brief: leave out the device's `extra`. */
void kx_socket_encode(const struct kx_socket_encode *line,
                      struct kx_buf *buf,
                      const struct kx_record *record,
                      bool brief);

#endif
