/*
 * The growable buffer: doubling up to its limit, failing once and for all.
 */
#include "base/buf.h"
#include "base/decimal.h"
#include "base/error.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 256, PRINTF_STACK = 512 };

void kx_buf_init(struct kx_buf *buf, size_t limit)
{
    *buf = (struct kx_buf){.limit = limit};
}

void kx_buf_fini(struct kx_buf *buf)
{
    if (buf == NULL)
        return;
    free(buf->data);
    kx_buf_init(buf, buf->limit);
}

void kx_buf_clear(struct kx_buf *buf)
{
    buf->length = 0;
    buf->failed = false;
}

static bool grow(struct kx_buf *buf, size_t needed)
{
    size_t capacity;
    if (__builtin_mul_overflow(buf->capacity, 2, &capacity))
        capacity = SIZE_MAX;
    if (capacity < CAPACITY_MIN)
        capacity = CAPACITY_MIN;
    if (capacity < needed)
        capacity = needed;
    if (capacity > buf->limit)
        capacity = buf->limit;
    char *data = capacity > 0 ? realloc(buf->data, capacity) : NULL;
    if (data == NULL)
        return false;
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

char *kx_buf_reserve_more(struct kx_buf *buf, size_t more)
{
    if (buf->failed)
        return NULL;
    if (buf->data != NULL && more <= buf->capacity - buf->length)
        return buf->data + buf->length;
    size_t needed;
    if (__builtin_add_overflow(buf->length, more, &needed) || needed > buf->limit ||
        !grow(buf, needed)) {
        buf->failed = true;
        return NULL;
    }
    return buf->data + buf->length;
}

void kx_buf_consume(struct kx_buf *buf, size_t count)
{
    KX_ASSERT(count <= buf->length);
    buf->length -= count;
    if (count > 0 && buf->length > 0)
        memmove(buf->data, buf->data + count, buf->length);
}

void kx_buf_truncate(struct kx_buf *buf, size_t length)
{
    KX_ASSERT(length <= buf->length);
    buf->length = length;
}

/* True when any number can be written in place. Near the limit it goes by way of an array, so that
 * a short number is not refused for the length of the longest. */
static bool has_number_room(const struct kx_buf *buf)
{
    return !buf->failed && buf->capacity - buf->length >= KX_DECIMAL_MAX;
}

void kx_buf_u64(struct kx_buf *buf, uint64_t value)
{
    if (has_number_room(buf)) {
        buf->length += kx_decimal_u64(value, buf->data + buf->length);
        return;
    }
    char text[KX_DECIMAL_MAX];
    kx_buf_bytes(buf, text, kx_decimal_u64(value, text));
}

void kx_buf_i64(struct kx_buf *buf, int64_t value)
{
    if (has_number_room(buf)) {
        buf->length += kx_decimal_i64(value, buf->data + buf->length);
        return;
    }
    char text[KX_DECIMAL_MAX];
    kx_buf_bytes(buf, text, kx_decimal_i64(value, text));
}

void kx_buf_f64(struct kx_buf *buf, double value)
{
    char text[KX_DECIMAL_MAX];
    size_t length = kx_decimal_f64(value, text);
    if (length == 0)
        buf->failed = true;
    else
        kx_buf_bytes(buf, text, length);
}

void kx_buf_hex(struct kx_buf *buf, const void *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    size_t needed;
    if (__builtin_mul_overflow(length, 2, &needed)) {
        buf->failed = true;
        return;
    }
    char *at = needed > 0 ? kx_buf_reserve(buf, needed) : NULL;
    if (at == NULL)
        return;
    const unsigned char *from = bytes;
    for (size_t i = 0; i < length; i++) {
        *at++ = digits[from[i] >> 4];
        *at++ = digits[from[i] & 15];
    }
    buf->length += needed;
}

void kx_buf_printf(struct kx_buf *buf, const char *format, ...)
{
    char text[PRINTF_STACK];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof text) {
        kx_buf_bytes(buf, text, (size_t)length);
        return;
    }

    char *longer = NULL;
    va_start(arguments, format);
    length = length < 0 ? -1 : vasprintf(&longer, format, arguments);
    va_end(arguments);
    if (length < 0) {
        buf->failed = true;
        return;
    }
    kx_buf_bytes(buf, longer, (size_t)length);
    free(longer);
}
