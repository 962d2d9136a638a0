/*
 * Read-mostly pointers: readers without a lock, a writer that replaces what they point to and knows
 * when nobody can look at the old any more. liburcu in its QSBR form: a reader pays for nothing but
 * the load, and says now and then that it holds nothing.
 *
 *     reader (registered)                    writer (any thread that is not registered)
 *     p = kx_rcu_get(slot)
 *     ... uses *p ...                        old = kx_rcu_set(slot, new)
 *     kx_rcu_quiescent()  ────────────────►  kx_rcu_wait()      every reader passed here
 *                                            free(old)
 *
 * A registered thread owes the writer a quiescent state: it says so once a round of its loop, and
 * goes offline before it waits for anything, or the writer waits as long as it sleeps. What it read
 * before is nothing to it afterwards. Threads that never register never read a slot.
 *
 * A slot owns its own few bytes, not what it points to. get: registered threads, online. set and
 * wait: one writer at a time, not registered. Nothing here fails but the slot's allocation.
 *
 *   state    written by    read by    ordered by
 *   a slot   the writer    readers    store release, load acquire
 *   *slot    the writer    readers    not changed once it is set; freed behind kx_rcu_wait
 *
 * ThreadSanitizer cannot look into liburcu, so under it the reader's release and the writer's
 * acquire are spelled out; without them it reports every correct program.
 */
#ifndef KX_BASE_RCU_H
#define KX_BASE_RCU_H

#include "base/error.h"

struct kx_rcu_slot;

/* The calling thread becomes, or ceases to be, a reader. Registered it is online. */
void kx_rcu_register(void);
void kx_rcu_unregister(void);
/* "I hold nothing": between two pieces of work. */
void kx_rcu_quiescent(void);
/* Around every wait. */
void kx_rcu_offline(void);
void kx_rcu_online(void);

enum kx_code
kx_rcu_slot_create(struct kx_rcu_slot **ret_slot, const void *value, struct kx_error *err);
void kx_rcu_slot_destroy(struct kx_rcu_slot *slot); /* NULL-safe; no reader is left */
/* What was set last. */
const void *kx_rcu_get(const struct kx_rcu_slot *slot);
/* Publishes another value and returns the one before it, which readers may still use. */
const void *kx_rcu_set(struct kx_rcu_slot *slot, const void *value);
/* Waits until every registered thread was quiescent or offline since the call. */
void kx_rcu_wait(void);

#endif
