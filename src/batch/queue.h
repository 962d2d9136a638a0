/*
 * Sealed batches by sequence, between a sink's worker and its sender.
 *
 *     worker ── blank, seal, push ──► [ 7 | 8 | 9 |   ] ── first, second, finish ──► sender
 *        ▲                              KX_QUEUE_PLACES              │
 *        └───────────── blanks (recycled memory), "there is room" ───┘
 *
 * The sender takes the lowest sequence, wherever it lies: kx_queue_first is the one place that
 * knows. A batch keeps its place while it is being delivered, so the places bound everything that
 * is sealed. Batches are made with the queue and go round: as many as places, so a worker that has
 * room always finds a blank one.
 *
 *   state            written by       read by   ordered by
 *   places, blanks   worker, sender   both      the mutex, held for a few loads; also the sleep
 *                                               handshake: a waker's change stands before its
 *                                               unlock, a sleeper's check (prepare, then lock) is
 *                                               before it and has shown `sleeping`, or after it
 *   a batch          worker until push, then sender until finish; the mutex
 *   lost devices     sender           worker    the mutex; whether there are any: itself
 *   pending          both             any       itself, a gauge
 *   gone, bytes_max  sender           worker    itself
 *
 * Owns every batch. Full: kx_queue_room says no, and the worker is signalled when that changes.
 */
#ifndef KX_BATCH_QUEUE_H
#define KX_BATCH_QUEUE_H

#include "base/error.h"
#include "base/wake.h"
#include "batch/sealed.h"
#include <stdbool.h>
#include <stdint.h>

enum { KX_QUEUE_PLACES = 4, KX_QUEUE_LOST_MAX = 256 };

/* A device whose record was given up: the far end has an older state than the worker thinks. */
struct kx_lost {
    uint32_t device_id, generation;
};

struct kx_queue;

/* worker_wake is signalled when a place is free that the worker asked for, sender_wake when a batch
 * came or the queue was closed; both are borrowed and outlive the queue's threads. */
enum kx_code kx_queue_create(struct kx_queue **ret_queue,
                             struct kx_wake *worker_wake,
                             struct kx_wake *sender_wake,
                             struct kx_error *err);
void kx_queue_destroy(struct kx_queue *queue); /* NULL-safe; drops what is in it */

/* --- worker --- */

/* Whether there is a free place. After a no the worker is signalled once there is one. */
bool kx_queue_room(struct kx_queue *queue);
/* An empty batch to seal into; there is room. Pushed or given back before the next. */
struct kx_sealed *kx_queue_blank(struct kx_queue *queue);
void kx_queue_give_back(struct kx_queue *queue, struct kx_sealed *sealed);
/* The batch gets the next sequence. */
void kx_queue_push(struct kx_queue *queue, struct kx_sealed *sealed);
/* Takes the devices that were lost since the last time, at most KX_QUEUE_LOST_MAX; *ret_all: there
 * were more, and nobody knows which. Returns how many. */
uint32_t kx_queue_take_lost(struct kx_queue *queue, struct kx_lost *lost, bool *ret_all);
/* No more batches will come. */
void kx_queue_close(struct kx_queue *queue);
bool kx_queue_gone(const struct kx_queue *queue);
/* The most bytes a batch that the far end is known to take; 0 = no limit learnt. */
uint64_t kx_queue_bytes_max(const struct kx_queue *queue);

/* --- sender --- */

/* The batch of the lowest sequence and the one behind it, NULL when there is none. They stay. */
struct kx_sealed *kx_queue_first(struct kx_queue *queue);
struct kx_sealed *kx_queue_second(struct kx_queue *queue);
/* The first batch, all settled, leaves. */
void kx_queue_finish(struct kx_queue *queue);
/* Closed and empty. */
bool kx_queue_ended(struct kx_queue *queue);
/* Records of the first batches were settled: the gauge. */
void kx_queue_settled(struct kx_queue *queue, uint32_t records);
/* A record was given up that another like it would not be: its device is to be told again. */
void kx_queue_lose(struct kx_queue *queue, const struct kx_record *record);
/* The sink is over: the worker need not seal any more. */
void kx_queue_set_gone(struct kx_queue *queue);
void kx_queue_set_bytes_max(struct kx_queue *queue, uint64_t bytes_max);

/* --- any thread --- */

/* Records sealed and not settled. */
uint64_t kx_queue_pending(const struct kx_queue *queue);

#endif
