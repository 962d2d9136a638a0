/*
 * Where a Kismet server is: http(s)://host[:port][/prefix], or just host[:port].
 *
 * Plain data, owns nothing, any thread. Failure: KX_ERR_CONFIG, *ret_url untouched; the text of the
 * error never repeats a password that somebody wrote into the URL.
 */
#ifndef KX_CONFIG_URL_H
#define KX_CONFIG_URL_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KX_URL_HOST_MAX = 256,
    KX_URL_PREFIX_MAX = 512,
    KX_URL_TEXT_MAX = KX_URL_HOST_MAX + KX_URL_PREFIX_MAX + 32,
    KX_URL_PORT_HTTP = 2501, /* Kismet's own */
    KX_URL_PORT_HTTPS = 443, /* Kismet speaks no TLS: https is a proxy, at the port of proxies */
};

struct kx_url {
    bool tls;
    char host[KX_URL_HOST_MAX]; /* an IPv6 address stands here without its brackets */
    uint16_t port;
    bool port_given;                /* written in the text, not the default */
    char prefix[KX_URL_PREFIX_MAX]; /* "" or "/path", no slash at the end */
};

enum kx_code kx_url_parse(const char *text, struct kx_url *ret_url, struct kx_error *err);
/* The full form, with scheme and port. */
void kx_url_text(const struct kx_url *url, char out[KX_URL_TEXT_MAX]);
enum { KX_URL_ORIGIN_MAX = KX_URL_HOST_MAX + 32 };
/* What may be shown of an address whose path and query are a secret, as webhooks' often are:
 * "https://host:port", or "the url". */
void kx_url_origin(const char *text, char out[KX_URL_ORIGIN_MAX]);
/* localhost, 127.0.0.0/8 or ::1. */
bool kx_url_is_loopback(const struct kx_url *url);
/* "host:port", an IPv6 host in brackets. */
void kx_url_authority(const struct kx_url *url, char out[KX_URL_HOST_MAX + 8]);

#endif
