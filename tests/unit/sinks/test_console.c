/*
 * The console sink on real descriptors: pipes that fill, readers that leave, terminals that stop.
 */
#include "base/clock.h"
#include "records.h"
#include "sinks/console.h"
#include "sinks/sinks.h"
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

enum { T0 = 1737131445, TEXT_MAX = 1 << 20 };

struct fixture {
    char name[8];
    struct kx_sink_config config;
    void *sink;
    int in, out; /* what the sink writes to `in` is read from `out` */
    struct kx_error err;
    struct box box;
    char *text; /* read so far */
    size_t length;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL || (f->text = calloc(1, TEXT_MAX)) == NULL)
        return -1;
    strcpy(f->name, "con");
    f->config = (struct kx_sink_config){.name = f->name, .type = KX_SINK_CONSOLE};
    f->in = f->out = -1;
    box_init(&f->box);
    signal(SIGPIPE, SIG_IGN); /* main blocks it */
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    kx_console_ops.close(f->sink);
    if (f->in >= 0)
        close(f->in);
    if (f->out >= 0)
        close(f->out);
    box_fini(&f->box);
    free(f->text);
    free(f);
    return 0;
}

static void open_on(struct fixture *f, int in, int out)
{
    f->in = in;
    f->out = out;
    if (out >= 0)
        fcntl(out, F_SETFL, O_NONBLOCK);
    assert_int_equal(kx_console_open(&f->config, in, &f->sink, &f->err), KX_OK);
}

static void open_pipe(struct fixture *f)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(fcntl(fds[1], F_SETPIPE_SZ, 4096), 4096);
    open_on(f, fds[1], fds[0]);
}

/* Cannot be opened anew, so the sink writes pieces. */
static void open_socket(struct fixture *f)
{
    int fds[2];
    int bytes = 4096;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    open_on(f, fds[1], fds[0]);
}

static void drain(struct fixture *f)
{
    ssize_t got;
    while ((got = read(f->out, f->text + f->length, TEXT_MAX - 1 - f->length)) > 0)
        f->length += (size_t)got;
    f->text[f->length] = '\0';
}

static enum kx_outcome deliver(struct fixture *f)
{
    struct kx_call call = {.deadline_ns = kx_clock_boot_ns() + 20 * KX_NS_PER_MS, .stop_fd = -1};
    f->err = (struct kx_error){.code = KX_OK};
    return kx_console_ops.deliver(f->sink, &f->box.batch, &call, &f->err);
}

static void put_devices(struct fixture *f, unsigned from, unsigned count)
{
    for (unsigned i = from; i < from + count; i++) {
        char name[64];
        snprintf(name, sizeof name, "device %u of many", i);
        box_device(&f->box, &(struct device_spec){.mac = "AA:BB:CC:00:00:01",
                                                  .name = name,
                                                  .phy = "IEEE802.11",
                                                  .signal = -45,
                                                  .last_seen = T0,
                                                  .packets = i + 1});
    }
}

/* The text is that of devices from..from+count, each once, in order. */
static void expect_devices(struct fixture *f, unsigned count)
{
    const char *at = f->text;
    for (unsigned i = 0; i < count; i++) {
        char line[256];
        int length = snprintf(line, sizeof line,
                              "[%u] Device: AA:BB:CC:00:00:01 (device %u of many)"
                              " - PHY: IEEE802.11 - Signal: -45dBm - Packets: %u\n",
                              i + 1, i, i + 1);
        assert_memory_equal(at, line, (size_t)length);
        at += length;
    }
    assert_string_equal(at, "");
}

/* Delivers again and again, reading in between, as the engine and a slow reader would. */
static unsigned deliver_all(struct fixture *f)
{
    unsigned tries = 0;
    enum kx_outcome outcome;
    while ((outcome = deliver(f)) == KX_RETRY) {
        assert_int_equal(f->err.code, KX_ERR_TIMEOUT);
        if (tries % 2 == 0) /* every other call finds nobody who read */
            drain(f);
        assert_true(++tries < 10000);
    }
    assert_int_equal(outcome, KX_SENT);
    drain(f);
    for (uint32_t i = 0; i < f->box.batch.end; i++)
        assert_true(kx_batch_done(&f->box.batch, i));
    return tries;
}

/* --- slow readers --- */

static void slow_reader(struct fixture *f)
{
    int flags = fcntl(f->in, F_GETFL);
    put_devices(f, 0, 1500); /* some 130 kB: more than is encoded ahead */
    assert_true(deliver_all(f) > 3);
    box_clear(&f->box);
    put_devices(f, 1500, 3); /* the numbers go on */
    deliver_all(f);
    expect_devices(f, 1503);
    assert_int_equal(fcntl(f->in, F_GETFL), flags); /* shared with others: left as it is */
}

static void test_slow_reader_of_a_pipe(void **state)
{
    open_pipe(*state);
    slow_reader(*state);
}

static void test_slow_reader_of_a_socket(void **state)
{
    open_socket(*state);
    slow_reader(*state);
}

/* Somebody else who shares the descriptor made it non-blocking. */
static void test_slow_reader_of_a_nonblocking_socket(void **state)
{
    struct fixture *f = *state;
    open_socket(f);
    fcntl(f->in, F_SETFL, O_NONBLOCK);
    slow_reader(f);
}

/* Lines that are out are delivered, even when the call was not. */
static void test_partial_delivery_is_marked(void **state)
{
    struct fixture *f = *state;
    open_pipe(f);
    put_devices(f, 0, 100);
    assert_int_equal(deliver(f), KX_RETRY);
    drain(f);
    uint32_t lines = 0;
    for (size_t i = 0; i < f->length; i++)
        lines += f->text[i] == '\n';
    assert_true(lines > 10 && lines < 100);
    assert_int_not_equal(f->text[f->length - 1], '\n'); /* it ended within a line */
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(kx_batch_done(&f->box.batch, i), i < lines);
    deliver_all(f);
    expect_devices(f, 100);
}

/* The batch of a begun line is given up (dropped under pressure, say): the line is ended all the
 * same, nothing of the next batch is marked for it, and numbers go on behind it. */
static void test_begun_line_of_a_dropped_batch(void **state)
{
    struct fixture *f = *state;
    open_pipe(f);
    put_devices(f, 0, 100);
    assert_int_equal(deliver(f), KX_RETRY);
    drain(f);
    unsigned begun = 0;
    for (size_t i = 0; i < f->length; i++)
        begun += f->text[i] == '\n';
    box_clear(&f->box);
    put_devices(f, begun + 1, 100);
    deliver_all(f);
    expect_devices(f, begun + 101);
}

/* One record whose line is longer than all that is encoded ahead. */
static void test_long_line(void **state)
{
    struct fixture *f = *state;
    char *data = malloc(65001);
    assert_non_null(data);
    strcpy(data, "{\"x\":\"");
    for (size_t i = 6; i < 64998; i += 3)
        memcpy(data + i, "\xe2\x80\xae", 3); /* each becomes \u202E */
    strcpy(data + 64998, "\"}");
    open_pipe(f);
    box_event(&f->box, &(struct event_spec){.type = "X", .data = data, .time_ns = 1});
    put_devices(f, 0, 1);
    deliver_all(f);
    assert_true(f->length > 2 * 64900);
    assert_memory_equal(f->text, "Event: {\"event_type\":\"X\"", 24);
    assert_non_null(strstr(f->text, "\n[1] Device: "));
    assert_null(strstr(f->text, "\xe2"));
    free(data);
}

/* --- limits and ends --- */

static void test_stop_and_deadline(void **state)
{
    struct fixture *f = *state;
    open_pipe(f);
    put_devices(f, 0, 1);
    int stop = eventfd(1, EFD_CLOEXEC);
    struct kx_call call = {.stop_fd = stop};
    assert_int_equal(kx_console_ops.deliver(f->sink, &f->box.batch, &call, &f->err), KX_RETRY);
    assert_int_equal(f->err.code, KX_ERR_STOPPED);
    close(stop);
    call = (struct kx_call){.stop_fd = -1, .deadline_ns = 1};
    assert_int_equal(kx_console_ops.deliver(f->sink, &f->box.batch, &call, &f->err), KX_RETRY);
    assert_int_equal(f->err.code, KX_ERR_TIMEOUT);
    drain(f);
    assert_int_equal(f->length, 0);
    deliver_all(f);
    expect_devices(f, 1); /* still number 1 */
}

static void test_reader_gone(void **state)
{
    struct fixture *f = *state;
    open_pipe(f);
    put_devices(f, 0, 1);
    close(f->out);
    f->out = -1;
    assert_int_equal(deliver(f), KX_GONE);
    assert_false(kx_batch_done(&f->box.batch, 0));
}

static void test_reader_gone_before_the_start(void **state)
{
    struct fixture *f = *state;
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    close(fds[0]);
    open_on(f, fds[1], -1);
    put_devices(f, 0, 1);
    assert_int_equal(deliver(f), KX_GONE);
}

static void test_closed_descriptor(void **state)
{
    struct fixture *f = *state;
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(kx_console_open(&f->config, fds[1], &f->sink, &f->err), KX_OK);
    put_devices(f, 0, 1);
    assert_int_equal(deliver(f), KX_GONE);
}

static void test_full_disk(void **state)
{
    struct fixture *f = *state;
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    open_on(f, full, -1);
    put_devices(f, 0, 1);
    assert_int_equal(deliver(f), KX_HOLD);
    assert_int_equal(f->err.sys, ENOSPC);
}

static void test_file(void **state)
{
    struct fixture *f = *state;
    char path[] = "/tmp/kx-test-console-XXXXXX";
    int in = mkstemp(path);
    assert_true(in >= 0);
    open_on(f, in, open(path, O_RDONLY | O_CLOEXEC));
    unlink(path);
    put_devices(f, 0, 1500);
    assert_int_equal(deliver_all(f), 0);
    expect_devices(f, 1500);
}

/* Ctrl-S: the sink comes back at its deadline, and after Ctrl-Q nothing is missing. */
static void test_stopped_terminal(void **state)
{
    struct fixture *f = *state;
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(slave >= 0);
    struct termios raw;
    assert_int_equal(tcgetattr(slave, &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
    open_on(f, slave, master);
    assert_int_equal(tcflow(slave, TCOOFF), 0);
    put_devices(f, 0, 200);
    assert_int_equal(deliver(f), KX_RETRY);
    drain(f);
    assert_int_equal(f->length, 0);
    assert_int_equal(tcflow(slave, TCOON), 0);
    deliver_all(f);
    expect_devices(f, 200);
}

/* --- configuration, hostile text --- */

static void test_formats(void **state)
{
    struct fixture *f = *state;
    static const enum kx_format refused[] = {KX_FORMAT_CSV, KX_FORMAT_SIMPLE};
    for (size_t i = 0; i < 2; i++) {
        f->config.console.format = refused[i];
        assert_int_equal(kx_console_open(&f->config, 1, &f->sink, &f->err), KX_ERR_CONFIG);
        assert_null(f->sink);
    }
    kx_console_ops.close(NULL);
    assert_ptr_equal(kx_sinks_find(KX_SINK_CONSOLE), &kx_console_ops);
    for (enum kx_sink_type type = 0; type < KX_SINK_TYPES; type++)
        assert_string_equal(kx_sinks_find(type)->type, kx_sink_type_name(type));
}

/* `name or 'Unknown'`, as the script had it: an empty name is none. */
static void test_empty_name(void **state)
{
    struct fixture *f = *state;
    open_pipe(f);
    box_device(&f->box, &(struct device_spec){.mac = "AA:BB:CC:00:00:01", .name = "", .phy = "x"});
    deliver_all(f);
    assert_string_equal(f->text, "[1] Device: AA:BB:CC:00:00:01 (Unknown) - PHY: x"
                                 " - Signal: -dBm - Packets: -\n");
}

/* Whatever a device is called: one line, and no byte that a terminal obeys or hides. */
static void hostile_names_on(struct fixture *f)
{
    open_pipe(f);
    for (size_t i = 0; i < HOSTILE_NAMES; i++) {
        box_device(&f->box, &(struct device_spec){.mac = hostile_names[i],
                                                  .phy = hostile_names[i],
                                                  .name = hostile_names[i],
                                                  .last_seen = T0});
        box_event(&f->box, &(struct event_spec){.type = hostile_names[i],
                                                .key = hostile_names[i],
                                                .data = "{\"raw\":\"\033[2J\xc2\x9b\x7f\"}",
                                                .time_ns = 1});
    }
    deliver_all(f);
    size_t lines = 0;
    for (size_t i = 0; i < f->length; i++) {
        unsigned char byte = (unsigned char)f->text[i];
        lines += byte == '\n';
        assert_true(byte == '\n' || (byte >= 0x20 && byte < 0x7f));
    }
    assert_int_equal(lines, 2 * HOSTILE_NAMES);
}

static void test_hostile_names_as_text(void **state)
{
    hostile_names_on(*state);
}

static void test_hostile_names_as_json(void **state)
{
    struct fixture *f = *state;
    f->config.console.format = KX_FORMAT_JSON;
    hostile_names_on(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_slow_reader_of_a_pipe),
        TEST(test_slow_reader_of_a_socket),
        TEST(test_slow_reader_of_a_nonblocking_socket),
        TEST(test_partial_delivery_is_marked),
        TEST(test_begun_line_of_a_dropped_batch),
        TEST(test_long_line),
        TEST(test_stop_and_deadline),
        TEST(test_reader_gone),
        TEST(test_reader_gone_before_the_start),
        TEST(test_closed_descriptor),
        TEST(test_full_disk),
        TEST(test_file),
        TEST(test_stopped_terminal),
        TEST(test_formats),
        TEST(test_empty_name),
        TEST(test_hostile_names_as_text),
        TEST(test_hostile_names_as_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
