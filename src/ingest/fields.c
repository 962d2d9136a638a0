/*
 * The field list of our subscriptions, as JSON. The paths and aliases are ours and need no
 * escaping.
 */
#include "ingest/fields.h"
#include "base/error.h"
#include <stddef.h>
#include <string.h>

struct field {
    const char *path;
    const char *alias;
};

static const struct field device_fields[] = {
#define KX_FIELD(alias, path) {path, #alias},
#include "ingest/fields.def"
};

/* Left with Kismet's names: a reader of event_data finds them in Kismet's documentation. */
static const char *const ssid_fields[] = {
    "dot11.advertisedssid.ssid",
    "dot11.advertisedssid.channel",
    "dot11.advertisedssid.crypt_string",
    "dot11.advertisedssid.first_time",
    "dot11.probedssid.ssid",
    "dot11.probedssid.crypt_string",
    "dot11.probedssid.first_time",
};

static const char *location_path(enum kx_location location)
{
    switch (location) {
    case KX_LOCATION_AVG:
        return "kismet.device.base.location/kismet.common.location.avg_loc";
    case KX_LOCATION_LAST:
        return "kismet.device.base.location/kismet.common.location.last";
    case KX_LOCATION_PEAK: /* where the signal was strongest: part of the signal's record */
        return "kismet.device.base.signal/kismet.common.signal.peak_loc";
    }
    KX_ASSERT(!"a location");
    return NULL;
}

static void append_devices(struct kx_buf *out, enum kx_location location)
{
    for (size_t i = 0; i < sizeof device_fields / sizeof device_fields[0]; i++) {
        const struct field *field = &device_fields[i];
        kx_buf_text(out, i == 0 ? "[\"" : ",[\"");
        if (field->path[0] == '*')
            kx_buf_text(out, location_path(location));
        kx_buf_text(out, field->path + (field->path[0] == '*'));
        kx_buf_text(out, "\",\"");
        kx_buf_text(out, field->alias);
        kx_buf_text(out, "\"]");
    }
}

void kx_fields_json(struct kx_buf *out, enum kx_location location)
{
    kx_buf_byte(out, '[');
    append_devices(out, location);
    kx_buf_byte(out, ']');
}

void kx_fields_source_json(struct kx_buf *out, const struct kx_source_config *source)
{
    kx_buf_byte(out, '[');
    append_devices(out, source->location);
    for (size_t i = 0; i < source->extra.count; i++) /* the path was checked: nothing to escape */
        kx_buf_printf(out, ",[\"%s\",\"extra_%zu\"]", source->extra.items[i].path, i);
    kx_buf_byte(out, ']');
}

size_t kx_fields_count(void)
{
    return sizeof device_fields / sizeof device_fields[0];
}

struct kx_field_path kx_fields_at(size_t i, enum kx_location location)
{
    const struct field *field = &device_fields[i];
    const bool located = field->path[0] == '*';
    return (struct kx_field_path){.alias = field->alias,
                                  .record = located ? location_path(location) : NULL,
                                  .path = located ? field->path + 2 : field->path};
}

bool kx_fields_topic_json(struct kx_buf *out, const char *topic, enum kx_location location)
{
    const bool dot11 = strncmp(topic, "DOT11_", strlen("DOT11_")) == 0;
    if (!dot11 && strcmp(topic, "NEW_DEVICE") != 0)
        return false;
    kx_buf_byte(out, '[');
    append_devices(out, location);
    for (size_t i = 0; dot11 && i < sizeof ssid_fields / sizeof ssid_fields[0]; i++) {
        kx_buf_text(out, ",\"");
        kx_buf_text(out, ssid_fields[i]);
        kx_buf_byte(out, '"');
    }
    kx_buf_byte(out, ']');
    return true;
}
