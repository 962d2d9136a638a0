/*
 * `kismet-export probe` of one source: resolves, connects, speaks TLS, accepts the credential, has
 * the routes and fields that we need, has radios that run, and streams.
 *
 * Blocks its thread, the only one there is then. Each finding is a line of the probe; a step that
 * fails ends what would only fail after it.
 */
#ifndef KX_INGEST_PROBE_SOURCE_H
#define KX_INGEST_PROBE_SOURCE_H

#include "base/probe.h"
#include "config/config.h"
#include "ingest/identity.h"

/* Probes config->sources[i]. */
void kx_probe_source(struct kx_probe *probe,
                     const struct kx_config *config,
                     size_t i,
                     struct kx_identity *identity);

#endif
