/*
 * Fields of Kismet's that a source's configuration asks for beside ours.
 *
 * Plain data, apart from the rest of the configuration because the parser, which is C++, reads it.
 * Owned by the source's configuration, read-only after the start.
 */
#ifndef KX_CONFIG_EXTRA_H
#define KX_CONFIG_EXTRA_H

#include <stddef.h>

/* What such a field is taken as. */
enum kx_extra_type { KX_EXTRA_TEXT, KX_EXTRA_INTEGER, KX_EXTRA_NUMBER, KX_EXTRA_BOOL };
enum { KX_EXTRA_FIELDS_MAX = 32, KX_EXTRA_NAME_BYTES_MAX = 32 };

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
