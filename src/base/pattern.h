/*
 * A regular expression (PCRE2: Perl's syntax, over UTF-8), compiled once and matched often.
 *
 * Owns the compiled code and the memory to match in, so only one thread at a time may match.
 * Patterns come from the configuration, the subjects from strangers: a match that backtracks
 * beyond its limits ends as no match, and costs well under a millisecond.
 */
#ifndef KX_BASE_PATTERN_H
#define KX_BASE_PATTERN_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>

struct kx_pattern;

/* KX_ERR_CONFIG: the text says what is wrong, and at which character. KX_ERR_NOMEM. */
enum kx_code
kx_pattern_create(struct kx_pattern **ret_pattern, const char *text, struct kx_error *err);
void kx_pattern_destroy(struct kx_pattern *pattern); /* NULL-safe */
/* Whether it is found anywhere in the subject, which is well-formed UTF-8. */
bool kx_pattern_match(const struct kx_pattern *pattern, const char *subject, size_t length);

#endif
