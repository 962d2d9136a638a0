/* Topics; the rules stand in the header. */
#include "sinks/mqtt_topic.h"

#include "base/text.h"
#include "encode/mac.h"
#include <stdio.h>
#include <string.h>

/* What is being put together; `full` once something did not fit. */
struct writer {
    char *out;
    size_t length;
    bool full;
};

static void put(struct writer *writer, const char *bytes, size_t length)
{
    if (writer->full || writer->length + length > KX_MQTT_TOPIC_MAX) {
        writer->full = true;
        return;
    }
    memcpy(writer->out + writer->length, bytes, length);
    writer->length += length;
}

static bool plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static void put_segment(struct writer *writer, const char *text, size_t length)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < length && !writer->full; i++) {
        unsigned char byte = (unsigned char)text[i];
        const char encoded[] = {'%', digits[byte >> 4], digits[byte & 15]};
        if (plain(text[i]))
            put(writer, text + i, 1);
        else
            put(writer, encoded, sizeof encoded);
    }
    if (length == 0)
        put(writer, "unknown", strlen("unknown"));
}

static void
put_mac(struct writer *writer, enum kx_mac_case mac_case, const char *text, size_t length)
{
    char cased[KX_ENCODE_MAC_MAX];
    char underlined[KX_ENCODE_MAC_MAX];
    const char *mac = kx_encode_mac(mac_case, text, length, cased);
    if (length > sizeof underlined) { /* no MAC at all */
        put_segment(writer, mac, length);
        return;
    }
    for (size_t i = 0; i < length; i++)
        underlined[i] = mac[i] == ':' ? '_' : mac[i];
    put_segment(writer, underlined, length);
}

static void put_text(struct writer *writer, const struct kx_device *device, struct kx_text text)
{
    put_segment(writer, kx_record_text(&device->head, text), text.length);
}

enum word { WORD_PREFIX, WORD_SENSOR, WORD_SOURCE, WORD_MAC, WORD_PHY, WORDS };
static const char *const words[WORDS] = {"{prefix}", "{sensor}", "{source}", "{mac}", "{phy}"};

static enum word find_word(const char *text)
{
    enum word word = 0;
    while (word < WORDS && strncmp(text, words[word], strlen(words[word])) != 0)
        word++;
    return word;
}

bool kx_mqtt_topic_device(const struct kx_mqtt_topics *topics,
                          const struct kx_device *device,
                          char out[KX_MQTT_TOPIC_SIZE])
{
    struct writer writer = {.out = out};
    const struct kx_record *head = &device->head;
    for (const char *at = topics->model; *at != '\0';) {
        enum word word = *at == '{' ? find_word(at) : WORDS;
        size_t literal = 1 + strcspn(at + 1, "{");
        switch (word) {
        case WORD_PREFIX: /* put in by init */
        case WORD_SENSOR:
        case WORDS:
            put(&writer, at, literal);
            at += literal;
            continue;
        case WORD_SOURCE:
            put_text(&writer, device, device->source);
            break;
        case WORD_MAC:
            put_mac(&writer, topics->mac_case, kx_record_text(head, device->mac_addr),
                    device->mac_addr.length);
            break;
        case WORD_PHY:
            put_text(&writer, device, device->phy_type);
            break;
        }
        at += strlen(words[word]);
    }
    out[writer.length] = '\0';
    return !writer.full;
}

void kx_mqtt_topic_mac(const struct kx_mqtt_topics *topics, uint64_t mac, char out[18])
{
    const char *format = topics->mac_case == KX_MAC_LOWER ? "%02x_%02x_%02x_%02x_%02x_%02x"
                                                          : "%02X_%02X_%02X_%02X_%02X_%02X";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(out, 18, format, (unsigned)(mac >> 40 & 255), (unsigned)(mac >> 32 & 255),
             (unsigned)(mac >> 24 & 255), (unsigned)(mac >> 16 & 255), (unsigned)(mac >> 8 & 255),
             (unsigned)(mac & 255));
#pragma GCC diagnostic pop
}

bool kx_mqtt_topic_presence(const struct kx_mqtt_topics *topics,
                            uint64_t mac,
                            char out[KX_MQTT_TOPIC_SIZE])
{
    char segment[18];
    kx_mqtt_topic_mac(topics, mac, segment);
    return snprintf(out, KX_MQTT_TOPIC_SIZE, "%s/presence/%s", topics->prefix, segment) <=
           KX_MQTT_TOPIC_MAX;
}

enum kx_code kx_mqtt_topic_check(const char *text, const char *what, struct kx_error *err)
{
    size_t length = strlen(text);
    const char *fault = NULL;
    if (length > KX_MQTT_TOPIC_MAX)
        fault = "it is too long";
    else if (text[0] == '$')
        fault = "topics that begin with $ are the broker's own";
    else if (strpbrk(text, "+#") != NULL)
        fault = "+ and # are for those who subscribe";
    else if (kx_text_utf8_valid(text, length) != length)
        fault = "it is not UTF-8";
    else if (text[0] == '/' || strstr(text, "//") != NULL ||
             (length > 0 && text[length - 1] == '/'))
        fault = "it has an empty level: no / at its ends, none twice";
    for (size_t i = 0; i < length && fault == NULL; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 127)
            fault = "it has a control character";
    if (fault == NULL)
        return KX_OK;
    return kx_error_set(err, KX_ERR_CONFIG, 0, "%s '%.80s' cannot be a topic: %s", what, text,
                        fault);
}

/* The template with what is constant put in. */
static bool make_model(struct kx_mqtt_topics *topics, const char *text, struct kx_error *err)
{
    struct writer writer = {.out = topics->model};
    while (*text != '\0') {
        enum word word = *text == '{' ? find_word(text) : WORDS;
        size_t literal = strcspn(text, "{");
        if (word == WORDS && literal == 0) {
            kx_error_set(err, KX_ERR_CONFIG, 0,
                         "topic: '%.40s' is none of {prefix}, {sensor}, {source}, {mac}, {phy}",
                         text);
            return false;
        }
        if (word == WORDS)
            put(&writer, text, literal);
        else if (word == WORD_PREFIX)
            put(&writer, topics->prefix, strlen(topics->prefix));
        else if (word == WORD_SENSOR)
            put(&writer, topics->sensor, strlen(topics->sensor));
        else
            put(&writer, words[word], strlen(words[word]));
        text += word == WORDS ? literal : strlen(words[word]);
    }
    topics->model[writer.length] = '\0';
    if (writer.full)
        kx_error_set(err, KX_ERR_CONFIG, 0, "topic: more than %d bytes", KX_MQTT_TOPIC_MAX);
    return !writer.full;
}

enum kx_code kx_mqtt_topics_init(struct kx_mqtt_topics *topics,
                                 const struct kx_sink_config *sink,
                                 const char *sensor,
                                 struct kx_error *err)
{
    const struct kx_mqtt_config *mqtt = &sink->mqtt;
    *topics = (struct kx_mqtt_topics){.mac_case = sink->mac_case};
    enum kx_code code = kx_mqtt_topic_check(mqtt->prefix, "prefix", err);
    if (code == KX_OK && strpbrk(mqtt->prefix, "{}") != NULL)
        code = kx_error_set(err, KX_ERR_CONFIG, 0, "prefix: write what is in {} as topic");
    if (code == KX_OK && mqtt->topic != NULL)
        code = kx_mqtt_topic_check(mqtt->topic, "topic", err);
    if (code != KX_OK)
        return code;
    snprintf(topics->prefix, sizeof topics->prefix, "%s", mqtt->prefix);
    struct writer writer = {.out = topics->sensor};
    put_segment(&writer, sensor, strlen(sensor));
    topics->sensor[writer.length] = '\0';
    if (!make_model(topics, mqtt->topic != NULL ? mqtt->topic : "{prefix}/devices/{mac}", err))
        return KX_ERR_CONFIG;
    int status = snprintf(topics->status, sizeof topics->status, "%s/status/%s", topics->prefix,
                          topics->sensor);
    int events = snprintf(topics->events, sizeof topics->events, "%s/events", topics->prefix);
    int batch = snprintf(topics->batch, sizeof topics->batch, "%s/batch", topics->prefix);
    if (writer.full || status > KX_MQTT_TOPIC_MAX || events > KX_MQTT_TOPIC_MAX ||
        batch > KX_MQTT_TOPIC_MAX)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "prefix and sensor make topics of more than %d bytes",
                            KX_MQTT_TOPIC_MAX);
    return KX_OK;
}
