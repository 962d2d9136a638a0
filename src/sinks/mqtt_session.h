/*
 * The way from no connection to one that can be used, and back.
 *
 * Chooses the version of MQTT (5, and 3.1.1 once a broker has said or shown that it has no other),
 * connects with the last will, checks what the broker is able to, says `online`, and in 3.1.1,
 * where a broker drops without a word what an ACL forbids, waits for its own echo and warns, once.
 * Two take-overs of the session within a minute, or five losses to a broker that goes on without
 * us, are another client with our id: then it is left alone for a minute. The session is a new one
 * each time, whatever the broker remembers.
 *
 * Owns the connection, a copy of the password (read again from its file when it is refused), and
 * the client id; borrows the configuration and the topics. One thread, the sender's.
 */
#ifndef KX_SINKS_MQTT_SESSION_H
#define KX_SINKS_MQTT_SESSION_H

#include "batch/sink.h"
#include "config/broker.h"
#include "sinks/mqtt_conn.h"
#include "sinks/mqtt_topic.h"
#include <stdbool.h>
#include <stdint.h>

/* Tags of publications that are of no batch, from here on. */
enum { KX_MQTT_TAG_CONTROL = 1000, KX_MQTT_TAG_PRESENCE };

struct kx_mqtt_session {
    const struct kx_sink_config *sink;
    const struct kx_mqtt_topics *topics;
    struct kx_url broker;
    char authority[KX_URL_HOST_MAX + 8];
    char uri[KX_URL_HOST_MAX + 16];
    char client_id[160];
    struct kx_secret password;
    struct kx_mqtt_conn *conn;    /* NULL = none */
    struct kx_mqtt_status status; /* of conn, as last looked at */
    uint64_t connects;            /* connections that came to be usable */
    int version;                  /* to be tried next */
    unsigned closed;              /* times running that a broker hung up on a CONNECT */
    unsigned twin_losses;         /* that another client with our id explains */
    uint64_t twin_since_ns;       /* the first of these */
    uint64_t not_before_ns;
    uint32_t window_max; /* below conn's own; 0 = none */
    bool probing;   /* on the topic that topics->status names then, which leaves nothing behind */
    bool echo_done; /* the self-test of 3.1.1 */
};

enum kx_code kx_mqtt_session_init(struct kx_mqtt_session *session,
                                  const struct kx_sink_config *sink,
                                  const struct kx_config *config,
                                  const struct kx_mqtt_topics *topics,
                                  struct kx_error *err);
/* There is no connection any more. */
void kx_mqtt_session_fini(struct kx_mqtt_session *session);

/* KX_SENT: conn is there and usable; else *err says why, and conn, when it is there, must be
 * dropped by the caller: kx_mqtt_conn_end, _take, then kx_mqtt_session_forget. */
enum kx_outcome kx_mqtt_session_ready(struct kx_mqtt_session *session,
                                      const struct kx_call *call,
                                      struct kx_error *err);
/* Whether the connection has ended by itself; then *err says why and *ret_outcome what follows. */
bool kx_mqtt_session_lost(struct kx_mqtt_session *session,
                          enum kx_outcome *ret_outcome,
                          struct kx_error *err);
/* How many publications may be out at once. */
uint32_t kx_mqtt_session_window(const struct kx_mqtt_session *session);
/* Frees the connection, which has ended. */
void kx_mqtt_session_forget(struct kx_mqtt_session *session);
/* Says `offline` and hangs up; what is not out by the deadline stays. */
void kx_mqtt_session_goodbye(struct kx_mqtt_session *session, uint64_t deadline_ns);

/* The steps of ready, for the probe, which tells each of them. */
enum kx_outcome kx_mqtt_session_connect(struct kx_mqtt_session *session,
                                        const struct kx_call *call,
                                        struct kx_error *err);
/* *ret_echo: NULL = do not ask for the echo; else whether it came. */
enum kx_outcome kx_mqtt_session_online(struct kx_mqtt_session *session,
                                       const struct kx_call *call,
                                       bool *ret_echo,
                                       struct kx_error *err);
/* *err for a broker's answer to what (a topic, or NULL for the connection). */
enum kx_outcome kx_mqtt_session_refusal(const struct kx_mqtt_session *session,
                                        int code,
                                        const char *what,
                                        struct kx_error *err);

#endif
