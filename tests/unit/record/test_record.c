/*
 * The record: table, builder and the check of foreign bytes.
 */
#include "record/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#define TEXT(literal) (literal), sizeof(literal) - 1

static _Alignas(8) unsigned char memory[KX_RECORD_BYTES_MAX + 64];

static void fill_garbage(void)
{
    memset(memory, 0xa5, sizeof memory);
}

static bool text_is(const struct kx_record *record, struct kx_text text, const char *expected)
{
    return text.length == strlen(expected) &&
           memcmp(kx_record_text(record, text), expected, text.length) == 0;
}

/* --- the table --- */

static void table_names_every_field_once(void **state)
{
    (void)state;
    for (enum kx_field field = 0; field < KX_FIELDS; field++) {
        assert_non_null(kx_fields[field].name);
        assert_int_equal(kx_field_find(kx_fields[field].name, strlen(kx_fields[field].name)),
                         field);
    }
    assert_string_equal(kx_fields[KX_F_TIMESTAMP].name, "timestamp");
    assert_string_equal(kx_fields[KX_F_EXTRA].name, "extra");
}

static void table_offsets_are_inside_and_apart(void **state)
{
    (void)state;
    static const size_t sizes[] = {
        [KX_TYPE_TIME] = 8, [KX_TYPE_TEXT] = 4, [KX_TYPE_I64] = 8,  [KX_TYPE_I32] = 4,
        [KX_TYPE_F64] = 8,  [KX_TYPE_BOOL] = 1, [KX_TYPE_JSON] = 4,
    };
    bool taken[sizeof(struct kx_device)] = {false};
    for (enum kx_field field = 0; field < KX_FIELDS; field++) {
        size_t size = sizes[kx_fields[field].type];
        assert_true(kx_fields[field].offset % size == 0);
        assert_true(kx_fields[field].offset + size <= sizeof(struct kx_device));
        for (size_t i = 0; i < size; i++) {
            assert_false(taken[kx_fields[field].offset + i]);
            taken[kx_fields[field].offset + i] = true;
        }
    }
}

static void find_wants_the_whole_name(void **state)
{
    (void)state;
    assert_int_equal(kx_field_find(TEXT("mac_addr")), KX_F_MAC_ADDR);
    assert_int_equal(kx_field_find(TEXT("mac_add")), KX_FIELDS);
    assert_int_equal(kx_field_find(TEXT("mac_addr ")), KX_FIELDS);
    assert_int_equal(kx_field_find(TEXT("MAC_ADDR")), KX_FIELDS);
    assert_int_equal(kx_field_find(TEXT("mod_time")), KX_FIELDS);
    assert_int_equal(kx_field_find("", 0), KX_FIELDS);
}

/* --- the builder --- */

static void device_starts_all_absent(void **state)
{
    (void)state;
    fill_garbage();
    struct kx_builder builder;
    struct kx_device *device = kx_builder_device(&builder, memory, sizeof memory);
    assert_ptr_equal(device, memory);
    assert_true(device->head.present == (uint64_t)1 << KX_F_TIMESTAMP);
    assert_int_equal(device->head.device_id, KX_DEVICE_NONE);
    assert_int_equal(kx_builder_finish(&builder), sizeof *device);
    assert_int_equal(device->head.length, sizeof *device);
    assert_int_equal(device->head.kind, KX_KIND_DEVICE);
    assert_int_equal(device->name.length, 0);
    assert_true(kx_record_valid(memory, sizeof *device));
    assert_ptr_equal(kx_record_device(&device->head), device);
    assert_null(kx_record_event(&device->head));
}

static void event_starts_empty(void **state)
{
    (void)state;
    fill_garbage();
    struct kx_builder builder;
    struct kx_event *event = kx_builder_event(&builder, memory, sizeof memory);
    assert_ptr_equal(event, memory);
    assert_int_equal(event->head.device_id, KX_DEVICE_NONE);
    assert_int_equal(kx_builder_finish(&builder), sizeof *event);
    assert_true(kx_record_valid(memory, sizeof *event));
    assert_ptr_equal(kx_record_event(&event->head), event);
    assert_null(kx_record_device(&event->head));
}

static void texts_are_found_again(void **state)
{
    (void)state;
    fill_garbage();
    struct kx_builder builder;
    struct kx_device *device = kx_builder_device(&builder, memory, sizeof memory);
    kx_builder_field(&builder, KX_F_NAME, TEXT("kettle"));
    kx_builder_field(&builder, KX_F_MAC_ADDR, TEXT("AA:BB:CC:DD:EE:FF"));
    kx_builder_field(&builder, KX_F_EXTRA, TEXT("{}"));
    size_t length = kx_builder_finish(&builder);
    assert_int_equal(length, sizeof *device + 32); /* 25 bytes of text, padded to 8 */
    assert_true(text_is(&device->head, device->name, "kettle"));
    assert_true(text_is(&device->head, device->mac_addr, "AA:BB:CC:DD:EE:FF"));
    assert_true(text_is(&device->head, device->extra, "{}"));
    assert_true(kx_record_has(&device->head, KX_F_NAME));
    assert_true(kx_record_has(&device->head, KX_F_EXTRA));
    assert_false(kx_record_has(&device->head, KX_F_CHANNEL));
    for (size_t i = sizeof *device + 25; i < length; i++)
        assert_int_equal(memory[i], 0);
    assert_int_equal(memory[length], 0xa5); /* nothing behind the record was touched */
    assert_true(kx_record_valid(memory, length));
}

static void empty_text_is_present_and_empty(void **state)
{
    (void)state;
    struct kx_builder builder;
    struct kx_device *device = kx_builder_device(&builder, memory, sizeof memory);
    kx_builder_field(&builder, KX_F_NAME, NULL, 0);
    assert_int_equal(kx_builder_finish(&builder), sizeof *device);
    assert_true(kx_record_has(&device->head, KX_F_NAME));
    assert_int_equal(device->name.length, 0);
    assert_true(kx_record_valid(memory, sizeof *device));
}

static void long_text_is_cut_on_a_character(void **state)
{
    (void)state;
    char text[KX_TEXT_BYTES_MAX + 2];
    memset(text, 'x', sizeof text);
    memcpy(text + KX_TEXT_BYTES_MAX - 1, "\xe2\x82\xac", 3); /* bytes 1023 to 1025 */
    struct kx_builder builder;
    struct kx_device *device = kx_builder_device(&builder, memory, sizeof memory);
    kx_builder_field(&builder, KX_F_NAME, text, KX_TEXT_BYTES_MAX + 2);
    assert_int_equal(builder.texts_cut, 1);
    assert_int_equal(device->name.length, KX_TEXT_BYTES_MAX - 1);
    memset(text, 'y', sizeof text);
    kx_builder_field(&builder, KX_F_CHANNEL, text, KX_TEXT_BYTES_MAX);
    assert_int_equal(builder.texts_cut, 1);
    assert_int_equal(device->channel.length, KX_TEXT_BYTES_MAX);
    kx_builder_field(&builder, KX_F_CRYPT, text, KX_TEXT_BYTES_MAX + 1);
    assert_int_equal(builder.texts_cut, 2);
    assert_int_equal(device->crypt.length, KX_TEXT_BYTES_MAX);
    assert_true(kx_record_valid(memory, kx_builder_finish(&builder)));
}

static void long_json_is_left_out(void **state)
{
    (void)state;
    char *json = malloc(KX_EXTRA_BYTES_MAX + 1);
    assert_non_null(json);
    memset(json, ' ', KX_EXTRA_BYTES_MAX + 1);
    struct kx_builder builder;
    struct kx_device *device = kx_builder_device(&builder, memory, sizeof memory);
    kx_builder_field(&builder, KX_F_EXTRA, json, KX_EXTRA_BYTES_MAX + 1);
    assert_int_equal(builder.texts_cut, 1);
    assert_false(kx_record_has(&device->head, KX_F_EXTRA));
    assert_int_equal(device->extra.length, 0);
    kx_builder_field(&builder, KX_F_EXTRA, json, KX_EXTRA_BYTES_MAX);
    assert_int_equal(builder.texts_cut, 1);
    assert_int_equal(device->extra.length, KX_EXTRA_BYTES_MAX);
    assert_int_equal(kx_builder_finish(&builder), sizeof *device + KX_EXTRA_BYTES_MAX);
    free(json);
}

static void capacity_under_the_fixed_part_overflows(void **state)
{
    (void)state;
    fill_garbage();
    struct kx_builder builder;
    struct kx_text slot = {0, 0};
    assert_null(kx_builder_device(&builder, memory, sizeof(struct kx_device) - 1));
    kx_builder_field(&builder, KX_F_NAME, TEXT("x")); /* no effect, no crash */
    kx_builder_text(&builder, &slot, TEXT("x"), 1);
    assert_int_equal(kx_builder_finish(&builder), 0);
    assert_null(kx_builder_event(&builder, memory, sizeof(struct kx_event) - 1));
    assert_int_equal(kx_builder_finish(&builder), 0);
    assert_null(kx_builder_event(&builder, NULL, 0));
    assert_int_equal(kx_builder_finish(&builder), 0);
    assert_int_equal(memory[0], 0xa5);
    assert_non_null(kx_builder_device(&builder, memory, sizeof(struct kx_device)));
    assert_int_equal(kx_builder_finish(&builder), sizeof(struct kx_device));
    assert_int_equal(memory[sizeof(struct kx_device)], 0xa5);
}

static void full_memory_overflows_by_one_byte(void **state)
{
    (void)state;
    struct kx_builder builder;
    struct kx_device *device;
    fill_garbage();
    device = kx_builder_device(&builder, memory, sizeof *device + 8);
    kx_builder_field(&builder, KX_F_NAME, TEXT("12345678"));
    assert_int_equal(kx_builder_finish(&builder), sizeof *device + 8);
    kx_builder_device(&builder, memory, sizeof *device + 8);
    kx_builder_field(&builder, KX_F_NAME, TEXT("123456789"));
    kx_builder_field(&builder, KX_F_CHANNEL, TEXT("6")); /* would fit: but the record is lost */
    assert_false(kx_record_has(&device->head, KX_F_CHANNEL));
    assert_int_equal(kx_builder_finish(&builder), 0);
    /* An odd capacity: the padding must not pass it. */
    kx_builder_device(&builder, memory, sizeof *device + 15);
    kx_builder_field(&builder, KX_F_NAME, TEXT("123456789"));
    assert_int_equal(kx_builder_finish(&builder), 0);
    assert_int_equal(memory[sizeof *device + 8], 0xa5);
}

static void record_never_passes_its_limit(void **state)
{
    (void)state;
    static char data[KX_RECORD_BYTES_MAX + 1];
    memset(data, 'd', sizeof data);
    size_t room = KX_RECORD_BYTES_MAX - sizeof(struct kx_event);
    struct kx_builder builder;
    struct kx_event *event = kx_builder_event(&builder, memory, sizeof memory);
    kx_builder_text(&builder, &event->data, data, room, room);
    assert_int_equal(kx_builder_finish(&builder), KX_RECORD_BYTES_MAX);
    assert_true(kx_record_valid(memory, KX_RECORD_BYTES_MAX));
    event = kx_builder_event(&builder, memory, sizeof memory);
    kx_builder_text(&builder, &event->data, data, room + 1, room + 1);
    assert_int_equal(kx_builder_finish(&builder), 0);
}

/* --- foreign bytes --- */

/* A device with one text in memory; its length. */
static size_t sample_device(void)
{
    struct kx_builder builder;
    struct kx_device *device = kx_builder_device(&builder, memory, sizeof memory);
    kx_builder_field(&builder, KX_F_NAME, TEXT("kettle"));
    device->latitude = 52.5;
    device->head.present |= (uint64_t)1 << KX_F_LATITUDE;
    return kx_builder_finish(&builder);
}

static void valid_wants_one_whole_record(void **state)
{
    (void)state;
    struct kx_record *head = (struct kx_record *)memory;
    size_t length = sample_device();
    assert_true(kx_record_valid(memory, length));
    assert_false(kx_record_valid(memory, length - 8));
    assert_false(kx_record_valid(memory, length + 8));
    assert_false(kx_record_valid(memory, length - 1));
    assert_false(kx_record_valid(memory, 0));
    assert_false(kx_record_valid(memory, sizeof *head - 1));
    head->length += 1;
    assert_false(kx_record_valid(memory, length + 1));
    head->length = (uint32_t)sizeof(struct kx_device) - 8;
    assert_false(kx_record_valid(memory, sizeof(struct kx_device) - 8));
    memset(memory, 0, sizeof memory);
    head->length = KX_RECORD_BYTES_MAX + 8;
    head->kind = KX_KIND_DEVICE;
    assert_false(kx_record_valid(memory, KX_RECORD_BYTES_MAX + 8));
    head->length = KX_RECORD_BYTES_MAX;
    assert_true(kx_record_valid(memory, KX_RECORD_BYTES_MAX));
}

static void valid_wants_a_known_kind(void **state)
{
    (void)state;
    struct kx_record *head = (struct kx_record *)memory;
    size_t length = sample_device();
    head->kind = KX_KIND_PAD;
    assert_false(kx_record_valid(memory, length));
    head->kind = KX_KIND_EVENT + 1;
    assert_false(kx_record_valid(memory, length));
}

static void valid_refuses_texts_outside(void **state)
{
    (void)state;
    struct kx_device *device = (struct kx_device *)memory;
    size_t length = sample_device();
    device->name.offset = (uint16_t)(length - 5);
    assert_false(kx_record_valid(memory, length));
    device->name.offset = (uint16_t)(length - 6);
    assert_true(kx_record_valid(memory, length));
    device->name.offset = sizeof(struct kx_device) - 1; /* would read our numbers as text */
    assert_false(kx_record_valid(memory, length));
    device->name = (struct kx_text){UINT16_MAX, UINT16_MAX};
    assert_false(kx_record_valid(memory, length));
    device->name = (struct kx_text){(uint16_t)(length + 1), 0};
    assert_false(kx_record_valid(memory, length));
    device->name = (struct kx_text){0, 0};
    assert_true(kx_record_valid(memory, length));
    device->extra = (struct kx_text){0, 1}; /* absent, but a reader could still follow it */
    assert_false(kx_record_valid(memory, length));
}

static void valid_refuses_unknown_values(void **state)
{
    (void)state;
    struct kx_device *device = (struct kx_device *)memory;
    size_t length = sample_device();
    device->head.present |= (uint64_t)1 << KX_FIELDS;
    assert_false(kx_record_valid(memory, length));
    length = sample_device();
    device->latitude = (double)NAN;
    assert_false(kx_record_valid(memory, length));
    device->latitude = (double)INFINITY;
    assert_false(kx_record_valid(memory, length));
    device->head.present &= ~((uint64_t)1 << KX_F_LATITUDE);
    assert_true(kx_record_valid(memory, length));
    memory[offsetof(struct kx_device, mac_random)] = 2;
    assert_false(kx_record_valid(memory, length));
    memory[offsetof(struct kx_device, mac_random)] = 1;
    assert_true(kx_record_valid(memory, length));
}

static void valid_checks_each_text_of_an_event(void **state)
{
    (void)state;
    static const size_t slots[] = {
        offsetof(struct kx_event, type),        offsetof(struct kx_event, source),
        offsetof(struct kx_event, server_uuid), offsetof(struct kx_event, device_key),
        offsetof(struct kx_event, device_mac),  offsetof(struct kx_event, data),
    };
    for (size_t i = 0; i < sizeof slots / sizeof slots[0]; i++) {
        struct kx_builder builder;
        kx_builder_event(&builder, memory, sizeof memory);
        struct kx_text *slot = (struct kx_text *)(void *)(memory + slots[i]);
        kx_builder_text(&builder, slot, TEXT("ALERT"), KX_TEXT_BYTES_MAX);
        size_t length = kx_builder_finish(&builder);
        assert_int_equal(length, sizeof(struct kx_event) + 8);
        assert_true(kx_record_valid(memory, length));
        slot->length = 9;
        assert_false(kx_record_valid(memory, length));
        slot->length = 8;
        assert_true(kx_record_valid(memory, length));
        slot->offset--;
        assert_false(kx_record_valid(memory, length));
    }
    struct kx_record *head = (struct kx_record *)memory;
    head->length = (uint32_t)sizeof(struct kx_event) - 8;
    assert_false(kx_record_valid(memory, sizeof(struct kx_event) - 8));
}

static void valid_reads_at_any_alignment(void **state)
{
    (void)state;
    size_t length = sample_device();
    unsigned char *elsewhere = malloc(length + 1);
    assert_non_null(elsewhere);
    memcpy(elsewhere + 1, memory, length);
    assert_true(kx_record_valid(elsewhere + 1, length));
    free(elsewhere);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_names_every_field_once),
        cmocka_unit_test(table_offsets_are_inside_and_apart),
        cmocka_unit_test(find_wants_the_whole_name),
        cmocka_unit_test(device_starts_all_absent),
        cmocka_unit_test(event_starts_empty),
        cmocka_unit_test(texts_are_found_again),
        cmocka_unit_test(empty_text_is_present_and_empty),
        cmocka_unit_test(long_text_is_cut_on_a_character),
        cmocka_unit_test(long_json_is_left_out),
        cmocka_unit_test(capacity_under_the_fixed_part_overflows),
        cmocka_unit_test(full_memory_overflows_by_one_byte),
        cmocka_unit_test(record_never_passes_its_limit),
        cmocka_unit_test(valid_wants_one_whole_record),
        cmocka_unit_test(valid_wants_a_known_kind),
        cmocka_unit_test(valid_refuses_texts_outside),
        cmocka_unit_test(valid_refuses_unknown_values),
        cmocka_unit_test(valid_checks_each_text_of_an_event),
        cmocka_unit_test(valid_reads_at_any_alignment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
