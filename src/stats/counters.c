/*
 * The table that counters.def spells, and blocks.
 */
#include "stats/counters.h"
#include <stdlib.h>

const struct kx_counter_info kx_counter_infos[KX_COUNTERS] = {
#define KX_COUNTER(scope, id, metric, label, value, help)                                          \
    [KX_C_##id] = {KX_SCOPE_##scope, metric, label, value, help},
#include "stats/counters.def"
};

const struct kx_counter_info kx_gauge_infos[KX_GAUGES] = {
#define KX_GAUGE(scope, id, metric, label, value, help)                                            \
    [KX_G_##id] = {KX_SCOPE_##scope, metric, label, value, help},
#include "stats/counters.def"
};

void kx_counters_add(const struct kx_counters *counters,
                     enum kx_scope scope,
                     uint64_t sums[KX_COUNTERS])
{
    for (size_t i = 0; i < KX_COUNTERS; i++)
        if (kx_counter_infos[i].scope == scope)
            sums[i] += kx_counter_get(counters, (enum kx_counter)i);
}

struct kx_counters *kx_counters_create(void)
{
    struct kx_counters *counters = aligned_alloc(_Alignof(struct kx_counters), sizeof *counters);
    if (counters == NULL)
        return NULL;
    for (size_t i = 0; i < KX_COUNTERS; i++)
        atomic_init(&counters->values[i], 0);
    return counters;
}

void kx_counters_destroy(struct kx_counters *counters)
{
    free(counters);
}
