/* The account of a sealed batch. */
#include "batch/sealed.h"

#include "base/error.h"
#include <string.h>

enum { BITS = 64 };

static uint32_t words(const struct kx_sealed *sealed)
{
    return (sealed->records + BITS - 1) / BITS;
}

/* The bits of word w that stand for records. */
static uint64_t mask(const struct kx_sealed *sealed, uint32_t w)
{
    uint32_t bits = sealed->records - w * BITS;
    return bits >= BITS ? UINT64_MAX : (1ull << bits) - 1;
}

void kx_sealed_begin(struct kx_sealed *sealed, uint32_t events, uint64_t opened_ns)
{
    struct kx_store *store = &sealed->store;
    sealed->records = sealed->pending = store->slots;
    sealed->delivered = 0;
    sealed->events = events;
    sealed->opened_ns = opened_ns;
    KX_ASSERT(sealed->records > 0 && events <= sealed->records);
    memset(store->done, 0, words(sealed) * sizeof *store->done);
    memset(store->settled, 0, words(sealed) * sizeof *store->settled);
    sealed->view = (struct kx_batch){.bytes = store->bytes,
                                     .offsets = store->offsets,
                                     .changed = store->changed,
                                     .end = sealed->records,
                                     .done = store->done};
}

/* How many of the records whose bits are set in word w are events. Most batches hold one kind only,
 * and then no record is looked at. */
static uint32_t events_among(const struct kx_sealed *sealed, uint32_t w, uint64_t bits)
{
    if (sealed->events == 0)
        return 0;
    if (sealed->events == sealed->records)
        return (uint32_t)__builtin_popcountll(bits);
    uint32_t events = 0;
    for (; bits != 0; bits &= bits - 1) {
        uint32_t slot = w * BITS + (uint32_t)__builtin_ctzll(bits);
        events += kx_store_record(&sealed->store, slot)->kind == KX_KIND_EVENT;
    }
    return events;
}

void kx_sealed_observe(const struct kx_sealed *sealed,
                       struct kx_histograms *histograms,
                       int64_t wall_ns)
{
    for (uint32_t w = 0; w < words(sealed); w++) {
        uint64_t bits = sealed->store.done[w] & ~sealed->store.settled[w] & mask(sealed, w);
        for (; bits != 0; bits &= bits - 1) {
            uint32_t slot = w * BITS + (uint32_t)__builtin_ctzll(bits);
            int64_t age_ns = wall_ns - kx_store_record(&sealed->store, slot)->received_ns;
            /* A clock that was set back makes nothing fresher than fresh. */
            kx_histogram_observe(histograms, KX_H_FRESHNESS, age_ns > 0 ? (uint64_t)age_ns : 0, 1);
        }
    }
}

uint32_t kx_sealed_settle_done(struct kx_sealed *sealed, struct kx_counters *counters)
{
    uint32_t delivered = 0, events = 0;
    for (uint32_t w = 0; w < words(sealed); w++) {
        uint64_t bits = sealed->store.done[w] & ~sealed->store.settled[w] & mask(sealed, w);
        if (bits == 0)
            continue;
        sealed->store.settled[w] |= bits;
        delivered += (uint32_t)__builtin_popcountll(bits);
        events += events_among(sealed, w, bits);
    }
    KX_ASSERT(delivered <= sealed->pending);
    sealed->pending -= delivered;
    sealed->delivered += delivered;
    kx_count(counters, KX_C_DELIVERED, delivered);
    kx_count(counters, KX_C_DELIVERED_EVENTS, events);
    return delivered;
}

bool kx_sealed_settle(struct kx_sealed *sealed,
                      uint32_t slot,
                      struct kx_counters *counters,
                      enum kx_counter end)
{
    uint64_t bit = 1ull << (slot % BITS);
    KX_ASSERT(slot < sealed->records);
    if ((sealed->store.settled[slot / BITS] & bit) != 0)
        return false;
    sealed->store.settled[slot / BITS] |= bit;
    sealed->store.done[slot / BITS] |= bit;
    sealed->pending--;
    kx_count(counters, end, 1);
    return true;
}

uint32_t
kx_sealed_settle_rest(struct kx_sealed *sealed, struct kx_counters *counters, enum kx_counter end)
{
    uint32_t rest = sealed->pending;
    sealed->pending = 0; /* the bits are of no use any more */
    kx_count(counters, end, rest);
    return rest;
}
