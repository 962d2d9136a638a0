/*
 * The console sink: encode some lines, wait until standard output takes more, write, mark.
 *
 *     out     |.......written|.............................|
 *              ^ lines[0].end       ^ lines[1].end          ^ lines[count - 1].end == out.length
 *
 * Only a line whose last byte is written counts as delivered. When a call ends early, lines that
 * were not begun are forgotten and encoded again later; the one that was begun stays in front.
 */
#include "sinks/console.h"
#include "base/clock.h"
#include "base/text.h"
#include "encode/json.h"
#include "encode/mac.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LINES_MAX = 512,         /* encoded ahead of the writing */
    OUT_BYTES_SOFT = 65536,  /* enough encoded: write */
    LINE_BYTES_MAX = 458752, /* of the longest line; see the assertion */
    POLL_MS_MAX = 1000,      /* a suspended machine's poll does not see the time pass */
};
/* A byte becomes six at most (\u0007), and a device has some 28 keys beside its texts. */
static_assert(LINE_BYTES_MAX >= KX_RECORD_BYTES_MAX * 6 + 4096, "no record makes a longer line");

static const uint32_t NO_INDEX = UINT32_MAX;

struct line {
    size_t end;        /* in out */
    uint64_t sequence; /* of its record */
    uint64_t number;   /* device lines before it */
    uint32_t index; /* in the batch; NO_INDEX when the batch of a begun line is not the present */
    bool begun;     /* some of it was written by an earlier call */
};

struct console {
    int fd;           /* borrowed */
    int own_fd;       /* the same file, opened again without blocking, or -1 */
    size_t piece_max; /* bytes that one write may have and not block */
    bool is_json;
    enum kx_compat compat;
    struct kx_encode_json json;
    struct kx_buf text; /* a JSON line before the terminal filter */
    struct kx_buf out;
    size_t written;   /* of out */
    uint64_t devices; /* lines numbered so far */
    size_t count;
    struct line lines[LINES_MAX];
};

/* --- open, close --- */

/*
 * O_NONBLOCK belongs to the open file, which our parent and siblings share: set there, it would
 * break them. Pipes and terminals can be opened anew, and then it is ours alone. Where that is not
 * allowed, a write of up to PIPE_BUF behind POLLOUT is the next best: on pipes it cannot block.
 */
static int open_again(int fd, mode_t mode)
{
    if (!S_ISFIFO(mode) && !(S_ISCHR(mode) && isatty(fd)))
        return -1;
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

static void console_close(void *self)
{
    struct console *console = self;
    if (console == NULL)
        return;
    if (console->own_fd >= 0)
        close(console->own_fd);
    kx_buf_fini(&console->text);
    kx_buf_fini(&console->out);
    free(console);
}

enum kx_code
kx_console_open(const struct kx_sink_config *config, int fd, void **ret_self, struct kx_error *err)
{
    if (config->console.format != KX_FORMAT_TEXT && config->console.format != KX_FORMAT_JSON)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "sink %s: a console has the formats text and json", config->name);
    struct console *console = calloc(1, sizeof *console);
    if (console == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "sink %s: no memory", config->name);
    struct stat status = {0};
    if (fstat(fd, &status) != 0)
        status.st_mode = 0; /* closed: the first delivery says so */
    console->fd = fd;
    console->own_fd = open_again(fd, status.st_mode);
    console->piece_max = console->own_fd >= 0 || S_ISREG(status.st_mode) ? SSIZE_MAX : PIPE_BUF;
    console->is_json = config->console.format == KX_FORMAT_JSON;
    console->compat = config->compat;
    kx_encode_json_init(&console->json, config->compat, config->mac_case, kx_sink_fields(config));
    kx_buf_init(&console->text, LINE_BYTES_MAX);
    kx_buf_init(&console->out, OUT_BYTES_SOFT + 2 * LINE_BYTES_MAX);
    /* Now, so that no delivery can fail for want of memory; pages are touched when used. */
    if (kx_buf_reserve(&console->text, console->text.limit) == NULL ||
        kx_buf_reserve(&console->out, console->out.limit) == NULL) {
        console_close(console);
        return kx_error_set(err, KX_ERR_NOMEM, 0, "sink %s: no memory", config->name);
    }
    *ret_self = console;
    return KX_OK;
}

static enum kx_code open_stdout(const struct kx_sink_config *config,
                                const struct kx_sink_env *env,
                                void **ret_self,
                                struct kx_error *err)
{
    (void)env;
    return kx_console_open(config, STDOUT_FILENO, ret_self, err);
}

/* --- encoding --- */

static void put_text(struct console *console,
                     const struct kx_device *device,
                     enum kx_field field,
                     struct kx_text text,
                     const char *unknown)
{
    if (kx_record_has(&device->head, field) && text.length > 0)
        kx_text_terminal(&console->out, kx_record_text(&device->head, text), text.length);
    else
        kx_buf_text(&console->out, unknown);
}

static void put_number(struct console *console,
                       const struct kx_device *device,
                       enum kx_field field,
                       int64_t number)
{
    if (kx_record_has(&device->head, field))
        kx_buf_i64(&console->out, number);
    else
        kx_buf_byte(&console->out, console->compat == KX_COMPAT_SCRIPT ? '0' : '-');
}

/* The script's line, which users' tools parse. */
static void put_device(struct console *console, const struct kx_device *device)
{
    struct kx_buf *out = &console->out;
    const char *none = console->compat == KX_COMPAT_SCRIPT ? "" : "Unknown";
    char lower[KX_ENCODE_MAC_MAX];
    const char *mac =
        kx_encode_mac(console->json.mac_case, kx_record_text(&device->head, device->mac_addr),
                      device->mac_addr.length, lower);
    kx_buf_byte(out, '[');
    kx_buf_u64(out, console->devices);
    kx_buf_text(out, "] Device: ");
    kx_text_terminal(out, mac, device->mac_addr.length);
    kx_buf_text(out, " (");
    put_text(console, device, KX_F_NAME, device->name, "Unknown");
    kx_buf_text(out, ") - PHY: ");
    put_text(console, device, KX_F_PHY_TYPE, device->phy_type, none);
    kx_buf_text(out, " - Signal: ");
    put_number(console, device, KX_F_SIGNAL_DBM, device->signal_dbm);
    kx_buf_text(out, "dBm - Packets: ");
    put_number(console, device, KX_F_TOTAL_PACKETS, device->total_packets);
}

/* Appends the line of record i. */
static void encode_line(struct console *console, const struct kx_batch *batch, uint32_t i)
{
    const struct kx_record *record = kx_batch_record(batch, i);
    const struct kx_device *device = kx_record_device(record);
    const struct kx_event *event = kx_record_event(record);
    struct line *line = &console->lines[console->count++];
    *line = (struct line){.sequence = record->sequence, .number = console->devices, .index = i};
    kx_buf_clear(&console->text);
    if (device != NULL) {
        console->devices++;
        if (console->is_json)
            kx_encode_json_device(&console->json, &console->text, device);
        else
            put_device(console, device);
    } else if (event != NULL) {
        if (!console->is_json)
            kx_buf_text(&console->out, "Event: ");
        kx_encode_json_event(&console->json, &console->text, event);
    }
    kx_text_json_terminal(&console->out, console->text.data, console->text.length);
    kx_buf_byte(&console->out, '\n');
    KX_ASSERT(!console->text.failed && !console->out.failed);
    line->end = console->out.length;
}

/* A begun line stands in front already: finds its record again, by sequence, in the batch of this
 * call. It is not there when the engine gave that batch up; then the line is ended all the same. */
static void find_begun(struct console *console, const struct kx_batch *batch)
{
    if (console->count == 0)
        return;
    struct line *line = &console->lines[0];
    line->index = NO_INDEX;
    for (uint32_t i = batch->first; i < batch->end && line->index == NO_INDEX; i++)
        if (!kx_batch_done(batch, i) && kx_batch_record(batch, i)->sequence == line->sequence)
            line->index = i;
}

/* Encodes from *next on until there is enough to write. */
static void encode_some(struct console *console, const struct kx_batch *batch, uint32_t *next)
{
    for (; *next < batch->end; ++*next) {
        if (console->count == LINES_MAX || console->out.length >= OUT_BYTES_SOFT)
            return;
        bool begun = console->count > 0 && console->lines[0].index == *next;
        if (!begun && !kx_batch_done(batch, *next))
            encode_line(console, batch, *next);
    }
}

/* --- writing --- */

/* KX_SENT when the descriptor takes bytes (or has an error to tell). */
static enum kx_outcome
wait_writable(const struct console *console, const struct kx_call *call, struct kx_error *err)
{
    for (;;) {
        struct pollfd fds[] = {
            {.fd = console->own_fd >= 0 ? console->own_fd : console->fd, .events = POLLOUT},
            {.fd = call->stop_fd, .events = POLLIN},
        };
        int wait_ms = kx_clock_poll_ms(call->deadline_ns, kx_clock_boot_ns(), POLL_MS_MAX);
        if (poll(fds, 2, wait_ms) < 0 && errno != EINTR) {
            kx_error_set(err, KX_ERR_IO, errno, "cannot wait for standard output");
            return KX_RETRY;
        }
        if (fds[1].revents != 0) {
            kx_error_set(err, KX_ERR_STOPPED, 0, "stopped before standard output took all lines");
            return KX_RETRY;
        }
        if (call->deadline_ns != 0 && kx_clock_boot_ns() >= call->deadline_ns) {
            kx_error_set(err, KX_ERR_TIMEOUT, 0,
                         "standard output takes nothing more; its reader is slow");
            return KX_RETRY;
        }
        if (fds[0].revents != 0)
            return KX_SENT;
    }
}

static enum kx_outcome refuse(const struct console *console, int error, struct kx_error *err)
{
    bool is_file = console->own_fd < 0 && console->piece_max > PIPE_BUF;
    switch (error) {
    case EPIPE:
    case EBADF:
        kx_error_set(err, KX_ERR_IO, error, "standard output was closed; nobody reads it");
        return KX_GONE;
    case EIO:
        if (!is_file) {
            kx_error_set(err, KX_ERR_IO, error, "the terminal of standard output is gone");
            return KX_GONE;
        }
        kx_error_set(err, KX_ERR_IO, error, "cannot write standard output's file; check its disk");
        return KX_HOLD;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        kx_error_set(err, KX_ERR_IO, error,
                     "cannot write standard output's file; make room for it");
        return KX_HOLD;
    default:
        kx_error_set(err, KX_ERR_IO, error, "cannot write standard output");
        return KX_RETRY;
    }
}

static enum kx_outcome
write_out(struct console *console, const struct kx_call *call, struct kx_error *err)
{
    while (console->written < console->out.length) {
        enum kx_outcome outcome = wait_writable(console, call, err);
        if (outcome != KX_SENT)
            return outcome;
        size_t piece = console->out.length - console->written;
        if (piece > console->piece_max)
            piece = console->piece_max;
        ssize_t taken = write(console->own_fd >= 0 ? console->own_fd : console->fd,
                              console->out.data + console->written, piece);
        if (taken >= 0)
            console->written += (size_t)taken;
        else if (errno != EAGAIN && errno != EINTR)
            return refuse(console, errno, err);
    }
    return KX_SENT;
}

/* Marks the lines that are out, keeps the rest of one that was begun, forgets those behind it. */
static void settle(struct console *console, struct kx_batch *batch)
{
    size_t begin = 0;
    size_t i = 0;
    for (; i < console->count && console->lines[i].end <= console->written; i++) {
        if (console->lines[i].index != NO_INDEX)
            kx_batch_mark(batch, console->lines[i].index);
        begin = console->lines[i].end;
    }
    size_t kept = 0;
    if (i < console->count) {
        struct line line = console->lines[i];
        if (line.begun || console->written > begin) {
            kx_buf_truncate(&console->out, line.end);
            line.begun = true;
            line.end -= console->written;
            console->lines[kept++] = line;
            i++;
        }
    }
    if (i < console->count)
        console->devices = console->lines[i].number;
    if (kept == 0)
        kx_buf_clear(&console->out);
    else
        kx_buf_consume(&console->out, console->written);
    console->count = kept;
    console->written = 0;
}

static enum kx_outcome console_deliver(void *self,
                                       struct kx_batch *batch,
                                       const struct kx_call *call,
                                       struct kx_error *err)
{
    struct console *console = self;
    uint32_t next = batch->first;
    find_begun(console, batch);
    for (;;) {
        encode_some(console, batch, &next);
        if (console->count == 0)
            return KX_SENT;
        enum kx_outcome outcome = write_out(console, call, err);
        settle(console, batch);
        if (outcome != KX_SENT)
            return outcome;
    }
}

const struct kx_sink_ops kx_console_ops = {
    .type = "console",
    .newest_per_device = false,
    .open = open_stdout,
    .deliver = console_deliver,
    .close = console_close,
};
