/*
 * Which records of which batch are on their way to the broker.
 *
 * Two batches may be: the one that is being delivered and the one behind it, begun early. A batch
 * is known by its done bitmap and the sequence of its first record, since the engine recycles the
 * memory of a finished one. What the broker confirmed goes into the batch's bitmap at once, whoever
 * is being delivered. A flight that has nothing out is given up when the engine gets its batch
 * back: it may be finished then, and its memory somebody else's.
 *
 * Owns three bitmaps a batch; borrows batches that the engine has not finished. One thread, the
 * sender's. Failure: without memory a batch is not begun.
 */
#ifndef KX_SINKS_MQTT_WINDOW_H
#define KX_SINKS_MQTT_WINDOW_H

#include "batch/sink.h"
#include <stdbool.h>
#include <stdint.h>

enum { KX_MQTT_FLIGHTS = 2 };

struct kx_mqtt_flight {
    struct kx_batch batch; /* the whole of it: end is the largest seen; done NULL = unused */
    uint64_t sequence;     /* of its record 0 */
    uint64_t *out;         /* bit i: record i is out */
    uint64_t *sent;        /* bit i: record i was, on this connection */
    uint64_t *refused;     /* bit i: the broker will never take record i */
    uint32_t words;        /* of each */
    uint32_t cursor;       /* no record before it is still to be sent */
    uint32_t out_count;
};

struct kx_mqtt_window {
    struct kx_mqtt_flight flights[KX_MQTT_FLIGHTS];
};

void kx_mqtt_window_fini(struct kx_mqtt_window *window);
/* The flight of a batch, with its cursor at batch->first; `other` is not to be given up for it.
 * NULL = no memory. */
struct kx_mqtt_flight *kx_mqtt_window_begin(struct kx_mqtt_window *window,
                                            const struct kx_batch *batch,
                                            const struct kx_mqtt_flight *other);
uint32_t kx_mqtt_window_index(const struct kx_mqtt_window *window,
                              const struct kx_mqtt_flight *flight);

/* The next record that is neither done nor out nor refused, from the cursor on and before end; end
 * when there is none. */
uint32_t kx_mqtt_flight_next(struct kx_mqtt_flight *flight, uint32_t end);
/* Records [first, end) that are not done yet are out. */
void kx_mqtt_flight_sent(struct kx_mqtt_flight *flight, uint32_t first, uint32_t end);
/* They came back: confirmed = they are done. Only those that were out. */
void kx_mqtt_flight_back(struct kx_mqtt_flight *flight,
                         uint32_t first,
                         uint32_t end,
                         bool confirmed);
void kx_mqtt_flight_refuse(struct kx_mqtt_flight *flight, uint32_t i);
bool kx_mqtt_flight_refused(const struct kx_mqtt_flight *flight, uint32_t i);
/* Whether every record of [first, end) is done or refused. */
bool kx_mqtt_flight_settled(const struct kx_mqtt_flight *flight, uint32_t first, uint32_t end);

/* The engine has the batch back. What is out stays ours to follow: the engine keeps that batch. */
void kx_mqtt_window_end(struct kx_mqtt_window *window);
/* The connection is gone, and with it what was out. A device's record that was not confirmed
 * although a newer one of it was is done: sent again, the older state would stand last. Returns how
 * many. */
uint32_t kx_mqtt_window_lost(struct kx_mqtt_window *window);

#endif
