/*
 * The memory of one batch: records copied one behind another, a slot for each, and for each slot
 * two bits and what changed.
 *
 *     offsets   [ 0 | 216 | DEAD | 696 | ... )              slots
 *     bytes     [record 0][record 1][dead ][record 3]...)   used      ...) capacity
 *
 * Owns its memory; zeroed is a valid empty store. One thread. Grows by doubling and keeps what it
 * has, so that a store in use again allocates nothing. Full, that is out of memory: the call says
 * no and nothing has changed. Bounds on `used` are the caller's; the offsets allow 4 GiB.
 */
#ifndef KX_BATCH_STORE_H
#define KX_BATCH_STORE_H

#include "record/record.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KX_STORE_DEAD UINT32_MAX /* in offsets: a record that was taken out */

struct kx_store {
    char *bytes;
    size_t used;
    size_t capacity;
    uint32_t *offsets;
    uint64_t *done;    /* bit a slot: the far end has it, or it is out of the batch for good */
    uint64_t *settled; /* bit a slot: counted as one of the ends that a record can have */
    uint64_t *changed; /* word a slot: the fields that may differ from what the far end has */
    uint32_t slots;
    uint32_t slot_capacity; /* a multiple of 64 */
};

void kx_store_fini(struct kx_store *store);
/* Empties it; the memory stays. */
void kx_store_clear(struct kx_store *store);
/* Room for that many bytes and slots in all. */
bool kx_store_reserve(struct kx_store *store, size_t bytes, size_t slots);
/* Copies a record to the end, in a new slot; changed: bit a kx_field. */
bool kx_store_append(struct kx_store *store, const struct kx_record *record, uint64_t changed);
/* Moves the live records to the front, in their order, without holes in bytes or slots. */
void kx_store_compact(struct kx_store *store);
/* Closes the holes in the slots only; bytes stay where they are. */
void kx_store_squeeze(struct kx_store *store);
/* Gives back memory above bytes_max, as far as it is not used. */
void kx_store_trim(struct kx_store *store, size_t bytes_max);

static inline const struct kx_record *kx_store_record(const struct kx_store *store, uint32_t slot)
{
    return (const struct kx_record *)(const void *)(store->bytes + store->offsets[slot]);
}

#endif
