/* The progress view: what it says of a sink that goes well, one that does not, and one that is
 * named by a stranger. */
#include "stats/progress.h"

#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { WALL_S = 1700000000 };
static const int64_t wall_ns = WALL_S * (int64_t)KX_NS_PER_S;

struct view {
    struct kx_board *board;
    struct kx_progress progress;
    struct kx_progress_sink sinks[2];
    char text[8192];
};

static void begin(struct view *view, size_t sources)
{
    *view = (struct view){0};
    assert_int_equal(kx_board_create(&view->board, sources, 2, NULL), KX_OK);
    for (size_t i = 0; i < 2; i++) {
        view->sinks[i].status.state = KX_SINK_OK;
        snprintf(view->sinks[i].status.name, KX_BOARD_NAME_MAX, "%s", i == 0 ? "db" : "bus");
        view->sinks[i].status.last_delivery_ns = wall_ns;
    }
}

static void set_source(struct view *view, size_t i, enum kx_source_state state, const char *text)
{
    struct kx_source_status status = {.state = state};
    snprintf(status.name, sizeof status.name, "source-%zu", i);
    snprintf(status.text, sizeof status.text, "%s", text);
    kx_board_source_set(view->board, i, &status);
}

static const char *draw(struct view *view, unsigned width, double at_s)
{
    struct kx_buf out = {.data = view->text, .capacity = sizeof view->text - 1};
    out.limit = out.capacity;
    kx_progress_draw(&view->progress, view->board, view->sinks, 2, width,
                     KX_NS_PER_S + (uint64_t)(at_s * 1e9), wall_ns + (int64_t)(at_s * 1e9), &out);
    assert_false(out.failed);
    view->text[out.length] = '\0';
    return view->text;
}

static void all_is_well(void **state)
{
    struct view view;
    (void)state;
    begin(&view, 3);
    set_source(&view, 0, KX_SOURCE_STREAMING, "");
    set_source(&view, 1, KX_SOURCE_STREAMING, "");
    set_source(&view, 2, KX_SOURCE_POLLING, "");
    view.sinks[0].delivered = 1000;
    draw(&view, 0, 0);
    view.sinks[0].delivered = 1234567;
    view.sinks[1].delivered = 7;
    assert_string_equal(
        draw(&view, 0, 2),
        "sources              2 streaming, 1 polling\n"
        "db                       1,234,567 sent  616783.5/s   0.0 s behind   ok\n"
        "bus                              7 sent       3.5/s   0.0 s behind   ok\n");
    kx_board_destroy(view.board);
}

static void the_rate_is_that_of_the_last_draws(void **state)
{
    struct view view;
    (void)state;
    begin(&view, 1);
    for (unsigned i = 0; i < 100; i++) { /* a second apart: 10 each, then 100 each */
        view.sinks[0].delivered += i < 50 ? 10 : 100;
        draw(&view, 0, i);
        if (i == 40)
            assert_non_null(strstr(view.text, "     10.0/s "));
    }
    assert_non_null(strstr(view.text, "    100.0/s "));
    kx_board_destroy(view.board);
}

static void what_waits_is_behind(void **state)
{
    struct view view;
    (void)state;
    begin(&view, 1);
    view.sinks[0].status.state = KX_SINK_RETRYING;
    snprintf(view.sinks[0].status.text, KX_BOARD_TEXT_MAX, "no route");
    assert_non_null(strstr(draw(&view, 120, 42.5), "   0.0 s behind   retrying: no route\n"));
    view.sinks[0].pending = 1;
    assert_non_null(strstr(draw(&view, 120, 42.5), "  42.5 s behind   retrying: no route\n"));
    assert_non_null(strstr(draw(&view, 120, 600), "    10 m behind   retrying: no route\n"));
    assert_non_null(strstr(draw(&view, 120, 7200), "     2 h behind   retrying: no route\n"));
    /* Nothing was ever delivered: since when it tries. */
    view.sinks[0].status.last_delivery_ns = 0;
    view.sinks[0].status.since_ns = wall_ns + 5 * (int64_t)KX_NS_PER_S;
    assert_non_null(strstr(draw(&view, 120, 15), "  10.0 s behind"));
    kx_board_destroy(view.board);
}

static void hostile_and_long_texts_stay_in_their_line(void **state)
{
    struct view view;
    (void)state;
    begin(&view, 1);
    set_source(&view, 0, KX_SOURCE_AUTH_FAILED, "say \033[2Jplease");
    view.sinks[1].status.state = KX_SINK_HELD;
    memset(view.sinks[1].status.text, 'x', KX_BOARD_TEXT_MAX - 1);
    memcpy(view.sinks[1].status.name, "\xc3\xa4\xc3\xb6\n", 6);
    const char *text = draw(&view, 79, 0);
    assert_null(strchr(text, '\033'));
    assert_non_null(strstr(text, "1 auth_failed (source-0: say \\x1B[2Jplease)\n"));
    unsigned lines = 0;
    for (const char *at = text; *at != '\0'; lines++) {
        size_t length = strcspn(at, "\n");
        assert_in_range(length, 1, 78);
        at += length + 1;
    }
    assert_int_equal(lines, 3);
    kx_board_destroy(view.board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_is_well),
        cmocka_unit_test(the_rate_is_that_of_the_last_draws),
        cmocka_unit_test(what_waits_is_behind),
        cmocka_unit_test(hostile_and_long_texts_stay_in_their_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
