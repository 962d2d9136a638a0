/*
 * Lines encoded ahead of their writing, and which of them are out.
 *
 *     out     |..written..|..handed over..|.............................|
 *              ^ lines[0].end       ^ lines[1].end          ^ lines[count - 1].end == out.length
 *
 * Only a line whose last byte the other side took is confirmed. A call that ends early keeps the
 * lines that were begun, in their place: a TLS library wants the very bytes again that it was
 * handed (and could not write). Lines behind them are forgotten and encoded again later. When the
 * connection is lost everything is forgotten: a new one begins with a whole line.
 *
 * Owns its buffer, allocated by init so that no delivery can fail for want of memory; full =
 * kx_socket_lines_fill adds no more. One thread.
 */
#ifndef KX_SINKS_SOCKET_LINES_H
#define KX_SINKS_SOCKET_LINES_H

#include "batch/sink.h"
#include "sinks/socket_encode.h"

enum {
    KX_SOCKET_LINES = 512,        /* ahead of the writing */
    KX_SOCKET_BYTES_SOFT = 65536, /* enough encoded */
};

struct kx_socket_line {
    size_t end; /* in out */
    uint64_t sequence;
    uint32_t index; /* in the present batch; UINT32_MAX = its batch is gone */
};

struct kx_socket_lines {
    struct kx_buf out;
    size_t written;
    size_t handed; /* >= written */
    size_t count;
    struct kx_socket_line lines[KX_SOCKET_LINES];
};

enum kx_code kx_socket_lines_init(struct kx_socket_lines *lines, struct kx_error *err);
void kx_socket_lines_fini(struct kx_socket_lines *lines);
/* The connection is lost. */
void kx_socket_lines_forget(struct kx_socket_lines *lines);
/* A call begins: finds the records of begun lines again, by sequence. */
void kx_socket_lines_begin(struct kx_socket_lines *lines, const struct kx_batch *batch);
/* Encodes the batch's records that are not done from *next on, until there is enough. */
void kx_socket_lines_fill(struct kx_socket_lines *lines,
                          const struct kx_socket_encode *encode,
                          const struct kx_batch *batch,
                          uint32_t *next);
/* Marks the lines that are out, keeps those that are begun, forgets the others. */
void kx_socket_lines_settle(struct kx_socket_lines *lines, struct kx_batch *batch);

#endif
