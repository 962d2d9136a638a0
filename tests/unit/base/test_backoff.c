/* Backoff: bounds of each try, the cap, odd settings, and that two clients do not march in step. */
#include "base/backoff.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_bounds(void **state)
{
    (void)state;
    static const uint64_t ceilings[] = {500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
    enum { TRIES = sizeof ceilings / sizeof ceilings[0], ROUNDS = 5000 };
    struct kx_backoff backoff;
    kx_backoff_init(&backoff, 500, 30000);
    uint64_t least[TRIES];
    uint64_t most[TRIES] = {0};
    for (size_t i = 0; i < TRIES; i++)
        least[i] = UINT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < TRIES; i++) {
            assert_int_equal(backoff.tries, i);
            uint64_t wait = kx_backoff_next_ns(&backoff);
            assert_in_range(wait, 50, ceilings[i]);
            least[i] = wait < least[i] ? wait : least[i];
            most[i] = wait > most[i] ? wait : most[i];
        }
        kx_backoff_reset(&backoff);
    }
    for (size_t i = 0; i < TRIES; i++) { /* full jitter: all of the range is used */
        assert_true(most[i] > ceilings[i] - ceilings[i] / 20);
        assert_true(least[i] < 50 + ceilings[i] / 20);
    }
}

static void test_uniform(void **state)
{
    (void)state;
    enum { DRAWS = 100000, SLOTS = 10 };
    unsigned slots[SLOTS] = {0};
    struct kx_backoff backoff = {.min_ns = 1, .max_ns = 1000000, .random = 1};
    for (int i = 0; i < DRAWS; i++) {
        backoff.tries = 40;
        slots[(kx_backoff_next_ns(&backoff) - 1) / (1000000 / SLOTS)]++;
    }
    for (size_t i = 0; i < SLOTS; i++)
        assert_in_range(slots[i], DRAWS / SLOTS - 500, DRAWS / SLOTS + 500);
}

static void test_no_overflow(void **state)
{
    (void)state;
    struct kx_backoff backoff;
    kx_backoff_init(&backoff, 3, UINT64_MAX);
    for (int i = 0; i < 1000; i++)
        assert_true(kx_backoff_next_ns(&backoff) > 0);
    backoff.tries = UINT_MAX;
    kx_backoff_next_ns(&backoff);
    assert_int_equal(backoff.tries, UINT_MAX); /* and does not begin anew */
    kx_backoff_init(&backoff, UINT64_MAX, UINT64_MAX);
    assert_true(kx_backoff_next_ns(&backoff) >= UINT64_MAX / 10);
    assert_true(kx_backoff_next_ns(&backoff) >= UINT64_MAX / 10);
}

static void test_odd_settings(void **state)
{
    (void)state;
    struct kx_backoff backoff;
    kx_backoff_init(&backoff, 0, 0);
    assert_int_equal(kx_backoff_next_ns(&backoff), 0);
    kx_backoff_init(&backoff, 0, 1000);
    assert_int_equal(kx_backoff_next_ns(&backoff), 0);
    kx_backoff_init(&backoff, 1, 1);
    assert_int_equal(kx_backoff_next_ns(&backoff), 1);
    kx_backoff_init(&backoff, 1000, 10); /* the cap wins */
    for (int i = 0; i < 100; i++)
        assert_in_range(kx_backoff_next_ns(&backoff), 1, 10);
    kx_backoff_init(&backoff, 7, 7);
    for (int i = 0; i < 100; i++)
        assert_in_range(kx_backoff_next_ns(&backoff), 1, 7);
}

static void test_clients_differ(void **state)
{
    (void)state;
    struct kx_backoff a;
    struct kx_backoff b;
    kx_backoff_init(&a, 1ull << 62, 1ull << 62);
    kx_backoff_init(&b, 1ull << 62, 1ull << 62);
    /* Once can be chance: one wait in ten is the least one. */
    int equal = 0;
    for (int i = 0; i < 32; i++)
        equal += kx_backoff_next_ns(&a) == kx_backoff_next_ns(&b);
    assert_in_range(equal, 0, 31);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds),         cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_no_overflow),    cmocka_unit_test(test_odd_settings),
        cmocka_unit_test(test_clients_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
