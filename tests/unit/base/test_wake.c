/* Wake-ups: none is lost, none is invented for long. */
#include "base/wake.h"

#include "base/clock.h"
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

static bool readable(const struct kx_wake *wake)
{
    struct pollfd fd = {.fd = kx_wake_fd(wake), .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

static void a_signal_to_nobody_is_not_remembered(void **state)
{
    (void)state;
    struct kx_wake *wake;
    assert_int_equal(kx_wake_create(&wake, NULL), KX_OK);
    kx_wake_signal(wake);
    assert_false(readable(wake));
    kx_wake_prepare(wake);
    assert_false(kx_wake_sleep(wake, kx_clock_boot_ns()));
    kx_wake_destroy(wake);
}

static void a_signal_after_prepare_ends_the_sleep(void **state)
{
    (void)state;
    struct kx_wake *wake;
    assert_int_equal(kx_wake_create(&wake, NULL), KX_OK);
    kx_wake_prepare(wake);
    kx_wake_signal(wake);
    kx_wake_signal(wake); /* one write is enough for both */
    assert_true(readable(wake));
    assert_true(kx_wake_sleep(wake, 0));
    assert_false(readable(wake));
    kx_wake_destroy(wake);
}

static void cancel_empties_what_a_waker_wrote(void **state)
{
    (void)state;
    struct kx_wake *wake;
    assert_int_equal(kx_wake_create(&wake, NULL), KX_OK);
    kx_wake_prepare(wake);
    kx_wake_signal(wake);
    kx_wake_cancel(wake);
    assert_false(readable(wake));
    kx_wake_prepare(wake);
    kx_wake_cancel(wake);
    assert_false(readable(wake));
    kx_wake_destroy(wake);
    kx_wake_destroy(NULL);
}

/* Two threads hand a number back and forth; each sleeps until the other has answered. A lost
 * wake-up shows as a sleep of a whole second that nobody ended. */
enum { ROUNDS = 50000 };

struct side {
    struct kx_wake *mine, *others;
    _Atomic uint64_t *number;
    uint64_t parity;
    unsigned lost;
};

static void *hand_over(void *context)
{
    struct side *side = context;
    for (uint64_t next = side->parity; next < ROUNDS; next += 2) {
        while (atomic_load(side->number) != next) {
            kx_wake_prepare(side->mine);
            if (atomic_load(side->number) == next)
                kx_wake_cancel(side->mine);
            else if (!kx_wake_sleep(side->mine, 0) && atomic_load(side->number) == next)
                side->lost++;
        }
        atomic_store(side->number, next + 1);
        kx_wake_signal(side->others);
    }
    return NULL;
}

static void no_wake_up_is_lost(void **state)
{
    (void)state;
    struct kx_wake *a, *b;
    _Atomic uint64_t number = 0;
    assert_int_equal(kx_wake_create(&a, NULL), KX_OK);
    assert_int_equal(kx_wake_create(&b, NULL), KX_OK);
    struct side even = {.mine = a, .others = b, .number = &number, .parity = 0};
    struct side odd = {.mine = b, .others = a, .number = &number, .parity = 1};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, hand_over, &odd), 0);
    hand_over(&even);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(even.lost + odd.lost, 0);
    assert_int_equal(number, ROUNDS);
    kx_wake_destroy(a);
    kx_wake_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_to_nobody_is_not_remembered),
        cmocka_unit_test(a_signal_after_prepare_ends_the_sleep),
        cmocka_unit_test(cancel_empties_what_a_waker_wrote),
        cmocka_unit_test(no_wake_up_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
