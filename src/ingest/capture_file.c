/* A byte ring between the recorder and the disk; the contract stands in the header. */
#include "ingest/capture_file.h"

#include "base/clock.h"
#include "base/wake.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    WRITE_BYTES_MAX = 1 << 20,
    LOOK_MS_MAX = 1000,
    FILE_MODE = 0600, /* names and addresses of the neighbourhood */
};

struct kx_capture_file {
    char *path;
    unsigned files;
    ssize_t (*write)(int fd, const void *bytes, size_t length);
    int fd;
    char *bytes;
    size_t capacity;
    struct kx_wake *wake;
    int ended_fd;
    bool started;
    pthread_t thread;
    _Atomic uint64_t head; /* by the recorder; seq_cst for the sleep handshake */
    _Atomic uint64_t tail; /* by the writer; release: the bytes before it may be overwritten */
    _Atomic uint64_t
        cut;            /* by the recorder, before the head that passes it; back to 0 by the writer
                         */
    _Atomic int failed; /* by the writer */
    _Atomic bool stop;  /* by main; seq_cst for the sleep handshake */
};

/* --- the disk --- */

static char *older_path(const struct kx_capture_file *file, unsigned age)
{
    char *path = NULL;
    int length =
        age == 0 ? asprintf(&path, "%s", file->path) : asprintf(&path, "%s.%u", file->path, age);
    return length < 0 ? NULL : path;
}

/* FILE becomes FILE.1, that FILE.2 and so on; the oldest one is replaced. Returns an errno. */
static int age_files(const struct kx_capture_file *file)
{
    for (unsigned age = file->files - 1; age > 0; age--) {
        char *from = older_path(file, age - 1);
        char *to = older_path(file, age);
        int failed = from == NULL || to == NULL ? ENOMEM : 0;
        if (failed == 0 && rename(from, to) != 0 && errno != ENOENT)
            failed = errno;
        free(from);
        free(to);
        if (failed != 0)
            return failed;
    }
    return 0;
}

static int open_new(struct kx_capture_file *file)
{
    file->fd = open(file->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, FILE_MODE);
    return file->fd < 0 ? errno : 0;
}

static int rotate(struct kx_capture_file *file)
{
    if (close(file->fd) != 0 && errno != EINTR)
        return errno; /* a full disk may be told as late as here */
    file->fd = -1;
    int failed = age_files(file);
    return failed != 0 ? failed : open_new(file);
}

/* --- the thread --- */

static void fail(struct kx_capture_file *file, int failed)
{
    if (failed != 0)
        atomic_store_explicit(&file->failed, failed, memory_order_relaxed); /* a word of its own */
}

static bool has_failed(const struct kx_capture_file *file)
{
    return atomic_load_explicit(&file->failed, memory_order_relaxed) != 0;
}

/* One write. False: there is nothing to be written. */
static bool write_some(struct kx_capture_file *file)
{
    uint64_t head = atomic_load_explicit(&file->head, memory_order_seq_cst);
    uint64_t tail = atomic_load_explicit(&file->tail, memory_order_relaxed); /* our own */
    if (head == tail)
        return false;
    /* Relaxed: a cut that these bytes must heed was stored before their head. */
    uint64_t cut = atomic_load_explicit(&file->cut, memory_order_relaxed);
    if (cut != 0 && cut == tail) {
        if (!has_failed(file))
            fail(file, rotate(file));
        atomic_store_explicit(&file->cut, 0, memory_order_release);
        cut = 0;
    }
    size_t at = (size_t)tail & (file->capacity - 1);
    size_t length = (size_t)(head - tail);
    if (length > file->capacity - at)
        length = file->capacity - at;
    if (cut != 0 && length > cut - tail)
        length = (size_t)(cut - tail);
    if (length > WRITE_BYTES_MAX)
        length = WRITE_BYTES_MAX;
    if (!has_failed(file)) {
        ssize_t written = file->write(file->fd, file->bytes + at, length);
        if (written >= 0)
            length = (size_t)written;
        else if (errno == EINTR)
            length = 0;
        else
            fail(file, errno);
    }
    atomic_store_explicit(&file->tail, tail + length, memory_order_release);
    return true;
}

static bool pending(const struct kx_capture_file *file)
{
    return atomic_load_explicit(&file->head, memory_order_seq_cst) !=
           atomic_load_explicit(&file->tail, memory_order_relaxed);
}

static bool stopping(const struct kx_capture_file *file)
{
    return atomic_load_explicit(&file->stop, memory_order_seq_cst);
}

static void *run(void *context)
{
    struct kx_capture_file *file = context;
    for (;;) {
        bool stop = stopping(file); /* before the look: what was put before the stop is written */
        if (write_some(file))
            continue;
        if (stop)
            break;
        kx_wake_prepare(file->wake);
        if (pending(file) || stopping(file))
            kx_wake_cancel(file->wake);
        else
            kx_wake_sleep(file->wake, 0);
    }
    uint64_t one = 1;
    ssize_t written = write(file->ended_fd, &one, sizeof(one));
    (void)written; /* an eventfd of ours that nobody filled takes a 1 */
    return NULL;
}

/* --- the recorder's side --- */

size_t kx_capture_file_room(const struct kx_capture_file *file)
{
    uint64_t head = atomic_load_explicit(&file->head, memory_order_relaxed); /* our own */
    /* Acquire: the writer is done with the bytes that will be overwritten. */
    return file->capacity -
           (size_t)(head - atomic_load_explicit(&file->tail, memory_order_acquire));
}

void kx_capture_file_put(struct kx_capture_file *file, const void *bytes, size_t length)
{
    KX_ASSERT(length <= kx_capture_file_room(file));
    uint64_t head = atomic_load_explicit(&file->head, memory_order_relaxed);
    size_t at = (size_t)head & (file->capacity - 1);
    size_t first = length < file->capacity - at ? length : file->capacity - at;
    memcpy(file->bytes + at, bytes, first);
    memcpy(file->bytes, (const char *)bytes + first, length - first);
    atomic_store_explicit(&file->head, head + length, memory_order_seq_cst);
    kx_wake_signal(file->wake);
}

bool kx_capture_file_cutting(const struct kx_capture_file *file)
{
    return atomic_load_explicit(&file->cut, memory_order_acquire) != 0;
}

void kx_capture_file_cut(struct kx_capture_file *file)
{
    KX_ASSERT(!kx_capture_file_cutting(file));
    uint64_t head = atomic_load_explicit(&file->head, memory_order_relaxed);
    atomic_store_explicit(&file->cut, head, memory_order_relaxed); /* the next head publishes it */
}

int kx_capture_file_failed(const struct kx_capture_file *file)
{
    return atomic_load_explicit(&file->failed, memory_order_relaxed);
}

/* --- life --- */

static void release(struct kx_capture_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    if (file->ended_fd >= 0)
        close(file->ended_fd);
    kx_wake_destroy(file->wake);
    free(file->bytes);
    free(file->path);
    free(file);
}

/* Makes way for the new file. */
static enum kx_code open_first(struct kx_capture_file *file, struct kx_error *err)
{
    struct stat stat_of;
    bool there = stat(file->path, &stat_of) == 0;
    if (there && !S_ISREG(stat_of.st_mode))
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "cannot capture to %s: it is no regular file; name a file", file->path);
    int failed = there && stat_of.st_size > 0 ? age_files(file) : 0;
    if (failed == 0)
        failed = open_new(file);
    return failed == 0
               ? KX_OK
               : kx_error_set(err, KX_ERR_CONFIG, failed, "cannot capture to %s", file->path);
}

enum kx_code kx_capture_file_create(struct kx_capture_file **ret_file,
                                    const struct kx_capture_file_params *params,
                                    struct kx_error *err)
{
    KX_ASSERT(params->files > 0 && (params->capacity & (params->capacity - 1)) == 0);
    struct kx_capture_file *file = calloc(1, sizeof(*file));
    if (file == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a capture");
    file->files = params->files;
    file->write = params->write != NULL ? params->write : write;
    file->capacity = params->capacity;
    file->fd = -1;
    file->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    file->bytes = malloc(params->capacity);
    file->path = strdup(params->path);
    enum kx_code code = KX_OK;
    if (file->ended_fd < 0)
        code = kx_error_set(err, KX_ERR_IO, errno, "cannot make an eventfd");
    else if (file->bytes == NULL || file->path == NULL)
        code = kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a capture");
    if (code == KX_OK)
        code = kx_wake_create(&file->wake, err);
    if (code == KX_OK)
        code = open_first(file, err);
    if (code != KX_OK) {
        release(file);
        return code;
    }
    *ret_file = file;
    return KX_OK;
}

enum kx_code kx_capture_file_start(struct kx_capture_file *file, struct kx_error *err)
{
    int sys = pthread_create(&file->thread, NULL, run, file);
    if (sys != 0)
        return kx_error_set(err, KX_ERR_IO, sys, "cannot start the capture's thread");
    pthread_setname_np(file->thread, "capture");
    file->started = true;
    return KX_OK;
}

bool kx_capture_file_destroy(struct kx_capture_file *file, uint64_t deadline_ns)
{
    if (file == NULL)
        return true;
    if (!file->started) {
        release(file);
        return true;
    }
    atomic_store_explicit(&file->stop, true, memory_order_seq_cst);
    kx_wake_signal(file->wake);
    struct pollfd ended = {.fd = file->ended_fd, .events = POLLIN};
    for (uint64_t now_ns = kx_clock_boot_ns();; now_ns = kx_clock_boot_ns()) {
        if (poll(&ended, 1, kx_clock_poll_ms(deadline_ns, now_ns, LOOK_MS_MAX)) > 0)
            break;
        if (now_ns >= deadline_ns) {
            pthread_detach(file->thread);
            return false;
        }
    }
    pthread_join(file->thread, NULL);
    release(file);
    return true;
}
