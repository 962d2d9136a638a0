/*
 * The progress view: what somebody at a terminal sees instead of log lines.
 *
 *     sources   2 streaming, 1 backing_off
 *     db        12,345 sent     123.4/s   0.8 s behind   ok
 *     bus        9,870 sent       0.0/s   4 min behind   held: broker kitchen: not authorised
 *
 * Rates are of the last KX_PROGRESS_SAMPLES draws. Pure but for the samples it keeps: no clock, no
 * terminal. One thread, main. Texts are made safe for a terminal and cut to its width.
 */
#ifndef KX_STATS_PROGRESS_H
#define KX_STATS_PROGRESS_H

#include "base/buf.h"
#include "stats/board.h"
#include <stddef.h>
#include <stdint.h>

enum { KX_PROGRESS_SAMPLES = 10, KX_PROGRESS_ROWS_MAX = 32 };

struct kx_progress {
    unsigned draws; /* so far */
    uint64_t at_ns[KX_PROGRESS_SAMPLES];
    uint64_t delivered[KX_PROGRESS_SAMPLES][KX_PROGRESS_ROWS_MAX];
};

struct kx_progress_sink {
    struct kx_sink_status status;
    uint64_t delivered, pending; /* records */
};

/* Appends the view, a line for all sources and one a sink. width: of the terminal, in columns (0 =
 * not known: 80). boot_ns and wall_ns are now. */
void kx_progress_draw(struct kx_progress *progress,
                      struct kx_board *board,
                      const struct kx_progress_sink *sinks,
                      size_t count,
                      unsigned width,
                      uint64_t boot_ns,
                      int64_t wall_ns,
                      struct kx_buf *out);

#endif
