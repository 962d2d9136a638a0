/*
 * The socket sink's life: which protocol, and what it is set up with.
 */
#include "sinks/socket.h"
#include "base/clock.h"
#include "base/probe.h"
#include "sinks/socket_encode.h"
#include "sinks/socket_tcp.h"
#include "sinks/socket_udp.h"
#include <stdlib.h>

enum { PROBE_S = 12 };

struct socket_sink {
    const char *name;
    enum kx_protocol protocol;
    struct kx_socket_encode encode;
    struct kx_socket_tcp tcp; /* one of the two is used */
    struct kx_socket_udp udp;
};

static void socket_close(void *self)
{
    struct socket_sink *sink = self;
    if (sink == NULL)
        return;
    kx_socket_tcp_close(&sink->tcp);
    kx_socket_lines_fini(&sink->tcp.lines);
    kx_socket_udp_close(&sink->udp);
    kx_buf_fini(&sink->udp.line);
    free(sink);
}

static enum kx_code socket_open(const struct kx_sink_config *config,
                                const struct kx_sink_env *env,
                                void **ret_self,
                                struct kx_error *err)
{
    if (config->socket.host == NULL)
        return kx_error_set(err, KX_ERR_USAGE, 0,
                            "sink %s: where to? Give `host` (--server-host), and `port` "
                            "(--server-port)",
                            config->name);
    struct socket_sink *sink = calloc(1, sizeof *sink);
    if (sink == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "sink %s: no memory", config->name);
    const struct kx_tls_config *tls =
        config->socket.protocol == KX_PROTOCOL_TLS ? &config->tls : NULL;
    uint16_t port = (uint16_t)config->socket.port;
    sink->name = config->name;
    sink->protocol = config->socket.protocol;
    kx_socket_encode_init(&sink->encode, config, config->socket.format,
                          config->socket.formula_guard);
    kx_dial_init(&sink->tcp.dial, config->socket.host, port, tls);
    kx_dial_init(&sink->udp.dial, config->socket.host, port, NULL);
    sink->udp.counters = env->counters;
    sink->udp.fd = -1;
    kx_buf_init(&sink->udp.line, KX_SOCKET_LINE_MAX);
    enum kx_code code = KX_OK;
    if (sink->protocol != KX_PROTOCOL_UDP)
        code = kx_socket_lines_init(&sink->tcp.lines, err);
    else if (kx_buf_reserve(&sink->udp.line, KX_SOCKET_LINE_MAX) == NULL)
        code = kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for lines");
    if (code != KX_OK) {
        kx_error_prefix(err, "sink %s", config->name);
        socket_close(sink);
        return code;
    }
    *ret_self = sink;
    return KX_OK;
}

static enum kx_outcome
socket_deliver(void *self, struct kx_batch *batch, const struct kx_call *call, struct kx_error *err)
{
    struct socket_sink *sink = self;
    if (sink->protocol == KX_PROTOCOL_UDP)
        return kx_socket_udp_deliver(&sink->udp, &sink->encode, batch, call, err);
    return kx_socket_tcp_deliver(&sink->tcp, &sink->encode, batch, call, err);
}

static enum kx_outcome socket_idle(void *self, const struct kx_call *call, struct kx_error *err)
{
    struct socket_sink *sink = self;
    if (sink->protocol == KX_PROTOCOL_UDP)
        return kx_socket_udp_idle(&sink->udp, call, err);
    return kx_socket_tcp_idle(&sink->tcp, call, err);
}

/* Connects and sends nothing: whatever is sent, the reader would take for a record. */
static enum kx_code socket_probe(void *self, struct kx_probe *probe)
{
    struct socket_sink *sink = self;
    struct kx_call call = {.deadline_ns = kx_clock_boot_ns() + PROBE_S * KX_NS_PER_S,
                           .stop_fd = -1};
    struct kx_error err;
    bool udp = sink->protocol == KX_PROTOCOL_UDP;
    bool tls = sink->protocol == KX_PROTOCOL_TLS;
    const char *at = sink->tcp.dial.at;
    if (socket_idle(sink, &call, &err) != KX_SENT) {
        kx_probe_fail(probe, NULL, "%s", err.text);
        return KX_OK;
    }
    if (udp)
        kx_probe_warn(probe,
                      "look at the reader once this runs; use protocol: tcp when records must not "
                      "be lost",
                      "%s: the name has an address; whether somebody listens, UDP does not say",
                      at);
    else
        kx_probe_ok(probe, "%s takes a connection%s", at,
                    tls ? ", by TLS with a certificate that is accepted" : "");
    if (tls && sink->tcp.dial.tls->insecure)
        kx_probe_warn(probe, "set tls.ca_file instead of tls.insecure",
                      "the certificate is not looked at");
    if (!udp)
        kx_probe_ok(probe, "whether the reader understands the lines only the reader can say: none "
                           "was sent");
    kx_socket_tcp_close(&sink->tcp);
    kx_socket_udp_close(&sink->udp);
    return KX_OK;
}

const struct kx_sink_ops kx_socket_ops = {
    .type = "socket",
    .newest_per_device = false,
    .open = socket_open,
    .deliver = socket_deliver,
    .idle = socket_idle,
    .probe = socket_probe,
    .close = socket_close,
};
