/*
 * Fuzz target: what a hostile server, or a hostile url, can do to the WebSocket client.
 *
 * The first byte chooses: frames, an answer to the upgrade, or the parts of a request. Beyond "no
 * sanitizer objects" each run holds the module to its promises: the events of a stream do not
 * depend on how the bytes were cut, no message passes its limit, an answer once judged is judged
 * the same with more bytes behind it, and a request that is accepted has the lines that were asked
 * for.
 */
#include "ingest/ws.h"
#include <stdlib.h>
#include <string.h>

enum { PADDING = 64, PREFIXES = 200 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t hashed(uint64_t hash, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ at[i]) * UINT64_C(1099511628211);
    return hash;
}

static uint64_t hashed_number(uint64_t hash, uint64_t number)
{
    return hashed(hash, &number, sizeof number);
}

/* Not static: what reads the padding has an effect and stays in the program. */
extern uint64_t padding_seen;
uint64_t padding_seen;

/* Takes every event into hash; false after a protocol error, which is final. */
static bool drain(struct kx_ws *ws, const struct kx_ws_limits *limits, uint64_t *ret_hash)
{
    struct kx_ws_message message;
    struct kx_error err;
    for (;;) {
        const enum kx_ws_event event = kx_ws_next(ws, &message, &err);
        if (event == KX_WS_MORE)
            return true;
        *ret_hash = hashed_number(*ret_hash, event);
        switch (event) {
        case KX_WS_PROTOCOL_ERROR:
            KX_ASSERT(err.code == KX_ERR_PROTOCOL);
            return false;
        case KX_WS_SKIPPED:
            KX_ASSERT(message.skipped != KX_WS_SKIP_MEMORY);
            *ret_hash = hashed_number(*ret_hash, message.length);
            *ret_hash = hashed_number(*ret_hash, message.skipped);
            break;
        case KX_WS_TEXT:
        case KX_WS_BINARY:
            KX_ASSERT(message.length <= limits->message_bytes);
            *ret_hash = hashed(*ret_hash, message.data, message.length);
            padding_seen += hashed(0, message.data + message.length, PADDING);
            break;
        case KX_WS_PING:
        case KX_WS_PONG:
        case KX_WS_CLOSE:
            KX_ASSERT(message.length <= 125);
            *ret_hash = hashed(*ret_hash, message.data, message.length);
            *ret_hash = hashed_number(*ret_hash, message.close_code);
            break;
        case KX_WS_MORE:
            break;
        }
    }
}

/* The events of a stream that comes in pieces of 1 to piece_max bytes; SIZE_MAX = as large as the
 * room is. */
static uint64_t events_of(struct kx_ws *ws,
                          const struct kx_ws_limits *limits,
                          const uint8_t *data,
                          size_t size,
                          size_t piece_max)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    uint32_t random = (uint32_t)(size + piece_max);
    while (size > 0) {
        size_t room = 0;
        char *place = kx_ws_room(ws, &room);
        random = random * 1664525u + 1013904223u;
        size_t piece = piece_max < SIZE_MAX ? 1 + (random >> 8) % piece_max : size;
        piece = piece < size ? piece : size;
        piece = piece < room ? piece : room;
        memcpy(place, data, piece);
        kx_ws_filled(ws, piece);
        if (!drain(ws, limits, &hash))
            break;
        data += piece;
        size -= piece;
    }
    return hashed_number(hash, kx_ws_reset(ws));
}

static void frames(const uint8_t *data, size_t size)
{
    if (size < 3)
        return;
    const struct kx_ws_limits limits = {.message_bytes = (size_t)data[0] * data[0],
                                        .fragments = data[1]};
    const size_t piece_max = (size_t)data[2] + 1;
    struct kx_ws *ws = NULL;
    KX_ASSERT(kx_ws_create(&ws, &limits, PADDING, NULL) == KX_OK);
    const uint64_t whole = events_of(ws, &limits, data + 3, size - 3, SIZE_MAX);
    const uint64_t pieces = events_of(ws, &limits, data + 3, size - 3, piece_max);
    KX_ASSERT(whole == pieces);
    kx_ws_destroy(ws);
}

static void answer(const uint8_t *data, size_t size)
{
    static const char key[KX_WS_KEY_BYTES] = "dGhlIHNhbXBsZSBub25jZQ==";
    bool judged = false;
    enum kx_code verdict = KX_OK;
    struct kx_ws_response first = {0};
    const size_t step = size > PREFIXES ? size / PREFIXES : 1;
    for (size_t length = size % step; length <= size; length += step) {
        char *copy = malloc(length + 1); /* never 0; its last byte stays unset */
        KX_ASSERT(copy != NULL);
        if (length > 0)
            memcpy(copy, data, length);
        struct kx_ws_response response = {0};
        struct kx_error err;
        const enum kx_code code = kx_ws_response(copy, length, key, &response, &err);
        KX_ASSERT(code != KX_OK || response.status == 0 || response.status == 101);
        KX_ASSERT(response.consumed <= length && response.consumed <= KX_WS_RESPONSE_MAX);
        if (response.location != NULL)
            KX_ASSERT(response.location >= copy &&
                      response.location + response.location_length <= copy + length);
        KX_ASSERT(!judged || (code == verdict && response.status == first.status &&
                              response.consumed == first.consumed));
        if (!judged && (code != KX_OK || response.status != 0)) {
            judged = true;
            verdict = code;
            first = response;
        }
        free(copy);
    }
}

/* target, host and headers, each up to its NUL. */
static void request(const uint8_t *data, size_t size)
{
    enum { PARTS = 8, FIXED_LINES = 6 };
    static const uint8_t nonce[16] = {0};
    char *copy = malloc(size + PARTS + 1);
    KX_ASSERT(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    memset(copy + size, 0, PARTS + 1);
    const char *parts[PARTS];
    const char *at = copy;
    for (size_t i = 0; i < PARTS; i++) {
        parts[i] = at < copy + size ? at : copy + size;
        at += strlen(at) + 1;
        if (at > copy + size)
            at = copy + size;
    }
    size_t headers = 0;
    while (headers < PARTS - 2 && parts[2 + headers][0] != '\0')
        headers++;
    struct kx_buf out;
    kx_buf_init(&out, 4096);
    char key[KX_WS_KEY_BYTES];
    struct kx_error err;
    const enum kx_code code =
        kx_ws_request(&out, parts[0], parts[1], parts + 2, headers, nonce, key, &err);
    if (code == KX_OK) {
        size_t lines = 0;
        for (size_t i = 0; i < out.length; i++) {
            KX_ASSERT((unsigned char)out.data[i] >= 0x20 || out.data[i] == '\r' ||
                      out.data[i] == '\n');
            lines += out.data[i] == '\n';
        }
        KX_ASSERT(lines == FIXED_LINES + headers + 1);
    } else {
        KX_ASSERT(out.length == 0);
    }
    kx_buf_fini(&out);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    switch (data[0] % 3) {
    case 0:
        frames(data + 1, size - 1);
        break;
    case 1:
        answer(data + 1, size - 1);
        break;
    default:
        request(data + 1, size - 1);
        break;
    }
    return 0;
}
