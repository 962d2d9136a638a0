/* A stop in each state of the sender, and in any: every record has one end. */
#include "sending.h"

static void test_stop_with_nothing(void **state)
{
    (void)state;
    fake_ops.idle = fake_idle;
    run();
    uint64_t deadline_ns = now_ns + S(6);
    kx_sender_stop(sender, deadline_ns);
    assert_true(kx_sender_ready(sender));
    assert_int_equal(run(), deadline_ns); /* the worker has not closed yet */
    assert_int_equal(fake.idle_count, 1);
    now_ns = deadline_ns;
    assert_int_equal(run(), 0); /* nor now: no spinning */
    close_and_end();
    expect_account(0, 0, 0, 0);
}

static void test_stop_delivers_what_is_there(void **state)
{
    (void)state;
    kx_sender_stop(sender, now_ns + S(6));
    push(5);
    push(5);
    run();
    close_and_end();
    expect_account(10, 0, 0, 0);
}

static void test_stop_while_retrying(void **state)
{
    (void)state;
    fake.then = KX_RETRY;
    fake.retry_after_ns = S(600);
    push(5);
    run();
    size_t calls = fake.call_count;
    uint64_t deadline_ns = now_ns + S(6);
    kx_sender_stop(sender, deadline_ns);
    assert_int_equal(run(), deadline_ns); /* tried at once, then waits no longer than this */
    assert_int_equal(fake.call_count, calls + 1);
    now_ns = deadline_ns;
    run();
    assert_int_equal(fake.call_count, calls + 1);
    push(3); /* what comes too late is counted too */
    run();
    expect_account(0, 0, 8, 0);
    close_and_end();
}

static void test_stop_while_retrying_succeeds(void **state)
{
    (void)state;
    fake.then = KX_RETRY;
    push(5);
    run();
    kx_sender_stop(sender, now_ns + S(6));
    run();
    fake.then = KX_SENT;
    now_ns += S(1);
    run();
    close_and_end();
    expect_account(5, 0, 0, 0);
}

static void test_stop_while_held(void **state)
{
    (void)state;
    fake.then = KX_HOLD;
    fake.confirm = 2;
    push(5);
    push(5);
    run();
    expect_account(2, 0, 0, 8);
    kx_sender_stop(sender, now_ns + S(6));
    /* Tried once more, and given up without waiting: nobody mends it now. */
    assert_int_equal(run(), 0);
    assert_int_equal(fake.call_count, 2);
    expect_account(4, 0, 6, 0);
    close_and_end();
    expect_state(KX_SINK_HELD, "outcome 2");
}

static void test_stop_while_all_is_rejected(void **state)
{
    (void)state;
    fake.then = KX_REJECTED;
    push(100);
    run();
    expect_state(KX_SINK_HELD, "rejected_all");
    kx_sender_stop(sender, now_ns + S(6));
    run();
    expect_account(0, 0, 100, 0);
    close_and_end();
}

static void test_stop_in_the_middle_of_a_bisection(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 64; i += 2)
        fake.poison[i] = true;
    push(64);
    kx_sender_stop(sender, now_ns + MS(40));
    run(); /* each step of the test takes a millisecond */
    close_and_end();
    expect_taken_in_order();
    uint64_t delivered = count_of(KX_C_DELIVERED);
    uint64_t rejected = count_of(KX_C_SENDER_DROPPED_REJECTED);
    assert_true(delivered > 0 && rejected > 0 && delivered + rejected < 64);
    expect_account(delivered, rejected, 64 - delivered - rejected, 0);
}

/* The call that was under way when the deadline passed: what it achieved counts. */
static void test_stop_during_a_call(void **state)
{
    (void)state;
    push(5);
    push(5);
    uint64_t until_ns;
    assert_int_equal(kx_sender_step(sender, now_ns, 1, &until_ns), KX_STEP_AGAIN);
    kx_sender_stop(sender, now_ns + S(6));
    now_ns += S(20);
    run();
    expect_account(5, 0, 5, 0);
    close_and_end();
}

/* Whatever the far end answers, however the batches are: in the end every record has one end. */
static void test_any_sequence_of_outcomes(void **state)
{
    (void)state;
    static enum kx_outcome script[400];
    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint64_t random = seed * 0x9e3779b97f4a7c15ull;
        for (size_t i = 0; i < 400; i++)
            script[i] = (enum kx_outcome)random_below(&random, 4);
        fake.script = script;
        fake.script_length = 400;
        fake.confirm = (uint32_t)random_below(&random, 4);
        fake.confirm_next = (uint32_t)random_below(&random, 3);
        fake.distinct_reasons = random_below(&random, 2) == 0;
        fake.bytes_max = random_below(&random, 2) == 0 ? 0 : 2000;
        for (int i = 0; i < 30; i++) {
            fake.poison[1 + random_below(&random, 300)] = true;
            if (random_below(&random, 3) == 0 && kx_queue_room(queue))
                push(1 + (uint32_t)random_below(&random, 60));
            uint64_t until_ns = run();
            if (until_ns != 0)
                now_ns = until_ns;
            assert_int_equal(fake.taken_count + condemned + kx_queue_pending(queue), pushed);
        }
        kx_sender_stop(sender, now_ns + S(2));
        kx_queue_close(queue);
        while (run() != UINT64_MAX)
            now_ns += MS(100);
        expect_account(fake.taken_count, condemned, count_of(KX_C_SENDER_DROPPED_STOP), 0);
        for (size_t i = 0; i < fake.taken_count; i++) /* never twice */
            for (size_t j = i + 1; j < fake.taken_count; j++)
                assert_int_not_equal(fake.taken[i], fake.taken[j]);
        if (seed < 60) {
            teardown(NULL);
            setup(NULL);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_stop_with_nothing),
        TEST(test_stop_delivers_what_is_there),
        TEST(test_stop_while_retrying),
        TEST(test_stop_while_retrying_succeeds),
        TEST(test_stop_while_held),
        TEST(test_stop_while_all_is_rejected),
        TEST(test_stop_in_the_middle_of_a_bisection),
        TEST(test_stop_during_a_call),
        TEST(test_any_sequence_of_outcomes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
