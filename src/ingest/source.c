/* The state machine of one Kismet server; the contract stands in the header. */
#include "ingest/source.h"

#include "base/backoff.h"
#include "base/clock.h"
#include "ingest/conn.h"
#include "ingest/health.h"
#include "ingest/subscription.h"
#include "ingest/sweep.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPERATOR_RETRY_S = 60,   /* the wait when somebody must act: a wrong key, a missing route */
    RETRY_AFTER_S_MAX = 300, /* a proxy may ask for no more than this */
    HEARTBEAT_FIRST_S = 5,   /* TIMESTAMP comes each second: none this long after subscribing, */
    HEARTBEAT_SILENT_S = 15, /* or none this long at all, and the connection is dead */
    HEARTBEAT_TRIES = 3,     /* subscriptions that nobody heeds: then it is no passing trouble */
    ALERT_OVERLAP_S = 5,     /* of a gap: alerts are asked for from a little before it */
    EMPTY_S = 30,            /* connected this long without one device: say what may be wrong */
    SWEEPS_FAILED_MAX = 3,   /* running, while REST is all we have: then the session is over */
    BOARD_S = 1,
};

static const char EVENTBUS_PATH[] = "/eventbus/events.ws";

enum step {
    STEP_WAIT,    /* until retry_ns */
    STEP_HELLO,   /* asking who the server is */
    STEP_CONNECT, /* the WebSockets are being made */
    STEP_STREAM,  /* open and subscribed */
    STEP_DONE,    /* --once is over */
};

struct kx_source {
    const struct kx_source_config *config;
    struct kx_source_env env;
    struct kx_counters *counters;
    struct kx_endpoint endpoint;
    struct kx_origin origin;
    struct kx_reconcile reconcile;
    struct kx_subscription subscription;
    struct kx_mac_masks macs;
    struct kx_conn *monitor;
    struct kx_conn *eventbus;
    struct kx_health *health;
    struct kx_sweep *sweep;
    struct kx_backoff backoff;
    enum step step;
    bool complete; /* --once: everything was fetched */
    uint64_t now_ns;
    uint64_t tried_ns; /* when the session was begun */
    uint64_t retry_ns;
    uint64_t heartbeat_due_ns;
    uint64_t health_due_ns;
    uint64_t empty_due_ns; /* 0 = a device has come, or it was said already */
    uint64_t board_due_ns;
    bool heartbeat_seen;
    unsigned sweeps_failed; /* running */
    unsigned unheeded;      /* subscriptions running without a TIMESTAMP */
    int64_t gap_begun_ns;   /* wall clock; 0 = nothing to catch up with */
    char gap_cause[128];
    size_t monitor_fds; /* of the last kx_source_fds */
    char component[160];
    struct kx_source_status status;
    struct kx_log_limit skipped_log;
    struct kx_log_limit sweep_log;
};

/* --- states --- */

static void show(struct kx_source *source)
{
    struct kx_source_status *status = &source->status;
    status->skew_known = source->origin.skew_known;
    status->clock_skew_s = (double)source->origin.skew_ns / 1e9;
    kx_board_source_set(source->env.board, source->origin.index, status);
}

static void enter(struct kx_source *source, enum kx_source_state state, const char *text)
{
    struct kx_source_status *status = &source->status;
    if (status->state != state) {
        int64_t now_ns = kx_clock_wall_ns();
        kx_log(KX_LOG_DEBUG, source->component, "state %s, after %.3f s of %s",
               kx_source_state_name(state), (double)(now_ns - status->since_ns) / 1e9,
               kx_source_state_name(status->state));
        status->since_ns = now_ns;
    }
    status->state = state;
    if (text != status->text)
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
    kx_health_cancel(source->health);
    kx_sweep_cancel(source->sweep);
    source->origin.epoch++;
}

static void begin_gap(struct kx_source *source, const struct kx_error *err)
{
    if (source->step != STEP_STREAM)
        return;
    kx_count(source->counters, KX_C_GAPS, 1);
    /* What an earlier gap left to fetch is still to be fetched. */
    if (source->gap_begun_ns == 0)
        source->gap_begun_ns = kx_clock_wall_ns();
    snprintf(source->gap_cause, sizeof(source->gap_cause), "%.127s", err->text);
}

/* A refused credential is read again from its file: somebody may have mended it. */
static void reread_credential(struct kx_source *source)
{
    struct kx_error err;
    if (kx_endpoint_reload(&source->endpoint, &err) != KX_OK)
        kx_log(KX_LOG_WARNING, source->component, "%s", err.text);
}

/* What is left of the wait: a try that hung until its deadline was part of it. Otherwise a server
 * that comes back would wait for the hanging try and for the whole backoff, one after the other. */
static uint64_t backoff_ns(struct kx_source *source)
{
    uint64_t wait_ns = kx_backoff_next_ns(&source->backoff);
    uint64_t least_ns = source->config->reconnect_min_ns / 10;
    uint64_t took_ns = source->step == STEP_STREAM ? 0 : source->now_ns - source->tried_ns;
    return wait_ns > took_ns + least_ns ? wait_ns - took_ns : least_ns;
}

/* What a refusal's Retry-After asks for: a proxy that is busy is not helped by our backoff. */
static uint64_t asked_ns(const struct kx_source *source)
{
    const unsigned asked_s[] = {kx_health_retry_after_s(source->health),
                                kx_conn_retry_after_s(source->monitor),
                                kx_conn_retry_after_s(source->eventbus)};
    unsigned most_s = 0;
    for (size_t i = 0; i < sizeof(asked_s) / sizeof(asked_s[0]); i++)
        if (asked_s[i] > most_s)
            most_s = asked_s[i];
    return (most_s < RETRY_AFTER_S_MAX ? most_s : RETRY_AFTER_S_MAX) * KX_NS_PER_S;
}

/* The session is over: says why, and when the next begins. */
static void lose(struct kx_source *source, enum kx_counter counter, const struct kx_error *err)
{
    kx_count(source->counters, counter, 1);
    begin_gap(source, err);
    uint64_t least_ns = asked_ns(source);
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
        wait_ns = backoff_ns(source);
        if (wait_ns < least_ns)
            wait_ns = least_ns;
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
    bool fragments = message->skipped == KX_WS_SKIP_FRAGMENTS;
    kx_count(source->counters, fragments ? KX_C_PARSE_FRAGMENTS : KX_C_PARSE_TOO_BIG, 1);
    kx_log_limited(&source->skipped_log, source->now_ns, KX_LOG_WARNING, source->component,
                   "left out a message of %zu bytes: it is over the limit of 8 MiB, of 65,536 "
                   "fragments, or of memory",
                   message->length);
}

static void
take_device(struct kx_source *source, const struct kx_ws_message *message, int64_t received_ns)
{
    kx_recorder_frame(source->env.recorder, source->origin.index, KX_STREAM_MONITOR, message->data,
                      message->length, received_ns);
    kx_intake_device(source->env.intake, &source->origin, KX_VIA_MONITOR, message->data,
                     message->length, received_ns);
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
        take_device(source, message, received_ns);
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
    kx_recorder_frame(source->env.recorder, source->origin.index, KX_STREAM_EVENTBUS, message->data,
                      message->length, received_ns);
    int64_t heartbeat_ns = 0;
    kx_intake_event(source->env.intake, &source->origin, message->data, message->length,
                    received_ns, &heartbeat_ns);
    if (heartbeat_ns == 0)
        return;
    source->origin.skew_known = true;
    source->origin.skew_ns = heartbeat_ns - received_ns;
    source->heartbeat_seen = true;
    source->unheeded = 0;
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

static void send_all(struct kx_conn *conn, const struct kx_strings *requests)
{
    for (size_t i = 0; i < requests->count; i++)
        kx_conn_send(conn, requests->items[i], strlen(requests->items[i]));
}

static void say_streaming(struct kx_source *source)
{
    bool polls = kx_reconcile_polls(&source->reconcile);
    const char *version = source->status.version;
    kx_log(KX_LOG_INFO, source->component, "%s from %s (Kismet %s)",
           polls ? "polling" : "streaming", source->endpoint.authority,
           version[0] != '\0' ? version : "of unknown version");
    if (source->gap_begun_ns != 0)
        kx_log(KX_LOG_INFO, source->component,
               "back after a gap of %.1f s (%s); fetching what changed meanwhile",
               (double)(kx_clock_wall_ns() - source->gap_begun_ns) / 1e9, source->gap_cause);
    enter(source, polls ? KX_SOURCE_POLLING : KX_SOURCE_STREAMING, "");
}

static void streaming_if_complete(struct kx_source *source)
{
    bool wants_monitor = kx_reconcile_wants_monitor(&source->reconcile);
    if (source->step != STEP_CONNECT || !kx_conn_is_open(source->eventbus) ||
        (wants_monitor && !kx_conn_is_open(source->monitor)))
        return;
    source->step = STEP_STREAM;
    kx_count(source->counters, KX_C_CONNECTS, 1);
    say_streaming(source);
    kx_reconcile_start(&source->reconcile, source->now_ns);
    if (source->config->mode == KX_MODE_MONITOR)
        source->gap_begun_ns = 0; /* no pass will follow that catches up with it */
    source->health_due_ns = source->now_ns;
    source->empty_due_ns = source->now_ns + EMPTY_S * KX_NS_PER_S;
}

/* A blind monitor that fails its trial changes nothing: the data comes by REST. */
static void
on_monitor_closed(void *context, enum kx_conn_cause cause, bool partial, const struct kx_error *err)
{
    struct kx_source *source = context;
    if (!source->reconcile.blind) {
        on_closed(context, cause, partial, err);
        return;
    }
    kx_count(source->counters, counter_of(cause), 1);
    kx_reconcile_trial_over(&source->reconcile, source->now_ns);
    streaming_if_complete(source); /* a session that began in mid-trial waited for it */
}

static void on_monitor_opened(void *context)
{
    struct kx_source *source = context;
    send_all(source->monitor, &source->subscription.monitor);
    streaming_if_complete(source);
}

static void on_eventbus_opened(void *context)
{
    struct kx_source *source = context;
    send_all(source->eventbus, &source->subscription.eventbus);
    source->heartbeat_seen = false;
    source->heartbeat_due_ns = source->now_ns + HEARTBEAT_FIRST_S * KX_NS_PER_S;
    streaming_if_complete(source);
}

/* --- REST --- */

static enum kx_counter refusal_of(enum kx_code code)
{
    switch (code) {
    case KX_ERR_AUTH:
        return KX_C_DISCONNECTS_AUTH;
    case KX_ERR_NOT_FOUND:
        return KX_C_DISCONNECTS_NOT_FOUND;
    case KX_ERR_TIMEOUT:
        return KX_C_DISCONNECTS_TIMEOUT;
    default:
        return KX_C_DISCONNECTS_REFUSED;
    }
}

static void connect_websockets(struct kx_source *source)
{
    source->step = STEP_CONNECT;
    if (kx_reconcile_wants_monitor(&source->reconcile))
        kx_conn_start(source->monitor, source->now_ns);
    kx_conn_start(source->eventbus, source->now_ns);
}

static void on_health(void *context, enum kx_code code, const struct kx_error *err)
{
    struct kx_source *source = context;
    source->health_due_ns = source->now_ns + KX_HEALTH_S * KX_NS_PER_S;
    if (code != KX_OK && (source->step == STEP_HELLO || code == KX_ERR_AUTH)) {
        lose(source, refusal_of(code), err);
        return;
    }
    snprintf(source->origin.server_uuid, sizeof(source->origin.server_uuid), "%s",
             source->status.server_uuid);
    char mixed_up[KX_IDENTITY_TEXT_MAX];
    if (kx_identity_learn(source->env.identity, source->origin.index, source->status.server_uuid,
                          mixed_up))
        kx_log(KX_LOG_WARNING, source->component, "%s", mixed_up);
    if (source->step != STEP_HELLO)
        return;
    kx_recorder_session(source->env.recorder, source->origin.index, source->origin.server_uuid,
                        kx_clock_wall_ns());
    if (!source->env.once) {
        connect_websockets(source);
        return;
    }
    source->step = STEP_STREAM;
    kx_reconcile_start(&source->reconcile, source->now_ns);
    source->reconcile.due_ns = source->now_ns; /* also where the monitor is trusted alone */
}

static void say_verdict(struct kx_source *source, enum kx_verdict verdict)
{
    if (verdict == KX_VERDICT_BLIND) {
        static const char text[] =
            "monitor.ws does not deliver what changed (a known Kismet fault); polling by REST "
            "instead: the data is complete";
        kx_conn_stop(source->monitor);
        kx_log(KX_LOG_WARNING, source->component, "%s", text);
        enter(source, KX_SOURCE_POLLING, text);
    } else if (verdict == KX_VERDICT_TRUSTED) {
        kx_log(KX_LOG_INFO, source->component, "monitor.ws delivers again: streaming");
        enter(source, KX_SOURCE_STREAMING, "");
    } else if (source->reconcile.blind && source->reconcile.trial_due_ns != 0) {
        kx_conn_stop(source->monitor); /* a trial that ended as the last one */
    }
}

static void
on_sweep(void *context, enum kx_verdict verdict, enum kx_code code, const struct kx_error *err)
{
    struct kx_source *source = context;
    if (code != KX_OK && (source->env.once || code == KX_ERR_AUTH)) {
        lose(source, refusal_of(code), err);
        return;
    }
    if (code != KX_OK) {
        source->sweeps_failed++;
        if (kx_reconcile_polls(&source->reconcile) && source->sweeps_failed >= SWEEPS_FAILED_MAX) {
            source->sweeps_failed = 0;
            lose(source, refusal_of(code), err);
            return;
        }
        kx_log_limited(&source->sweep_log, source->now_ns, KX_LOG_WARNING, source->component, "%s",
                       err->text);
        return;
    }
    source->sweeps_failed = 0;
    source->status.last_contact_ns = kx_clock_wall_ns();
    source->gap_begun_ns = 0;
    if (source->env.once) {
        source->complete = true;
        source->step = STEP_DONE;
        enter(source, KX_SOURCE_ENDED, "");
        return;
    }
    say_verdict(source, verdict);
}

/* The server's time from which on alerts are wanted again; 0 = none are. */
static int64_t alerts_since(const struct kx_source *source)
{
    bool wanted = false;
    for (size_t i = 0; i < source->config->events.count; i++)
        wanted = wanted || strcmp(source->config->events.items[i], "ALERT") == 0;
    if (!wanted || source->gap_begun_ns == 0)
        return 0;
    return source->gap_begun_ns + source->origin.skew_ns - ALERT_OVERLAP_S * 1000000000ll;
}

/* --- life --- */

static const struct kx_conn_ops monitor_ops = {on_monitor_opened, on_monitor_message, on_read_end,
                                               on_monitor_closed};
static const struct kx_conn_ops eventbus_ops = {on_eventbus_opened, on_eventbus_message,
                                                on_read_end, on_closed};

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
    source->origin = (struct kx_origin){.index = index,
                                        .name = config->name,
                                        .topics = &config->events,
                                        .extra = &config->extra,
                                        .macs = &source->macs,
                                        .counters = counters,
                                        .reconcile = &source->reconcile,
                                        .epoch = 1};
    kx_reconcile_init(&source->reconcile, config);
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
    if (code == KX_OK && !kx_mac_masks_init(&source->macs, config->macs.items, config->macs.count))
        code = kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the list of MACs");
    if (code == KX_OK)
        code = kx_subscription_init(&source->subscription, config, err);
    if (code == KX_OK)
        code = kx_dedupe_create(&source->origin.dedupe, err);
    if (code == KX_OK)
        code = kx_conn_create(&source->monitor, endpoint, source->subscription.monitor_path,
                              &monitor_ops, source, err);
    if (code == KX_OK)
        code =
            kx_conn_create(&source->eventbus, endpoint, EVENTBUS_PATH, &eventbus_ops, source, err);
    const struct kx_health_parts health = {.multi = env->rest,
                                           .endpoint = endpoint,
                                           .json = kx_intake_json(env->intake),
                                           .counters = counters,
                                           .status = &source->status,
                                           .ended = on_health,
                                           .context = source};
    if (code == KX_OK)
        code = kx_health_create(&source->health, &health, err);
    const struct kx_sweep_parts sweep = {.multi = env->rest,
                                         .endpoint = endpoint,
                                         .intake = env->intake,
                                         .recorder = env->recorder,
                                         .origin = &source->origin,
                                         .ring = env->ring,
                                         .ended = on_sweep,
                                         .context = source};
    if (code == KX_OK)
        code = kx_sweep_create(&source->sweep, &sweep, err);
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
    kx_health_destroy(source->health);
    kx_sweep_destroy(source->sweep);
    kx_endpoint_fini(&source->endpoint);
    kx_dedupe_destroy(source->origin.dedupe);
    kx_subscription_fini(&source->subscription);
    kx_mac_masks_fini(&source->macs);
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
    source->tried_ns = source->now_ns;
    if (source->status.state == KX_SOURCE_AUTH_FAILED)
        reread_credential(source);
    /* An operator's matter stays on the board until it is mended. */
    if (source->status.state == KX_SOURCE_BACKING_OFF)
        enter(source, KX_SOURCE_CONNECTING, source->status.text);
    kx_health_begin(source->health, false, source->now_ns);
}

static void check_heartbeat(struct kx_source *source)
{
    if (source->now_ns < source->heartbeat_due_ns)
        return;
    struct kx_error err;
    if (source->heartbeat_seen) {
        kx_error_set(&err, KX_ERR_TIMEOUT, 0,
                     "no heartbeat (TIMESTAMP) for %d s: the connection is dead",
                     HEARTBEAT_SILENT_S);
        lose(source, KX_C_DISCONNECTS_STALL, &err);
        return;
    }
    source->unheeded++;
    const char *advice = source->unheeded < HEARTBEAT_TRIES
                             ? ""
                             : ", several times running: the server does not take our "
                               "subscriptions; look into its log, and whether a proxy before it "
                               "passes WebSocket messages on";
    kx_error_set(&err, KX_ERR_TIMEOUT, 0, "no heartbeat (TIMESTAMP) within %d s of subscribing%s",
                 HEARTBEAT_FIRST_S, advice);
    lose(source, KX_C_DISCONNECTS_NO_HEARTBEAT, &err);
}

/* Connected, but nothing arrives: says what is most likely. */
static void check_empty(struct kx_source *source)
{
    if (source->empty_due_ns == 0 || source->now_ns < source->empty_due_ns)
        return;
    source->empty_due_ns = 0;
    if (kx_counter_get(source->counters, KX_C_RECORDS_DEVICE) > 0)
        return;
    const struct kx_source_status *status = &source->status;
    const char *text = "connected, but no device has come";
    if (status->datasources_ok == 0 && status->datasources_failed <= 0)
        text = "connected, but this Kismet has no datasource: add one (kismet -c INTERFACE)";
    else if (status->datasources_ok == 0)
        text = "connected, but no datasource of this Kismet runs: see its Data Sources page";
    else if (status->devices == 0)
        text = "connected, but this Kismet has not seen any device yet";
    else if (status->devices > 0 &&
             (source->config->view != NULL || source->config->macs.count > 0 ||
              source->config->regex.count > 0))
        text = "connected, but the view, macs or regex of this source let no device through";
    kx_log(KX_LOG_WARNING, source->component, "%s", text);
    enter(source, status->state, text);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What a session does by the clock. */
static uint64_t tick_stream(struct kx_source *source)
{
    if (source->heartbeat_seen)
        kx_backoff_reset(&source->backoff);
    if (kx_reconcile_trial(&source->reconcile, source->now_ns))
        kx_conn_start(source->monitor, source->now_ns);
    uint64_t next = source->reconcile.due_ns;
    if (kx_sweep_busy(source->sweep))
        next = UINT64_MAX;
    else if (source->now_ns >= next)
        kx_sweep_begin(source->sweep, alerts_since(source), source->now_ns);
    if (source->env.once)
        return next;
    if (!kx_health_busy(source->health) && source->now_ns >= source->health_due_ns)
        kx_health_begin(source->health, true, source->now_ns);
    check_empty(source);
    check_heartbeat(source);
    return earlier(next, source->heartbeat_due_ns);
}

uint64_t kx_source_tick(struct kx_source *source, uint64_t now_ns)
{
    source->now_ns = now_ns;
    if (source->step == STEP_WAIT && now_ns >= source->retry_ns)
        begin_session(source);
    kx_health_tick(source->health, now_ns);
    kx_sweep_tick(source->sweep, now_ns);
    uint64_t next = kx_conn_tick(source->monitor, now_ns);
    next = earlier(next, kx_conn_tick(source->eventbus, now_ns));
    if (source->step == STEP_STREAM)
        next = earlier(next, tick_stream(source));
    if (now_ns >= source->board_due_ns) {
        source->board_due_ns = now_ns + BOARD_S * KX_NS_PER_S;
        show(source);
    }
    if (source->step == STEP_WAIT)
        next = earlier(next, source->retry_ns);
    return earlier(next, source->board_due_ns);
}

void kx_source_reload(struct kx_source *source, struct kx_credential *credential, uint64_t now_ns)
{
    kx_credential_fini(&source->endpoint.credential);
    source->endpoint.credential = *credential;
    *credential = (struct kx_credential){0};
    if (source->step == STEP_WAIT)
        source->retry_ns = now_ns;
}

bool kx_source_paused(const struct kx_source *source)
{
    return kx_sweep_paused(source->sweep);
}

void kx_source_resume(struct kx_source *source)
{
    kx_sweep_resume(source->sweep);
}

bool kx_source_finished(const struct kx_source *source, bool *ret_complete)
{
    *ret_complete = source->complete;
    return source->step == STEP_DONE;
}
