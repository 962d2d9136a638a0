/*
 * The deframer's limits: what is let in and what is skipped, exactly; what it holds in memory; what
 * happens without memory; what lies behind a message.
 */
#include "ws_stream.h"

uint32_t padding_seen;

/* The linker leads realloc here (tests/CMakeLists.txt), so that memory can be short. */
void *__real_realloc(void *memory, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
static bool memory_is_short;
void *__wrap_realloc(void *memory, size_t bytes)
{
    return memory_is_short ? NULL : __real_realloc(memory, bytes);
}

static void limits_are_exact(void **state)
{
    (void)state;
    static const struct kx_ws_limits limits = {.message_bytes = 300000, .fragments = 2};
    struct kx_buf stream = buffer();
    put_frame(&stream, FIN | TEXT, 1, 300000);
    put_frame(&stream, FIN | TEXT, 2, 300001);
    put_frame(&stream, TEXT, 3, 299999);
    put_frame(&stream, FIN | CONTINUE, 4, 1);
    put_frame(&stream, TEXT, 5, 300000);
    put_frame(&stream, FIN | CONTINUE, 6, 1);
    put_frame(&stream, TEXT, 7, 1);
    put_frame(&stream, CONTINUE, 8, 0);
    put_frame(&stream, FIN | CONTINUE, 9, 1);
    struct kx_buf trace = trace_of(&stream, &limits, 100000);
    assert_int_equal(lines(&trace), 5);
    assert_non_null(strstr(trace.data, "text 300000 "));
    assert_non_null(strstr(trace.data, "\nskipped 300001 00000000 0\ntext 300000 "));
    assert_non_null(strstr(trace.data, "\nskipped 300001 00000000 0\nskipped 2 00000000 1\n"));
    kx_buf_fini(&trace);
    kx_buf_fini(&stream);
}

static void nothing_at_all_is_allowed(void **state)
{
    (void)state;
    static const struct kx_ws_limits none = {0};
    struct kx_buf stream = buffer();
    put_frame(&stream, FIN | TEXT, 1, 0);
    put_frame(&stream, FIN | TEXT, 1, 1);
    put_frame(&stream, TEXT, 1, 0);
    put_frame(&stream, FIN | CONTINUE, 1, 0);
    struct kx_buf trace = trace_of(&stream, &none, 1);
    assert_trace(&trace, "text 0 811c9dc5 0\nskipped 1 00000000 0\nskipped 0 00000000 1\n");
    kx_buf_fini(&trace);

    /* A message in one frame has no fragments, however large. */
    static const struct kx_ws_limits unbroken = {.message_bytes = MIB};
    kx_buf_clear(&stream);
    put_frame(&stream, FIN | TEXT, 1, 70000);
    trace = trace_of(&stream, &unbroken, 1000);
    assert_int_equal(strncmp(trace.data, "text 70000 ", 11), 0);
    kx_buf_fini(&trace);
    kx_buf_fini(&stream);
}

/* 64 MiB over the limit pass through, and a million of empty fragments: nothing of it is held. */
static void skipping_needs_no_memory(void **state)
{
    (void)state;
    static const struct kx_ws_limits limits = {.message_bytes = MIB, .fragments = 100};
    struct kx_ws *ws = create(&limits);
    const size_t before = kx_ws_memory(ws);
    struct kx_buf part = buffer();
    struct kx_buf trace = buffer();
    put_header(&part, FIN | TEXT, 64 * MIB, 8);
    feed(ws, part.data, part.length, part.length, &trace);
    kx_buf_clear(&part);
    put_payload(&part, 1, MIB);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(trace.length, 0);
        feed(ws, part.data, part.length, 100000, &trace);
        assert_int_equal(kx_ws_memory(ws), before);
    }
    assert_trace(&trace, "skipped 67108864 00000000 0\n");

    kx_buf_clear(&trace);
    kx_buf_clear(&part);
    put_header(&part, TEXT, 0, 0);
    for (int i = 0; i < 1000 * 1000; i++)
        put_header(&part, CONTINUE, 0, 0);
    feed(ws, part.data, part.length, part.length, &trace);
    assert_int_equal(trace.length, 0);
    assert_true(kx_ws_memory(ws) <= before + 64 * KIB);
    assert_true(kx_ws_reset(ws)); /* the skipped message was lost: it counts as incomplete */
    kx_buf_fini(&part);
    kx_buf_fini(&trace);
    kx_ws_destroy(ws);
}

static void a_huge_message_gives_its_memory_back(void **state)
{
    (void)state;
    struct kx_ws *ws = create(&wide);
    struct kx_buf stream = buffer();
    struct kx_buf trace = buffer();
    put_frame(&stream, TEXT, 1, 4 * MIB);
    feed(ws, stream.data, stream.length, stream.length, &trace);
    assert_true(kx_ws_memory(ws) >= 4 * MIB && kx_ws_memory(ws) <= 9 * MIB);
    kx_buf_clear(&stream);
    put_frame(&stream, FIN | CONTINUE, 2, 4 * MIB);
    feed(ws, stream.data, stream.length, stream.length, &trace);
    assert_int_equal(lines(&trace), 1);
    assert_true(kx_ws_memory(ws) <= 513 * KIB);

    kx_buf_clear(&stream);
    put_frame(&stream, FIN | TEXT, 1, 8 * MIB);
    feed(ws, stream.data, stream.length - 1, stream.length, &trace);
    assert_true(kx_ws_memory(ws) > 8 * MIB);
    assert_true(kx_ws_reset(ws));
    assert_true(kx_ws_memory(ws) <= 513 * KIB);
    kx_buf_fini(&stream);
    kx_buf_fini(&trace);
    kx_ws_destroy(ws);
}

static void without_memory_one_message_is_skipped(void **state)
{
    (void)state;
    struct kx_ws *ws = create(&wide);
    struct kx_buf stream = buffer();
    struct kx_buf trace = buffer();
    put_frame(&stream, TEXT, 1, 10);
    put_frame(&stream, FIN | CONTINUE, 2, 3);
    put_frame(&stream, FIN | TEXT, 3, 70000);
    put_frame(&stream, FIN | TEXT, 4, 0);
    kx_buf_reserve(&trace, 1000);
    memory_is_short = true;
    feed(ws, stream.data, stream.length, stream.length, &trace);
    memory_is_short = false;
    assert_trace(&trace, "skipped 13 00000000 2\nskipped 70000 00000000 2\ntext 0 811c9dc5 0\n");
    kx_buf_clear(&trace);
    feed(ws, stream.data, stream.length, stream.length, &trace);
    assert_int_equal(lines(&trace), 3);
    assert_null(strstr(trace.data, "skipped"));
    kx_buf_fini(&stream);
    kx_buf_fini(&trace);
    kx_ws_destroy(ws);
}

/* A message that was let in is given: what its end needs was there from its start. */
static void memory_that_gets_short_later_costs_nothing(void **state)
{
    (void)state;
    struct kx_ws *ws = create(&wide);
    struct kx_buf stream = buffer();
    struct kx_buf trace = buffer();
    kx_buf_reserve(&trace, 1000);
    put_frame(&stream, FIN | TEXT, 1, 70000);
    feed(ws, stream.data, 10, 10, &trace);
    memory_is_short = true;
    feed(ws, stream.data + 10, stream.length - 10, stream.length, &trace);
    memory_is_short = false;
    assert_int_equal(strncmp(trace.data, "text 70000 ", 11), 0);
    kx_buf_fini(&stream);
    kx_buf_fini(&trace);
    kx_ws_destroy(ws);
}

/* So that a parser that looks past the end sees the same in each run. */
static void behind_the_last_message_lie_zeros(void **state)
{
    (void)state;
    static const char zeros[PADDING];
    struct kx_ws *ws = create(&wide);
    struct kx_buf stream = buffer();
    struct kx_ws_message message;
    for (int round = 0; round < 2; round++) {
        const size_t length = round == 0 ? 500 : 50;
        kx_buf_clear(&stream);
        put_frame(&stream, FIN | TEXT, 1, length);
        put_frame(&stream, TEXT, 2, length);
        put_frame(&stream, FIN | CONTINUE, 3, length);
        size_t room = 0;
        char *place = kx_ws_room(ws, &room);
        memset(place, 'x', room);
        const size_t first = (length > 125 ? 4u : 2u) + length;
        memcpy(place, stream.data, first);
        kx_ws_filled(ws, first);
        assert_int_equal(kx_ws_next(ws, &message, NULL), KX_WS_TEXT);
        assert_memory_equal(message.data + message.length, zeros, PADDING);
        assert_int_equal(kx_ws_next(ws, &message, NULL), KX_WS_MORE);
        memcpy(kx_ws_room(ws, &room), stream.data + first, stream.length - first);
        kx_ws_filled(ws, stream.length - first);
        assert_int_equal(kx_ws_next(ws, &message, NULL), KX_WS_TEXT);
        assert_int_equal(message.length, 2 * length);
        assert_memory_equal(message.data + message.length, zeros, PADDING);
        assert_int_equal(kx_ws_next(ws, &message, NULL), KX_WS_MORE);
    }
    kx_buf_fini(&stream);
    kx_ws_destroy(ws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(nothing_at_all_is_allowed),
        cmocka_unit_test(skipping_needs_no_memory),
        cmocka_unit_test(a_huge_message_gives_its_memory_back),
        cmocka_unit_test(without_memory_one_message_is_skipped),
        cmocka_unit_test(memory_that_gets_short_later_costs_nothing),
        cmocka_unit_test(behind_the_last_message_lie_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
