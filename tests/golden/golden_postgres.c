/*
 * Records in, the rows of COPY BINARY out, in hexadecimal: a row a line, a field a word.
 */
#include "golden.h"
#include "sinks/postgres_copy.h"

/* Reads a length or a count, most significant byte first. */
static int64_t read_number(const struct kx_buf *bytes, size_t *at, unsigned size)
{
    uint64_t value = 0;
    assert_true(*at + size <= bytes->length);
    for (unsigned i = 0; i < size; i++)
        value = value << 8 | (unsigned char)bytes->data[(*at)++];
    return size == 2 ? (int16_t)value : (int32_t)value;
}

/* Decodes what the encoder made, by the manual of COPY and not by the encoder, so that a wrong
 * length shows. */
static void dump(struct kx_buf *out, const struct kx_buf *bytes)
{
    size_t at = 19; /* signature, flags, length of the extension */
    assert_memory_equal(bytes->data, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
    for (;;) {
        int64_t columns = read_number(bytes, &at, 2);
        if (columns < 0)
            break;
        for (int64_t i = 0; i < columns; i++) {
            int64_t length = read_number(bytes, &at, 4);
            if (i > 0)
                kx_buf_byte(out, ' ');
            if (length < 0) {
                kx_buf_byte(out, '-');
                continue;
            }
            assert_true(at + (size_t)length <= bytes->length);
            kx_buf_byte(out, '=');
            kx_buf_hex(out, bytes->data + at, (size_t)length);
            at += (size_t)length;
        }
        kx_buf_byte(out, '\n');
    }
    assert_int_equal(at, bytes->length);
}

static void put_records(struct kx_postgres_copy *copy, struct kx_buf *bytes, enum kx_kind kind)
{
    struct box box;
    box_init(&box);
    golden_records(&box);
    kx_postgres_copy_head(bytes);
    for (uint32_t i = 0; i < box.batch.end; i++) {
        const struct kx_record *record = kx_batch_record(&box.batch, i);
        if (record->kind != kind)
            continue;
        if (kind == KX_KIND_DEVICE)
            kx_postgres_copy_device(copy, bytes, kx_record_device(record), i);
        else
            kx_postgres_copy_event(copy, bytes, kx_record_event(record));
    }
    kx_postgres_copy_tail(bytes);
    box_fini(&box);
}

static void compare(const char *name, struct kx_postgres_copy *copy)
{
    struct kx_buf bytes;
    struct kx_buf out;
    kx_buf_init(&bytes, GOLDEN_BYTES_MAX);
    kx_buf_init(&out, GOLDEN_BYTES_MAX);
    put_records(copy, &bytes, KX_KIND_DEVICE);
    dump(&out, &bytes);
    kx_buf_clear(&bytes);
    put_records(copy, &bytes, KX_KIND_EVENT);
    dump(&out, &bytes);
    golden_compare(name, &out);
    kx_buf_fini(&bytes);
    kx_buf_fini(&out);
}

static const uint64_t ALL = (1ull << KX_FIELDS) - (1ull << KX_F_MAC_ADDR);

static void test_rows(void **state)
{
    (void)state;
    struct kx_postgres_copy copy = {.fields = ALL};
    compare("postgres.txt", &copy);
    assert_int_equal(copy.out_of_range, 0);
}

/* Lower case, what the script wrote for unknown, and columns of 32 bits. */
static void test_rows_of_the_script(void **state)
{
    (void)state;
    struct kx_postgres_copy copy = {.mac_case = KX_MAC_LOWER,
                                    .compat = KX_COMPAT_SCRIPT,
                                    .fields = ALL,
                                    .narrow = 1ull << KX_F_TOTAL_PACKETS};
    compare("postgres_script.txt", &copy);
    assert_int_equal(copy.out_of_range, 1); /* INT64_MAX packets */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_rows_of_the_script),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
