/*
 * Recording what comes from Kismet: each frame one line of a capture file (ingest/capture.h says
 * how a line looks), zstd-compressed, rotated by size.
 *
 * Compresses on the ingest thread (a level that costs about a microsecond a frame) and hands the
 * bytes to a thread that writes them; no call waits for the disk. Every frame is there to be read
 * at most a second after it came: a crash costs that second. Owns file and compressor; borrows the
 * counters. All functions do nothing for NULL, so that callers need not ask whether somebody
 * captures.
 *
 * What is lost is counted: frames that came while the buffer was full, and all frames after a write
 * that failed (a full disk), which is said once; exporting goes on.
 */
#ifndef KX_INGEST_RECORDER_H
#define KX_INGEST_RECORDER_H

#include "base/error.h"
#include "config/config.h"
#include "stats/counters.h"
#include <stdint.h>
#include <sys/types.h>

enum kx_stream { KX_STREAM_MONITOR, KX_STREAM_EVENTBUS, KX_STREAM_REST, KX_STREAM_ALERT };

enum { KX_RECORDER_BUFFER_BYTES = 8 << 20, KX_RECORDER_STOP_S = 1 };

struct kx_recorder_params {
    const struct kx_capture_config *config;
    const struct kx_source_config *sources;
    size_t source_count;
    size_t buffer_bytes; /* a power of two of at least 1 MiB */
    struct kx_counters *process;
    int64_t wall_ns; /* now, by both clocks */
    uint64_t boot_ns;
    ssize_t (*write)(int fd, const void *bytes, size_t length); /* NULL but in tests */
};

struct kx_recorder;

/* Opens the file, starts nothing. KX_ERR_CONFIG: it cannot be written. */
enum kx_code kx_recorder_create(struct kx_recorder **ret_recorder,
                                const struct kx_recorder_params *params,
                                struct kx_error *err);
enum kx_code kx_recorder_start(struct kx_recorder *recorder, struct kx_error *err);
/* After kx_recorder_finish. Waits for the disk KX_RECORDER_STOP_S at most. */
void kx_recorder_destroy(struct kx_recorder *recorder);

/* A frame of the source with this index; received_ns: wall clock. */
void kx_recorder_frame(struct kx_recorder *recorder,
                       uint16_t source,
                       enum kx_stream stream,
                       const char *data,
                       size_t length,
                       int64_t received_ns);
/* A source begins to be read: after a gap, if it was read before. */
void kx_recorder_session(struct kx_recorder *recorder,
                         uint16_t source,
                         const char *server_uuid,
                         int64_t now_wall_ns);
/* Flushes when that is due, and looks after the disk. Returns when it wants to be called next
 * (CLOCK_BOOTTIME ns). */
uint64_t kx_recorder_tick(struct kx_recorder *recorder, uint64_t now_ns);
/* No more frames: completes the file. */
void kx_recorder_finish(struct kx_recorder *recorder);

#endif
