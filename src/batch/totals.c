/* The account of one sink. */
#include "batch/totals.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Every row of the metric in that scope: a new reason is a new row, and nothing to be changed here.
 */
static uint64_t
sum_metric(const struct kx_counters *counters, enum kx_scope scope, const char *metric)
{
    uint64_t sum = 0;
    for (int i = 0; i < KX_COUNTERS; i++)
        if (kx_counter_infos[i].scope == scope && strcmp(kx_counter_infos[i].metric, metric) == 0)
            sum += kx_counter_get(counters, (enum kx_counter)i);
    return sum;
}

struct kx_sink_totals kx_sink_totals_sum(const struct kx_counters *worker,
                                         const struct kx_counters *sender,
                                         uint64_t pending)
{
    return (struct kx_sink_totals){
        .received = kx_counter_get(worker, KX_C_RECEIVED),
        .filtered = sum_metric(worker, KX_SCOPE_WORKER, "records_filtered_total"),
        .unchanged = kx_counter_get(worker, KX_C_UNCHANGED),
        .coalesced = kx_counter_get(worker, KX_C_COALESCED),
        .delivered = kx_counter_get(sender, KX_C_DELIVERED),
        .pending = pending,
        .dropped = sum_metric(worker, KX_SCOPE_WORKER, "records_dropped_total") +
                   sum_metric(sender, KX_SCOPE_SENDER, "records_dropped_total"),
        .dead_lettered = kx_counter_get(sender, KX_C_DEAD_LETTERED),
        .events_delivered = kx_counter_get(sender, KX_C_DELIVERED_EVENTS),
    };
}

bool kx_conservation(const struct kx_sink_totals *totals)
{
    return totals->received == totals->filtered + totals->unchanged + totals->coalesced +
                                   totals->delivered + totals->pending + totals->dropped +
                                   totals->dead_lettered;
}

void kx_sink_totals_line(const struct kx_sink_totals *totals, char line[KX_TOTALS_LINE_MAX])
{
    snprintf(line, KX_TOTALS_LINE_MAX,
             "received %" PRIu64 " = filtered %" PRIu64 " + unchanged %" PRIu64
             " + coalesced %" PRIu64 " + delivered %" PRIu64 " + pending %" PRIu64
             " + dropped %" PRIu64 " + dead_lettered %" PRIu64 "%s",
             totals->received, totals->filtered, totals->unchanged, totals->coalesced,
             totals->delivered, totals->pending, totals->dropped, totals->dead_lettered,
             kx_conservation(totals) ? "" : " (does not add up)");
}
