/*
 * The console: a line a device and a line an event on standard output, as text or as JSON.
 *
 * Standard output is shared with other processes and may be a terminal, a pipe, a socket or a
 * file; this sink never changes its flags and never blocks on it. No name from the air reaches it
 * with a byte that a terminal obeys. A line is begun once and ended once: what a slow reader did
 * not take is remembered and goes out before anything else, so a retry repeats nothing.
 *
 * Owns two buffers of a fixed size, got at the start. One thread. A reader that went away is
 * KX_GONE, a full disk KX_HOLD, a slow reader KX_RETRY at the deadline.
 */
#ifndef KX_SINKS_CONSOLE_H
#define KX_SINKS_CONSOLE_H

#include "batch/sink.h"

extern const struct kx_sink_ops kx_console_ops;

/* What kx_console_ops.open does with standard output, for any descriptor: borrowed, not closed. */
enum kx_code
kx_console_open(const struct kx_sink_config *config, int fd, void **ret_self, struct kx_error *err);

#endif
