/*
 * What `kismet-export probe` finds out, line by line: "ok", "warn" or "FAIL", about whom, what, and
 * how to mend it.
 *
 * Plain data, owned by whoever probes; one thread. A line is written as soon as it is known (some
 * answers take seconds) and passes the terminal filter: servers and files say part of it. A reader
 * that has left is no failure; the rest is then unsaid, and still counted.
 */
#ifndef KX_BASE_PROBE_H
#define KX_BASE_PROBE_H

enum { KX_PROBE_SUBJECT_MAX = 96 };

struct kx_probe {
    int fd;                             /* where the lines go */
    char subject[KX_PROBE_SUBJECT_MAX]; /* "source north" */
    unsigned warnings;
    unsigned failures;
};

void kx_probe_init(struct kx_probe *probe, int fd);
/* Whom the next lines are about: "source", "north". */
void kx_probe_subject(struct kx_probe *probe, const char *what, const char *name);

void kx_probe_ok(struct kx_probe *probe, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* remedy: what to do about it, put behind a colon; NULL when the text says it already. */
void kx_probe_warn(struct kx_probe *probe, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void kx_probe_fail(struct kx_probe *probe, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
