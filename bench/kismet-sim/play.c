/* Timers: the capture, the synthetic changes, the synthetic events, the heartbeat. */
#include "play.h"

#include "capture.h"
#include "events.h"
#include "stream.h"

#include <stdlib.h>
#include <string.h>

enum {
    FINE_US = 1000,                 /* how often what is spread over time is looked at */
    SUBSCRIBE_QUIET_NS = 200000000, /* no SUBSCRIBE for this long: all of them came */
    QUEUE_FRAMES_MAX = 8192,        /* --speed max plays on when every queue is below this */
    BATCH_LINES = 512,              /* played before the sockets get their turn */
};

struct player {
    struct sim *sim;
    struct capture capture;
    size_t first; /* line with a time; before it are devices that are known from the start */
    size_t position;
    uint64_t played;
    uint64_t start_ns; /* CLOCK_MONOTONIC of the first line; 0 = nobody listens yet */
    uint64_t frozen_ns;
    lws_sorted_usec_list_t timer;
};

struct play { /* everything that needs no capture */
    struct sim *sim;
    uint64_t start_ns;
    uint64_t changed; /* in smooth shape, since start_ns */
    uint64_t events;
    size_t next; /* device to change */
    lws_sorted_usec_list_t second;
    lws_sorted_usec_list_t fine;
};

struct player *player_open(struct sim *s, const char *path)
{
    struct player *p = xmalloc(sizeof(*p));
    *p = (struct player){.sim = s};
    if (!capture_open(&p->capture, path)) {
        player_close(p);
        return NULL;
    }
    /* Devices without a time are known before anybody listens. */
    while (p->position < p->capture.count && p->capture.line[p->position].kind == CAPTURE_DEVICE) {
        scene_put(&s->scene, p->capture.line[p->position++].frame);
        p->played++;
    }
    p->first = p->position;
    return p;
}

void player_close(struct player *p)
{
    if (!p)
        return;
    lws_sul_cancel(&p->timer);
    capture_close(&p->capture);
    free(p);
}

bool player_done(const struct player *p)
{
    return p->position == p->capture.count && !p->sim->options.loop && stream_drained(p->sim);
}

void player_print(const struct player *p, struct text *out)
{
    text_addf(out, "{\"frames\": %zu, \"played\": %llu, \"started\": %s, \"done\": %s}",
              p->capture.count, (unsigned long long)p->played, p->start_ns ? "true" : "false",
              player_done(p) ? "true" : "false");
}

static bool somebody_listens(const struct sim *s)
{
    if (s->options.wait_monitor && stream_subscribed(s, CLIENT_MONITOR) == 0)
        return false;
    if (!s->options.wait_eventbus)
        return true;
    return stream_subscribed(s, CLIENT_EVENTBUS) > 0 &&
           mono_ns() - stream_subscribed_ns(s) >= SUBSCRIBE_QUIET_NS;
}

static void play_line(struct player *p, const struct capture_line *line, uint64_t due_ns)
{
    struct sim *s = p->sim;
    p->played++;
    if (line->kind == CAPTURE_EVENTBUS) {
        if (!json_get(line->frame, "TIMESTAMP").at)
            events_publish(s, line->frame);
        else if (s->faults.timestamp == TIMESTAMP_RECORDED)
            stream_event(s, "TIMESTAMP", line->frame);
        return;
    }
    struct device *d = scene_put(&s->scene, line->frame);
    if (d && line->kind == CAPTURE_MONITOR)
        stream_device(s, d, due_ns);
}

static uint64_t line_ns(const struct player *p, size_t position)
{
    const struct capture_line *line = p->capture.line;
    double t = line[position].t - line[p->first].t;
    return p->start_ns + (uint64_t)(t > 0 ? t / p->sim->options.speed * 1e9 : 0);
}

/* How long until the next line, in microseconds; 0 = now. */
static uint64_t wait_us(const struct player *p)
{
    if (p->sim->options.speed <= 0)
        return stream_longest(p->sim) < QUEUE_FRAMES_MAX && somebody_listens(p->sim) ? 0 : FINE_US;
    uint64_t now = mono_ns(), at = line_ns(p, p->position);
    return at <= now ? 0 : (at - now) / 1000 + 1;
}

static void play_on(lws_sorted_usec_list_t *timer)
{
    struct player *p = lws_container_of(timer, struct player, timer);
    struct sim *s = p->sim;
    uint64_t wait = FINE_US * 5;
    if (!p->start_ns && somebody_listens(s)) {
        p->start_ns = mono_ns();
        sim_note(s, "the capture begins");
    }
    if (p->start_ns && !s->faults.frozen && !s->faults.pushes) {
        wait = 0;
        for (int n = 0; n < BATCH_LINES && p->position < p->capture.count; n++) {
            wait = wait_us(p);
            if (wait)
                break;
            uint64_t late = s->options.speed > 0 ? mono_ns() - line_ns(p, p->position) : 0;
            play_line(p, &p->capture.line[p->position++], real_ns() - late);
        }
    }
    if (p->position == p->capture.count) {
        sim_note(s, "the capture was played to its end");
        if (!s->options.loop || p->first == p->capture.count)
            return;
        p->position = p->first;
        p->start_ns = mono_ns();
        wait = FINE_US;
    }
    lws_sul_schedule(s->lws, 0, timer, play_on, (lws_usec_t)wait + 1);
}

size_t play_change(struct sim *s, size_t count, uint64_t due_ns)
{
    struct play *play = s->play;
    size_t done = 0;
    for (size_t looked = 0; done < count && looked < s->scene.count; looked++) {
        size_t index = play->next++ % s->scene.count;
        if (!s->scene.device[index].synthetic)
            continue;
        synth_change(&s->scene, index, sim_packet_s(s), sim_clock_s(s));
        if (s->options.smooth)
            stream_device(s, &s->scene.device[index], due_ns);
        done++;
    }
    return done;
}

/* What is spread evenly over time: smooth changes, and events. */
static void play_fine(lws_sorted_usec_list_t *timer)
{
    struct play *play = lws_container_of(timer, struct play, fine);
    struct sim *s = play->sim;
    const struct sim_options *o = &s->options;
    double passed_s = (double)(mono_ns() - play->start_ns) / 1e9;
    double rate = o->smooth ? (double)o->devices * o->change_percent / 100 : 0;
    uint64_t changes = (uint64_t)(passed_s * rate),
             events = (uint64_t)(passed_s * o->events_per_second);
    if (s->faults.frozen) { /* what the frozen time would have brought is not made up for */
        play->changed = changes;
        play->events = events;
    }
    uint64_t zero_ns = real_ns() - (uint64_t)(passed_s * 1e9);
    int left = BATCH_LINES;
    for (; play->changed < changes && left > 0; left--) {
        play->changed++;
        play_change(s, 1, zero_ns + (uint64_t)((double)play->changed / rate * 1e9));
    }
    for (; play->events < events; play->events++)
        events_synthetic(s);
    lws_sul_schedule(s->lws, 0, timer, play_fine, left ? FINE_US : 1);
}

static void play_second(lws_sorted_usec_list_t *timer)
{
    struct play *play = lws_container_of(timer, struct play, second);
    struct sim *s = play->sim;
    const struct sim_options *o = &s->options;
    events_timestamp(s);
    if (!o->smooth && !s->faults.frozen)
        play_change(s, (size_t)((double)o->devices * o->change_percent / 100 + 0.5), 0);
    s->seconds++;
    uint64_t next = play->start_ns + s->seconds * 1000000000u, now = mono_ns();
    lws_sul_schedule(s->lws, 0, timer, play_second,
                     next > now ? (lws_usec_t)((next - now) / 1000) : 1);
}

void play_start(struct sim *s)
{
    s->play = xmalloc(sizeof(*s->play));
    *s->play = (struct play){.sim = s, .start_ns = mono_ns()};
    play_second(&s->play->second);
    if ((s->options.smooth && s->options.devices) || s->options.events_per_second > 0)
        play_fine(&s->play->fine);
    if (s->player)
        play_on(&s->player->timer);
}

void play_stop(struct sim *s)
{
    if (s->play) {
        lws_sul_cancel(&s->play->second);
        lws_sul_cancel(&s->play->fine);
        free(s->play);
        s->play = NULL;
    }
    player_close(s->player);
    s->player = NULL;
}

void play_freeze(struct sim *s, bool freeze)
{
    struct player *p = s->player;
    s->faults.frozen = freeze;
    if (!p || !p->start_ns)
        return;
    if (freeze && !p->frozen_ns)
        p->frozen_ns = mono_ns();
    if (!freeze && p->frozen_ns) {
        p->start_ns += mono_ns() - p->frozen_ns;
        p->frozen_ns = 0;
    }
}
