/*
 * Counters: each declared once in counters.def, each thread counting in a block of its own.
 *
 * A block has one writer thread; any thread may sum. An increment is a relaxed load and store
 * (there is one writer), so it costs what a plain add costs. Blocks are 128-byte aligned: no two
 * threads share a cache line. Readers see each counter's value at some recent moment, not all of
 * one moment.
 */
#ifndef KX_STATS_COUNTERS_H
#define KX_STATS_COUNTERS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum kx_scope {
    KX_SCOPE_SOURCE,
    KX_SCOPE_PROCESS,
    KX_SCOPE_MAIN,
    KX_SCOPE_STATS,
    KX_SCOPE_WORKER,
    KX_SCOPE_SENDER,
    KX_SCOPE_SINK,
    KX_SCOPE_THREAD
};

enum kx_counter {
#define KX_COUNTER(scope, id, metric, label, value, help) KX_C_##id,
#include "stats/counters.def"
    KX_COUNTERS
};

enum kx_gauge {
#define KX_GAUGE(scope, id, metric, label, value, help) KX_G_##id,
#include "stats/counters.def"
    KX_GAUGES
};

struct kx_counter_info {
    enum kx_scope scope;
    const char *metric; /* without the prefix kismet_export_ */
    const char *label;  /* "" = none */
    const char *value;
    const char *help; /* "" in all but a metric's first row */
};
extern const struct kx_counter_info kx_counter_infos[KX_COUNTERS];
extern const struct kx_counter_info kx_gauge_infos[KX_GAUGES];

struct kx_counters {
    _Alignas(128) _Atomic uint64_t values[KX_COUNTERS];
};

/* By the block's own thread. */
static inline void kx_count(struct kx_counters *counters, enum kx_counter counter, uint64_t amount)
{
    uint64_t value = atomic_load_explicit(&counters->values[counter], memory_order_relaxed);
    atomic_store_explicit(&counters->values[counter], value + amount, memory_order_relaxed);
}

/* By any thread. */
static inline uint64_t kx_counter_get(const struct kx_counters *counters, enum kx_counter counter)
{
    return atomic_load_explicit(&counters->values[counter], memory_order_relaxed);
}

/* Adds what the block counts in rows of that scope to sums. Any thread. */
void kx_counters_add(const struct kx_counters *counters,
                     enum kx_scope scope,
                     uint64_t sums[KX_COUNTERS]);

/* A zeroed, aligned block; NULL without memory. */
struct kx_counters *kx_counters_create(void);
void kx_counters_destroy(struct kx_counters *counters);

#endif
