/* The two kinds of WebSocket: monitor connections with their requests, eventbus connections with
 * their subscriptions, and the send queue of each.
 *
 * Owns: the clients. Threads: one. Lifetime: of the connection. Full: the queues have no limit. */
#pragma once

#include "frame.h"
#include "sim.h"

enum client_kind {
    CLIENT_MONITOR,
    CLIENT_EVENTBUS,
};

struct client *
client_create(struct sim *s, struct lws *wsi, enum client_kind kind, const char *view);
void client_destroy(struct client *c);
/* A piece of a message came in; true = close, as Kismet does on a binary frame. */
bool client_receive(struct client *c, const void *bytes, size_t length);
/* Writes what the socket takes; true = close. */
bool client_send(struct client *c);

/* A device changed and its subscribers shall hear of it at once, not at the next tick. */
void stream_device(struct sim *s, struct device *d, uint64_t due_ns);
void stream_event(struct sim *s, const char *topic, struct span message);
/* The same bytes to every client of that kind, whatever it asked for. */
void stream_raw(struct sim *s, enum client_kind kind, struct span message);
/* Closes clients without a close frame; with `reset` by a TCP RST. kind < 0 = all. */
size_t stream_close(struct sim *s, int kind, bool reset);
void stream_wake(struct sim *s);

size_t stream_clients(const struct sim *s, enum client_kind kind);
/* Clients of that kind that asked for something. */
size_t stream_subscribed(const struct sim *s, enum client_kind kind);
/* CLOCK_MONOTONIC of the newest SUBSCRIBE of anybody; 0 = none yet. */
uint64_t stream_subscribed_ns(const struct sim *s);
/* The longest queue, in frames; and whether everything went to the sockets. */
size_t stream_longest(const struct sim *s);
bool stream_drained(const struct sim *s);
void stream_print(const struct sim *s, struct text *out);
