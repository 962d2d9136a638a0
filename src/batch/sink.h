/*
 * The sink contract: what the delivery engine asks of an end, and what it offers.
 *
 * One sender thread makes every call to one sink, so a sink needs no lock. A sink never sleeps to
 * wait, never retries, never loops over attempts: it says what happened and the engine decides. A
 * sink sees records, its own configuration and this header, nothing else of the program.
 */
#ifndef KX_BATCH_SINK_H
#define KX_BATCH_SINK_H

#include "base/error.h"
#include "config/config.h"
#include "record/record.h"
#include "stats/board.h"
#include "stats/counters.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kx_outcome {
    KX_SENT,  /* the far end confirmed every record not already marked done */
    KX_RETRY, /* transient: back off, try again */
    KX_HOLD,  /* wants an operator (bad password, missing table, full disk): retry each 60 s and on
                 SIGHUP; readiness fails, err says what to do */
    KX_REJECTED, /* the far end will never take this batch: the engine bisects; a single record goes
                    to the dead letters */
    KX_GONE,     /* the far end has gone for good (standard output closed): the sink is over */
};

enum { KX_REASON_MAX = 24 };

/* Limits of one call: a readable stop_fd or a passed deadline = give up, return KX_RETRY. */
struct kx_call {
    uint64_t deadline_ns; /* CLOCK_BOOTTIME */
    int stop_fd;          /* becomes readable when the program wants to end; never read it */
};

/*
 * A view of sealed records [first, end). The engine owns it; records stay where they are until the
 * batch is finished. Only the sender thread touches it.
 */
struct kx_batch {
    const char *bytes;       /* the records' memory */
    const uint32_t *offsets; /* of record i in bytes */
    /* Of record i: bit a kx_field that may differ from what the far end was given before; with
     * delta.mode fields exact, else, and for events, all ones. For a sink that can send only
     * these. */
    const uint64_t *changed;
    uint32_t first, end;
    uint32_t tries; /* earlier calls with this view that ended in KX_RETRY, running */
    /* Bit i: the far end confirmed record i, or it is out for good. Halves of a bisected batch
     * share it. Set by kx_batch_mark, never cleared. */
    uint64_t *done;
    /* The batch behind this one when it is sealed already, or NULL. It may be begun early; its
     * confirmations go into its own bitmap, at the latest while it is itself delivered. All views
     * of a batch have the same `done`; but memory goes round, so who keeps a batch in mind knows it
     * by that and by its first record's sequence, and only until it is finished. */
    struct kx_batch *next;
    /* Out, with KX_RETRY: not before this long from now (at most an hour is obeyed); 0 = the
     * engine's own backoff. */
    uint64_t retry_after_ns;
    /* Out: the far end takes at most this many bytes of records (their `length`) a batch; 0 = no
     * limit learnt. With KX_RETRY or KX_REJECTED a larger view is split and tried again at once;
     * one record that is too large by itself is KX_REJECTED. */
    uint64_t bytes_max;
    /* Out, with KX_REJECTED: the far end's own short word for why (an SQLSTATE, a status).
     * Rejections running with one reason are a wrong configuration, not bad records. Empty = err's
     * code and text are compared. */
    char reason[KX_REASON_MAX];
    /* The engine's: kx_batch_drop. NULL in a batch that no engine made. */
    void (*drop)(struct kx_batch *batch, uint32_t i, enum kx_counter reason);
    void *engine;
};

static inline const struct kx_record *kx_batch_record(const struct kx_batch *batch, uint32_t i)
{
    return (const struct kx_record *)(const void *)(batch->bytes + batch->offsets[i]);
}

static inline bool kx_batch_done(const struct kx_batch *batch, uint32_t i)
{
    return (batch->done[i / 64] >> (i % 64) & 1) != 0;
}

static inline void kx_batch_mark(struct kx_batch *batch, uint32_t i)
{
    batch->done[i / 64] |= 1ull << (i % 64);
}

/* Record i is out for a reason that is neither a fault of its neighbours nor a matter of trying
 * again: the far end's retention, say, or that no datagram holds it. It is settled as that row of
 * records_dropped_total, and is never sent again. Within a call of deliver only. */
static inline void kx_batch_drop(struct kx_batch *batch, uint32_t i, enum kx_counter reason)
{
    if (batch->drop != NULL)
        batch->drop(batch, i, reason);
    kx_batch_mark(batch, i);
}

/* What the program lends a sink for its life. */
struct kx_sink_env {
    const struct kx_config *config; /* for what is common: sensor, the number of sources */
    struct kx_board *board;         /* the sources' states, for sinks that write them down */
    struct kx_counters *counters;   /* of the sender thread: kx_count */
    struct kx_presence *presence;   /* of the devices that the sink watches (batch/presence.h); NULL
                                       = none */
};

struct kx_probe; /* the lines of `kismet-export probe`, base/probe.h */

struct kx_sink_ops {
    const char *type;
    bool newest_per_device; /* within a batch only the newest record of a device matters (a state
                               table); false for a time series */
    /* Checks the configuration and allocates; no network. Failure leaves nothing behind. */
    enum kx_code (*open)(const struct kx_sink_config *config,
                         const struct kx_sink_env *env,
                         void **ret_self,
                         struct kx_error *err);
    /* Delivers the batch's records that are not done, in their order. err is filled unless KX_SENT.
     */
    enum kx_outcome (*deliver)(void *self,
                               struct kx_batch *batch,
                               const struct kx_call *call,
                               struct kx_error *err);
    /* About once a second while there is no batch; may be NULL. */
    enum kx_outcome (*idle)(void *self, const struct kx_call *call, struct kx_error *err);
    /* Says line by line what is right and wrong with this end, and how to mend it; may be NULL. A
     * failure is one of the probe's lines: the code says only that probing itself failed. */
    enum kx_code (*probe)(void *self, struct kx_probe *probe);
    /* NULL-safe. */
    void (*close)(void *self);
};

#endif
