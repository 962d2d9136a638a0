/* The ingest loop; the contract stands in the header. */
#include "ingest/loop.h"

#include "base/clock.h"
#include "ingest/recorder.h"
#include "ingest/replay.h"
#include "ingest/rest.h"
#include "ingest/source.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WAIT_MS_MAX = 1000 };
#define ALIVE_NS (5 * KX_NS_PER_S) /* grace above what a turn may wait */

struct kx_loop_news {
    size_t count; /* the start's sources */
    struct news_of {
        bool known; /* the source is still in the configuration */
        struct kx_credential credential;
    } sources[];
};

struct kx_loop {
    const struct kx_config *config;
    struct kx_ring *ring;
    CURLM *rest;
    struct kx_registry *registry;
    struct kx_intake *intake;
    struct kx_identity *identity;
    struct kx_recorder *recorder; /* NULL = nobody captures */
    struct kx_source **sources;   /* source_count, none in a replay */
    size_t source_count;
    struct kx_replay *replay;
    struct curl_waitfd *fds; /* room for every source and the ring's wake-up */
    size_t *fd_counts;       /* of each source in this turn */
    _Atomic bool stop;
    _Atomic uint64_t alive;   /* a gauge for the watchdog; nothing hangs on it: relaxed */
    _Atomic uint32_t devices; /* in the registry; the same */
    _Atomic(struct kx_loop_news *) news; /* from main; who takes the pointer owns it */
    int ended_fd;
    bool complete; /* written by the thread, read after the join */
    bool started;
    pthread_t thread;
};

static enum kx_code create_sources(struct kx_loop *loop,
                                   struct kx_board *board,
                                   struct kx_counters *const *counters,
                                   struct kx_error *err)
{
    const struct kx_config *config = loop->config;
    if (config->command == KX_COMMAND_REPLAY)
        return kx_replay_create(&loop->replay, &config->replay, config->sensor,
                                &config->sources[0].events, loop->intake, loop->ring, board,
                                counters[0], err);
    const struct kx_source_env env = {.rest = loop->rest,
                                      .intake = loop->intake,
                                      .recorder = loop->recorder,
                                      .ring = loop->ring,
                                      .board = board,
                                      .identity = loop->identity,
                                      .once = config->once};
    loop->sources = calloc(config->source_count, sizeof(struct kx_source *));
    if (loop->sources == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the sources");
    for (size_t i = 0; i < config->source_count; i++) {
        enum kx_code code = kx_source_create(&loop->sources[i], &config->sources[i], (uint16_t)i,
                                             &env, counters[i], err);
        if (code != KX_OK)
            return code;
        loop->source_count++;
    }
    return KX_OK;
}

static enum kx_code
create_recorder(struct kx_loop *loop, struct kx_counters *process, struct kx_error *err)
{
    const struct kx_config *config = loop->config;
    if (config->capture.path == NULL || config->command != KX_COMMAND_RUN)
        return KX_OK;
    const struct kx_recorder_params params = {.config = &config->capture,
                                              .sources = config->sources,
                                              .source_count = config->source_count,
                                              .buffer_bytes = KX_RECORDER_BUFFER_BYTES,
                                              .process = process,
                                              .wall_ns = kx_clock_wall_ns(),
                                              .boot_ns = kx_clock_boot_ns()};
    return kx_recorder_create(&loop->recorder, &params, err);
}

enum kx_code kx_loop_create(struct kx_loop **ret_loop,
                            const struct kx_config *config,
                            struct kx_ring *ring,
                            struct kx_board *board,
                            struct kx_counters *const *sources,
                            struct kx_counters *process,
                            struct kx_error *err)
{
    struct kx_loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the ingest");
    atomic_init(&loop->alive, UINT64_MAX);
    loop->config = config;
    loop->ring = ring;
    loop->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->rest = curl_multi_init();
    loop->fds = calloc(config->source_count * KX_SOURCE_FDS_MAX + 1, sizeof(struct curl_waitfd));
    loop->fd_counts = calloc(config->source_count, sizeof(size_t));
    enum kx_code code = KX_OK;
    if (loop->ended_fd < 0)
        code = kx_error_set(err, KX_ERR_IO, errno, "cannot make an eventfd");
    else if (loop->rest == NULL || loop->fds == NULL || loop->fd_counts == NULL)
        code = kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the ingest");
    if (code == KX_OK)
        code = kx_registry_create(&loop->registry, config->max_devices, err);
    if (code == KX_OK)
        code = kx_intake_create(&loop->intake, loop->registry, ring, process, err);
    if (code == KX_OK)
        code = kx_identity_create(&loop->identity, config, err);
    if (code == KX_OK)
        code = create_recorder(loop, process, err);
    if (code == KX_OK)
        code = create_sources(loop, board, sources, err);
    if (code != KX_OK) {
        kx_loop_destroy(loop);
        return code;
    }
    *ret_loop = loop;
    return KX_OK;
}

void kx_loop_destroy(struct kx_loop *loop)
{
    if (loop == NULL)
        return;
    for (size_t i = 0; i < loop->source_count; i++)
        kx_source_destroy(loop->sources[i]);
    free(loop->sources);
    kx_replay_destroy(loop->replay);
    kx_recorder_destroy(loop->recorder);
    kx_intake_destroy(loop->intake);
    kx_identity_destroy(loop->identity);
    kx_registry_destroy(loop->registry);
    curl_multi_cleanup(loop->rest);
    kx_loop_news_destroy(atomic_load_explicit(&loop->news, memory_order_relaxed));
    free(loop->fds);
    free(loop->fd_counts);
    if (loop->ended_fd >= 0)
        close(loop->ended_fd);
    free(loop);
}

/* --- the thread --- */

static bool paused(const struct kx_loop *loop)
{
    if (loop->replay != NULL && kx_replay_paused(loop->replay))
        return true;
    for (size_t i = 0; i < loop->source_count; i++)
        if (kx_source_paused(loop->sources[i]))
            return true;
    return false;
}

static uint64_t tick(struct kx_loop *loop, uint64_t now_ns)
{
    uint64_t next = UINT64_MAX;
    if (loop->replay != NULL)
        next = kx_replay_tick(loop->replay, now_ns);
    for (size_t i = 0; i < loop->source_count; i++) {
        uint64_t source_next = kx_source_tick(loop->sources[i], now_ns);
        next = source_next < next ? source_next : next;
    }
    uint64_t recorder_next = kx_recorder_tick(loop->recorder, now_ns);
    return recorder_next < next ? recorder_next : next;
}

/* Whether everything that has an end has reached it. */
static bool finished(struct kx_loop *loop)
{
    bool complete = true;
    if (loop->replay != NULL) {
        bool over = kx_replay_finished(loop->replay, &complete);
        loop->complete = over && complete;
        return over;
    }
    for (size_t i = 0; i < loop->source_count; i++) {
        bool this_one;
        if (!kx_source_finished(loop->sources[i], &this_one))
            return false;
        complete = complete && this_one;
    }
    loop->complete = complete;
    return true;
}

static size_t gather(struct kx_loop *loop)
{
    size_t count = 0;
    for (size_t i = 0; i < loop->source_count; i++) {
        loop->fd_counts[i] = kx_source_fds(loop->sources[i], loop->fds + count);
        count += loop->fd_counts[i];
    }
    return count;
}

static void wait_and_read(struct kx_loop *loop, uint64_t next_ns, uint64_t now_ns)
{
    size_t count = gather(loop);
    size_t sockets = count;
    struct kx_wake *room = NULL;
    int timeout_ms = next_ns == 0 ? 0 : kx_clock_poll_ms(next_ns, now_ns, WAIT_MS_MAX);
    if (paused(loop)) {
        room = kx_ring_room_wake(loop->ring);
        kx_wake_prepare(room);
        if (kx_ring_has_room(loop->ring))
            timeout_ms = 0;
        loop->fds[count++] =
            (struct curl_waitfd){.fd = kx_wake_fd(room), .events = CURL_WAIT_POLLIN};
    }
    int ready = 0;
    curl_multi_poll(loop->rest, loop->fds, (unsigned)count, timeout_ms, &ready);
    if (room != NULL)
        kx_wake_cancel(room);
    uint64_t after_ns = kx_clock_boot_ns();
    size_t at = 0;
    for (size_t i = 0; i < loop->source_count && at < sockets; i++) {
        if (loop->fd_counts[i] > 0)
            kx_source_ready(loop->sources[i], loop->fds + at, loop->fd_counts[i], after_ns);
        at += loop->fd_counts[i];
    }
}

/* True when a transfer ended: its owner has something new to do, and a timer that tick has not
 * seen. */
static bool transfer(struct kx_loop *loop)
{
    bool ended = false;
    int running;
    curl_multi_perform(loop->rest, &running);
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(loop->rest, &left)) != NULL)
        if (message->msg == CURLMSG_DONE) {
            kx_rest_ended(message->easy_handle, message->data.result, kx_clock_boot_ns());
            ended = true;
        }
    kx_ring_publish(loop->ring);
    for (size_t i = 0; i < loop->source_count; i++)
        if (kx_source_paused(loop->sources[i]))
            kx_source_resume(loop->sources[i]);
    return ended;
}

/* What main has read again. acquire: as it was written there. */
static void take_news(struct kx_loop *loop, uint64_t now_ns)
{
    if (atomic_load_explicit(&loop->news, memory_order_relaxed) == NULL)
        return;
    struct kx_loop_news *news = atomic_exchange_explicit(&loop->news, NULL, memory_order_acquire);
    for (size_t i = 0; i < loop->source_count; i++)
        if (news->sources[i].known)
            kx_source_reload(loop->sources[i], &news->sources[i].credential, now_ns);
    kx_loop_news_destroy(news);
}

static void *run(void *context)
{
    struct kx_loop *loop = context;
    while (!atomic_load_explicit(&loop->stop, memory_order_acquire)) {
        uint64_t now_ns = kx_clock_boot_ns();
        uint64_t alive_ns = now_ns + WAIT_MS_MAX * KX_NS_PER_MS + ALIVE_NS;
        atomic_store_explicit(&loop->alive, alive_ns, memory_order_relaxed);
        atomic_store_explicit(&loop->devices, kx_registry_count(loop->registry),
                              memory_order_relaxed);
        take_news(loop, now_ns);
        uint64_t next_ns = tick(loop, now_ns);
        if (transfer(loop))
            next_ns = 0;
        if (finished(loop))
            break;
        wait_and_read(loop, next_ns, now_ns);
    }
    atomic_store_explicit(&loop->alive, UINT64_MAX, memory_order_relaxed);
    kx_recorder_finish(loop->recorder);
    kx_ring_close(loop->ring);
    uint64_t one = 1;
    ssize_t written = write(loop->ended_fd, &one, sizeof(one));
    (void)written; /* an eventfd of ours that nobody filled takes a 1 */
    return NULL;
}

enum kx_code kx_loop_start(struct kx_loop *loop, struct kx_error *err)
{
    enum kx_code code = kx_recorder_start(loop->recorder, err);
    if (code != KX_OK)
        return code;
    int sys = pthread_create(&loop->thread, NULL, run, loop);
    if (sys != 0)
        return kx_error_set(err, KX_ERR_IO, sys, "cannot start the ingest thread");
    pthread_setname_np(loop->thread, "ingest");
    loop->started = true;
    return KX_OK;
}

void kx_loop_stop(struct kx_loop *loop)
{
    atomic_store_explicit(&loop->stop, true, memory_order_release);
    curl_multi_wakeup(loop->rest);
}

enum kx_code kx_loop_news_create(struct kx_loop_news **ret_news,
                                 const struct kx_config *start,
                                 const struct kx_config *fresh,
                                 struct kx_error *err)
{
    size_t count = start->source_count;
    struct kx_loop_news *news = calloc(1, sizeof *news + count * sizeof news->sources[0]);
    if (news == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the sources' credentials");
    news->count = count;
    for (size_t i = 0; i < count; i++) {
        const struct kx_source_config *source = kx_config_source(fresh, start->sources[i].name);
        struct news_of *of = &news->sources[i];
        /* A credential is for one server and no other. */
        if (source == NULL || source->url == NULL || start->sources[i].url == NULL ||
            strcmp(source->url, start->sources[i].url) != 0)
            continue;
        enum kx_code code = kx_credential_init(&of->credential, source, err);
        if (code != KX_OK) {
            kx_loop_news_destroy(news);
            return code;
        }
        of->known = true;
    }
    *ret_news = news;
    return KX_OK;
}

void kx_loop_news_destroy(struct kx_loop_news *news)
{
    if (news == NULL)
        return;
    for (size_t i = 0; i < news->count; i++)
        kx_credential_fini(&news->sources[i].credential);
    free(news);
}

void kx_loop_reload(struct kx_loop *loop, struct kx_loop_news *news)
{
    /* release for the loop; acquire for what it has not taken, which main itself wrote. */
    kx_loop_news_destroy(atomic_exchange_explicit(&loop->news, news, memory_order_acq_rel));
    curl_multi_wakeup(loop->rest);
}

uint64_t kx_loop_alive_ns(const struct kx_loop *loop)
{
    return atomic_load_explicit(&loop->alive, memory_order_relaxed);
}

uint32_t kx_loop_devices(const struct kx_loop *loop)
{
    return atomic_load_explicit(&loop->devices, memory_order_relaxed);
}

int kx_loop_ended_fd(const struct kx_loop *loop)
{
    return loop->ended_fd;
}

bool kx_loop_join(struct kx_loop *loop, uint64_t deadline_ns)
{
    if (!loop->started)
        return true;
    /* pthread_clockjoin_np would do without the descriptor, but ThreadSanitizer does not know it.
     */
    struct pollfd ended = {.fd = loop->ended_fd, .events = POLLIN};
    int ready = 0;
    for (uint64_t now_ns = kx_clock_boot_ns(); ready <= 0; now_ns = kx_clock_boot_ns()) {
        ready = poll(&ended, 1, kx_clock_poll_ms(deadline_ns, now_ns, WAIT_MS_MAX));
        if (ready <= 0 && now_ns >= deadline_ns)
            return false;
    }
    pthread_join(loop->thread, NULL);
    loop->started = false;
    return true;
}

bool kx_loop_complete(const struct kx_loop *loop)
{
    return loop->complete;
}
