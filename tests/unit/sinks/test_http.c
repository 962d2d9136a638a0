/*
 * Requests over a real socket to a scripted server, a thread of this program: what is sent, what
 * ends a call, what a connection survives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "sinks/http.h"
#include <arpa/inet.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUEST_MAX = 64 << 10, SECONDS = 30 };

/* Serves one connection after the other; to each request the next answer of the script. NULL = says
 * nothing, and waits until the client closes. */
struct server {
    int listener;
    int stop_fd; /* becomes readable when it says nothing */
    char url[64];
    pthread_t thread;
    const char *const *script;
    size_t answers;
    size_t answered;
    unsigned connections;
    char request[REQUEST_MAX]; /* the last one */
};

/* Reads one request with its body. False = the client has closed. */
static bool read_request(int fd, char *out)
{
    size_t length = 0, wanted = SIZE_MAX;
    while (length < wanted) {
        ssize_t got = read(fd, out + length, REQUEST_MAX - 1 - length);
        if (got <= 0)
            return false;
        length += (size_t)got;
        out[length] = '\0';
        const char *end = strstr(out, "\r\n\r\n");
        const char *body = strstr(out, "Content-Length: ");
        if (end != NULL)
            wanted = (size_t)(end - out) + 4 + (body != NULL ? strtoul(body + 16, NULL, 10) : 0);
    }
    return true;
}

static void *serve(void *context)
{
    struct server *server = context;
    while (server->answered < server->answers) {
        int fd = accept(server->listener, NULL, NULL);
        if (fd < 0)
            break;
        server->connections++;
        while (server->answered < server->answers && read_request(fd, server->request)) {
            const char *answer = server->script[server->answered++];
            char byte;
            if (answer == NULL) {
                eventfd_write(server->stop_fd, 1);
                while (read(fd, &byte, 1) > 0)
                    ;
                break;
            }
            if (write(fd, answer, strlen(answer)) < 0 || strstr(answer, "close") != NULL)
                break;
        }
        close(fd);
    }
    return NULL;
}

static void start(struct server *server, const char *const *script, size_t answers)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    memset(server, 0, sizeof *server);
    server->script = script;
    server->answers = answers;
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    server->stop_fd = eventfd(0, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &length), 0);
    assert_int_equal(listen(server->listener, 8), 0);
    snprintf(server->url, sizeof server->url, "http://127.0.0.1:%u/x?token=no",
             (unsigned)ntohs(address.sin_port));
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void finish(struct server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
    close(server->stop_fd);
}

static struct kx_http *client(void)
{
    struct kx_http *http = NULL;
    struct kx_http_params params = {.who = "http://there"};
    assert_int_equal(kx_http_create(&http, &params, NULL), KX_OK);
    return http;
}

static struct kx_call in(uint64_t ns)
{
    return (struct kx_call){.deadline_ns = kx_clock_boot_ns() + ns, .stop_fd = -1};
}

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define NO_CONTENT "HTTP/1.1 204 No Content\r\n\r\n"

static void test_requests_share_a_connection(void **state)
{
    (void)state;
    static const char *const script[] = {
        OK, "HTTP/1.1 503 No\r\nrEtRy-AfTeR: 7 \r\nContent-Length: 0\r\n\r\n", NO_CONTENT, OK};
    static const char *const headers[] = {"X-One: 1", "Content-Type: text/plain"};
    struct server server;
    struct kx_http *http = client();
    struct kx_secret secret = {0};
    struct kx_http_answer answer;
    struct kx_call call = in(SECONDS * KX_NS_PER_S);
    start(&server, script, 4);
    assert_int_equal(kx_secret_set(&secret, "tops3cret", NULL), KX_OK);
    struct kx_http_request request = {.url = server.url,
                                      .headers = headers,
                                      .header_count = 2,
                                      .body = "a\0b",
                                      .length = 3,
                                      .secret = &secret,
                                      .scheme = "Bearer"};
    assert_int_equal(kx_http_send(http, &request, &call, &answer, NULL), KX_OK);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "ok");
    assert_int_equal(answer.length, 2);
    assert_false(answer.cut);
    assert_int_equal(answer.retry_after_ns, 0);
    assert_memory_equal(server.request, "POST /x?token=no HTTP/1.1\r\n", 27);
    assert_non_null(strstr(server.request, "Authorization: Bearer tops3cret\r\n"));
    assert_non_null(strstr(server.request, "X-One: 1\r\nContent-Type: text/plain\r\n"));
    assert_null(strstr(server.request, "Expect"));
    assert_memory_equal(strstr(server.request, "\r\n\r\n") + 4, "a\0b", 3);
    /* The credential is of that request only. */
    request = (struct kx_http_request){.url = server.url};
    assert_int_equal(kx_http_send(http, &request, &call, &answer, NULL), KX_OK);
    assert_int_equal(answer.status, 503);
    assert_int_equal(answer.retry_after_ns, 7 * KX_NS_PER_S);
    assert_string_equal(answer.body, "");
    assert_memory_equal(server.request, "GET ", 4);
    assert_null(strstr(server.request, "Authorization"));
    request = (struct kx_http_request){.url = server.url,
                                       .method = "PUT",
                                       .body = "x",
                                       .length = 1,
                                       .secret = &secret,
                                       .user = "anna"};
    assert_int_equal(kx_http_send(http, &request, &call, &answer, NULL), KX_OK);
    assert_int_equal(answer.status, 204);
    assert_int_equal(answer.retry_after_ns, 0);
    assert_memory_equal(server.request, "PUT ", 4);
    assert_non_null(strstr(server.request, "Authorization: Basic YW5uYTp0b3BzM2NyZXQ=\r\n"));
    request = (struct kx_http_request){.url = server.url};
    assert_int_equal(kx_http_send(http, &request, &call, &answer, NULL), KX_OK);
    assert_null(strstr(server.request, "Authorization"));
    assert_int_equal(server.connections, 1);
    finish(&server);
    kx_secret_fini(&secret);
    kx_http_destroy(http);
    kx_http_destroy(NULL);
}

/* In the middle of it, at once; and the handle works again afterwards. */
static void test_a_stop_ends_a_call(void **state)
{
    (void)state;
    static const char *const script[] = {NULL, OK};
    struct server server;
    struct kx_error err;
    struct kx_http_answer answer;
    struct kx_http *http = client();
    struct kx_call call = in(SECONDS * KX_NS_PER_S);
    start(&server, script, 2);
    call.stop_fd = server.stop_fd;
    struct kx_http_request request = {.url = server.url};
    assert_int_equal(kx_http_send(http, &request, &call, &answer, &err), KX_ERR_STOPPED);
    assert_non_null(strstr(err.text, "http://there: stopped"));
    /* It stays readable: the next call is over before it begins. */
    assert_int_equal(kx_http_send(http, &request, &call, &answer, &err), KX_ERR_STOPPED);
    call.stop_fd = -1;
    assert_int_equal(kx_http_send(http, &request, &call, &answer, &err), KX_OK);
    assert_int_equal(server.connections, 2);
    finish(&server);
    kx_http_destroy(http);
}

static void test_a_deadline_ends_a_call(void **state)
{
    (void)state;
    static const char *const script[] = {NULL, OK};
    struct server server;
    struct kx_error err;
    struct kx_http_answer answer;
    struct kx_http *http = client();
    start(&server, script, 2);
    struct kx_http_request request = {.url = server.url};
    struct kx_call call = in(100 * KX_NS_PER_MS);
    assert_int_equal(kx_http_send(http, &request, &call, &answer, &err), KX_ERR_TIMEOUT);
    assert_null(strstr(err.text, "token=no")); /* of the address */
    assert_int_equal(kx_http_send(http, &request, &call, &answer, &err), KX_ERR_TIMEOUT);
    call = in(SECONDS * KX_NS_PER_S);
    assert_int_equal(kx_http_send(http, &request, &call, &answer, &err), KX_OK);
    finish(&server);
    kx_http_destroy(http);
}

static void test_what_cannot_be_asked(void **state)
{
    (void)state;
    static const char *const bad[] = {"X: a\r\nY: b"};
    struct kx_error err;
    struct kx_http_answer answer;
    struct kx_http *http = client();
    struct kx_call call = in(SECONDS * KX_NS_PER_S);
    struct kx_http_request request = {
        .url = "http://127.0.0.1:1/", .headers = bad, .header_count = 1};
    assert_int_equal(kx_http_send(http, &request, &call, &answer, &err), KX_ERR_CONFIG);
    request = (struct kx_http_request){.url = "http://127.0.0.1:1/"};
    assert_int_equal(kx_http_send(http, &request, &call, &answer, &err), KX_ERR_UNAVAILABLE);
    request.url = "http://[::";
    assert_int_equal(kx_http_send(http, &request, &call, &answer, &err), KX_ERR_CONFIG);
    request.url = "file:///etc/passwd";
    assert_int_equal(kx_http_send(http, &request, &call, &answer, &err), KX_ERR_UNAVAILABLE);
    request.url = "http://no-such-host.invalid/";
    assert_int_equal(kx_http_send(http, &request, &call, &answer, &err), KX_ERR_UNAVAILABLE);
    kx_http_destroy(http);
}

/* A body above what is kept: read to its end, cut, and the connection goes on. */
static void test_a_large_answer(void **state)
{
    (void)state;
    enum { BODY = 100000 };
    char *large = malloc(BODY + 100);
    assert_non_null(large);
    int head = snprintf(large, 100, "HTTP/1.1 500 No\r\nContent-Length: %d\r\n\r\n", BODY);
    memset(large + head, 'x', BODY);
    large[head + BODY] = '\0';
    const char *const script[] = {large, OK};
    struct server server;
    struct kx_http_answer answer;
    struct kx_http *http = client();
    struct kx_call call = in(SECONDS * KX_NS_PER_S);
    start(&server, script, 2);
    struct kx_http_request request = {.url = server.url};
    assert_int_equal(kx_http_send(http, &request, &call, &answer, NULL), KX_OK);
    assert_int_equal(answer.length, KX_HTTP_ANSWER_MAX);
    assert_int_equal(strlen(answer.body), KX_HTTP_ANSWER_MAX);
    assert_true(answer.cut);
    assert_int_equal(kx_http_send(http, &request, &call, &answer, NULL), KX_OK);
    assert_string_equal(answer.body, "ok");
    assert_false(answer.cut);
    assert_int_equal(server.connections, 1);
    finish(&server);
    kx_http_destroy(http);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_share_a_connection),
        cmocka_unit_test(test_a_stop_ends_a_call),
        cmocka_unit_test(test_a_deadline_ends_a_call),
        cmocka_unit_test(test_what_cannot_be_asked),
        cmocka_unit_test(test_a_large_answer),
    };
    curl_global_init(CURL_GLOBAL_DEFAULT);
    /* The tests' own server is to be asked, whatever the environment says. */
    setenv("no_proxy", "*", 1);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
