/*
 * How long one device frame takes the parser, against a loop that only visits every field with
 * simdjson: the frames of a capture, in memory, both ways in turn.
 *
 *   bench_json tests/captures/neighbourhood-fields.ndjson.zst [runs]
 */
#include "base/clock.h"
#include "ingest/capture.h"
#include "ingest/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { FRAMES_MAX = 20000, RUNS_MAX = 101, PASSES = 20 };

/* bench_json_floor.cpp: reads every field of a frame and keeps nothing; the fields that it saw. */
struct floor;
struct floor *floor_create(void);
size_t floor_visit(struct floor *floor, const char *text, size_t length);

struct frame {
    const char *text;
    size_t length;
};

static struct frame frames[FRAMES_MAX];
static size_t frame_count;
static size_t frame_bytes;

static void die(const char *what)
{
    fprintf(stderr, "bench_json: %s\n", what);
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
static void load(const char *path)
{
    size_t length;
    char *text = unpack(path, &length);
    char *packed = malloc(length + KX_JSON_PADDING);
    if (!packed)
        die("no memory");
    char *to = packed;
    for (char *line = text; line < text + length;) {
        char *end = memchr(line, '\n', (size_t)(text + length - line));
        if (!end)
            end = text + length;
        struct kx_capture_line parsed;
        if (kx_capture_parse(line, (size_t)(end - line), &parsed) == KX_JSON_OK &&
            parsed.stream.length == 7 && memcmp(parsed.stream.data, "monitor", 7) == 0 &&
            frame_count < FRAMES_MAX) {
            memcpy(to, parsed.frame.data, parsed.frame.length);
            frames[frame_count++] = (struct frame){to, parsed.frame.length};
            frame_bytes += parsed.frame.length;
            to += parsed.frame.length;
        }
        line = end + 1;
    }
    memset(to, 0, KX_JSON_PADDING);
    free(text);
    if (frame_count == 0)
        die("no device frames in the capture");
}

static double ours_us(struct kx_json *json)
{
    size_t good = 0;
    const uint64_t start = kx_clock_boot_ns();
    for (int pass = 0; pass < PASSES; pass++) {
        for (size_t i = 0; i < frame_count; i++) {
            struct kx_json_device device;
            struct kx_json_notes notes;
            good += kx_json_device(json, frames[i].text, frames[i].length, &device, &notes) ==
                    KX_JSON_OK;
        }
    }
    const uint64_t end = kx_clock_boot_ns();
    if (good != PASSES * frame_count)
        die("a frame was refused");
    return (double)(end - start) / 1e3 / (double)good;
}

static double floor_us(struct floor *floor)
{
    size_t fields = 0;
    const uint64_t start = kx_clock_boot_ns();
    for (int pass = 0; pass < PASSES; pass++) {
        for (size_t i = 0; i < frame_count; i++)
            fields += floor_visit(floor, frames[i].text, frames[i].length);
    }
    const uint64_t end = kx_clock_boot_ns();
    if (fields < PASSES * frame_count * 20)
        die("the floor saw too few fields");
    return (double)(end - start) / 1e3 / (double)(PASSES * frame_count);
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        die("usage: bench_json CAPTURE [runs]");
    const int runs = argc > 2 ? atoi(argv[2]) : 15;
    if (runs < 1 || runs > RUNS_MAX)
        die("runs: 1 to 101");
    load(argv[1]);
    struct kx_json *json = kx_json_create();
    struct floor *floor = floor_create();
    if (!json || !floor)
        die("no memory");
    static double ours[RUNS_MAX], floors[RUNS_MAX];
    for (int run = 0; run < runs; run++) {
        ours[run] = ours_us(json);
        floors[run] = floor_us(floor);
    }
    qsort(ours, (size_t)runs, sizeof ours[0], by_value);
    qsort(floors, (size_t)runs, sizeof floors[0], by_value);
    printf("%zu frames of %.0f bytes, %d runs, kernel %s\n", frame_count,
           (double)frame_bytes / (double)frame_count, runs, kx_json_kernel());
    printf("ours   us/frame  min %.3f  median %.3f  max %.3f\n", ours[0], ours[runs / 2],
           ours[runs - 1]);
    printf("floor  us/frame  min %.3f  median %.3f  max %.3f\n", floors[0], floors[runs / 2],
           floors[runs - 1]);
    kx_json_destroy(json);
    return 0;
}
