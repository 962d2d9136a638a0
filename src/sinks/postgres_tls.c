/* What libpq makes of host, hostaddr and sslmode: its documentation, "Parameter Key Words". */
#include "sinks/postgres_tls.h"

#include <stdio.h>
#include <string.h>

static const char *value_of(const PQconninfoOption *options, const char *keyword)
{
    for (; options->keyword != NULL; options++)
        if (strcmp(options->keyword, keyword) == 0)
            return options->val != NULL ? options->val : "";
    return "";
}

static bool begins(const char *text, size_t length, const char *with)
{
    return length >= strlen(with) && strncmp(text, with, strlen(with)) == 0;
}

/* Sockets are paths, or '@' and a name; nothing at all is the default socket. */
static bool is_here(const char *host, size_t length)
{
    return length == 0 || host[0] == '/' || host[0] == '@' || begins(host, length, "127.") ||
           (length == 3 && begins(host, length, "::1")) ||
           (length == 9 && strncmp(host, "localhost", length) == 0);
}

/* The first of a comma list that is not this machine; NULL = all are. */
static const char *remote_of(const char *hosts, size_t *ret_length)
{
    for (;;) {
        size_t length = strcspn(hosts, ",");
        *ret_length = length;
        if (!is_here(hosts, length))
            return hosts;
        if (hosts[length] == '\0')
            return NULL;
        hosts += length + 1;
    }
}

bool kx_postgres_tls_weak(const PQconninfoOption *options, char *ret_text, size_t size)
{
    const char *mode = value_of(options, "sslmode");
    const char *addresses = value_of(options, "hostaddr");
    size_t length;
    /* An address is what is connected to, whatever name stands beside it. */
    const char *remote =
        remote_of(addresses[0] != '\0' ? addresses : value_of(options, "host"), &length);
    if (remote == NULL || strcmp(mode, "verify-full") == 0)
        return false;
    if (mode[0] == '\0')
        mode = "prefer";
    const char *what = strcmp(mode, "verify-ca") == 0 ? "any server with a certificate of that CA"
                       : strcmp(mode, "require") == 0 ? "any server at all"
                                                      : "whoever is asked, in clear if it likes,";
    snprintf(ret_text, size,
             "sslmode=%s to %.*s: %s gets the password and the data; write sslmode=verify-full "
             "sslrootcert=FILE (or =system)",
             mode, length < 100 ? (int)length : 100, remote, what);
    return true;
}
