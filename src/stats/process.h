/*
 * What the kernel says of this process and of its threads, from /proc.
 *
 * Owns nothing. Any thread; a few dozen microseconds. What cannot be read is left at 0.
 */
#ifndef KX_STATS_PROCESS_H
#define KX_STATS_PROCESS_H

#include <stddef.h>
#include <stdint.h>

struct kx_process_usage {
    double cpu_s;
    double started_s; /* since 1970 */
    uint64_t resident_bytes, virtual_bytes;
    uint64_t open_fds, max_fds;
    uint64_t threads;
};
/* started_s is worked out while it is 0 and kept otherwise: the start of a process must not wander
 * when the clock is set. */
void kx_process_usage(struct kx_process_usage *usage);

enum {
    KX_PROCESS_THREADS_MAX = 80, /* two of each sink, and ours */
    KX_PROCESS_NAME_MAX = 16,    /* the kernel's limit */
};
#define KX_PROCESS_MAIN "main" /* what the first thread is called here */
struct kx_process_thread {
    char name[KX_PROCESS_NAME_MAX];
    double cpu_s;
};
/* The threads, one of each name: the oldest, since a library's thread inherits the name of ours
 * that began it. Returns how many. */
size_t kx_process_threads(struct kx_process_thread threads[KX_PROCESS_THREADS_MAX]);

#endif
