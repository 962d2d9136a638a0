/* The memory of one batch; the picture stands in the header. */
#include "batch/store.h"

#include "base/error.h"
#include <stdlib.h>
#include <string.h>

enum { BYTES_MIN = 16384, SLOTS_MIN = 64, BITS = 64 };

void kx_store_fini(struct kx_store *store)
{
    free(store->bytes);
    free(store->offsets);
    free(store->done);
    free(store->settled);
    free(store->changed);
    *store = (struct kx_store){0};
}

void kx_store_clear(struct kx_store *store)
{
    store->used = 0;
    store->slots = 0;
}

static bool grow_bytes(struct kx_store *store, size_t need)
{
    size_t capacity = store->capacity > 0 ? store->capacity : BYTES_MIN;
    while (capacity < need)
        capacity *= 2;
    char *bytes = realloc(store->bytes, capacity);
    if (bytes == NULL)
        return false;
    store->bytes = bytes;
    store->capacity = capacity;
    return true;
}

static bool grow_slots(struct kx_store *store, size_t need)
{
    size_t capacity = store->slot_capacity > 0 ? store->slot_capacity : SLOTS_MIN;
    while (capacity < need)
        capacity *= 2;
    if (capacity > UINT32_MAX / 2)
        return false;
    /* An array that grew while another could not is larger than it says: no harm. */
    uint32_t *offsets = realloc(store->offsets, capacity * sizeof *offsets);
    if (offsets == NULL)
        return false;
    store->offsets = offsets;
    uint64_t *done = realloc(store->done, capacity / BITS * sizeof *done);
    if (done == NULL)
        return false;
    store->done = done;
    uint64_t *settled = realloc(store->settled, capacity / BITS * sizeof *settled);
    if (settled == NULL)
        return false;
    store->settled = settled;
    uint64_t *changed = realloc(store->changed, capacity * sizeof *changed);
    if (changed == NULL)
        return false;
    store->changed = changed;
    store->slot_capacity = (uint32_t)capacity;
    return true;
}

bool kx_store_reserve(struct kx_store *store, size_t bytes, size_t slots)
{
    if (bytes >= KX_STORE_DEAD)
        return false;
    if (bytes > store->capacity && !grow_bytes(store, bytes))
        return false;
    return slots <= store->slot_capacity || grow_slots(store, slots);
}

bool kx_store_append(struct kx_store *store, const struct kx_record *record, uint64_t changed)
{
    if (!kx_store_reserve(store, store->used + record->length, (size_t)store->slots + 1))
        return false;
    memcpy(store->bytes + store->used, record, record->length);
    store->changed[store->slots] = changed;
    store->offsets[store->slots++] = (uint32_t)store->used;
    store->used += record->length;
    return true;
}

void kx_store_compact(struct kx_store *store)
{
    size_t used = 0;
    uint32_t slots = 0;
    for (uint32_t slot = 0; slot < store->slots; slot++) {
        if (store->offsets[slot] == KX_STORE_DEAD)
            continue;
        /* Slots and bytes are in one order, so a record moves only towards the front. */
        size_t length = kx_store_record(store, slot)->length;
        KX_ASSERT(store->offsets[slot] >= used);
        memmove(store->bytes + used, store->bytes + store->offsets[slot], length);
        store->changed[slots] = store->changed[slot];
        store->offsets[slots++] = (uint32_t)used;
        used += length;
    }
    store->used = used;
    store->slots = slots;
}

void kx_store_squeeze(struct kx_store *store)
{
    uint32_t slots = 0;
    for (uint32_t slot = 0; slot < store->slots; slot++)
        if (store->offsets[slot] != KX_STORE_DEAD) {
            store->changed[slots] = store->changed[slot];
            store->offsets[slots++] = store->offsets[slot];
        }
    store->slots = slots;
}

void kx_store_trim(struct kx_store *store, size_t bytes_max)
{
    size_t keep = store->used > bytes_max ? store->used : bytes_max;
    if (store->capacity <= keep || keep == 0)
        return;
    /* A realloc that makes smaller may still fail; then the memory stays as it is. */
    char *bytes = realloc(store->bytes, keep);
    if (bytes == NULL)
        return;
    store->bytes = bytes;
    store->capacity = keep;
}
