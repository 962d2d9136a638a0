/*
 * The reconciliation with REST: when it is due, what it asks for, and what its answers prove about
 * the monitor.
 *
 * Kismet's monitor.ws sends all devices, or some, or none (a fault of every release from 2021-05
 * on). REST is right. So REST is asked for what changed lately, and a device counts as *missed*
 * when REST has known a state for longer than the monitor may take to send it, and the monitor has
 * not sent it. Two passes running with missed devices = the monitor is blind and the source polls.
 *
 * Pure: no I/O, time is an argument. One thread. Plain data in the source; per-device marks live in
 * the registry's entry (mod_time_monitor, mod_time_rest).
 */
#ifndef KX_INGEST_RECONCILE_H
#define KX_INGEST_RECONCILE_H

#include "config/config.h"
#include "ingest/registry.h"
#include <stdbool.h>
#include <stdint.h>

enum {
    KX_RECONCILE_FULL_S = 300,   /* a pass over everything, */
    KX_RECONCILE_TRIAL_S = 600,  /* and a new chance for a blind monitor, this often */
    KX_RECONCILE_STRIKES = 2,    /* passes running with missed devices: blind */
    KX_RECONCILE_OVERLAP_S = 30, /* beside 2 x rate: asked for again, because clocks differ */
    KX_RECONCILE_GRACE_S = 2,    /* beside the rate: how late the monitor may be */
    KX_RECONCILE_WAIT_S_MAX = 300,
};

struct kx_reconcile {
    enum kx_source_mode mode;
    uint64_t rate_ns;
    uint64_t interval_ns; /* between two passes while the monitor is trusted */
    uint64_t due_ns;      /* of the next pass */
    uint64_t full_due_ns;
    uint64_t trial_due_ns; /* while blind */
    uint64_t begun_ns;     /* of the pass under way */
    bool blind;            /* the monitor was found out: poll */
    bool full;             /* the pass under way asks for everything */
    bool judging;          /* the pass under way tells something about the monitor */
    unsigned strikes;      /* passes running with missed devices */
    unsigned trial_passes; /* passes of a trial without any */
    uint64_t missed;       /* devices of the pass under way */
    int64_t newest_seen_s; /* the newest last_seen that this server told; packets' clock */
    int64_t server_now_s;  /* server's clock when the pass began */
    int64_t judge_from_s;  /* server's clock: what changed before it is not the monitor's duty */
};

void kx_reconcile_init(struct kx_reconcile *reconcile, const struct kx_source_config *config);
/* A session begins: a full pass at once, and the monitor is judged from its first pass on. */
void kx_reconcile_start(struct kx_reconcile *reconcile, uint64_t now_ns);
/* Whether the source reads by REST alone. */
bool kx_reconcile_polls(const struct kx_reconcile *reconcile);
/* Whether it wants the monitor to be connected now; in polling only for a trial. */
bool kx_reconcile_wants_monitor(const struct kx_reconcile *reconcile);
/* Begins the trial of a blind monitor when it is due: true once, the source connects it then. */
bool kx_reconcile_trial(struct kx_reconcile *reconcile, uint64_t now_ns);

/* The trial could not even be held: the next one is planned. */
void kx_reconcile_trial_over(struct kx_reconcile *reconcile, uint64_t now_ns);

/* A pass begins with the server's clock (seconds, of /system/timestamp.json). Returns the
 * `last-time` to ask for, 0 = everything. */
int64_t kx_reconcile_begin(struct kx_reconcile *reconcile, int64_t server_now_s, uint64_t now_ns);

/* A device by the monitor. */
void kx_reconcile_monitor(struct kx_reconcile *reconcile,
                          struct kx_registry_entry *entry,
                          int64_t mod_time_s,
                          int64_t last_seen_s);
/* A device by REST. True when this record repairs what the monitor missed: news is whether it says
 * more than was told before. */
bool kx_reconcile_rest(struct kx_reconcile *reconcile,
                       struct kx_registry_entry *entry,
                       int64_t mod_time_s,
                       int64_t last_seen_s,
                       bool news);

/* A device of this server that the source is not about: nothing to judge the monitor by. */
void kx_reconcile_passed_over(struct kx_reconcile *reconcile, int64_t last_seen_s);

enum kx_verdict {
    KX_VERDICT_NONE,
    KX_VERDICT_BLIND,   /* the monitor has just been found out */
    KX_VERDICT_TRUSTED, /* a trial went well: the monitor is trusted again */
};
/* The pass is over; took_ns long, and ok when its answer was complete. */
enum kx_verdict kx_reconcile_end(struct kx_reconcile *reconcile, bool ok, uint64_t now_ns);

#endif
