/*
 * What a service manager is told: ready, how it goes, that we are alive.
 *
 * The datagrams of sd_notify(3), sent to the socket that NOTIFY_SOCKET names (a path, or an
 * abstract name after '@'); without it every call does nothing. open takes the variables out of the
 * environment, before any thread starts; after that one thread, main. Owns the socket. A datagram
 * that cannot be sent now is not sent at all: a service manager that is stuck must not stop us.
 * What that costs is a late status or, with the watchdog, a restart, which is its purpose.
 */
#ifndef KX_BASE_NOTIFY_H
#define KX_BASE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

enum { KX_NOTIFY_STATUS_MAX = 256 };

struct kx_notify {
    int fd;               /* -1 = nobody listens */
    uint64_t interval_ns; /* how often the watchdog is fed: half of its time; 0 = there is none */
    uint64_t feed_ns;     /* boot clock: the next feeding */
    char status[KX_NOTIFY_STATUS_MAX]; /* as last said */
};

/* Looks for NOTIFY_SOCKET, and for a watchdog that is ours (WATCHDOG_USEC, WATCHDOG_PID). */
void kx_notify_open(struct kx_notify *notify);
void kx_notify_close(struct kx_notify *notify);

/* Started: the configuration is valid and every thread runs. */
void kx_notify_ready(struct kx_notify *notify);
/* The configuration is being read again, since now_ns of the monotonic clock; ready ends it. */
void kx_notify_reloading(struct kx_notify *notify, uint64_t monotonic_ns);
void kx_notify_stopping(struct kx_notify *notify);
/* One line for people; the same as before costs nothing. */
void kx_notify_status(struct kx_notify *notify, const char *line);
/* Feeds the watchdog when it is time (boot clock), and when every thread moves. */
void kx_notify_watch(struct kx_notify *notify, uint64_t now_ns, bool moves);
/* When watch is due again; 0 = never. */
uint64_t kx_notify_due_ns(const struct kx_notify *notify);

#endif
