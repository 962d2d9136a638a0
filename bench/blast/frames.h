/*
 * Device frames in memory, for what is measured without a disk in it: those of a capture.
 *
 * Owns its texts for the life of the program. One thread loads, any may read afterwards. Ends the
 * program when the capture cannot be read: nothing can be measured then.
 */
#ifndef KX_BENCH_FRAMES_H
#define KX_BENCH_FRAMES_H

#include <stddef.h>

struct frame {
    const char *text; /* KX_JSON_PADDING readable bytes behind it: the next frame, as in a buffer */
    size_t length;
};

struct frames {
    struct frame *items;
    size_t count;
    size_t bytes;
};

void frames_load(struct frames *ret_frames, const char *path);

#endif
