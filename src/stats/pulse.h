/*
 * Which threads keep their time: the one judgement behind /healthz, the metrics and the watchdog.
 *
 * A thread says until when it may stay silent (stats/feed.h). It is late when looks that are a
 * second apart, and every one between them, found it silent beyond that. One look is not enough:
 * after a suspend the boot clock has gone on, and for an instant every thread is late. A looker
 * that has not looked for 5 s was stopped as well, and begins anew.
 *
 * Owns what it saw; borrows the feed. One thread a pulse: stats has one, main has one. Look about
 * once a second or more often; a look costs a load a thread and locks nothing.
 */
#ifndef KX_STATS_PULSE_H
#define KX_STATS_PULSE_H

#include "base/error.h"
#include "stats/feed.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kx_pulse {
    const struct kx_feed *feed;
    uint64_t look_ns; /* the last look */
    struct kx_pulse_thread {
        uint64_t first_ns; /* the first of the looks running that found it silent; 0 = it moved */
        uint64_t late_ns;  /* silent beyond its time, as of the last look; 0 = it is not late */
    } * threads;           /* feed->thread_count */
};

enum kx_code
kx_pulse_create(struct kx_pulse **ret_pulse, const struct kx_feed *feed, struct kx_error *err);
void kx_pulse_destroy(struct kx_pulse *pulse); /* NULL-safe */
/* Looks at every thread. now_ns: boot clock. */
void kx_pulse_look(struct kx_pulse *pulse, uint64_t now_ns);
/* The first thread that is late; thread_count = none is. */
size_t kx_pulse_late(const struct kx_pulse *pulse);

#endif
