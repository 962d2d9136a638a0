/* Reading again: the words of the start hold, a bad file changes nothing, and each change is either
 * taken or named. */
#include "config/reload.h"

#include "config/options.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/kx-reload-XXXXXX";

static void write_file(const char *path, const char *text)
{
    unlink(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static int setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < kx_option_count(); i++)
        if (kx_option_at(i)->env != NULL)
            unsetenv(kx_option_at(i)->env);
    unsetenv("CREDENTIALS_DIRECTORY");
    return mkdtemp(folder) == NULL ? -1 : chdir(folder);
}

static int teardown(void **state)
{
    (void)state;
    unlink("f.yaml");
    unlink("key");
    return chdir("/") == 0 ? rmdir(folder) : -1;
}

static struct kx_config *load(const char *yaml, const char *flag, const char *value)
{
    char *argv[] = {strdup("kismet-export"), strdup("--config=f.yaml"),
                    flag == NULL ? NULL : strdup(flag), value == NULL ? NULL : strdup(value), NULL};
    int argc = flag == NULL ? 2 : value == NULL ? 3 : 4;
    struct kx_config *config = NULL;
    struct kx_error err;
    bool done;
    write_file("f.yaml", yaml);
    if (kx_config_load(argc, argv, &config, &done, &err) != KX_OK)
        fail_msg("%s", err.text);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return config;
}

static struct kx_config *reload(const struct kx_config *running, const char *yaml)
{
    struct kx_config *config = NULL;
    struct kx_error err;
    write_file("f.yaml", yaml);
    if (kx_config_reload(running, &config, &err) != KX_OK)
        fail_msg("%s", err.text);
    return config;
}

static void the_words_of_the_start_hold(void **state)
{
    (void)state;
    struct kx_config *first = load("log: {level: error}\n", "--kismet-api-key", "from-argv");
    struct kx_config *second = reload(first, "log: {level: debug}\nmax_devices: 500\n");
    assert_int_equal(second->log_level, KX_LOG_DEBUG);
    assert_int_equal(second->max_devices, 500);
    /* argv was overwritten long ago */
    assert_string_equal(kx_secret_reveal(&second->sources[0].api_key), "from-argv");
    kx_config_destroy(first);
    struct kx_config *third = reload(second, "log: {level: info}\n");
    assert_string_equal(kx_secret_reveal(&third->sources[0].api_key), "from-argv");
    assert_int_equal(third->max_devices, 200000);
    kx_config_destroy(second);
    kx_config_destroy(third);
}

static void a_flag_stays_above_the_file(void **state)
{
    (void)state;
    struct kx_config *first = load("{}\n", "--log-level", "debug");
    struct kx_config *second = reload(first, "log: {level: error}\n");
    assert_int_equal(second->log_level, KX_LOG_DEBUG);
    kx_config_destroy(first);
    kx_config_destroy(second);
}

static void secret_files_are_read_again(void **state)
{
    (void)state;
    write_file("key", "one\n");
    struct kx_config *first = load("sources:\n  - api_key_file: key\n", NULL, NULL);
    write_file("key", "two\n");
    struct kx_config *second = reload(first, "sources:\n  - api_key_file: key\n");
    assert_string_equal(kx_secret_reveal(&first->sources[0].api_key), "one");
    assert_string_equal(kx_secret_reveal(&second->sources[0].api_key), "two");
    struct kx_strings lines = {0};
    assert_true(kx_config_restarts(first, second, &lines));
    assert_int_equal(lines.count, 0);
    kx_config_destroy(first);
    kx_config_destroy(second);
}

static void a_bad_file_is_refused(void **state)
{
    (void)state;
    struct kx_config *first = load("{}\n", NULL, NULL);
    struct kx_config *second = NULL;
    struct kx_error err;
    write_file("f.yaml", "log:\n  level: loud\n");
    assert_int_equal(kx_config_reload(first, &second, &err), KX_ERR_CONFIG);
    assert_non_null(strstr(err.text, "f.yaml:2: level: 'loud' is none of"));
    assert_null(second);
    unlink("f.yaml");
    assert_int_equal(kx_config_reload(first, &second, &err), KX_ERR_CONFIG);
    assert_null(second);
    kx_config_destroy(first);
}

static const char before[] = "log: {level: info, format: text}\n"
                             "sources:\n"
                             "  - {name: a, url: http://a:1, rate: 1s}\n"
                             "  - {name: b, url: http://b:1}\n"
                             "sinks:\n"
                             "  - {name: db, type: sqlite, path: a.db, history: {retention: 5d}}\n"
                             "  - {name: out, type: console}\n";

static void each_change_is_named(void **state)
{
    (void)state;
    struct kx_config *first = load(before, NULL, NULL);
    struct kx_config *same = reload(first, before);
    struct kx_strings lines = {0};
    assert_true(kx_config_restarts(first, same, &lines));
    assert_int_equal(lines.count, 0);
    kx_config_destroy(same);
    struct kx_config *other =
        reload(first, "log: {level: debug, format: json}\n"
                      "ring_bytes: 32MiB\n"
                      "sources:\n"
                      "  - {name: a, url: http://other:1, rate: 1s, tls: {insecure: true},\n"
                      "     api_key: new, macs: [\"AA:BB:CC:DD:EE:FF\"],\n"
                      "     extra_fields: [{path: a.b, as: x}]}\n"
                      "  - {name: c, url: http://c:1}\n"
                      "sinks:\n"
                      "  - {name: db, type: sqlite, path: b.db, fields: [name], history: true}\n"
                      "  - {name: out, type: sqlite, batch: {interval: 7s}}\n"
                      "  - {name: more, type: console}\n");
    assert_true(kx_config_restarts(first, other, &lines));
    static const char *const expected[] = {
        "ring_bytes has changed: it holds after a restart",
        "log.format has changed: it holds after a restart",
        "source a: url has changed: it holds after a restart",
        "source a: macs has changed: it holds after a restart",
        "source a: extra_fields has changed: it holds after a restart",
        "source a: tls.insecure has changed: it holds after a restart",
        "source b is no longer in f.yaml: it runs on until a restart",
        "source c (line 7) is new: it runs after a restart",
        "sink db: path has changed: it holds after a restart",
        "sink out: type has changed: it stays as it is until a restart",
        "sink more (line 11) is new: it runs after a restart",
    };
    enum { EXPECTED = sizeof expected / sizeof expected[0] };
    for (size_t i = 0; i < EXPECTED; i++) {
        bool found = false;
        for (size_t k = 0; k < lines.count; k++)
            found = found || strcmp(lines.items[k], expected[i]) == 0;
        if (!found)
            fail_msg("not said: %s", expected[i]);
    }
    assert_int_equal(lines.count, EXPECTED);
    kx_strings_fini(&lines);
    kx_config_destroy(first);
    kx_config_destroy(other);
}

static void a_sink_takes_what_it_can(void **state)
{
    (void)state;
    struct kx_config *first = load(before, NULL, NULL);
    struct kx_config *other =
        reload(first, "sinks:\n"
                      "  - {name: db, type: sqlite, path: b.db, fields: [name], history: true,\n"
                      "     batch: {interval: 7s, records: 5}}\n"
                      "  - {name: out, type: sqlite, batch: {interval: 7s}}\n");
    struct kx_sink_config *db = NULL, *again = NULL, *out = NULL;
    bool reopen = false;
    assert_int_equal(kx_sink_config_merge(&first->sinks[0], &other->sinks[0], &db, &reopen, NULL),
                     KX_OK);
    assert_true(reopen);
    assert_string_equal(db->name, "db");
    assert_string_equal(db->sqlite.path, "a.db");
    assert_int_equal(db->fields.count, 1);
    assert_true(db->tables.history.on);
    assert_int_equal(db->tables.history.retention_ns, 30ull * 86400 * 1000000000);
    assert_int_equal(db->batch.records, 5);
    /* Nothing to open for, and nothing shared with where it came from. */
    struct kx_config *third =
        reload(other, "sinks:\n"
                      "  - {name: db, type: sqlite, path: b.db, fields: [name], history: true,\n"
                      "     batch: {records: 6}}\n");
    kx_config_destroy(other);
    assert_int_equal(kx_sink_config_merge(db, &third->sinks[0], &again, &reopen, NULL), KX_OK);
    assert_false(reopen);
    assert_int_equal(again->batch.records, 6);
    assert_string_equal(again->fields.items[0], "name");
    /* Another type is another sink: nothing of it is taken. */
    assert_int_equal(kx_sink_config_merge(&first->sinks[1], &third->sinks[0], &out, &reopen, NULL),
                     KX_OK);
    assert_false(reopen);
    assert_int_equal(out->type, KX_SINK_CONSOLE);
    assert_int_equal(out->batch.records, 100);
    kx_config_destroy(first);
    kx_config_destroy(third);
    kx_sink_config_destroy(db);
    kx_sink_config_destroy(again);
    kx_sink_config_destroy(out);
    kx_sink_config_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_words_of_the_start_hold),
        cmocka_unit_test(a_flag_stays_above_the_file),
        cmocka_unit_test(secret_files_are_read_again),
        cmocka_unit_test(a_bad_file_is_refused),
        cmocka_unit_test(each_change_is_named),
        cmocka_unit_test(a_sink_takes_what_it_can),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
