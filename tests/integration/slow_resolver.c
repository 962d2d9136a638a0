/*
 * Loaded before libc: a name such as 15.hangs.test takes 15 s to resolve, as with a name server
 * that does not answer, and then is this machine.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int resolve(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *node,
                const char *service,
                const struct addrinfo *hints,
                struct addrinfo **ret)
{
    resolve *real = (resolve *)dlsym(RTLD_NEXT, "getaddrinfo");
    if (node != NULL && strstr(node, ".hangs.test") != NULL) {
        unsigned left = (unsigned)atoi(node);
        while (left > 0)
            left = sleep(left);
        node = "127.0.0.1";
    }
    return real(node, service, hints, ret);
}
