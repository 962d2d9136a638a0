/*
 * A growable byte buffer with a limit: every encoder writes into one.
 *
 * Owns its bytes; init/fini in place, zeroed memory with a limit set is a valid empty buffer. One
 * thread. Full or out of memory: the append is not made, `failed` becomes true and stays so until
 * kx_buf_clear, so an encoder appends without a check and its caller asks once at the end. A failed
 * buffer holds a prefix of what was asked for and must not be sent.
 */
#ifndef KX_BASE_BUF_H
#define KX_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct kx_buf {
    char *data; /* not NUL-terminated; NULL while capacity is 0 */
    size_t length;
    size_t capacity;
    size_t limit; /* bytes; length never passes it */
    bool failed;
};

/* Makes *buf empty with a limit in bytes. Allocates nothing. */
void kx_buf_init(struct kx_buf *buf, size_t limit);
/* Frees the bytes; *buf is empty afterwards and may be used again. NULL-safe. */
void kx_buf_fini(struct kx_buf *buf);
/* Empties and forgives; the memory stays. */
void kx_buf_clear(struct kx_buf *buf);
/* Makes room for `more` bytes at data + length and returns that place, or NULL (then failed). The
 * caller adds what he wrote to length. */
static inline char *kx_buf_reserve(struct kx_buf *buf, size_t more);
/* Removes the first count bytes (count <= length). */
void kx_buf_consume(struct kx_buf *buf, size_t count);
/* Cuts the buffer back to length bytes: what an encoder that gave up on one record does. */
void kx_buf_truncate(struct kx_buf *buf, size_t length);

static inline void kx_buf_byte(struct kx_buf *buf, char byte);
static inline void kx_buf_bytes(struct kx_buf *buf, const void *bytes, size_t length);
static inline void kx_buf_text(struct kx_buf *buf, const char *text); /* NUL-terminated */
void kx_buf_u64(struct kx_buf *buf, uint64_t value);                  /* decimal */
void kx_buf_i64(struct kx_buf *buf, int64_t value);                   /* decimal */
/* The shortest of our forms that reads back as the same double: fixed point with up to 7 decimals
 * when that is exact (coordinates are), else %.15g, else %.17g. Always '.' as the decimal point,
 * whatever the locale. NaN and infinities append nothing and fail the buffer. */
void kx_buf_f64(struct kx_buf *buf, double value);
void kx_buf_hex(struct kx_buf *buf, const void *bytes, size_t length); /* lower case */
/* printf for paths that are not hot. */
void kx_buf_printf(struct kx_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What reserve does when the room there is does not do. */
char *kx_buf_reserve_more(struct kx_buf *buf, size_t more);

/* Inline, because an encoder's appends are many and short: the lengths of literals are constants to
 * the compiler, and their copies one or two stores. */
static inline char *kx_buf_reserve(struct kx_buf *buf, size_t more)
{
    if (!buf->failed && more > 0 && more <= buf->capacity - buf->length)
        return buf->data + buf->length;
    return kx_buf_reserve_more(buf, more);
}

static inline void kx_buf_byte(struct kx_buf *buf, char byte)
{
    char *at = kx_buf_reserve(buf, 1);
    if (at == NULL)
        return;
    *at = byte;
    buf->length++;
}

static inline void kx_buf_bytes(struct kx_buf *buf, const void *bytes, size_t length)
{
    if (length == 0)
        return;
    char *at = kx_buf_reserve(buf, length);
    if (at == NULL)
        return;
    memcpy(at, bytes, length);
    buf->length += length;
}

static inline void kx_buf_text(struct kx_buf *buf, const char *text)
{
    kx_buf_bytes(buf, text, strlen(text));
}

#endif
