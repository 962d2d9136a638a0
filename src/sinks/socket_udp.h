/*
 * Lines over UDP: one datagram a record, under 1,400 bytes, so that none is cut into fragments.
 *
 * A line is never cut. A device that is too large goes without its `extra` (counted); what is still
 * too large is out for good (dropped, reason too_big). Sent means that the operating system took
 * the datagram: at most once. A host that says that nobody listens is noticed with the next
 * datagram, and that one is tried again. The name is resolved anew every few minutes and after each
 * failure. Owns the descriptor; one thread.
 */
#ifndef KX_SINKS_SOCKET_UDP_H
#define KX_SINKS_SOCKET_UDP_H

#include "sinks/socket_dial.h"
#include "sinks/socket_encode.h"

enum { KX_SOCKET_DATAGRAM_MAX = 1399 }; /* bytes, with the newline */

struct kx_socket_udp {
    struct kx_dial dial; /* resolves; init'ed by the owner, as all here */
    struct kx_counters *counters;
    struct kx_buf line;
    int fd; /* -1 = none */
    uint64_t resolve_due_ns;
};

enum kx_outcome kx_socket_udp_deliver(struct kx_socket_udp *udp,
                                      const struct kx_socket_encode *encode,
                                      struct kx_batch *batch,
                                      const struct kx_call *call,
                                      struct kx_error *err);
enum kx_outcome
kx_socket_udp_idle(struct kx_socket_udp *udp, const struct kx_call *call, struct kx_error *err);
void kx_socket_udp_close(struct kx_socket_udp *udp);

#endif
