/* Wake-ups by eventfd; the ordering argument stands in the header. */
#include "base/wake.h"

#include "base/clock.h"
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { SLEEP_MS_MAX = 1000 };

struct kx_wake {
    int fd;
    _Atomic uint32_t
        sleeping; /* 1 between prepare and the end of the sleep, or until a waker saw it */
};

enum kx_code kx_wake_create(struct kx_wake **ret_wake, struct kx_error *err)
{
    struct kx_wake *wake = malloc(sizeof(*wake));
    if (wake == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a wake-up");
    wake->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake->fd < 0) {
        int sys = errno;
        free(wake);
        return kx_error_set(err, KX_ERR_IO, sys, "cannot make an eventfd");
    }
    atomic_init(&wake->sleeping, 0);
    *ret_wake = wake;
    return KX_OK;
}

void kx_wake_destroy(struct kx_wake *wake)
{
    if (wake == NULL)
        return;
    close(wake->fd);
    free(wake);
}

void kx_wake_prepare(struct kx_wake *wake)
{
    /* seq_cst: this store must be visible before the caller's check reads anything. */
    atomic_store_explicit(&wake->sleeping, 1, memory_order_seq_cst);
}

/* Ends the state that prepare began. True when a waker had seen it: then the eventfd is emptied, or
 * a poll on it would never sleep again. (A waker between its exchange and its write leaves one
 * spurious wake-up behind.) */
static bool settle(struct kx_wake *wake)
{
    if (atomic_exchange_explicit(&wake->sleeping, 0, memory_order_relaxed) != 0)
        return false;
    uint64_t count;
    ssize_t got = read(wake->fd, &count, sizeof(count));
    (void)got; /* EAGAIN: that waker's write is still to come */
    return true;
}

void kx_wake_cancel(struct kx_wake *wake)
{
    settle(wake);
}

bool kx_wake_sleep(struct kx_wake *wake, uint64_t deadline_ns)
{
    struct pollfd poll_fd = {.fd = wake->fd, .events = POLLIN};
    poll(&poll_fd, 1, kx_clock_poll_ms(deadline_ns, kx_clock_boot_ns(), SLEEP_MS_MAX));
    return settle(wake);
}

void kx_wake_signal(struct kx_wake *wake)
{
    /* seq_cst: the waker's own store (what changed) comes before this load. The exchange lets one
     * of many wakers pay for the system call. */
    if (atomic_load_explicit(&wake->sleeping, memory_order_seq_cst) == 0)
        return;
    if (atomic_exchange_explicit(&wake->sleeping, 0, memory_order_seq_cst) == 0)
        return;
    uint64_t one = 1;
    /* EAGAIN would mean 2^64 - 2 pending wake-ups: it is readable then, which is all that counts.
     */
    ssize_t written = write(wake->fd, &one, sizeof(one));
    (void)written;
}

int kx_wake_fd(const struct kx_wake *wake)
{
    return wake->fd;
}
