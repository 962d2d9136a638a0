/* Parsing of masks; the contract stands in the header. */
#include "base/mac_mask.h"

#include "base/error.h"
#include "base/text.h"
#include <stdlib.h>
#include <string.h>

bool kx_mac_mask_parse(const char *text, struct kx_mac_mask *ret_mask)
{
    size_t length = strcspn(text, "/");
    struct kx_mac_mask one = {.mask = UINT64_MAX};
    if (!kx_text_mac(text, length, &one.mac))
        return false;
    if (text[length] == '/' &&
        !kx_text_mac(text + length + 1, strlen(text + length + 1), &one.mask))
        return false;
    one.mac &= one.mask;
    *ret_mask = one;
    return true;
}

bool kx_mac_masks_init(struct kx_mac_masks *masks, char *const *texts, size_t count)
{
    *masks = (struct kx_mac_masks){0};
    if (count == 0)
        return true;
    masks->items = calloc(count, sizeof *masks->items);
    if (masks->items == NULL)
        return false;
    for (; masks->count < count; masks->count++) {
        bool right = kx_mac_mask_parse(texts[masks->count], &masks->items[masks->count]);
        KX_ASSERT(right); /* config/check.c took it */
    }
    return true;
}

void kx_mac_masks_fini(struct kx_mac_masks *masks)
{
    free(masks->items);
    *masks = (struct kx_mac_masks){0};
}
