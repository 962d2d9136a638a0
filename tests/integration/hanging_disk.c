/*
 * Loaded before libc: syncing a file with "/dead-disk/" in its path never comes back, as on a disk
 * that is dying or a network file system whose server has gone. No signal of the program's ends it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int sync_or_hang(const char *call, int fd)
{
    char link[64];
    char path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length > 0 ? length : 0] = '\0';
    while (strstr(path, "/dead-disk/") != NULL)
        pause();
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, call);
    return real(fd);
}

int fsync(int fd)
{
    return sync_or_hang("fsync", fd);
}

int fdatasync(int fd)
{
    return sync_or_hang("fdatasync", fd);
}
