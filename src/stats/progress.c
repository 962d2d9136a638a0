/* A few lines about everything; what they mean stands in the header. */
#include "stats/progress.h"

#include "base/clock.h"
#include "base/text.h"
#include "stats/summary.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH_DEFAULT = 80, WIDTH_MIN = 20, NAME_MAX = 20, LINE_MAX = 4096 };

/* --- pieces --- */

/* Ends a line, cut to what the terminal shows. A byte is at least as much as a column. */
static void put_line(struct kx_buf *out, const struct kx_buf *line, unsigned width)
{
    size_t limit = width > WIDTH_MIN ? width - 1 : WIDTH_MIN;
    kx_buf_bytes(out, line->data, kx_text_utf8_cut(line->data, line->length, limit));
    kx_buf_byte(out, '\n');
}

/* How long the newest delivery lies back while something waits; what nobody waits for is not late.
 */
static void put_behind(struct kx_buf *line, const struct kx_progress_sink *sink, int64_t wall_ns)
{
    int64_t since_ns = sink->status.last_delivery_ns;
    if (since_ns == 0)
        since_ns = sink->status.since_ns;
    double behind_s = sink->pending == 0 || since_ns == 0 || since_ns > wall_ns
                          ? 0.0
                          : (double)(wall_ns - since_ns) / 1e9;
    if (behind_s < 100)
        kx_buf_printf(line, " %5.1f s behind ", behind_s);
    else if (behind_s < 6000)
        kx_buf_printf(line, " %5.0f m behind ", behind_s / 60);
    else
        kx_buf_printf(line, " %5.0f h behind ", behind_s / 3600);
}

static double rate_of(const struct kx_progress *progress, size_t sink, uint64_t delivered)
{
    unsigned kept = progress->draws < KX_PROGRESS_SAMPLES ? progress->draws : KX_PROGRESS_SAMPLES;
    if (kept < 2)
        return 0;
    unsigned newest = (progress->draws - 1) % KX_PROGRESS_SAMPLES;
    unsigned oldest = (progress->draws - kept) % KX_PROGRESS_SAMPLES;
    uint64_t took_ns = progress->at_ns[newest] - progress->at_ns[oldest];
    if (took_ns == 0)
        return 0;
    return (double)(delivered - progress->delivered[oldest][sink]) * 1e9 / (double)took_ns;
}

/* --- lines --- */

/* "3 streaming, 1 backing_off" */
static void put_sources(struct kx_buf *line, struct kx_board *board)
{
    size_t counts[KX_SOURCE_ENDED + 1] = {0};
    struct kx_source_status unwell = {.state = KX_SOURCE_STREAMING};
    const char *between = "";
    for (size_t i = 0; i < kx_board_sources(board); i++) {
        struct kx_source_status status;
        kx_board_source_get(board, i, &status);
        counts[status.state]++;
        if (status.state != KX_SOURCE_STREAMING && status.text[0] != '\0')
            unwell = status;
    }
    kx_buf_printf(line, "%-*s ", NAME_MAX, "sources");
    for (unsigned state = 0; state <= KX_SOURCE_ENDED; state++) {
        if (counts[state] == 0)
            continue;
        kx_buf_printf(line, "%s%zu %s", between, counts[state],
                      kx_source_state_name((enum kx_source_state)state));
        between = ", ";
    }
    if (unwell.text[0] != '\0') {
        kx_buf_text(line, " (");
        kx_text_terminal(line, unwell.name, strlen(unwell.name));
        kx_buf_text(line, ": ");
        kx_text_terminal(line, unwell.text, strlen(unwell.text));
        kx_buf_byte(line, ')');
    }
}

static void
put_sink(struct kx_buf *line, const struct kx_progress_sink *sink, double rate, int64_t wall_ns)
{
    const struct kx_sink_status *status = &sink->status;
    char number[KX_SUMMARY_NUMBER_MAX];
    size_t before = line->length;
    kx_text_terminal(line, status->name, strlen(status->name));
    while (line->length - before < NAME_MAX)
        kx_buf_byte(line, ' ');
    kx_buf_printf(line, " %13s sent %9.1f/s", kx_summary_number(sink->delivered, number), rate);
    put_behind(line, sink, wall_ns);
    kx_buf_printf(line, "  %s", kx_sink_state_name(status->state));
    if (status->state != KX_SINK_OK && status->text[0] != '\0') {
        kx_buf_text(line, ": ");
        kx_text_terminal(line, status->text, strlen(status->text));
    }
}

static void
keep(struct kx_progress *progress, const struct kx_progress_sink *sinks, size_t count, uint64_t now)
{
    unsigned at = progress->draws % KX_PROGRESS_SAMPLES;
    progress->at_ns[at] = now;
    for (size_t i = 0; i < count; i++)
        progress->delivered[at][i] = sinks[i].delivered;
    progress->draws++;
}

void kx_progress_draw(struct kx_progress *progress,
                      struct kx_board *board,
                      const struct kx_progress_sink *sinks,
                      size_t count,
                      unsigned width,
                      uint64_t boot_ns,
                      int64_t wall_ns,
                      struct kx_buf *out)
{
    char bytes[LINE_MAX];
    struct kx_buf line = {.data = bytes, .capacity = sizeof bytes, .limit = sizeof bytes};
    if (width == 0)
        width = WIDTH_DEFAULT;
    if (count > KX_PROGRESS_ROWS_MAX)
        count = KX_PROGRESS_ROWS_MAX;
    keep(progress, sinks, count, boot_ns);
    put_sources(&line, board);
    put_line(out, &line, width);
    for (size_t i = 0; i < count; i++) {
        line.length = 0;
        line.failed = false;
        put_sink(&line, &sinks[i], rate_of(progress, i, sinks[i].delivered), wall_ns);
        put_line(out, &line, width);
    }
}
