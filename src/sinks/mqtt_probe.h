/*
 * What is right and wrong with a broker, step by step: name and port, TLS, MQTT and credential,
 * what the broker is able to, and a message on {prefix}/status/{sensor}/probe that is to come back.
 *
 * Under a client id and a topic of its own: an exporter that runs keeps its session and its status.
 * Leaves nothing behind. One thread; lasts up to half a minute.
 */
#ifndef KX_SINKS_MQTT_PROBE_H
#define KX_SINKS_MQTT_PROBE_H

#include "base/probe.h"
#include "sinks/mqtt_session.h"

/* session: initialised and without a connection; it is used up. */
void kx_mqtt_probe(struct kx_mqtt_session *session, struct kx_probe *probe);

#endif
