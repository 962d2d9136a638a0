/* The stats port; its rules stand in the header. */
#include "stats/server.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "stats/expose.h"
#include "stats/listen.h"
#include "stats/page.h"
#include "stats/rates.h"
#include "stats/snapshot.h"
#include "stats/status.h"
#include <errno.h>
#include <fcntl.h>
#include <libwebsockets.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 8,
    DEADLINE_S = 5,
    REQUEST_BYTES_MAX = 4096,
    ANSWER_BYTES_MAX = 16 << 20,
    CHUNK_BYTES = 16384,
    TICK_MS = 250,
    NICE = 10, /* whoever scrapes without a pause takes the processor from nobody */
};
#define ALIVE_NS (5 * KX_NS_PER_S)

struct connection {
    struct lws *wsi; /* NULL = free */
    bool over;       /* past its deadline, and told so */
    uint64_t begun_ns;
    struct kx_buf answer; /* behind LWS_PRE bytes that libwebsockets wants for itself */
    size_t sent;
};

struct kx_server {
    struct kx_server_params params;
    struct kx_listen listen;
    char words[KX_LISTEN_TEXT_MAX];
    int fd;       /* -1: libwebsockets has it */
    int spare_fd; /* given up to be able to accept, and close, when descriptors run out */
    struct lws_context *context;
    struct lws_vhost *vhost;
    lws_sorted_usec_list_t timer;
    struct connection connections[CONNECTIONS_MAX];
    struct kx_counters *counters;
    struct kx_snapshot *snapshot;
    struct kx_rates *rates;
    uint64_t *sample; /* room for one of each series */
    struct kx_buf policy;
    pthread_t thread;
    bool started;
    _Atomic bool stop;
    _Atomic uint64_t alive;
};

/* --- answers --- */

struct answer {
    unsigned status;
    const char *type;
    const char *policy;
    bool challenge; /* ask for the token */
};

static bool equals(const char *given, const char *token)
{
    size_t length = strlen(token);
    return strlen(given) == length && CRYPTO_memcmp(given, token, length) == 0;
}

static bool has_token(const struct kx_server *server, struct lws *wsi)
{
    static const char scheme[] = "Bearer ";
    char given[REQUEST_BYTES_MAX];
    if (server->params.token == NULL)
        return true;
    int length = lws_hdr_copy(wsi, given, (int)sizeof given, WSI_TOKEN_HTTP_AUTHORIZATION);
    bool good = length > 0 && strncasecmp(given, scheme, sizeof scheme - 1) == 0 &&
                equals(given + sizeof scheme - 1, server->params.token);
    explicit_bzero(given, sizeof given);
    return good;
}

static bool wants_open_metrics(struct lws *wsi)
{
    char accept[1024];
    int length = lws_hdr_copy(wsi, accept, (int)sizeof accept, WSI_TOKEN_HTTP_ACCEPT);
    return length > 0 && strstr(accept, "application/openmetrics-text") != NULL;
}

static void take(struct kx_server *server)
{
    kx_snapshot_take(server->snapshot, kx_clock_boot_ns(), kx_clock_wall_ns());
}

static void
metrics(struct kx_server *server, struct lws *wsi, struct kx_buf *out, struct answer *answer)
{
    enum kx_exposition format = wants_open_metrics(wsi) ? KX_EXPOSE_OPENMETRICS : KX_EXPOSE_TEXT;
    take(server);
    answer->type = kx_expose_content_type(format);
    kx_expose(out, server->snapshot, format);
}

static void refuse(struct kx_buf *out, struct answer *answer, unsigned status, const char *text)
{
    answer->status = status;
    answer->type = "text/plain; charset=utf-8";
    kx_buf_text(out, text);
}

/* What there is without a token: nothing that is worth one. */
static bool
answer_open(struct kx_server *server, const char *path, struct kx_buf *out, struct answer *answer)
{
    if (strcmp(path, "/") == 0) {
        answer->type = "text/html; charset=utf-8";
        answer->policy = server->policy.data;
        kx_buf_bytes(out, kx_page_html, kx_page_html_length);
        return true;
    }
    if (strcmp(path, "/healthz") != 0)
        return false;
    kx_snapshot_take_threads(server->snapshot, kx_clock_boot_ns());
    if (!kx_status_healthy(out, server->snapshot))
        answer->status = HTTP_STATUS_SERVICE_UNAVAILABLE;
    return true;
}

static void answer_get(struct kx_server *server,
                       struct lws *wsi,
                       const char *path,
                       struct kx_buf *out,
                       struct answer *answer)
{
    if (answer_open(server, path, out, answer))
        return;
    if (!has_token(server, wsi)) {
        answer->challenge = true;
        refuse(out, answer, HTTP_STATUS_UNAUTHORIZED,
               "give the token: Authorization: Bearer TOKEN\n");
    } else if (strcmp(path, "/metrics") == 0) {
        metrics(server, wsi, out, answer);
    } else if (strcmp(path, "/readyz") == 0) {
        take(server);
        if (!kx_status_ready(out, server->snapshot))
            answer->status = HTTP_STATUS_SERVICE_UNAVAILABLE;
    } else if (strcmp(path, "/status.json") == 0) {
        take(server);
        kx_status_write(out, server->snapshot, server->rates);
    } else {
        refuse(out, answer, HTTP_STATUS_NOT_FOUND,
               "here are /, /metrics, /healthz, /readyz and /status.json\n");
    }
}

static bool add_header(
    struct lws *wsi, const char *name, const char *value, unsigned char **at, unsigned char *end)
{
    return lws_add_http_header_by_name(wsi, (const unsigned char *)name,
                                       (const unsigned char *)value, (int)strlen(value), at,
                                       end) == 0;
}

static bool send_head(struct lws *wsi, const struct answer *answer, size_t length)
{
    static const struct {
        const char *name, *value;
    } always[] = {
        {"cache-control:", "no-store"},
        {"connection:", "close"},
        {"referrer-policy:", "no-referrer"},
        {"x-content-type-options:", "nosniff"},
        {"cross-origin-resource-policy:", "same-origin"},
    };
    unsigned char head[LWS_PRE + 2048];
    unsigned char *at = head + LWS_PRE;
    unsigned char *end = head + sizeof head;
    if (lws_add_http_header_status(wsi, answer->status, &at, end) != 0 ||
        lws_add_http_header_content_length(wsi, length, &at, end) != 0)
        return false;
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
        if (!add_header(wsi, always[i].name, always[i].value, &at, end))
            return false;
    if (!add_header(wsi, "content-type:", answer->type, &at, end) ||
        !add_header(wsi, "content-security-policy:", answer->policy, &at, end))
        return false;
    if (answer->status == HTTP_STATUS_METHOD_NOT_ALLOWED &&
        !add_header(wsi, "allow:", "GET, HEAD", &at, end))
        return false;
    if (answer->challenge && !add_header(wsi, "www-authenticate:", "Bearer", &at, end))
        return false;
    return lws_finalize_write_http_header(wsi, head + LWS_PRE, &at, end) == 0;
}

static struct connection *connection_of(struct kx_server *server, const struct lws *wsi)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (server->connections[i].wsi == wsi)
            return &server->connections[i];
    return NULL;
}

/* A request has come, whole. Returns what libwebsockets wants: -1 = close. */
static int on_request(struct kx_server *server, struct lws *wsi, const char *path)
{
    static const unsigned char blank[LWS_PRE];
    struct connection *connection = connection_of(server, wsi);
    struct answer answer = {.status = HTTP_STATUS_OK,
                            .type = "application/json; charset=utf-8",
                            .policy = "default-src 'none'; frame-ancestors 'none'"};
    bool head = lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0;
    if (connection == NULL)
        return -1;
    struct kx_buf *out = &connection->answer;
    kx_buf_clear(out);
    kx_buf_bytes(out, blank, LWS_PRE);
    if (head || lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0)
        answer_get(server, wsi, path, out, &answer);
    else
        refuse(out, &answer, HTTP_STATUS_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    if (out->failed) {
        kx_buf_clear(out);
        kx_buf_bytes(out, blank, LWS_PRE);
        refuse(out, &answer, HTTP_STATUS_INTERNAL_SERVER_ERROR, "no memory for the answer\n");
    }
    bool denied = answer.status >= 400 && answer.status < 500;
    kx_count(server->counters, denied ? KX_C_STATS_DENIED : KX_C_STATS_OK, 1);
    if (out->failed || !send_head(wsi, &answer, out->length - LWS_PRE))
        return -1;
    connection->sent = head ? out->length : LWS_PRE;
    lws_callback_on_writable(wsi);
    return 0;
}

static int on_writable(struct kx_server *server, struct lws *wsi)
{
    struct connection *connection = connection_of(server, wsi);
    if (connection == NULL)
        return -1;
    struct kx_buf *out = &connection->answer;
    size_t left = out->length - connection->sent;
    /* One answer a connection: a client that keeps it open would keep it from others. */
    if (left == 0)
        return lws_partial_buffered(wsi) ? lws_callback_on_writable(wsi) < 0 ? -1 : 0 : -1;
    size_t chunk = left < CHUNK_BYTES ? left : CHUNK_BYTES;
    unsigned char *from = (unsigned char *)out->data + connection->sent;
    enum lws_write_protocol how = chunk == left ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP;
    if (lws_write(wsi, from, chunk, how) < (int)chunk)
        return -1;
    connection->sent += chunk;
    lws_callback_on_writable(wsi);
    return 0;
}

/* --- connections --- */

static void on_end(struct kx_server *server, const struct lws *wsi)
{
    struct connection *connection = connection_of(server, wsi);
    if (wsi == NULL || connection == NULL)
        return;
    connection->wsi = NULL;
    kx_buf_fini(&connection->answer);
}

static void adopt(struct kx_server *server, int fd)
{
    struct connection *connection = connection_of(server, NULL);
    if (connection == NULL) {
        kx_count(server->counters, KX_C_STATS_TOO_MANY, 1);
        close(fd);
        return;
    }
    lws_sock_file_fd_type descriptor = {.sockfd = fd};
    lws_adoption_type how = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP;
    if (server->params.cert_file != NULL)
        how |= LWS_ADOPT_ALLOW_SSL;
    /* Failing, it closes the descriptor. */
    struct lws *wsi = lws_adopt_descriptor_vhost(server->vhost, how, descriptor, NULL, NULL);
    if (wsi == NULL)
        return;
    connection->wsi = wsi;
    connection->begun_ns = kx_clock_boot_ns();
    connection->sent = 0;
    connection->over = false;
    kx_buf_init(&connection->answer, ANSWER_BYTES_MAX);
}

/* Without a descriptor a connection can neither be accepted nor refused, and the listening socket
 * stays readable: the loop would spin. So one is kept to refuse it with. */
static void refuse_for_want_of_fds(struct kx_server *server, int listening)
{
    if (server->spare_fd >= 0)
        close(server->spare_fd);
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        kx_count(server->counters, KX_C_STATS_TOO_MANY, 1);
        close(fd);
    }
    server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_knock(struct kx_server *server, struct lws *wsi)
{
    int listening = lws_get_socket_fd(wsi);
    for (int i = 0; i < CONNECTIONS_MAX * 2; i++) {
        int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            adopt(server, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE)
            refuse_for_want_of_fds(server, listening);
        return;
    }
}

static int
callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length)
{
    (void)user;
    (void)length;
    struct lws_context *context = lws_get_context(wsi);
    struct kx_server *server = context == NULL ? NULL : lws_context_user(context);
    if (server == NULL)
        return 0;
    switch (reason) {
    case LWS_CALLBACK_RAW_RX_FILE:
        on_knock(server, wsi);
        return 0;
    case LWS_CALLBACK_HTTP:
        return on_request(server, wsi, in);
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return on_writable(server, wsi);
    case LWS_CALLBACK_WSI_DESTROY:
        on_end(server, wsi);
        return 0;
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: /* nobody gets a WebSocket here */
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return -1;
    case LWS_CALLBACK_HTTP_BODY:
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        return 0;
    default:
        return 0;
    }
}

/* --- the thread --- */

static void tick(lws_sorted_usec_list_t *timer)
{
    struct kx_server *server = lws_container_of(timer, struct kx_server, timer);
    uint64_t now_ns = kx_clock_boot_ns();
    atomic_store_explicit(&server->alive, now_ns + ALIVE_NS, memory_order_relaxed);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *connection = &server->connections[i];
        if (connection->wsi == NULL || connection->over ||
            now_ns < connection->begun_ns + DEADLINE_S * KX_NS_PER_S)
            continue;
        kx_count(server->counters, KX_C_STATS_DEADLINE, 1);
        connection->over = true;
        lws_set_timeout(connection->wsi, PENDING_TIMEOUT_KILLED_BY_PARENT, LWS_TO_KILL_ASYNC);
    }
    kx_snapshot_take_threads(server->snapshot, now_ns);
    if (now_ns >= kx_rates_due_ns(server->rates)) {
        take(server);
        kx_status_sample(server->snapshot, server->sample);
        kx_rates_sample(server->rates, now_ns, server->sample);
    }
    lws_sul_schedule(server->context, 0, timer, tick, TICK_MS * LWS_US_PER_MS);
}

static void *run(void *of)
{
    struct kx_server *server = of;
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
    tick(&server->timer);
    /* acquire: as every flag of this kind; the thread reads nothing that hangs on it. */
    while (!atomic_load_explicit(&server->stop, memory_order_acquire))
        lws_service(server->context, 0);
    lws_sul_cancel(&server->timer);
    atomic_store_explicit(&server->alive, UINT64_MAX, memory_order_relaxed);
    return NULL;
}

/* --- life --- */

/* Libwebsockets speaks of its clients' mistakes; they are nobody's but theirs. */
static void log_line(int level, const char *line)
{
    (void)level;
    if (kx_log_enabled(KX_LOG_DEBUG))
        kx_log(KX_LOG_DEBUG, "stats", "libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

static const struct lws_protocols protocols[] = {{.name = "http", .callback = callback},
                                                 {.name = NULL}};

static enum kx_code create_context(struct kx_server *server, struct kx_error *err)
{
    const struct kx_server_params *params = &server->params;
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .user = server,
        .server_string = "kismet-export",
        .max_http_header_data = REQUEST_BYTES_MAX,
        .max_http_header_pool = CONNECTIONS_MAX,
        /* Our own deadline comes first, and counts. */
        .timeout_secs = 2 * DEADLINE_S,
        .timeout_secs_ah_idle = 2 * DEADLINE_S,
        .keepalive_timeout = 2 * DEADLINE_S,
        .fd_limit_per_thread = CONNECTIONS_MAX + 8,
        .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
    };
    if (params->cert_file != NULL) {
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.ssl_cert_filepath = params->cert_file;
        info.ssl_private_key_filepath = params->key_file;
        info.alpn = "http/1.1";
        if (params->client_ca_file != NULL) {
            info.ssl_ca_filepath = params->client_ca_file;
            info.options |= LWS_SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT;
        }
    }
    lws_set_log_level(LLL_ERR | LLL_WARN, log_line);
    server->context = lws_create_context(&info);
    if (server->context == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "libwebsockets does not start");
    server->vhost = lws_create_vhost(server->context, &info);
    if (server->vhost == NULL && params->cert_file != NULL)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "cannot use the certificate %s with the key %s: both must be PEM, "
                            "readable, and belong together",
                            params->cert_file, params->key_file);
    if (server->vhost == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "libwebsockets makes no server");
    return KX_OK;
}

static enum kx_code listen_at(struct kx_server *server, struct kx_error *err)
{
    enum kx_code code = kx_listen_parse(server->params.listen, &server->listen, err);
    if (code == KX_OK)
        code = kx_listen_open(&server->listen, server->params.cert_file != NULL, &server->fd,
                              server->words, err);
    if (code != KX_OK)
        return code;
    server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    lws_sock_file_fd_type descriptor = {.filefd = server->fd};
    if (lws_adopt_descriptor_vhost(server->vhost, LWS_ADOPT_RAW_FILE_DESC, descriptor,
                                   protocols[0].name, NULL) == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "libwebsockets does not take the socket");
    server->fd = -1;
    return KX_OK;
}

static enum kx_code create_parts(struct kx_server *server, struct kx_error *err)
{
    const struct kx_feed *feed = server->params.feed;
    size_t series = kx_status_series(feed);
    server->counters = kx_counters_create();
    server->sample = calloc(series + 1, sizeof *server->sample);
    if (server->counters == NULL || server->sample == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the statistics");
    kx_page_policy(&server->policy, (const char *)kx_page_html, kx_page_html_length);
    kx_buf_byte(&server->policy, '\0');
    if (server->policy.failed)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the page");
    enum kx_code code = kx_rates_create(&server->rates, series, err);
    if (code == KX_OK)
        code = kx_snapshot_create(&server->snapshot, feed, kx_clock_boot_ns(), err);
    if (code != KX_OK)
        return code;
    server->snapshot->stats = server->counters;
    code = create_context(server, err);
    return code == KX_OK ? listen_at(server, err) : code;
}

enum kx_code kx_server_create(struct kx_server **ret_server,
                              const struct kx_server_params *params,
                              struct kx_error *err)
{
    enum { POLICY_BYTES_MAX = 1024 };
    struct kx_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the stats port");
    server->params = *params;
    server->fd = server->spare_fd = -1;
    kx_buf_init(&server->policy, POLICY_BYTES_MAX);
    atomic_init(&server->stop, false);
    atomic_init(&server->alive, UINT64_MAX);
    enum kx_code code = create_parts(server, err);
    if (code != KX_OK) {
        kx_server_destroy(server);
        return code;
    }
    *ret_server = server;
    return KX_OK;
}

const char *kx_server_words(const struct kx_server *server)
{
    return server->words;
}

uint64_t kx_server_alive_ns(const void *of)
{
    const struct kx_server *server = of;
    return atomic_load_explicit(&server->alive, memory_order_relaxed);
}

enum kx_code kx_server_start(struct kx_server *server, struct kx_error *err)
{
    int sys = pthread_create(&server->thread, NULL, run, server);
    if (sys != 0)
        return kx_error_set(err, KX_ERR_IO, sys, "cannot start the stats thread");
    server->started = true;
    pthread_setname_np(server->thread, "stats");
    return KX_OK;
}

void kx_server_stop(struct kx_server *server)
{
    if (server == NULL || !server->started)
        return;
    atomic_store_explicit(&server->stop, true, memory_order_release);
    lws_cancel_service(server->context);
    pthread_join(server->thread, NULL);
    server->started = false;
}

void kx_server_destroy(struct kx_server *server)
{
    if (server == NULL)
        return;
    if (server->context != NULL)
        lws_context_destroy(server->context);
    if (server->words[0] != '\0') /* it listened */
        kx_listen_close(&server->listen, server->fd);
    if (server->spare_fd >= 0)
        close(server->spare_fd);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        kx_buf_fini(&server->connections[i].answer);
    kx_buf_fini(&server->policy);
    kx_snapshot_destroy(server->snapshot);
    kx_rates_destroy(server->rates);
    kx_counters_destroy(server->counters);
    free(server->sample);
    free(server);
}
