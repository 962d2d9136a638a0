/* What the stand-in does wrong, by name, so that an option and a control command set the same
 * thing.
 *
 * Owns nothing. Threads: one. */
#pragma once

#include "text.h"

enum monitor_mode {
    MONITOR_CHANGED, /* a correct Kismet: all once, then what changed */
    MONITOR_REPEAT,  /* every device at each tick */
    MONITOR_ONCE,    /* all once, then nothing */
    MONITOR_NEVER,   /* nothing at all */
};

enum timestamp_mode {
    TIMESTAMP_ON,
    TIMESTAMP_STALLED,
    TIMESTAMP_RECORDED, /* the capture's own */
};

enum rest_mode {
    REST_OK,
    REST_SLOW,
    REST_FAIL503,
    REST_FAIL404,
    REST_FAIL401,
    REST_HANG,
    REST_HALF,
};

enum handshake_mode {
    HANDSHAKE_OK,
    HANDSHAKE_STALL,
    HANDSHAKE_REJECT401,
    HANDSHAKE_REJECT404,
    HANDSHAKE_REJECT503,
    HANDSHAKE_BADACCEPT,
};

enum datasource_mode {
    DATASOURCE_OK,
    DATASOURCE_ERROR,
    DATASOURCE_STOPPED,
    DATASOURCE_NONE, /* an empty list */
};

enum admin_mode {
    ADMIN_SET,
    ADMIN_UNSET, /* nobody has opened the web page yet: nobody is let in */
};

struct faults {
    int monitor;    /* enum monitor_mode */
    int timestamp;  /* enum timestamp_mode */
    int rest;       /* enum rest_mode */
    int handshake;  /* enum handshake_mode */
    int datasource; /* enum datasource_mode */
    int admin;      /* enum admin_mode */
    int eventbus;   /* 1: SUBSCRIBE is ignored */
    int duplicate;  /* 1: each event goes out twice */
    int pushes;     /* 1: monitor pushes are held back */
    int sending;    /* 1: nothing is written to WebSockets any more: the network is gone */
    int frozen;     /* 1: nothing changes any more */
    int skew_s;     /* the server's clock is ahead by this */
    int packets_s;  /* the packets' clock is ahead by this */
    int slow_ms;    /* what `rest slow` waits */
};

/* Sets a fault by name ("monitor", "once"); false with the reason, values included, in `why`. */
bool faults_set(struct faults *f, const char *name, const char *value, struct text *why);
/* Appends the present values as a JSON object. */
void faults_print(const struct faults *f, struct text *out);
