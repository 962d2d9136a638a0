/* Lines over UDP; the contract stands in the header. */
#include "sinks/socket_udp.h"
#include "base/clock.h"
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

enum { RESOLVE_S = 300 };

void kx_socket_udp_close(struct kx_socket_udp *udp)
{
    if (udp->fd >= 0)
        close(udp->fd);
    udp->fd = -1;
    kx_dial_close(&udp->dial);
}

/* Connected, so that the kernel tells what the network says about our datagrams. */
static int open_to(const struct kx_dial_address *address)
{
    int fd =
        socket(address->bytes.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)&address->bytes, address->length) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static enum kx_outcome
get_ready(struct kx_socket_udp *udp, const struct kx_call *call, struct kx_error *err)
{
    uint64_t now_ns = kx_clock_boot_ns();
    if (udp->fd >= 0 && now_ns < udp->resolve_due_ns)
        return KX_SENT;
    struct kx_dial_address addresses[KX_DIAL_ADDRESSES];
    size_t count = 0;
    kx_socket_udp_close(udp);
    enum kx_outcome outcome = kx_dial_resolve(&udp->dial, call, addresses, &count, err);
    if (outcome != KX_SENT)
        return outcome;
    for (size_t i = 0; i < count && udp->fd < 0; i++)
        udp->fd = open_to(&addresses[i]);
    if (udp->fd < 0) {
        kx_error_set(err, KX_ERR_UNAVAILABLE, errno, "%s cannot be reached", udp->dial.at);
        return KX_RETRY;
    }
    udp->resolve_due_ns = now_ns + RESOLVE_S * KX_NS_PER_S;
    return KX_SENT;
}

/* False = no datagram holds the record. */
static bool encode_datagram(struct kx_socket_udp *udp,
                            const struct kx_socket_encode *encode,
                            const struct kx_record *record,
                            bool *ret_brief)
{
    kx_buf_clear(&udp->line);
    *ret_brief = false;
    kx_socket_encode(encode, &udp->line, record, false);
    if (udp->line.length <= KX_SOCKET_DATAGRAM_MAX)
        return true;
    if (!kx_record_has(record, KX_F_EXTRA) || record->kind != KX_KIND_DEVICE)
        return false;
    kx_buf_clear(&udp->line);
    *ret_brief = true;
    kx_socket_encode(encode, &udp->line, record, true);
    return udp->line.length <= KX_SOCKET_DATAGRAM_MAX;
}

/* KX_REJECTED: too large for this network. */
static enum kx_outcome
send_datagram(struct kx_socket_udp *udp, const struct kx_call *call, struct kx_error *err)
{
    for (;;) {
        ssize_t sent = send(udp->fd, udp->line.data, udp->line.length, MSG_NOSIGNAL);
        if (sent >= 0)
            return KX_SENT;
        if (errno == EINTR)
            continue;
        if (errno == EMSGSIZE)
            return KX_REJECTED;
        if (errno != EAGAIN)
            break;
        enum kx_outcome outcome = kx_dial_wait(udp->fd, POLLOUT, call, NULL, err);
        if (outcome != KX_SENT)
            return outcome;
    }
    if (errno == ECONNREFUSED)
        kx_error_set(err, KX_ERR_UNAVAILABLE, 0,
                     "%s: nobody listens there; start its reader, or mend the port", udp->dial.at);
    else
        kx_error_set(err, KX_ERR_UNAVAILABLE, errno, "%s: cannot send a datagram", udp->dial.at);
    kx_socket_udp_close(udp);
    return KX_RETRY;
}

enum kx_outcome kx_socket_udp_deliver(struct kx_socket_udp *udp,
                                      const struct kx_socket_encode *encode,
                                      struct kx_batch *batch,
                                      const struct kx_call *call,
                                      struct kx_error *err)
{
    enum kx_outcome outcome = get_ready(udp, call, err);
    if (outcome != KX_SENT)
        return outcome;
    for (uint32_t i = batch->first; i < batch->end; i++) {
        if (kx_batch_done(batch, i))
            continue;
        bool brief = false;
        outcome = KX_REJECTED;
        if (encode_datagram(udp, encode, kx_batch_record(batch, i), &brief))
            outcome = send_datagram(udp, call, err);
        if (outcome == KX_REJECTED) {
            kx_batch_drop(batch, i, KX_C_SENDER_DROPPED_TOO_BIG);
            continue;
        }
        if (outcome != KX_SENT)
            return outcome;
        kx_batch_mark(batch, i);
        if (brief)
            kx_count(udp->counters, KX_C_RECORDS_BRIEF, 1);
    }
    return KX_SENT;
}

enum kx_outcome
kx_socket_udp_idle(struct kx_socket_udp *udp, const struct kx_call *call, struct kx_error *err)
{
    return get_ready(udp, call, err);
}
