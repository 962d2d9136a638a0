/* Sessions; the contract stands in the header. */
#include "sinks/mqtt_session.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "sinks/mqtt_reach.h"
#include "sinks/mqtt_reply.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_NS (12 * KX_NS_PER_S) /* paho gives up after 10 s */
#define ANSWER_NS (10 * KX_NS_PER_S)
#define ECHO_NS (3 * KX_NS_PER_S)
#define TWIN_NS (60 * KX_NS_PER_S) /* so many losses within this time, and this long a wait */
enum { TAKEN_OVER_MAX = 2, HUNG_UP_MAX = 5, CLOSED_MAX = 2, QOS_2_WINDOW = 16 };

/* --- life --- */

/* "kismet-export-SENSOR-0123456789ab": stable over restarts, and another one for each machine,
 * sink and configuration file. */
static void make_client_id(struct kx_mqtt_session *session, const struct kx_config *config)
{
    char machine[64] = "";
    uint8_t hash[32];
    int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, machine, sizeof machine - 1) : 0;
    if (fd >= 0)
        close(fd);
    const char *path = config->path != NULL ? config->path : "";
    const struct kx_hash_part parts[] = {{machine, length > 0 ? (size_t)length : 0},
                                         {config->sensor, strlen(config->sensor) + 1},
                                         {session->sink->name, strlen(session->sink->name) + 1},
                                         {path, strlen(path) + 1}};
    kx_hash_sha256(parts, sizeof parts / sizeof parts[0], hash);
    snprintf(session->client_id, sizeof session->client_id,
             "kismet-export-%.64s-%02x%02x%02x%02x%02x%02x", session->topics->sensor, hash[0],
             hash[1], hash[2], hash[3], hash[4], hash[5]);
}

enum kx_code kx_mqtt_session_init(struct kx_mqtt_session *session,
                                  const struct kx_sink_config *sink,
                                  const struct kx_config *config,
                                  const struct kx_mqtt_topics *topics,
                                  struct kx_error *err)
{
    const struct kx_mqtt_config *mqtt = &sink->mqtt;
    *session = (struct kx_mqtt_session){.sink = sink, .topics = topics};
    session->version = mqtt->protocol == KX_MQTT_ONLY_311 ? KX_MQTT_V311 : KX_MQTT_V5;
    enum kx_code code = kx_broker_parse(mqtt->url, &session->broker, err);
    if (code != KX_OK)
        return code;
    if (mqtt->port > 0)
        session->broker.port = (uint16_t)mqtt->port;
    kx_url_authority(&session->broker, session->authority);
    snprintf(session->uri, sizeof session->uri, "%s://%s", session->broker.tls ? "ssl" : "tcp",
             session->authority);
    if (mqtt->client_id != NULL)
        snprintf(session->client_id, sizeof session->client_id, "%s", mqtt->client_id);
    else
        make_client_id(session, config);
    return kx_secret_copy(&session->password, &mqtt->password, err);
}

void kx_mqtt_session_fini(struct kx_mqtt_session *session)
{
    kx_secret_fini(&session->password);
}

uint32_t kx_mqtt_session_window(const struct kx_mqtt_session *session)
{
    uint32_t window = session->status.window;
    return session->window_max > 0 && session->window_max < window ? session->window_max : window;
}

void kx_mqtt_session_forget(struct kx_mqtt_session *session)
{
    kx_mqtt_conn_free(session->conn);
    session->conn = NULL;
}

/* --- what went wrong --- */

enum kx_outcome kx_mqtt_session_refusal(const struct kx_mqtt_session *session,
                                        int code,
                                        const char *what,
                                        struct kx_error *err)
{
    const struct kx_mqtt_reply *reply = kx_mqtt_reply(code);
    const char *remedy = reply->remedy;
    if (what == NULL && reply->error == KX_ERR_AUTH)
        remedy = "check username and password_file";
    kx_error_set(err, reply->error, 0, "broker %s refuses %s: %s (%d)%s%s", session->authority,
                 what != NULL ? what : "the connection", reply->words, code,
                 remedy != NULL ? "; " : "", remedy != NULL ? remedy : "");
    return reply->outcome;
}

/* A connection that did not come about, without an answer of the broker's. */
static enum kx_outcome
unreached(struct kx_mqtt_session *session, const struct kx_call *call, struct kx_error *err)
{
    const char *text = session->status.text;
    const char *host = session->broker.host;
    if (kx_mqtt_reach(host, session->broker.port, call->deadline_ns, call->stop_fd, err) != KX_OK)
        return KX_RETRY;
    if (!session->broker.tls) {
        kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "broker %s hangs up before it answers (%s)",
                     session->authority, text[0] != '\0' ? text : "no reason given");
        return KX_RETRY;
    }
    bool own_words = text[0] != '\0' && strstr(text, "connect") == NULL;
    if (own_words)
        kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "broker %s: no TLS connection: %s%s",
                     session->authority, text,
                     strstr(text, "certificate verify failed") != NULL
                         ? "; set tls.ca_file to the authority that signed its certificate"
                         : "");
    else
        kx_error_set(err, KX_ERR_UNAVAILABLE, 0,
                     "broker %s: no TLS connection: its certificate is not for %s, or it speaks no "
                     "TLS at this port",
                     session->authority, host);
    return KX_RETRY;
}

/* Whether a refused CONNECT shows a broker that has no MQTT 5. */
static bool is_old(struct kx_mqtt_session *session)
{
    int code = session->status.code;
    if (session->sink->mqtt.protocol != KX_MQTT_AUTO || session->version != KX_MQTT_V5)
        return false;
    if (code == KX_MQTT_NO_VERSION || code == KX_MQTT_NO_VERSION_311)
        return true;
    /* Some hang up instead. So does one that is being started, hence not at the first time. */
    bool reached = code <= 0 && strcmp(session->status.text, "TCP/TLS connect failure") != 0 &&
                   strcmp(session->status.text, "TCP connect timeout") != 0;
    session->closed = reached ? session->closed + 1 : 0;
    return session->closed >= CLOSED_MAX;
}

static enum kx_outcome
refused(struct kx_mqtt_session *session, const struct kx_call *call, struct kx_error *err)
{
    int code = session->status.code;
    if (is_old(session)) {
        session->version = KX_MQTT_V311;
        session->closed = 0;
        kx_error_set(err, KX_ERR_PROTOCOL, 0, "broker %s takes no MQTT 5: 3.1.1 comes next",
                     session->authority);
        return KX_RETRY;
    }
    if (session->version == KX_MQTT_V311 && session->sink->mqtt.protocol == KX_MQTT_AUTO)
        session->version = KX_MQTT_V5; /* it may have been another reason after all */
    if (code <= 0)
        return unreached(session, call, err);
    enum kx_outcome outcome = kx_mqtt_session_refusal(session, code, NULL, err);
    if (err->code == KX_ERR_AUTH) /* it may have been changed meanwhile; a failure keeps the old */
        kx_secret_reload(&session->password, NULL);
    return outcome;
}

static enum kx_outcome lost(const struct kx_mqtt_session *session, struct kx_error *err)
{
    kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "broker %s: the connection is lost",
                 session->authority);
    return KX_RETRY;
}

/* mosquitto 2.0 does not say that it gives our session to another client, and 3.1.1 has no word for
 * it; but a broker that goes away does not answer the next moment. */
static bool hung_up_alive(const struct kx_mqtt_session *session)
{
    return kx_mqtt_lives(session->broker.host, session->broker.port);
}

static bool is_left_alone(const struct kx_mqtt_session *session, struct kx_error *err)
{
    if (session->not_before_ns <= kx_clock_boot_ns())
        return false;
    kx_error_set(err, KX_ERR_CONFIG, 0,
                 "broker %s ends our session again and again, as when another client has the same "
                 "id: give each its own client_id (ours is %s); next try within a minute",
                 session->authority, session->client_id);
    return true;
}

/* The connection was lost in a way that another client with our id explains. */
static void suspect_twin(struct kx_mqtt_session *session, unsigned most)
{
    uint64_t now_ns = kx_clock_boot_ns();
    if (now_ns - session->twin_since_ns > TWIN_NS)
        session->twin_losses = 0;
    if (session->twin_losses++ == 0)
        session->twin_since_ns = now_ns;
    if (session->twin_losses < most)
        return;
    session->twin_losses = 0;
    session->not_before_ns = now_ns + TWIN_NS;
    struct kx_error err;
    char component[KX_NAME_BYTES_MAX + 8];
    /* The engine logs changes of state, and this need not be one. */
    is_left_alone(session, &err);
    snprintf(component, sizeof component, "sink %s", session->sink->name);
    kx_log(KX_LOG_ERROR, component, "%s", err.text);
}

bool kx_mqtt_session_lost(struct kx_mqtt_session *session,
                          enum kx_outcome *ret_outcome,
                          struct kx_error *err)
{
    kx_mqtt_conn_status(session->conn, &session->status);
    if (session->status.state == KX_MQTT_UP)
        return false;
    int code = session->status.code;
    const struct kx_mqtt_reply *reply = kx_mqtt_reply(code);
    *ret_outcome = KX_RETRY;
    if (code <= 0)
        lost(session, err);
    else
        kx_error_set(err, reply->error, 0, "broker %s hangs up: %s (%d)", session->authority,
                     reply->words, code);
    if (code == KX_MQTT_TAKEN_OVER || (code <= 0 && hung_up_alive(session)))
        suspect_twin(session, code == KX_MQTT_TAKEN_OVER ? TAKEN_OVER_MAX : HUNG_UP_MAX);
    is_left_alone(session, err); /* then that is the reason */
    return true;
}

/* --- steps --- */

static enum kx_outcome not_in_time(const struct kx_mqtt_session *session,
                                   enum kx_mqtt_wait wait,
                                   const char *what,
                                   struct kx_error *err)
{
    if (wait == KX_MQTT_STOPPED)
        kx_error_set(err, KX_ERR_STOPPED, 0, "stopped before broker %s %s", session->authority,
                     what);
    else
        kx_error_set(err, KX_ERR_TIMEOUT, 0, "broker %s: nothing heard in time that it %s",
                     session->authority, what);
    return KX_RETRY;
}

static uint64_t within(const struct kx_call *call, uint64_t most_ns)
{
    uint64_t deadline_ns = kx_clock_boot_ns() + most_ns;
    return call->deadline_ns != 0 && call->deadline_ns < deadline_ns ? call->deadline_ns
                                                                     : deadline_ns;
}

/* What this configuration needs and the broker says it has not. */
static enum kx_outcome check_abilities(const struct kx_mqtt_session *session, struct kx_error *err)
{
    if ((int)session->sink->mqtt.qos <= session->status.qos_max)
        return KX_SENT;
    kx_error_set(err, KX_ERR_CONFIG, 0, "broker %s takes QoS %d at most: set qos: %d",
                 session->authority, session->status.qos_max, session->status.qos_max);
    return KX_HOLD;
}

enum kx_outcome kx_mqtt_session_connect(struct kx_mqtt_session *session,
                                        const struct kx_call *call,
                                        struct kx_error *err)
{
    const struct kx_mqtt_config *mqtt = &session->sink->mqtt;
    const struct kx_mqtt_conn_params params = {
        .uri = session->uri,
        .client_id = session->client_id,
        .user = mqtt->username,
        .password = kx_secret_reveal(&session->password),
        .tls = &session->sink->tls,
        .version = session->version,
        .keep_alive_s = (uint32_t)(mqtt->keep_alive_ns / KX_NS_PER_S),
        .will_topic = session->probing ? NULL : session->topics->status};
    if (kx_mqtt_conn_create(&session->conn, &params, err) != KX_OK)
        return KX_RETRY;
    uint64_t deadline_ns = within(call, CONNECT_NS);
    enum kx_mqtt_wait wait;
    do {
        wait = kx_mqtt_conn_wait(session->conn, 1, deadline_ns, call->stop_fd);
        kx_mqtt_conn_status(session->conn, &session->status);
    } while (wait == KX_MQTT_READY && session->status.state == KX_MQTT_CONNECTING);
    if (wait != KX_MQTT_READY)
        return not_in_time(session, wait, "takes the connection", err);
    if (session->status.state != KX_MQTT_UP)
        return refused(session, call, err);
    session->closed = 0;
    /* 3.1.1 has no way to say it, but mosquitto keeps 20 messages of QoS 2 at once: for those above
     * it sends PUBCOMP and hands them to nobody. */
    session->window_max = mqtt->qos == 2 && session->version == KX_MQTT_V311 ? QOS_2_WINDOW : 0;
    return check_abilities(session, err);
}

/* Waits for the completion of the one publication or subscription that is out. */
static enum kx_outcome await(struct kx_mqtt_session *session,
                             const struct kx_call *call,
                             const char *what,
                             int *ret_code,
                             struct kx_error *err)
{
    uint64_t deadline_ns = within(call, ANSWER_NS);
    struct kx_mqtt_completion completion;
    enum kx_outcome outcome;
    for (;;) {
        if (kx_mqtt_conn_take(session->conn, &completion, 1) == 1) {
            *ret_code = completion.code;
            return completion.code >= 0 ? KX_SENT : lost(session, err);
        }
        if (kx_mqtt_session_lost(session, &outcome, err))
            return outcome;
        enum kx_mqtt_wait wait = kx_mqtt_conn_wait(session->conn, 1, deadline_ns, call->stop_fd);
        if (wait != KX_MQTT_READY)
            return not_in_time(session, wait, what, err);
    }
}

static bool publish_status(struct kx_mqtt_session *session, const char *word)
{
    const struct kx_mqtt_message message = {.topic = session->topics->status,
                                            .payload = word,
                                            .length = strlen(word),
                                            .qos = session->status.qos_max > 0 ? 1 : 0,
                                            .retain = session->status.retain && !session->probing};
    const struct kx_mqtt_tag tag = {.flight = KX_MQTT_TAG_CONTROL};
    return kx_mqtt_conn_publish(session->conn, &message, &tag);
}

/* Until our own word comes back. */
static bool await_echo(struct kx_mqtt_session *session, const struct kx_call *call)
{
    uint64_t deadline_ns = within(call, ECHO_NS);
    struct kx_mqtt_arrived arrived;
    do {
        while (kx_mqtt_conn_arrived(session->conn, &arrived))
            if (!arrived.retained && strcmp(arrived.topic, session->topics->status) == 0)
                return true;
        kx_mqtt_conn_status(session->conn, &session->status);
    } while (session->status.state == KX_MQTT_UP &&
             kx_mqtt_conn_wait(session->conn, 0, deadline_ns, call->stop_fd) == KX_MQTT_READY);
    return false;
}

enum kx_outcome kx_mqtt_session_online(struct kx_mqtt_session *session,
                                       const struct kx_call *call,
                                       bool *ret_echo,
                                       struct kx_error *err)
{
    const struct kx_mqtt_tag tag = {.flight = KX_MQTT_TAG_CONTROL};
    enum kx_outcome outcome = KX_SENT;
    int code = 0;
    bool listening = false;
    if (ret_echo != NULL && kx_mqtt_conn_subscribe(session->conn, session->topics->status, &tag)) {
        outcome = await(session, call, "takes a subscription", &code, err);
        listening = outcome == KX_SENT && code == 0;
    }
    if (outcome != KX_SENT)
        return outcome;
    if (!publish_status(session, session->probing ? "probe" : "online"))
        return lost(session, err);
    outcome = await(session, call, "takes the status", &code, err);
    if (outcome == KX_SENT && code > 0)
        return kx_mqtt_session_refusal(session, code, session->topics->status, err);
    if (outcome == KX_SENT && ret_echo != NULL)
        *ret_echo = listening && await_echo(session, call);
    return outcome;
}

/* 3.1.1 has no word for "you may not". */
static void warn_of_silence(struct kx_mqtt_session *session)
{
    char component[KX_NAME_BYTES_MAX + 8];
    snprintf(component, sizeof component, "sink %s", session->sink->name);
    kx_log(KX_LOG_WARNING, component,
           "broker %s did not send our own message on %s back: MQTT 3.1.1 does not say whether an "
           "ACL drops what we send; look at its log, and let this user write the sink's topics",
           session->authority, session->topics->status);
}

enum kx_outcome kx_mqtt_session_ready(struct kx_mqtt_session *session,
                                      const struct kx_call *call,
                                      struct kx_error *err)
{
    enum kx_outcome outcome;
    if (session->conn != NULL)
        return kx_mqtt_session_lost(session, &outcome, err) ? outcome : KX_SENT;
    if (is_left_alone(session, err))
        return KX_RETRY;
    outcome = kx_mqtt_session_connect(session, call, err);
    if (outcome != KX_SENT)
        return outcome;
    bool test = session->version == KX_MQTT_V311 && !session->echo_done;
    bool echo = true;
    outcome = kx_mqtt_session_online(session, call, test ? &echo : NULL, err);
    if (outcome != KX_SENT)
        return outcome;
    if (test && !echo)
        warn_of_silence(session);
    session->echo_done = session->echo_done || test;
    session->connects++;
    return KX_SENT;
}

void kx_mqtt_session_goodbye(struct kx_mqtt_session *session, uint64_t deadline_ns)
{
    struct kx_mqtt_completion completion;
    kx_mqtt_conn_status(session->conn, &session->status);
    if (session->status.state != KX_MQTT_UP)
        return;
    bool said = !publish_status(session, "offline");
    while (!said && session->status.state == KX_MQTT_UP &&
           kx_mqtt_conn_wait(session->conn, 1, deadline_ns, -1) == KX_MQTT_READY) {
        while (!said && kx_mqtt_conn_take(session->conn, &completion, 1) == 1)
            said = completion.tag.flight == KX_MQTT_TAG_CONTROL;
        kx_mqtt_conn_status(session->conn, &session->status);
    }
    kx_mqtt_conn_goodbye(session->conn, deadline_ns);
}
