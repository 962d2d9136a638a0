/*
 * simdjson behind C: one Kismet message in, plain values out.
 *
 * The only door to C++. Owns the parser's memory; one thread a parser. Texts in the answers live
 * until the next call with the same parser. A document needs KX_JSON_PADDING readable bytes behind
 * its end. No call throws, none keeps the document. Failure: a result other than KX_JSON_OK, the
 * answer partly filled and not to be used. Ill-formed UTF-8 is repaired in a copy and parsed again
 * (repaired counts).
 */
#ifndef KX_INGEST_JSON_H
#define KX_INGEST_JSON_H

#include "base/buf.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { KX_JSON_PADDING = 64, KX_JSON_DEPTH_MAX = 64 };

enum kx_json_result {
    KX_JSON_OK,
    KX_JSON_EMPTY,      /* nothing but white space */
    KX_JSON_SYNTAX,     /* not JSON */
    KX_JSON_NOT_OBJECT, /* begins like JSON, but with no brace */
    KX_JSON_NO_KEY,     /* a device without key or MAC, an event without a topic */
    KX_JSON_DEPTH,      /* an event nested deeper than KX_JSON_DEPTH_MAX */
    KX_JSON_NOMEM,
};

/* What was mended or left out in one message. */
struct kx_json_notes {
    uint32_t utf8;       /* ill-formed parts replaced by U+FFFD */
    uint32_t nul;        /* \u0000 replaced by U+FFFD */
    uint32_t surrogate;  /* lone surrogates replaced by U+FFFD */
    uint32_t wrong_type; /* fields absent because of their type */
    uint32_t range;      /* fields absent because no number of ours holds them */
    bool reordered;      /* a key of ours came later than asked for */
};

struct kx_json_text {
    const char *data; /* NULL = absent */
    size_t length;
};

/* A device as the subscription's aliases name it; numbers of absent fields are 0 and not in `has`.
 */
enum kx_json_field {
    KX_J_FIRST_SEEN,
    KX_J_LAST_SEEN,
    KX_J_MOD_TIME,
    KX_J_FREQUENCY,
    KX_J_TOTAL_PACKETS,
    KX_J_TX_PACKETS,
    KX_J_RX_PACKETS,
    KX_J_DATA_SIZE,
    KX_J_NUM_ALERTS,
    KX_J_SIGNAL,
    KX_J_NOISE,
    KX_J_FIX,
    KX_J_ALTITUDE,
    KX_J_GEOPOINT,
};

struct kx_json_device {
    uint32_t has; /* bit (1 << enum kx_json_field) */
    struct kx_json_text key, server_uuid, mac_addr, name, common_name, username, phy_type,
        manufacturer, device_type, crypt, channel, signal_type;
    int64_t first_seen, last_seen, mod_time, frequency, total_packets, tx_packets, rx_packets,
        data_size, num_alerts, signal_dbm, noise_dbm, fix;
    double altitude, longitude, latitude;
    struct kx_json_text extra; /* what kx_json_expect asked for: a JSON object, {"as":value,...} */
};

/* An eventbus message. Its topic is its one key; of two keys (DOT11_NEW_SSID_BASEDEV beside
 * DOT11_ADVERTISED_SSID) the one that is not DOT11_NEW_SSID_BASEDEV. A handshake has only
 * DOT11_WPA_HANDSHAKE_BASEDEV and DOT11_WPA_HANDSHAKE_DOT11; its topic is DOT11_WPA_HANDSHAKE. */
struct kx_json_event {
    struct kx_json_text topic;
    struct kx_json_text server_uuid; /* absent in most topics */
    struct kx_json_text device_key;  /* as it stands: "00_0" means none */
    struct kx_json_text device_mac;  /* an alert's transmitter, else its source; else the record's
                                        own; 00:00:00:00:00:00 is none of them */
    double time;                     /* seconds since 1970, 0 = the event has none */
    struct kx_json_text alert_hash;  /* the number's text; absent but in alerts */
    int64_t severity;                /* of an alert, -1 = none */
};

/* One value that is wanted: in its key, out what stands there, a text or a number or nothing. */
struct kx_json_pick {
    const char *key; /* under 32 bytes */
    struct kx_json_text text;
    double number;
    bool has_number;
};

struct kx_json;

struct kx_json *kx_json_create(void); /* NULL without memory */
void kx_json_destroy(struct kx_json *json);
/* The vector code that simdjson chose for this processor ("haswell", "arm64", "fallback" ...). */
const char *kx_json_kernel(void);

struct kx_extra_fields; /* config/config.h */

/* The fields beside ours that the next devices may have, under the keys "extra_0", "extra_1"...
 * (ingest/fields.h), each of its type: a value of another one is left out and noted, and a bool may
 * be 0 or 1, as Kismet writes them. Borrowed until the next call; NULL = none, as at first. */
void kx_json_expect(struct kx_json *json, const struct kx_extra_fields *extra);

/*
 * A device record trimmed to our field list (ingest/fields.h), in one walk: each key is looked for
 * from behind the last one on in the list's order, and one that comes too late by name. Of equal
 * keys the first counts; keys that are not ours are skipped, their values unchecked. 0 where a text
 * or an array belongs is Kismet's way of saying absent, null anybody's: neither is a wrong type. A
 * whole number written as a double ("6.0") is one up to 2^53. KX_JSON_NO_KEY: key or mac_addr is
 * absent or empty.
 */
enum kx_json_result kx_json_device(struct kx_json *json,
                                   const char *document,
                                   size_t length,
                                   struct kx_json_device *ret_device,
                                   struct kx_json_notes *ret_notes);

/*
 * Also appends the event's data to out: a JSON object, re-serialised (own spacing, keys in their
 * order and as often as they come, numbers in our form or null when no double holds them, texts
 * escaped as kx_text_json says). It is the topic's record; the whole message where there are two
 * records or the value is none ({"DATASOURCE_OPENED":"<uuid>"}). A full buffer is no failure of
 * this call: out->failed says so. On a failure out is as long as before.
 */
enum kx_json_result kx_json_event(struct kx_json *json,
                                  const char *document,
                                  size_t length,
                                  struct kx_buf *out,
                                  struct kx_json_event *ret_event,
                                  struct kx_json_notes *ret_notes);

/* Values by name out of an object's first level: for the small answers of REST. */
enum kx_json_result kx_json_pick(struct kx_json *json,
                                 const char *document,
                                 size_t length,
                                 struct kx_json_pick *picks,
                                 size_t count);

#ifdef __cplusplus
}
#endif

#endif
