/* What REST proves about the monitor, with the clock injected. */
#include "ingest/reconcile.h"

#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { RATE_S = 5, T0 = 1763000000 };

static uint64_t at(unsigned seconds)
{
    return (1000 + seconds) * KX_NS_PER_S;
}

static struct kx_reconcile fresh(enum kx_source_mode mode)
{
    struct kx_source_config config = {.rate_ns = RATE_S * KX_NS_PER_S, .mode = mode};
    struct kx_reconcile reconcile;
    kx_reconcile_init(&reconcile, &config);
    kx_reconcile_start(&reconcile, at(0));
    return reconcile;
}

/* One pass at that time in which the device stands with mod_time. Returns whether it was repaired.
 */
static bool pass(struct kx_reconcile *reconcile,
                 struct kx_registry_entry *entry,
                 unsigned seconds,
                 int64_t mod_time,
                 bool news,
                 enum kx_verdict *ret_verdict)
{
    kx_reconcile_begin(reconcile, T0 + (int64_t)seconds, at(seconds));
    bool repaired = kx_reconcile_rest(reconcile, entry, mod_time, mod_time, news);
    enum kx_verdict verdict = kx_reconcile_end(reconcile, true, at(seconds));
    if (ret_verdict != NULL)
        *ret_verdict = verdict;
    return repaired;
}

static void the_interval_is_twice_the_rate_and_never_under_two_seconds(void **state)
{
    (void)state;
    struct kx_reconcile reconcile = fresh(KX_MODE_AUTO);
    assert_int_equal(reconcile.due_ns, at(0)); /* a pass at once */
    kx_reconcile_begin(&reconcile, T0, at(0));
    kx_reconcile_end(&reconcile, true, at(1));
    assert_int_equal(reconcile.due_ns, at(2 * RATE_S));
    struct kx_source_config config = {.rate_ns = KX_NS_PER_S / 2, .mode = KX_MODE_AUTO};
    kx_reconcile_init(&reconcile, &config);
    assert_int_equal(reconcile.interval_ns, 2 * KX_NS_PER_S);
    config.reconcile_ns = 60 * KX_NS_PER_S;
    kx_reconcile_init(&reconcile, &config);
    assert_int_equal(reconcile.interval_ns, 60 * KX_NS_PER_S);
}

static void a_slow_answer_halves_the_load(void **state)
{
    (void)state;
    struct kx_reconcile reconcile = fresh(KX_MODE_AUTO);
    kx_reconcile_begin(&reconcile, T0, at(0));
    kx_reconcile_end(&reconcile, true, at(30)); /* took 30 s, the interval is 10 */
    assert_int_equal(reconcile.due_ns, at(60));
    kx_reconcile_begin(&reconcile, T0, at(60));
    kx_reconcile_end(&reconcile, true, at(61));
    assert_int_equal(reconcile.due_ns, at(70));
    kx_reconcile_begin(&reconcile, T0, at(70));
    kx_reconcile_end(&reconcile, true, at(1070)); /* 1,000 s: the peace has a limit */
    assert_int_equal(reconcile.due_ns, at(1070 + KX_RECONCILE_WAIT_S_MAX));
}

static void a_pass_asks_for_what_changed_and_now_and_then_for_everything(void **state)
{
    (void)state;
    struct kx_reconcile reconcile = fresh(KX_MODE_AUTO);
    struct kx_registry_entry entry = {0};
    assert_int_equal(kx_reconcile_begin(&reconcile, T0, at(0)), 0);
    kx_reconcile_rest(&reconcile, &entry, T0, T0 - 7, true);
    kx_reconcile_end(&reconcile, true, at(0));
    int64_t overlap_s = 2 * RATE_S + KX_RECONCILE_OVERLAP_S;
    assert_int_equal(kx_reconcile_begin(&reconcile, T0 + 10, at(10)), T0 - 7 - overlap_s);
    kx_reconcile_end(&reconcile, true, at(10));
    /* A device whose clock is a day ahead does not move the mark. */
    kx_reconcile_begin(&reconcile, T0 + 20, at(20));
    kx_reconcile_rest(&reconcile, &entry, T0, T0 + 86400, true);
    kx_reconcile_end(&reconcile, true, at(20));
    assert_int_equal(kx_reconcile_begin(&reconcile, T0 + 30, at(30)), T0 - 7 - overlap_s);
    kx_reconcile_end(&reconcile, true, at(30));
    assert_int_equal(kx_reconcile_begin(&reconcile, T0 + 300, at(300)), 0);
    kx_reconcile_end(&reconcile, false, at(300)); /* failed: everything is still owed */
    assert_int_equal(kx_reconcile_begin(&reconcile, T0 + 310, at(310)), 0);
}

static void a_healthy_monitor_is_never_suspected(void **state)
{
    (void)state;
    struct kx_reconcile reconcile = fresh(KX_MODE_AUTO);
    struct kx_registry_entry entry = {0};
    enum kx_verdict verdict;
    /* The device changes each second; the monitor tells it each 5 s, just before its time is over.
     */
    for (unsigned s = 0; s < 600; s++) {
        if (s % RATE_S == 0)
            kx_reconcile_monitor(&reconcile, &entry, T0 + s, T0 + s);
        if (s % 10 == 4) {
            assert_false(pass(&reconcile, &entry, s, T0 + s, true, &verdict));
            assert_int_equal(verdict, KX_VERDICT_NONE);
            assert_int_equal(reconcile.missed, 0);
        }
    }
    assert_false(kx_reconcile_polls(&reconcile));
}

static void a_monitor_that_never_tells_is_found_blind(void **state)
{
    (void)state;
    struct kx_reconcile reconcile = fresh(KX_MODE_AUTO);
    struct kx_registry_entry entry = {0};
    enum kx_verdict verdict;
    assert_false(pass(&reconcile, &entry, 0, T0 - 100, true, NULL)); /* before the subscription */
    assert_false(pass(&reconcile, &entry, 10, T0 + 5, true, &verdict)); /* not late yet: 5 s of 7 */
    assert_int_equal(reconcile.missed, 0);
    assert_true(pass(&reconcile, &entry, 20, T0 + 5, false, &verdict)); /* late, counted once */
    assert_int_equal(verdict, KX_VERDICT_NONE);
    assert_false(pass(&reconcile, &entry, 30, T0 + 5, false, &verdict));
    assert_int_equal(verdict, KX_VERDICT_BLIND);
    assert_true(kx_reconcile_polls(&reconcile));
    assert_false(kx_reconcile_wants_monitor(&reconcile));
    assert_int_equal(reconcile.due_ns, at(30 + RATE_S)); /* polls at the rate now */
}

/* A device that changes all the time has a fresh mod_time at every pass; what counts is how long
 * the monitor has owed us the first of these states. */
static void a_busy_device_hides_nothing(void **state)
{
    (void)state;
    struct kx_reconcile reconcile = fresh(KX_MODE_AUTO);
    struct kx_registry_entry entry = {0};
    enum kx_verdict verdict = KX_VERDICT_NONE;
    unsigned s = 0;
    for (; s <= 60 && verdict != KX_VERDICT_BLIND; s += 10)
        pass(&reconcile, &entry, s, T0 + s + 1, true, &verdict);
    assert_int_equal(verdict, KX_VERDICT_BLIND);
    assert_true(s <= 50);
}

static void one_miss_is_not_blindness(void **state)
{
    (void)state;
    struct kx_reconcile reconcile = fresh(KX_MODE_AUTO);
    struct kx_registry_entry entry = {0};
    enum kx_verdict verdict;
    pass(&reconcile, &entry, 0, T0 - 100, true, NULL);
    pass(&reconcile, &entry, 10, T0 + 5, true, NULL);
    assert_true(pass(&reconcile, &entry, 20, T0 + 5, false, &verdict));
    kx_reconcile_monitor(&reconcile, &entry, T0 + 21, T0 + 21); /* late, but it came */
    assert_false(pass(&reconcile, &entry, 30, T0 + 21, false, &verdict));
    assert_int_equal(verdict, KX_VERDICT_NONE);
    assert_int_equal(reconcile.strikes, 0);
}

static struct kx_reconcile blind(struct kx_registry_entry *entry)
{
    struct kx_reconcile reconcile = fresh(KX_MODE_AUTO);
    pass(&reconcile, entry, 0, T0 - 100, true, NULL);
    for (unsigned s = 10; !reconcile.blind; s += 10)
        pass(&reconcile, entry, s, T0 + 5, true, NULL);
    return reconcile;
}

static void a_blind_monitor_gets_a_trial_and_is_trusted_again(void **state)
{
    (void)state;
    struct kx_registry_entry entry = {0};
    struct kx_reconcile reconcile = blind(&entry);
    enum kx_verdict verdict;
    assert_false(kx_reconcile_trial(&reconcile, at(100)));
    assert_true(kx_reconcile_trial(&reconcile, at(30 + KX_RECONCILE_TRIAL_S)));
    assert_false(kx_reconcile_trial(&reconcile, at(31 + KX_RECONCILE_TRIAL_S))); /* once */
    assert_true(kx_reconcile_wants_monitor(&reconcile));
    assert_true(kx_reconcile_polls(&reconcile));
    unsigned s = 31 + KX_RECONCILE_TRIAL_S;
    verdict = KX_VERDICT_NONE;
    for (unsigned i = 0; i < 5 && verdict == KX_VERDICT_NONE; i++, s += RATE_S) {
        kx_reconcile_monitor(&reconcile, &entry, T0 + s, T0 + s);
        pass(&reconcile, &entry, s, T0 + s, false, &verdict);
    }
    assert_int_equal(verdict, KX_VERDICT_TRUSTED);
    assert_false(kx_reconcile_polls(&reconcile));
}

static void a_trial_that_fails_leads_to_the_next_one(void **state)
{
    (void)state;
    struct kx_registry_entry entry = {0};
    struct kx_reconcile reconcile = blind(&entry);
    assert_true(kx_reconcile_trial(&reconcile, at(30 + KX_RECONCILE_TRIAL_S)));
    unsigned s = 31 + KX_RECONCILE_TRIAL_S;
    enum kx_verdict verdict = KX_VERDICT_NONE;
    for (unsigned i = 0; i < 10 && kx_reconcile_wants_monitor(&reconcile); i++, s += RATE_S)
        pass(&reconcile, &entry, s, T0 + s, true, &verdict);
    assert_true(reconcile.blind);
    assert_int_equal(verdict, KX_VERDICT_NONE); /* it was said already */
    assert_false(kx_reconcile_wants_monitor(&reconcile));
    assert_true(kx_reconcile_trial(&reconcile, at(s + KX_RECONCILE_TRIAL_S)));
    kx_reconcile_trial_over(&reconcile, at(s + KX_RECONCILE_TRIAL_S));
    assert_false(kx_reconcile_wants_monitor(&reconcile));
}

static void forced_modes(void **state)
{
    (void)state;
    struct kx_reconcile monitor = fresh(KX_MODE_MONITOR);
    assert_int_equal(monitor.due_ns, UINT64_MAX);
    assert_true(kx_reconcile_wants_monitor(&monitor));
    struct kx_reconcile poll = fresh(KX_MODE_POLL);
    struct kx_registry_entry entry = {0};
    enum kx_verdict verdict;
    assert_false(kx_reconcile_wants_monitor(&poll));
    assert_true(kx_reconcile_polls(&poll));
    for (unsigned s = 0; s < 100; s += 10) {
        assert_false(pass(&poll, &entry, s, T0 + 5, true, &verdict));
        assert_int_equal(verdict, KX_VERDICT_NONE);
        assert_int_equal(poll.due_ns, at(s + RATE_S));
    }
}

static void a_new_session_forgives_what_the_old_one_owed(void **state)
{
    (void)state;
    struct kx_reconcile reconcile = fresh(KX_MODE_AUTO);
    struct kx_registry_entry entry = {0};
    pass(&reconcile, &entry, 0, T0 - 100, true, NULL);
    pass(&reconcile, &entry, 10, T0 + 5, true, NULL);
    kx_reconcile_start(&reconcile, at(12));
    assert_int_equal(reconcile.due_ns, at(12));
    assert_false(pass(&reconcile, &entry, 12, T0 + 5, false, NULL));
    assert_false(pass(&reconcile, &entry, 30, T0 + 5, false, NULL));
    assert_false(pass(&reconcile, &entry, 40, T0 + 5, false, NULL));
    assert_false(kx_reconcile_polls(&reconcile));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_interval_is_twice_the_rate_and_never_under_two_seconds),
        cmocka_unit_test(a_slow_answer_halves_the_load),
        cmocka_unit_test(a_pass_asks_for_what_changed_and_now_and_then_for_everything),
        cmocka_unit_test(a_healthy_monitor_is_never_suspected),
        cmocka_unit_test(a_monitor_that_never_tells_is_found_blind),
        cmocka_unit_test(a_busy_device_hides_nothing),
        cmocka_unit_test(one_miss_is_not_blindness),
        cmocka_unit_test(a_blind_monitor_gets_a_trial_and_is_trusted_again),
        cmocka_unit_test(a_trial_that_fails_leads_to_the_next_one),
        cmocka_unit_test(forced_modes),
        cmocka_unit_test(a_new_session_forgives_what_the_old_one_owed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
