/*
 * How fast the deframer is on its own: frames from memory, in the sizes that a socket gives them.
 *
 * Each read is a memcpy into the room that the deframer offers, which is what recv would do; the
 * line "copy only" does nothing else and is the floor. Each message is looked at as a parser would
 * begin to: its first and last byte and its length. Median of five interleaved rounds.
 */
#include "base/clock.h"
#include "ingest/ws.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PADDING = 64, STREAM_BYTES = 16 << 20, PASSES = 16, ROUNDS = 5, PAYLOAD_MAX = 1 << 16 };

struct shape {
    const char *name;
    size_t payload;  /* bytes of a message */
    size_t fragment; /* bytes of a frame; 0 = each message is one frame */
    size_t read;     /* bytes of a read at most */
    bool deframe;
};

static const struct shape shapes[] = {
    {"copy only, 1.16 kB, reads of 256 KiB", 1160, 0, 256 << 10, false},
    {"1.16 kB, reads of 256 KiB", 1160, 0, 256 << 10, true},
    {"1.16 kB, reads of 64 KiB", 1160, 0, 64 << 10, true},
    {"1.16 kB, reads of 1,448 bytes", 1160, 0, 1448, true},
    {"0.6 kB, reads of 64 KiB", 600, 0, 64 << 10, true},
    {"14 kB in fragments of 4,096 bytes, reads of 64 KiB", 14000, 4096, 64 << 10, true},
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static void put_frame(struct kx_buf *out, unsigned byte0, const char *payload, size_t length)
{
    kx_buf_byte(out, (char)byte0);
    if (length < 126) {
        kx_buf_byte(out, (char)length);
    } else {
        kx_buf_byte(out, 126);
        kx_buf_byte(out, (char)(length >> 8));
        kx_buf_byte(out, (char)length);
    }
    kx_buf_bytes(out, payload, length);
}

/* Whole messages until the stream is full. Returns how many. */
static size_t make_stream(const struct shape *shape, struct kx_buf *out)
{
    static char payload[PAYLOAD_MAX];
    memset(payload, 'x', shape->payload);
    payload[0] = '{';
    payload[shape->payload - 1] = '}';
    const size_t step = shape->fragment > 0 ? shape->fragment : shape->payload;
    size_t messages = 0;
    for (; out->length + shape->payload + 1024 < STREAM_BYTES; messages++)
        for (size_t at = 0; at < shape->payload; at += step) {
            const size_t left = shape->payload - at;
            const unsigned byte0 = (at == 0 ? KX_WS_OP_TEXT : 0u) | (left <= step ? 0x80u : 0u);
            put_frame(out, byte0, payload + at, left < step ? left : step);
        }
    return messages;
}

/* Feeds the stream once. Returns the messages that came out. */
static size_t pass(struct kx_ws *ws, const struct shape *shape, const struct kx_buf *stream)
{
    size_t messages = 0;
    for (size_t at = 0; at < stream->length;) {
        size_t room = 0;
        char *place = kx_ws_room(ws, &room);
        size_t count = stream->length - at;
        count = count < shape->read ? count : shape->read;
        count = count < room ? count : room;
        memcpy(place, stream->data + at, count);
        at += count;
        if (!shape->deframe)
            continue;
        kx_ws_filled(ws, count);
        struct kx_ws_message message;
        while (kx_ws_next(ws, &message, NULL) == KX_WS_TEXT)
            messages += message.length == shape->payload && message.data[0] == '{' &&
                        message.data[message.length - 1] == '}';
    }
    return messages;
}

static double messages_per_s(const struct shape *shape)
{
    static const struct kx_ws_limits limits = {.message_bytes = 8u << 20, .fragments = 65536};
    struct kx_buf stream;
    struct kx_ws *ws = NULL;
    kx_buf_init(&stream, STREAM_BYTES);
    const size_t messages = make_stream(shape, &stream);
    if (stream.failed || kx_ws_create(&ws, &limits, PADDING, NULL) != KX_OK) {
        fprintf(stderr, "no memory\n");
        exit(1);
    }
    const uint64_t began_ns = kx_clock_boot_ns();
    size_t seen = 0;
    for (int i = 0; i < PASSES; i++)
        seen += pass(ws, shape, &stream);
    const uint64_t took_ns = kx_clock_boot_ns() - began_ns;
    if (shape->deframe && seen != PASSES * messages) {
        fprintf(stderr, "%s: %zu of %zu messages\n", shape->name, seen, PASSES * messages);
        exit(1);
    }
    kx_ws_destroy(ws);
    kx_buf_fini(&stream);
    return (double)(PASSES * messages) * 1e9 / (double)took_ns;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void)
{
    double rates[SHAPES][ROUNDS];
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < SHAPES; i++)
            rates[i][round] = messages_per_s(&shapes[i]);
    for (int i = 0; i < SHAPES; i++) {
        qsort(rates[i], ROUNDS, sizeof rates[i][0], ascending);
        const double rate = rates[i][ROUNDS / 2];
        printf("%-52s %6.2f M messages/s  %5.2f GB/s  (%.2f to %.2f)\n", shapes[i].name, rate / 1e6,
               rate * (double)shapes[i].payload / 1e9, rates[i][0] / 1e6,
               rates[i][ROUNDS - 1] / 1e6);
    }
    return 0;
}
