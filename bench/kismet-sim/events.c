/* Events: the log, the heartbeat, the synthetic ones. */
#include "events.h"

#include "stream.h"

#include <stdlib.h>
#include <string.h>

struct event_log *events_create(void)
{
    struct event_log *log = xmalloc(sizeof(*log));
    *log = (struct event_log){0};
    return log;
}

void events_destroy(struct event_log *log)
{
    if (!log)
        return;
    for (size_t i = 0; i < log->count; i++) {
        free(log->event[i].topic);
        text_free(&log->event[i].all);
    }
    free(log->event);
    free(log);
}

/* Of two keys (DOT11_NEW_SSID_BASEDEV, DOT11_PROBED_SSID) the second is the topic. */
static bool topic_of(struct span message, struct span *ret_topic, struct span *ret_inner)
{
    struct json_walk walk;
    bool any = false;
    if (!json_object(message, &walk))
        return false;
    while (json_member(&walk, ret_topic, ret_inner))
        any = true;
    return any && !walk.bad;
}

static double time_of(const struct event *e)
{
    double time = 0;
    if (!json_number(json_get(e->inner, "kismet.alert.timestamp"), &time))
        json_number(json_get(e->inner, "kismet.messagebus.message_time"), &time);
    return time;
}

static void deliver(struct sim *s, const char *topic, struct span message)
{
    stream_event(s, topic, message);
    if (s->faults.duplicate)
        stream_event(s, topic, message);
}

bool events_publish(struct sim *s, struct span message)
{
    struct span topic, inner;
    if (!topic_of(message, &topic, &inner))
        return false;
    struct event_log *log = s->events;
    if (log->count == log->capacity) {
        log->capacity = log->capacity ? log->capacity * 2 : 256;
        log->event = xrealloc(log->event, log->capacity * sizeof(*log->event));
    }
    struct event *e = &log->event[log->count++];
    *e = (struct event){0};
    text_addspan(&e->all, message);
    e->inner = (struct span){e->all.at + (inner.at - message.at), inner.length};
    e->topic = xmalloc(topic.length + 1);
    memcpy(e->topic, topic.at, topic.length);
    e->topic[topic.length] = '\0';
    e->time = time_of(e);
    deliver(s, e->topic, text_span(&e->all));
    return true;
}

void events_timestamp(struct sim *s)
{
    if (s->faults.timestamp != TIMESTAMP_ON)
        return;
    uint64_t now = sim_clock_ns(s);
    struct text t = {0};
    text_addf(&t,
              "{\"TIMESTAMP\": {\"kismet.system.timestamp.sec\": %llu,"
              "\"kismet.system.timestamp.usec\": %llu}}",
              (unsigned long long)(now / 1000000000u), (unsigned long long)(now / 1000 % 1000000));
    /* Heartbeats are no events: they are neither logged nor doubled. */
    stream_event(s, "TIMESTAMP", text_span(&t));
    text_free(&t);
}

static void alert(struct sim *s, size_t number)
{
    char mac[18] = "DC:4D:CA:18:25:30";
    if (s->scene.count)
        mac_print(s->scene.device[number % s->scene.count].mac, mac);
    uint64_t now = sim_clock_ns(s);
    unsigned long long sec = now / 1000000000u, usec = now / 1000 % 1000000;
    struct text t = {0};
    text_addf(
        &t,
        "{\"ALERT\": {\"kismet.alert.device_key\": \"00_0\",\"kismet.alert.header\": \"SIMALERT\","
        "\"kismet.alert.class\": \"PROBE\",\"kismet.alert.hash\": %llu,"
        "\"kismet.alert.severity\": %zu,\"kismet.alert.phy_id\": 4294967295,"
        "\"kismet.alert.timestamp\": %llu.%06llu,"
        "\"kismet.alert.transmitter_mac\": \"00:00:00:00:00:00\","
        "\"kismet.alert.source_mac\": \"%s\",\"kismet.alert.dest_mac\": \"00:00:00:00:00:00\","
        "\"kismet.alert.other_mac\": \"00:00:00:00:00:00\",\"kismet.alert.channel\": \"6\","
        "\"kismet.alert.frequency\": 0,"
        "\"kismet.alert.text\": \"simulated alert %zu 'quoted' , = \\\\ \xE2\x98\x83\"}}",
        (unsigned long long)(scene_random(&s->scene) & 0xffffffff), number % 5 * 5, sec, usec, mac,
        number);
    events_publish(s, text_span(&t));
    text_free(&t);
}

void events_new_device(struct sim *s, const struct device *d)
{
    struct text t = {0};
    text_adds(&t, "{\"NEW_DEVICE\": ");
    text_addspan(&t, text_span(&d->record));
    text_adds(&t, "}");
    events_publish(s, text_span(&t));
    text_free(&t);
}

void events_synthetic(struct sim *s)
{
    size_t number = s->events->count;
    if (number % 2 == 0 || s->scene.count == 0)
        alert(s, number);
    else
        events_new_device(s, &s->scene.device[number % s->scene.count]);
}

void events_since(
    const struct event_log *log, const char *topic, double since, size_t most, struct text *out)
{
    size_t first = log->count;
    for (size_t left = most; first > 0 && left > 0; first--)
        left -= strcmp(log->event[first - 1].topic, topic) == 0;
    bool any = false;
    for (size_t i = first; i < log->count; i++) {
        const struct event *e = &log->event[i];
        if (strcmp(e->topic, topic) != 0 || e->time <= since)
            continue;
        text_add(out, ",", any);
        text_addspan(out, e->inner);
        any = true;
    }
}
