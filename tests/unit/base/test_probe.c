/* The lines of a probe: their form, their count, and what strangers put into them. */
#include "base/probe.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What was written to the pipe since. */
static const char *read_all(int fd)
{
    static char text[8192];
    ssize_t got = read(fd, text, sizeof text - 1);
    assert_true(got >= 0);
    text[got] = '\0';
    return text;
}

static void lines_have_grade_subject_text_and_remedy(void **state)
{
    (void)state;
    struct kx_probe probe;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    kx_probe_init(&probe, ends[1]);
    kx_probe_subject(&probe, "source", "north");
    kx_probe_ok(&probe, "connects to %s", "10.0.0.1");
    kx_probe_warn(&probe, "set it", "the clock is %d s behind", 40);
    kx_probe_subject(&probe, "sink", "db");
    kx_probe_fail(&probe, NULL, "is gone");
    kx_probe_fail(&probe, "mend it", "is gone");
    assert_string_equal(read_all(ends[0]), "ok   source north  connects to 10.0.0.1\n"
                                           "warn source north  the clock is 40 s behind: set it\n"
                                           "FAIL sink db  is gone\n"
                                           "FAIL sink db  is gone: mend it\n");
    assert_int_equal(probe.warnings, 1);
    assert_int_equal(probe.failures, 2);
    close(ends[0]);
    close(ends[1]);
}

static void what_strangers_say_moves_no_cursor(void **state)
{
    (void)state;
    struct kx_probe probe;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    kx_probe_init(&probe, ends[1]);
    kx_probe_subject(&probe, "source", "no\rth");
    kx_probe_fail(&probe, "do\n", "says %s", "\x1b[2Jok   source north  all is well\n");
    assert_string_equal(read_all(ends[0]), "FAIL source no\\x0Dth  says \\x1B[2Jok   source north  "
                                           "all is well\\x0A: do\\x0A\n");
    close(ends[0]);
    close(ends[1]);
}

static void long_ones_are_cut(void **state)
{
    (void)state;
    struct kx_probe probe;
    int ends[2];
    char word[4000];
    memset(word, 'x', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    assert_int_equal(pipe(ends), 0);
    kx_probe_init(&probe, ends[1]);
    kx_probe_subject(&probe, "source", word);
    kx_probe_ok(&probe, "%s", word);
    const char *line = read_all(ends[0]);
    size_t length = strlen(line);
    assert_true(length > 1000 && length < 1200);
    assert_int_equal(line[length - 1], '\n');
    close(ends[0]);
    close(ends[1]);
}

static void a_reader_that_left_is_no_failure_and_no_end(void **state)
{
    (void)state;
    struct kx_probe probe;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    kx_probe_init(&probe, ends[1]);
    kx_probe_subject(&probe, "source", "north");
    kx_probe_fail(&probe, NULL, "unsaid");
    assert_int_equal(probe.failures, 1);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_have_grade_subject_text_and_remedy),
        cmocka_unit_test(what_strangers_say_moves_no_cursor),
        cmocka_unit_test(long_ones_are_cut),
        cmocka_unit_test(a_reader_that_left_is_no_failure_and_no_end),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
