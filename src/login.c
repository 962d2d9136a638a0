/* The login command; the contract stands in the header. */
#include "login.h"

#include "base/hash.h"
#include "base/text.h"
#include "config/url.h"
#include "ingest/ask.h"
#include "ingest/json_scan.h"
#include "keyfile.h"
#include "terminal.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES_MIN = 8, KEY_BYTES_MAX = 1024, NAME_MAX_BYTES = 128 };

static const char default_user[] = "kismet"; /* what Kismet's own page proposes */

struct login {
    struct kx_config *config;
    struct kx_source_config *source;
    struct kx_url url;
    struct kx_endpoint endpoint;
    struct kx_secret key;
    char *key_file;
    char name[NAME_MAX_BYTES]; /* of the key, in Kismet's list */
};

/* --- what is asked of people --- */

static enum kx_code set_text(char **place, const char *text, struct kx_error *err)
{
    char *copy = strdup(text);
    if (copy == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for an answer");
    free(*place);
    *place = copy;
    return KX_OK;
}

/* An answer that cannot be right is a wrong command line, not a wrong configuration. */
static enum kx_code as_usage(enum kx_code code, struct kx_error *err)
{
    if (code == KX_ERR_CONFIG)
        code = err->code = KX_ERR_USAGE;
    return code;
}

static enum kx_code ask_address(struct login *login, struct kx_error *err)
{
    struct kx_source_config *source = login->source;
    char text[KX_URL_TEXT_MAX];
    enum kx_code code = KX_OK;
    if (!login->config->login.address_given && kx_terminal_is_there()) {
        code = kx_terminal_ask("Kismet's address", source->url, text, sizeof text, err);
        if (code == KX_OK)
            code = kx_url_parse(text, &login->url, err);
        if (code == KX_OK) {
            kx_url_text(&login->url, text);
            code = set_text(&source->url, text, err);
        }
        return as_usage(code, err);
    }
    return kx_url_parse(source->url, &login->url, err);
}

static void warn_of_plain_text(const struct login *login)
{
    if (login->url.tls || kx_url_is_loopback(&login->url))
        return;
    fprintf(stderr,
            "warning: the password and the key will travel to %s unencrypted; https, a VPN, or a "
            "login on that machine itself keeps them to yourself\n",
            login->url.host);
}

static enum kx_code ask_credential(struct login *login, struct kx_error *err)
{
    struct kx_source_config *source = login->source;
    char user[256];
    bool terminal = kx_terminal_is_there();
    enum kx_code code = KX_OK;
    if (!terminal && !kx_secret_is_set(&source->password))
        return kx_error_set(err, KX_ERR_USAGE, 0,
                            "standard input is no terminal to ask at: give KISMET_USERNAME and "
                            "KISMET_PASSWORD_FILE in the environment");
    if (source->user == NULL && terminal) {
        code = kx_terminal_ask("Admin user", default_user, user, sizeof user, err);
        if (code == KX_OK)
            code = set_text(&source->user, user, err);
    } else if (source->user == NULL) {
        code = set_text(&source->user, default_user, err);
    }
    if (code == KX_OK && !kx_secret_is_set(&source->password))
        code = kx_terminal_ask_secret("Password", &source->password, err);
    return as_usage(code, err);
}

/* --- what is asked of Kismet --- */

/* Whether a Kismet answers there and has an admin: before anybody types a password. */
static enum kx_code check_server(const struct login *login, struct kx_error *err)
{
    struct kx_answer answer;
    const struct kx_question question = {.path = "/session/check_setup_ok", .anonymous = true};
    enum kx_code code = kx_ask(&login->endpoint, &question, &answer, err);
    if (answer.status == 500)
        code = kx_error_set(err, KX_ERR_UNAVAILABLE, 0,
                            "%s has no admin password yet: open %s in a browser once, set the "
                            "login there, and run this again",
                            login->endpoint.authority, login->source->url);
    else if (answer.redirect[0] != '\0')
        code = kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "%s redirects to %s: give that address",
                            login->endpoint.authority, answer.redirect);
    else if (answer.status == 401 || answer.status == 406) /* set up, in the system's files */
        code = KX_OK;
    kx_answer_fini(&answer);
    return code;
}

/* The bare token, or a JSON text, or the first text in a JSON object. */
static struct kx_json_text find_key(const struct kx_buf *body)
{
    struct kx_scan scan = {body->data, body->data + body->length};
    struct kx_json_text key = {0};
    struct kx_json_text name;
    kx_scan_space(&scan);
    if (scan.at == scan.end)
        return key;
    if (*scan.at == '{') {
        kx_scan_take(&scan, '{');
        if (!kx_scan_member(&scan, &name, &key))
            return (struct kx_json_text){0};
    } else {
        key = (struct kx_json_text){scan.at, (size_t)(scan.end - scan.at)};
    }
    while (key.length > 0 && strchr(" \t\r\n", key.data[key.length - 1]) != NULL)
        key.length--;
    if (key.length >= 2 && key.data[0] == '"' && key.data[key.length - 1] == '"')
        key = (struct kx_json_text){key.data + 1, key.length - 2};
    return key;
}

static enum kx_code take_key(struct login *login, const struct kx_buf *body, struct kx_error *err)
{
    struct kx_json_text key = {0};
    if (body->data != NULL)
        key = find_key(body);
    bool right = key.length >= KEY_BYTES_MIN && key.length <= KEY_BYTES_MAX;
    for (size_t i = 0; right && i < key.length; i++) /* it becomes a cookie */
        right = key.data[i] > ' ' && key.data[i] < 0x7f && strchr("\",;\\<", key.data[i]) == NULL;
    if (!right)
        return kx_error_set(err, KX_ERR_PROTOCOL, 0,
                            "%s answered with something that is no API key: is it Kismet itself "
                            "that answers there?",
                            login->endpoint.authority);
    char text[KEY_BYTES_MAX + 1];
    memcpy(text, key.data, key.length);
    text[key.length] = '\0';
    enum kx_code code = kx_secret_set(&login->key, text, err);
    explicit_bzero(text, sizeof text);
    return code;
}

static enum kx_code refusal(const struct login *login, long status, struct kx_error *err)
{
    const char *at = login->endpoint.authority;
    switch (status) {
    case 401:
        return kx_error_set(err, KX_ERR_AUTH, 0,
                            "%s refuses user %s and this password: it wants the admin's login, "
                            "which was set at its first start (~/.kismet/kismet_httpd.conf there)",
                            at, login->source->user);
    case 404:
        return kx_error_set(err, KX_ERR_NOT_FOUND, 0,
                            "%s has no API keys: this Kismet is older than 2021; update it, or "
                            "give user and password_file to the source",
                            at);
    case 500:
        return kx_error_set(err, KX_ERR_UNAVAILABLE, 0,
                            "%s makes no key: httpd_allow_auth_creation is false in its "
                            "configuration, or its list has a %s already",
                            at, login->name);
    default:
        return err->code;
    }
}

/* A name is taken only once, also by a key that was revoked and made anew: hence the random end. */
static enum kx_code make_name(struct login *login, struct kx_buf *body, struct kx_error *err)
{
    uint32_t random;
    kx_hash_random(&random, sizeof random);
    snprintf(login->name, sizeof login->name, "kismet-export-%s-%06x", login->config->sensor,
             (unsigned)(random & 0xffffff));
    kx_buf_text(body, "{\"name\":\"");
    kx_text_json(body, login->name, strlen(login->name));
    kx_buf_text(body, "\",\"role\":\"readonly\",\"duration\":0}");
    kx_buf_byte(body, '\0');
    return body->failed ? kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a request") : KX_OK;
}

static enum kx_code make_key(struct login *login, struct kx_error *err)
{
    struct kx_buf body;
    kx_buf_init(&body, 4096);
    enum kx_code code = make_name(login, &body, err);
    if (code == KX_OK) {
        struct kx_answer answer;
        const struct kx_question question = {.path = "/auth/apikey/generate.cmd",
                                             .body = body.data};
        code = kx_ask(&login->endpoint, &question, &answer, err);
        if (code == KX_OK)
            code = take_key(login, &answer.body, err);
        else if (answer.status != 0)
            code = refusal(login, answer.status, err);
        kx_answer_fini(&answer);
    }
    kx_buf_fini(&body);
    return code;
}

/* With the new key alone. */
static enum kx_code check_key(struct login *login, struct kx_error *err)
{
    struct kx_answer answer;
    const struct kx_question question = {.path = "/session/check_session"};
    kx_secret_fini(&login->endpoint.credential.password);
    enum kx_code code =
        kx_secret_set(&login->endpoint.credential.api_key, kx_secret_reveal(&login->key), err);
    if (code != KX_OK)
        return code;
    code = kx_ask(&login->endpoint, &question, &answer, err);
    kx_answer_fini(&answer);
    if (code != KX_OK)
        kx_error_prefix(err, "the new key %s does not work", login->name);
    return code;
}

/* --- what is said at the end --- */

static bool is_plain(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "/._-:=@%+,[]";
    return text[0] != '\0' && text[strspn(text, plain)] == '\0' && text[0] != '[';
}

/* As one word of a shell. */
static void print_word(const char *text)
{
    if (is_plain(text) && strpbrk(text, "[]") == NULL) {
        fputs(text, stdout);
        return;
    }
    putchar('\'');
    for (; *text != '\0'; text++)
        *text == '\'' ? fputs("'\\''", stdout) : putchar(*text);
    putchar('\'');
}

/* As a value of our YAML, in which ${ means a variable. */
static void print_value(const char *text)
{
    if (is_plain(text) && strchr(text, ',') == NULL) {
        fputs(text, stdout);
        return;
    }
    putchar('\'');
    for (; *text != '\0'; text++) {
        if (text[0] == '$' && text[1] == '{')
            putchar('$');
        *text == '\'' ? fputs("''", stdout) : putchar(*text);
    }
    putchar('\'');
}

static void print_key_value(const char *key, const char *value)
{
    if (value == NULL)
        return;
    fputs(key, stdout);
    print_value(value);
    putchar('\n');
}

static void print_use(const struct login *login)
{
    const struct kx_tls_config *tls = &login->source->tls;
    printf("The key %s (role readonly, no expiry) is in ", login->name);
    print_word(login->key_file);
    printf("\nKismet's web page lists it under Settings, API keys, where it can be revoked.\n");
    printf("\nIn a configuration file:\n\nsources:\n");
    print_key_value("  - url: ", login->source->url);
    print_key_value("    api_key_file: ", login->key_file);
    if (tls->ca_file != NULL || tls->cert_file != NULL || tls->insecure) {
        printf("    tls:\n");
        print_key_value("      ca_file: ", tls->ca_file);
        print_key_value("      cert_file: ", tls->cert_file);
        print_key_value("      key_file: ", tls->key_file);
        print_key_value("      insecure: ", tls->insecure ? "true" : NULL);
        fflush(stdout); /* tls has no flags: it is for a file alone */
        return;
    }
    printf("\nOr on the command line:\n\nkismet-export --kismet-host ");
    print_word(login->source->url);
    printf(" --kismet-api-key-file ");
    print_word(login->key_file);
    putchar('\n');
    fflush(stdout);
}

/* --- the order of things --- */

static enum kx_code get_key(struct login *login, struct kx_error *err)
{
    enum kx_code code = kx_endpoint_init(&login->endpoint, login->source, err);
    if (code != KX_OK)
        return code;
    code = check_server(login, err);
    kx_endpoint_fini(&login->endpoint);
    if (code == KX_OK)
        code = ask_credential(login, err);
    if (code == KX_OK)
        code = kx_endpoint_init(&login->endpoint, login->source, err);
    if (code != KX_OK)
        return code;
    code = make_key(login, err);
    kx_secret_fini(&login->source->password);
    if (code == KX_OK)
        code = check_key(login, err);
    if (code == KX_OK && (code = kx_keyfile_write(login->key_file, &login->key, err)) != KX_OK)
        kx_error_prefix(err, "the key %s was made, and is lost: revoke it in Kismet", login->name);
    kx_endpoint_fini(&login->endpoint);
    return code;
}

static enum kx_code choose_file(struct login *login, struct kx_error *err)
{
    const char *given = login->config->login.key_file;
    enum kx_code code = given == NULL ? kx_keyfile_default(&login->url, &login->key_file, err)
                                      : set_text(&login->key_file, given, err);
    return code == KX_OK ? kx_keyfile_prepare(login->key_file, err) : code;
}

enum kx_code kx_login_run(struct kx_config *config, struct kx_error *err)
{
    struct login login = {.config = config, .source = &config->sources[0]};
    signal(SIGPIPE, SIG_IGN);
    enum kx_code code = ask_address(&login, err);
    if (code == KX_OK)
        code = choose_file(&login, err);
    if (code == KX_OK) {
        warn_of_plain_text(&login);
        code = get_key(&login, err);
    }
    if (code == KX_OK)
        print_use(&login);
    kx_secret_fini(&login.key);
    free(login.key_file);
    return code;
}
