/*
 * The way of one message into the ring: parse, look the device up, normalise, write in place,
 * commit.
 *
 * One intake serves all sources; each source has an origin. Owns the parser and its scratch space,
 * borrows registry and ring. One thread (ingest). The caller publishes the ring, once a socket
 * read. A bad message costs itself only and is counted by reason in its source's block; a full ring
 * costs the record and is counted in the process block.
 */
#ifndef KX_INGEST_INTAKE_H
#define KX_INGEST_INTAKE_H

#include "base/error.h"
#include "base/mac_mask.h"
#include "config/config.h"
#include "ingest/dedupe.h"
#include "ingest/json.h"
#include "ingest/reconcile.h"
#include "ingest/registry.h"
#include "ring/ring.h"
#include "stats/counters.h"
#include <stdbool.h>
#include <stdint.h>

struct kx_intake;

/* What the intake knows of one source. */
struct kx_origin {
    uint16_t index;
    const char *name;
    const struct kx_strings *topics;     /* the events that are wanted */
    const struct kx_extra_fields *extra; /* other fields that were asked for; NULL = none */
    const struct kx_mac_masks *macs;     /* the devices that are wanted; none = all */
    struct kx_counters *counters;
    struct kx_dedupe *dedupe;
    struct kx_reconcile *reconcile; /* NULL = a replay, where nothing is reconciled */
    char server_uuid[64];           /* empty = not asked yet */
    bool skew_known;
    int64_t skew_ns; /* server's clock less ours */
    uint32_t epoch;  /* moves with each gap: what was watched before it is not watched now */
};

enum kx_via {
    KX_VIA_MONITOR, /* every record is news */
    KX_VIA_REST,    /* only what is newer than what was told already */
    KX_VIA_REPLAY,
};

enum kx_taken {
    KX_TAKEN,      /* it is in the ring */
    KX_TAKEN_OLD,  /* known already (REST), a duplicate, a heartbeat, a topic or device that nobody
                      wants */
    KX_TAKEN_BAD,  /* counted by reason */
    KX_TAKEN_FULL, /* the ring has no room; counted unless it came by REST, which can wait */
};

enum kx_code kx_intake_create(struct kx_intake **ret_intake,
                              struct kx_registry *registry,
                              struct kx_ring *ring,
                              struct kx_counters *process,
                              struct kx_error *err);
void kx_intake_destroy(struct kx_intake *intake);
struct kx_json *kx_intake_json(struct kx_intake *intake);

/* text: length bytes and KX_JSON_PADDING readable ones behind. */
enum kx_taken kx_intake_device(struct kx_intake *intake,
                               struct kx_origin *origin,
                               enum kx_via via,
                               const char *text,
                               size_t length,
                               int64_t received_ns);

/* *ret_heartbeat_ns (may be NULL) gets the server's clock when the message is a TIMESTAMP, else 0.
 */
enum kx_taken kx_intake_event(struct kx_intake *intake,
                              struct kx_origin *origin,
                              const char *text,
                              size_t length,
                              int64_t received_ns,
                              int64_t *ret_heartbeat_ns);

#endif
