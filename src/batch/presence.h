/*
 * Whether watched devices are near: by when they were last heard, and by who could have heard them.
 *
 *     worker ── hear: every device record, before filter and delta ──►  slots  ──► look ── sink
 *                                                        board ── watch ──────────────────► sink
 *
 * A device is HOME while it was heard within away_after. It is NOT_HOME once it was not, and a
 * source that could hear it has been up for so long. It is UNKNOWN while no such source is up:
 * those that heard it since the start, or all of them while none has. A source is up when it
 * streams or polls and, as far as is known, one of its radios runs; one that is away for less than
 * KX_PRESENCE_GRACE_NS counts as up, but nobody becomes NOT_HOME meanwhile. UNSAID is before
 * anything is known: what somebody else remembers of an earlier run then stands.
 *
 * `heard` is the record's heard_at, so a server that sends old states again keeps nobody at home.
 * Ages are counted on the boot clock: setting the wall clock moves nobody.
 *
 *   state               written by   read by   ordered by
 *   a slot's heard_ns   worker       sink      itself: store release, load acquire
 *   a slot's sources    worker       sink      themselves: relaxed; stored before heard_ns
 *   what was said, up   sink         sink      one thread
 *
 * Owns a fixed table, at most KX_PRESENCE_MACS_MAX devices. Nothing allocates after create.
 */
#ifndef KX_BATCH_PRESENCE_H
#define KX_BATCH_PRESENCE_H

#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"
#include "record/record.h"
#include "stats/board.h"
#include <stddef.h>
#include <stdint.h>

#define KX_PRESENCE_GRACE_NS (10 * KX_NS_PER_S)

enum kx_presence_state {
    KX_PRESENCE_UNSAID,
    KX_PRESENCE_HOME,
    KX_PRESENCE_NOT_HOME,
    KX_PRESENCE_UNKNOWN,
};

struct kx_presence;

/* config is copied; its MACs are checked to be some. sources: how many there are. */
enum kx_code kx_presence_create(struct kx_presence **ret_presence,
                                const struct kx_presence_config *config,
                                size_t sources,
                                struct kx_error *err);
void kx_presence_destroy(struct kx_presence *presence); /* NULL-safe */

/* --- the worker --- */

/* A device record that came now (boot clock); others than watched ones cost a look. */
void kx_presence_hear(struct kx_presence *presence,
                      const struct kx_record *record,
                      uint64_t now_ns);

/* --- the sink --- */

size_t kx_presence_count(const struct kx_presence *presence);
uint64_t kx_presence_mac(const struct kx_presence *presence, size_t i);
/* Looks which sources are up. Before kx_presence_look, about once a second. */
void kx_presence_watch(struct kx_presence *presence, struct kx_board *board, uint64_t now_ns);
/* The same for one source, by its state: what watch asks of each. */
void kx_presence_source(struct kx_presence *presence, size_t source, bool up, uint64_t now_ns);
/* The state of watched device i now. */
enum kx_presence_state kx_presence_look(struct kx_presence *presence, size_t i, uint64_t now_ns);
/* "home", "not_home", "unknown"; NULL of UNSAID. */
const char *kx_presence_word(enum kx_presence_state state);

#endif
