/* What a service manager hears, and what it does not. */
#include "base/notify.h"

#include "base/clock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* The manager's end of the socket. */
struct manager {
    int fd;
    char name[64];
    char heard[512];
};

static void listen_at(struct manager *manager, bool abstract)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    static unsigned serial;
    snprintf(manager->name, sizeof manager->name, "%s/tmp/kx-notify-%d-%u", abstract ? "@" : "",
             (int)getpid(), serial++);
    strcpy(address.sun_path, manager->name);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(manager->name));
    if (abstract)
        address.sun_path[0] = '\0';
    manager->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_true(manager->fd >= 0);
    assert_int_equal(bind(manager->fd, (const struct sockaddr *)&address, length), 0);
    setenv("NOTIFY_SOCKET", manager->name, 1);
}

static void leave(struct manager *manager)
{
    close(manager->fd);
    if (manager->name[0] == '/')
        unlink(manager->name);
}

/* The next datagram; "" = there is none. */
static const char *heard(struct manager *manager)
{
    ssize_t got = recv(manager->fd, manager->heard, sizeof manager->heard - 1, 0);
    manager->heard[got < 0 ? 0 : got] = '\0';
    return manager->heard;
}

static void without_a_manager_nothing_happens(void **state)
{
    (void)state;
    static const char *const nowhere[] = {NULL, "", "relative", "/tmp/kx-nobody-listens-here"};
    for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++) {
        struct kx_notify notify;
        setenv("WATCHDOG_USEC", "1000000", 1);
        if (nowhere[i] == NULL)
            unsetenv("NOTIFY_SOCKET");
        else
            setenv("NOTIFY_SOCKET", nowhere[i], 1);
        kx_notify_open(&notify);
        assert_int_equal(notify.fd, -1);
        kx_notify_ready(&notify);
        kx_notify_status(&notify, "fine");
        kx_notify_watch(&notify, 1, true);
        assert_int_equal(kx_notify_due_ns(&notify), 0);
        kx_notify_close(&notify);
    }
}

static void words_arrive_whole(void **state)
{
    for (int abstract = 0; abstract < 2; abstract++) {
        struct manager manager;
        struct kx_notify notify;
        (void)state;
        listen_at(&manager, abstract == 1);
        kx_notify_open(&notify);
        assert_null(getenv("NOTIFY_SOCKET")); /* children must not speak in our name */
        kx_notify_ready(&notify);
        assert_string_equal(heard(&manager), "READY=1");
        kx_notify_reloading(&notify, 5000000);
        assert_string_equal(heard(&manager), "RELOADING=1\nMONOTONIC_USEC=5000");
        kx_notify_stopping(&notify);
        assert_string_equal(heard(&manager), "STOPPING=1");
        kx_notify_close(&notify);
        leave(&manager);
    }
}

static void a_status_is_one_line_and_said_once(void **state)
{
    struct manager manager;
    struct kx_notify notify;
    char line[KX_NOTIFY_STATUS_MAX * 2];
    (void)state;
    listen_at(&manager, false);
    kx_notify_open(&notify);
    kx_notify_status(&notify, "2 sinks are well");
    assert_string_equal(heard(&manager), "STATUS=2 sinks are well");
    kx_notify_status(&notify, "2 sinks are well");
    assert_string_equal(heard(&manager), "");
    kx_notify_status(&notify, "bad\nWATCHDOG=trigger");
    assert_string_equal(heard(&manager), "STATUS=bad");
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    kx_notify_status(&notify, line);
    assert_int_equal(strlen(heard(&manager)), strlen("STATUS=") + KX_NOTIFY_STATUS_MAX - 1);
    kx_notify_status(&notify, line);
    assert_string_equal(heard(&manager), "");
    kx_notify_close(&notify);
    leave(&manager);
}

static void the_watchdog_is_fed_while_all_are_alive(void **state)
{
    struct manager manager;
    struct kx_notify notify;
    char pid[32];
    (void)state;
    listen_at(&manager, false);
    setenv("WATCHDOG_USEC", "20000000", 1);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    kx_notify_open(&notify);
    uint64_t now = 100 * KX_NS_PER_S;
    kx_notify_watch(&notify, now, true);
    assert_string_equal(heard(&manager), "WATCHDOG=1");
    assert_int_equal(kx_notify_due_ns(&notify), now + 10 * KX_NS_PER_S);
    kx_notify_watch(&notify, now + 9 * KX_NS_PER_S, true);
    assert_string_equal(heard(&manager), "");
    /* A thread is late: it starves, until the thread has moved. */
    now += 10 * KX_NS_PER_S;
    kx_notify_watch(&notify, now, false);
    assert_string_equal(heard(&manager), "");
    kx_notify_watch(&notify, now + 1, true);
    assert_string_equal(heard(&manager), "WATCHDOG=1");
    kx_notify_close(&notify);
    leave(&manager);
}

static void a_watchdog_of_another_process_is_not_ours(void **state)
{
    static const char *const cases[][2] = {
        {"20000000", "1"}, {"", NULL}, {"12x", NULL}, {"x", NULL}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct manager manager;
        struct kx_notify notify;
        listen_at(&manager, false);
        setenv("WATCHDOG_USEC", cases[i][0], 1);
        if (cases[i][1] != NULL)
            setenv("WATCHDOG_PID", cases[i][1], 1);
        kx_notify_open(&notify);
        assert_int_equal(notify.interval_ns, 0);
        kx_notify_watch(&notify, 1, true);
        assert_string_equal(heard(&manager), "");
        kx_notify_close(&notify);
        leave(&manager);
    }
}

static void a_full_socket_is_tried_again(void **state)
{
    struct manager manager;
    struct kx_notify notify;
    unsigned sent = 0;
    (void)state;
    listen_at(&manager, false);
    setenv("WATCHDOG_USEC", "2", 1); /* due at each look */
    kx_notify_open(&notify);
    assert_int_equal(notify.interval_ns, 1000);
    uint64_t now = KX_NS_PER_S;
    uint64_t due = 0;
    do { /* until the manager's queue is full */
        due = kx_notify_due_ns(&notify);
        now += KX_NS_PER_S;
        kx_notify_watch(&notify, now, true);
        sent++;
    } while (kx_notify_due_ns(&notify) != due && sent < 100000);
    assert_in_range(sent, 2, 99999);
    while (heard(&manager)[0] != '\0')
        ;
    kx_notify_watch(&notify, now, true);
    assert_string_equal(heard(&manager), "WATCHDOG=1");
    kx_notify_close(&notify);
    leave(&manager);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_manager_nothing_happens),
        cmocka_unit_test(words_arrive_whole),
        cmocka_unit_test(a_status_is_one_line_and_said_once),
        cmocka_unit_test(the_watchdog_is_fed_while_all_are_alive),
        cmocka_unit_test(a_watchdog_of_another_process_is_not_ours),
        cmocka_unit_test(a_full_socket_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
