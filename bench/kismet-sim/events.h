/* Every event that happened, and what REST still knows of them.
 *
 * Owns: copies of the messages. Threads: one. Full: the log grows (tests compare it with what
 * arrived); REST answers from the last `backlog` alerts and 50 messages, as Kismet does. */
#pragma once

#include "sim.h"

struct event {
    char *topic;     /* the one that subscribers name */
    struct text all; /* {"TOPIC": {...}} */
    struct span inner;
    double time; /* an alert's or a message's own; 0 for others */
};

struct event_log {
    struct event *event;
    size_t count;
    size_t capacity;
};

struct event_log *events_create(void);
void events_destroy(struct event_log *log);
/* Logs an event and gives it to the subscribers. False when it is no object with a topic. */
bool events_publish(struct sim *s, struct span message);
void events_timestamp(struct sim *s);
/* A synthetic one: alerts and new devices in turn. */
void events_synthetic(struct sim *s);
void events_new_device(struct sim *s, const struct device *d);
/* Appends the records of `topic` that are newer than `since`, at most the last `most`, with commas.
 */
void events_since(
    const struct event_log *log, const char *topic, double since, size_t most, struct text *out);
