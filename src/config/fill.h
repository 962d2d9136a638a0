/*
 * The YAML tree into the structs, by the option table.
 *
 * Sources and sinks are created with their defaults and then filled; what `config` had before stays
 * where the file says nothing. The walk follows the table's sections, so its depth is the table's
 * and an alias to its own parent ends in "unknown key". One thread. Failure: the first error, as
 * "file:line: key: what, and what to write instead"; config is then good for kx_config_destroy
 * only.
 */
#ifndef KX_CONFIG_FILL_H
#define KX_CONFIG_FILL_H

#include "config/config.h"
#include "config/yaml.h"

enum kx_code
kx_config_fill(struct kx_config *config, const struct kx_yaml *yaml, struct kx_error *err);

#endif
