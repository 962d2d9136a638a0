/* Presence at the broker; the contract stands in the header. */
#include "sinks/mqtt_presence.h"

#include "base/text.h"
#include <stdio.h>
#include <string.h>

#define LOOK_NS (KX_NS_PER_S / 4)
enum { ANNOUNCEMENT_MAX = 4096 };

enum kx_code kx_mqtt_presence_init(struct kx_mqtt_presence *presence,
                                   const struct kx_sink_config *sink,
                                   const struct kx_sink_env *env,
                                   const struct kx_mqtt_topics *topics,
                                   struct kx_error *err)
{
    const struct kx_presence_config *config = &sink->mqtt.presence;
    *presence = (struct kx_mqtt_presence){.config = config,
                                          .table = env->presence,
                                          .board = env->board,
                                          .topics = topics,
                                          .sensor = env->config->sensor};
    kx_buf_init(&presence->buf, ANNOUNCEMENT_MAX);
    if (config->macs.count == 0 || !config->discovery)
        return KX_OK;
    return kx_mqtt_topic_check(config->discovery_prefix, "discovery_prefix", err);
}

void kx_mqtt_presence_fini(struct kx_mqtt_presence *presence)
{
    kx_buf_fini(&presence->buf);
}

static bool
publish(struct kx_mqtt_session *session, const char *topic, const char *text, size_t length)
{
    const struct kx_mqtt_message message = {.topic = topic,
                                            .payload = text,
                                            .length = length,
                                            .qos = session->status.qos_max > 0 ? 1 : 0,
                                            .retain = session->status.retain};
    const struct kx_mqtt_tag tag = {.flight = KX_MQTT_TAG_PRESENCE};
    return kx_mqtt_conn_out(session->conn) < kx_mqtt_session_window(session) &&
           kx_mqtt_conn_publish(session->conn, &message, &tag);
}

/* --- Home Assistant --- */

/* Its ids have letters, digits, '_' and '-'. */
static void append_id(struct kx_buf *buf, const struct kx_mqtt_presence *presence, size_t i)
{
    char mac[18];
    kx_mqtt_topic_mac(presence->topics, kx_presence_mac(presence->table, i), mac);
    kx_buf_text(buf, "kismet_");
    for (const char *at = presence->sensor; *at != '\0'; at++) {
        bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
                     (*at >= '0' && *at <= '9') || *at == '-';
        kx_buf_byte(buf, plain ? *at : '_');
    }
    kx_buf_byte(buf, '_');
    kx_buf_text(buf, mac);
}

static void append_pair(struct kx_buf *buf, const char *key, const char *text)
{
    kx_buf_printf(buf, "%s\"%s\":\"", buf->length > 1 ? "," : "", key);
    kx_text_json(buf, text, strlen(text));
    kx_buf_byte(buf, '"');
}

void kx_mqtt_presence_announcement(struct kx_mqtt_presence *presence, size_t i)
{
    struct kx_buf *buf = &presence->buf;
    char topic[KX_MQTT_TOPIC_SIZE];
    char name[18];
    kx_mqtt_topic_presence(presence->topics, kx_presence_mac(presence->table, i), topic);
    kx_mqtt_topic_mac(presence->topics, kx_presence_mac(presence->table, i), name);
    for (char *at = name; *at != '\0'; at++)
        *at = *at == '_' ? ':' : *at;
    kx_buf_clear(buf);
    kx_buf_byte(buf, '{');
    append_pair(buf, "name", name);
    kx_buf_text(buf, ",\"unique_id\":\"");
    append_id(buf, presence, i);
    kx_buf_byte(buf, '"');
    append_pair(buf, "state_topic", topic);
    append_pair(buf, "payload_home", kx_presence_word(KX_PRESENCE_HOME));
    append_pair(buf, "payload_not_home", kx_presence_word(KX_PRESENCE_NOT_HOME));
    append_pair(buf, "payload_reset", kx_presence_word(KX_PRESENCE_UNKNOWN));
    append_pair(buf, "source_type", "router");
    append_pair(buf, "availability_topic", presence->topics->status);
    append_pair(buf, "payload_available", "online");
    append_pair(buf, "payload_not_available", "offline");
    kx_buf_byte(buf, '}');
}

/* {discovery_prefix}/device_tracker/{id}/config */
static bool announce(struct kx_mqtt_presence *presence, struct kx_mqtt_session *session, size_t i)
{
    struct kx_buf id;
    char topic[2 * KX_MQTT_TOPIC_SIZE];
    kx_buf_init(&id, KX_MQTT_TOPIC_MAX);
    append_id(&id, presence, i);
    snprintf(topic, sizeof topic, "%s/device_tracker/%.*s/config",
             presence->config->discovery_prefix, (int)id.length, id.data);
    bool made = !id.failed;
    kx_buf_fini(&id);
    kx_mqtt_presence_announcement(presence, i);
    return made && !presence->buf.failed &&
           publish(session, topic, presence->buf.data, presence->buf.length);
}

static void discover(struct kx_mqtt_presence *presence, struct kx_mqtt_session *session)
{
    char topic[KX_MQTT_TOPIC_SIZE];
    struct kx_mqtt_arrived arrived;
    int length = snprintf(topic, sizeof topic, "%s/status", presence->config->discovery_prefix);
    if (!presence->subscribed && length <= KX_MQTT_TOPIC_MAX) {
        /* Denied, Home Assistant has the retained ones. */
        const struct kx_mqtt_tag tag = {.flight = KX_MQTT_TAG_CONTROL};
        presence->subscribed = kx_mqtt_conn_subscribe(session->conn, topic, &tag);
    }
    while (kx_mqtt_conn_arrived(session->conn, &arrived))
        if (strcmp(arrived.topic, topic) == 0 && strcmp(arrived.payload, "online") == 0)
            presence->announced = 0;
    while (presence->announced < kx_presence_count(presence->table) &&
           announce(presence, session, presence->announced))
        presence->announced++;
}

/* --- states --- */

void kx_mqtt_presence_run(struct kx_mqtt_presence *presence,
                          struct kx_mqtt_session *session,
                          uint64_t now_ns)
{
    char topic[KX_MQTT_TOPIC_SIZE];
    if (presence->table == NULL)
        return;
    if (session->connects != presence->connects) {
        presence->connects = session->connects;
        presence->announced = presence->look_ns = 0;
        presence->subscribed = false;
        memset(presence->said, 0, sizeof presence->said);
    }
    if (now_ns < presence->look_ns)
        return;
    presence->look_ns = now_ns + LOOK_NS;
    kx_presence_watch(presence->table, presence->board, now_ns);
    if (presence->config->discovery)
        discover(presence, session);
    for (size_t i = 0; i < kx_presence_count(presence->table); i++) {
        enum kx_presence_state state = kx_presence_look(presence->table, i, now_ns);
        const char *word = kx_presence_word(state);
        if (state == presence->said[i] || word == NULL ||
            !kx_mqtt_topic_presence(presence->topics, kx_presence_mac(presence->table, i), topic))
            continue;
        if (publish(session, topic, word, strlen(word)))
            presence->said[i] = state;
    }
}
