/*
 * A ring of uids in the order of insertion and, over it, an open-addressing table of ring places,
 * at most half full; removal shifts back.
 *
 *     ring  | uid 0 | uid 1 | ... | uid 4095 |     next: the place that is written, and overwritten
 *     table | 0 | place + 1 | 0 | ...              home = SipHash of the uid under a random key
 */
#include "ingest/dedupe.h"
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = KX_DEDUPE_UIDS * 2, SLOT_MASK = SLOTS - 1 };
static_assert((SLOTS & SLOT_MASK) == 0, "a power of two");
static_assert(KX_DEDUPE_UIDS < UINT16_MAX, "place + 1 fits a slot");

struct kx_dedupe {
    struct kx_hash_key key;
    uint32_t next;
    uint32_t count;
    uint16_t slots[SLOTS];
    uint8_t uids[KX_DEDUPE_UIDS][KX_UID_BYTES];
};

enum kx_code kx_dedupe_create(struct kx_dedupe **ret_dedupe, struct kx_error *err)
{
    struct kx_dedupe *dedupe = calloc(1, sizeof *dedupe);
    if (dedupe == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a source's set of events");
    kx_hash_random(&dedupe->key, sizeof dedupe->key);
    *ret_dedupe = dedupe;
    return KX_OK;
}

void kx_dedupe_destroy(struct kx_dedupe *dedupe)
{
    free(dedupe);
}

static uint32_t home_of(const struct kx_dedupe *dedupe, const uint8_t uid[KX_UID_BYTES])
{
    return (uint32_t)kx_hash_sip(&dedupe->key, uid, KX_UID_BYTES) & SLOT_MASK;
}

/* The uid's slot, or the empty one where the search ended. */
static uint32_t slot_of(const struct kx_dedupe *dedupe, const uint8_t uid[KX_UID_BYTES])
{
    uint32_t at = home_of(dedupe, uid);
    while (dedupe->slots[at] != 0 &&
           memcmp(dedupe->uids[dedupe->slots[at] - 1], uid, KX_UID_BYTES) != 0)
        at = (at + 1) & SLOT_MASK;
    return at;
}

bool kx_dedupe_has(const struct kx_dedupe *dedupe, const uint8_t uid[KX_UID_BYTES])
{
    return dedupe->slots[slot_of(dedupe, uid)] != 0;
}

/* Empties a slot; who stands behind it in the same run moves up into the hole, unless that would
 * put him before his own place. */
static void slot_remove(struct kx_dedupe *dedupe, uint32_t hole)
{
    for (uint32_t at = (hole + 1) & SLOT_MASK; dedupe->slots[at] != 0; at = (at + 1) & SLOT_MASK) {
        uint32_t home = home_of(dedupe, dedupe->uids[dedupe->slots[at] - 1]);
        if (((at - home) & SLOT_MASK) >= ((at - hole) & SLOT_MASK)) {
            dedupe->slots[hole] = dedupe->slots[at];
            hole = at;
        }
    }
    dedupe->slots[hole] = 0;
}

void kx_dedupe_add(struct kx_dedupe *dedupe, const uint8_t uid[KX_UID_BYTES])
{
    if (kx_dedupe_has(dedupe, uid))
        return;
    uint8_t *place = dedupe->uids[dedupe->next];
    if (dedupe->count == KX_DEDUPE_UIDS)
        slot_remove(dedupe, slot_of(dedupe, place));
    else
        dedupe->count++;
    memcpy(place, uid, KX_UID_BYTES);
    dedupe->slots[slot_of(dedupe, place)] = (uint16_t)(dedupe->next + 1);
    dedupe->next = (dedupe->next + 1) % KX_DEDUPE_UIDS;
}
