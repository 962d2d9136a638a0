/*
 * How long one device frame takes the parser, against a loop that only visits every field with
 * simdjson: the frames of a capture, in memory, both ways in turn.
 *
 *   bench_json tests/captures/neighbourhood-fields.ndjson.zst [runs]
 */
#include "base/clock.h"
#include "blast/frames.h"
#include "ingest/json.h"
#include <stdio.h>
#include <stdlib.h>

enum { RUNS_MAX = 101, PASSES = 20 };

/* bench_json_floor.cpp: reads every field of a frame and keeps nothing; the fields that it saw. */
struct floor;
struct floor *floor_create(void);
size_t floor_visit(struct floor *floor, const char *text, size_t length);

static struct frames loaded;

static void die(const char *what)
{
    fprintf(stderr, "bench_json: %s\n", what);
    exit(1);
}

static double ours_us(struct kx_json *json)
{
    size_t good = 0;
    const uint64_t start = kx_clock_boot_ns();
    for (int pass = 0; pass < PASSES; pass++) {
        for (size_t i = 0; i < loaded.count; i++) {
            struct kx_json_device device;
            struct kx_json_notes notes;
            good += kx_json_device(json, loaded.items[i].text, loaded.items[i].length, &device,
                                   &notes) == KX_JSON_OK;
        }
    }
    const uint64_t end = kx_clock_boot_ns();
    if (good != PASSES * loaded.count)
        die("a frame was refused");
    return (double)(end - start) / 1e3 / (double)good;
}

static double floor_us(struct floor *floor)
{
    size_t fields = 0;
    const uint64_t start = kx_clock_boot_ns();
    for (int pass = 0; pass < PASSES; pass++) {
        for (size_t i = 0; i < loaded.count; i++)
            fields += floor_visit(floor, loaded.items[i].text, loaded.items[i].length);
    }
    const uint64_t end = kx_clock_boot_ns();
    if (fields < PASSES * loaded.count * 20)
        die("the floor saw too few fields");
    return (double)(end - start) / 1e3 / (double)(PASSES * loaded.count);
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
    frames_load(&loaded, argv[1]);
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
    printf("%zu frames of %.0f bytes, %d runs, kernel %s\n", loaded.count,
           (double)loaded.bytes / (double)loaded.count, runs, kx_json_kernel());
    printf("ours   us/frame  min %.3f  median %.3f  max %.3f\n", ours[0], ours[runs / 2],
           ours[runs - 1]);
    printf("floor  us/frame  min %.3f  median %.3f  max %.3f\n", floors[0], floors[runs / 2],
           floors[runs - 1]);
    kx_json_destroy(json);
    return 0;
}
