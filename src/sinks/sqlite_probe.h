/*
 * `kismet-export probe` of a database file: whether its directory can be written, the file opened,
 * locked and read to its end, and whether the tables are ours. Changes nothing, makes nothing.
 *
 * Blocks its thread for some seconds at most. Owns nothing afterwards.
 */
#ifndef KX_SINKS_SQLITE_PROBE_H
#define KX_SINKS_SQLITE_PROBE_H

#include "base/probe.h"
#include "record/extra.h"

/* extras: the columns that extra fields want. */
void kx_sqlite_probe(const char *path,
                     const struct kx_extra_columns *extras,
                     struct kx_probe *probe);

#endif
