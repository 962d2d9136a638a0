/*
 * The probe of a webhook: an OPTIONS, which asks for nothing, or with `probe: empty` a POST of no
 * records, signed as any other.
 *
 * Connects, asks once, says what the answer means and what it cannot say. One thread.
 */
#ifndef KX_SINKS_WEBHOOK_PROBE_H
#define KX_SINKS_WEBHOOK_PROBE_H

#include "base/probe.h"
#include "batch/sink.h"

enum kx_code kx_webhook_probe(const struct kx_sink_config *config, struct kx_probe *probe);

#endif
