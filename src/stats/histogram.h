/*
 * Histograms: each declared once in counters.def, counted by one thread in a block of its own.
 *
 *   bucket     0      1      2      3     ...
 *   up to    10^f  2x10^f 5x10^f 10^(f+1) ...  10^l, and one for what is above
 *
 * Bounds by 1-2-5: an error of a factor 2.5 at most with 19 lines for six decades, so that ten
 * sinks are still a small page. A block has one writer; any thread may copy. Relaxed: a reader sees
 * each bucket at some recent moment, and the count that it shows is the sum of the buckets it saw.
 */
#ifndef KX_STATS_HISTOGRAM_H
#define KX_STATS_HISTOGRAM_H

#include "stats/counters.h"
#include <stddef.h>
#include <stdint.h>

enum kx_histogram {
#define KX_HISTOGRAM(scope, id, metric, unit, first, last, help) KX_H_##id,
#include "stats/counters.def"
    KX_HISTOGRAMS
};

enum { KX_HISTOGRAM_BOUNDS_MAX = 19 };

struct kx_histogram_info {
    enum kx_scope scope;
    const char *metric;
    double unit;          /* the metric's units in one counted unit */
    unsigned first, last; /* powers of ten of the lowest and the highest bound */
    const char *help;
};
extern const struct kx_histogram_info kx_histogram_infos[KX_HISTOGRAMS];

struct kx_histogram_counts {
    uint64_t buckets[KX_HISTOGRAM_BOUNDS_MAX + 1]; /* not cumulative; the last used one: above */
    uint64_t sum;                                  /* of the values, in counted units */
};

struct kx_histograms; /* one of each */

struct kx_histograms *kx_histograms_create(void); /* zeroed, aligned; NULL without memory */
void kx_histograms_destroy(struct kx_histograms *histograms); /* NULL-safe */

/* `times` observations of a value, in counted units. The block's own thread; about 5 ns. */
void kx_histogram_observe(struct kx_histograms *histograms,
                          enum kx_histogram which,
                          uint64_t value,
                          uint64_t times);

/* Any thread. */
void kx_histogram_copy(const struct kx_histograms *histograms,
                       enum kx_histogram which,
                       struct kx_histogram_counts *ret_counts);
size_t kx_histogram_bounds(enum kx_histogram which);
/* The bound of a bucket, inclusive, in counted units. */
uint64_t kx_histogram_bound(enum kx_histogram which, size_t bucket);
/* The value below which that share (0..1) of the observations lies, taken as even within its
 * bucket, in counted units; 0 when there are none. What is above the highest bound counts as it. */
double
kx_histogram_quantile(enum kx_histogram which, const struct kx_histogram_counts *counts, double q);

#endif
