/*
 * What the outside sees while the program runs: the progress view on a terminal, and what the
 * service manager is told (ready, status, watchdog).
 *
 * Owns the words to the service manager; borrows the rest. The main thread's. Nothing of it can
 * fail: who cannot be told is not told.
 */
#ifndef KX_DISPLAY_H
#define KX_DISPLAY_H

#include "base/notify.h"
#include "batch/pipe.h"
#include "config/config.h"
#include "stats/board.h"
#include "stats/progress.h"
#include "stats/pulse.h"
#include <stdbool.h>

struct kx_display {
    const struct kx_config *config;
    struct kx_board *board;
    struct kx_pipe *const *pipes;
    struct kx_pulse *pulse;
    bool starves; /* a thread is late: the watchdog is not fed */
    struct kx_notify notify;
    struct kx_progress progress;
    uint64_t draw_ns; /* boot clock: the next drawing */
};

/* Takes what the service manager left in the environment: before any thread starts. */
void kx_display_open(struct kx_display *display, const struct kx_config *config);
/* Every thread runs. */
void kx_display_ready(struct kx_display *display,
                      struct kx_board *board,
                      struct kx_pipe *const *pipes,
                      struct kx_pulse *pulse);
/* Draws and tells what is due. About once a second or more often: whether threads move is judged by
 * looks. */
void kx_display_step(struct kx_display *display, uint64_t now_ns);
/* When there is something to do again. */
uint64_t kx_display_due_ns(const struct kx_display *display);
/* Around a reload. */
void kx_display_reloading(struct kx_display *display);
void kx_display_reloaded(struct kx_display *display);
/* The end begins: the panel goes away, for good, and the log is as elsewhere. */
void kx_display_stopping(struct kx_display *display);
void kx_display_close(struct kx_display *display);

#endif
