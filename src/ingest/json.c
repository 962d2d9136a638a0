/*
 * Chooses the build of the parser that this processor can run, once a parser.
 */
#include "ingest/json.h"
#include "ingest/json_kernel.h"
#include <stdlib.h>

struct kx_json {
    const struct kx_json_kernel *kernel;
    void *state;
};

const struct kx_json_kernel *const *kx_json_kernels(void)
{
#ifdef KX_JSON_HASWELL
    static const struct kx_json_kernel *const both[] = {&kx_json_haswell, &kx_json_baseline, NULL};
    /* What -march=haswell lets the compiler use; the carry-less multiply is not in the v3 level. */
    if (__builtin_cpu_supports("x86-64-v3") && __builtin_cpu_supports("pclmul"))
        return both;
#endif
    static const struct kx_json_kernel *const one[] = {&kx_json_baseline, NULL};
    return one;
}

const char *kx_json_kernel(void)
{
    return kx_json_kernels()[0]->name;
}

struct kx_json *kx_json_create(void)
{
    struct kx_json *json = malloc(sizeof *json);
    if (!json)
        return NULL;
    json->kernel = kx_json_kernels()[0];
    json->state = json->kernel->create();
    if (!json->state) {
        free(json);
        return NULL;
    }
    return json;
}

void kx_json_destroy(struct kx_json *json)
{
    if (!json)
        return;
    json->kernel->destroy(json->state);
    free(json);
}

enum kx_json_result kx_json_device(struct kx_json *json,
                                   const char *document,
                                   size_t length,
                                   struct kx_json_device *ret_device,
                                   struct kx_json_notes *ret_notes)
{
    return json->kernel->device(json->state, document, length, ret_device, ret_notes);
}

enum kx_json_result kx_json_event(struct kx_json *json,
                                  const char *document,
                                  size_t length,
                                  struct kx_buf *out,
                                  struct kx_json_event *ret_event,
                                  struct kx_json_notes *ret_notes)
{
    return json->kernel->event(json->state, document, length, out, ret_event, ret_notes);
}

enum kx_json_result kx_json_pick(struct kx_json *json,
                                 const char *document,
                                 size_t length,
                                 struct kx_json_pick *picks,
                                 size_t count)
{
    return json->kernel->pick(json->state, document, length, picks, count);
}
