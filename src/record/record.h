/*
 * The record: one normalised device or event, flat, without pointers.
 *
 * The ring, the batch and the spool hold these same bytes. A record is length-prefixed and 8-byte
 * aligned; its texts lie behind its numbers and are found by (offset, length). Who holds the memory
 * owns the record; a published record is never written again. Unknown is *absent in the bitmap*,
 * never 0: SQL NULL, left out of line protocol, null in JSON. Full: a text is cut at
 * KX_TEXT_BYTES_MAX on a character boundary; a record that does not fit KX_RECORD_BYTES_MAX is
 * refused.
 */
#ifndef KX_RECORD_RECORD_H
#define KX_RECORD_RECORD_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KX_RECORD_BYTES_MAX = 65528, /* so that every offset and length fits 16 bits */
    KX_RECORD_ALIGN = 8,
    KX_TEXT_BYTES_MAX = 1024,
    KX_EXTRA_BYTES_MAX = 16384, /* the extra field, a JSON object */
    KX_UID_BYTES = 16,
};
#define KX_DEVICE_NONE UINT32_MAX /* an event that belongs to no device */

enum kx_kind {
    KX_KIND_PAD = 0, /* the ring's own: skip length bytes */
    KX_KIND_DEVICE = 1,
    KX_KIND_EVENT = 2,
};

/* Every field of a device that leaves the program, in the order of its JSON: first the keys that
 * users of the Python script have, in their order, then ours. Also the bit in `present`. */
enum kx_field {
    KX_F_TIMESTAMP, /* always present: head.received_ns */
    KX_F_MAC_ADDR,
    KX_F_NAME,
    KX_F_USERNAME,
    KX_F_PHY_TYPE,
    KX_F_MANUFACTURER,
    KX_F_FIRST_SEEN,
    KX_F_LAST_SEEN,
    KX_F_CHANNEL,
    KX_F_FREQUENCY,
    KX_F_TOTAL_PACKETS,
    KX_F_TX_PACKETS,
    KX_F_RX_PACKETS,
    KX_F_DATA_SIZE,
    KX_F_SIGNAL_DBM,
    KX_F_NOISE_DBM,
    KX_F_SNR_DB,
    KX_F_LATITUDE,
    KX_F_LONGITUDE,
    KX_F_ALTITUDE,
    KX_F_SOURCE,
    KX_F_SERVER_UUID,
    KX_F_DEVICE_KEY,
    KX_F_DEVICE_TYPE,
    KX_F_CRYPT,
    KX_F_NUM_ALERTS,
    KX_F_MAC_RANDOM,
    KX_F_EXTRA,
    KX_FIELDS
};

enum kx_type {
    KX_TYPE_TIME, /* int64 ns since 1970 UTC */
    KX_TYPE_TEXT, /* struct kx_text, UTF-8 */
    KX_TYPE_I64,
    KX_TYPE_I32,
    KX_TYPE_F64,
    KX_TYPE_BOOL,
    KX_TYPE_JSON, /* struct kx_text holding a JSON object */
};

/* One row a field: encoders, filters, deltas and the configuration walk this table. */
struct kx_field_info {
    const char *name; /* column, key and tag name */
    enum kx_type type;
    uint16_t offset; /* of the value in struct kx_device */
};
extern const struct kx_field_info kx_fields[KX_FIELDS];

/* The field of that name, or KX_FIELDS. */
enum kx_field kx_field_find(const char *name, size_t length);

/* Where a text lies: bytes from the start of the record. */
struct kx_text {
    uint16_t offset;
    uint16_t length;
};

/* The head of both kinds. source, device_id and generation mean something in this process only. */
struct kx_record {
    uint32_t length;     /* bytes of the whole record, a multiple of 8 */
    uint8_t kind;        /* enum kx_kind */
    uint8_t severity;    /* of an alert: Kismet's level (0, 5, 10, 15, 20) and one; 0 = has none */
    uint16_t source;     /* index of the source */
    uint32_t device_id;  /* dense, of the registry; KX_DEVICE_NONE */
    uint32_t generation; /* moves when the id is given to another device */
    uint64_t sequence;   /* per process, from 1; with the run id a record's identity for good */
    int64_t received_ns; /* wall clock when the frame came */
    uint64_t present;    /* bit (1 << enum kx_field); events do not use it */
};
static_assert(sizeof(struct kx_record) == 40, "spool format");

struct kx_device {
    struct kx_record head;
    int64_t heard_at_ns; /* when the device was heard; see docs/times.md */
    int64_t first_seen;  /* seconds, packets' clock */
    int64_t last_seen;
    int64_t mod_time; /* seconds, server's clock; not exported; 0 = unknown */
    int64_t frequency;
    int64_t total_packets;
    int64_t tx_packets;
    int64_t rx_packets;
    int64_t data_size;
    int64_t num_alerts;
    double latitude;
    double longitude;
    double altitude;
    uint64_t mac_bits; /* the 48 bits of mac_addr, 0 when it is not a MAC: for masks and sorting */
    int32_t signal_dbm;
    int32_t noise_dbm;
    int32_t snr_db;
    bool mac_random;
    uint8_t unused[3];
    struct kx_text mac_addr;
    struct kx_text name;
    struct kx_text username;
    struct kx_text phy_type;
    struct kx_text manufacturer;
    struct kx_text channel;
    struct kx_text source;
    struct kx_text server_uuid;
    struct kx_text device_key;
    struct kx_text device_type;
    struct kx_text crypt;
    struct kx_text extra;
};
static_assert(sizeof(struct kx_device) == 216, "spool format");

struct kx_event {
    struct kx_record head;
    int64_t time_ns; /* the event's own time; receive time when it has none */
    uint8_t uid[KX_UID_BYTES];
    struct kx_text type; /* Kismet's topic */
    struct kx_text source;
    struct kx_text server_uuid; /* length 0 = unknown, as of the next two */
    struct kx_text device_key;
    struct kx_text device_mac;
    struct kx_text data; /* JSON object */
};
static_assert(sizeof(struct kx_event) == 88, "spool format");

/* --- reading --- */

static inline bool kx_record_has(const struct kx_record *record, enum kx_field field)
{
    return (record->present >> field & 1) != 0;
}

static inline const struct kx_device *kx_record_device(const struct kx_record *record)
{
    return record->kind == KX_KIND_DEVICE ? (const struct kx_device *)record : NULL;
}

static inline const struct kx_event *kx_record_event(const struct kx_record *record)
{
    return record->kind == KX_KIND_EVENT ? (const struct kx_event *)record : NULL;
}

/* The bytes of a text; not NUL-terminated. */
static inline const char *kx_record_text(const struct kx_record *record, struct kx_text text)
{
    return (const char *)record + text.offset;
}

/* Whether length bytes (at any alignment) hold exactly one device or event: length, offsets and
 * kind within bounds, no unknown presence bit, present doubles finite. For bytes that come from
 * outside the process (a spool). Texts are not looked into: a spool block has its checksum. */
bool kx_record_valid(const void *bytes, size_t length);

/* --- writing, in place --- */

/* Builds one record in memory that the caller has (a ring reservation). One thread. */
struct kx_builder {
    struct kx_record *record;
    size_t capacity;    /* bytes at record */
    size_t used;        /* bytes so far */
    unsigned texts_cut; /* texts that were longer than their limit */
    bool overflow;      /* something did not fit: finish gives 0 */
};

/* Starts an all-absent record (but for KX_F_TIMESTAMP, whose value the caller stores in
 * head.received_ns) in memory, 8-byte aligned. capacity under the fixed part: NULL, and the builder
 * overflows. */
struct kx_device *kx_builder_device(struct kx_builder *builder, void *memory, size_t capacity);
struct kx_event *kx_builder_event(struct kx_builder *builder, void *memory, size_t capacity);
/* Appends a text (well-formed UTF-8) cut at limit bytes and stores where it lies. A slot is filled
 * once. */
void kx_builder_text(struct kx_builder *builder,
                     struct kx_text *slot,
                     const char *text,
                     size_t length,
                     size_t limit);
/* The same for a text field of a device, cut at KX_TEXT_BYTES_MAX: sets its presence bit too. JSON
 * cannot be cut: longer than KX_EXTRA_BYTES_MAX it stays absent and counts as cut. */
void kx_builder_field(struct kx_builder *builder,
                      enum kx_field field,
                      const char *text,
                      size_t length);
/* Ends the record: its length in bytes, or 0 when it did not fit. */
size_t kx_builder_finish(struct kx_builder *builder);

#endif
