/* The HTTP and WebSocket server: routes, credentials, the faults of handshakes and answers.
 *
 * Owns: the lws context. Threads: one. Lifetime: main(). Failure: NULL or false, reason on stderr.
 */
#pragma once

#include "sim.h"

/* Opens the port and, when asked for, the control socket. Returns the port; 0 = failed. */
int server_open(struct sim *s);
void server_close(struct sim *s);
