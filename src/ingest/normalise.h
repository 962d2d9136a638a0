/*
 * What Kismet said, in our terms: a parsed message in, a record out.
 *
 * Pure but for the registry entry, which remembers what the device told last; no clock, no
 * allocation, any memory that the caller has. One thread: ingest's. Unknown is absent, never 0.
 * What is left out, cut or clamped is said in the notes, for the caller to count. Failure: 0 bytes
 * when the record does not fit (notes.too_big); the entry is then as it was, so that the
 * reconciliation finds the device untold.
 *
 * Rules for a device:
 *   texts        empty = absent; cut at KX_TEXT_BYTES_MAX (counted)
 *   name         else common_name, unless that is the device's MAC in any spelling
 *   mac_addr     in the asked case when it is a MAC, else as it came; mac_bits 0 then
 *   mac_random   the locally-administered bit of a Wi-Fi or Bluetooth address; absent of others
 *   first_seen, last_seen, frequency   0 = unknown; counters may be 0; none may be negative (range)
 *   signal, noise   0, or a type that is given and not "dbm" = unknown; snr only when both are
 * known latitude, longitude   both within the globe (range) and not both 0; altitude only with a 3D
 * fix last_seen    more than KX_CLOCK_AHEAD_S ahead of our clock: replaced by heard_at, which is
 * the receive time or, with the skew known, better, and stays put while nothing is heard
 */
#ifndef KX_INGEST_NORMALISE_H
#define KX_INGEST_NORMALISE_H

#include "config/config.h"
#include "ingest/json.h"
#include "ingest/registry.h"
#include "record/record.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KX_CLOCK_AHEAD_S = 300 };

/* What a message cannot know of itself. Borrowed texts. */
struct kx_normalise {
    struct kx_json_text source;      /* its name */
    struct kx_json_text server_uuid; /* asked once a connection; for messages that carry none */
    int64_t received_ns;             /* wall clock */
    int64_t skew_ns;                 /* server's clock less ours */
    uint64_t sequence;               /* of the record to be made */
    uint32_t epoch;                  /* moves with each gap: a connection's number */
    uint16_t source_index;
    bool skew_known;
    enum kx_mac_case mac_case;
};

/* What happened to one message; set anew by each call. */
struct kx_normalise_notes {
    uint32_t range;    /* values left out because they cannot be */
    uint32_t text_cut; /* texts cut */
    bool clock_ahead;  /* last_seen was ahead of our clock */
    bool new_life;     /* the server knows the device anew: first_seen moved or packets went back */
    bool too_big;      /* no record: it does not fit */
};

/* The name under which the registry knows a message's device: its own server_uuid or else the
 * connection's. */
struct kx_registry_name kx_normalise_name(const struct kx_normalise *ctx,
                                          struct kx_json_text server_uuid,
                                          struct kx_json_text key);

/*
 * A device's record in memory (8-byte aligned, KX_RECORD_BYTES_MAX always suffices); its bytes.
 * entry is the device's own and learns what was told.
 *
 * heard_at, the time at which the device was heard, is
 *   the receive time, when last_seen advanced and the newest record came by the same epoch: we
 *     watched it happen;
 *   else, when last_seen advanced or the device is new to us: last_seen less the skew (unknown =
 *     0), not before what we knew;
 *   else what it was; but a time that was computed without the skew is computed again once the
 *     skew is known.
 * Never after the receive time. A new life starts afresh. A last_seen that went back while packets
 * were counted is a clock that was set back, and counts as advanced. Kismet's states must come in
 * order: an older one (a REST answer that the monitor overtook) would look like a new life, so the
 * caller leaves those out.
 */
size_t kx_normalise_device(const struct kx_normalise *ctx,
                           const struct kx_json_device *in,
                           struct kx_registry_entry *entry,
                           void *memory,
                           size_t capacity,
                           struct kx_normalise_notes *notes);

/*
 * An event's record; data is its re-serialised JSON object, never cut. entry is its device's, or
 * NULL. A device key of nothing but zeros and a MAC of zeros mean none. The time is the event's own
 * or else the receive time. Never called for TIMESTAMP.
 *
 * uid: the first 16 bytes of SHA-256 over
 *
 *     server_uuid  00  topic  00  time  00  body
 *
 * texts as they are, without length or terminator but for the three zero bytes; time = the event's
 * own, rounded to microseconds since 1970, in decimal digits, or else the receive time cut to the
 * second ("1763000000000000"); body = an alert's kismet.alert.hash as it came, else data. So the
 * way (eventbus, REST) does not matter, and two sensors differ. An event without a time of its own
 * ({"DATASOURCE_OPENED":"<uuid>"}) may truly come again in the same words: it is the same one only
 * within a second, which is when Kismet sends one twice.
 */
size_t kx_normalise_event(const struct kx_normalise *ctx,
                          const struct kx_json_event *in,
                          struct kx_json_text data,
                          const struct kx_registry_entry *entry,
                          void *memory,
                          size_t capacity,
                          struct kx_normalise_notes *notes);

#endif
