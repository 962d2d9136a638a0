/*
 * A record as one JSON object: what the console prints, what a dead letter holds, and later what
 * MQTT, webhook and socket send.
 *
 * A device has its keys, all or those asked for, in the order of kx_fields, the Python script's
 * first; unknown is null. An event has the script's four keys, then ours. `compat: script` leaves
 * ours out, writes naive local times, and 0 or "" for unknown, as the script sent them. Owns
 * nothing but the keys that init writes down; any thread may encode with it. Without room (up to 64
 * bytes before the buffer's limit) the buffer fails and holds a prefix, never a wrong object.
 */
#ifndef KX_ENCODE_JSON_H
#define KX_ENCODE_JSON_H

#include "base/buf.h"
#include "config/config.h"
#include "record/record.h"
#include <stdint.h>

enum { KX_ENCODE_JSON_KEY_MAX = 23 };

struct kx_encode_json_key {
    uint8_t length;
    char text[KX_ENCODE_JSON_KEY_MAX]; /* ,"name": and { instead of the first comma */
};

struct kx_encode_json {
    enum kx_compat compat;
    enum kx_mac_case mac_case;
    uint8_t count; /* of the fields that are written: */
    uint8_t fields[KX_FIELDS];
    struct kx_encode_json_key keys[KX_FIELDS]; /* by enum kx_field */
};

/* fields: bit (1ull << enum kx_field) of what is written of a device; one of them at least. */
void kx_encode_json_init(struct kx_encode_json *json,
                         enum kx_compat compat,
                         enum kx_mac_case mac_case,
                         uint64_t fields);
/* Appends the object, without a newline. */
void kx_encode_json_device(const struct kx_encode_json *json,
                           struct kx_buf *buf,
                           const struct kx_device *device);
void kx_encode_json_event(const struct kx_encode_json *json,
                          struct kx_buf *buf,
                          const struct kx_event *event);

#endif
