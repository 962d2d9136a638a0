/* The WebSockets of a probe; the contract stands in the header. */
#include "ingest/probe_stream.h"

#include "base/clock.h"
#include "ingest/conn.h"
#include <stdio.h>
#include <string.h>

enum {
    HEARTBEAT_S = 5,    /* TIMESTAMP comes each second */
    RATE_S_MAX = 5,     /* a source that asks for an update an hour is probed faster */
    RATES_PATIENCE = 3, /* the first push comes a rate after the request */
    WAIT_MS_MAX = 1000,
};

struct stream {
    struct kx_probe *probe;
    const char *name; /* "monitor.ws" */
    const char *request;
    bool (*wanted)(const struct kx_ws_message *message);
    unsigned patience_s;
    struct kx_conn *conn;
    bool over; /* its line is written */
    uint64_t opened_ns;
    uint64_t due_ns; /* 0 = not open yet */
    void (*missing)(const struct stream *stream);
    /* for `missing` of the monitor */
    bool any_device;
    enum kx_source_mode mode;
};

static void on_opened(void *context)
{
    struct stream *stream = context;
    stream->opened_ns = kx_clock_boot_ns();
    stream->due_ns = stream->opened_ns + stream->patience_s * KX_NS_PER_S;
    kx_conn_send(stream->conn, stream->request, strlen(stream->request));
}

static void on_message(void *context,
                       enum kx_ws_event event,
                       const struct kx_ws_message *message,
                       int64_t received_ns)
{
    (void)received_ns;
    struct stream *stream = context;
    if (stream->over || event != KX_WS_TEXT || !stream->wanted(message))
        return;
    stream->over = true;
    kx_probe_ok(stream->probe, "%s opens and delivers (after %.1f s)", stream->name,
                (double)(kx_clock_boot_ns() - stream->opened_ns) / 1e9);
}

static void on_read_end(void *context, size_t bytes)
{
    (void)context;
    (void)bytes;
}

static void
on_closed(void *context, enum kx_conn_cause cause, bool partial, const struct kx_error *err)
{
    (void)cause;
    (void)partial;
    struct stream *stream = context;
    if (!stream->over)
        kx_probe_fail(stream->probe, NULL, "%s: %s", stream->name, err->text);
    stream->over = true;
}

static const struct kx_conn_ops ops = {on_opened, on_message, on_read_end, on_closed};

/* --- what each of the two is to bring --- */

static bool is_heartbeat(const struct kx_ws_message *message)
{
    return memmem(message->data, message->length, "\"TIMESTAMP\"", strlen("\"TIMESTAMP\"")) != NULL;
}

static void no_heartbeat(const struct stream *stream)
{
    kx_probe_fail(
        stream->probe,
        "look into Kismet's log, and whether a proxy before it passes WebSocket messages "
        "on",
        "%s opens, but no TIMESTAMP came within %u s: it does not heed subscriptions, and "
        "no event would come",
        stream->name, stream->patience_s);
}

static bool is_device(const struct kx_ws_message *message)
{
    return memmem(message->data, message->length, "\"key\"", strlen("\"key\"")) != NULL;
}

static void no_device(const struct stream *stream)
{
    if (!stream->any_device)
        kx_probe_ok(stream->probe, "%s opens; no device is known, so there is none to deliver",
                    stream->name);
    else if (stream->mode == KX_MODE_MONITOR)
        kx_probe_fail(stream->probe, "leave out mode: monitor; mode auto gets the data by REST",
                      "%s opens, but delivered no device within %u s (a known Kismet fault)",
                      stream->name, stream->patience_s);
    else
        kx_probe_warn(stream->probe, "nothing to mend, the source polls by REST and misses nothing",
                      "%s opens, but delivered no device within %u s (a known Kismet fault)",
                      stream->name, stream->patience_s);
}

/* --- the loop --- */

static uint64_t tick(struct stream *stream, uint64_t now_ns)
{
    if (stream->conn == NULL)
        return UINT64_MAX;
    uint64_t next_ns = kx_conn_tick(stream->conn, now_ns);
    if (!stream->over && stream->due_ns != 0 && now_ns >= stream->due_ns) {
        stream->over = true;
        stream->missing(stream);
    }
    if (stream->over) {
        kx_conn_destroy(stream->conn);
        stream->conn = NULL;
        return UINT64_MAX;
    }
    return stream->due_ns != 0 && stream->due_ns < next_ns ? stream->due_ns : next_ns;
}

/* One wait for the sockets of both. */
static void wait_and_read(CURLM *multi, struct stream *streams, size_t count, uint64_t next_ns)
{
    struct curl_waitfd fds[2 * KX_CONN_FDS_MAX];
    size_t counts[2] = {0, 0};
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (streams[i].conn != NULL)
            counts[i] = kx_conn_fds(streams[i].conn, fds + total);
        total += counts[i];
    }
    int ready = 0;
    uint64_t now_ns = kx_clock_boot_ns();
    int wait_ms = next_ns <= now_ns ? 0 : kx_clock_poll_ms(next_ns, now_ns, WAIT_MS_MAX);
    curl_multi_poll(multi, fds, (unsigned)total, wait_ms, &ready);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (streams[i].conn != NULL && counts[i] > 0)
            kx_conn_ready(streams[i].conn, fds + at, counts[i], kx_clock_boot_ns());
        at += counts[i];
    }
}

static void drive(CURLM *multi, struct stream *streams, size_t count)
{
    for (;;) {
        uint64_t now_ns = kx_clock_boot_ns();
        uint64_t next_ns = UINT64_MAX;
        bool over = true;
        for (size_t i = 0; i < count; i++) {
            uint64_t stream_ns = tick(&streams[i], now_ns);
            next_ns = stream_ns < next_ns ? stream_ns : next_ns;
            over = over && streams[i].over;
        }
        if (over)
            return;
        wait_and_read(multi, streams, count, next_ns);
    }
}

static void begin(struct stream *stream, const struct kx_endpoint *endpoint, const char *path)
{
    struct kx_error err;
    if (kx_conn_create(&stream->conn, endpoint, path, &ops, stream, &err) == KX_OK) {
        kx_conn_start(stream->conn, kx_clock_boot_ns());
        return;
    }
    kx_probe_fail(stream->probe, NULL, "%s: %s", stream->name, err.text);
    stream->conn = NULL;
    stream->over = true;
}

static unsigned rate_s(const struct kx_source_config *config)
{
    uint64_t rate = (config->rate_ns + KX_NS_PER_S - 1) / KX_NS_PER_S;
    return rate < 1 ? 1 : rate > RATE_S_MAX ? RATE_S_MAX : (unsigned)rate;
}

void kx_probe_streams(struct kx_probe *probe, const struct kx_endpoint *endpoint, bool any_device)
{
    const struct kx_source_config *config = endpoint->config;
    char path[320] = "/devices/monitor.ws";
    char request[160];
    if (config->view != NULL)
        snprintf(path, sizeof path, "/devices/views/%.200s/monitor.ws", config->view);
    snprintf(request, sizeof request,
             "{\"monitor\":\"*\",\"request\":1,\"rate\":%u,\"format\":\"json\","
             "\"fields\":[[\"kismet.device.base.key\",\"key\"]]}",
             rate_s(config));
    struct stream streams[] = {{.probe = probe,
                                .name = "eventbus.ws",
                                .request = "{\"SUBSCRIBE\":\"TIMESTAMP\"}",
                                .wanted = is_heartbeat,
                                .missing = no_heartbeat,
                                .patience_s = HEARTBEAT_S},
                               {.probe = probe,
                                .name = "monitor.ws",
                                .request = request,
                                .wanted = is_device,
                                .missing = no_device,
                                .patience_s = any_device ? RATES_PATIENCE * rate_s(config) : 0,
                                .any_device = any_device,
                                .mode = config->mode}};
    CURLM *multi = curl_multi_init();
    if (multi == NULL) {
        kx_probe_fail(probe, NULL, "no memory for the WebSockets");
        return;
    }
    begin(&streams[0], endpoint, "/eventbus/events.ws");
    if (config->mode == KX_MODE_POLL) {
        kx_probe_ok(probe, "monitor.ws is not used: the source polls (mode: poll)");
        streams[1].over = true;
    } else {
        begin(&streams[1], endpoint, path);
    }
    drive(multi, streams, 2);
    curl_multi_cleanup(multi);
}
