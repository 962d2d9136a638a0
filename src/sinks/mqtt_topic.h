/*
 * Topics: what users chose (prefix, template) and what the air and Kismet say (MAC, PHY, source).
 *
 * What the air says becomes a segment of the strict alphabet [A-Za-z0-9._-]; any other byte is
 * percent-encoded, so no text can make a level, a wildcard or ill-formed UTF-8. A MAC's colons are
 * underscores, as the Python script wrote them. An empty or unknown value is the word `unknown`.
 *
 * Plain data, copied at init, constant afterwards; any thread. Failure: a prefix or template that
 * cannot be a topic is KX_ERR_CONFIG; a topic above KX_MQTT_TOPIC_MAX is refused by itself.
 */
#ifndef KX_SINKS_MQTT_TOPIC_H
#define KX_SINKS_MQTT_TOPIC_H

#include "base/error.h"
#include "config/config.h"
#include "record/record.h"
#include <stdbool.h>
#include <stddef.h>

enum { KX_MQTT_TOPIC_MAX = 256, KX_MQTT_TOPIC_SIZE = KX_MQTT_TOPIC_MAX + 1 };

struct kx_mqtt_topics {
    enum kx_mac_case mac_case;
    char prefix[KX_MQTT_TOPIC_SIZE];
    char sensor[KX_MQTT_TOPIC_SIZE]; /* as a segment */
    char model[KX_MQTT_TOPIC_SIZE];  /* of a device's topic */
    char status[KX_MQTT_TOPIC_SIZE];
    char events[KX_MQTT_TOPIC_SIZE];
    char batch[KX_MQTT_TOPIC_SIZE];
};

enum kx_code kx_mqtt_topics_init(struct kx_mqtt_topics *topics,
                                 const struct kx_sink_config *sink,
                                 const char *sensor,
                                 struct kx_error *err);
/* False: it would be longer than KX_MQTT_TOPIC_MAX. */
bool kx_mqtt_topic_device(const struct kx_mqtt_topics *topics,
                          const struct kx_device *device,
                          char out[KX_MQTT_TOPIC_SIZE]);
/* {prefix}/presence/{mac}; mac: 48 bits. */
bool kx_mqtt_topic_presence(const struct kx_mqtt_topics *topics,
                            uint64_t mac,
                            char out[KX_MQTT_TOPIC_SIZE]);
/* "AA_BB_CC_DD_EE_FF", in the sink's case. */
void kx_mqtt_topic_mac(const struct kx_mqtt_topics *topics, uint64_t mac, char out[18]);
/* Whether it can be a topic that is published to. */
enum kx_code kx_mqtt_topic_check(const char *text, const char *what, struct kx_error *err);

#endif
