/*
 * Whether anybody listens at an address: paho says only that it could not connect, and users need
 * to know whether the name, the network, the port or the certificate is wrong.
 *
 * Resolves the name (the resolver cannot be interrupted) and connects, for at most two seconds. No
 * state, any thread.
 */
#ifndef KX_SINKS_MQTT_REACH_H
#define KX_SINKS_MQTT_REACH_H

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

/* KX_OK: a TCP connection came about. Else *err names the address and the system's own reason. */
enum kx_code kx_mqtt_reach(
    const char *host, uint16_t port, uint64_t deadline_ns, int stop_fd, struct kx_error *err);
/* Whether a connection comes about and is left alone for a moment: a server that goes away still
 * lets the kernel accept one. */
bool kx_mqtt_lives(const char *host, uint16_t port);

#endif
