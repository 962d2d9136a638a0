/*
 * `mac_case`: a MAC as this sink is to write it. Records carry upper case, as Kismet does.
 *
 * Pure, any thread.
 */
#ifndef KX_ENCODE_MAC_H
#define KX_ENCODE_MAC_H

#include "config/config.h"
#include <stdbool.h>
#include <stddef.h>

enum { KX_ENCODE_MAC_MAX = 64 }; /* bytes; anything longer is no MAC and stays as it is */

/* text itself, or its lower-case copy in out; both have length bytes. */
static inline const char *kx_encode_mac(enum kx_mac_case mac_case,
                                        const char *text,
                                        size_t length,
                                        char out[KX_ENCODE_MAC_MAX])
{
    if (mac_case == KX_MAC_UPPER || length > KX_ENCODE_MAC_MAX)
        return text;
    for (size_t i = 0; i < length; i++) {
        bool upper = text[i] >= 'A' && text[i] <= 'Z';
        out[i] = (char)(upper ? text[i] + ('a' - 'A') : text[i]);
    }
    return out;
}

#endif
