/*
 * A sender with a queue, a board and the scripted sink around it, its time injected: what the
 * sender's tests share.
 */
#ifndef KX_TESTS_BATCH_SENDING_H
#define KX_TESTS_BATCH_SENDING_H

#include "fake.h"

#include "base/clock.h"
#include "batch/queue.h"
#include "batch/sender.h"
#include <poll.h>

static struct kx_wake *worker_wake, *sender_wake;
static struct kx_queue *queue;
static struct kx_counters *counters;
static struct kx_board *board;
static struct kx_sender *sender;
static uint64_t now_ns, sequence;
static uint64_t pushed;
static uint32_t condemned;  /* by the reports */
static uint32_t complaints; /* of the reports about dead letters that cannot be kept */
static struct kx_dead_letter_config dead_letter; /* of the sink; set it before setup */

/* Whether `what` signals the sender when it is about to sleep. */
static inline bool signals_sender(void (*what)(void))
{
    kx_wake_prepare(sender_wake);
    what();
    struct pollfd poll_fd = {.fd = kx_wake_fd(sender_wake), .events = POLLIN};
    bool signalled = poll(&poll_fd, 1, 0) == 1;
    kx_wake_cancel(sender_wake);
    return signalled;
}

static inline int setup(void **state)
{
    (void)state;
    static char name[] = "db";
    static struct kx_sink_config sink = {.name = name};
    static struct kx_config config;
    sink.dead_letter = dead_letter;
    fake_reset();
    fake_ops.idle = NULL;
    now_ns = S(1000);
    sequence = pushed = condemned = complaints = 0;
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

static inline int teardown(void **state)
{
    (void)state;
    kx_sender_destroy(sender);
    kx_sender_destroy(NULL);
    assert_true(fake.opened > 0);
    assert_int_equal(fake.closed, fake.opened);
    kx_queue_destroy(queue);
    kx_wake_destroy(worker_wake);
    kx_wake_destroy(sender_wake);
    kx_board_destroy(board);
    kx_counters_destroy(counters);
    return 0;
}

static inline uint64_t count_of(enum kx_counter counter)
{
    return kx_counter_get(counters, counter);
}

/* A batch of that many records, every fourth an event, numbered on. */
static inline void push(uint32_t records)
{
    union made made;
    assert_true(kx_queue_room(queue));
    struct kx_sealed *sealed = kx_queue_blank(queue);
    uint32_t events = 0;
    for (uint32_t i = 0; i < records; i++) {
        sequence++;
        bool event = sequence % 4 == 0;
        const struct kx_record *record =
            event ? made_event(&made, sequence, 100) : made_device(&made, i, 1, sequence, 10);
        assert_true(kx_store_append(&sealed->store, record, 0));
        events += event;
    }
    kx_sealed_begin(sealed, events, now_ns);
    kx_queue_push(queue, sealed);
    pushed += records;
}

/* Steps until the sender wants to sleep or ends. Returns until when it sleeps; UINT64_MAX = end. */
static inline uint64_t run(void)
{
    for (int steps = 0; steps < 100000; steps++) {
        uint64_t until_ns = 12345;
        enum kx_step step = kx_sender_step(sender, now_ns, (int64_t)now_ns, &until_ns);
        const struct kx_sender_report *report = kx_sender_report(sender);
        condemned += report->condemned;
        complaints += report->letters_err != NULL;
        if (report->condemned > 0)
            assert_non_null(strstr(report->err->text, "refused"));
        if (step == KX_STEP_END)
            return UINT64_MAX;
        if (step == KX_STEP_SLEEP) {
            assert_int_not_equal(until_ns, 12345);
            assert_true(until_ns == 0 || until_ns > now_ns);
            assert_false(kx_sender_ready(sender));
            return until_ns;
        }
        uint64_t alive_ns = kx_sender_alive_ns(sender);
        assert_true(alive_ns > now_ns && alive_ns <= now_ns + S(40));
        now_ns += MS(1);
    }
    fail_msg("the sender does not come to rest");
    return 0;
}

static inline void expect_state(enum kx_sink_state state, const char *text)
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
    uint64_t kept = count_of(KX_C_DEAD_LETTERED);
    assert_int_equal(delivered + rejected + kept + stopped + count_of(KX_C_SENDER_DROPPED_GONE) +
                         pending,
                     pushed);
    assert_int_equal(fake.taken_count, delivered);
    assert_int_equal(condemned, rejected + kept);
    uint64_t events = 0;
    for (size_t i = 0; i < fake.taken_count; i++)
        events += fake.taken[i] % 4 == 0;
    assert_int_equal(count_of(KX_C_DELIVERED_EVENTS), events);
}

/* In order, each once. */
static inline void expect_taken_in_order(void)
{
    for (size_t i = 1; i < fake.taken_count; i++)
        assert_true(fake.taken[i] > fake.taken[i - 1]);
}

static inline void close_and_end(void)
{
    kx_queue_close(queue);
    assert_true(kx_sender_ready(sender));
    assert_true(run() == UINT64_MAX);
    kx_sender_close(sender);
    kx_sender_close(sender);
    assert_int_equal(fake.closed, fake.opened);
    assert_true(kx_sender_alive_ns(sender) == UINT64_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
