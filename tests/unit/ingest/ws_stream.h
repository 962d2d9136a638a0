/*
 * For the tests of the deframer: a server's frames, and the events of a stream as lines of text
 * ("text 5 3b1f40c2 0": kind, length, fingerprint, detail), so that two runs compare as texts.
 */
#ifndef KX_TESTS_WS_STREAM_H
#define KX_TESTS_WS_STREAM_H

#include "ingest/ws.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { PADDING = 64, KIB = 1024, MIB = 1024 * 1024 };
enum { FIN = 0x80, CONTINUE = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

static const struct kx_ws_limits wide = {.message_bytes = 8 * MIB, .fragments = 65536};

static inline struct kx_ws *create(const struct kx_ws_limits *limits)
{
    struct kx_ws *ws = NULL;
    assert_int_equal(kx_ws_create(&ws, limits, PADDING, NULL), KX_OK);
    return ws;
}

static inline struct kx_buf buffer(void)
{
    struct kx_buf buf;
    kx_buf_init(&buf, 64 * MIB);
    return buf;
}

/* A frame's header as a server writes it; `bytes` of length: 0, 2 or 8. */
static inline void put_header(struct kx_buf *out, unsigned byte0, uint64_t length, unsigned bytes)
{
    kx_buf_byte(out, (char)byte0);
    kx_buf_byte(out, (char)(bytes == 0 ? length : bytes == 2 ? 126 : 127));
    for (unsigned i = bytes; i-- > 0;)
        kx_buf_byte(out, (char)(length >> (8 * i)));
}

/* Payload bytes that differ by place and by `seed`. */
static inline void put_payload(struct kx_buf *out, unsigned seed, size_t length)
{
    for (size_t i = 0; i < length; i++)
        kx_buf_byte(out, (char)(seed + i * 7 + (i >> 8)));
}

static inline void put_frame(struct kx_buf *out, unsigned byte0, unsigned seed, size_t length)
{
    put_header(out, byte0, length, length < 126 ? 0 : length <= UINT16_MAX ? 2 : 8);
    put_payload(out, seed, length);
}

static inline const char *event_name(enum kx_ws_event event)
{
    static const char *const names[] = {"more", "text",  "binary",  "ping",
                                        "pong", "close", "skipped", "error"};
    return names[event];
}

/* FNV-1a: a payload's fingerprint in a trace. */
static inline uint32_t fingerprint(const char *data, size_t length)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)data[i]) * 16777619u;
    return hash;
}

/* Each test defines it. Not static: what reads the padding has an effect and so stays. */
extern uint32_t padding_seen;

/* Appends one line for an event; reads the padding too, so that a sanitizer can object. */
static inline void trace_event(struct kx_buf *trace,
                               enum kx_ws_event event,
                               const struct kx_ws_message *message,
                               const struct kx_error *err)
{
    uint32_t hash = 0;
    if (event != KX_WS_SKIPPED && event != KX_WS_PROTOCOL_ERROR) {
        assert_non_null(message->data);
        hash = fingerprint(message->data, message->length);
        padding_seen += fingerprint(message->data + message->length, PADDING);
    }
    const int detail = event == KX_WS_CLOSE     ? (int)message->close_code
                       : event == KX_WS_SKIPPED ? (int)message->skipped
                                                : 0;
    if (event == KX_WS_PROTOCOL_ERROR)
        kx_buf_printf(trace, "error %s\n", err->text);
    else
        kx_buf_printf(trace, "%s %zu %08x %d\n", event_name(event), message->length, hash, detail);
    kx_buf_byte(trace, '\0'); /* so that it reads as a text too */
    kx_buf_truncate(trace, trace->length - 1);
}

/* The line of a message whose payload is put_payload's. */
static inline void
trace_made(struct kx_buf *trace, enum kx_ws_event event, unsigned seed, size_t length)
{
    struct kx_buf payload = buffer();
    put_payload(&payload, seed, length);
    put_payload(&payload, 0, PADDING);
    const struct kx_ws_message message = {.data = payload.data, .length = length};
    trace_event(trace, event, &message, NULL);
    kx_buf_fini(&payload);
}

static inline void drain(struct kx_ws *ws, struct kx_buf *trace)
{
    for (;;) {
        struct kx_ws_message message = {0};
        struct kx_error err = {0};
        const enum kx_ws_event event = kx_ws_next(ws, &message, &err);
        if (event == KX_WS_MORE)
            return;
        trace_event(trace, event, &message, &err);
        if (event == KX_WS_PROTOCOL_ERROR) {
            assert_int_equal(err.code, KX_ERR_PROTOCOL);
            return;
        }
    }
}

/* Feeds bytes in reads of at most `piece` and drains after each. */
static inline void
feed(struct kx_ws *ws, const char *bytes, size_t length, size_t piece, struct kx_buf *trace)
{
    while (length > 0) {
        size_t room = 0;
        char *place = kx_ws_room(ws, &room);
        assert_true(room >= 64 * KIB && room <= 256 * KIB);
        size_t count = length < piece ? length : piece;
        count = count < room ? count : room;
        memcpy(place, bytes, count);
        kx_ws_filled(ws, count);
        drain(ws, trace);
        bytes += count;
        length -= count;
    }
}

static inline void assert_same(const struct kx_buf *got, const struct kx_buf *wanted, size_t cut)
{
    if (got->length != wanted->length || memcmp(got->data, wanted->data, got->length) != 0)
        fail_msg("cut at %zu:\n%.*s--- instead of\n%.*s", cut, (int)got->length, got->data,
                 (int)wanted->length, wanted->data);
}

static inline void assert_trace(const struct kx_buf *trace, const char *wanted)
{
    const struct kx_buf text = {.length = strlen(wanted), .data = (char *)(uintptr_t)wanted};
    assert_same(trace, &text, 0);
}

/* The trace of a stream that comes in reads of at most `piece`, from a deframer of its own. */
static inline struct kx_buf
trace_of(const struct kx_buf *stream, const struct kx_ws_limits *limits, size_t piece)
{
    struct kx_ws *ws = create(limits);
    struct kx_buf trace = buffer();
    feed(ws, stream->data, stream->length, piece, &trace);
    kx_ws_destroy(ws);
    return trace;
}

static inline size_t lines(const struct kx_buf *trace)
{
    size_t count = 0;
    for (size_t i = 0; i < trace->length; i++)
        count += trace->data[i] == '\n';
    return count;
}

#endif
