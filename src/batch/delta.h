/*
 * The delta of one sink: what changed since a device was last given to it, and when it may be told.
 *
 * A table indexed by the registry's dense device id holds what was last exported of each device:
 * 128 bytes a device and sink, two cache lines, asked for at create and touched only as devices
 * come (200,000 devices: 25.6 MB); in mode `fields` 96 bytes more, one hash a text, looked at
 * when not all texts are as they were. Texts are kept
 * as a keyed 64-bit hash. A record of another generation than the entry's is another device.
 *
 *   changed    a watched field differs from what was exported: exported, not ignored, by more than
 *              its deadband; or became known or unknown; or a new life of the device: first_seen
 *              moved, a counter went back. The timestamp is no such field, last_seen is; and with
 *              it heard_at, when it was corrected by more than a second though nothing was heard.
 *   unchanged  counted, and gone; a parked record that it is newer than is coalesced
 *   heartbeat  last_seen moved, but nothing that is watched: due `heartbeat` after the last export.
 *              A device that is not heard is never sent again.
 *   min_interval   a change is due that long after the last export (or by the heartbeat, if that
 *              is earlier and last_seen moved)
 *   max_rate   so many devices a second, and a tenth of a second's worth at once at most
 * What is not due yet, or finds the rate used up, is parked: the newest record of each device, the
 * replaced one coalesced, given out by kx_delta_due when its time has come, in the order in which
 * they were due. Parked records are copies, bounded by the number of devices and by 512 MiB; above
 * that, and without memory, a record passes at once instead.
 *
 * Invalidation: the exported values of one device (forget) or of all are no longer believed, so the
 * next record of it is sent whole; when it was sent last is still known.
 *
 * Owns its memory. One thread, the worker's. Time is an argument (boot clock, never 0).
 */
#ifndef KX_BATCH_DELTA_H
#define KX_BATCH_DELTA_H

#include "base/error.h"
#include "config/config.h"
#include "record/record.h"
#include "stats/counters.h"
#include <stdbool.h>
#include <stdint.h>

enum { KX_DELTA_RATE_BURST = 10 };   /* max_rate: a burst is what this part of a second allows */
#define KX_DELTA_TICK_NS 10000000ull /* timers of parked records are this coarse */

/* The compiled options; plain data. */
struct kx_delta_rules {
    enum kx_delta_mode mode;
    uint64_t fields;            /* bit a kx_field: exported; never the timestamp */
    uint64_t watched;           /* of these, without the ignored ones */
    double deadband[KX_FIELDS]; /* a number differs when it is further away than this */
    uint64_t heartbeat_ns;      /* 0 = off, as of the next two */
    uint64_t min_interval_ns;
    uint32_t rate_max; /* devices a second */
};

enum kx_delta_verdict {
    KX_DELTA_PASS, /* to be sent now; from here on it counts as exported */
    KX_DELTA_HELD, /* counted as unchanged, or parked */
};

struct kx_delta;

enum kx_code kx_delta_create(struct kx_delta **ret_delta,
                             uint32_t max_devices,
                             struct kx_counters *counters,
                             struct kx_error *err);
void kx_delta_destroy(struct kx_delta *delta); /* NULL-safe; parked records are gone uncounted */

/* Other rules, copied. What is exported or watched anew invalidates all. Without memory for mode
 * `fields` every record counts as changed in every field. Before the first call all passes. */
void kx_delta_set_rules(struct kx_delta *delta, const struct kx_delta_rules *rules);

/* The parked record whose id this record's device took over, to be sent before it; NULL = none.
 * Valid until the next call. To be asked for every device record, even one that is filtered: an
 * older state must not come after the same device's return under another id. */
const struct kx_record *kx_delta_displaced(struct kx_delta *delta, const struct kx_record *record);
/* Asks the processor for what deciding about this record will touch, some records ahead: with many
 * devices the table is not in its caches. Changes nothing. */
void kx_delta_prefetch(const struct kx_delta *delta, const struct kx_record *record);
/* Decides about a record. Events pass. *ret_changed (with PASS): bit a kx_field that may differ
 * from what was exported before; exact in mode `fields`, else all ones. */
enum kx_delta_verdict kx_delta_offer(struct kx_delta *delta,
                                     const struct kx_record *record,
                                     uint64_t now_ns,
                                     uint64_t *ret_changed);
/* Takes the next parked record whose time has come, or with `all` the next one whatever its time;
 * NULL = none. Valid until the next call. It counts as exported. */
const struct kx_record *
kx_delta_due(struct kx_delta *delta, uint64_t now_ns, bool all, uint64_t *ret_changed);
/* When kx_delta_due is to be asked again; 0 = nothing is parked. */
uint64_t kx_delta_due_ns(const struct kx_delta *delta, uint64_t now_ns);
uint32_t kx_delta_parked(const struct kx_delta *delta);

/* This device's record did not arrive. */
void kx_delta_forget(struct kx_delta *delta, uint32_t device_id, uint32_t generation);
/* Nobody knows what arrived. */
void kx_delta_invalidate(struct kx_delta *delta);
/* Drops what is parked, counted as `end`. */
void kx_delta_drop(struct kx_delta *delta, enum kx_counter end);

#endif
