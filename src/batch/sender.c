/* The sender's state machine; its rules stand in the header. */
#include "batch/sender.h"

#include "base/backoff.h"
#include "base/clock.h"
#include "batch/deadletter.h"
#include "batch/isolate.h"
#include "config/reload.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_MIN_NS (KX_NS_PER_S / 2)
#define BACKOFF_MAX_NS (30 * KX_NS_PER_S)
#define RETRY_AFTER_MAX_NS (3600 * KX_NS_PER_S)
#define HOLD_NS (60 * KX_NS_PER_S)
#define CALL_NS (30 * KX_NS_PER_S)
#define IDLE_NS KX_NS_PER_S
#define BOARD_NS KX_NS_PER_S
#define ALIVE_NS (5 * KX_NS_PER_S) /* grace above what a step or a call may take */

enum calling { CALLING_NOTHING, CALLING_DELIVER, CALLING_IDLE };

struct kx_sender {
    struct kx_sender_params params;
    void *self;
    bool closed;
    struct kx_sink_config *config; /* what the sink was opened with anew; NULL = params.sink */
    bool reopen_later;             /* the present batch comes first */
    struct kx_error reopen_err;
    struct kx_isolate isolate;
    struct kx_dead_letters *letters; /* NULL = none are kept */
    bool letters_failed;             /* and it was said */
    struct kx_error letters_err;
    struct kx_backoff backoff;
    uint64_t begun;         /* sequence of the batch that isolate is about */
    uint64_t not_before_ns; /* the next call's earliest time; 0 = now */
    uint64_t idle_due_ns;
    uint64_t bytes_max; /* learnt from the far end; 0 = none */
    bool waiting;       /* a batch is there, but its time has not come */
    bool discarding;    /* every batch is settled as `discard_as` */
    enum kx_counter discard_as;
    uint64_t stop_ns; /* the flush deadline as last seen; 0 = no stop */
    /* The call that the last step made, to be concluded by the next. */
    enum calling calling;
    struct kx_batch view;
    uint32_t tries;
    enum kx_outcome outcome;
    struct kx_error err;
    uint64_t called_ns;
    struct kx_sink_status status;
    uint64_t board_ns; /* when the board was last written */
    bool board_stale;
    struct kx_sender_report report;
    _Atomic uint64_t stop;
    _Atomic bool poke;
    _Atomic(struct kx_sink_config *) reopen; /* wanted; NULL = nothing is */
    _Atomic uint64_t alive;
};

enum kx_code kx_sender_create(struct kx_sender **ret_sender,
                              const struct kx_sender_params *params,
                              struct kx_error *err)
{
    struct kx_sender *sender = calloc(1, sizeof *sender);
    if (sender == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a sender");
    sender->params = *params;
    kx_backoff_init(&sender->backoff, BACKOFF_MIN_NS, BACKOFF_MAX_NS);
    atomic_init(&sender->stop, 0);
    atomic_init(&sender->poke, false);
    atomic_init(&sender->reopen, NULL);
    atomic_init(&sender->alive, UINT64_MAX);
    snprintf(sender->status.name, sizeof sender->status.name, "%s", params->sink->name);
    enum kx_code code =
        kx_dead_letters_create(&sender->letters, params->sink, params->env.counters, err);
    if (code == KX_OK)
        code = params->ops->open(params->sink, &sender->params.env, &sender->self, err);
    if (code != KX_OK) {
        kx_dead_letters_destroy(sender->letters);
        free(sender);
        return code;
    }
    kx_board_sink_set(params->env.board, params->index, &sender->status);
    *ret_sender = sender;
    return KX_OK;
}

void kx_sender_close(struct kx_sender *sender)
{
    if (!sender->closed)
        sender->params.ops->close(sender->self);
    sender->closed = true;
    atomic_store_explicit(&sender->alive, UINT64_MAX, memory_order_relaxed);
}

void kx_sender_destroy(struct kx_sender *sender)
{
    if (sender == NULL)
        return;
    kx_sender_close(sender);
    kx_dead_letters_destroy(sender->letters);
    kx_sink_config_destroy(sender->config);
    kx_sink_config_destroy(atomic_load_explicit(&sender->reopen, memory_order_relaxed));
    free(sender);
}

void kx_sender_stop(struct kx_sender *sender, uint64_t flush_deadline_ns)
{
    atomic_store_explicit(&sender->stop, flush_deadline_ns, memory_order_seq_cst);
    kx_wake_signal(sender->params.wake);
}

void kx_sender_poke(struct kx_sender *sender)
{
    atomic_store_explicit(&sender->poke, true, memory_order_seq_cst);
    kx_wake_signal(sender->params.wake);
}

void kx_sender_reopen(struct kx_sender *sender, struct kx_sink_config *config)
{
    kx_sink_config_destroy(atomic_exchange_explicit(&sender->reopen, config, memory_order_seq_cst));
    kx_wake_signal(sender->params.wake);
}

uint64_t kx_sender_alive_ns(const struct kx_sender *sender)
{
    return atomic_load_explicit(&sender->alive, memory_order_relaxed);
}

const struct kx_sender_report *kx_sender_report(const struct kx_sender *sender)
{
    return &sender->report;
}

bool kx_sender_ready(struct kx_sender *sender)
{
    /* seq_cst loads: the sleeper's half of the handshake with stop, poke and reopen. */
    if (!sender->reopen_later &&
        atomic_load_explicit(&sender->reopen, memory_order_seq_cst) != NULL)
        return true;
    if (atomic_load_explicit(&sender->stop, memory_order_seq_cst) != sender->stop_ns ||
        atomic_load_explicit(&sender->poke, memory_order_seq_cst))
        return true;
    return !sender->waiting &&
           (kx_queue_first(sender->params.queue) != NULL || kx_queue_ended(sender->params.queue));
}

/* --- what the sink says of itself --- */

static void write_board(struct kx_sender *sender, uint64_t now_ns)
{
    kx_board_sink_set(sender->params.env.board, sender->params.index, &sender->status);
    sender->board_ns = now_ns;
    sender->board_stale = false;
}

static void set_state(struct kx_sender *sender,
                      enum kx_sink_state state,
                      const char *text,
                      uint64_t now_ns,
                      int64_t wall_ns)
{
    struct kx_sink_status *status = &sender->status;
    bool moved = status->state != state;
    if (!moved && strcmp(status->text, text) == 0)
        return;
    status->state = state;
    snprintf(status->text, sizeof status->text, "%s", text);
    if (moved) {
        status->since_ns = wall_ns;
        sender->report.changed = true;
    }
    write_board(sender, now_ns);
}

/* --- settling --- */

/* How long after their receipt records are confirmed. */
static void observe_freshness(struct kx_sender *sender, struct kx_sealed *sealed, int64_t wall_ns)
{
    if (sender->params.histograms != NULL && sender->params.fresh)
        kx_sealed_observe(sealed, sender->params.histograms, wall_ns);
}

/* Counts what the far end confirmed, in this batch and in the one that a sink may have begun.
 * Returns how many of this batch; *ret_ahead: of the other. */
static uint32_t
settle_done(struct kx_sender *sender, struct kx_sealed *first, int64_t wall_ns, uint32_t *ret_ahead)
{
    struct kx_counters *counters = sender->params.env.counters;
    observe_freshness(sender, first, wall_ns);
    if (sender->view.next != NULL)
        observe_freshness(sender, kx_queue_second(sender->params.queue), wall_ns);
    uint32_t settled = kx_sealed_settle_done(first, counters);
    *ret_ahead = 0;
    if (sender->view.next != NULL)
        *ret_ahead = kx_sealed_settle_done(kx_queue_second(sender->params.queue), counters);
    kx_queue_settled(sender->params.queue, settled + *ret_ahead);
    return settled;
}

/* The proven ones that are still bad. Returns how many. */
static uint32_t list_letters(const struct kx_sender *sender,
                             const struct kx_sealed *sealed,
                             struct kx_dead_letter letters[KX_REJECTED_RUN],
                             uint32_t slots[KX_REJECTED_RUN])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < sender->isolate.proven; i++) {
        const struct kx_isolate_aside *aside = &sender->isolate.aside[i];
        if (kx_batch_done(&sealed->view, aside->slot))
            continue; /* confirmed after all, by a call that came later */
        letters[count] =
            (struct kx_dead_letter){.record = kx_store_record(&sealed->store, aside->slot),
                                    .reason = aside->reason,
                                    .text = aside->text};
        slots[count++] = aside->slot;
    }
    return count;
}

/* The one place where records are given up because the far end refuses them: the proven ones. They
 * become dead letters where that is possible. */
static void
condemn(struct kx_sender *sender, struct kx_sealed *sealed, uint64_t now_ns, int64_t wall_ns)
{
    struct kx_dead_letter letters[KX_REJECTED_RUN];
    uint32_t slots[KX_REJECTED_RUN];
    uint32_t count = list_letters(sender, sealed, letters, slots);
    if (count > 0) { /* a disk may take as long as a sink */
        uint64_t alive_ns = now_ns + CALL_NS + ALIVE_NS;
        atomic_store_explicit(&sender->alive, alive_ns, memory_order_relaxed);
    }
    uint32_t kept =
        kx_dead_letters_write(sender->letters, letters, count, wall_ns, &sender->letters_err);
    for (uint32_t i = 0; i < count; i++) {
        kx_sealed_settle(sealed, slots[i], sender->params.env.counters,
                         i < kept ? KX_C_DEAD_LETTERED : KX_C_SENDER_DROPPED_REJECTED);
        kx_queue_lose(sender->params.queue, letters[i].record);
    }
    kx_queue_settled(sender->params.queue, count);
    kx_isolate_forget_proven(&sender->isolate);
    if (count == 0)
        return;
    sender->report.condemned += count;
    sender->report.kept += kept;
    sender->report.err = &sender->isolate.err;
    bool failed = sender->letters != NULL && kept < count;
    if (failed && !sender->letters_failed)
        sender->report.letters_err = &sender->letters_err;
    sender->letters_failed = failed;
}

/* kx_batch_drop, of the batch that is being delivered. */
static void drop(struct kx_batch *batch, uint32_t i, enum kx_counter reason)
{
    struct kx_sender *sender = batch->engine;
    struct kx_sealed *sealed = kx_queue_first(sender->params.queue);
    KX_ASSERT(i < sealed->records && batch->done == sealed->store.done);
    if (kx_sealed_settle(sealed, i, sender->params.env.counters, reason))
        kx_queue_settled(sender->params.queue, 1);
}

static void discard_from_now(struct kx_sender *sender, enum kx_counter discard_as)
{
    if (sender->discarding)
        return;
    sender->discarding = true;
    sender->discard_as = discard_as;
}

static void finish_batch(struct kx_sender *sender, struct kx_sealed *sealed)
{
    if (sealed->delivered > 0)
        kx_count(sender->params.env.counters, KX_C_BATCHES, 1);
    if (sender->params.histograms != NULL)
        kx_histogram_observe(sender->params.histograms, KX_H_BATCH_RECORDS, sealed->records, 1);
    kx_queue_finish(sender->params.queue);
}

static void
discard_batch(struct kx_sender *sender, struct kx_sealed *sealed, uint64_t now_ns, int64_t wall_ns)
{
    condemn(sender, sealed, now_ns, wall_ns);
    uint32_t rest = kx_sealed_settle_rest(sealed, sender->params.env.counters, sender->discard_as);
    kx_queue_settled(sender->params.queue, rest);
    finish_batch(sender, sealed);
}

/* --- what follows from an outcome --- */

static void wait_for(struct kx_sender *sender, uint64_t now_ns, uint64_t wait_ns)
{
    sender->not_before_ns = now_ns + wait_ns;
    sender->report.wait_ns = wait_ns;
}

static void succeed(struct kx_sender *sender, uint64_t now_ns, int64_t wall_ns)
{
    kx_backoff_reset(&sender->backoff);
    set_state(sender, KX_SINK_OK, "", now_ns, wall_ns);
}

/* asked: how long the far end wants to be left alone; 0 = it did not say. */
static void retry(struct kx_sender *sender, uint64_t asked, uint64_t now_ns, int64_t wall_ns)
{
    uint64_t wait = kx_backoff_next_ns(&sender->backoff);
    if (asked > RETRY_AFTER_MAX_NS)
        asked = RETRY_AFTER_MAX_NS;
    /* The far end's own word, with a little jitter above it: it tells every client the same. */
    if (asked > 0)
        wait = asked + wait % (asked / 8 + 1);
    kx_count(sender->params.env.counters, KX_C_RETRIES, 1);
    wait_for(sender, now_ns, wait);
    set_state(sender, KX_SINK_RETRYING, sender->err.text, now_ns, wall_ns);
}

static void hold(struct kx_sender *sender, const char *text, uint64_t now_ns, int64_t wall_ns)
{
    kx_count(sender->params.env.counters, KX_C_HOLDS, 1);
    kx_isolate_held(&sender->isolate);
    wait_for(sender, now_ns, HOLD_NS);
    set_state(sender, KX_SINK_HELD, text, now_ns, wall_ns);
    /* Nobody will mend it within the seconds of a flush. */
    if (sender->stop_ns != 0)
        discard_from_now(sender, KX_C_SENDER_DROPPED_STOP);
}

static void
hold_all(struct kx_sender *sender, const struct kx_sealed *sealed, uint64_t now_ns, int64_t wall_ns)
{
    char text[KX_BOARD_TEXT_MAX];
    snprintf(text, sizeof text, "rejected_all: every record is refused: %.*s",
             KX_BOARD_TEXT_MAX - 64, sender->isolate.err.text);
    kx_isolate_again(&sender->isolate, sealed);
    hold(sender, text, now_ns, wall_ns);
}

static void gone(struct kx_sender *sender, uint64_t now_ns, int64_t wall_ns)
{
    discard_from_now(sender, KX_C_SENDER_DROPPED_GONE);
    kx_queue_set_gone(sender->params.queue);
    set_state(sender, KX_SINK_GONE, sender->err.text, now_ns, wall_ns);
}

static uint64_t view_bytes(const struct kx_batch *view)
{
    uint64_t bytes = 0;
    for (uint32_t i = view->first; i < view->end; i++)
        if (!kx_batch_done(view, i))
            bytes += kx_batch_record(view, i)->length;
    return bytes;
}

static bool too_large(const struct kx_sender *sender, const struct kx_batch *view)
{
    return sender->bytes_max > 0 && view->end - view->first > 1 &&
           view_bytes(view) > sender->bytes_max;
}

static void learn_bytes_max(struct kx_sender *sender, uint64_t learnt)
{
    if (learnt == 0 || (sender->bytes_max > 0 && learnt >= sender->bytes_max))
        return;
    sender->bytes_max = learnt;
    kx_queue_set_bytes_max(sender->params.queue, learnt);
}

static void
rejected(struct kx_sender *sender, struct kx_sealed *sealed, uint64_t now_ns, int64_t wall_ns)
{
    kx_count(sender->params.env.counters, KX_C_REJECTIONS, 1);
    /* The far end answers: what comes next is no repetition. */
    kx_backoff_reset(&sender->backoff);
    if (sender->view.end - sender->view.first > 1) {
        kx_isolate_split(&sender->isolate);
        if (sender->isolate.took)
            set_state(sender, KX_SINK_OK, "", now_ns, wall_ns);
        return;
    }
    if (kx_isolate_full(&sender->isolate))
        condemn(sender, sealed, now_ns, wall_ns);
    if (kx_isolate_set_aside(&sender->isolate, &sender->view, &sender->err))
        hold_all(sender, sealed, now_ns, wall_ns);
}

static void conclude_delivery(struct kx_sender *sender,
                              enum kx_outcome outcome,
                              uint64_t now_ns,
                              int64_t wall_ns)
{
    struct kx_sealed *sealed = kx_queue_first(sender->params.queue);
    if (outcome == KX_SENT)
        for (uint32_t i = sender->view.first; i < sender->view.end; i++)
            kx_batch_mark(&sender->view, i);
    uint32_t ahead;
    uint32_t delivered = settle_done(sender, sealed, wall_ns, &ahead);
    sender->report.called = true;
    sender->report.outcome = outcome;
    sender->report.sequence = sealed->sequence;
    sender->report.records = sender->view.end - sender->view.first;
    sender->report.delivered = delivered;
    sender->report.took_ns = now_ns - sender->called_ns;
    if (sender->params.histograms != NULL)
        kx_histogram_observe(sender->params.histograms, KX_H_LATENCY, sender->report.took_ns, 1);
    sender->report.age_ns = now_ns - sealed->opened_ns;
    if (outcome != KX_SENT)
        sender->report.err = &sender->err;
    if (delivered + ahead > 0) {
        sender->status.last_delivery_ns = wall_ns;
        sender->board_stale = true;
        kx_isolate_took(&sender->isolate);
    }
    learn_bytes_max(sender, sender->view.bytes_max);
    /* Of a view that is too large, splitting is what comes next, not a wait and not a verdict. */
    if ((outcome == KX_RETRY || outcome == KX_REJECTED) && too_large(sender, &sender->view)) {
        sender->tries = 0;
        return;
    }
    sender->tries = outcome == KX_RETRY ? sender->tries + 1 : 0;
    switch (outcome) {
    case KX_SENT:
        succeed(sender, now_ns, wall_ns);
        break;
    case KX_RETRY:
        retry(sender, sender->view.retry_after_ns, now_ns, wall_ns);
        break;
    case KX_HOLD:
        hold(sender, sender->err.text, now_ns, wall_ns);
        break;
    case KX_REJECTED:
        rejected(sender, sealed, now_ns, wall_ns);
        break;
    case KX_GONE:
        gone(sender, now_ns, wall_ns);
        break;
    }
}

static void
conclude_idle(struct kx_sender *sender, enum kx_outcome outcome, uint64_t now_ns, int64_t wall_ns)
{
    sender->idle_due_ns = now_ns + IDLE_NS;
    switch (outcome) {
    case KX_SENT:
        succeed(sender, now_ns, wall_ns);
        break;
    case KX_REJECTED: /* there was nothing to refuse */
    case KX_RETRY:
        retry(sender, 0, now_ns, wall_ns);
        break;
    case KX_HOLD:
        hold(sender, sender->err.text, now_ns, wall_ns);
        break;
    case KX_GONE:
        gone(sender, now_ns, wall_ns);
        break;
    }
}

static void conclude(struct kx_sender *sender, uint64_t now_ns, int64_t wall_ns)
{
    enum calling calling = sender->calling;
    sender->calling = CALLING_NOTHING;
    if (calling == CALLING_DELIVER)
        conclude_delivery(sender, sender->outcome, now_ns, wall_ns);
    else if (calling == CALLING_IDLE)
        conclude_idle(sender, sender->outcome, now_ns, wall_ns);
}

/* --- steps --- */

static void begin_call(struct kx_sender *sender, uint64_t now_ns, struct kx_call *ret_call)
{
    uint64_t deadline = now_ns + CALL_NS;
    if (sender->stop_ns != 0 && sender->stop_ns < deadline)
        deadline = sender->stop_ns;
    *ret_call = (struct kx_call){.deadline_ns = deadline, .stop_fd = sender->params.stop_fd};
    atomic_store_explicit(&sender->alive, deadline + ALIVE_NS, memory_order_relaxed);
    sender->called_ns = now_ns;
    sender->err = (struct kx_error){0};
}

/* The batch that a sink may begin early: only behind the last view, or its records would overtake.
 */
static struct kx_batch *batch_behind(struct kx_sender *sender)
{
    if (sender->isolate.depth != 1)
        return NULL;
    struct kx_sealed *second = kx_queue_second(sender->params.queue);
    return second != NULL ? &second->view : NULL;
}

static void
deliver(struct kx_sender *sender, struct kx_sealed *sealed, uint64_t now_ns, int64_t wall_ns)
{
    if (sender->begun != sealed->sequence) {
        sender->begun = sealed->sequence;
        kx_isolate_begin(&sender->isolate, sealed);
    }
    struct kx_batch *view = &sender->view;
    if (!kx_isolate_next(&sender->isolate, sealed, view)) {
        if (kx_isolate_all(&sender->isolate, sealed)) {
            hold_all(sender, sealed, now_ns, wall_ns);
            return;
        }
        condemn(sender, sealed, now_ns, wall_ns);
        finish_batch(sender, sealed);
        /* It answers, and nothing waits for it any more. */
        if (sender->status.state == KX_SINK_RETRYING || sender->status.state == KX_SINK_HELD)
            succeed(sender, now_ns, wall_ns);
        return;
    }
    if (too_large(sender, view)) {
        kx_isolate_split(&sender->isolate);
        return;
    }
    view->tries = sender->tries;
    view->retry_after_ns = view->bytes_max = 0; /* as it was left when it was another's `next` */
    view->reason[0] = '\0';
    view->next = batch_behind(sender);
    view->drop = drop;
    view->engine = sender;
    struct kx_call call;
    begin_call(sender, now_ns, &call);
    sender->outcome = sender->params.ops->deliver(sender->self, view, &call, &sender->err);
    sender->calling = CALLING_DELIVER;
}

static enum kx_step step_idle(struct kx_sender *sender, uint64_t now_ns, uint64_t *ret_until_ns)
{
    if (sender->params.ops->idle == NULL || sender->discarding || sender->stop_ns != 0) {
        *ret_until_ns = sender->discarding ? 0 : sender->stop_ns;
        return KX_STEP_SLEEP;
    }
    uint64_t due = sender->idle_due_ns;
    if (sender->not_before_ns > due)
        due = sender->not_before_ns;
    if (now_ns < due) {
        *ret_until_ns = due;
        return KX_STEP_SLEEP;
    }
    struct kx_call call;
    begin_call(sender, now_ns, &call);
    sender->outcome = sender->params.ops->idle(sender->self, &call, &sender->err);
    sender->calling = CALLING_IDLE;
    return KX_STEP_AGAIN;
}

/* Opens the sink anew, if that is wanted and may be now. first: the batch to be delivered next. */
static void reopen(struct kx_sender *sender, const struct kx_sealed *first)
{
    bool begun = first != NULL && sender->begun == first->sequence;
    sender->reopen_later = sender->discarding || (begun && sender->status.state != KX_SINK_HELD);
    if (sender->reopen_later)
        return;
    struct kx_sink_config *config =
        atomic_exchange_explicit(&sender->reopen, NULL, memory_order_seq_cst);
    if (config == NULL)
        return;
    void *self = NULL;
    struct kx_dead_letters *letters = NULL;
    const struct kx_sink_env *env = &sender->params.env;
    sender->reopen_err = (struct kx_error){0};
    enum kx_code code =
        kx_dead_letters_create(&letters, config, env->counters, &sender->reopen_err);
    if (code == KX_OK)
        code = sender->params.ops->open(config, env, &self, &sender->reopen_err);
    if (code != KX_OK) {
        kx_dead_letters_destroy(letters);
        kx_sink_config_destroy(config);
        sender->report.reopen_err = &sender->reopen_err;
        return;
    }
    sender->params.ops->close(sender->self);
    kx_dead_letters_destroy(sender->letters);
    kx_sink_config_destroy(sender->config);
    sender->letters = letters;
    sender->letters_failed = false;
    sender->bytes_max = 0; /* that was another far end's, perhaps */
    kx_queue_set_bytes_max(sender->params.queue, 0);
    sender->self = self;
    sender->config = config;
    sender->not_before_ns = 0;
    sender->report.reopened = true;
}

/* Takes note of what other threads want. */
static void notice(struct kx_sender *sender, uint64_t now_ns)
{
    uint64_t stop = atomic_load_explicit(&sender->stop, memory_order_seq_cst);
    if (stop != sender->stop_ns) {
        sender->stop_ns = stop;
        sender->not_before_ns = 0;
        kx_backoff_reset(&sender->backoff);
    }
    if (atomic_exchange_explicit(&sender->poke, false, memory_order_seq_cst))
        sender->not_before_ns = 0;
    if (sender->stop_ns != 0 && now_ns >= sender->stop_ns)
        discard_from_now(sender, KX_C_SENDER_DROPPED_STOP);
    if (sender->board_stale && now_ns - sender->board_ns >= BOARD_NS)
        write_board(sender, now_ns);
}

enum kx_step
kx_sender_step(struct kx_sender *sender, uint64_t now_ns, int64_t wall_ns, uint64_t *ret_until_ns)
{
    atomic_store_explicit(&sender->alive, now_ns + ALIVE_NS, memory_order_relaxed);
    sender->report = (struct kx_sender_report){.status = &sender->status};
    sender->waiting = false;
    conclude(sender, now_ns, wall_ns);
    notice(sender, now_ns);
    struct kx_sealed *sealed = kx_queue_first(sender->params.queue);
    reopen(sender, sealed);
    if (sealed == NULL) {
        if (!kx_queue_ended(sender->params.queue))
            return step_idle(sender, now_ns, ret_until_ns);
        write_board(sender, now_ns);
        return KX_STEP_END;
    }
    if (sender->discarding) {
        discard_batch(sender, sealed, now_ns, wall_ns);
        return KX_STEP_AGAIN;
    }
    if (now_ns < sender->not_before_ns) {
        sender->waiting = true;
        *ret_until_ns = sender->not_before_ns;
        if (sender->stop_ns != 0 && sender->stop_ns < *ret_until_ns)
            *ret_until_ns = sender->stop_ns;
        return KX_STEP_SLEEP;
    }
    deliver(sender, sealed, now_ns, wall_ns);
    return KX_STEP_AGAIN;
}
