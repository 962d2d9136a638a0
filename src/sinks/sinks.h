/*
 * The table of sinks: which operations a `type:` of the configuration stands for.
 *
 * Constant; any thread.
 */
#ifndef KX_SINKS_SINKS_H
#define KX_SINKS_SINKS_H

#include "batch/sink.h"

const struct kx_sink_ops *kx_sinks_find(enum kx_sink_type type);

#endif
