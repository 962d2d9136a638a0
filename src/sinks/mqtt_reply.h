/*
 * What a broker's answer means: reason code in, outcome and words out, decided here once.
 *
 * The words are MQTT 5's (OASIS, section 2.4), the codes of a 3.1.1 CONNACK (section 3.2.2.3) among
 * them by a number of their own. Constant table, any thread.
 */
#ifndef KX_SINKS_MQTT_REPLY_H
#define KX_SINKS_MQTT_REPLY_H

#include "batch/sink.h"

enum {
    KX_MQTT_NO_VERSION_311 = 1, /* of a 3.1.1 CONNACK, as old brokers send it to MQTT 5, too */
    KX_MQTT_NO_VERSION = 0x84,
    KX_MQTT_NOT_AUTHORIZED = 0x87,
    KX_MQTT_TAKEN_OVER = 0x8e,
    KX_MQTT_BAD_TOPIC = 0x90,
    KX_MQTT_TOO_LARGE = 0x95,
};

struct kx_mqtt_reply {
    int code;
    enum kx_outcome outcome; /* of a refused connection or publication */
    enum kx_code error;
    const char *words;
    const char *remedy; /* NULL = there is none to tell */
};

/* Never NULL: a code that nobody knows is to be tried again. */
const struct kx_mqtt_reply *kx_mqtt_reply(int code);

#endif
