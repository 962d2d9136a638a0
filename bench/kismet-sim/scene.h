/* What the sensor knows: every device's current whole record ("the truth"), by key.
 *
 * Owns: the records. Threads: one. Lifetime: scene_fini(). A device is never removed, so its index
 * is stable; pointers to devices move when one is added. Full: it grows. */
#pragma once

#include "jsonspan.h"

enum {
    SCENE_KEY_MAX = 64,
    SCENE_PHYS_MAX = 16,
};

/* What a synthetic device remembers between two renderings. */
struct synth {
    uint64_t id;
    int64_t first_time; /* seconds, as printed */
    int64_t mod_time;
    uint64_t packets;
    uint64_t tx_packets;
    uint64_t datasize;
    int signal;
    uint32_t frequency_khz;
    unsigned channel;
};

struct device {
    struct text record;
    char key[SCENE_KEY_MAX];
    uint64_t mac;
    uint64_t version;  /* value of scene.changes when it changed last; never 0 */
    uint64_t streamed; /* the version that went to the subscribers at once, not at a tick */
    int64_t last_time; /* as in the record */
    uint8_t phy;       /* index into scene.phy */
    bool access_point;
    bool aliased; /* recorded with fields: its names are our aliases */
    bool synthetic;
    struct synth synth;
};

struct scene_options {
    uint64_t seed;
    const char *uuid; /* kismet.server.uuid of synthetic devices */
    bool full;        /* records of 14 kB instead of 1.2 kB */
    bool ill_formed;  /* some names hold bytes that are no UTF-8 */
};

struct scene {
    struct scene_options options;
    struct device *device;
    size_t count;
    size_t capacity;
    uint32_t *slot; /* open addressing: index + 1 of a device, 0 = empty */
    size_t slots;
    char phy[SCENE_PHYS_MAX][32];
    size_t phys;
    uint64_t changes; /* counts every change of every device */
    uint64_t random;
    char *filler; /* what makes a record 14 kB */
};

void scene_init(struct scene *s, const struct scene_options *options);
void scene_fini(struct scene *s);
/* Sets a device's record from a capture or a test; NULL when the record is no object with a key. */
struct device *scene_put(struct scene *s, struct span record);
struct device *scene_find(struct scene *s, const char *key);
/* Views as Kismet has them: all, phy-NAME, phydot11_accesspoints, seenby-UUID. */
bool scene_view_exists(const struct scene *s, const char *view);
bool scene_in_view(const struct scene *s, const struct device *d, const char *view);
/* AA:BB:CC:DD:EE:FF to a number; returns how many characters were read, 0 if it is no MAC. */
size_t mac_parse(const char *text, uint64_t *ret_mac);

/* For scene.c and synth.c. */
struct device *scene_add(struct scene *s, const char *key);
uint8_t scene_phy(struct scene *s, struct span name);

/* synth.c: adds `count` synthetic devices. The packet clock and the server's clock in seconds. */
void synth_add(struct scene *s, size_t count, int64_t packet_time, int64_t server_time);
/* A synthetic device hears a few more packets; its record is rendered anew. */
void synth_change(struct scene *s, size_t index, int64_t packet_time, int64_t server_time);
uint64_t scene_random(struct scene *s);
void mac_print(uint64_t mac, char ret_text[18]);
/* The data sources that synthetic devices were seen by. */
const char *synth_source_uuid(size_t index);
enum { SYNTH_SOURCES = 2 };
