/* The state machine of one Kismet server; the contract stands in the header. */
#include "ingest/source.h"

#include "base/backoff.h"
#include "base/clock.h"
#include "base/text.h"
#include "ingest/conn.h"
#include "ingest/fields.h"
#include "ingest/rest.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    OPERATOR_RETRY_S = 60,   /* the wait when somebody must act: a wrong key, a missing route */
    HEARTBEAT_FIRST_S = 5,   /* TIMESTAMP comes each second: none this long after subscribing, */
    HEARTBEAT_SILENT_S = 15, /* or none this long at all, and the connection is dead */
    BOARD_S = 1,
};

static const char STATUS_PATH[] = "/system/status.json";
static const char SWEEP_PATH[] = "/devices/last-time/0/devices.itjson";
static const char EVENTBUS_PATH[] = "/eventbus/events.ws";

enum step {
    STEP_WAIT,    /* until retry_ns */
    STEP_HELLO,   /* asking who the server is */
    STEP_CONNECT, /* both connections are being made */
    STEP_STREAM,  /* both are open and subscribed */
    STEP_DONE,    /* --once is over */
};

struct kx_source {
    const struct kx_source_config *config;
    struct kx_source_env env;
    struct kx_counters *counters;
    struct kx_endpoint endpoint;
    struct kx_origin origin;
    char monitor_path[320];
    char *monitor_request; /* the subscription */
    char *sweep_body;      /* the field list of a REST pass */
    struct kx_conn *monitor;
    struct kx_conn *eventbus;
    struct kx_rest *hello;
    struct kx_rest *sweep;
    struct kx_backoff backoff;
    enum step step;
    bool complete; /* --once: everything was fetched */
    bool was_streaming;
    uint64_t now_ns;
    uint64_t retry_ns;
    uint64_t heartbeat_due_ns;
    bool heartbeat_seen;
    uint64_t board_due_ns;
    size_t monitor_fds; /* of the last kx_source_fds */
    char component[160];
    struct kx_source_status status;
    struct kx_log_limit skipped_log;
};

/* --- states --- */

static void show(struct kx_source *source)
{
    struct kx_source_status *status = &source->status;
    snprintf(status->server_uuid, sizeof(status->server_uuid), "%s", source->origin.server_uuid);
    status->skew_known = source->origin.skew_known;
    status->clock_skew_s = (double)source->origin.skew_ns / 1e9;
    kx_board_source_set(source->env.board, source->origin.index, status);
}

static void enter(struct kx_source *source, enum kx_source_state state, const char *text)
{
    struct kx_source_status *status = &source->status;
    if (status->state != state)
        status->since_ns = kx_clock_wall_ns();
    status->state = state;
    snprintf(status->text, sizeof(status->text), "%s", text);
    show(source);
}

static enum kx_counter counter_of(enum kx_conn_cause cause)
{
    switch (cause) {
    case KX_CONN_CLOSED:
        return KX_C_DISCONNECTS_CLOSED;
    case KX_CONN_REFUSED:
        return KX_C_DISCONNECTS_REFUSED;
    case KX_CONN_AUTH:
        return KX_C_DISCONNECTS_AUTH;
    case KX_CONN_NOT_FOUND:
        return KX_C_DISCONNECTS_NOT_FOUND;
    case KX_CONN_PROTOCOL:
        return KX_C_DISCONNECTS_PROTOCOL;
    case KX_CONN_TIMEOUT:
        return KX_C_DISCONNECTS_TIMEOUT;
    case KX_CONN_SILENT:
        return KX_C_DISCONNECTS_SILENT;
    case KX_CONN_WRITE:
        return KX_C_DISCONNECTS_WRITE;
    }
    return KX_C_DISCONNECTS_CLOSED;
}

static void stop_session(struct kx_source *source)
{
    kx_conn_stop(source->monitor);
    kx_conn_stop(source->eventbus);
    kx_rest_cancel(source->hello);
    kx_rest_cancel(source->sweep);
    if (source->was_streaming)
        kx_count(source->counters, KX_C_GAPS, 1);
    source->was_streaming = false;
    source->origin.epoch++;
}

/* The session is over: says why, and when the next begins. */
static void lose(struct kx_source *source, enum kx_counter counter, const struct kx_error *err)
{
    kx_count(source->counters, counter, 1);
    stop_session(source);
    if (source->env.once) {
        source->step = STEP_DONE;
        kx_log(KX_LOG_ERROR, source->component, "%s", err->text);
        enter(source, KX_SOURCE_BACKING_OFF, err->text);
        return;
    }
    enum kx_source_state state = KX_SOURCE_BACKING_OFF;
    uint64_t wait_ns = OPERATOR_RETRY_S * KX_NS_PER_S;
    if (err->code == KX_ERR_AUTH) {
        state = KX_SOURCE_AUTH_FAILED;
    } else if (err->code == KX_ERR_NOT_FOUND) {
        state = KX_SOURCE_ENDPOINT_MISSING;
    } else {
        wait_ns = kx_backoff_next_ns(&source->backoff);
    }
    source->step = STEP_WAIT;
    source->retry_ns = source->now_ns + wait_ns;
    kx_log(KX_LOG_WARNING, source->component, "%s; next try in %.1f s", err->text,
           (double)wait_ns / 1e9);
    enter(source, state, err->text);
}

/* --- messages --- */

static void count_skipped(struct kx_source *source, const struct kx_ws_message *message)
{
    bool big = message->skipped == KX_WS_SKIP_BYTES;
    kx_count(source->counters, big ? KX_C_PARSE_TOO_BIG : KX_C_PARSE_FRAGMENTS, 1);
    kx_log_limited(&source->skipped_log, source->now_ns, KX_LOG_WARNING, source->component,
                   "left out a message over the limit of %s", big ? "8 MiB" : "65,536 fragments");
}

static void on_monitor_message(void *context,
                               enum kx_ws_event event,
                               const struct kx_ws_message *message,
                               int64_t received_ns)
{
    struct kx_source *source = context;
    kx_count(source->counters, KX_C_FRAMES_MONITOR, 1);
    if (event == KX_WS_SKIPPED)
        count_skipped(source, message);
    else if (event == KX_WS_BINARY)
        kx_count(source->counters, KX_C_PARSE_BINARY, 1);
    else
        kx_intake_device(source->env.intake, &source->origin, KX_VIA_MONITOR, message->data,
                         message->length, received_ns);
}

static void on_eventbus_message(void *context,
                                enum kx_ws_event event,
                                const struct kx_ws_message *message,
                                int64_t received_ns)
{
    struct kx_source *source = context;
    kx_count(source->counters, KX_C_FRAMES_EVENTBUS, 1);
    if (event == KX_WS_SKIPPED) {
        count_skipped(source, message);
        return;
    }
    if (event == KX_WS_BINARY) {
        kx_count(source->counters, KX_C_PARSE_BINARY, 1);
        return;
    }
    int64_t heartbeat_ns = 0;
    kx_intake_event(source->env.intake, &source->origin, message->data, message->length,
                    received_ns, &heartbeat_ns);
    if (heartbeat_ns == 0)
        return;
    source->origin.skew_known = true;
    source->origin.skew_ns = heartbeat_ns - received_ns;
    source->heartbeat_seen = true;
    source->heartbeat_due_ns = source->now_ns + HEARTBEAT_SILENT_S * KX_NS_PER_S;
}

static void on_read_end(void *context, size_t bytes)
{
    struct kx_source *source = context;
    kx_ring_publish(source->env.ring);
    kx_count(source->counters, KX_C_BYTES, bytes);
    source->status.last_contact_ns = kx_clock_wall_ns();
}

static void
on_closed(void *context, enum kx_conn_cause cause, bool partial, const struct kx_error *err)
{
    struct kx_source *source = context;
    if (partial)
        kx_count(source->counters, KX_C_PARSE_PARTIAL, 1);
    lose(source, counter_of(cause), err);
}

/* --- subscriptions --- */

static void subscribe(struct kx_source *source, const char *topic)
{
    struct kx_buf text;
    kx_buf_init(&text, 65536);
    kx_buf_text(&text, "{\"SUBSCRIBE\":\"");
    kx_text_json(&text, topic, strlen(topic));
    kx_buf_byte(&text, '"');
    size_t plain = text.length;
    kx_buf_text(&text, ",\"fields\":");
    if (!kx_fields_topic_json(&text, topic, source->config->location))
        kx_buf_truncate(&text, plain);
    kx_buf_byte(&text, '}');
    KX_ASSERT(!text.failed);
    kx_conn_send(source->eventbus, text.data, text.length);
    kx_buf_fini(&text);
}

static void streaming_if_complete(struct kx_source *source)
{
    if (!kx_conn_is_open(source->monitor) || !kx_conn_is_open(source->eventbus))
        return;
    source->step = STEP_STREAM;
    source->was_streaming = true;
    kx_count(source->counters, KX_C_CONNECTS, 1);
    kx_log(KX_LOG_INFO, source->component, "streaming from %s (Kismet %s)",
           source->endpoint.authority,
           source->status.version[0] != '\0' ? source->status.version : "of unknown version");
    enter(source, KX_SOURCE_STREAMING, "");
    kx_rest_post_lines(source->sweep, SWEEP_PATH, source->sweep_body, source->now_ns);
}

static void on_monitor_opened(void *context)
{
    struct kx_source *source = context;
    kx_conn_send(source->monitor, source->monitor_request, strlen(source->monitor_request));
    streaming_if_complete(source);
}

static void on_eventbus_opened(void *context)
{
    struct kx_source *source = context;
    subscribe(source, "TIMESTAMP");
    for (size_t i = 0; i < source->config->events.count; i++)
        if (strcmp(source->config->events.items[i], "TIMESTAMP") != 0)
            subscribe(source, source->config->events.items[i]);
    source->heartbeat_seen = false;
    source->heartbeat_due_ns = source->now_ns + HEARTBEAT_FIRST_S * KX_NS_PER_S;
    streaming_if_complete(source);
}

/* --- REST --- */

static void copy_text(char *out, size_t capacity, const struct kx_json_text *text)
{
    size_t length = text->length < capacity - 1 ? text->length : capacity - 1;
    memcpy(out, text->data, length);
    out[length] = '\0';
}

static void learn(struct kx_source *source, const struct kx_rest_result *result)
{
    struct kx_json_pick picks[] = {
        {.key = "kismet.system.server_uuid"},
        {.key = "kismet.system.version"},
        {.key = "kismet.system.devices.count"},
    };
    struct kx_json *json = kx_intake_json(source->env.intake);
    if (kx_json_pick(json, result->body, result->body_length, picks, 3) != KX_JSON_OK)
        return;
    if (picks[0].text.data != NULL)
        copy_text(source->origin.server_uuid, sizeof(source->origin.server_uuid), &picks[0].text);
    if (picks[1].text.data != NULL)
        copy_text(source->status.version, sizeof(source->status.version), &picks[1].text);
    if (picks[2].has_number)
        source->status.devices = (int64_t)picks[2].number;
}

static void on_hello(void *context, const struct kx_rest_result *result, const struct kx_error *err)
{
    struct kx_source *source = context;
    if (result->code != KX_OK) {
        kx_count(source->counters, KX_C_REST_FAILED, 1);
        lose(source,
             result->code == KX_ERR_AUTH        ? KX_C_DISCONNECTS_AUTH
             : result->code == KX_ERR_NOT_FOUND ? KX_C_DISCONNECTS_NOT_FOUND
             : result->code == KX_ERR_TIMEOUT   ? KX_C_DISCONNECTS_TIMEOUT
                                                : KX_C_DISCONNECTS_REFUSED,
             err);
        return;
    }
    kx_count(source->counters, KX_C_REST_REQUESTS, 1);
    source->status.last_contact_ns = kx_clock_wall_ns();
    learn(source, result);
    if (source->env.once) {
        kx_rest_post_lines(source->sweep, SWEEP_PATH, source->sweep_body, source->now_ns);
        source->step = STEP_STREAM;
        return;
    }
    source->step = STEP_CONNECT;
    kx_conn_start(source->monitor, source->now_ns);
    kx_conn_start(source->eventbus, source->now_ns);
}

static bool on_sweep_line(void *context, const char *line, size_t length, int64_t received_ns)
{
    struct kx_source *source = context;
    enum kx_taken taken = kx_intake_device(source->env.intake, &source->origin, KX_VIA_REST, line,
                                           length, received_ns);
    if (taken == KX_TAKEN_FULL)
        return false;
    kx_count(source->counters, KX_C_FRAMES_REST, 1);
    if (taken == KX_TAKEN)
        kx_count(source->counters, KX_C_CATCH_UP, 1);
    return true;
}

static void on_sweep(void *context, const struct kx_rest_result *result, const struct kx_error *err)
{
    struct kx_source *source = context;
    kx_ring_publish(source->env.ring);
    kx_count(source->counters, KX_C_BYTES, result->bytes);
    if (result->skipped > 0)
        kx_count(source->counters, KX_C_PARSE_TOO_BIG, result->skipped);
    bool ok = result->code == KX_OK;
    kx_count(source->counters, ok ? KX_C_REST_REQUESTS : KX_C_REST_FAILED, 1);
    if (!ok && (source->env.once || result->code == KX_ERR_AUTH)) {
        lose(source, KX_C_DISCONNECTS_REFUSED, err);
        return;
    }
    if (!ok)
        kx_log(KX_LOG_WARNING, source->component, "%s", err->text);
    if (source->env.once) {
        source->complete = true;
        source->step = STEP_DONE;
        enter(source, KX_SOURCE_ENDED, "");
    }
}

/* --- life --- */

static const struct kx_conn_ops monitor_ops = {on_monitor_opened, on_monitor_message, on_read_end,
                                               on_closed};
static const struct kx_conn_ops eventbus_ops = {on_eventbus_opened, on_eventbus_message,
                                                on_read_end, on_closed};
static const struct kx_rest_ops hello_ops = {NULL, on_hello};
static const struct kx_rest_ops sweep_ops = {on_sweep_line, on_sweep};

/* A NUL-terminated copy of what buf holds; frees buf. */
static char *take_text(struct kx_buf *buf)
{
    kx_buf_byte(buf, '\0');
    char *text = buf->failed ? NULL : strdup(buf->data);
    kx_buf_fini(buf);
    return text;
}

static enum kx_code write_requests(struct kx_source *source, struct kx_error *err)
{
    const struct kx_source_config *config = source->config;
    struct kx_buf text;
    kx_buf_init(&text, 65536);
    unsigned rate_s = (unsigned)((config->rate_ns + KX_NS_PER_S - 1) / KX_NS_PER_S);
    kx_buf_printf(&text, "{\"monitor\":\"*\",\"request\":1,\"rate\":%u", rate_s > 0 ? rate_s : 1);
    kx_buf_text(&text, ",\"format\":\"json\",\"fields\":");
    kx_fields_json(&text, config->location);
    kx_buf_byte(&text, '}');
    source->monitor_request = take_text(&text);
    kx_buf_text(&text, "{\"fields\":");
    kx_fields_json(&text, config->location);
    kx_buf_byte(&text, '}');
    source->sweep_body = take_text(&text);
    if (source->monitor_request == NULL || source->sweep_body == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a subscription");
    int length = config->view == NULL ? snprintf(source->monitor_path, sizeof(source->monitor_path),
                                                 "/devices/monitor.ws")
                                      : snprintf(source->monitor_path, sizeof(source->monitor_path),
                                                 "/devices/views/%s/monitor.ws", config->view);
    if (length < 0 || (size_t)length >= sizeof(source->monitor_path))
        return kx_error_set(err, KX_ERR_CONFIG, 0, "the name of the view is too long");
    return KX_OK;
}

enum kx_code kx_source_create(struct kx_source **ret_source,
                              const struct kx_source_config *config,
                              uint16_t index,
                              const struct kx_source_env *env,
                              struct kx_counters *counters,
                              struct kx_error *err)
{
    struct kx_source *source = calloc(1, sizeof(*source));
    if (source == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a source");
    source->config = config;
    source->env = *env;
    source->counters = counters;
    source->origin = (struct kx_origin){
        .index = index, .name = config->name, .topics = &config->events, .counters = counters};
    snprintf(source->component, sizeof(source->component), "source %s", config->name);
    source->status = (struct kx_source_status){.state = KX_SOURCE_CONNECTING,
                                               .since_ns = kx_clock_wall_ns(),
                                               .datasources_ok = -1,
                                               .datasources_failed = -1,
                                               .devices = -1};
    snprintf(source->status.name, sizeof(source->status.name), "%s", config->name);
    kx_backoff_init(&source->backoff, config->reconnect_min_ns, config->reconnect_max_ns);
    struct kx_endpoint *endpoint = &source->endpoint;
    enum kx_code code = kx_endpoint_init(endpoint, config, err);
    if (code == KX_OK)
        code = write_requests(source, err);
    if (code == KX_OK)
        code = kx_dedupe_create(&source->origin.dedupe, err);
    if (code == KX_OK)
        code = kx_conn_create(&source->monitor, endpoint, source->monitor_path, &monitor_ops,
                              source, err);
    if (code == KX_OK)
        code =
            kx_conn_create(&source->eventbus, endpoint, EVENTBUS_PATH, &eventbus_ops, source, err);
    if (code == KX_OK)
        code = kx_rest_create(&source->hello, env->rest, endpoint, &hello_ops, source, err);
    if (code == KX_OK)
        code = kx_rest_create(&source->sweep, env->rest, endpoint, &sweep_ops, source, err);
    if (code != KX_OK) {
        kx_source_destroy(source);
        return code;
    }
    show(source);
    *ret_source = source;
    return KX_OK;
}

void kx_source_destroy(struct kx_source *source)
{
    if (source == NULL)
        return;
    kx_conn_destroy(source->monitor);
    kx_conn_destroy(source->eventbus);
    kx_rest_destroy(source->hello);
    kx_rest_destroy(source->sweep);
    kx_dedupe_destroy(source->origin.dedupe);
    free(source->monitor_request);
    free(source->sweep_body);
    free(source);
}

size_t kx_source_fds(struct kx_source *source, struct curl_waitfd fds[KX_SOURCE_FDS_MAX])
{
    source->monitor_fds = kx_conn_fds(source->monitor, fds);
    return source->monitor_fds + kx_conn_fds(source->eventbus, fds + source->monitor_fds);
}

void kx_source_ready(struct kx_source *source,
                     const struct curl_waitfd *fds,
                     size_t count,
                     uint64_t now_ns)
{
    source->now_ns = now_ns;
    kx_conn_ready(source->monitor, fds, source->monitor_fds, now_ns);
    /* The monitor's end may have ended the session: then these descriptors are gone. */
    if (source->step == STEP_CONNECT || source->step == STEP_STREAM)
        kx_conn_ready(source->eventbus, fds + source->monitor_fds, count - source->monitor_fds,
                      now_ns);
}

static void begin_session(struct kx_source *source)
{
    source->step = STEP_HELLO;
    /* An operator's matter stays on the board until it is mended. */
    if (source->status.state == KX_SOURCE_BACKING_OFF)
        enter(source, KX_SOURCE_CONNECTING, source->status.text);
    kx_rest_get(source->hello, STATUS_PATH, source->now_ns);
}

static void check_heartbeat(struct kx_source *source)
{
    if (source->step != STEP_STREAM || source->env.once ||
        source->now_ns < source->heartbeat_due_ns)
        return;
    struct kx_error err;
    kx_error_set(&err, KX_ERR_TIMEOUT, 0,
                 source->heartbeat_seen
                     ? "no heartbeat (TIMESTAMP) for %d s: the connection is dead"
                     : "no heartbeat (TIMESTAMP) within %d s of subscribing: the server does not "
                       "take our subscriptions",
                 source->heartbeat_seen ? HEARTBEAT_SILENT_S : HEARTBEAT_FIRST_S);
    lose(source, source->heartbeat_seen ? KX_C_DISCONNECTS_STALL : KX_C_DISCONNECTS_NO_HEARTBEAT,
         &err);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t kx_source_tick(struct kx_source *source, uint64_t now_ns)
{
    source->now_ns = now_ns;
    if (source->step == STEP_WAIT && now_ns >= source->retry_ns)
        begin_session(source);
    kx_rest_tick(source->hello, now_ns);
    kx_rest_tick(source->sweep, now_ns);
    uint64_t next = kx_conn_tick(source->monitor, now_ns);
    next = earlier(next, kx_conn_tick(source->eventbus, now_ns));
    check_heartbeat(source);
    if (source->step == STEP_STREAM && source->heartbeat_seen)
        kx_backoff_reset(&source->backoff);
    if (now_ns >= source->board_due_ns) {
        source->board_due_ns = now_ns + BOARD_S * KX_NS_PER_S;
        show(source);
    }
    if (source->step == STEP_WAIT)
        return earlier(source->retry_ns, source->board_due_ns);
    if (source->step == STEP_STREAM && !source->env.once)
        next = earlier(next, source->heartbeat_due_ns);
    return earlier(next, source->board_due_ns);
}

bool kx_source_paused(const struct kx_source *source)
{
    return kx_rest_paused(source->sweep);
}

void kx_source_resume(struct kx_source *source)
{
    kx_rest_resume(source->sweep);
    kx_ring_publish(source->env.ring);
}

bool kx_source_finished(const struct kx_source *source, bool *ret_complete)
{
    *ret_complete = source->complete;
    return source->step == STEP_DONE;
}
