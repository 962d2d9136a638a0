/* A sink that is opened anew: between two batches, at once when it is held, never half. */
#include "sending.h"

#include "config/reload.h"

static void ask(void)
{
    static char name[] = "db";
    const struct kx_sink_config config = {.name = name};
    struct kx_sink_config *copy = NULL;
    bool anew;
    assert_int_equal(kx_sink_config_merge(&config, &config, &copy, &anew, NULL), KX_OK);
    kx_sender_reopen(sender, copy);
}

static void test_idle_sink(void **state)
{
    (void)state;
    assert_int_equal(run(), 0);
    assert_true(signals_sender(ask));
    assert_true(kx_sender_ready(sender));
    uint64_t until_ns;
    assert_int_equal(kx_sender_step(sender, now_ns, 1, &until_ns), KX_STEP_SLEEP);
    assert_true(kx_sender_report(sender)->reopened);
    assert_int_equal(fake.opened, 2);
    assert_int_equal(fake.closed, 1);
    ask();
    ask(); /* replaces the one before */
    run();
    assert_int_equal(fake.opened, 3);
    push(3);
    run();
    close_and_end();
    expect_account(3, 0, 0, 0);
}

static void test_begun_batch_comes_first(void **state)
{
    (void)state;
    static const enum kx_outcome script[] = {KX_RETRY, KX_RETRY};
    fake.script = script;
    fake.script_length = 2;
    fake.confirm = 1;
    push(10);
    push(10);
    uint64_t until_ns = run();
    assert_true(until_ns > now_ns);
    ask();
    uint64_t again_ns = run(); /* does not spin: it waits for the batch's time */
    assert_true(again_ns > now_ns);
    assert_int_equal(fake.opened, 1);
    now_ns = again_ns;
    run();
    assert_int_equal(fake.opened, 1);
    now_ns += S(40);
    assert_int_equal(run(), 0);
    assert_int_equal(fake.opened, 2);
    assert_int_equal(fake.closed, 1);
    close_and_end();
    expect_account(20, 0, 0, 0);
}

static void test_held_sink_is_opened_at_once(void **state)
{
    (void)state;
    static const enum kx_outcome script[] = {KX_HOLD};
    fake.script = script;
    fake.script_length = 1;
    push(10);
    run();
    expect_state(KX_SINK_HELD, "");
    ask();
    assert_true(kx_sender_ready(sender));
    assert_int_equal(run(), 0);
    assert_int_equal(fake.opened, 2);
    expect_state(KX_SINK_OK, "");
    expect_account(10, 0, 0, 0);
}

/* Another far end may take more. */
static void test_limits_are_learnt_anew(void **state)
{
    (void)state;
    fake.bytes_max = 1000;
    push(20);
    run();
    assert_int_equal(kx_queue_bytes_max(queue), 1000);
    fake.bytes_max = 0;
    ask();
    run();
    assert_int_equal(kx_queue_bytes_max(queue), 0);
    size_t calls = fake.call_count;
    push(20);
    run();
    assert_int_equal(fake.call_count, calls + 1);
    expect_account(40, 0, 0, 0);
}

static void test_the_old_one_goes_on(void **state)
{
    (void)state;
    fake.open = KX_ERR_CONFIG;
    ask();
    uint64_t until_ns;
    assert_int_equal(kx_sender_step(sender, now_ns, 1, &until_ns), KX_STEP_SLEEP);
    assert_false(kx_sender_report(sender)->reopened);
    assert_string_equal(kx_sender_report(sender)->reopen_err->text, "no such place");
    assert_false(kx_sender_ready(sender));
    assert_int_equal(fake.closed, 0);
    push(4);
    run();
    expect_account(4, 0, 0, 0);
}

/* Asked for when nothing is delivered any more: it is freed, and nobody waits for it. */
static void test_gone_sink_stays_closed(void **state)
{
    (void)state;
    static const enum kx_outcome script[] = {KX_GONE};
    fake.script = script;
    fake.script_length = 1;
    push(4);
    run();
    expect_state(KX_SINK_GONE, "");
    ask();
    run();
    assert_int_equal(fake.opened, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_idle_sink),
        TEST(test_begun_batch_comes_first),
        TEST(test_held_sink_is_opened_at_once),
        TEST(test_limits_are_learnt_anew),
        TEST(test_the_old_one_goes_on),
        TEST(test_gone_sink_stays_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
