/*
 * A snapshot as people and their scripts read it: JSON for /status.json, /readyz and /healthz.
 *
 * Pure: a snapshot and the rates in, text out. Texts come from the board; whatever in them looks
 * like a MAC becomes "[mac]", because a server's error message may quote what it was sent. docs/
 * metrics.md has the members; members are added, never renamed.
 */
#ifndef KX_STATS_STATUS_H
#define KX_STATS_STATUS_H

#include "base/buf.h"
#include "stats/rates.h"
#include "stats/snapshot.h"
#include <stdbool.h>

/* Series of the rates: two of each source, then three of each sink. */
size_t kx_status_series(const struct kx_feed *feed);
void kx_status_sample(const struct kx_snapshot *snapshot, uint64_t *values);

void kx_status_write(struct kx_buf *out,
                     const struct kx_snapshot *snapshot,
                     const struct kx_rates *rates);
/* {"ready":false,"reasons":[{...}]}; returns ready. */
bool kx_status_ready(struct kx_buf *out, const struct kx_snapshot *snapshot);
/* {"healthy":false,"late":[{"thread":"w:db","seconds":7.1}]}; returns healthy. */
bool kx_status_healthy(struct kx_buf *out, const struct kx_snapshot *snapshot);

#endif
