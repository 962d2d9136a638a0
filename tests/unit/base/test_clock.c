/* Times: every day that an int64 of nanoseconds can name, both sides of 1970, and poll's rounding.
 */
#include "base/clock.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define DAY_NS (86400 * (int64_t)KX_NS_PER_S)

static void test_forms(void **state)
{
    (void)state;
    static const struct {
        int64_t wall_ns;
        const char *sql;
    } rows[] = {
        {0, "1970-01-01 00:00:00.000000"},
        {1737131445123456789, "2025-01-17 16:30:45.123456"},
        {-1, "1969-12-31 23:59:59.999999"},
        {-1000, "1969-12-31 23:59:59.999999"},
        {-1001, "1969-12-31 23:59:59.999998"},
        {-1000000000, "1969-12-31 23:59:59.000000"},
        {-86400000000000, "1969-12-31 00:00:00.000000"},
        {-86400000000001, "1969-12-30 23:59:59.999999"},
        {951782400000000000, "2000-02-29 00:00:00.000000"},
        {4107542399999999999, "2100-02-28 23:59:59.999999"},
        {4107542400000000000, "2100-03-01 00:00:00.000000"},
        {2147483647999999999, "2038-01-19 03:14:07.999999"},
        {4294967296000000000, "2106-02-07 06:28:16.000000"},
        {INT64_MAX, "2262-04-11 23:47:16.854775"},
        {INT64_MIN, "1677-09-21 00:12:43.145224"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[KX_CLOCK_RFC3339_MAX];
        char expected[KX_CLOCK_RFC3339_MAX];
        assert_int_equal(kx_clock_sql(rows[i].wall_ns, out), strlen(rows[i].sql));
        assert_string_equal(out, rows[i].sql);

        snprintf(expected, sizeof expected, "%.10sT%s+00:00", rows[i].sql, rows[i].sql + 11);
        assert_int_equal(kx_clock_iso8601(rows[i].wall_ns, out), strlen(expected));
        assert_string_equal(out, expected);

        snprintf(expected, sizeof expected, "%.10sT%.12sZ", rows[i].sql, rows[i].sql + 11);
        assert_int_equal(kx_clock_log(rows[i].wall_ns, out), strlen(expected));
        assert_string_equal(out, expected);
    }
}

static void test_every_day(void **state)
{
    (void)state;
    for (int64_t day = INT64_MIN / DAY_NS; day <= INT64_MAX / DAY_NS; day++) {
        int64_t wall_ns = day * DAY_NS + (day % 3) * 11111 * (int64_t)KX_NS_PER_S;
        if (day % 3 != 0 && (wall_ns > INT64_MAX - DAY_NS || wall_ns < INT64_MIN + DAY_NS))
            continue;
        time_t seconds = (time_t)(wall_ns / (int64_t)KX_NS_PER_S); /* whole seconds: no rounding */
        struct tm utc;
        assert_non_null(gmtime_r(&seconds, &utc));
        char expected[64];
        char out[KX_CLOCK_RFC3339_MAX];
        snprintf(expected, sizeof expected, "%04d-%02d-%02d %02d:%02d:%02d.000000",
                 utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
                 utc.tm_sec);
        kx_clock_sql(wall_ns, out);
        if (strcmp(out, expected) != 0) /* cmocka's own would be called 200,000 times */
            assert_string_equal(out, expected);
    }
}

static void test_every_second_of_a_day(void **state)
{
    (void)state;
    for (int second = 0; second < 86400; second++) {
        char expected[64];
        char out[KX_CLOCK_RFC3339_MAX];
        snprintf(expected, sizeof expected, "1970-01-01T%02d:%02d:%02d.%06d+00:00", second / 3600,
                 second / 60 % 60, second % 60, second * 11);
        kx_clock_iso8601(second * (int64_t)KX_NS_PER_S + second * 11000, out);
        if (strcmp(out, expected) != 0)
            assert_string_equal(out, expected);
    }
}

static void test_local(void **state)
{
    (void)state;
    /* The rule itself, not a zone's name: needs no zone files. */
    assert_int_equal(setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1), 0);
    tzset();
    char out[KX_CLOCK_RFC3339_MAX];
    assert_int_equal(kx_clock_iso8601_local(1737131445123456789, out), 26);
    assert_string_equal(out, "2025-01-17T17:30:45.123456");
    kx_clock_iso8601_local(1752769845000001999, out);
    assert_string_equal(out, "2025-07-17T18:30:45.000001");
    kx_clock_iso8601_local(-1, out);
    assert_string_equal(out, "1970-01-01T00:59:59.999999");
    kx_clock_iso8601_local(INT64_MIN, out);
    assert_string_equal(out + 19, ".145224");
    /* UTC stays UTC. */
    kx_clock_sql(1737131445123456789, out);
    assert_string_equal(out, "2025-01-17 16:30:45.123456");
    unsetenv("TZ");
    tzset();
}

static void test_clocks(void **state)
{
    (void)state;
    uint64_t before = kx_clock_boot_ns();
    assert_true(before > 0);
    assert_true(kx_clock_boot_ns() >= before);
    /* After this was written, and while int64 nanoseconds still last. */
    assert_true(kx_clock_wall_ns() > 1700000000 * (int64_t)KX_NS_PER_S);
}

static void test_poll_ms(void **state)
{
    (void)state;
    assert_int_equal(kx_clock_poll_ms(0, 500, 1000), 1000);
    assert_int_equal(kx_clock_poll_ms(500, 500, 1000), 0);
    assert_int_equal(kx_clock_poll_ms(499, 500, 1000), 0);
    assert_int_equal(kx_clock_poll_ms(501, 500, 1000), 1); /* rounded up: 0 would spin */
    assert_int_equal(kx_clock_poll_ms(500 + KX_NS_PER_MS, 500, 1000), 1);
    assert_int_equal(kx_clock_poll_ms(501 + KX_NS_PER_MS, 500, 1000), 2);
    assert_int_equal(kx_clock_poll_ms(999 * KX_NS_PER_MS, 0, 1000), 999);
    assert_int_equal(kx_clock_poll_ms(1000 * KX_NS_PER_MS + 1, 0, 1000), 1000);
    assert_int_equal(kx_clock_poll_ms(UINT64_MAX, 0, 1000), 1000);
    assert_int_equal(kx_clock_poll_ms(UINT64_MAX, 0, INT_MAX), INT_MAX);
    assert_int_equal(kx_clock_poll_ms(UINT64_MAX, UINT64_MAX - 1, 1000), 1);
    assert_int_equal(kx_clock_poll_ms(5, 1, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_every_day),
        cmocka_unit_test(test_every_second_of_a_day),
        cmocka_unit_test(test_local),
        cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_poll_ms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
