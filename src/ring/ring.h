/*
 * The byte ring between the ingest thread and the sinks' workers: one writer, N readers, every
 * reader sees every record.
 *
 *        tail (slowest reader)        published      written
 *          |                             |              |
 *     -----[=============================][-------------]...free...
 *                readers may read          writer's own
 *
 * Positions are 64-bit, in bytes, free-running; memory index = position & (capacity - 1). A record
 * never wraps: what does not fit before the end of the memory is a pad record and the record starts
 * at the beginning.
 *
 *   state        written by   read by        ordered by
 *   bytes        writer       readers        `published` (store seq_cst, load acquire or seq_cst)
 *   published    writer       readers        itself; seq_cst because of the sleep handshake
 * (wake.h) cursor[i]    reader i     writer         store release, load acquire: the writer
 * overwrites only bytes that every cursor has passed
 *
 * Owns its memory and its readers' wake-ups. Full: reserve says no, the writer counts. The number
 * of readers is fixed at creation. No allocation after that.
 */
#ifndef KX_RING_RING_H
#define KX_RING_RING_H

#include "base/error.h"
#include "base/wake.h"
#include "record/record.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KX_RING_READERS_MAX = 64,
    KX_RING_BYTES_MIN = 262144, /* four of the largest records */
};

struct kx_ring;

/* capacity: bytes, a power of two of at least KX_RING_BYTES_MIN. start: the first position, 0 but
 * in tests of the wrap. */
enum kx_code kx_ring_create(struct kx_ring **ret_ring,
                            size_t capacity,
                            unsigned readers,
                            uint64_t start,
                            struct kx_error *err);
void kx_ring_destroy(struct kx_ring *ring); /* NULL-safe; no thread uses it any more */

/* --- writer: the ingest thread --- */

/* Room for one record of up to bytes (<= KX_RECORD_BYTES_MAX), contiguous, 8-byte aligned; NULL
 * when the slowest reader is too far behind. A second reserve without a commit gives the same
 * place. */
void *kx_ring_reserve(struct kx_ring *ring, size_t bytes);
/* Keeps the first length bytes (a finished record) of the reservation. Readers do not see it yet.
 */
void kx_ring_commit(struct kx_ring *ring, size_t length);
/* Shows readers everything committed and wakes those that sleep. Once a socket read, not a record.
 */
void kx_ring_publish(struct kx_ring *ring);
/* Bytes that the slowest reader has not released. */
size_t kx_ring_used(struct kx_ring *ring);
size_t kx_ring_capacity(const struct kx_ring *ring);
/* The same of what readers can see, for any thread: a gauge. */
size_t kx_ring_fill(const struct kx_ring *ring);
/* No more records will come: readers see KX_RING_END after the last. */
void kx_ring_close(struct kx_ring *ring);
/* A replay's pace: whether at most half the ring is used. A writer that has none sleeps on the wake
 * below (wake.h: prepare, kx_ring_has_room, sleep or cancel); others may signal it too. */
bool kx_ring_has_room(struct kx_ring *ring);
struct kx_wake *kx_ring_room_wake(struct kx_ring *ring);

/* --- reader i: its worker's thread --- */

enum kx_ring_result { KX_RING_RECORD, KX_RING_EMPTY, KX_RING_END };

/* The next record for this reader, valid until its release. */
enum kx_ring_result
kx_ring_read(struct kx_ring *ring, unsigned reader, const struct kx_record **ret_record);
/* Gives everything read so far back to the writer. */
void kx_ring_release(struct kx_ring *ring, unsigned reader);
/* The reader's wake-up: others may signal it too. Sleep as wake.h says: prepare, kx_ring_pending,
 * sleep or cancel. */
struct kx_wake *kx_ring_wake(struct kx_ring *ring, unsigned reader);
/* Whether a read would give something other than KX_RING_EMPTY; the check between prepare and
 * sleep. */
bool kx_ring_pending(struct kx_ring *ring, unsigned reader);

#endif
