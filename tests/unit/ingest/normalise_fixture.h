/*
 * What the three tests of the normaliser share: one server, one device, one place for the record.
 */
#ifndef KX_TESTS_NORMALISE_FIXTURE_H
#define KX_TESTS_NORMALISE_FIXTURE_H

#include "ingest/normalise.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SERVER "BFAE90F0-E6A4-11F1-B392-4B49534D4554"
#define KEY "4202770D00000000_280000EB27B8"
#define MAC "B8:27:EB:00:00:28"
#define S INT64_C(1000000000)
#define NOW_S INT64_C(1763000000)

static _Alignas(8) unsigned char memory[KX_RECORD_BYTES_MAX];
static struct kx_normalise_notes notes;

static inline struct kx_json_text text(const char *literal)
{
    return (struct kx_json_text){literal, strlen(literal)};
}

static inline struct kx_normalise context(void)
{
    return (struct kx_normalise){
        .source = text("kitchen"),
        .server_uuid = text(SERVER),
        .received_ns = NOW_S * S,
        .sequence = 77,
        .epoch = 1,
        .source_index = 3,
    };
}

/* The least that the parser lets through. */
static inline struct kx_json_device bare_device(void)
{
    return (struct kx_json_device){.key = text(KEY), .mac_addr = text(MAC)};
}

static inline void set(struct kx_json_device *in, enum kx_json_field field)
{
    in->has |= (uint32_t)1 << field;
}

/* The record of in, which must be well-formed. */
static inline const struct kx_device *normalise(const struct kx_normalise *ctx,
                                                const struct kx_json_device *in,
                                                struct kx_registry_entry *entry)
{
    memset(memory, 0xa5, sizeof memory);
    memset(&notes, 0xa5, sizeof notes);
    size_t length = kx_normalise_device(ctx, in, entry, memory, sizeof memory, &notes);
    assert_true(kx_record_valid(memory, length));
    assert_false(notes.too_big);
    assert_int_equal(((const struct kx_record *)memory)->kind, KX_KIND_DEVICE);
    return (const struct kx_device *)memory;
}

/* The same for a device of which nothing is remembered. */
static inline const struct kx_device *normalise_alone(const struct kx_json_device *in)
{
    struct kx_normalise ctx = context();
    struct kx_registry_entry entry = {.id = 5, .generation = 9};
    return normalise(&ctx, in, &entry);
}

static inline void
assert_text(const struct kx_record *record, struct kx_text slot, const char *expected)
{
    assert_int_equal(slot.length, strlen(expected));
    assert_memory_equal(kx_record_text(record, slot), expected, slot.length);
}

/* The field is a text of the device and says that; NULL = it is absent. */
static inline void
assert_field(const struct kx_device *device, enum kx_field field, const char *expected)
{
    const struct kx_text *slot =
        (const struct kx_text *)((const char *)device + kx_fields[field].offset);
    assert_int_equal(kx_record_has(&device->head, field), expected != NULL);
    assert_text(&device->head, *slot, expected != NULL ? expected : "");
}

static inline void assert_absent(const struct kx_device *device, enum kx_field field)
{
    assert_false(kx_record_has(&device->head, field));
}

#endif
