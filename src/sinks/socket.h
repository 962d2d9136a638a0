/*
 * The socket sink: each record as one line (socket_encode.h) to a program that listens, over TCP,
 * over TCP with TLS, or by UDP.
 *
 * A line over TCP is delivered when the operating system took all of it (socket_tcp.h), a datagram
 * likewise (socket_udp.h): neither says that the reader has it. Sends every record, not only the
 * newest of a device. One thread.
 */
#ifndef KX_SINKS_SOCKET_H
#define KX_SINKS_SOCKET_H

#include "batch/sink.h"

extern const struct kx_sink_ops kx_socket_ops;

#endif
