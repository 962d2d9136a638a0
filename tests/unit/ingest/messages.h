/*
 * For the tests of the parsers: messages in memory that ends where it is promised to end, and the
 * lines of a capture.
 */
#ifndef KX_TESTS_MESSAGES_H
#define KX_TESTS_MESSAGES_H

#include "ingest/json.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include <cmocka.h>

/* A copy of the text with the padding and not one byte more; free it. The padding is what stands
 * behind a frame in a connection's buffer: the beginning of the next, at its worst. */
static inline char *message_copy(const char *text, size_t length, char padding)
{
    char *copy = malloc(length + KX_JSON_PADDING);
    assert_non_null(copy);
    if (length > 0)
        memcpy(copy, text, length);
    memset(copy + length, padding, KX_JSON_PADDING);
    return copy;
}

static inline bool text_is(struct kx_json_text text, const char *expected)
{
    return text.data != NULL && text.length == strlen(expected) &&
           memcmp(text.data, expected, text.length) == 0;
}

#define assert_text(text, expected)                                                                \
    do {                                                                                           \
        const struct kx_json_text seen_ = (text);                                                  \
        if (!text_is(seen_, (expected)))                                                           \
            fail_msg("text is \"%.*s\", not \"%s\"", (int)seen_.length,                            \
                     seen_.data != NULL ? seen_.data : "(absent)", (expected));                    \
    } while (0)

/* A file of tests/captures, unpacked, with the padding behind it. */
struct capture_file {
    char *bytes;
    size_t length;
};

static inline struct capture_file capture_read(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/captures/%s", KX_TESTS_DIR, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    const long size = ftell(file);
    assert_true(size > 0);
    rewind(file);
    char *packed = malloc((size_t)size);
    assert_non_null(packed);
    assert_int_equal(fread(packed, 1, (size_t)size, file), (size_t)size);
    fclose(file);

    ZSTD_DStream *stream = ZSTD_createDStream();
    assert_non_null(stream);
    ZSTD_inBuffer in = {packed, (size_t)size, 0};
    size_t room = 1 << 20;
    struct capture_file unpacked = {malloc(room), 0};
    assert_non_null(unpacked.bytes);
    size_t left = 1;
    while (in.pos < in.size || left != 0) {
        if (room - unpacked.length < (1 << 19)) {
            room *= 2;
            unpacked.bytes = realloc(unpacked.bytes, room);
            assert_non_null(unpacked.bytes);
        }
        ZSTD_outBuffer out = {unpacked.bytes + unpacked.length,
                              room - unpacked.length - KX_JSON_PADDING, 0};
        left = ZSTD_decompressStream(stream, &out, &in);
        assert_false(ZSTD_isError(left));
        unpacked.length += out.pos;
        if (out.pos == 0 && in.pos == in.size)
            break;
    }
    assert_int_equal(left, 0);
    memset(unpacked.bytes + unpacked.length, 0, KX_JSON_PADDING);
    ZSTD_freeDStream(stream);
    free(packed);
    return unpacked;
}

/* The next line without its end; false behind the last. *at starts at 0. */
static inline bool
capture_line(const struct capture_file *file, size_t *at, const char **ret_line, size_t *ret_length)
{
    if (*at >= file->length)
        return false;
    const char *line = file->bytes + *at;
    const char *end = memchr(line, '\n', file->length - *at);
    *ret_length = end != NULL ? (size_t)(end - line) : file->length - *at;
    *ret_line = line;
    *at += *ret_length + 1;
    return true;
}

#endif
