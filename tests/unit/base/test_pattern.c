/* Regular expressions: what is one, what is found, and what ends instead of running for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/pattern.h"
#include <string.h>

static bool found(const char *text, const char *subject)
{
    struct kx_pattern *pattern = NULL;
    assert_int_equal(kx_pattern_create(&pattern, text, NULL), KX_OK);
    bool yes = kx_pattern_match(pattern, subject, strlen(subject));
    assert_int_equal(kx_pattern_match(pattern, subject, strlen(subject)), yes); /* and again */
    kx_pattern_destroy(pattern);
    return yes;
}

static void finds(void **state)
{
    (void)state;
    assert_true(found("Free", "BigFreeNet"));
    assert_false(found("^Free", "BigFreeNet"));
    assert_true(found("(?i)^FREE", "freenet"));
    assert_true(found("^.$", "\xc3\xa9")); /* one character, two bytes */
    assert_true(found("(?i)\xc3\x89", "caf\xc3\xa9"));
    assert_true(found("", ""));
    assert_false(found(".", ""));
    struct kx_pattern *pattern;
    assert_int_equal(kx_pattern_create(&pattern, "b$", NULL), KX_OK);
    assert_true(kx_pattern_match(pattern, "abc", 2)); /* not beyond the length */
    kx_pattern_destroy(pattern);
    kx_pattern_destroy(NULL);
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {{"^(abc", "at character 6: missing closing parenthesis"},
                 {"a{2,1}", "at character 6: numbers out of order"},
                 {"*", "at character 1: quantifier does not follow"},
                 {"\\C", "\\C"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kx_pattern *pattern = NULL;
        struct kx_error err;
        assert_int_equal(kx_pattern_create(&pattern, cases[i].text, &err), KX_ERR_CONFIG);
        assert_null(pattern);
        if (strstr(err.text, cases[i].says) == NULL)
            fail_msg("%s", err.text);
    }
}

/* 2^60 ways to fail; the limits end it, and that is no match. */
static void ends(void **state)
{
    (void)state;
    char subject[62];
    memset(subject, 'a', sizeof subject - 2);
    subject[60] = 'b';
    subject[61] = '\0';
    assert_false(found("^(a+)+$", subject));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds),
        cmocka_unit_test(refuses),
        cmocka_unit_test(ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
