/* A binary heap of due times over copied records. */
#include "batch/parked.h"

#include "base/error.h"
#include <stdlib.h>
#include <string.h>

enum { HEAP_MIN = 64, KEEP_BYTES = 1 << 20, COMPACT_BYTES = 1 << 16, COMPACT_SLOTS = 1024 };

void kx_parked_fini(struct kx_parked *parked)
{
    kx_store_fini(&parked->store);
    free(parked->heap);
    *parked = (struct kx_parked){0};
}

static bool before(const struct kx_parked_item *a, const struct kx_parked_item *b)
{
    return a->due_ns < b->due_ns || (a->due_ns == b->due_ns && a->order < b->order);
}

static void put_at(struct kx_parked *parked, uint32_t at, struct kx_parked_item item)
{
    parked->heap[at] = item;
    *item.handle = at + 1;
}

/* From a hole at `at` towards the first, or towards the last; to where the item belongs. */
static void sift_up(struct kx_parked *parked, uint32_t at, struct kx_parked_item item)
{
    while (at > 0 && before(&item, &parked->heap[(at - 1) / 2])) {
        put_at(parked, at, parked->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put_at(parked, at, item);
}

static void sift_down(struct kx_parked *parked, uint32_t at, struct kx_parked_item item)
{
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= parked->count)
            break;
        if (child + 1 < parked->count && before(&parked->heap[child + 1], &parked->heap[child]))
            child++;
        if (!before(&parked->heap[child], &item))
            break;
        put_at(parked, at, parked->heap[child]);
        at = child;
    }
    put_at(parked, at, item);
}

static void settle(struct kx_parked *parked, uint32_t at, struct kx_parked_item item)
{
    if (at > 0 && before(&item, &parked->heap[(at - 1) / 2]))
        sift_up(parked, at, item);
    else
        sift_down(parked, at, item);
}

/* Closes the holes; slots change their numbers, but not their order, and a dead one has no item. */
static bool compact(struct kx_parked *parked)
{
    struct kx_store *store = &parked->store;
    uint32_t *numbers = malloc((store->slots > 0 ? store->slots : 1) * sizeof *numbers);
    if (numbers == NULL)
        return false;
    uint32_t next = 0;
    for (uint32_t slot = 0; slot < store->slots; slot++)
        numbers[slot] = store->offsets[slot] == KX_STORE_DEAD ? KX_STORE_DEAD : next++;
    kx_store_compact(store);
    for (uint32_t i = 0; i < parked->count; i++)
        parked->heap[i].slot = numbers[parked->heap[i].slot];
    free(numbers);
    return true;
}

/* A copy of the record in a slot. */
static bool copy(struct kx_parked *parked, const struct kx_record *record, uint32_t *ret_slot)
{
    struct kx_store *store = &parked->store;
    if (parked->live_bytes + record->length > KX_PARKED_BYTES_MAX)
        return false;
    uint64_t holes = store->used - parked->live_bytes;
    bool wasteful = holes > store->used / 2 && store->used > COMPACT_BYTES;
    bool gappy = store->slots > COMPACT_SLOTS && store->slots / 2 > parked->count;
    if ((wasteful || gappy) && !compact(parked))
        return false;
    if (!kx_store_append(store, record, 0))
        return false;
    parked->live_bytes += record->length;
    *ret_slot = store->slots - 1;
    return true;
}

static void discard(struct kx_parked *parked, uint32_t slot)
{
    parked->live_bytes -= kx_store_record(&parked->store, slot)->length;
    parked->store.offsets[slot] = KX_STORE_DEAD;
}

static bool grow(struct kx_parked *parked)
{
    if (parked->count < parked->capacity)
        return true;
    uint32_t capacity = parked->capacity > 0 ? 2 * parked->capacity : HEAP_MIN;
    struct kx_parked_item *heap = reallocarray(parked->heap, capacity, sizeof *heap);
    if (heap == NULL)
        return false;
    parked->heap = heap;
    parked->capacity = capacity;
    return true;
}

bool kx_parked_put(struct kx_parked *parked,
                   uint32_t *handle,
                   const struct kx_record *record,
                   uint64_t due_ns)
{
    uint32_t slot;
    if (parked->count == 0 && parked->store.capacity > KEEP_BYTES)
        kx_store_fini(&parked->store); /* what a flood needed */
    if (*handle == 0) {
        if (!grow(parked) || !copy(parked, record, &slot))
            return false;
        struct kx_parked_item item = {
            .due_ns = due_ns, .order = parked->order++, .handle = handle, .slot = slot};
        parked->count++;
        settle(parked, parked->count - 1, item);
        return true;
    }
    struct kx_parked_item item = parked->heap[*handle - 1];
    if (kx_store_record(&parked->store, item.slot)->length == record->length) {
        memcpy(parked->store.bytes + parked->store.offsets[item.slot], record, record->length);
    } else {
        if (!copy(parked, record, &slot))
            return false;
        item = parked->heap[*handle - 1]; /* copying may have renumbered the slots */
        discard(parked, item.slot);
        item.slot = slot;
    }
    item.due_ns = due_ns;
    settle(parked, *handle - 1, item);
    return true;
}

const struct kx_record *kx_parked_take(struct kx_parked *parked, uint32_t *handle)
{
    KX_ASSERT(*handle > 0 && *handle <= parked->count);
    uint32_t at = *handle - 1;
    struct kx_parked_item item = parked->heap[at];
    const struct kx_record *record = kx_store_record(&parked->store, item.slot);
    discard(parked, item.slot);
    parked->count--;
    if (at < parked->count)
        settle(parked, at, parked->heap[parked->count]);
    *handle = 0;
    if (parked->count == 0)
        kx_store_clear(&parked->store); /* the record lies in its memory still */
    return record;
}

const struct kx_record *kx_parked_first(const struct kx_parked *parked)
{
    return parked->count == 0 ? NULL : kx_store_record(&parked->store, parked->heap[0].slot);
}

uint64_t kx_parked_due_ns(const struct kx_parked *parked)
{
    KX_ASSERT(parked->count > 0);
    return parked->heap[0].due_ns;
}

void kx_parked_hasten(struct kx_parked *parked)
{
    for (uint32_t i = 0; i < parked->count; i++)
        parked->heap[i].due_ns = 0;
    for (uint32_t i = parked->count / 2; i-- > 0;)
        sift_down(parked, i, parked->heap[i]);
}
