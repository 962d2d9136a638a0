/*
 * simdjson On-Demand behind C: the border, which no exception crosses. The work is done in three
 * headers that only this file includes; their common ground is json_values.hpp.
 */
#include "ingest/json_device.hpp"
#include "ingest/json_event.hpp"
#include "ingest/json_pick.hpp"
#include <string>

struct kx_json {
    State state;
};

struct kx_json *kx_json_create(void)
{
    kx_json *json = new (std::nothrow) kx_json();
    if (json && make_room(json->state, 1) != SUCCESS) {
        delete json;
        json = nullptr;
    }
    return json;
}

void kx_json_destroy(struct kx_json *json)
{
    delete json;
}

const char *kx_json_kernel(void)
try {
    static const std::string name(simdjson::get_active_implementation()->name());
    return name.c_str();
} catch (...) {
    return "unknown";
}

void kx_json_expect(struct kx_json *json, const struct kx_extra_fields *extra)
{
    json->state.expected = extra;
}

kx_json_result kx_json_device(struct kx_json *json,
                              const char *document,
                              size_t length,
                              Device *ret_device,
                              kx_json_notes *ret_notes)
try {
    *ret_device = {};
    json->state.notes = {};
    const kx_json_result result = read_device(json->state, document, length, *ret_device);
    *ret_notes = json->state.notes;
    return result;
} catch (...) {
    return KX_JSON_NOMEM;
}

kx_json_result kx_json_event(struct kx_json *json,
                             const char *document,
                             size_t length,
                             kx_buf *out,
                             Event *ret_event,
                             kx_json_notes *ret_notes)
try {
    const size_t start = out->length;
    *ret_event = {};
    ret_event->severity = -1;
    json->state.notes = {};
    const kx_json_result result = read_event(json->state, document, length, out, *ret_event);
    *ret_notes = json->state.notes;
    if (result != KX_JSON_OK)
        kx_buf_truncate(out, start);
    return result;
} catch (...) {
    return KX_JSON_NOMEM;
}

kx_json_result
kx_json_pick(struct kx_json *json, const char *document, size_t length, Pick *picks, size_t count)
try {
    json->state.notes = {};
    for (size_t i = 0; i < count; i++) {
        picks[i].text = {};
        picks[i].has_number = false;
    }
    return read_picks(json->state, document, length, picks, count);
} catch (...) {
    return KX_JSON_NOMEM;
}
