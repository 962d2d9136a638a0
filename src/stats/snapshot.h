/*
 * A snapshot: everything that the stats port shows, at one moment, as plain data.
 *
 * The writers of /metrics and /status.json are pure functions over it. Owns its arrays; borrows the
 * feed. One thread (stats). Made once; each kx_snapshot_take overwrites it and allocates nothing.
 *
 * The account of a sink is of one moment. Worker and sender go on counting while they are read, and
 * whoever reads one term after the other sees records twice or not at all: those that moved between
 * two reads, which is many when the reader lost its processor in between. So everything of a sink
 * is read twice, and again, until two readings agree: every way of a record moves a counter, and
 * counters only grow, so nothing has happened between two readings that are equal. A reading takes
 * well under a microsecond, a record more than that, so two or three do. What is left is what a
 * thread is about at that moment: one record in the worker, between its counters and the gauge of
 * what it holds, and one batch in the sender, between its settlement and the gauge of the queue.
 */
#ifndef KX_STATS_SNAPSHOT_H
#define KX_STATS_SNAPSHOT_H

#include "base/error.h"
#include "stats/feed.h"
#include "stats/process.h"
#include "stats/pulse.h"
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a gauge is that nobody knows. */
static const double KX_UNKNOWN = (double)NAN;

struct kx_snapshot_source {
    const struct kx_feed_source *of;
    struct kx_source_status status;
    uint64_t counters[KX_COUNTERS];
    double gauges[KX_GAUGES]; /* NaN = not known, not shown */
};

struct kx_snapshot_sink {
    const struct kx_feed_sink *of;
    struct kx_sink_status status;
    uint64_t counters[KX_COUNTERS]; /* worker's and sender's */
    uint64_t pending;
    bool torn; /* no two readings agreed: the account is off by what moved meanwhile */
    double gauges[KX_GAUGES];
    struct kx_histogram_counts histograms[KX_HISTOGRAMS];
};

struct kx_snapshot_thread {
    const struct kx_feed_thread *of;
    uint64_t late_ns; /* as stats/pulse.h judges; 0 = it moves */
    bool cpu_known;
    double cpu_s;
};

struct kx_snapshot {
    const struct kx_feed *feed;
    const struct kx_counters *stats; /* the stats thread's own block; NULL = it has none */
    int64_t wall_ns;
    uint64_t now_ns;     /* boot clock */
    uint64_t started_ns; /* boot clock: when the snapshot was made */
    struct kx_snapshot_source *sources;
    struct kx_snapshot_sink *sinks;
    struct kx_snapshot_thread *threads;
    struct kx_pulse *pulse;
    uint64_t counters[KX_COUNTERS]; /* of the process and of main */
    double gauges[KX_GAUGES];
    struct kx_process_usage usage;
    struct kx_reload_status reload;
};

enum kx_code kx_snapshot_create(struct kx_snapshot **ret_snapshot,
                                const struct kx_feed *feed,
                                uint64_t now_ns,
                                struct kx_error *err);
void kx_snapshot_destroy(struct kx_snapshot *snapshot); /* NULL-safe */
void kx_snapshot_take(struct kx_snapshot *snapshot, uint64_t now_ns, int64_t wall_ns);
/* Only whether the threads move: cheap, and locks nothing. At least once a second. */
void kx_snapshot_take_threads(struct kx_snapshot *snapshot, uint64_t now_ns);

/* The account of a sink by its terms; every reason summed. */
struct kx_snapshot_account {
    uint64_t received, filtered, unchanged, coalesced, delivered, pending, dropped, dead_lettered;
};
void kx_snapshot_account(const struct kx_snapshot_sink *sink, struct kx_snapshot_account *ret);

/* Whether all is as it should be: a source streams, polls or has ended, a sink is not retrying,
 * held or gone. A sink that had nothing to deliver yet is well. */
bool kx_snapshot_source_well(const struct kx_snapshot_source *source);
bool kx_snapshot_sink_well(const struct kx_snapshot_sink *sink);

#endif
