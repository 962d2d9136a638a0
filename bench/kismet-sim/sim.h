/* What the parts of the running program share: its settings, its faults, the scene and the lws
 * context.
 *
 * One thread runs everything: lws calls back into server.c (HTTP), stream.c (WebSockets) and
 * control.c (the test's commands); timers call play.c. Lifetime: main(). */
#pragma once

#include "faults.h"
#include "scene.h"

#include <libwebsockets.h>

struct client;
struct event_log;
struct play;
struct player;
struct program;

struct sim_options {
    const char *bind;
    int port;
    const char *prefix; /* "" or "/path" */
    const char *control;
    const char *capture;
    const char *api_key;
    const char *user;
    const char *password;
    const char *tls_cert;
    const char *tls_key;
    const char *tls_ca;
    const char *tls_min;
    const char *tls_max;
    size_t devices;
    double speed; /* 0 = as fast as clients drain */
    bool loop;
    bool wait_monitor; /* a capture begins only when somebody listens */
    bool wait_eventbus;
    int rate_default; /* for a monitor request without a rate; 0 = refused, as Kismet does */
    double change_percent;
    bool smooth;
    bool due;
    double events_per_second;
    int duration_s;
    int ping_s;
    size_t alert_backlog;
    bool verbose;
    struct scene_options scene;
};

struct sim {
    struct sim_options options;
    struct faults faults;
    struct scene scene;
    struct event_log *events;
    struct play *play;
    struct player *player; /* NULL without a capture */
    struct lws_context *lws;
    struct client *clients;   /* open WebSockets */
    struct program *programs; /* the field lists they asked for */
    uint64_t next_client;
    uint64_t pushed;        /* monitor messages queued for somebody, ever */
    uint64_t events_queued; /* the same of the eventbus */
    uint64_t seconds;       /* heartbeats that were due, sent or not */
    int64_t started_s;
    char **tokens; /* name, token, name, token: made by /auth/apikey/generate.cmd */
    size_t token_count;
    uint64_t served[16]; /* REST requests by enum route */
    bool quit;
};

/* The server's own clock, skew included. */
uint64_t sim_clock_ns(const struct sim *s);
int64_t sim_clock_s(const struct sim *s);
/* The clock of the packets: first_time and last_time. */
int64_t sim_packet_s(const struct sim *s);
/* CLOCK_REALTIME without skew: what a due time is measured on. */
uint64_t real_ns(void);
uint64_t mono_ns(void);
/* To stderr, only with --verbose. */
void sim_note(const struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
