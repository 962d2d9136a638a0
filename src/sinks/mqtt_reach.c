/* One TCP connection, to see whether it comes about. */
#include "sinks/mqtt_reach.h"

#include "base/clock.h"
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REACH_NS (2 * KX_NS_PER_S)
#define LIVES_NS (KX_NS_PER_S / 5)
enum { STAY_MS = 1000 }; /* a broker that saves and ends still holds its port */

/* 0, or the errno. stay_ms: how long the other end must leave the connection alone. */
static int
try_address(const struct addrinfo *address, uint64_t deadline_ns, int stop_fd, int stay_ms)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    int sys = connect(fd, address->ai_addr, address->ai_addrlen) == 0 ? 0 : errno;
    while (sys == EINPROGRESS) {
        struct pollfd fds[] = {{.fd = fd, .events = POLLOUT}, {.fd = stop_fd, .events = POLLIN}};
        uint64_t now_ns = kx_clock_boot_ns();
        if (now_ns >= deadline_ns) {
            sys = ETIMEDOUT;
            break;
        }
        poll(fds, 2, kx_clock_poll_ms(deadline_ns, now_ns, 1000));
        socklen_t length = sizeof sys;
        if (fds[1].revents != 0)
            sys = ECANCELED;
        else if (fds[0].revents != 0)
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &length);
    }
    struct pollfd end = {.fd = fd, .events = POLLIN | POLLRDHUP};
    if (sys == 0 && stay_ms > 0 && poll(&end, 1, stay_ms) != 0)
        sys = ECONNRESET;
    close(fd);
    return sys;
}

static enum kx_code reach(const char *host,
                          uint16_t port,
                          uint64_t deadline_ns,
                          int stop_fd,
                          int stay_ms,
                          struct kx_error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)port);
    int result = getaddrinfo(host, service, &hints, &found);
    if (result != 0)
        return kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "cannot find the host %s: %s", host,
                            gai_strerror(result));
    uint64_t most_ns = kx_clock_boot_ns() + REACH_NS;
    if (deadline_ns == 0 || most_ns < deadline_ns)
        deadline_ns = most_ns;
    int sys = 0;
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next)
        if ((sys = try_address(at, deadline_ns, stop_fd, stay_ms)) == 0)
            break;
    freeaddrinfo(found);
    if (sys == 0)
        return KX_OK;
    return kx_error_set(err, KX_ERR_UNAVAILABLE, sys, "cannot connect to %s, port %u", host,
                        (unsigned)port);
}

enum kx_code kx_mqtt_reach(
    const char *host, uint16_t port, uint64_t deadline_ns, int stop_fd, struct kx_error *err)
{
    return reach(host, port, deadline_ns, stop_fd, 0, err);
}

bool kx_mqtt_lives(const char *host, uint16_t port)
{
    return reach(host, port, kx_clock_boot_ns() + LIVES_NS, -1, STAY_MS, NULL) == KX_OK;
}
