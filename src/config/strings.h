/*
 * A list of texts, from YAML or a comma list.
 *
 * Owns the texts and the array; zeroed memory is an empty list. One thread fills it, then any may
 * read. Failure (no memory, more than KX_STRINGS_MAX): false, the list is as it was.
 */
#ifndef KX_CONFIG_STRINGS_H
#define KX_CONFIG_STRINGS_H

#include <stdbool.h>
#include <stddef.h>

enum { KX_STRINGS_MAX = 4096 };

struct kx_strings {
    char **items;
    size_t count;
};

/* Appends a copy of length bytes. */
bool kx_strings_add(struct kx_strings *list, const char *text, size_t length);
/* Appends a written text. */
bool kx_strings_addf(struct kx_strings *list, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Appends the parts of a comma list, without the spaces around them and without empty parts. */
bool kx_strings_split(struct kx_strings *list, const char *text);
void kx_strings_fini(struct kx_strings *list);

#endif
