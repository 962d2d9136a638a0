/*
 * A snapshot as Prometheus reads it: text format 0.0.4, or OpenMetrics 1.0.
 *
 * Pure: a snapshot in, text out. Every metric stands in counters.def, but for the process_ family,
 * whose names are Prometheus' own, and build_info. Label values are escaped; labels are the names
 * of sources, sinks and threads, and words of counters.def: never what came over the air.
 */
#ifndef KX_STATS_EXPOSE_H
#define KX_STATS_EXPOSE_H

#include "base/buf.h"
#include "stats/snapshot.h"

enum kx_exposition { KX_EXPOSE_TEXT, KX_EXPOSE_OPENMETRICS };

const char *kx_expose_content_type(enum kx_exposition format);
void kx_expose(struct kx_buf *out, const struct kx_snapshot *snapshot, enum kx_exposition format);

#endif
