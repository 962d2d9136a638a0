/*
 * Fields of Kismet's that a source's configuration asks for beside ours.
 *
 * Plain data, apart from the rest of the configuration because the parser, which is C++, reads it.
 * Owned by the source's configuration, read-only after the start.
 */
#ifndef KX_CONFIG_EXTRA_H
#define KX_CONFIG_EXTRA_H

#include "record/extra.h"
#include <stddef.h>

struct kx_extra_field {
    char *path; /* Kismet's: names joined by '/' */
    char *as;   /* its key in the record's `extra`: lower-case letters, digits, '_' */
    enum kx_extra_type type;
};

struct kx_extra_fields {
    struct kx_extra_field *items;
    size_t count;
};

#endif
