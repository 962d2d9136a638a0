/* JSON about the program's state; the contract stands in the header. */
#include "stats/status.h"

#include "base/clock.h"
#include "base/text.h"
#include <ctype.h>
#include <math.h>
#include <string.h>

enum { SOURCE_RECORDS, SOURCE_BYTES, SOURCE_SERIES };
enum { SINK_RECEIVED, SINK_DELIVERED, SINK_PENDING, SINK_SERIES };

/* --- JSON --- */

/* Opens a member: its name, with a comma before it when it is not the first. */
static void key(struct kx_buf *out, const char *name)
{
    char last = out->length > 0 ? out->data[out->length - 1] : '{';
    if (last != '{' && last != '[')
        kx_buf_byte(out, ',');
    kx_buf_printf(out, "\"%s\":", name);
}

static void item(struct kx_buf *out)
{
    if (out->length > 0 && out->data[out->length - 1] != '[')
        kx_buf_byte(out, ',');
}

static void text_member(struct kx_buf *out, const char *name, const char *text)
{
    key(out, name);
    kx_buf_byte(out, '"');
    kx_text_json(out, text, strlen(text));
    kx_buf_byte(out, '"');
}

static void bool_member(struct kx_buf *out, const char *name, bool value)
{
    key(out, name);
    kx_buf_text(out, value ? "true" : "false");
}

static void count_member(struct kx_buf *out, const char *name, uint64_t value)
{
    key(out, name);
    kx_buf_u64(out, value);
}

/* Unknown, NaN, is null. */
static void number_member(struct kx_buf *out, const char *name, double value)
{
    key(out, name);
    if (isnan(value))
        kx_buf_text(out, "null");
    else
        kx_buf_f64(out, value);
}

static void time_member(struct kx_buf *out, const char *name, int64_t wall_ns)
{
    number_member(out, name, wall_ns > 0 ? (double)(wall_ns / 1000000) / 1e3 : KX_UNKNOWN);
}

/* No more digits than anybody wants to see. */
static double micro(double seconds)
{
    return round(seconds * 1e6) / 1e6;
}

/* --- texts --- */

enum { MAC_LENGTH = 17, HEX_MAC_LENGTH = 12 };

/* The length of the MAC that text begins with; 0 = it does not. before: the byte in front of it. */
static size_t mac_length(const char *text, char before)
{
    uint64_t mac;
    size_t length = strlen(text);
    if (isxdigit((unsigned char)before))
        return 0;
    if (length >= MAC_LENGTH && (text[2] == ':' || text[2] == '-') &&
        kx_text_mac(text, MAC_LENGTH, &mac))
        return MAC_LENGTH;
    if (length >= HEX_MAC_LENGTH && kx_text_mac(text, HEX_MAC_LENGTH, &mac) &&
        !isxdigit((unsigned char)text[HEX_MAC_LENGTH]))
        return HEX_MAC_LENGTH;
    return 0;
}

static void prose_member(struct kx_buf *out, const char *name, const char *text)
{
    key(out, name);
    kx_buf_byte(out, '"');
    const char *from = text;
    for (const char *at = text; *at != '\0';) {
        size_t mac = mac_length(at, at == text ? ' ' : at[-1]);
        if (mac == 0) {
            at++;
            continue;
        }
        kx_text_json(out, from, (size_t)(at - from));
        kx_buf_text(out, "[mac]");
        from = at += mac;
    }
    kx_text_json(out, from, strlen(from));
    kx_buf_byte(out, '"');
}

/* What somebody can do about it; "" = nothing needs doing. */
static const char *source_advice(enum kx_source_state state)
{
    switch (state) {
    case KX_SOURCE_AUTH_FAILED:
        return "Kismet refuses the credential: make a key with 'kismet-export login', or mend the "
               "key file; it is read again each minute and on SIGHUP";
    case KX_SOURCE_ENDPOINT_MISSING:
        return "this is no Kismet, or an old one, or its path is wrong: try 'kismet-export probe'";
    case KX_SOURCE_BACKING_OFF:
        return "it is tried again by itself; 'kismet-export probe' says more";
    case KX_SOURCE_CONNECTING:
    case KX_SOURCE_STREAMING:
    case KX_SOURCE_POLLING:
    case KX_SOURCE_ENDED:
        break;
    }
    return "";
}

static const char *sink_advice(enum kx_sink_state state)
{
    switch (state) {
    case KX_SINK_RETRYING:
        return "it is tried again by itself; until then records wait";
    case KX_SINK_HELD:
        return "mend what the text says, then send SIGHUP; it is tried again each minute anyway";
    case KX_SINK_GONE:
        return "it is over; what comes for it is dropped and counted. Start the program again";
    case KX_SINK_STARTING:
    case KX_SINK_OK:
        break;
    }
    return "";
}

/* --- rates --- */

size_t kx_status_series(const struct kx_feed *feed)
{
    return feed->source_count * SOURCE_SERIES + feed->sink_count * SINK_SERIES;
}

void kx_status_sample(const struct kx_snapshot *snapshot, uint64_t *values)
{
    for (size_t i = 0; i < snapshot->feed->source_count; i++, values += SOURCE_SERIES) {
        const uint64_t *counters = snapshot->sources[i].counters;
        values[SOURCE_RECORDS] = counters[KX_C_RECORDS_DEVICE] + counters[KX_C_RECORDS_EVENT];
        values[SOURCE_BYTES] = counters[KX_C_BYTES];
    }
    for (size_t i = 0; i < snapshot->feed->sink_count; i++, values += SINK_SERIES) {
        values[SINK_RECEIVED] = snapshot->sinks[i].counters[KX_C_RECEIVED];
        values[SINK_DELIVERED] = snapshot->sinks[i].counters[KX_C_DELIVERED];
        values[SINK_PENDING] = snapshot->sinks[i].pending;
    }
}

typedef uint64_t series_value(const struct kx_rates *rates, size_t series, size_t step);

static void series_member(struct kx_buf *out,
                          const char *name,
                          const struct kx_rates *rates,
                          size_t series,
                          series_value *value)
{
    key(out, name);
    kx_buf_byte(out, '[');
    for (size_t i = 0; i < kx_rates_steps(rates); i++) {
        item(out);
        kx_buf_u64(out, value(rates, series, i));
    }
    kx_buf_byte(out, ']');
}

/* --- sources and sinks --- */

static uint64_t sum_metric(const uint64_t counters[KX_COUNTERS], const char *metric)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < KX_COUNTERS; i++)
        if (strcmp(kx_counter_infos[i].metric, metric) == 0)
            sum += counters[i];
    return sum;
}

static const char *mode_word(enum kx_gauge mode)
{
    return kx_gauge_infos[mode].value;
}

static void write_source(struct kx_buf *out,
                         const struct kx_snapshot_source *source,
                         const struct kx_rates *rates,
                         size_t series)
{
    const struct kx_source_status *status = &source->status;
    item(out);
    kx_buf_byte(out, '{');
    text_member(out, "name", source->of->name);
    text_member(out, "state", kx_source_state_name(status->state));
    bool_member(out, "well", kx_snapshot_source_well(source));
    prose_member(out, "text", status->text);
    text_member(out, "advice", source_advice(status->state));
    text_member(out, "mode", mode_word(source->of->mode));
    time_member(out, "since", status->since_ns);
    time_member(out, "last_contact", status->last_contact_ns);
    text_member(out, "server_uuid", status->server_uuid);
    text_member(out, "version", status->version);
    bool_member(out, "tls_insecure", source->of->tls_insecure);
    number_member(out, "clock_skew_s", source->gauges[KX_G_CLOCK_SKEW]);
    number_member(out, "datasources_running", source->gauges[KX_G_DATASOURCES_RUNNING]);
    number_member(out, "datasources_failed", source->gauges[KX_G_DATASOURCES_FAILED]);
    number_member(out, "kismet_devices", source->gauges[KX_G_KISMET_DEVICES]);
    number_member(out, "kismet_memory_bytes", source->gauges[KX_G_KISMET_MEMORY]);
    count_member(out, "frames", sum_metric(source->counters, "frames_total"));
    count_member(out, "bytes", source->counters[KX_C_BYTES]);
    count_member(out, "devices", source->counters[KX_C_RECORDS_DEVICE]);
    count_member(out, "events", source->counters[KX_C_RECORDS_EVENT]);
    count_member(out, "repaired", source->counters[KX_C_REPAIRED]);
    count_member(out, "gaps", source->counters[KX_C_GAPS]);
    count_member(out, "parse_errors", sum_metric(source->counters, "parse_errors_total"));
    series_member(out, "records_each_step", rates, series + SOURCE_RECORDS, kx_rates_growth);
    series_member(out, "bytes_each_step", rates, series + SOURCE_BYTES, kx_rates_growth);
    kx_buf_byte(out, '}');
}

static void quantiles(struct kx_buf *out,
                      const char *name,
                      const struct kx_snapshot_sink *sink,
                      enum kx_histogram which)
{
    const struct kx_histogram_counts *counts = &sink->histograms[which];
    key(out, name);
    kx_buf_byte(out, '{');
    static const struct {
        const char *name;
        double q;
    } of[] = {{"p50", 0.5}, {"p95", 0.95}, {"p99", 0.99}};
    for (size_t i = 0; i < sizeof of / sizeof of[0]; i++)
        number_member(
            out, of[i].name,
            micro(kx_histogram_quantile(which, counts, of[i].q) * kx_histogram_infos[which].unit));
    kx_buf_byte(out, '}');
}

static void write_drops(struct kx_buf *out, const struct kx_snapshot_sink *sink)
{
    key(out, "dropped_by_reason");
    kx_buf_byte(out, '{');
    for (size_t i = 0; i < KX_COUNTERS; i++) {
        const struct kx_counter_info *info = &kx_counter_infos[i];
        uint64_t sum = 0;
        bool first = true;
        if (strcmp(info->metric, "records_dropped_total") != 0)
            continue;
        for (size_t j = 0; j < KX_COUNTERS; j++)
            if (strcmp(kx_counter_infos[j].metric, info->metric) == 0 &&
                strcmp(kx_counter_infos[j].value, info->value) == 0) {
                sum += sink->counters[j];
                first = first && j >= i;
            }
        if (first && sum > 0)
            count_member(out, info->value, sum);
    }
    kx_buf_byte(out, '}');
}

static void write_sink(struct kx_buf *out,
                       const struct kx_snapshot_sink *sink,
                       const struct kx_rates *rates,
                       size_t series)
{
    const struct kx_sink_status *status = &sink->status;
    struct kx_snapshot_account account;
    kx_snapshot_account(sink, &account);
    item(out);
    kx_buf_byte(out, '{');
    text_member(out, "name", sink->of->name);
    text_member(out, "type", sink->of->type);
    bool_member(out, "tls_insecure", sink->of->tls_insecure);
    text_member(out, "state", kx_sink_state_name(status->state));
    bool_member(out, "well", kx_snapshot_sink_well(sink));
    prose_member(out, "text", status->text);
    text_member(out, "advice", sink_advice(status->state));
    time_member(out, "since", status->since_ns);
    time_member(out, "last_delivery", status->last_delivery_ns);
    count_member(out, "received", account.received);
    count_member(out, "filtered", account.filtered);
    count_member(out, "unchanged", account.unchanged);
    count_member(out, "coalesced", account.coalesced);
    count_member(out, "delivered", account.delivered);
    count_member(out, "pending", account.pending);
    count_member(out, "dropped", account.dropped);
    write_drops(out, sink);
    count_member(out, "dead_lettered", account.dead_lettered);
    count_member(out, "batches", sink->counters[KX_C_BATCHES]);
    count_member(out, "retries", sink->counters[KX_C_RETRIES]);
    count_member(out, "holds", sink->counters[KX_C_HOLDS]);
    quantiles(out, "latency_s", sink, KX_H_LATENCY);
    quantiles(out, "freshness_s", sink, KX_H_FRESHNESS);
    series_member(out, "received_each_step", rates, series + SINK_RECEIVED, kx_rates_growth);
    series_member(out, "delivered_each_step", rates, series + SINK_DELIVERED, kx_rates_growth);
    series_member(out, "pending_at_step", rates, series + SINK_PENDING, kx_rates_level);
    kx_buf_byte(out, '}');
}

/* --- health and readiness --- */

static bool late_member(struct kx_buf *out, const struct kx_snapshot *snapshot)
{
    bool healthy = true;
    key(out, "late");
    kx_buf_byte(out, '[');
    for (size_t i = 0; i < snapshot->feed->thread_count; i++) {
        const struct kx_snapshot_thread *thread = &snapshot->threads[i];
        if (thread->late_ns == 0)
            continue;
        healthy = false;
        item(out);
        kx_buf_byte(out, '{');
        text_member(out, "thread", thread->of->name);
        number_member(out, "seconds", (double)(thread->late_ns / KX_NS_PER_MS) / 1e3);
        kx_buf_byte(out, '}');
    }
    kx_buf_byte(out, ']');
    return healthy;
}

bool kx_status_healthy(struct kx_buf *out, const struct kx_snapshot *snapshot)
{
    kx_buf_byte(out, '{');
    bool healthy = late_member(out, snapshot);
    bool_member(out, "healthy", healthy);
    kx_buf_text(out, "}\n");
    return healthy;
}

static void reason(struct kx_buf *out,
                   const char *kind,
                   const char *name,
                   const char *state,
                   const char *text,
                   const char *advice)
{
    item(out);
    kx_buf_byte(out, '{');
    text_member(out, "kind", kind);
    text_member(out, "name", name);
    text_member(out, "state", state);
    prose_member(out, "text", text);
    text_member(out, "advice", advice);
    kx_buf_byte(out, '}');
}

static bool ready_members(struct kx_buf *out, const struct kx_snapshot *snapshot)
{
    bool ready = true;
    key(out, "reasons");
    kx_buf_byte(out, '[');
    for (size_t i = 0; i < snapshot->feed->source_count; i++) {
        const struct kx_snapshot_source *source = &snapshot->sources[i];
        if (kx_snapshot_source_well(source))
            continue;
        ready = false;
        reason(out, "source", source->of->name, kx_source_state_name(source->status.state),
               source->status.text, source_advice(source->status.state));
    }
    for (size_t i = 0; i < snapshot->feed->sink_count; i++) {
        const struct kx_snapshot_sink *sink = &snapshot->sinks[i];
        if (kx_snapshot_sink_well(sink))
            continue;
        ready = false;
        reason(out, "sink", sink->of->name, kx_sink_state_name(sink->status.state),
               sink->status.text, sink_advice(sink->status.state));
    }
    kx_buf_byte(out, ']');
    bool_member(out, "ready", ready);
    return ready;
}

bool kx_status_ready(struct kx_buf *out, const struct kx_snapshot *snapshot)
{
    kx_buf_byte(out, '{');
    bool ready = ready_members(out, snapshot);
    kx_buf_text(out, "}\n");
    return ready;
}

/* --- all of it --- */

static void write_process(struct kx_buf *out, const struct kx_snapshot *snapshot)
{
    const struct kx_process_usage *usage = &snapshot->usage;
    key(out, "process");
    kx_buf_byte(out, '{');
    number_member(out, "cpu_s", usage->cpu_s);
    count_member(out, "resident_bytes", usage->resident_bytes);
    count_member(out, "open_fds", usage->open_fds);
    count_member(out, "threads", usage->threads);
    number_member(out, "ring_used_bytes", snapshot->gauges[KX_G_RING_USED]);
    number_member(out, "ring_capacity_bytes", snapshot->gauges[KX_G_RING_CAPACITY]);
    count_member(out, "ring_refused", sum_metric(snapshot->counters, "ring_refused_total"));
    number_member(out, "devices_tracked", snapshot->gauges[KX_G_DEVICES_TRACKED]);
    number_member(out, "devices_tracked_limit", snapshot->gauges[KX_G_DEVICES_MAX]);
    count_member(out, "devices_evicted", snapshot->counters[KX_C_REGISTRY_EVICTED]);
    kx_buf_byte(out, '}');
    key(out, "reload");
    kx_buf_byte(out, '{');
    time_member(out, "last", snapshot->reload.last_ns);
    bool_member(out, "ok", snapshot->gauges[KX_G_RELOAD_OK] > 0);
    prose_member(out, "text", snapshot->reload.text);
    kx_buf_byte(out, '}');
}

void kx_status_write(struct kx_buf *out,
                     const struct kx_snapshot *snapshot,
                     const struct kx_rates *rates)
{
    const struct kx_feed *feed = snapshot->feed;
    size_t series = 0;
    kx_buf_byte(out, '{');
    text_member(out, "version", KX_VERSION);
    text_member(out, "sensor", feed->sensor);
    time_member(out, "time", snapshot->wall_ns);
    number_member(out, "uptime_s",
                  (double)((snapshot->now_ns - snapshot->started_ns) / KX_NS_PER_MS) / 1e3);
    count_member(out, "step_s", KX_RATES_STEP_S);
    count_member(out, "steps", kx_rates_steps(rates));
    bool healthy = late_member(out, snapshot);
    bool_member(out, "healthy", healthy);
    ready_members(out, snapshot);
    key(out, "sources");
    kx_buf_byte(out, '[');
    for (size_t i = 0; i < feed->source_count; i++, series += SOURCE_SERIES)
        write_source(out, &snapshot->sources[i], rates, series);
    kx_buf_byte(out, ']');
    key(out, "sinks");
    kx_buf_byte(out, '[');
    for (size_t i = 0; i < feed->sink_count; i++, series += SINK_SERIES)
        write_sink(out, &snapshot->sinks[i], rates, series);
    kx_buf_byte(out, ']');
    write_process(out, snapshot);
    kx_buf_text(out, "}\n");
}
