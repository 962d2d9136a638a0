/* Payloads; the contract stands in the header. */
#include "sinks/mqtt_payload.h"

#define ALWAYS (1ull << KX_F_TIMESTAMP | 1ull << KX_F_MAC_ADDR)

void kx_mqtt_payload_init(struct kx_mqtt_payload *payload, const struct kx_sink_config *sink)
{
    uint64_t fields = kx_sink_fields(sink);
    if (sink->mqtt.payload == KX_MQTT_DELTA)
        fields |= ALWAYS; /* first in the order, so the rest never begins the object */
    kx_encode_json_init(&payload->json, sink->compat, sink->mac_case, fields);
    payload->partial = payload->json;
    kx_buf_init(&payload->buf, KX_MQTT_PAYLOAD_MAX);
}

void kx_mqtt_payload_fini(struct kx_mqtt_payload *payload)
{
    kx_buf_fini(&payload->buf);
}

void kx_mqtt_payload_device(struct kx_mqtt_payload *payload, const struct kx_device *device)
{
    kx_buf_clear(&payload->buf);
    kx_encode_json_device(&payload->json, &payload->buf, device);
}

void kx_mqtt_payload_delta(struct kx_mqtt_payload *payload,
                           const struct kx_device *device,
                           uint64_t changed)
{
    struct kx_encode_json *partial = &payload->partial;
    partial->count = 0;
    for (size_t i = 0; i < payload->json.count; i++) {
        uint8_t field = payload->json.fields[i];
        if (((changed | ALWAYS) >> field & 1) != 0)
            partial->fields[partial->count++] = field;
    }
    kx_buf_clear(&payload->buf);
    kx_encode_json_device(partial, &payload->buf, device);
}

void kx_mqtt_payload_event(struct kx_mqtt_payload *payload, const struct kx_event *event)
{
    kx_buf_clear(&payload->buf);
    kx_encode_json_event(&payload->json, &payload->buf, event);
}

void kx_mqtt_payload_list(struct kx_mqtt_payload *payload)
{
    kx_buf_clear(&payload->buf);
}

void kx_mqtt_payload_add(struct kx_mqtt_payload *payload, const struct kx_device *device)
{
    kx_buf_byte(&payload->buf, payload->buf.length == 0 ? '[' : ',');
    kx_encode_json_device(&payload->json, &payload->buf, device);
}

void kx_mqtt_payload_end(struct kx_mqtt_payload *payload)
{
    kx_buf_byte(&payload->buf, ']');
}
