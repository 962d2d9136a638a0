/* Lines over TCP; the contract stands in the header. */
#include "sinks/socket_tcp.h"
#include "base/clock.h"
#include <errno.h>
#include <poll.h>

enum {
    PIECE_BYTES_MAX = 16384, /* one TLS record */
    LOOKS_MAX = 16,          /* reads of what the reader says, at once */
    GRACE_MS = 200,
    GRACE_TLS_MS = 1000,
};

void kx_socket_tcp_close(struct kx_socket_tcp *tcp)
{
    kx_dial_close(&tcp->dial);
    kx_socket_lines_forget(&tcp->lines);
}

/* What libcurl says of a connection that broke; errno is the system's own word for it. */
static enum kx_outcome
broken(struct kx_socket_tcp *tcp, CURLcode result, int sys, struct kx_error *err)
{
    enum kx_outcome outcome = kx_dial_failure(&tcp->dial, result, err);
    if (tcp->dial.tls == NULL && (sys == EPIPE || sys == ECONNRESET))
        kx_error_set(err, KX_ERR_UNAVAILABLE, sys, "%s: the reader has left", tcp->dial.at);
    kx_socket_tcp_close(tcp);
    return outcome;
}

/* Reads and throws away what the reader says. KX_RETRY when it has left. */
static enum kx_outcome look(struct kx_socket_tcp *tcp, struct kx_error *err)
{
    char bytes[4096];
    for (int i = 0; i < LOOKS_MAX; i++) {
        size_t got = 0;
        errno = 0;
        CURLcode result = curl_easy_recv(tcp->dial.easy, bytes, sizeof bytes, &got);
        if (result == CURLE_AGAIN)
            return KX_SENT;
        if (result != CURLE_OK)
            return broken(tcp, result, errno, err);
        if (got == 0) {
            kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "%s: the reader closed the connection",
                         tcp->dial.at);
            kx_socket_tcp_close(tcp);
            return KX_RETRY;
        }
    }
    return KX_SENT;
}

/*
 * A connection may be taken and ended at once: by a proxy whose program does not run, or by a TLS
 * 1.3 server that looks at our certificate only after the handshake. Lines written meanwhile would
 * be lost, at every try. So a moment is given to an end, before the first line; a TLS server that
 * sends its tickets cuts it short.
 */
static enum kx_outcome
wait_for_an_end(struct kx_socket_tcp *tcp, const struct kx_call *call, struct kx_error *err)
{
    unsigned ms = tcp->dial.tls != NULL ? GRACE_TLS_MS : GRACE_MS;
    struct kx_call moment = {.deadline_ns = kx_clock_boot_ns() + ms * KX_NS_PER_MS,
                             .stop_fd = call->stop_fd};
    if (call->deadline_ns != 0 && call->deadline_ns < moment.deadline_ns)
        moment.deadline_ns = call->deadline_ns;
    struct kx_error nothing;
    if (kx_dial_wait(tcp->dial.fd, POLLIN, &moment, NULL, &nothing) == KX_SENT)
        return look(tcp, err);
    if (nothing.code == KX_ERR_TIMEOUT)
        return KX_SENT;
    *err = nothing;
    kx_socket_tcp_close(tcp);
    return KX_RETRY;
}

static enum kx_outcome
get_ready(struct kx_socket_tcp *tcp, const struct kx_call *call, struct kx_error *err)
{
    if (kx_dial_is_open(&tcp->dial))
        return look(tcp, err);
    enum kx_outcome outcome = kx_dial_connect(&tcp->dial, call, err);
    return outcome == KX_SENT ? wait_for_an_end(tcp, call, err) : outcome;
}

/* Waits until the socket takes bytes. TLS may want to read first, and a reader that leaves shows in
 * reading, too. */
static enum kx_outcome
wait_writable(struct kx_socket_tcp *tcp, const struct kx_call *call, struct kx_error *err)
{
    for (;;) {
        short events = 0;
        enum kx_outcome outcome = kx_dial_wait(tcp->dial.fd, POLLIN | POLLOUT, call, &events, err);
        if (outcome == KX_SENT && (events & ~POLLOUT) != 0)
            outcome = look(tcp, err);
        if (outcome != KX_SENT || (events & POLLOUT) != 0)
            return outcome;
    }
}

/* Writes all lines, as far as the call's limits allow. */
static enum kx_outcome
write_out(struct kx_socket_tcp *tcp, const struct kx_call *call, struct kx_error *err)
{
    struct kx_socket_lines *lines = &tcp->lines;
    while (lines->written < lines->out.length) {
        size_t piece = lines->handed - lines->written;
        if (piece == 0) {
            piece = lines->out.length - lines->written;
            piece = piece > PIECE_BYTES_MAX ? PIECE_BYTES_MAX : piece;
        }
        size_t taken = 0;
        errno = 0;
        CURLcode result =
            curl_easy_send(tcp->dial.easy, lines->out.data + lines->written, piece, &taken);
        if (result != CURLE_OK && result != CURLE_AGAIN)
            return broken(tcp, result, errno, err);
        /* Only a TLS library holds on to bytes that it did not write. */
        bool holds = result == CURLE_AGAIN && tcp->dial.tls != NULL;
        lines->written += taken;
        lines->handed = holds ? lines->written + piece : lines->written;
        if (result != CURLE_AGAIN)
            continue;
        enum kx_outcome outcome = wait_writable(tcp, call, err);
        if (outcome != KX_SENT)
            return outcome;
    }
    return KX_SENT;
}

enum kx_outcome kx_socket_tcp_deliver(struct kx_socket_tcp *tcp,
                                      const struct kx_socket_encode *encode,
                                      struct kx_batch *batch,
                                      const struct kx_call *call,
                                      struct kx_error *err)
{
    struct kx_socket_lines *lines = &tcp->lines;
    bool moved = false;
    enum kx_outcome outcome = get_ready(tcp, call, err);
    if (outcome != KX_SENT)
        return outcome;
    kx_socket_lines_begin(lines, batch);
    for (uint32_t next = batch->first;;) {
        kx_socket_lines_fill(lines, encode, batch, &next);
        if (lines->count == 0)
            return KX_SENT;
        size_t before = lines->written;
        outcome = write_out(tcp, call, err);
        if (!kx_dial_is_open(&tcp->dial))
            return outcome;
        moved = moved || lines->written > before;
        kx_socket_lines_settle(lines, batch);
        if (outcome != KX_SENT)
            break;
    }
    if (err->code != KX_ERR_TIMEOUT)
        return outcome;
    if (moved) { /* slow, but it reads: go on at once, where it was */
        batch->retry_after_ns = 1;
        kx_error_set(err, KX_ERR_TIMEOUT, 0, "%s: the reader is slow", tcp->dial.at);
        return outcome;
    }
    kx_error_set(err, KX_ERR_TIMEOUT, 0, "%s: the reader takes nothing any more; is it stopped?",
                 tcp->dial.at);
    kx_socket_tcp_close(tcp);
    return outcome;
}

enum kx_outcome
kx_socket_tcp_idle(struct kx_socket_tcp *tcp, const struct kx_call *call, struct kx_error *err)
{
    return get_ready(tcp, call, err);
}
