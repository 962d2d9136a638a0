/* Where dead letters go: the section, its short form, the place when none is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "config/config.h"
#include "config/describe.h"
#include "config/reload.h"
#include "config/state.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/kx-letters-XXXXXX";

static int setup(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL || chdir(folder) != 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink("f.yaml");
    return chdir("/") == 0 ? rmdir(folder) : -1;
}

/* Every case begins without a place in its environment. */
static int clean(void **state)
{
    (void)state;
    unsetenv("STATE_DIRECTORY");
    unsetenv("XDG_STATE_HOME");
    setenv("HOME", "/home/ada", 1);
    return 0;
}

static enum kx_code load(const char *sinks, struct kx_config **ret_config, struct kx_error *err)
{
    char words[4][32] = {"kismet-export", "--config", "f.yaml", "check"};
    char *argv[] = {words[0], words[1], words[2], words[3], NULL};
    bool done = false;
    FILE *file = fopen("f.yaml", "w");
    assert_non_null(file);
    fprintf(file, "sources: [{url: 'http://x', user: a, password: b}]\nsinks:\n%s", sinks);
    assert_int_equal(fclose(file), 0);
    return kx_config_load(4, argv, ret_config, &done, err);
}

static struct kx_config *load_good(const char *sinks)
{
    struct kx_config *config = NULL;
    struct kx_error err = {0};
    if (load(sinks, &config, &err) != KX_OK)
        fail_msg("%s", err.text);
    return config;
}

static void expect_letters(const char *sinks, bool on, const char *path, uint64_t bytes)
{
    struct kx_config *config = load_good(sinks);
    const struct kx_dead_letter_config *letters = &config->sinks[0].dead_letter;
    assert_int_equal(letters->on, on);
    assert_int_equal(letters->bytes, bytes);
    if (path == NULL)
        assert_null(letters->path);
    else
        assert_string_equal(letters->path, path);
    kx_config_destroy(config);
}

static void section(void **state)
{
    (void)state;
    const char *usual = "/home/ada/.local/state/kismet-export/sqlite.dead-letter.ndjson";
    expect_letters("  - {type: sqlite}\n", true, usual, 16 << 20);
    expect_letters("  - {type: sqlite, dead_letter: on}\n", true, usual, 16 << 20);
    expect_letters("  - {type: sqlite, dead_letter: off}\n", false, usual, 16 << 20);
    expect_letters("  - {type: sqlite, dead_letter: {bytes: 1MiB}}\n", true, usual, 1 << 20);
    expect_letters("  - {type: sqlite, dead_letter: {path: x}}\n", true, "x", 16 << 20);
    expect_letters("  - {type: sqlite, name: a/../b}\n", true,
                   "/home/ada/.local/state/kismet-export/a_.._b.dead-letter.ndjson", 16 << 20);
}

static void expect_place(const char *path)
{
    char *found = NULL;
    assert_int_equal(kx_state_path("db", ".x", &found, NULL), KX_OK);
    if (path == NULL)
        assert_null(found);
    else
        assert_string_equal(found, path);
    free(found);
}

static void places(void **state)
{
    (void)state;
    expect_place("/home/ada/.local/state/kismet-export/db.x");
    setenv("XDG_STATE_HOME", "relative", 1);
    expect_place("/home/ada/.local/state/kismet-export/db.x");
    setenv("XDG_STATE_HOME", "/state", 1);
    expect_place("/state/kismet-export/db.x");
    setenv("STATE_DIRECTORY", "/var/lib/one", 1);
    expect_place("/var/lib/one/db.x");
    setenv("STATE_DIRECTORY", "/var/lib/one:/var/lib/two", 1);
    expect_place("/var/lib/one/db.x");
    clean(NULL);
    unsetenv("HOME");
    expect_place(NULL);
}

static void expect_described(const char *sinks, const char *words)
{
    struct kx_buf text;
    struct kx_config *config = load_good(sinks);
    kx_buf_init(&text, 65536);
    kx_config_describe(config, &text);
    kx_buf_byte(&text, '\0');
    assert_non_null(strstr(text.data, words));
    kx_buf_fini(&text);
    kx_config_destroy(config);
}

/* No place is no error: the program runs without. */
static void says_where(void **state)
{
    (void)state;
    expect_described("  - {type: sqlite, dead_letter: {path: x}}\n", "1s, dead letters in x\n");
    expect_described("  - {type: sqlite, dead_letter: off}\n", "1s, no dead letters\n");
    unsetenv("HOME");
    expect_described("  - {type: sqlite}\n",
                     "1s, NO PLACE FOR DEAD LETTERS: give dead_letter.path\n");
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *sinks, *error;
    } cases[] = {
        {"  - {type: sqlite, dead_letter: {bytes: 1KiB}}\n", "out of range (1MiB to 1GiB)"},
        {"  - {type: sqlite, dead_letter: {size: 1MiB}}\n", "unknown key 'size' in 'dead_letter'"},
        {"  - {type: sqlite, dead_letter: here}\n", "'here' is no true or false"},
        {"  - {type: sqlite, name: a/b}\n  - {type: console, name: a_b}\n",
         "the sinks 'a/b' and 'a_b' write the same dead letters"},
        {"  - {type: sqlite, dead_letter: {path: x}}\n  - {type: console, dead_letter: {path: "
         "x}}\n",
         "the sinks 'sqlite' and 'console' write the same dead letters x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct kx_config *config = NULL;
        struct kx_error err = {0};
        assert_int_equal(load(cases[i].sinks, &config, &err), KX_ERR_CONFIG);
        if (strstr(err.text, cases[i].error) == NULL)
            fail_msg("%s", err.text);
    }
    expect_letters("  - {type: sqlite, dead_letter: {path: x}}\n  - {type: console, dead_letter: "
                   "off}\n",
                   true, "x", 16 << 20);
}

/* SIGHUP opens the sink, and so the letters, anew. */
static void reloads(void **state)
{
    (void)state;
    static const char *const fresh_sinks[] = {"  - {type: sqlite}\n",
                                              "  - {type: sqlite, dead_letter: off}\n",
                                              "  - {type: sqlite, dead_letter: {path: x}}\n",
                                              "  - {type: sqlite, dead_letter: {bytes: 2MiB}}\n"};
    struct kx_config *running = load_good("  - {type: sqlite}\n");
    for (size_t i = 0; i < 4; i++) {
        struct kx_config *fresh = load_good(fresh_sinks[i]);
        struct kx_sink_config *merged = NULL;
        bool reopen = false;
        assert_int_equal(
            kx_sink_config_merge(&running->sinks[0], &fresh->sinks[0], &merged, &reopen, NULL),
            KX_OK);
        assert_int_equal(reopen, i > 0);
        assert_int_equal(merged->dead_letter.on, fresh->sinks[0].dead_letter.on);
        assert_int_equal(merged->dead_letter.bytes, fresh->sinks[0].dead_letter.bytes);
        assert_string_equal(merged->dead_letter.path, fresh->sinks[0].dead_letter.path);
        kx_sink_config_destroy(merged);
        kx_config_destroy(fresh);
    }
    kx_config_destroy(running);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(section, clean),    cmocka_unit_test_setup(places, clean),
        cmocka_unit_test_setup(says_where, clean), cmocka_unit_test_setup(refuses, clean),
        cmocka_unit_test_setup(reloads, clean),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
