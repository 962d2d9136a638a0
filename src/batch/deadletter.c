/* Dead letters: the lines, the file and its turning over; the rules stand in the header. */
#include "batch/deadletter.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "encode/json.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILE_MODE = 0600, /* names and addresses of the neighbourhood */
    /* A record whose every byte is escaped, with what stands around it. */
    LINE_BYTES_MAX = 8 * KX_RECORD_BYTES_MAX,
    OPEN_TRIES = 3,
};

struct kx_dead_letters {
    char *sink;
    char *path, *older; /* path NULL = no place */
    char *directory;
    uint64_t bytes_max; /* of one file */
    struct kx_encode_json json;
    struct kx_counters *counters;
    struct kx_buf plain, line;
};

/* The file while it is written. */
struct file {
    int fd; /* -1 = not open */
    uint64_t size;
    uint64_t durable; /* bytes of it that are synced, or were there before */
    bool locked;      /* nobody else appends: it may be cut and turned over */
    bool torn;        /* its last line wants a newline */
};

/* --- life --- */

/* "a/b.ndjson": "a"; "b.ndjson": "."; "/b.ndjson": "/". */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

enum kx_code kx_dead_letters_create(struct kx_dead_letters **ret_letters,
                                    const struct kx_sink_config *sink,
                                    struct kx_counters *counters,
                                    struct kx_error *err)
{
    *ret_letters = NULL;
    if (!sink->dead_letter.on)
        return KX_OK;
    struct kx_dead_letters *letters = calloc(1, sizeof *letters);
    if (letters == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for dead letters");
    letters->bytes_max = sink->dead_letter.bytes;
    letters->counters = counters;
    /* Never `compat: script`: a letter says what is not known. */
    kx_encode_json_init(&letters->json, KX_COMPAT_NONE, sink->mac_case, kx_sink_fields(sink));
    kx_buf_init(&letters->plain, LINE_BYTES_MAX);
    kx_buf_init(&letters->line, LINE_BYTES_MAX);
    letters->sink = strdup(sink->name);
    bool made = letters->sink != NULL;
    if (made && sink->dead_letter.path != NULL) {
        letters->path = strdup(sink->dead_letter.path);
        letters->directory = directory_of(sink->dead_letter.path);
        made = asprintf(&letters->older, "%s.1", sink->dead_letter.path) >= 0;
        if (!made)
            letters->older = NULL;
        made = made && letters->path != NULL && letters->directory != NULL;
    }
    if (!made) {
        kx_dead_letters_destroy(letters);
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for dead letters");
    }
    *ret_letters = letters;
    return KX_OK;
}

void kx_dead_letters_destroy(struct kx_dead_letters *letters)
{
    if (letters == NULL)
        return;
    kx_buf_fini(&letters->plain);
    kx_buf_fini(&letters->line);
    free(letters->sink);
    free(letters->path);
    free(letters->older);
    free(letters->directory);
    free(letters);
}

/* --- lines --- */

static void put_key(struct kx_buf *buf, const char *key, const char *text, size_t length)
{
    kx_buf_text(buf, key);
    kx_buf_byte(buf, '"');
    kx_text_json(buf, text, length);
    kx_buf_byte(buf, '"');
}

static void
put_source(struct kx_buf *buf, const struct kx_record *record, struct kx_text source, bool known)
{
    if (known)
        put_key(buf, ",\"source\":", kx_record_text(record, source), source.length);
    else
        kx_buf_text(buf, ",\"source\":null");
}

/* One letter as a line, in letters->line. False without memory. */
static bool
compose(struct kx_dead_letters *letters, const struct kx_dead_letter *letter, int64_t wall_ns)
{
    struct kx_buf *buf = &letters->plain;
    const struct kx_record *record = letter->record;
    const struct kx_device *device = kx_record_device(record);
    const struct kx_event *event = kx_record_event(record);
    char when[KX_CLOCK_RFC3339_MAX];
    kx_buf_clear(buf);
    put_key(buf, "{\"when\":", when, kx_clock_iso8601(wall_ns, when));
    put_key(buf, ",\"sink\":", letters->sink, strlen(letters->sink));
    put_key(buf, ",\"reason\":", letter->reason, strlen(letter->reason));
    put_key(buf, ",\"error\":", letter->text, strlen(letter->text));
    kx_buf_text(buf, device != NULL ? ",\"kind\":\"device\"" : ",\"kind\":\"event\"");
    if (device != NULL)
        put_source(buf, record, device->source, kx_record_has(record, KX_F_SOURCE));
    else
        put_source(buf, record, event->source, event->source.length > 0);
    kx_buf_text(buf, ",\"sequence\":");
    kx_buf_u64(buf, record->sequence);
    kx_buf_text(buf, ",\"record\":");
    if (device != NULL)
        kx_encode_json_device(&letters->json, buf, device);
    else
        kx_encode_json_event(&letters->json, buf, event);
    kx_buf_byte(buf, '}');
    /* Once more over the whole: `tail` and `less` are how people look at it. */
    kx_buf_clear(&letters->line);
    if (!buf->failed)
        kx_text_json_terminal(&letters->line, buf->data, buf->length);
    kx_buf_byte(&letters->line, '\n');
    return !buf->failed && !letters->line.failed;
}

/* --- the file --- */

/* mkdir -p, for us alone. Returns an errno. */
static int make_directory(char *directory)
{
    for (char *at = directory + 1;; at++) {
        char end = *at;
        if (end != '/' && end != '\0')
            continue;
        *at = '\0';
        int failed = mkdir(directory, S_IRWXU) == 0 || errno == EEXIST ? 0 : errno;
        *at = end;
        if (failed != 0 || end == '\0')
            return failed;
    }
}

/* Makes a new name in the directory durable. Returns an errno. */
static int sync_directory(const struct kx_dead_letters *letters)
{
    int fd = open(letters->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int failed = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    /* Some file systems know no fsync of a directory, and need none. */
    return failed == EINVAL || failed == EROFS ? 0 : failed;
}

/* Whether the path still leads to this file: another process may have turned it over before we had
 * the lock. */
static bool same_file(const char *path, const struct stat *status)
{
    struct stat now;
    return lstat(path, &now) == 0 && now.st_ino == status->st_ino && now.st_dev == status->st_dev;
}

/* Takes over an open descriptor. Returns an errno; EAGAIN = open it again. */
static int look_at(const struct kx_dead_letters *letters, struct file *file)
{
    struct stat status;
    char last = '\n';
    file->locked = flock(file->fd, LOCK_EX | LOCK_NB) == 0;
    if (fstat(file->fd, &status) != 0)
        return errno;
    if (!S_ISREG(status.st_mode))
        return EINVAL;
    if (!same_file(letters->path, &status))
        return EAGAIN;
    file->size = file->durable = (uint64_t)status.st_size;
    if (file->size > 0 && pread(file->fd, &last, 1, status.st_size - 1) < 0)
        return errno;
    /* Without the lock the last line may be one that is being written. */
    file->torn = last != '\n' && file->locked;
    return file->size > 0 ? 0 : sync_directory(letters);
}

/* Returns an errno. */
static int open_file(const struct kx_dead_letters *letters, struct file *file)
{
    const int flags = O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int failed = EAGAIN;
    for (int i = 0; i < OPEN_TRIES && failed == EAGAIN; i++) {
        file->fd = open(letters->path, flags, FILE_MODE);
        if (file->fd < 0 && errno == ENOENT) {
            failed = make_directory(letters->directory);
            if (failed != 0)
                return failed;
            file->fd = open(letters->path, flags, FILE_MODE);
        }
        if (file->fd < 0)
            return errno;
        failed = look_at(letters, file);
        if (failed != 0) {
            close(file->fd);
            file->fd = -1;
        }
    }
    return failed;
}

/* What was appended is durable, or taken back and the file closed: a sync that failed once says
 * nothing by succeeding later. Returns an errno. */
static int settle(struct file *file)
{
    if (file->durable == file->size)
        return 0;
    if (fdatasync(file->fd) == 0) {
        file->durable = file->size;
        return 0;
    }
    int failed = errno;
    if (file->locked && ftruncate(file->fd, (off_t)file->durable) != 0)
        failed = errno;
    close(file->fd);
    file->fd = -1;
    return failed;
}

/* FILE becomes FILE.1. Returns an errno. */
static int turn_over(struct kx_dead_letters *letters, struct file *file)
{
    if (!file->locked)
        return EWOULDBLOCK;
    if (rename(letters->path, letters->older) != 0)
        return errno;
    kx_count(letters->counters, KX_C_DEAD_LETTER_ROTATIONS, 1);
    close(file->fd);
    file->fd = -1;
    return open_file(letters, file);
}

/* Returns an errno. */
static int append(struct kx_dead_letters *letters, struct file *file)
{
    const struct kx_buf *line = &letters->line;
    if (file->torn) {
        if (write(file->fd, "\n", 1) != 1)
            return errno;
        kx_count(letters->counters, KX_C_DEAD_LETTER_REPAIRS, 1);
        file->torn = false;
        file->size++;
    }
    ssize_t written = write(file->fd, line->data, line->length);
    if (written == (ssize_t)line->length) {
        file->size += line->length;
        return 0;
    }
    int failed = written < 0 ? errno : ENOSPC; /* which a short write to a file means */
    if (written > 0 && (!file->locked || ftruncate(file->fd, (off_t)file->size) != 0))
        file->size += (uint64_t)written; /* the next write mends it */
    return failed;
}

/* One line more. *ret_kept: how many of those before it are durable, when that has grown. Returns
 * an errno. */
static int
add_line(struct kx_dead_letters *letters, struct file *file, uint32_t before, uint32_t *ret_kept)
{
    int failed = file->fd < 0 ? open_file(letters, file) : 0;
    if (failed != 0)
        return failed;
    if (file->size > 0 && file->size + letters->line.length > letters->bytes_max) {
        failed = settle(file);
        if (failed != 0)
            return failed;
        *ret_kept = before;
        failed = turn_over(letters, file);
    }
    return failed == 0 ? append(letters, file) : failed;
}

/* Errors that say something else of a file than of this one. */
static void explain(const struct kx_dead_letters *letters, int failed, struct kx_error *err)
{
    const char *why = NULL;
    if (failed == EAGAIN)
        why = "another program holds its lock; give each its own dead_letter.path";
    else if (failed == EINVAL)
        why = "it is no regular file";
    else if (failed == ELOOP)
        why = "it is a symbolic link, which is not followed";
    if (why == NULL)
        kx_error_set(err, KX_ERR_IO, failed, "cannot keep dead letters in %s", letters->path);
    else
        kx_error_set(err, KX_ERR_IO, 0, "cannot keep dead letters in %s: %s", letters->path, why);
}

uint32_t kx_dead_letters_write(struct kx_dead_letters *letters,
                               const struct kx_dead_letter *first,
                               uint32_t count,
                               int64_t wall_ns,
                               struct kx_error *err)
{
    struct file file = {.fd = -1};
    uint32_t kept = 0, appended = 0;
    int failed = 0;
    if (letters == NULL || count == 0)
        return 0;
    if (letters->path == NULL) {
        kx_error_set(err, KX_ERR_CONFIG, 0,
                     "there is no place for dead letters: neither $STATE_DIRECTORY nor $HOME is "
                     "set; give dead_letter.path");
        kx_count(letters->counters, KX_C_DEAD_LETTER_FAILED, count);
        return 0;
    }
    while (failed == 0 && appended < count) {
        failed = compose(letters, &first[appended], wall_ns) ? 0 : ENOMEM;
        if (failed == 0)
            failed = add_line(letters, &file, appended, &kept);
        appended += failed == 0;
    }
    if (file.fd >= 0) {
        int unsettled = settle(&file);
        if (unsettled == 0)
            kept = appended;
        failed = failed == 0 ? unsettled : failed;
    }
    if (file.fd >= 0)
        close(file.fd);
    if (failed != 0)
        explain(letters, failed, err);
    kx_count(letters->counters, KX_C_DEAD_LETTER_FAILED, count - kept);
    return kept;
}
