/* A list of masks, walked: lists are short, and Kismet has narrowed the stream already. */
#include "ingest/mac_filter.h"

#include "base/text.h"
#include <stdlib.h>
#include <string.h>

enum kx_code kx_mac_filter_init(struct kx_mac_filter *filter,
                                const struct kx_strings *macs,
                                struct kx_error *err)
{
    *filter = (struct kx_mac_filter){0};
    if (macs->count == 0)
        return KX_OK;
    filter->masks = calloc(macs->count, sizeof(*filter->masks));
    if (filter->masks == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the list of MACs");
    for (size_t i = 0; i < macs->count; i++) {
        const char *text = macs->items[i];
        size_t length = strcspn(text, "/");
        struct kx_mac_mask one = {.mask = UINT64_MAX};
        bool right = kx_text_mac(text, length, &one.mac);
        if (right && text[length] == '/')
            right = kx_text_mac(text + length + 1, strlen(text + length + 1), &one.mask);
        KX_ASSERT(right); /* config/check.c took it */
        one.mac &= one.mask;
        filter->masks[filter->count++] = one;
    }
    return KX_OK;
}

void kx_mac_filter_fini(struct kx_mac_filter *filter)
{
    free(filter->masks);
    *filter = (struct kx_mac_filter){0};
}

bool kx_mac_filter_has(const struct kx_mac_filter *filter, const char *mac, size_t length)
{
    uint64_t bits;
    if (filter->count == 0)
        return true;
    if (!kx_text_mac(mac, length, &bits))
        return false;
    for (size_t i = 0; i < filter->count; i++)
        if ((bits & filter->masks[i].mask) == filter->masks[i].mac)
            return true;
    return false;
}
