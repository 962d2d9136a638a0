/*
 * The InfluxDB sink's life: encode, post, and what the answer means.
 */
#include "sinks/influxdb.h"
#include "base/clock.h"
#include "base/log.h"
#include "encode/line.h"
#include "sinks/http.h"
#include "sinks/influxdb_probe.h"
#include "sinks/influxdb_words.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BODY_BYTES_MAX = 512 << 20 };

struct influxdb_sink {
    const struct kx_sink_config *config; /* borrowed, as the program does for every sink's life */
    struct kx_http *http;
    struct kx_secret secret; /* a copy, that is read again */
    struct kx_encode_line line;
    struct kx_buf url;
    struct kx_buf body;
    bool gzip;
    struct kx_log_limit retention_limit;
};

/* --- open, close --- */

static void influxdb_close(void *self)
{
    struct influxdb_sink *sink = self;
    if (sink == NULL)
        return;
    kx_http_destroy(sink->http);
    kx_secret_fini(&sink->secret);
    kx_buf_fini(&sink->url);
    kx_buf_fini(&sink->body);
    free(sink);
}

static void warn_of_plain_text(const struct influxdb_sink *sink)
{
    const struct kx_influxdb_config *config = &sink->config->influxdb;
    char component[KX_NAME_BYTES_MAX + 8];
    if (!kx_secret_is_set(&sink->secret) || strncasecmp(config->url, "http:", 5) != 0 ||
        kx_influxdb_is_local(config))
        return;
    snprintf(component, sizeof component, "sink %s", sink->config->name);
    kx_log(KX_LOG_WARNING, component,
           "the credential for %s travels unencrypted: use https, an ssh tunnel or a VPN",
           config->url);
}

static enum kx_code influxdb_open(const struct kx_sink_config *config,
                                  const struct kx_sink_env *env,
                                  void **ret_self,
                                  struct kx_error *err)
{
    (void)env;
    const struct kx_influxdb_config *influxdb = &config->influxdb;
    struct influxdb_sink *sink = calloc(1, sizeof *sink);
    if (sink == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "sink %s: no memory", config->name);
    sink->config = config;
    sink->gzip =
        influxdb->gzip == KX_ON || (influxdb->gzip == KX_AUTO && !kx_influxdb_is_local(influxdb));
    kx_buf_init(&sink->url, KX_INFLUXDB_URL_MAX);
    kx_buf_init(&sink->body, BODY_BYTES_MAX);
    kx_encode_line_init(&sink->line, config, kx_sink_fields(config));
    kx_influxdb_write_url(influxdb, &sink->url);
    kx_buf_byte(&sink->url, '\0');
    enum kx_code code = KX_OK;
    if (sink->url.failed)
        code = kx_error_set(err, KX_ERR_CONFIG, 0,
                            "sink %s: its address is longer than %d bytes with bucket and org",
                            config->name, KX_INFLUXDB_URL_MAX);
    if (code == KX_OK)
        code = kx_secret_copy(&sink->secret, kx_influxdb_secret(influxdb), err);
    struct kx_http_params params = {.who = influxdb->url, .tls = &config->tls};
    if (code == KX_OK)
        code = kx_http_create(&sink->http, &params, err);
    if (code != KX_OK) {
        influxdb_close(sink);
        return code;
    }
    warn_of_plain_text(sink);
    *ret_self = sink;
    return KX_OK;
}

/* --- deliver --- */

static void encode(struct influxdb_sink *sink, const struct kx_batch *batch)
{
    kx_buf_clear(&sink->body);
    for (uint32_t i = batch->first; i < batch->end; i++) {
        if (kx_batch_done(batch, i))
            continue;
        const struct kx_record *record = kx_batch_record(batch, i);
        const struct kx_event *event = kx_record_event(record);
        if (event != NULL)
            kx_encode_line_event(&sink->line, &sink->body, event);
        else
            kx_encode_line_device(&sink->line, &sink->body, kx_record_device(record),
                                  batch->changed != NULL ? batch->changed[i] : UINT64_MAX);
    }
}

/* A body that does not fit into memory is sent in halves. */
static enum kx_outcome
no_room(const struct influxdb_sink *sink, struct kx_batch *batch, struct kx_error *err)
{
    uint64_t bytes = 0;
    for (uint32_t i = batch->first; i < batch->end; i++)
        bytes += kx_batch_done(batch, i) ? 0 : kx_batch_record(batch, i)->length;
    if (batch->end - batch->first > 1)
        batch->bytes_max = bytes / 2;
    kx_error_set(err, KX_ERR_NOMEM, 0, "sink %s: no memory for a request of %u records",
                 sink->config->name, (unsigned)(batch->end - batch->first));
    return KX_RETRY;
}

/* --- what is older than the bucket keeps --- */

struct point {
    int64_t time_ns;
    uint32_t record;
};

static int by_time(const void *a, const void *b)
{
    const struct point *left = a, *right = b;
    if (left->time_ns != right->time_ns)
        return left->time_ns < right->time_ns ? -1 : 1;
    return left->record < right->record ? -1 : 1;
}

/* "... points beyond retention policy dropped=3": how many; 0 = the answer is about something else.
 */
static uint32_t beyond_retention(const struct kx_http_answer *answer)
{
    static const char words[] = "beyond retention", count[] = "dropped=";
    if (answer->status != 400 && answer->status != 422)
        return 0;
    const char *at = strstr(answer->body, words);
    at = at != NULL ? strstr(at, count) : NULL;
    unsigned long dropped = at != NULL ? strtoul(at + sizeof count - 1, NULL, 10) : 0;
    return dropped <= UINT32_MAX ? (uint32_t)dropped : 0;
}

/* Settles that many of the oldest as dropped. False = there is no memory to find them. */
static bool drop_oldest(struct influxdb_sink *sink, struct kx_batch *batch, uint32_t dropped)
{
    uint32_t count = 0;
    struct point *points = malloc((batch->end - batch->first) * sizeof *points);
    if (points == NULL)
        return false;
    for (uint32_t i = batch->first; i < batch->end; i++)
        if (!kx_batch_done(batch, i))
            points[count++] =
                (struct point){kx_encode_line_time_ns(&sink->line, kx_batch_record(batch, i)), i};
    qsort(points, count, sizeof *points, by_time);
    for (uint32_t i = 0; i < dropped && i < count; i++)
        kx_batch_drop(batch, points[i].record, KX_C_SENDER_DROPPED_RETENTION);
    free(points);
    return true;
}

static void
say_dropped(struct influxdb_sink *sink, const struct kx_http_answer *answer, uint32_t dropped)
{
    char component[KX_NAME_BYTES_MAX + 8];
    struct kx_buf said;
    kx_buf_init(&said, 4096);
    kx_http_show(&said, answer->body, answer->length, kx_secret_reveal(&sink->secret));
    snprintf(component, sizeof component, "sink %s", sink->config->name);
    kx_log_limited(&sink->retention_limit, kx_clock_boot_ns(), KX_LOG_WARNING, component,
                   "%u records are older than the bucket keeps, and are dropped: %.*s",
                   (unsigned)dropped, (int)said.length, said.data != NULL ? said.data : "");
    kx_buf_fini(&said);
}

/* --- the answer --- */

static enum kx_outcome judge(struct influxdb_sink *sink,
                             const struct kx_http_request *request,
                             const struct kx_http_answer *answer,
                             struct kx_batch *batch,
                             struct kx_error *err)
{
    uint32_t dropped = beyond_retention(answer);
    if (dropped > 0 && drop_oldest(sink, batch, dropped)) {
        say_dropped(sink, answer, dropped);
        return KX_SENT;
    }
    enum kx_outcome outcome = kx_http_judge(sink->http, request, answer, kx_influxdb_rules,
                                            kx_influxdb_rule_count, batch, err);
    /* Somebody may have put a new token into the file; the old one stays when he has not. */
    if (answer->status == 401 || answer->status == 403)
        (void)kx_secret_reload(&sink->secret, NULL);
    return outcome;
}

static enum kx_outcome influxdb_deliver(void *self,
                                        struct kx_batch *batch,
                                        const struct kx_call *call,
                                        struct kx_error *err)
{
    static const char *const headers[] = {"Content-Type: text/plain; charset=utf-8"};
    struct influxdb_sink *sink = self;
    encode(sink, batch);
    if (sink->body.failed)
        return no_room(sink, batch, err);
    if (sink->body.length == 0) /* all is done */
        return KX_SENT;
    struct kx_http_answer answer;
    struct kx_http_request request = {
        .url = sink->url.data,
        .headers = headers,
        .header_count = 1,
        .body = sink->body.data,
        .length = sink->body.length,
        .gzip = sink->gzip,
    };
    kx_influxdb_authorize(&sink->config->influxdb, &sink->secret, &request);
    enum kx_code code = kx_http_send(sink->http, &request, call, &answer, err);
    return code == KX_OK ? judge(sink, &request, &answer, batch, err) : kx_http_failed(code);
}

static enum kx_code influxdb_probe(void *self, struct kx_probe *probe)
{
    const struct influxdb_sink *sink = self;
    return kx_influxdb_probe(sink->config, probe);
}

const struct kx_sink_ops kx_influxdb_ops = {
    .type = "influxdb",
    .newest_per_device = false,
    .open = influxdb_open,
    .deliver = influxdb_deliver,
    .idle = NULL,
    .probe = influxdb_probe,
    .close = influxdb_close,
};
