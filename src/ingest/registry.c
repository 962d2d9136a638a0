/*
 * Open addressing with linear probing over 32-bit slots, at most half full; removal shifts back, so
 * there are no tombstones and a look-up never gets slower with age.
 *
 *     slot = 0 (empty) or  | tag: high bits of the hash | id + 1 |
 *                                                        <- id_bits ->
 *
 * The tag spares nearly every visit to an entry that is not the one looked for. The clock's marks
 * are a bitmap of their own, not a byte in the entry: a sweep over 200,000 devices reads 25 kB.
 */
#include "ingest/registry.h"
#include "base/hash.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    CACHE_LINE = 64,
    SLOTS_MIN = 16,
    SCOPE_TEXT_MAX = 64, /* longest server_uuid whose scope is kept */
    KEY_HASHED = KX_REGISTRY_KEY_INLINE + 1,
    WORD_BITS = 64,
    TRUST_MOST = 7,
    TRUST_ENOUGH = 4,
};
static_assert(sizeof(struct kx_registry_entry) % CACHE_LINE == 0, "entries start on a line");

struct kx_registry {
    uint32_t *slots;
    struct kx_registry_entry *entries;
    uint64_t *used; /* bit id: looked up since the hand came by */
    uint32_t slot_mask;
    uint32_t id_bits;
    uint32_t max_devices;
    uint32_t count;
    uint32_t hand;         /* the id that the clock looks at next */
    uint32_t last;         /* id of the newest find */
    uint32_t trust;        /* 0..TRUST_MOST: how often entries[last].next came true lately */
    uint16_t scope_source; /* of scope, below */
    struct kx_hash_key table_key;
    struct kx_hash_key scope_key;
    struct kx_hash_key long_keys[2];
    void *entries_memory; /* entries before its alignment */
    /* The newest scope: frames come in runs from one server. */
    uint64_t scope;
    size_t scope_length; /* SIZE_MAX = none */
    char scope_text[SCOPE_TEXT_MAX];
};

enum kx_code
kx_registry_create(struct kx_registry **ret_registry, uint32_t max_devices, struct kx_error *err)
{
    if (max_devices == 0 || max_devices > KX_REGISTRY_DEVICES_MAX)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "max_devices is %u: it must be 1 to %d",
                            max_devices, KX_REGISTRY_DEVICES_MAX);
    struct kx_registry *registry = calloc(1, sizeof *registry);
    if (registry == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the device registry");
    registry->max_devices = max_devices;
    registry->scope_length = SIZE_MAX;
    while (max_devices >> registry->id_bits != 0)
        registry->id_bits++;
    size_t slots = SLOTS_MIN;
    while (slots < (size_t)max_devices * 2)
        slots *= 2;
    registry->slot_mask = (uint32_t)(slots - 1);
    /* calloc: the kernel gives zero pages as they are first touched. */
    size_t words = (max_devices + WORD_BITS - 1) / WORD_BITS;
    registry->slots = calloc(slots, sizeof *registry->slots);
    registry->used = calloc(words, sizeof *registry->used);
    registry->entries_memory = calloc((size_t)max_devices + 1, sizeof *registry->entries);
    if (registry->slots == NULL || registry->used == NULL || registry->entries_memory == NULL) {
        kx_registry_destroy(registry);
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for %u devices: lower max_devices",
                            max_devices);
    }
    uintptr_t start =
        ((uintptr_t)registry->entries_memory + CACHE_LINE - 1) & ~(uintptr_t)(CACHE_LINE - 1);
    registry->entries = (struct kx_registry_entry *)start;
    kx_hash_random(&registry->table_key, sizeof registry->table_key);
    kx_hash_random(&registry->scope_key, sizeof registry->scope_key);
    kx_hash_random(registry->long_keys, sizeof registry->long_keys);
    *ret_registry = registry;
    return KX_OK;
}

void kx_registry_destroy(struct kx_registry *registry)
{
    if (registry == NULL)
        return;
    free(registry->slots);
    free(registry->used);
    free(registry->entries_memory);
    free(registry);
}

/* --- names --- */

/* A name in the form in which entries are compared. */
struct identity {
    uint64_t scope;
    uint64_t hash;
    const void *key; /* the name's own bytes, or long_hash */
    size_t key_bytes;
    uint8_t key_length; /* as in the entry */
    uint64_t long_hash[2];
};

static uint64_t scope_of(struct kx_registry *registry, const struct kx_registry_name *name)
{
    size_t length = name->server_uuid_length;
    if (length == registry->scope_length && name->source == registry->scope_source &&
        (length == 0 || memcmp(name->server_uuid, registry->scope_text, length) == 0))
        return registry->scope;
    struct kx_hash_key key = registry->scope_key;
    key.k0 ^= name->source;
    uint64_t scope = kx_hash_sip(&key, name->server_uuid, length);
    if (length <= SCOPE_TEXT_MAX) {
        if (length > 0)
            memcpy(registry->scope_text, name->server_uuid, length);
        registry->scope_length = length;
        registry->scope_source = name->source;
        registry->scope = scope;
    }
    return scope;
}

static void identify(const struct kx_registry *registry,
                     const struct kx_registry_name *name,
                     uint64_t scope,
                     struct identity *identity)
{
    identity->scope = scope;
    struct kx_hash_key key = registry->table_key;
    key.k0 ^= identity->scope; /* itself pseudo-random: spares hashing it with the key */
    identity->hash = kx_hash_sip(&key, name->key, name->key_length);
    if (name->key_length <= KX_REGISTRY_KEY_INLINE) {
        identity->key = name->key;
        identity->key_bytes = name->key_length;
        identity->key_length = (uint8_t)name->key_length;
        return;
    }
    for (size_t i = 0; i < 2; i++)
        identity->long_hash[i] = kx_hash_sip(&registry->long_keys[i], name->key, name->key_length);
    identity->key = identity->long_hash;
    identity->key_bytes = sizeof identity->long_hash;
    identity->key_length = KEY_HASHED;
}

static bool entry_is(const struct kx_registry_entry *entry, const struct identity *identity)
{
    return entry->scope == identity->scope && entry->key_length == identity->key_length &&
           (identity->key_bytes == 0 ||
            memcmp(entry->key, identity->key, identity->key_bytes) == 0);
}

/* --- the table --- */

static uint32_t slot_id(const struct kx_registry *registry, uint32_t slot)
{
    return (slot & (((uint32_t)1 << registry->id_bits) - 1)) - 1;
}

static uint32_t slot_tag(const struct kx_registry *registry, uint64_t hash)
{
    return (uint32_t)(hash >> 32) << registry->id_bits;
}

/* The device's entry, or NULL; *ret_free is then the empty slot where the search ended. */
static struct kx_registry_entry *
table_find(const struct kx_registry *registry, const struct identity *identity, uint32_t *ret_free)
{
    uint32_t tag = slot_tag(registry, identity->hash);
    uint32_t at = (uint32_t)identity->hash & registry->slot_mask;
    for (; registry->slots[at] != 0; at = (at + 1) & registry->slot_mask) {
        if ((registry->slots[at] ^ tag) >> registry->id_bits != 0)
            continue;
        struct kx_registry_entry *entry =
            &registry->entries[slot_id(registry, registry->slots[at])];
        if (entry_is(entry, identity))
            return entry;
    }
    *ret_free = at;
    return NULL;
}

/* Takes an id out of the table. Who stands behind it in the same run moves up into the hole,
 * unless that would put him before his own place. */
static void table_remove(struct kx_registry *registry, uint32_t id)
{
    uint32_t mask = registry->slot_mask;
    uint32_t hole = registry->entries[id].hash & mask;
    while (slot_id(registry, registry->slots[hole]) != id)
        hole = (hole + 1) & mask;
    for (uint32_t at = (hole + 1) & mask; registry->slots[at] != 0; at = (at + 1) & mask) {
        uint32_t home = registry->entries[slot_id(registry, registry->slots[at])].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            registry->slots[hole] = registry->slots[at];
            hole = at;
        }
    }
    registry->slots[hole] = 0;
}

/* --- the clock --- */

/* The next id that was not used since the hand came by; all that are passed lose their mark. Only
 * when every id is taken. */
static uint32_t clock_victim(struct kx_registry *registry)
{
    for (;;) {
        uint32_t word = registry->hand / WORD_BITS;
        uint32_t first = word * WORD_BITS;
        uint64_t ahead = UINT64_MAX << (registry->hand % WORD_BITS);
        if (registry->max_devices - first < WORD_BITS)
            ahead &= ((uint64_t)1 << (registry->max_devices - first)) - 1;
        uint64_t idle = ~registry->used[word] & ahead;
        if (idle == 0) {
            registry->used[word] &= ~ahead;
            registry->hand = first + WORD_BITS < registry->max_devices ? first + WORD_BITS : 0;
            continue;
        }
        uint64_t victim = idle & -idle; /* the lowest */
        registry->used[word] &= ~(ahead & (victim - 1));
        uint32_t id = first + (uint32_t)__builtin_ctzll(idle);
        registry->hand = id + 1 < registry->max_devices ? id + 1 : 0;
        return id;
    }
}

/* Gives an id to a device: everything of the last one is forgotten. */
static struct kx_registry_entry *
entry_start(struct kx_registry *registry, uint32_t id, const struct identity *identity)
{
    struct kx_registry_entry *entry = &registry->entries[id];
    uint32_t generation = entry->generation + 1;
    *entry = (struct kx_registry_entry){
        .scope = identity->scope,
        .id = id,
        .generation = generation != 0 ? generation : 1,
        .hash = (uint32_t)identity->hash,
        .key_length = identity->key_length,
    };
    if (identity->key_bytes > 0)
        memcpy(entry->key, identity->key, identity->key_bytes);
    return entry;
}

/* --- looking up --- */

/* The device that followed the last one the last time, if that is who is asked for; else NULL. Long
 * keys are not worth it. */
static struct kx_registry_entry *
follower(const struct kx_registry *registry, uint64_t scope, const struct kx_registry_name *name)
{
    if (registry->trust < TRUST_ENOUGH || name->key_length > KX_REGISTRY_KEY_INLINE)
        return NULL;
    struct kx_registry_entry *entry = &registry->entries[registry->entries[registry->last].next];
    const struct identity asked = {.scope = scope,
                                   .key = name->key,
                                   .key_bytes = name->key_length,
                                   .key_length = (uint8_t)name->key_length};
    return entry_is(entry, &asked) ? entry : NULL;
}

/* Learns who came after the last one. */
static void follow(struct kx_registry *registry, uint32_t id)
{
    uint32_t *next = &registry->entries[registry->last].next;
    if (*next == id)
        registry->trust += registry->trust < TRUST_MOST;
    else
        registry->trust -= registry->trust > 0;
    *next = id;
    registry->last = id;
}

static struct kx_registry_entry *find_or_enter(struct kx_registry *registry,
                                               const struct kx_registry_name *name,
                                               uint64_t scope,
                                               enum kx_registry_found *ret_found)
{
    struct identity identity;
    uint32_t free_slot = 0;
    identify(registry, name, scope, &identity);
    struct kx_registry_entry *entry = table_find(registry, &identity, &free_slot);
    if (entry != NULL)
        return entry;
    uint32_t id;
    if (registry->count < registry->max_devices) {
        id = registry->count++;
        *ret_found = KX_REGISTRY_NEW;
    } else {
        id = clock_victim(registry);
        table_remove(registry, id);
        table_find(registry, &identity, &free_slot); /* the removal may have moved the free slot */
        *ret_found = KX_REGISTRY_EVICTED;
    }
    registry->slots[free_slot] = slot_tag(registry, identity.hash) | (id + 1);
    entry = entry_start(registry, id, &identity);
    entry->source = name->source;
    return entry;
}

struct kx_registry_entry *kx_registry_find(struct kx_registry *registry,
                                           const struct kx_registry_name *name,
                                           enum kx_registry_found *ret_found)
{
    *ret_found = KX_REGISTRY_KNOWN;
    uint64_t scope = scope_of(registry, name);
    struct kx_registry_entry *entry = follower(registry, scope, name);
    if (entry == NULL)
        entry = find_or_enter(registry, name, scope, ret_found);
    if (*ret_found == KX_REGISTRY_KNOWN)
        registry->used[entry->id / WORD_BITS] |= (uint64_t)1 << entry->id % WORD_BITS;
    follow(registry, entry->id);
    return entry;
}

struct kx_registry_entry *kx_registry_peek(struct kx_registry *registry,
                                           const struct kx_registry_name *name)
{
    struct identity identity;
    uint32_t free_slot;
    identify(registry, name, scope_of(registry, name), &identity);
    return table_find(registry, &identity, &free_slot);
}

uint32_t kx_registry_count(const struct kx_registry *registry)
{
    return registry->count;
}

struct kx_registry_entry *kx_registry_at(struct kx_registry *registry, uint32_t id)
{
    KX_ASSERT(id < registry->count);
    return &registry->entries[id];
}
