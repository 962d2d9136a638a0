/*
 * The account of one sink: what it received is what became of it.
 *
 *   received = filtered + unchanged + coalesced + delivered + pending + dropped + dead_lettered
 *
 * Exact once the worker and the sender have ended; before that each term is right at some recent
 * moment. Plain data, any thread.
 */
#ifndef KX_BATCH_TOTALS_H
#define KX_BATCH_TOTALS_H

#include "stats/counters.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kx_sink_totals {
    uint64_t received;
    uint64_t filtered, unchanged, coalesced;
    uint64_t delivered;
    uint64_t pending;
    uint64_t dropped; /* for every reason */
    uint64_t dead_lettered;
    uint64_t events_delivered; /* of delivered */
};

enum { KX_TOTALS_LINE_MAX = 384 };

/* Sums the two threads' blocks; pending is what the open batch and the queue hold. */
struct kx_sink_totals kx_sink_totals_sum(const struct kx_counters *worker,
                                         const struct kx_counters *sender,
                                         uint64_t pending);
/* Whether the equation holds. */
bool kx_conservation(const struct kx_sink_totals *totals);
/* "received 8957 = filtered 0 + ... + dead_lettered 0"; says so when it does not hold. */
void kx_sink_totals_line(const struct kx_sink_totals *totals, char line[KX_TOTALS_LINE_MAX]);

#endif
