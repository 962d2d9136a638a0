/* The exposition formats; the contract stands in the header. */
#include "stats/expose.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char PREFIX[] = "kismet_export_";

struct writer {
    struct kx_buf *out;
    const struct kx_snapshot *snapshot;
    bool open_metrics;
};

const char *kx_expose_content_type(enum kx_exposition format)
{
    return format == KX_EXPOSE_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

/* --- lines --- */

static void label(struct kx_buf *out, const char *name, const char *value)
{
    kx_buf_text(out, name);
    kx_buf_text(out, "=\"");
    for (const char *at = value; *at != '\0'; at++) {
        if (*at == '\n')
            kx_buf_text(out, "\\n");
        else if (*at == '"' || *at == '\\')
            kx_buf_printf(out, "\\%c", *at);
        else
            kx_buf_byte(out, *at);
    }
    kx_buf_byte(out, '"');
}

static bool is_counter(const char *metric)
{
    size_t length = strlen(metric);
    return length > 6 && strcmp(metric + length - 6, "_total") == 0;
}

/* HELP and TYPE. OpenMetrics names a counter's family without _total. */
static void
head(struct writer *w, const char *prefix, const char *metric, const char *type, const char *help)
{
    int length = (int)strlen(metric);
    if (w->open_metrics && is_counter(metric))
        length -= 6;
    kx_buf_printf(w->out, "# HELP %s%.*s %s\n# TYPE %s%.*s %s\n", prefix, length, metric, help,
                  prefix, length, metric, type);
}

/* Whose series it is: the label of the scope, and its value; NULL = none. */
struct owner {
    const char *label, *value;
};

static void begin_series(struct writer *w, const struct kx_counter_info *row, struct owner owner)
{
    kx_buf_text(w->out, PREFIX);
    kx_buf_text(w->out, row->metric);
    bool labelled = row->label[0] != '\0';
    if (owner.label != NULL || labelled) {
        kx_buf_byte(w->out, '{');
        if (owner.label != NULL)
            label(w->out, owner.label, owner.value);
        if (owner.label != NULL && labelled)
            kx_buf_byte(w->out, ',');
        if (labelled)
            label(w->out, row->label, row->value);
        kx_buf_byte(w->out, '}');
    }
    kx_buf_byte(w->out, ' ');
}

/* --- rows of counters.def --- */

static bool same_metric(const struct kx_counter_info *a, const struct kx_counter_info *b)
{
    return a == b || strcmp(a->metric, b->metric) == 0;
}

/* The worker and the sender of a sink may count one thing, under one name: theirs is one series. */
static bool same_series(const struct kx_counter_info *a, const struct kx_counter_info *b)
{
    return same_metric(a, b) && strcmp(a->value, b->value) == 0;
}

static bool seen_before(size_t row)
{
    for (size_t i = 0; i < row; i++)
        if (same_series(&kx_counter_infos[i], &kx_counter_infos[row]))
            return true;
    return false;
}

static uint64_t series_sum(const uint64_t counters[KX_COUNTERS], size_t row)
{
    uint64_t sum = counters[row];
    for (size_t i = row + 1; i < KX_COUNTERS; i++)
        if (same_series(&kx_counter_infos[i], &kx_counter_infos[row]))
            sum += counters[i];
    return sum;
}

static void
counter_line(struct writer *w, size_t row, const uint64_t counters[KX_COUNTERS], struct owner owner)
{
    begin_series(w, &kx_counter_infos[row], owner);
    kx_buf_u64(w->out, series_sum(counters, row));
    kx_buf_byte(w->out, '\n');
}

static void counter_row(struct writer *w, size_t row)
{
    const struct kx_snapshot *snapshot = w->snapshot;
    if (seen_before(row))
        return;
    switch (kx_counter_infos[row].scope) {
    case KX_SCOPE_SOURCE:
        for (size_t i = 0; i < snapshot->feed->source_count; i++)
            counter_line(w, row, snapshot->sources[i].counters,
                         (struct owner){"source", snapshot->sources[i].of->name});
        break;
    case KX_SCOPE_WORKER:
    case KX_SCOPE_SENDER:
    case KX_SCOPE_SINK:
        for (size_t i = 0; i < snapshot->feed->sink_count; i++)
            counter_line(w, row, snapshot->sinks[i].counters,
                         (struct owner){"sink", snapshot->sinks[i].of->name});
        break;
    case KX_SCOPE_PROCESS:
    case KX_SCOPE_MAIN:
    case KX_SCOPE_STATS:
    case KX_SCOPE_THREAD:
        counter_line(w, row, snapshot->counters, (struct owner){0});
        break;
    }
}

static void counter_families(struct writer *w)
{
    for (size_t first = 0; first < KX_COUNTERS; first++) {
        const struct kx_counter_info *info = &kx_counter_infos[first];
        if (info->help[0] == '\0')
            continue;
        head(w, PREFIX, info->metric, "counter", info->help);
        for (size_t row = first; row < KX_COUNTERS; row++)
            if (same_metric(info, &kx_counter_infos[row]))
                counter_row(w, row);
    }
}

static void gauge_line(struct writer *w, size_t row, double value, struct owner owner)
{
    if (isnan(value))
        return;
    begin_series(w, &kx_gauge_infos[row], owner);
    kx_buf_f64(w->out, value);
    kx_buf_byte(w->out, '\n');
}

static void thread_line(struct writer *w, size_t row, size_t i)
{
    const struct kx_snapshot_thread *thread = &w->snapshot->threads[i];
    double value = (double)thread->late_ns / 1e9;
    if (row == KX_G_THREAD_CPU)
        value = thread->cpu_known ? thread->cpu_s : KX_UNKNOWN;
    gauge_line(w, row, value, (struct owner){"thread", thread->of->name});
}

static void gauge_row(struct writer *w, size_t row)
{
    const struct kx_snapshot *snapshot = w->snapshot;
    switch (kx_gauge_infos[row].scope) {
    case KX_SCOPE_SOURCE:
        for (size_t i = 0; i < snapshot->feed->source_count; i++)
            gauge_line(w, row, snapshot->sources[i].gauges[row],
                       (struct owner){"source", snapshot->sources[i].of->name});
        break;
    case KX_SCOPE_WORKER:
    case KX_SCOPE_SENDER:
    case KX_SCOPE_SINK:
        for (size_t i = 0; i < snapshot->feed->sink_count; i++)
            gauge_line(w, row, snapshot->sinks[i].gauges[row],
                       (struct owner){"sink", snapshot->sinks[i].of->name});
        break;
    case KX_SCOPE_THREAD:
        for (size_t i = 0; i < snapshot->feed->thread_count; i++)
            thread_line(w, row, i);
        break;
    case KX_SCOPE_PROCESS:
    case KX_SCOPE_MAIN:
    case KX_SCOPE_STATS:
        gauge_line(w, row, snapshot->gauges[row], (struct owner){0});
        break;
    }
}

static void gauge_families(struct writer *w)
{
    for (size_t row = 0; row < KX_GAUGES; row++) {
        const struct kx_counter_info *info = &kx_gauge_infos[row];
        if (info->help[0] != '\0')
            head(w, PREFIX, info->metric, is_counter(info->metric) ? "counter" : "gauge",
                 info->help);
        gauge_row(w, row);
    }
}

/* --- histograms --- */

static void bucket_line(struct writer *w,
                        enum kx_histogram which,
                        const struct kx_snapshot_sink *sink,
                        const char *bound,
                        uint64_t count)
{
    kx_buf_printf(w->out, "%s%s_bucket{", PREFIX, kx_histogram_infos[which].metric);
    label(w->out, "sink", sink->of->name);
    kx_buf_printf(w->out, ",le=\"%s\"} %llu\n", bound, (unsigned long long)count);
}

static void
histogram_lines(struct writer *w, enum kx_histogram which, const struct kx_snapshot_sink *sink)
{
    const struct kx_histogram_info *info = &kx_histogram_infos[which];
    const struct kx_histogram_counts *counts = &sink->histograms[which];
    size_t bounds = kx_histogram_bounds(which);
    uint64_t sum = 0;
    for (size_t i = 0; i < bounds; i++) {
        char bound[32];
        int length = snprintf(bound, sizeof bound - 2, "%.10g",
                              (double)kx_histogram_bound(which, i) * info->unit);
        /* OpenMetrics wants its bounds to be floats to look at. */
        if (w->open_metrics && strpbrk(bound, ".e") == NULL)
            memcpy(bound + length, ".0", 3);
        sum += counts->buckets[i];
        bucket_line(w, which, sink, bound, sum);
    }
    sum += counts->buckets[bounds];
    bucket_line(w, which, sink, "+Inf", sum);
    kx_buf_printf(w->out, "%s%s_sum{", PREFIX, info->metric);
    label(w->out, "sink", sink->of->name);
    kx_buf_text(w->out, "} ");
    kx_buf_f64(w->out, (double)counts->sum * info->unit);
    kx_buf_printf(w->out, "\n%s%s_count{", PREFIX, info->metric);
    label(w->out, "sink", sink->of->name);
    kx_buf_printf(w->out, "} %llu\n", (unsigned long long)sum);
}

static void histogram_families(struct writer *w)
{
    for (size_t h = 0; h < KX_HISTOGRAMS; h++) {
        const struct kx_histogram_info *info = &kx_histogram_infos[h];
        head(w, PREFIX, info->metric, "histogram", info->help);
        for (size_t i = 0; i < w->snapshot->feed->sink_count; i++)
            histogram_lines(w, (enum kx_histogram)h, &w->snapshot->sinks[i]);
    }
}

/* --- the process --- */

static void process_line(struct writer *w, const char *metric, double value, const char *help)
{
    head(w, "", metric, is_counter(metric) ? "counter" : "gauge", help);
    kx_buf_text(w->out, metric);
    kx_buf_byte(w->out, ' ');
    kx_buf_f64(w->out, value);
    kx_buf_byte(w->out, '\n');
}

static void process_family(struct writer *w)
{
    const struct kx_process_usage *usage = &w->snapshot->usage;
    process_line(w, "process_cpu_seconds_total", usage->cpu_s,
                 "Processor time of the process, of the system's part too");
    process_line(w, "process_start_time_seconds", usage->started_s,
                 "When the process was started, since 1970");
    process_line(w, "process_resident_memory_bytes", (double)usage->resident_bytes,
                 "Memory that is in RAM");
    process_line(w, "process_virtual_memory_bytes", (double)usage->virtual_bytes,
                 "Address space in use");
    process_line(w, "process_open_fds", (double)usage->open_fds, "Open file descriptors");
    process_line(w, "process_max_fds", (double)usage->max_fds, "File descriptors at most");
    process_line(w, "process_threads", (double)usage->threads, "Threads, of libraries too");
    head(w, PREFIX, "build_info", "gauge", "1; the version is in its label");
    kx_buf_printf(w->out, "%sbuild_info{version=\"%s\"} 1\n", PREFIX, KX_VERSION);
}

void kx_expose(struct kx_buf *out, const struct kx_snapshot *snapshot, enum kx_exposition format)
{
    struct writer w = {out, snapshot, format == KX_EXPOSE_OPENMETRICS};
    process_family(&w);
    gauge_families(&w);
    counter_families(&w);
    histogram_families(&w);
    if (w.open_metrics)
        kx_buf_text(out, "# EOF\n");
}
