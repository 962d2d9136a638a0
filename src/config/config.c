/*
 * The order of things: command line, file, sources and sinks that nobody wrote down, what overrides
 * the file, credentials, and what must fit together.
 */
#include "config/config.h"

#include "config/assign.h"
#include "config/cli.h"
#include "config/credential.h"
#include "config/fill.h"
#include "config/finish.h"
#include "config/kinds.h"
#include "config/options.h"
#include "config/reload.h"
#include "config/sink_secret.h"
#include "config/url.h"
#include "config/yaml.h"
#include "record/record.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct loader {
    struct kx_config *config;
    struct kx_cli cli;
    struct kx_given environment;
    struct kx_invocation call;
    bool used[KX_OPTIONS_MAX]; /* a flag found something to set */
};

/* Owns its texts; secrets are among them. */
struct kx_saved_call {
    char *operand;
    char *values[KX_OPTIONS_MAX];
};

static void forget_call(struct kx_saved_call *call)
{
    if (call == NULL)
        return;
    for (size_t i = 0; i < KX_OPTIONS_MAX; i++) {
        if (call->values[i] != NULL)
            explicit_bzero(call->values[i], strlen(call->values[i]));
        free(call->values[i]);
    }
    free(call->operand);
    free(call);
}

/* NULL without memory. */
static struct kx_saved_call *save_call(const struct kx_cli *cli)
{
    struct kx_saved_call *call = calloc(1, sizeof *call);
    bool saved = call != NULL;
    if (saved && cli->operand != NULL)
        saved = (call->operand = strdup(cli->operand)) != NULL;
    for (size_t i = 0; i < KX_OPTIONS_MAX && saved; i++)
        if (cli->given.values[i] != NULL)
            saved = (call->values[i] = strdup(cli->given.values[i])) != NULL;
    if (saved)
        return call;
    forget_call(call);
    return NULL;
}

static void read_environment(struct kx_given *environment)
{
    for (size_t i = 0; i < kx_option_count(); i++) {
        const char *name = kx_option_at(i)->env;
        char *value = name == NULL ? NULL : getenv(name);
        if (value != NULL && value[0] != '\0') /* Compose passes unset variables as empty ones */
            environment->values[i] = value;
    }
}

/* One row from environment and then command line into object. */
static enum kx_code override_one(struct loader *loader,
                                 const struct kx_option *option,
                                 void *object,
                                 struct kx_error *err)
{
    size_t i = kx_option_index(option);
    enum kx_code code = KX_OK;
    loader->used[i] = true;
    if (loader->environment.values[i] != NULL) {
        code = kx_option_assign(option, object, loader->environment.values[i], err);
        if (code != KX_OK)
            return kx_option_blame(option, false, code, err);
    }
    if (loader->cli.given.values[i] != NULL) {
        code = kx_option_assign(option, object, loader->cli.given.values[i], err);
        if (code != KX_OK)
            return kx_option_blame(option, true, code, err);
    }
    return KX_OK;
}

/* Every row of a scope and the sections in it. */
static enum kx_code
override_scope(struct loader *loader, enum kx_scope scope, void *object, struct kx_error *err)
{
    enum kx_code code = KX_OK;
    for (size_t i = 0; i < kx_option_count() && code == KX_OK; i++) {
        const struct kx_option *option = kx_option_at(i);
        if (option->scope != scope || option->credential)
            continue;
        if (kx_is_sink_secret(option)) { /* combined once the sinks have their names */
            loader->used[i] = true;
            continue;
        }
        if (option->flag != NULL)
            code = override_one(loader, option, object, err);
        if (code == KX_OK && option->kind == KX_OPTION_SECTION)
            code = override_scope(loader, option->child, kx_option_member(option, object), err);
    }
    return code;
}

static bool has_choice(const struct kx_option *option, const char *word)
{
    for (size_t i = 0; option->choices[i] != NULL; i++)
        if (strcasecmp(option->choices[i], word) == 0)
            return true;
    return false;
}

/* --data-format was the script's word for what its socket sent; the console sinks take it, too, as
 * far as they know the format. It must suit one sink at least, when there is one that has formats.
 */
static enum kx_code override_formats(struct loader *loader, struct kx_error *err)
{
    const struct kx_option *flag =
        kx_option_by_member(KX_SCOPE_INVOCATION, offsetof(struct kx_invocation, format));
    const struct kx_option *const formats[KX_SINK_TYPES] = {
        [KX_SINK_CONSOLE] =
            kx_option_by_member(KX_SCOPE_CONSOLE, offsetof(struct kx_sink_config, console.format)),
        [KX_SINK_SOCKET] =
            kx_option_by_member(KX_SCOPE_SOCKET, offsetof(struct kx_sink_config, socket.format)),
    };
    struct kx_config *config = loader->config;
    struct kx_sink_config *unsuited = NULL;
    bool suits = false;
    enum kx_code code = KX_OK;
    if (loader->call.format == NULL)
        return KX_OK;
    for (size_t i = 0; i < config->sink_count && code == KX_OK; i++) {
        const struct kx_option *option = formats[config->sinks[i].type];
        if (option == NULL)
            continue;
        if (has_choice(option, loader->call.format)) {
            code = kx_option_assign(option, &config->sinks[i], loader->call.format, err);
            suits = true;
        } else {
            unsuited = &config->sinks[i];
        }
    }
    if (code != KX_OK || suits)
        return code;
    if (unsuited != NULL)
        return kx_option_blame(
            flag, true,
            kx_option_assign(formats[unsuited->type], unsuited, loader->call.format, err), err);
    if (!kx_strings_addf(&config->warnings,
                         "--%s is for the console and the socket sink, neither of which runs",
                         flag->flag))
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a warning");
    return KX_OK;
}

static enum kx_code override_all(struct loader *loader, struct kx_error *err)
{
    struct kx_config *config = loader->config;
    enum kx_code code = override_scope(loader, KX_SCOPE_TOP, config, err);
    for (size_t i = 0; i < config->source_count && code == KX_OK; i++)
        code = override_scope(loader, KX_SCOPE_SOURCE, &config->sources[i], err);
    for (size_t i = 0; i < config->sink_count && code == KX_OK; i++) {
        struct kx_sink_config *sink = &config->sinks[i];
        const struct kx_sink_kind *kind = kx_sink_kind_of(sink->type);
        code = override_scope(loader, KX_SCOPE_SINK, sink, err);
        if (code == KX_OK)
            code = override_scope(loader, kind->shared, sink, err);
        if (code == KX_OK)
            code = override_scope(loader, kind->scope, sink, err);
    }
    return code == KX_OK ? override_formats(loader, err) : code;
}

static enum kx_code read_file(struct loader *loader, struct kx_error *err)
{
    struct kx_yaml *yaml = NULL;
    if (loader->call.file == NULL)
        return KX_OK;
    enum kx_code code = kx_yaml_read(loader->call.file, &yaml, err);
    if (code == KX_OK)
        code = kx_config_fill(loader->config, yaml, err);
    kx_yaml_destroy(yaml);
    if (code == KX_OK && (loader->config->path = strdup(loader->call.file)) == NULL)
        code = kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the configuration");
    return code;
}

/* One source with defaults instead of what is there. */
static enum kx_code make_source(struct kx_config *config, bool with_url, struct kx_error *err)
{
    for (size_t i = 0; i < config->source_count; i++)
        kx_options_release(KX_SCOPE_SOURCE, &config->sources[i]);
    free(config->sources);
    config->source_count = 0;
    config->sources = calloc(1, sizeof *config->sources);
    if (config->sources == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a source");
    config->source_count = 1;
    enum kx_code code = kx_options_assign_defaults(KX_SCOPE_SOURCE, config->sources, err);
    if (code == KX_OK && !with_url) {
        free(config->sources[0].url);
        config->sources[0].url = NULL;
    }
    return code;
}

/* The source that `login URL` names, with the file's settings when it stands there. */
static enum kx_code keep_named_source(struct kx_config *config, struct kx_error *err)
{
    const struct kx_option *address =
        kx_option_by_member(KX_SCOPE_SOURCE, offsetof(struct kx_source_config, url));
    struct kx_source_config named = {0};
    enum kx_code code = kx_option_assign(address, &named, config->login.url, err);
    size_t at = 0;
    while (code == KX_OK && at < config->source_count &&
           strcmp(config->sources[at].url, named.url) != 0)
        at++;
    if (code == KX_OK && at == config->source_count) {
        code = make_source(config, true, err);
        if (code == KX_OK)
            code = kx_option_assign(address, config->sources, config->login.url, err);
    } else if (code == KX_OK) {
        struct kx_source_config first = config->sources[0];
        config->sources[0] = config->sources[at];
        config->sources[at] = first;
        while (config->source_count > 1)
            kx_options_release(KX_SCOPE_SOURCE, &config->sources[--config->source_count]);
    }
    free(named.url);
    if (code == KX_ERR_CONFIG) /* it came from the command line */
        code = err->code = KX_ERR_USAGE;
    return code;
}

static enum kx_code settle_login(struct kx_config *config, struct kx_error *err)
{
    config->login.address_given = config->login.url != NULL || config->source_count > 0;
    if (config->login.url != NULL)
        return keep_named_source(config, err);
    if (config->source_count > 1)
        return kx_error_set(err, KX_ERR_USAGE, 0,
                            "%s names %zu sources: write login URL, with the url of the one that "
                            "the key is for",
                            config->path, config->source_count);
    return config->source_count > 0 ? KX_OK : make_source(config, true, err);
}

/* A replay has its file for a source; else there is one at least. */
static enum kx_code settle_sources(struct kx_config *config, struct kx_error *err)
{
    if (config->command == KX_COMMAND_REPLAY)
        return make_source(config, false, err);
    if (config->command == KX_COMMAND_LOGIN)
        return settle_login(config, err);
    return config->source_count > 0 ? KX_OK : make_source(config, true, err);
}

static enum kx_code
add_sink(struct kx_config *config, const struct kx_sink_kind *kind, struct kx_error *err)
{
    struct kx_sink_config *sinks =
        reallocarray(config->sinks, config->sink_count + 1, sizeof *sinks);
    if (sinks == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a sink");
    config->sinks = sinks;
    sinks[config->sink_count] = (struct kx_sink_config){0};
    return kx_sink_defaults(&sinks[config->sink_count++], kind, err);
}

/* Removes the file's sinks of types that were not asked for. */
static void keep_sinks(struct kx_config *config, const bool wanted[KX_SINK_TYPES])
{
    size_t kept = 0;
    for (size_t i = 0; i < config->sink_count; i++) {
        if (wanted[config->sinks[i].type])
            config->sinks[kept++] = config->sinks[i];
        else
            kx_sink_release(&config->sinks[i]);
    }
    config->sink_count = kept;
}

enum who { NOBODY, ENVIRONMENT, COMMAND_LINE };

static enum who who_gave(const struct loader *loader, const struct kx_option *option)
{
    size_t i = kx_option_index(option);
    if (loader->cli.given.values[i] != NULL)
        return COMMAND_LINE;
    return loader->environment.values[i] != NULL ? ENVIRONMENT : NOBODY;
}

/*
 * --export-type picks types: the file's sinks of these types run, and a type that the file does not
 * have runs with its defaults. Without it the file's sinks run, or the console.
 */
static enum kx_code settle_sinks(struct loader *loader, struct kx_error *err)
{
    struct kx_config *config = loader->config;
    const struct kx_strings *types = &loader->call.types;
    const struct kx_option *option =
        kx_option_by_member(KX_SCOPE_INVOCATION, offsetof(struct kx_invocation, types));
    bool wanted[KX_SINK_TYPES] = {false};
    if (types->count == 0)
        return config->sink_count > 0 ? KX_OK
                                      : add_sink(config, kx_sink_kind_of(KX_SINK_CONSOLE), err);
    for (size_t i = 0; i < types->count; i++) {
        const struct kx_sink_kind *kind = NULL;
        enum kx_code code = kx_sink_kind_find(types->items[i], &kind, err);
        if (code != KX_OK)
            return kx_option_blame(option, who_gave(loader, option) == COMMAND_LINE, code, err);
        wanted[kind->type] = true;
    }
    keep_sinks(config, wanted);
    for (unsigned type = 0; type < KX_SINK_TYPES; type++) {
        bool there = false;
        for (size_t i = 0; i < config->sink_count; i++)
            there = there || config->sinks[i].type == type;
        enum kx_code code = wanted[type] && !there
                                ? add_sink(config, kx_sink_kind_of((enum kx_sink_type)type), err)
                                : KX_OK;
        if (code != KX_OK)
            return code;
    }
    return KX_OK;
}

/* What is for one Kismet, when there are several: a flag is an error, a variable is left out. */
static enum kx_code refuse_ambiguous(struct loader *loader, struct kx_error *err)
{
    struct kx_config *config = loader->config;
    for (size_t i = 0; i < kx_option_count() && config->source_count > 1; i++) {
        const struct kx_option *option = kx_option_at(i);
        if (!option->single)
            continue;
        if (loader->cli.given.values[i] != NULL)
            return kx_error_set(err, KX_ERR_USAGE, 0,
                                "--%s is for one Kismet, and %s names %zu: write it at its source "
                                "there",
                                option->flag, config->path, config->source_count);
        if (loader->environment.values[i] != NULL &&
            !kx_strings_addf(&config->warnings,
                             "%s in the environment is left out, because %s names %zu sources: "
                             "write ${%s} at the one it is for",
                             option->env, config->path, config->source_count, option->env))
            return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a warning");
        loader->environment.values[i] = NULL;
    }
    return KX_OK;
}

/* --kismet-host and --kismet-port make, or change, the address of the one source. */
static enum kx_code settle_address(struct loader *loader, struct kx_error *err)
{
    const struct kx_option *host =
        kx_option_by_member(KX_SCOPE_INVOCATION, offsetof(struct kx_invocation, host));
    const struct kx_option *port =
        kx_option_by_member(KX_SCOPE_INVOCATION, offsetof(struct kx_invocation, port));
    struct kx_source_config *source = &loader->config->sources[0];
    enum who host_by = who_gave(loader, host);
    enum who port_by = who_gave(loader, port);
    const struct kx_option *address =
        kx_option_by_member(KX_SCOPE_SOURCE, offsetof(struct kx_source_config, url));
    char text[KX_URL_TEXT_MAX];
    struct kx_url url;
    if (loader->config->login.url != NULL) {
        if (host_by != COMMAND_LINE && port_by != COMMAND_LINE)
            return KX_OK;
        return kx_error_set(err, KX_ERR_USAGE, 0,
                            "--%s and the URL after login: give the address once",
                            host_by == COMMAND_LINE ? host->flag : port->flag);
    }
    if (loader->config->source_count > 1 || source->url == NULL ||
        (host_by == NOBODY && port_by == NOBODY))
        return KX_OK;
    loader->config->login.address_given = true;
    enum kx_code code =
        kx_url_parse(host_by == NOBODY ? source->url : loader->call.host, &url, err);
    if (code == KX_OK && host_by != NOBODY && host_by == port_by && url.port_given &&
        url.port != loader->call.port)
        code = kx_error_set(err, KX_ERR_CONFIG, 0,
                            "the address names port %u, and --%s %u: leave one of them out",
                            (unsigned)url.port, port->flag, (unsigned)loader->call.port);
    if (code != KX_OK)
        return kx_option_blame(host, host_by == COMMAND_LINE, code, err);
    if (port_by != NOBODY && (!url.port_given || port_by >= host_by))
        url.port = (uint16_t)loader->call.port;
    kx_url_text(&url, text);
    return kx_option_assign(address, source, text, err);
}

/* A flag of a sink that does not run: most likely the sink was forgotten. */
static enum kx_code refuse_useless(struct loader *loader, struct kx_error *err)
{
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        const struct kx_sink_kind *kind = kx_sink_kind_of_scope(option->scope);
        if (loader->cli.given.values[i] == NULL || loader->used[i] || kind == NULL)
            continue;
        if (!option->lenient)
            return kx_error_set(err, KX_ERR_USAGE, 0,
                                "--%s is for the %s sink, which does not run: add %s to "
                                "--export-type",
                                option->flag, kind->name, kind->name);
        if (!kx_strings_addf(&loader->config->warnings,
                             "--%s is for the %s sink, which does not run", option->flag,
                             kind->name))
            return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a warning");
    }
    return KX_OK;
}

static enum kx_code load(struct loader *loader, struct kx_error *err)
{
    struct kx_config *config = loader->config;
    enum kx_code code = kx_options_assign_defaults(KX_SCOPE_TOP, config, err);
    if (code == KX_OK)
        code = override_scope(loader, KX_SCOPE_INVOCATION, &loader->call, err);
    if (code == KX_OK)
        code = read_file(loader, err);
    if (code == KX_OK)
        code = settle_sources(config, err);
    if (code == KX_OK)
        code = settle_sinks(loader, err);
    if (code == KX_OK)
        code = refuse_ambiguous(loader, err);
    if (code == KX_OK)
        code = override_all(loader, err);
    if (code == KX_OK)
        code = refuse_useless(loader, err);
    if (code == KX_OK)
        code = settle_address(loader, err);
    const struct kx_given *environment = &loader->environment;
    if (code == KX_OK && config->command == KX_COMMAND_LOGIN)
        code = kx_credentials_apply_login(config, environment, &loader->cli.given, err);
    else if (code == KX_OK && config->command != KX_COMMAND_REPLAY)
        code = kx_credentials_apply(config, environment, &loader->cli.given, err);
    if (code == KX_OK)
        code = kx_config_finish(config, err);
    /* `login` has no use for them, and perhaps no right to read them. */
    if (code == KX_OK && config->command != KX_COMMAND_LOGIN)
        code = kx_sink_secrets_apply(config, environment, &loader->cli.given, err);
    return code;
}

/* What cli asks for. On failure *ret_config is untouched. */
static enum kx_code
load_cli(struct loader *loader, struct kx_config **ret_config, struct kx_error *err)
{
    const struct kx_cli *cli = &loader->cli;
    enum kx_code code = KX_OK;
    loader->config = calloc(1, sizeof *loader->config);
    if (loader->config == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the configuration");
    loader->config->command = cli->command;
    char **operand = cli->command == KX_COMMAND_LOGIN ? &loader->config->login.url
                                                      : &loader->config->replay.path;
    if ((loader->config->call = save_call(cli)) == NULL ||
        (cli->operand != NULL && (*operand = strdup(cli->operand)) == NULL))
        code = kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the configuration");
    read_environment(&loader->environment);
    if (code == KX_OK)
        code = load(loader, err);
    kx_options_release(KX_SCOPE_INVOCATION, &loader->call);
    if (code == KX_OK)
        *ret_config = loader->config;
    else
        kx_config_destroy(loader->config);
    return code;
}

enum kx_code kx_config_reload(const struct kx_config *running,
                              struct kx_config **ret_config,
                              struct kx_error *err)
{
    struct loader loader = {
        .cli = {.command = running->command, .operand = running->call->operand}};
    memcpy(loader.cli.given.values, running->call->values, sizeof running->call->values);
    return load_cli(&loader, ret_config, err);
}

enum kx_code kx_config_load(
    int argc, char **argv, struct kx_config **ret_config, bool *ret_done, struct kx_error *err)
{
    struct loader loader = {0};
    enum kx_code code = kx_cli_parse(argc, argv, stdout, &loader.cli, err);
    *ret_done = false;
    if (code != KX_OK || loader.cli.done) {
        *ret_done = code == KX_OK;
        return code;
    }
    code = load_cli(&loader, ret_config, err);
    kx_cli_wipe(&loader.cli);
    return code;
}

void kx_config_destroy(struct kx_config *config)
{
    if (config == NULL)
        return;
    for (size_t i = 0; i < config->source_count; i++)
        kx_options_release(KX_SCOPE_SOURCE, &config->sources[i]);
    for (size_t i = 0; i < config->sink_count; i++)
        kx_sink_release(&config->sinks[i]);
    kx_options_release(KX_SCOPE_TOP, config);
    kx_strings_fini(&config->warnings);
    free(config->sources);
    free(config->sinks);
    free(config->replay.path);
    free(config->login.url);
    free(config->path);
    forget_call(config->call);
    free(config);
}

const struct kx_source_config *kx_config_source(const struct kx_config *config, const char *name)
{
    for (size_t i = 0; i < config->source_count; i++)
        if (strcmp(config->sources[i].name, name) == 0)
            return &config->sources[i];
    return NULL;
}

const struct kx_sink_config *kx_config_sink(const struct kx_config *config, const char *name)
{
    for (size_t i = 0; i < config->sink_count; i++)
        if (strcmp(config->sinks[i].name, name) == 0)
            return &config->sinks[i];
    return NULL;
}

uint64_t kx_sink_fields(const struct kx_sink_config *sink)
{
    uint64_t fields = sink->fields.count == 0 ? (1ull << KX_FIELDS) - 1 : 1ull << KX_F_MAC_ADDR;
    for (size_t i = 0; i < sink->fields.count; i++) {
        const char *name = sink->fields.items[i];
        fields |= 1ull << kx_field_find(name, strlen(name)); /* it was checked */
    }
    return fields;
}
