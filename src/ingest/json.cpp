/*
 * simdjson On-Demand behind C: the border. Built once for every processor and, in optimised builds,
 * once more for newer ones (KX_JSON_KERNEL names the build): see json_kernel.h. Everything that the
 * two builds hold is inlined or local, because a symbol that they shared would be the linker's
 * choice, not the processor's; tests/unit/ingest/check_kernels.py looks.
 */
#include "ingest/json_device.hpp"
#include "ingest/json_event.hpp"
#include "ingest/json_pick.hpp"

#ifndef KX_JSON_KERNEL
#define KX_JSON_KERNEL kx_json_baseline
#define KX_JSON_KERNEL_NAME "baseline"
#endif

namespace
{
void *create() noexcept
{
    State *state = new (std::nothrow) State();
    if (state && make_room(*state, 1) != SUCCESS) {
        delete state;
        state = nullptr;
    }
    return state;
}

void destroy(void *state) noexcept
{
    delete static_cast<State *>(state);
}

kx_json_result device(void *opaque,
                      const char *document,
                      size_t length,
                      kx_json_device *ret_device,
                      kx_json_notes *ret_notes) noexcept
try {
    State &state = *static_cast<State *>(opaque);
    *ret_device = {};
    state.notes = {};
    const kx_json_result result = read_device(state, document, length, *ret_device);
    *ret_notes = state.notes;
    return result;
} catch (...) {
    return KX_JSON_NOMEM;
}

kx_json_result event(void *opaque,
                     const char *document,
                     size_t length,
                     kx_buf *out,
                     kx_json_event *ret_event,
                     kx_json_notes *ret_notes) noexcept
try {
    State &state = *static_cast<State *>(opaque);
    const size_t start = out->length;
    *ret_event = {};
    ret_event->severity = -1;
    state.notes = {};
    const kx_json_result result = read_event(state, document, length, out, *ret_event);
    *ret_notes = state.notes;
    if (result != KX_JSON_OK)
        kx_buf_truncate(out, start);
    return result;
} catch (...) {
    return KX_JSON_NOMEM;
}

kx_json_result
pick(void *opaque, const char *document, size_t length, kx_json_pick *picks, size_t count) noexcept
try {
    State &state = *static_cast<State *>(opaque);
    for (size_t i = 0; i < count; i++) {
        picks[i].text = {};
        picks[i].has_number = false;
    }
    return read_picks(state, document, length, picks, count);
} catch (...) {
    return KX_JSON_NOMEM;
}
} // namespace

extern "C" const kx_json_kernel KX_JSON_KERNEL = {
    KX_JSON_KERNEL_NAME, create, destroy, device, event, pick};
