/*
 * The account at the end of a run: what became of every record, in the log and, as the script did,
 * in a block of statistics.
 *
 * Borrows everything; the main thread's, when no other counts any more.
 */
#ifndef KX_ACCOUNT_H
#define KX_ACCOUNT_H

#include "batch/pipe.h"
#include "config/config.h"
#include "stats/board.h"
#include "stats/counters.h"
#include <stdbool.h>

struct kx_account {
    const struct kx_config *config;
    struct kx_board *board;
    struct kx_counters *const *sources; /* a block a source */
    const struct kx_counters *process, *main;
    struct kx_pipe *const *pipes;
    size_t pipe_count;
    uint64_t begun_ns; /* boot clock */
};

/* Says it. True when every record that was taken in was also delivered. */
bool kx_account_say(const struct kx_account *account);

#endif
