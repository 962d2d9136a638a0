/*
 * Replaced values: readers see the old or the new one whole, and never one that was given back.
 * Under ThreadSanitizer the torture is the proof: without kx_rcu_wait before the value is spoiled
 * and freed it reports a race (tried by hand), with it nothing.
 */
#include "base/rcu.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { READERS = 3, REPLACEMENTS = 3000, READS_A_ROUND = 20, SPOILT = 0xDEAD };

struct value {
    uint64_t number, again; /* equal while it is valid */
};

static struct value *make(uint64_t number)
{
    struct value *value = malloc(sizeof *value);
    assert_non_null(value);
    *value = (struct value){number, number};
    return value;
}

static void a_slot_gives_what_was_set_last(void **state)
{
    (void)state;
    struct kx_rcu_slot *slot = NULL;
    int first = 1, second = 2;
    assert_int_equal(kx_rcu_slot_create(&slot, &first, NULL), KX_OK);
    kx_rcu_register();
    assert_ptr_equal(kx_rcu_get(slot), &first);
    assert_ptr_equal(kx_rcu_set(slot, &second), &first);
    assert_ptr_equal(kx_rcu_get(slot), &second);
    assert_ptr_equal(kx_rcu_set(slot, NULL), &second);
    assert_null(kx_rcu_get(slot));
    kx_rcu_unregister();
    kx_rcu_slot_destroy(slot);
    kx_rcu_slot_destroy(NULL);
}

static void a_wait_without_readers_ends(void **state)
{
    (void)state;
    kx_rcu_wait();
    kx_rcu_register();
    kx_rcu_offline();
    kx_rcu_online();
    kx_rcu_quiescent();
    kx_rcu_unregister();
    kx_rcu_wait();
}

struct sleeper {
    pthread_mutex_t mutex; /* held by the test: the sleeper waits for it */
    _Atomic bool offline;
};

static void *sleep_offline(void *context)
{
    struct sleeper *sleeper = context;
    kx_rcu_register();
    kx_rcu_offline();
    atomic_store(&sleeper->offline, true);
    pthread_mutex_lock(&sleeper->mutex);
    pthread_mutex_unlock(&sleeper->mutex);
    kx_rcu_online();
    kx_rcu_unregister();
    return NULL;
}

/* Without the offline state this test would not end. */
static void a_sleeper_does_not_hold_up_the_writer(void **state)
{
    (void)state;
    struct sleeper sleeper = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    pthread_t thread;
    pthread_mutex_lock(&sleeper.mutex);
    assert_int_equal(pthread_create(&thread, NULL, sleep_offline, &sleeper), 0);
    while (!atomic_load(&sleeper.offline))
        sched_yield();
    kx_rcu_wait();
    pthread_mutex_unlock(&sleeper.mutex);
    pthread_join(thread, NULL);
}

struct reader {
    struct kx_rcu_slot *slot;
    _Atomic bool *stop;
    _Atomic unsigned *reading; /* readers that have begun */
    uint64_t seen;             /* the newest number */
    bool torn, went_back;
    bool sleeps; /* goes offline each round instead of saying that it is quiescent */
};

static void *read_on(void *context)
{
    struct reader *reader = context;
    kx_rcu_register();
    atomic_fetch_add_explicit(reader->reading, 1, memory_order_relaxed);
    while (!atomic_load_explicit(reader->stop, memory_order_relaxed)) {
        const struct value *value = kx_rcu_get(reader->slot);
        reader->went_back |= value->number < reader->seen;
        reader->seen = value->number;
        for (int i = 0; i < READS_A_ROUND; i++)
            reader->torn |= value->number != value->again || value->number == SPOILT;
        if (reader->sleeps) {
            kx_rcu_offline();
            kx_rcu_online();
        } else {
            kx_rcu_quiescent();
        }
    }
    kx_rcu_unregister();
    return NULL;
}

static void readers_see_whole_values_in_their_order(void **state)
{
    (void)state;
    struct kx_rcu_slot *slot = NULL;
    _Atomic bool stop = false;
    _Atomic unsigned reading = 0;
    struct reader readers[READERS];
    pthread_t threads[READERS];
    assert_int_equal(kx_rcu_slot_create(&slot, make(SPOILT + 1), NULL), KX_OK);
    for (int i = 0; i < READERS; i++) {
        readers[i] =
            (struct reader){.slot = slot, .stop = &stop, .reading = &reading, .sleeps = i == 0};
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
    }
    while (atomic_load(&reading) < READERS)
        sched_yield();
    for (uint64_t i = 2; i < REPLACEMENTS; i++) {
        struct value *old = (struct value *)(uintptr_t)kx_rcu_set(slot, make(SPOILT + i));
        kx_rcu_wait();
        *old = (struct value){SPOILT, SPOILT}; /* before free, which would hide it from a reader */
        free(old);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(readers[i].torn);
        assert_false(readers[i].went_back);
    }
    free((void *)(uintptr_t)kx_rcu_set(slot, NULL));
    kx_rcu_slot_destroy(slot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slot_gives_what_was_set_last),
        cmocka_unit_test(a_wait_without_readers_ends),
        cmocka_unit_test(a_sleeper_does_not_hold_up_the_writer),
        cmocka_unit_test(readers_see_whole_values_in_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
