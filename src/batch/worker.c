/* The worker's state machine; its rules stand in the header. */
#include "batch/worker.h"

#include "base/clock.h"
#include "batch/delta.h"
#include "batch/filter.h"
#include "batch/open_batch.h"
#include "batch/presence.h"
#include <stdatomic.h>
#include <stdlib.h>

enum { SLICE_BYTES = 65536, GROUP = 16 };
#define ALIVE_NS (5 * KX_NS_PER_S)

struct kx_worker {
    struct kx_worker_params params;
    struct kx_open_batch open;
    struct kx_delta *delta;
    const struct kx_sink_settings *settings; /* this step's */
    uint64_t serial;                         /* of the settings that open and delta go by */
    uint64_t refused_seen; /* records that the ring refused, as of the last look */
    uint64_t stop_ns;      /* the deadline as last seen; 0 = no stop */
    bool ended;            /* the ring holds nothing more, ever */
    bool stalled;          /* this step: no batch could be sealed ... */
    bool starved;          /* ... for want of memory, not of a place */
    bool blocked;          /* patient: records were left in the ring */
    _Atomic uint64_t stop;
    _Atomic uint64_t live;
    _Atomic uint64_t alive;
};

static void forget(void *context, const struct kx_record *record)
{
    struct kx_worker *worker = context;
    kx_delta_forget(worker->delta, record->device_id, record->generation);
}

/* Asks for the settings anew. */
static void refresh(struct kx_worker *worker)
{
    worker->settings = worker->params.settings(worker->params.settings_context);
    if (worker->settings->serial == worker->serial)
        return;
    worker->serial = worker->settings->serial;
    kx_open_set_limits(&worker->open, &worker->settings->batch);
    kx_delta_set_rules(worker->delta, &worker->settings->delta);
}

enum kx_code kx_worker_create(struct kx_worker **ret_worker,
                              const struct kx_worker_params *params,
                              struct kx_error *err)
{
    struct kx_worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a worker");
    worker->params = *params;
    enum kx_code code = kx_delta_create(&worker->delta, params->max_devices, params->counters, err);
    if (code != KX_OK) {
        free(worker);
        return code;
    }
    const struct kx_sink_settings *settings = params->settings(params->settings_context);
    kx_open_init(&worker->open, &settings->batch, params->newest_per_device, params->max_devices,
                 params->counters);
    kx_open_on_loss(&worker->open, forget, worker);
    atomic_init(&worker->stop, 0);
    atomic_init(&worker->live, 0);
    atomic_init(&worker->alive, UINT64_MAX);
    *ret_worker = worker;
    return KX_OK;
}

void kx_worker_destroy(struct kx_worker *worker)
{
    if (worker == NULL)
        return;
    kx_open_fini(&worker->open);
    kx_delta_destroy(worker->delta);
    free(worker);
}

void kx_worker_stop(struct kx_worker *worker, uint64_t flush_deadline_ns)
{
    atomic_store_explicit(&worker->stop, flush_deadline_ns, memory_order_seq_cst);
    kx_wake_signal(kx_ring_wake(worker->params.ring, worker->params.reader));
}

uint64_t kx_worker_pending(const struct kx_worker *worker)
{
    return atomic_load_explicit(&worker->live, memory_order_relaxed);
}

uint64_t kx_worker_alive_ns(const struct kx_worker *worker)
{
    return atomic_load_explicit(&worker->alive, memory_order_relaxed);
}

bool kx_worker_pressure(const struct kx_worker *worker)
{
    return worker->open.pressure;
}

bool kx_worker_ready(struct kx_worker *worker)
{
    /* seq_cst load: the sleeper's half of the handshake with kx_worker_stop. */
    if (atomic_load_explicit(&worker->stop, memory_order_seq_cst) != worker->stop_ns)
        return true;
    if (!worker->ended && !worker->blocked &&
        kx_ring_pending(worker->params.ring, worker->params.reader))
        return true;
    /* Without memory a place is no help; the next second's step looks again. */
    return worker->stalled && !worker->starved && kx_queue_room(worker->params.queue);
}

static uint64_t held(const struct kx_worker *worker)
{
    return (uint64_t)kx_open_live(&worker->open) + kx_delta_parked(worker->delta);
}

/* What is held, for others to see: after each change, so that the account is off by no more than
 * the record that is being moved. Relaxed: a gauge; after the thread's end its join orders it. */
static void show(struct kx_worker *worker)
{
    atomic_store_explicit(&worker->live, held(worker), memory_order_relaxed);
}

/* Records that the ring had no room for were offered to this sink too. */
static void count_refused(struct kx_worker *worker)
{
    if (worker->params.process == NULL)
        return;
    uint64_t refused = kx_counter_get(worker->params.process, KX_C_RING_REFUSED_DEVICE) +
                       kx_counter_get(worker->params.process, KX_C_RING_REFUSED_EVENT);
    kx_count(worker->params.counters, KX_C_RECEIVED, refused - worker->refused_seen);
    kx_count(worker->params.counters, KX_C_DROPPED_RING, refused - worker->refused_seen);
    worker->refused_seen = refused;
}

/* Once it failed it is not asked again in this step: a lock a record would be too dear. */
static bool seal(struct kx_worker *worker)
{
    if (worker->stalled)
        return false;
    if (!kx_queue_room(worker->params.queue)) {
        worker->stalled = true;
        return false;
    }
    struct kx_sealed *sealed = kx_queue_blank(worker->params.queue);
    if (!kx_open_seal(&worker->open, sealed)) {
        kx_queue_give_back(worker->params.queue, sealed);
        worker->stalled = worker->starved = true;
        return false;
    }
    kx_queue_push(worker->params.queue, sealed);
    show(worker);
    kx_count(worker->params.counters, KX_C_SEALED, 1);
    return true;
}

static void press(struct kx_worker *worker)
{
    if (worker->params.patient || worker->open.pressure)
        return;
    kx_open_press(&worker->open);
    kx_count(worker->params.counters, KX_C_PRESSURE, 1);
}

static void seal_full(struct kx_worker *worker)
{
    while (kx_open_full(&worker->open) && kx_open_live(&worker->open) > 0)
        if (!seal(worker)) {
            press(worker);
            return;
        }
}

static void
put(struct kx_worker *worker, const struct kx_record *record, uint64_t changed, uint64_t now_ns)
{
    if (!kx_open_fits(&worker->open, record->length))
        seal(worker); /* if it cannot, the record makes the batch full, or replaces another */
    kx_open_add(&worker->open, record, changed, now_ns);
    show(worker);
    seal_full(worker);
}

static void take(struct kx_worker *worker, const struct kx_record *record, uint64_t now_ns)
{
    uint64_t changed;
    /* Before the filter and the delta: what says nothing new still says that it was heard. */
    if (worker->params.presence != NULL)
        kx_presence_hear(worker->params.presence, record, now_ns);
    const struct kx_record *older = kx_delta_displaced(worker->delta, record);
    if (older != NULL)
        put(worker, older, UINT64_MAX, now_ns);
    enum kx_counter reason = kx_filter_match(&worker->settings->filter, record);
    if (reason != KX_COUNTERS) {
        kx_count(worker->params.counters, reason, 1);
        return;
    }
    if (kx_delta_offer(worker->delta, record, now_ns, &changed) == KX_DELTA_PASS)
        put(worker, record, changed, now_ns);
}

/* What was parked and is due; at the end, everything, as long as a batch can take it. */
static void release(struct kx_worker *worker, uint64_t now_ns, bool all)
{
    while (!((all || worker->params.patient) && kx_open_full(&worker->open))) {
        uint64_t changed;
        const struct kx_record *record = kx_delta_due(worker->delta, now_ns, all, &changed);
        if (record == NULL)
            return;
        put(worker, record, changed, now_ns);
    }
}

/* What the sender had to give up is sent again when it is heard again. */
static void forget_lost(struct kx_worker *worker)
{
    struct kx_lost lost[KX_QUEUE_LOST_MAX];
    bool all;
    uint32_t count = kx_queue_take_lost(worker->params.queue, lost, &all);
    for (uint32_t i = 0; i < count; i++)
        kx_delta_forget(worker->delta, lost[i].device_id, lost[i].generation);
    if (all)
        kx_delta_invalidate(worker->delta);
}

/* The next records; while one is decided about, the table's entries of those behind it are on their
 * way. A patient worker may have to stop before any record. */
static enum kx_ring_result
read_group(struct kx_worker *worker, const struct kx_record *group[GROUP], unsigned *ret_count)
{
    enum kx_ring_result result = KX_RING_RECORD;
    unsigned most = worker->params.patient ? 1 : GROUP;
    unsigned count = 0;
    while (count < most) {
        result = kx_ring_read(worker->params.ring, worker->params.reader, &group[count]);
        if (result != KX_RING_RECORD)
            break;
        kx_delta_prefetch(worker->delta, group[count++]);
    }
    *ret_count = count;
    return result;
}

/* Reads up to a slice of the ring. True when there may be more. */
static bool drain(struct kx_worker *worker, uint64_t now_ns, bool past_stop)
{
    bool gone = kx_queue_gone(worker->params.queue);
    if (gone) {
        kx_open_drop(&worker->open, KX_C_DROPPED_GONE);
        kx_delta_drop(worker->delta, KX_C_DROPPED_GONE);
        show(worker);
    }
    size_t taken = 0;
    enum kx_ring_result result = KX_RING_RECORD;
    while (taken < SLICE_BYTES && result == KX_RING_RECORD) {
        worker->blocked = worker->params.patient && !past_stop && kx_open_full(&worker->open);
        if (worker->blocked)
            break;
        const struct kx_record *group[GROUP];
        unsigned count = 0;
        result = read_group(worker, group, &count);
        for (unsigned i = 0; i < count; i++) {
            taken += group[i]->length;
            kx_count(worker->params.counters, KX_C_RECEIVED, 1);
            if (gone)
                kx_count(worker->params.counters, KX_C_DROPPED_GONE, 1);
            else if (past_stop)
                kx_count(worker->params.counters, KX_C_DROPPED_STOP, 1);
            else
                take(worker, group[i], now_ns);
            show(worker);
        }
    }
    kx_ring_release(worker->params.ring, worker->params.reader);
    worker->ended = result == KX_RING_END;
    count_refused(worker);
    return result == KX_RING_RECORD && !worker->blocked;
}

/* Nothing more will be read. */
static enum kx_step
finish(struct kx_worker *worker, uint64_t now_ns, bool past_stop, uint64_t *ret_until_ns)
{
    do
        release(worker, now_ns, true);
    while (kx_open_live(&worker->open) > 0 && seal(worker));
    if (held(worker) > 0 && !past_stop) {
        *ret_until_ns = worker->stop_ns;
        return KX_STEP_SLEEP;
    }
    kx_delta_drop(worker->delta, KX_C_DROPPED_STOP);
    kx_open_drop(&worker->open, KX_C_DROPPED_STOP);
    kx_queue_close(worker->params.queue);
    return KX_STEP_END;
}

/* The earlier of two deadlines, of which 0 is none. */
static uint64_t earlier(uint64_t a, uint64_t b)
{
    return b == 0 || (a != 0 && a < b) ? a : b;
}

static enum kx_step step(struct kx_worker *worker, uint64_t now_ns, uint64_t *ret_until_ns)
{
    worker->stop_ns = atomic_load_explicit(&worker->stop, memory_order_seq_cst);
    bool past_stop = worker->stop_ns != 0 && now_ns >= worker->stop_ns;
    worker->stalled = worker->starved = false;
    refresh(worker);
    forget_lost(worker);
    kx_open_limit_bytes(&worker->open, kx_queue_bytes_max(worker->params.queue));
    seal_full(worker);
    if (!past_stop)
        release(worker, now_ns, false);
    bool more = !worker->ended && drain(worker, now_ns, past_stop);
    /* Before the next slice: a ring that is never empty must not keep a batch from its time. */
    uint64_t due = kx_open_due_ns(&worker->open);
    while (due != 0 && now_ns >= due && seal(worker))
        due = kx_open_due_ns(&worker->open);
    if (more)
        return KX_STEP_AGAIN;
    if (worker->ended || past_stop)
        return finish(worker, now_ns, past_stop, ret_until_ns);
    *ret_until_ns = earlier(worker->stalled ? 0 : due, kx_delta_due_ns(worker->delta, now_ns));
    *ret_until_ns = earlier(*ret_until_ns, worker->stop_ns);
    return KX_STEP_SLEEP;
}

enum kx_step kx_worker_step(struct kx_worker *worker, uint64_t now_ns, uint64_t *ret_until_ns)
{
    atomic_store_explicit(&worker->alive, now_ns + ALIVE_NS, memory_order_relaxed);
    enum kx_step next = step(worker, now_ns, ret_until_ns);
    show(worker);
    if (next == KX_STEP_END)
        atomic_store_explicit(&worker->alive, UINT64_MAX, memory_order_relaxed);
    return next;
}
