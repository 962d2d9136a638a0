/* Addresses to listen on; the contract stands in the header. */
#include "stats/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 16 };

static enum kx_code parse_path(const char *path, struct kx_listen *ret_listen, struct kx_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "the path of a unix socket has at most %zu bytes",
                            sizeof address.sun_path - 1);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    *ret_listen = (struct kx_listen){.length = sizeof address};
    memcpy(&ret_listen->address, &address, sizeof address);
    return KX_OK;
}

static enum kx_code wrong(const char *text, struct kx_error *err)
{
    return kx_error_set(err, KX_ERR_CONFIG, 0,
                        "'%s' is no place to listen: write ADDRESS:PORT with an address in numbers "
                        "(127.0.0.1:2502, [::1]:2502), the /path of a unix socket, or off",
                        text);
}

static enum kx_code
parse_address(const char *text, struct kx_listen *ret_listen, struct kx_error *err)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || (size_t)(colon - text) >= sizeof host)
        return wrong(text, err);
    snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    char *end = NULL;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || port > 65535)
        return wrong(text, err);
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    size_t length = strlen(host);
    if (strcmp(host, "localhost") == 0)
        snprintf(host, sizeof host, "127.0.0.1");
    *ret_listen = (struct kx_listen){0};
    if (host[0] == '[' && host[length - 1] == ']') {
        host[length - 1] = '\0';
        if (inet_pton(AF_INET6, host + 1, &six.sin6_addr) != 1)
            return wrong(text, err);
        memcpy(&ret_listen->address, &six, sizeof six);
        ret_listen->length = sizeof six;
        return KX_OK;
    }
    if (inet_pton(AF_INET, host, &four.sin_addr) != 1)
        return wrong(text, err);
    memcpy(&ret_listen->address, &four, sizeof four);
    ret_listen->length = sizeof four;
    return KX_OK;
}

enum kx_code kx_listen_parse(const char *text, struct kx_listen *ret_listen, struct kx_error *err)
{
    if (strcmp(text, "off") == 0) {
        *ret_listen = (struct kx_listen){.off = true};
        return KX_OK;
    }
    return text[0] == '/' ? parse_path(text, ret_listen, err)
                          : parse_address(text, ret_listen, err);
}

static const char *path_of(const struct kx_listen *at)
{
    return ((const struct sockaddr_un *)(const void *)&at->address)->sun_path;
}

static bool is_unix(const struct kx_listen *at)
{
    return at->address.ss_family == AF_UNIX;
}

static const struct sockaddr *address_of(const struct kx_listen *at)
{
    return (const struct sockaddr *)(const void *)&at->address;
}

/* A socket that a program which is gone left behind keeps nobody from listening there. */
static void remove_stale(const struct kx_listen *at)
{
    struct stat status;
    if (lstat(path_of(at), &status) != 0 || !S_ISSOCK(status.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    if (connect(fd, address_of(at), at->length) != 0 && errno == ECONNREFUSED)
        unlink(path_of(at));
    close(fd);
}

static void describe(int fd, bool secure, char words[KX_LISTEN_TEXT_MAX])
{
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    char host[INET6_ADDRSTRLEN] = "?";
    const char *scheme = secure ? "https" : "http";
    if (getsockname(fd, (struct sockaddr *)(void *)&address, &length) != 0)
        return;
    const struct sockaddr_in *four = (const void *)&address;
    const struct sockaddr_in6 *six = (const void *)&address;
    const struct sockaddr_un *local = (const void *)&address;
    switch (address.ss_family) {
    case AF_INET:
        inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
        snprintf(words, KX_LISTEN_TEXT_MAX, "%s://%s:%u/", scheme, host, ntohs(four->sin_port));
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
        snprintf(words, KX_LISTEN_TEXT_MAX, "%s://[%s]:%u/", scheme, host, ntohs(six->sin6_port));
        break;
    default:
        snprintf(words, KX_LISTEN_TEXT_MAX, "unix:%.*s", (int)sizeof local->sun_path,
                 local->sun_path);
        break;
    }
}

/* Binds and listens. 0, or the errno. */
static int take_address(const struct kx_listen *at, int fd)
{
    int on = 1;
    if (is_unix(at)) {
        remove_stale(at);
    } else {
        /* A restart must not wait until the last connection's end is forgotten. */
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (at->address.ss_family == AF_INET6)
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    if (bind(fd, address_of(at), at->length) != 0)
        return errno;
    if (is_unix(at) && chmod(path_of(at), 0660) != 0)
        return errno;
    return listen(fd, BACKLOG) == 0 ? 0 : errno;
}

enum kx_code kx_listen_open(const struct kx_listen *at,
                            bool secure,
                            int *ret_fd,
                            char words[KX_LISTEN_TEXT_MAX],
                            struct kx_error *err)
{
    int fd = socket(at->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return kx_error_set(err, KX_ERR_IO, errno, "cannot make a socket");
    int sys = take_address(at, fd);
    if (sys != 0) {
        close(fd);
        return kx_error_set(err, KX_ERR_UNAVAILABLE, sys, "cannot listen there");
    }
    describe(fd, secure, words);
    *ret_fd = fd;
    return KX_OK;
}

void kx_listen_close(const struct kx_listen *at, int fd)
{
    if (fd >= 0)
        close(fd);
    if (is_unix(at))
        unlink(path_of(at));
}
