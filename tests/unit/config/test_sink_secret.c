/* Secrets of sinks: who overrides whom, and to which sink none is given. */
#include "config/config.h"
#include "config/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORDS_MAX = 8 };

static char folder[] = "/tmp/kx-secrets-XXXXXX";

static const char one[] = "sinks: [{type: mqtt, url: mqtt://localhost, username: u}]\n";
static const char one_value[] =
    "sinks: [{type: mqtt, url: mqtt://localhost, username: u, password: yaml}]\n";
static const char one_file[] =
    "sinks: [{type: mqtt, url: mqtt://localhost, username: u, password_file: file}]\n";
static const char named[] =
    "sinks: [{name: bus, type: mqtt, url: mqtt://localhost, username: u}]\n";
static const char two[] = "sinks:\n"
                          "  - {name: a, type: mqtt, url: mqtt://a.example, username: u}\n"
                          "  - {name: b, type: mqtt, url: mqtt://b.example, username: u}\n";

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL || chdir(folder) != 0)
        return -1;
    write_file("file", "file\n");
    return mkdir("credentials", 0700);
}

static int teardown(void **state)
{
    (void)state;
    static const char *const files[] = {"f.yaml", "file", "credentials/mqtt-password",
                                        "credentials/bus-password"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        unlink(files[i]);
    rmdir("credentials");
    return chdir("/") == 0 ? rmdir(folder) : -1;
}

static int clean(void **state)
{
    (void)state;
    for (size_t i = 0; i < kx_option_count(); i++)
        if (kx_option_at(i)->env != NULL)
            unsetenv(kx_option_at(i)->env);
    unsetenv("CREDENTIALS_DIRECTORY");
    unlink("credentials/mqtt-password");
    unlink("credentials/bus-password");
    return 0;
}

static enum kx_code
load(const char *yaml, const char *flag, struct kx_config **ret_config, struct kx_error *err)
{
    char *argv[WORDS_MAX] = {strdup("kismet-export"), strdup("--config=f.yaml")};
    int argc = 2;
    bool done = false;
    *ret_config = NULL;
    write_file("f.yaml", yaml);
    if (flag != NULL)
        argv[argc++] = strdup(flag);
    enum kx_code code = kx_config_load(argc, argv, ret_config, &done, err);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return code;
}

/* The password of the file's only sink. */
static void expect(const char *yaml, const char *flag, const char *password)
{
    struct kx_config *config;
    struct kx_error err;
    if (load(yaml, flag, &config, &err) != KX_OK)
        fail_msg("%s", err.text);
    if (password == NULL)
        assert_false(kx_secret_is_set(&config->sinks[0].mqtt.password));
    else
        assert_string_equal(kx_secret_reveal(&config->sinks[0].mqtt.password), password);
    kx_config_destroy(config);
}

static void each_level_overrides_those_below_it(void **state)
{
    (void)state;
    expect(one_value, NULL, "yaml");
    expect(one_file, NULL, "file");
    setenv("MQTT_PASSWORD", "environment", 1);
    expect(one_value, NULL, "environment");
    expect(one_file, NULL, "environment"); /* the file is not read, and is no second value */
    write_file("credentials/mqtt-password", "systemd\n");
    setenv("CREDENTIALS_DIRECTORY", "credentials", 1);
    expect(one_value, NULL, "systemd");
    expect(one_file, NULL, "systemd");
    expect(one_value, "--mqtt-password=flag", "flag");
    expect(one_value, "--mqtt-password-file=file", "file");
}

static void a_file_of_the_environment_counts_as_its_value(void **state)
{
    (void)state;
    setenv("MQTT_PASSWORD_FILE", "file", 1);
    expect(one_value, NULL, "file");
    write_file("credentials/mqtt-password", "systemd\n");
    setenv("CREDENTIALS_DIRECTORY", "credentials", 1);
    expect(one_value, NULL, "systemd");
}

static void a_credential_belongs_to_the_sink_of_its_name(void **state)
{
    (void)state;
    setenv("CREDENTIALS_DIRECTORY", "credentials", 1);
    write_file("credentials/mqtt-password", "systemd\n");
    expect(named, NULL, NULL);
    write_file("credentials/bus-password", "for bus\n");
    expect(named, NULL, "for bus");
}

static void nothing_is_given_to_two_sinks(void **state)
{
    struct kx_config *config;
    struct kx_error err;
    (void)state;
    assert_int_equal(load(two, "--mqtt-password=x", &config, &err), KX_ERR_USAGE);
    assert_string_equal(err.text, "--mqtt-password is for one mqtt sink, and f.yaml names several: "
                                  "write it at its sink there");
    setenv("MQTT_PASSWORD", "x", 1);
    assert_int_equal(load(two, NULL, &config, &err), KX_OK);
    unsigned said = 0;
    for (size_t i = 0; i < config->warnings.count; i++)
        said += strstr(config->warnings.items[i], "MQTT_PASSWORD in the environment is left out") !=
                NULL;
    assert_int_equal(said, 1);
    for (size_t i = 0; i < 2; i++)
        assert_false(kx_secret_is_set(&config->sinks[i].mqtt.password));
    kx_config_destroy(config);
}

static void refusals_name_who_is_to_blame(void **state)
{
    struct kx_config *config;
    struct kx_error err;
    (void)state;
    setenv("MQTT_PASSWORD", "x", 1);
    setenv("MQTT_PASSWORD_FILE", "file", 1);
    assert_int_equal(load(one, NULL, &config, &err), KX_ERR_CONFIG);
    assert_non_null(strstr(err.text, "MQTT_PASSWORD in the environment: given twice"));
    unsetenv("MQTT_PASSWORD");
    setenv("MQTT_PASSWORD_FILE", "nowhere", 1);
    assert_int_equal(load(one, NULL, &config, &err), KX_ERR_CONFIG);
    assert_non_null(strstr(err.text, "nowhere"));
    assert_int_equal(strncmp(err.text, "f.yaml:1", 8), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_level_overrides_those_below_it, clean),
        cmocka_unit_test_setup(a_file_of_the_environment_counts_as_its_value, clean),
        cmocka_unit_test_setup(a_credential_belongs_to_the_sink_of_its_name, clean),
        cmocka_unit_test_setup(nothing_is_given_to_two_sinks, clean),
        cmocka_unit_test_setup(refusals_name_who_is_to_blame, clean),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
