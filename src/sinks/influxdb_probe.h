/*
 * The probe of an InfluxDB: reachable, TLS, credential, bucket or database, the types of fields.
 *
 * Writes nothing into the bucket: what it sends is a write without a line. One thread, waits for
 * answers up to half a minute each.
 */
#ifndef KX_SINKS_INFLUXDB_PROBE_H
#define KX_SINKS_INFLUXDB_PROBE_H

#include "config/config.h"

struct kx_probe;

enum kx_code kx_influxdb_probe(const struct kx_sink_config *config, struct kx_probe *probe);

#endif
