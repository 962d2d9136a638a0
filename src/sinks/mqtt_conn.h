/*
 * One connection to a broker: one paho client object, from its creation to its destruction.
 *
 * A connection is made once and never again: after a loss, a passed deadline or a doubt it is
 * destroyed and another made. kx_mqtt_conn_destroy is the only call after which each publication
 * has had exactly one completion, so completions are taken once more behind it (_end, then _take,
 * then _free). It ends every callback too: none comes later, and none can be of an older
 * connection.
 *
 *   state                        written by        read by        ordered by
 *   completions, arrived, state  paho's threads    the sender     the mutex, a few loads long
 *   slots in use                 the sender        paho's, one    MQTTAsync_send; back by the mutex
 *
 * paho's threads call back under paho's own mutex, which its calls take as well: no call to paho is
 * made with our mutex held, and a callback only copies. Every client of the process shares paho's
 * two threads; a name that a slow server resolves holds them all.
 *
 * paho's sending thread (1.3.12) looks at its list, finds it empty and waits for a second, and what
 * is put there between the look and the wait wakes nobody until the next command does. So the sink
 * goes a little above its window when that is silent, and _wait, where it is not the sink that has
 * more to send, asks once, after 100 ms without a completion, to unsubscribe from nothing.
 *
 * The sender's thread calls everything. Full: publish says no when every slot is in flight; the
 * number of slots is 80 % of what paho and the broker take, because paho slows to a crawl when its
 * own window fills. Failure: kx_mqtt_conn_create leaves nothing; afterwards `state` says it.
 */
#ifndef KX_SINKS_MQTT_CONN_H
#define KX_SINKS_MQTT_CONN_H

#include "base/error.h"
#include "batch/sink.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KX_MQTT_TEXT_MAX = 256,   /* of what TLS or a broker says */
    KX_MQTT_ARRIVED_MAX = 64, /* bytes of an incoming payload; longer ones are cut */
    KX_MQTT_V311 = 4,
    KX_MQTT_V5 = 5,
};

struct kx_mqtt_conn;

struct kx_mqtt_conn_params {
    const char *uri; /* tcp://host:port or ssl://host:port */
    const char *client_id;
    const char *user;                /* NULL = none */
    const char *password;            /* NULL = none; paho keeps a copy while it is connected */
    const struct kx_tls_config *tls; /* for ssl:// */
    int version;                     /* KX_MQTT_V311 or KX_MQTT_V5 */
    uint32_t keep_alive_s;
    const char *will_topic; /* gets "offline", retained, when we vanish; NULL = no will */
};

enum kx_mqtt_state {
    KX_MQTT_CONNECTING,
    KX_MQTT_UP,
    KX_MQTT_REFUSED, /* never got there */
    KX_MQTT_LOST,
};

struct kx_mqtt_status {
    enum kx_mqtt_state state;
    int code; /* REFUSED, LOST: a reason code above 0, or paho's below; 0 = none was given */
    char text[KX_MQTT_TEXT_MAX]; /* what paho or OpenSSL said; may be empty */
    uint32_t packet_bytes_max;   /* that the broker takes; 0 = it did not say */
    uint32_t window;             /* publications that may be out at once */
    int qos_max;
    bool retain; /* the broker keeps retained messages */
};

/* Whom a publication is of; the caller's own, handed back with its completion. */
struct kx_mqtt_tag {
    uint32_t flight, first, end;
    uint32_t bytes; /* of the payload */
};

struct kx_mqtt_completion {
    struct kx_mqtt_tag tag;
    int code; /* 0 = confirmed; above: the broker's reason; below: paho's, never confirmed */
};

struct kx_mqtt_message {
    const char *topic;
    const void *payload;
    size_t length;
    int qos;
    bool retain;
    uint32_t expiry_s; /* MQTT 5; 0 = never */
    const char *uid;   /* MQTT 5: the user property event_uid; NULL = none */
};

/* A message that came to us. */
struct kx_mqtt_arrived {
    bool retained; /* the broker had it before we subscribed */
    char topic[KX_MQTT_TEXT_MAX];
    char payload[KX_MQTT_ARRIVED_MAX];
};

enum kx_mqtt_wait { KX_MQTT_READY, KX_MQTT_TIMEOUT, KX_MQTT_STOPPED };

/* Begins to connect. params is used during the call only, but for tls. */
enum kx_code kx_mqtt_conn_create(struct kx_mqtt_conn **ret_conn,
                                 const struct kx_mqtt_conn_params *params,
                                 struct kx_error *err);
/* Ends the client: every publication that was out has its completion now. May last as long as
 * paho's thread is inside a call of its own. A second time does nothing. */
void kx_mqtt_conn_end(struct kx_mqtt_conn *conn);
void kx_mqtt_conn_free(struct kx_mqtt_conn *conn); /* NULL-safe; ended */
/* Sends a DISCONNECT behind what is out and waits for that until the deadline: no will. */
void kx_mqtt_conn_goodbye(struct kx_mqtt_conn *conn, uint64_t deadline_ns);

void kx_mqtt_conn_status(struct kx_mqtt_conn *conn, struct kx_mqtt_status *ret_status);
int kx_mqtt_conn_version(const struct kx_mqtt_conn *conn);
/* Publications that are out. */
uint32_t kx_mqtt_conn_out(const struct kx_mqtt_conn *conn);
/* False: no slot, or paho takes it no more because the connection is lost; no completion comes. */
bool kx_mqtt_conn_publish(struct kx_mqtt_conn *conn,
                          const struct kx_mqtt_message *message,
                          const struct kx_mqtt_tag *tag);
/* The bytes of the PUBLISH packet that this makes. */
size_t kx_mqtt_conn_packet_bytes(const struct kx_mqtt_conn *conn,
                                 const struct kx_mqtt_message *message);
/* Completes with the broker's code for the subscription, 0 = granted. */
bool kx_mqtt_conn_subscribe(struct kx_mqtt_conn *conn,
                            const char *topic,
                            const struct kx_mqtt_tag *tag);

/* Until `want` completions lie there (0: a message has arrived), or the connection has left the
 * state CONNECTING, is refused or lost; or the deadline (boot clock), or stop_fd is readable. */
enum kx_mqtt_wait
kx_mqtt_conn_wait(struct kx_mqtt_conn *conn, uint32_t want, uint64_t deadline_ns, int stop_fd);
/* Takes up to count completions and gives their slots back. Returns how many. */
uint32_t kx_mqtt_conn_take(struct kx_mqtt_conn *conn,
                           struct kx_mqtt_completion *completions,
                           uint32_t count);
/* The oldest message that arrived and was not taken. False = none. */
bool kx_mqtt_conn_arrived(struct kx_mqtt_conn *conn, struct kx_mqtt_arrived *ret_arrived);

#endif
