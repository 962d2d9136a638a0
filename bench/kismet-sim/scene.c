/* The devices, found by key, and the views over them. */
#include "scene.h"
#include "fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void scene_init(struct scene *s, const struct scene_options *options)
{
    *s = (struct scene){.options = *options, .random = options->seed};
}

void scene_fini(struct scene *s)
{
    for (size_t i = 0; i < s->count; i++)
        text_free(&s->device[i].record);
    free(s->device);
    free(s->slot);
    free(s->filler);
    *s = (struct scene){0};
}

static size_t hash_key(const char *key)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * 0x100000001b3u;
    return (size_t)(h ^ (h >> 29));
}

static void place(struct scene *s, size_t index)
{
    size_t at = hash_key(s->device[index].key) & (s->slots - 1);
    while (s->slot[at])
        at = (at + 1) & (s->slots - 1);
    s->slot[at] = (uint32_t)index + 1;
}

static void grow(struct scene *s)
{
    s->capacity = s->capacity ? s->capacity * 2 : 1024;
    s->device = xrealloc(s->device, s->capacity * sizeof(*s->device));
    s->slots = s->capacity * 2;
    free(s->slot);
    s->slot = xmalloc(s->slots * sizeof(*s->slot));
    memset(s->slot, 0, s->slots * sizeof(*s->slot));
    for (size_t i = 0; i < s->count; i++)
        place(s, i);
}

struct device *scene_find(struct scene *s, const char *key)
{
    if (s->slots == 0)
        return NULL;
    for (size_t at = hash_key(key) & (s->slots - 1); s->slot[at]; at = (at + 1) & (s->slots - 1)) {
        struct device *d = &s->device[s->slot[at] - 1];
        if (strcmp(d->key, key) == 0)
            return d;
    }
    return NULL;
}

struct device *scene_add(struct scene *s, const char *key)
{
    if (s->count == s->capacity)
        grow(s);
    struct device *d = &s->device[s->count];
    *d = (struct device){0};
    snprintf(d->key, sizeof(d->key), "%s", key);
    place(s, s->count++);
    return d;
}

uint8_t scene_phy(struct scene *s, struct span name)
{
    for (size_t i = 0; i < s->phys; i++) {
        if (span_is(name, s->phy[i]))
            return (uint8_t)i;
    }
    if (s->phys < SCENE_PHYS_MAX)
        s->phys++;
    size_t i = s->phys - 1;
    snprintf(s->phy[i], sizeof(s->phy[i]), "%.*s", (int)name.length, name.at ? name.at : "");
    return (uint8_t)i;
}

size_t mac_parse(const char *text, uint64_t *ret_mac)
{
    unsigned b[6];
    int used = 0;
    if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
               &used) != 6)
        return 0;
    *ret_mac = 0;
    for (int i = 0; i < 6; i++)
        *ret_mac = *ret_mac << 8 | b[i];
    return (size_t)used;
}

/* A value under Kismet's own name, or under our alias in a record that was recorded with fields. */
static struct span member(struct span record, bool aliased, const char *path)
{
    return json_get(record, aliased ? fields_alias(path) : path);
}

struct device *scene_put(struct scene *s, struct span record)
{
    char *key = json_text(json_get(record, "kismet.device.base.key"));
    bool aliased = !key;
    if (!key)
        key = json_text(json_get(record, "key"));
    if (!key || strlen(key) >= SCENE_KEY_MAX) {
        free(key);
        return NULL;
    }
    struct device *d = scene_find(s, key);
    if (!d)
        d = scene_add(s, key);
    free(key);
    d->record.length = 0;
    text_addspan(&d->record, record);
    d->version = ++s->changes;
    d->aliased = aliased;
    d->synthetic = false;
    struct span phy = member(record, aliased, "kismet.device.base.phyname");
    if (json_is_string(phy))
        d->phy = scene_phy(s, (struct span){phy.at + 1, phy.length - 2});
    d->access_point = span_is(member(record, aliased, "kismet.device.base.type"), "\"Wi-Fi AP\"");
    if (!json_integer(member(record, aliased, "kismet.device.base.last_time"), &d->last_time))
        d->last_time = 0;
    char *mac = json_text(member(record, aliased, "kismet.device.base.macaddr"));
    if (!mac || !mac_parse(mac, &d->mac))
        d->mac = 0;
    free(mac);
    return d;
}

bool scene_view_exists(const struct scene *s, const char *view)
{
    if (strcmp(view, "all") == 0 || strcmp(view, "phydot11_accesspoints") == 0)
        return true;
    if (strncmp(view, "phy-", 4) == 0) {
        for (size_t i = 0; i < s->phys; i++) {
            if (strcmp(s->phy[i], view + 4) == 0)
                return true;
        }
    }
    return strncmp(view, "seenby-", 7) == 0;
}

static bool seen_by(const struct device *d, const char *uuid)
{
    struct span list = json_get(text_span(&d->record), "kismet.device.base.seenby");
    return list.at && memmem(list.at, list.length, uuid, strlen(uuid));
}

bool scene_in_view(const struct scene *s, const struct device *d, const char *view)
{
    if (strcmp(view, "all") == 0)
        return true;
    if (strcmp(view, "phydot11_accesspoints") == 0)
        return d->access_point;
    if (strncmp(view, "phy-", 4) == 0)
        return s->phys && strcmp(s->phy[d->phy], view + 4) == 0;
    return strncmp(view, "seenby-", 7) == 0 && seen_by(d, view + 7);
}
