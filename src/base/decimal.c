/*
 * Integers two digits at a time; doubles by scaling where that is exact, by printf elsewhere.
 */
#include "base/decimal.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SCALE_DIGITS = 7 };       /* of a degree: 11 mm */
static const double SCALE = 1e7; /* a power of ten under 2^53: exact as a double */
static const double INTEGERS_MAX =
    9007199254740992.0; /* 2^53: below it every integer is a double */

const char kx_decimal_pairs[201] = "00010203040506070809101112131415161718192021222324"
                                   "25262728293031323334353637383940414243444546474849"
                                   "50515253545556575859606162636465666768697071727374"
                                   "75767778798081828384858687888990919293949596979899";

static size_t count_digits(uint64_t value)
{
    for (size_t digits = 1;; digits += 4, value /= 10000) {
        if (value < 10)
            return digits;
        if (value < 100)
            return digits + 1;
        if (value < 1000)
            return digits + 2;
        if (value < 10000)
            return digits + 3;
    }
}

static size_t put_u64(uint64_t value, char *out)
{
    size_t length = count_digits(value);
    char *at = out + length;
    while (value >= 100) {
        at -= 2;
        kx_decimal_put2(at, (unsigned)(value % 100));
        value /= 100;
    }
    if (value >= 10)
        kx_decimal_put2(out, (unsigned)value);
    else
        out[0] = (char)('0' + value);
    return length;
}

size_t kx_decimal_u64(uint64_t value, char out[KX_DECIMAL_MAX])
{
    return put_u64(value, out);
}

size_t kx_decimal_i64(int64_t value, char out[KX_DECIMAL_MAX])
{
    if (value >= 0)
        return kx_decimal_u64((uint64_t)value, out);
    out[0] = '-';
    /* Negated as unsigned: INT64_MIN has no positive. */
    return 1 + put_u64(0 - (uint64_t)value, out + 1);
}

/* scaled / 10^7, without the zeros at its end. */
static size_t put_scaled(uint64_t scaled, char *out)
{
    uint64_t fraction = scaled % 10000000;
    size_t length = put_u64(scaled / 10000000, out);
    if (fraction == 0)
        return length;
    size_t decimals = SCALE_DIGITS;
    while (fraction % 10 == 0) {
        fraction /= 10;
        decimals--;
    }
    out[length] = '.';
    for (size_t i = decimals; i > 0; i--, fraction /= 10)
        out[length + i] = (char)('0' + fraction % 10);
    return length + 1 + decimals;
}

size_t kx_decimal_point(char *text, size_t length)
{
    size_t to = 0;
    for (size_t from = 0; from < length; from++) {
        char c = text[from];
        if ((c >= '0' && c <= '9') || c == '+' || c == '-' || c == 'e')
            text[to++] = c;
        else if (to == 0 || text[to - 1] != '.')
            text[to++] = '.';
    }
    return to;
}

/* Written and read back in one locale, so that the comparison holds in any. */
static size_t put_printf(double value, char out[KX_DECIMAL_MAX])
{
    int length = snprintf(out, KX_DECIMAL_MAX, "%.15g", value);
    double back = strtod(out, NULL);
    if (back < value || back > value)
        length = snprintf(out, KX_DECIMAL_MAX, "%.17g", value);
    return kx_decimal_point(out, (size_t)length);
}

size_t kx_decimal_f64(double value, char out[KX_DECIMAL_MAX])
{
    if (!isfinite(value))
        return 0;
    double size = fabs(value);
    size_t sign = value < 0;
    out[0] = '-';
    /*
     * With scaled and 10^7 below 2^53 both are exact doubles, so their quotient is the double
     * nearest to the decimal number scaled/10^7: just what strtod makes of that text. When it
     * equals the value, the text reads back as the value, and no strtod is needed to know it.
     */
    if (size < INTEGERS_MAX / SCALE - 1) {
        uint64_t scaled = (uint64_t)(size * SCALE + 0.5);
        double back = (double)scaled / SCALE;
        if (back <= size && back >= size)
            return sign + put_scaled(scaled, out + sign);
    } else if (size <= INTEGERS_MAX) {
        uint64_t whole = (uint64_t)size;
        double back = (double)whole;
        if (back <= size && back >= size)
            return sign + put_u64(whole, out + sign);
    }
    return put_printf(value, out);
}
