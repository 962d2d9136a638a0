/* Capture files: {"t":seconds,"s":"monitor"|"eventbus","d":<frame>} a line, or one device a line.
 */
#include "capture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static bool read_plain(FILE *file, struct text *out)
{
    size_t n;
    do {
        n = fread(text_room(out, 1 << 16), 1, 1 << 16, file);
        out->length += n;
    } while (n > 0);
    return !ferror(file);
}

static bool unpack(struct span packed, struct text *out)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    ZSTD_inBuffer in = {packed.at, packed.length, 0};
    size_t left = 1;
    while (context && in.pos < in.size) {
        ZSTD_outBuffer to = {text_room(out, 1 << 20), 1 << 20, 0};
        left = ZSTD_decompressStream(context, &to, &in);
        out->length += to.pos;
        if (ZSTD_isError(left))
            break;
        while (left && in.pos == in.size &&
               to.pos == to.size) { /* its own buffer is not empty yet */
            to = (ZSTD_outBuffer){text_room(out, 1 << 20), 1 << 20, 0};
            left = ZSTD_decompressStream(context, &to, &in);
            out->length += to.pos;
            if (ZSTD_isError(left))
                break;
        }
    }
    ZSTD_freeDCtx(context);
    return context && left == 0;
}

static bool read_file(const char *path, struct text *out)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return false;
    }
    struct text packed = {0};
    bool is_packed = ends_with(path, ".zst");
    bool good = read_plain(file, is_packed ? &packed : out);
    fclose(file);
    if (good && is_packed)
        good = unpack(text_span(&packed), out);
    text_free(&packed);
    if (!good)
        fprintf(stderr, "%s: cannot be read, or is cut off\n", path);
    return good;
}

static void add_line(struct capture *c, struct capture_line line)
{
    if (c->count == c->capacity) {
        c->capacity = c->capacity ? c->capacity * 2 : 4096;
        c->line = xrealloc(c->line, c->capacity * sizeof(*c->line));
    }
    c->line[c->count++] = line;
}

/* Lines that are no frames (a header, say) are passed over; what is no JSON is an error. */
static bool parse_line(struct capture *c, const char *at, size_t length)
{
    struct span line = json_document(at, length);
    if (!line.at)
        return length == 0;
    struct capture_line parsed = {.frame = line, .kind = CAPTURE_DEVICE};
    struct span stream = json_get(line, "s");
    if (stream.at) {
        parsed.frame = json_get(line, "d");
        json_number(json_get(line, "t"), &parsed.t);
        parsed.kind = span_is(stream, "\"monitor\"") ? CAPTURE_MONITOR : CAPTURE_EVENTBUS;
        if (parsed.frame.at && (span_is(stream, "\"monitor\"") || span_is(stream, "\"eventbus\"")))
            add_line(c, parsed);
    } else if (json_get(line, "kismet.device.base.key").at || json_get(line, "key").at) {
        add_line(c, parsed);
    }
    return true;
}

bool capture_open(struct capture *c, const char *path)
{
    *c = (struct capture){0};
    if (!read_file(path, &c->bytes))
        return false;
    size_t number = 1;
    for (size_t at = 0; at < c->bytes.length; number++) {
        const char *start = c->bytes.at + at;
        const char *newline = memchr(start, '\n', c->bytes.length - at);
        size_t length = newline ? (size_t)(newline - start) : c->bytes.length - at;
        if (!parse_line(c, start, length)) {
            fprintf(stderr, "%s:%zu: not JSON\n", path, number);
            return false;
        }
        at += length + 1;
    }
    return true;
}

void capture_close(struct capture *c)
{
    text_free(&c->bytes);
    free(c->line);
    *c = (struct capture){0};
}
