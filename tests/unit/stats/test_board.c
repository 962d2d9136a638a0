/* The board: what is put there comes back whole, also from under a writer. */
#include "stats/board.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

static struct kx_board *create(size_t sources, size_t sinks)
{
    struct kx_board *board = NULL;
    struct kx_error err = {0};
    assert_int_equal(kx_board_create(&board, sources, sinks, &err), KX_OK);
    assert_int_equal(err.code, KX_OK);
    assert_non_null(board);
    return board;
}

static void test_new_board_knows_nothing(void **state)
{
    (void)state;
    struct kx_board *board = create(2, 3);
    assert_int_equal(kx_board_sources(board), 2);
    assert_int_equal(kx_board_sinks(board), 3);
    for (size_t i = 0; i < 2; i++) {
        struct kx_source_status status;
        memset(&status, 0xee, sizeof status);
        kx_board_source_get(board, i, &status);
        assert_string_equal(status.name, "");
        assert_string_equal(status.text, "");
        assert_int_equal(status.state, KX_SOURCE_CONNECTING);
        assert_int_equal(status.last_contact_ns, 0);
        assert_false(status.skew_known);
        assert_int_equal(status.datasources_ok, -1);
        assert_int_equal(status.datasources_failed, -1);
        assert_int_equal(status.devices, -1);
    }
    for (size_t i = 0; i < 3; i++) {
        struct kx_sink_status status;
        memset(&status, 0xee, sizeof status);
        kx_board_sink_get(board, i, &status);
        assert_string_equal(status.name, "");
        assert_int_equal(status.state, KX_SINK_STARTING);
        assert_int_equal(status.last_delivery_ns, 0);
    }
    kx_board_destroy(board);
    kx_board_destroy(NULL);
}

static void test_set_and_get(void **state)
{
    (void)state;
    struct kx_board *board = create(2, 2);
    struct kx_source_status source = {.name = "kitchen",
                                      .server_uuid = "uuid",
                                      .state = KX_SOURCE_POLLING,
                                      .text = "why",
                                      .devices = 7,
                                      .skew_known = true,
                                      .clock_skew_s = -0.5};
    struct kx_sink_status sink = {.name = "db", .state = KX_SINK_HELD, .text = "bad password"};
    struct kx_source_status source_back;
    struct kx_sink_status sink_back;
    kx_board_source_set(board, 1, &source);
    kx_board_sink_set(board, 0, &sink);
    source.devices = 8; /* the board has a copy */
    kx_board_source_get(board, 1, &source_back);
    assert_string_equal(source_back.name, "kitchen");
    assert_string_equal(source_back.server_uuid, "uuid");
    assert_string_equal(source_back.text, "why");
    assert_int_equal(source_back.state, KX_SOURCE_POLLING);
    assert_int_equal(source_back.devices, 7);
    assert_true(source_back.skew_known);
    assert_true(source_back.clock_skew_s < -0.49 && source_back.clock_skew_s > -0.51);
    kx_board_source_get(board, 0, &source_back);
    assert_string_equal(source_back.name, "");
    kx_board_sink_get(board, 0, &sink_back);
    assert_string_equal(sink_back.name, "db");
    assert_string_equal(sink_back.text, "bad password");
    assert_int_equal(sink_back.state, KX_SINK_HELD);
    kx_board_sink_get(board, 1, &sink_back);
    assert_string_equal(sink_back.name, "");
    kx_board_destroy(board);
}

static void test_sizes(void **state)
{
    (void)state;
    struct kx_board *board = create(0, 0);
    assert_int_equal(kx_board_sources(board), 0);
    assert_int_equal(kx_board_sinks(board), 0);
    kx_board_destroy(board);

    const size_t refused[][2] = {{SIZE_MAX, 1},
                                 {1, SIZE_MAX},
                                 {SIZE_MAX - 1, 1},
                                 {1, SIZE_MAX / 1024},
                                 {SIZE_MAX, SIZE_MAX}};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct kx_board *untouched = (struct kx_board *)&untouched;
        struct kx_error err = {0};
        assert_int_equal(kx_board_create(&untouched, refused[i][0], refused[i][1], &err),
                         KX_ERR_NOMEM);
        assert_int_equal(err.code, KX_ERR_NOMEM);
        assert_ptr_equal(untouched, &untouched);
    }
}

/* The program ends by KX_ASSERT when `which` of the four calls is asked for an entry that is not
 * there. */
static bool ends_by_assert(int which)
{
    struct kx_board *board = create(1, 2);
    pid_t child = fork();
    if (child == 0) {
        struct kx_source_status source = {0};
        struct kx_sink_status sink = {0};
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
        if (which == 0)
            kx_board_source_set(board, 1, &source);
        else if (which == 1)
            kx_board_source_get(board, 1, &source);
        else if (which == 2)
            kx_board_sink_set(board, 2, &sink);
        else
            kx_board_sink_get(board, 2, &sink);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    kx_board_destroy(board);
    return child > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void test_entries_that_are_not_there(void **state)
{
    (void)state;
    for (int which = 0; which < 4; which++)
        assert_true(ends_by_assert(which));
}

static void test_names(void **state)
{
    (void)state;
    for (int i = KX_SOURCE_CONNECTING; i <= KX_SOURCE_ENDED; i++) {
        assert_string_not_equal(kx_source_state_name((enum kx_source_state)i), "unknown");
        for (int j = KX_SOURCE_CONNECTING; j < i; j++)
            assert_string_not_equal(kx_source_state_name((enum kx_source_state)i),
                                    kx_source_state_name((enum kx_source_state)j));
    }
    for (int i = KX_SINK_STARTING; i <= KX_SINK_GONE; i++) {
        assert_string_not_equal(kx_sink_state_name((enum kx_sink_state)i), "unknown");
        for (int j = KX_SINK_STARTING; j < i; j++)
            assert_string_not_equal(kx_sink_state_name((enum kx_sink_state)i),
                                    kx_sink_state_name((enum kx_sink_state)j));
    }
    assert_string_equal(kx_source_state_name(KX_SOURCE_AUTH_FAILED), "auth_failed");
    assert_string_equal(kx_sink_state_name(KX_SINK_RETRYING), "retrying");
    assert_string_equal(kx_source_state_name((enum kx_source_state)99), "unknown");
    assert_string_equal(kx_sink_state_name((enum kx_sink_state)99), "unknown");
}

enum { ROUNDS = 5000 };

static void *write_many(void *board)
{
    struct kx_source_status status = {0};
    for (int i = 0; i < ROUNDS; i++) {
        memset(status.name, 'a' + i % 26, sizeof status.name - 1);
        memset(status.text, 'a' + i % 26, sizeof status.text - 1);
        status.devices = i % 26;
        kx_board_source_set(board, 0, &status);
    }
    return NULL;
}

/* Every copy is of one moment: all of its parts are of one round. */
static void test_copies_are_whole(void **state)
{
    (void)state;
    struct kx_board *board = create(1, 0);
    pthread_t writer;
    bool whole = true;
    assert_int_equal(pthread_create(&writer, NULL, write_many, board), 0);
    for (int i = 0; i < ROUNDS; i++) {
        struct kx_source_status status;
        kx_board_source_get(board, 0, &status);
        if (status.devices < 0)
            continue; /* not written yet */
        char letter = (char)('a' + status.devices);
        whole = whole && status.name[0] == letter && status.name[126] == letter &&
                status.text[0] == letter && status.text[382] == letter;
    }
    pthread_join(writer, NULL);
    assert_true(whole);
    kx_board_destroy(board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_board_knows_nothing),
        cmocka_unit_test(test_set_and_get),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_entries_that_are_not_there),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_copies_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
