/* The ring of samples. */
#include "stats/rates.h"

#include "base/clock.h"
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = KX_RATES_STEPS + 1 };

struct kx_rates {
    size_t series;
    size_t first, count; /* samples */
    uint64_t due_ns;
    uint64_t values[]; /* SAMPLES x series */
};

enum kx_code kx_rates_create(struct kx_rates **ret_rates, size_t series, struct kx_error *err)
{
    struct kx_rates *rates = calloc(1, sizeof *rates + SAMPLES * series * sizeof rates->values[0]);
    if (rates == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the rates of %zu series", series);
    rates->series = series;
    *ret_rates = rates;
    return KX_OK;
}

void kx_rates_destroy(struct kx_rates *rates)
{
    free(rates);
}

uint64_t kx_rates_due_ns(const struct kx_rates *rates)
{
    return rates->due_ns;
}

/* Sample i, 0 = the oldest. */
static size_t place(const struct kx_rates *rates, size_t i)
{
    return (rates->first + i) % SAMPLES * rates->series;
}

void kx_rates_sample(struct kx_rates *rates, uint64_t now_ns, const uint64_t *values)
{
    const uint64_t step_ns = KX_RATES_STEP_S * KX_NS_PER_S;
    if (rates->count == SAMPLES)
        rates->first = (rates->first + 1) % SAMPLES;
    else
        rates->count++;
    memcpy(&rates->values[place(rates, rates->count - 1)], values, rates->series * sizeof *values);
    /* By the clock's own steps, so that lateness does not add up; but never two at once. */
    rates->due_ns += step_ns;
    if (rates->count == 1 || rates->due_ns <= now_ns)
        rates->due_ns = now_ns + step_ns;
}

size_t kx_rates_steps(const struct kx_rates *rates)
{
    return rates->count > 0 ? rates->count - 1 : 0;
}

uint64_t kx_rates_level(const struct kx_rates *rates, size_t series, size_t step)
{
    KX_ASSERT(series < rates->series && step < kx_rates_steps(rates));
    return rates->values[place(rates, step + 1) + series];
}

uint64_t kx_rates_growth(const struct kx_rates *rates, size_t series, size_t step)
{
    return kx_rates_level(rates, series, step) - rates->values[place(rates, step) + series];
}
