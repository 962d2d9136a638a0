/*
 * The presence of watched devices at the broker: {prefix}/presence/{mac} = home, not_home, unknown,
 * retained; and their announcement to Home Assistant.
 *
 * What batch/presence.h says is published when it changes, and all of it again after each
 * connection, since a broker may have lost what it retained. Nothing is published of a device of
 * which nothing is known since the start. With `discovery`, a configuration of each device is
 * retained where Home Assistant looks for it, and sent again when it says that it has started.
 *
 * Owns what was said; borrows the rest. One thread, the sender's. A full window: later.
 */
#ifndef KX_SINKS_MQTT_PRESENCE_H
#define KX_SINKS_MQTT_PRESENCE_H

#include "base/buf.h"
#include "batch/presence.h"
#include "batch/sink.h"
#include "sinks/mqtt_session.h"
#include "sinks/mqtt_topic.h"

struct kx_mqtt_presence {
    const struct kx_presence_config *config;
    struct kx_presence *table; /* NULL = nobody is watched */
    struct kx_board *board;
    const struct kx_mqtt_topics *topics;
    const char *sensor;
    uint64_t connects; /* of the session, as of the last look */
    uint64_t look_ns;  /* not before */
    size_t announced;  /* devices whose configuration is out, with this connection */
    bool subscribed;
    enum kx_presence_state said[KX_PRESENCE_MACS_MAX];
    struct kx_buf buf;
};

enum kx_code kx_mqtt_presence_init(struct kx_mqtt_presence *presence,
                                   const struct kx_sink_config *sink,
                                   const struct kx_sink_env *env,
                                   const struct kx_mqtt_topics *topics,
                                   struct kx_error *err);
void kx_mqtt_presence_fini(struct kx_mqtt_presence *presence);
/* Publishes what is due; at most four times a second. The session is usable. */
void kx_mqtt_presence_run(struct kx_mqtt_presence *presence,
                          struct kx_mqtt_session *session,
                          uint64_t now_ns);
/* The configuration of device i for Home Assistant, into buf: what _run publishes. */
void kx_mqtt_presence_announcement(struct kx_mqtt_presence *presence, size_t i);

#endif
