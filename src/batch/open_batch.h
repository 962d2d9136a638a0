/*
 * The open batch: what the worker has gathered and not yet sealed.
 *
 * A state table's batch keeps the newest record of a device; the older one is taken out and counted
 * as coalesced. A record replaces only one of the same generation: with another generation the id
 * means another device. What survives keeps the order in which it came, so an older state of a
 * device never follows a newer one. Which slot holds a device is found by its dense id; an entry is
 * valid when it carries the batch's epoch, so that sealing clears nothing.
 *
 * Pressure: while the queue has no place, every batch keeps the newest of a device only, and what
 * does not fit the limits any more stays here, until it is sealed from the oldest on in pieces of
 * at most `records` and `bytes`. Bounds, then, whatever is on the air and however long it takes:
 *
 *   events           4 x limits.bytes; above it the oldest event is dropped (reason pressure)
 *   devices          max_devices records and max(4 x limits.bytes, max_devices x 512 bytes); above
 *                    it the oldest is dropped (devices outnumber max_devices when ids change hands)
 *   each kind        never over 512 MiB, never under one record of the largest
 *   memory in use    twice what is alive, or limits.bytes: the holes are closed when they pass half
 *   the index        8 bytes x max_devices
 * After pressure the memory above what the limits need is given back.
 *
 * Owns its memory; init/fini in place. One thread, the worker's. Out of memory: the record is
 * dropped and counted; without memory for the index nothing is replaced.
 */
#ifndef KX_BATCH_OPEN_BATCH_H
#define KX_BATCH_OPEN_BATCH_H

#include "batch/sealed.h"
#include "batch/store.h"
#include "config/config.h"
#include "stats/counters.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KX_OPEN_DEVICE_BYTES = 512, KX_OPEN_BATCHES_MAX = 4 };
#define KX_OPEN_BYTES_MAX (512ull << 20)

struct kx_open_kind { /* devices apart from events: their bounds differ */
    uint32_t records; /* alive */
    uint64_t bytes;   /* of these */
    uint64_t bytes_max;
    uint32_t records_max;
    uint32_t oldest; /* no record of this kind is alive before this slot */
};

struct kx_open_entry { /* of the index by device */
    uint32_t epoch, slot;
};

typedef void kx_open_forget(void *context, const struct kx_record *record);

struct kx_open_batch {
    struct kx_store store;
    struct kx_batch_config limits;
    bool newest;   /* keep the newest record of a device, always */
    bool pressure; /* ... or for now */
    struct kx_open_kind devices, events;
    uint32_t head;      /* no record is alive before this slot */
    uint64_t opened_ns; /* when the oldest record came */
    struct kx_open_entry *index;
    uint32_t index_size, max_devices;
    uint32_t epoch;               /* never 0 */
    struct kx_counters *counters; /* the worker's */
    kx_open_forget *forget;
    void *forget_context;
    uint64_t learnt_bytes; /* what the far end takes; 0 = no limit learnt */
};

void kx_open_init(struct kx_open_batch *open,
                  const struct kx_batch_config *limits,
                  bool newest,
                  uint32_t max_devices,
                  struct kx_counters *counters);
void kx_open_fini(struct kx_open_batch *open);

/* Takes a copy of a record that came now. changed: bit a kx_field that may differ from what was
 * handed over before; a record that replaces another is changed where that one was, too. */
void kx_open_add(struct kx_open_batch *open,
                 const struct kx_record *record,
                 uint64_t changed,
                 uint64_t now_ns);
/* Whom to tell of a device's record that is dropped for want of room or memory: what the far end
 * has of it is not what was handed over. forget may be NULL. */
void kx_open_on_loss(struct kx_open_batch *open, kx_open_forget *forget, void *context);
/* Other limits, for what comes from now on. */
void kx_open_set_limits(struct kx_open_batch *open, const struct kx_batch_config *limits);
/* Records in it. */
uint32_t kx_open_live(const struct kx_open_batch *open);
/* Whether that many more bytes keep it within its limits; an empty one takes any record. */
bool kx_open_fits(const struct kx_open_batch *open, size_t length);
/* Whether it has reached its count or its bytes. */
bool kx_open_full(const struct kx_open_batch *open);
/* When it is due by age; 0 while it is empty. */
uint64_t kx_open_due_ns(const struct kx_open_batch *open);

/* The queue has no place: see the head comment. Ends by itself when sealing brings the batch back
 * under its limits. */
void kx_open_press(struct kx_open_batch *open);
/* The far end takes no more than that many bytes a batch. */
void kx_open_limit_bytes(struct kx_open_batch *open, uint64_t bytes_max);

/* Moves everything, or under pressure the oldest records up to the limits, into *sealed, whose
 * store is empty. At least one record must be there. False: no memory, nothing happened. */
bool kx_open_seal(struct kx_open_batch *open, struct kx_sealed *sealed);
/* Drops everything, counted as `end`. */
void kx_open_drop(struct kx_open_batch *open, enum kx_counter end);

#endif
