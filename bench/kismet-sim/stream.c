/* WebSocket connections: requests in, frames out.
 *
 * A monitor request has its own timer. A tick looks at all devices, in slices, so that the first
 * frames of a burst leave while the last ones are still being rendered. */
#include "stream.h"

#include "program.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum {
    FRAGMENT_BYTES = 4096, /* Kismet's WebSocket library cuts messages here */
    SLICE_DEVICES = 512,   /* devices rendered before the sockets get their turn */
    SEND_BYTES = 1 << 20,  /* written to one socket before the others get their turn */
    REQUEST_BYTES_MAX = 1 << 20,
};

struct request { /* a monitor request or an eventbus subscription */
    struct request *next;
    struct client *client;
    struct program *program;
    char *topic; /* eventbus */
    /* the rest: monitor */
    int64_t id;
    bool everything;
    char *key; /* NULL: mac and mask decide */
    uint64_t mac;
    uint64_t mask;
    int64_t rate_s;
    uint64_t ticks;
    uint64_t next_ns;       /* CLOCK_MONOTONIC of the next tick */
    uint64_t due_ns;        /* CLOCK_REALTIME of the tick that is under way */
    uint64_t start_version; /* scene.changes when it was made */
    uint64_t seen_version;  /* changes up to here were pushed */
    uint64_t sweep_version; /* becomes seen_version when the sweep is over */
    size_t cursor;          /* where the sweep goes on */
    lws_sorted_usec_list_t timer;
};

struct client {
    struct client *next;
    struct sim *sim;
    struct lws *wsi;
    uint64_t id;
    enum client_kind kind;
    char *view;
    struct request *requests;
    struct frame_queue queue;
    size_t offset; /* of the frame at the head: what was sent of it in fragments */
    struct text incoming;
    uint64_t frames_sent;
    uint64_t bytes_sent;
    uint64_t subscribed_ns;
};

static void request_destroy(struct request *r)
{
    lws_sul_cancel(&r->timer);
    program_put(&r->client->sim->programs, r->program);
    free(r->topic);
    free(r->key);
    free(r);
}

struct client *
client_create(struct sim *s, struct lws *wsi, enum client_kind kind, const char *view)
{
    struct client *c = xmalloc(sizeof(*c));
    *c = (struct client){.next = s->clients,
                         .sim = s,
                         .wsi = wsi,
                         .id = ++s->next_client,
                         .kind = kind,
                         .view = xstrdup(view)};
    s->clients = c;
    return c;
}

void client_destroy(struct client *c)
{
    struct client **at = &c->sim->clients;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    while (c->requests) {
        struct request *r = c->requests;
        c->requests = r->next;
        request_destroy(r);
    }
    frame_queue_fini(&c->queue);
    text_free(&c->incoming);
    free(c->view);
    free(c);
}

static void enqueue(struct client *c, struct frame *f)
{
    frame_queue_push(&c->queue, f);
    lws_callback_on_writable(c->wsi);
}

static bool wanted(const struct request *r, const struct device *d)
{
    const struct scene *scene = &r->client->sim->scene;
    if (strcmp(r->client->view, "all") != 0 && !scene_in_view(scene, d, r->client->view))
        return false;
    if (r->everything)
        return true;
    return r->key ? strcasecmp(r->key, d->key) == 0 : (d->mac & r->mask) == (r->mac & r->mask);
}

static void push(struct request *r, size_t index, uint64_t due_ns)
{
    struct sim *s = r->client->sim;
    struct frame *f = program_device(r->program, &s->scene, index, s->options.due ? due_ns : 0);
    enqueue(r->client, f);
    frame_release(f);
    s->pushed++;
}

/* Does this tick owe this device to this request? */
static bool owed(const struct request *r, const struct device *d)
{
    switch ((enum monitor_mode)r->client->sim->faults.monitor) {
    case MONITOR_NEVER:
        return false;
    case MONITOR_REPEAT:
        return true;
    case MONITOR_ONCE:
        return r->ticks == 0;
    case MONITOR_CHANGED:
        break;
    }
    if (d->version <= r->start_version)
        return r->ticks == 0;
    /* What was streamed since the request was made has arrived already. */
    return d->version > r->seen_version && d->version != d->streamed;
}

static void sweep(lws_sorted_usec_list_t *timer);

static void schedule(struct request *r)
{
    uint64_t now = mono_ns();
    r->next_ns += (uint64_t)r->rate_s * 1000000000u;
    /* A sweep that took longer than the rate skips ticks, as Kismet's timer does. */
    if (r->next_ns < now)
        r->next_ns = now;
    lws_sul_schedule(r->client->sim->lws, 0, &r->timer, sweep,
                     (lws_usec_t)((r->next_ns - now) / 1000) + 1);
}

static void sweep(lws_sorted_usec_list_t *timer)
{
    struct request *r = lws_container_of(timer, struct request, timer);
    struct sim *s = r->client->sim;
    if (s->faults.pushes) { /* held back: look again soon, the tick is not lost */
        lws_sul_schedule(s->lws, 0, timer, sweep, 20 * LWS_US_PER_MS);
        return;
    }
    if (r->cursor == 0) {
        uint64_t late = mono_ns() - r->next_ns;
        r->due_ns = real_ns() - (late < 10000000000u ? late : 0);
        r->sweep_version = s->scene.changes;
    }
    size_t pushed = 0;
    for (; r->cursor < s->scene.count && pushed < SLICE_DEVICES; r->cursor++) {
        const struct device *d = &s->scene.device[r->cursor];
        if (owed(r, d) && wanted(r, d)) {
            push(r, r->cursor, r->due_ns);
            pushed++;
        }
    }
    if (r->cursor < s->scene.count) {
        lws_sul_schedule(s->lws, 0, timer, sweep, 1);
        return;
    }
    /* While the fault lasts nothing counts as seen, so that its end brings what was held back. */
    if (s->faults.monitor == MONITOR_CHANGED) {
        r->seen_version = r->sweep_version;
        r->ticks++;
    } else if (s->faults.monitor != MONITOR_NEVER) {
        r->ticks++;
    }
    r->cursor = 0;
    schedule(r);
}

static void drop_request(struct client *c, int64_t id, const char *topic)
{
    for (struct request **at = &c->requests; *at;) {
        struct request *r = *at;
        if (topic ? strcmp(r->topic, topic) == 0 : r->id == id) {
            *at = r->next;
            request_destroy(r);
        } else {
            at = &r->next;
        }
    }
}

/* "*", a device key, a MAC, or MAC/mask. */
static bool set_target(struct request *r, char *target)
{
    uint64_t mac = 0, mask = 0xffffffffffffu;
    r->everything = strcmp(target, "*") == 0;
    size_t used = mac_parse(target, &mac);
    bool is_mac = used && (target[used] == '\0' ||
                           (target[used] == '/' && mac_parse(target + used + 1, &mask)));
    if (!r->everything && !is_mac && strchr(target, '_'))
        r->key = xstrdup(target);
    r->mac = mac;
    r->mask = mask;
    return r->everything || is_mac || r->key;
}

static const char *monitor_message(struct client *c, struct span message)
{
    struct sim *s = c->sim;
    struct span monitor = json_get(message, "monitor");
    int64_t id = 0, rate = s->options.rate_default;
    if (json_integer(json_get(message, "cancel"), &id))
        drop_request(c, id, NULL);
    if (!monitor.at)
        return NULL;
    if (!json_integer(json_get(message, "request"), &id))
        return "no request number";
    json_integer(json_get(message, "rate"), &rate);
    if (rate < 1)
        return "no rate in whole seconds";
    char *target = json_text(monitor);
    struct request *r = xmalloc(sizeof(*r));
    *r = (struct request){.client = c, .id = id, .rate_s = rate};
    const char *why = target && set_target(r, target) ? NULL : "invalid device reference";
    free(target);
    if (!why)
        r->program = program_get(&s->programs, json_get(message, "fields"), &why);
    if (why) {
        request_destroy(r);
        return why;
    }
    drop_request(c, id, NULL);
    r->next = c->requests;
    c->requests = r;
    r->start_version = r->seen_version = s->scene.changes;
    r->next_ns = mono_ns();
    c->subscribed_ns = r->next_ns;
    schedule(r);
    return NULL;
}

static const char *eventbus_message(struct client *c, struct span message)
{
    struct sim *s = c->sim;
    char *off = json_text(json_get(message, "UNSUBSCRIBE"));
    if (off)
        drop_request(c, 0, off);
    free(off);
    char *topic = json_text(json_get(message, "SUBSCRIBE"));
    if (!topic || s->faults.eventbus) {
        free(topic);
        return NULL;
    }
    const char *why = NULL;
    struct program *program = program_get(&s->programs, json_get(message, "fields"), &why);
    if (!program) {
        free(topic);
        return why;
    }
    drop_request(c, 0, topic);
    struct request *r = xmalloc(sizeof(*r));
    *r = (struct request){.next = c->requests, .client = c, .program = program, .topic = topic};
    c->requests = r;
    c->subscribed_ns = mono_ns();
    return NULL;
}

bool client_receive(struct client *c, const void *bytes, size_t length)
{
    if (lws_frame_is_binary(c->wsi))
        return true;
    text_add(&c->incoming, bytes, length);
    if (c->incoming.length > REQUEST_BYTES_MAX)
        return true;
    if (!lws_is_final_fragment(c->wsi) || lws_remaining_packet_payload(c->wsi))
        return false;
    struct span message = json_document(c->incoming.at, c->incoming.length);
    const char *why = !message.at || *message.at != '{' ? "not a JSON object"
                      : c->kind == CLIENT_MONITOR       ? monitor_message(c, message)
                                                        : eventbus_message(c, message);
    if (why) /* Kismet only logs it: the client hears nothing */
        fprintf(stderr, "kismet-sim: client %llu: bad request: %s: %.*s\n",
                (unsigned long long)c->id, why,
                (int)(c->incoming.length < 200 ? c->incoming.length : 200), c->incoming.at);
    c->incoming.length = 0;
    return false;
}

/* One message, or the next fragment of a long one; false = the socket is dead. */
static bool write_head(struct client *c, struct frame *f)
{
    size_t left = f->length - c->offset;
    size_t length = left < FRAGMENT_BYTES ? left : FRAGMENT_BYTES;
    int how = c->offset == 0 ? LWS_WRITE_TEXT : LWS_WRITE_CONTINUATION;
    unsigned char *bytes = frame_bytes(f) + c->offset;
    /* lws_write() puts its header before the payload: within a message that would be over bytes
     * which other clients may still have to send. */
    unsigned char scratch[LWS_PRE + FRAGMENT_BYTES];
    if (c->offset > 0)
        bytes = memcpy(scratch + LWS_PRE, bytes, length);
    if (length < left)
        how |= LWS_WRITE_NO_FIN;
    if (lws_write(c->wsi, bytes, length, (enum lws_write_protocol)how) < 0)
        return false;
    c->bytes_sent += length;
    c->offset += length;
    if (length == left) {
        c->offset = 0;
        c->frames_sent++;
        frame_queue_drop(&c->queue);
    }
    return true;
}

bool client_send(struct client *c)
{
    struct frame *f;
    uint64_t until = c->bytes_sent + SEND_BYTES;
    if (c->sim->faults.sending)
        return false;
    while ((f = frame_queue_peek(&c->queue)) && c->bytes_sent < until &&
           !lws_partial_buffered(c->wsi)) {
        if (!write_head(c, f))
            return true;
    }
    if (f)
        lws_callback_on_writable(c->wsi);
    return false;
}

void stream_device(struct sim *s, struct device *d, uint64_t due_ns)
{
    if (s->faults.monitor != MONITOR_CHANGED || s->faults.pushes)
        return;
    size_t index = (size_t)(d - s->scene.device);
    for (struct client *c = s->clients; c; c = c->next) {
        for (struct request *r = c->kind == CLIENT_MONITOR ? c->requests : NULL; r; r = r->next) {
            if (wanted(r, d))
                push(r, index, due_ns);
        }
    }
    d->streamed = d->version;
}

void stream_event(struct sim *s, const char *topic, struct span message)
{
    for (struct client *c = s->clients; c; c = c->next) {
        for (struct request *r = c->kind == CLIENT_EVENTBUS ? c->requests : NULL; r; r = r->next) {
            if (strcmp(r->topic, topic) != 0 && strcmp(r->topic, "*") != 0)
                continue;
            struct frame *f = program_event(r->program, message);
            enqueue(c, f);
            frame_release(f);
            s->events_queued++;
        }
    }
}

void stream_raw(struct sim *s, enum client_kind kind, struct span message)
{
    struct frame *f = frame_create(message);
    for (struct client *c = s->clients; c; c = c->next) {
        if (c->kind == kind)
            enqueue(c, f);
    }
    frame_release(f);
}

size_t stream_close(struct sim *s, int kind, bool reset)
{
    size_t closed = 0;
    for (struct client *c = s->clients; c; c = c->next) {
        if (kind >= 0 && (int)c->kind != kind)
            continue;
        /* Dissolving the association of a connected socket is what makes Linux send a RST now,
         * whatever is still in its buffers. */
        struct sockaddr none = {.sa_family = AF_UNSPEC};
        if (reset)
            connect(lws_get_socket_fd(c->wsi), &none, sizeof(none));
        lws_set_timeout(c->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC);
        closed++;
    }
    return closed;
}

void stream_wake(struct sim *s)
{
    for (struct client *c = s->clients; c; c = c->next)
        lws_callback_on_writable(c->wsi);
}

size_t stream_clients(const struct sim *s, enum client_kind kind)
{
    size_t n = 0;
    for (const struct client *c = s->clients; c; c = c->next)
        n += c->kind == kind;
    return n;
}

size_t stream_subscribed(const struct sim *s, enum client_kind kind)
{
    size_t n = 0;
    for (const struct client *c = s->clients; c; c = c->next)
        n += c->kind == kind && c->requests;
    return n;
}

uint64_t stream_subscribed_ns(const struct sim *s)
{
    uint64_t newest = 0;
    for (const struct client *c = s->clients; c; c = c->next)
        newest = c->subscribed_ns > newest ? c->subscribed_ns : newest;
    return newest;
}

size_t stream_longest(const struct sim *s)
{
    size_t longest = 0;
    for (const struct client *c = s->clients; c; c = c->next) {
        size_t n = frame_queue_length(&c->queue);
        longest = n > longest ? n : longest;
    }
    return longest;
}

bool stream_drained(const struct sim *s)
{
    for (struct client *c = s->clients; c; c = c->next) {
        if (frame_queue_length(&c->queue) || lws_partial_buffered(c->wsi))
            return false;
    }
    return true;
}

void stream_print(const struct sim *s, struct text *out)
{
    text_adds(out, "[");
    for (const struct client *c = s->clients; c; c = c->next) {
        size_t requests = 0;
        for (const struct request *r = c->requests; r; r = r->next)
            requests++;
        text_addf(out,
                  "%s{\"id\": %llu, \"kind\": \"%s\", \"view\": \"%s\", \"requests\": %zu, "
                  "\"frames_sent\": %llu, \"bytes_sent\": %llu, \"queued_frames\": %zu, "
                  "\"queued_bytes\": %zu}",
                  c == s->clients ? "" : ", ", (unsigned long long)c->id,
                  c->kind == CLIENT_MONITOR ? "monitor" : "eventbus", c->view, requests,
                  (unsigned long long)c->frames_sent, (unsigned long long)c->bytes_sent,
                  frame_queue_length(&c->queue), c->queue.bytes);
    }
    text_adds(out, "]");
}
