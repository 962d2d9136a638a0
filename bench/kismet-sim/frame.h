/* A rendered WebSocket message, shared by the queues that hold it, and such a queue.
 *
 * Owns: the queue owns one reference of each frame in it. Threads: one. Full: never: Kismet's own
 * send queue has no limit either, and a test wants to see it grow. */
#pragma once

#include "text.h"

struct frame {
    unsigned refs;
    size_t length;
    unsigned char room[]; /* LWS_PRE bytes that lws_write() overwrites, then the message */
};

struct frame_queue {
    struct frame **ring; /* capacity is a power of two */
    size_t head;         /* free-running */
    size_t tail;
    size_t capacity;
    size_t bytes;
};

/* A copy of the bytes, with one reference. */
struct frame *frame_create(struct span message);
unsigned char *frame_bytes(struct frame *f);
struct frame *frame_hold(struct frame *f);
void frame_release(struct frame *f);

size_t frame_queue_length(const struct frame_queue *q);
/* Takes a reference of its own. */
void frame_queue_push(struct frame_queue *q, struct frame *f);
/* The oldest, or NULL; it stays in the queue and belongs to it. */
struct frame *frame_queue_peek(const struct frame_queue *q);
/* Drops the oldest of a queue that is not empty. */
void frame_queue_drop(struct frame_queue *q);
void frame_queue_fini(struct frame_queue *q);
