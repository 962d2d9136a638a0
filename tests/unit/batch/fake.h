/*
 * What the engine's tests share: records made by number, and a scripted sink that remembers what it
 * was given. Each test is one program, so one fake sink at a time is enough.
 */
#ifndef KX_TESTS_BATCH_FAKE_H
#define KX_TESTS_BATCH_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "batch/sink.h"
#include "record/record.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define S(seconds) (1000000000ull * (uint64_t)(seconds))
#define MS(milliseconds) (1000000ull * (uint64_t)(milliseconds))

/* --- records --- */

enum { MADE_BYTES_MAX = 4096 };

union made { /* 8-byte aligned memory for one record */
    uint64_t align;
    char bytes[MADE_BYTES_MAX];
    struct kx_record record;
};

/* A device's record with a name of `text` bytes. */
static inline const struct kx_record *
made_device(union made *made, uint32_t id, uint32_t generation, uint64_t sequence, size_t text)
{
    static const char letters[KX_TEXT_BYTES_MAX] = "a device's name";
    struct kx_builder builder;
    struct kx_device *device = kx_builder_device(&builder, made, sizeof *made);
    device->head.device_id = id;
    device->head.generation = generation;
    device->head.sequence = sequence;
    kx_builder_field(&builder, KX_F_NAME, letters, text);
    assert_true(kx_builder_finish(&builder) > 0);
    return &made->record;
}

static inline const struct kx_record *made_event(union made *made, uint64_t sequence, size_t text)
{
    static const char letters[KX_TEXT_BYTES_MAX] = "{}";
    struct kx_builder builder;
    struct kx_event *event = kx_builder_event(&builder, made, sizeof *made);
    event->head.device_id = KX_DEVICE_NONE;
    event->head.sequence = sequence;
    kx_builder_text(&builder, &event->data, letters, text, KX_TEXT_BYTES_MAX);
    assert_true(kx_builder_finish(&builder) > 0);
    return &made->record;
}

/* A small generator, so that a failure repeats: xorshift64*. */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 2685821657736338717ull;
}

static inline uint64_t random_below(uint64_t *state, uint64_t end)
{
    return (random_next(state) >> 32) % end;
}

/* --- the sink --- */

enum { FAKE_TAKEN_MAX = 1 << 16, FAKE_CALLS_MAX = 1 << 12 };

struct fake_call {
    uint32_t first, end;
    uint32_t tries;
    bool next;
    uint64_t deadline_ns;
};

struct fake {
    /* What it answers: the script first, then to everything `then`. KX_SENT confirms whatever the
     * poison lets through; a view with a poisoned record is KX_REJECTED. */
    const enum kx_outcome *script;
    size_t script_length;
    enum kx_outcome then;
    /* A record is poisoned when its sequence is in the set. */
    bool poison[4096];
    bool distinct_reasons; /* each poisoned record is refused for a reason of its own */
    bool reason_in_text;   /* the reason stands in err only */
    bool good_first;       /* of a view with a poisoned record the others are confirmed */
    uint32_t confirm;      /* with an outcome other than KX_SENT: this many records are confirmed */
    uint32_t confirm_next; /* ... and this many of the batch behind */
    uint64_t retry_after_ns;
    uint64_t bytes_max; /* larger views are refused with KX_RETRY and this limit */
    enum kx_outcome idle;
    enum kx_code open;
    /* Takes the place of all this. */
    enum kx_outcome (*deliver)(struct kx_batch *, const struct kx_call *, struct kx_error *);
    /* What it saw. */
    uint64_t taken[FAKE_TAKEN_MAX]; /* sequences confirmed, in order */
    size_t taken_count;
    struct fake_call calls[FAKE_CALLS_MAX];
    size_t call_count;
    size_t idle_count;
    uint64_t idle_deadline_ns;
    unsigned opened, closed;
};
static struct fake fake;

static inline void fake_confirm(struct kx_batch *batch, uint32_t i)
{
    if (kx_batch_done(batch, i))
        return;
    kx_batch_mark(batch, i);
    assert_true(fake.taken_count < FAKE_TAKEN_MAX);
    fake.taken[fake.taken_count++] = kx_batch_record(batch, i)->sequence;
}

static inline enum kx_code fake_open(const struct kx_sink_config *config,
                                     const struct kx_sink_env *env,
                                     void **ret_self,
                                     struct kx_error *err)
{
    (void)config;
    assert_non_null(env->counters);
    if (fake.open != KX_OK)
        return kx_error_set(err, fake.open, 0, "no such place");
    fake.opened++;
    *ret_self = &fake;
    return KX_OK;
}

static inline uint64_t fake_poisoned(const struct kx_batch *batch)
{
    for (uint32_t i = batch->first; i < batch->end; i++) {
        uint64_t sequence = kx_batch_record(batch, i)->sequence;
        if (!kx_batch_done(batch, i) && sequence < sizeof fake.poison && fake.poison[sequence])
            return sequence;
    }
    return 0;
}

static inline uint64_t fake_bytes(const struct kx_batch *batch)
{
    uint64_t bytes = 0;
    for (uint32_t i = batch->first; i < batch->end; i++)
        bytes += kx_batch_done(batch, i) ? 0 : kx_batch_record(batch, i)->length;
    return bytes;
}

static inline enum kx_outcome fake_reject(struct kx_batch *batch, struct kx_error *err)
{
    uint64_t poisoned = fake_poisoned(batch);
    unsigned which = fake.distinct_reasons ? (unsigned)poisoned : 0;
    if (fake.reason_in_text)
        kx_error_set(err, KX_ERR_PROTOCOL, 0, "refused, number %u", which);
    else {
        kx_error_set(err, KX_ERR_PROTOCOL, 0, "refused, it holds record %u", (unsigned)poisoned);
        snprintf(batch->reason, sizeof batch->reason, "R%u", which);
    }
    return KX_REJECTED;
}

static inline enum kx_outcome
fake_answer(struct kx_batch *batch, enum kx_outcome outcome, struct kx_error *err)
{
    if (fake.bytes_max > 0 && batch->end - batch->first > 1 && fake_bytes(batch) > fake.bytes_max) {
        batch->bytes_max = fake.bytes_max;
        kx_error_set(err, KX_ERR_LIMIT, 0, "too large");
        return KX_RETRY;
    }
    if (outcome == KX_SENT && fake.good_first && fake_poisoned(batch) != 0)
        for (uint32_t i = batch->first; i < batch->end; i++)
            if (!fake.poison[kx_batch_record(batch, i)->sequence])
                fake_confirm(batch, i);
    if (outcome == KX_REJECTED || (outcome == KX_SENT && fake_poisoned(batch) != 0))
        return fake_reject(batch, err);
    if (outcome == KX_SENT) {
        for (uint32_t i = batch->first; i < batch->end; i++)
            fake_confirm(batch, i);
        return KX_SENT;
    }
    for (uint32_t i = batch->first; i < batch->end && i < batch->first + fake.confirm; i++)
        fake_confirm(batch, i);
    batch->retry_after_ns = fake.retry_after_ns;
    kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "outcome %d", (int)outcome);
    return outcome;
}

static inline enum kx_outcome
fake_deliver(void *self, struct kx_batch *batch, const struct kx_call *call, struct kx_error *err)
{
    assert_ptr_equal(self, &fake);
    assert_true(batch->first < batch->end);
    assert_int_equal(batch->retry_after_ns, 0);
    assert_int_equal(batch->bytes_max, 0);
    assert_int_equal(batch->reason[0], 0);
    if (fake.deliver != NULL)
        return fake.deliver(batch, call, err);
    struct fake_call *seen = &fake.calls[fake.call_count % FAKE_CALLS_MAX];
    *seen = (struct fake_call){batch->first, batch->end, batch->tries, batch->next != NULL,
                               call->deadline_ns};
    enum kx_outcome outcome =
        fake.call_count < fake.script_length ? fake.script[fake.call_count] : fake.then;
    fake.call_count++;
    outcome = fake_answer(batch, outcome, err);
    for (uint32_t i = 0; batch->next != NULL && i < fake.confirm_next && i < batch->next->end; i++)
        fake_confirm(batch->next, i);
    if (batch->next != NULL) { /* and is untidy */
        batch->next->retry_after_ns = batch->next->bytes_max = 1;
        batch->next->reason[0] = '?';
    }
    return outcome;
}

static inline enum kx_outcome
fake_idle(void *self, const struct kx_call *call, struct kx_error *err)
{
    assert_ptr_equal(self, &fake);
    fake.idle_count++;
    fake.idle_deadline_ns = call->deadline_ns;
    if (fake.idle != KX_SENT)
        kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "idle outcome %d", (int)fake.idle);
    return fake.idle;
}

static inline void fake_close(void *self)
{
    assert_ptr_equal(self, &fake);
    fake.closed++;
}

static struct kx_sink_ops fake_ops = {.type = "fake",
                                      .newest_per_device = false,
                                      .open = fake_open,
                                      .deliver = fake_deliver,
                                      .idle = fake_idle,
                                      .close = fake_close};

static inline void fake_reset(void)
{
    memset(&fake, 0, sizeof fake);
    fake_ops.newest_per_device = false;
    fake_ops.idle = fake_idle;
}

#endif
