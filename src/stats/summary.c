/* The statistics block; its lines are a contract with scripts that read them. */
#include "stats/summary.h"

#include "base/clock.h"
#include <string.h>

const char *kx_summary_number(uint64_t value, char out[KX_SUMMARY_NUMBER_MAX])
{
    size_t at = KX_SUMMARY_NUMBER_MAX;
    size_t digits = 0;
    out[--at] = '\0';
    do {
        if (digits > 0 && digits % 3 == 0)
            out[--at] = ',';
        out[--at] = (char)('0' + value % 10);
        value /= 10;
        digits++;
    } while (value > 0);
    return out + at;
}

void kx_summary_write(struct kx_buf *out, const struct kx_summary *summary)
{
    char number[KX_SUMMARY_NUMBER_MAX];
    double seconds = (double)summary->runtime_ns / 1e9;
    kx_buf_text(out, "=== Kismet Export Statistics ===\n");
    kx_buf_printf(out, "Runtime: %.1f seconds\n", seconds);
    kx_buf_text(out, "Devices processed: ");
    kx_buf_text(out, kx_summary_number(summary->devices, number));
    kx_buf_text(out, "\nAlerts processed: ");
    kx_buf_text(out, kx_summary_number(summary->events, number));
    kx_buf_printf(out, "\nProcessing rate: %.2f devices/second\n",
                  seconds > 0 ? (double)summary->devices / seconds : 0.0);
    kx_buf_text(out, "Last update: ");
    if (summary->last_update_ns == 0) {
        kx_buf_text(out, "never\n");
        return;
    }
    char time[KX_CLOCK_RFC3339_MAX]; /* 2025-01-17T16:30:45.123456 */
    kx_clock_iso8601_local(summary->last_update_ns, time);
    time[10] = ' ';
    kx_buf_bytes(out, time, 19);
    kx_buf_byte(out, '\n');
}
