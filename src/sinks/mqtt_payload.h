/*
 * What a message holds: a device, what changed of one, a list of devices, an event; as JSON.
 *
 * A delta has timestamp and mac_addr always, and of the rest what may differ from what the far end
 * was given, null where it became unknown. A message is never empty. Owns the encoders and the
 * buffer; one thread. Full (a buffer holds KX_MQTT_PAYLOAD_MAX bytes) or without memory: the buffer
 * has failed and must not be sent.
 */
#ifndef KX_SINKS_MQTT_PAYLOAD_H
#define KX_SINKS_MQTT_PAYLOAD_H

#include "base/buf.h"
#include "config/config.h"
#include "encode/json.h"
#include "record/record.h"

enum { KX_MQTT_PAYLOAD_MAX = 1 << 20, KX_MQTT_LIST_BYTES = 128 << 10 };

struct kx_mqtt_payload {
    struct kx_encode_json json;
    struct kx_encode_json partial; /* the same keys, the fields of one delta */
    struct kx_buf buf;             /* of the present message */
};

void kx_mqtt_payload_init(struct kx_mqtt_payload *payload, const struct kx_sink_config *sink);
void kx_mqtt_payload_fini(struct kx_mqtt_payload *payload);
/* Each begins a message, but for _add, which puts a device behind those of a list. */
void kx_mqtt_payload_device(struct kx_mqtt_payload *payload, const struct kx_device *device);
/* changed: as kx_batch.changed. */
void kx_mqtt_payload_delta(struct kx_mqtt_payload *payload,
                           const struct kx_device *device,
                           uint64_t changed);
void kx_mqtt_payload_event(struct kx_mqtt_payload *payload, const struct kx_event *event);
void kx_mqtt_payload_list(struct kx_mqtt_payload *payload);
void kx_mqtt_payload_add(struct kx_mqtt_payload *payload, const struct kx_device *device);
void kx_mqtt_payload_end(struct kx_mqtt_payload *payload);

#endif
