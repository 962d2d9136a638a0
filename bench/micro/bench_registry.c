/*
 * What a look-up in the registry costs, hash included, at 1,000 to 200,000 devices.
 *
 * Keys and server_uuid as Kismet writes them; each answer's generation and last_seen are read, as
 * the normaliser does. "in order" is how Kismet gives its devices at each tick, the oldest first;
 * "half" the same with devices left out at random, those that did not change; "at random" is the
 * worst case. "hash only" is SipHash of the key: the floor of any keyed table. "evict" looks up
 * devices that are never there in a full registry. Median of five interleaved rounds.
 */
#include "base/clock.h"
#include "base/hash.h"
#include "ingest/registry.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOKUPS = 1 << 20, ROUNDS = 5, KEY_LENGTH = 29, KEY_ROOM = 32, DEVICES_MOST = 200000 };

enum what { HASH_ONLY, IN_ORDER, HALF, AT_RANDOM, EVICT };

static const struct run {
    uint32_t devices;
    enum what what;
    const char *name;
} runs[] = {
    {1000, HASH_ONLY, "hash only"},   {1000, IN_ORDER, "in order"},   {1000, HALF, "half"},
    {1000, AT_RANDOM, "at random"},   {10000, IN_ORDER, "in order"},  {10000, HALF, "half"},
    {10000, AT_RANDOM, "at random"},  {200000, IN_ORDER, "in order"}, {200000, HALF, "half"},
    {200000, AT_RANDOM, "at random"}, {200000, EVICT, "evict"},
};
enum { RUNS = sizeof runs / sizeof runs[0] };

static const char server_uuid[] = "BFAE90F0-E6A4-11F1-B392-4B49534D4554";
static char (*keys)[KEY_ROOM]; /* in the order in which they are asked for */

static uint32_t random_next(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static void key_write(uint32_t number, char out[KEY_ROOM])
{
    snprintf(out, KEY_ROOM, "4202770D00000000_%012X", number);
}

static struct kx_registry_entry *
find(struct kx_registry *registry, const char *key, enum kx_registry_found *ret_found)
{
    const struct kx_registry_name name = {server_uuid, sizeof server_uuid - 1, key, KEY_LENGTH, 0};
    return kx_registry_find(registry, &name, ret_found);
}

/* Nanoseconds a look-up. *sink keeps the compiler from leaving the work out. */
static double measure(const struct run *run, uint64_t *sink)
{
    struct kx_registry *registry = NULL;
    struct kx_error err;
    if (kx_registry_create(&registry, DEVICES_MOST, &err) != KX_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    enum kx_registry_found found;
    const uint32_t present = run->what == EVICT ? DEVICES_MOST : run->devices;
    for (uint32_t i = 0; i < present; i++) {
        char key[KEY_ROOM];
        key_write(i, key);
        find(registry, key, &found);
    }
    uint64_t random = 1;
    uint32_t number = 0;
    for (uint32_t i = 0; i < LOOKUPS; i++) {
        if (run->what == AT_RANDOM)
            number = random_next(&random) % present;
        else if (run->what == EVICT)
            number = present + i;
        else
            number = (number + 1 + (run->what == HALF && random_next(&random) % 2)) % present;
        key_write(number, keys[i]);
    }

    const struct kx_hash_key hash_key = {1, 2};
    const uint64_t start = kx_clock_boot_ns();
    if (run->what == HASH_ONLY)
        for (uint32_t i = 0; i < LOOKUPS; i++)
            *sink += kx_hash_sip(&hash_key, keys[i], KEY_LENGTH);
    else
        for (uint32_t i = 0; i < LOOKUPS; i++) {
            const struct kx_registry_entry *entry = find(registry, keys[i], &found);
            *sink += entry->generation + (uint64_t)entry->told.last_seen;
        }
    const uint64_t end = kx_clock_boot_ns();
    kx_registry_destroy(registry);
    return (double)(end - start) / LOOKUPS;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void)
{
    double ns[RUNS][ROUNDS];
    uint64_t sink = 0;
    keys = calloc(LOOKUPS, sizeof *keys);
    if (keys == NULL)
        return 1;
    for (size_t round = 0; round < ROUNDS; round++)
        for (size_t run = 0; run < RUNS; run++)
            ns[run][round] = measure(&runs[run], &sink);
    for (size_t run = 0; run < RUNS; run++) {
        qsort(ns[run], ROUNDS, sizeof ns[run][0], ascending);
        printf("%7u devices  %-10s %6.1f ns (%.1f to %.1f)\n", runs[run].devices, runs[run].name,
               ns[run][ROUNDS / 2], ns[run][0], ns[run][ROUNDS - 1]);
    }
    free(keys);
    return sink == 0; /* never */
}
