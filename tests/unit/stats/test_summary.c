/* The statistics block, byte for byte. */
#include "stats/summary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void expect(const struct kx_summary *summary, const char *text)
{
    struct kx_buf out;
    kx_buf_init(&out, 4096);
    kx_summary_write(&out, summary);
    kx_buf_byte(&out, '\0');
    assert_false(out.failed);
    assert_string_equal(out.data, text);
    kx_buf_fini(&out);
}

static void the_block_is_the_scripts(void **state)
{
    (void)state;
    const struct kx_summary summary = {.runtime_ns = 300500000000ull,
                                       .devices = 1250,
                                       .events = 15,
                                       .last_update_ns = 1737131722000000000ll};
    expect(&summary, "=== Kismet Export Statistics ===\n"
                     "Runtime: 300.5 seconds\n"
                     "Devices processed: 1,250\n"
                     "Alerts processed: 15\n"
                     "Processing rate: 4.16 devices/second\n"
                     "Last update: 2025-01-17 16:35:22\n");
}

static void nothing_came(void **state)
{
    (void)state;
    const struct kx_summary summary = {.events = 1234567};
    expect(&summary, "=== Kismet Export Statistics ===\n"
                     "Runtime: 0.0 seconds\n"
                     "Devices processed: 0\n"
                     "Alerts processed: 1,234,567\n"
                     "Processing rate: 0.00 devices/second\n"
                     "Last update: never\n");
}

int main(void)
{
    setenv("TZ", "UTC", 1);
    tzset();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_block_is_the_scripts),
        cmocka_unit_test(nothing_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
