/* Log lines: their two forms, what strangers can do to them, and what becomes of them when nobody
 * reads standard error. */
#include "base/log.h"

#include "base/clock.h"
#include "base/text.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { TIME_LENGTH = 24, CAUGHT_MAX = 1 << 16 };

/* Standard error is ours from `catch_start` to `catch_stop`: cmocka writes its failures there, so
 * nothing in between may assert. */
static int kept_stderr = -1;
static int reader = -1;

static void catch_start(int writer, int read_end)
{
    kept_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    dup2(writer, STDERR_FILENO);
    close(writer);
    reader = read_end;
}

static void catch_pipe(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    catch_start(ends[1], ends[0]);
}

/* Gives standard error back and reads all that was written, NUL-terminated. */
static size_t catch_stop(char text[CAUGHT_MAX])
{
    size_t length = 0;
    dup2(kept_stderr, STDERR_FILENO);
    close(kept_stderr);
    while (reader >= 0 && length < CAUGHT_MAX - 1) {
        ssize_t got = read(reader, text + length, CAUGHT_MAX - 1 - length);
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    text[length] = '\0';
    if (reader >= 0)
        close(reader);
    return length;
}

static void expect_time(const char *text)
{
    static const char form[] = "0000-00-00T00:00:00.000Z";
    for (size_t i = 0; i < TIME_LENGTH; i++) {
        if (form[i] == '0')
            assert_in_range(text[i], '0', '9');
        else
            assert_int_equal(text[i], form[i]);
    }
}

static int defaults(void **state)
{
    (void)state;
    unsetenv("JOURNAL_STREAM");
    kx_log_configure(KX_LOG_INFO, KX_LOG_TEXT);
    return 0;
}

static void test_text_line(void **state)
{
    (void)state;
    char text[CAUGHT_MAX];
    catch_pipe();
    errno = EPIPE;
    kx_log(KX_LOG_WARNING, "source kitchen", "no answer for %d s", 5);
    int after = errno;
    catch_stop(text);
    expect_time(text);
    assert_string_equal(text + TIME_LENGTH, " warning source kitchen: no answer for 5 s\n");
    assert_int_equal(after, EPIPE);
}

static void test_json_line(void **state)
{
    (void)state;
    char text[CAUGHT_MAX];
    kx_log_configure(KX_LOG_DEBUG, KX_LOG_JSON);
    catch_pipe();
    kx_log(KX_LOG_DEBUG, "sink \"db\"", "a\\b <i>\n");
    kx_log(KX_LOG_ERROR, "main", "%s", "");
    catch_stop(text);
    assert_memory_equal(text, "{\"time\":\"", 9);
    expect_time(text + 9);
    char *second = strchr(text, '\n') + 1;
    *(second - 1) = '\0';
    assert_string_equal(text + 9 + TIME_LENGTH,
                        "\",\"level\":\"debug\",\"component\":\"sink \\\"db\\\"\","
                        "\"message\":\"a\\\\b \\u003Ci\\u003E\\\\x0A\"}");
    assert_string_equal(second + 9 + TIME_LENGTH,
                        "\",\"level\":\"error\",\"component\":\"main\",\"message\":\"\"}\n");
}

static void test_levels(void **state)
{
    (void)state;
    static const char *names[] = {"error", "warning", "info", "debug"};
    char text[CAUGHT_MAX];
    for (int level = KX_LOG_ERROR; level <= KX_LOG_DEBUG; level++) {
        kx_log_level_set((enum kx_log_level)level);
        catch_pipe();
        for (int line = KX_LOG_ERROR; line <= KX_LOG_DEBUG; line++)
            kx_log((enum kx_log_level)line, "main", "line");
        catch_stop(text);
        const char *at = text;
        for (int line = KX_LOG_ERROR; line <= KX_LOG_DEBUG; line++) {
            assert_int_equal(kx_log_enabled((enum kx_log_level)line), line <= level);
            if (line > level)
                continue;
            char expected[64];
            int length = snprintf(expected, sizeof expected, " %s main: line\n", names[line]);
            assert_memory_equal(at + TIME_LENGTH, expected, (size_t)length);
            at += TIME_LENGTH + length;
        }
        assert_int_equal(*at, '\0');
    }
}

static void test_strangers_cannot_forge(void **state)
{
    (void)state;
    static const char name[] =
        "AP\n2025-01-17T16:30:45.123Z info main: all is well\r\x1b[2K\xe2\x80\xae\xff";
    char text[CAUGHT_MAX];
    catch_pipe();
    kx_log(KX_LOG_INFO, name, "device %s", name);
    size_t length = catch_stop(text);
    assert_ptr_equal(strchr(text, '\n'), text + length - 1);
    assert_null(strpbrk(text, "\r\x1b"));
    assert_null(strstr(text, "\xe2\x80\xae"));
    assert_non_null(strstr(text, "device AP\\x0A2025"));
    assert_non_null(strstr(text, "well\\x0D\\x1B[2K\\u202E\xef\xbf\xbd\n"));
}

/* Messages of every length about the longest, of bytes that swell when they are made safe: never
 * above the limit, dots when and only when something was left out, never a torn character. */
static void expect_bounded(const char *unit, enum kx_log_format format)
{
    static char text[CAUGHT_MAX];
    size_t unit_length = strlen(unit);
    kx_log_configure(KX_LOG_INFO, format);
    bool cut_seen = false;
    size_t empty = 0; /* a line without a message */
    size_t shown = 0; /* what one unit becomes */
    for (size_t units = 0; units * unit_length < KX_LOG_LINE_MAX + 40; units++) {
        char message[2 * KX_LOG_LINE_MAX];
        for (size_t i = 0; i < units; i++)
            memcpy(message + i * unit_length, unit, unit_length);
        message[units * unit_length] = '\0';
        catch_pipe();
        kx_log(KX_LOG_INFO, "main", "%s", message);
        size_t length = catch_stop(text);
        const char *end = format == KX_LOG_JSON ? "...\"}\n" : "...\n";
        size_t end_length = strlen(end);
        bool cut = strcmp(text + length - end_length, end) == 0;
        assert_in_range(length, TIME_LENGTH, KX_LOG_LINE_MAX);
        assert_ptr_equal(strchr(text, '\n'), text + length - 1);
        assert_int_equal(kx_text_utf8_valid(text, length), length);
        if (units == 0)
            empty = length;
        if (units == 1)
            shown = length - empty;
        if (cut) { /* and then it is as long as may be, and the last unit is whole */
            assert_true(length > KX_LOG_LINE_MAX - 16);
            assert_int_equal((length - empty - 3) % shown, 0);
        } else {
            assert_false(cut_seen);
            assert_int_equal(length, empty + units * shown);
        }
        cut_seen = cut;
    }
    assert_true(cut_seen);
}

static void test_long_lines_are_cut(void **state)
{
    (void)state;
    static const char *units[] = {"x", "\xe2\x82\xac", "\x01", "<", "\xf0\x9f\x98\x80", "\xff",
                                  "\\"};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        expect_bounded(units[i], KX_LOG_TEXT);
        expect_bounded(units[i], KX_LOG_JSON);
    }
}

static void test_long_component(void **state)
{
    (void)state;
    char component[2 * KX_LOG_LINE_MAX];
    char text[CAUGHT_MAX];
    memset(component, 'c', sizeof component - 1);
    component[sizeof component - 1] = '\0';
    kx_log_configure(KX_LOG_INFO, KX_LOG_JSON);
    catch_pipe();
    kx_log(KX_LOG_INFO, component, "message");
    size_t length = catch_stop(text);
    assert_in_range(length, 100, KX_LOG_LINE_MAX);
    assert_non_null(strstr(text, "cc...\",\"message\":\"message\"}\n"));
}

static void test_repeats_are_held_back(void **state)
{
    (void)state;
    struct kx_log_limit limit = {0};
    uint64_t interval = KX_LOG_REPEAT_S * KX_NS_PER_S;
    char text[CAUGHT_MAX];
    catch_pipe();
    kx_log_limited(&limit, 5, KX_LOG_DEBUG, "main", "not enabled");
    kx_log_limited(&limit, 5, KX_LOG_ERROR, "main", "down %d", 1);
    kx_log_limited(&limit, 6, KX_LOG_ERROR, "main", "down %d", 2);
    kx_log_limited(&limit, 5 + interval - 1, KX_LOG_ERROR, "main", "down %d", 3);
    uint64_t held = limit.held_back;
    kx_log_limited(&limit, 5 + interval, KX_LOG_ERROR, "main", "down %d", 4);
    kx_log_limited(&limit, 5 + 2 * interval, KX_LOG_ERROR, "main", "down %d", 5);
    size_t length = catch_stop(text);
    assert_int_equal(held, 2);
    assert_int_equal(limit.held_back, 0);
    static const char first[] = " error main: down 1\n";
    static const char second[] = " error main: down 4 (2 more like this were held back)\n";
    static const char third[] = " error main: down 5\n";
    const char *at = text + TIME_LENGTH;
    assert_memory_equal(at, first, sizeof first - 1);
    at += sizeof first - 1 + TIME_LENGTH;
    assert_memory_equal(at, second, sizeof second - 1);
    at += sizeof second - 1 + TIME_LENGTH;
    assert_string_equal(at, third);
    assert_int_equal(length, (size_t)(at - text) + sizeof third - 1);
}

/* How many were held back is told even behind a message that is cut. */
static void test_held_back_of_a_long_line(void **state)
{
    (void)state;
    struct kx_log_limit limit = {.held_back = UINT64_MAX};
    char message[2 * KX_LOG_LINE_MAX];
    char text[CAUGHT_MAX];
    memset(message, 'm', sizeof message - 1);
    message[sizeof message - 1] = '\0';
    catch_pipe();
    kx_log_limited(&limit, 0, KX_LOG_ERROR, "main", "%s", message);
    size_t length = catch_stop(text);
    assert_int_equal(length, KX_LOG_LINE_MAX);
    assert_non_null(strstr(text, "mm... (18446744073709551615 more like this were held back)\n"));
}

static void test_full_pipe_costs_a_line(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    static char filler[4096];
    size_t filled = 0;
    for (ssize_t put; (put = write(ends[1], filler, sizeof filler)) > 0;)
        filled += (size_t)put;
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0); /* as it comes from a shell: blocking */

    uint64_t before = kx_log_lost();
    int read_end = ends[0];
    catch_start(ends[1], read_end);
    for (int i = 0; i < 10; i++)
        kx_log(KX_LOG_ERROR, "main", "nobody reads this");
    uint64_t lost = kx_log_lost() - before;
    for (size_t left = filled; left > 0;) {
        ssize_t got = read(read_end, filler, sizeof filler);
        left -= got > 0 ? (size_t)got : left;
    }
    kx_log(KX_LOG_ERROR, "main", "now somebody does");
    static char text[CAUGHT_MAX];
    catch_stop(text);
    assert_int_equal(lost, 10);
    assert_int_equal(kx_log_lost() - before, 10);
    assert_string_equal(text + TIME_LENGTH, " error main: now somebody does\n");
}

static void test_full_socket_costs_a_line(void **state)
{
    (void)state;
    int ends[2];
    static char text[CAUGHT_MAX];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    int size = 4096;
    assert_int_equal(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    uint64_t before = kx_log_lost();
    catch_start(ends[1], ends[0]);
    uint64_t tried = 0;
    while (kx_log_lost() == before && tried < 100000) {
        kx_log(KX_LOG_ERROR, "main", "nobody reads this");
        tried++;
    }
    catch_stop(text);
    assert_int_equal(kx_log_lost() - before, 1);
    uint64_t lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_int_equal(lines + 1, tried);
}

static void test_refused_writes_are_counted(void **state)
{
    (void)state;
    char text[CAUGHT_MAX];
    uint64_t before = kx_log_lost();

    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    catch_start(full, -1);
    kx_log(KX_LOG_ERROR, "main", "no room on the device");
    catch_stop(text);
    assert_int_equal(kx_log_lost() - before, 1);

    /* The reader left: lost, and no SIGPIPE, which would end this test. */
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    catch_start(ends[1], -1);
    kx_log(KX_LOG_ERROR, "main", "no reader");
    catch_stop(text);
    assert_int_equal(kx_log_lost() - before, 2);

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    close(ends[0]);
    catch_start(ends[1], -1);
    kx_log(KX_LOG_ERROR, "main", "no peer");
    catch_stop(text);
    assert_int_equal(kx_log_lost() - before, 3);

    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_true(null >= 0);
    catch_start(null, -1);
    close(STDERR_FILENO);
    kx_log(KX_LOG_ERROR, "main", "no standard error");
    catch_stop(text);
    assert_int_equal(kx_log_lost() - before, 4);
}

static void test_file(void **state)
{
    (void)state;
    char path[] = "/tmp/kx-log-XXXXXX";
    char text[CAUGHT_MAX] = "";
    int file = mkstemp(path);
    assert_true(file >= 0);
    int again = open(path, O_RDONLY | O_CLOEXEC);
    unlink(path);
    catch_start(file, again);
    kx_log(KX_LOG_INFO, "main", "into a file");
    catch_stop(text);
    assert_string_equal(text + TIME_LENGTH, " info main: into a file\n");
}

/* As under systemd: the journal knows the time and takes the level as a number. */
static void test_journal(void **state)
{
    (void)state;
    int ends[2];
    char text[CAUGHT_MAX];
    struct stat status;
    char stream[64];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(fstat(ends[1], &status), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)status.st_dev,
             (unsigned long long)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    catch_start(ends[1], ends[0]);
    kx_log_configure(KX_LOG_DEBUG, KX_LOG_TEXT);
    kx_log(KX_LOG_ERROR, "main", "a");
    kx_log(KX_LOG_WARNING, "main", "b");
    kx_log(KX_LOG_INFO, "main", "c");
    kx_log(KX_LOG_DEBUG, "main", "d");
    kx_log_configure(KX_LOG_DEBUG, KX_LOG_JSON);
    kx_log(KX_LOG_INFO, "main", "e");
    catch_stop(text);
    static const char lines[] = "<3>main: a\n<4>main: b\n<6>main: c\n<7>main: d\n<6>{\"time\":\"";
    assert_memory_equal(text, lines, sizeof lines - 1);

    /* The variable is inherited by children whose standard error is something else. */
    catch_pipe();
    kx_log_configure(KX_LOG_INFO, KX_LOG_TEXT);
    kx_log(KX_LOG_INFO, "main", "f");
    catch_stop(text);
    assert_string_equal(text + TIME_LENGTH, " info main: f\n");
}

enum { LOGGERS = 4, LINES = 500 };

static void *log_many(void *argument)
{
    for (int i = 0; i < LINES; i++)
        kx_log(KX_LOG_INFO, argument, "line %d of many, as long as lines usually are", i);
    return NULL;
}

static void *read_all(void *argument)
{
    unsigned *lines = argument;
    static char text[CAUGHT_MAX];
    size_t kept = 0;
    for (;;) {
        ssize_t got = read(reader, text + kept, sizeof text - 1 - kept);
        if (got <= 0)
            return NULL;
        kept += (size_t)got;
        text[kept] = '\0';
        char *start = text;
        for (char *end; (end = strchr(start, '\n')) != NULL; start = end + 1) {
            static const char tail[] = "as long as lines usually are";
            *end = '\0';
            if (strncmp(start + TIME_LENGTH, " info t", 7) == 0 &&
                strcmp(end - (sizeof tail - 1), tail) == 0)
                lines[start[TIME_LENGTH + 7] - '0']++;
        }
        kept -= (size_t)(start - text);
        memmove(text, start, kept);
    }
}

/* Threads do not tear each other's lines; what is not written is counted. */
static void test_threads(void **state)
{
    (void)state;
    static char names[LOGGERS][3] = {"t0", "t1", "t2", "t3"};
    unsigned lines[10] = {0};
    pthread_t loggers[LOGGERS];
    pthread_t listener;
    uint64_t before = kx_log_lost();
    catch_pipe();
    pthread_create(&listener, NULL, read_all, lines);
    for (size_t i = 0; i < LOGGERS; i++)
        pthread_create(&loggers[i], NULL, log_many, names[i]);
    for (size_t i = 0; i < LOGGERS; i++)
        pthread_join(loggers[i], NULL);
    dup2(kept_stderr, STDERR_FILENO); /* the last writer's end: the listener sees the end */
    pthread_join(listener, NULL);
    close(kept_stderr);
    close(reader);
    unsigned written = 0;
    for (size_t i = 0; i < LOGGERS; i++)
        written += lines[i];
    assert_int_equal(written + (kx_log_lost() - before), LOGGERS * LINES);
    assert_true(written > 0);
}

/* The screen after a log line: the panel is gone, and comes back below it. */
static void a_panel_stays_below_the_log(void **state)
{
    char text[CAUGHT_MAX];
    (void)state;
    catch_pipe();
    kx_log_panel("a\nb\n");
    kx_log_panel("c\nd\ne\n");
    kx_log(KX_LOG_INFO, "main", "hello");
    kx_log_panel("f\n");
    kx_log_panel("");
    kx_log(KX_LOG_INFO, "main", "the end");
    catch_stop(text);
    static const char first[] = "a\nb\n\r\033[2A\033[Jc\nd\ne\n\r\033[3A\033[J";
    assert_memory_equal(text, first, sizeof first - 1);
    const char *rest = text + sizeof first - 1;
    expect_time(rest);
    static const char second[] = " info main: hello\nf\n\r\033[1A\033[J";
    assert_memory_equal(rest + TIME_LENGTH, second, sizeof second - 1);
    rest += TIME_LENGTH + sizeof second - 1;
    assert_string_equal(rest + TIME_LENGTH, " info main: the end\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_panel_stays_below_the_log, defaults),
        cmocka_unit_test_setup(test_text_line, defaults),
        cmocka_unit_test_setup(test_json_line, defaults),
        cmocka_unit_test_setup(test_levels, defaults),
        cmocka_unit_test_setup(test_strangers_cannot_forge, defaults),
        cmocka_unit_test_setup(test_long_lines_are_cut, defaults),
        cmocka_unit_test_setup(test_long_component, defaults),
        cmocka_unit_test_setup(test_repeats_are_held_back, defaults),
        cmocka_unit_test_setup(test_held_back_of_a_long_line, defaults),
        cmocka_unit_test_setup(test_full_pipe_costs_a_line, defaults),
        cmocka_unit_test_setup(test_full_socket_costs_a_line, defaults),
        cmocka_unit_test_setup(test_refused_writes_are_counted, defaults),
        cmocka_unit_test_setup(test_file, defaults),
        cmocka_unit_test_setup(test_journal, defaults),
        cmocka_unit_test_setup(test_threads, defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
