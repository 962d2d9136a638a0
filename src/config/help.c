/*
 * Help that teaches: what the program does, its commands, the options with default and range, and
 * examples that can be pasted.
 */
#include "config/help.h"

#include "base/buf.h"
#include "config/command.h"
#include "config/options.h"
#include <stdlib.h>
#include <string.h>

enum { DOC_MAX = 1024, EXTRA = KX_GROUPS + 4, COMMAND_WIDTH = 12, TEXT_MAX = 16384 };

struct kx_help {
    struct argp_option options[KX_OPTIONS_MAX + EXTRA];
    char docs[KX_OPTIONS_MAX][DOC_MAX];
    struct kx_buf args, doc; /* NUL-terminated */
};

static const char *const group_titles[KX_GROUPS] = {
    [KX_GROUP_KISMET] = "Kismet:",
    [KX_GROUP_EXPORT] = "What goes out, and where to:",
    [KX_GROUP_TABLES] = "Sinks that keep tables:",
    [KX_GROUP_SQLITE] = "The sqlite sink:",
    [KX_GROUP_SOCKET] = "The socket sink:",
    [KX_GROUP_WEBHOOK] = "The webhook sink:",
    [KX_GROUP_INFLUXDB] = "The influxdb sink:",
    [KX_GROUP_POSTGRES] = "The postgres sink:",
    [KX_GROUP_MQTT] = "The mqtt sink:",
    [KX_GROUP_REPLAY] = "Capture and replay:",
    [KX_GROUP_LIMITS] = "Batches and memory:",
    [KX_GROUP_PROGRAM] = "The program:",
};

static const char beginning[] =
    "Streams devices and events from Kismet servers into databases and brokers, to several sinks "
    "at once.\n"
    "\n"
    "Commands:\n";

static const char ending[] =
    "Examples:\n"
    "  kismet-export --kismet-api-key-file ~/.kismet-key\n"
    "        show the devices of the Kismet on this machine\n"
    "  kismet-export --kismet-host pi.local --export-type console,sqlite --history\n"
    "        and keep them, with their past, in kismet.db\n"
    "  kismet-export --config /etc/kismet-export.yaml check\n"
    "        what this file means, and what is wrong with it\n"
    "\n"
    "The command line comes before the environment, that before the file, and that before the "
    "defaults. Times are written 5s, 500ms, 10m, 2h, 30d (a plain number is seconds), sizes 64KiB, "
    "16MiB. Exit codes: 0, 64 wrong command line, 78 wrong configuration, 69 an end is not "
    "available, 70 a bug of ours.\n"
    "\n"
    "An API key comes from kismet-export login, or from Kismet's web page under Settings, API "
    "keys; "
    "the role readonly is enough.";

/* Both ends of the help, with the commands between; argp prints what stands after \v behind the
 * options. */
static void write_commands(struct kx_help *help)
{
    kx_buf_text(&help->doc, beginning);
    for (size_t i = 0; i < kx_command_count(); i++) {
        const struct kx_command_row *row = kx_command_at(i);
        const char *operand = row->operand == NULL ? "" : row->operand;
        kx_buf_printf(&help->doc, "  %s %-*s  %s\n", row->name,
                      COMMAND_WIDTH - (int)strlen(row->name), operand, row->help);
        kx_buf_printf(&help->args, "%s%s%s%s%s", i == 0 ? "[" : "\n", row->name,
                      operand[0] == '\0' ? "" : " ", operand, i == 0 ? "]" : "");
    }
    kx_buf_byte(&help->doc, '\v');
    kx_buf_bytes(&help->doc, ending, sizeof ending); /* with its NUL */
    kx_buf_byte(&help->args, '\0');
}

const char *kx_help_doc(const struct kx_help *help)
{
    return help->doc.data;
}

const char *kx_help_args(const struct kx_help *help)
{
    return help->args.data;
}

/* "sentence (1s to 1h; default 5s) [UPDATE_RATE]" */
static void write_doc(const struct kx_option *option, char out[DOC_MAX])
{
    char fallback[KX_OPTION_WORDS_MAX];
    char range[KX_OPTION_WORDS_MAX];
    const char *opening = " (";
    kx_option_default_words(option, fallback);
    kx_option_range_words(option, range);
    char *at = stpcpy(out, option->help); /* a test holds every doc far under DOC_MAX */
    if (range[0] != '\0') {
        at = stpcpy(stpcpy(at, opening), range);
        opening = "; ";
    }
    if (fallback[0] != '\0')
        at = stpcpy(stpcpy(stpcpy(at, opening), "default "), fallback);
    if (range[0] != '\0' || fallback[0] != '\0')
        at = stpcpy(at, ")");
    if (option->env != NULL)
        stpcpy(stpcpy(stpcpy(at, " ["), option->env), "]");
}

enum kx_code kx_help_create(struct kx_help **ret_help, struct kx_error *err)
{
    struct kx_help *help = calloc(1, sizeof *help);
    if (help == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the command line");
    kx_buf_init(&help->args, TEXT_MAX);
    kx_buf_init(&help->doc, TEXT_MAX);
    write_commands(help);
    if (help->args.failed || help->doc.failed) {
        kx_help_destroy(help);
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the command line");
    }
    struct argp_option *next = help->options;
    for (int group = 0; group < KX_GROUPS; group++)
        *next++ = (struct argp_option){.doc = group_titles[group], .group = group + 1};
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        if (option->flag == NULL)
            continue;
        write_doc(option, help->docs[i]);
        *next++ = (struct argp_option){
            .name = option->flag,
            .key = option->letter != 0 ? option->letter : KX_HELP_KEY_FIRST + (int)i,
            .arg = option->arg,
            .doc = help->docs[i],
            .group = (int)option->group + 1,
        };
    }
    int last = (int)KX_GROUP_PROGRAM + 1;
    *next++ =
        (struct argp_option){.name = "help", .key = 'h', .doc = "Show this and end", .group = last};
    *next++ = (struct argp_option){
        .name = "version", .key = 'V', .doc = "Show the version and end", .group = last};
    *next++ = (struct argp_option){
        .name = "help-options", .key = KX_HELP_KEY_OPTIONS, .flags = OPTION_HIDDEN, .group = last};
    *ret_help = help;
    return KX_OK;
}

void kx_help_destroy(struct kx_help *help)
{
    if (help == NULL)
        return;
    kx_buf_fini(&help->args);
    kx_buf_fini(&help->doc);
    free(help);
}

const struct argp_option *kx_help_argp_options(const struct kx_help *help)
{
    return help->options;
}

/* A cell of code, or an empty one. */
static void print_code(FILE *out, const char *opening, const char *text)
{
    if (text == NULL || text[0] == '\0')
        fputs(" |", out);
    else
        fprintf(out, " `%s%s` |", opening, text);
}

void kx_help_markdown(FILE *out)
{
    char words[KX_OPTION_WORDS_MAX];
    fputs("| file | flag | environment | default | allowed | what it is |\n"
          "| --- | --- | --- | --- | --- | --- |\n",
          out);
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        fputc('|', out);
        print_code(out, "", kx_option_path_words(option, words));
        print_code(out, "--", option->flag);
        print_code(out, "", option->env);
        fprintf(out, " %s |", kx_option_default_words(option, words));
        fprintf(out, " %s |", kx_option_range_words(option, words));
        fprintf(out, " %s |\n", option->help);
    }
}
