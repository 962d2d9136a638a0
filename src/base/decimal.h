/*
 * Numbers as decimal text, the same in every locale.
 *
 * Pure functions into the caller's array; no state, any thread. Nothing is NUL-terminated: each
 * returns the bytes that it wrote.
 */
#ifndef KX_BASE_DECIMAL_H
#define KX_BASE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { KX_DECIMAL_MAX = 32 }; /* bytes of the longest number, and to spare */

size_t kx_decimal_u64(uint64_t value, char out[KX_DECIMAL_MAX]);
size_t kx_decimal_i64(int64_t value, char out[KX_DECIMAL_MAX]);
/* The forms of kx_buf_f64. 0 for NaN and infinities, which no decimal can say. */
size_t kx_decimal_f64(double value, char out[KX_DECIMAL_MAX]);

/* Puts '.' where printf's %g put the decimal point of the process's locale, in place. Returns the
 * new length: that point may have several bytes. */
size_t kx_decimal_point(char *text, size_t length);

/* "00" to "99", one behind the other. */
extern const char kx_decimal_pairs[201];

/* value < 100 as two digits. */
static inline char *kx_decimal_put2(char *out, unsigned value)
{
    memcpy(out, kx_decimal_pairs + (size_t)value * 2, 2);
    return out + 2;
}

#endif
