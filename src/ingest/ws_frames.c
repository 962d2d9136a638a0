/*
 * WebSocket frames (RFC 6455, section 5): the deframer, and the client's masked frames.
 *
 * The connection buffer:
 *
 *   | given already | not looked at yet |        room         | padding |
 *   0             start                end            CONNECTION_BYTES
 *
 * Whole frames are given where they lie. The incomplete tail moves to the front only when the room
 * behind it falls under ROOM_MIN, so at most IN_PLACE_MAX bytes move for each ROOM_MIN and more
 * that come in. A frame larger than IN_PLACE_MAX, or one of several fragments, never waits in the
 * buffer: its bytes go to `whole` (or nowhere, when it is being skipped) as they come.
 */
#include "ingest/ws.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECTION_BYTES = 256 * 1024,
    ROOM_MIN = 64 * 1024,
    IN_PLACE_MAX = 64 * 1024,
    WHOLE_KEPT = 256 * 1024, /* capacity of `whole` that survives its message */
    HEADER_MAX = 10,         /* of a server's frame: it has no mask */
    MASK_BYTES = 4,
    CONTROL_MAX = 125,
    CLOSE_CODE_NONE = 1005,
};
static_assert(CONNECTION_BYTES - (IN_PLACE_MAX + HEADER_MAX) >= ROOM_MIN,
              "a waiting frame leaves room");

/* The first two bytes of a frame. */
enum { FINAL = 0x80, RESERVED = 0x70, OPCODE = 0x0f, MASKED = 0x80, LENGTH = 0x7f };
enum { LENGTH_16 = 126, LENGTH_64 = 127 };
/* Opcodes that no caller sends; bit 3 tells the control frames. */
enum { OP_CONTINUATION = 0, OP_BINARY = 2, OP_CONTROL = 8 };

enum state {
    AT_FRAME,   /* start is at a frame's first byte */
    IN_PAYLOAD, /* start is inside a data frame that does not wait in the buffer */
    CLOSED,     /* a close frame was given: the rest is discarded */
    FAILED
};

struct kx_ws {
    struct kx_ws_limits limits;
    size_t padding;
    enum state state;

    char *buffer;
    size_t start, end;

    /* The message that is being put together. */
    unsigned opcode;      /* KX_WS_OP_TEXT or OP_BINARY; 0 = there is none */
    bool last_frame;      /* IN_PAYLOAD: this frame ends the message */
    uint64_t frame_left;  /* IN_PAYLOAD: bytes of the frame still to come */
    uint64_t total;       /* payload bytes of its frames so far, stored or not */
    uint32_t fragments;   /* its frames so far */
    bool skipping;        /* nothing of it is stored any more */
    enum kx_ws_skip skip; /* and why */
    bool given;           /* `whole` is in the caller's hands until the next call */
    struct kx_buf whole;
};

struct frame {
    unsigned opcode;
    bool final;
    size_t header;
    uint64_t length;
};

static void sane(const struct kx_ws *ws)
{
    KX_ASSERT(ws->start <= ws->end && ws->end <= CONNECTION_BYTES);
    KX_ASSERT(ws->state != IN_PAYLOAD || ws->opcode != 0);
    KX_ASSERT(ws->whole.length <= ws->limits.message_bytes);
}

static void init_whole(struct kx_ws *ws)
{
    const size_t most = SIZE_MAX - ws->padding;
    const size_t bytes = ws->limits.message_bytes < most ? ws->limits.message_bytes : most;
    kx_buf_init(&ws->whole, bytes + ws->padding);
}

enum kx_code kx_ws_create(struct kx_ws **ret_ws,
                          const struct kx_ws_limits *limits,
                          size_t padding,
                          struct kx_error *err)
{
    KX_ASSERT(padding > 0 && padding <= SIZE_MAX / 2);
    struct kx_ws *ws = calloc(1, sizeof *ws);
    char *buffer = calloc(1, CONNECTION_BYTES + padding);
    if (ws == NULL || buffer == NULL) {
        free(buffer);
        free(ws);
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a WebSocket's buffer");
    }
    ws->limits = *limits;
    ws->padding = padding;
    ws->buffer = buffer;
    init_whole(ws);
    *ret_ws = ws;
    return KX_OK;
}

void kx_ws_destroy(struct kx_ws *ws)
{
    if (ws == NULL)
        return;
    kx_buf_fini(&ws->whole);
    free(ws->buffer);
    free(ws);
}

size_t kx_ws_memory(const struct kx_ws *ws)
{
    return sizeof *ws + CONNECTION_BYTES + ws->padding + ws->whole.capacity;
}

/* Empties `whole`, and gives its memory back when one huge message made it large. */
static void release_whole(struct kx_ws *ws)
{
    ws->given = false;
    if (ws->whole.capacity > WHOLE_KEPT) {
        kx_buf_fini(&ws->whole);
        init_whole(ws);
    } else {
        kx_buf_clear(&ws->whole);
    }
}

static void forget_message(struct kx_ws *ws)
{
    ws->opcode = 0;
    ws->last_frame = false;
    ws->frame_left = 0;
    ws->total = 0;
    ws->fragments = 0;
    ws->skipping = false;
}

bool kx_ws_reset(struct kx_ws *ws)
{
    sane(ws);
    const bool half_frame =
        ws->start < ws->end && ((unsigned char)ws->buffer[ws->start] & OP_CONTROL) == 0;
    const bool incomplete = ws->opcode != 0 || half_frame;
    ws->state = AT_FRAME;
    ws->start = ws->end = 0;
    forget_message(ws);
    release_whole(ws);
    return incomplete;
}

char *kx_ws_room(struct kx_ws *ws, size_t *ret_room)
{
    sane(ws);
    if (ws->start == ws->end) {
        ws->start = ws->end = 0;
    } else if (CONNECTION_BYTES - ws->end < ROOM_MIN) {
        const size_t tail = ws->end - ws->start;
        memmove(ws->buffer, ws->buffer + ws->start, tail);
        ws->start = 0;
        ws->end = tail;
    }
    /* Less is only left when the caller did not ask kx_ws_next until KX_WS_MORE. */
    KX_ASSERT(CONNECTION_BYTES - ws->end >= ROOM_MIN);
    *ret_room = CONNECTION_BYTES - ws->end;
    return ws->buffer + ws->end;
}

void kx_ws_filled(struct kx_ws *ws, size_t length)
{
    KX_ASSERT(length <= CONNECTION_BYTES - ws->end);
    ws->end += length;
    /* What a parser reads behind the last message is the same each time, whatever lay there. */
    memset(ws->buffer + ws->end, 0, ws->padding);
}

/* What is wrong with a frame's first two bytes, NULL when nothing is. */
static const char *wrong_start(const struct kx_ws *ws, unsigned byte0, unsigned byte1)
{
    const unsigned opcode = byte0 & OPCODE;
    if ((byte0 & RESERVED) != 0)
        return "a frame with reserved bits though no extension was agreed on";
    if ((byte1 & MASKED) != 0)
        return "a masked frame, which only clients may send";
    if (opcode >= OP_CONTROL) {
        if (opcode > KX_WS_OP_PONG)
            return "a control frame with a reserved opcode";
        if ((byte0 & FINAL) == 0)
            return "a control frame in fragments";
        if ((byte1 & LENGTH) > CONTROL_MAX)
            return "a control frame of more than 125 bytes";
        if (opcode == KX_WS_OP_CLOSE && (byte1 & LENGTH) == 1)
            return "a close frame with half a status code";
        return NULL;
    }
    if (opcode > OP_BINARY)
        return "a data frame with a reserved opcode";
    if (opcode == OP_CONTINUATION && ws->opcode == 0)
        return "a continuation frame though no message was begun";
    if (opcode != OP_CONTINUATION && ws->opcode != 0)
        return "a new message inside a message in fragments";
    return NULL;
}

enum header { HEADER_MORE, HEADER_WHOLE, HEADER_WRONG };

/* Reads the header at start; on HEADER_WRONG *ret_wrong says why. */
static enum header
read_header(const struct kx_ws *ws, struct frame *ret_frame, const char **ret_wrong)
{
    const unsigned char *at = (const unsigned char *)ws->buffer + ws->start;
    const size_t have = ws->end - ws->start;
    if (have < 2)
        return HEADER_MORE;
    *ret_wrong = wrong_start(ws, at[0], at[1]);
    if (*ret_wrong != NULL)
        return HEADER_WRONG;

    uint64_t length = at[1] & LENGTH;
    size_t header = 2;
    if (length >= LENGTH_16) {
        const uint64_t shortest = length == LENGTH_16 ? LENGTH_16 : UINT64_C(65536);
        header += length == LENGTH_16 ? 2 : 8;
        if (have < header)
            return HEADER_MORE;
        length = 0;
        for (size_t i = 2; i < header; i++)
            length = length << 8 | at[i];
        if (length >> 63 != 0)
            *ret_wrong = "a frame length with its top bit set";
        else if (length < shortest)
            *ret_wrong = "a frame length that is not written in its shortest form";
        if (*ret_wrong != NULL)
            return HEADER_WRONG;
    }
    *ret_frame = (struct frame){.opcode = at[0] & OPCODE,
                                .final = (at[0] & FINAL) != 0,
                                .header = header,
                                .length = length};
    return HEADER_WHOLE;
}

static enum kx_ws_event fail(struct kx_ws *ws, const char *wrong, struct kx_error *err)
{
    ws->state = FAILED;
    ws->start = ws->end = 0;
    kx_error_set(err, KX_ERR_PROTOCOL, 0,
                 "the server broke the WebSocket protocol: %s (is something between that changes "
                 "the stream?)",
                 wrong);
    return KX_WS_PROTOCOL_ERROR;
}

static enum kx_ws_event kind_of(unsigned opcode)
{
    return opcode == KX_WS_OP_TEXT ? KX_WS_TEXT : KX_WS_BINARY;
}

/* Gives the frame at start, which lies there as a whole: a control frame, or a message in one. */
static enum kx_ws_event
give_in_place(struct kx_ws *ws, const struct frame *frame, struct kx_ws_message *ret_message)
{
    const char *data = ws->buffer + ws->start + frame->header;
    const size_t length = (size_t)frame->length;
    ws->start += frame->header + length;
    *ret_message =
        (struct kx_ws_message){.data = data, .length = length, .close_code = CLOSE_CODE_NONE};
    switch (frame->opcode) {
    case KX_WS_OP_PING:
        return KX_WS_PING;
    case KX_WS_OP_PONG:
        return KX_WS_PONG;
    case KX_WS_OP_CLOSE:
        if (length >= 2)
            ret_message->close_code =
                (uint16_t)((unsigned char)data[0] << 8 | (unsigned char)data[1]);
        ws->state = CLOSED;
        return KX_WS_CLOSE;
    default:
        return kind_of(frame->opcode);
    }
}

static void skip_message(struct kx_ws *ws, enum kx_ws_skip why)
{
    ws->skipping = true;
    ws->skip = why;
    release_whole(ws);
}

/* Enters a data frame that does not wait in the buffer: one of several, or a large one. Decides
 * before its first byte whether the message is still stored. */
static void enter_frame(struct kx_ws *ws, const struct frame *frame)
{
    if (frame->opcode != OP_CONTINUATION)
        ws->opcode = frame->opcode;
    ws->state = IN_PAYLOAD;
    ws->start += frame->header;
    ws->last_frame = frame->final;
    ws->frame_left = frame->length;
    ws->total = frame->length <= UINT64_MAX - ws->total ? ws->total + frame->length : UINT64_MAX;
    if (ws->skipping)
        return;
    if (ws->total > ws->limits.message_bytes) {
        skip_message(ws, KX_WS_SKIP_BYTES);
        return;
    }
    if (!(frame->final && ws->fragments == 0) && ++ws->fragments > ws->limits.fragments) {
        skip_message(ws, KX_WS_SKIP_FRAGMENTS);
        return;
    }
    /* The padding has its place from the start: at the message's end nothing can fail. */
    const size_t length = (size_t)frame->length;
    if (length > SIZE_MAX - ws->padding || kx_buf_reserve(&ws->whole, length + ws->padding) == NULL)
        skip_message(ws, KX_WS_SKIP_MEMORY);
}

static void take_payload(struct kx_ws *ws)
{
    const size_t have = ws->end - ws->start;
    const size_t take = ws->frame_left < have ? (size_t)ws->frame_left : have;
    if (!ws->skipping)
        kx_buf_bytes(&ws->whole, ws->buffer + ws->start, take);
    ws->start += take;
    ws->frame_left -= take;
}

static enum kx_ws_event give_whole(struct kx_ws *ws, struct kx_ws_message *ret_message)
{
    enum kx_ws_event event;
    if (ws->skipping) {
        const size_t length = ws->total < SIZE_MAX ? (size_t)ws->total : SIZE_MAX;
        *ret_message = (struct kx_ws_message){.length = length, .skipped = ws->skip};
        event = KX_WS_SKIPPED;
    } else {
        char *behind = kx_buf_reserve(&ws->whole, ws->padding);
        KX_ASSERT(behind != NULL && ws->whole.length == ws->total);
        memset(behind, 0, ws->padding);
        *ret_message = (struct kx_ws_message){.data = ws->whole.data, .length = ws->whole.length};
        event = kind_of(ws->opcode);
        ws->given = true;
    }
    forget_message(ws);
    return event;
}

/* True when a frame is given where it lies, so that the buffer must hold the whole of it. */
static bool waits_in_place(const struct kx_ws *ws, const struct frame *frame)
{
    if (frame->opcode >= OP_CONTROL)
        return true;
    return frame->final && ws->opcode == 0 && frame->length <= IN_PLACE_MAX &&
           frame->length <= ws->limits.message_bytes;
}

enum kx_ws_event
kx_ws_next(struct kx_ws *ws, struct kx_ws_message *ret_message, struct kx_error *err)
{
    sane(ws);
    if (ws->given)
        release_whole(ws);
    while (ws->state == AT_FRAME || ws->state == IN_PAYLOAD) {
        if (ws->state == IN_PAYLOAD) {
            take_payload(ws);
            if (ws->frame_left > 0)
                return KX_WS_MORE;
            ws->state = AT_FRAME;
            if (ws->last_frame)
                return give_whole(ws, ret_message);
        }
        struct frame frame;
        const char *wrong = NULL;
        const enum header header = read_header(ws, &frame, &wrong);
        if (header == HEADER_WRONG)
            return fail(ws, wrong, err);
        if (header == HEADER_MORE)
            return KX_WS_MORE;
        if (!waits_in_place(ws, &frame))
            enter_frame(ws, &frame);
        else if (frame.length <= ws->end - ws->start - frame.header)
            return give_in_place(ws, &frame, ret_message);
        else
            return KX_WS_MORE;
    }
    ws->start = ws->end = 0;
    if (ws->state == CLOSED)
        return KX_WS_MORE;
    return fail(ws, "the stream was given up at an earlier error", err);
}

void kx_ws_frame(
    struct kx_buf *out, enum kx_ws_opcode opcode, const void *payload, size_t length, uint32_t mask)
{
    KX_ASSERT((unsigned)opcode < OP_CONTROL || length <= CONTROL_MAX);
    KX_ASSERT(length <= SIZE_MAX - HEADER_MAX - MASK_BYTES);
    unsigned char header[HEADER_MAX + MASK_BYTES];
    size_t used = 2;
    size_t length_bytes = 0;
    header[0] = (unsigned char)(FINAL | (unsigned)opcode);
    if (length < LENGTH_16) {
        header[1] = (unsigned char)(MASKED | length);
    } else if (length <= UINT16_MAX) {
        header[1] = MASKED | LENGTH_16;
        length_bytes = 2;
    } else {
        header[1] = MASKED | LENGTH_64;
        length_bytes = 8;
    }
    for (size_t i = length_bytes; i-- > 0;)
        header[used++] = (unsigned char)((uint64_t)length >> (8 * i));
    const unsigned char *key = header + used;
    for (size_t i = MASK_BYTES; i-- > 0;)
        header[used++] = (unsigned char)(mask >> (8 * i));

    char *place = kx_buf_reserve(out, used + length);
    if (place == NULL)
        return;
    memcpy(place, header, used);
    const unsigned char *bytes = payload;
    for (size_t i = 0; i < length; i++)
        place[used + i] = (char)(bytes[i] ^ key[i % MASK_BYTES]);
    out->length += used + length;
}
