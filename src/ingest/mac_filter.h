/*
 * Which devices a source is about: a list of MACs, each with a mask.
 *
 * Owns its array; made once at start, then read by the ingest thread. No list = every device.
 * Failure: KX_ERR_NOMEM; the texts were checked with the configuration.
 */
#ifndef KX_INGEST_MAC_FILTER_H
#define KX_INGEST_MAC_FILTER_H

#include "base/error.h"
#include "config/strings.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kx_mac_mask {
    uint64_t mac; /* under its mask */
    uint64_t mask;
};

struct kx_mac_filter {
    struct kx_mac_mask *masks;
    size_t count; /* 0 = every device */
};

enum kx_code kx_mac_filter_init(struct kx_mac_filter *filter,
                                const struct kx_strings *macs,
                                struct kx_error *err);
void kx_mac_filter_fini(struct kx_mac_filter *filter);
/* Whether a device of this address is wanted. What is no address is none of the list's. */
bool kx_mac_filter_has(const struct kx_mac_filter *filter, const char *mac, size_t length);

#endif
