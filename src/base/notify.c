/* Words to the service manager; the contract stands in the header. */
#include "base/notify.h"

#include "base/clock.h"
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MESSAGE_MAX = KX_NOTIFY_STATUS_MAX + 64 };

/* The address in NOTIFY_SOCKET. Returns its length; 0 = it is none. */
static socklen_t address_of(const char *path, struct sockaddr_un *ret_address)
{
    size_t length = strlen(path);
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if ((path[0] != '/' && path[0] != '@') || length >= sizeof ret_address->sun_path)
        return 0;
    memcpy(ret_address->sun_path, path, length);
    if (path[0] == '@') /* an abstract name begins with a NUL and has no other at its end */
        ret_address->sun_path[0] = '\0';
    else
        length++;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
}

static int connect_to(const char *path)
{
    struct sockaddr_un address;
    socklen_t length = path == NULL ? 0 : address_of(path, &address);
    if (length == 0)
        return -1;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, length) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Half of the watchdog's time, if it is about this process. */
static uint64_t watchdog_interval(void)
{
    const char *time = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    char *end = NULL;
    if (time == NULL || (pid != NULL && strtoumax(pid, NULL, 10) != (uintmax_t)getpid()))
        return 0;
    uintmax_t us = strtoumax(time, &end, 10);
    if (end == time || *end != '\0' || us > UINT64_MAX / 1000)
        return 0;
    return us * 1000 / 2;
}

void kx_notify_open(struct kx_notify *notify)
{
    *notify = (struct kx_notify){.fd = connect_to(getenv("NOTIFY_SOCKET"))};
    if (notify->fd >= 0)
        notify->interval_ns = watchdog_interval();
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void kx_notify_close(struct kx_notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}

static bool say(struct kx_notify *notify, const char *message)
{
    return notify->fd < 0 || send(notify->fd, message, strlen(message), MSG_NOSIGNAL) >= 0;
}

void kx_notify_ready(struct kx_notify *notify)
{
    say(notify, "READY=1");
}

void kx_notify_reloading(struct kx_notify *notify, uint64_t monotonic_ns)
{
    char message[MESSAGE_MAX];
    snprintf(message, sizeof message, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, monotonic_ns / 1000);
    say(notify, message);
}

void kx_notify_stopping(struct kx_notify *notify)
{
    say(notify, "STOPPING=1");
}

void kx_notify_status(struct kx_notify *notify, const char *line)
{
    char message[MESSAGE_MAX];
    if (notify->fd < 0 || strncmp(notify->status, line, sizeof notify->status - 1) == 0)
        return;
    snprintf(message, sizeof message, "STATUS=%.*s", KX_NOTIFY_STATUS_MAX - 1, line);
    message[strcspn(message, "\n")] = '\0'; /* the rest would be another word to the manager */
    if (say(notify, message))
        snprintf(notify->status, sizeof notify->status, "%s", line);
}

void kx_notify_watch(struct kx_notify *notify, uint64_t now_ns, bool moves)
{
    if (notify->interval_ns == 0 || now_ns < notify->feed_ns || !moves)
        return;
    /* One that did not get through is tried again at the next look. */
    if (say(notify, "WATCHDOG=1"))
        notify->feed_ns = now_ns + notify->interval_ns;
}

uint64_t kx_notify_due_ns(const struct kx_notify *notify)
{
    return notify->interval_ns == 0 ? 0 : notify->feed_ns;
}
