/*
 * Checks of single values.
 */
#include "config/check.h"

#include "base/mac_mask.h"
#include "base/pattern.h"
#include "base/text.h"
#include "config/columns.h"
#include "config/config.h"
#include "config/suggest.h"
#include "config/topics.h"
#include "config/url.h"
#include "config/value.h"
#include "record/record.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum kx_code kx_check_name(void *field, struct kx_error *err)
{
    const char *name = *(char **)field;
    size_t length = strlen(name);
    if (length > KX_NAME_BYTES_MAX)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "the name has %zu bytes: %d at most", length,
                            KX_NAME_BYTES_MAX);
    if (kx_text_utf8_valid(name, length) != length)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "the name is not UTF-8");
    return KX_OK;
}

enum kx_code kx_check_host(void *field, struct kx_error *err)
{
    char **text = field;
    struct kx_url url;
    if (strstr(*text, "://") != NULL)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "a host name or an IP address is wanted, without a scheme");
    enum kx_code code = kx_url_parse(*text, &url, err);
    if (code != KX_OK)
        return code;
    if (url.port_given || url.prefix[0] != '\0')
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "only the host belongs here: the port is an option of its own");
    char *bare = strdup(url.host);
    if (bare == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a host name");
    free(*text);
    *text = bare;
    return KX_OK;
}

enum kx_code kx_check_url(void *field, struct kx_error *err)
{
    char **text = field;
    struct kx_url url;
    char full[KX_URL_TEXT_MAX];
    enum kx_code code = kx_url_parse(*text, &url, err);
    if (code != KX_OK)
        return code;
    kx_url_text(&url, full);
    char *canonical = strdup(full);
    if (canonical == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for an address");
    free(*text);
    *text = canonical;
    return KX_OK;
}

enum kx_code kx_check_http_url(void *field, struct kx_error *err)
{
    const char *text = *(char **)field;
    bool scheme = strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
    struct kx_url url;
    /* Not repeated: somebody may have written a password into it. */
    if (!scheme || kx_url_parse(text, &url, NULL) != KX_OK)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "it must be http(s)://host[:port][/prefix], without credential, '?' "
                            "and '#'");
    return KX_OK;
}

enum kx_code kx_check_view(void *field, struct kx_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "_-.:";
    const char *view = *(char **)field;
    if (view[strspn(view, allowed)] != '\0')
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "'%s' is no Kismet view: write a name such as phy-IEEE802.11 or "
                            "phydot11_accesspoints",
                            view);
    return KX_OK;
}

enum kx_code kx_check_macs(void *field, struct kx_error *err)
{
    const struct kx_strings *macs = field;
    for (size_t i = 0; i < macs->count; i++) {
        struct kx_mac_mask mask;
        if (!kx_mac_mask_parse(macs->items[i], &mask))
            return kx_error_set(err, KX_ERR_CONFIG, 0,
                                "'%s' is no MAC address: write AA:BB:CC:DD:EE:FF, or with a mask "
                                "AA:BB:CC:00:00:00/FF:FF:FF:00:00:00",
                                macs->items[i]);
    }
    return KX_OK;
}

enum kx_code kx_check_plain_macs(void *field, struct kx_error *err)
{
    const struct kx_strings *macs = field;
    uint64_t mac, other;
    if (macs->count > KX_PRESENCE_MACS_MAX)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "%zu MACs: at most %d can be watched",
                            macs->count, KX_PRESENCE_MACS_MAX);
    for (size_t i = 0; i < macs->count; i++) {
        const char *text = macs->items[i];
        if (!kx_text_mac(text, strlen(text), &mac))
            return kx_error_set(err, KX_ERR_CONFIG, 0,
                                "'%s' is no MAC address: write AA:BB:CC:DD:EE:FF", text);
        for (size_t k = 0; k < i; k++)
            if (kx_text_mac(macs->items[k], strlen(macs->items[k]), &other) && other == mac)
                return kx_error_set(err, KX_ERR_CONFIG, 0, "'%s' stands there twice", text);
    }
    return KX_OK;
}

enum kx_code kx_check_client_id(void *field, struct kx_error *err)
{
    const char *id = *(char **)field;
    size_t length = strlen(id);
    if (length > KX_NAME_BYTES_MAX)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "the id has %zu bytes: %d at most", length,
                            KX_NAME_BYTES_MAX);
    for (size_t i = 0; i < length; i++)
        if (id[i] <= ' ' || id[i] > '~')
            return kx_error_set(err, KX_ERR_CONFIG, 0,
                                "write letters, digits and signs, without spaces");
    return KX_OK;
}

/* "signal_dbm=3": a field that has a number, and how far it may move unsaid. */
static enum kx_code check_deadband(const char *pair, struct kx_error *err)
{
    size_t length = strcspn(pair, "=");
    char name[KX_SUGGEST_TEXT_MAX];
    char near[KX_SUGGEST_TEXT_MAX];
    double band;
    if (length >= sizeof name)
        length = sizeof name - 1;
    memcpy(name, pair, length);
    name[length] = '\0';
    enum kx_field field = kx_field_find(name, length);
    struct kx_suggest suggest = {.word = name};
    for (enum kx_field known = 0; known < KX_FIELDS && field == KX_FIELDS; known++)
        kx_suggest_offer(&suggest, kx_fields[known].name);
    if (field == KX_FIELDS)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "'%s' is no field of a device%s", name,
                            kx_suggest_text(&suggest, "", near));
    enum kx_type type = kx_fields[field].type;
    if (type != KX_TYPE_I32 && type != KX_TYPE_I64 && type != KX_TYPE_F64)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "%s is no number, so it has no distance: to hear less of it, put it "
                            "into ignore",
                            name);
    if (strncmp(pair + length, "=", 1) == 0 && kx_value_number(pair + length + 1, &band) &&
        band > 0)
        return KX_OK;
    return kx_error_set(err, KX_ERR_CONFIG, 0,
                        "%s wants a number above 0: write {signal_dbm: 3, latitude: 0.0001}", name);
}

enum kx_code kx_check_deadbands(void *field, struct kx_error *err)
{
    const struct kx_strings *pairs = field;
    for (size_t i = 0; i < pairs->count; i++) {
        enum kx_code code = check_deadband(pairs->items[i], err);
        if (code != KX_OK)
            return code;
    }
    return KX_OK;
}

enum kx_code kx_check_pattern(void *field, struct kx_error *err)
{
    const char *text = *(char **)field;
    struct kx_pattern *pattern;
    if (kx_text_utf8_valid(text, strlen(text)) != strlen(text))
        return kx_error_set(err, KX_ERR_CONFIG, 0, "the expression is not UTF-8");
    enum kx_code code = kx_pattern_create(&pattern, text, err);
    if (code == KX_OK)
        kx_pattern_destroy(pattern);
    return code;
}

enum kx_code kx_check_topics(void *field, struct kx_error *err)
{
    struct kx_strings *topics = field;
    bool none = topics->count == 1 && strcasecmp(topics->items[0], "none") == 0;
    return none ? KX_OK : kx_topics_resolve(topics, err);
}

enum kx_code kx_check_regex(void *field, struct kx_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "_-./";
    const struct kx_strings *list = field;
    for (size_t i = 0; i < list->count; i++) {
        const char *text = list->items[i];
        size_t path = strspn(text, allowed);
        bool right = path > 0 && memchr(text, '.', path) != NULL && text[path] == '=' &&
                     text[path + 1] != '\0';
        if (right && kx_text_utf8_valid(text, strlen(text)) == strlen(text))
            continue;
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "'%s' is no PATH=PATTERN: write a list such as "
                            "[\"kismet.device.base.name=^Free\"]",
                            text);
    }
    return KX_OK;
}

enum kx_code kx_check_fields(void *field, struct kx_error *err)
{
    const struct kx_strings *names = field;
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->items[i];
        struct kx_suggest suggest = {.word = name};
        char near[KX_SUGGEST_TEXT_MAX];
        if (kx_field_find(name, strlen(name)) < KX_FIELDS)
            continue;
        for (enum kx_field known = 0; known < KX_FIELDS; known++)
            kx_suggest_offer(&suggest, kx_fields[known].name);
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "'%.40s' is no field of a device%s: write a list such as [mac_addr, "
                            "signal_dbm, last_seen]",
                            name, kx_suggest_text(&suggest, "", near));
    }
    return KX_OK;
}

enum kx_code kx_check_path(void *field, struct kx_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "_-.:/";
    const char *path = *(char **)field;
    size_t length = strlen(path);
    if (path[strspn(path, allowed)] == '\0' && strchr(path, '.') != NULL && path[0] != '/' &&
        path[length - 1] != '/' && length <= 256)
        return KX_OK;
    return kx_error_set(err, KX_ERR_CONFIG, 0,
                        "'%.80s' is no field of Kismet: write a name such as "
                        "kismet.device.base.freq_khz, with '/' between those inside each other",
                        path);
}

enum kx_code kx_check_key(void *field, struct kx_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
    const char *key = *(char **)field;
    if (key[0] == '\0' || key[strspn(key, allowed)] != '\0' ||
        strlen(key) > KX_EXTRA_NAME_BYTES_MAX)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "'%.40s' cannot be a key: write up to %d lower-case letters, digits "
                            "and '_', such as last_bssid",
                            key, KX_EXTRA_NAME_BYTES_MAX);
    if (kx_columns_reserved(key))
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "'%s' is a column already, and an extra field gets one of its own: "
                            "write another name, such as kismet_%s",
                            key, key);
    return KX_OK;
}

enum kx_code kx_check_webhook_url(void *field, struct kx_error *err)
{
    const char *text = *(char **)field;
    const char *host = strstr(text, "://");
    bool scheme = strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
    /* The text is not repeated: it is often a secret. */
    if (!scheme)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "it must begin with http:// or https://");
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at <= 0x20 || (unsigned char)*at >= 0x7f)
            return kx_error_set(err, KX_ERR_CONFIG, 0,
                                "it holds a space or another byte that must be written as %%20 or "
                                "the like");
    if (strchr(text, '#') != NULL)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "it holds a '#': leave out what begins there");
    /* Host and port by the rules of every address; path and query are the far end's own. */
    char *origin = strndup(text, (size_t)(host - text) + 3 + strcspn(host + 3, "/?"));
    struct kx_url url;
    if (origin == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for an address");
    enum kx_code code = KX_OK;
    if (strchr(origin, '@') != NULL)
        code = kx_error_set(err, KX_ERR_CONFIG, 0,
                            "a credential does not belong into the address: use headers, with "
                            "Authorization");
    else
        code = kx_url_parse(origin, &url, err);
    free(origin);
    return code;
}

static bool is_token(const char *name, size_t length)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < length; i++)
        if (strchr(allowed, name[i]) == NULL)
            return false;
    return length > 0;
}

enum kx_code kx_check_headers(void *field, struct kx_error *err)
{
    static const char *const ours[] = {"x-signature-256",  "x-timestamp", "idempotency-key",
                                       "content-encoding", "expect",      "content-length",
                                       "transfer-encoding"};
    const struct kx_strings *list = field;
    if (list->count > KX_WEBHOOK_HEADERS_MAX)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "more than %d headers", KX_WEBHOOK_HEADERS_MAX);
    for (size_t i = 0; i < list->count; i++) {
        const char *name = list->items[i];
        const char *equals = strchr(name, '=');
        size_t length = equals == NULL ? 0 : (size_t)(equals - name);
        if (!is_token(name, length))
            return kx_error_set(err, KX_ERR_CONFIG, 0,
                                "entry %zu is no header: write 'Name: value', the name of letters, "
                                "digits and '-'",
                                i + 1);
        for (size_t k = 0; k < sizeof ours / sizeof ours[0]; k++)
            if (strlen(ours[k]) == length && strncasecmp(ours[k], name, length) == 0)
                return kx_error_set(err, KX_ERR_CONFIG, 0,
                                    "%s is a header that this sink makes itself: leave it out",
                                    ours[k]);
        if (equals[1] == '\0')
            return kx_error_set(err, KX_ERR_CONFIG, 0, "the header %.*s has no value", (int)length,
                                name);
        for (const char *at = equals + 1; *at != '\0'; at++)
            if ((unsigned char)*at < 0x20 || *at == 0x7f)
                return kx_error_set(err, KX_ERR_CONFIG, 0,
                                    "the value of %.*s holds a line break or another control byte",
                                    (int)length, name);
    }
    return KX_OK;
}

enum kx_code kx_check_schema(void *field, struct kx_error *err)
{
    const char *name = *(char *const *)field;
    size_t length = strlen(name);
    if (length > 0 && length <= 63) /* a longer one the server would cut */
        return KX_OK;
    return kx_error_set(err, KX_ERR_CONFIG, 0, "a schema's name has 1 to 63 bytes, this one %zu",
                        length);
}

/* libpq, which knows for certain, is the sink's and not the configuration's. */
bool kx_check_conn_is_secret(const char *text)
{
    const char *user = strstr(text, "://");
    if (strstr(text, "password") != NULL) /* sslpassword, and the parameter of a URI */
        return true;
    if (user == NULL)
        return false;
    user += strlen("://");
    size_t length = strcspn(user, "?");
    const char *at = memchr(user, '@', length);
    return at != NULL && memchr(user, ':', (size_t)(at - user)) != NULL;
}

enum kx_code kx_check_indexes(void *field, struct kx_error *err)
{
    const struct kx_strings *names = field;
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], "last_seen") != 0 && strcmp(names->items[i], "phy_type") != 0)
            return kx_error_set(err, KX_ERR_CONFIG, 0,
                                "'%.40s' gets no index from us: write a list of last_seen and "
                                "phy_type, and make others by hand",
                                names->items[i]);
    return KX_OK;
}
