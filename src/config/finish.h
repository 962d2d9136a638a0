/*
 * What remains when every value is known: names that nobody gave, and what must fit together.
 *
 * Runs at start, one thread. Failure: KX_ERR_CONFIG with file, line and remedy.
 */
#ifndef KX_CONFIG_FINISH_H
#define KX_CONFIG_FINISH_H

#include "config/config.h"

enum kx_code kx_config_finish(struct kx_config *config, struct kx_error *err);

#endif
