/* Histograms: which bucket, what sum, which quantile; a writer beside a reader. */
#include "stats/histogram.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

/* The same by looking at every bound. */
static size_t bucket_of(enum kx_histogram which, uint64_t value)
{
    size_t bucket = 0;
    while (bucket < kx_histogram_bounds(which) && kx_histogram_bound(which, bucket) < value)
        bucket++;
    return bucket;
}

static void check(struct kx_histograms *histograms, enum kx_histogram which, uint64_t value)
{
    struct kx_histogram_counts before, after;
    kx_histogram_copy(histograms, which, &before);
    kx_histogram_observe(histograms, which, value, 3);
    kx_histogram_copy(histograms, which, &after);
    size_t bucket = bucket_of(which, value);
    for (size_t i = 0; i <= KX_HISTOGRAM_BOUNDS_MAX; i++)
        assert_int_equal(after.buckets[i] - before.buckets[i], i == bucket ? 3 : 0);
    assert_true(after.sum - before.sum == value * 3);
}

static void test_every_value_finds_its_bucket(void **state)
{
    (void)state;
    struct kx_histograms *histograms = kx_histograms_create();
    assert_non_null(histograms);
    for (size_t h = 0; h < KX_HISTOGRAMS; h++) {
        enum kx_histogram which = (enum kx_histogram)h;
        for (uint64_t value = 0; value < 3000; value++)
            check(histograms, which, value);
        for (size_t i = 0; i < kx_histogram_bounds(which); i++) {
            check(histograms, which, kx_histogram_bound(which, i) - 1);
            check(histograms, which, kx_histogram_bound(which, i));
            check(histograms, which, kx_histogram_bound(which, i) + 1);
        }
        for (unsigned bits = 0; bits < 64; bits++) {
            check(histograms, which, 1ull << bits);
            check(histograms, which, (1ull << bits) - 1);
        }
        check(histograms, which, UINT64_MAX);
    }
    kx_histograms_destroy(histograms);
}

static void test_bounds(void **state)
{
    (void)state;
    assert_int_equal(kx_histogram_bounds(KX_H_BATCH_RECORDS), 13);
    static const uint64_t bounds[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000};
    for (size_t i = 0; i < 13; i++)
        assert_int_equal(kx_histogram_bound(KX_H_BATCH_RECORDS, i), bounds[i]);
    assert_int_equal(kx_histogram_bound(KX_H_FRESHNESS, 0), 1000000);
    assert_true(kx_histogram_bound(KX_H_FRESHNESS, 18) == 1000000000000);
}

static void test_quantiles(void **state)
{
    (void)state;
    struct kx_histogram_counts counts = {0};
    assert_true(kx_histogram_quantile(KX_H_BATCH_RECORDS, &counts, 0.5) == 0);
    counts.buckets[3] = 100; /* 6..10 */
    assert_true(kx_histogram_quantile(KX_H_BATCH_RECORDS, &counts, 0.5) == 7.5);
    assert_true(kx_histogram_quantile(KX_H_BATCH_RECORDS, &counts, 1) == 10);
    counts.buckets[9] = 100; /* 501..1000 */
    assert_true(kx_histogram_quantile(KX_H_BATCH_RECORDS, &counts, 0.5) == 10);
    assert_true(kx_histogram_quantile(KX_H_BATCH_RECORDS, &counts, 0.75) == 750);
    memset(&counts, 0, sizeof counts);
    counts.buckets[13] = 1; /* above */
    assert_true(kx_histogram_quantile(KX_H_BATCH_RECORDS, &counts, 0.5) == 10000);
}

enum { COUNTS = 100000 };

static void *observe_many(void *histograms)
{
    for (int i = 0; i < COUNTS; i++)
        kx_histogram_observe(histograms, KX_H_LATENCY, 1000000, 1);
    return NULL;
}

static void test_a_reader_beside_the_writer(void **state)
{
    (void)state;
    struct kx_histograms *histograms = kx_histograms_create();
    struct kx_histogram_counts counts;
    pthread_t writer;
    assert_non_null(histograms);
    assert_int_equal(pthread_create(&writer, NULL, observe_many, histograms), 0);
    uint64_t seen = 0;
    bool good = true;
    size_t bucket = bucket_of(KX_H_LATENCY, 1000000);
    for (int i = 0; i < COUNTS / 10; i++) {
        kx_histogram_copy(histograms, KX_H_LATENCY, &counts);
        good = good && counts.buckets[bucket] >= seen;
        seen = counts.buckets[bucket];
    }
    pthread_join(writer, NULL);
    assert_true(good);
    kx_histogram_copy(histograms, KX_H_LATENCY, &counts);
    assert_int_equal(counts.buckets[bucket], COUNTS);
    assert_true(counts.sum == COUNTS * 1000000ull);
    kx_histograms_destroy(histograms);
    kx_histograms_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_value_finds_its_bucket),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_a_reader_beside_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
