/*
 * The file behind a capture: bytes go into a buffer of fixed size, and a thread of its own writes
 * them, so that an SD card that hangs for seconds holds up nobody.
 *
 *     bytes     | written | to be written          | room            |
 *               0 ....... tail (the writer's) .... head (the caller's) .... tail + capacity
 *
 * Owns path, descriptor, buffer and thread. kx_capture_file_room, _put, _cut, _cutting and _failed
 * are for one thread, the recorder's; create, start and destroy for main. FILE is the newest file,
 * FILE.1 the one before it; what lies at FILE when the program starts becomes FILE.1, so a restart
 * overwrites nothing. Failure: the first write that fails ends the file (kx_capture_file_failed);
 * bytes put afterwards are thrown away.
 */
#ifndef KX_INGEST_CAPTURE_FILE_H
#define KX_INGEST_CAPTURE_FILE_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct kx_capture_file_params {
    const char *path;
    unsigned files;  /* to keep, the newest among them; at least 1 */
    size_t capacity; /* of the buffer; a power of two */
    /* write(2) when NULL; tests hang and fail in it. */
    ssize_t (*write)(int fd, const void *bytes, size_t length);
};

struct kx_capture_file;

/* Opens the file; starts nothing. KX_ERR_CONFIG: it cannot be written, or is no regular file. */
enum kx_code kx_capture_file_create(struct kx_capture_file **ret_file,
                                    const struct kx_capture_file_params *params,
                                    struct kx_error *err);
enum kx_code kx_capture_file_start(struct kx_capture_file *file, struct kx_error *err);
/* Lets the thread write what was put and end. False: it hangs past deadline (CLOCK_BOOTTIME ns) and
 * is left behind with all that it uses. NULL-safe. */
bool kx_capture_file_destroy(struct kx_capture_file *file, uint64_t deadline_ns);

/* Bytes that can be put now. */
size_t kx_capture_file_room(const struct kx_capture_file *file);
/* At most as many as there is room for. */
void kx_capture_file_put(struct kx_capture_file *file, const void *bytes, size_t length);
/* What is put from now on goes into a new file. Not while the cut before this one is to come. */
void kx_capture_file_cut(struct kx_capture_file *file);
bool kx_capture_file_cutting(const struct kx_capture_file *file);
/* errno of the write that failed, 0 = none did. */
int kx_capture_file_failed(const struct kx_capture_file *file);

#endif
