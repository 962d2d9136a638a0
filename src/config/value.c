/*
 * Numbers with units. Own parser and not strtod: that one reads "nan", "0x1p3" and, in half of
 * Europe, "0,5".
 */
#include "config/value.h"

#include "base/clock.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { FRACTION_DIGITS_MAX = 9 };

/* A decimal number as whole + fraction / scale. */
struct decimal {
    uint64_t whole;
    uint64_t fraction, scale;
};

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first: the texts that we write take the first that divides. */
static const struct unit durations[] = {
    {"d", 86400 * KX_NS_PER_S},
    {"h", 3600 * KX_NS_PER_S},
    {"m", 60 * KX_NS_PER_S},
    {"s", KX_NS_PER_S},
    {"ms", KX_NS_PER_MS},
    {"us", 1000},
    {"ns", 1},
    {"", KX_NS_PER_S},
};
static const struct unit sizes[] = {
    {"GiB", 1ull << 30},
    {"MiB", 1ull << 20},
    {"KiB", 1ull << 10},
    {"B", 1},
    {"", 1},
    {"GB", 1ull << 30},
    {"MB", 1ull << 20},
    {"KB", 1ull << 10},
    {"G", 1ull << 30},
    {"M", 1ull << 20},
    {"K", 1ull << 10},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool push_digit(uint64_t *value, char digit)
{
    return !__builtin_mul_overflow(*value, (uint64_t)10, value) &&
           !__builtin_add_overflow(*value, (uint64_t)(digit - '0'), value);
}

/* Reads digits [ '.' digits ] and returns what follows, NULL when there is no number. */
static const char *take_decimal(const char *text, struct decimal *out)
{
    *out = (struct decimal){.scale = 1};
    if (!is_digit(*text))
        return NULL;
    for (; is_digit(*text); text++)
        if (!push_digit(&out->whole, *text))
            return NULL;
    if (*text != '.')
        return text;
    text++;
    if (!is_digit(*text))
        return NULL;
    for (unsigned i = 0; is_digit(*text); text++, i++)
        if (i < FRACTION_DIGITS_MAX) {
            out->fraction = out->fraction * 10 + (uint64_t)(*text - '0');
            out->scale *= 10;
        }
    return text;
}

/* number unit -> number * factor. */
static bool with_unit(const char *text, const struct unit *units, size_t count, uint64_t *ret_value)
{
    struct decimal number;
    const char *unit = take_decimal(text, &number);
    if (unit == NULL)
        return false;
    while (*unit == ' ')
        unit++;
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(unit, units[i].name) != 0)
            continue;
        uint64_t value;
        /* fraction * factor / scale in two steps, because the product may pass 64 bits */
        uint64_t part = number.fraction * (units[i].factor / number.scale) +
                        number.fraction * (units[i].factor % number.scale) / number.scale;
        if (__builtin_mul_overflow(number.whole, units[i].factor, &value) ||
            __builtin_add_overflow(value, part, &value))
            return false;
        *ret_value = value;
        return true;
    }
    return false;
}

bool kx_value_duration(const char *text, uint64_t *ret_ns)
{
    return with_unit(text, durations, sizeof durations / sizeof durations[0], ret_ns);
}

bool kx_value_size(const char *text, uint64_t *ret_bytes)
{
    return with_unit(text, sizes, sizeof sizes / sizeof sizes[0], ret_bytes);
}

bool kx_value_integer(const char *text, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (const char *at = text; *at != '\0'; at++) {
        bool between = at > text && is_digit(at[-1]) && is_digit(at[1]);
        if ((*at == '_' || *at == ',') && between)
            continue;
        if (!is_digit(*at) || !push_digit(&value, *at))
            return false;
    }
    if (*text == '\0')
        return false;
    *ret_value = value;
    return true;
}

bool kx_value_number(const char *text, double *ret_value)
{
    struct decimal number;
    const char *end = take_decimal(text, &number);
    if (end == NULL || *end != '\0')
        return false;
    *ret_value = (double)number.whole + (double)number.fraction / (double)number.scale;
    return true;
}

bool kx_value_bool(const char *text, bool *ret_value)
{
    static const char *const words[2][3] = {{"false", "no", "off"}, {"true", "yes", "on"}};
    for (unsigned value = 0; value < 2; value++)
        for (unsigned i = 0; i < 3; i++)
            if (strcasecmp(text, words[value][i]) == 0) {
                *ret_value = value == 1;
                return true;
            }
    return false;
}

static const char *
write_unit(uint64_t value, const struct unit *units, const char *plain, char *out)
{
    while (units->factor > 1 && (value == 0 || value % units->factor != 0))
        units++;
    snprintf(out, KX_VALUE_TEXT_MAX, "%" PRIu64 "%s", value / units->factor,
             units->factor > 1 ? units->name : plain);
    return out;
}

const char *kx_value_duration_text(uint64_t ns, char out[KX_VALUE_TEXT_MAX])
{
    if (ns == 0)
        return strcpy(out, "0s");
    return write_unit(ns, durations, "ns", out);
}

const char *kx_value_size_text(uint64_t bytes, char out[KX_VALUE_TEXT_MAX])
{
    return write_unit(bytes, sizes, "", out);
}
