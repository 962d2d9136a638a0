/* kismet-sim: a Kismet stand-in for the demo, the tests and the measurements. Options and clocks.
 *
 * Everything that can be answered without a radio is answered as Kismet answers it; what Kismet
 * does wrong at random can be switched on and off here. */
#include "control.h"
#include "events.h"
#include "play.h"
#include "server.h"

#include <argp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t real_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

uint64_t mono_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t sim_clock_ns(const struct sim *s)
{
    return (uint64_t)((int64_t)real_ns() + (int64_t)s->faults.skew_s * 1000000000);
}

int64_t sim_clock_s(const struct sim *s)
{
    return (int64_t)(sim_clock_ns(s) / 1000000000u);
}

int64_t sim_packet_s(const struct sim *s)
{
    return (int64_t)(real_ns() / 1000000000u) + s->faults.packets_s;
}

void sim_note(const struct sim *s, const char *format, ...)
{
    if (!s->options.verbose)
        return;
    va_list args;
    va_start(args, format);
    fputs("kismet-sim: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

enum {
    OPT_BIND = 256,
    OPT_CAPTURE,
    OPT_DEVICES,
    OPT_SPEED,
    OPT_LOOP,
    OPT_WAIT,
    OPT_RATE,
    OPT_CHANGE,
    OPT_SHAPE,
    OPT_FULL,
    OPT_DUE,
    OPT_ILL_FORMED,
    OPT_SEED,
    OPT_UUID,
    OPT_EVENTS,
    OPT_BACKLOG,
    OPT_DURATION,
    OPT_PREFIX,
    OPT_KEY,
    OPT_USER,
    OPT_PASSWORD,
    OPT_TLS_CERT,
    OPT_TLS_KEY,
    OPT_TLS_CA,
    OPT_TLS_MIN,
    OPT_TLS_MAX,
    OPT_PING,
    OPT_CONTROL,
    OPT_VERBOSE,
    OPT_FAULT, /* from here on: by name, see faults.c */
};

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "What there is to see:", 1},
    {"devices", OPT_DEVICES, "N", 0, "N synthetic devices (default 100 without --capture)", 1},
    {"change", OPT_CHANGE, "PERCENT", 0, "Share of them that changes each second (default 10)", 1},
    {"shape", OPT_SHAPE, "burst|smooth", 0,
     "burst: pushed at the tick, as Kismet does. smooth: spread over the second, each pushed at "
     "once",
     1},
    {"full", OPT_FULL, NULL, 0, "Records of 14 kB, as real ones, instead of 1.2 kB", 1},
    {"ill-formed", OPT_ILL_FORMED, NULL, 0, "Some names hold C0 80 or F5 80 80 80", 1},
    {"due", OPT_DUE, NULL, 0,
     "Who asks for the field kismet.sim.due_ns gets the time (CLOCK_REALTIME, ns, as text) at "
     "which the push was due",
     1},
    {"events-per-second", OPT_EVENTS, "N", 0, "Synthetic ALERT and NEW_DEVICE events, in turn", 1},
    {"seed", OPT_SEED, "N", 0, "Same seed, same devices (default 1)", 1},
    {"uuid", OPT_UUID, "UUID", 0, "kismet.server.uuid", 1},
    {"capture", OPT_CAPTURE, "FILE", 0,
     ".ndjson[.zst]: frames, played at their time; .itjson[.zst]: devices, all known at once", 1},
    {"speed", OPT_SPEED, "X|max", 0, "Play X times as fast, or as fast as the clients read", 1},
    {"loop", OPT_LOOP, NULL, 0, "Play again from the start, for ever", 1},
    {"wait-for", OPT_WAIT, "LIST|none", 0,
     "Who must have subscribed before a capture begins (default monitor,eventbus)", 1},
    {NULL, 0, NULL, 0, "The server:", 2},
    {"port", 'p', "N", 0, "0 = a free one (default 2501)", 2},
    {"bind", OPT_BIND, "ADDR", 0, "Default 127.0.0.1", 2},
    {"prefix", OPT_PREFIX, "/PATH", 0, "As Kismet's httpd_uri_prefix", 2},
    {"api-key", OPT_KEY, "KEY", 0,
     "Wanted as cookie KISMET=KEY. Without any credential option everybody may in", 2},
    {"user", OPT_USER, "NAME", 0, "The admin's login, for HTTP Basic", 2},
    {"password", OPT_PASSWORD, "TEXT", 0, "", 2},
    {"tls-cert", OPT_TLS_CERT, "FILE", 0, "Serve https and wss", 2},
    {"tls-key", OPT_TLS_KEY, "FILE", 0, "", 2},
    {"tls-ca", OPT_TLS_CA, "FILE", 0, "Clients need a certificate of this CA", 2},
    {"tls-min", OPT_TLS_MIN, "VERSION", 0, "1.0, 1.1, 1.2 or 1.3", 2},
    {"tls-max", OPT_TLS_MAX, "VERSION", 0, "", 2},
    {"rate-default", OPT_RATE, "SECONDS", 0,
     "For monitor requests without a rate (default 0: refused, as Kismet does)", 2},
    {"alert-backlog", OPT_BACKLOG, "N", 0, "Alerts that REST still knows (default 50)", 2},
    {"ping", OPT_PING, "SECONDS", 0, "Between WebSocket pings (default 30)", 2},
    {"duration", OPT_DURATION, "SECONDS", 0, "Then exit", 2},
    {"control", OPT_CONTROL, "PATH", 0, "Unix socket for commands, see below", 2},
    {"verbose", OPT_VERBOSE, NULL, 0, "Say on stderr what happens", 2},
    {NULL, 0, NULL, 0, "Faults, also to be set by command:", 3},
    {"monitor", OPT_FAULT, "MODE", 0, "changed (a correct Kismet), repeat, once, never", 3},
    {"timestamp", OPT_FAULT + 1, "MODE", 0, "on, stalled, recorded", 3},
    {"rest", OPT_FAULT + 2, "MODE", 0, "ok, slow, fail503, fail404, fail401, hang, half", 3},
    {"slow-ms", OPT_FAULT + 3, "N", 0, "What `slow` waits (default 2000)", 3},
    {"handshake", OPT_FAULT + 4, "MODE", 0, "ok, stall, reject401, reject404, reject503, badaccept",
     3},
    {"eventbus", OPT_FAULT + 5, "MODE", 0, "ok, ignore (no SUBSCRIBE is heard)", 3},
    {"duplicate-events", OPT_FAULT + 6, "on|off", 0, "Each event twice", 3},
    {"datasource", OPT_FAULT + 7, "MODE", 0, "ok, error, stopped, none", 3},
    {"clock-skew", OPT_FAULT + 8, "SECONDS", 0,
     "The server's clock is ahead: TIMESTAMP, mod_time, system/timestamp", 3},
    {"packet-clock", OPT_FAULT + 9, "SECONDS", 0,
     "The packets' clock is ahead: first_time, last_time", 3},
    {"admin", OPT_FAULT + 10, "MODE", 0, "set, unset (no admin password yet: nobody gets in)", 3},
    {NULL, 0, NULL, 0, NULL, 0},
};

static double number(struct argp_state *state, const char *text, double min, double max)
{
    char *stop;
    double n = strtod(text, &stop);
    if (*stop || stop == text || n < min || n > max)
        argp_error(state, "'%s' is not a number from %g to %g", text, min, max);
    return n;
}

static const char *one_of(struct argp_state *state, const char *text, const char *const *words)
{
    for (size_t i = 0; words[i]; i++) {
        if (strcmp(text, words[i]) == 0)
            return text;
    }
    argp_error(state, "'%s' is none of the values that --help names", text);
    return text;
}

static void set_fault(struct sim *s, int key, const char *value, struct argp_state *state)
{
    struct text why = {0};
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (options[i].key == key && !faults_set(&s->faults, options[i].name, value, &why))
            argp_error(state, "%s", text_c(&why));
    }
    text_free(&why);
}

static error_t parse_scene(int key, char *arg, struct argp_state *state)
{
    struct sim_options *o = &((struct sim *)state->input)->options;
    switch (key) {
    case OPT_DEVICES:
        o->devices = (size_t)number(state, arg, 0, 2e6);
        return 0;
    case OPT_CHANGE:
        o->change_percent = number(state, arg, 0, 100000);
        return 0;
    case OPT_SHAPE:
        o->smooth = *one_of(state, arg, (const char *const[]){"burst", "smooth", NULL}) == 's';
        return 0;
    case OPT_FULL:
        o->scene.full = true;
        return 0;
    case OPT_ILL_FORMED:
        o->scene.ill_formed = true;
        return 0;
    case OPT_DUE:
        o->due = true;
        return 0;
    case OPT_EVENTS:
        o->events_per_second = number(state, arg, 0, 1e6);
        return 0;
    case OPT_SEED:
        o->scene.seed = (uint64_t)number(state, arg, 0, 1e15);
        return 0;
    case OPT_UUID:
        o->scene.uuid = arg;
        return 0;
    case OPT_CAPTURE:
        o->capture = arg;
        return 0;
    case OPT_SPEED:
        o->speed = strcmp(arg, "max") == 0 ? 0 : number(state, arg, 0.001, 1e6);
        return 0;
    case OPT_LOOP:
        o->loop = true;
        return 0;
    case OPT_WAIT:
        o->wait_monitor = strstr(arg, "monitor") != NULL;
        o->wait_eventbus = strstr(arg, "eventbus") != NULL;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_server(int key, char *arg, struct argp_state *state)
{
    static const char *const versions[] = {"1.0", "1.1", "1.2", "1.3", NULL};
    struct sim_options *o = &((struct sim *)state->input)->options;
    switch (key) {
    case 'p':
        o->port = (int)number(state, arg, 0, 65535);
        return 0;
    case OPT_BIND:
        o->bind = arg;
        return 0;
    case OPT_PREFIX:
        o->prefix = arg;
        return 0;
    case OPT_KEY:
        o->api_key = arg;
        return 0;
    case OPT_USER:
        o->user = arg;
        return 0;
    case OPT_PASSWORD:
        o->password = arg;
        return 0;
    case OPT_TLS_CERT:
        o->tls_cert = arg;
        return 0;
    case OPT_TLS_KEY:
        o->tls_key = arg;
        return 0;
    case OPT_TLS_CA:
        o->tls_ca = arg;
        return 0;
    case OPT_TLS_MIN:
        o->tls_min = one_of(state, arg, versions);
        return 0;
    case OPT_TLS_MAX:
        o->tls_max = one_of(state, arg, versions);
        return 0;
    case OPT_RATE:
        o->rate_default = (int)number(state, arg, 0, 3600);
        return 0;
    case OPT_BACKLOG:
        o->alert_backlog = (size_t)number(state, arg, 0, 1e6);
        return 0;
    case OPT_PING:
        o->ping_s = (int)number(state, arg, 1, 299);
        return 0;
    case OPT_DURATION:
        o->duration_s = (int)number(state, arg, 1, 1e6);
        return 0;
    case OPT_CONTROL:
        o->control = arg;
        return 0;
    case OPT_VERBOSE:
        o->verbose = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct sim *s = state->input;
    if (key == ARGP_KEY_ARG)
        argp_error(state, "'%s': there are options only", arg);
    if (key == ARGP_KEY_END && !!s->options.tls_cert != !!s->options.tls_key)
        argp_error(state, "--tls-cert and --tls-key go together");
    if (key >= OPT_FAULT && key < OPT_FAULT + 11) {
        set_fault(s, key, arg, state);
        return 0;
    }
    error_t known = parse_scene(key, arg, state);
    return known == ARGP_ERR_UNKNOWN ? parse_server(key, arg, state) : known;
}

static void read_options(struct sim *s, int argc, char **argv)
{
    static const char intro[] =
        "A Kismet stand-in: its WebSockets and REST routes over synthetic devices or a capture.\n"
        "It prints one line, `listening on ADDR:PORT`, when it is ready.\v";
    static const char examples[] =
        "Examples:\n"
        "  kismet-sim --devices 500 --events-per-second 1\n"
        "  kismet-sim --capture scene.ndjson.zst --speed 10 --control sim.sock\n"
        "  echo stats | nc -U -q 1 sim.sock\n\n"
        "Commands on the control socket, one a line; `ok ...` or `error ...` comes back:\n";
    struct text doc = {0};
    text_adds(&doc, intro);
    text_adds(&doc, examples);
    text_adds(&doc, control_help);
    struct argp argp = {.options = options, .parser = parse, .doc = text_c(&doc)};
    s->options = (struct sim_options){
        .bind = "127.0.0.1",
        .port = 2501,
        .prefix = "",
        .speed = 1,
        .wait_monitor = true,
        .wait_eventbus = true,
        .change_percent = 10,
        .ping_s = 30,
        .alert_backlog = 50,
        .devices = SIZE_MAX,
        .scene = {.seed = 1, .uuid = "BFAE90F0-E6A4-11F1-B392-4B49534D4554"},
    };
    s->faults.slow_ms = 2000;
    argp_parse(&argp, argc, argv, 0, NULL, s);
    text_free(&doc);
    if (s->options.devices == SIZE_MAX)
        s->options.devices = s->options.capture ? 0 : 100;
}

/* The signal handler's only view of the program. */
static _Atomic(struct lws_context *) running;
static atomic_bool stopped;

static void on_signal(int number)
{
    (void)number;
    /* At once means at once: whoever asks twice, or waits a second, is not kept waiting. */
    if (atomic_exchange(&stopped, true))
        _exit(EXIT_SUCCESS);
    alarm(1);
    struct lws_context *lws = atomic_load(&running);
    if (lws)
        lws_cancel_service(lws);
}

static void serve(struct sim *s)
{
    uint64_t end_ns = s->options.duration_s
                          ? mono_ns() + (uint64_t)s->options.duration_s * 1000000000u
                          : UINT64_MAX;
    /* The heartbeat wakes the loop at least once a second, so the end needs no timer of its own. */
    while (!s->quit && !atomic_load(&stopped) && mono_ns() < end_ns && lws_service(s->lws, 0) >= 0)
        ;
}

int main(int argc, char **argv)
{
    struct sim s = {0};
    read_options(&s, argc, argv);
    s.started_s = (int64_t)(real_ns() / 1000000000u);
    scene_init(&s.scene, &s.options.scene);
    synth_add(&s.scene, s.options.devices, sim_packet_s(&s), sim_clock_s(&s));
    s.events = events_create();
    int code = EXIT_FAILURE;
    if (s.options.capture && !(s.player = player_open(&s, s.options.capture)))
        goto done;
    int port = server_open(&s);
    if (!port) {
        fprintf(stderr, "kismet-sim: cannot listen on %s:%d\n", s.options.bind, s.options.port);
        goto done;
    }
    atomic_store(&running, s.lws);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    signal(SIGALRM, on_signal);
    signal(SIGPIPE, SIG_IGN);
    printf("listening on %s:%d\n", s.options.bind, port);
    fflush(stdout);
    play_start(&s);
    serve(&s);
    code = EXIT_SUCCESS;
done:
    atomic_store(&running, NULL);
    play_stop(&s);
    server_close(&s);
    events_destroy(s.events);
    scene_fini(&s.scene);
    for (size_t i = 0; i < 2 * s.token_count; i++)
        free(s.tokens[i]);
    free(s.tokens);
    return code;
}
