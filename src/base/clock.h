/*
 * The two clocks, and how a time is written.
 *
 * Timers run on CLOCK_BOOTTIME (monotonic, and it counts the sleep of a laptop); what a record or a
 * log line carries is CLOCK_REALTIME. Time is an argument everywhere else: only thread loops call
 * these.
 */
#ifndef KX_BASE_CLOCK_H
#define KX_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

enum {
    KX_CLOCK_RFC3339_MAX = 40, /* bytes of a written time, with its NUL */
};
#define KX_NS_PER_S 1000000000ull
#define KX_NS_PER_MS 1000000ull

uint64_t kx_clock_boot_ns(void); /* ns since boot: for deadlines and intervals */
int64_t kx_clock_wall_ns(void);  /* ns since 1970-01-01 UTC: for data */

/* "2025-01-17T16:30:45.123456+00:00": what the JSON of a device carries. Returns the length. */
size_t kx_clock_iso8601(int64_t wall_ns, char out[KX_CLOCK_RFC3339_MAX]);
/* "2025-01-17T16:30:45.123456": the same instant in the process's time zone, with no offset, as the
 * Python script wrote it (compat: script). */
size_t kx_clock_iso8601_local(int64_t wall_ns, char out[KX_CLOCK_RFC3339_MAX]);
/* "2025-01-17 16:30:45.123456" in UTC: SQLite's own text form, comparable with datetime('now'). */
size_t kx_clock_sql(int64_t wall_ns, char out[KX_CLOCK_RFC3339_MAX]);
/* "2025-01-17T16:30:45.123Z": log lines. */
size_t kx_clock_log(int64_t wall_ns, char out[KX_CLOCK_RFC3339_MAX]);

/* Milliseconds from now until deadline for poll(2), rounded up, 0 when it passed, at most
 * most_ms (not negative). deadline 0 means none. */
int kx_clock_poll_ms(uint64_t deadline_ns, uint64_t now_ns, int most_ms);

#endif
