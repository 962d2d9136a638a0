/* Progress and the service manager; the contract stands in the header. */
#include "display.h"

#include "base/clock.h"
#include "base/log.h"
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define DRAW_NS (KX_NS_PER_S / 2)

void kx_display_open(struct kx_display *display, const struct kx_config *config)
{
    *display = (struct kx_display){.config = config};
    kx_notify_open(&display->notify);
}

void kx_display_ready(struct kx_display *display,
                      struct kx_board *board,
                      struct kx_pipe *const *pipes,
                      struct kx_pulse *pulse)
{
    display->board = board;
    display->pipes = pipes;
    display->pulse = pulse;
    kx_notify_ready(&display->notify);
}

static unsigned terminal_width(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static void draw(struct kx_display *display, uint64_t now_ns)
{
    struct kx_progress_sink sinks[KX_SINKS_MAX];
    char bytes[KX_LOG_PANEL_MAX];
    struct kx_buf text = {.data = bytes, .capacity = sizeof bytes, .limit = sizeof bytes};
    for (size_t i = 0; i < display->config->sink_count; i++) {
        struct kx_sink_totals totals = kx_pipe_totals(display->pipes[i]);
        kx_board_sink_get(display->board, i, &sinks[i].status);
        sinks[i].delivered = totals.delivered;
        sinks[i].pending = totals.pending;
    }
    kx_progress_draw(&display->progress, display->board, sinks, display->config->sink_count,
                     terminal_width(), now_ns, kx_clock_wall_ns(), &text);
    kx_buf_byte(&text, '\0');
    if (!text.failed)
        kx_log_panel(text.data);
}

/* "2 of 3 sinks ok, 1 of 1 sources heard; db: ...": the first that is not well is named. */
static void tell_status(struct kx_display *display)
{
    char line[KX_NOTIFY_STATUS_MAX * 4]; /* what is too long is cut by notify */
    char unwell[KX_BOARD_NAME_MAX + KX_BOARD_TEXT_MAX + 8] = "";
    size_t sinks_ok = 0;
    size_t sources_ok = 0;
    for (size_t i = 0; i < display->config->sink_count; i++) {
        struct kx_sink_status status;
        kx_board_sink_get(display->board, i, &status);
        if (status.state == KX_SINK_OK || status.state == KX_SINK_STARTING)
            sinks_ok++;
        else
            snprintf(unwell, sizeof unwell, "; %s: %s", status.name, status.text);
    }
    for (size_t i = 0; i < kx_board_sources(display->board); i++) {
        struct kx_source_status status;
        kx_board_source_get(display->board, i, &status);
        if (status.state == KX_SOURCE_STREAMING || status.state == KX_SOURCE_POLLING ||
            status.state == KX_SOURCE_ENDED)
            sources_ok++;
        else
            snprintf(unwell, sizeof unwell, "; %s: %s", status.name,
                     status.text[0] != '\0' ? status.text : kx_source_state_name(status.state));
    }
    snprintf(line, sizeof line, "%zu of %zu sources heard, %zu of %zu sinks ok%s", sources_ok,
             kx_board_sources(display->board), sinks_ok, display->config->sink_count, unwell);
    kx_notify_status(&display->notify, line);
}

/* True while every thread moves. A change is said once, without the service manager, too. */
static bool look(struct kx_display *display, uint64_t now_ns)
{
    const struct kx_pulse *pulse = display->pulse;
    kx_pulse_look(display->pulse, now_ns);
    size_t late = kx_pulse_late(pulse);
    bool starves = late < pulse->feed->thread_count;
    if (starves && !display->starves)
        kx_log(KX_LOG_ERROR, "main",
               "thread %s does not move: it is silent for %.1f s beyond its time%s",
               pulse->feed->threads[late].name, (double)pulse->threads[late].late_ns / 1e9,
               display->notify.interval_ns > 0 ? "; the watchdog is not fed" : "");
    else if (!starves && display->starves)
        kx_log(KX_LOG_WARNING, "main", "every thread moves again");
    display->starves = starves;
    return !starves;
}

void kx_display_step(struct kx_display *display, uint64_t now_ns)
{
    kx_notify_watch(&display->notify, now_ns, look(display, now_ns));
    if (now_ns < display->draw_ns)
        return;
    display->draw_ns = now_ns + DRAW_NS;
    tell_status(display);
    if (display->config->progress)
        draw(display, now_ns);
}

uint64_t kx_display_due_ns(const struct kx_display *display)
{
    uint64_t due_ns = kx_notify_due_ns(&display->notify);
    bool draws = display->config->progress || display->notify.fd >= 0;
    if (draws && (due_ns == 0 || display->draw_ns < due_ns))
        due_ns = display->draw_ns;
    return due_ns;
}

void kx_display_reloading(struct kx_display *display)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now); /* which the service manager compares with its own */
    kx_notify_reloading(&display->notify,
                        (uint64_t)now.tv_sec * KX_NS_PER_S + (uint64_t)now.tv_nsec);
}

void kx_display_reloaded(struct kx_display *display)
{
    kx_notify_ready(&display->notify);
}

void kx_display_stopping(struct kx_display *display)
{
    kx_notify_stopping(&display->notify);
    if (!display->config->progress)
        return;
    kx_log_panel("");
    kx_log_level_set(KX_LOG_INFO); /* the account at the end is for whoever watched */
}

void kx_display_close(struct kx_display *display)
{
    kx_notify_close(&display->notify);
}
