/* What became of everything; the contract stands in the header. */
#include "account.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "stats/summary.h"
#include <stdio.h>
#include <unistd.h>

static bool console_prints_json(const struct kx_config *config)
{
    for (size_t i = 0; i < config->sink_count; i++)
        if (config->sinks[i].type == KX_SINK_CONSOLE &&
            config->sinks[i].console.format == KX_FORMAT_JSON)
            return true;
    return false;
}

/* The block that users of the script know. */
static void print_statistics(const struct kx_account *account)
{
    const struct kx_config *config = account->config;
    struct kx_summary summary = {.runtime_ns = kx_clock_boot_ns() - account->begun_ns};
    for (size_t i = 0; i < config->source_count; i++) {
        struct kx_source_status status;
        kx_board_source_get(account->board, i, &status);
        summary.devices += kx_counter_get(account->sources[i], KX_C_RECORDS_DEVICE);
        summary.events += kx_counter_get(account->sources[i], KX_C_RECORDS_EVENT);
        if (status.last_contact_ns > summary.last_update_ns)
            summary.last_update_ns = status.last_contact_ns;
    }
    struct kx_buf text;
    kx_buf_init(&text, 4096);
    kx_summary_write(&text, &summary);
    /* A consumer of JSON lines must not find anything else among them. */
    int fd = console_prints_json(config) ? STDERR_FILENO : STDOUT_FILENO;
    ssize_t written = text.failed ? -1 : write(fd, text.data, text.length);
    (void)written; /* a reader that has left does not want it */
    kx_buf_fini(&text);
}

/* One line with every counter of a block that is not zero, for those who read logs, not metrics:
 * "frames_total{kind=monitor} 12, repaired_records_total 3". */
static void log_counters(const char *component, const struct kx_counters *counters)
{
    struct kx_buf text;
    kx_buf_init(&text, KX_LOG_LINE_MAX);
    for (size_t i = 0; i < KX_COUNTERS; i++) {
        const struct kx_counter_info *info = &kx_counter_infos[i];
        uint64_t value = kx_counter_get(counters, (enum kx_counter)i);
        if (value == 0)
            continue;
        kx_buf_text(&text, text.length > 0 ? ", " : "");
        kx_buf_text(&text, info->metric);
        if (info->label[0] != '\0')
            kx_buf_printf(&text, "{%s=%s}", info->label, info->value);
        kx_buf_printf(&text, " %llu", (unsigned long long)value);
    }
    if (text.length > 0)
        kx_log(KX_LOG_INFO, component, "%.*s", (int)text.length, text.data);
    kx_buf_fini(&text);
}

static void log_all_counters(const struct kx_account *account)
{
    const struct kx_config *config = account->config;
    for (size_t i = 0; i < config->source_count; i++) {
        char component[KX_BOARD_NAME_MAX + 8];
        snprintf(component, sizeof(component), "source %s", config->sources[i].name);
        log_counters(component, account->sources[i]);
    }
    log_counters("main", account->process);
    log_counters("main", account->main);
}

bool kx_account_say(const struct kx_account *account)
{
    bool all = true;
    log_all_counters(account);
    for (size_t i = 0; i < account->pipe_count; i++) {
        struct kx_sink_totals totals = kx_pipe_totals(account->pipes[i]);
        char line[KX_TOTALS_LINE_MAX];
        char component[KX_BOARD_NAME_MAX + 8];
        kx_sink_totals_line(&totals, line);
        snprintf(component, sizeof(component), "sink %s", account->config->sinks[i].name);
        kx_log(KX_LOG_INFO, component, "%s", line);
        all = all && totals.dropped == 0 && totals.dead_lettered == 0 && totals.pending == 0;
    }
    print_statistics(account);
    return all;
}
