/*
 * Wiring: reads the configuration, makes the parts, starts the threads, waits for the end, stops
 * them in the order of the pipeline, and says what was done.
 *
 * Threads: main (this file: signals, the clock of the run), "ingest" (ingest/loop.h), "stats"
 * (stats/server.h), and of each sink a worker "w:NAME" and a sender "s:NAME" (batch/pipe.h). All
 * signals are blocked before the first of them starts and read here from a signalfd; libraries'
 * threads inherit that.
 */
#include "account.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "batch/pipe.h"
#include "config/config.h"
#include "config/describe.h"
#include "display.h"
#include "feed.h"
#include "ingest/loop.h"
#include "login.h"
#include "probe.h"
#include "reload.h"
#include "ring/ring.h"
#include "schema.h"
#include "sinks/sinks.h"
#include "stats/board.h"
#include "stats/counters.h"
#include "stats/listen.h"
#include "stats/server.h"
#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum exit_status {
    EXIT_OK = 0,
    EXIT_USAGE = 64,
    EXIT_UNAVAILABLE = 69,
    EXIT_BUG = 70,
    EXIT_CONFIG = 78
};

/* A stop by a signal, in seconds from it. A run that ends by itself (--once, a replay) has nobody
 * who waits: its sinks get longer. */
enum {
    INGEST_STOP_S = 1,
    FLUSH_S = 6,         /* what was taken in is delivered within this time, */
    FLUSH_FINITE_S = 30, /* or within this one, at the end of a run that has an end; */
    ABORT_AFTER_S = 2,   /* then calls are told to end, */
    LEAVE_AFTER_S = 3,   /* and whoever hangs in a library is left behind */
    PROGRESS_S = 2,
};

struct program {
    struct kx_config *config;
    struct kx_ring *ring;
    struct kx_board *board;
    struct kx_counters **sources; /* a block a source, source_count */
    struct kx_counters *process;  /* ingest's */
    struct kx_counters *main;     /* this thread's */
    struct kx_pipe **pipes;       /* sink_count */
    struct kx_loop *loop;
    struct kx_reload *reload;
    struct kx_feed *feed;
    struct kx_pulse *pulse;
    struct kx_server *server; /* NULL = nothing is to be seen */
    struct kx_secret token;
    struct kx_display display;
    bool stopping;
    size_t pipe_count;
    int signal_fd;
    uint64_t begun_ns;
};

static enum exit_status status_of(enum kx_code code)
{
    switch (code) {
    case KX_OK:
        return EXIT_OK;
    case KX_ERR_USAGE:
        return EXIT_USAGE;
    case KX_ERR_CONFIG:
        return EXIT_CONFIG;
    case KX_ERR_BUG:
        return EXIT_BUG;
    default:
        return EXIT_UNAVAILABLE;
    }
}

/* --- making --- */

static enum kx_code block_signals(int *ret_fd, struct kx_error *err)
{
    sigset_t set;
    sigemptyset(&set);
    static const int ours[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        sigaddset(&set, ours[i]);
    int sys = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (sys != 0)
        return kx_error_set(err, KX_ERR_IO, sys, "cannot block signals");
    sigdelset(&set, SIGPIPE);
    sigdelset(&set, SIGXFSZ);
    *ret_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (*ret_fd < 0)
        return kx_error_set(err, KX_ERR_IO, errno, "cannot make a signalfd");
    return KX_OK;
}

static enum kx_code start_curl(struct kx_error *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "libcurl does not start");
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    if ((info->features & CURL_VERSION_ASYNCHDNS) == 0)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "this libcurl resolves names without a thread, so a slow name server "
                            "would stop everything; use the distribution's libcurl");
    return KX_OK;
}

static enum kx_code make_counters(struct program *program, struct kx_error *err)
{
    size_t count = program->config->source_count;
    program->sources = calloc(count, sizeof(*program->sources));
    program->process = kx_counters_create();
    program->main = kx_counters_create();
    bool made = program->sources != NULL && program->process != NULL && program->main != NULL;
    for (size_t i = 0; made && i < count; i++) {
        program->sources[i] = kx_counters_create();
        made = program->sources[i] != NULL;
    }
    return made ? KX_OK : kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the counters");
}

static enum kx_code make_pipes(struct program *program, struct kx_error *err)
{
    const struct kx_config *config = program->config;
    program->pipes = calloc(config->sink_count, sizeof(*program->pipes));
    if (program->pipes == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the sinks");
    for (size_t i = 0; i < config->sink_count; i++) {
        const struct kx_pipe_params params = {.config = config,
                                              .sink = &config->sinks[i],
                                              .ops = kx_sinks_find(config->sinks[i].type),
                                              .board = program->board,
                                              .index = i,
                                              .ring = program->ring,
                                              .reader = (unsigned)i,
                                              .process = program->process};
        if (kx_pipe_create(&program->pipes[i], &params, err) != KX_OK)
            return kx_error_prefix(err, "sink %s", config->sinks[i].name);
        program->pipe_count++;
    }
    return KX_OK;
}

/* Where the stats port is to be; NULL = nowhere. A run that ends by itself has one when asked. */
static const char *stats_place(const struct kx_config *config)
{
    const char *listen = config->stats.listen;
    if (listen != NULL)
        return strcmp(listen, "off") == 0 ? NULL : listen;
    return config->once || config->command == KX_COMMAND_REPLAY ? NULL : KX_LISTEN_DEFAULT;
}

static enum kx_code load_token(struct program *program, struct kx_error *err)
{
    const char *path = program->config->stats.token_file;
    bool exposed = false;
    if (path == NULL)
        return KX_OK;
    if (kx_secret_load(&program->token, path, &exposed, err) != KX_OK)
        return kx_error_prefix(err, "stats.token_file");
    if (exposed)
        kx_log(KX_LOG_WARNING, "config", "stats.token_file: others can read %s: chmod 600 it",
               path);
    return KX_OK;
}

static enum kx_code make_feed(struct program *program, struct kx_error *err)
{
    const struct kx_feed_parts parts = {.config = program->config,
                                        .board = program->board,
                                        .ring = program->ring,
                                        .loop = program->loop,
                                        .pipes = program->pipes,
                                        .sources = program->sources,
                                        .process = program->process,
                                        .main = program->main};
    enum kx_code code = kx_feed_create(&program->feed, &parts, err);
    return code == KX_OK ? kx_pulse_create(&program->pulse, program->feed, err) : code;
}

/* The port, bound. A default that is taken is no error: two instances run side by side. */
static enum kx_code make_server(struct program *program, struct kx_error *err)
{
    const struct kx_stats_config *stats = &program->config->stats;
    const char *place = stats_place(program->config);
    if (place == NULL)
        return KX_OK;
    enum kx_code code = load_token(program, err);
    if (code != KX_OK)
        return code;
    const struct kx_server_params params = {.feed = program->feed,
                                            .listen = place,
                                            .token = kx_secret_reveal(&program->token),
                                            .cert_file = stats->cert_file,
                                            .key_file = stats->key_file,
                                            .client_ca_file = stats->client_ca_file};
    code = kx_server_create(&program->server, &params, err);
    if (code == KX_OK) {
        kx_feed_serve(program->feed, program->server);
        kx_log(KX_LOG_INFO, "stats", "serving at %s", kx_server_words(program->server));
        return KX_OK;
    }
    if (code != KX_ERR_UNAVAILABLE)
        return kx_error_prefix(err, "stats");
    if (stats->listen == NULL) {
        kx_log(KX_LOG_WARNING, "stats",
               "%s: %s; going on without. Another instance has it? Give this one a place of its "
               "own with --stats-listen 127.0.0.1:2503",
               place, err->text);
        return KX_OK;
    }
    struct kx_error why = *err;
    return kx_error_set(err, KX_ERR_CONFIG, 0,
                        "stats.listen %s: %.200s; find out who has it with 'ss -ltnp', or choose "
                        "another with --stats-listen, or write off",
                        place, why.text);
}

static enum kx_code make(struct program *program, struct kx_error *err)
{
    const struct kx_config *config = program->config;
    enum kx_code code = block_signals(&program->signal_fd, err);
    if (code == KX_OK)
        code = start_curl(err);
    if (code == KX_OK)
        code = make_counters(program, err);
    if (code == KX_OK)
        code = kx_board_create(&program->board, config->source_count, config->sink_count, err);
    if (code == KX_OK)
        code = kx_ring_create(&program->ring, config->ring_bytes, (unsigned)config->sink_count, 0,
                              err);
    if (code == KX_OK)
        code = make_pipes(program, err);
    if (code == KX_OK)
        code = kx_loop_create(&program->loop, config, program->ring, program->board,
                              program->sources, program->process, err);
    const struct kx_reload_params reload = {.start = config,
                                            .pipes = program->pipes,
                                            .loop = program->loop,
                                            .board = program->board,
                                            .counters = program->main};
    if (code == KX_OK)
        code = kx_reload_create(&program->reload, &reload, err);
    if (code == KX_OK)
        code = make_feed(program, err);
    return code == KX_OK ? make_server(program, err) : code;
}

/* Its thread only reads, so this is right whatever hangs. */
static void end_server(struct program *program)
{
    kx_server_stop(program->server);
    if (program->server != NULL)
        kx_feed_serve(program->feed, NULL);
    kx_server_destroy(program->server);
    program->server = NULL;
}

static void unmake(struct program *program)
{
    end_server(program);
    kx_pulse_destroy(program->pulse);
    kx_feed_destroy(program->feed);
    kx_secret_fini(&program->token);
    kx_reload_destroy(program->reload);
    kx_loop_destroy(program->loop);
    for (size_t i = 0; i < program->pipe_count; i++)
        kx_pipe_destroy(program->pipes[i]);
    free(program->pipes);
    kx_ring_destroy(program->ring);
    kx_board_destroy(program->board);
    if (program->sources != NULL)
        for (size_t i = 0; i < program->config->source_count; i++)
            kx_counters_destroy(program->sources[i]);
    free(program->sources);
    kx_counters_destroy(program->process);
    kx_counters_destroy(program->main);
    kx_display_close(&program->display);
    if (program->signal_fd >= 0)
        close(program->signal_fd);
    curl_global_cleanup();
}

/* --- running --- */

/* Whether every sink has gone for good: standard output closed, and nothing else to write to. */
static bool sinks_gone(struct program *program)
{
    for (size_t i = 0; i < program->pipe_count; i++) {
        struct kx_sink_status status;
        kx_board_sink_get(program->board, i, &status);
        if (status.state != KX_SINK_GONE)
            return false;
    }
    return true;
}

/* Reads the signals that came. True when one of them asks us to stop. */
static bool stop_signal(struct program *program)
{
    struct signalfd_siginfo info;
    bool stop = false;
    while (read(program->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            if (program->stopping) /* there is nothing left to change */
                continue;
            kx_display_reloading(&program->display);
            kx_reload_run(program->reload);
            kx_display_reloaded(&program->display);
        } else {
            const char *name = info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM";
            kx_log(KX_LOG_INFO, "main", "%s: stopping; a second one ends at once", name);
            stop = true;
        }
    }
    return stop;
}

/* A second SIGINT or SIGTERM ends the program by their default action. */
static void let_signals_kill(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static uint64_t sooner(uint64_t a, uint64_t b) /* 0 = never */
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* Until a signal, the end of every source, or the time asked for. True when ingest ended by itself.
 */
static bool wait_for_end(struct program *program)
{
    enum { LOOK_MS = 1000 };
    uint64_t duration_ns = program->config->duration_ns;
    uint64_t end_ns = duration_ns > 0 ? program->begun_ns + duration_ns : 0;
    for (;;) {
        struct pollfd fds[] = {{.fd = program->signal_fd, .events = POLLIN},
                               {.fd = kx_loop_ended_fd(program->loop), .events = POLLIN}};
        uint64_t now_ns = kx_clock_boot_ns();
        if (end_ns != 0 && now_ns >= end_ns)
            return false;
        kx_display_step(&program->display, now_ns);
        uint64_t until_ns = sooner(end_ns, kx_display_due_ns(&program->display));
        poll(fds, 2, kx_clock_poll_ms(until_ns, now_ns, LOOK_MS));
        if (fds[0].revents != 0 && stop_signal(program))
            return false;
        if (fds[1].revents != 0)
            return true;
        if (sinks_gone(program)) {
            kx_log(KX_LOG_INFO, "main", "every sink is closed: nothing is left to do");
            return false;
        }
    }
}

static void stop_pipes(struct program *program, uint64_t flush_ns)
{
    for (size_t i = 0; i < program->pipe_count; i++)
        kx_pipe_stop(program->pipes[i], flush_ns, flush_ns + ABORT_AFTER_S * KX_NS_PER_S);
}

static uint64_t pending(struct program *program)
{
    uint64_t records = 0;
    for (size_t i = 0; i < program->pipe_count; i++)
        records += kx_pipe_totals(program->pipes[i]).pending;
    return records;
}

/* Waits for the sinks' threads. False when one of them hangs. */
static bool join_pipes(struct program *program, bool signalled, uint64_t flush_ns)
{
    enum { LOOK_MS = 100 };
    uint64_t said_ns = kx_clock_boot_ns();
    size_t joined = 0;
    struct kx_error err;
    while (joined < program->pipe_count) {
        uint64_t now_ns = kx_clock_boot_ns();
        uint64_t leave_ns = flush_ns + LEAVE_AFTER_S * KX_NS_PER_S;
        if (kx_pipe_join(program->pipes[joined], now_ns + LOOK_MS * KX_NS_PER_MS, &err) == KX_OK) {
            joined++;
            continue;
        }
        if (now_ns >= leave_ns) {
            kx_log(KX_LOG_ERROR, "main", "left behind: %s", err.text);
            return false;
        }
        if (!signalled && stop_signal(program)) {
            signalled = true;
            let_signals_kill();
            flush_ns = now_ns + FLUSH_S * KX_NS_PER_S;
            stop_pipes(program, flush_ns);
        }
        if (now_ns - said_ns >= PROGRESS_S * KX_NS_PER_S) {
            said_ns = now_ns;
            kx_log(KX_LOG_INFO, "main", "delivering what was taken in: %llu records to go",
                   (unsigned long long)pending(program));
        }
    }
    return true;
}

/* Ends ingest, then the sinks. False when a thread was left behind: nothing may be freed then. */
static bool stop(struct program *program, bool by_itself)
{
    uint64_t now_ns = kx_clock_boot_ns();
    program->stopping = true;
    kx_display_stopping(&program->display);
    if (!by_itself)
        let_signals_kill();
    kx_loop_stop(program->loop);
    bool clean = kx_loop_join(program->loop, now_ns + INGEST_STOP_S * KX_NS_PER_S);
    if (!clean)
        kx_log(KX_LOG_ERROR, "main", "left behind: the ingest thread does not end");
    uint64_t flush_ns = now_ns + (by_itself ? FLUSH_FINITE_S : FLUSH_S) * KX_NS_PER_S;
    stop_pipes(program, flush_ns);
    return join_pipes(program, !by_itself, flush_ns) && clean;
}

static enum kx_code start(struct program *program, struct kx_error *err)
{
    program->begun_ns = kx_clock_boot_ns();
    for (size_t i = 0; i < program->pipe_count; i++) {
        enum kx_code code = kx_pipe_start(program->pipes[i], err);
        if (code != KX_OK)
            return code;
    }
    enum kx_code code = kx_loop_start(program->loop, err);
    return code == KX_OK && program->server != NULL ? kx_server_start(program->server, err) : code;
}

static enum exit_status run(struct program *program, bool *ret_clean)
{
    struct kx_error err;
    kx_display_open(&program->display, program->config);
    enum kx_code code = make(program, &err);
    if (code == KX_OK)
        code = start(program, &err);
    if (code != KX_OK) {
        kx_log(KX_LOG_ERROR, "main", "%s", err.text);
        /* Threads that were started already are ended as at any stop. */
        *ret_clean = program->begun_ns == 0 || stop(program, false);
        return status_of(code);
    }
    const struct kx_config *config = program->config;
    kx_display_ready(&program->display, program->board, program->pipes, program->pulse);
    bool by_itself = wait_for_end(program);
    bool gone = sinks_gone(program);
    *ret_clean = stop(program, by_itself);
    end_server(program);
    const struct kx_account account = {.config = config,
                                       .board = program->board,
                                       .sources = program->sources,
                                       .process = program->process,
                                       .main = program->main,
                                       .pipes = program->pipes,
                                       .pipe_count = program->pipe_count,
                                       .begun_ns = program->begun_ns};
    bool delivered = kx_account_say(&account);
    bool finite = config->once || config->command == KX_COMMAND_REPLAY;
    if (finite && by_itself && !gone && !(delivered && kx_loop_complete(program->loop)))
        return EXIT_UNAVAILABLE;
    return EXIT_OK;
}

static void describe(const struct kx_config *config)
{
    struct kx_buf text;
    kx_buf_init(&text, 1 << 20);
    kx_config_describe(config, &text);
    fwrite(text.data, 1, text.length, stdout);
    kx_buf_fini(&text);
}

/* The commands that talk to people, without threads. */
static enum exit_status talk(struct kx_config *config)
{
    struct kx_error err;
    enum kx_code code = start_curl(&err);
    if (code == KX_OK)
        code = config->command == KX_COMMAND_PROBE    ? kx_probe_run(config, &err)
               : config->command == KX_COMMAND_SCHEMA ? kx_schema_run(config, &err)
                                                      : kx_login_run(config, &err);
    if (code != KX_OK)
        fprintf(stderr, "kismet-export: %s\n", err.text);
    return status_of(code);
}

int main(int argc, char **argv)
{
    struct program program = {.signal_fd = -1, .display = {.notify = {.fd = -1}}};
    struct kx_error err;
    bool done = false;
    enum kx_code code = kx_config_load(argc, argv, &program.config, &done, &err);
    if (code != KX_OK) {
        fprintf(stderr, "kismet-export: %s\n", err.text);
        return status_of(code);
    }
    if (done)
        return EXIT_OK;
    const struct kx_config *config = program.config;
    kx_log_configure(config->log_level, config->log_format);
    for (size_t i = 0; i < config->warnings.count; i++)
        kx_log(KX_LOG_WARNING, "config", "%s", config->warnings.items[i]);
    struct kx_listen listen;
    if (config->stats.listen != NULL &&
        kx_listen_parse(config->stats.listen, &listen, &err) != KX_OK) {
        fprintf(stderr, "kismet-export: stats.listen: %s\n", err.text);
        kx_config_destroy(program.config);
        return EXIT_CONFIG;
    }
    enum exit_status status = EXIT_OK;
    bool clean = true;
    if (config->command == KX_COMMAND_CHECK)
        describe(config);
    else if (config->command == KX_COMMAND_PROBE || config->command == KX_COMMAND_LOGIN ||
             config->command == KX_COMMAND_SCHEMA)
        status = talk(program.config);
    else
        status = run(&program, &clean);
    if (!clean)
        _exit((int)status);
    unmake(&program);
    kx_config_destroy(program.config);
    return (int)status;
}
