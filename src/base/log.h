/*
 * Log lines: one line, one write(2) to standard error, text or JSON.
 *
 * Process-wide: kx_log_configure before the threads start, kx_log_level_set at any time (a reload).
 * Any thread may log. A line is at most KX_LOG_LINE_MAX bytes, longer ones are cut and end in
 * "...". Texts pass the terminal filter, so a stranger's device name can neither move a cursor nor
 * forge a line. Logging neither fails nor holds up its caller: a line that standard error refuses,
 * or has no room for at the moment, is counted as lost. errno stays what it was.
 */
#ifndef KX_BASE_LOG_H
#define KX_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

enum kx_log_level { KX_LOG_ERROR, KX_LOG_WARNING, KX_LOG_INFO, KX_LOG_DEBUG };
enum kx_log_format { KX_LOG_TEXT, KX_LOG_JSON };
enum { KX_LOG_LINE_MAX = 2048 };

void kx_log_configure(enum kx_log_level level, enum kx_log_format format);
void kx_log_level_set(enum kx_log_level level);
bool kx_log_enabled(enum kx_log_level level);

/* text: "2025-01-17T16:30:45.123Z info source kitchen: streaming"; component is "source kitchen",
 * "sink db", "main". JSON: {"time":..,"level":..,"component":..,"message":..}. When standard error
 * is the journal (JOURNAL_STREAM says so) a line begins with its level as <3>, <4>, <6> or <7>, and
 * the text form leaves out what the journal knows: time and level. */
void kx_log(enum kx_log_level level, const char *component, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A repeated line: at most one each interval; the next that passes ends in
 * " (N more like this were held back)".
 * One such struct a place and object, zeroed at first, used by one thread. */
struct kx_log_limit {
    uint64_t next_ns;   /* boot clock */
    uint64_t held_back; /* lines since the last that passed */
};
enum { KX_LOG_REPEAT_S = 10 };
void kx_log_limited(struct kx_log_limit *limit,
                    uint64_t now_ns,
                    enum kx_log_level level,
                    const char *component,
                    const char *format,
                    ...) __attribute__((format(printf, 5, 6)));

/* A few lines that stay below the log on a terminal: they replace those before, a log line goes
 * above them (and takes them away until the next call). text: lines that each end in a newline and
 * fit the terminal's width, safe to be shown; "" = no panel any more. One thread, main. */
enum { KX_LOG_PANEL_MAX = 8192 };
void kx_log_panel(const char *text);

/* Lines that could not be written. */
uint64_t kx_log_lost(void);

#endif
