/* Finding the bad records of a batch; the rules stand in the header. */
#include "batch/isolate.h"

#include <stdio.h>
#include <string.h>

void kx_isolate_begin(struct kx_isolate *isolate, const struct kx_sealed *sealed)
{
    isolate->views[0] = (struct kx_isolate_view){.first = 0, .end = sealed->records};
    isolate->depth = 1;
    isolate->aside_count = 0;
}

bool kx_isolate_next(struct kx_isolate *isolate,
                     const struct kx_sealed *sealed,
                     struct kx_batch *ret_view)
{
    while (isolate->depth > 0) {
        struct kx_isolate_view *view = &isolate->views[isolate->depth - 1];
        while (view->first < view->end && kx_batch_done(&sealed->view, view->first))
            view->first++;
        while (view->first < view->end && kx_batch_done(&sealed->view, view->end - 1))
            view->end--;
        if (view->first < view->end) {
            *ret_view = sealed->view;
            ret_view->first = view->first;
            ret_view->end = view->end;
            return true;
        }
        isolate->depth--;
    }
    return false;
}

void kx_isolate_split(struct kx_isolate *isolate)
{
    KX_ASSERT(isolate->depth > 0 && isolate->depth < KX_ISOLATE_DEPTH);
    struct kx_isolate_view *top = &isolate->views[isolate->depth - 1];
    KX_ASSERT(top->end - top->first > 1);
    uint32_t middle = top->first + (top->end - top->first) / 2;
    /* The front half on top: the order of delivery stays the order of arrival. */
    isolate->views[isolate->depth++] = (struct kx_isolate_view){.first = top->first, .end = middle};
    top->first = middle;
}

void kx_isolate_end_run(struct kx_isolate *isolate)
{
    isolate->run = 0;
}

static void
reason_of(char reason[KX_ERROR_TEXT_MAX], const struct kx_batch *view, const struct kx_error *err)
{
    if (view->reason[0] != '\0')
        snprintf(reason, KX_ERROR_TEXT_MAX, "%.*s", KX_REASON_MAX, view->reason);
    else /* what is cut off at the end of a long text does not tell two reasons apart */
        snprintf(reason, KX_ERROR_TEXT_MAX, "%d %d %.*s", (int)err->code, err->sys,
                 KX_ERROR_TEXT_MAX - 32, err->text);
}

bool kx_isolate_same(const struct kx_isolate *isolate,
                     const struct kx_batch *view,
                     const struct kx_error *err)
{
    char reason[KX_ERROR_TEXT_MAX];
    reason_of(reason, view, err);
    return strcmp(reason, isolate->reason) == 0;
}

bool kx_isolate_set_aside(struct kx_isolate *isolate,
                          const struct kx_batch *view,
                          const struct kx_error *err)
{
    KX_ASSERT(isolate->depth > 0 && view->end - view->first == 1);
    KX_ASSERT(isolate->aside_count < KX_REJECTED_RUN);
    isolate->depth--;
    struct kx_isolate_aside *aside = &isolate->aside[isolate->aside_count++];
    aside->slot = view->first;
    snprintf(aside->reason, sizeof aside->reason, "%s",
             view->reason[0] != '\0' ? view->reason : kx_code_name(err->code));
    memcpy(aside->text, err->text, sizeof aside->text);
    isolate->err = *err;
    reason_of(isolate->reason, view, err);
    isolate->run++;
    return isolate->run >= KX_REJECTED_RUN;
}

bool kx_isolate_all(const struct kx_isolate *isolate, const struct kx_sealed *sealed)
{
    return isolate->aside_count >= KX_REJECTED_WHOLE && isolate->aside_count == sealed->records;
}
