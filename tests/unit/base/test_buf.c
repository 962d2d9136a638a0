/* The buffer: growth, limit, the lasting failure, and every append. */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* So that a request which no machine can serve is refused under a sanitizer too, as malloc refuses
 * it. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}
const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static void expect(struct kx_buf *buf, const char *text)
{
    assert_false(buf->failed);
    assert_int_equal(buf->length, strlen(text));
    assert_memory_equal(buf->data, text, buf->length);
    kx_buf_clear(buf);
}

static void test_empty(void **state)
{
    (void)state;
    struct kx_buf zeroed = {.limit = 10};
    struct kx_buf buf;
    kx_buf_init(&buf, 10);
    assert_memory_equal(&buf, &zeroed, sizeof buf);
    assert_null(buf.data);
    kx_buf_bytes(&buf, NULL, 0);
    kx_buf_text(&buf, "");
    kx_buf_hex(&buf, NULL, 0);
    assert_false(buf.failed);
    assert_null(buf.data);
    kx_buf_consume(&buf, 0);
    kx_buf_truncate(&buf, 0);
    kx_buf_fini(&buf);
    kx_buf_fini(NULL);
    assert_int_equal(buf.limit, 10);
}

static void test_appends(void **state)
{
    (void)state;
    struct kx_buf buf = {.limit = 1000};
    kx_buf_byte(&buf, 'a');
    kx_buf_bytes(&buf, "b\0c", 3);
    kx_buf_text(&buf, "def");
    assert_int_equal(buf.length, 7);
    assert_memory_equal(buf.data, "ab\0cdef", 7);
    kx_buf_clear(&buf);
    kx_buf_hex(&buf, "\x00\x0f\xa5\xff", 4);
    expect(&buf, "000fa5ff");
    kx_buf_printf(&buf, "%d %s", -5, "x");
    expect(&buf, "-5 x");
    kx_buf_printf(&buf, "%s", "");
    expect(&buf, "");
    kx_buf_fini(&buf);
    assert_null(buf.data);
    kx_buf_text(&buf, "again");
    expect(&buf, "again");
    kx_buf_fini(&buf);
}

static void test_printf_of_any_length(void **state)
{
    (void)state;
    struct kx_buf buf = {.limit = 4000};
    char text[2001];
    for (size_t length = 500; length <= 2000; length += length < 530 ? 1 : 490) {
        memset(text, 'p', length);
        text[length] = '\0';
        kx_buf_printf(&buf, "%s", text);
        expect(&buf, text);
    }
    /* Exactly to the limit: printf's own NUL needs no room. */
    kx_buf_printf(&buf, "%*d", 4000, 1);
    assert_false(buf.failed);
    assert_int_equal(buf.length, 4000);
    kx_buf_printf(&buf, "%d", 1);
    assert_true(buf.failed);
    kx_buf_clear(&buf);
    kx_buf_printf(&buf, "%*d", 4001, 1);
    assert_true(buf.failed);
    assert_int_equal(buf.length, 0);
    kx_buf_fini(&buf);
}

static void test_growth_doubles_to_the_limit(void **state)
{
    (void)state;
    struct kx_buf buf = {.limit = 100000};
    unsigned growths = 0;
    size_t capacity = 0;
    for (size_t i = 0; i < buf.limit; i++) {
        kx_buf_byte(&buf, (char)i);
        assert_false(buf.failed);
        assert_true(buf.capacity <= buf.limit);
        if (buf.capacity != capacity) {
            growths++;
            capacity = buf.capacity;
        }
    }
    assert_int_equal(growths, 10); /* 256, 512, ... 65536, 100000 */
    for (size_t i = 0; i < buf.limit; i++)
        assert_int_equal(buf.data[i], (char)i);
    kx_buf_byte(&buf, 'x');
    assert_true(buf.failed);
    assert_int_equal(buf.length, buf.limit);
    kx_buf_fini(&buf);
}

static void test_failure_lasts(void **state)
{
    (void)state;
    struct kx_buf buf = {.limit = 8};
    kx_buf_text(&buf, "12345");
    kx_buf_text(&buf, "6789"); /* does not fit and is not cut */
    assert_true(buf.failed);
    assert_int_equal(buf.length, 5);
    kx_buf_byte(&buf, '6'); /* would fit, but would leave a hole before it */
    kx_buf_u64(&buf, 1);
    kx_buf_i64(&buf, 1);
    kx_buf_f64(&buf, 1);
    kx_buf_hex(&buf, "x", 1);
    kx_buf_printf(&buf, "x");
    assert_null(kx_buf_reserve(&buf, 1));
    assert_true(buf.failed);
    assert_int_equal(buf.length, 5);
    kx_buf_truncate(&buf, 0);
    assert_true(buf.failed);
    kx_buf_clear(&buf);
    kx_buf_text(&buf, "12345678");
    expect(&buf, "12345678");
    kx_buf_fini(&buf);
}

static void test_failure_lasts_where_there_is_room(void **state)
{
    (void)state;
    struct kx_buf buf = {.limit = 300};
    kx_buf_text(&buf, "x");
    assert_int_equal(buf.capacity, 256);
    kx_buf_printf(&buf, "%*d", 300, 1);
    kx_buf_u64(&buf, 1);
    kx_buf_i64(&buf, 1);
    assert_int_equal(buf.length, 1);
    kx_buf_fini(&buf);
}

static void test_reserve(void **state)
{
    (void)state;
    struct kx_buf buf = {.limit = 600};
    char *place = kx_buf_reserve(&buf, 600);
    assert_non_null(place);
    assert_ptr_equal(place, buf.data);
    assert_int_equal(buf.capacity, 600);
    assert_int_equal(buf.length, 0);
    memset(place, 'r', 600);
    buf.length = 600;
    assert_non_null(kx_buf_reserve(&buf, 0));
    assert_null(kx_buf_reserve(&buf, 1));
    assert_true(buf.failed);
    kx_buf_fini(&buf);
}

static void test_limit_of_nothing(void **state)
{
    (void)state;
    struct kx_buf buf = {0};
    assert_null(kx_buf_reserve(&buf, 0));
    assert_true(buf.failed);
    kx_buf_clear(&buf);
    kx_buf_byte(&buf, 'x');
    assert_true(buf.failed);
    kx_buf_fini(&buf);
}

static void test_sizes_that_overflow(void **state)
{
    (void)state;
    struct kx_buf buf = {.limit = SIZE_MAX};
    kx_buf_text(&buf, "kept");
    assert_null(kx_buf_reserve(&buf, SIZE_MAX - 3));
    assert_true(buf.failed);
    kx_buf_clear(&buf);
    kx_buf_text(&buf, "kept");
    assert_null(kx_buf_reserve(&buf, SIZE_MAX / 2)); /* fits the limit; no machine has it */
    assert_true(buf.failed);
    assert_memory_equal(buf.data, "kept", 4);
    kx_buf_clear(&buf);
    kx_buf_hex(&buf, "", SIZE_MAX / 2 + 1);
    assert_true(buf.failed);
    kx_buf_fini(&buf);
}

static void test_consume_and_truncate(void **state)
{
    (void)state;
    struct kx_buf buf = {.limit = 100};
    kx_buf_text(&buf, "abcdefgh");
    kx_buf_consume(&buf, 3);
    assert_int_equal(buf.length, 5);
    assert_memory_equal(buf.data, "defgh", 5);
    kx_buf_truncate(&buf, 2);
    kx_buf_text(&buf, "X");
    assert_int_equal(buf.length, 3);
    assert_memory_equal(buf.data, "deX", 3);
    kx_buf_consume(&buf, 3);
    assert_int_equal(buf.length, 0);
    kx_buf_fini(&buf);
}

/* Near the limit a number is refused for its own length, not for the longest number's. */
static void test_numbers_fill_to_the_limit(void **state)
{
    (void)state;
    for (size_t limit = 1; limit < 80; limit++) {
        struct kx_buf buf = {.limit = limit};
        size_t digits = 0;
        while (digits + 5 <= limit) {
            kx_buf_u64(&buf, 12345);
            digits += 5;
            assert_false(buf.failed);
        }
        assert_int_equal(buf.length, digits);
        kx_buf_i64(&buf, -1234);
        assert_true(buf.failed);
        kx_buf_fini(&buf);
    }
    struct kx_buf buf = {.limit = 3};
    kx_buf_f64(&buf, -1);
    kx_buf_f64(&buf, 2);
    expect(&buf, "-12");
    kx_buf_fini(&buf);
}

static void test_nan_and_infinity_fail(void **state)
{
    (void)state;
    const double refused[] = {__builtin_nan(""), __builtin_inf(), -__builtin_inf()};
    for (size_t i = 0; i < 3; i++) {
        struct kx_buf buf = {.limit = 100};
        kx_buf_text(&buf, "x");
        kx_buf_f64(&buf, refused[i]);
        assert_true(buf.failed);
        assert_int_equal(buf.length, 1);
        kx_buf_fini(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_appends),
        cmocka_unit_test(test_printf_of_any_length),
        cmocka_unit_test(test_growth_doubles_to_the_limit),
        cmocka_unit_test(test_failure_lasts),
        cmocka_unit_test(test_failure_lasts_where_there_is_room),
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_limit_of_nothing),
        cmocka_unit_test(test_sizes_that_overflow),
        cmocka_unit_test(test_consume_and_truncate),
        cmocka_unit_test(test_numbers_fill_to_the_limit),
        cmocka_unit_test(test_nan_and_infinity_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
