/*
 * Capped exponential backoff with full jitter: the wait before try n is uniform in (0, min(max, min
 * * 2^n)] but never under a tenth of min, so that a crowd of clients neither marches in step nor
 * spins.
 *
 * Plain data, one thread, no clock: the caller adds the wait to his own now.
 */
#ifndef KX_BASE_BACKOFF_H
#define KX_BASE_BACKOFF_H

#include <stdint.h>

struct kx_backoff {
    uint64_t min_ns, max_ns;
    unsigned tries;  /* failures since the last reset */
    uint64_t random; /* state of the generator; seeded by init */
};

void kx_backoff_init(struct kx_backoff *backoff, uint64_t min_ns, uint64_t max_ns);
/* The wait before the next try, and one more failure counted. */
uint64_t kx_backoff_next_ns(struct kx_backoff *backoff);
/* After a success. */
void kx_backoff_reset(struct kx_backoff *backoff);

#endif
