/*
 * A sealed batch: closed by the worker, delivered by the sender, and the account of its records.
 *
 * Every record of it comes to one end, once: delivered, dropped for a reason, or dead-lettered. To
 * settle a record is to count that end; a batch leaves the queue only when all are settled. The
 * queue owns the memory and recycles it. The worker's until it is pushed, then the sender's until
 * it is finished; the queue's mutex orders the two. Nothing here allocates or fails.
 */
#ifndef KX_BATCH_SEALED_H
#define KX_BATCH_SEALED_H

#include "batch/sink.h"
#include "batch/store.h"
#include "stats/counters.h"
#include "stats/histogram.h"
#include <stdbool.h>
#include <stdint.h>

struct kx_sealed {
    struct kx_batch view; /* all its records */
    struct kx_store store;
    uint64_t sequence; /* of the sink's batches, from 1, without gaps */
    uint32_t records;
    uint32_t events;        /* of these */
    uint32_t pending;       /* records not settled yet */
    uint32_t delivered;     /* records settled as delivered */
    uint64_t opened_ns;     /* when its oldest record came, boot clock */
    struct kx_sealed *link; /* the queue's */
};

/* Makes the view of what the store holds; nothing is done, nothing settled. */
void kx_sealed_begin(struct kx_sealed *sealed, uint32_t events, uint64_t opened_ns);

/* Counts the age of what a sink marked done and is not settled yet: wall clock less receipt. */
void kx_sealed_observe(const struct kx_sealed *sealed,
                       struct kx_histograms *histograms,
                       int64_t wall_ns);
/* Settles as delivered what a sink marked done since the last time. Returns how many. */
uint32_t kx_sealed_settle_done(struct kx_sealed *sealed, struct kx_counters *counters);
/* Settles one record as `end`, unless it is settled already: it is never sent again. Returns
 * whether it did. */
bool kx_sealed_settle(struct kx_sealed *sealed,
                      uint32_t slot,
                      struct kx_counters *counters,
                      enum kx_counter end);
/* Settles whatever is left as `end`: the batch is over. Returns how many. */
uint32_t
kx_sealed_settle_rest(struct kx_sealed *sealed, struct kx_counters *counters, enum kx_counter end);

#endif
