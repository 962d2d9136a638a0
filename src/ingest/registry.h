/*
 * The registry: (source, server_uuid, device_key) -> a dense device id with a generation.
 *
 * A frame is looked up here once; its record carries the id, so that every sink's delta is an array
 * indexed by it. The entry also keeps what ingest must remember of a device from frame to frame.
 *
 * Owns its memory, all of it asked for at create and touched only as devices come: 128 bytes an
 * entry, 8 to 16 bytes of slots and one bit, so about 140 bytes a device, 28 MB at 200,000. One
 * thread: ingest's. Full: the clock hand forgets a device that was not looked up since the hand
 * came by last, gives its id to the new one and moves the id's generation, which makes every sink
 * forget too; the caller counts KX_REGISTRY_EVICTED. A new device starts without its second chance:
 * a flood of addresses that are seen once pushes out itself, not the devices that are there. After
 * create nothing fails and nothing allocates.
 *
 * Kismet gives its devices in the same order at each tick, so the device that followed this one the
 * last time is tried before anything is hashed; while that is wrong more often than right, it is
 * not tried.
 *
 * Kismet's keys (up to 33 bytes) stand in the entry. A longer key stands there as 128 bits of
 * SipHash under two random keys of its own, and a server_uuid, together with its source, as 64
 * (`scope`): who does not know the keys cannot make two names collide, and by chance it does not
 * happen.
 */
#ifndef KX_INGEST_REGISTRY_H
#define KX_INGEST_REGISTRY_H

#include "base/error.h"
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KX_REGISTRY_DEVICES_MAX = 16777215, /* a slot holds id + 1 in 24 bits and 8 bits of the hash */
    KX_REGISTRY_KEY_INLINE = 36,        /* longest key that is stored as it is */
};

/* How we know the time at which the device was heard. */
enum kx_heard {
    KX_HEARD_NEVER,    /* no record of this device yet */
    KX_HEARD_ASSUMED,  /* last_seen taken at its word: the server's clock skew was not known */
    KX_HEARD_COMPUTED, /* last_seen less the skew */
    KX_HEARD_WATCHED,  /* we saw last_seen advance without a gap: our own clock's time */
};

/* What the newest record of the device told; kx_normalise_device reads and writes it. */
struct kx_told {
    int64_t first_seen;    /* seconds; 0 = unknown */
    int64_t last_seen;     /* seconds, as Kismet gave it, not clamped; 0 = unknown */
    int64_t mod_time;      /* seconds; 0 = unknown */
    int64_t total_packets; /* 0 = unknown too */
    int64_t heard_at_ns;
    uint32_t epoch; /* of the connection it came by */
    uint8_t heard;  /* enum kx_heard */
    uint8_t unused[3];
};

/* The first cache line says who, the second what. A fresh entry is zero but for who. */
struct kx_registry_entry {
    uint64_t scope; /* hash of source and server_uuid */
    unsigned char key[KX_REGISTRY_KEY_INLINE];
    uint32_t id;         /* 0..max_devices-1; fixed for the entry */
    uint32_t generation; /* from 1, never 0, moves when the id changes hands */
    uint32_t hash;       /* low bits: its place in the table */
    uint32_t next;       /* the id that was looked up after this one the last time */
    uint16_t source;
    uint8_t key_length; /* KX_REGISTRY_KEY_INLINE + 1 = a hash of the key */
    uint8_t unused;
    struct kx_told told;
    int64_t mod_time_monitor; /* reconcile's: newest mod_time that the monitor gave */
    int64_t mod_time_rest;    /* reconcile's: newest mod_time that REST gave */
};
static_assert(sizeof(struct kx_registry_entry) == 128, "two cache lines a device");
static_assert(offsetof(struct kx_registry_entry, told) == 64, "who and what apart");

struct kx_registry;

/* max_devices 1..KX_REGISTRY_DEVICES_MAX, else KX_ERR_CONFIG. KX_ERR_NOMEM. */
enum kx_code
kx_registry_create(struct kx_registry **ret_registry, uint32_t max_devices, struct kx_error *err);
void kx_registry_destroy(struct kx_registry *registry); /* NULL-safe */

/* By what a device is known; borrowed texts, a length of 0 allows NULL. */
struct kx_registry_name {
    const char *server_uuid;
    size_t server_uuid_length;
    const char *key;
    size_t key_length;
    uint16_t source;
};

enum kx_registry_found {
    KX_REGISTRY_KNOWN,
    KX_REGISTRY_NEW,     /* entered on a free id */
    KX_REGISTRY_EVICTED, /* entered in the place of another device, now forgotten */
};

/* The device of that name, entered when it is not there, and marked as used. Never NULL; the entry
 * is the registry's and names this device until the next call with a name that is new. */
struct kx_registry_entry *kx_registry_find(struct kx_registry *registry,
                                           const struct kx_registry_name *name,
                                           enum kx_registry_found *ret_found);

/* The same without entering or marking: NULL when it is not there. */
struct kx_registry_entry *kx_registry_peek(struct kx_registry *registry,
                                           const struct kx_registry_name *name);

/* Devices at present; their ids are 0..count-1. */
uint32_t kx_registry_count(const struct kx_registry *registry);
/* The entry of an id under count; for walks over all devices. */
struct kx_registry_entry *kx_registry_at(struct kx_registry *registry, uint32_t id);

#endif
