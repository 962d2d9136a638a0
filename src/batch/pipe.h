/*
 * One sink's pipe: ring reader, worker thread, queue, sender thread, sink.
 *
 * Owns all of it, the worker's settings and both threads' counters; borrows ring, board and
 * configuration for its life. create, start, stop, join, destroy from the main thread, which has
 * blocked all signals before it creates a thread; the rest from any thread. A thread that hangs in
 * a library when join gives up is left behind: then nothing that was lent may be freed, destroy
 * does nothing, and the program ends by itself.
 */
#ifndef KX_BATCH_PIPE_H
#define KX_BATCH_PIPE_H

#include "base/error.h"
#include "batch/settings.h"
#include "batch/sink.h"
#include "batch/totals.h"
#include "config/config.h"
#include "ring/ring.h"
#include "stats/board.h"
#include "stats/counters.h"
#include "stats/histogram.h"
#include <stddef.h>
#include <stdint.h>

struct kx_pipe;

struct kx_pipe_params {
    const struct kx_config *config;
    const struct kx_sink_config *sink;
    const struct kx_sink_ops *ops;
    struct kx_board *board;
    size_t index; /* of the sink on the board */
    struct kx_ring *ring;
    unsigned reader;
    const struct kx_counters *process; /* ingest's; may be NULL */
};

/* Opens the sink (no network); no thread yet. */
enum kx_code kx_pipe_create(struct kx_pipe **ret_pipe,
                            const struct kx_pipe_params *params,
                            struct kx_error *err);
/* Starts both threads, named w:<sink> and s:<sink>; both or none. */
enum kx_code kx_pipe_start(struct kx_pipe *pipe, struct kx_error *err);
/* Gives the threads until flush_deadline_ns (boot clock) to deliver what there is; from
 * abort_deadline_ns on, a call that is still under way is told to end. To be called when ingest has
 * closed the ring or gave up doing so. May be called again with other deadlines. */
void kx_pipe_stop(struct kx_pipe *pipe, uint64_t flush_deadline_ns, uint64_t abort_deadline_ns);
/* Waits for both threads; they end after the ring's end, when everything is delivered, or by a
 * stop. KX_ERR_TIMEOUT at the deadline (boot clock): err names the thread and what it holds; may be
 * called again. */
enum kx_code kx_pipe_join(struct kx_pipe *pipe, uint64_t deadline_ns, struct kx_error *err);
/* NULL-safe. Not started, joined, or left behind. */
void kx_pipe_destroy(struct kx_pipe *pipe);

/* Other settings for the worker from its next step on. Taken over; returns those before, which
 * readers may use until kx_rcu_wait. The main thread. */
struct kx_sink_settings *kx_pipe_publish(struct kx_pipe *pipe, struct kx_sink_settings *settings);
/* The sink is opened anew with a configuration that is taken over (batch/sender.h). */
void kx_pipe_reopen(struct kx_pipe *pipe, struct kx_sink_config *config);
/* A sink that is held or backing off tries again now. */
void kx_pipe_poke(struct kx_pipe *pipe);
/* The sink's account; exact after join. */
struct kx_sink_totals kx_pipe_totals(const struct kx_pipe *pipe);
/* Until when the two threads may stay silent (boot clock); UINT64_MAX = for ever. */
uint64_t kx_pipe_alive_ns(const struct kx_pipe *pipe);
uint64_t kx_pipe_worker_alive_ns(const struct kx_pipe *pipe);
uint64_t kx_pipe_sender_alive_ns(const struct kx_pipe *pipe);
/* Records taken from the ring that are at no end yet. */
uint64_t kx_pipe_pending(const struct kx_pipe *pipe);
const struct kx_counters *kx_pipe_worker_counters(const struct kx_pipe *pipe);
const struct kx_counters *kx_pipe_sender_counters(const struct kx_pipe *pipe);
const struct kx_histograms *kx_pipe_histograms(const struct kx_pipe *pipe); /* the sender's */

#endif
