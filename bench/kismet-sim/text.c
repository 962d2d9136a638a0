/* Growable bytes. text_addu() is written out by hand because the synthetic devices print some
 * twenty numbers a record, 50,000 times a second. */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *xmalloc(size_t size)
{
    return xrealloc(NULL, size);
}

void *xrealloc(void *old, size_t size)
{
    void *p = realloc(old, size ? size : 1);
    if (!p) {
        fputs("kismet-sim: out of memory\n", stderr);
        abort();
    }
    return p;
}

char *xstrdup(const char *s)
{
    size_t n = strlen(s) + 1;
    return memcpy(xmalloc(n), s, n);
}

void text_free(struct text *t)
{
    free(t->at);
    *t = (struct text){0};
}

char *text_room(struct text *t, size_t more)
{
    if (t->capacity - t->length < more) {
        size_t want = t->capacity ? t->capacity : 256;
        while (want - t->length < more)
            want *= 2;
        t->at = xrealloc(t->at, want);
        t->capacity = want;
    }
    return t->at + t->length;
}

void text_add(struct text *t, const void *bytes, size_t length)
{
    if (length == 0)
        return;
    memcpy(text_room(t, length), bytes, length);
    t->length += length;
}

void text_adds(struct text *t, const char *s)
{
    text_add(t, s, strlen(s));
}

void text_addspan(struct text *t, struct span s)
{
    text_add(t, s.at, s.length);
}

void text_addu(struct text *t, uint64_t n)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    text_add(t, digits + at, sizeof(digits) - at);
}

void text_addi(struct text *t, int64_t n)
{
    if (n < 0)
        text_add(t, "-", 1);
    text_addu(t, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

void text_addf(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n > 0) {
        vsnprintf(text_room(t, (size_t)n + 1), (size_t)n + 1, format, again);
        t->length += (size_t)n;
    }
    va_end(again);
}

void text_addjson(struct text *t, const char *s)
{
    text_add(t, "\"", 1);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            text_addf(t, "\\%c", c);
        else if (c < 0x20)
            text_addf(t, "\\u%04x", c);
        else
            text_add(t, s, 1);
    }
    text_add(t, "\"", 1);
}

const char *text_c(struct text *t)
{
    *text_room(t, 1) = '\0';
    return t->at;
}

struct span text_span(const struct text *t)
{
    return (struct span){t->at, t->length};
}
