/*
 * What may change while a sink runs: its filter, its delta, its fields and its batches, compiled.
 *
 * Made from the configuration by kx_sink_settings_compile, constant from then on, so any number of
 * threads may read it. Its creator destroys it, when no reader can hold it any more: a worker asks
 * for the settings once a step, through the function that it was given (worker.h), and keeps no
 * pointer to them between two steps. Two settings are told apart by their serial, never by their
 * address, which may be used again.
 *
 * Failure (KX_ERR_CONFIG: the text names the key and the remedy; KX_ERR_NOMEM) leaves nothing
 * behind.
 */
#ifndef KX_BATCH_SETTINGS_H
#define KX_BATCH_SETTINGS_H

#include "base/error.h"
#include "batch/delta.h"
#include "batch/filter.h"
#include "config/config.h"
#include <stdint.h>

struct kx_sink_settings {
    uint64_t serial; /* of this process' settings, from 1: another one means: look again */
    uint64_t fields; /* bit (1 << enum kx_field): what leaves the program; default all */
    struct kx_batch_config batch;
    struct kx_filter filter;
    struct kx_delta_rules delta;
};

/* Every sink's, from its own part of the configuration. */
enum kx_code kx_sink_settings_compile(const struct kx_sink_config *config,
                                      struct kx_sink_settings **ret_settings,
                                      struct kx_error *err);
void kx_sink_settings_destroy(struct kx_sink_settings *settings); /* NULL-safe */

/* The settings as they are now, for the length of one step of a worker. */
typedef const struct kx_sink_settings *kx_sink_settings_get(void *context);

#endif
