/* Routes and what REST answers: pure functions from a path and a body to bytes, no HTTP in here.
 *
 * Owns nothing; an answer's body belongs to the caller. Threads: one. */
#pragma once

#include "sim.h"

enum route {
    ROUTE_NONE, /* 404 */
    ROUTE_MONITOR,
    ROUTE_EVENTBUS,
    ROUTE_DEVICES,
    ROUTE_TIMESTAMP,
    ROUTE_STATUS,
    ROUTE_ALERTS,
    ROUTE_ALERTS_WRAPPED,
    ROUTE_MESSAGES,
    ROUTE_VIEWS,
    ROUTE_PHYS,
    ROUTE_SOURCES,
    ROUTE_SESSION,
    ROUTE_LOGIN, /* the admin's alone */
    ROUTE_SETUP, /* anybody's */
    ROUTE_APIKEY,
    ROUTE_COUNT,
};

enum format {
    FORMAT_JSON,
    FORMAT_ITJSON,
    FORMAT_EKJSON,
};

struct target {
    enum route route;
    enum format format;
    bool websocket;
    char view[128];
    char since[64]; /* as in the path */
};

struct answer {
    unsigned status;
    const char *type;
    struct text body;
};

/* The path without the prefix. ROUTE_NONE when Kismet would answer 404. */
void target_parse(const struct sim *s, const char *path, struct target *ret_target);
const char *route_name(enum route route);
void rest_answer(struct sim *s,
                 const struct target *target,
                 struct span body,
                 struct answer *ret_answer);
/* A short answer for a status without content of its own. */
void rest_status(unsigned status, struct answer *ret_answer);
