/* From a message to a record in the ring; the contract stands in the header. */
#include "ingest/intake.h"

#include "base/text.h"
#include "ingest/normalise.h"
#include <stdlib.h>
#include <string.h>

enum {
    EVENT_DATA_MAX = 1 << 20, /* of a re-serialised event; what no record holds is refused later */
    RECORD_OVERHEAD = 4096,   /* of a record beside the message's own texts: names, alignment */
};

struct kx_intake {
    struct kx_json *json;
    struct kx_registry *registry;
    struct kx_ring *ring;
    struct kx_counters *process;
    uint64_t sequence;
    struct kx_buf event_data;
};

enum kx_code kx_intake_create(struct kx_intake **ret_intake,
                              struct kx_registry *registry,
                              struct kx_ring *ring,
                              struct kx_counters *process,
                              struct kx_error *err)
{
    struct kx_intake *intake = calloc(1, sizeof(*intake));
    if (intake != NULL)
        intake->json = kx_json_create();
    if (intake == NULL || intake->json == NULL) {
        free(intake);
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the parser");
    }
    intake->registry = registry;
    intake->ring = ring;
    intake->process = process;
    kx_buf_init(&intake->event_data, EVENT_DATA_MAX);
    *ret_intake = intake;
    return KX_OK;
}

void kx_intake_destroy(struct kx_intake *intake)
{
    if (intake == NULL)
        return;
    kx_json_destroy(intake->json);
    kx_buf_fini(&intake->event_data);
    free(intake);
}

struct kx_json *kx_intake_json(struct kx_intake *intake)
{
    return intake->json;
}

/* --- counting --- */

static void count_result(struct kx_counters *counters, enum kx_json_result result)
{
    switch (result) {
    case KX_JSON_OK:
        break;
    case KX_JSON_EMPTY:
        kx_count(counters, KX_C_PARSE_EMPTY, 1);
        break;
    case KX_JSON_SYNTAX:
        kx_count(counters, KX_C_PARSE_SYNTAX, 1);
        break;
    case KX_JSON_NOT_OBJECT:
        kx_count(counters, KX_C_PARSE_NOT_OBJECT, 1);
        break;
    case KX_JSON_NO_KEY:
        kx_count(counters, KX_C_PARSE_NO_KEY, 1);
        break;
    case KX_JSON_DEPTH:
        kx_count(counters, KX_C_PARSE_DEPTH, 1);
        break;
    case KX_JSON_NOMEM:
        kx_count(counters, KX_C_PARSE_TOO_BIG, 1);
        break;
    }
}

static void count_some(struct kx_counters *counters, enum kx_counter counter, uint32_t amount)
{
    if (amount > 0)
        kx_count(counters, counter, amount);
}

static void count_notes(struct kx_counters *counters,
                        const struct kx_json_notes *json,
                        const struct kx_normalise_notes *normalise)
{
    count_some(counters, KX_C_REPAIR_UTF8, json->utf8);
    count_some(counters, KX_C_REPAIR_NUL, json->nul);
    count_some(counters, KX_C_REPAIR_SURROGATE, json->surrogate);
    count_some(counters, KX_C_REPAIR_TYPE, json->wrong_type);
    count_some(counters, KX_C_REPAIR_RANGE, json->range + normalise->range);
    count_some(counters, KX_C_REPAIR_TEXT_CUT, normalise->text_cut);
    count_some(counters, KX_C_REPAIR_CLOCK_AHEAD, normalise->clock_ahead ? 1 : 0);
    count_some(counters, KX_C_ORDER_FALLBACK, json->reordered ? 1 : 0);
}

/* --- records --- */

static struct kx_json_text text_of(const char *text)
{
    return (struct kx_json_text){.data = text, .length = strlen(text)};
}

static struct kx_normalise
context_of(struct kx_intake *intake, const struct kx_origin *origin, int64_t received_ns)
{
    return (struct kx_normalise){
        .source = text_of(origin->name),
        .server_uuid = text_of(origin->server_uuid),
        .received_ns = received_ns,
        .skew_ns = origin->skew_ns,
        .sequence = intake->sequence + 1,
        .epoch = origin->epoch,
        .source_index = origin->index,
        .skew_known = origin->skew_known,
        .mac_case = KX_MAC_UPPER,
    };
}

/* Bytes that a record made of a message of this length can have: a repaired byte becomes three, and
 * texts are cut, so only small messages need the bound. */
static size_t record_bound(size_t length)
{
    size_t bound = length * 3 + RECORD_OVERHEAD;
    return bound < KX_RECORD_BYTES_MAX ? bound : KX_RECORD_BYTES_MAX;
}

static void commit(struct kx_intake *intake, size_t bytes)
{
    kx_ring_commit(intake->ring, bytes);
    intake->sequence++;
}

/* What REST tells is news only when it is newer than the last that was told of this device. Kismet
 * counts mod_time in seconds: within one, more packets are the newer state. */
static bool is_news(const struct kx_registry_entry *entry, const struct kx_json_device *device)
{
    const struct kx_told *told = &entry->told;
    if (told->heard == KX_HEARD_NEVER || device->mod_time == 0 || told->mod_time == 0)
        return told->heard == KX_HEARD_NEVER || device->last_seen > told->last_seen;
    if (device->mod_time != told->mod_time)
        return device->mod_time > told->mod_time;
    if (device->first_seen != told->first_seen) /* a later one is a new life of the device */
        return device->first_seen > told->first_seen;
    return device->total_packets > told->total_packets;
}

static struct kx_registry_entry *find(struct kx_intake *intake, const struct kx_registry_name *name)
{
    enum kx_registry_found found;
    struct kx_registry_entry *entry = kx_registry_find(intake->registry, name, &found);
    if (found == KX_REGISTRY_EVICTED)
        kx_count(intake->process, KX_C_REGISTRY_EVICTED, 1);
    return entry;
}

/* Whether a device is one that the source is not about. REST knows no masks, and the monitor's are
 * asked for only while they are few. The pass goes on from what it has seen all the same. */
static bool left_out(struct kx_origin *origin, const struct kx_json_text *mac)
{
    uint64_t bits;
    if (origin->macs == NULL || origin->macs->count == 0 ||
        (kx_text_mac(mac->data, mac->length, &bits) && kx_mac_masks_have(origin->macs, bits)))
        return false;
    kx_count(origin->counters, KX_C_FILTERED_SOURCE, 1);
    return true;
}

/* Tells the reconciliation what came which way. */
static void reconcile(struct kx_origin *origin,
                      enum kx_via via,
                      struct kx_registry_entry *entry,
                      const struct kx_json_device *device,
                      bool news)
{
    if (origin->reconcile == NULL)
        return;
    if (via == KX_VIA_MONITOR)
        kx_reconcile_monitor(origin->reconcile, entry, device->mod_time, device->last_seen);
    else if (kx_reconcile_rest(origin->reconcile, entry, device->mod_time, device->last_seen, news))
        kx_count(origin->counters, KX_C_REPAIRED, 1);
}

enum kx_taken kx_intake_device(struct kx_intake *intake,
                               struct kx_origin *origin,
                               enum kx_via via,
                               const char *text,
                               size_t length,
                               int64_t received_ns)
{
    struct kx_json_device device;
    struct kx_json_notes json_notes = {0};
    struct kx_normalise_notes notes = {0};
    kx_json_expect(intake->json, origin->extra);
    enum kx_json_result result = kx_json_device(intake->json, text, length, &device, &json_notes);
    if (result != KX_JSON_OK) {
        count_result(origin->counters, result);
        return KX_TAKEN_BAD;
    }
    if (left_out(origin, &device.mac_addr)) {
        if (origin->reconcile != NULL)
            kx_reconcile_passed_over(origin->reconcile, device.last_seen);
        return KX_TAKEN_OLD;
    }
    struct kx_normalise ctx = context_of(intake, origin, received_ns);
    struct kx_registry_name name = kx_normalise_name(&ctx, device.server_uuid, device.key);
    struct kx_registry_entry *entry = find(intake, &name);
    bool news = via != KX_VIA_REST || is_news(entry, &device);
    if (!news) {
        reconcile(origin, via, entry, &device, false);
        return KX_TAKEN_OLD;
    }
    size_t bound = record_bound(length + device.extra.length); /* whose names are ours */
    void *memory = kx_ring_reserve(intake->ring, bound);
    if (memory == NULL) {
        /* A REST line is kept and given again; counting it now would count it twice. */
        if (via != KX_VIA_REST)
            kx_count(intake->process, KX_C_RING_REFUSED_DEVICE, 1);
        return KX_TAKEN_FULL;
    }
    reconcile(origin, via, entry, &device, true);
    size_t bytes = kx_normalise_device(&ctx, &device, entry, memory, bound, &notes);
    count_notes(origin->counters, &json_notes, &notes);
    if (bytes == 0) {
        kx_count(intake->process, KX_C_RECORD_TOO_BIG, 1);
        return KX_TAKEN_BAD;
    }
    commit(intake, bytes);
    kx_count(origin->counters, KX_C_RECORDS_DEVICE, 1);
    return KX_TAKEN;
}

/* --- events --- */

static bool same(const struct kx_json_text *text, const char *word)
{
    return text->length == strlen(word) && memcmp(text->data, word, text->length) == 0;
}

static bool wanted(const struct kx_origin *origin, const struct kx_json_text *topic)
{
    for (size_t i = 0; i < origin->topics->count; i++)
        if (same(topic, origin->topics->items[i]))
            return true;
    return false;
}

static bool of_a_device(const struct kx_json_event *event)
{
    return event->device_mac.length > 0 && !same(&event->device_mac, "00:00:00:00:00:00");
}

static struct kx_registry_entry *device_of(struct kx_intake *intake,
                                           const struct kx_normalise *ctx,
                                           const struct kx_json_event *event)
{
    if (event->device_key.length == 0 || same(&event->device_key, "00_0"))
        return NULL;
    struct kx_registry_name name = kx_normalise_name(ctx, event->server_uuid, event->device_key);
    return kx_registry_peek(intake->registry, &name);
}

static enum kx_taken put_event(struct kx_intake *intake,
                               struct kx_origin *origin,
                               const struct kx_json_event *event,
                               const struct kx_json_notes *json_notes,
                               int64_t received_ns)
{
    struct kx_json_text data = {.data = intake->event_data.data,
                                .length = intake->event_data.length};
    struct kx_normalise ctx = context_of(intake, origin, received_ns);
    size_t bound = data.length + RECORD_OVERHEAD * 2;
    if (bound > KX_RECORD_BYTES_MAX)
        bound = KX_RECORD_BYTES_MAX;
    void *memory = kx_ring_reserve(intake->ring, bound);
    if (memory == NULL) {
        kx_count(intake->process, KX_C_RING_REFUSED_EVENT, 1);
        return KX_TAKEN_FULL;
    }
    struct kx_normalise_notes notes = {0};
    size_t bytes = kx_normalise_event(&ctx, event, data, device_of(intake, &ctx, event), memory,
                                      bound, &notes);
    count_notes(origin->counters, json_notes, &notes);
    if (bytes == 0) {
        kx_count(intake->process, KX_C_RECORD_TOO_BIG, 1);
        return KX_TAKEN_BAD;
    }
    const struct kx_event *record = memory;
    if (kx_dedupe_has(origin->dedupe, record->uid)) {
        kx_count(origin->counters, KX_C_EVENTS_DUPLICATE, 1);
        return KX_TAKEN_OLD; /* the reservation is simply not committed */
    }
    kx_dedupe_add(origin->dedupe, record->uid);
    commit(intake, bytes);
    kx_count(origin->counters, KX_C_RECORDS_EVENT, 1);
    return KX_TAKEN;
}

enum kx_taken kx_intake_event(struct kx_intake *intake,
                              struct kx_origin *origin,
                              const char *text,
                              size_t length,
                              int64_t received_ns,
                              int64_t *ret_heartbeat_ns)
{
    struct kx_json_event event;
    struct kx_json_notes json_notes = {0};
    kx_buf_clear(&intake->event_data);
    enum kx_json_result result =
        kx_json_event(intake->json, text, length, &intake->event_data, &event, &json_notes);
    if (ret_heartbeat_ns != NULL)
        *ret_heartbeat_ns = 0;
    if (result != KX_JSON_OK) {
        count_result(origin->counters, result);
        return KX_TAKEN_BAD;
    }
    if (same(&event.topic, "TIMESTAMP")) {
        kx_count(origin->counters, KX_C_EVENTS_HEARTBEAT, 1);
        if (ret_heartbeat_ns != NULL && event.time > 0 && event.time < 9e9)
            *ret_heartbeat_ns = (int64_t)(event.time * 1e9);
        return KX_TAKEN_OLD;
    }
    if (!wanted(origin, &event.topic)) {
        kx_count(origin->counters, KX_C_EVENTS_UNWANTED, 1);
        return KX_TAKEN_OLD;
    }
    if (of_a_device(&event) && left_out(origin, &event.device_mac))
        return KX_TAKEN_OLD;
    if (intake->event_data.failed) {
        kx_count(intake->process, KX_C_RECORD_TOO_BIG, 1);
        return KX_TAKEN_BAD;
    }
    return put_event(intake, origin, &event, &json_notes, received_ns);
}
