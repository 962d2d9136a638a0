/* The YAML tree and ${VAR}: shapes, lines, limits, and each refusal with its line. */
#include "config/expand.h"
#include "config/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct kx_yaml *parse(const char *text)
{
    struct kx_yaml *yaml = NULL;
    struct kx_error err = {0};
    if (kx_yaml_parse(text, strlen(text), "f.yaml", &yaml, &err) != KX_OK)
        fail_msg("%s", err.text);
    return yaml;
}

static void walks_a_tree(void **state)
{
    (void)state;
    struct kx_yaml *yaml = parse("# head\n"
                                 "sensor: \"a b\"\n"
                                 "list:\n"
                                 "  - one\n"
                                 "  - {k: v}\n"
                                 "none:\n"
                                 "tilde: ~\n"
                                 "quoted: \"\"\n");
    int root = kx_yaml_root(yaml);
    assert_string_equal(kx_yaml_name(yaml), "f.yaml");
    assert_false(kx_yaml_is_exposed(yaml));
    assert_int_equal(kx_yaml_type(yaml, root), KX_YAML_MAPPING);
    assert_int_equal(kx_yaml_count(yaml, root), 5);
    assert_string_equal(kx_yaml_text(yaml, kx_yaml_key(yaml, root, 0)), "sensor");
    assert_int_equal(kx_yaml_line(yaml, kx_yaml_key(yaml, root, 0)), 2);
    assert_string_equal(kx_yaml_text(yaml, kx_yaml_value(yaml, root, 0)), "a b");
    assert_int_equal(kx_yaml_count(yaml, kx_yaml_value(yaml, root, 0)), 0);
    int list = kx_yaml_value(yaml, root, 1);
    assert_int_equal(kx_yaml_type(yaml, list), KX_YAML_SEQUENCE);
    assert_int_equal(kx_yaml_count(yaml, list), 2);
    assert_string_equal(kx_yaml_text(yaml, kx_yaml_item(yaml, list, 0)), "one");
    assert_int_equal(kx_yaml_line(yaml, kx_yaml_item(yaml, list, 1)), 5);
    assert_true(kx_yaml_is_null(yaml, kx_yaml_value(yaml, root, 2)));
    assert_true(kx_yaml_is_null(yaml, kx_yaml_value(yaml, root, 3)));
    assert_false(kx_yaml_is_null(yaml, kx_yaml_value(yaml, root, 4))); /* written, though empty */
    assert_false(kx_yaml_is_null(yaml, list));
    kx_yaml_destroy(yaml);
    kx_yaml_destroy(NULL);
}

/* An alias is its anchor's node, never a copy: what would be 10^9 scalars is 40 nodes. */
static void aliases_do_not_multiply(void **state)
{
    (void)state;
    char text[2048] = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
    for (char c = 'b'; c <= 'i'; c++) {
        char line[128];
        snprintf(line, sizeof line, "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c,
                 c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1, c - 1);
        strcat(text, line);
    }
    struct kx_yaml *yaml = parse(text);
    int last = kx_yaml_value(yaml, kx_yaml_root(yaml), 8);
    assert_int_equal(kx_yaml_count(yaml, last), 10);
    assert_int_equal(kx_yaml_item(yaml, last, 0), kx_yaml_item(yaml, last, 9));
    kx_yaml_destroy(yaml);
    yaml = parse("a: &a {b: *a}\n"); /* a loop is a loop of node numbers: no memory, no recursion */
    kx_yaml_destroy(yaml);
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *where, *words;
    } rows[] = {
        {"", "f.yaml:1: ", "the file is empty"},
        {"# only a comment\n\n", "f.yaml:1: ", "the file is empty"},
        {"a: 1\n\tb: 2\n", "f.yaml:2: ", "a tab begins the line"},
        {"a:\n  b: 1\n \tc: 2\n", "f.yaml:3: ", "a tab begins the line"},
        {"a: 1\n b: 2\n", "f.yaml:2: ", "not YAML"},
        {"a: [1, 2\nb: 3\n", "f.yaml:2: ",
         "this is not YAML: did not find expected ',' or ']', while parsing a flow sequence"},
        {"a: \"open\n", "f.yaml:2: ", "not YAML"},
        {"a: *nowhere\n", "f.yaml:1: ", "undefined alias"},
        {"a: 1\n---\nb: 2\n", "f.yaml:2: ", "a second document"},
        {"a: 1\nb: \"x\\0y\"\n", "f.yaml:2: ", "NUL"},
        {"a: 1\nb: \xff\xfe\n", "f.yaml:2: ", "UTF-8"},
        {"a: 1\n\nb: \x01\n", "f.yaml:3: ", "without control bytes"},
        {"a:\n [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]\n", "f.yaml:2: ", "deeper than 16"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kx_yaml *yaml = NULL;
        struct kx_error err = {0};
        if (kx_yaml_parse(rows[i].text, strlen(rows[i].text), "f.yaml", &yaml, &err) !=
            KX_ERR_CONFIG)
            fail_msg("row %zu was taken", i);
        if (strncmp(err.text, rows[i].where, strlen(rows[i].where)) != 0 ||
            strstr(err.text, rows[i].words) == NULL)
            fail_msg("row %zu: %s", i, err.text);
        assert_null(yaml);
    }
}

/* libyaml alone needs minutes for these. */
static void deep_nesting_ends_at_once(void **state)
{
    (void)state;
    static const char *const patterns[] = {"{a: ", "[", "- ", "? "};
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        size_t step = strlen(patterns[i]);
        char *text = malloc(KX_YAML_BYTES_MAX);
        struct kx_yaml *yaml = NULL;
        struct kx_error err = {0};
        assert_non_null(text);
        for (size_t at = 0; at + step <= KX_YAML_BYTES_MAX; at += step)
            memcpy(text + at, patterns[i], step);
        assert_int_equal(
            kx_yaml_parse(text, KX_YAML_BYTES_MAX / step * step, "f.yaml", &yaml, &err),
            KX_ERR_CONFIG);
        free(text);
    }
}

static void depth_and_size_limits(void **state)
{
    (void)state;
    struct kx_yaml *yaml = parse("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]"); /* exactly 16 */
    kx_yaml_destroy(yaml);
    struct kx_error err = {0};
    char *text = malloc(KX_YAML_BYTES_MAX + 1);
    assert_non_null(text);
    memset(text, '#', KX_YAML_BYTES_MAX + 1);
    memcpy(text, "a: 1\n", 5);
    yaml = NULL;
    assert_int_equal(kx_yaml_parse(text, KX_YAML_BYTES_MAX + 1, "f.yaml", &yaml, &err),
                     KX_ERR_CONFIG);
    assert_non_null(strstr(err.text, "larger than 1048576 bytes"));
    assert_int_equal(kx_yaml_parse(text, KX_YAML_BYTES_MAX, "f.yaml", &yaml, &err), KX_OK);
    kx_yaml_destroy(yaml);
    free(text);
}

static void reads_files(void **state)
{
    (void)state;
    char path[] = "/tmp/kx-yaml-XXXXXX";
    struct kx_yaml *yaml = NULL;
    struct kx_error err = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "sensor: x\n", 10), 10);
    assert_int_equal(fchmod(fd, 0600), 0);
    assert_int_equal(kx_yaml_read(path, &yaml, &err), KX_OK);
    assert_false(kx_yaml_is_exposed(yaml));
    kx_yaml_destroy(yaml);
    assert_int_equal(fchmod(fd, 0644), 0);
    assert_int_equal(kx_yaml_read(path, &yaml, &err), KX_OK);
    assert_true(kx_yaml_is_exposed(yaml));
    kx_yaml_destroy(yaml);
    yaml = NULL;
    assert_int_equal(ftruncate(fd, KX_YAML_BYTES_MAX + 1), 0);
    assert_int_equal(kx_yaml_read(path, &yaml, &err), KX_ERR_CONFIG);
    assert_non_null(strstr(err.text, "larger than"));
    close(fd);
    unlink(path);
    assert_int_equal(kx_yaml_read(path, &yaml, &err), KX_ERR_CONFIG);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(kx_yaml_read("/tmp", &yaml, &err), KX_ERR_CONFIG); /* a directory */
    assert_null(yaml);
}

static void expands_variables(void **state)
{
    (void)state;
    static const struct {
        const char *text, *wanted;
        bool expanded;
    } rows[] = {
        {"", "", false},
        {"plain $5 $HOME", "plain $5 $HOME", false},
        {"${KX_A}", "alpha", true},
        {"x${KX_A}y${KX_A}z", "xalphayalphaz", true},
        {"${KX_NONE:-fall back}", "fall back", true},
        {"${KX_EMPTY:-words}", "words", true},
        {"${KX_EMPTY}", "", true},
        {"${KX_A:-words}", "alpha", true},
        {"${KX_NONE:-}", "", true},
        {"$${KX_A}", "${KX_A}", false},
        {"${KX_NESTED}", "${KX_A}", true}, /* what comes from a variable is not read again */
        {"100$", "100$", false},
    };
    setenv("KX_A", "alpha", 1);
    setenv("KX_EMPTY", "", 1);
    setenv("KX_NESTED", "${KX_A}", 1);
    unsetenv("KX_NONE");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = NULL;
        bool expanded = false;
        struct kx_error err = {0};
        if (kx_expand(rows[i].text, &text, &expanded, &err) != KX_OK)
            fail_msg("%s: %s", rows[i].text, err.text);
        assert_string_equal(text, rows[i].wanted);
        assert_int_equal(expanded, rows[i].expanded);
        free(text);
    }
}

static void refuses_variables(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"a ${KX_NONE} b", "KX_NONE is not set"},
        {"${", "${NAME}"},
        {"${}", "${NAME}"},
        {"${KX_A", "${NAME}"},
        {"${KX-A}", "${NAME}"},
        {"${KX_A:+x}", "${NAME}"},
        {"${1A}", "${NAME}"},
        {"${9}", "${NAME}"},
        {"${0}", "${NAME}"},
        {"${ä}", "${NAME}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = NULL;
        struct kx_error err = {0};
        if (kx_expand(rows[i].text, &text, NULL, &err) != KX_ERR_CONFIG)
            fail_msg("%s was taken", rows[i].text);
        if (strstr(err.text, rows[i].words) == NULL)
            fail_msg("%s: %s", rows[i].text, err.text);
        assert_null(text);
    }
    char *value = malloc(KX_EXPAND_BYTES_MAX);
    assert_non_null(value);
    memset(value, 'v', KX_EXPAND_BYTES_MAX - 1);
    value[KX_EXPAND_BYTES_MAX - 1] = '\0';
    setenv("KX_LARGE", value, 1);
    char *text = NULL;
    struct kx_error err = {0};
    assert_int_equal(kx_expand("${KX_LARGE}", &text, NULL, &err), KX_OK);
    free(text);
    text = NULL;
    assert_int_equal(kx_expand("${KX_LARGE}+", &text, NULL, &err), KX_ERR_CONFIG);
    assert_non_null(strstr(err.text, "longer than 65535"));
    assert_null(text);
    unsetenv("KX_LARGE");
    free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_a_tree),
        cmocka_unit_test(aliases_do_not_multiply),
        cmocka_unit_test(refusals),
        cmocka_unit_test(deep_nesting_ends_at_once),
        cmocka_unit_test(depth_and_size_limits),
        cmocka_unit_test(reads_files),
        cmocka_unit_test(expands_variables),
        cmocka_unit_test(refuses_variables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
