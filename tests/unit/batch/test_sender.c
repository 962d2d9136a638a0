/* The sender against a scripted sink: every outcome, every stop, and an account that adds up. */
#include "fake.h"

#include "base/clock.h"
#include "batch/isolate.h"
#include "batch/queue.h"
#include "batch/sender.h"

static struct kx_wake *worker_wake, *sender_wake;
static struct kx_queue *queue;
static struct kx_counters *counters;
static struct kx_board *board;
static struct kx_sender *sender;
static uint64_t now_ns, sequence;
static uint64_t pushed;
static uint32_t condemned; /* by the reports */

static int setup(void **state)
{
    (void)state;
    static char name[] = "db";
    static struct kx_sink_config sink = {.name = name};
    static struct kx_config config;
    fake_reset();
    fake_ops.idle = NULL;
    now_ns = S(1000);
    sequence = pushed = condemned = 0;
    assert_int_equal(kx_wake_create(&worker_wake, NULL), KX_OK);
    assert_int_equal(kx_wake_create(&sender_wake, NULL), KX_OK);
    assert_int_equal(kx_queue_create(&queue, worker_wake, sender_wake, NULL), KX_OK);
    assert_int_equal(kx_board_create(&board, 0, 1, NULL), KX_OK);
    counters = kx_counters_create();
    assert_non_null(counters);
    struct kx_sender_params params = {
        .sink = &sink,
        .ops = &fake_ops,
        .env = {.config = &config, .board = board, .counters = counters},
        .queue = queue,
        .wake = sender_wake,
        .stop_fd = -1,
        .index = 0};
    struct kx_error err;
    fake.open = KX_ERR_CONFIG;
    assert_int_equal(kx_sender_create(&sender, &params, &err), KX_ERR_CONFIG);
    assert_string_equal(err.text, "no such place");
    fake.open = KX_OK;
    assert_int_equal(kx_sender_create(&sender, &params, &err), KX_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kx_sender_destroy(sender);
    kx_sender_destroy(NULL);
    assert_int_equal(fake.opened, 1);
    assert_int_equal(fake.closed, 1);
    kx_queue_destroy(queue);
    kx_wake_destroy(worker_wake);
    kx_wake_destroy(sender_wake);
    kx_board_destroy(board);
    kx_counters_destroy(counters);
    return 0;
}

static uint64_t count_of(enum kx_counter counter)
{
    return kx_counter_get(counters, counter);
}

/* A batch of that many records, every fourth an event, numbered on. */
static void push(uint32_t records)
{
    union made made;
    assert_true(kx_queue_room(queue));
    struct kx_sealed *sealed = kx_queue_blank(queue);
    uint64_t bytes = 0;
    uint32_t events = 0;
    for (uint32_t i = 0; i < records; i++) {
        sequence++;
        bool event = sequence % 4 == 0;
        const struct kx_record *record =
            event ? made_event(&made, sequence, 100) : made_device(&made, i, 1, sequence, 10);
        assert_true(kx_store_append(&sealed->store, record));
        bytes += record->length;
        events += event;
    }
    kx_sealed_begin(sealed, bytes, events, now_ns);
    kx_queue_push(queue, sealed);
    pushed += records;
}

/* Steps until the sender wants to sleep or ends. Returns until when it sleeps; UINT64_MAX = end. */
static uint64_t run(void)
{
    for (int steps = 0; steps < 100000; steps++) {
        uint64_t until_ns = 12345;
        enum kx_step step = kx_sender_step(sender, now_ns, (int64_t)now_ns, &until_ns);
        condemned += kx_sender_report(sender)->condemned;
        if (step == KX_STEP_END)
            return UINT64_MAX;
        if (step == KX_STEP_SLEEP) {
            assert_int_not_equal(until_ns, 12345);
            assert_true(until_ns == 0 || until_ns > now_ns);
            assert_false(kx_sender_ready(sender));
            return until_ns;
        }
        assert_true(kx_sender_alive_ns(sender) > now_ns);
        now_ns += MS(1);
    }
    fail_msg("the sender does not come to rest");
    return 0;
}

static void expect_state(enum kx_sink_state state, const char *text)
{
    struct kx_sink_status status;
    kx_board_sink_get(board, 0, &status);
    assert_string_equal(status.name, "db");
    assert_int_equal(status.state, state);
    assert_non_null(strstr(status.text, text));
}

/* What was pushed is what became of it; `pending` of it is still there. */
static void
expect_account(uint64_t delivered, uint64_t rejected, uint64_t stopped, uint64_t pending)
{
    assert_int_equal(count_of(KX_C_DELIVERED), delivered);
    assert_int_equal(count_of(KX_C_SENDER_DROPPED_REJECTED), rejected);
    assert_int_equal(count_of(KX_C_SENDER_DROPPED_STOP), stopped);
    assert_int_equal(kx_queue_pending(queue), pending);
    assert_int_equal(delivered + rejected + stopped + count_of(KX_C_SENDER_DROPPED_GONE) + pending,
                     pushed);
    assert_int_equal(fake.taken_count, delivered);
    assert_int_equal(condemned, rejected);
    uint64_t events = 0;
    for (size_t i = 0; i < fake.taken_count; i++)
        events += fake.taken[i] % 4 == 0;
    assert_int_equal(count_of(KX_C_DELIVERED_EVENTS), events);
}

/* In order, each once. */
static void expect_taken_in_order(void)
{
    for (size_t i = 1; i < fake.taken_count; i++)
        assert_true(fake.taken[i] > fake.taken[i - 1]);
}

static void close_and_end(void)
{
    kx_queue_close(queue);
    assert_true(kx_sender_ready(sender));
    assert_true(run() == UINT64_MAX);
    kx_sender_close(sender);
    kx_sender_close(sender);
    assert_int_equal(fake.closed, 1);
    assert_true(kx_sender_alive_ns(sender) == UINT64_MAX);
}

static void test_sent(void **state)
{
    (void)state;
    expect_state(KX_SINK_STARTING, "");
    assert_int_equal(run(), 0);
    push(10);
    push(20);
    assert_true(kx_sender_ready(sender));
    assert_int_equal(run(), 0);
    assert_int_equal(fake.call_count, 2);
    assert_int_equal(fake.calls[0].end, 10);
    assert_true(fake.calls[0].next);
    assert_false(fake.calls[1].next);
    assert_int_equal(count_of(KX_C_BATCHES), 2);
    expect_state(KX_SINK_OK, "");
    /* The time of the last delivery reaches the board a second later at most. */
    struct kx_sink_status status;
    now_ns += S(1);
    run();
    kx_board_sink_get(board, 0, &status);
    assert_true(status.last_delivery_ns > 0 && status.since_ns > 0);
    close_and_end();
    expect_taken_in_order();
    expect_account(30, 0, 0, 0);
}

static void test_report(void **state)
{
    (void)state;
    static const enum kx_outcome script[] = {KX_RETRY};
    fake.script = script;
    fake.script_length = 1;
    push(10);
    uint64_t until_ns;
    assert_int_equal(kx_sender_step(sender, now_ns, 1, &until_ns), KX_STEP_AGAIN);
    assert_false(kx_sender_report(sender)->called); /* the call is told of in the next step */
    assert_int_equal(kx_sender_step(sender, now_ns + MS(7), 2, &until_ns), KX_STEP_SLEEP);
    const struct kx_sender_report *report = kx_sender_report(sender);
    assert_true(report->called && report->changed);
    assert_int_equal(report->outcome, KX_RETRY);
    assert_int_equal(report->status->state, KX_SINK_RETRYING);
    assert_int_equal(report->status->since_ns, 2);
    assert_int_equal(report->took_ns, MS(7));
    assert_int_equal(report->wait_ns, until_ns - now_ns - MS(7));
    assert_string_equal(report->err->text, "outcome 1");
    assert_int_equal(report->records, 10);
    assert_int_equal(report->sequence, 1);
    assert_int_equal(kx_sender_step(sender, now_ns + MS(8), 3, &until_ns), KX_STEP_SLEEP);
    report = kx_sender_report(sender);
    assert_false(report->called || report->changed);
    now_ns = until_ns;
    run();
    expect_account(10, 0, 0, 0);
}

static void test_retry(void **state)
{
    (void)state;
    static const enum kx_outcome script[] = {KX_RETRY, KX_RETRY, KX_SENT, KX_RETRY, KX_SENT};
    fake.script = script;
    fake.script_length = 5;
    fake.confirm = 3;
    push(10);
    uint64_t until_ns = run();
    expect_state(KX_SINK_RETRYING, "outcome 1");
    assert_int_equal(fake.call_count, 1);
    assert_true(until_ns > now_ns && until_ns <= now_ns + MS(500));
    expect_account(3, 0, 0, 7); /* what was confirmed counts at once */
    /* A new batch does not end the wait. */
    push(5);
    run();
    assert_int_equal(fake.call_count, 1);
    now_ns = until_ns;
    until_ns = run();
    assert_int_equal(fake.call_count, 2);
    assert_int_equal(fake.calls[1].first, 3); /* and is not sent again */
    assert_int_equal(fake.calls[1].tries, 1);
    expect_account(6, 0, 0, 9);
    now_ns = until_ns;
    until_ns = run(); /* sent; the next batch: retry */
    assert_int_equal(fake.calls[2].tries, 2);
    assert_int_equal(fake.calls[3].tries, 0);
    assert_true(until_ns <= now_ns + MS(500)); /* the backoff began anew */
    expect_account(13, 0, 0, 2);
    now_ns = until_ns;
    run();
    expect_state(KX_SINK_OK, "");
    assert_int_equal(count_of(KX_C_RETRIES), 3);
    assert_int_equal(count_of(KX_C_BATCHES), 2);
    close_and_end();
    expect_taken_in_order();
    expect_account(15, 0, 0, 0);
}

static void test_backoff_grows_to_its_cap(void **state)
{
    (void)state;
    fake.then = KX_RETRY;
    push(1);
    uint64_t longest = 0;
    for (int i = 0; i < 200; i++) {
        uint64_t until_ns = run();
        uint64_t wait = until_ns - now_ns;
        assert_true(wait <= S(30));
        if (wait > longest)
            longest = wait;
        now_ns = until_ns;
    }
    assert_true(longest > S(10));
    assert_int_equal(count_of(KX_C_RETRIES), 200);
}

static void test_retry_after(void **state)
{
    (void)state;
    fake.then = KX_RETRY;
    fake.retry_after_ns = S(100);
    push(1);
    uint64_t until_ns = run();
    assert_true(until_ns >= now_ns - MS(1) + S(100));
    assert_true(until_ns <= now_ns + S(113)); /* with an eighth of jitter */
    now_ns = until_ns;
    fake.retry_after_ns = S(100000);
    until_ns = run();
    assert_true(until_ns >= now_ns - MS(1) + S(3600)); /* an hour is the most */
    assert_true(until_ns <= now_ns + S(3600) + S(450));
    kx_sender_poke(sender);
    assert_true(kx_sender_ready(sender));
    fake.then = KX_SENT;
    run();
    expect_account(1, 0, 0, 0);
}

static void test_hold(void **state)
{
    (void)state;
    fake.then = KX_HOLD;
    push(10);
    uint64_t until_ns = run();
    expect_state(KX_SINK_HELD, "outcome 2");
    assert_int_equal(until_ns, now_ns + S(60));
    now_ns += S(59);
    assert_int_equal(run(), until_ns);
    assert_int_equal(fake.call_count, 1);
    now_ns = until_ns;
    run();
    assert_int_equal(fake.call_count, 2);
    fake.then = KX_SENT;
    kx_sender_poke(sender);
    assert_true(kx_sender_ready(sender));
    run();
    assert_int_equal(fake.call_count, 3);
    expect_state(KX_SINK_OK, "");
    assert_int_equal(count_of(KX_C_HOLDS), 2);
    expect_account(10, 0, 0, 0);
}

static void test_bisect_one_to_many(void **state)
{
    (void)state;
    uint64_t seed = 7;
    for (uint32_t bad = 1; bad <= 40; bad++) {
        uint32_t poisoned = 0;
        /* Spread over three batches; never 50 running, never all of one. */
        while (poisoned < bad) {
            uint64_t which = 1 + random_below(&seed, 3 * 64);
            poisoned += !fake.poison[which];
            fake.poison[which] = true;
        }
        for (int i = 0; i < 3; i++)
            push(64);
        assert_int_equal(run(), 0);
        expect_taken_in_order();
        expect_account(3 * 64 - bad, bad, 0, 0);
        for (size_t i = 0; i < fake.taken_count; i++)
            assert_false(fake.poison[fake.taken[i]]);
        assert_true(count_of(KX_C_REJECTIONS) >= bad);
        assert_int_equal(count_of(KX_C_HOLDS), 0);
        if (bad < 40) {
            teardown(NULL);
            setup(NULL);
        }
    }
}

/* One bad record costs about two calls a halving, not one a record. */
static void test_bisect_is_cheap(void **state)
{
    (void)state;
    fake.poison[777] = true;
    push(1024);
    run();
    expect_account(1023, 1, 0, 0);
    assert_true(fake.call_count <= 2 * 10 + 1);
    expect_state(KX_SINK_OK, "");
}

static void test_other_reasons_are_bad_records(void **state)
{
    (void)state;
    fake.distinct_reasons = true;
    for (uint32_t i = 1; i <= 120; i++)
        fake.poison[i] = true;
    push(120);
    run();
    expect_account(0, 120, 0, 0);
    fake.reason_in_text = true;
    for (uint32_t i = 121; i <= 240; i++)
        fake.poison[i] = true;
    push(120);
    run();
    expect_account(0, 240, 0, 0);
    assert_int_equal(count_of(KX_C_HOLDS), 0);
    assert_int_equal(count_of(KX_C_BATCHES), 0);
}

static void hold_whole_batch(uint32_t records, bool in_text)
{
    fake.reason_in_text = in_text;
    fake.then = KX_REJECTED;
    push(records);
    uint64_t until_ns = run();
    assert_true(until_ns > now_ns + S(59) && until_ns <= now_ns + S(60));
    expect_state(KX_SINK_HELD, "rejected_all");
    expect_state(KX_SINK_HELD, "refused");
    expect_account(0, 0, 0, records); /* all kept */
    now_ns = until_ns;
    until_ns = run(); /* still so */
    assert_true(until_ns > now_ns + S(59) && until_ns <= now_ns + S(60));
    expect_account(0, 0, 0, records);
    assert_int_equal(count_of(KX_C_HOLDS), 2);
    /* Mended; but one record is a bad one all the same. */
    fake.then = KX_SENT;
    fake.poison[2] = true;
    now_ns = until_ns;
    run();
    expect_taken_in_order();
    expect_account(records - 1, 1, 0, 0);
    expect_state(KX_SINK_OK, "");
}

static void test_whole_batch_rejected(void **state)
{
    (void)state;
    hold_whole_batch(KX_REJECTED_WHOLE, false);
}

static void test_large_batch_rejected(void **state)
{
    (void)state;
    hold_whole_batch(1000, true);
}

/* A hold in the middle: what was confirmed before it is not sent again after it. */
static void test_fifty_running(void **state)
{
    (void)state;
    for (uint32_t i = 101; i <= 100 + KX_REJECTED_RUN; i++)
        fake.poison[i] = true;
    fake.poison[50] = true; /* a bad one: the records after it were taken */
    push(200);
    uint64_t until_ns = run();
    expect_state(KX_SINK_HELD, "rejected_all");
    expect_account(99, 1, 0, 100);
    memset(fake.poison, 0, sizeof fake.poison);
    now_ns = until_ns;
    run();
    expect_taken_in_order();
    expect_account(199, 1, 0, 0);
    /* One less is a row of bad records. */
    for (uint32_t i = 301; i < 300 + KX_REJECTED_RUN; i++)
        fake.poison[i] = true;
    push(200);
    run();
    expect_account(199 + 200 - 49, 50, 0, 0);
}

/* Small batches prove nothing one by one, but a run goes on across them. */
static void test_small_batches(void **state)
{
    (void)state;
    fake.then = KX_REJECTED;
    for (uint32_t batch = 1; batch <= 16; batch++) {
        push(3);
        run();
        expect_account(0, (uint64_t)3 * batch, 0, 0);
    }
    push(3);
    run();
    expect_state(KX_SINK_HELD, "rejected_all");
    expect_account(0, 48, 0, 3);
    fake.then = KX_SENT;
    kx_sender_poke(sender);
    run();
    expect_account(3, 48, 0, 0);
    /* A taken record ends the run. */
    fake.then = KX_REJECTED;
    for (uint32_t batch = 1; batch <= 16; batch++) {
        push(3);
        run();
    }
    expect_account(3, 96, 0, 0);
}

static void test_gone(void **state)
{
    (void)state;
    static const enum kx_outcome script[] = {KX_SENT, KX_GONE};
    fake.script = script;
    fake.script_length = 2;
    fake.confirm = 2;
    push(5);
    push(6);
    push(7);
    run();
    expect_state(KX_SINK_GONE, "outcome 4");
    assert_true(kx_queue_gone(queue));
    assert_int_equal(count_of(KX_C_SENDER_DROPPED_GONE), 11);
    expect_account(7, 0, 0, 0);
    push(8); /* and whatever comes later */
    run();
    assert_int_equal(fake.call_count, 2);
    assert_int_equal(count_of(KX_C_SENDER_DROPPED_GONE), 19);
    kx_sender_stop(sender, now_ns + S(6));
    push(1);
    close_and_end();
    assert_int_equal(count_of(KX_C_SENDER_DROPPED_GONE), 20);
    expect_account(7, 0, 0, 0);
    expect_state(KX_SINK_GONE, "");
}

static void test_bytes_max(void **state)
{
    (void)state;
    fake.bytes_max = 1000;
    push(20); /* devices of 232, events of 192 bytes */
    assert_int_equal(run(), 0);
    expect_taken_in_order();
    expect_account(20, 0, 0, 0);
    assert_int_equal(count_of(KX_C_RETRIES), 0); /* no wait: it is not a failure */
    assert_int_equal(kx_queue_bytes_max(queue), 1000);
    /* The first call was too large; what came after it was cut beforehand. */
    size_t calls = fake.call_count;
    push(20);
    run();
    expect_account(40, 0, 0, 0);
    assert_int_equal(fake.call_count - calls, calls - 1);
    /* One record above the limit has to be refused, and is a bad one. */
    fake.bytes_max = 0;
    fake.poison[41] = true;
    push(1);
    run();
    expect_account(40, 1, 0, 0);
}

static void test_next_begun_early(void **state)
{
    (void)state;
    static const enum kx_outcome script[] = {KX_SENT};
    fake.script = script;
    fake.script_length = 1;
    fake.confirm_next = 4;
    push(10);
    push(10);
    fake.then = KX_HOLD;
    run();
    assert_true(fake.calls[0].next);
    assert_false(fake.calls[1].next);
    assert_int_equal(fake.calls[1].first, 4); /* the rest of the second batch */
    expect_account(14, 0, 0, 6);
    fake.then = KX_SENT;
    kx_sender_poke(sender);
    run();
    expect_taken_in_order();
    expect_account(20, 0, 0, 0);
    assert_int_equal(count_of(KX_C_BATCHES), 2);
}

/* While a batch is in pieces only its last piece has a next. */
static void test_next_behind_the_last_piece(void **state)
{
    (void)state;
    fake.poison[3] = true;
    push(16);
    push(1);
    run();
    for (size_t i = 0; i < fake.call_count; i++)
        assert_true(fake.calls[i].next == (fake.calls[i].end == 16));
    expect_account(16, 1, 0, 0);
}

/* A whole next batch confirmed early needs no call of its own. */
static void test_next_done_early(void **state)
{
    (void)state;
    fake.confirm_next = 10;
    push(5);
    push(10);
    run();
    assert_int_equal(fake.call_count, 1);
    assert_int_equal(count_of(KX_C_BATCHES), 2);
    expect_account(15, 0, 0, 0);
}

static void test_idle(void **state)
{
    (void)state;
    fake_ops.idle = fake_idle;
    uint64_t until_ns = run();
    assert_int_equal(fake.idle_count, 1);
    assert_int_equal(until_ns, now_ns + S(1));
    expect_state(KX_SINK_OK, "");
    now_ns += MS(500);
    run();
    assert_int_equal(fake.idle_count, 1);
    now_ns = until_ns;
    fake.idle = KX_RETRY;
    until_ns = run();
    assert_int_equal(fake.idle_count, 2);
    expect_state(KX_SINK_RETRYING, "idle outcome 1");
    now_ns = until_ns;
    fake.idle = KX_HOLD;
    until_ns = run();
    expect_state(KX_SINK_HELD, "idle outcome 2");
    assert_int_equal(until_ns, now_ns + S(60));
    push(3); /* it waits like any other */
    assert_int_equal(run(), until_ns);
    assert_int_equal(fake.call_count, 0);
    now_ns = until_ns;
    fake.idle = KX_REJECTED; /* makes no sense; is a failure that may pass */
    now_ns += S(1);
    run();
    expect_account(3, 0, 0, 0);
    now_ns += S(2);
    run();
    expect_state(KX_SINK_RETRYING, "idle outcome 3");
    now_ns += S(31);
    fake.idle = KX_GONE;
    run();
    expect_state(KX_SINK_GONE, "idle outcome 4");
    size_t idles = fake.idle_count;
    now_ns += S(10);
    push(1);
    assert_int_equal(run(), 0);
    assert_int_equal(fake.idle_count, idles);
    assert_int_equal(count_of(KX_C_SENDER_DROPPED_GONE), 1);
    close_and_end();
}

static void test_deadline_of_a_call(void **state)
{
    (void)state;
    push(1);
    run();
    assert_int_equal(fake.calls[0].deadline_ns, S(1030));
    kx_sender_stop(sender, now_ns + S(6));
    uint64_t deadline_ns = now_ns + S(6);
    push(1);
    run();
    assert_int_equal(fake.calls[1].deadline_ns, deadline_ns);
}

/* --- a stop in each state --- */

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

/* SIGHUP came while a call with the old password was under way. */
static void test_poke_during_a_call(void **state)
{
    (void)state;
    static const enum kx_outcome script[] = {KX_HOLD, KX_SENT};
    fake.script = script;
    fake.script_length = 2;
    push(5);
    uint64_t until_ns;
    assert_int_equal(kx_sender_step(sender, now_ns, 1, &until_ns), KX_STEP_AGAIN);
    kx_sender_poke(sender);
    run();
    expect_account(5, 0, 0, 0);
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

/* The stack of views has room for the largest batch there can be. */
static void test_isolate_depth(void **state)
{
    (void)state;
    enum { RECORDS = 1 << 20 };
    struct kx_isolate isolate = {0};
    struct kx_batch view;
    struct kx_sealed sealed = {.records = RECORDS};
    sealed.view.end = RECORDS;
    sealed.view.done = calloc(RECORDS / 64, sizeof(uint64_t));
    assert_non_null(sealed.view.done);
    kx_isolate_begin(&isolate, &sealed);
    uint32_t deepest = 0;
    for (;;) {
        assert_true(kx_isolate_next(&isolate, &sealed, &view));
        if (view.end - view.first == 1)
            break;
        kx_isolate_split(&isolate);
        if (isolate.depth > deepest)
            deepest = isolate.depth;
    }
    assert_int_equal(view.first, 0);
    assert_int_equal(deepest, 21); /* one and a level a halving; 2^32 records need 33 */
    assert_true(KX_ISOLATE_DEPTH >= 33);
    /* Holes at both ends of a view are not sent. */
    kx_isolate_begin(&isolate, &sealed);
    kx_batch_mark(&sealed.view, 0);
    kx_batch_mark(&sealed.view, RECORDS - 1);
    assert_true(kx_isolate_next(&isolate, &sealed, &view));
    assert_int_equal(view.first, 1);
    assert_int_equal(view.end, RECORDS - 1);
    free(sealed.view.done);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sent),
        TEST(test_report),
        TEST(test_retry),
        TEST(test_backoff_grows_to_its_cap),
        TEST(test_retry_after),
        TEST(test_hold),
        TEST(test_bisect_one_to_many),
        TEST(test_bisect_is_cheap),
        TEST(test_other_reasons_are_bad_records),
        TEST(test_whole_batch_rejected),
        TEST(test_large_batch_rejected),
        TEST(test_fifty_running),
        TEST(test_small_batches),
        TEST(test_gone),
        TEST(test_bytes_max),
        TEST(test_next_begun_early),
        TEST(test_next_behind_the_last_piece),
        TEST(test_next_done_early),
        TEST(test_idle),
        TEST(test_deadline_of_a_call),
        TEST(test_stop_with_nothing),
        TEST(test_stop_delivers_what_is_there),
        TEST(test_stop_while_retrying),
        TEST(test_stop_while_retrying_succeeds),
        TEST(test_stop_while_held),
        TEST(test_stop_while_all_is_rejected),
        TEST(test_stop_in_the_middle_of_a_bisection),
        TEST(test_stop_during_a_call),
        TEST(test_poke_during_a_call),
        TEST(test_any_sequence_of_outcomes),
        cmocka_unit_test(test_isolate_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
