/* Addresses by interface; the contract stands in the header. */
#include "sinks/influxdb_words.h"

#include "config/url.h"
#include <stdio.h>
#include <string.h>

const struct kx_http_rule kx_influxdb_rules[] = {
    {204, 204, KX_HTTP_SENT, NULL},
    {200, 299, KX_HTTP_HOLD, "InfluxDB answers 204 to a write: are `url` and `api` right?"},
    {401, 401, KX_HTTP_HOLD, "it refuses the token (token_file), or with v1 user and password"},
    {403, 403, KX_HTTP_HOLD, "the token has no right to write into this bucket"},
    {404, 404, KX_HTTP_HOLD, "make the bucket, or correct `bucket`, `org`, `url` and `api`"},
};
const size_t kx_influxdb_rule_count = sizeof kx_influxdb_rules / sizeof kx_influxdb_rules[0];

/* Each interface's own words for a precision, by enum kx_influx_precision. */
static const char *const precisions[][4] = {
    [KX_INFLUX_V2] = {"ns", "us", "ms", "s"},
    [KX_INFLUX_V1] = {"ns", "u", "ms", "s"},
    [KX_INFLUX_V3] = {"nanosecond", "microsecond", "millisecond", "second"},
};

static void escape(struct kx_buf *url, const char *text, size_t length)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '\0' && strchr(plain, text[i]) != NULL)
            kx_buf_byte(url, text[i]);
        else
            kx_buf_printf(url, "%%%02X", (unsigned)(unsigned char)text[i]);
    }
}

void kx_influxdb_escape(struct kx_buf *url, const char *text)
{
    escape(url, text, strlen(text));
}

void kx_influxdb_base(const struct kx_influxdb_config *config, struct kx_buf *url)
{
    size_t length = strlen(config->url);
    while (length > 0 && config->url[length - 1] == '/')
        length--;
    kx_buf_bytes(url, config->url, length);
}

size_t kx_influxdb_database(const struct kx_influxdb_config *config)
{
    return strcspn(config->bucket, "/");
}

void kx_influxdb_write_url(const struct kx_influxdb_config *config, struct kx_buf *url)
{
    kx_influxdb_base(config, url);
    switch (config->api) {
    case KX_INFLUX_V2:
        kx_buf_text(url, "/api/v2/write?bucket=");
        kx_influxdb_escape(url, config->bucket);
        if (config->org != NULL) {
            kx_buf_text(url, "&org=");
            kx_influxdb_escape(url, config->org);
        }
        break;
    case KX_INFLUX_V1: {
        size_t database = kx_influxdb_database(config);
        kx_buf_text(url, "/write?db=");
        escape(url, config->bucket, database);
        if (config->bucket[database] == '/') {
            kx_buf_text(url, "&rp=");
            kx_influxdb_escape(url, config->bucket + database + 1);
        }
        break;
    }
    case KX_INFLUX_V3:
        kx_buf_text(url, "/api/v3/write_lp?db=");
        kx_influxdb_escape(url, config->bucket);
        break;
    }
    kx_buf_text(url, "&precision=");
    kx_buf_text(url, precisions[config->api][config->precision]);
}

const struct kx_secret *kx_influxdb_secret(const struct kx_influxdb_config *config)
{
    return config->user != NULL ? &config->password : &config->token;
}

void kx_influxdb_authorize(const struct kx_influxdb_config *config,
                           const struct kx_secret *secret,
                           struct kx_http_request *request)
{
    request->secret = secret;
    if (config->user != NULL)
        request->user = config->user;
    else
        request->scheme = config->api == KX_INFLUX_V3 ? "Bearer" : "Token";
}

bool kx_influxdb_is_local(const struct kx_influxdb_config *config)
{
    struct kx_url url;
    return kx_url_parse(config->url, &url, NULL) == KX_OK && kx_url_is_loopback(&url);
}
