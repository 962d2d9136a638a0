/* Reads a capture file, plain or zstd, and splits it into lines.
 *
 * Owns: the bytes; lines point into them. Threads: one. Failure: false, with the reason on stderr.
 */
#pragma once

#include "jsonspan.h"

enum capture_kind {
    CAPTURE_MONITOR,
    CAPTURE_EVENTBUS,
    CAPTURE_DEVICE, /* a line of .itjson: known from the start, at no time */
};

struct capture_line {
    double t;
    enum capture_kind kind;
    struct span frame; /* byte for byte as it was received */
};

struct capture {
    struct text bytes;
    struct capture_line *line;
    size_t count;
    size_t capacity;
};

bool capture_open(struct capture *c, const char *path);
void capture_close(struct capture *c);
