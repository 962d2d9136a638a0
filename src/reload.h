/*
 * What SIGHUP does: read the configuration again, and change what can be changed under way.
 *
 * First everything that can fail: the file is read and validated whole, every sink's settings are
 * compiled, every copy is made. Then everything is published, which cannot fail; readers are waited
 * for, and the old is freed. So a bad file changes nothing. What only a new start heeds is named in
 * the log.
 *
 * Owns the sinks' configurations as they hold now; borrows the rest. The main thread's.
 */
#ifndef KX_RELOAD_H
#define KX_RELOAD_H

#include "batch/pipe.h"
#include "config/config.h"
#include "ingest/loop.h"
#include "stats/board.h"
#include "stats/counters.h"

struct kx_reload;

struct kx_reload_params {
    const struct kx_config *start; /* what the program was started with; a pipe for each sink */
    struct kx_pipe *const *pipes;
    struct kx_loop *loop;
    struct kx_board *board;
    struct kx_counters *counters; /* the main thread's */
};

/* params is copied. */
enum kx_code kx_reload_create(struct kx_reload **ret_reload,
                              const struct kx_reload_params *params,
                              struct kx_error *err);
void kx_reload_destroy(struct kx_reload *reload); /* NULL-safe */

/* One SIGHUP. Says in the log what came of it. */
void kx_reload_run(struct kx_reload *reload);

#endif
