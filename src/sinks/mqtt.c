/*
 * The MQTT sink's life: a session, and messages that go out as far as the window lets them.
 */
#include "sinks/mqtt.h"

#include "base/clock.h"
#include "sinks/mqtt_payload.h"
#include "sinks/mqtt_presence.h"
#include "sinks/mqtt_probe.h"
#include "sinks/mqtt_reply.h"
#include "sinks/mqtt_session.h"
#include "sinks/mqtt_topic.h"
#include "sinks/mqtt_window.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOODBYE_NS KX_NS_PER_S
#define QUIET_NS (2 * KX_NS_PER_MS) /* no completion for so long, then twice that, and so on */
enum {
    TAKE = 64,                /* completions taken at once */
    EXTRA_MAX = 5,            /* messages above the window */
    SUSPECT_BYTES_MIN = 2048, /* no broker's limit is smaller, as far as we know */
};

/* The record on which a connection was lost: if it is larger than all that this broker ever took,
 * and is lost with the next one too although it goes alone, the broker will never take it. */
struct suspect {
    uint64_t sequence; /* 0 = none */
    unsigned losses;
    bool condemned;
};

struct mqtt_sink {
    const struct kx_mqtt_config *config; /* borrowed, as the name is */
    const char *name;
    struct kx_counters *counters;
    struct kx_mqtt_topics topics;
    struct kx_mqtt_payload payload;
    struct kx_mqtt_session session;
    struct kx_mqtt_window window;
    struct kx_mqtt_presence presence;
    struct suspect suspect;
    struct kx_mqtt_tag oldest; /* that came back unconfirmed on this connection; end 0 = none */
    uint32_t largest;          /* payload that was confirmed, in bytes */
    uint32_t extra;            /* messages above the window, because nothing comes back */
    int fault;                 /* the broker's reason for a refused publication; 0 = none */
    char topic[KX_MQTT_TOPIC_SIZE]; /* of the present message */
    char reason[KX_REASON_MAX];     /* of the last refused record */
    struct kx_error refused_err;
};

/* --- open, close --- */

static void mqtt_close(void *self)
{
    struct mqtt_sink *sink = self;
    if (sink == NULL)
        return;
    if (sink->session.conn != NULL) {
        /* Nobody counts any more what comes back: the batches are the engine's again. */
        kx_mqtt_session_goodbye(&sink->session, kx_clock_boot_ns() + GOODBYE_NS);
        kx_mqtt_conn_end(sink->session.conn);
        kx_mqtt_session_forget(&sink->session);
    }
    kx_mqtt_session_fini(&sink->session);
    kx_mqtt_window_fini(&sink->window);
    kx_mqtt_presence_fini(&sink->presence);
    kx_mqtt_payload_fini(&sink->payload);
    free(sink);
}

static enum kx_code mqtt_open(const struct kx_sink_config *config,
                              const struct kx_sink_env *env,
                              void **ret_self,
                              struct kx_error *err)
{
    struct mqtt_sink *sink = calloc(1, sizeof *sink);
    if (sink == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "sink %s: no memory", config->name);
    sink->config = &config->mqtt;
    sink->name = config->name;
    sink->counters = env->counters;
    kx_mqtt_payload_init(&sink->payload, config);
    enum kx_code code = kx_mqtt_topics_init(&sink->topics, config, env->config->sensor, err);
    if (code == KX_OK)
        code = kx_mqtt_session_init(&sink->session, config, env->config, &sink->topics, err);
    if (code == KX_OK)
        code = kx_mqtt_presence_init(&sink->presence, config, env, &sink->topics, err);
    if (code != KX_OK) {
        kx_error_prefix(err, "sink %s", config->name);
        mqtt_close(sink);
        return code;
    }
    *ret_self = sink;
    return KX_OK;
}

/* --- what comes back --- */

/* A record that a broker refuses for what it is: its neighbours go on. */
static void
refuse(struct mqtt_sink *sink, struct kx_mqtt_flight *flight, uint32_t i, int code, size_t bytes)
{
    const struct kx_mqtt_reply *reply = kx_mqtt_reply(code);
    snprintf(sink->reason, sizeof sink->reason, "mqtt 0x%02x", (unsigned)code & 255);
    kx_error_set(&sink->refused_err, reply->error, 0, "broker %s: %s: a message of %zu bytes%s%s",
                 sink->session.authority, reply->words, bytes, reply->remedy != NULL ? "; " : "",
                 reply->remedy != NULL ? reply->remedy : "");
    kx_mqtt_flight_refuse(flight, i);
}

static void come_back(struct mqtt_sink *sink, const struct kx_mqtt_completion *completion)
{
    const struct kx_mqtt_tag *tag = &completion->tag;
    if (tag->flight >= KX_MQTT_FLIGHTS) {
        if (tag->flight == KX_MQTT_TAG_PRESENCE && completion->code > 0)
            sink->fault = completion->code;
        return;
    }
    struct kx_mqtt_flight *flight = &sink->window.flights[tag->flight];
    bool confirmed = completion->code == 0;
    if (completion->code < 0 && sink->oldest.end == 0)
        sink->oldest = *tag;
    kx_mqtt_flight_back(flight, tag->first, tag->end, confirmed);
    if (confirmed && tag->bytes > sink->largest)
        sink->largest = tag->bytes;
    if (completion->code <= 0)
        return;
    if (kx_mqtt_reply(completion->code)->outcome != KX_REJECTED)
        sink->fault = completion->code;
    else
        for (uint32_t i = tag->first; i < tag->end; i++)
            refuse(sink, flight, i, completion->code, tag->bytes);
}

static void take_back(struct mqtt_sink *sink)
{
    struct kx_mqtt_completion completions[TAKE];
    uint32_t count;
    do {
        count = kx_mqtt_conn_take(sink->session.conn, completions, TAKE);
        for (uint32_t i = 0; i < count; i++)
            come_back(sink, &completions[i]);
    } while (count == TAKE);
}

/* The oldest record that the lost connection did not confirm. */
static void suspect(struct mqtt_sink *sink, const struct kx_mqtt_tag *tag)
{
    uint32_t least = sink->largest > SUSPECT_BYTES_MIN ? sink->largest : SUSPECT_BYTES_MIN;
    const struct kx_batch *batch = &sink->window.flights[tag->flight].batch;
    if (tag->bytes <= least || tag->end - tag->first != 1) {
        sink->suspect = (struct suspect){0};
        return;
    }
    uint64_t sequence = kx_batch_record(batch, tag->first)->sequence;
    if (sequence != sink->suspect.sequence)
        sink->suspect = (struct suspect){.sequence = sequence};
    sink->session.twin_losses = 0; /* this explains the loss as well */
    /* The second time it went alone. */
    if (++sink->suspect.losses >= 2)
        sink->suspect.condemned = true;
}

/* Ends the connection: what is out then comes back, once, and nothing comes later. */
static void drop(struct mqtt_sink *sink, bool lost)
{
    if (sink->session.conn == NULL)
        return;
    kx_mqtt_conn_end(sink->session.conn);
    take_back(sink);
    if (lost && sink->oldest.end > 0)
        suspect(sink, &sink->oldest);
    sink->oldest.end = 0;
    sink->extra = 0;
    kx_count(sink->counters, KX_C_SUPERSEDED, kx_mqtt_window_lost(&sink->window));
    kx_mqtt_session_forget(&sink->session);
    sink->fault = 0;
}

/* --- what goes out --- */

enum sending {
    SENDING_WENT,
    SENDING_FULL,    /* the window is, or the suspect waits to go alone */
    SENDING_NOTHING, /* is left to be sent */
};

static bool encode_one(struct mqtt_sink *sink, const struct kx_batch *batch, uint32_t i)
{
    const struct kx_device *device = kx_record_device(kx_batch_record(batch, i));
    if (sink->config->payload == KX_MQTT_DELTA)
        kx_mqtt_payload_delta(&sink->payload, device, batch->changed[i]);
    else
        kx_mqtt_payload_device(&sink->payload, device);
    return kx_mqtt_topic_device(&sink->topics, device, sink->topic);
}

static size_t packet_max(const struct mqtt_sink *sink)
{
    uint32_t most = sink->session.status.packet_bytes_max;
    return most > 0 ? most : KX_MQTT_PAYLOAD_MAX;
}

/* Devices from i on, as far as they lie together and one message holds them. Returns behind the
 * last. */
static uint32_t
encode_list(struct mqtt_sink *sink, struct kx_mqtt_flight *flight, uint32_t i, uint32_t end)
{
    const struct kx_mqtt_message empty = {.topic = sink->topics.batch};
    size_t most = packet_max(sink) - kx_mqtt_conn_packet_bytes(sink->session.conn, &empty) - 16;
    if (most > KX_MQTT_LIST_BYTES)
        most = KX_MQTT_LIST_BYTES;
    struct kx_buf *buf = &sink->payload.buf;
    kx_mqtt_payload_list(&sink->payload);
    for (uint32_t first = i; i < end; flight->cursor = ++i) {
        size_t length = buf->length;
        const struct kx_device *device = kx_record_device(kx_batch_record(&flight->batch, i));
        if (device == NULL || kx_mqtt_flight_next(flight, end) != i)
            break;
        kx_mqtt_payload_add(&sink->payload, device);
        if (i > first && buf->length + 1 > most) {
            kx_buf_truncate(buf, length);
            break;
        }
    }
    kx_mqtt_payload_end(&sink->payload);
    snprintf(sink->topic, sizeof sink->topic, "%s", sink->topics.batch);
    return i;
}

/* Whether the record has to wait: the suspect goes alone. */
static bool must_wait(const struct mqtt_sink *sink, const struct kx_record *record)
{
    return sink->suspect.sequence != 0 && kx_mqtt_conn_out(sink->session.conn) > 0 &&
           (record->sequence == sink->suspect.sequence || sink->suspect.losses == 1);
}

/* One message of a batch. */
static enum sending send_one(struct mqtt_sink *sink, struct kx_mqtt_flight *flight, uint32_t end)
{
    struct kx_mqtt_conn *conn = sink->session.conn;
    uint32_t i = kx_mqtt_flight_next(flight, end);
    if (i == end)
        return SENDING_NOTHING;
    const struct kx_record *record = kx_batch_record(&flight->batch, i);
    uint32_t window = kx_mqtt_session_window(&sink->session) + sink->extra;
    if (kx_mqtt_conn_out(conn) >= window || must_wait(sink, record))
        return SENDING_FULL;
    struct kx_mqtt_message message = {.topic = sink->topic,
                                      .qos = (int)sink->config->qos,
                                      .expiry_s =
                                          (uint32_t)(sink->config->expiry_ns / KX_NS_PER_S)};
    const struct kx_event *event = kx_record_event(record);
    char uid[KX_UID_BYTES * 2 + 1];
    uint32_t behind = i + 1;
    bool topic = true;
    if (event != NULL) {
        kx_mqtt_payload_event(&sink->payload, event);
        message.topic = sink->topics.events;
        for (size_t k = 0; k < KX_UID_BYTES; k++)
            snprintf(uid + 2 * k, 3, "%02x", event->uid[k]);
        message.uid = uid;
    } else if (sink->config->payload == KX_MQTT_BATCH) {
        behind = encode_list(sink, flight, i, end);
    } else {
        topic = encode_one(sink, &flight->batch, i);
        message.retain = sink->config->retain && sink->session.status.retain;
    }
    message.payload = sink->payload.buf.data;
    message.length = sink->payload.buf.length;
    bool condemned = sink->suspect.condemned && record->sequence == sink->suspect.sequence;
    if (!topic || sink->payload.buf.failed || condemned ||
        kx_mqtt_conn_packet_bytes(conn, &message) > packet_max(sink)) {
        refuse(sink, flight, i, topic ? KX_MQTT_TOO_LARGE : KX_MQTT_BAD_TOPIC, message.length);
        return SENDING_WENT;
    }
    const struct kx_mqtt_tag tag = {.flight = kx_mqtt_window_index(&sink->window, flight),
                                    .first = i,
                                    .end = behind,
                                    .bytes = (uint32_t)message.length};
    if (!kx_mqtt_conn_publish(conn, &message, &tag))
        return SENDING_FULL; /* the connection is lost, as the next look at it shows */
    kx_mqtt_flight_sent(flight, i, behind);
    return SENDING_WENT;
}

/* As much as goes. Returns how many completions are worth to be waited for. */
static uint32_t send_some(struct mqtt_sink *sink,
                          struct kx_mqtt_flight *now,
                          struct kx_mqtt_flight *next,
                          bool *ret_full)
{
    enum sending sending;
    do
        sending = send_one(sink, now, now->batch.end);
    while (sending == SENDING_WENT);
    if (sending == SENDING_NOTHING && next != NULL)
        do
            sending = send_one(sink, next, next->batch.end);
        while (sending == SENDING_WENT);
    *ret_full = sending == SENDING_FULL;
    /* One at a time keeps paho's thread awake: bursts of half a window were a twentieth as fast. */
    if (*ret_full)
        return 1;
    uint32_t out = kx_mqtt_conn_out(sink->session.conn);
    return now->out_count < out ? now->out_count : out;
}

/* Waits for completions. With a full window that is silent, paho has slept through the word that
 * there is something to send; the next message, above the window, says it again. */
static enum kx_mqtt_wait
wait(struct mqtt_sink *sink, uint32_t want, bool full, const struct kx_call *call)
{
    struct kx_mqtt_conn *conn = sink->session.conn;
    uint32_t extra_max = kx_mqtt_session_window(&sink->session) / 4; /* that much is held back */
    if (extra_max > EXTRA_MAX)
        extra_max = EXTRA_MAX;
    uint64_t deadline_ns = call->deadline_ns;
    uint64_t quiet_ns = kx_clock_boot_ns() + (QUIET_NS << sink->extra);
    bool quiet = full && sink->extra < extra_max && (deadline_ns == 0 || quiet_ns < deadline_ns);
    enum kx_mqtt_wait result =
        kx_mqtt_conn_wait(conn, want, quiet ? quiet_ns : deadline_ns, call->stop_fd);
    if (result == KX_MQTT_TIMEOUT && quiet) {
        sink->extra++;
        return KX_MQTT_READY;
    }
    if (result == KX_MQTT_READY)
        sink->extra = 0;
    return result;
}

/* --- deliver --- */

/* Until every record of the view is confirmed or refused. */
static enum kx_outcome run(struct mqtt_sink *sink,
                           struct kx_batch *batch,
                           struct kx_mqtt_flight *now,
                           struct kx_mqtt_flight *next,
                           const struct kx_call *call,
                           struct kx_error *err)
{
    enum kx_outcome outcome;
    for (;;) {
        take_back(sink);
        if (sink->fault != 0)
            return kx_mqtt_session_refusal(&sink->session, sink->fault, "a message", err);
        if (kx_mqtt_flight_settled(now, batch->first, batch->end))
            return KX_SENT;
        if (kx_mqtt_session_lost(&sink->session, &outcome, err))
            return outcome;
        kx_mqtt_presence_run(&sink->presence, &sink->session, kx_clock_boot_ns());
        bool full;
        uint32_t want = send_some(sink, now, next, &full);
        if (want == 0)
            continue; /* everything was refused here */
        switch (wait(sink, want, full, call)) {
        case KX_MQTT_READY:
            break;
        case KX_MQTT_TIMEOUT:
            kx_error_set(err, KX_ERR_TIMEOUT, 0, "broker %s does not confirm what it was sent",
                         sink->session.authority);
            return KX_RETRY;
        case KX_MQTT_STOPPED:
            kx_error_set(err, KX_ERR_STOPPED, 0, "stopped before broker %s confirmed",
                         sink->session.authority);
            return KX_RETRY;
        }
    }
}

/* What was confirmed is marked already. */
static enum kx_outcome conclude(struct mqtt_sink *sink,
                                struct kx_batch *batch,
                                const struct kx_mqtt_flight *flight,
                                struct kx_error *err)
{
    for (uint32_t i = batch->first; i < batch->end; i++)
        if (!kx_batch_done(batch, i) && kx_mqtt_flight_refused(flight, i)) {
            *err = sink->refused_err;
            snprintf(batch->reason, sizeof batch->reason, "%s", sink->reason);
            return KX_REJECTED;
        }
    return KX_SENT;
}

/* How long the engine shall leave us alone, when that is longer than its own wait. */
static uint64_t wait_ns(const struct mqtt_sink *sink)
{
    uint64_t now_ns = kx_clock_boot_ns();
    return sink->session.not_before_ns > now_ns ? sink->session.not_before_ns - now_ns : 0;
}

static enum kx_outcome
mqtt_deliver(void *self, struct kx_batch *batch, const struct kx_call *call, struct kx_error *err)
{
    struct mqtt_sink *sink = self;
    struct kx_mqtt_flight *next = NULL;
    struct kx_mqtt_flight *now = kx_mqtt_window_begin(&sink->window, batch, NULL);
    if (now != NULL && batch->next != NULL)
        next = kx_mqtt_window_begin(&sink->window, batch->next, now);
    if (now == NULL) {
        kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a batch");
        return KX_RETRY;
    }
    enum kx_outcome outcome = kx_mqtt_session_ready(&sink->session, call, err);
    if (outcome == KX_SENT)
        outcome = run(sink, batch, now, next, call, err);
    if (outcome == KX_SENT)
        outcome = conclude(sink, batch, now, err);
    else
        drop(sink, err->code != KX_ERR_STOPPED && err->code != KX_ERR_TIMEOUT);
    if (outcome == KX_RETRY)
        batch->retry_after_ns = wait_ns(sink);
    kx_mqtt_window_end(&sink->window);
    return outcome;
}

static enum kx_outcome mqtt_idle(void *self, const struct kx_call *call, struct kx_error *err)
{
    struct mqtt_sink *sink = self;
    enum kx_outcome outcome = kx_mqtt_session_ready(&sink->session, call, err);
    if (outcome == KX_SENT) {
        take_back(sink);
        kx_mqtt_presence_run(&sink->presence, &sink->session, kx_clock_boot_ns());
        if (sink->fault != 0)
            outcome =
                kx_mqtt_session_refusal(&sink->session, sink->fault, "the topics of presence", err);
    }
    if (outcome != KX_SENT)
        drop(sink, true);
    return outcome;
}

static enum kx_code mqtt_probe(void *self, struct kx_probe *probe)
{
    struct mqtt_sink *sink = self;
    kx_mqtt_probe(&sink->session, probe);
    return KX_OK;
}

const struct kx_sink_ops kx_mqtt_ops = {
    .type = "mqtt",
    .newest_per_device = true,
    .open = mqtt_open,
    .deliver = mqtt_deliver,
    .idle = mqtt_idle,
    .probe = mqtt_probe,
    .close = mqtt_close,
};
