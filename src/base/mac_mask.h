/*
 * Lists of MACs, each with a mask: "AA:BB:CC:DD:EE:FF" or "AA:BB:CC:00:00:00/FF:FF:FF:00:00:00".
 *
 * A list owns its array; zeroed memory is an empty list. Made by one thread, then any may read.
 * Lists are short and walked. Failure (no memory): false, the list is empty.
 */
#ifndef KX_BASE_MAC_MASK_H
#define KX_BASE_MAC_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kx_mac_mask {
    uint64_t mac; /* under its mask */
    uint64_t mask;
};

struct kx_mac_masks {
    struct kx_mac_mask *items;
    size_t count;
};

/* False when the text is none; *ret_mask is untouched then. */
bool kx_mac_mask_parse(const char *text, struct kx_mac_mask *ret_mask);
/* Of texts that kx_mac_mask_parse takes. */
bool kx_mac_masks_init(struct kx_mac_masks *masks, char *const *texts, size_t count);
void kx_mac_masks_fini(struct kx_mac_masks *masks);

static inline bool kx_mac_masks_have(const struct kx_mac_masks *masks, uint64_t mac)
{
    for (size_t i = 0; i < masks->count; i++)
        if ((mac & masks->items[i].mask) == masks->items[i].mac)
            return true;
    return false;
}

#endif
