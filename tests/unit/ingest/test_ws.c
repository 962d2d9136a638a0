/*
 * The deframer: one stream of frames of all sorts gives the same events however the bytes are cut;
 * every protocol error; the end of a connection.
 */
#include "ws_stream.h"

uint32_t padding_seen;

/* ------------------------------------------------------------------ the cuts */

/* Twenty messages and controls of all sorts; the limits skip one for its bytes, one for its
 * fragments. */
static const struct kx_ws_limits narrow = {.message_bytes = 400, .fragments = 4};

static struct kx_buf all_sorts(void)
{
    struct kx_buf stream = buffer();
    put_frame(&stream, FIN | TEXT, 1, 0);
    put_frame(&stream, FIN | TEXT, 2, 1);
    put_frame(&stream, FIN | PING, 3, 0);
    put_frame(&stream, FIN | TEXT, 4, 125);
    put_frame(&stream, FIN | BINARY, 5, 126);
    put_frame(&stream, FIN | TEXT, 6, 127);
    put_frame(&stream, FIN | PONG, 7, 125);
    put_frame(&stream, TEXT, 8, 100); /* fragments, a ping and a pong between them */
    put_frame(&stream, FIN | PING, 9, 4);
    put_frame(&stream, CONTINUE, 10, 0);
    put_frame(&stream, FIN | PONG, 11, 1);
    put_frame(&stream, CONTINUE, 12, 200);
    put_frame(&stream, FIN | CONTINUE, 13, 100);
    put_frame(&stream, FIN | TEXT, 14, 401); /* skipped: one frame */
    put_frame(&stream, TEXT, 15, 300);       /* skipped: fragments, a ping while skipping */
    put_frame(&stream, CONTINUE, 16, 101);
    put_frame(&stream, FIN | PING, 17, 2);
    put_frame(&stream, CONTINUE, 18, 50);
    put_frame(&stream, FIN | CONTINUE, 19, 7);
    put_frame(&stream, BINARY, 20, 1); /* skipped: five fragments */
    for (unsigned i = 0; i < 3; i++)
        put_frame(&stream, CONTINUE, 21, 1);
    put_frame(&stream, FIN | CONTINUE, 22, 1);
    put_frame(&stream, BINARY, 23, 200); /* four fragments and exactly 400 bytes are allowed */
    put_frame(&stream, CONTINUE, 24, 0);
    put_frame(&stream, CONTINUE, 25, 200);
    put_frame(&stream, FIN | CONTINUE, 26, 0);
    put_frame(&stream, FIN | TEXT, 27, 400);
    put_frame(&stream, TEXT, 28, 0); /* an empty message in two frames */
    put_frame(&stream, FIN | CONTINUE, 29, 0);
    put_header(&stream, FIN | CLOSE, 5, 0);
    kx_buf_bytes(&stream,
                 "\x03\xe9"
                 "bye",
                 5);
    put_frame(&stream, FIN | TEXT, 30, 9); /* behind the close: discarded */
    assert_false(stream.failed);
    return stream;
}

static void the_events_of_all_sorts(void **state)
{
    (void)state;
    struct kx_buf stream = all_sorts();
    struct kx_buf trace = trace_of(&stream, &narrow, stream.length);
    static const char *const wanted[] = {
        "text 0",      "text 1",    "ping 0",     "text 125", "binary 126",  "text 127",
        "pong 125",    "ping 4",    "pong 1",     "text 400", "skipped 401", "ping 2",
        "skipped 458", "skipped 5", "binary 400", "text 400", "text 0",      "close 5"};
    const size_t count = sizeof wanted / sizeof wanted[0];
    assert_int_equal(lines(&trace), count);
    const char *at = trace.data;
    for (size_t i = 0; i < count; i++) {
        assert_memory_equal(at, wanted[i], strlen(wanted[i]));
        assert_int_equal(at[strlen(wanted[i])], ' ');
        at = strchr(at, '\n') + 1;
    }
    kx_buf_fini(&trace);
    kx_buf_fini(&stream);
}

static void every_cut_gives_the_same_events(void **state)
{
    (void)state;
    struct kx_buf stream = all_sorts();
    struct kx_buf wanted = trace_of(&stream, &narrow, stream.length);
    struct kx_buf trace = buffer();
    struct kx_ws *ws = create(&narrow);
    for (size_t cut = 0; cut <= stream.length; cut++) {
        kx_buf_clear(&trace);
        feed(ws, stream.data, cut, cut, &trace);
        feed(ws, stream.data + cut, stream.length - cut, stream.length, &trace);
        assert_same(&trace, &wanted, cut);
        assert_false(kx_ws_reset(ws));
    }
    for (size_t piece = 1; piece <= 16; piece++) {
        kx_buf_clear(&trace);
        feed(ws, stream.data, stream.length, piece, &trace);
        assert_same(&trace, &wanted, piece);
        kx_ws_reset(ws);
    }
    kx_ws_destroy(ws);
    kx_buf_fini(&trace);
    kx_buf_fini(&wanted);
    kx_buf_fini(&stream);
}

/* Lengths at each border: of the encodings, of the place in the buffer, of the buffer. */
static void large_frames_however_they_come(void **state)
{
    (void)state;
    static const size_t lengths[] = {65535, 65536,          65537,     300000,
                                     126,   256 * KIB - 10, 256 * KIB, 256 * KIB + 1};
    struct kx_buf stream = buffer();
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        put_frame(&stream, FIN | (i % 2 == 0 ? TEXT : BINARY), i, lengths[i]);
    put_frame(&stream, TEXT, 90, 100000);
    put_frame(&stream, FIN | PING, 91, 125);
    put_frame(&stream, FIN | CONTINUE, 92, 65535);

    struct kx_buf wanted = buffer();
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++)
        trace_made(&wanted, i % 2 == 0 ? KX_WS_TEXT : KX_WS_BINARY, i, lengths[i]);
    static const size_t pieces[] = {1, 997, 1448, 16 * KIB, 65536, 100003, 256 * KIB};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct kx_buf trace = trace_of(&stream, &wide, pieces[i]);
        assert_int_equal(lines(&trace), 10);
        assert_memory_equal(trace.data, wanted.data, wanted.length);
        assert_non_null(strstr(trace.data + wanted.length, "ping 125 "));
        assert_non_null(strstr(trace.data + wanted.length, "\ntext 165535 "));
        kx_buf_fini(&trace);
    }
    kx_buf_fini(&wanted);
    kx_buf_fini(&stream);
}

/* A tail of every length lies at the buffer's end when the room has to be made again. */
static void tails_move_to_the_front(void **state)
{
    (void)state;
    enum { PAYLOAD = 60001, COUNT = 40 };
    struct kx_buf stream = buffer();
    struct kx_buf wanted = buffer();
    for (unsigned i = 0; i < COUNT; i++) {
        put_frame(&stream, FIN | TEXT, i, PAYLOAD + i * 131);
        trace_made(&wanted, KX_WS_TEXT, i, PAYLOAD + i * 131);
    }
    static const size_t pieces[] = {60000, 64 * KIB, 131072, 200000, 256 * KIB};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct kx_buf trace = trace_of(&stream, &wide, pieces[i]);
        assert_same(&trace, &wanted, pieces[i]);
        kx_buf_fini(&trace);
    }
    kx_buf_fini(&wanted);
    kx_buf_fini(&stream);
}

static void a_message_in_one_frame_is_not_copied(void **state)
{
    (void)state;
    struct kx_ws *ws = create(&wide);
    struct kx_buf stream = buffer();
    put_frame(&stream, FIN | TEXT, 1, 64 * KIB);
    size_t room = 0;
    char *place = kx_ws_room(ws, &room);
    assert_int_equal(room, 256 * KIB);
    memcpy(place, stream.data, stream.length);
    kx_ws_filled(ws, stream.length);
    struct kx_ws_message message;
    assert_int_equal(kx_ws_next(ws, &message, NULL), KX_WS_TEXT);
    assert_ptr_equal(message.data, place + 10);
    assert_int_equal(kx_ws_next(ws, &message, NULL), KX_WS_MORE);
    kx_ws_destroy(ws);
    kx_buf_fini(&stream);
}

/* ------------------------------------------------------------------ errors and ends */

/* Feeds the bytes behind a good text message, whole and byte by byte: the message is given, then
 * the error that names `wanted`, and nothing ever after. */
static void expect_error(bool in_message, const void *bytes, size_t length, const char *wanted)
{
    struct kx_buf stream = buffer();
    put_frame(&stream, FIN | TEXT, 1, 3);
    if (in_message)
        put_frame(&stream, TEXT, 2, 3);
    kx_buf_bytes(&stream, bytes, length);
    put_frame(&stream, FIN | TEXT, 3, 200);
    for (size_t piece = 1; piece <= stream.length; piece += stream.length - 1) {
        struct kx_ws *ws = create(&wide);
        struct kx_buf trace = buffer();
        struct kx_ws_message message;
        struct kx_error err;
        feed(ws, stream.data, stream.length, piece, &trace);
        assert_int_equal(strncmp(trace.data, "text 3 ", 7), 0);
        if (strstr(trace.data, wanted) == NULL)
            fail_msg("no \"%s\" in:\n%s", wanted, trace.data);
        assert_int_equal(kx_ws_next(ws, &message, &err), KX_WS_PROTOCOL_ERROR);
        assert_int_equal(err.code, KX_ERR_PROTOCOL);
        assert_int_equal(kx_ws_next(ws, &message, NULL), KX_WS_PROTOCOL_ERROR);
        assert_int_equal(kx_ws_reset(ws), in_message);

        kx_buf_clear(&trace);
        feed(ws, stream.data, 5, 5, &trace); /* a new connection begins afresh */
        assert_int_equal(lines(&trace), 1);
        assert_null(strstr(trace.data, "error"));
        kx_buf_fini(&trace);
        kx_ws_destroy(ws);
    }
    kx_buf_fini(&stream);
}

static void every_protocol_error(void **state)
{
    (void)state;
    static const struct {
        bool in_message;
        unsigned char bytes[10];
        size_t length;
        const char *wanted;
    } cases[] = {
        {false, {FIN | 0x40 | TEXT, 1}, 2, "reserved bits"},
        {false, {FIN | 0x20 | PING, 0}, 2, "reserved bits"},
        {true, {FIN | 0x10 | CONTINUE, 0}, 2, "reserved bits"},
        {false, {FIN | TEXT, 0x80}, 2, "masked"},
        {true, {FIN | PING, 0x85}, 2, "masked"},
        {false, {FIN | 3, 1}, 2, "data frame with a reserved opcode"},
        {true, {FIN | 7, 1}, 2, "data frame with a reserved opcode"},
        {false, {FIN | 11, 1}, 2, "control frame with a reserved opcode"},
        {true, {FIN | 15, 1}, 2, "control frame with a reserved opcode"},
        {false, {PING, 0}, 2, "control frame in fragments"},
        {true, {CLOSE, 0}, 2, "control frame in fragments"},
        {false, {FIN | PING, 126}, 2, "more than 125 bytes"},
        {true, {FIN | PONG, 127}, 2, "more than 125 bytes"},
        {false, {FIN | CLOSE, 126}, 2, "more than 125 bytes"},
        {false, {FIN | CLOSE, 1}, 2, "half a status code"},
        {false, {FIN | CONTINUE, 1}, 2, "no message was begun"},
        {false, {CONTINUE, 1}, 2, "no message was begun"},
        {true, {FIN | TEXT, 1}, 2, "new message inside"},
        {true, {BINARY, 1}, 2, "new message inside"},
        {false, {FIN | TEXT, 126, 0, 125}, 4, "shortest form"},
        {true, {FIN | CONTINUE, 126, 0, 0}, 4, "shortest form"},
        {false, {FIN | TEXT, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 10, "shortest form"},
        {false, {FIN | TEXT, 127, 0x80, 0, 0, 0, 0, 0, 0, 0}, 10, "top bit"},
        {true, {CONTINUE, 127, 0xff, 255, 255, 255, 255, 255, 255, 255}, 10, "top bit"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_error(cases[i].in_message, cases[i].bytes, cases[i].length, cases[i].wanted);
}

static void reset_tells_whether_a_message_was_cut(void **state)
{
    (void)state;
    static const struct {
        unsigned char bytes[8];
        size_t length;
        bool incomplete;
    } cases[] = {
        {{FIN | TEXT, 1, 'x'}, 3, false},
        {{FIN | TEXT}, 1, true},
        {{FIN | TEXT, 2, 'x'}, 3, true},
        {{TEXT, 1, 'x'}, 3, true},
        {{TEXT, 1, 'x', FIN | CONTINUE, 0}, 5, false},
        {{TEXT, 1, 'x', FIN | PING, 1}, 5, true},
        {{FIN | PING, 2, 'x'}, 3, false},
        {{FIN | CLOSE, 0, FIN | TEXT, 1}, 4, false},
        {{0}, 0, false},
    };
    struct kx_ws *ws = create(&wide);
    struct kx_buf trace = buffer();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        feed(ws, (const char *)cases[i].bytes, cases[i].length, 8, &trace);
        assert_int_equal(kx_ws_reset(ws), cases[i].incomplete);
        assert_false(kx_ws_reset(ws));
    }
    kx_buf_fini(&trace);
    kx_ws_destroy(ws);
    kx_ws_destroy(NULL);
}

static void a_close_is_the_end(void **state)
{
    (void)state;
    struct kx_buf stream = buffer();
    put_header(&stream, FIN | CLOSE, 0, 0);
    put_frame(&stream, FIN | 3, 1, 4); /* not even an error counts behind it */
    struct kx_buf trace = trace_of(&stream, &wide, 1);
    assert_trace(&trace, "close 0 811c9dc5 1005\n");
    kx_buf_fini(&trace);
    kx_buf_clear(&stream);
    put_header(&stream, FIN | CLOSE, 2, 0);
    kx_buf_bytes(&stream, "\x0f\xa0", 2);
    trace = trace_of(&stream, &wide, 1);
    assert_non_null(strstr(trace.data, " 4000\n"));
    kx_buf_fini(&trace);
    kx_buf_fini(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_events_of_all_sorts),
        cmocka_unit_test(every_cut_gives_the_same_events),
        cmocka_unit_test(large_frames_however_they_come),
        cmocka_unit_test(tails_move_to_the_front),
        cmocka_unit_test(a_message_in_one_frame_is_not_copied),
        cmocka_unit_test(every_protocol_error),
        cmocka_unit_test(reset_tells_whether_a_message_was_cut),
        cmocka_unit_test(a_close_is_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
