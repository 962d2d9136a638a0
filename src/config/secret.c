/*
 * Secrets in memory: on the heap alone, wiped before the memory goes back, never given to stdio
 * (its buffers would keep a copy).
 */
#include "config/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIPE_WAIT_MS = 2000 }; /* for `--kismet-api-key-file <(pass show kismet)` */

struct kx_secret_bytes {
    size_t size; /* of text with its NUL */
    char text[];
};

static void release(struct kx_secret_bytes *bytes)
{
    if (bytes == NULL)
        return;
    explicit_bzero(bytes->text, bytes->size);
    free(bytes);
}

bool kx_secret_is_set(const struct kx_secret *secret)
{
    return secret->bytes != NULL;
}

const char *kx_secret_reveal(const struct kx_secret *secret)
{
    return secret->bytes == NULL ? NULL : secret->bytes->text;
}

/* Replaces the value by a copy of length bytes at value, less the line ends at its end. */
static enum kx_code
replace(struct kx_secret *secret, const char *value, size_t length, struct kx_error *err)
{
    if (length > KX_SECRET_BYTES_MAX)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "the secret is longer than %d bytes",
                            KX_SECRET_BYTES_MAX);
    while (length > 0 && (value[length - 1] == '\n' || value[length - 1] == '\r'))
        length--;
    if (length == 0)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "the secret is empty");
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)value[i] < 0x20 || value[i] == 0x7f)
            return kx_error_set(err, KX_ERR_CONFIG, 0,
                                "the secret holds a control byte at place %zu: it must be one line "
                                "of text",
                                i + 1);
    struct kx_secret_bytes *bytes = malloc(sizeof *bytes + length + 1);
    if (bytes == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a secret");
    bytes->size = length + 1;
    memcpy(bytes->text, value, length);
    bytes->text[length] = '\0';
    release(secret->bytes);
    secret->bytes = bytes;
    return KX_OK;
}

enum kx_code kx_secret_set(struct kx_secret *secret, const char *value, struct kx_error *err)
{
    enum kx_code code = replace(secret, value, strlen(value), err);
    if (code != KX_OK)
        return code;
    free(secret->file);
    secret->file = NULL;
    return KX_OK;
}

/* Refuses what cannot be trusted to hold a secret. */
static enum kx_code check_file(int fd, bool *ret_exposed, struct kx_error *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return kx_error_set(err, KX_ERR_CONFIG, errno, "cannot look at the secret file");
    if (S_ISDIR(status.st_mode))
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "the secret file is a directory: name the file in it");
    if ((status.st_mode & S_IWOTH) != 0 && !S_ISFIFO(status.st_mode))
        return kx_error_set(
            err, KX_ERR_CONFIG, 0,
            "everybody may write the secret file: run 'chmod 600' on it, and change "
            "the secret if you do not know who did");
    *ret_exposed = (status.st_mode & S_IROTH) != 0;
    return KX_OK;
}

/* Reads all of fd into buffer, at most size bytes; more shows as *ret_length == size. */
static enum kx_code
read_all(int fd, char *buffer, size_t size, size_t *ret_length, struct kx_error *err)
{
    size_t length = 0;
    while (length < size) {
        ssize_t got = read(fd, buffer + length, size - length);
        if (got == 0)
            break;
        if (got > 0) {
            length += (size_t)got;
            continue;
        }
        struct pollfd pipe = {.fd = fd, .events = POLLIN};
        if (errno == EAGAIN && poll(&pipe, 1, PIPE_WAIT_MS) > 0)
            continue;
        if (errno != EINTR)
            return kx_error_set(err, KX_ERR_CONFIG, errno, "cannot read the secret file");
    }
    *ret_length = length;
    return KX_OK;
}

/* Reads path into the secret; secret->file stays as it is. */
static enum kx_code
fetch(struct kx_secret *secret, const char *path, bool *ret_exposed, struct kx_error *err)
{
    enum { SIZE = KX_SECRET_BYTES_MAX + 1 };
    bool exposed = false;
    size_t length = 0;
    char *buffer = NULL;
    enum kx_code code = KX_OK;
    /* O_NONBLOCK: a named pipe without a writer must not hang the ingest thread. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return kx_error_set(err, KX_ERR_CONFIG, errno, "cannot open the secret file %s", path);
    code = check_file(fd, &exposed, err);
    if (code == KX_OK && (buffer = malloc(SIZE)) == NULL)
        code = kx_error_set(err, KX_ERR_NOMEM, 0, "no memory to read it");
    if (code == KX_OK)
        code = read_all(fd, buffer, SIZE, &length, err);
    if (code == KX_OK && memchr(buffer, '\0', length) != NULL)
        code = kx_error_set(err, KX_ERR_CONFIG, 0, "the secret holds a NUL byte: it must be text");
    if (code == KX_OK)
        code = replace(secret, buffer, length, err);
    close(fd);
    if (buffer != NULL)
        explicit_bzero(buffer, SIZE);
    free(buffer);
    if (code != KX_OK)
        return kx_error_prefix(err, "%s", path), code;
    *ret_exposed = exposed;
    return KX_OK;
}

enum kx_code
kx_secret_load(struct kx_secret *secret, const char *path, bool *ret_exposed, struct kx_error *err)
{
    bool exposed = false;
    char *file = strdup(path);
    if (file == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a path");
    enum kx_code code = fetch(secret, path, &exposed, err);
    if (code != KX_OK) {
        free(file);
        return code;
    }
    free(secret->file);
    secret->file = file;
    if (ret_exposed != NULL)
        *ret_exposed = exposed;
    return KX_OK;
}

enum kx_code kx_secret_reload(struct kx_secret *secret, struct kx_error *err)
{
    bool exposed;
    return secret->file == NULL ? KX_OK : fetch(secret, secret->file, &exposed, err);
}

enum kx_code
kx_secret_copy(struct kx_secret *to, const struct kx_secret *from, struct kx_error *err)
{
    if (!kx_secret_is_set(from))
        return KX_OK;
    enum kx_code code = kx_secret_set(to, kx_secret_reveal(from), err);
    if (code == KX_OK && from->file != NULL && (to->file = strdup(from->file)) == NULL) {
        kx_secret_fini(to);
        code = kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a credential");
    }
    return code;
}

void kx_secret_fini(struct kx_secret *secret)
{
    release(secret->bytes);
    free(secret->file);
    *secret = (struct kx_secret){0};
}
