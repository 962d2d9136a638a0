/* The rules of a filter, one function a rule, in the order of the header. */
#include "batch/filter.h"

#include "base/text.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define EARTH_RADIUS_M 6371008.8 /* mean radius, IUGG */
#define DEGREE (3.14159265358979323846 / 180)

/* --- from the configuration --- */

static bool copy_words(struct kx_strings *list, const struct kx_strings *words)
{
    for (size_t i = 0; i < words->count; i++)
        if (!kx_strings_add(list, words->items[i], strlen(words->items[i])))
            return false;
    return true;
}

static void copy_fence(struct kx_fence *fence, const struct kx_geofence_config *config)
{
    fence->unknown_passes = config->unknown == KX_FENCE_PASS;
    if (config->lat.given) {
        fence->kind = KX_FENCE_CIRCLE;
        fence->lat = config->lat.value;
        fence->lon = config->lon.value;
        fence->radius_m = config->radius_m;
        fence->cos_lat = cos(fence->lat * DEGREE);
    } else if (config->lat_min.given) {
        fence->kind = KX_FENCE_BOX;
        fence->lat_min = config->lat_min.value;
        fence->lat_max = config->lat_max.value;
        fence->lon_min = config->lon_min.value;
        fence->lon_max = config->lon_max.value;
    }
}

enum kx_code
kx_filter_init(struct kx_filter *filter, const struct kx_sink_config *config, struct kx_error *err)
{
    const struct kx_filter_config *from = &config->filter;
    static const uint8_t severities[] = {
        /* as a record has them: Kismet's level and one */
        [KX_SEVERITY_ANY] = 0,     [KX_SEVERITY_INFO] = 1,  [KX_SEVERITY_LOW] = 6,
        [KX_SEVERITY_MEDIUM] = 11, [KX_SEVERITY_HIGH] = 16, [KX_SEVERITY_CRITICAL] = 21,
    };
    *filter = (struct kx_filter){.has_signal_min = from->min_signal_dbm.given,
                                 .mac_random = from->mac_random,
                                 .signal_dbm_min = from->min_signal_dbm.value,
                                 .severity_min = severities[from->min_severity],
                                 .max_age_ns = config->delta.max_age_ns};
    copy_fence(&filter->fence, &from->geofence);
    enum kx_code code = KX_OK;
    if (!copy_words(&filter->phys, &from->phy_type) ||
        !copy_words(&filter->types, &from->device_type) ||
        !copy_words(&filter->topics, &from->topics) ||
        !kx_mac_masks_init(&filter->allow, from->macs_allow.items, from->macs_allow.count) ||
        !kx_mac_masks_init(&filter->deny, from->macs_deny.items, from->macs_deny.count))
        code = kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a filter");
    if (code == KX_OK && from->name != NULL)
        code = kx_pattern_create(&filter->name, from->name, err);
    if (code != KX_OK) {
        kx_filter_fini(filter);
        return code;
    }
    filter->idle = filter->phys.count == 0 && filter->types.count == 0 &&
                   filter->topics.count == 0 && filter->allow.count == 0 &&
                   filter->deny.count == 0 && filter->mac_random == KX_RANDOM_ANY &&
                   !filter->has_signal_min && filter->fence.kind == KX_FENCE_NONE &&
                   filter->name == NULL && filter->severity_min == 0 && filter->max_age_ns == 0;
    return KX_OK;
}

void kx_filter_fini(struct kx_filter *filter)
{
    kx_strings_fini(&filter->phys);
    kx_strings_fini(&filter->types);
    kx_strings_fini(&filter->topics);
    kx_mac_masks_fini(&filter->allow);
    kx_mac_masks_fini(&filter->deny);
    kx_pattern_destroy(filter->name);
    *filter = (struct kx_filter){0};
}

/* --- rules --- */

static bool has_word(const struct kx_strings *words, const char *text, size_t length)
{
    for (size_t i = 0; i < words->count; i++)
        if (strlen(words->items[i]) == length && strncasecmp(words->items[i], text, length) == 0)
            return true;
    return false;
}

/* A text field against a list; an absent one is no word of it. */
static bool word_passes(const struct kx_strings *words,
                        const struct kx_device *device,
                        enum kx_field field,
                        struct kx_text text)
{
    if (words->count == 0)
        return true;
    return kx_record_has(&device->head, field) &&
           has_word(words, kx_record_text(&device->head, text), text.length);
}

static bool mac_passes(const struct kx_filter *filter, bool known, uint64_t mac)
{
    if (known && kx_mac_masks_have(&filter->deny, mac))
        return false;
    return filter->allow.count == 0 || (known && kx_mac_masks_have(&filter->allow, mac));
}

/* Great circle (haversine), after a cheap look at the latitude alone. */
static bool in_circle(const struct kx_fence *fence, double lat, double lon)
{
    double dlat = (lat - fence->lat) * DEGREE;
    if (fabs(dlat) * EARTH_RADIUS_M > fence->radius_m)
        return false;
    double slat = sin(dlat / 2);
    double slon = sin((lon - fence->lon) * DEGREE / 2);
    double h = slat * slat + fence->cos_lat * cos(lat * DEGREE) * slon * slon;
    return 2 * EARTH_RADIUS_M * asin(sqrt(h < 1 ? h : 1)) <= fence->radius_m;
}

static bool in_box(const struct kx_fence *fence, double lat, double lon)
{
    if (lat < fence->lat_min || lat > fence->lat_max)
        return false;
    if (fence->lon_min <= fence->lon_max)
        return lon >= fence->lon_min && lon <= fence->lon_max;
    return lon >= fence->lon_min || lon <= fence->lon_max; /* over the 180th meridian */
}

static bool place_passes(const struct kx_fence *fence, const struct kx_device *device)
{
    if (fence->kind == KX_FENCE_NONE)
        return true;
    if (!kx_record_has(&device->head, KX_F_LATITUDE) ||
        !kx_record_has(&device->head, KX_F_LONGITUDE))
        return fence->unknown_passes;
    if (fence->kind == KX_FENCE_CIRCLE)
        return in_circle(fence, device->latitude, device->longitude);
    return in_box(fence, device->latitude, device->longitude);
}

static bool random_passes(enum kx_random wanted, const struct kx_device *device)
{
    if (wanted == KX_RANDOM_ANY)
        return true;
    /* Where an address cannot be random (no Wi-Fi, no Bluetooth) it is not. */
    bool random = kx_record_has(&device->head, KX_F_MAC_RANDOM) && device->mac_random;
    return random == (wanted == KX_RANDOM_ONLY);
}

static bool young(uint64_t max_age_ns, const struct kx_device *device)
{
    if (max_age_ns == 0 || device->head.received_ns <= device->heard_at_ns)
        return true;
    uint64_t age = (uint64_t)device->head.received_ns - (uint64_t)device->heard_at_ns;
    return age <= max_age_ns;
}

static enum kx_counter match_device(const struct kx_filter *filter, const struct kx_device *device)
{
    const struct kx_record *head = &device->head;
    if (!word_passes(&filter->phys, device, KX_F_PHY_TYPE, device->phy_type))
        return KX_C_FILTERED_PHY;
    if (!word_passes(&filter->types, device, KX_F_DEVICE_TYPE, device->device_type))
        return KX_C_FILTERED_TYPE;
    if (!mac_passes(filter, device->mac_bits != 0, device->mac_bits))
        return KX_C_FILTERED_MAC;
    if (!random_passes(filter->mac_random, device))
        return KX_C_FILTERED_RANDOM;
    if (filter->has_signal_min && (!kx_record_has(head, KX_F_SIGNAL_DBM) ||
                                   (double)device->signal_dbm < filter->signal_dbm_min))
        return KX_C_FILTERED_SIGNAL;
    if (!place_passes(&filter->fence, device))
        return KX_C_FILTERED_GEOFENCE;
    if (filter->name != NULL &&
        (!kx_record_has(head, KX_F_NAME) ||
         !kx_pattern_match(filter->name, kx_record_text(head, device->name), device->name.length)))
        return KX_C_FILTERED_NAME;
    return young(filter->max_age_ns, device) ? KX_COUNTERS : KX_C_FILTERED_MAX_AGE;
}

static enum kx_counter match_event(const struct kx_filter *filter, const struct kx_event *event)
{
    const struct kx_record *head = &event->head;
    uint64_t mac = 0;
    bool named =
        event->device_mac.length > 0 &&
        kx_text_mac(kx_record_text(head, event->device_mac), event->device_mac.length, &mac) &&
        mac != 0;
    if (named && !mac_passes(filter, true, mac))
        return KX_C_FILTERED_MAC;
    if (filter->topics.count > 0 &&
        !has_word(&filter->topics, kx_record_text(head, event->type), event->type.length))
        return KX_C_FILTERED_EVENT;
    if (head->severity != 0 && head->severity < filter->severity_min)
        return KX_C_FILTERED_EVENT;
    return KX_COUNTERS;
}

enum kx_counter kx_filter_match(const struct kx_filter *filter, const struct kx_record *record)
{
    if (filter->idle)
        return KX_COUNTERS;
    const struct kx_device *device = kx_record_device(record);
    const struct kx_event *event = kx_record_event(record);
    if (device != NULL)
        return match_device(filter, device);
    return event == NULL ? KX_COUNTERS : match_event(filter, event);
}
