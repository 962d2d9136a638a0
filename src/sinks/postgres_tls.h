/*
 * Whether a connection's settings let somebody between us and the server listen or pretend.
 *
 * A pure function; any thread.
 */
#ifndef KX_SINKS_POSTGRES_TLS_H
#define KX_SINKS_POSTGRES_TLS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

/* options: of PQconninfo (a connection's own, with what the environment and a service file said) or
 * PQconninfoParse. True, and why, when a host that is not this machine is spoken to with less than
 * sslmode=verify-full. Sockets and loopback addresses need none. */
bool kx_postgres_tls_weak(const PQconninfoOption *options, char *ret_text, size_t size);

#endif
