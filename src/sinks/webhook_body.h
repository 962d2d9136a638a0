/*
 * What a webhook is sent: the body of a batch, the key that tells a repetition, the signature.
 *
 *   a record   {"v":1,"id":"RUN-SEQUENCE","type":"device"|"event","data":{...}}
 *   array      [RECORD,RECORD,...]        ndjson   each RECORD and a newline
 *
 * Pure but for the run's name, which is constant; any thread. docs/webhook.md says the same to
 * those who receive it.
 */
#ifndef KX_SINKS_WEBHOOK_BODY_H
#define KX_SINKS_WEBHOOK_BODY_H

#include "base/buf.h"
#include "batch/sink.h"
#include "config/config.h"
#include "encode/json.h"
#include <stdint.h>

enum {
    KX_WEBHOOK_KEY_MAX = 33,       /* 32 hexadecimal digits */
    KX_WEBHOOK_SIGNATURE_MAX = 72, /* "sha256=" and 64 of them */
};

/* Appends the records that are not done. Returns how many. */
uint32_t kx_webhook_body(const struct kx_encode_json *json,
                         enum kx_webhook_format format,
                         const struct kx_batch *batch,
                         struct kx_buf *out);
/* The same for the same records of the same run, whatever the try. */
void kx_webhook_key(const struct kx_batch *batch, char out[KX_WEBHOOK_KEY_MAX]);
/* "sha256=" and the HMAC-SHA-256, under the secret, of the timestamp's text, a full stop, and the
 * body as it is sent. */
void kx_webhook_sign(const char *secret,
                     const char *timestamp,
                     const void *body,
                     size_t length,
                     char out[KX_WEBHOOK_SIGNATURE_MAX]);

#endif
