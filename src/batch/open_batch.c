/* The open batch; its rules and bounds stand in the header. */
#include "batch/open_batch.h"

#include "base/error.h"
#include <stdlib.h>
#include <string.h>

enum { INDEX_MIN = 1024 };
#define LIMIT_BYTES_MAX (KX_OPEN_BYTES_MAX / KX_OPEN_BATCHES_MAX)
enum { LIMIT_RECORDS_MAX = 1 << 24 };

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void sane(const struct kx_open_batch *open)
{
    KX_ASSERT(open->head <= open->store.slots);
    KX_ASSERT(open->devices.records + open->events.records <= open->store.slots - open->head);
    KX_ASSERT(open->devices.bytes + open->events.bytes <= open->store.used);
    KX_ASSERT(open->epoch != 0);
}

void kx_open_init(struct kx_open_batch *open,
                  const struct kx_batch_config *limits,
                  bool newest,
                  uint32_t max_devices,
                  struct kx_counters *counters)
{
    *open = (struct kx_open_batch){
        .newest = newest, .max_devices = max_devices, .epoch = 1, .counters = counters};
    open->events.records_max = UINT32_MAX;
    open->devices.records_max = max_devices > 0 ? max_devices : 1;
    kx_open_set_limits(open, limits);
}

void kx_open_set_limits(struct kx_open_batch *open, const struct kx_batch_config *limits)
{
    open->limits = *limits;
    open->limits.records = (uint32_t)most(1, least(limits->records, LIMIT_RECORDS_MAX));
    open->limits.bytes = most(1, least(limits->bytes, LIMIT_BYTES_MAX));
    uint64_t batches = KX_OPEN_BATCHES_MAX * open->limits.bytes;
    uint64_t devices = least((uint64_t)open->max_devices * KX_OPEN_DEVICE_BYTES, KX_OPEN_BYTES_MAX);
    open->events.bytes_max = most(batches, KX_RECORD_BYTES_MAX);
    open->devices.bytes_max = most(open->events.bytes_max, devices);
    kx_open_limit_bytes(open, open->learnt_bytes);
}

void kx_open_on_loss(struct kx_open_batch *open, kx_open_forget *forget, void *context)
{
    open->forget = forget;
    open->forget_context = context;
}

static void lose(struct kx_open_batch *open, const struct kx_record *record, enum kx_counter end)
{
    kx_count(open->counters, end, 1);
    if (open->forget != NULL && record->kind == KX_KIND_DEVICE)
        open->forget(open->forget_context, record);
}

void kx_open_fini(struct kx_open_batch *open)
{
    kx_store_fini(&open->store);
    free(open->index);
    *open = (struct kx_open_batch){0};
}

uint32_t kx_open_live(const struct kx_open_batch *open)
{
    return open->devices.records + open->events.records;
}

static uint64_t live_bytes(const struct kx_open_batch *open)
{
    return open->devices.bytes + open->events.bytes;
}

bool kx_open_fits(const struct kx_open_batch *open, size_t length)
{
    return kx_open_live(open) == 0 || (kx_open_live(open) < open->limits.records &&
                                       live_bytes(open) + length <= open->limits.bytes);
}

bool kx_open_full(const struct kx_open_batch *open)
{
    return kx_open_live(open) >= open->limits.records || live_bytes(open) >= open->limits.bytes;
}

uint64_t kx_open_due_ns(const struct kx_open_batch *open)
{
    return kx_open_live(open) == 0 ? 0 : open->opened_ns + open->limits.interval_ns;
}

/* What an open batch's memory grows to without pressure: its limits, the record that passed them,
 * and what doubling adds. */
static size_t usual_bytes(const struct kx_open_batch *open)
{
    return (size_t)(2 * (open->limits.bytes + KX_RECORD_BYTES_MAX));
}

static struct kx_open_kind *kind_of(struct kx_open_batch *open, const struct kx_record *record)
{
    return record->kind == KX_KIND_EVENT ? &open->events : &open->devices;
}

/* Takes a record out; the caller has counted why. Its bytes become a hole. */
static void take_out(struct kx_open_batch *open, uint32_t slot)
{
    const struct kx_record *record = kx_store_record(&open->store, slot);
    struct kx_open_kind *kind = kind_of(open, record);
    kind->records--;
    kind->bytes -= record->length;
    open->store.offsets[slot] = KX_STORE_DEAD;
}

/* Every entry of the index becomes invalid. */
static void forget_index(struct kx_open_batch *open)
{
    open->epoch++;
    if (open->epoch == 0) {
        if (open->index_size > 0)
            memset(open->index, 0, open->index_size * sizeof *open->index);
        open->epoch = 1;
    }
}

/* The device's place in the index, made on demand; NULL = this record cannot be replaced. */
static struct kx_open_entry *entry_of(struct kx_open_batch *open, const struct kx_record *record)
{
    uint32_t id = record->device_id;
    if (record->kind != KX_KIND_DEVICE || id >= open->max_devices)
        return NULL;
    if (id >= open->index_size) {
        uint64_t size = most(most(INDEX_MIN, (uint64_t)id + 1), 2ull * open->index_size);
        size = least(size, open->max_devices);
        struct kx_open_entry *index = realloc(open->index, size * sizeof *index);
        if (index == NULL)
            return NULL;
        memset(index + open->index_size, 0, (size - open->index_size) * sizeof *index);
        open->index = index;
        open->index_size = (uint32_t)size;
    }
    return &open->index[id];
}

/* Makes `slot` the device's newest record and takes out the one that it replaces. */
static void supersede(struct kx_open_batch *open, uint32_t slot)
{
    const struct kx_record *record = kx_store_record(&open->store, slot);
    struct kx_open_entry *entry = entry_of(open, record);
    if (entry == NULL)
        return;
    uint32_t older = entry->slot;
    /* A dead slot: the record was dropped or sealed, and the entry still points to it. */
    if (entry->epoch == open->epoch && open->store.offsets[older] != KX_STORE_DEAD &&
        kx_store_record(&open->store, older)->generation == record->generation) {
        open->store.changed[slot] |= open->store.changed[older];
        take_out(open, older);
        kx_count(open->counters, KX_C_COALESCED, 1);
    }
    *entry = (struct kx_open_entry){.epoch = open->epoch, .slot = slot};
}

static void index_all(struct kx_open_batch *open)
{
    forget_index(open);
    for (uint32_t slot = open->head; slot < open->store.slots; slot++)
        if (open->store.offsets[slot] != KX_STORE_DEAD)
            supersede(open, slot);
}

/* Closes the holes. Slots change their numbers, so the index is made anew. */
static void compact(struct kx_open_batch *open)
{
    kx_store_compact(&open->store);
    open->head = open->devices.oldest = open->events.oldest = 0;
    if (open->newest || open->pressure)
        index_all(open);
}

static void drop_oldest(struct kx_open_batch *open, struct kx_open_kind *kind)
{
    uint32_t slot = kind->oldest > open->head ? kind->oldest : open->head;
    while (open->store.offsets[slot] == KX_STORE_DEAD ||
           kind_of(open, kx_store_record(&open->store, slot)) != kind)
        slot++;
    uint32_t at = open->store.offsets[slot];
    take_out(open, slot);
    kind->oldest = slot + 1;
    lose(open, (const struct kx_record *)(const void *)(open->store.bytes + at),
         KX_C_DROPPED_PRESSURE);
}

void kx_open_add(struct kx_open_batch *open,
                 const struct kx_record *record,
                 uint64_t changed,
                 uint64_t now_ns)
{
    struct kx_store *store = &open->store;
    uint64_t holes = store->used - live_bytes(open);
    if (holes > store->used / 2 && store->used >= open->limits.bytes)
        compact(open);
    if (!kx_store_append(store, record, changed)) {
        lose(open, record, KX_C_DROPPED_MEMORY);
        return;
    }
    if (kx_open_live(open) == 0)
        open->opened_ns = now_ns;
    struct kx_open_kind *kind = kind_of(open, record);
    kind->records++;
    kind->bytes += record->length;
    if (open->newest || open->pressure)
        supersede(open, store->slots - 1);
    /* Without pressure the limits of a batch are the tighter ones. */
    while (open->pressure && (kind->bytes > kind->bytes_max || kind->records > kind->records_max))
        drop_oldest(open, kind);
    sane(open);
}

void kx_open_press(struct kx_open_batch *open)
{
    if (open->pressure)
        return;
    open->pressure = true;
    if (!open->newest)
        index_all(open);
}

void kx_open_limit_bytes(struct kx_open_batch *open, uint64_t bytes_max)
{
    open->learnt_bytes = bytes_max;
    if (bytes_max > 0 && bytes_max < open->limits.bytes)
        open->limits.bytes = bytes_max;
}

/* Nothing is alive any more. */
static void clear(struct kx_open_batch *open)
{
    kx_store_clear(&open->store);
    open->head = open->devices.oldest = open->events.oldest = 0;
    open->devices.records = open->events.records = 0;
    open->devices.bytes = open->events.bytes = 0;
    forget_index(open);
}

/* The common case: the memory itself changes hands. */
static void seal_whole(struct kx_open_batch *open, struct kx_sealed *sealed)
{
    struct kx_store empty = sealed->store;
    sealed->store = open->store;
    open->store = empty;
    if (sealed->store.slots != kx_open_live(open))
        kx_store_squeeze(&sealed->store);
    kx_sealed_begin(sealed, open->events.records, open->opened_ns);
    clear(open);
}

/* After pressure: the oldest records, copied, because the others stay. */
static bool seal_oldest(struct kx_open_batch *open, struct kx_sealed *sealed)
{
    if (!kx_store_reserve(&sealed->store, most(open->limits.bytes, KX_RECORD_BYTES_MAX),
                          least(open->limits.records, kx_open_live(open))))
        return false;
    uint64_t bytes = 0;
    uint32_t events = 0, slot = open->head;
    for (; slot < open->store.slots; slot++) {
        if (open->store.offsets[slot] == KX_STORE_DEAD)
            continue;
        const struct kx_record *record = kx_store_record(&open->store, slot);
        uint32_t count = sealed->store.slots;
        if (count == open->limits.records ||
            (count > 0 && bytes + record->length > open->limits.bytes))
            break;
        bool copied = kx_store_append(&sealed->store, record, open->store.changed[slot]);
        KX_ASSERT(copied);
        bytes += record->length;
        events += record->kind == KX_KIND_EVENT;
        take_out(open, slot);
    }
    open->head = slot;
    kx_sealed_begin(sealed, events, open->opened_ns);
    if (kx_open_live(open) == 0)
        clear(open);
    return true;
}

/* The end of pressure. */
static void relieve(struct kx_open_batch *open)
{
    open->pressure = false;
    if (open->store.capacity <= usual_bytes(open))
        return;
    compact(open);
    kx_store_trim(&open->store, usual_bytes(open));
}

bool kx_open_seal(struct kx_open_batch *open, struct kx_sealed *sealed)
{
    KX_ASSERT(kx_open_live(open) > 0 && sealed->store.slots == 0);
    /* Memory that grew under pressure is not handed over: it would stay large for ever. */
    if (kx_open_live(open) <= open->limits.records && live_bytes(open) <= open->limits.bytes &&
        open->store.capacity <= usual_bytes(open))
        seal_whole(open, sealed);
    else if (!seal_oldest(open, sealed))
        return false;
    if (!kx_open_full(open))
        relieve(open);
    sane(open);
    return true;
}

void kx_open_drop(struct kx_open_batch *open, enum kx_counter end)
{
    kx_count(open->counters, end, kx_open_live(open));
    clear(open);
    relieve(open);
}
