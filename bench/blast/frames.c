#include "blast/frames.h"

#include "ingest/capture.h"
#include "ingest/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { FRAMES_MAX = 20000 };

static void die(const char *what)
{
    fprintf(stderr, "frames: %s\n", what);
    exit(1);
}

/* The whole file, unpacked. */
static char *unpack(const char *path, size_t *ret_length)
{
    enum { ROOM = 64 << 20 };
    FILE *file = fopen(path, "rb");
    if (!file)
        die("cannot open the capture");
    char *packed = malloc(ROOM);
    char *text = malloc(ROOM);
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (!packed || !text || !context)
        die("no memory");
    ZSTD_inBuffer in = {packed, fread(packed, 1, ROOM, file), 0};
    ZSTD_outBuffer out = {text, ROOM, 0};
    fclose(file);
    while (in.pos < in.size) {
        const size_t left = ZSTD_decompressStream(context, &out, &in);
        if (ZSTD_isError(left) || out.pos == out.size)
            die("cannot unpack the capture");
    }
    ZSTD_freeDCtx(context);
    free(packed);
    *ret_length = out.pos;
    return text;
}

/* The frames one behind the other, as a connection's buffer has them: what stands behind one is
 * the next. */
void frames_load(struct frames *ret_frames, const char *path)
{
    size_t length;
    char *text = unpack(path, &length);
    char *to = malloc(length + KX_JSON_PADDING);
    struct frames frames = {.items = calloc(FRAMES_MAX, sizeof(struct frame))};
    if (!to || !frames.items)
        die("no memory");
    for (char *line = text; line < text + length;) {
        char *end = memchr(line, '\n', (size_t)(text + length - line));
        if (!end)
            end = text + length;
        struct kx_capture_line parsed;
        if (kx_capture_parse(line, (size_t)(end - line), &parsed) == KX_JSON_OK &&
            parsed.stream.length == 7 && memcmp(parsed.stream.data, "monitor", 7) == 0 &&
            frames.count < FRAMES_MAX) {
            memcpy(to, parsed.frame.data, parsed.frame.length);
            frames.items[frames.count++] = (struct frame){to, parsed.frame.length};
            frames.bytes += parsed.frame.length;
            to += parsed.frame.length;
        }
        line = end + 1;
    }
    memset(to, 0, KX_JSON_PADDING);
    free(text);
    if (frames.count == 0)
        die("no device frames in the capture");
    *ret_frames = frames;
}
