/*
 * What stands in a device's `extra`: the fields of Kismet's that configurations asked for, by key
 * and typed, for sinks that have a column of its own for each.
 *
 * The object is as ingest writes it, {"as":value,...}: one level, no white space, keys of
 * lower-case letters, digits and '_', each value of the type that was asked for. Nothing is
 * believed for all that: from the first byte that is otherwise, the rest is taken as absent, and
 * nothing outside of the object is ever read.
 *
 * Pure functions, no state, any thread; nothing is allocated. Columns are borrowed. Values borrow
 * the caller's room, where texts stand without their escapes, until it is used again.
 */
#ifndef KX_RECORD_EXTRA_H
#define KX_RECORD_EXTRA_H

#include "record/record.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What such a field is taken as. */
enum kx_extra_type { KX_EXTRA_TEXT, KX_EXTRA_INTEGER, KX_EXTRA_NUMBER, KX_EXTRA_BOOL };
enum {
    KX_EXTRA_FIELDS_MAX = 32,  /* of one source */
    KX_EXTRA_COLUMNS_MAX = 64, /* different ones, of all sources */
    KX_EXTRA_NAME_BYTES_MAX = 32,
};

/* A field that some source asks for: a column's name and type. */
struct kx_extra_column {
    const char *name;
    enum kx_extra_type type;
};

struct kx_extra_columns {
    struct kx_extra_column items[KX_EXTRA_COLUMNS_MAX];
    size_t count;
};

/* A value; which member holds it is the column's type. */
struct kx_extra_value {
    bool known; /* false: absent, or of another type: NULL */
    bool boolean;
    int64_t integer;
    double number;    /* finite */
    const char *text; /* UTF-8, not NUL-terminated; a NUL that Kismet had in it is U+FFFD */
    size_t length;
};

/* ret_values[i] is the record's value of columns->items[i]; every one of them is set. */
void kx_extra_read(const struct kx_device *device,
                   const struct kx_extra_columns *columns,
                   struct kx_extra_value ret_values[KX_EXTRA_COLUMNS_MAX],
                   char room[KX_EXTRA_BYTES_MAX]);

#endif
