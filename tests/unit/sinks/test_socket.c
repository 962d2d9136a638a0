/*
 * The socket sink against real sockets: readers that are slow, stop, leave, or were never there.
 */
#include "base/clock.h"
#include "records.h"
#include "sinks/socket.h"
#include "sinks/socket_encode.h"
#include "sinks/socket_udp.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { T0 = 1737131445, TEXT_MAX = 32 << 20, BIG = 30000, DEADLINE_S = 60 };

struct fixture {
    char name[8], host[16];
    struct kx_sink_config config;
    struct kx_sink_env env;
    void *sink;
    int listener, peer, stop;
    struct kx_error err;
    struct box box;
    char *text; /* what the peer has read */
    size_t length;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL || (f->text = malloc(TEXT_MAX)) == NULL)
        return -1;
    strcpy(f->name, "sock");
    strcpy(f->host, "127.0.0.1");
    f->config = (struct kx_sink_config){.name = f->name,
                                        .type = KX_SINK_SOCKET,
                                        .socket = {.host = f->host, .format = KX_SOCKET_CSV}};
    f->env.counters = kx_counters_create();
    f->listener = f->peer = -1;
    f->stop = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    box_init(&f->box);
    signal(SIGPIPE, SIG_IGN); /* main blocks it */
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    const int fds[] = {f->listener, f->peer, f->stop};
    kx_socket_ops.close(f->sink);
    for (size_t i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    kx_counters_destroy(f->env.counters);
    box_fini(&f->box);
    free(f->text);
    free(f);
    return 0;
}

/* A bound socket of that type; its port goes into the configuration. */
static int bind_any(struct fixture *f, int type)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int bytes = 4096;
    assert_true(fd >= 0);
    if (type == SOCK_STREAM)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    f->config.socket.port = ntohs(address.sin_port);
    return fd;
}

static void open_sink(struct fixture *f)
{
    assert_int_equal(kx_socket_ops.open(&f->config, &f->env, &f->sink, &f->err), KX_OK);
}

static void open_tcp(struct fixture *f)
{
    f->listener = bind_any(f, SOCK_STREAM);
    assert_int_equal(listen(f->listener, 8), 0);
    open_sink(f);
}

static void open_udp(struct fixture *f)
{
    f->config.socket.protocol = KX_PROTOCOL_UDP;
    f->peer = bind_any(f, SOCK_DGRAM);
    open_sink(f);
}

static enum kx_outcome deliver(struct fixture *f, unsigned ms)
{
    struct kx_call call = {.deadline_ns = kx_clock_boot_ns() + ms * KX_NS_PER_MS,
                           .stop_fd = f->stop};
    f->err = (struct kx_error){.code = KX_OK};
    return kx_socket_ops.deliver(f->sink, &f->box.batch, &call, &f->err);
}

static enum kx_outcome idle(struct fixture *f)
{
    struct kx_call call = {.deadline_ns = kx_clock_boot_ns() + DEADLINE_S * KX_NS_PER_S,
                           .stop_fd = f->stop};
    f->err = (struct kx_error){.code = KX_OK};
    return kx_socket_ops.idle(f->sink, &call, &f->err);
}

static void accept_peer(struct fixture *f)
{
    struct pollfd ready = {.fd = f->listener, .events = POLLIN};
    if (f->peer >= 0)
        close(f->peer);
    assert_int_equal(poll(&ready, 1, DEADLINE_S * 1000), 1);
    f->peer = accept4(f->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(f->peer >= 0);
    f->length = 0;
}

/* Reads what is there; true once the other side has closed. */
static bool drain(struct fixture *f)
{
    for (;;) {
        ssize_t got = read(f->peer, f->text + f->length, TEXT_MAX - f->length);
        if (got <= 0)
            return got == 0 || errno != EAGAIN;
        f->length += (size_t)got;
    }
}

static void wait_readable(struct fixture *f)
{
    struct pollfd ready = {.fd = f->peer, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, DEADLINE_S * 1000), 1);
}

/* Leaves as a killed process does that has not read everything. */
static void kill_peer(struct fixture *f)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(f->peer, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(f->peer);
    f->peer = -1;
}

static void put_devices(struct fixture *f, unsigned from, unsigned count)
{
    for (unsigned i = from; i < from + count; i++)
        box_device(&f->box, &(struct device_spec){.mac = "AA:BB:CC:00:00:01",
                                                  .phy = "IEEE802.11",
                                                  .signal = -45,
                                                  .last_seen = T0,
                                                  .packets = i + 1});
}

/* Events that no socket buffer takes many of. */
static void put_events(struct fixture *f, unsigned count)
{
    char *data = malloc(BIG + 32);
    for (unsigned i = 0; i < count; i++) {
        int length = snprintf(data, 32, "{\"n\":%u,\"x\":\"", i);
        memset(data + length, 'x', BIG);
        strcpy(data + length + BIG, "\"}");
        box_event(&f->box, &(struct event_spec){.type = "ALERT", .data = data, .time_ns = 1});
    }
    free(data);
}

/* The number in the event's line that begins at `at`. */
static unsigned number_at(const struct fixture *f, size_t at)
{
    static const char head[] = "\"event_data\":{\"n\":";
    assert_int_equal(strncmp(f->text + at, "EVENT|{", 7), 0);
    const char *place = memmem(f->text + at, f->length - at, head, sizeof head - 1);
    assert_non_null(place);
    return (unsigned)strtoul(place + sizeof head - 1, NULL, 10);
}

static unsigned count_lines(const struct fixture *f)
{
    unsigned lines = 0;
    for (size_t i = 0; i < f->length; i++)
        lines += f->text[i] == '\n';
    return lines;
}

static unsigned count_done(const struct fixture *f)
{
    unsigned done = 0;
    for (uint32_t i = f->box.batch.first; i < f->box.batch.end; i++)
        done += kx_batch_done(&f->box.batch, i);
    return done;
}

/* --- TCP --- */

static void sends_lines(void **state)
{
    struct fixture *f = *state;
    open_tcp(f);
    put_devices(f, 0, 2000);
    /* The reader's window is small: it has to read meanwhile. */
    enum kx_outcome outcome = KX_RETRY;
    uint64_t give_up = kx_clock_boot_ns() + DEADLINE_S * KX_NS_PER_S;
    outcome = deliver(f, 500);
    accept_peer(f);
    while (outcome == KX_RETRY && kx_clock_boot_ns() < give_up) {
        drain(f);
        outcome = deliver(f, 20);
    }
    assert_int_equal(outcome, KX_SENT);
    while (count_lines(f) < 2000) {
        wait_readable(f);
        assert_false(drain(f));
    }
    const char *at = f->text;
    for (unsigned i = 0; i < 2000; i++) {
        char line[128];
        int length = snprintf(line, sizeof line,
                              "DEVICE,AA:BB:CC:00:00:01,IEEE802.11,-45,%u,"
                              "2025-01-17T16:30:45.000000+00:00\n",
                              i + 1);
        assert_memory_equal(at, line, (size_t)length);
        at += length;
    }
    assert_ptr_equal(at, f->text + f->length);
}

/* A reader that takes a little in each call gets each line once, in one piece, on one connection.
 */
static void a_slow_reader_gets_all(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 100 };
    open_tcp(f);
    put_events(f, COUNT);
    enum kx_outcome outcome = deliver(f, 500);
    uint64_t give_up = kx_clock_boot_ns() + DEADLINE_S * KX_NS_PER_S;
    assert_int_equal(outcome, KX_RETRY);
    assert_int_equal(f->err.code, KX_ERR_TIMEOUT);
    assert_true(f->box.batch.retry_after_ns == 1);
    accept_peer(f);
    while (outcome == KX_RETRY && kx_clock_boot_ns() < give_up) {
        assert_false(drain(f));
        outcome = deliver(f, 20);
    }
    assert_int_equal(outcome, KX_SENT);
    while (count_lines(f) < COUNT) {
        wait_readable(f);
        assert_false(drain(f));
    }
    struct kx_socket_encode encode;
    struct kx_buf wanted;
    kx_buf_init(&wanted, TEXT_MAX);
    kx_socket_encode_init(&encode, &f->config, KX_SOCKET_CSV, true);
    for (uint32_t i = 0; i < COUNT; i++)
        kx_socket_encode(&encode, &wanted, kx_batch_record(&f->box.batch, i), false);
    assert_int_equal(f->length, wanted.length);
    assert_memory_equal(f->text, wanted.data, wanted.length);
    kx_buf_fini(&wanted);
}

/* What was not taken whole comes again, whole, on the next connection. */
static void half_a_line_is_never_continued(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 100 };
    open_tcp(f);
    put_events(f, COUNT);
    assert_int_equal(deliver(f, 500), KX_RETRY);
    unsigned done = count_done(f);
    assert_true(done < COUNT);
    accept_peer(f);
    kill_peer(f);
    enum kx_outcome outcome = deliver(f, 5000);
    assert_int_equal(outcome, KX_RETRY);
    assert_int_equal(f->err.code, KX_ERR_UNAVAILABLE);
    assert_int_equal(count_done(f), done);
    outcome = deliver(f, 500);
    accept_peer(f);
    uint64_t give_up = kx_clock_boot_ns() + DEADLINE_S * KX_NS_PER_S;
    while (outcome == KX_RETRY && kx_clock_boot_ns() < give_up) {
        drain(f);
        outcome = deliver(f, 20);
    }
    assert_int_equal(outcome, KX_SENT);
    while (count_lines(f) < COUNT - done) {
        wait_readable(f);
        assert_false(drain(f));
    }
    assert_int_equal(number_at(f, 0), done);
    assert_int_equal(count_lines(f), COUNT - done);
}

static void a_reader_that_takes_nothing_is_left(void **state)
{
    struct fixture *f = *state;
    open_tcp(f);
    put_events(f, 100);
    uint64_t give_up = kx_clock_boot_ns() + DEADLINE_S * KX_NS_PER_S;
    do { /* until the buffers hold no more */
        assert_int_equal(deliver(f, 300), KX_RETRY);
        assert_int_equal(f->err.code, KX_ERR_TIMEOUT);
    } while (strstr(f->err.text, "is slow") != NULL && kx_clock_boot_ns() < give_up);
    accept_peer(f);
    assert_non_null(strstr(f->err.text, "takes nothing"));
    /* It has closed: behind what was sent there is an end. */
    while (!drain(f))
        wait_readable(f);
}

static void idle_notices_that_the_reader_left(void **state)
{
    struct fixture *f = *state;
    open_tcp(f);
    assert_int_equal(idle(f), KX_SENT);
    accept_peer(f);
    assert_int_equal(idle(f), KX_SENT);
    close(f->peer);
    f->peer = -1;
    uint64_t give_up = kx_clock_boot_ns() + DEADLINE_S * KX_NS_PER_S;
    while (idle(f) == KX_SENT)
        assert_true(kx_clock_boot_ns() < give_up);
    assert_non_null(strstr(f->err.text, "the reader closed the connection"));
    put_devices(f, 0, 1);
    assert_int_equal(deliver(f, 5000), KX_SENT);
    accept_peer(f);
    wait_readable(f);
    drain(f);
    assert_int_equal(count_lines(f), 1);
}

static void what_the_reader_says_is_thrown_away(void **state)
{
    struct fixture *f = *state;
    char chatter[4096];
    open_tcp(f);
    assert_int_equal(idle(f), KX_SENT);
    accept_peer(f);
    memset(chatter, 'x', sizeof chatter);
    for (int i = 0; i < 100; i++) {
        (void)!write(f->peer, chatter, sizeof chatter);
        put_devices(f, (unsigned)i, 1);
        assert_int_equal(deliver(f, 5000), KX_SENT);
        drain(f);
    }
    while (count_lines(f) < 100) {
        wait_readable(f);
        assert_false(drain(f));
    }
}

/* A proxy takes the connection and ends it: nothing was written, so nothing is lost. */
static void an_end_at_once_costs_nothing(void **state)
{
    struct fixture *f = *state;
    open_tcp(f);
    put_devices(f, 0, 1);
    pid_t proxy = fork();
    if (proxy == 0)
        for (;;) {
            struct pollfd ready = {.fd = f->listener, .events = POLLIN};
            if (poll(&ready, 1, DEADLINE_S * 1000) != 1)
                _exit(1);
            close(accept(f->listener, NULL, NULL));
        }
    enum kx_outcome outcome = deliver(f, DEADLINE_S * 1000);
    kill(proxy, SIGKILL);
    waitpid(proxy, NULL, 0);
    assert_int_equal(outcome, KX_RETRY);
    assert_non_null(strstr(f->err.text, "the reader closed the connection"));
    assert_int_equal(count_done(f), 0);
}

static void nobody_there(void **state)
{
    struct fixture *f = *state;
    open_tcp(f);
    close(f->listener);
    f->listener = -1;
    put_devices(f, 0, 1);
    assert_int_equal(deliver(f, 5000), KX_RETRY);
    assert_int_equal(f->err.code, KX_ERR_UNAVAILABLE);
    assert_non_null(strstr(f->err.text, "does its reader listen there"));
    assert_int_equal(count_done(f), 0);
}

static void a_stop_ends_the_wait(void **state)
{
    struct fixture *f = *state;
    open_tcp(f);
    put_events(f, 100);
    assert_int_equal(eventfd_write(f->stop, 1), 0);
    assert_int_equal(deliver(f, DEADLINE_S * 1000), KX_RETRY);
    assert_int_equal(f->err.code, KX_ERR_STOPPED);
    assert_int_equal(count_done(f), 0);
    /* And while the reader takes nothing. */
    eventfd_t drop;
    assert_int_equal(eventfd_read(f->stop, &drop), 0);
    assert_int_equal(idle(f), KX_SENT);
    assert_int_equal(eventfd_write(f->stop, 1), 0);
    assert_int_equal(deliver(f, 5000), KX_RETRY);
    assert_int_equal(f->err.code, KX_ERR_STOPPED);
}

/* --- UDP --- */

static void a_datagram_a_record(void **state)
{
    struct fixture *f = *state;
    open_udp(f);
    put_devices(f, 0, 3);
    assert_int_equal(deliver(f, 5000), KX_SENT);
    for (unsigned i = 0; i < 3; i++) {
        char bytes[2048], wanted[128];
        wait_readable(f);
        ssize_t got = recv(f->peer, bytes, sizeof bytes, 0);
        int length = snprintf(wanted, sizeof wanted,
                              "DEVICE,AA:BB:CC:00:00:01,IEEE802.11,-45,%u,"
                              "2025-01-17T16:30:45.000000+00:00\n",
                              i + 1);
        assert_int_equal(got, length);
        assert_memory_equal(bytes, wanted, (size_t)length);
    }
}

static unsigned dropped;

static void on_drop(struct kx_batch *batch, uint32_t i, enum kx_counter reason)
{
    (void)batch;
    assert_true(i == 1 || i == 3);
    assert_int_equal(reason, KX_C_SENDER_DROPPED_TOO_BIG);
    dropped++;
}

/* Too large: first without `extra`, then not at all; the neighbours go. */
static void nothing_is_cut(void **state)
{
    struct fixture *f = *state;
    char extra[1200], bytes[2048];
    f->config.socket.format = KX_SOCKET_JSON;
    open_udp(f);
    memset(extra, 'x', sizeof extra);
    memcpy(extra, "{\"a\":\"", 6);
    memcpy(extra + sizeof extra - 3, "\"}", 3);
    box_device(&f->box,
               &(struct device_spec){.mac = "AA:BB:CC:00:00:01", .extra = extra, .last_seen = T0});
    put_events(f, 1);
    put_devices(f, 0, 1);
    char name[1001]; /* too large without `extra`, too */
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    box_device(&f->box, &(struct device_spec){.mac = "AA:BB:CC:00:00:02",
                                              .name = name,
                                              .username = name,
                                              .extra = extra,
                                              .last_seen = T0});
    f->box.batch.drop = on_drop;
    dropped = 0;
    assert_int_equal(deliver(f, 5000), KX_SENT);
    assert_int_equal(dropped, 2);
    assert_int_equal(count_done(f), 4);
    assert_int_equal(kx_counter_get(f->env.counters, KX_C_RECORDS_BRIEF), 1);
    for (int i = 0; i < 2; i++) {
        wait_readable(f);
        ssize_t got = recv(f->peer, bytes, sizeof bytes - 1, 0);
        assert_in_range(got, 1, KX_SOCKET_DATAGRAM_MAX);
        bytes[got] = '\0';
        assert_null(strstr(bytes, i == 0 ? "extra" : "xxx"));
        assert_int_equal(bytes[got - 2], '}');
    }
    assert_int_equal(recv(f->peer, bytes, sizeof bytes, 0), -1);
}

/* A datagram is as long as it may be. */
static void datagrams_reach_their_limit(void **state)
{
    struct fixture *f = *state;
    char data[2048], bytes[2048];
    size_t longest = 0;
    open_udp(f);
    f->box.batch.drop = NULL;
    for (size_t length = 900; length < 1400; length++) {
        box_clear(&f->box);
        memset(data, 'x', length);
        memcpy(data, "{\"a\":\"", 6);
        strcpy(data + length - 2, "\"}");
        box_event(&f->box, &(struct event_spec){.type = "ALERT", .data = data, .time_ns = 1});
        assert_int_equal(deliver(f, 5000), KX_SENT);
        ssize_t got = recv(f->peer, bytes, sizeof bytes, 0);
        if (got > 0 && (size_t)got > longest)
            longest = (size_t)got;
    }
    assert_int_equal(longest, KX_SOCKET_DATAGRAM_MAX);
    assert_true(longest < 1400);
}

static void a_deaf_port_is_noticed(void **state)
{
    struct fixture *f = *state;
    open_udp(f);
    close(f->peer);
    f->peer = -1;
    put_devices(f, 0, 200);
    enum kx_outcome outcome = KX_SENT;
    for (int i = 0; i < 200 && outcome == KX_SENT; i++)
        outcome = deliver(f, 5000);
    assert_int_equal(outcome, KX_RETRY);
    assert_non_null(strstr(f->err.text, "nobody listens there"));
    assert_true(count_done(f) < 200);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(sends_lines),
        TEST(a_slow_reader_gets_all),
        TEST(half_a_line_is_never_continued),
        TEST(a_reader_that_takes_nothing_is_left),
        TEST(idle_notices_that_the_reader_left),
        TEST(what_the_reader_says_is_thrown_away),
        TEST(an_end_at_once_costs_nothing),
        TEST(nobody_there),
        TEST(a_stop_ends_the_wait),
        TEST(a_datagram_a_record),
        TEST(nothing_is_cut),
        TEST(datagrams_reach_their_limit),
        TEST(a_deaf_port_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
