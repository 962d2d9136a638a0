/*
 * ${VAR} in the values of the file: the environment's part of a text.
 *
 * Reads the environment, keeps nothing; at start, when no other thread changes it.
 */
#ifndef KX_CONFIG_EXPAND_H
#define KX_CONFIG_EXPAND_H

#include "base/error.h"
#include <stdbool.h>

enum { KX_EXPAND_BYTES_MAX = 65536 };

/* Replaces each ${NAME} by the variable, and ${NAME:-words} by the words when it is unset or empty.
 * $${ is a plain ${, any other $ stands for itself; what comes from a variable is not read again.
 * *ret_text is the caller's to free; *ret_expanded (may be NULL) says that a variable was used.
 * KX_ERR_CONFIG: unset without words (the text names it), or no '}'. */
enum kx_code kx_expand(const char *text, char **ret_text, bool *ret_expanded, struct kx_error *err);

#endif
