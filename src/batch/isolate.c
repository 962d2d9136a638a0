/* Finding the bad records of a batch; the rules stand in the header. */
#include "batch/isolate.h"

#include <stdio.h>
#include <string.h>

void kx_isolate_begin(struct kx_isolate *isolate, const struct kx_sealed *sealed)
{
    isolate->views[0] = (struct kx_isolate_view){.first = 0, .end = sealed->records};
    isolate->depth = 1;
    isolate->aside_count = isolate->proven = 0;
    isolate->took = false;
}

void kx_isolate_again(struct kx_isolate *isolate, const struct kx_sealed *sealed)
{
    isolate->run = 0;
    kx_isolate_begin(isolate, sealed);
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

/* They are bad, and what comes next begins a run of its own. */
static void prove(struct kx_isolate *isolate)
{
    isolate->proven = isolate->aside_count;
    isolate->run = 0;
}

void kx_isolate_took(struct kx_isolate *isolate)
{
    isolate->took = true;
    prove(isolate);
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

/* Whether a record between the last that was set aside and this one was taken. */
static bool taken_between(const struct kx_isolate *isolate, const struct kx_batch *view)
{
    if (!isolate->took || isolate->aside_count == 0)
        return false;
    for (uint32_t i = isolate->aside[isolate->aside_count - 1].slot + 1; i < view->first; i++)
        if (kx_batch_done(view, i))
            return true;
    return false;
}

void kx_isolate_held(struct kx_isolate *isolate)
{
    isolate->took = false;
}

bool kx_isolate_set_aside(struct kx_isolate *isolate,
                          const struct kx_batch *view,
                          const struct kx_error *err)
{
    KX_ASSERT(isolate->depth > 0 && view->end - view->first == 1);
    KX_ASSERT(!kx_isolate_full(isolate));
    char reason[KX_ERROR_TEXT_MAX];
    reason_of(reason, view, err);
    if (strcmp(reason, isolate->reason) != 0 || taken_between(isolate, view))
        prove(isolate);
    memcpy(isolate->reason, reason, sizeof reason);
    isolate->depth--;
    struct kx_isolate_aside *aside = &isolate->aside[isolate->aside_count++];
    aside->slot = view->first;
    snprintf(aside->reason, sizeof aside->reason, "%s",
             view->reason[0] != '\0' ? view->reason : kx_code_name(err->code));
    memcpy(aside->text, err->text, sizeof aside->text);
    isolate->err = *err;
    isolate->run++;
    return isolate->run >= KX_REJECTED_RUN;
}

bool kx_isolate_full(const struct kx_isolate *isolate)
{
    return isolate->aside_count == KX_REJECTED_RUN;
}

bool kx_isolate_all(struct kx_isolate *isolate, const struct kx_sealed *sealed)
{
    uint32_t maybe = isolate->aside_count - isolate->proven;
    if (maybe >= KX_REJECTED_WHOLE && maybe == sealed->records)
        return true;
    isolate->proven = isolate->aside_count; /* the run goes on into the next batch */
    return false;
}

void kx_isolate_forget_proven(struct kx_isolate *isolate)
{
    isolate->aside_count -= isolate->proven;
    memmove(isolate->aside, isolate->aside + isolate->proven,
            isolate->aside_count * sizeof isolate->aside[0]);
    isolate->proven = 0;
}
