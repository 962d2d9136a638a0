/*
 * Server addresses, strict on purpose: what curl would make of a doubtful URL is not what its
 * writer meant, and a password in a URL ends in somebody's log.
 */
#include "config/url.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A part of the text that is being parsed. */
struct span {
    const char *at;
    size_t length;
};

static bool span_copy(struct span span, char *out, size_t size)
{
    if (span.length >= size)
        return false;
    memcpy(out, span.at, span.length);
    out[span.length] = '\0';
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_host_name(const char *host)
{
    for (const char *at = host; *at != '\0'; at++) {
        bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
        if (!letter && !is_digit(*at) && strchr("-._", *at) == NULL)
            return false;
    }
    return host[0] != '\0' && host[0] != '-' && host[0] != '.';
}

/* An address as inet_pton takes it, with an optional zone ("fe80::1%eth0"). */
static bool is_ipv6(const char *host)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr parsed;
    size_t length = strcspn(host, "%");
    if (length >= sizeof address)
        return false;
    if (host[length] == '%' && !is_host_name(host + length + 1))
        return false;
    memcpy(address, host, length);
    address[length] = '\0';
    return inet_pton(AF_INET6, address, &parsed) == 1;
}

/* Takes "http://" or "https://" off *rest. Without a scheme it is http. */
static enum kx_code take_scheme(const char **rest, bool *ret_tls, struct kx_error *err)
{
    const char *end = strstr(*rest, "://");
    *ret_tls = false;
    if (end == NULL)
        return KX_OK;
    struct span scheme = {*rest, (size_t)(end - *rest)};
    static const struct {
        const char *name;
        bool tls;
        const char *instead; /* NULL = it is right as it is */
    } schemes[] = {{"http", false, NULL},
                   {"https", true, NULL},
                   {"ws", false, "http"},
                   {"wss", true, "https"}};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        if (strlen(schemes[i].name) != scheme.length ||
            strncasecmp(scheme.at, schemes[i].name, scheme.length) != 0)
            continue;
        if (schemes[i].instead != NULL)
            return kx_error_set(err, KX_ERR_CONFIG, 0,
                                "%s:// is not written here: write %s://, the WebSocket paths are "
                                "found from there",
                                schemes[i].name, schemes[i].instead);
        *ret_tls = schemes[i].tls;
        *rest = end + 3;
        return KX_OK;
    }
    return kx_error_set(err, KX_ERR_CONFIG, 0,
                        "a Kismet address begins with http:// or https://, or is a host name");
}

/* Cuts the authority into host and port. *ret_port is empty when there is none. */
static enum kx_code split_port(struct span authority,
                               struct span *ret_host,
                               struct span *ret_port,
                               struct kx_error *err)
{
    const char *end = authority.at + authority.length;
    const char *colon = memchr(authority.at, ':', authority.length);
    *ret_port = (struct span){end, 0};
    *ret_host = authority;
    if (authority.length > 0 && authority.at[0] == '[') {
        const char *bracket = memchr(authority.at, ']', authority.length);
        if (bracket == NULL)
            return kx_error_set(err, KX_ERR_CONFIG, 0,
                                "the address has '[' without ']': write [::1]:2501");
        *ret_host = (struct span){authority.at + 1, (size_t)(bracket - authority.at - 1)};
        colon = bracket + 1;
        if (colon == end)
            return KX_OK;
        if (*colon != ':')
            return kx_error_set(err, KX_ERR_CONFIG, 0,
                                "after ']' comes ':' and a port, or nothing: write [::1]:2501");
    } else if (colon == NULL) {
        return KX_OK;
    } else if (memchr(colon + 1, ':', (size_t)(end - colon - 1)) != NULL) {
        return KX_OK; /* two colons and no brackets: an IPv6 address or nothing */
    } else {
        ret_host->length = (size_t)(colon - authority.at);
    }
    *ret_port = (struct span){colon + 1, (size_t)(end - colon - 1)};
    if (ret_port->length == 0)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "the port after ':' is missing");
    return KX_OK;
}

static enum kx_code
set_host(struct kx_url *url, struct span host, bool brackets, struct kx_error *err)
{
    if (host.length == 0)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "the host name is missing: write http://localhost:2501");
    if (!span_copy(host, url->host, sizeof url->host))
        return kx_error_set(err, KX_ERR_CONFIG, 0, "the host name is longer than %d bytes",
                            KX_URL_HOST_MAX - 1);
    if (brackets || strchr(url->host, ':') != NULL) {
        if (!is_ipv6(url->host))
            return kx_error_set(err, KX_ERR_CONFIG, 0,
                                "'%s' is no IPv6 address: write [::1]:2501, or host:port",
                                url->host);
    } else if (!is_host_name(url->host)) {
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "'%s' is no host name: letters, digits, '-', '.' and '_' only",
                            url->host);
    }
    return KX_OK;
}

static enum kx_code set_port(struct kx_url *url, struct span port, struct kx_error *err)
{
    url->port = url->tls ? KX_URL_PORT_HTTPS : KX_URL_PORT_HTTP;
    url->port_given = port.length > 0;
    if (!url->port_given)
        return KX_OK;
    unsigned value = 0;
    for (size_t i = 0; i < port.length; i++) {
        value = is_digit(port.at[i]) ? value * 10 + (unsigned)(port.at[i] - '0') : UINT16_MAX + 1;
        if (value > UINT16_MAX)
            break;
    }
    if (value == 0 || value > UINT16_MAX)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "the port must be a number from 1 to 65535");
    url->port = (uint16_t)value;
    return KX_OK;
}

static enum kx_code set_prefix(struct kx_url *url, struct span prefix, struct kx_error *err)
{
    while (prefix.length > 0 && prefix.at[prefix.length - 1] == '/')
        prefix.length--;
    for (size_t i = 0; i < prefix.length; i++) {
        unsigned char c = (unsigned char)prefix.at[i];
        if (c == '?' || c == '#')
            return kx_error_set(err, KX_ERR_CONFIG, 0,
                                "a Kismet address has no '%c': leave out what begins there", c);
        if (c <= 0x20 || c >= 0x7f || strchr("\"<>\\^`{|}", c) != NULL)
            return kx_error_set(err, KX_ERR_CONFIG, 0,
                                "the path holds a byte that must be written as %%%02X", c);
    }
    if (!span_copy(prefix, url->prefix, sizeof url->prefix))
        return kx_error_set(err, KX_ERR_CONFIG, 0, "the path is longer than %d bytes",
                            KX_URL_PREFIX_MAX - 1);
    return KX_OK;
}

enum kx_code kx_url_parse(const char *text, struct kx_url *ret_url, struct kx_error *err)
{
    struct kx_url url = {0};
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at <= 0x20 || *at == 0x7f)
            return kx_error_set(err, KX_ERR_CONFIG, 0,
                                "the address holds a space or a control byte: remove it");
    const char *rest = text;
    enum kx_code code = take_scheme(&rest, &url.tls, err);
    if (code != KX_OK)
        return code;
    struct span authority = {rest, strcspn(rest, "/?#")};
    struct span path = {rest + authority.length, strlen(rest + authority.length)};
    if (memchr(authority.at, '@', authority.length) != NULL)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "a credential does not belong into the address, which is logged: use "
                            "api_key_file (--kismet-api-key-file), or user and password_file");
    struct span host;
    struct span port;
    code = split_port(authority, &host, &port, err);
    if (code == KX_OK)
        code = set_host(&url, host, host.at != authority.at, err);
    if (code == KX_OK)
        code = set_port(&url, port, err);
    if (code == KX_OK)
        code = set_prefix(&url, path, err);
    if (code == KX_OK)
        *ret_url = url;
    return code;
}

void kx_url_authority(const struct kx_url *url, char out[KX_URL_HOST_MAX + 8])
{
    bool ipv6 = strchr(url->host, ':') != NULL;
    snprintf(out, KX_URL_HOST_MAX + 8, "%s%.*s%s:%u", ipv6 ? "[" : "", KX_URL_HOST_MAX - 1,
             url->host, ipv6 ? "]" : "", (unsigned)url->port);
}

void kx_url_text(const struct kx_url *url, char out[KX_URL_TEXT_MAX])
{
    char authority[KX_URL_HOST_MAX + 8];
    kx_url_authority(url, authority);
    snprintf(out, KX_URL_TEXT_MAX, "%s://%s%s", url->tls ? "https" : "http", authority,
             url->prefix);
}

bool kx_url_is_loopback(const struct kx_url *url)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (strcasecmp(url->host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, url->host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, url->host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

void kx_url_origin(const char *text, char out[KX_URL_ORIGIN_MAX])
{
    const char *host = strstr(text, "://");
    size_t length = host == NULL ? 0 : strcspn(host + 3, "/?#");
    if (host == NULL || memchr(host + 3, '@', length) != NULL)
        snprintf(out, KX_URL_ORIGIN_MAX, "the url");
    else
        snprintf(out, KX_URL_ORIGIN_MAX, "%.*s", (int)(host + 3 + length - text), text);
}
