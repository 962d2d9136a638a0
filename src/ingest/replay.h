/*
 * A capture file as a source: frames of a real Kismet taken from disk instead of a WebSocket.
 *
 * Reads the lines of ingest/capture.h, or one bare device record a line (the answer of a REST
 * call). Keeps the recorded pace times `speed`, or goes as fast as the slowest sink takes it:
 * unlike a live server, a file can wait, so nothing is ever dropped for want of room.
 *
 * What a frame counts as received at is the recorder's clock (the header's epoch_start plus t). A
 * capture without a header has Kismet's clock instead: the TIMESTAMP events, before the first of
 * them the newest mod_time, and before any of these, or with `time: now`, ours. Sources keep the
 * names that the capture gives them; where it gives none, source_name is used.
 *
 * Driven by the ingest loop on its thread. Owns reader and origins. A bad line costs itself
 * only and is counted; a file that cannot be read further ends the replay with an error.
 */
#ifndef KX_INGEST_REPLAY_H
#define KX_INGEST_REPLAY_H

#include "base/error.h"
#include "config/config.h"
#include "ingest/intake.h"
#include "stats/board.h"
#include <stdbool.h>
#include <stdint.h>

struct kx_replay;

enum kx_code kx_replay_create(struct kx_replay **ret_replay,
                              const struct kx_replay_config *config,
                              const char *source_name,
                              const struct kx_strings *topics,
                              struct kx_intake *intake,
                              struct kx_ring *ring,
                              struct kx_board *board,
                              struct kx_counters *counters,
                              struct kx_error *err);
void kx_replay_destroy(struct kx_replay *replay);

/* Takes the frames that are due. Returns when it wants to be called next (CLOCK_BOOTTIME ns),
 * UINT64_MAX when it waits for room or has ended. */
uint64_t kx_replay_tick(struct kx_replay *replay, uint64_t now_ns);
/* Whether it waits for the sinks to free half the ring. */
bool kx_replay_paused(const struct kx_replay *replay);
/* The end was reached, and whether without an error. */
bool kx_replay_finished(const struct kx_replay *replay, bool *ret_complete);

#endif
