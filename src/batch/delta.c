/* The delta table and what it decides. Where parked records wait is parked.c's. */
#include "batch/delta.h"

#include "base/clock.h"
#include "base/hash.h"
#include "batch/parked.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BIT(field) ((uint64_t)1 << (field))
#define TEXT_BITS                                                                                  \
    (BIT(KX_F_MAC_ADDR) | BIT(KX_F_NAME) | BIT(KX_F_USERNAME) | BIT(KX_F_PHY_TYPE) |               \
     BIT(KX_F_MANUFACTURER) | BIT(KX_F_CHANNEL) | BIT(KX_F_SOURCE) | BIT(KX_F_SERVER_UUID) |       \
     BIT(KX_F_DEVICE_KEY) | BIT(KX_F_DEVICE_TYPE) | BIT(KX_F_CRYPT) | BIT(KX_F_EXTRA))
enum { TEXTS = 12, CACHE_LINE = 64 };
static_assert(__builtin_popcountll(TEXT_BITS) == TEXTS, "a text field more: raise TEXTS");

/* Two bits of `present` that no other field needs: the timestamp is never compared, and there are
 * not 32 fields. */
#define VALID 1u          /* the values are what was exported last */
#define RANDOM (1u << 31) /* the value of mac_random */
#define PRESENT (~(VALID | RANDOM))
static_assert(KX_F_TIMESTAMP == 0 && KX_FIELDS <= 31, "VALID and RANDOM have bits of their own");

/* 2^20 ns, about a millisecond: 32 bits of them go round in 52 days. */
enum { HEARD_SHIFT = 20, HEARD_SECOND = 1000000000 >> HEARD_SHIFT };

/* What was exported of a device. The generation stands even when the values do not. */
struct entry {
    int64_t first_seen, last_seen, frequency;
    int64_t total_packets, tx_packets, rx_packets, data_size;
    double latitude, longitude, altitude;
    int32_t signal_dbm, noise_dbm, snr_db;
    int32_t num_alerts; /* what is above counts as the largest */
    uint32_t heard;     /* heard_at >> HEARD_SHIFT, its low bits */
    uint32_t present;
    uint64_t texts;   /* hash of the watched texts; in mode fields of all */
    uint64_t sent_ns; /* 0 = never */
    uint32_t generation;
    uint32_t parked; /* handle; 0 = nothing is parked */
};
static_assert(sizeof(struct entry) == 128, "two cache lines a device and sink");

struct kx_delta {
    struct entry *entries; /* in `memory`, where a cache line begins */
    void *memory;
    uint64_t (*each)[TEXTS]; /* mode fields: hash a text; NULL before it was asked for */
    uint32_t max_devices;
    uint32_t used; /* no entry from here on was touched */
    bool ruled;
    bool exact;     /* mode fields, with memory */
    uint64_t bands; /* fields with a deadband */
    struct kx_delta_rules rules;
    uint64_t level; /* max_rate: what may be sent now, in records x KX_NS_PER_S */
    uint64_t level_ns;
    struct kx_hash_key key;
    struct kx_parked parked;
    struct kx_counters *counters;
};

static_assert(sizeof(uint64_t[TEXTS]) == 96, "and these a device and sink in mode fields");

/* What is computed of a record once, for the comparison and for what is kept of it. */
struct look {
    uint64_t texts;
    bool same; /* mode fields: no text is another than was exported; each is not computed then */
    uint64_t each[TEXTS];
};

enum kx_code kx_delta_create(struct kx_delta **ret_delta,
                             uint32_t max_devices,
                             struct kx_counters *counters,
                             struct kx_error *err)
{
    struct kx_delta *delta = calloc(1, sizeof *delta);
    /* Zeroed by the kernel, page by page, when it is touched first. One entry more than there are,
     * for the way to the next cache line: malloc begins 16 bytes behind one. */
    char *memory = calloc((size_t)max_devices + 1, sizeof(struct entry));
    if (delta == NULL || memory == NULL) {
        free(delta);
        free(memory);
        return kx_error_set(err, KX_ERR_NOMEM, 0,
                            "no memory for what was sent of %u devices: lower max_devices",
                            (unsigned)max_devices);
    }
    delta->memory = memory;
    delta->entries = (void *)(memory + (CACHE_LINE - (uintptr_t)memory % CACHE_LINE) % CACHE_LINE);
    delta->max_devices = max_devices;
    delta->counters = counters;
    kx_hash_random(&delta->key, sizeof delta->key);
    *ret_delta = delta;
    return KX_OK;
}

void kx_delta_destroy(struct kx_delta *delta)
{
    if (delta == NULL)
        return;
    kx_parked_fini(&delta->parked);
    free(delta->memory);
    free(delta->each);
    free(delta);
}

uint32_t kx_delta_parked(const struct kx_delta *delta)
{
    return kx_parked_count(&delta->parked);
}

void kx_delta_invalidate(struct kx_delta *delta)
{
    for (uint32_t id = 0; id < delta->used; id++)
        delta->entries[id].present &= ~VALID;
}

void kx_delta_forget(struct kx_delta *delta, uint32_t device_id, uint32_t generation)
{
    if (device_id < delta->used && delta->entries[device_id].generation == generation)
        delta->entries[device_id].present &= ~VALID;
}

void kx_delta_set_rules(struct kx_delta *delta, const struct kx_delta_rules *rules)
{
    const struct kx_delta_rules *old = &delta->rules;
    bool others = delta->ruled && (rules->mode != old->mode || rules->fields != old->fields ||
                                   rules->watched != old->watched);
    bool pace = delta->ruled && (rules->min_interval_ns != old->min_interval_ns ||
                                 rules->heartbeat_ns != old->heartbeat_ns ||
                                 rules->rate_max != old->rate_max || others);
    delta->exact = false;
    if (rules->mode == KX_DELTA_FIELDS) {
        if (delta->each == NULL)
            delta->each =
                calloc(delta->max_devices > 0 ? delta->max_devices : 1, sizeof *delta->each);
        delta->exact = delta->each != NULL;
    }
    delta->rules = *rules;
    delta->bands = 0;
    for (unsigned field = 0; field < KX_FIELDS; field++)
        if (rules->deadband[field] > 0)
            delta->bands |= BIT(field);
    if (!delta->ruled || pace)
        delta->level_ns = 0; /* begins full */
    delta->ruled = true;
    if (others)
        kx_delta_invalidate(delta);
    if (pace)
        kx_parked_hasten(&delta->parked);
}

/* --- comparing --- */

static int32_t few(int64_t number)
{
    return number > INT32_MAX ? INT32_MAX : number < INT32_MIN ? INT32_MIN : (int32_t)number;
}

static uint32_t heard(const struct kx_device *device)
{
    return (uint32_t)((uint64_t)device->heard_at_ns >> HEARD_SHIFT);
}

/* The time at which the device was heard became known better, by more than a second, while it was
 * not heard again: the server's clock is compared with ours only after the first devices came. */
static bool corrected(const struct entry *entry, const struct kx_device *device, uint64_t diff)
{
    uint32_t moved = heard(device) - entry->heard;
    return (diff & BIT(KX_F_LAST_SEEN)) == 0 && moved > HEARD_SECOND &&
           moved < UINT32_MAX - HEARD_SECOND;
}

static uint64_t hash_text(const struct kx_delta *delta, const struct kx_device *device, unsigned at)
{
    struct kx_text text;
    memcpy(&text, (const char *)device + kx_fields[at].offset, sizeof text);
    return kx_hash_quick(&delta->key, kx_record_text(&device->head, text), text.length);
}

/* Texts and where they lie stand together at the end of a record, padded with zeros, and one hand
 * writes all records: one hash of that memory says it all, for all texts. */
static uint64_t hash_all(const struct kx_delta *delta, const struct kx_device *device)
{
    size_t start = offsetof(struct kx_device, mac_addr);
    return kx_hash_quick(&delta->key, (const char *)device + start, device->head.length - start);
}

/* In mode fields one by one only when not all are as they were, which is rare. */
static void look_at(const struct kx_delta *delta,
                    const struct entry *entry,
                    const struct kx_device *device,
                    struct look *look)
{
    bool all = delta->exact || (delta->rules.watched & TEXT_BITS) == TEXT_BITS;
    look->texts = all ? hash_all(delta, device) : 0;
    look->same = (entry->present & VALID) != 0 && entry->texts == look->texts;
    if (all && (!delta->exact || look->same))
        return;
    uint64_t bits = TEXT_BITS & (delta->exact ? delta->rules.fields : delta->rules.watched);
    for (unsigned i = 0; bits != 0; bits &= bits - 1, i++) {
        unsigned field = (unsigned)__builtin_ctzll(bits);
        uint64_t hash = hash_text(delta, device, field);
        if (delta->exact)
            look->each[i] = hash;
        else
            look->texts = (look->texts ^ hash) * 0x9e3779b97f4a7c15u; /* order counts */
    }
}

/* The fields that are not what was exported, whatever the rules think of it. Of texts, outside of
 * mode fields, all or none. */
static uint64_t differing(const struct kx_delta *delta,
                          const struct entry *entry,
                          const struct kx_device *device,
                          const struct look *look)
{
    uint64_t present = device->head.present;
    uint64_t both = present & entry->present & PRESENT;
    uint64_t diff = 0;
#define COMPARE(field, member) diff |= (uint64_t)(entry->member != device->member) << (field)
    COMPARE(KX_F_FIRST_SEEN, first_seen);
    COMPARE(KX_F_LAST_SEEN, last_seen);
    COMPARE(KX_F_FREQUENCY, frequency);
    COMPARE(KX_F_TOTAL_PACKETS, total_packets);
    COMPARE(KX_F_TX_PACKETS, tx_packets);
    COMPARE(KX_F_RX_PACKETS, rx_packets);
    COMPARE(KX_F_DATA_SIZE, data_size);
    COMPARE(KX_F_LATITUDE, latitude);
    COMPARE(KX_F_LONGITUDE, longitude);
    COMPARE(KX_F_ALTITUDE, altitude);
    COMPARE(KX_F_SIGNAL_DBM, signal_dbm);
    COMPARE(KX_F_NOISE_DBM, noise_dbm);
    COMPARE(KX_F_SNR_DB, snr_db);
#undef COMPARE
    diff |= (uint64_t)(entry->num_alerts != few(device->num_alerts)) << KX_F_NUM_ALERTS;
    diff |= (uint64_t)(((entry->present & RANDOM) != 0) != device->mac_random) << KX_F_MAC_RANDOM;
    if (delta->exact) {
        const uint64_t *each = delta->each[entry - delta->entries];
        uint64_t bits = look->same ? 0 : TEXT_BITS & delta->rules.fields;
        for (unsigned i = 0; bits != 0; bits &= bits - 1, i++)
            if (each[i] != look->each[i])
                diff |= bits & -bits;
    } else if (entry->texts != look->texts) {
        diff |= TEXT_BITS & delta->rules.watched;
        both |= TEXT_BITS & delta->rules.watched;
    }
    return (diff & both) | ((present ^ entry->present) & PRESENT);
}

static double distance(const struct entry *entry, const struct kx_device *device, unsigned field)
{
    switch (field) {
#define NUMBER(field, member)                                                                      \
    case field:                                                                                    \
        return fabs((double)entry->member - (double)device->member)
        NUMBER(KX_F_FIRST_SEEN, first_seen);
        NUMBER(KX_F_LAST_SEEN, last_seen);
        NUMBER(KX_F_FREQUENCY, frequency);
        NUMBER(KX_F_TOTAL_PACKETS, total_packets);
        NUMBER(KX_F_TX_PACKETS, tx_packets);
        NUMBER(KX_F_RX_PACKETS, rx_packets);
        NUMBER(KX_F_DATA_SIZE, data_size);
        NUMBER(KX_F_LATITUDE, latitude);
        NUMBER(KX_F_LONGITUDE, longitude);
        NUMBER(KX_F_ALTITUDE, altitude);
        NUMBER(KX_F_SIGNAL_DBM, signal_dbm);
        NUMBER(KX_F_NOISE_DBM, noise_dbm);
        NUMBER(KX_F_SNR_DB, snr_db);
#undef NUMBER
    case KX_F_NUM_ALERTS:
        return fabs((double)entry->num_alerts - few(device->num_alerts));
    default:
        return INFINITY; /* not a number: no band is wide enough */
    }
}

/* The same device begun anew: Kismet forgot it, or was started again. */
static bool new_life(const struct entry *entry, const struct kx_device *device, uint64_t diff)
{
    uint64_t both = device->head.present & entry->present;
    if ((diff & both & BIT(KX_F_FIRST_SEEN)) != 0)
        return true;
    uint64_t back = 0;
    back |= (uint64_t)(device->total_packets < entry->total_packets) << KX_F_TOTAL_PACKETS;
    back |= (uint64_t)(device->tx_packets < entry->tx_packets) << KX_F_TX_PACKETS;
    back |= (uint64_t)(device->rx_packets < entry->rx_packets) << KX_F_RX_PACKETS;
    back |= (uint64_t)(device->data_size < entry->data_size) << KX_F_DATA_SIZE;
    return (back & both) != 0;
}

/* Whether what differs is worth telling. */
static bool matters(const struct kx_delta *delta,
                    const struct entry *entry,
                    const struct kx_device *device,
                    uint64_t diff)
{
    if (new_life(entry, device, diff) ||
        ((delta->rules.watched & BIT(KX_F_LAST_SEEN)) != 0 && corrected(entry, device, diff)))
        return true;
    uint64_t watched = diff & delta->rules.watched;
    uint64_t banded = watched & delta->bands & device->head.present & entry->present;
    if ((watched & ~banded) != 0)
        return true;
    for (; banded != 0; banded &= banded - 1) {
        unsigned field = (unsigned)__builtin_ctzll(banded);
        if (distance(entry, device, field) > delta->rules.deadband[field])
            return true;
    }
    return false;
}

/* --- what is kept --- */

/* Makes the record what was exported. Returns what of it is new to the far end. */
static uint64_t export(struct kx_delta *delta,
                       struct entry *entry,
                       const struct kx_device *device,
                       const struct look *look,
                       uint64_t now_ns)
{
    uint64_t changed = UINT64_MAX;
    if (delta->exact && (entry->present & VALID) != 0) {
        uint64_t diff = differing(delta, entry, device, look);
        if (corrected(entry, device, diff))
            diff |= BIT(KX_F_LAST_SEEN);
        if (!new_life(entry, device, diff))
            changed = (diff & delta->rules.fields) | BIT(KX_F_TIMESTAMP);
    }
    entry->first_seen = device->first_seen;
    entry->last_seen = device->last_seen;
    entry->frequency = device->frequency;
    entry->total_packets = device->total_packets;
    entry->tx_packets = device->tx_packets;
    entry->rx_packets = device->rx_packets;
    entry->data_size = device->data_size;
    entry->num_alerts = few(device->num_alerts);
    entry->heard = heard(device);
    entry->latitude = device->latitude;
    entry->longitude = device->longitude;
    entry->altitude = device->altitude;
    entry->signal_dbm = device->signal_dbm;
    entry->noise_dbm = device->noise_dbm;
    entry->snr_db = device->snr_db;
    entry->present =
        ((uint32_t)device->head.present & PRESENT) | VALID | (device->mac_random ? RANDOM : 0);
    entry->texts = look->texts;
    if (delta->exact && !look->same)
        memcpy(delta->each[entry - delta->entries], look->each, sizeof look->each);
    entry->sent_ns = now_ns;
    return changed;
}

/* --- the rate --- */

static uint64_t burst(const struct kx_delta *delta)
{
    uint64_t most = (uint64_t)delta->rules.rate_max * (KX_NS_PER_S / KX_DELTA_RATE_BURST);
    return most > KX_NS_PER_S ? most : KX_NS_PER_S; /* one record at least */
}

/* Takes one device's share of the rate, when there is one. */
static bool may_send(struct kx_delta *delta, uint64_t now_ns)
{
    if (delta->rules.rate_max == 0)
        return true;
    uint64_t most = burst(delta);
    uint64_t passed = now_ns > delta->level_ns ? now_ns - delta->level_ns : 0;
    if (delta->level_ns == 0 || passed >= KX_NS_PER_S)
        delta->level = most;
    else
        delta->level += passed * delta->rules.rate_max;
    if (delta->level > most)
        delta->level = most;
    delta->level_ns = now_ns;
    if (delta->level < KX_NS_PER_S)
        return false;
    delta->level -= KX_NS_PER_S;
    return true;
}

/* --- deciding --- */

/* The device's entry, fresh when the id has another owner now; NULL = it has none. */
static struct entry *entry_of(struct kx_delta *delta, const struct kx_record *record)
{
    if (record->kind != KX_KIND_DEVICE || record->device_id >= delta->max_devices)
        return NULL;
    struct entry *entry = &delta->entries[record->device_id];
    if (record->device_id >= delta->used)
        delta->used = record->device_id + 1;
    if (entry->generation != record->generation) {
        KX_ASSERT(entry->parked == 0); /* kx_delta_displaced gave it away */
        entry->generation = record->generation;
        entry->present = 0;
        entry->sent_ns = 0;
    }
    return entry;
}

void kx_delta_prefetch(const struct kx_delta *delta, const struct kx_record *record)
{
    if (record->kind != KX_KIND_DEVICE || record->device_id >= delta->max_devices)
        return;
    const char *entry = (const char *)&delta->entries[record->device_id];
    for (size_t at = 0; at < sizeof *delta->entries; at += CACHE_LINE)
        __builtin_prefetch(entry + at, 1);
}

const struct kx_record *kx_delta_displaced(struct kx_delta *delta, const struct kx_record *record)
{
    if (record->kind != KX_KIND_DEVICE || record->device_id >= delta->used)
        return NULL;
    struct entry *entry = &delta->entries[record->device_id];
    if (entry->parked == 0 || entry->generation == record->generation)
        return NULL;
    return kx_parked_take(&delta->parked, &entry->parked);
}

/* A newer state of the device makes the parked one needless. */
static void coalesce(struct kx_delta *delta, struct entry *entry)
{
    if (entry->parked == 0)
        return;
    kx_parked_take(&delta->parked, &entry->parked);
    kx_count(delta->counters, KX_C_COALESCED, 1);
}

/* When the record is due, by what there is to tell; false = there is nothing. */
static bool due_of(const struct kx_delta *delta,
                   const struct entry *entry,
                   const struct kx_device *device,
                   const struct look *look,
                   uint64_t *ret_due_ns)
{
    const struct kx_delta_rules *rules = &delta->rules;
    uint64_t last = BIT(KX_F_LAST_SEEN);
    uint64_t diff = UINT64_MAX;
    bool matter = true;
    if (rules->mode != KX_DELTA_OFF && (entry->present & VALID) != 0) {
        diff = differing(delta, entry, device, look);
        matter = matters(delta, entry, device, diff);
    } else if ((entry->present & VALID) != 0 && entry->last_seen == device->last_seen) {
        diff = ~last;
    }
    bool beats = rules->heartbeat_ns > 0 && (diff & device->head.present & last) != 0;
    if (!matter && !beats)
        return false;
    uint64_t wait_ns = matter ? rules->min_interval_ns : rules->heartbeat_ns;
    if (beats && rules->heartbeat_ns < wait_ns)
        wait_ns = rules->heartbeat_ns;
    *ret_due_ns = entry->sent_ns == 0 ? 0 : entry->sent_ns + wait_ns;
    return true;
}

enum kx_delta_verdict kx_delta_offer(struct kx_delta *delta,
                                     const struct kx_record *record,
                                     uint64_t now_ns,
                                     uint64_t *ret_changed)
{
    struct entry *entry = delta->ruled ? entry_of(delta, record) : NULL;
    *ret_changed = UINT64_MAX;
    if (entry == NULL)
        return KX_DELTA_PASS;
    const struct kx_device *device = kx_record_device(record);
    struct look look;
    uint64_t due_ns;
    look_at(delta, entry, device, &look);
    if (!due_of(delta, entry, device, &look, &due_ns)) {
        coalesce(delta, entry);
        kx_count(delta->counters, KX_C_UNCHANGED, 1);
        return KX_DELTA_HELD;
    }
    if (due_ns > now_ns || !may_send(delta, now_ns)) {
        bool replaces = entry->parked != 0;
        if (kx_parked_put(&delta->parked, &entry->parked, record, due_ns)) {
            kx_count(delta->counters, KX_C_COALESCED, replaces);
            return KX_DELTA_HELD;
        }
    }
    coalesce(delta, entry);
    *ret_changed = export(delta, entry, device, &look, now_ns);
    return KX_DELTA_PASS;
}

const struct kx_record *
kx_delta_due(struct kx_delta *delta, uint64_t now_ns, bool all, uint64_t *ret_changed)
{
    const struct kx_record *first = kx_parked_first(&delta->parked);
    if (first == NULL)
        return NULL;
    if (!all && (kx_parked_due_ns(&delta->parked) > now_ns || !may_send(delta, now_ns)))
        return NULL;
    struct entry *entry = &delta->entries[first->device_id];
    const struct kx_record *record = kx_parked_take(&delta->parked, &entry->parked);
    struct look look;
    look_at(delta, entry, kx_record_device(record), &look);
    *ret_changed = export(delta, entry, kx_record_device(record), &look, now_ns);
    return record;
}

uint64_t kx_delta_due_ns(const struct kx_delta *delta, uint64_t now_ns)
{
    if (kx_parked_count(&delta->parked) == 0)
        return 0;
    uint64_t due_ns = kx_parked_due_ns(&delta->parked);
    if (due_ns <= now_ns && delta->rules.rate_max > 0 && delta->level < KX_NS_PER_S)
        due_ns = delta->level_ns +
                 (KX_NS_PER_S - delta->level + delta->rules.rate_max - 1) / delta->rules.rate_max;
    return due_ns > now_ns + KX_DELTA_TICK_NS ? due_ns : now_ns + KX_DELTA_TICK_NS;
}

void kx_delta_drop(struct kx_delta *delta, enum kx_counter end)
{
    const struct kx_record *first;
    while ((first = kx_parked_first(&delta->parked)) != NULL) {
        kx_parked_take(&delta->parked, &delta->entries[first->device_id].parked);
        kx_count(delta->counters, end, 1);
    }
}
