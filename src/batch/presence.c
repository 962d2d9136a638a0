/* Presence; the rules stand in the header. */
#include "batch/presence.h"

#include "base/text.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    TABLE_SIZE = 1024, /* a power of two, four times the devices */
    SOURCE_WORDS = KX_SOURCES_MAX / 64,
    EMPTY = UINT16_MAX,
};

struct slot {
    uint64_t mac;
    int64_t heard_at_ns;                    /* wall clock, of the newest; the worker's */
    _Atomic uint64_t heard_ns;              /* boot clock; 0 = never */
    _Atomic uint64_t sources[SOURCE_WORDS]; /* bit i: source i has heard it */
    enum kx_presence_state said;            /* the sink's */
};

struct source {
    bool known;
    uint64_t up_ns;   /* up since */
    uint64_t down_ns; /* not up since; 0 = is up */
};

struct kx_presence {
    uint64_t away_after_ns;
    uint64_t begun_ns; /* when sources were first looked at */
    size_t count, source_count;
    struct source sources[KX_SOURCES_MAX];
    uint16_t table[TABLE_SIZE]; /* slot by MAC, linear probing */
    struct slot slots[KX_PRESENCE_MACS_MAX];
};

/* The keys are the owner's, not a stranger's: nobody can make chains. */
static size_t place_of(uint64_t mac)
{
    return (size_t)(mac * 0x9e3779b97f4a7c15ull >> 54) & (TABLE_SIZE - 1);
}

static struct slot *find(struct kx_presence *presence, uint64_t mac)
{
    for (size_t at = place_of(mac); presence->table[at] != EMPTY; at = (at + 1) % TABLE_SIZE)
        if (presence->slots[presence->table[at]].mac == mac)
            return &presence->slots[presence->table[at]];
    return NULL;
}

enum kx_code kx_presence_create(struct kx_presence **ret_presence,
                                const struct kx_presence_config *config,
                                size_t sources,
                                struct kx_error *err)
{
    KX_ASSERT(config->macs.count <= KX_PRESENCE_MACS_MAX && sources <= KX_SOURCES_MAX);
    struct kx_presence *presence = calloc(1, sizeof *presence);
    if (presence == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for presence");
    presence->away_after_ns = config->away_after_ns;
    presence->source_count = sources;
    for (size_t i = 0; i < TABLE_SIZE; i++)
        presence->table[i] = EMPTY;
    for (size_t i = 0; i < config->macs.count; i++) {
        uint64_t mac;
        const char *text = config->macs.items[i];
        if (!kx_text_mac(text, strlen(text), &mac) || find(presence, mac) != NULL)
            continue;
        size_t at = place_of(mac);
        while (presence->table[at] != EMPTY)
            at = (at + 1) % TABLE_SIZE;
        presence->table[at] = (uint16_t)presence->count;
        presence->slots[presence->count++].mac = mac;
    }
    *ret_presence = presence;
    return KX_OK;
}

void kx_presence_destroy(struct kx_presence *presence)
{
    free(presence);
}

void kx_presence_hear(struct kx_presence *presence, const struct kx_record *record, uint64_t now_ns)
{
    const struct kx_device *device = kx_record_device(record);
    if (device == NULL || device->mac_bits == 0 || device->heard_at_ns == 0)
        return;
    struct slot *slot = find(presence, device->mac_bits);
    if (slot == NULL || device->heard_at_ns <= slot->heard_at_ns)
        return;
    slot->heard_at_ns = device->heard_at_ns;
    int64_t age = record->received_ns - device->heard_at_ns;
    uint64_t age_ns = age > 0 ? (uint64_t)age : 0;
    uint64_t heard_ns = age_ns < now_ns ? now_ns - age_ns : 1;
    size_t word = record->source / 64 % SOURCE_WORDS;
    atomic_fetch_or_explicit(&slot->sources[word], 1ull << (record->source % 64),
                             memory_order_relaxed);
    /* release: who sees that it was heard sees by whom */
    atomic_store_explicit(&slot->heard_ns, heard_ns, memory_order_release);
}

size_t kx_presence_count(const struct kx_presence *presence)
{
    return presence->count;
}

uint64_t kx_presence_mac(const struct kx_presence *presence, size_t i)
{
    KX_ASSERT(i < presence->count);
    return presence->slots[i].mac;
}

void kx_presence_source(struct kx_presence *presence, size_t i, bool up, uint64_t now_ns)
{
    KX_ASSERT(i < presence->source_count);
    struct source *source = &presence->sources[i];
    if (presence->begun_ns == 0)
        presence->begun_ns = now_ns;
    if (!up) {
        if (source->down_ns == 0)
            source->down_ns = now_ns;
        return;
    }
    bool was_away = source->down_ns != 0 && now_ns - source->down_ns > KX_PRESENCE_GRACE_NS;
    if (!source->known || was_away)
        source->up_ns = now_ns;
    source->known = true;
    source->down_ns = 0;
}

void kx_presence_watch(struct kx_presence *presence, struct kx_board *board, uint64_t now_ns)
{
    for (size_t i = 0; i < presence->source_count; i++) {
        struct kx_source_status status;
        kx_board_source_get(board, i, &status);
        bool connected = status.state == KX_SOURCE_STREAMING || status.state == KX_SOURCE_POLLING;
        kx_presence_source(presence, i, connected && status.datasources_ok != 0, now_ns);
    }
}

/* Who could hear a device. */
struct ears {
    bool some;      /* counts as up */
    bool sure;      /* one is up, not just away for a moment */
    uint64_t up_ns; /* the longest that is sure: since */
};

static bool counts(const struct source *source, uint64_t now_ns)
{
    return source->known &&
           (source->down_ns == 0 || now_ns - source->down_ns <= KX_PRESENCE_GRACE_NS);
}

static struct ears
ears_of(const struct kx_presence *presence, const struct slot *slot, bool heard, uint64_t now_ns)
{
    struct ears ears = {.up_ns = UINT64_MAX};
    for (size_t i = 0; i < presence->source_count; i++) {
        const struct source *source = &presence->sources[i];
        uint64_t word = atomic_load_explicit(&slot->sources[i / 64], memory_order_relaxed);
        if (heard && (word >> (i % 64) & 1) == 0)
            continue;
        ears.some = ears.some || counts(source, now_ns);
        if (!source->known || source->down_ns != 0)
            continue;
        ears.sure = true;
        if (source->up_ns < ears.up_ns)
            ears.up_ns = source->up_ns;
    }
    return ears;
}

enum kx_presence_state kx_presence_look(struct kx_presence *presence, size_t i, uint64_t now_ns)
{
    KX_ASSERT(i < presence->count);
    struct slot *slot = &presence->slots[i];
    uint64_t heard_ns = atomic_load_explicit(&slot->heard_ns, memory_order_acquire);
    struct ears ears = ears_of(presence, slot, heard_ns != 0, now_ns);
    uint64_t away_ns = presence->away_after_ns;
    if (heard_ns != 0 && now_ns <= heard_ns + away_ns) {
        slot->said = KX_PRESENCE_HOME;
    } else if (!ears.some) {
        /* At the start every source is still on its way. */
        uint64_t begun_ns = presence->begun_ns + away_ns + KX_PRESENCE_GRACE_NS;
        if (heard_ns != 0 || slot->said != KX_PRESENCE_UNSAID || now_ns > begun_ns)
            slot->said = KX_PRESENCE_UNKNOWN;
    } else if (ears.sure) {
        uint64_t since_ns = heard_ns > ears.up_ns ? heard_ns : ears.up_ns;
        if (now_ns > since_ns + away_ns)
            slot->said = KX_PRESENCE_NOT_HOME;
    }
    return slot->said;
}

const char *kx_presence_word(enum kx_presence_state state)
{
    switch (state) {
    case KX_PRESENCE_UNSAID:
        break;
    case KX_PRESENCE_HOME:
        return "home";
    case KX_PRESENCE_NOT_HOME:
        return "not_home";
    case KX_PRESENCE_UNKNOWN:
        return "unknown";
    }
    return NULL;
}
