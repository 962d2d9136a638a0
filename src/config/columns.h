/*
 * The extra fields of all sources as columns of one table.
 *
 * Pure functions over the configuration; any thread. The columns borrow their names from it.
 */
#ifndef KX_CONFIG_COLUMNS_H
#define KX_CONFIG_COLUMNS_H

#include "base/error.h"
#include "config/config.h"
#include <stdbool.h>

/* Whether no extra field may have this name: a column of our tables, or of every table of a
 * database, has it already. */
bool kx_columns_reserved(const char *as);
/* One name means one type in all sources, and there are KX_EXTRA_COLUMNS_MAX names at most: else
 * KX_ERR_CONFIG with the line of the source. */
enum kx_code kx_columns_check(const struct kx_config *config, struct kx_error *err);
/* The different extra fields of all sources, in the order of the configuration, which was checked.
 */
void kx_columns_get(const struct kx_config *config, struct kx_extra_columns *ret_columns);

#endif
