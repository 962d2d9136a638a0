/* The file of an API key; the contract stands in the header. */
#include "keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Letters, digits, '.' and '-' stay; what else a host or a path has becomes '_'. */
static void tame(char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  ".-";
    for (; *text != '\0'; text++)
        if (strchr(allowed, *text) == NULL)
            *text = '_';
}

enum kx_code kx_keyfile_default(const struct kx_url *url, char **ret_path, struct kx_error *err)
{
    const char *base = getenv("XDG_CONFIG_HOME");
    const char *below = "";
    char name[KX_URL_TEXT_MAX];
    if (base == NULL || base[0] != '/') { /* a relative one is to be ignored, says XDG */
        base = getenv("HOME");
        below = "/.config";
    }
    if (base == NULL || base[0] != '/')
        return kx_error_set(err, KX_ERR_USAGE, 0,
                            "no home directory to keep the key in: give --key-file");
    snprintf(name, sizeof name, "%s_%u%s", url->host, (unsigned)url->port, url->prefix);
    tame(name);
    if (asprintf(ret_path, "%s%s/kismet-export/%s.key", base, below, name) < 0)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a path");
    return KX_OK;
}

/* The directory of path. */
static enum kx_code directory_of(const char *path, char out[PATH_MAX], struct kx_error *err)
{
    if (strlen(path) >= PATH_MAX - 16)
        return kx_error_set(err, KX_ERR_USAGE, 0, "the key file's path is too long");
    strcpy(out, path);
    char *slash = strrchr(out, '/');
    if (slash == NULL)
        strcpy(out, ".");
    else
        slash[slash == out ? 1 : 0] = '\0';
    return KX_OK;
}

/* mkdir -p, for us alone. */
static enum kx_code make_directory(char *directory, struct kx_error *err)
{
    for (char *at = directory + 1;; at++) {
        char end = *at;
        if (end != '/' && end != '\0')
            continue;
        *at = '\0';
        bool made = mkdir(directory, S_IRWXU) == 0 || errno == EEXIST;
        if (!made)
            kx_error_set(err, KX_ERR_IO, errno, "cannot make the directory %s; give --key-file",
                         directory);
        *at = end;
        if (!made)
            return err->code;
        if (end == '\0')
            return KX_OK;
    }
}

enum kx_code kx_keyfile_prepare(const char *path, struct kx_error *err)
{
    char directory[PATH_MAX];
    struct stat status;
    enum kx_code code = directory_of(path, directory, err);
    if (code != KX_OK)
        return code;
    for (const char *at = path; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return kx_error_set(err, KX_ERR_USAGE, 0,
                                "the key file's path holds a control byte; give --key-file");
    if (stat(directory, &status) != 0)
        code = make_directory(directory, err);
    if (code == KX_OK && faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) != 0)
        code = kx_error_set(err, KX_ERR_IO, errno,
                            "cannot write in %s; let this user write there, or give --key-file",
                            directory);
    if (code == KX_OK && lstat(path, &status) == 0 && !S_ISREG(status.st_mode))
        code = kx_error_set(err, KX_ERR_USAGE, 0,
                            "%s is there and is no plain file; give another --key-file", path);
    return code;
}

static enum kx_code write_all(int fd, const char *text, struct kx_error *err)
{
    size_t length = strlen(text);
    struct {
        const char *bytes;
        size_t length;
    } parts[] = {{text, length}, {"\n", 1}};
    for (size_t i = 0; i < 2; i++) {
        while (parts[i].length > 0) {
            ssize_t written = write(fd, parts[i].bytes, parts[i].length);
            if (written < 0 && errno == EINTR)
                continue;
            if (written < 0)
                return kx_error_set(err, KX_ERR_IO, errno, "cannot write the key");
            parts[i].bytes += written;
            parts[i].length -= (size_t)written;
        }
    }
    if (fsync(fd) != 0)
        return kx_error_set(err, KX_ERR_IO, errno, "cannot write the key to the disk");
    return KX_OK;
}

/* The rename itself is on the disk after this; a file system that cannot is no failure. */
static void sync_directory(const char *path)
{
    char directory[PATH_MAX];
    if (directory_of(path, directory, NULL) != KX_OK)
        return;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

enum kx_code kx_keyfile_write(const char *path, const struct kx_secret *key, struct kx_error *err)
{
    char temporary[PATH_MAX + 16];
    snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    int fd = mkostemp(temporary, O_CLOEXEC); /* 0600 */
    if (fd < 0)
        return kx_error_set(err, KX_ERR_IO, errno, "cannot make a file beside %s", path);
    enum kx_code code = write_all(fd, kx_secret_reveal(key), err);
    close(fd);
    if (code == KX_OK && rename(temporary, path) != 0)
        code = kx_error_set(err, KX_ERR_IO, errno, "cannot put the key to %s", path);
    if (code != KX_OK)
        unlink(temporary);
    else
        sync_directory(path);
    return code;
}
