/*
 * Records as rows of PostgreSQL's COPY BINARY: for the two temporary tables that each batch goes
 * into.
 *
 * Pure, no database; the struct is the caller's; one thread. A row is one number, two times and the
 * columns of `fields` in the order of enum kx_field; of an event its seven columns. What is not
 * known is NULL. Nothing of a text can end a row: it goes with its length, ill-formed UTF-8 and NUL
 * are repaired, though no record has them. A failed buffer is its owner's to find.
 *
 * Source of the format: PostgreSQL's manual, COPY, "Binary Format"; each type's external form.
 */
#ifndef KX_SINKS_POSTGRES_COPY_H
#define KX_SINKS_POSTGRES_COPY_H

#include "base/buf.h"
#include "config/config.h"
#include "record/extra.h"
#include "record/record.h"

struct kx_postgres_copy {
    enum kx_mac_case mac_case;
    enum kx_compat compat;
    uint64_t fields;                              /* bit (1ull << enum kx_field): the columns */
    const struct kx_extra_columns *extra_columns; /* borrowed; NULL = none */
    uint64_t extras;       /* bit i: extra_columns->items[i] is a column, too, behind the fields */
    uint64_t narrow;       /* of the fields, numbers whose column in the table has but 32 bits */
    uint64_t out_of_range; /* counted up: numbers that were left out because of that */
};

void kx_postgres_copy_head(struct kx_buf *out);
/* n: the row's place in the batch. */
void kx_postgres_copy_device(struct kx_postgres_copy *copy,
                             struct kx_buf *out,
                             const struct kx_device *device,
                             uint32_t n);
void kx_postgres_copy_event(const struct kx_postgres_copy *copy,
                            struct kx_buf *out,
                            const struct kx_event *event);
void kx_postgres_copy_tail(struct kx_buf *out);

#endif
