/* A growable byte buffer, and the span: a borrowed piece of somebody else's bytes.
 *
 * Owns: its memory. Threads: one. Lifetime: text_free() ends it; all zero is an empty one.
 * Full: it grows. Failure: out of memory ends the program (this is a test tool). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
    const char *at; /* NULL = there is none */
    size_t length;
};

struct text {
    char *at; /* not zero-terminated; text_c() does that */
    size_t length;
    size_t capacity;
};

void *xmalloc(size_t size);
void *xrealloc(void *old, size_t size);
char *xstrdup(const char *s);

void text_free(struct text *t);
/* Makes room for `more` bytes behind the end and returns where they go; the caller moves length. */
char *text_room(struct text *t, size_t more);
void text_add(struct text *t, const void *bytes, size_t length);
void text_adds(struct text *t, const char *s);
void text_addspan(struct text *t, struct span s);
void text_addu(struct text *t, uint64_t n);
void text_addi(struct text *t, int64_t n);
void text_addf(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Appends the bytes as a JSON string with its quotes. */
void text_addjson(struct text *t, const char *s);
/* The bytes as a C string, valid until the next change. */
const char *text_c(struct text *t);
struct span text_span(const struct text *t);
