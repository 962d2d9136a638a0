/* One sink's two threads: their loops, their log lines, their start and their end. */
#include "batch/pipe.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rcu.h"
#include "base/wake.h"
#include "batch/presence.h"
#include "batch/queue.h"
#include "batch/sender.h"
#include "batch/worker.h"
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    THREAD_NAME_MAX = 16, /* the kernel's limit */
    STATE_LINES_MAX = 4,  /* in each KX_LOG_REPEAT_S; a sink that comes and goes is not a novel */
};
#define UNSTART_NS (40 * KX_NS_PER_S) /* above what one call of a sink may take */

struct thread {
    pthread_t id;
    bool started; /* main's; false again once joined */
    bool ended;   /* under the pipe's mutex */
    char name[THREAD_NAME_MAX];
};

struct kx_pipe {
    struct kx_ring *ring;
    unsigned reader;
    struct kx_rcu_slot *settings; /* struct kx_sink_settings, owned */
    struct kx_queue *queue;
    struct kx_worker *worker;
    struct kx_sender *sender;
    struct kx_presence *presence; /* NULL = nobody is watched */
    struct kx_wake *sender_wake;
    struct kx_counters *worker_counters, *sender_counters;
    struct kx_histograms *histograms; /* the sender's */
    int stop_fd;                      /* a timer: readable from the abort deadline on */
    char component[KX_BOARD_NAME_MAX];
    struct thread worker_thread, sender_thread;
    /* pthread_clockjoin_np would do without these, but ThreadSanitizer does not know it. */
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    /* What the sender's loop has logged. */
    enum kx_sink_state logged_state;
    enum kx_sink_state state;
    uint64_t entered_ns; /* boot clock: that state */
    uint64_t lines_until_ns;
    unsigned lines;
    struct kx_log_limit condemned_limit, letters_limit;
    /* What the worker's loop has logged. */
    bool logged_pressure;
    struct kx_log_limit pressure_limit;
};

/* --- log --- */

static const char *outcome_name(enum kx_outcome outcome)
{
    switch (outcome) {
    case KX_SENT:
        return "sent";
    case KX_RETRY:
        return "to be tried again";
    case KX_HOLD:
        return "held";
    case KX_REJECTED:
        return "rejected";
    case KX_GONE:
        return "gone";
    }
    return "unknown";
}

/* Says the state when it is another one than was said last. */
static void log_state(struct kx_pipe *pipe, const struct kx_sink_status *status, uint64_t now_ns)
{
    if (status->state == pipe->logged_state)
        return;
    if (now_ns >= pipe->lines_until_ns) {
        pipe->lines_until_ns = now_ns + KX_LOG_REPEAT_S * KX_NS_PER_S;
        pipe->lines = 0;
    }
    if (pipe->lines == STATE_LINES_MAX)
        return; /* a later step says it, if it is still so */
    pipe->lines++;
    switch (status->state) {
    case KX_SINK_STARTING:
        break;
    case KX_SINK_OK:
        kx_log(KX_LOG_INFO, pipe->component,
               pipe->logged_state == KX_SINK_STARTING ? "delivering" : "delivering again");
        break;
    case KX_SINK_RETRYING:
        kx_log(KX_LOG_WARNING, pipe->component, "cannot deliver, trying again: %s", status->text);
        break;
    case KX_SINK_HELD:
        kx_log(KX_LOG_ERROR, pipe->component, "held, tried again each minute and on SIGHUP: %s",
               status->text);
        break;
    case KX_SINK_GONE:
        kx_log(KX_LOG_WARNING, pipe->component,
               "over, what still comes for it is dropped and counted: %s", status->text);
        break;
    }
    pipe->logged_state = status->state;
}

static void log_sender(struct kx_pipe *pipe, uint64_t now_ns)
{
    const struct kx_sender_report *report = kx_sender_report(pipe->sender);
    if (report->changed) {
        kx_log(KX_LOG_DEBUG, pipe->component, "state %s, after %.3f s of %s",
               kx_sink_state_name(report->status->state), (double)(now_ns - pipe->entered_ns) / 1e9,
               kx_sink_state_name(pipe->state));
        pipe->state = report->status->state;
        pipe->entered_ns = now_ns;
    }
    log_state(pipe, report->status, now_ns);
    if (report->reopened)
        kx_log(KX_LOG_INFO, pipe->component, "opened anew with the changed settings");
    if (report->reopen_err != NULL)
        kx_log(KX_LOG_ERROR, pipe->component,
               "cannot be opened with the changed settings and goes on with the old ones: %s",
               report->reopen_err->text);
    if (report->letters_err != NULL)
        kx_log_limited(&pipe->letters_limit, now_ns, KX_LOG_ERROR, pipe->component,
                       "refused records are dropped until this is mended: %s",
                       report->letters_err->text);
    if (report->condemned > 0)
        kx_log_limited(&pipe->condemned_limit, now_ns, KX_LOG_WARNING, pipe->component,
                       "%" PRIu32 " records refused for good, %" PRIu32
                       " of them kept as dead letters, the last one: %s",
                       report->condemned, report->kept, report->err->text);
    if (report->called && kx_log_enabled(KX_LOG_DEBUG))
        kx_log(KX_LOG_DEBUG, pipe->component,
               "batch %" PRIu64 ": %" PRIu32 " records %s in %.1f ms, %" PRIu32
               " delivered, the oldest after %.2f s, next try in %.1f s%s%s",
               report->sequence, report->records, outcome_name(report->outcome),
               (double)report->took_ns / 1e6, report->delivered, (double)report->age_ns / 1e9,
               (double)report->wait_ns / 1e9, report->err != NULL ? ": " : "",
               report->err != NULL ? report->err->text : "");
}

static void log_worker(struct kx_pipe *pipe, uint64_t now_ns)
{
    bool pressure = kx_worker_pressure(pipe->worker);
    if (pressure == pipe->logged_pressure)
        return;
    pipe->logged_pressure = pressure;
    if (pressure)
        kx_log_limited(&pipe->pressure_limit, now_ns, KX_LOG_WARNING, pipe->component,
                       "slower than its input: %d batches wait, until they are taken only the "
                       "newest state of a device is kept",
                       KX_QUEUE_PLACES);
    else if (kx_log_enabled(KX_LOG_DEBUG))
        kx_log(KX_LOG_DEBUG, pipe->component, "keeps up again");
}

/* --- the threads --- */

static void announce_end(struct kx_pipe *pipe, struct thread *thread)
{
    pthread_mutex_lock(&pipe->mutex);
    thread->ended = true;
    pthread_cond_signal(&pipe->ended);
    pthread_mutex_unlock(&pipe->mutex);
}

static void *worker_main(void *argument)
{
    struct kx_pipe *pipe = argument;
    struct kx_wake *wake = kx_ring_wake(pipe->ring, pipe->reader);
    kx_rcu_register();
    for (;;) {
        uint64_t until_ns = 0, now_ns = kx_clock_boot_ns();
        enum kx_step step = kx_worker_step(pipe->worker, now_ns, &until_ns);
        kx_rcu_quiescent(); /* no settings are held between two steps */
        log_worker(pipe, now_ns);
        if (step == KX_STEP_END)
            break;
        if (step == KX_STEP_AGAIN)
            continue;
        kx_wake_prepare(wake);
        if (kx_worker_ready(pipe->worker)) {
            kx_wake_cancel(wake);
            continue;
        }
        kx_rcu_offline();
        kx_wake_sleep(wake, until_ns);
        kx_rcu_online();
    }
    kx_rcu_unregister();
    announce_end(pipe, &pipe->worker_thread);
    return NULL;
}

static void *sender_main(void *argument)
{
    struct kx_pipe *pipe = argument;
    for (;;) {
        uint64_t until_ns = 0, now_ns = kx_clock_boot_ns();
        enum kx_step step = kx_sender_step(pipe->sender, now_ns, kx_clock_wall_ns(), &until_ns);
        log_sender(pipe, now_ns);
        if (step == KX_STEP_END)
            break;
        if (step == KX_STEP_AGAIN)
            continue;
        kx_wake_prepare(pipe->sender_wake);
        if (kx_sender_ready(pipe->sender))
            kx_wake_cancel(pipe->sender_wake);
        else
            kx_wake_sleep(pipe->sender_wake, until_ns);
    }
    kx_sender_close(pipe->sender);
    announce_end(pipe, &pipe->sender_thread);
    return NULL;
}

/* --- life --- */

static enum kx_code init_sync(struct kx_pipe *pipe, struct kx_error *err)
{
    pthread_condattr_t attributes;
    int sys = pthread_condattr_init(&attributes);
    if (sys != 0)
        return kx_error_set(err, KX_ERR_NOMEM, sys, "cannot make a condition variable");
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    sys = pthread_cond_init(&pipe->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    if (sys != 0)
        return kx_error_set(err, KX_ERR_NOMEM, sys, "cannot make a condition variable");
    sys = pthread_mutex_init(&pipe->mutex, NULL);
    if (sys != 0) {
        pthread_cond_destroy(&pipe->ended);
        return kx_error_set(err, KX_ERR_NOMEM, sys, "cannot make a mutex");
    }
    return KX_OK;
}

static enum kx_code
init_settings(struct kx_pipe *pipe, const struct kx_sink_config *sink, struct kx_error *err)
{
    struct kx_sink_settings *settings = NULL;
    enum kx_code code = kx_sink_settings_compile(sink, &settings, err);
    if (code == KX_OK)
        code = kx_rcu_slot_create(&pipe->settings, settings, err);
    if (code != KX_OK)
        kx_sink_settings_destroy(settings);
    return code;
}

/* The slot's value is the pipe's own, and nobody reads it any more. */
static struct kx_sink_settings *swap_settings(struct kx_pipe *pipe,
                                              struct kx_sink_settings *settings)
{
    return (struct kx_sink_settings *)(uintptr_t)kx_rcu_set(pipe->settings, settings);
}

static const struct kx_sink_settings *settings_of(void *context)
{
    const struct kx_pipe *pipe = context;
    return kx_rcu_get(pipe->settings);
}

/* Whether records say when they were recorded, not when they came. */
static bool is_old(const struct kx_config *config)
{
    return config->command == KX_COMMAND_REPLAY && config->replay.time == KX_TIME_RECORDED;
}

static enum kx_code
init_parts(struct kx_pipe *pipe, const struct kx_pipe_params *params, struct kx_error *err)
{
    pipe->worker_counters = kx_counters_create();
    pipe->sender_counters = kx_counters_create();
    pipe->histograms = kx_histograms_create();
    if (pipe->worker_counters == NULL || pipe->sender_counters == NULL || pipe->histograms == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for counters");
    pipe->stop_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (pipe->stop_fd < 0)
        return kx_error_set(err, KX_ERR_IO, errno, "cannot make a timer");
    enum kx_code code = kx_wake_create(&pipe->sender_wake, err);
    if (code != KX_OK)
        return code;
    code = kx_queue_create(&pipe->queue, kx_ring_wake(params->ring, params->reader),
                           pipe->sender_wake, err);
    if (code != KX_OK)
        return code;
    code = init_settings(pipe, params->sink, err);
    if (code != KX_OK)
        return code;
    const struct kx_presence_config *watched = &params->sink->mqtt.presence;
    if (watched->macs.count > 0)
        code = kx_presence_create(&pipe->presence, watched, params->config->source_count, err);
    if (code != KX_OK)
        return code;
    struct kx_worker_params worker = {.settings = settings_of,
                                      .settings_context = pipe,
                                      .newest_per_device = params->ops->newest_per_device,
                                      .patient = params->config->command == KX_COMMAND_REPLAY,
                                      .max_devices = params->config->max_devices,
                                      .ring = params->ring,
                                      .reader = params->reader,
                                      .queue = pipe->queue,
                                      .counters = pipe->worker_counters,
                                      .presence = pipe->presence,
                                      .process = params->process};
    code = kx_worker_create(&pipe->worker, &worker, err);
    if (code != KX_OK)
        return code;
    struct kx_sender_params sender = {.sink = params->sink,
                                      .ops = params->ops,
                                      .env = {.config = params->config,
                                              .board = params->board,
                                              .counters = pipe->sender_counters,
                                              .presence = pipe->presence},
                                      .queue = pipe->queue,
                                      .wake = pipe->sender_wake,
                                      .histograms = pipe->histograms,
                                      .fresh = !is_old(params->config),
                                      .stop_fd = pipe->stop_fd,
                                      .index = params->index};
    return kx_sender_create(&pipe->sender, &sender, err);
}

static void free_parts(struct kx_pipe *pipe)
{
    kx_sender_destroy(pipe->sender);
    kx_worker_destroy(pipe->worker);
    if (pipe->settings != NULL)
        kx_sink_settings_destroy(swap_settings(pipe, NULL));
    kx_rcu_slot_destroy(pipe->settings);
    kx_presence_destroy(pipe->presence);
    kx_queue_destroy(pipe->queue);
    kx_wake_destroy(pipe->sender_wake);
    if (pipe->stop_fd >= 0)
        close(pipe->stop_fd);
    kx_counters_destroy(pipe->sender_counters);
    kx_counters_destroy(pipe->worker_counters);
    kx_histograms_destroy(pipe->histograms);
    pthread_mutex_destroy(&pipe->mutex);
    pthread_cond_destroy(&pipe->ended);
    free(pipe);
}

enum kx_code
kx_pipe_create(struct kx_pipe **ret_pipe, const struct kx_pipe_params *params, struct kx_error *err)
{
    struct kx_pipe *pipe = calloc(1, sizeof *pipe);
    if (pipe == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a sink");
    pipe->entered_ns = kx_clock_boot_ns();
    pipe->ring = params->ring;
    pipe->reader = params->reader;
    pipe->stop_fd = -1;
    const char *name = params->sink->name;
    snprintf(pipe->component, sizeof pipe->component, "sink %s", name);
    snprintf(pipe->worker_thread.name, THREAD_NAME_MAX, "w:%s", name);
    snprintf(pipe->sender_thread.name, THREAD_NAME_MAX, "s:%s", name);
    enum kx_code code = init_sync(pipe, err);
    if (code != KX_OK) {
        free(pipe);
        return code;
    }
    code = init_parts(pipe, params, err);
    if (code != KX_OK) {
        free_parts(pipe);
        return code;
    }
    *ret_pipe = pipe;
    return KX_OK;
}

void kx_pipe_destroy(struct kx_pipe *pipe)
{
    if (pipe == NULL || pipe->worker_thread.started || pipe->sender_thread.started)
        return;
    free_parts(pipe);
}

static enum kx_code start_thread(struct kx_pipe *pipe,
                                 struct thread *thread,
                                 void *(*run)(void *),
                                 struct kx_error *err)
{
    int sys = pthread_create(&thread->id, NULL, run, pipe);
    if (sys != 0)
        return kx_error_set(err, KX_ERR_IO, sys, "cannot start the thread %s", thread->name);
    thread->started = true;
    pthread_setname_np(thread->id, thread->name);
    return KX_OK;
}

enum kx_code kx_pipe_start(struct kx_pipe *pipe, struct kx_error *err)
{
    enum kx_code code = start_thread(pipe, &pipe->sender_thread, sender_main, err);
    if (code != KX_OK)
        return code;
    code = start_thread(pipe, &pipe->worker_thread, worker_main, err);
    if (code != KX_OK) {
        uint64_t now_ns = kx_clock_boot_ns();
        kx_pipe_stop(pipe, now_ns, now_ns);
        kx_queue_close(pipe->queue);
        kx_pipe_join(pipe, now_ns + UNSTART_NS, NULL);
    }
    return code;
}

void kx_pipe_stop(struct kx_pipe *pipe, uint64_t flush_deadline_ns, uint64_t abort_deadline_ns)
{
    KX_ASSERT(flush_deadline_ns > 0 && abort_deadline_ns > 0);
    struct itimerspec when = {.it_value = {.tv_sec = (time_t)(abort_deadline_ns / KX_NS_PER_S),
                                           .tv_nsec = (long)(abort_deadline_ns % KX_NS_PER_S)}};
    int failed = timerfd_settime(pipe->stop_fd, TFD_TIMER_ABSTIME, &when, NULL);
    KX_ASSERT(failed == 0);
    /* No try after the abort: it would be told to end at once. */
    uint64_t flush_ns =
        flush_deadline_ns < abort_deadline_ns ? flush_deadline_ns : abort_deadline_ns;
    kx_worker_stop(pipe->worker, flush_ns);
    kx_sender_stop(pipe->sender, flush_ns);
}

/* Whether the thread announced its end before the deadline. */
static bool wait_end(struct kx_pipe *pipe, const struct thread *thread, uint64_t deadline_ns)
{
    pthread_mutex_lock(&pipe->mutex);
    uint64_t now_ns;
    /* A second at a time: the condition runs on the monotonic clock, the deadline on the one that
     * counts a suspended machine's time too. */
    while (!thread->ended && (now_ns = kx_clock_boot_ns()) < deadline_ns) {
        uint64_t left = deadline_ns - now_ns < KX_NS_PER_S ? deadline_ns - now_ns : KX_NS_PER_S;
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        uint64_t ns = (uint64_t)until.tv_nsec + left;
        until.tv_sec += (time_t)(ns / KX_NS_PER_S);
        until.tv_nsec = (long)(ns % KX_NS_PER_S);
        pthread_cond_timedwait(&pipe->ended, &pipe->mutex, &until);
    }
    bool ended = thread->ended;
    pthread_mutex_unlock(&pipe->mutex);
    return ended;
}

static bool join_thread(struct kx_pipe *pipe, struct thread *thread, uint64_t deadline_ns)
{
    if (!thread->started)
        return true;
    if (!wait_end(pipe, thread, deadline_ns))
        return false;
    pthread_join(thread->id, NULL);
    thread->started = false;
    return true;
}

enum kx_code kx_pipe_join(struct kx_pipe *pipe, uint64_t deadline_ns, struct kx_error *err)
{
    bool worker = join_thread(pipe, &pipe->worker_thread, deadline_ns);
    bool sender = join_thread(pipe, &pipe->sender_thread, deadline_ns);
    if (worker && sender)
        return KX_OK;
    return kx_error_set(
        err, KX_ERR_TIMEOUT, 0,
        "%s: thread %s does not end and is left behind with %" PRIu64 " records", pipe->component,
        worker ? pipe->sender_thread.name : pipe->worker_thread.name, kx_pipe_totals(pipe).pending);
}

void kx_pipe_poke(struct kx_pipe *pipe)
{
    kx_sender_poke(pipe->sender);
}

struct kx_sink_settings *kx_pipe_publish(struct kx_pipe *pipe, struct kx_sink_settings *settings)
{
    return swap_settings(pipe, settings);
}

void kx_pipe_reopen(struct kx_pipe *pipe, struct kx_sink_config *config)
{
    kx_sender_reopen(pipe->sender, config);
}

struct kx_sink_totals kx_pipe_totals(const struct kx_pipe *pipe)
{
    return kx_sink_totals_sum(pipe->worker_counters, pipe->sender_counters, kx_pipe_pending(pipe));
}

uint64_t kx_pipe_pending(const struct kx_pipe *pipe)
{
    return kx_worker_pending(pipe->worker) + kx_queue_pending(pipe->queue);
}

uint64_t kx_pipe_worker_alive_ns(const struct kx_pipe *pipe)
{
    return kx_worker_alive_ns(pipe->worker);
}

uint64_t kx_pipe_sender_alive_ns(const struct kx_pipe *pipe)
{
    return kx_sender_alive_ns(pipe->sender);
}

const struct kx_histograms *kx_pipe_histograms(const struct kx_pipe *pipe)
{
    return pipe->histograms;
}

uint64_t kx_pipe_alive_ns(const struct kx_pipe *pipe)
{
    uint64_t worker_ns = kx_worker_alive_ns(pipe->worker);
    uint64_t sender_ns = kx_sender_alive_ns(pipe->sender);
    return worker_ns < sender_ns ? worker_ns : sender_ns;
}

const struct kx_counters *kx_pipe_worker_counters(const struct kx_pipe *pipe)
{
    return pipe->worker_counters;
}

const struct kx_counters *kx_pipe_sender_counters(const struct kx_pipe *pipe)
{
    return pipe->sender_counters;
}
