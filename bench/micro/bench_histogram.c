/*
 * What one observation of a histogram costs: freshness of records, at random from 1 ms to 100 s.
 *
 * The values are made before. Median of five rounds, in processor time.
 */
#include "stats/histogram.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { VALUES = 1 << 20, ROUNDS = 5 };

static double cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int order(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

int main(void)
{
    struct kx_histograms *histograms = kx_histograms_create();
    uint64_t *values = calloc(VALUES, sizeof *values);
    double took[ROUNDS];
    uint64_t state = 1;
    if (histograms == NULL || values == NULL)
        return 1;
    for (size_t i = 0; i < VALUES; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        values[i] = 1000000ull << (state >> 33) % 17;
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        double begun_ns = cpu_ns();
        for (size_t i = 0; i < VALUES; i++)
            kx_histogram_observe(histograms, KX_H_FRESHNESS, values[i], 1);
        took[round] = (cpu_ns() - begun_ns) / VALUES;
    }
    qsort(took, ROUNDS, sizeof took[0], order);
    printf("%.1f ns an observation\n", took[ROUNDS / 2]);
    kx_histograms_destroy(histograms);
    free(values);
    return 0;
}
