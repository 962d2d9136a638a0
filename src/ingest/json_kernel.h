/*
 * Private to json.c and json.cpp: one build of the parser. On-Demand is inlined into its caller, so
 * a build for newer instructions is another object made from the same file; json.c chooses one.
 *
 * The functions are those of json.h with the parser's own state in the place of struct kx_json.
 */
#ifndef KX_INGEST_JSON_KERNEL_H
#define KX_INGEST_JSON_KERNEL_H

#include "ingest/json.h"

struct kx_json_kernel {
    const char *name;
    void *(*create)(void);
    void (*destroy)(void *state);
    enum kx_json_result (*device)(void *state,
                                  const char *document,
                                  size_t length,
                                  struct kx_json_device *ret_device,
                                  struct kx_json_notes *ret_notes);
    enum kx_json_result (*event)(void *state,
                                 const char *document,
                                 size_t length,
                                 struct kx_buf *out,
                                 struct kx_json_event *ret_event,
                                 struct kx_json_notes *ret_notes);
    enum kx_json_result (*pick)(
        void *state, const char *document, size_t length, struct kx_json_pick *picks, size_t count);
};

#ifdef __cplusplus
extern "C" {
#endif

extern const struct kx_json_kernel kx_json_baseline;
extern const struct kx_json_kernel kx_json_haswell; /* only where KX_JSON_HASWELL is defined */

/* The builds that this processor can run, the best first, NULL behind the last. */
const struct kx_json_kernel *const *kx_json_kernels(void);

#ifdef __cplusplus
}
#endif

#endif
