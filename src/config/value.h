/*
 * Values as people write them: "5s", "16MiB", "yes", and back again for messages.
 *
 * Pure functions, no state, no locale, any thread. False or a negative answer = the text is none of
 * the kind; the output is untouched.
 */
#ifndef KX_CONFIG_VALUE_H
#define KX_CONFIG_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KX_VALUE_TEXT_MAX = 32 };

/* "5", "5s", "0.5s", "100ms", "10m", "2h", "30d", with or without a space before the unit; plain
 * numbers are seconds. Rounded down to a nanosecond; false when it does not fit 64 bits. */
bool kx_value_duration(const char *text, uint64_t *ret_ns);
/* "65536", "64KiB", "16 MiB", "1GiB"; also K, M, G and KB, MB, GB, all powers of 1024. */
bool kx_value_size(const char *text, uint64_t *ret_bytes);
/* Decimal digits; '_' and ',' between them for the eye. */
bool kx_value_integer(const char *text, uint64_t *ret_value);
/* Digits with an optional fraction: "0.5", "10". */
bool kx_value_number(const char *text, double *ret_value);
/* true/false, yes/no, on/off in any case. */
bool kx_value_bool(const char *text, bool *ret_value);

/* The shortest exact form: "1h", "90s", "100ms"; "64KiB", "65537". Each returns out. */
const char *kx_value_duration_text(uint64_t ns, char out[KX_VALUE_TEXT_MAX]);
const char *kx_value_size_text(uint64_t bytes, char out[KX_VALUE_TEXT_MAX]);

#endif
