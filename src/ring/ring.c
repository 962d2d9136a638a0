/* The broadcast byte ring; the picture and the ordering table stand in the header. */
#include "ring/ring.h"

#include "base/clock.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Each side's words on lines of their own: two cores that write the same 128 bytes (the prefetcher
 * takes lines in pairs) would pay a cache miss a record. */
enum { LINE = 128 };

struct cursor {
    _Alignas(LINE) _Atomic uint64_t released; /* everything before it may be overwritten */
    _Alignas(LINE) uint64_t read;             /* reader's own: the next record */
    uint64_t seen;                            /* reader's own: `published` when it last looked */
    struct kx_wake *wake;
};

struct kx_ring {
    _Alignas(LINE) _Atomic uint64_t published;
    _Atomic uint32_t closed;
    _Alignas(LINE) uint64_t written; /* writer's own: end of the committed records */
    uint64_t tail;                   /* writer's own: the slowest `released` when it last looked */
    size_t reserved;                 /* writer's own: bytes of the open reservation */
    char *bytes;
    size_t capacity;
    unsigned readers;
    struct kx_wake *room; /* the writer's wake-up */
    struct cursor cursors[];
};

static void sane(const struct kx_ring *ring)
{
    KX_ASSERT(ring->written % KX_RECORD_ALIGN == 0);
    KX_ASSERT(ring->written - ring->tail <= ring->capacity);
}

enum kx_code kx_ring_create(struct kx_ring **ret_ring,
                            size_t capacity,
                            unsigned readers,
                            uint64_t start,
                            struct kx_error *err)
{
    if (capacity < KX_RING_BYTES_MIN || (capacity & (capacity - 1)) != 0)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "a ring of %zu bytes: it takes a power of two of at least %d", capacity,
                            KX_RING_BYTES_MIN);
    if (readers == 0 || readers > KX_RING_READERS_MAX || start % KX_RECORD_ALIGN != 0)
        return kx_error_set(err, KX_ERR_BUG, 0, "a ring for %u readers", readers);
    size_t size = sizeof(struct kx_ring) + readers * sizeof(struct cursor);
    struct kx_ring *ring = aligned_alloc(LINE, (size + LINE - 1) / LINE * LINE);
    if (ring == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a ring");
    memset(ring, 0, size);
    ring->capacity = capacity;
    ring->readers = readers;
    ring->written = ring->tail = start;
    atomic_init(&ring->published, start);
    atomic_init(&ring->closed, 0);
    for (unsigned i = 0; i < readers; i++) {
        atomic_init(&ring->cursors[i].released, start);
        ring->cursors[i].read = ring->cursors[i].seen = start;
    }
    ring->bytes = aligned_alloc(LINE, capacity);
    enum kx_code code = KX_OK;
    if (ring->bytes == NULL)
        code = kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a ring of %zu bytes", capacity);
    if (code == KX_OK)
        code = kx_wake_create(&ring->room, err);
    for (unsigned i = 0; code == KX_OK && i < readers; i++)
        code = kx_wake_create(&ring->cursors[i].wake, err);
    if (code != KX_OK) {
        kx_ring_destroy(ring);
        return code;
    }
    *ret_ring = ring;
    return KX_OK;
}

void kx_ring_destroy(struct kx_ring *ring)
{
    if (ring == NULL)
        return;
    for (unsigned i = 0; i < ring->readers; i++)
        kx_wake_destroy(ring->cursors[i].wake);
    kx_wake_destroy(ring->room);
    free(ring->bytes);
    free(ring);
}

/* The slowest reader's position. acquire: its reads of the bytes before it are over. */
static uint64_t slowest(struct kx_ring *ring, memory_order order)
{
    uint64_t most = 0;
    for (unsigned i = 0; i < ring->readers; i++) {
        uint64_t released = atomic_load_explicit(&ring->cursors[i].released, order);
        uint64_t behind = ring->written - released;
        if (behind > most)
            most = behind;
    }
    return ring->written - most;
}

void *kx_ring_reserve(struct kx_ring *ring, size_t bytes)
{
    sane(ring);
    KX_ASSERT(bytes > 0 && bytes <= KX_RECORD_BYTES_MAX);
    size_t need = (bytes + KX_RECORD_ALIGN - 1) / KX_RECORD_ALIGN * KX_RECORD_ALIGN;
    size_t index = (size_t)ring->written & (ring->capacity - 1);
    size_t to_end = ring->capacity - index;
    size_t pad = to_end < need ? to_end : 0;
    if (ring->written + pad + need - ring->tail > ring->capacity) {
        ring->tail = slowest(ring, memory_order_acquire);
        if (ring->written + pad + need - ring->tail > ring->capacity)
            return NULL;
    }
    if (pad > 0) {
        struct kx_record *record = (struct kx_record *)(void *)(ring->bytes + index);
        record->length = (uint32_t)pad;
        record->kind = KX_KIND_PAD;
        ring->written += pad;
        index = 0;
    }
    ring->reserved = need;
    return ring->bytes + index;
}

void kx_ring_commit(struct kx_ring *ring, size_t length)
{
    KX_ASSERT(length > 0 && length <= ring->reserved && length % KX_RECORD_ALIGN == 0);
    ring->written += length;
    ring->reserved = 0;
    sane(ring);
}

void kx_ring_publish(struct kx_ring *ring)
{
    if (atomic_load_explicit(&ring->published, memory_order_relaxed) == ring->written)
        return;
    /* seq_cst, more than the release that the bytes need: the wake handshake. */
    atomic_store_explicit(&ring->published, ring->written, memory_order_seq_cst);
    for (unsigned i = 0; i < ring->readers; i++)
        kx_wake_signal(ring->cursors[i].wake);
}

size_t kx_ring_used(struct kx_ring *ring)
{
    return (size_t)(ring->written - slowest(ring, memory_order_acquire));
}

size_t kx_ring_fill(const struct kx_ring *ring)
{
    /* acquire, so that `published` is read after the cursors: never less than nothing. */
    uint64_t released[KX_RING_READERS_MAX];
    for (unsigned i = 0; i < ring->readers; i++)
        released[i] = atomic_load_explicit(&ring->cursors[i].released, memory_order_acquire);
    uint64_t published = atomic_load_explicit(&ring->published, memory_order_relaxed);
    uint64_t most = 0;
    for (unsigned i = 0; i < ring->readers; i++)
        most = published - released[i] > most ? published - released[i] : most;
    return most < ring->capacity ? (size_t)most : ring->capacity;
}

size_t kx_ring_capacity(const struct kx_ring *ring)
{
    return ring->capacity;
}

void kx_ring_close(struct kx_ring *ring)
{
    kx_ring_publish(ring);
    atomic_store_explicit(&ring->closed, 1, memory_order_seq_cst);
    for (unsigned i = 0; i < ring->readers; i++)
        kx_wake_signal(ring->cursors[i].wake);
}

bool kx_ring_has_room(struct kx_ring *ring)
{
    /* seq_cst loads: the other half of the handshake with kx_ring_release. */
    return ring->written - slowest(ring, memory_order_seq_cst) <= ring->capacity / 2;
}

struct kx_wake *kx_ring_room_wake(struct kx_ring *ring)
{
    return ring->room;
}

enum kx_ring_result
kx_ring_read(struct kx_ring *ring, unsigned reader, const struct kx_record **ret_record)
{
    struct cursor *cursor = &ring->cursors[reader];
    for (;;) {
        if (cursor->read == cursor->seen) {
            /* `closed` first: when it is set, the `published` read after it is the last one. */
            bool closed = atomic_load_explicit(&ring->closed, memory_order_acquire) != 0;
            cursor->seen = atomic_load_explicit(&ring->published, memory_order_acquire);
            if (cursor->read == cursor->seen)
                return closed ? KX_RING_END : KX_RING_EMPTY;
        }
        size_t index = (size_t)cursor->read & (ring->capacity - 1);
        const struct kx_record *record = (const void *)(ring->bytes + index);
        KX_ASSERT(record->length >= KX_RECORD_ALIGN &&
                  record->length <= cursor->seen - cursor->read);
        cursor->read += record->length;
        if (record->kind != KX_KIND_PAD) {
            *ret_record = record;
            return KX_RING_RECORD;
        }
    }
}

void kx_ring_release(struct kx_ring *ring, unsigned reader)
{
    struct cursor *cursor = &ring->cursors[reader];
    if (atomic_load_explicit(&cursor->released, memory_order_relaxed) == cursor->read)
        return;
    /* Release, so that our reads are over before the writer reuses the bytes; seq_cst for the
     * handshake with a writer that waits for room. */
    atomic_store_explicit(&cursor->released, cursor->read, memory_order_seq_cst);
    kx_wake_signal(ring->room);
}

struct kx_wake *kx_ring_wake(struct kx_ring *ring, unsigned reader)
{
    return ring->cursors[reader].wake;
}

bool kx_ring_pending(struct kx_ring *ring, unsigned reader)
{
    /* seq_cst loads: the sleeper's half of the handshake with publish and close. */
    return atomic_load_explicit(&ring->published, memory_order_seq_cst) !=
               ring->cursors[reader].read ||
           atomic_load_explicit(&ring->closed, memory_order_seq_cst) != 0;
}
