/* liburcu's QSBR behind six functions, and what ThreadSanitizer has to be told. */
#include "base/rcu.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <urcu-qsbr.h>

struct kx_rcu_slot {
    _Atomic(const void *) value;
};

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>

/* Stands for "every read before a quiescent state", which the writer waits for. */
static char reads_are_over;

static void say_reads_are_over(void)
{
    __tsan_release(&reads_are_over);
}

static void see_reads_are_over(void)
{
    __tsan_acquire(&reads_are_over);
}
#else
static void say_reads_are_over(void)
{
}

static void see_reads_are_over(void)
{
}
#endif

void kx_rcu_register(void)
{
    urcu_qsbr_register_thread();
}

void kx_rcu_unregister(void)
{
    say_reads_are_over();
    urcu_qsbr_unregister_thread();
}

void kx_rcu_quiescent(void)
{
    say_reads_are_over();
    urcu_qsbr_quiescent_state();
}

void kx_rcu_offline(void)
{
    say_reads_are_over();
    urcu_qsbr_thread_offline();
}

void kx_rcu_online(void)
{
    urcu_qsbr_thread_online();
}

enum kx_code
kx_rcu_slot_create(struct kx_rcu_slot **ret_slot, const void *value, struct kx_error *err)
{
    struct kx_rcu_slot *slot = malloc(sizeof *slot);
    if (slot == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a slot");
    atomic_init(&slot->value, value);
    *ret_slot = slot;
    return KX_OK;
}

void kx_rcu_slot_destroy(struct kx_rcu_slot *slot)
{
    free(slot);
}

const void *kx_rcu_get(const struct kx_rcu_slot *slot)
{
    /* acquire: what the pointer leads to was written before it was set. (consume would do, and no
     * compiler has it.) */
    return atomic_load_explicit(&slot->value, memory_order_acquire);
}

const void *kx_rcu_set(struct kx_rcu_slot *slot, const void *value)
{
    /* release: as above. acquire for the old value: another writer may have set it. */
    return atomic_exchange_explicit(&slot->value, value, memory_order_acq_rel);
}

void kx_rcu_wait(void)
{
    urcu_qsbr_synchronize_rcu();
    see_reads_are_over();
}
