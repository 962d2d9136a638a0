/*
 * Parked records: one a device, held until their time, given out in the order in which they are
 * due.
 *
 *     heap      [ due 12 | due 15 | due 13 ]      the earliest first
 *                   │         │        │
 *     records   [ B ][ hole ][ A ][ C ]           copies; a newer one of the same length takes its
 *                                                 predecessor's place, holes are closed at half
 *
 * Whose it is stands with the caller: a *handle a device, kept up to date here as the heap moves, 0
 * while nothing is parked. Bounds: a record a handle, KX_PARKED_BYTES_MAX in all. Owns its memory,
 * zeroed is empty; what a flood needed is given back once all of it has left and one comes anew.
 * One thread. Full or without memory: put says no, and what was parked for that handle still is.
 */
#ifndef KX_BATCH_PARKED_H
#define KX_BATCH_PARKED_H

#include "batch/store.h"
#include "record/record.h"
#include <stdbool.h>
#include <stdint.h>

#define KX_PARKED_BYTES_MAX (512ull << 20)

struct kx_parked {
    struct kx_store store;
    uint64_t live_bytes;
    struct kx_parked_item {
        uint64_t due_ns;
        uint64_t order;   /* of parking: first parked, first out, when due together */
        uint32_t *handle; /* the place in the heap, and one */
        uint32_t slot;
    } * heap;
    uint32_t count, capacity;
    uint64_t order;
};

void kx_parked_fini(struct kx_parked *parked);
/* Parks a copy, in the place of the one that the handle has, whose turn among those that are due
 * together it takes over. */
bool kx_parked_put(struct kx_parked *parked,
                   uint32_t *handle,
                   const struct kx_record *record,
                   uint64_t due_ns);
/* The handle's record; it lies where it is until the next call. */
const struct kx_record *kx_parked_take(struct kx_parked *parked, uint32_t *handle);
/* The record that is due first, and when; NULL = nothing is parked. */
const struct kx_record *kx_parked_first(const struct kx_parked *parked);
uint64_t kx_parked_due_ns(const struct kx_parked *parked); /* with something parked */
/* Everything is due now. */
void kx_parked_hasten(struct kx_parked *parked);

static inline uint32_t kx_parked_count(const struct kx_parked *parked)
{
    return parked->count;
}

#endif
