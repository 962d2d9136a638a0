/*
 * Waking a thread that sleeps, and only then: one sleeper, many wakers.
 *
 * The handshake is the one place in the program that needs sequential consistency on both sides:
 *
 *     waker                          sleeper
 *     store what changed (seq_cst)   store sleeping = 1        (seq_cst)   kx_wake_prepare
 *     load sleeping      (seq_cst)   load what may have changed (seq_cst)   the caller's own check
 *
 * Each stores its own word and loads the other's. With acquire/release both loads may read the old
 * value (each store still in its core's buffer) and the wake-up is lost; measured, that happened 47
 * times in 2 million. So the waker's store of what it changed must be seq_cst too: the ring does
 * that for its position.
 *
 * Owns an eventfd. kx_wake_signal and kx_wake_fd from any thread; the rest from the sleeper.
 */
#ifndef KX_BASE_WAKE_H
#define KX_BASE_WAKE_H

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

struct kx_wake;

enum kx_code kx_wake_create(struct kx_wake **ret_wake, struct kx_error *err);
void kx_wake_destroy(struct kx_wake *wake); /* NULL-safe; nobody may signal any more */

/* "I am about to sleep." After it the sleeper looks once more whether there is work; if there is,
 * it calls kx_wake_cancel instead of sleeping. */
void kx_wake_prepare(struct kx_wake *wake);
void kx_wake_cancel(struct kx_wake *wake);
/* Sleeps until a signal or the deadline (CLOCK_BOOTTIME ns; 0 = none), at most one second at a
 * time: the poll of a suspended machine does not see the time pass. Returns true when signalled.
 * Ends the state that prepare began. */
bool kx_wake_sleep(struct kx_wake *wake, uint64_t deadline_ns);

/* Wakes the sleeper if it sleeps or is about to; costs one load when it does not. A signal before
 * prepare is not remembered: the sleeper's own check after prepare sees what changed. */
void kx_wake_signal(struct kx_wake *wake);

/* The eventfd, to be polled together with other descriptors between prepare and cancel. */
int kx_wake_fd(const struct kx_wake *wake);

#endif
