/* Sealed batches by sequence; the picture and the ordering table stand in the header. */
#include "batch/queue.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct kx_queue {
    pthread_mutex_t mutex;
    struct kx_sealed *places[KX_QUEUE_PLACES]; /* from `first`, ascending sequence */
    unsigned first, count;
    struct kx_sealed *blanks; /* by link */
    uint64_t sequence;        /* of the last batch pushed */
    bool closed;
    bool room_wanted; /* the worker was told that there is no place */
    struct kx_wake *worker_wake, *sender_wake;
    struct kx_lost lost[KX_QUEUE_LOST_MAX];
    uint32_t lost_count; /* may pass the array's size: then all are lost */
    _Atomic bool any_lost;
    _Atomic uint64_t pending;
    _Atomic uint64_t bytes_max;
    _Atomic bool gone;
    struct kx_sealed batches[KX_QUEUE_PLACES];
};

static void lock(struct kx_queue *queue)
{
    int sys = pthread_mutex_lock(&queue->mutex);
    KX_ASSERT(sys == 0);
}

static void unlock(struct kx_queue *queue)
{
    KX_ASSERT(queue->count <= KX_QUEUE_PLACES);
    int sys = pthread_mutex_unlock(&queue->mutex);
    KX_ASSERT(sys == 0);
}

static void link_blank(struct kx_queue *queue, struct kx_sealed *sealed)
{
    kx_store_clear(&sealed->store);
    sealed->link = queue->blanks;
    queue->blanks = sealed;
}

enum kx_code kx_queue_create(struct kx_queue **ret_queue,
                             struct kx_wake *worker_wake,
                             struct kx_wake *sender_wake,
                             struct kx_error *err)
{
    struct kx_queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a queue of batches");
    int sys = pthread_mutex_init(&queue->mutex, NULL);
    if (sys != 0) {
        free(queue);
        return kx_error_set(err, KX_ERR_IO, sys, "cannot make a mutex");
    }
    queue->worker_wake = worker_wake;
    queue->sender_wake = sender_wake;
    atomic_init(&queue->pending, 0);
    atomic_init(&queue->bytes_max, 0);
    atomic_init(&queue->gone, false);
    atomic_init(&queue->any_lost, false);
    for (unsigned i = 0; i < KX_QUEUE_PLACES; i++)
        link_blank(queue, &queue->batches[i]);
    *ret_queue = queue;
    return KX_OK;
}

void kx_queue_destroy(struct kx_queue *queue)
{
    if (queue == NULL)
        return;
    for (unsigned i = 0; i < KX_QUEUE_PLACES; i++)
        kx_store_fini(&queue->batches[i].store);
    pthread_mutex_destroy(&queue->mutex);
    free(queue);
}

bool kx_queue_room(struct kx_queue *queue)
{
    lock(queue);
    bool room = queue->count < KX_QUEUE_PLACES;
    queue->room_wanted = !room;
    unlock(queue);
    return room;
}

struct kx_sealed *kx_queue_blank(struct kx_queue *queue)
{
    lock(queue);
    struct kx_sealed *sealed = queue->blanks;
    KX_ASSERT(sealed != NULL);
    queue->blanks = sealed->link;
    unlock(queue);
    return sealed;
}

void kx_queue_give_back(struct kx_queue *queue, struct kx_sealed *sealed)
{
    lock(queue);
    link_blank(queue, sealed);
    unlock(queue);
}

void kx_queue_push(struct kx_queue *queue, struct kx_sealed *sealed)
{
    KX_ASSERT(sealed->pending == sealed->records);
    lock(queue);
    KX_ASSERT(!queue->closed && queue->count < KX_QUEUE_PLACES);
    sealed->sequence = ++queue->sequence;
    queue->places[(queue->first + queue->count++) % KX_QUEUE_PLACES] = sealed;
    atomic_fetch_add_explicit(&queue->pending, sealed->records, memory_order_relaxed);
    unlock(queue);
    kx_wake_signal(queue->sender_wake);
}

void kx_queue_lose(struct kx_queue *queue, const struct kx_record *record)
{
    if (record->kind != KX_KIND_DEVICE)
        return;
    lock(queue);
    if (queue->lost_count < KX_QUEUE_LOST_MAX)
        queue->lost[queue->lost_count] = (struct kx_lost){record->device_id, record->generation};
    if (queue->lost_count <= KX_QUEUE_LOST_MAX)
        queue->lost_count++;
    /* Relaxed: the mutex orders what it points to; the worker sees it a step earlier or later. */
    atomic_store_explicit(&queue->any_lost, true, memory_order_relaxed);
    unlock(queue);
}

uint32_t kx_queue_take_lost(struct kx_queue *queue, struct kx_lost *lost, bool *ret_all)
{
    *ret_all = false;
    if (!atomic_load_explicit(&queue->any_lost, memory_order_relaxed))
        return 0;
    lock(queue);
    *ret_all = queue->lost_count > KX_QUEUE_LOST_MAX;
    uint32_t count = *ret_all ? 0 : queue->lost_count;
    memcpy(lost, queue->lost, count * sizeof *lost);
    queue->lost_count = 0;
    atomic_store_explicit(&queue->any_lost, false, memory_order_relaxed);
    unlock(queue);
    return count;
}

void kx_queue_close(struct kx_queue *queue)
{
    lock(queue);
    queue->closed = true;
    unlock(queue);
    kx_wake_signal(queue->sender_wake);
}

static struct kx_sealed *place(struct kx_queue *queue, unsigned i)
{
    lock(queue);
    struct kx_sealed *sealed =
        i < queue->count ? queue->places[(queue->first + i) % KX_QUEUE_PLACES] : NULL;
    unlock(queue);
    return sealed;
}

struct kx_sealed *kx_queue_first(struct kx_queue *queue)
{
    return place(queue, 0);
}

struct kx_sealed *kx_queue_second(struct kx_queue *queue)
{
    return place(queue, 1);
}

void kx_queue_finish(struct kx_queue *queue)
{
    lock(queue);
    KX_ASSERT(queue->count > 0);
    struct kx_sealed *sealed = queue->places[queue->first];
    KX_ASSERT(sealed->pending == 0);
    queue->first = (queue->first + 1) % KX_QUEUE_PLACES;
    queue->count--;
    KX_ASSERT(queue->count == 0 || queue->places[queue->first]->sequence > sealed->sequence);
    link_blank(queue, sealed);
    bool wanted = queue->room_wanted;
    queue->room_wanted = false;
    unlock(queue);
    if (wanted)
        kx_wake_signal(queue->worker_wake);
}

bool kx_queue_ended(struct kx_queue *queue)
{
    lock(queue);
    bool ended = queue->closed && queue->count == 0;
    unlock(queue);
    return ended;
}

void kx_queue_settled(struct kx_queue *queue, uint32_t records)
{
    atomic_fetch_sub_explicit(&queue->pending, records, memory_order_relaxed);
}

uint64_t kx_queue_pending(const struct kx_queue *queue)
{
    return atomic_load_explicit(&queue->pending, memory_order_relaxed);
}

void kx_queue_set_gone(struct kx_queue *queue)
{
    /* Relaxed, as of the two below: the worker acts on it a batch earlier or later. */
    atomic_store_explicit(&queue->gone, true, memory_order_relaxed);
}

bool kx_queue_gone(const struct kx_queue *queue)
{
    return atomic_load_explicit(&queue->gone, memory_order_relaxed);
}

void kx_queue_set_bytes_max(struct kx_queue *queue, uint64_t bytes_max)
{
    atomic_store_explicit(&queue->bytes_max, bytes_max, memory_order_relaxed);
}

uint64_t kx_queue_bytes_max(const struct kx_queue *queue)
{
    return atomic_load_explicit(&queue->bytes_max, memory_order_relaxed);
}
