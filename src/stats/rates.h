/*
 * What was counted in the last ten minutes, in steps of five seconds: for the page's small charts.
 *
 * A ring of samples, all of a size, made once: 121 samples of 8 bytes a series, 300 kB with 256
 * sources and 32 sinks. A series is a number that only grows, or a level. One thread (stats). Full:
 * the oldest sample goes. Time is an argument; a suspended machine leaves a step that is longer,
 * and nothing is made up for it.
 */
#ifndef KX_STATS_RATES_H
#define KX_STATS_RATES_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

enum { KX_RATES_STEP_S = 5, KX_RATES_STEPS = 120 };

struct kx_rates;

enum kx_code kx_rates_create(struct kx_rates **ret_rates, size_t series, struct kx_error *err);
void kx_rates_destroy(struct kx_rates *rates); /* NULL-safe */
/* When the next sample is due (boot clock); 0 = at once. */
uint64_t kx_rates_due_ns(const struct kx_rates *rates);
/* Takes one value of each series. */
void kx_rates_sample(struct kx_rates *rates, uint64_t now_ns, const uint64_t *values);
/* Steps that are over: one less than there are samples. */
size_t kx_rates_steps(const struct kx_rates *rates);
/* Step i, 0 = the oldest: by how much a series grew, and its level at the step's end. */
uint64_t kx_rates_growth(const struct kx_rates *rates, size_t series, size_t step);
uint64_t kx_rates_level(const struct kx_rates *rates, size_t series, size_t step);

#endif
