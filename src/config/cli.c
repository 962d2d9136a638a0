/*
 * argp with its own messages and exits switched off: ours name the remedy and leave the exit code
 * to main.
 */
#include "config/cli.h"

#include "config/command.h"
#include "config/help.h"
#include "config/suggest.h"
#include <errno.h>
#include <string.h>

struct parse {
    struct kx_cli *cli;
    const struct kx_command_row *command; /* NULL = none was given */
    struct kx_error *err;
    bool failed; /* err is filled */
    FILE *out;
};

static char given[] = "true"; /* the value of a bare flag; never written to */

static error_t fail(struct parse *parse)
{
    parse->failed = true;
    return EINVAL;
}

/* ", did you mean ..." for a word that is no command; a file's name hints at --config. */
static error_t refuse_command(struct parse *parse, const char *word)
{
    char near[KX_SUGGEST_TEXT_MAX];
    struct kx_suggest suggest = {.word = word};
    const char *dot = strrchr(word, '.');
    for (size_t i = 0; i < kx_command_count(); i++)
        kx_suggest_offer(&suggest, kx_command_at(i)->name);
    if (dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0))
        kx_error_set(parse->err, KX_ERR_USAGE, 0, "'%.100s' is no command: write --config %.100s",
                     word, word);
    else if (dot != NULL && (strcmp(dot, ".ndjson") == 0 || strcmp(dot, ".zst") == 0))
        kx_error_set(parse->err, KX_ERR_USAGE, 0, "'%.100s' is no command: write replay %.100s",
                     word, word);
    else
        kx_error_set(
            parse->err, KX_ERR_USAGE, 0,
            "'%.100s' is no command%s (run, replay FILE, check, probe, schema, login): try --help",
            word, kx_suggest_text(&suggest, "", near));
    return fail(parse);
}

/* A word that is not a flag: the command first, then its operand. */
static error_t take_word(struct parse *parse, const char *word)
{
    if (parse->command == NULL) {
        for (size_t i = 0; i < kx_command_count(); i++)
            if (strcmp(kx_command_at(i)->name, word) == 0)
                parse->command = kx_command_at(i);
        return parse->command == NULL ? refuse_command(parse, word) : 0;
    }
    if (parse->command->operand == NULL || parse->cli->operand != NULL) {
        kx_error_set(parse->err, KX_ERR_USAGE, 0,
                     "'%.100s' is a word too many after '%s': try --help", word,
                     parse->command->name);
        return fail(parse);
    }
    parse->cli->operand = word;
    return 0;
}

static error_t take_option(struct parse *parse, const struct kx_option *option, char *value)
{
    parse->cli->given.values[kx_option_index(option)] = value == NULL ? given : value;
    return 0;
}

/* Flags that the command does not know, and a missing operand. */
static error_t check_command(struct parse *parse)
{
    const struct kx_command_row *command =
        parse->command == NULL ? kx_command_at(0) : parse->command;
    parse->cli->command = command->command;
    if (command->operand != NULL && command->operand[0] != '[' && parse->cli->operand == NULL) {
        kx_error_set(parse->err, KX_ERR_USAGE, 0, "%s needs a %s: write %s %s", command->name,
                     command->operand, command->name, command->example);
        return fail(parse);
    }
    /* These are put behind the command line that is to be tested. */
    bool any = command->command == KX_COMMAND_CHECK || command->command == KX_COMMAND_PROBE ||
               command->command == KX_COMMAND_SCHEMA;
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        bool knows = option->commands == 0 || (option->commands >> command->command & 1) != 0;
        if (parse->cli->given.values[i] == NULL || knows || any)
            continue;
        kx_error_set(parse->err, KX_ERR_USAGE, 0, "--%s is not for '%s': leave it out",
                     option->flag, command->name);
        return fail(parse);
    }
    return 0;
}

/* What getopt makes of the name in a "--name": the row of that name or, cut short, of the only one
 * that begins so. NULL = no row; then *ret_several says that it begins more than one. */
static const struct kx_option *find_flag(const char *name, size_t length, bool *ret_several)
{
    const struct kx_option *found = kx_option_by_flag(name, length);
    *ret_several = false;
    if (found != NULL)
        return found;
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        if (option->flag == NULL || strncmp(option->flag, name, length) != 0)
            continue;
        *ret_several = found != NULL;
        if (*ret_several)
            return NULL;
        found = option;
    }
    return found;
}

static void refuse_unknown(struct parse *parse, const char *name)
{
    struct kx_suggest suggest = {.word = name};
    char near[KX_SUGGEST_TEXT_MAX];
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        if (option->flag != NULL)
            kx_suggest_offer(&suggest, option->flag);
    }
    kx_error_set(parse->err, KX_ERR_USAGE, 0, "unknown flag --%s%s%s try --help", name,
                 kx_suggest_text(&suggest, "--", near), suggest.best == NULL ? ":" : "");
}

/* Says what is wrong with a token that begins with '-'. False = nothing is. */
static bool refuse_flag(struct parse *parse, const char *token)
{
    char name[64] = "";
    bool several;
    if (strcmp(token, "-c") == 0)
        token = "--config";
    if (strncmp(token, "--", 2) != 0) {
        kx_error_set(parse->err, KX_ERR_USAGE, 0,
                     "unknown flag %.64s: flags begin with two dashes, try --help", token);
        return true;
    }
    size_t length = strcspn(token + 2, "=");
    bool value = token[2 + length] == '=';
    memcpy(name, token + 2, length < sizeof name ? length : sizeof name - 1);
    const struct kx_option *option = find_flag(token + 2, length, &several);
    if (option != NULL && (option->arg != NULL) == value)
        return false;
    if (option != NULL && value)
        kx_error_set(parse->err, KX_ERR_USAGE, 0, "--%s takes no value", option->flag);
    else if (option != NULL)
        kx_error_set(parse->err, KX_ERR_USAGE, 0, "--%s needs a value: write --%s %s", option->flag,
                     option->flag, option->arg);
    else if (several)
        kx_error_set(parse->err, KX_ERR_USAGE, 0,
                     "--%s is the beginning of several flags: write one of them out, try --help",
                     name);
    else
        refuse_unknown(parse, name);
    return true;
}

/* argp says only that something was wrong. getopt has passed the token, but for a cluster of short
 * flags ("-xz") it stands before it: then the token behind it has nothing wrong. */
static void refuse_token(struct parse *parse, const struct argp_state *state)
{
    const char *token = state->next > 1 ? state->argv[state->next - 1] : "";
    if (token[0] == '-' && refuse_flag(parse, token))
        return;
    token = state->next < state->argc ? state->argv[state->next] : "";
    if (token[0] != '-' || !refuse_flag(parse, token))
        kx_error_set(parse->err, KX_ERR_USAGE, 0, "the command line cannot be read: try --help");
}

/* argp would end its list with a note about short flags: there is one, it needs none. */
static char *filter_help(int key, const char *text, void *input)
{
    (void)input;
    char *same;
    memcpy(&same, &text, sizeof same); /* argp wants the text back without its const */
    return key == ARGP_KEY_HELP_DUP_ARGS_NOTE ? NULL : same;
}

static error_t on_argp(int key, char *value, struct argp_state *state)
{
    struct parse *parse = state->input;
    switch (key) {
    case 'h': {
        unsigned flags = state->flags;
        state->flags &= ~(unsigned)ARGP_NO_ERRS; /* this flag silences help, too */
        argp_state_help(state, parse->out, ARGP_HELP_STD_HELP & ~(unsigned)ARGP_HELP_EXIT_OK);
        state->flags = flags;
        parse->cli->done = true;
        return 0;
    }
    case 'V':
        fputs("kismet-export " KX_VERSION "\n", parse->out);
        parse->cli->done = true;
        return 0;
    case KX_HELP_KEY_OPTIONS:
        kx_help_markdown(parse->out);
        parse->cli->done = true;
        return 0;
    case ARGP_KEY_ARG:
        return take_word(parse, value);
    case ARGP_KEY_END:
        return parse->cli->done ? 0 : check_command(parse);
    case ARGP_KEY_ERROR:
        if (!parse->failed)
            refuse_token(parse, state);
        parse->failed = true;
        return 0;
    default:
        break;
    }
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        bool mine = option->letter != 0 ? key == option->letter : key == KX_HELP_KEY_FIRST + (int)i;
        if (option->flag != NULL && mine)
            return take_option(parse, option, value);
    }
    return ARGP_ERR_UNKNOWN;
}

enum kx_code
kx_cli_parse(int argc, char **argv, FILE *out, struct kx_cli *ret_cli, struct kx_error *err)
{
    struct kx_help *help = NULL;
    struct kx_error own = {0}; /* so that a message is there even when the caller wants none */
    enum kx_code code = kx_help_create(&help, err);
    if (code != KX_OK)
        return code;
    *ret_cli = (struct kx_cli){0};
    struct parse parse = {.cli = ret_cli, .err = &own, .out = out};
    const struct argp argp = {.options = kx_help_argp_options(help),
                              .parser = on_argp,
                              .args_doc = kx_help_args(help),
                              .doc = kx_help_doc(help),
                              .help_filter = filter_help};
    error_t failed =
        argp_parse(&argp, argc, argv, ARGP_NO_EXIT | ARGP_NO_ERRS | ARGP_NO_HELP, NULL, &parse);
    kx_help_destroy(help);
    if (failed == 0 || ret_cli->done)
        return KX_OK;
    return kx_error_set(err, failed == ENOMEM ? KX_ERR_NOMEM : KX_ERR_USAGE, 0, "%s",
                        parse.failed ? own.text : "the command line cannot be read: try --help");
}

void kx_cli_wipe(const struct kx_cli *cli)
{
    for (size_t i = 0; i < kx_option_count(); i++)
        if (kx_option_at(i)->kind == KX_OPTION_SECRET && cli->given.values[i] != NULL)
            memset(cli->given.values[i], 'x', strlen(cli->given.values[i]));
}
