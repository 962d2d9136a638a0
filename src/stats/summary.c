/* The statistics block; its lines are a contract with scripts that read them. */
#include "stats/summary.h"

#include "base/clock.h"
#include <string.h>

/* 1234567 as "1,234,567". */
static void grouped(struct kx_buf *out, uint64_t value)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (count-- > 0) {
        kx_buf_byte(out, digits[count]);
        if (count > 0 && count % 3 == 0)
            kx_buf_byte(out, ',');
    }
}

void kx_summary_write(struct kx_buf *out, const struct kx_summary *summary)
{
    double seconds = (double)summary->runtime_ns / 1e9;
    kx_buf_text(out, "=== Kismet Export Statistics ===\n");
    kx_buf_printf(out, "Runtime: %.1f seconds\n", seconds);
    kx_buf_text(out, "Devices processed: ");
    grouped(out, summary->devices);
    kx_buf_text(out, "\nAlerts processed: ");
    grouped(out, summary->events);
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
