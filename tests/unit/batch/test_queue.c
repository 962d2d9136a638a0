/* Sealed batches by sequence: order, places, wake-ups, recycled memory, gauges. */
#include "fake.h"

#include "batch/queue.h"
#include <poll.h>

static struct kx_wake *worker_wake, *sender_wake;
static struct kx_queue *queue;
static struct kx_counters *counters;
static union made made;

static int setup(void **state)
{
    (void)state;
    assert_int_equal(kx_wake_create(&worker_wake, NULL), KX_OK);
    assert_int_equal(kx_wake_create(&sender_wake, NULL), KX_OK);
    assert_int_equal(kx_queue_create(&queue, worker_wake, sender_wake, NULL), KX_OK);
    counters = kx_counters_create();
    assert_non_null(counters);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    kx_queue_destroy(queue);
    kx_queue_destroy(NULL);
    kx_wake_destroy(worker_wake);
    kx_wake_destroy(sender_wake);
    kx_counters_destroy(counters);
    return 0;
}

static void push(uint32_t records)
{
    assert_true(kx_queue_room(queue));
    struct kx_sealed *sealed = kx_queue_blank(queue);
    assert_int_equal(sealed->store.slots, 0);
    for (uint32_t i = 0; i < records; i++)
        assert_true(kx_store_append(&sealed->store, made_event(&made, i + 1, 2), 0));
    kx_sealed_begin(sealed, records, S(1));
    kx_queue_push(queue, sealed);
}

static void finish(void)
{
    struct kx_sealed *first = kx_queue_first(queue);
    uint32_t rest = kx_sealed_settle_rest(first, counters, KX_C_SENDER_DROPPED_STOP);
    kx_queue_settled(queue, rest);
    kx_queue_finish(queue);
}

/* Whether `what` signals a thread that is about to sleep. */
static bool signals(struct kx_wake *wake, void (*what)(void))
{
    kx_wake_prepare(wake);
    what();
    struct pollfd poll_fd = {.fd = kx_wake_fd(wake), .events = POLLIN};
    bool signalled = poll(&poll_fd, 1, 0) == 1;
    if (signalled)
        assert_true(kx_wake_sleep(wake, 1));
    kx_wake_cancel(wake);
    return signalled;
}

static void push_one(void)
{
    push(1);
}

static void close_queue(void)
{
    kx_queue_close(queue);
}

static void test_order(void **state)
{
    (void)state;
    assert_null(kx_queue_first(queue));
    assert_null(kx_queue_second(queue));
    uint64_t expected = 1;
    for (uint32_t round = 0; round < 10; round++) {
        for (uint32_t i = 0; i < 3; i++)
            push(round + i + 1);
        for (uint32_t i = 0; i < 3; i++) {
            struct kx_sealed *first = kx_queue_first(queue), *second = kx_queue_second(queue);
            assert_int_equal(first->sequence, expected++);
            assert_int_equal(first->records, round + i + 1);
            assert_ptr_equal(first, kx_queue_first(queue)); /* it stays until it is finished */
            if (i < 2)
                assert_int_equal(second->sequence, expected);
            else
                assert_null(second);
            finish();
        }
    }
}

static void test_places(void **state)
{
    (void)state;
    const struct kx_sealed *seen[KX_QUEUE_PLACES];
    for (int i = 0; i < KX_QUEUE_PLACES; i++)
        push(1);
    assert_false(kx_queue_room(queue));
    assert_true(signals(worker_wake, finish));  /* asked for, so it is told */
    assert_false(signals(worker_wake, finish)); /* not asked for again */
    assert_true(kx_queue_room(queue));
    assert_false(signals(worker_wake, finish)); /* told that there is room: nothing to wait for */
    push(1);
    /* The memory goes round: no batch but the first four is ever made. */
    push(1);
    push(1);
    for (int i = 0; i < KX_QUEUE_PLACES; i++) {
        seen[i] = kx_queue_first(queue);
        finish();
    }
    for (int i = 0; i < 100; i++) {
        push(2);
        bool known = false;
        for (int j = 0; j < KX_QUEUE_PLACES; j++)
            known = known || kx_queue_first(queue) == seen[j];
        assert_true(known);
        finish();
    }
    struct kx_sealed *blank = kx_queue_blank(queue);
    assert_true(kx_store_append(&blank->store, made_event(&made, 1, 2), 0));
    kx_queue_give_back(queue, blank);
    for (int i = 0; i < KX_QUEUE_PLACES; i++) /* it was emptied, and all four are there */
        push(1);
}

static void test_end(void **state)
{
    (void)state;
    assert_true(signals(sender_wake, push_one));
    assert_false(kx_queue_ended(queue));
    assert_true(signals(sender_wake, close_queue));
    assert_false(kx_queue_ended(queue)); /* not while something is in it */
    finish();
    assert_true(kx_queue_ended(queue));
}

static void test_gauges(void **state)
{
    (void)state;
    push(5);
    push(7);
    assert_int_equal(kx_queue_pending(queue), 12);
    kx_queue_settled(queue, 2);
    assert_int_equal(kx_queue_pending(queue), 10);
    assert_false(kx_queue_gone(queue));
    kx_queue_set_gone(queue);
    assert_true(kx_queue_gone(queue));
    assert_int_equal(kx_queue_bytes_max(queue), 0);
    kx_queue_set_bytes_max(queue, 4096);
    assert_int_equal(kx_queue_bytes_max(queue), 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gauges, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
