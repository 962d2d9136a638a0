/* The commands by which a test steers the stand-in and reads what it did. */
#include "control.h"

#include "events.h"
#include "play.h"
#include "rest.h"
#include "stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

const char control_help[] =
    "faults: monitor changed|repeat|once|never; timestamp on|stalled|recorded\n"
    "        rest ok|slow|fail503|fail404|fail401|hang|half; slow-ms N\n"
    "        handshake ok|stall|reject401|reject404|reject503|badaccept\n"
    "        eventbus ok|ignore; duplicate-events on|off; admin set|unset\n"
    "        datasource ok|error|stopped|none\n"
    "        clock-skew SECONDS; packet-clock SECONDS\n"
    "        pushes on|off (monitor held back); sending on|off (all silent)\n"
    "do:     close|reset [monitor|eventbus]  without a close frame | by RST\n"
    "        freeze, thaw                    nothing changes any more, again\n"
    "        change N, add N                 synthetic devices, now\n"
    "        put RECORD                      a device's whole record\n"
    "        event {\"TOPIC\": {...}}          an event\n"
    "        raw monitor|eventbus TEXT       a frame to every such client\n"
    "        quit\n"
    "ask:    stats                           JSON\n"
    "        clients                         MONITOR EVENTBUS connections\n"
    "        pushes                          monitor frames queued so far\n"
    "        done?                           yes: the capture is played and sent\n"
    "        truth FILE, events FILE         all records, all events, one a line\n"
    "        faults, help\n";

enum {
    LINE_BYTES_MAX = 1 << 20,
};

struct conversation {
    struct text in;
    struct text out;
    bool quit;
};

struct command {
    const char *name;
    void (*run)(struct sim *s, char *argument, struct text *reply);
};

static int kind_of(const char *word)
{
    return strcmp(word, "monitor") == 0    ? CLIENT_MONITOR
           : strcmp(word, "eventbus") == 0 ? CLIENT_EVENTBUS
                                           : -1;
}

static void end_clients(struct sim *s, const char *which, bool reset, struct text *reply)
{
    if (*which && strcmp(which, "all") != 0 && kind_of(which) < 0)
        text_adds(reply, "error expected monitor, eventbus or nothing");
    else
        text_addf(reply, "ok %zu", stream_close(s, kind_of(which), reset));
}

static void do_close(struct sim *s, char *argument, struct text *reply)
{
    end_clients(s, argument, false, reply);
}

static void do_reset(struct sim *s, char *argument, struct text *reply)
{
    end_clients(s, argument, true, reply);
}

static void do_freeze(struct sim *s, char *argument, struct text *reply)
{
    (void)argument;
    play_freeze(s, true);
    text_adds(reply, "ok");
}

static void do_thaw(struct sim *s, char *argument, struct text *reply)
{
    (void)argument;
    play_freeze(s, false);
    text_adds(reply, "ok");
}

static void do_change(struct sim *s, char *argument, struct text *reply)
{
    text_addf(reply, "ok %zu", play_change(s, strtoul(argument, NULL, 10), real_ns()));
}

static void do_add(struct sim *s, char *argument, struct text *reply)
{
    size_t before = s->scene.count;
    synth_add(&s->scene, strtoul(argument, NULL, 10), sim_packet_s(s), sim_clock_s(s));
    for (size_t i = before; i < s->scene.count; i++)
        events_new_device(s, &s->scene.device[i]);
    text_addf(reply, "ok %zu", s->scene.count);
}

static void do_put(struct sim *s, char *argument, struct text *reply)
{
    struct span record = json_document(argument, strlen(argument));
    text_adds(reply,
              scene_put(&s->scene, record) ? "ok" : "error no JSON object with a device key");
}

static void do_event(struct sim *s, char *argument, struct text *reply)
{
    struct span event = json_document(argument, strlen(argument));
    text_adds(reply, events_publish(s, event) ? "ok" : "error no JSON object with a topic");
}

static void do_raw(struct sim *s, char *argument, struct text *reply)
{
    char *kind = strsep(&argument, " ");
    if (kind_of(kind) < 0 || !argument) {
        text_adds(reply, "error expected raw monitor|eventbus TEXT");
        return;
    }
    stream_raw(s, (enum client_kind)kind_of(kind), (struct span){argument, strlen(argument)});
    text_adds(reply, "ok");
}

static void do_stats(struct sim *s, char *argument, struct text *reply)
{
    (void)argument;
    text_addf(reply,
              "ok {\"connections\": {\"monitor\": %zu, \"eventbus\": %zu}, \"devices\": %zu, "
              "\"changes\": %llu, \"events\": %zu, \"pushed\": %llu, \"events_queued\": %llu, "
              "\"seconds\": %llu, \"drained\": %s, \"queued_frames_longest\": %zu, \"rest\": {",
              stream_clients(s, CLIENT_MONITOR), stream_clients(s, CLIENT_EVENTBUS), s->scene.count,
              (unsigned long long)s->scene.changes, s->events->count, (unsigned long long)s->pushed,
              (unsigned long long)s->events_queued, (unsigned long long)s->seconds,
              stream_drained(s) ? "true" : "false", stream_longest(s));
    for (int r = ROUTE_DEVICES; r < ROUTE_COUNT; r++)
        text_addf(reply, "%s\"%s\": %llu", r == ROUTE_DEVICES ? "" : ", ",
                  route_name((enum route)r), (unsigned long long)s->served[r]);
    text_adds(reply, "}, \"faults\": ");
    faults_print(&s->faults, reply);
    text_adds(reply, ", \"capture\": ");
    if (s->player)
        player_print(s->player, reply);
    else
        text_adds(reply, "null");
    text_adds(reply, ", \"clients\": ");
    stream_print(s, reply);
    text_adds(reply, "}");
}

static void write_file(const char *path, const struct text *lines, size_t count, struct text *reply)
{
    FILE *file = fopen(path, "wb");
    bool good = file && (lines->length == 0 || fwrite(lines->at, lines->length, 1, file) == 1);
    if (file)
        good = fclose(file) == 0 && good;
    if (good)
        text_addf(reply, "ok %zu", count);
    else
        text_addf(reply, "error %s: %s", path, strerror(errno));
}

static void do_truth(struct sim *s, char *argument, struct text *reply)
{
    struct text lines = {0};
    for (size_t i = 0; i < s->scene.count; i++) {
        text_addspan(&lines, text_span(&s->scene.device[i].record));
        text_adds(&lines, "\n");
    }
    write_file(argument, &lines, s->scene.count, reply);
    text_free(&lines);
}

static void do_events(struct sim *s, char *argument, struct text *reply)
{
    struct text lines = {0};
    for (size_t i = 0; i < s->events->count; i++) {
        text_addspan(&lines, text_span(&s->events->event[i].all));
        text_adds(&lines, "\n");
    }
    write_file(argument, &lines, s->events->count, reply);
    text_free(&lines);
}

static void do_done(struct sim *s, char *argument, struct text *reply)
{
    (void)argument;
    text_adds(reply, s->player && player_done(s->player) ? "ok yes" : "ok no");
}

static void do_clients(struct sim *s, char *argument, struct text *reply)
{
    (void)argument;
    text_addf(reply, "ok %zu %zu", stream_clients(s, CLIENT_MONITOR),
              stream_clients(s, CLIENT_EVENTBUS));
}

static void do_faults(struct sim *s, char *argument, struct text *reply)
{
    (void)argument;
    text_adds(reply, "ok ");
    faults_print(&s->faults, reply);
}

static void do_help(struct sim *s, char *argument, struct text *reply)
{
    (void)s;
    (void)argument;
    text_adds(reply, "ok ");
    for (const char *at = control_help; *at; at++)
        text_add(reply, *at == '\n' ? ";" : at, 1);
}

static const struct command commands[] = {
    {"close", do_close},   {"reset", do_reset},     {"freeze", do_freeze}, {"thaw", do_thaw},
    {"change", do_change}, {"add", do_add},         {"put", do_put},       {"event", do_event},
    {"raw", do_raw},       {"stats", do_stats},     {"truth", do_truth},   {"events", do_events},
    {"done?", do_done},    {"clients", do_clients}, {"faults", do_faults}, {"help", do_help},
};

static void run_line(struct sim *s, struct conversation *c, char *line)
{
    char *argument = line, *name = strsep(&argument, " ");
    argument = argument ? argument + strspn(argument, " ") : line + strlen(line);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, name) == 0) {
            commands[i].run(s, argument, &c->out);
            text_adds(&c->out, "\n");
            return;
        }
    }
    struct text why = {0};
    c->quit = strcmp(name, "quit") == 0;
    if (c->quit)
        text_adds(&c->out, "ok");
    else if (strcmp(name, "pushes") == 0 && !*argument)
        text_addf(&c->out, "ok %llu", (unsigned long long)s->pushed);
    else if (faults_set(&s->faults, name, argument, &why))
        text_adds(&c->out, "ok");
    else
        text_addf(&c->out, "error %s", text_c(&why));
    text_adds(&c->out, "\n");
    text_free(&why);
    stream_wake(s); /* `sending on` lets the queues go */
}

/* True = this conversation is over. */
static bool listen_to(struct sim *s, struct conversation *c, const void *bytes, size_t length)
{
    text_add(&c->in, bytes, length);
    char *newline;
    while (c->in.length && (newline = memchr(c->in.at, '\n', c->in.length))) {
        size_t used = (size_t)(newline - c->in.at) + 1;
        *newline = '\0';
        if (used > 1 && newline[-1] == '\r')
            newline[-1] = '\0';
        run_line(s, c, c->in.at);
        memmove(c->in.at, c->in.at + used, c->in.length - used);
        c->in.length -= used;
    }
    return c->in.length > LINE_BYTES_MAX;
}

static bool reply(struct sim *s, struct lws *wsi, struct conversation *c)
{
    if (c->out.length) {
        struct text room = {0};
        text_room(&room, LWS_PRE + c->out.length);
        memcpy(room.at + LWS_PRE, c->out.at, c->out.length);
        int n = lws_write(wsi, (unsigned char *)room.at + LWS_PRE, c->out.length, LWS_WRITE_RAW);
        text_free(&room);
        c->out.length = 0;
        if (n < 0)
            return true;
        lws_callback_on_writable(wsi);
        return false;
    }
    s->quit = s->quit || c->quit;
    return false;
}

static int
on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length)
{
    struct sim *s = lws_context_user(lws_get_context(wsi));
    struct conversation *c = user;
    switch (reason) {
    case LWS_CALLBACK_RAW_RX:
        if (listen_to(s, c, in, length))
            return -1;
        lws_callback_on_writable(wsi);
        return 0;
    case LWS_CALLBACK_RAW_WRITEABLE:
        return reply(s, wsi, c) ? -1 : 0;
    case LWS_CALLBACK_RAW_CLOSE:
        text_free(&c->in);
        text_free(&c->out);
        return 0;
    default:
        return 0;
    }
}

/* The listening socket: lws sees it as a file that becomes readable when somebody connects. */
static int
on_connect(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length)
{
    (void)user;
    (void)in;
    (void)length;
    if (reason != LWS_CALLBACK_RAW_RX_FILE)
        return 0;
    lws_sock_file_fd_type fd = {
        .sockfd = accept4(lws_get_socket_fd(wsi), NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (fd.sockfd >= 0)
        lws_adopt_descriptor_vhost(lws_get_vhost(wsi), LWS_ADOPT_SOCKET, fd, "control", NULL);
    return 0;
}

static const struct lws_protocols protocols[] = {
    {.name = "control", .callback = on_event, .per_session_data_size = sizeof(struct conversation)},
    {.name = "connect", .callback = on_connect},
    {.name = NULL},
};

static int listen_on(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    unlink(path);
    if (fd >= 0 &&
        (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 16) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

bool control_open(struct sim *s)
{
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER, .protocols = protocols, .vhost_name = "control"};
    struct lws_vhost *vhost = lws_create_vhost(s->lws, &info);
    lws_sock_file_fd_type fd = {.filefd = listen_on(s->options.control)};
    if (vhost && fd.filefd >= 0 &&
        lws_adopt_descriptor_vhost(vhost, LWS_ADOPT_RAW_FILE_DESC, fd, "connect", NULL))
        return true;
    fprintf(stderr, "kismet-sim: --control %s: %s\n", s->options.control, strerror(errno));
    return false;
}

void control_close(struct sim *s)
{
    unlink(s->options.control);
}
