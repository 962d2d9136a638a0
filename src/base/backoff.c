/*
 * The wait between tries: a doubling ceiling, and anywhere under it by chance.
 */
#include "base/backoff.h"
#include "base/hash.h"
#include <limits.h>

void kx_backoff_init(struct kx_backoff *backoff, uint64_t min_ns, uint64_t max_ns)
{
    *backoff = (struct kx_backoff){.min_ns = min_ns, .max_ns = max_ns};
    kx_hash_random(&backoff->random, sizeof backoff->random);
}

/* SplitMix64 (Steele, Lea, Flood 2014): any seed will do, zero too. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t word = *state += 0x9e3779b97f4a7c15u;
    word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9u;
    word = (word ^ word >> 27) * 0x94d049bb133111ebu;
    return word ^ word >> 31;
}

uint64_t kx_backoff_next_ns(struct kx_backoff *backoff)
{
    uint64_t ceiling = backoff->max_ns;
    if (backoff->tries < 64 && backoff->min_ns <= backoff->max_ns >> backoff->tries)
        ceiling = backoff->min_ns << backoff->tries;
    if (backoff->tries < UINT_MAX)
        backoff->tries++;
    if (ceiling == 0)
        return 0;
    /* The remainder favours small waits by less than ceiling / 2^64: by nothing. */
    uint64_t wait = 1 + next_random(&backoff->random) % ceiling;
    uint64_t least = backoff->min_ns / 10 < ceiling ? backoff->min_ns / 10 : ceiling;
    return wait > least ? wait : least;
}

void kx_backoff_reset(struct kx_backoff *backoff)
{
    backoff->tries = 0;
}
