/*
 * The ingest thread: one loop for all sources.
 *
 * One poll waits for every WebSocket, every REST transfer, room in the ring and the nearest
 * deadline; nothing in the loop blocks, so one dead or slow server costs the others nothing. Owns
 * sources, registry and intake; borrows configuration, ring, board and counters.
 *
 * kx_loop_create, _start, _reload, _stop, _join and _destroy are the main thread's, in this order.
 * The thread ends by itself when every source has finished (--once, a replay); it closes the ring
 * when it ends.
 */
#ifndef KX_INGEST_LOOP_H
#define KX_INGEST_LOOP_H

#include "base/error.h"
#include "config/config.h"
#include "ring/ring.h"
#include "stats/board.h"
#include "stats/counters.h"
#include <stdbool.h>
#include <stdint.h>

struct kx_loop;

/* sources: one block each of config->sources (one for a replay); process: of the whole process. */
enum kx_code kx_loop_create(struct kx_loop **ret_loop,
                            const struct kx_config *config,
                            struct kx_ring *ring,
                            struct kx_board *board,
                            struct kx_counters *const *sources,
                            struct kx_counters *process,
                            struct kx_error *err);
enum kx_code kx_loop_start(struct kx_loop *loop, struct kx_error *err);
/* Asks the thread to end; any thread, more than once. */
void kx_loop_stop(struct kx_loop *loop);
/* What a reload brings the sources: of each of `start` that `fresh` still has, its credential. To
 * be given to kx_loop_reload, or destroyed (NULL-safe). */
struct kx_loop_news;
enum kx_code kx_loop_news_create(struct kx_loop_news **ret_news,
                                 const struct kx_config *start,
                                 const struct kx_config *fresh,
                                 struct kx_error *err);
void kx_loop_news_destroy(struct kx_loop_news *news);
/* Hands them over: they are heeded in the loop's next turn, which is now. Main thread, after start.
 */
void kx_loop_reload(struct kx_loop *loop, struct kx_loop_news *news);
/* Becomes readable when the thread ends. */
int kx_loop_ended_fd(const struct kx_loop *loop);
/* Waits for the end until deadline (CLOCK_BOOTTIME ns); false = the thread hangs and is left alone:
 * then nothing that it uses may be destroyed. */
bool kx_loop_join(struct kx_loop *loop, uint64_t deadline_ns);
/* Any thread: until when the ingest thread may stay silent (boot clock); UINT64_MAX = for ever,
 * when it has not started or has ended. */
uint64_t kx_loop_alive_ns(const struct kx_loop *loop);
/* Any thread: how many devices are remembered. */
uint32_t kx_loop_devices(const struct kx_loop *loop);
/* After the end: whether every source that was to finish (--once, replay) did so completely. */
bool kx_loop_complete(const struct kx_loop *loop);
void kx_loop_destroy(struct kx_loop *loop);

#endif
