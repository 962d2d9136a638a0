/*
 * An eventbus message: re-serialised, and what identifies it picked out on the way. Private to
 * json.cpp.
 */
#ifndef KX_INGEST_JSON_EVENT_HPP
#define KX_INGEST_JSON_EVENT_HPP

#include "ingest/json_values.hpp"
#include <initializer_list>

namespace
{
/* A scalar as it was written, for those who look for it. */
struct Scalar {
    kx_json_text text; /* of a text */
    double number;     /* of a number, else 0 */
    string_view token; /* its characters in the message */
};

/* What is looked for among the keys of an event's records. */
enum TextName { ALERT_KEY, ALERT_TRANSMITTER, ALERT_SOURCE, DEVICE_KEY, DEVICE_MAC, UUID, TEXTS };
/* The times first, the most telling before the others. */
enum NumberName {
    ALERT_TIME,
    MESSAGE_TIME,
    SSID_TIME,
    DEVICE_TIME,
    LOCATION_TIME,
    SYSTEM_TIME,
    TIMES,
    LOCATION_USEC = TIMES,
    SYSTEM_USEC,
    ALERT_HASH,
    ALERT_SEVERITY,
    NUMBERS
};

struct TextKey {
    string_view key;
    TextName name;
};
constexpr TextKey text_keys[] = {
    {"kismet.alert.device_key", ALERT_KEY},
    {"kismet.alert.transmitter_mac", ALERT_TRANSMITTER},
    {"kismet.alert.source_mac", ALERT_SOURCE},
    {"kismet.device.base.key", DEVICE_KEY},
    {"key", DEVICE_KEY},
    {"kismet.device.base.macaddr", DEVICE_MAC},
    {"mac_addr", DEVICE_MAC},
    {"kismet.server.uuid", UUID},
    {"server_uuid", UUID},
};

struct NumberKey {
    string_view key;
    NumberName name;
};
constexpr NumberKey number_keys[] = {
    {"kismet.alert.timestamp", ALERT_TIME},
    {"kismet.messagebus.message_time", MESSAGE_TIME},
    {"dot11.advertisedssid.first_time", SSID_TIME},
    {"dot11.probedssid.first_time", SSID_TIME},
    {"kismet.device.base.first_time", DEVICE_TIME},
    {"first_seen", DEVICE_TIME},
    {"kismet.common.location.time_sec", LOCATION_TIME},
    {"kismet.common.location.time_usec", LOCATION_USEC},
    {"kismet.system.timestamp.sec", SYSTEM_TIME},
    {"kismet.system.timestamp.usec", SYSTEM_USEC},
    {"kismet.alert.hash", ALERT_HASH},
    {"kismet.alert.severity", ALERT_SEVERITY},
};

/* Keys that stand beside an event's own; of a handshake there is no own, and the topic is ours to
 * name. */
struct Companion {
    string_view key;
    string_view topic; /* empty: the key itself, for want of another */
};
constexpr Companion companions[] = {
    {"DOT11_NEW_SSID_BASEDEV", ""},
    {"DOT11_WPA_HANDSHAKE_BASEDEV", "DOT11_WPA_HANDSHAKE"},
    {"DOT11_WPA_HANDSHAKE_BASE", "DOT11_WPA_HANDSHAKE"},
    {"DOT11_WPA_HANDSHAKE_DOT11", "DOT11_WPA_HANDSHAKE"},
};

bool is_none(const kx_json_text &mac)
{
    return mac.length == 0 || string_view(mac.data, mac.length) == "00:00:00:00:00:00";
}

struct EventReader {
    State &state;
    kx_buf *out;
    Event &event;
    int topic_rank = -1;
    kx_json_text texts[TEXTS] = {};
    double numbers[NUMBERS] = {};
    bool has[NUMBERS] = {};

    error_code read(ondemand::object &message)
    {
        const size_t start = out->length;
        size_t record = start; /* where the value of the last key begins */
        size_t keys = 0;
        kx_buf_byte(out, '{');
        Fields fields(message);
        for (; fields.more; fields.next()) {
            kx_json_text key;
            if (const error_code error = own_key(fields.key, key))
                return error;
            name_topic(key);
            write_key(keys++ == 0, key);
            record = out->length;
            Scalar scalar = {};
            if (const error_code error = write(fields.value, 2, scalar))
                return error;
        }
        if (fields.error)
            return fields.error;
        kx_buf_byte(out, '}');
        if (keys == 1 && !out->failed && out->data[record] == '{')
            unwrap(start, record);
        conclude();
        return SUCCESS;
    }

    /* The one record of a message alone: {"TOPIC":{...}} becomes {...}. */
    void unwrap(size_t start, size_t record)
    {
        const size_t length = out->length - record - 1;
        memmove(out->data + start, out->data + record, length);
        kx_buf_truncate(out, start + length);
    }

    error_code own_key(const char *raw, kx_json_text &ret_key)
    {
        bool escaped;
        const size_t length = kx_json_raw_length(raw, &escaped);
        return mend_text(state, {raw, length}, ret_key);
    }

    void name_topic(const kx_json_text &key)
    {
        const string_view name(key.data, key.length);
        string_view topic = name;
        int rank = 2;
        for (const Companion &companion : companions) {
            if (companion.key != name)
                continue;
            rank = companion.topic.empty() ? 0 : 1;
            topic = companion.topic.empty() ? name : companion.topic;
        }
        if (rank > topic_rank) {
            topic_rank = rank;
            event.topic = {topic.data(), topic.size()};
        }
    }

    void write_text(const kx_json_text &text)
    {
        kx_buf_byte(out, '"');
        kx_text_json(out, text.data, text.length);
        kx_buf_byte(out, '"');
    }

    void write_key(bool first, const kx_json_text &key)
    {
        if (!first)
            kx_buf_byte(out, ',');
        write_text(key);
        kx_buf_byte(out, ':');
    }

    /* depth: of the value, if it is a container; the message has 1. */
    error_code write(ondemand::value &value, unsigned depth, Scalar &ret_scalar)
    {
        switch (*value.raw_json_token().data()) {
        case '{':
            return depth > KX_JSON_DEPTH_MAX ? simdjson::DEPTH_ERROR : write_object(value, depth);
        case '[':
            return depth > KX_JSON_DEPTH_MAX ? simdjson::DEPTH_ERROR : write_array(value, depth);
        case '"':
            if (const error_code error = read_text(state, value, ret_scalar.text))
                return error;
            write_text(ret_scalar.text);
            return SUCCESS;
        case 't':
        case 'f':
        case 'n':
            return write_word(token_of(value));
        default:
            return write_number(value, ret_scalar);
        }
    }

    error_code write_object(ondemand::value &value, unsigned depth)
    {
        ondemand::object object;
        if (const error_code error = value.get_object().get(object))
            return error;
        kx_buf_byte(out, '{');
        bool first = true;
        Fields fields(object);
        for (; fields.more; fields.next()) {
            bool escaped;
            kx_json_text key = {fields.key, kx_json_raw_length(fields.key, &escaped)};
            if (escaped) {
                if (const error_code error = mend_text(state, {key.data, key.length}, key))
                    return error;
            }
            write_key(first, key);
            first = false;
            Scalar scalar = {};
            if (const error_code error = write(fields.value, depth + 1, scalar))
                return error;
            if (depth == 2)
                note({key.data, key.length}, scalar);
        }
        kx_buf_byte(out, '}');
        return fields.error;
    }

    error_code write_array(ondemand::value &value, unsigned depth)
    {
        ondemand::array array;
        if (const error_code error = value.get_array().get(array))
            return error;
        kx_buf_byte(out, '[');
        bool first = true;
        for (auto result : array) {
            ondemand::value element;
            if (const error_code error = result.get(element))
                return error;
            if (!first)
                kx_buf_byte(out, ',');
            first = false;
            Scalar scalar = {};
            if (const error_code error = write(element, depth + 1, scalar))
                return error;
        }
        kx_buf_byte(out, ']');
        return SUCCESS;
    }

    error_code write_word(string_view token)
    {
        if (token != "true" && token != "false" && token != "null")
            return simdjson::TAPE_ERROR;
        kx_buf_bytes(out, token.data(), token.size());
        return SUCCESS;
    }

    error_code write_number(ondemand::value &value, Scalar &ret_scalar)
    {
        int64_t integer;
        uint64_t natural;
        ret_scalar.token = token_of(value);
        if (value.get_int64().get(integer) == SUCCESS) {
            ret_scalar.number = static_cast<double>(integer);
            kx_buf_i64(out, integer);
            return SUCCESS;
        }
        if (value.get_uint64().get(natural) == SUCCESS) {
            ret_scalar.number = static_cast<double>(natural);
            kx_buf_u64(out, natural);
            return SUCCESS;
        }
        const error_code error = read_double(value, ret_scalar.number);
        if (error == simdjson::NUMBER_OUT_OF_RANGE) {
            state.notes.range++;
            kx_buf_text(out, "null");
            ret_scalar = {};
            return SUCCESS;
        }
        if (error)
            return simdjson::TAPE_ERROR;
        kx_buf_f64(out, ret_scalar.number);
        return SUCCESS;
    }

    /* Keeps a scalar of a record when it is one that the event is known by; the first counts. */
    void note(string_view key, const Scalar &scalar)
    {
        if (scalar.text.length > 0) {
            for (const TextKey &known : text_keys) {
                if (known.key == key && !texts[known.name].data)
                    texts[known.name] = scalar.text;
            }
        } else if (!scalar.token.empty()) {
            for (const NumberKey &known : number_keys) {
                if (known.key == key && !has[known.name])
                    note_number(known.name, scalar);
            }
        }
    }

    void note_number(NumberName name, const Scalar &scalar)
    {
        if (name < TIMES && scalar.number <= 0)
            return; /* Kismet's absent */
        has[name] = true;
        numbers[name] = scalar.number;
        if (name == ALERT_HASH && scalar.token.size() <= sizeof state.number) {
            memcpy(state.number, scalar.token.data(), scalar.token.size());
            event.alert_hash = {state.number, scalar.token.size()};
        }
    }

    void conclude()
    {
        event.server_uuid = texts[UUID];
        event.device_key = texts[ALERT_KEY].data ? texts[ALERT_KEY] : texts[DEVICE_KEY];
        for (const TextName name : {ALERT_TRANSMITTER, ALERT_SOURCE, DEVICE_MAC}) {
            if (is_none(event.device_mac) && !is_none(texts[name]))
                event.device_mac = texts[name];
        }
        unsigned time = ALERT_TIME;
        while (time < TIMES && !has[time])
            time++;
        if (time < TIMES)
            event.time = numbers[time];
        if (time == LOCATION_TIME)
            event.time += fraction(LOCATION_USEC);
        if (time == SYSTEM_TIME)
            event.time += fraction(SYSTEM_USEC);
        const double severity = numbers[ALERT_SEVERITY];
        if (has[ALERT_SEVERITY] && severity >= 0 && severity <= 1000)
            event.severity = static_cast<int64_t>(severity);
    }

    double fraction(NumberName usec) const
    {
        return numbers[usec] > 0 && numbers[usec] < 1e6 ? numbers[usec] / 1e6 : 0;
    }
};

kx_json_result
read_event(State &state, const char *document, size_t length, kx_buf *out, Event &event)
{
    ondemand::object object;
    const kx_json_result opened = open_object(state, document, length, object);
    if (opened != KX_JSON_OK)
        return opened;
    error_code error = EventReader{state, out, event}.read(object);
    if (!error)
        error = at_end(state);
    if (error)
        return result_of(error);
    return event.topic.length > 0 ? KX_JSON_OK : KX_JSON_NO_KEY;
}
} // namespace

#endif
