/* Frames and their queue. */
#include "frame.h"

#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>

struct frame *frame_create(struct span message)
{
    struct frame *f = xmalloc(sizeof(*f) + LWS_PRE + message.length);
    f->refs = 1;
    f->length = message.length;
    memcpy(frame_bytes(f), message.at, message.length);
    return f;
}

unsigned char *frame_bytes(struct frame *f)
{
    return f->room + LWS_PRE;
}

struct frame *frame_hold(struct frame *f)
{
    f->refs++;
    return f;
}

void frame_release(struct frame *f)
{
    if (f && --f->refs == 0)
        free(f);
}

size_t frame_queue_length(const struct frame_queue *q)
{
    return q->tail - q->head;
}

static void grow(struct frame_queue *q)
{
    size_t wider = q->capacity ? q->capacity * 2 : 64;
    struct frame **ring = xmalloc(wider * sizeof(struct frame *));
    for (size_t i = q->head; i != q->tail; i++)
        ring[i & (wider - 1)] = q->ring[i & (q->capacity - 1)];
    free(q->ring);
    q->ring = ring;
    q->capacity = wider;
}

void frame_queue_push(struct frame_queue *q, struct frame *f)
{
    if (frame_queue_length(q) == q->capacity)
        grow(q);
    q->ring[q->tail++ & (q->capacity - 1)] = frame_hold(f);
    q->bytes += f->length;
}

struct frame *frame_queue_peek(const struct frame_queue *q)
{
    return q->head == q->tail ? NULL : q->ring[q->head & (q->capacity - 1)];
}

void frame_queue_drop(struct frame_queue *q)
{
    struct frame *f = q->ring[q->head++ & (q->capacity - 1)];
    q->bytes -= f->length;
    frame_release(f);
}

void frame_queue_fini(struct frame_queue *q)
{
    while (frame_queue_peek(q))
        frame_queue_drop(q);
    free(q->ring);
    *q = (struct frame_queue){0};
}
