/*
 * The client's frames: what a server unmasks is the payload, in each of the three length forms.
 */
#include "ingest/ws.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { BUFFER_MAX = 1 << 20 };

static uint64_t next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 32;
}

static void our_frames_unmask_to_their_payload(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, 2, 3, 4, 5, 125, 126, 127, 65535, 65536, 70001};
    uint64_t seed = 20250917;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        const size_t length = lengths[i];
        const uint32_t mask = (uint32_t)next_random(&seed);
        struct kx_buf payload;
        kx_buf_init(&payload, BUFFER_MAX);
        struct kx_buf frame;
        kx_buf_init(&frame, BUFFER_MAX);
        for (size_t j = 0; j < length; j++)
            kx_buf_byte(&payload, (char)(i + j * 7));
        kx_buf_text(&frame, "before");
        kx_ws_frame(&frame, KX_WS_OP_TEXT, payload.data, length, mask);
        assert_memory_equal(frame.data, "before", 6);
        const unsigned char *at = (const unsigned char *)frame.data + 6;
        assert_int_equal(at[0], 0x81);
        const size_t extra = length < 126 ? 0 : length <= 65535 ? 2 : 8;
        assert_int_equal(at[1], 0x80 | (extra == 0 ? length : extra == 2 ? 126 : 127));
        uint64_t written = extra == 0 ? length : 0;
        for (size_t j = 0; j < extra; j++)
            written = written << 8 | at[2 + j];
        assert_int_equal(written, length);
        assert_int_equal(frame.length, 6 + 2 + extra + 4 + length);
        const unsigned char *key = at + 2 + extra;
        assert_int_equal((uint32_t)key[0] << 24 | (uint32_t)key[1] << 16 | key[2] << 8 | key[3],
                         mask);
        for (size_t j = 0; j < length; j++)
            assert_int_equal(key[4 + j] ^ key[j % 4], (unsigned char)payload.data[j]);
        kx_buf_fini(&payload);
        kx_buf_fini(&frame);
    }
}

/* RFC 6455, section 5.7: a single-frame masked text message, "Hello". */
static void the_frame_of_the_rfc(void **state)
{
    (void)state;
    static const unsigned char wanted[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d,
                                           0x7f, 0x9f, 0x4d, 0x51, 0x58};
    struct kx_buf frame;
    kx_buf_init(&frame, BUFFER_MAX);
    kx_ws_frame(&frame, KX_WS_OP_TEXT, "Hello", 5, 0x37fa213d);
    assert_int_equal(frame.length, sizeof wanted);
    assert_memory_equal(frame.data, wanted, sizeof wanted);
    kx_buf_clear(&frame);
    kx_ws_frame(&frame, KX_WS_OP_PONG, NULL, 0, 0);
    assert_memory_equal(frame.data, "\x8a\x80\0\0\0\0", 6);
    kx_buf_fini(&frame);
}

static void a_frame_is_appended_whole_or_not_at_all(void **state)
{
    (void)state;
    struct kx_buf frame;
    kx_buf_init(&frame, 20);
    kx_ws_frame(&frame, KX_WS_OP_PING, "abcd", 4, 1);
    assert_int_equal(frame.length, 10);
    kx_ws_frame(&frame, KX_WS_OP_PING, "abcde", 5, 1);
    assert_int_equal(frame.length, 10);
    assert_true(frame.failed);
    kx_buf_fini(&frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_frames_unmask_to_their_payload),
        cmocka_unit_test(the_frame_of_the_rfc),
        cmocka_unit_test(a_frame_is_appended_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
