/*
 * The encoder of COPY rows: texts that would end a row, do not; NUL and ill-formed bytes never
 * leave; times before 2000 and before 1970.
 */
#include "records.h"
#include "sinks/postgres_copy.h"
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { BYTES_MAX = 1 << 20 };

struct fixture {
    struct box box;
    struct kx_buf out;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL)
        return -1;
    box_init(&f->box);
    kx_buf_init(&f->out, BYTES_MAX);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    box_fini(&f->box);
    kx_buf_fini(&f->out);
    free(f);
    return 0;
}

/* The field at a place of the only row; its length, or -1 for NULL. */
static int field_at(const struct fixture *f, int index, const char **ret_bytes)
{
    size_t at = 2;
    for (int i = 0;; i++) {
        uint32_t length;
        assert_true(at + 4 <= f->out.length);
        memcpy(&length, f->out.data + at, 4);
        int bytes = (int)be32toh(length);
        *ret_bytes = f->out.data + at + 4;
        if (i == index)
            return bytes;
        at += 4 + (bytes > 0 ? (size_t)bytes : 0);
    }
}

/* The name of a device, as it would leave. The name's bytes are put into the record behind the
 * builder's back: no builder would take them all. */
static int name_of(struct fixture *f, const char *bytes, size_t length, const char **ret_bytes)
{
    char filler[256];
    struct kx_postgres_copy copy = {.fields = 1ull << KX_F_MAC_ADDR | 1ull << KX_F_NAME};
    assert_true(length < sizeof filler);
    memset(filler, 'x', length);
    filler[length] = '\0';
    box_clear(&f->box);
    box_device(&f->box, &(struct device_spec){.mac = "AA:BB:CC:00:00:01", .name = filler});
    struct kx_device *device = (struct kx_device *)(void *)f->box.bytes;
    if (length > 0)
        memcpy(f->box.bytes + device->name.offset, bytes, length);
    kx_buf_clear(&f->out);
    kx_postgres_copy_device(&copy, &f->out, device, 0);
    assert_false(f->out.failed);
    assert_int_equal(field_at(f, 3, ret_bytes), 17);
    return field_at(f, 4, ret_bytes);
}

static void test_texts_as_they_are(void **state)
{
    struct fixture *f = *state;
    const char *bytes;
    for (size_t i = 0; i < HOSTILE_NAMES; i++) {
        int length = name_of(f, hostile_names[i], strlen(hostile_names[i]), &bytes);
        assert_int_equal(length, strlen(hostile_names[i]));
        assert_memory_equal(bytes, hostile_names[i], (size_t)length);
    }
    for (int byte = 1; byte < 128; byte++) {
        for (int place = 0; place < 9; place++) {
            char name[9];
            memset(name, 'a', sizeof name);
            name[place] = (char)byte;
            assert_int_equal(name_of(f, name, 9, &bytes), 9);
            assert_memory_equal(bytes, name, 9);
        }
    }
}

static void expect_repaired(struct fixture *f, const char *name, size_t length, const char *wanted)
{
    const char *bytes;
    int found = name_of(f, name, length, &bytes);
    assert_int_equal(found, strlen(wanted));
    assert_memory_equal(bytes, wanted, strlen(wanted));
}

static void test_nothing_ill_formed_leaves(void **state)
{
    struct fixture *f = *state;
    expect_repaired(f, "a\0b", 3,
                    "a\xef\xbf\xbd"
                    "b");
    expect_repaired(f, "\0", 1, "\xef\xbf\xbd");
    expect_repaired(f, "12345678\0", 9, "12345678\xef\xbf\xbd");
    expect_repaired(f, "\xc3", 1, "\xef\xbf\xbd");
    expect_repaired(f, "x\xed\xa0\x80y", 5, "x\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdy");
    for (int byte = 128; byte < 256; byte++) {
        char name[] = {'a', 'b', 'c', 'd', 'e', 'f', 'g', (char)byte, 'i'};
        expect_repaired(f, name, sizeof name, "abcdefg\xef\xbf\xbdi");
    }
    expect_repaired(f, "caf\xc3\xa9 \xe2\x98\x83", 9, "caf\xc3\xa9 \xe2\x98\x83");
}

static int64_t time_of(struct fixture *f, int64_t heard_ns)
{
    struct kx_postgres_copy copy = {.fields = 1ull << KX_F_MAC_ADDR};
    const char *bytes;
    uint64_t value;
    box_clear(&f->box);
    box_device(&f->box, &(struct device_spec){.mac = "AA:BB:CC:00:00:01", .heard_ns = heard_ns});
    kx_buf_clear(&f->out);
    kx_postgres_copy_device(&copy, &f->out, kx_record_device(kx_batch_record(&f->box.batch, 0)), 0);
    assert_int_equal(field_at(f, 1, &bytes), 8);
    memcpy(&value, bytes, sizeof value);
    return (int64_t)be64toh(value);
}

static void test_times(void **state)
{
    struct fixture *f = *state;
    int64_t us_2000 = 946684800000000;
    assert_int_equal(time_of(f, us_2000 * 1000), 0);
    assert_int_equal(time_of(f, us_2000 * 1000 + 1999), 1);
    assert_int_equal(time_of(f, 1), -us_2000);
    assert_int_equal(time_of(f, -1), -us_2000 - 1);
    assert_int_equal(time_of(f, -1001), -us_2000 - 2);
    assert_int_equal(time_of(f, INT64_MIN), INT64_MIN / 1000 - 1 - us_2000);
    assert_int_equal(time_of(f, INT64_MAX), INT64_MAX / 1000 - us_2000);
}

/* No room: the buffer says so, and nothing is written behind it. */
static void test_no_room(void **state)
{
    struct fixture *f = *state;
    struct kx_postgres_copy copy = {.fields = (1ull << KX_FIELDS) - (1ull << KX_F_MAC_ADDR)};
    box_device(&f->box, &(struct device_spec){.mac = "AA:BB:CC:00:00:01", .name = "name"});
    for (size_t limit = 0; limit < 200; limit++) {
        struct kx_buf out;
        kx_buf_init(&out, limit);
        kx_postgres_copy_device(&copy, &out, kx_record_device(kx_batch_record(&f->box.batch, 0)),
                                0);
        assert_true(out.failed || out.length <= limit);
        kx_buf_fini(&out);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_texts_as_they_are),
        TEST(test_nothing_ill_formed_leaves),
        TEST(test_times),
        TEST(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
