/* The probe of a broker; the contract stands in the header. */
#include "sinks/mqtt_probe.h"

#include "base/clock.h"
#include "sinks/mqtt_reach.h"
#include <stdio.h>
#include <string.h>

#define PROBE_NS (30 * KX_NS_PER_S)

static void drop(struct kx_mqtt_session *session)
{
    if (session->conn == NULL)
        return;
    kx_mqtt_conn_end(session->conn);
    kx_mqtt_session_forget(session);
}

/* With the fall-back to 3.1.1 that a run would make, too. */
static enum kx_outcome
connect_broker(struct kx_mqtt_session *session, const struct kx_call *call, struct kx_error *err)
{
    int version = session->version;
    enum kx_outcome outcome = kx_mqtt_session_connect(session, call, err);
    if (outcome == KX_SENT || session->version == version)
        return outcome;
    drop(session);
    return kx_mqtt_session_connect(session, call, err);
}

static void tell_abilities(const struct kx_mqtt_session *session, struct kx_probe *probe)
{
    const struct kx_mqtt_status *status = &session->status;
    if (status->packet_bytes_max > 0)
        kx_probe_ok(probe, "it takes messages of up to %u bytes, %u at once",
                    (unsigned)status->packet_bytes_max, (unsigned)kx_mqtt_session_window(session));
    if (!status->retain)
        kx_probe_warn(probe, "allow retained messages, or do without status and presence",
                      "it keeps no retained messages");
}

static void tell_echo(const struct kx_mqtt_session *session,
                      const char *topic,
                      bool echo,
                      struct kx_probe *probe)
{
    if (echo)
        kx_probe_ok(probe, "a message on %s came back", topic);
    else if (session->version == KX_MQTT_V5)
        kx_probe_ok(probe, "it takes a message on %s (this user may not read it, which is no harm)",
                    topic);
    else
        kx_probe_warn(
            probe,
            "look at the broker's log; let this user write and read the sink's topics, or "
            "use MQTT 5, which says what an ACL forbids",
            "a message on %s did not come back, and MQTT 3.1.1 does not say why", topic);
}

void kx_mqtt_probe(struct kx_mqtt_session *session, struct kx_probe *probe)
{
    const struct kx_call call = {.deadline_ns = kx_clock_boot_ns() + PROBE_NS, .stop_fd = -1};
    struct kx_mqtt_topics topics = *session->topics;
    struct kx_error err;
    size_t room = sizeof topics.status - strlen(topics.status);
    snprintf(topics.status + strlen(topics.status), room, "/probe");
    snprintf(session->client_id + strlen(session->client_id),
             sizeof session->client_id - strlen(session->client_id), "-probe");
    session->topics = &topics;
    session->probing = true;
    if (kx_mqtt_reach(session->broker.host, session->broker.port, call.deadline_ns, -1, &err) !=
        KX_OK) {
        kx_probe_fail(probe, "is the broker running there? check url and port", "%s", err.text);
        return;
    }
    kx_probe_ok(probe, "%s can be reached", session->authority);
    if (connect_broker(session, &call, &err) != KX_SENT) {
        kx_probe_fail(probe, NULL, "%s", err.text);
        drop(session);
        return;
    }
    kx_probe_ok(probe, "MQTT %s%s as %s", session->version == KX_MQTT_V5 ? "5" : "3.1.1",
                session->broker.tls ? " over TLS" : "",
                session->sink->mqtt.username != NULL ? session->sink->mqtt.username : "nobody");
    tell_abilities(session, probe);
    bool echo = false;
    if (kx_mqtt_session_online(session, &call, &echo, &err) != KX_SENT)
        kx_probe_fail(probe, NULL, "%s", err.text);
    else
        tell_echo(session, topics.status, echo, probe);
    kx_mqtt_conn_goodbye(session->conn, kx_clock_boot_ns() + KX_NS_PER_S);
    drop(session);
}
