/*
 * The cheapest Kismet there can be: frames that are encoded before the clock runs, written as fast
 * as the client reads, or each when it is due. What a measurement of the exporter must not measure
 * is a generator.
 *
 *   /devices/monitor.ws, /eventbus/events.ws   the exporter's streams; the second gets TIMESTAMP
 *   /raw                                       a second client for the same frames
 *   everything else                            a minimal REST answer
 *
 * It looks at no request: there are no credentials, and the frames are what it was given. Owns its
 * memory, its listening socket on 127.0.0.1 and its threads, until the program ends. blaster_frames
 * and blaster_devices before blaster_start; the sends from one thread. Failure ends the program.
 */
#ifndef KX_BENCH_BLASTER_H
#define KX_BENCH_BLASTER_H

#include "blast/frames.h"
#include <stdbool.h>
#include <stdint.h>

enum blaster_stream { BLASTER_MONITOR, BLASTER_RAW, BLASTER_EVENTBUS, BLASTER_STREAMS };

struct blaster;

/* Frames of a capture, sent round and round. */
struct blaster *blaster_frames(const struct frames *frames);
/* One frame of about 640 bytes for each of `devices` devices; counters move in those that change.
 * due: each frame has the alias extra_0, the time (CLOCK_REALTIME, ns) at which it was due. */
struct blaster *blaster_devices(unsigned devices, bool due);
/* Returns the port. */
int blaster_start(struct blaster *blaster);
/* Whether a client of that stream has upgraded and, unless it is the raw one, subscribed. */
bool blaster_ready(struct blaster *blaster, enum blaster_stream stream);

struct blaster_result {
    uint64_t frames;
    uint64_t bytes;
    uint64_t took_ns;
    uint64_t late; /* frames written more than 1 ms after they were due */
    uint64_t late_max_ns;
};

/* As fast as the client reads. Of a hundred devices `change` change each time round; 100 = all. */
struct blaster_result
blaster_send(struct blaster *blaster, enum blaster_stream stream, uint64_t frames, unsigned change);
/* Open loop: frame i is due at t0 + i / rate, whatever became of those before it. burst: all of a
 * second's frames are due at its beginning. */
struct blaster_result
blaster_pace(struct blaster *blaster, double rate, uint64_t frames, unsigned change, bool burst);

#endif
