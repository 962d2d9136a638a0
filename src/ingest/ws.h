/*
 * The client's half of a WebSocket (RFC 6455), pure: bytes in, bytes out, no socket, no clock.
 *
 * Handshake: kx_ws_request writes the upgrade request, kx_ws_response reads the answer. Deframer:
 * the caller reads into one connection buffer and asks for message after message; a message that
 * came in one frame is given where it lies, only one in fragments is copied together. Never fails
 * for what a text message contains: ill-formed UTF-8 is the parser's matter (Kismet sends it;
 * closing with 1007 would blind us).
 *
 * Owns the reassembly buffer. One thread. Limits: message bytes and fragments; past them the
 * message is skipped to its end and reported as KX_WS_SKIPPED, the connection lives on: a close
 * would let one odd device blind us. Failure: KX_WS_PROTOCOL_ERROR is final, the caller closes.
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

/* Writes "GET target HTTP/1.1" with Host, Upgrade and the given header lines (each NUL-terminated,
 * without line end; extra may be NULL) into out. key is made from the 16 random bytes. A control
 * byte in target, host or a header fails: KX_ERR_CONFIG. */
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

/* Reads an answer's head from bytes so far. KX_OK with status 0 = more bytes wanted; KX_OK with 101
 * = upgraded and Sec-WebSocket-Accept is right. Other statuses: KX_ERR_AUTH (401, 403 with no
 * proxy's page is 401 for Kismet), KX_ERR_NOT_FOUND (404), KX_ERR_UNAVAILABLE (others). Not HTTP,
 * no upgrade, a wrong Sec-WebSocket-Accept, an extension that was not asked for, a head over the
 * limit: KX_ERR_PROTOCOL. */
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
    KX_WS_CLOSE,         /* payload: status and reason */
    KX_WS_SKIPPED,       /* a message over a limit was left out; skipped says which limit */
    KX_WS_PROTOCOL_ERROR /* err says what; final */
};

enum kx_ws_skip { KX_WS_SKIP_BYTES, KX_WS_SKIP_FRAGMENTS };

struct kx_ws_message {
    char
        *data; /* writable; `padding` bytes behind it may be read and written until the next call */
    size_t length;
    enum kx_ws_skip skipped;
    uint16_t close_code; /* of KX_WS_CLOSE; 1005 when it had none */
};

struct kx_ws; /* deframer */

/* padding: readable bytes that every message has behind it (the JSON parser wants 64). */
enum kx_code kx_ws_create(struct kx_ws **ret_ws,
                          const struct kx_ws_limits *limits,
                          size_t padding,
                          struct kx_error *err);
void kx_ws_destroy(struct kx_ws *ws);
/* Forgets everything about the last connection. Returns true when a message was incomplete. */
bool kx_ws_reset(struct kx_ws *ws);

/*
 * Where the next bytes are to be read to: *ret_room bytes (at least 16 KiB, at most 256 KiB) at the
 * returned place. kx_ws_filled says how many came. Messages given before are invalid after
 * kx_ws_room.
 */
char *kx_ws_room(struct kx_ws *ws, size_t *ret_room);
void kx_ws_filled(struct kx_ws *ws, size_t length);
/* The next event out of the bytes so far. Call until KX_WS_MORE. */
enum kx_ws_event
kx_ws_next(struct kx_ws *ws, struct kx_ws_message *ret_message, struct kx_error *err);

enum kx_ws_opcode { KX_WS_OP_TEXT = 1, KX_WS_OP_CLOSE = 8, KX_WS_OP_PING = 9, KX_WS_OP_PONG = 10 };
/* Appends one masked client frame. */
void kx_ws_frame(struct kx_buf *out,
                 enum kx_ws_opcode opcode,
                 const void *payload,
                 size_t length,
                 uint32_t mask);

#endif
