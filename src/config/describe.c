/*
 * The configuration in words, one line for the sensor, each source and each sink.
 */
#include "config/describe.h"

#include "base/text.h"
#include "config/assign.h"
#include "config/options.h"
#include "config/url.h"
#include "config/value.h"
#include <string.h>

/* The word of a choice, as the file would have it. */
static const char *word_of(enum kx_scope scope, size_t offset, unsigned value)
{
    return kx_option_by_member(scope, offset)->choices[value];
}

/* Names were checked for control bytes; a bidi override in one would still turn the line round. */
static void append_safe(struct kx_buf *out, const char *text)
{
    kx_text_terminal(out, text, strlen(text));
}

static void append_duration(struct kx_buf *out, const char *before, uint64_t ns)
{
    char words[KX_VALUE_TEXT_MAX];
    kx_buf_printf(out, "%s%s", before, kx_value_duration_text(ns, words));
}

static void append_secret(struct kx_buf *out, const char *what, const struct kx_secret *secret)
{
    kx_buf_printf(out, "%s given", what);
    if (secret->file != NULL) {
        kx_buf_text(out, " by ");
        append_safe(out, secret->file);
    }
}

static void describe_source(const struct kx_source_config *source, struct kx_buf *out)
{
    kx_buf_text(out, "source ");
    append_safe(out, source->name);
    if (source->url == NULL) {
        kx_buf_text(out, ": a capture\n");
        return;
    }
    kx_buf_text(out, ": ");
    append_safe(out, source->url);
    append_duration(out, ", each ", source->rate_ns);
    kx_buf_printf(out, ", mode %s",
                  word_of(KX_SCOPE_SOURCE, offsetof(struct kx_source_config, mode), source->mode));
    if (source->view != NULL)
        kx_buf_printf(out, ", view %s", source->view);
    if (source->macs.count > 0)
        kx_buf_printf(out, ", %zu MACs only", source->macs.count);
    if (source->regex.count > 0)
        kx_buf_printf(out, ", %zu regex (so it is asked by REST)", source->regex.count);
    if (source->extra.count > 0)
        kx_buf_printf(out, ", %zu extra fields", source->extra.count);
    kx_buf_printf(out, ", %zu event topics, ", source->events.count);
    if (kx_secret_is_set(&source->api_key)) {
        append_secret(out, "API key", &source->api_key);
    } else if (source->user != NULL) {
        kx_buf_text(out, "user ");
        append_safe(out, source->user);
        append_secret(out, ", password", &source->password);
    } else {
        kx_buf_text(out, "NO CREDENTIAL: Kismet will answer 401; give --kismet-api-key-file");
    }
    kx_buf_text(out, source->tls.insecure ? ", TLS UNVERIFIED\n" : "\n");
}

static void append_history(const struct kx_history_config *history, struct kx_buf *out)
{
    if (!history->on) {
        kx_buf_text(out, ", history off");
        return;
    }
    append_duration(out, ", history each ", history->min_interval_ns);
    if (history->retention_ns == 0)
        kx_buf_text(out, ", kept forever");
    else
        append_duration(out, ", kept ", history->retention_ns);
}

static void describe_socket(const struct kx_sink_config *sink, struct kx_buf *out)
{
    kx_buf_text(out, "socket, to ");
    append_safe(out, sink->socket.host);
    kx_buf_printf(out, " port %u by %s, lines of %s", (unsigned)sink->socket.port,
                  word_of(KX_SCOPE_SOCKET, offsetof(struct kx_sink_config, socket.protocol),
                          sink->socket.protocol),
                  word_of(KX_SCOPE_SOCKET, offsetof(struct kx_sink_config, socket.format),
                          sink->socket.format));
    if (sink->tls.insecure)
        kx_buf_text(out, ", TLS UNVERIFIED");
}

static void describe_influxdb(const struct kx_sink_config *sink, struct kx_buf *out)
{
    const struct kx_influxdb_config *influxdb = &sink->influxdb;
    kx_buf_printf(
        out, "influxdb, api %s, ",
        word_of(KX_SCOPE_INFLUXDB, offsetof(struct kx_sink_config, influxdb.api), influxdb->api));
    append_safe(out, influxdb->url);
    kx_buf_text(out, influxdb->api == KX_INFLUX_V2 ? ", bucket " : ", database ");
    append_safe(out, influxdb->bucket);
    if (influxdb->user != NULL) {
        kx_buf_text(out, ", user ");
        append_safe(out, influxdb->user);
    }
    const struct kx_secret *secret =
        influxdb->user != NULL ? &influxdb->password : &influxdb->token;
    if (kx_secret_is_set(secret))
        append_secret(out, influxdb->user != NULL ? ", password" : ", token", secret);
    if (sink->tls.insecure)
        kx_buf_text(out, ", TLS UNVERIFIED");
}

static void describe_mqtt(const struct kx_sink_config *sink, struct kx_buf *out)
{
    const struct kx_mqtt_config *mqtt = &sink->mqtt;
    kx_buf_text(out, "mqtt, broker ");
    append_safe(out, mqtt->url);
    if (mqtt->port > 0)
        kx_buf_printf(out, ", port %u", (unsigned)mqtt->port);
    kx_buf_printf(out, ", QoS %u", (unsigned)mqtt->qos);
    if (mqtt->username != NULL) {
        kx_buf_text(out, ", user ");
        append_safe(out, mqtt->username);
    }
    if (kx_secret_is_set(&mqtt->password))
        append_secret(out, ", password", &mqtt->password);
    if (mqtt->presence.macs.count > 0)
        kx_buf_printf(out, ", presence of %zu MACs", mqtt->presence.macs.count);
    if (sink->tls.insecure)
        kx_buf_text(out, ", TLS UNVERIFIED");
}

static void describe_letters(const struct kx_dead_letter_config *letters, struct kx_buf *out)
{
    if (!letters->on) {
        kx_buf_text(out, ", no dead letters");
    } else if (letters->path == NULL) {
        kx_buf_text(out, ", NO PLACE FOR DEAD LETTERS: give dead_letter.path");
    } else {
        kx_buf_text(out, ", dead letters in ");
        append_safe(out, letters->path);
    }
}

static void describe_webhook(const struct kx_sink_config *sink, struct kx_buf *out)
{
    const struct kx_webhook_config *webhook = &sink->webhook;
    char origin[KX_URL_ORIGIN_MAX];
    kx_url_origin(webhook->url, origin);
    kx_buf_text(out, "webhook, to ");
    append_safe(out, origin);
    kx_buf_printf(
        out, "/..., %s, %zu headers",
        word_of(KX_SCOPE_WEBHOOK, offsetof(struct kx_sink_config, webhook.format), webhook->format),
        webhook->headers.count);
    if (kx_secret_is_set(&webhook->secret))
        append_secret(out, ", signed with a secret", &webhook->secret);
    else
        kx_buf_text(out, ", not signed");
    if (sink->tls.insecure)
        kx_buf_text(out, ", TLS UNVERIFIED");
}

static void describe_sink(const struct kx_sink_config *sink, struct kx_buf *out)
{
    char words[KX_VALUE_TEXT_MAX];
    kx_buf_text(out, "sink ");
    append_safe(out, sink->name);
    kx_buf_text(out, ": ");
    switch (sink->type) {
    case KX_SINK_CONSOLE:
        kx_buf_printf(out, "console, %s",
                      word_of(KX_SCOPE_CONSOLE, offsetof(struct kx_sink_config, console.format),
                              sink->console.format));
        break;
    case KX_SINK_SQLITE:
        kx_buf_text(out, "sqlite, file ");
        append_safe(out, sink->sqlite.path);
        append_history(&sink->tables.history, out);
        break;
    case KX_SINK_POSTGRES: /* where it leads may be a secret */
        if (kx_secret_is_set(&sink->postgres.conn))
            append_secret(out, "postgres, connection", &sink->postgres.conn);
        else
            kx_buf_text(out, "postgres, connection by PG* in the environment");
        append_history(&sink->tables.history, out);
        break;
    case KX_SINK_WEBHOOK:
        describe_webhook(sink, out);
        break;
    case KX_SINK_SOCKET:
        describe_socket(sink, out);
        break;
    case KX_SINK_INFLUXDB:
        describe_influxdb(sink, out);
        break;
    case KX_SINK_MQTT:
        describe_mqtt(sink, out);
        break;
    case KX_SINK_TYPES:
        break;
    }
    if (sink->compat == KX_COMPAT_SCRIPT)
        kx_buf_text(out, ", compatible with the script");
    if (sink->fields.count > 0)
        kx_buf_printf(out, ", %zu fields", sink->fields.count);
    kx_buf_printf(out, ", batches of %u records, %s", (unsigned)sink->batch.records,
                  kx_value_size_text(sink->batch.bytes, words));
    append_duration(out, " or ", sink->batch.interval_ns);
    if (sink->type != KX_SINK_CONSOLE) /* which takes everything */
        describe_letters(&sink->dead_letter, out);
    kx_buf_byte(out, '\n');
}

void kx_config_describe(const struct kx_config *config, struct kx_buf *out)
{
    char words[KX_VALUE_TEXT_MAX];
    kx_buf_text(out, "configuration: ");
    append_safe(out, config->path == NULL ? "no file" : config->path);
    kx_buf_text(out, "\nsensor ");
    append_safe(out, config->sensor);
    kx_buf_printf(
        out, ": ring %s, %u devices at most, log level %s as %s\n",
        kx_value_size_text(config->ring_bytes, words), (unsigned)config->max_devices,
        word_of(KX_SCOPE_LOG, offsetof(struct kx_config, log_choice), config->log_level),
        word_of(KX_SCOPE_LOG, offsetof(struct kx_config, log_format), config->log_format));
    if (config->capture.path != NULL) {
        kx_buf_text(out, "capture to ");
        append_safe(out, config->capture.path);
        kx_buf_printf(out, ", %u files of %s\n", (unsigned)config->capture.files,
                      kx_value_size_text(config->capture.bytes, words));
    }
    for (size_t i = 0; i < config->source_count; i++)
        describe_source(&config->sources[i], out);
    for (size_t i = 0; i < config->sink_count; i++)
        describe_sink(&config->sinks[i], out);
    for (size_t i = 0; i < config->warnings.count; i++) {
        kx_buf_text(out, "warning: ");
        append_safe(out, config->warnings.items[i]);
        kx_buf_byte(out, '\n');
    }
}
