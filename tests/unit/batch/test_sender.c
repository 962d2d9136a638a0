/* The sender against a scripted sink: every outcome, and an account that adds up. */
#include "sending.h"

#include "batch/isolate.h"

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
    static const enum kx_outcome script[] = {KX_HOLD, KX_RETRY};
    fake.script = script;
    fake.script_length = 2;
    fake.confirm = 3;
    push(10);
    run();
    fake.confirm = 2;
    now_ns += S(3) - MS(1);
    kx_sender_poke(sender);
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
    assert_int_equal(report->age_ns, S(3) + MS(7));
    assert_int_equal(report->wait_ns, until_ns - now_ns - MS(7));
    assert_string_equal(report->err->text, "outcome 1");
    assert_int_equal(report->records, 7); /* from the fourth on */
    assert_int_equal(report->delivered, 2);
    assert_int_equal(report->sequence, 1);
    assert_int_equal(kx_sender_step(sender, now_ns + MS(8), 3, &until_ns), KX_STEP_SLEEP);
    report = kx_sender_report(sender);
    assert_false(report->called || report->changed);
    now_ns = until_ns;
    run();
    expect_account(10, 0, 0, 0);
}

/* Of each batch the far end keeps all but the second and the last record, and says so. */
static enum kx_outcome
deliver_but_two(struct kx_batch *batch, const struct kx_call *call, struct kx_error *err)
{
    (void)call;
    (void)err;
    kx_batch_drop(batch, 1, KX_C_SENDER_DROPPED_RETENTION);
    kx_batch_drop(batch, batch->end - 1, KX_C_SENDER_DROPPED_RETENTION);
    kx_batch_drop(batch, batch->end - 1, KX_C_SENDER_DROPPED_RETENTION);
    return KX_SENT;
}

static void test_dropped_by_the_sink(void **state)
{
    (void)state;
    fake.deliver = deliver_but_two;
    push(10);
    push(100);
    assert_int_equal(run(), 0);
    assert_int_equal(count_of(KX_C_SENDER_DROPPED_RETENTION), 4);
    assert_int_equal(count_of(KX_C_DELIVERED), 106);
    assert_int_equal(kx_queue_pending(queue), 0);
    expect_state(KX_SINK_OK, "");
    push(2); /* the second is the last */
    assert_int_equal(run(), 0);
    assert_int_equal(count_of(KX_C_SENDER_DROPPED_RETENTION), 5);
    assert_int_equal(count_of(KX_C_DELIVERED), 107);
    assert_int_equal(kx_queue_pending(queue), 0);
    close_and_end();
}

/* What the board says, and when: a change at once, deliveries each second and at the end. */
static void test_board(void **state)
{
    (void)state;
    struct kx_sink_status status;
    push(1);
    run();
    kx_board_sink_get(board, 0, &status);
    int64_t first = status.last_delivery_ns;
    assert_true(first > 0);
    now_ns += MS(100);
    push(1);
    run();
    kx_board_sink_get(board, 0, &status);
    assert_int_equal(status.last_delivery_ns, first);
    now_ns += MS(950);
    run();
    kx_board_sink_get(board, 0, &status);
    int64_t second = status.last_delivery_ns;
    assert_true(second > first);
    push(1);
    close_and_end();
    kx_board_sink_get(board, 0, &status);
    assert_true(status.last_delivery_ns > second);
}

/* Two kinds of hold: one state, two texts. */
static void test_texts(void **state)
{
    (void)state;
    fake.then = KX_HOLD;
    push(20);
    run();
    expect_state(KX_SINK_HELD, "outcome 2");
    fake.then = KX_REJECTED;
    kx_sender_poke(sender);
    run();
    expect_state(KX_SINK_HELD, "rejected_all");
}

static enum kx_outcome
silent_deliver(struct kx_batch *batch, const struct kx_call *call, struct kx_error *err)
{
    (void)batch;
    assert_true(kx_sender_alive_ns(sender) > call->deadline_ns); /* the watchdog waits as long */
    assert_int_equal(err->text[0], 0);
    if (fake.call_count++ == 0)
        kx_error_set(err, KX_ERR_IO, 0, "said once");
    return fake.call_count <= 2 ? KX_RETRY : KX_SENT;
}

/* A sink that neither marks what it confirms nor says why it does not. */
static void test_terse_sink(void **state)
{
    (void)state;
    fake.deliver = silent_deliver;
    push(70);
    now_ns = run();
    expect_state(KX_SINK_RETRYING, "said once");
    now_ns = run();
    struct kx_sink_status status;
    kx_board_sink_get(board, 0, &status);
    assert_string_equal(status.text, ""); /* not what another call said */
    run();
    assert_int_equal(fake.call_count, 3);
    assert_int_equal(count_of(KX_C_DELIVERED), 70);
    assert_int_equal(kx_queue_pending(queue), 0);
}

static void test_tries(void **state)
{
    (void)state;
    static const enum kx_outcome script[] = {KX_RETRY, KX_RETRY, KX_REJECTED, KX_RETRY, KX_SENT,
                                             KX_RETRY, KX_HOLD,  KX_SENT,     KX_SENT};
    static const uint32_t tries[] = {0, 1, 2, 0, 1, 0, 1, 0, 0};
    fake.script = script;
    fake.script_length = 9;
    push(2);
    push(1);
    for (uint64_t until_ns; (until_ns = run()) != 0;)
        now_ns = until_ns;
    assert_int_equal(fake.call_count, 9);
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(fake.calls[i].tries, tries[i]);
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
    /* A stop, a taken record and a refusal each begin it anew. */
    for (uint64_t i = 0; i < 20; i++) {
        kx_sender_stop(sender, now_ns + S(100000) + i);
        assert_true(run() <= now_ns + MS(500));
    }
    for (int i = 0; i < 20; i++) {
        now_ns += S(1);
        run();
        run();
        now_ns += S(4);
        run();
        fake.then = i % 2 == 0 ? KX_SENT : KX_REJECTED;
        kx_sender_poke(sender);
        run();
        fake.then = KX_RETRY;
        push(1);
        assert_true(run() <= now_ns + MS(500));
    }
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

static void stop_now(void)
{
    kx_sender_stop(sender, now_ns + S(6));
}

static void poke_now(void)
{
    kx_sender_poke(sender);
}

static void test_signals(void **state)
{
    (void)state;
    assert_true(signals_sender(poke_now));
    assert_true(signals_sender(stop_now));
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
    for (uint32_t bad = 1; bad <= 80; bad++) {
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
        if (bad < 80) {
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

/* A batch's memory goes round; its account does not. */
static void test_no_batch_is_delivered_twice(void **state)
{
    (void)state;
    for (int i = 0; i < KX_QUEUE_PLACES; i++)
        push(3);
    run();
    assert_int_equal(count_of(KX_C_BATCHES), KX_QUEUE_PLACES);
    fake.then = KX_REJECTED;
    for (int i = 0; i < KX_QUEUE_PLACES; i++)
        push(3);
    run();
    assert_int_equal(count_of(KX_C_BATCHES), KX_QUEUE_PLACES);
    expect_account(12, 12, 0, 0);
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
    /* Mended; but two records are bad ones all the same, the first among them. */
    fake.then = KX_SENT;
    fake.poison[1] = fake.poison[3] = true;
    now_ns = until_ns;
    run();
    expect_taken_in_order();
    expect_account(records - 2, 2, 0, 0);
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
    /* A limit under every record: one at a time. */
    fake.bytes_max = 10;
    push(8);
    run();
    expect_account(48, 1, 0, 0);
    assert_int_equal(kx_queue_bytes_max(queue), 10);
}

/* A far end that says "too large" and not how large: the sink asks for half each time. */
static uint64_t secret_limit;
static enum kx_outcome
halving_deliver(struct kx_batch *batch, const struct kx_call *call, struct kx_error *err)
{
    (void)call;
    fake.call_count++;
    uint64_t bytes = fake_bytes(batch);
    for (uint32_t i = batch->first; bytes <= secret_limit && i < batch->end; i++)
        fake_confirm(batch, i);
    if (bytes <= secret_limit)
        return KX_SENT;
    kx_error_set(err, KX_ERR_LIMIT, 0, "refused: 413");
    batch->bytes_max = bytes / 2;
    return batch->end - batch->first > 1 ? KX_RETRY : KX_REJECTED;
}

static void test_halving(void **state)
{
    (void)state;
    fake.deliver = halving_deliver;
    secret_limit = 3000;
    push(1000); /* about 220 kB */
    assert_int_equal(run(), 0);
    expect_taken_in_order();
    expect_account(1000, 0, 0, 0);
    assert_int_equal(count_of(KX_C_RETRIES), 0);
    uint64_t learnt = kx_queue_bytes_max(queue);
    assert_true(learnt > secret_limit / 2 && learnt <= secret_limit);
    size_t calls = fake.call_count;
    push(1000); /* nothing is too large any more */
    assert_int_equal(run(), 0);
    expect_account(2000, 0, 0, 0);
    assert_true(fake.call_count - calls <= 2 * 222000 / learnt);
    /* Not even one fits: each is refused, by itself, and none of it is a wait. */
    secret_limit = 100;
    push(9);
    assert_int_equal(run(), 0);
    expect_account(2000, 9, 0, 0);
    assert_int_equal(count_of(KX_C_RETRIES), 0);
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

/* Refuses everything but, when it is the last record's turn, one of the batch behind. */
static enum kx_outcome
only_the_next(struct kx_batch *batch, const struct kx_call *call, struct kx_error *err)
{
    (void)call;
    fake.call_count++;
    if (batch->next == NULL && kx_batch_record(batch, batch->first)->sequence > 50) {
        fake_confirm(batch, batch->first);
        return KX_SENT;
    }
    if (batch->next != NULL && batch->end - batch->first == 1)
        fake_confirm(batch->next, 0);
    return fake_reject(batch, err);
}

/* What is taken of the next batch is a sign, too, that the far end takes records: what is set aside
 * of this one is bad. */
static void test_next_is_a_sign(void **state)
{
    (void)state;
    fake.deliver = only_the_next;
    push(50);
    push(1);
    assert_int_equal(run(), 0);
    assert_int_equal(count_of(KX_C_HOLDS), 0);
    expect_account(1, 50, 0, 0);
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
    assert_int_equal(fake.idle_deadline_ns, S(1030));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sent),
        TEST(test_report),
        TEST(test_dropped_by_the_sink),
        TEST(test_board),
        TEST(test_texts),
        TEST(test_terse_sink),
        TEST(test_tries),
        TEST(test_retry),
        TEST(test_backoff_grows_to_its_cap),
        TEST(test_retry_after),
        TEST(test_signals),
        TEST(test_hold),
        TEST(test_bisect_one_to_many),
        TEST(test_bisect_is_cheap),
        TEST(test_other_reasons_are_bad_records),
        TEST(test_no_batch_is_delivered_twice),
        TEST(test_whole_batch_rejected),
        TEST(test_large_batch_rejected),
        TEST(test_fifty_running),
        TEST(test_small_batches),
        TEST(test_gone),
        TEST(test_bytes_max),
        TEST(test_halving),
        TEST(test_next_begun_early),
        TEST(test_next_behind_the_last_piece),
        TEST(test_next_is_a_sign),
        TEST(test_next_done_early),
        TEST(test_idle),
        TEST(test_deadline_of_a_call),
        TEST(test_poke_during_a_call),
        cmocka_unit_test(test_isolate_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
