/*
 * Finding the bad records of a batch that the far end refuses.
 *
 * A refused view is cut in halves until single records remain, so n bad records among N cost about
 * n log N calls and their neighbours arrive. A refused single record is set aside first: it is bad
 * only once the far end takes another record, or refuses one for another reason, or the batch ends.
 * Until then it may be the configuration (a column that is missing, a topic that nobody may write),
 * and then every record of the batch must be kept:
 *
 *   KX_REJECTED_RUN records running, of one reason, across batches, or a whole batch of at least
 *   KX_REJECTED_WHOLE records = all is refused. A smaller batch proves nothing: on a quiet sink one
 *   bad record is often a batch by itself, and it must not stop the sink for ever.
 *
 * Running means that no record between them was taken, either: a sink may take a batch's good
 * records first, and then nothing but its bad ones is left to be tried. What was taken before a
 * hold says nothing about now.
 *
 *     aside   [ bad | bad | bad | maybe | maybe )      the front `proven` of them are bad
 *
 * Plain data, one thread, the sender's; no allocation, no clock. The views still to be tried are a
 * stack whose sizes halve upwards, so its depth is bounded by the bits of a count.
 */
#ifndef KX_BATCH_ISOLATE_H
#define KX_BATCH_ISOLATE_H

#include "base/error.h"
#include "batch/sealed.h"
#include "batch/sink.h"
#include <stdbool.h>
#include <stdint.h>

enum { KX_REJECTED_RUN = 50, KX_REJECTED_WHOLE = 10, KX_ISOLATE_DEPTH = 34 };

/* A refused record that may be a bad one, and what was said of it. */
struct kx_isolate_aside {
    uint32_t slot;
    char reason[KX_REASON_MAX]; /* the far end's word, or our own for the code */
    char text[KX_ERROR_TEXT_MAX];
};

struct kx_isolate {
    struct kx_isolate_view {
        uint32_t first, end;
    } views[KX_ISOLATE_DEPTH]; /* still to be tried, the next on top */
    uint32_t depth;
    uint32_t run;                   /* records refused running, of one reason */
    char reason[KX_ERROR_TEXT_MAX]; /* of the run */
    struct kx_error err;            /* of the run's last record */
    struct kx_isolate_aside aside[KX_REJECTED_RUN];
    uint32_t aside_count;
    uint32_t proven; /* of these, at the front: bad for certain */
    bool took;       /* the far end took a record of this batch, and no hold since */
};

/* Starts over with the whole batch: at its first try, and after a hold. */
void kx_isolate_begin(struct kx_isolate *isolate, const struct kx_sealed *sealed);
/* The next view to be tried, without done records at its ends; false = the batch is through. */
bool kx_isolate_next(struct kx_isolate *isolate,
                     const struct kx_sealed *sealed,
                     struct kx_batch *ret_view);
/* Cuts the view in halves; it holds more than one record. */
void kx_isolate_split(struct kx_isolate *isolate);
/* The far end took records of the batch: what is set aside is bad. */
void kx_isolate_took(struct kx_isolate *isolate);
/* An operator was wanted: what was taken before says nothing about what comes. */
void kx_isolate_held(struct kx_isolate *isolate);
/* Sets aside the view's single record; there is room. True = all is refused. */
bool kx_isolate_set_aside(struct kx_isolate *isolate,
                          const struct kx_batch *view,
                          const struct kx_error *err);
bool kx_isolate_full(const struct kx_isolate *isolate);
/* At the end of a batch: whether all of it was refused. If not, what is set aside is bad now. */
bool kx_isolate_all(struct kx_isolate *isolate, const struct kx_sealed *sealed);
/* The proven ones are settled. */
void kx_isolate_forget_proven(struct kx_isolate *isolate);
/* After a hold: the run begins anew, as does the batch. */
void kx_isolate_again(struct kx_isolate *isolate, const struct kx_sealed *sealed);

#endif
