/* Errors: what is kept, what is cut, and that a bug ends the program. */
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_set(void **state)
{
    (void)state;
    struct kx_error err = {0};
    assert_int_equal(kx_error_set(&err, KX_ERR_PARSE, 0, "line %d: no key", 7), KX_ERR_PARSE);
    assert_int_equal(err.code, KX_ERR_PARSE);
    assert_int_equal(err.sys, 0);
    assert_string_equal(err.text, "line 7: no key");
}

static void test_set_appends_errno(void **state)
{
    (void)state;
    struct kx_error err = {0};
    errno = ERANGE;
    assert_int_equal(kx_error_set(&err, KX_ERR_IO, ENOENT, "cannot open %s", "/x"), KX_ERR_IO);
    assert_int_equal(err.sys, ENOENT);
    assert_string_equal(err.text, "cannot open /x: No such file or directory");
    assert_int_equal(errno, ERANGE);
    kx_error_set(&err, KX_ERR_IO, 99999, "odd");
    assert_int_equal(errno, ERANGE); /* though strerror knows no such number */
    assert_non_null(strstr(err.text, "odd: "));
}

static void test_null_wants_the_code_only(void **state)
{
    (void)state;
    assert_int_equal(kx_error_set(NULL, KX_ERR_AUTH, EPERM, "x"), KX_ERR_AUTH);
    assert_int_equal(kx_error_prefix(NULL, "x"), KX_ERR_BUG);
}

static void test_control_bytes_are_replaced(void **state)
{
    (void)state;
    struct kx_error err;
    kx_error_set(&err, KX_ERR_PARSE, 0, "a\nb\x1b[2J\x7f\tc \xc3\xa9");
    assert_string_equal(err.text, "a?b?[2J??c \xc3\xa9");
}

static void test_own_text_as_argument(void **state)
{
    (void)state;
    struct kx_error err;
    kx_error_set(&err, KX_ERR_IO, 0, "inner");
    kx_error_set(&err, KX_ERR_CONFIG, 0, "outer: %s", err.text);
    assert_string_equal(err.text, "outer: inner");
    kx_error_prefix(&err, "%s", err.text);
    assert_string_equal(err.text, "outer: inner: outer: inner");
}

static void test_prefix(void **state)
{
    (void)state;
    struct kx_error err;
    kx_error_set(&err, KX_ERR_TIMEOUT, ETIMEDOUT, "no answer");
    assert_int_equal(kx_error_prefix(&err, "sink %s", "db"), KX_ERR_TIMEOUT);
    assert_int_equal(err.code, KX_ERR_TIMEOUT);
    assert_int_equal(err.sys, ETIMEDOUT);
    assert_string_equal(err.text, "sink db: no answer: Connection timed out");
}

/* Every length about the limit: terminated, at most full, dots when and only when cut, the errno's
 * words at the end. */
static void test_long_texts_are_cut(void **state)
{
    (void)state;
    char longer[KX_ERROR_TEXT_MAX + 64];
    for (size_t length = KX_ERROR_TEXT_MAX - 64; length < sizeof longer; length++) {
        struct kx_error err;
        memset(longer, 'x', length);
        longer[length] = '\0';
        kx_error_set(&err, KX_ERR_IO, 0, "%s", longer);
        if (length < KX_ERROR_TEXT_MAX) {
            assert_string_equal(err.text, longer);
        } else {
            assert_int_equal(strlen(err.text), KX_ERROR_TEXT_MAX - 1);
            assert_string_equal(err.text + KX_ERROR_TEXT_MAX - 5, "x...");
        }
        kx_error_set(&err, KX_ERR_IO, EACCES, "%s", longer);
        static const char words[] = ": Permission denied";
        size_t whole = length + sizeof words - 1;
        size_t expected = whole < KX_ERROR_TEXT_MAX ? whole : KX_ERROR_TEXT_MAX - 1;
        assert_int_equal(strlen(err.text), expected);
        assert_string_equal(err.text + expected - (sizeof words - 1), words);
        assert_int_equal(whole >= KX_ERROR_TEXT_MAX, strstr(err.text, "...: Perm") != NULL);
    }
}

static void test_cut_keeps_characters_whole(void **state)
{
    (void)state;
    for (size_t lead = 0; lead < 3; lead++) {
        char longer[KX_ERROR_TEXT_MAX * 2];
        size_t length = lead;
        memset(longer, 'x', lead);
        for (; length < KX_ERROR_TEXT_MAX + 10; length += 3)
            memcpy(longer + length, "\xe2\x82\xac", 3);
        longer[length] = '\0';
        struct kx_error err;
        kx_error_set(&err, KX_ERR_IO, 0, "%s", longer);
        size_t cut = strlen(err.text) - 3;
        assert_string_equal(err.text + cut, "...");
        assert_int_equal((cut - lead) % 3, 0);
        assert_true(cut > KX_ERROR_TEXT_MAX - 8);
    }
}

static void test_prefix_of_a_full_text(void **state)
{
    (void)state;
    char longer[KX_ERROR_TEXT_MAX * 3];
    memset(longer, 'y', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    struct kx_error err;
    kx_error_set(&err, KX_ERR_IO, 0, "%s", longer);
    kx_error_prefix(&err, "sink db");
    assert_int_equal(strlen(err.text), KX_ERROR_TEXT_MAX - 1);
    assert_memory_equal(err.text, "sink db: yyy", 12);
    assert_string_equal(err.text + KX_ERROR_TEXT_MAX - 4, "...");
    kx_error_prefix(&err, "%s", longer);
    assert_int_equal(strlen(err.text), KX_ERROR_TEXT_MAX - 1);
    assert_string_equal(err.text + KX_ERROR_TEXT_MAX - 5, "y...");
}

static void test_names(void **state)
{
    (void)state;
    for (int code = KX_OK; code <= KX_ERR_BUG; code++) {
        const char *name = kx_code_name((enum kx_code)code);
        assert_string_not_equal(name, "unknown");
        for (int other = KX_OK; other < code; other++)
            assert_string_not_equal(name, kx_code_name((enum kx_code)other));
    }
    assert_string_equal(kx_code_name(KX_ERR_NOT_FOUND), "not_found");
    assert_string_equal(kx_code_name((enum kx_code)(KX_ERR_BUG + 1)), "unknown");
}

static void test_assert_ends_the_program(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        KX_ASSERT(2 + 2 == 4);
        KX_ASSERT(child == 1);
        _exit(0);
    }
    close(ends[1]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    char text[512] = "";
    ssize_t got = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    assert_true(got > 0);
    text[got] = '\0';
    assert_non_null(strstr(text, "test_error.c:"));
    assert_non_null(strstr(text, ": child == 1 does not hold\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_set_appends_errno),
        cmocka_unit_test(test_null_wants_the_code_only),
        cmocka_unit_test(test_control_bytes_are_replaced),
        cmocka_unit_test(test_own_text_as_argument),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_cut_keeps_characters_whole),
        cmocka_unit_test(test_prefix_of_a_full_text),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_assert_ends_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
