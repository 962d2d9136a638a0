/* Bodies, keys and signatures; the shapes stand in the header. */
#include "sinks/webhook_body.h"

#include "base/hash.h"
#include "base/run.h"
#include <stdlib.h>
#include <string.h>

static void hex(char *out, const uint8_t *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
    *out = '\0';
}

static void
put_record(const struct kx_encode_json *json, struct kx_buf *out, const struct kx_record *record)
{
    const struct kx_device *device = kx_record_device(record);
    kx_buf_text(out, "{\"v\":1,\"id\":\"");
    kx_buf_hex(out, kx_run_id(), KX_RUN_BYTES);
    kx_buf_byte(out, '-');
    kx_buf_u64(out, record->sequence);
    if (device != NULL) {
        kx_buf_text(out, "\",\"type\":\"device\",\"data\":");
        kx_encode_json_device(json, out, device);
    } else {
        kx_buf_text(out, "\",\"type\":\"event\",\"data\":");
        kx_encode_json_event(json, out, kx_record_event(record));
    }
    kx_buf_byte(out, '}');
}

uint32_t kx_webhook_body(const struct kx_encode_json *json,
                         enum kx_webhook_format format,
                         const struct kx_batch *batch,
                         struct kx_buf *out)
{
    uint32_t count = 0;
    bool array = format == KX_WEBHOOK_ARRAY;
    if (array)
        kx_buf_byte(out, '[');
    for (uint32_t i = batch->first; i < batch->end; i++) {
        if (kx_batch_done(batch, i))
            continue;
        if (array && count > 0)
            kx_buf_byte(out, ',');
        put_record(json, out, kx_batch_record(batch, i));
        if (!array)
            kx_buf_byte(out, '\n');
        count++;
    }
    if (array)
        kx_buf_byte(out, ']');
    return count;
}

void kx_webhook_key(const struct kx_batch *batch, char out[KX_WEBHOOK_KEY_MAX])
{
    /* Of each step the digest so far and one sequence: no memory is needed for all of them. */
    uint8_t digest[32] = {0};
    memcpy(digest, kx_run_id(), KX_RUN_BYTES);
    for (uint32_t i = batch->first; i < batch->end; i++) {
        if (kx_batch_done(batch, i))
            continue;
        uint64_t sequence = kx_batch_record(batch, i)->sequence;
        const struct kx_hash_part parts[] = {{digest, sizeof digest}, {&sequence, sizeof sequence}};
        kx_hash_sha256(parts, 2, digest);
    }
    hex(out, digest, (KX_WEBHOOK_KEY_MAX - 1) / 2);
}

void kx_webhook_sign(const char *secret,
                     const char *timestamp,
                     const void *body,
                     size_t length,
                     char out[KX_WEBHOOK_SIGNATURE_MAX])
{
    static const char scheme[] = "sha256=";
    uint8_t digest[32];
    const struct kx_hash_part parts[] = {{timestamp, strlen(timestamp)}, {".", 1}, {body, length}};
    kx_hash_hmac_sha256(secret, strlen(secret), parts, 3, digest);
    memcpy(out, scheme, sizeof scheme - 1);
    hex(out + sizeof scheme - 1, digest, sizeof digest);
}
