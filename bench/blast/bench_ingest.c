/*
 * R1: frames a second from a socket into the ring, no sink behind it, against a loop that only
 * visits every field of the same frames in memory with simdjson; and, to see what the difference is
 * made of, against a socket and our deframer alone. In turn: simdjson, socket, ours, simdjson, ...
 *
 *   bench_ingest CAPTURE [RUNS [FRAMES]]     prints one JSON object
 *
 * The ingest loop is the program's own (ingest/loop.h) with a real connection to a blaster in this
 * process; one thread takes the records out of the ring and does nothing with them. Each way gives
 * the wall time of a frame and the CPU time of the thread that does the work. The two differ on a
 * machine with two cores, where the blaster, its kernel half and the reader of the ring want
 * theirs.
 */
#include "base/clock.h"
#include "blast/blaster.h"
#include "ingest/json.h"
#include "ingest/loop.h"
#include "ingest/ws.h"
#include <arpa/inet.h>
#include <curl/curl.h>
#include <dirent.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { RUNS_MAX = 101, WAIT_S = 60 };

/* bench_json_floor.cpp */
struct floor;
struct floor *floor_create(void);
size_t floor_visit(struct floor *floor, const char *text, size_t length);

struct figure {
    double wall_ns, cpu_ns; /* a frame */
};

static struct frames frames;
static struct blaster *blaster;
static int port;

static void die(const char *what)
{
    fprintf(stderr, "bench_ingest: %s\n", what);
    exit(1);
}

static uint64_t thread_cpu_ns(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now) != 0)
        die("cannot read a thread's clock");
    return (uint64_t)now.tv_sec * KX_NS_PER_S + (uint64_t)now.tv_nsec;
}

static void pause_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

/* --- simdjson --- */

static struct figure measure_floor(struct floor *floor, uint64_t count)
{
    size_t fields = 0;
    uint64_t begun_ns = kx_clock_boot_ns(), begun_cpu_ns = thread_cpu_ns(CLOCK_THREAD_CPUTIME_ID);
    for (uint64_t i = 0; i < count; i++) {
        const struct frame *frame = &frames.items[i % frames.count];
        fields += floor_visit(floor, frame->text, frame->length);
    }
    uint64_t cpu_ns = thread_cpu_ns(CLOCK_THREAD_CPUTIME_ID) - begun_cpu_ns;
    uint64_t wall_ns = kx_clock_boot_ns() - begun_ns;
    if (fields < count * 20)
        die("the floor saw too few fields");
    return (struct figure){(double)wall_ns / (double)count, (double)cpu_ns / (double)count};
}

/* --- a thread that sends, and one that receives --- */

/* Sends, waits until `seen` has grown by as much, and says what `clock` used. */
static struct figure
measure_stream(enum blaster_stream stream, uint64_t count, clockid_t clock, uint64_t (*seen)(void))
{
    uint64_t before = seen(), begun_cpu_ns = thread_cpu_ns(clock);
    uint64_t begun_ns = kx_clock_boot_ns();
    blaster_send(blaster, stream, count, 100);
    while (seen() - before < count) {
        if (kx_clock_boot_ns() - begun_ns > WAIT_S * KX_NS_PER_S)
            die("frames are missing");
        pause_a_little();
    }
    uint64_t wall_ns = kx_clock_boot_ns() - begun_ns;
    uint64_t cpu_ns = thread_cpu_ns(clock) - begun_cpu_ns;
    return (struct figure){(double)wall_ns / (double)count, (double)cpu_ns / (double)count};
}

/* --- socket and deframer --- */

static _Atomic uint64_t raw_messages;

static uint64_t raw_seen(void)
{
    return atomic_load_explicit(&raw_messages, memory_order_relaxed);
}

static int raw_connect(void)
{
    static const char request[] = "GET /raw HTTP/1.1\r\nUpgrade: websocket\r\n"
                                  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char head[1024] = "";
    size_t have = 0;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        send(fd, request, sizeof request - 1, 0) < 0)
        die("cannot connect");
    while (strstr(head, "\r\n\r\n") == NULL && have + 1 < sizeof head)
        if (recv(fd, head + have++, 1, 0) != 1)
            die("no answer");
    return fd;
}

static void *raw_run(void *context)
{
    static const struct kx_ws_limits limits = {.message_bytes = 8u << 20, .fragments = 65536};
    int fd = raw_connect();
    struct kx_ws *ws = NULL;
    (void)context;
    if (kx_ws_create(&ws, &limits, KX_JSON_PADDING, NULL) != KX_OK)
        die("no memory");
    for (;;) {
        size_t room;
        char *place = kx_ws_room(ws, &room);
        ssize_t count = recv(fd, place, room, 0);
        uint64_t messages = 0;
        struct kx_ws_message message;
        enum kx_ws_event event;
        if (count <= 0)
            break;
        kx_ws_filled(ws, (size_t)count);
        while ((event = kx_ws_next(ws, &message, NULL)) != KX_WS_MORE)
            messages += event == KX_WS_TEXT;
        atomic_fetch_add_explicit(&raw_messages, messages, memory_order_relaxed);
    }
    kx_ws_destroy(ws);
    close(fd);
    return NULL;
}

/* --- the ingest loop --- */

static struct kx_counters *source, *process;

static uint64_t ours_seen(void)
{
    return kx_counter_get(source, KX_C_FRAMES_MONITOR);
}

static void *drain(void *context)
{
    struct kx_ring *ring = context;
    struct kx_wake *wake = kx_ring_wake(ring, 0);
    for (;;) {
        const struct kx_record *record;
        enum kx_ring_result result;
        while ((result = kx_ring_read(ring, 0, &record)) == KX_RING_RECORD) {
        }
        kx_ring_release(ring, 0);
        if (result == KX_RING_END)
            return NULL;
        kx_wake_prepare(wake);
        if (kx_ring_pending(ring, 0))
            kx_wake_cancel(wake);
        else
            kx_wake_sleep(wake, 0);
    }
}

/* The CPU clock of the thread called "ingest", which the loop keeps to itself. */
static clockid_t ingest_clock(void)
{
    enum { PER_THREAD_SCHED = 6 }; /* as pthread_getcpuclockid makes it from a thread's number */
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        if (fgets(name, sizeof name, file) == NULL)
            name[0] = '\0';
        fclose(file);
        if (strcmp(name, "ingest\n") == 0) {
            uint32_t number = (uint32_t)strtoul(entry->d_name, NULL, 10);
            closedir(tasks);
            return (clockid_t)(~number << 3 | PER_THREAD_SCHED);
        }
    }
    die("no ingest thread");
    return 0;
}

static struct kx_config *configure(void)
{
    char path[] = "/tmp/kx-bench-XXXXXX";
    char text[512], flag[] = "--config", name[] = "kismet-export";
    struct kx_config *config = NULL;
    struct kx_error err;
    bool done = false;
    int fd = mkstemp(path);
    int length = snprintf(text, sizeof text,
                          "sensor: bench\nsources: [{name: bench, url: 'http://127.0.0.1:%d', "
                          "mode: monitor, rate: 1s}]\nsinks: [{type: console}]\n",
                          port);
    if (fd < 0 || write(fd, text, (size_t)length) != length)
        die("cannot write a configuration");
    close(fd);
    char *argv[] = {name, flag, path, NULL};
    if (kx_config_load(3, argv, &config, &done, &err) != KX_OK)
        die(err.text);
    unlink(path);
    return config;
}

static struct kx_loop *start_loop(const struct kx_config *config, struct kx_ring **ret_ring)
{
    struct kx_board *board = NULL;
    struct kx_loop *loop = NULL;
    struct kx_error err;
    source = kx_counters_create();
    process = kx_counters_create();
    if (source == NULL || process == NULL || kx_board_create(&board, 1, 1, &err) != KX_OK ||
        kx_ring_create(ret_ring, config->ring_bytes, 1, 0, &err) != KX_OK ||
        kx_loop_create(&loop, config, *ret_ring, board, &source, process, &err) != KX_OK)
        die("no memory");
    pthread_t thread;
    if (pthread_create(&thread, NULL, drain, *ret_ring) != 0 || kx_loop_start(loop, &err) != KX_OK)
        die("no thread");
    return loop;
}

/* --- the figures --- */

static void print_runs(const char *name, const struct figure *figures, int runs, const char *end)
{
    printf("\"%s\": {\"wall_ns\": [", name);
    for (int i = 0; i < runs; i++)
        printf("%s%.1f", i > 0 ? ", " : "", figures[i].wall_ns);
    printf("], \"cpu_ns\": [");
    for (int i = 0; i < runs; i++)
        printf("%s%.1f", i > 0 ? ", " : "", figures[i].cpu_ns);
    printf("]}%s", end);
}

int main(int argc, char **argv)
{
    static struct figure floors[RUNS_MAX], raw[RUNS_MAX], ours[RUNS_MAX];
    int runs = argc > 2 ? atoi(argv[2]) : 5;
    uint64_t count = argc > 3 ? strtoull(argv[3], NULL, 10) : 300000;
    if (argc < 2 || runs < 1 || runs > RUNS_MAX || count == 0) {
        fprintf(stderr, "usage: bench_ingest CAPTURE [RUNS [FRAMES]]\n");
        return 64;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    frames_load(&frames, argv[1]);
    blaster = blaster_frames(&frames);
    port = blaster_start(blaster);
    struct kx_ring *ring;
    struct kx_loop *loop = start_loop(configure(), &ring);
    pthread_t raw_thread;
    clockid_t raw_clock;
    struct floor *floor = floor_create();
    if (floor == NULL || pthread_create(&raw_thread, NULL, raw_run, NULL) != 0 ||
        pthread_getcpuclockid(raw_thread, &raw_clock) != 0)
        die("no thread");
    uint64_t begun_ns = kx_clock_boot_ns();
    while (!blaster_ready(blaster, BLASTER_MONITOR) || !blaster_ready(blaster, BLASTER_RAW)) {
        if (kx_clock_boot_ns() - begun_ns > WAIT_S * KX_NS_PER_S)
            die("the loop does not connect");
        pause_a_little();
    }
    clockid_t clock = ingest_clock();
    for (int run = -1; run < runs; run++) { /* the first warms up */
        int at = run < 0 ? 0 : run;
        floors[at] = measure_floor(floor, count);
        raw[at] = measure_stream(BLASTER_RAW, count, raw_clock, raw_seen);
        ours[at] = measure_stream(BLASTER_MONITOR, count, clock, ours_seen);
    }
    uint64_t taken = kx_counter_get(source, KX_C_RECORDS_DEVICE);
    uint64_t refused = kx_counter_get(process, KX_C_RING_REFUSED_DEVICE);
    printf("{\"frames\": %" PRIu64 ", \"frame_bytes\": %.0f, \"kernel\": \"%s\", ", count,
           (double)frames.bytes / (double)frames.count, kx_json_kernel());
    print_runs("floor", floors, runs, ", ");
    print_runs("raw", raw, runs, ", ");
    print_runs("ours", ours, runs, ", ");
    printf("\"received\": %" PRIu64 ", \"in_ring\": %" PRIu64 ", \"ring_refused\": %" PRIu64 "}\n",
           ours_seen(), taken, refused);
    kx_loop_stop(loop);
    kx_loop_join(loop, kx_clock_boot_ns() + 5 * KX_NS_PER_S);
    return ours_seen() == taken + refused ? 0 : 1; /* the rest ends with the process */
}
