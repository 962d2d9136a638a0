/*
 * Lines over TCP, plain or by TLS.
 *
 * Sent means that the operating system took the line's last byte; what the reader makes of it
 * nobody says. Connects when there is something to do, and each second while idle; what the reader
 * says is read and thrown away; its end is noticed before anything is written. Owns the connection
 * and the lines that are under way; one thread. A connection that ends, or takes nothing for a
 * whole call, is closed, and every line that was not sent whole begins anew on the next one.
 */
#ifndef KX_SINKS_SOCKET_TCP_H
#define KX_SINKS_SOCKET_TCP_H

#include "sinks/socket_dial.h"
#include "sinks/socket_lines.h"

struct kx_socket_tcp {
    struct kx_dial dial; /* init'ed by the owner */
    struct kx_socket_lines lines;
};

enum kx_outcome kx_socket_tcp_deliver(struct kx_socket_tcp *tcp,
                                      const struct kx_socket_encode *encode,
                                      struct kx_batch *batch,
                                      const struct kx_call *call,
                                      struct kx_error *err);
enum kx_outcome
kx_socket_tcp_idle(struct kx_socket_tcp *tcp, const struct kx_call *call, struct kx_error *err);
void kx_socket_tcp_close(struct kx_socket_tcp *tcp);

#endif
