/*
 * Log lines: built on the caller's stack, handed to standard error in one call or counted as lost.
 *
 * A line must not stop its thread: a reader of our standard error that hangs (a full pipe, a
 * stopped terminal, a stuck journal) costs lines, not data. So a socket is written with
 * MSG_DONTWAIT; anything else only when poll says that there is room, under a mutex so that the
 * room which one thread saw is not used up by another, and for that mutex nobody waits long.
 */
#include "base/log.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    TURN_WAIT_MS = 100,
    TAIL_MAX = 80,
    PIECE_MAX = 4,           /* bytes that are cut or kept together */
    COMPONENT_END_MAX = 400, /* of a line's bytes: so much is left for its message */
};
static_assert(KX_LOG_LINE_MAX <= PIPE_BUF, "so many bytes does poll promise to a pipe's writer");
static const char DOTS[] = "...";

static _Atomic int log_level = KX_LOG_INFO;
static _Atomic uint64_t log_lost;
/* Written before the threads start. */
static enum kx_log_format log_format = KX_LOG_TEXT;
static bool log_to_journal;

/* Orders poll and write among our threads, and guards panel_lines. */
static pthread_mutex_t log_turn = PTHREAD_MUTEX_INITIALIZER;
/* How many lines of a panel stand below the cursor's way: 0 = none. */
static unsigned panel_lines;

/* systemd names the socket that it made; standard error may have been redirected since. */
static bool is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    if (stream == NULL || fstat(STDERR_FILENO, &status) != 0)
        return false;
    char own[64];
    snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    return strcmp(stream, own) == 0;
}

void kx_log_configure(enum kx_log_level level, enum kx_log_format format)
{
    log_format = format;
    log_to_journal = is_journal();
    kx_log_level_set(level);
}

void kx_log_level_set(enum kx_log_level level)
{
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

bool kx_log_enabled(enum kx_log_level level)
{
    return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

uint64_t kx_log_lost(void)
{
    return atomic_load_explicit(&log_lost, memory_order_relaxed);
}

static const char *level_name(enum kx_log_level level)
{
    switch (level) {
    case KX_LOG_ERROR:
        return "error";
    case KX_LOG_WARNING:
        return "warning";
    case KX_LOG_INFO:
        return "info";
    case KX_LOG_DEBUG:
        break;
    }
    return "debug";
}

/* sd-daemon(3): a number that the journal takes off again. */
static const char *journal_prefix(enum kx_log_level level)
{
    switch (level) {
    case KX_LOG_ERROR:
        return "<3>";
    case KX_LOG_WARNING:
        return "<4>";
    case KX_LOG_INFO:
        return "<6>";
    case KX_LOG_DEBUG:
        break;
    }
    return "<7>";
}

/* A byte and the continuation bytes behind it: a piece that splits no character. */
static size_t piece_length(const char *text, size_t left)
{
    size_t length = 1;
    while (length < left && length < PIECE_MAX && ((unsigned char)text[length] & 0xc0) == 0x80)
        length++;
    return length;
}

/* Appends text, filtered, piece by piece, while the line stays under length_max; what is left out
 * is three dots, for which the caller keeps room behind length_max. */
static void put_filtered(struct kx_buf *line, const char *text, size_t length_max)
{
    size_t capacity = line->capacity;
    line->limit = line->capacity = length_max;
    size_t left = strlen(text);
    while (left > 0) {
        char bytes[4 * PIECE_MAX];
        struct kx_buf piece = {.data = bytes, .capacity = sizeof bytes, .limit = sizeof bytes};
        size_t length = piece_length(text, left);
        size_t before = line->length;
        kx_text_terminal(&piece, text, length);
        if (log_format == KX_LOG_JSON)
            kx_text_json(line, piece.data, piece.length);
        else
            kx_buf_bytes(line, piece.data, piece.length);
        if (line->failed) {
            line->failed = false;
            line->length = before;
            break;
        }
        text += length;
        left -= length;
    }
    line->limit = line->capacity = capacity;
    if (left > 0)
        kx_buf_text(line, DOTS);
}

static void put_head(struct kx_buf *line, enum kx_log_level level, const char *component)
{
    char now[KX_CLOCK_RFC3339_MAX];
    size_t now_length = kx_clock_log(kx_clock_wall_ns(), now);
    if (log_to_journal)
        kx_buf_text(line, journal_prefix(level));
    if (log_format == KX_LOG_JSON) {
        kx_buf_text(line, "{\"time\":\"");
        kx_buf_bytes(line, now, now_length);
        kx_buf_text(line, "\",\"level\":\"");
        kx_buf_text(line, level_name(level));
        kx_buf_text(line, "\",\"component\":\"");
        put_filtered(line, component, COMPONENT_END_MAX);
        kx_buf_text(line, "\",\"message\":\"");
        return;
    }
    if (!log_to_journal) { /* which knows both */
        kx_buf_bytes(line, now, now_length);
        kx_buf_byte(line, ' ');
        kx_buf_text(line, level_name(level));
        kx_buf_byte(line, ' ');
    }
    put_filtered(line, component, COMPONENT_END_MAX);
    kx_buf_text(line, ": ");
}

static bool take_turn(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += TURN_WAIT_MS * (long)KX_NS_PER_MS;
    if (until.tv_nsec >= (long)KX_NS_PER_S) {
        until.tv_nsec -= (long)KX_NS_PER_S;
        until.tv_sec++;
    }
    return pthread_mutex_timedlock(&log_turn, &until) == 0;
}

/* POLLERR is a pipe whose reader left: to write would raise SIGPIPE. */
static bool has_room(void)
{
    struct pollfd standard_error = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&standard_error, 1, 0) == 1 && standard_error.revents == POLLOUT;
}

/* Up to the panel's first line, and nothing from there on. The caller has the turn. */
static void wipe_panel(void)
{
    char wipe[32];
    if (panel_lines == 0)
        return;
    int length = snprintf(wipe, sizeof wipe, "\r\033[%uA\033[J", panel_lines);
    if (write(STDERR_FILENO, wipe, (size_t)length) == length)
        panel_lines = 0;
}

static ssize_t write_if_room(const char *line, size_t length)
{
    if (!take_turn())
        return -1;
    ssize_t written = -1;
    if (has_room()) {
        wipe_panel();
        written = write(STDERR_FILENO, line, length);
    }
    pthread_mutex_unlock(&log_turn);
    return written;
}

void kx_log_panel(const char *text)
{
    size_t length = strlen(text);
    unsigned lines = 0;
    for (size_t i = 0; i < length; i++)
        lines += text[i] == '\n';
    if (!take_turn())
        return;
    if (has_room()) {
        wipe_panel();
        if (panel_lines == 0 && write(STDERR_FILENO, text, length) == (ssize_t)length)
            panel_lines = lines;
    }
    pthread_mutex_unlock(&log_turn);
}

static void put_out(const char *line, size_t length)
{
    ssize_t written = send(STDERR_FILENO, line, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (written < 0 && errno == ENOTSOCK)
        written = write_if_room(line, length);
    if (written != (ssize_t)length)
        atomic_fetch_add_explicit(&log_lost, 1, memory_order_relaxed);
}

__attribute__((format(printf, 4, 0))) static void log_line(enum kx_log_level level,
                                                           uint64_t held_back,
                                                           const char *component,
                                                           const char *format,
                                                           va_list arguments)
{
    int saved = errno;
    /* As long as a line: what does not fit here would not fit there. */
    char message[KX_LOG_LINE_MAX];
    if (vsnprintf(message, sizeof message, format, arguments) < 0)
        message[0] = '\0';

    char tail[TAIL_MAX] = "";
    if (held_back > 0)
        snprintf(tail, sizeof tail, " (%ju more like this were held back)", (uintmax_t)held_back);
    const char *end = log_format == KX_LOG_JSON ? "\"}\n" : "\n";

    /* Capacity and limit are one, so the buffer never looks for memory. */
    char bytes[KX_LOG_LINE_MAX];
    struct kx_buf line = {.data = bytes, .capacity = sizeof bytes, .limit = sizeof bytes};
    put_head(&line, level, component);
    put_filtered(&line, message, sizeof bytes - strlen(DOTS) - strlen(tail) - strlen(end));
    kx_buf_text(&line, tail);
    kx_buf_text(&line, end);
    put_out(line.data, line.length);
    errno = saved;
}

void kx_log(enum kx_log_level level, const char *component, const char *format, ...)
{
    if (!kx_log_enabled(level))
        return;
    va_list arguments;
    va_start(arguments, format);
    log_line(level, 0, component, format, arguments);
    va_end(arguments);
}

void kx_log_limited(struct kx_log_limit *limit,
                    uint64_t now_ns,
                    enum kx_log_level level,
                    const char *component,
                    const char *format,
                    ...)
{
    if (!kx_log_enabled(level))
        return;
    if (now_ns < limit->next_ns) {
        limit->held_back++;
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    log_line(level, limit->held_back, component, format, arguments);
    va_end(arguments);
    limit->next_ns = now_ns + KX_LOG_REPEAT_S * KX_NS_PER_S;
    limit->held_back = 0;
}
