/*
 * Secrets of sinks: settled sink by sink, read from their files last.
 */
#include "config/sink_secret.h"

#include "config/assign.h"
#include "config/kinds.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Who may say something beside the file. */
struct levels {
    const struct kx_given *environment, *command_line;
    bool single; /* they can only mean this sink */
};

bool kx_is_sink_secret(const struct kx_option *option)
{
    return (option->kind == KX_OPTION_SECRET || option->kind == KX_OPTION_SECRET_FILE) &&
           kx_sink_kind_of_scope(option->scope) != NULL;
}

enum kx_code
kx_secret_settle(struct kx_config *config, struct kx_secret *secret, struct kx_error *err)
{
    bool exposed = false;
    if (secret->file == NULL)
        return KX_OK;
    enum kx_code code = kx_secret_load(secret, secret->file, &exposed, err);
    if (code == KX_OK && exposed &&
        !kx_strings_addf(&config->warnings,
                         "everybody on this machine can read the secret in %s: run 'chmod 600' on "
                         "it",
                         secret->file))
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a warning");
    return code;
}

/* The other row of the same member; NULL = it has none. */
static const struct kx_option *partner_of(const struct kx_option *option)
{
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *other = kx_option_at(i);
        if (other != option && other->scope == option->scope && other->offset == option->offset)
            return other;
    }
    return NULL;
}

/* What one level says of one secret, over what is there. */
static enum kx_code apply_row(struct kx_sink_config *sink,
                              const struct kx_option *option,
                              const struct kx_given *given,
                              bool by_flag,
                              struct kx_error *err)
{
    const struct kx_option *partner = partner_of(option);
    const char *value = given->values[kx_option_index(option)];
    if (value == NULL)
        return KX_OK;
    if (partner != NULL && given->values[kx_option_index(partner)] != NULL) {
        kx_error_set(err, KX_ERR_CONFIG, 0, "given twice, as a value and as a file: keep the file");
        return kx_option_blame(option, by_flag, KX_ERR_CONFIG, err);
    }
    kx_secret_fini(kx_option_member(option, sink));
    enum kx_code code = kx_option_assign(option, sink, value, err);
    return code == KX_OK ? code : kx_option_blame(option, by_flag, code, err);
}

/* The file that `LoadCredential=mqtt-password:...` of a systemd unit gives us. */
static enum kx_code
apply_systemd(struct kx_sink_config *sink, const struct kx_option *option, struct kx_error *err)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    struct kx_secret *secret = kx_option_member(option, sink);
    char *path = NULL;
    if (directory == NULL || directory[0] == '\0' || option->kind != KX_OPTION_SECRET)
        return KX_OK;
    int length = asprintf(&path, "%s/%s-%s", directory, sink->name, option->key);
    if (length < 0)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a path");
    for (char *at = path + length; *at != '/'; at--)
        if (*at == '_')
            *at = '-';
    if (access(path, F_OK) != 0) {
        free(path);
        return KX_OK;
    }
    kx_secret_fini(secret);
    secret->file = path;
    return KX_OK;
}

/* What is for one sink of a type, when there are several: a flag is an error, a variable is left
 * out. */
static enum kx_code refuse_ambiguous(struct kx_config *config,
                                     const struct kx_option *option,
                                     const struct levels *levels,
                                     struct kx_error *err)
{
    size_t i = kx_option_index(option);
    const char *name = kx_sink_kind_of_scope(option->scope)->name;
    if (levels->command_line->values[i] != NULL)
        return kx_error_set(err, KX_ERR_USAGE, 0,
                            "--%s is for one %s sink, and %s names several: write it at its sink "
                            "there",
                            option->flag, name, config->path);
    if (levels->environment->values[i] != NULL &&
        !kx_strings_addf(&config->warnings,
                         "%s in the environment is left out, because %s names several %s sinks: "
                         "write ${%s} at the one it is for",
                         option->env, config->path, name, option->env))
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a warning");
    return KX_OK;
}

static size_t sinks_of(const struct kx_config *config, enum kx_sink_type type)
{
    size_t count = 0;
    for (size_t i = 0; i < config->sink_count; i++)
        count += config->sinks[i].type == type;
    return count;
}

/* Whether the sink is the first of its type: what is said once of a type is said at it. */
static bool is_first(const struct kx_config *config, const struct kx_sink_config *sink)
{
    for (const struct kx_sink_config *other = config->sinks; other < sink; other++)
        if (other->type == sink->type)
            return false;
    return true;
}

static enum kx_code apply_levels(struct kx_sink_config *sink,
                                 const struct levels *levels,
                                 const struct kx_option *option,
                                 struct kx_error *err)
{
    enum kx_code code = KX_OK;
    /* The file's row has the same member: all three levels are settled at the value's row. */
    const struct kx_option *rows[] = {option, partner_of(option)};
    for (size_t k = 0; k < 2 && code == KX_OK && levels->single && rows[k] != NULL; k++)
        code = apply_row(sink, rows[k], levels->environment, false, err);
    if (code == KX_OK)
        code = apply_systemd(sink, option, err);
    for (size_t k = 0; k < 2 && code == KX_OK && levels->single && rows[k] != NULL; k++)
        code = apply_row(sink, rows[k], levels->command_line, true, err);
    return code;
}

static enum kx_code apply_sink(struct kx_config *config,
                               struct kx_sink_config *sink,
                               struct levels *levels,
                               struct kx_error *err)
{
    const struct kx_sink_kind *kind = kx_sink_kind_of(sink->type);
    enum kx_code code = KX_OK;
    levels->single = sinks_of(config, sink->type) == 1;
    for (size_t i = 0; i < kx_option_count() && code == KX_OK; i++) {
        const struct kx_option *option = kx_option_at(i);
        if (!kx_is_sink_secret(option) || !kx_sink_kind_has(kind, option->scope))
            continue;
        if (!levels->single && is_first(config, sink))
            code = refuse_ambiguous(config, option, levels, err);
        if (code == KX_OK && option->kind == KX_OPTION_SECRET)
            code = apply_levels(sink, levels, option, err);
        if (code == KX_OK && option->kind == KX_OPTION_SECRET)
            code = kx_secret_settle(config, kx_option_member(option, sink), err);
    }
    return code;
}

enum kx_code kx_sink_secrets_apply(struct kx_config *config,
                                   const struct kx_given *environment,
                                   const struct kx_given *command_line,
                                   struct kx_error *err)
{
    struct levels levels = {environment, command_line, false};
    enum kx_code code = KX_OK;
    for (size_t i = 0; i < config->sink_count && code == KX_OK; i++) {
        struct kx_sink_config *sink = &config->sinks[i];
        code = apply_sink(config, sink, &levels, err);
        if (code == KX_ERR_CONFIG && sink->line > 0)
            kx_error_prefix(err, "%s:%u", config->path, sink->line);
    }
    return code;
}
