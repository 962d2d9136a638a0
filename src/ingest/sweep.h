/*
 * One pass over a server by REST: its clock, the devices that changed since a mark, and after a gap
 * the alerts since then. Lines go into the intake while they arrive.
 *
 * Owns one REST transfer; borrows the rest. One thread (ingest). Never two passes at once. Failure:
 * `ended` is called once for each pass, with what went wrong; the next pass is the reconciliation's
 * to plan.
 */
#ifndef KX_INGEST_SWEEP_H
#define KX_INGEST_SWEEP_H

#include "ingest/intake.h"
#include "ingest/recorder.h"
#include "ingest/rest.h"
#include "ring/ring.h"
#include <stdbool.h>
#include <stdint.h>

struct kx_sweep_parts {
    CURLM *multi;
    const struct kx_endpoint *endpoint;
    struct kx_intake *intake;
    struct kx_recorder *recorder; /* NULL = nobody captures */
    struct kx_origin *origin;     /* with its reconcile */
    struct kx_ring *ring;
    void (*ended)(void *context,
                  enum kx_verdict verdict,
                  enum kx_code code,
                  const struct kx_error *err);
    void *context;
};

struct kx_sweep;

enum kx_code kx_sweep_create(struct kx_sweep **ret_sweep,
                             const struct kx_sweep_parts *parts,
                             struct kx_error *err);
void kx_sweep_destroy(struct kx_sweep *sweep);

/* alerts_since_ns: server's clock; 0 = no alerts are wanted. Not while busy. */
void kx_sweep_begin(struct kx_sweep *sweep, int64_t alerts_since_ns, uint64_t now_ns);
bool kx_sweep_busy(const struct kx_sweep *sweep);
void kx_sweep_cancel(struct kx_sweep *sweep);
void kx_sweep_tick(struct kx_sweep *sweep, uint64_t now_ns);
/* Whether an answer waits for room in the ring, and telling it to look again. */
bool kx_sweep_paused(const struct kx_sweep *sweep);
void kx_sweep_resume(struct kx_sweep *sweep);

#endif
