/*
 * The MQTT sink: each device and event a message, or a batch of devices one; the exporter's status,
 * and the presence of watched devices.
 *
 * Publications are pipelined into the next batch, confirmed records are marked done one by one, and
 * what a lost connection leaves unconfirmed is sent again. Owns the connection (mqtt_session.h) and
 * what is in flight (mqtt_window.h); one thread beside paho's two. A lost or refused connection is
 * KX_RETRY, a wrong login and a topic that an ACL forbids KX_HOLD, a message that the broker can
 * never take KX_REJECTED once its neighbours are confirmed. QoS 0 is at most once: it is confirmed
 * by having been written to the socket.
 *
 * newest_per_device: a message is a device's state, so within a batch only the newest is sent.
 */
#ifndef KX_SINKS_MQTT_H
#define KX_SINKS_MQTT_H

#include "batch/sink.h"

extern const struct kx_sink_ops kx_mqtt_ops;

#endif
