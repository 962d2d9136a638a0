/*
 * The worker: one reader of the ring, one sink's batches.
 *
 *     ring ── drain ──► filter ──► delta ──► open batch ── seal ──► queue
 *                                  │   ▲
 *                                 parked: not due yet
 *
 * It drains to the end at once and
 * releases the ring each 64 KiB, whatever the sink does: it never does network I/O and never waits
 * but for its wake. When the queue is full the open batch goes under pressure (open_batch.h). The
 * exception is a patient worker, for a replayed capture: it leaves in the ring what does not fit,
 * and the replay waits.
 *
 * The sink's settings are asked for once a step and not kept between two; other ones hold from the
 * next record on. What is lost behind the worker (a record without room, one that the far end
 * refused) makes the delta forget that device, so that its next state is sent whole.
 *
 * At the end of the ring everything, parked records too, is sealed, in pieces, waiting for places
 * until the stop deadline (without a stop: as long as it takes); what is left then is dropped,
 * counted `stopped`, and the queue is closed. A stop deadline that passes before the ring ends: the
 * same, and what the ring still holds is taken and dropped.
 *
 * A state machine over time; its thread calls step and ready. stop, pending and alive from any
 * thread; create and destroy when the thread does not run.
 *
 *   state     written by   read by    ordered by
 *   stop      any          worker     seq_cst: the wake handshake (base/wake.h)
 *   live      worker       any        itself, a gauge
 *   alive     worker       watchdog   itself
 */
#ifndef KX_BATCH_WORKER_H
#define KX_BATCH_WORKER_H

#include "base/error.h"
#include "batch/queue.h"
#include "batch/settings.h"
#include "batch/step.h"
#include "config/config.h"
#include "ring/ring.h"
#include "stats/counters.h"
#include <stdbool.h>
#include <stdint.h>

struct kx_worker;

struct kx_worker_params {
    kx_sink_settings_get *settings; /* never gives NULL; asked at create, too */
    void *settings_context;
    bool newest_per_device;
    bool patient;
    uint32_t max_devices;
    struct kx_ring *ring;
    unsigned reader;
    struct kx_queue *queue;
    struct kx_counters *counters;      /* the worker's own block */
    struct kx_presence *presence;      /* hears every device record; NULL = nobody is watched */
    const struct kx_counters *process; /* ingest's: what the ring refused was meant for this sink
                                          too; may be NULL */
};

/* params is copied; what it points to is borrowed for the worker's life. */
enum kx_code kx_worker_create(struct kx_worker **ret_worker,
                              const struct kx_worker_params *params,
                              struct kx_error *err);
void kx_worker_destroy(struct kx_worker *worker); /* NULL-safe */

/* One step: at most 64 KiB of the ring. *ret_until_ns is set with KX_STEP_SLEEP: boot clock, 0 =
 * no deadline of its own. KX_STEP_END comes once; the queue is closed then. */
enum kx_step kx_worker_step(struct kx_worker *worker, uint64_t now_ns, uint64_t *ret_until_ns);
/* The check between kx_wake_prepare and the sleep: whether there is work after all. */
bool kx_worker_ready(struct kx_worker *worker);
/* Whether batches keep the newest of a device only because the sink is slow. */
bool kx_worker_pressure(const struct kx_worker *worker);

/* Any thread. A second stop may only move the deadline. */
void kx_worker_stop(struct kx_worker *worker, uint64_t flush_deadline_ns);
/* Records in the open batch, and parked. */
uint64_t kx_worker_pending(const struct kx_worker *worker);
/* Until when the thread may stay silent (boot clock). */
uint64_t kx_worker_alive_ns(const struct kx_worker *worker);

#endif
