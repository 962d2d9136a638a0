/*
 * `kismet-export probe` of a postgres sink: reachable, how it is encrypted, who we are there and
 * what we may do, encoding, time zone, pooler, tables, keys, types; each with what mends it.
 *
 * Blocks its thread for some seconds at most. Changes nothing in the database but a temporary table
 * that is gone at once. Owns nothing afterwards.
 */
#ifndef KX_SINKS_POSTGRES_PROBE_H
#define KX_SINKS_POSTGRES_PROBE_H

#include "base/probe.h"
#include "sinks/postgres_schema.h"

void kx_postgres_probe(const struct kx_postgres_target *target,
                       const struct kx_postgres_schema_params *params,
                       struct kx_probe *probe);

#endif
