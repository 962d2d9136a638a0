/*
 * A third of a word may be wrong, at most three letters; of equals the first offered wins.
 */
#include "config/suggest.h"

#include "base/text.h"
#include <stdio.h>
#include <string.h>

enum { DISTANCE_MAX = 3 };

void kx_suggest_offer(struct kx_suggest *suggest, const char *candidate)
{
    size_t limit = (strlen(suggest->word) + 2) / 3;
    if (limit > DISTANCE_MAX)
        limit = DISTANCE_MAX;
    size_t distance = kx_text_distance(suggest->word, candidate, limit);
    if (distance > limit || (suggest->best != NULL && distance >= suggest->distance))
        return;
    suggest->best = candidate;
    suggest->distance = distance;
}

const char *kx_suggest_text(const struct kx_suggest *suggest,
                            const char *opening,
                            char out[KX_SUGGEST_TEXT_MAX])
{
    out[0] = '\0';
    if (suggest->best != NULL)
        snprintf(out, KX_SUGGEST_TEXT_MAX, ", did you mean '%s%s'?", opening, suggest->best);
    return out;
}
