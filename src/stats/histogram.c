/* Histograms by powers of ten; the picture stands in the header. */
#include "stats/histogram.h"

#include "base/error.h"
#include <assert.h>
#include <stdlib.h>

struct kx_histograms {
    struct {
        _Alignas(128) _Atomic uint64_t buckets[KX_HISTOGRAM_BOUNDS_MAX + 1];
        _Atomic uint64_t sum;
    } of[KX_HISTOGRAMS];
};

const struct kx_histogram_info kx_histogram_infos[KX_HISTOGRAMS] = {
#define KX_HISTOGRAM(scope, id, metric, unit, first, last, help)                                   \
    [KX_H_##id] = {KX_SCOPE_##scope, metric, unit, first, last, help},
#include "stats/counters.def"
};

#define KX_HISTOGRAM(scope, id, metric, unit, first, last, help)                                   \
    static_assert(3 * (last - first) + 1 <= KX_HISTOGRAM_BOUNDS_MAX, metric);
#include "stats/counters.def"

/* 1, 2, 5, 10 ... up to 10^18. */
enum { STEPS = 55 };
#define DECADE(p) p, 2 * (p), 5 * (p)
static const uint64_t steps[STEPS] = {
    DECADE(1ull),
    DECADE(10ull),
    DECADE(100ull),
    DECADE(1000ull),
    DECADE(10000ull),
    DECADE(100000ull),
    DECADE(1000000ull),
    DECADE(10000000ull),
    DECADE(100000000ull),
    DECADE(1000000000ull),
    DECADE(10000000000ull),
    DECADE(100000000000ull),
    DECADE(1000000000000ull),
    DECADE(10000000000000ull),
    DECADE(100000000000000ull),
    DECADE(1000000000000000ull),
    DECADE(10000000000000000ull),
    DECADE(100000000000000000ull),
    1000000000000000000ull,
};

/* The place of the first step that is not below 2^i; STEPS = there is none. */
static const unsigned char step_of_power[64] = {
    0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
    20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 38, 39,
    40, 41, 42, 43, 44, 45, 46, 47, 47, 48, 49, 50, 51, 52, 53, 54, 55, 55, 55, 55,
};

/* The place of the first step that is not below value; STEPS when there is none. Steps are a factor
 * 2 apart at least, so there is no more than one of them below value and not below the power of two
 * that value begins with. */
static size_t rank(uint64_t value)
{
    size_t at = step_of_power[63 - __builtin_clzll(value | 1)];
    return at + (at < STEPS && steps[at] < value);
}

struct kx_histograms *kx_histograms_create(void)
{
    struct kx_histograms *histograms =
        aligned_alloc(_Alignof(struct kx_histograms), sizeof *histograms);
    if (histograms == NULL)
        return NULL;
    for (size_t i = 0; i < KX_HISTOGRAMS; i++) {
        for (size_t j = 0; j <= KX_HISTOGRAM_BOUNDS_MAX; j++)
            atomic_init(&histograms->of[i].buckets[j], 0);
        atomic_init(&histograms->of[i].sum, 0);
    }
    return histograms;
}

void kx_histograms_destroy(struct kx_histograms *histograms)
{
    free(histograms);
}

size_t kx_histogram_bounds(enum kx_histogram which)
{
    const struct kx_histogram_info *info = &kx_histogram_infos[which];
    return (size_t)(info->last - info->first) * 3 + 1;
}

uint64_t kx_histogram_bound(enum kx_histogram which, size_t bucket)
{
    KX_ASSERT(bucket < kx_histogram_bounds(which));
    return steps[kx_histogram_infos[which].first * 3 + bucket];
}

static void add(_Atomic uint64_t *to, uint64_t amount)
{
    /* One writer: as kx_count. */
    uint64_t value = atomic_load_explicit(to, memory_order_relaxed);
    atomic_store_explicit(to, value + amount, memory_order_relaxed);
}

void kx_histogram_observe(struct kx_histograms *histograms,
                          enum kx_histogram which,
                          uint64_t value,
                          uint64_t times)
{
    size_t bounds = kx_histogram_bounds(which);
    size_t first = kx_histogram_infos[which].first * 3;
    size_t at = rank(value);
    size_t bucket = at <= first ? 0 : at - first < bounds ? at - first : bounds;
    add(&histograms->of[which].buckets[bucket], times);
    add(&histograms->of[which].sum, value * times);
}

void kx_histogram_copy(const struct kx_histograms *histograms,
                       enum kx_histogram which,
                       struct kx_histogram_counts *ret_counts)
{
    for (size_t i = 0; i <= KX_HISTOGRAM_BOUNDS_MAX; i++)
        ret_counts->buckets[i] =
            atomic_load_explicit(&histograms->of[which].buckets[i], memory_order_relaxed);
    ret_counts->sum = atomic_load_explicit(&histograms->of[which].sum, memory_order_relaxed);
}

double
kx_histogram_quantile(enum kx_histogram which, const struct kx_histogram_counts *counts, double q)
{
    size_t bounds = kx_histogram_bounds(which);
    uint64_t total = 0;
    for (size_t i = 0; i <= bounds; i++)
        total += counts->buckets[i];
    if (total == 0)
        return 0;
    double wanted = q * (double)total, before = 0;
    for (size_t i = 0; i < bounds; i++) {
        double here = (double)counts->buckets[i];
        if (here > 0 && before + here >= wanted) {
            double low = i == 0 ? 0 : (double)kx_histogram_bound(which, i - 1);
            double high = (double)kx_histogram_bound(which, i);
            return low + (high - low) * (wanted - before) / here;
        }
        before += here;
    }
    return (double)kx_histogram_bound(which, bounds - 1);
}
