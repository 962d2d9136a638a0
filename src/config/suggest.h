/*
 * "Did you mean": the nearest of the words that were offered.
 *
 * Plain data, one thread; borrows the words.
 */
#ifndef KX_CONFIG_SUGGEST_H
#define KX_CONFIG_SUGGEST_H

#include <stddef.h>

struct kx_suggest {
    const char *word; /* what somebody wrote */
    const char *best; /* NULL = nothing is near */
    size_t distance;
};

enum { KX_SUGGEST_TEXT_MAX = 64 };

void kx_suggest_offer(struct kx_suggest *suggest, const char *candidate);
/* ", did you mean 'rate'?" (with opening put before the word), or "". Returns out. */
const char *kx_suggest_text(const struct kx_suggest *suggest,
                            const char *opening,
                            char out[KX_SUGGEST_TEXT_MAX]);

#endif
