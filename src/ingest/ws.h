/*
 * The client's half of a WebSocket (RFC 6455), pure: bytes in, bytes out, no socket, no clock.
 *
 * Handshake: kx_ws_request writes the upgrade request, kx_ws_response reads the answer. Deframer:
 * the caller reads into one connection buffer and asks for message after message; a message that
 * came in one frame of at most 64 KiB is given where it lies, any other is copied together. Never
 * fails for what a text message contains: ill-formed UTF-8 is the parser's matter (Kismet sends it;
 * closing with 1007 would blind us).
 *
 * Owns the connection buffer (256 KiB) and the reassembly buffer (as large as the largest message
 * needs, back to 256 KiB at most behind it). One thread. Lifetime: a message lives until the next
 * kx_ws_next, kx_ws_room or kx_ws_reset. Limits: message bytes and fragments; past them the message
 * is skipped to its end without being stored and reported once, as KX_WS_SKIPPED; the connection
 * lives on: a close would let one odd device blind us. Failure: KX_WS_PROTOCOL_ERROR is final until
 * kx_ws_reset, the caller closes.
 */
#ifndef KX_INGEST_WS_H
#define KX_INGEST_WS_H

#include "base/buf.h"
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KX_WS_KEY_BYTES = 25,      /* base64 of 16 random bytes, with its NUL */
    KX_WS_RESPONSE_MAX = 16384 /* bytes of an HTTP answer's head */
};

struct kx_ws_limits {
    size_t message_bytes; /* 8 MiB by default */
    uint32_t fragments;   /* 65,536 by default */
};

/* Appends "GET target HTTP/1.1" with Host, Upgrade and the given header lines (each NUL-terminated,
 * without line end; headers may be NULL when the count is 0) to out. key is made from the 16 random
 * bytes. A control byte in target, host or a header, or a blank in target or host, fails:
 * KX_ERR_CONFIG; over out's limit: KX_ERR_LIMIT. out and key stay as they were then. No value of a
 * header appears in an error: it may be the credential. */
enum kx_code kx_ws_request(struct kx_buf *out,
                           const char *target,
                           const char *host,
                           const char *const *headers,
                           size_t header_count,
                           const uint8_t nonce[16],
                           char ret_key[KX_WS_KEY_BYTES],
                           struct kx_error *err);

struct kx_ws_response {
    int status;           /* HTTP status, 0 while the head is incomplete */
    size_t consumed;      /* bytes of the head: frames begin behind it */
    int retry_after_s;    /* of a Retry-After header in seconds; -1 = none */
    const char *location; /* of a redirect, inside the caller's bytes; NULL = none */
    size_t location_length;
};

/* Reads an answer's head from the bytes so far (from its first byte, each time). KX_OK with status
 * 0 = more bytes wanted; KX_OK with 101 = upgraded and Sec-WebSocket-Accept is right: the bytes
 * behind `consumed` are frames, to be copied to kx_ws_room. Other statuses fill *ret_response too:
 * KX_ERR_AUTH (401, 403), KX_ERR_NOT_FOUND (404), KX_ERR_UNAVAILABLE (others). Not HTTP, no
 * upgrade, a wrong Sec-WebSocket-Accept, an extension or a subprotocol that was not asked for, a
 * folded header line, a head over KX_WS_RESPONSE_MAX: KX_ERR_PROTOCOL. */
enum kx_code kx_ws_response(const char *bytes,
                            size_t length,
                            const char key[KX_WS_KEY_BYTES],
                            struct kx_ws_response *ret_response,
                            struct kx_error *err);

enum kx_ws_event {
    KX_WS_MORE,   /* read more bytes */
    KX_WS_TEXT,   /* a whole text message */
    KX_WS_BINARY, /* a whole binary message */
    KX_WS_PING,   /* payload to be sent back */
    KX_WS_PONG,
    KX_WS_CLOSE,         /* payload: status and reason; whatever comes behind it is discarded */
    KX_WS_SKIPPED,       /* a message was left out, `skipped` says why; data NULL, length its own */
    KX_WS_PROTOCOL_ERROR /* err says what; final */
};

enum kx_ws_skip {
    KX_WS_SKIP_BYTES,     /* limits.message_bytes */
    KX_WS_SKIP_FRAGMENTS, /* limits.fragments */
    KX_WS_SKIP_MEMORY     /* no memory to put it together in */
};

struct kx_ws_message {
    const char
        *data; /* `padding` bytes behind the end may be read: they belong to the next frame */
    size_t length;
    enum kx_ws_skip skipped; /* of KX_WS_SKIPPED */
    uint16_t close_code;     /* of KX_WS_CLOSE; 1005 when it had none */
};

struct kx_ws; /* deframer */

/* padding: readable bytes that every message has behind it, at least 1 (the JSON parser wants 64).
 */
enum kx_code kx_ws_create(struct kx_ws **ret_ws,
                          const struct kx_ws_limits *limits,
                          size_t padding,
                          struct kx_error *err);
void kx_ws_destroy(struct kx_ws *ws);
/* Forgets everything about the last connection. Returns true when a message was incomplete (one
 * that was being skipped is, a half ping is not). */
bool kx_ws_reset(struct kx_ws *ws);
/* Bytes of memory held now, for the tests and the status. */
size_t kx_ws_memory(const struct kx_ws *ws);

/*
 * Where the next bytes are to be read to: *ret_room bytes (at least 64 KiB, at most 256 KiB, which
 * it is right after a reset) at the returned place. kx_ws_filled says how many came. Only to be
 * called when kx_ws_next had nothing more to give.
 */
char *kx_ws_room(struct kx_ws *ws, size_t *ret_room);
void kx_ws_filled(struct kx_ws *ws, size_t length);
/* The next event out of the bytes so far. Call until KX_WS_MORE. */
enum kx_ws_event
kx_ws_next(struct kx_ws *ws, struct kx_ws_message *ret_message, struct kx_error *err);

enum kx_ws_opcode { KX_WS_OP_TEXT = 1, KX_WS_OP_CLOSE = 8, KX_WS_OP_PING = 9, KX_WS_OP_PONG = 10 };
/* Appends one masked client frame, or nothing when out has no room for the whole of it (then it has
 * failed). A control frame holds 125 bytes at most. mask: 32 random bits, new for each frame. */
void kx_ws_frame(struct kx_buf *out,
                 enum kx_ws_opcode opcode,
                 const void *payload,
                 size_t length,
                 uint32_t mask);

#endif
