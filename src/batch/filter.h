/*
 * The filter of a sink: which records its owner wants at all.
 *
 * Rules in this order, the first that says no is the one that is counted: phy_type, device_type,
 * macs (deny before allow), mac_random, min_signal_dbm, geofence, name, events (topics,
 * min_severity), max_age. What a rule asks for and a device does not have fails the rule; a place
 * that is not known may be let pass by `unknown: pass`.
 *
 * Events: topics and min_severity are theirs (an event without a severity has none too low), the
 * MAC masks are everybody's: an event that names a device is kept or denied as that device is; one
 * that names none passes. The other rules do not concern them.
 *
 * max_age asks how old what a device told was when it came: receive time less heard_at. Both are
 * of one clock, so it holds for a replayed capture too.
 *
 * Compiled once; owns its lists and its pattern. One thread at a time matches, the sink's worker: a
 * pattern has memory of its own to match in (base/pattern.h). Matching allocates nothing.
 */
#ifndef KX_BATCH_FILTER_H
#define KX_BATCH_FILTER_H

#include "base/error.h"
#include "base/mac_mask.h"
#include "base/pattern.h"
#include "config/config.h"
#include "record/record.h"
#include "stats/counters.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kx_fence_kind { KX_FENCE_NONE, KX_FENCE_CIRCLE, KX_FENCE_BOX };

struct kx_fence {
    enum kx_fence_kind kind;
    bool unknown_passes;
    double lat, lon, radius_m, cos_lat;        /* circle */
    double lat_min, lat_max, lon_min, lon_max; /* box; lon_min > lon_max: over the 180th meridian */
};

struct kx_filter {
    bool idle; /* no rule at all: every record passes */
    bool has_signal_min;
    enum kx_random mac_random;
    double signal_dbm_min;
    uint8_t severity_min;                  /* as in kx_record; 0 = any */
    uint64_t max_age_ns;                   /* 0 = any age */
    struct kx_strings phys, types, topics; /* words, in any case; empty = any */
    struct kx_mac_masks allow, deny;
    struct kx_fence fence;
    struct kx_pattern *name; /* NULL = any */
};

/* In place; on failure nothing is left behind. */
enum kx_code
kx_filter_init(struct kx_filter *filter, const struct kx_sink_config *config, struct kx_error *err);
void kx_filter_fini(struct kx_filter *filter); /* zeroed is empty */

/* KX_COUNTERS when the record passes, else the counter of the rule that holds it back. */
enum kx_counter kx_filter_match(const struct kx_filter *filter, const struct kx_record *record);

#endif
