/*
 * The sender: takes a sink's sealed batches in their order and delivers them.
 *
 *   KX_SENT      settled as delivered
 *   KX_RETRY     again after a capped, jittered wait, or as long as the sink said
 *   KX_HOLD      again each 60 s, on a poke, or once when the program stops
 *   KX_REJECTED  cut in halves until the bad records are alone (isolate.h): these become dead
 *                letters (deadletter.h), or are dropped where none can be kept; all refused = a
 * hold KX_GONE      over: everything now and later is dropped, counted sink_gone What was confirmed
 * is never sent again and never counted twice. A stop gives until the flush deadline: waits end, a
 * hold is tried once more, and what is left then, or is still held, is counted undelivered_at_stop.
 *
 * A reload may want the sink opened anew (kx_sender_reopen). That is done between two batches: a
 * sink may have begun the present one, half a line of it say. A held sink is opened anew at once,
 * since what holds it may be what has changed. The new one is opened before the old one is closed;
 * when it cannot be, the old one goes on and the report says so.
 *
 * A state machine over time: kx_sender_step makes at most one call to the sink and is told the time
 * before and, in the next step, after it. Owns the sink between create and close. The sender's
 * thread calls everything but stop, poke, reopen and alive, which any thread may; create and
 * destroy when that thread does not run. Modules do not log: the report of a step says what there
 * is to say.
 *
 *   state      written by   read by          ordered by
 *   stop, poke any          sender           seq_cst: the wake handshake (base/wake.h)
 *   reopen     any, sender  sender           seq_cst, as stop; who takes the pointer owns it
 *   alive      sender       watchdog         itself
 */
#ifndef KX_BATCH_SENDER_H
#define KX_BATCH_SENDER_H

#include "base/error.h"
#include "base/wake.h"
#include "batch/queue.h"
#include "batch/sink.h"
#include "batch/step.h"
#include "stats/histogram.h"
#include <stdbool.h>
#include <stdint.h>

struct kx_sender;

struct kx_sender_params {
    const struct kx_sink_config *sink;
    const struct kx_sink_ops *ops;
    struct kx_sink_env env;
    struct kx_histograms *histograms; /* the sender's own; NULL = nobody asks */
    bool fresh;                       /* records carry the time at which they came */
    struct kx_queue *queue;
    struct kx_wake *wake; /* the sender's own; stop and poke signal it */
    int stop_fd;          /* becomes readable when calls must end */
    size_t index;         /* of the sink on the board */
};

/* What one step did, for the thread's loop to log. Valid until the next step. */
struct kx_sender_report {
    bool changed; /* status has another state than before the step */
    const struct kx_sink_status *status;
    bool called; /* a delivery came back; the next seven are of it */
    enum kx_outcome outcome;
    uint64_t sequence;
    uint32_t records;
    uint32_t delivered;
    uint64_t took_ns;
    uint64_t age_ns;                    /* since the batch's oldest record came */
    uint64_t wait_ns;                   /* before the next try; 0 = none */
    bool reopened;                      /* the sink was closed and opened */
    const struct kx_error *reopen_err;  /* it could not be, and goes on as it was; NULL = could */
    uint32_t condemned;                 /* records given up as rejected, */
    uint32_t kept;                      /* of these, kept as dead letters */
    const struct kx_error *letters_err; /* they could not be, and could the time before; or NULL */
    const struct kx_error *err;         /* of the call, or of the condemned records; NULL = none */
};

/* Opens the sink. params is copied; what it points to is borrowed for the sender's life. */
enum kx_code kx_sender_create(struct kx_sender **ret_sender,
                              const struct kx_sender_params *params,
                              struct kx_error *err);
/* NULL-safe. Closes the sink if the thread has not. */
void kx_sender_destroy(struct kx_sender *sender);

/* One step. *ret_until_ns is set with KX_STEP_SLEEP: boot clock, 0 = no deadline of its own. */
enum kx_step
kx_sender_step(struct kx_sender *sender, uint64_t now_ns, int64_t wall_ns, uint64_t *ret_until_ns);
/* The check between kx_wake_prepare and the sleep: whether there is work after all. */
bool kx_sender_ready(struct kx_sender *sender);
const struct kx_sender_report *kx_sender_report(const struct kx_sender *sender);
/* Closes the sink, from its own thread: a library may want to say goodbye. */
void kx_sender_close(struct kx_sender *sender);

/* Any thread. A second stop may only move the deadline. */
void kx_sender_stop(struct kx_sender *sender, uint64_t flush_deadline_ns);
/* What waits is tried now. */
void kx_sender_poke(struct kx_sender *sender);
/* The sink is to be opened with another configuration, which is taken over and freed in the end
 * (config/reload.h). One that was not heeded yet is replaced. Any thread. */
void kx_sender_reopen(struct kx_sender *sender, struct kx_sink_config *config);
/* Until when the thread may stay silent (boot clock). */
uint64_t kx_sender_alive_ns(const struct kx_sender *sender);

#endif
