/*
 * One live Kismet server: its connections, its state and what it says of itself on the board.
 *
 * A session is: ask the server who it is (REST), open monitor.ws and eventbus.ws, subscribe, fetch
 * what the server knows already (REST), then take what comes. When any part of a session ends, all
 * of it ends and the source backs off: 0.5 s to 30 s with full jitter, 60 s when an operator must
 * act.
 *
 * Driven by the ingest loop, on its thread; never blocks. Owns its connections; borrows the intake.
 */
#ifndef KX_INGEST_SOURCE_H
#define KX_INGEST_SOURCE_H

#include "base/error.h"
#include "config/config.h"
#include "ingest/endpoint.h"
#include "ingest/identity.h"
#include "ingest/intake.h"
#include "ingest/recorder.h"
#include "stats/board.h"
#include "stats/counters.h"
#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

enum { KX_SOURCE_FDS_MAX = 16 };

/* What the loop lends every source. */
struct kx_source_env {
    CURLM *rest; /* the multi handle of all REST transfers */
    struct kx_intake *intake;
    struct kx_recorder *recorder; /* NULL = nobody captures */
    struct kx_ring *ring;
    struct kx_board *board;
    struct kx_identity *identity; /* which server answers for which source */
    bool once;                    /* one full REST pass, then finished */
};

struct kx_source;

enum kx_code kx_source_create(struct kx_source **ret_source,
                              const struct kx_source_config *config,
                              uint16_t index,
                              const struct kx_source_env *env,
                              struct kx_counters *counters,
                              struct kx_error *err);
void kx_source_destroy(struct kx_source *source);

size_t kx_source_fds(struct kx_source *source, struct curl_waitfd fds[KX_SOURCE_FDS_MAX]);
void kx_source_ready(struct kx_source *source,
                     const struct curl_waitfd *fds,
                     size_t count,
                     uint64_t now_ns);
/* Returns when it wants to be called next (CLOCK_BOOTTIME ns); 0 = at once. */
uint64_t kx_source_tick(struct kx_source *source, uint64_t now_ns);

/* What came of a reload: another credential, emptied by this call, from the next request on. A
 * source that waits for its next try makes it now. */
void kx_source_reload(struct kx_source *source, struct kx_credential *credential, uint64_t now_ns);

/* Whether a REST answer waits for room in the ring, and telling it to look again. */
bool kx_source_paused(const struct kx_source *source);
void kx_source_resume(struct kx_source *source);

/* With `once`: the pass is over, and whether it was complete. */
bool kx_source_finished(const struct kx_source *source, bool *ret_complete);

#endif
