/*
 * What must fit together within one sink of a kind, beyond what its rows say.
 *
 * Runs at start and in a reload, one thread. Failure: KX_ERR_CONFIG, with the remedy, or
 * KX_ERR_NOMEM.
 */
#ifndef KX_CONFIG_FINISH_SINK_H
#define KX_CONFIG_FINISH_SINK_H

#include "config/config.h"

/* The sink has its name; its secrets are not read yet. Warnings go to config->warnings. */
enum kx_code
kx_finish_sink(struct kx_config *config, struct kx_sink_config *sink, struct kx_error *err);

#endif
