/* The command line: commands, flags, their refusals, and a help that holds every flag. */
#include "config/cli.h"
#include "config/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORDS_MAX = 16 };

/* A command line in writable memory, as main's is. */
struct words {
    int argc;
    char *argv[WORDS_MAX + 1];
};

static void split(struct words *words, const char *line)
{
    *words = (struct words){0};
    words->argv[words->argc++] = strdup("kismet-export");
    while (*line != '\0') {
        size_t length = strcspn(line, " ");
        assert_in_range(words->argc, 1, WORDS_MAX - 1);
        words->argv[words->argc++] = strndup(line, length);
        line += length;
        line += *line == ' ';
    }
}

static void forget(struct words *words)
{
    for (int i = 0; i < words->argc; i++)
        free(words->argv[i]);
}

static const char *value(const struct kx_cli *cli, const char *flag)
{
    const struct kx_option *option = kx_option_by_flag(flag, strlen(flag));
    assert_non_null(option);
    return cli->given.values[kx_option_index(option)];
}

static void commands(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum kx_command command;
        const char *operand;
    } rows[] = {
        {"", KX_COMMAND_RUN, NULL},
        {"run", KX_COMMAND_RUN, NULL},
        {"--once run", KX_COMMAND_RUN, NULL},
        {"check --once", KX_COMMAND_CHECK, NULL},
        {"replay f.ndjson", KX_COMMAND_REPLAY, "f.ndjson"},
        {"replay --speed max f.ndjson --duration 5", KX_COMMAND_REPLAY, "f.ndjson"},
        {"replay -- --f", KX_COMMAND_REPLAY, "--f"},
        {"--once probe", KX_COMMAND_PROBE, NULL},
        {"schema --sink db", KX_COMMAND_SCHEMA, NULL},
        {"schema --once", KX_COMMAND_SCHEMA, NULL},
        {"login", KX_COMMAND_LOGIN, NULL},
        {"login --key-file k pi.local", KX_COMMAND_LOGIN, "pi.local"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct words words;
        struct kx_cli cli;
        struct kx_error err = {0};
        split(&words, rows[i].line);
        if (kx_cli_parse(words.argc, words.argv, stdout, &cli, &err) != KX_OK)
            fail_msg("%s: %s", rows[i].line, err.text);
        assert_int_equal(cli.command, rows[i].command);
        assert_false(cli.done);
        if (rows[i].operand == NULL)
            assert_null(cli.operand);
        else
            assert_string_equal(cli.operand, rows[i].operand);
        forget(&words);
    }
}

static void flags(void **state)
{
    (void)state;
    struct words words;
    struct kx_cli cli;
    struct kx_error err = {0};
    split(&words, "-c a.yaml --kismet-host=pi --kismet-host pi2 --history --log-lev debug");
    assert_int_equal(kx_cli_parse(words.argc, words.argv, stdout, &cli, &err), KX_OK);
    assert_string_equal(value(&cli, "config"), "a.yaml");
    assert_string_equal(value(&cli, "kismet-host"), "pi2"); /* the last counts */
    assert_string_equal(value(&cli, "history"), "true");
    assert_string_equal(value(&cli, "log-level"), "debug"); /* an abbreviation */
    assert_null(value(&cli, "kismet-port"));
    forget(&words);
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *line, *text;
    } rows[] = {
        {"--export-tpe x", "unknown flag --export-tpe, did you mean '--export-type'? try --help"},
        {"--zzz", "unknown flag --zzz: try --help"},
        {"--zzz=secret", "unknown flag --zzz: try --help"},
        {"--kismet-passwrd=hunter2",
         "unknown flag --kismet-passwrd, did you mean '--kismet-password'? try --help"},
        {"--kismet",
         "--kismet is the beginning of several flags: write one of them out, try --help"},
        {"--zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
         "unknown flag --zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz: try "
         "--help"}, /* cut */
        {"-x", "unknown flag -x: flags begin with two dashes, try --help"},
        {"--once -xz", "unknown flag -xz: flags begin with two dashes, try --help"},
        {"--config=f -xz", "unknown flag -xz: flags begin with two dashes, try --help"},
        {"-c", "--config needs a value: write --config FILE"},
        {"--conf", "--config needs a value: write --config FILE"},
        {"--sqlite-path", "--sqlite-path needs a value: write --sqlite-path FILE"},
        {"--once=4", "--once takes no value"},
        {"--onc=4", "--once takes no value"},
        {"runn", "'runn' is no command, did you mean 'run'? (run, replay FILE, check, probe, "
                 "schema, login): try --help"},
        {"stop",
         "'stop' is no command (run, replay FILE, check, probe, schema, login): try --help"},
        {"my.yaml", "'my.yaml' is no command: write --config my.yaml"},
        {"a.ndjson.zst", "'a.ndjson.zst' is no command: write replay a.ndjson.zst"},
        {"run fast", "'fast' is a word too many after 'run': try --help"},
        {"replay", "replay needs a FILE: write replay capture.ndjson.zst"},
        {"replay a b", "'b' is a word too many after 'replay': try --help"},
        {"replay a --once", "--once is not for 'replay': leave it out"},
        {"replay a --kismet-host pi", "--kismet-host is not for 'replay': leave it out"},
        {"--speed 2", "--speed is not for 'run': leave it out"},
        {"login a b", "'b' is a word too many after 'login': try --help"},
        {"--sink db", "--sink is not for 'run': leave it out"},
        {"login --once", "--once is not for 'login': leave it out"},
        {"--key-file f", "--key-file is not for 'run': leave it out"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct words words;
        struct kx_cli cli;
        struct kx_error err = {0};
        split(&words, rows[i].line);
        if (kx_cli_parse(words.argc, words.argv, stdout, &cli, &err) != KX_ERR_USAGE)
            fail_msg("'%s' was taken", rows[i].line);
        assert_string_equal(err.text, rows[i].text);
        assert_int_equal(err.code, KX_ERR_USAGE);
        assert_int_equal(kx_cli_parse(words.argc, words.argv, stdout, &cli, NULL), KX_ERR_USAGE);
        forget(&words);
    }
}

/* What a line prints. */
static char *print(const char *line)
{
    char *text = NULL;
    size_t size = 0;
    struct words words;
    struct kx_cli cli;
    struct kx_error err = {0};
    FILE *memory = open_memstream(&text, &size);
    assert_non_null(memory);
    split(&words, line);
    if (kx_cli_parse(words.argc, words.argv, memory, &cli, &err) != KX_OK)
        fail_msg("%s", err.text);
    assert_true(cli.done);
    assert_int_equal(fclose(memory), 0);
    forget(&words);
    return text;
}

static void help_holds_every_flag(void **state)
{
    (void)state;
    char *help = print("--help");
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        char text[80];
        if (option->flag == NULL)
            continue;
        snprintf(text, sizeof text, "--%s%s%s", option->flag, option->arg == NULL ? "" : "=",
                 option->arg == NULL ? "" : option->arg);
        if (strstr(help, text) == NULL)
            fail_msg("%s", text);
        if (option->env != NULL) {
            snprintf(text, sizeof text, "[%s]", option->env);
            if (strstr(help, text) == NULL)
                fail_msg("%s", text);
        }
    }
    for (size_t i = 0; i < kx_command_count(); i++)
        assert_non_null(strstr(help, kx_command_at(i)->help));
    assert_non_null(strstr(help, "[OPTION...] [run]\n"));
    assert_non_null(strstr(help, "[OPTION...] replay FILE\n"));
    assert_non_null(strstr(help, "\n Kismet:\n      --events=LIST"));
    assert_non_null(strstr(help, "\n The program:\n  -c, --config=FILE"));
    assert_non_null(strstr(help, "Examples:"));
    assert_non_null(strstr(help, "Exit codes: 0, 64"));
    assert_null(strstr(help, "help-options"));
    assert_non_null(strstr(help, "[OPTION...] login [URL]\n"));
    assert_non_null(strstr(help, "[OPTION...] schema\n"));
    assert_null(strstr(help, "corresponding short options"));
    free(help);
    help = print("replay --help"); /* also where the line is not whole */
    assert_non_null(strstr(help, "Usage: kismet-export"));
    free(help);
    help = print("-h --zzz");
    assert_non_null(strstr(help, "Usage: kismet-export"));
    free(help);
}

static void version_and_table(void **state)
{
    (void)state;
    char *text = print("--version");
    assert_string_equal(text, "kismet-export " KX_VERSION "\n");
    free(text);
    text = print("-V");
    assert_string_equal(text, "kismet-export " KX_VERSION "\n");
    free(text);
    text = print("--help-options");
    assert_int_equal(strncmp(text, "| file | flag |", 15), 0);
    free(text);
}

static void wipes_secrets(void **state)
{
    (void)state;
    struct words words;
    struct kx_cli cli;
    struct kx_error err = {0};
    split(&words, "--kismet-api-key=hunter2 --kismet-password hunter3 --kismet-username me");
    assert_int_equal(kx_cli_parse(words.argc, words.argv, stdout, &cli, &err), KX_OK);
    assert_string_equal(value(&cli, "kismet-api-key"), "hunter2");
    kx_cli_wipe(&cli);
    for (int i = 0; i < words.argc; i++)
        assert_null(strstr(words.argv[i], "hunter"));
    assert_string_equal(words.argv[1], "--kismet-api-key=xxxxxxx");
    assert_string_equal(value(&cli, "kismet-username"), "me");
    forget(&words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands),          cmocka_unit_test(flags),
        cmocka_unit_test(refusals),          cmocka_unit_test(help_holds_every_flag),
        cmocka_unit_test(version_and_table), cmocka_unit_test(wipes_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
