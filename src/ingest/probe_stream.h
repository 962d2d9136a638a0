/*
 * Whether a server's two WebSockets open and deliver: the part of `probe` that takes seconds.
 *
 * Blocks its thread until both are known, at most KX_CONNECT_S_MAX plus three times the rate. Owns
 * nothing afterwards.
 */
#ifndef KX_INGEST_PROBE_STREAM_H
#define KX_INGEST_PROBE_STREAM_H

#include "base/probe.h"
#include "ingest/endpoint.h"
#include <stdbool.h>

/* any_device: whether the server knows one at all; a monitor without any has nothing to say. */
void kx_probe_streams(struct kx_probe *probe, const struct kx_endpoint *endpoint, bool any_device);

#endif
