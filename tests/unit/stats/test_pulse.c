/* Who is late, and that one look, a suspend or a stopped looker makes nobody late. */
#include "stats/pulse.h"

#include "base/clock.h"
#include "feeding.h"

#define S KX_NS_PER_S

struct pair {
    struct feeding f;
    struct kx_pulse *pulse;
};

static int setup(void **state)
{
    static struct pair pair;
    struct kx_error err;
    feeding_init(&pair.f, "x");
    assert_int_equal(kx_pulse_create(&pair.pulse, &pair.f.feed, &err), KX_OK);
    *state = &pair;
    return 0;
}

static int teardown(void **state)
{
    struct pair *pair = *state;
    kx_pulse_destroy(pair->pulse);
    kx_pulse_destroy(NULL);
    feeding_fini(&pair->f);
    return 0;
}

static size_t late(struct pair *pair, uint64_t now_ns)
{
    kx_pulse_look(pair->pulse, now_ns);
    return kx_pulse_late(pair->pulse);
}

static void test_two_looks(void **state)
{
    struct pair *pair = *state;
    pair->f.alive[1] = 10 * S;
    assert_int_equal(late(pair, 10 * S), 2); /* to the very end of its time */
    assert_int_equal(late(pair, 10 * S + 1), 2);
    assert_int_equal(late(pair, 11 * S), 2); /* not a second apart yet */
    assert_int_equal(late(pair, 11 * S + 1), 1);
    assert_int_equal(pair->pulse->threads[1].late_ns, S + 1);
    assert_int_equal(pair->pulse->threads[0].late_ns, 0);
    assert_int_equal(late(pair, 14 * S), 1);
    assert_int_equal(pair->pulse->threads[1].late_ns, 4 * S);
    /* It moves: at once well, and two looks again before it is late. */
    pair->f.alive[1] = 15 * S;
    assert_int_equal(late(pair, 15 * S), 2);
    assert_int_equal(late(pair, 17 * S), 2);
    assert_int_equal(late(pair, 18 * S), 1);
}

static void test_a_look_between_that_finds_it_moving(void **state)
{
    struct pair *pair = *state;
    pair->f.alive[0] = 10 * S;
    assert_int_equal(late(pair, 11 * S), 2);
    pair->f.alive[0] = 12 * S;
    assert_int_equal(late(pair, 12 * S), 2);
    assert_int_equal(late(pair, 12 * S + S / 2), 2);
    assert_int_equal(late(pair, 13 * S), 2);
    assert_int_equal(late(pair, 14 * S), 0);
}

static void test_a_suspend(void **state)
{
    struct pair *pair = *state;
    pair->f.alive[0] = pair->f.alive[1] = 20 * S;
    assert_int_equal(late(pair, 18 * S), 2);
    /* An hour later everybody is late until he has run. */
    uint64_t wake = 3600 * S;
    assert_int_equal(late(pair, wake), 2);
    pair->f.alive[0] = wake + 5 * S;
    assert_int_equal(late(pair, wake + S / 4), 2);
    assert_int_equal(late(pair, wake + S), 1); /* this one did not */
    /* One that had been seen once before the suspend has its two looks all the same. */
    assert_int_equal(late(pair, 2 * wake), 2);
    assert_int_equal(late(pair, 2 * wake + S), 0);
}

static void test_a_thread_that_may_be_silent_for_ever(void **state)
{
    struct pair *pair = *state;
    assert_int_equal(late(pair, UINT64_MAX - 2 * S), 2);
    assert_int_equal(late(pair, UINT64_MAX), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_two_looks),
        TEST(test_a_look_between_that_finds_it_moving),
        TEST(test_a_suspend),
        TEST(test_a_thread_that_may_be_silent_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
