/* Pairs of values of one kind of sink; the contract stands in the header. */
#include "config/finish_sink.h"

#include "config/broker.h"
#include "config/url.h"
#include <string.h>
#include <strings.h>

static enum kx_code no_memory(struct kx_error *err)
{
    return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a warning");
}

/* Whose mistake a value is that nobody gave: the command line's, when the sink came from there. */
static enum kx_code blame(const struct kx_sink_config *sink)
{
    return sink->line == 0 ? KX_ERR_USAGE : KX_ERR_CONFIG;
}

/* spoken: whether TLS is, by what `instead` says. */
static enum kx_code check_tls(struct kx_config *config,
                              const struct kx_sink_config *sink,
                              bool spoken,
                              const char *instead,
                              struct kx_error *err)
{
    const struct kx_tls_config *tls = &sink->tls;
    bool any = tls->ca_file != NULL || tls->cert_file != NULL || tls->key_file != NULL;
    if ((tls->cert_file == NULL) != (tls->key_file == NULL))
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "sink %s: cert_file and key_file belong together: give both or none",
                            sink->name);
    if (any && !spoken)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "sink %s: tls is for %s", sink->name, instead);
    if (tls->insecure && spoken &&
        !kx_strings_addf(&config->warnings,
                         "sink %s: tls is insecure: whoever sits between can read and change "
                         "everything; use ca_file instead",
                         sink->name))
        return no_memory(err);
    return KX_OK;
}

/* tls of a sink that is given by a URL. */
static enum kx_code check_https(struct kx_config *config,
                                const struct kx_sink_config *sink,
                                const char *url,
                                struct kx_error *err)
{
    bool https = strncasecmp(url, "https:", 6) == 0;
    return check_tls(config, sink, https, "https: write url: https://...", err);
}

/* There is nobody whom to tell the neighbourhood by default. */
static enum kx_code
check_socket(struct kx_config *config, const struct kx_sink_config *sink, struct kx_error *err)
{
    if (sink->socket.host == NULL && sink->line == 0)
        return kx_error_set(err, KX_ERR_USAGE, 0,
                            "the socket sink sends to a host that you name: add --server-host");
    if (sink->socket.host == NULL)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "sink %s: where to? Write host, and port",
                            sink->name);
    return check_tls(config, sink, sink->socket.protocol == KX_PROTOCOL_TLS, "protocol: tls", err);
}

static enum kx_code
check_webhook(struct kx_config *config, const struct kx_sink_config *sink, struct kx_error *err)
{
    if (sink->webhook.url == NULL && sink->line == 0)
        return kx_error_set(err, KX_ERR_USAGE, 0,
                            "the webhook sink posts to an address that you name: add "
                            "--webhook-url");
    if (sink->webhook.url == NULL)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "sink %s: where to? Write url", sink->name);
    char origin[KX_URL_ORIGIN_MAX];
    struct kx_url url;
    kx_url_origin(sink->webhook.url, origin);
    bool plain = kx_url_parse(origin, &url, NULL) == KX_OK && !url.tls && !kx_url_is_loopback(&url);
    if (plain && sink->webhook.headers.count > 0 &&
        !kx_strings_addf(&config->warnings,
                         "sink %s: its headers travel unencrypted to %s: use https when one is a "
                         "credential",
                         sink->name, origin))
        return no_memory(err);
    return check_https(config, sink, sink->webhook.url, err);
}

static enum kx_code
check_influxdb(struct kx_config *config, const struct kx_sink_config *sink, struct kx_error *err)
{
    const struct kx_influxdb_config *influxdb = &sink->influxdb;
    if (influxdb->bucket == NULL)
        return kx_error_set(err, blame(sink), 0,
                            "sink %s: into which bucket? give bucket (--influx-bucket, "
                            "INFLUX_BUCKET); with api v1 or v3 it is the database",
                            sink->name);
    if (influxdb->api == KX_INFLUX_V3 && influxdb->mac_as == KX_INFLUX_MAC_BOTH)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "sink %s: InfluxDB 3 has no name for both a tag and a field: write "
                            "mac_as: tag, or field",
                            sink->name);
    if (influxdb->user != NULL && influxdb->api != KX_INFLUX_V1)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "sink %s: user and password are for api: v1; v2 and v3 want a token "
                            "(token_file)",
                            sink->name);
    bool coarse = influxdb->precision == KX_INFLUX_S || influxdb->precision == KX_INFLUX_MS;
    if (coarse && !kx_strings_addf(&config->warnings,
                                   "sink %s: with precision %s, events of one second can overwrite "
                                   "each other; ns keeps them apart",
                                   sink->name, influxdb->precision == KX_INFLUX_S ? "s" : "ms"))
        return no_memory(err);
    return check_https(config, sink, influxdb->url, err);
    return check_https(config, sink, influxdb->url, err);
}

static enum kx_code
check_mqtt(struct kx_config *config, struct kx_sink_config *sink, struct kx_error *err)
{
    const struct kx_mqtt_config *mqtt = &sink->mqtt;
    struct kx_url url;
    if (mqtt->url == NULL)
        return kx_error_set(err, blame(sink), 0,
                            "sink %s: where is the broker? give url (--mqtt-host, MQTT_HOST)",
                            sink->name);
    enum kx_code code = kx_broker_parse(mqtt->url, &url, err);
    if (code != KX_OK)
        return code;
    if (mqtt->port > 0 && url.port_given && url.port != mqtt->port)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "sink %s: the url says port %u and port says %u: keep one of them",
                            sink->name, (unsigned)url.port, (unsigned)mqtt->port);
    if (mqtt->payload == KX_MQTT_BATCH && mqtt->topic != NULL)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "sink %s: topic is of a device, and payload: batch goes to "
                            "{prefix}/batch: leave out one of them",
                            sink->name);
    /* Only the delta that is told per field knows what changed. */
    if (mqtt->payload == KX_MQTT_DELTA && sink->delta.mode == KX_DELTA_CHANGED)
        sink->delta.mode = KX_DELTA_FIELDS;
    /* The password itself is settled later, and a user has one. */
    if (mqtt->username != NULL && !url.tls && !kx_url_is_loopback(&url) &&
        !kx_strings_addf(&config->warnings,
                         "sink %s: name and password go to %s in plain text; use mqtts:// if the "
                         "broker can",
                         sink->name, url.host))
        return no_memory(err);
    return check_tls(config, sink, url.tls, "mqtts: write url: mqtts://...", err);
}

enum kx_code
kx_finish_sink(struct kx_config *config, struct kx_sink_config *sink, struct kx_error *err)
{
    switch (sink->type) {
    case KX_SINK_INFLUXDB:
        return check_influxdb(config, sink, err);
    case KX_SINK_WEBHOOK:
        return check_webhook(config, sink, err);
    case KX_SINK_SOCKET:
        return check_socket(config, sink, err);
    case KX_SINK_MQTT:
        return check_mqtt(config, sink, err);
    case KX_SINK_CONSOLE:
    case KX_SINK_SQLITE:
    case KX_SINK_POSTGRES:
    case KX_SINK_TYPES:
        break;
    }
    return KX_OK;
}
