/*
 * Times as text by hand: one is written for each record that goes out as JSON.
 */
#include "base/clock.h"
#include "base/decimal.h"
#include "base/error.h"
#include <stdbool.h>
#include <string.h>
#include <time.h>

/* int64 nanoseconds reach from 1677 to 2262: every year has four digits. */
struct civil {
    unsigned year, month, day, hour, minute, second, ns;
};

uint64_t kx_clock_boot_ns(void)
{
    struct timespec now;
    int result = clock_gettime(CLOCK_BOOTTIME, &now);
    KX_ASSERT(result == 0);
    return (uint64_t)now.tv_sec * KX_NS_PER_S + (uint64_t)now.tv_nsec;
}

int64_t kx_clock_wall_ns(void)
{
    struct timespec now;
    int result = clock_gettime(CLOCK_REALTIME, &now);
    KX_ASSERT(result == 0);
    return (int64_t)now.tv_sec * (int64_t)KX_NS_PER_S + now.tv_nsec;
}

/* Splits so that the rest is never negative: -1 ns is the last nanosecond of 1969. */
static int64_t split_seconds(int64_t wall_ns, unsigned *ret_ns)
{
    int64_t second_ns = (int64_t)KX_NS_PER_S;
    int64_t seconds = wall_ns / second_ns;
    int64_t ns = wall_ns % second_ns;
    if (ns < 0) {
        ns += second_ns;
        seconds--;
    }
    *ret_ns = (unsigned)ns;
    return seconds;
}

/*
 * The Gregorian date of a day. Years are counted from the 1st of March of the year 0, so that the
 * leap day is the last of its year and the months before it form a fixed pattern of 30 and 31
 * days: the month that begins on day d of such a year is (5d + 2) / 153.
 */
static void set_date(struct civil *civil, int64_t days_since_1970)
{
    enum { DAYS_TO_1970 = 719468, CENTURY = 36524, FOUR_YEARS = 1461, FOUR_CENTURIES = 146097 };
    uint32_t day = (uint32_t)(days_since_1970 + DAYS_TO_1970); /* of all years: positive */
    uint32_t era = day / FOUR_CENTURIES;
    uint32_t of_era = day % FOUR_CENTURIES;
    uint32_t year_of_era =
        (of_era - of_era / (FOUR_YEARS - 1) + of_era / CENTURY - of_era / (FOUR_CENTURIES - 1)) /
        365;
    uint32_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t march_month = (5 * of_year + 2) / 153;
    civil->day = of_year - (153 * march_month + 2) / 5 + 1;
    civil->month = march_month < 10 ? march_month + 3 : march_month - 9;
    civil->year = era * 400 + year_of_era + (civil->month <= 2);
}

static struct civil civil_utc(int64_t wall_ns)
{
    enum { DAY_S = 86400 };
    struct civil civil;
    int64_t seconds = split_seconds(wall_ns, &civil.ns);
    int64_t days = seconds / DAY_S;
    int64_t of_day = seconds % DAY_S;
    if (of_day < 0) {
        of_day += DAY_S;
        days--;
    }
    unsigned left = (unsigned)of_day;
    civil.hour = left / 3600;
    civil.minute = left / 60 % 60;
    civil.second = left % 60;
    set_date(&civil, days);
    return civil;
}

/* "2025-01-17T16:30:45" and a point. */
static char *put_to_second(char *out, const struct civil *civil, char between)
{
    out = kx_decimal_put2(out, civil->year / 100);
    out = kx_decimal_put2(out, civil->year % 100);
    *out++ = '-';
    out = kx_decimal_put2(out, civil->month);
    *out++ = '-';
    out = kx_decimal_put2(out, civil->day);
    *out++ = between;
    out = kx_decimal_put2(out, civil->hour);
    *out++ = ':';
    out = kx_decimal_put2(out, civil->minute);
    *out++ = ':';
    out = kx_decimal_put2(out, civil->second);
    *out++ = '.';
    return out;
}

static char *put_micros(char *out, const struct civil *civil)
{
    unsigned micros = civil->ns / 1000;
    out = kx_decimal_put2(out, micros / 10000);
    out = kx_decimal_put2(out, micros / 100 % 100);
    return kx_decimal_put2(out, micros % 100);
}

size_t kx_clock_iso8601(int64_t wall_ns, char out[KX_CLOCK_RFC3339_MAX])
{
    struct civil civil = civil_utc(wall_ns);
    char *end = put_micros(put_to_second(out, &civil, 'T'), &civil);
    memcpy(end, "+00:00", 7);
    return (size_t)(end + 6 - out);
}

size_t kx_clock_iso8601_local(int64_t wall_ns, char out[KX_CLOCK_RFC3339_MAX])
{
    struct civil civil;
    time_t seconds = (time_t)split_seconds(wall_ns, &civil.ns);
    struct tm local;
    struct tm *result = localtime_r(&seconds, &local);
    KX_ASSERT(result != NULL); /* it fails for years beyond an int only */
    civil.year = (unsigned)(local.tm_year + 1900);
    civil.month = (unsigned)local.tm_mon + 1;
    civil.day = (unsigned)local.tm_mday;
    civil.hour = (unsigned)local.tm_hour;
    civil.minute = (unsigned)local.tm_min;
    civil.second = (unsigned)local.tm_sec;
    char *end = put_micros(put_to_second(out, &civil, 'T'), &civil);
    *end = '\0';
    return (size_t)(end - out);
}

size_t kx_clock_sql(int64_t wall_ns, char out[KX_CLOCK_RFC3339_MAX])
{
    struct civil civil = civil_utc(wall_ns);
    char *end = put_micros(put_to_second(out, &civil, ' '), &civil);
    *end = '\0';
    return (size_t)(end - out);
}

size_t kx_clock_log(int64_t wall_ns, char out[KX_CLOCK_RFC3339_MAX])
{
    struct civil civil = civil_utc(wall_ns);
    char *end = put_to_second(out, &civil, 'T');
    unsigned millis = civil.ns / 1000000;
    *end++ = (char)('0' + millis / 100);
    end = kx_decimal_put2(end, millis % 100);
    *end++ = 'Z';
    *end = '\0';
    return (size_t)(end - out);
}

int kx_clock_poll_ms(uint64_t deadline_ns, uint64_t now_ns, int most_ms)
{
    KX_ASSERT(most_ms >= 0);
    if (deadline_ns == 0)
        return most_ms;
    if (deadline_ns <= now_ns)
        return 0;
    uint64_t left_ns = deadline_ns - now_ns;
    uint64_t left_ms = left_ns / KX_NS_PER_MS + (left_ns % KX_NS_PER_MS != 0);
    return left_ms < (uint64_t)most_ms ? (int)left_ms : most_ms;
}
