/*
 * Credentials: settled source by source, read from their files last, when nothing can override them
 * any more.
 */
#include "config/credential.h"

#include "config/assign.h"
#include "config/sink_secret.h"
#include "config/url.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum level { NONE, FROM_FILE, FROM_ENVIRONMENT, FROM_SYSTEMD, FROM_COMMAND_LINE };

/* Who gave each part. */
struct levels {
    enum level api_key, user, password;
};

static const char systemd_name[] = "kismet-api-key";

static bool is_given(const struct kx_secret *secret)
{
    return kx_secret_is_set(secret) || secret->file != NULL;
}

/* The part of a credential that a row fills. */
static enum level *level_of(struct levels *levels, const struct kx_option *option)
{
    if (option->offset == offsetof(struct kx_source_config, api_key))
        return &levels->api_key;
    if (option->offset == offsetof(struct kx_source_config, user))
        return &levels->user;
    return &levels->password;
}

static void forget(struct kx_source_config *source, const struct kx_option *option)
{
    if (option->offset == offsetof(struct kx_source_config, api_key)) {
        kx_secret_fini(&source->api_key);
    } else if (option->offset == offsetof(struct kx_source_config, password)) {
        kx_secret_fini(&source->password);
    } else {
        free(source->user);
        source->user = NULL;
    }
}

/* One level over those below it. */
static enum kx_code apply_level(struct kx_source_config *source,
                                struct levels *levels,
                                enum level level,
                                const struct kx_given *given,
                                struct kx_error *err)
{
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        if (!option->credential || given->values[i] == NULL)
            continue;
        enum level *part = level_of(levels, option);
        if (*part != level)
            forget(source, option);
        *part = level;
        enum kx_code code = kx_option_assign(option, source, given->values[i], err);
        if (code != KX_OK)
            return kx_option_blame(option, level == FROM_COMMAND_LINE, code, err);
    }
    return KX_OK;
}

/* The file that `LoadCredential=kismet-api-key:...` of a systemd unit gives us. */
static enum kx_code
apply_systemd(struct kx_source_config *source, struct levels *levels, struct kx_error *err)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    char *path = NULL;
    if (directory == NULL || directory[0] == '\0')
        return KX_OK;
    if (asprintf(&path, "%s/%s", directory, systemd_name) < 0)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a path");
    if (access(path, F_OK) != 0) {
        free(path);
        return KX_OK;
    }
    kx_secret_fini(&source->api_key);
    source->api_key.file = path;
    levels->api_key = FROM_SYSTEMD;
    return KX_OK;
}

/* An API key or a login: the higher level's. */
static enum kx_code
choose(struct kx_source_config *source, const struct levels *levels, struct kx_error *err)
{
    enum level login = levels->user > levels->password ? levels->user : levels->password;
    if (levels->api_key != NONE && levels->api_key == login)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "an API key and a user or password: give one of the two, best "
                            "the API key");
    if (levels->api_key > login) {
        free(source->user);
        source->user = NULL;
        kx_secret_fini(&source->password);
        return KX_OK;
    }
    kx_secret_fini(&source->api_key);
    if (levels->user == NONE && levels->password != NONE)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "a password without a user: give user (--kismet-username, "
                            "KISMET_USERNAME) too, or an API key instead");
    if (levels->user != NONE && levels->password == NONE)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "a user without a password: give password_file "
                            "(--kismet-password-file, KISMET_PASSWORD_FILE) too, or an API key "
                            "instead");
    return KX_OK;
}

static enum kx_code warn_of_plain_text(struct kx_config *config,
                                       const struct kx_source_config *source,
                                       struct kx_error *err)
{
    struct kx_url url;
    if (!kx_secret_is_set(&source->api_key) && !kx_secret_is_set(&source->password))
        return KX_OK;
    enum kx_code code = kx_url_parse(source->url, &url, err);
    if (code != KX_OK || url.tls || kx_url_is_loopback(&url))
        return code;
    if (!kx_strings_addf(&config->warnings,
                         "the credential for %s travels unencrypted: use https, an ssh tunnel or a "
                         "VPN",
                         source->url))
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a warning");
    return KX_OK;
}

static enum kx_code
warn_of_argv(struct kx_config *config, const struct kx_given *command_line, struct kx_error *err)
{
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        const char *value = command_line->values[i];
        if (option->kind != KX_OPTION_SECRET || value == NULL ||
            (option->is_secret != NULL && !option->is_secret(value)))
            continue;
        if (!kx_strings_addf(&config->warnings,
                             "--%s puts a secret where every user of this machine (ps) and the "
                             "shell's history see it: use %s, or %s in the environment",
                             option->flag, option->better, option->env))
            return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a warning");
    }
    return KX_OK;
}

enum kx_code kx_credentials_apply(struct kx_config *config,
                                  const struct kx_given *environment,
                                  const struct kx_given *command_line,
                                  struct kx_error *err)
{
    enum kx_code code = warn_of_argv(config, command_line, err);
    bool single = config->source_count == 1;
    for (size_t i = 0; i < config->source_count && code == KX_OK; i++) {
        struct kx_source_config *source = &config->sources[i];
        struct levels levels = {is_given(&source->api_key) ? FROM_FILE : NONE,
                                source->user != NULL ? FROM_FILE : NONE,
                                is_given(&source->password) ? FROM_FILE : NONE};
        if (single)
            code = apply_level(source, &levels, FROM_ENVIRONMENT, environment, err);
        if (code == KX_OK && single)
            code = apply_systemd(source, &levels, err);
        if (code == KX_OK && single)
            code = apply_level(source, &levels, FROM_COMMAND_LINE, command_line, err);
        if (code != KX_OK)
            return code;
        code = choose(source, &levels, err);
        if (code == KX_OK)
            code = kx_secret_settle(config, &source->api_key, err);
        if (code == KX_OK)
            code = kx_secret_settle(config, &source->password, err);
        if (code == KX_OK)
            code = warn_of_plain_text(config, source, err);
        if (code != KX_OK && source->line > 0)
            kx_error_prefix(err, "%s:%u", config->path, source->line);
    }
    return code;
}

enum kx_code kx_credentials_apply_login(struct kx_config *config,
                                        const struct kx_given *environment,
                                        const struct kx_given *command_line,
                                        struct kx_error *err)
{
    struct kx_source_config *source = &config->sources[0];
    struct levels levels = {NONE, source->user != NULL ? FROM_FILE : NONE,
                            is_given(&source->password) ? FROM_FILE : NONE};
    enum kx_code code = warn_of_argv(config, command_line, err);
    if (code == KX_OK)
        code = apply_level(source, &levels, FROM_ENVIRONMENT, environment, err);
    if (code == KX_OK)
        code = apply_level(source, &levels, FROM_COMMAND_LINE, command_line, err);
    kx_secret_fini(&source->api_key); /* also one whose file is not there yet */
    return code == KX_OK ? kx_secret_settle(config, &source->password, err) : code;
}
