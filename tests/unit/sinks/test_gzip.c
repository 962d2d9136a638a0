/* gzip: what zlib's own other half gives back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sinks/gzip.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { LARGE = 3 << 20 };

/* Bytes that compress badly (step large) or well. */
static unsigned char *fill(size_t length, uint32_t step)
{
    unsigned char *bytes = malloc(length + 1);
    uint32_t value = 1;
    assert_non_null(bytes);
    for (size_t i = 0; i < length; i++) {
        value = value * 1664525 + step;
        bytes[i] = (unsigned char)(step > 1 ? value >> 24 : 'a' + i % 3);
    }
    return bytes;
}

static size_t expect_back(struct kx_gzip *gzip, unsigned char *bytes, size_t length)
{
    struct kx_span body = {0};
    z_stream stream = {0};
    unsigned char *back = malloc(length + 1);
    assert_non_null(back);
    assert_int_equal(kx_gzip_body(gzip, bytes, length, &body, NULL), KX_OK);
    unsigned char *packed = malloc(body.length);
    assert_non_null(packed);
    memcpy(packed, body.bytes, body.length);
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK); /* gzip's frame and no other */
    stream.next_in = packed;
    stream.avail_in = (uInt)body.length;
    stream.next_out = back;
    stream.avail_out = (uInt)length + 1;
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.total_out, length);
    assert_int_equal(stream.avail_in, 0);
    assert_memory_equal(back, bytes, length);
    inflateEnd(&stream);
    free(packed);
    free(back);
    return body.length;
}

static void test_back_again(void **state)
{
    (void)state;
    struct kx_gzip *gzip = NULL;
    static const size_t lengths[] = {0, 1, 100, LARGE, 5, 70000, LARGE};
    assert_int_equal(kx_gzip_create(&gzip, NULL), KX_OK);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        for (uint32_t step = 1; step < 4; step += 2) {
            unsigned char *bytes = fill(lengths[i], step);
            size_t packed = expect_back(gzip, bytes, lengths[i]);
            if (step == 1 && lengths[i] >= 70000)
                assert_true(packed < lengths[i] / 50);
            free(bytes);
        }
    kx_gzip_destroy(gzip);
    kx_gzip_destroy(NULL);
}

static void test_too_large(void **state)
{
    (void)state;
    struct kx_gzip *gzip = NULL;
    struct kx_span body = {0};
    assert_int_equal(kx_gzip_create(&gzip, NULL), KX_OK);
    assert_int_equal(kx_gzip_body(gzip, "x", SIZE_MAX / 2, &body, NULL), KX_ERR_LIMIT);
    assert_null(body.bytes);
    kx_gzip_destroy(gzip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_back_again),
        cmocka_unit_test(test_too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
