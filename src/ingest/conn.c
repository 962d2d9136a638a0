/* A WebSocket connection over libcurl's CONNECT_ONLY; the contract stands in the header. */
#include "ingest/conn.h"

#include "base/clock.h"
#include "base/hash.h"
#include "ingest/json.h"
#include <stdlib.h>
#include <string.h>

enum {
    PING_S = 10,
    SILENT_S = 20,
    WRITE_STUCK_S = 5,
    OUTBOX_BYTES_MAX = 262144,
    READ_BUDGET_BYTES = 4194304, /* of one turn: the other sources want theirs */
    CONTROL_BYTES_MAX = 125,
};

enum state {
    STATE_IDLE,
    STATE_CONNECTING, /* libcurl: DNS, TCP, TLS */
    STATE_UPGRADING,  /* our request is out */
    STATE_OPEN,
    STATE_FAILED, /* could not start: tick reports it */
};

struct watch {
    curl_socket_t fd;
    int what; /* CURL_POLL_IN, _OUT, _INOUT; 0 = free */
};

struct kx_conn {
    const struct kx_endpoint *endpoint;
    const char *path;
    const struct kx_conn_ops *ops;
    void *context;
    enum state state;
    uint64_t now_ns;      /* of the call under way, for libcurl's callbacks */
    uint64_t deadline_ns; /* of the upgrade */
    uint64_t ping_due_ns;
    uint64_t silent_due_ns;
    uint64_t write_due_ns;  /* 0 = no write is unfinished */
    uint64_t curl_timer_ns; /* UINT64_MAX = none */
    bool more;              /* the budget ended a read, not the socket */
    CURLM *multi;
    CURL *easy;
    curl_socket_t socket; /* once connected */
    struct watch watches[KX_CONN_FDS_MAX];
    char curl_error[CURL_ERROR_SIZE];
    char key[KX_WS_KEY_BYTES];
    struct kx_buf head; /* of the HTTP answer */
    struct kx_buf outbox;
    size_t outbox_sent;
    bool pong_wanted; /* the newest ping that is not answered yet */
    size_t pong_length;
    char pong[CONTROL_BYTES_MAX];
    struct kx_ws *ws;
    unsigned retry_after_s;
    struct kx_error failure; /* of STATE_FAILED */
};

static void shut(struct kx_conn *conn)
{
    if (conn->easy != NULL && conn->multi != NULL)
        curl_multi_remove_handle(conn->multi, conn->easy);
    curl_easy_cleanup(conn->easy);
    curl_multi_cleanup(conn->multi);
    conn->easy = NULL;
    conn->multi = NULL;
    memset(conn->watches, 0, sizeof(conn->watches));
    if (conn->outbox.data != NULL)
        explicit_bzero(conn->outbox.data, conn->outbox.length);
    kx_buf_clear(&conn->outbox);
    kx_buf_clear(&conn->head);
    conn->outbox_sent = 0;
    conn->pong_wanted = false;
    conn->more = false;
    conn->state = STATE_IDLE;
}

static void fail(struct kx_conn *conn, enum kx_conn_cause cause, const struct kx_error *err)
{
    bool partial = kx_ws_reset(conn->ws);
    shut(conn);
    conn->ops->closed(conn->context, cause, partial, err);
}

static enum kx_conn_cause cause_of(enum kx_code code)
{
    switch (code) {
    case KX_ERR_AUTH:
        return KX_CONN_AUTH;
    case KX_ERR_NOT_FOUND:
        return KX_CONN_NOT_FOUND;
    case KX_ERR_PROTOCOL:
        return KX_CONN_PROTOCOL;
    case KX_ERR_TIMEOUT:
        return KX_CONN_TIMEOUT;
    default:
        return KX_CONN_REFUSED;
    }
}

static void
fail_late(struct kx_conn *conn, enum kx_conn_cause cause, const char *what, unsigned seconds)
{
    struct kx_error err;
    kx_error_set(&err, KX_ERR_TIMEOUT, 0, "%s%s: %s within %u s", conn->endpoint->authority,
                 conn->path, what, seconds);
    fail(conn, cause, &err);
}

/* --- libcurl's callbacks while it connects --- */

static int on_watch(CURL *easy, curl_socket_t fd, int what, void *context, void *socket_context)
{
    (void)easy;
    (void)socket_context;
    struct kx_conn *conn = context;
    struct watch *free_slot = NULL;
    for (size_t i = 0; i < KX_CONN_FDS_MAX; i++) {
        struct watch *watch = &conn->watches[i];
        if (watch->what != 0 && watch->fd == fd) {
            watch->what = what == CURL_POLL_REMOVE || what == CURL_POLL_NONE ? 0 : what;
            return 0;
        }
        if (watch->what == 0)
            free_slot = watch;
    }
    if (what == CURL_POLL_REMOVE || what == CURL_POLL_NONE)
        return 0;
    /* libcurl holds a resolver's pipe and two racing sockets: eight slots are plenty. One that is
     * not watched only costs the upgrade's deadline. */
    if (free_slot != NULL)
        *free_slot = (struct watch){.fd = fd, .what = what};
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *context)
{
    (void)multi;
    struct kx_conn *conn = context;
    conn->curl_timer_ns =
        timeout_ms < 0 ? UINT64_MAX : conn->now_ns + (uint64_t)timeout_ms * KX_NS_PER_MS;
    return 0;
}

/* --- writing --- */

/* Sends what the outbox holds. Returns false when the connection ended. */
static bool flush(struct kx_conn *conn)
{
    while (conn->outbox_sent < conn->outbox.length) {
        size_t sent = 0;
        CURLcode result = curl_easy_send(conn->easy, conn->outbox.data + conn->outbox_sent,
                                         conn->outbox.length - conn->outbox_sent, &sent);
        if (result == CURLE_AGAIN) {
            if (conn->write_due_ns == 0)
                conn->write_due_ns = conn->now_ns + WRITE_STUCK_S * KX_NS_PER_S;
            return true;
        }
        if (result != CURLE_OK) {
            struct kx_error err;
            kx_endpoint_failure(conn->endpoint, result, conn->curl_error, &err);
            fail(conn, KX_CONN_CLOSED, &err);
            return false;
        }
        conn->outbox_sent += sent;
        conn->write_due_ns = 0;
    }
    conn->write_due_ns = 0;
    kx_buf_clear(&conn->outbox);
    conn->outbox_sent = 0;
    return true;
}

static void
append_frame(struct kx_conn *conn, enum kx_ws_opcode opcode, const char *payload, size_t length)
{
    uint32_t mask;
    kx_hash_random(&mask, sizeof(mask));
    kx_ws_frame(&conn->outbox, opcode, payload, length, mask);
}

/* Nothing new is written behind an unfinished write but subscriptions: a peer that does not read
 * must not make us hoard answers to its pings. */
static bool write_controls(struct kx_conn *conn)
{
    if (conn->outbox.length > 0)
        return flush(conn);
    if (conn->pong_wanted) {
        conn->pong_wanted = false;
        append_frame(conn, KX_WS_OP_PONG, conn->pong, conn->pong_length);
    }
    if (conn->now_ns >= conn->ping_due_ns) {
        conn->ping_due_ns = conn->now_ns + PING_S * KX_NS_PER_S;
        append_frame(conn, KX_WS_OP_PING, "kx", 2);
    }
    return flush(conn);
}

void kx_conn_send(struct kx_conn *conn, const char *text, size_t length)
{
    KX_ASSERT(conn->state == STATE_OPEN);
    append_frame(conn, KX_WS_OP_TEXT, text, length);
    /* flush waits for the next tick: the owner calls us from inside his callbacks. */
}

/* --- the upgrade --- */

static bool send_request(struct kx_conn *conn)
{
    struct kx_error err;
    struct kx_buf header;
    kx_buf_init(&header, 32768);
    enum kx_code code = kx_endpoint_header(conn->endpoint, &header, &err);
    struct kx_buf target;
    kx_buf_init(&target, 4096);
    kx_buf_printf(&target, "%s%s", conn->endpoint->url.prefix, conn->path);
    kx_buf_byte(&target, '\0');
    if (code == KX_OK && target.failed)
        code = kx_error_set(&err, KX_ERR_CONFIG, 0, "the url's path is too long");
    if (code == KX_OK) {
        uint8_t nonce[16];
        kx_hash_random(nonce, sizeof(nonce));
        const char *headers[] = {header.data};
        code = kx_ws_request(&conn->outbox, target.data, conn->endpoint->authority, headers,
                             header.length > 0 ? 1 : 0, nonce, conn->key, &err);
    }
    if (header.data != NULL)
        explicit_bzero(header.data, header.capacity);
    kx_buf_fini(&header);
    kx_buf_fini(&target);
    if (code != KX_OK) {
        fail(conn, cause_of(code), &err);
        return false;
    }
    conn->state = STATE_UPGRADING;
    return flush(conn);
}

/* libcurl says how its connecting ended. */
static void connected(struct kx_conn *conn, CURLcode result)
{
    struct kx_error err;
    if (result != CURLE_OK) {
        enum kx_code code = kx_endpoint_failure(conn->endpoint, result, conn->curl_error, &err);
        fail(conn, cause_of(code), &err);
        return;
    }
    if (curl_easy_getinfo(conn->easy, CURLINFO_ACTIVESOCKET, &conn->socket) != CURLE_OK ||
        conn->socket == CURL_SOCKET_BAD) {
        kx_error_set(&err, KX_ERR_UNAVAILABLE, 0, "%s closed at once", conn->endpoint->authority);
        fail(conn, KX_CONN_REFUSED, &err);
        return;
    }
    memset(conn->watches, 0, sizeof(conn->watches));
    send_request(conn);
}

static void act(struct kx_conn *conn, curl_socket_t fd, int mask)
{
    int running;
    curl_multi_socket_action(conn->multi, fd, mask, &running);
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(conn->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            connected(conn, message->data.result);
            return; /* the handle may be gone */
        }
    }
}

/* The answer's head so far. Returns false when the connection ended or wants more bytes. */
static bool read_head(struct kx_conn *conn, const char *bytes, size_t length)
{
    kx_buf_bytes(&conn->head, bytes, length);
    struct kx_error err;
    struct kx_ws_response response = {0};
    enum kx_code code =
        kx_ws_response(conn->head.data, conn->head.length, conn->key, &response, &err);
    if (code != KX_OK) {
        kx_error_prefix(&err, "%s%s", conn->endpoint->authority, conn->path);
        if (response.status != 0 && response.retry_after_s > 0)
            conn->retry_after_s = (unsigned)response.retry_after_s;
        fail(conn, cause_of(code), &err);
        return false;
    }
    if (response.status == 0)
        return false;
    size_t rest = conn->head.length - response.consumed;
    conn->state = STATE_OPEN;
    conn->ping_due_ns = conn->now_ns + PING_S * KX_NS_PER_S;
    if (rest > 0) {
        size_t room;
        char *place = kx_ws_room(conn->ws, &room);
        KX_ASSERT(room >= rest); /* a head and what came in the same read: under 32 KiB */
        memcpy(place, conn->head.data + response.consumed, rest);
        kx_ws_filled(conn->ws, rest);
    }
    kx_buf_clear(&conn->head);
    conn->ops->opened(conn->context);
    return conn->state == STATE_OPEN;
}

/* --- reading --- */

/* Hands out the messages that the buffer holds. Returns false when the connection ended. */
static bool deliver(struct kx_conn *conn, int64_t received_ns)
{
    struct kx_ws_message message;
    struct kx_error err;
    for (;;) {
        enum kx_ws_event event = kx_ws_next(conn->ws, &message, &err);
        switch (event) {
        case KX_WS_MORE:
            return true;
        case KX_WS_TEXT:
        case KX_WS_BINARY:
        case KX_WS_SKIPPED:
            conn->ops->message(conn->context, event, &message, received_ns);
            if (conn->state != STATE_OPEN)
                return false;
            break;
        case KX_WS_PING:
            conn->pong_wanted = true;
            conn->pong_length = message.length;
            memcpy(conn->pong, message.data, message.length);
            break;
        case KX_WS_PONG:
            break;
        case KX_WS_CLOSE:
            kx_error_set(&err, KX_ERR_UNAVAILABLE, 0, "%s%s: the server closed (code %u)",
                         conn->endpoint->authority, conn->path, (unsigned)message.close_code);
            fail(conn, KX_CONN_CLOSED, &err);
            return false;
        case KX_WS_PROTOCOL_ERROR:
            kx_error_prefix(&err, "%s%s", conn->endpoint->authority, conn->path);
            fail(conn, KX_CONN_PROTOCOL, &err);
            return false;
        }
    }
}

static bool took(struct kx_conn *conn, const char *bytes, size_t length)
{
    conn->silent_due_ns = conn->now_ns + SILENT_S * KX_NS_PER_S;
    if (conn->state == STATE_UPGRADING && !read_head(conn, bytes, length))
        return conn->state == STATE_UPGRADING;
    if (!deliver(conn, kx_clock_wall_ns()))
        return false;
    conn->ops->read_end(conn->context, length);
    return conn->state == STATE_OPEN;
}

static void read_all(struct kx_conn *conn)
{
    size_t budget = READ_BUDGET_BYTES;
    conn->more = false;
    for (;;) {
        char head[4096];
        size_t room = sizeof(head);
        bool upgrading = conn->state == STATE_UPGRADING;
        char *place = upgrading ? head : kx_ws_room(conn->ws, &room);
        size_t got = 0;
        CURLcode result = curl_easy_recv(conn->easy, place, room, &got);
        if (result == CURLE_AGAIN)
            return;
        struct kx_error err;
        if (result != CURLE_OK) {
            kx_endpoint_failure(conn->endpoint, result, conn->curl_error, &err);
            fail(conn, KX_CONN_CLOSED, &err);
            return;
        }
        if (got == 0) {
            kx_error_set(&err, KX_ERR_UNAVAILABLE, 0, "%s%s: the server closed the connection",
                         conn->endpoint->authority, conn->path);
            fail(conn, KX_CONN_CLOSED, &err);
            return;
        }
        if (!upgrading)
            kx_ws_filled(conn->ws, got);
        if (!took(conn, place, got))
            return;
        if (got >= budget) {
            conn->more = true;
            return;
        }
        budget -= got;
    }
}

/* --- the loop's calls --- */

enum kx_code kx_conn_create(struct kx_conn **ret_conn,
                            const struct kx_endpoint *endpoint,
                            const char *path,
                            const struct kx_conn_ops *ops,
                            void *context,
                            struct kx_error *err)
{
    struct kx_conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a connection");
    conn->endpoint = endpoint;
    conn->path = path;
    conn->ops = ops;
    conn->context = context;
    kx_buf_init(&conn->head, KX_WS_RESPONSE_MAX + 4096);
    kx_buf_init(&conn->outbox, OUTBOX_BYTES_MAX);
    const struct kx_ws_limits limits = {.message_bytes = 8u << 20, .fragments = 65536};
    enum kx_code code = kx_ws_create(&conn->ws, &limits, KX_JSON_PADDING, err);
    if (code != KX_OK) {
        kx_conn_destroy(conn);
        return code;
    }
    *ret_conn = conn;
    return KX_OK;
}

void kx_conn_destroy(struct kx_conn *conn)
{
    if (conn == NULL)
        return;
    shut(conn);
    kx_ws_destroy(conn->ws);
    kx_buf_fini(&conn->head);
    kx_buf_fini(&conn->outbox);
    free(conn);
}

static enum kx_code begin(struct kx_conn *conn, struct kx_error *err)
{
    enum kx_code code =
        kx_endpoint_easy(conn->endpoint, conn->path, conn->curl_error, &conn->easy, err);
    if (code != KX_OK)
        return code;
    conn->multi = curl_multi_init();
    bool made = conn->multi != NULL &&
                curl_multi_setopt(conn->multi, CURLMOPT_SOCKETFUNCTION, on_watch) == CURLM_OK &&
                curl_multi_setopt(conn->multi, CURLMOPT_SOCKETDATA, conn) == CURLM_OK &&
                curl_multi_setopt(conn->multi, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK &&
                curl_multi_setopt(conn->multi, CURLMOPT_TIMERDATA, conn) == CURLM_OK &&
                curl_easy_setopt(conn->easy, CURLOPT_CONNECT_ONLY, 1L) == CURLE_OK &&
                curl_easy_setopt(conn->easy, CURLOPT_HTTPPROXYTUNNEL, 1L) == CURLE_OK &&
                curl_multi_add_handle(conn->multi, conn->easy) == CURLM_OK;
    if (!made)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "libcurl cannot prepare a connection");
    return KX_OK;
}

void kx_conn_start(struct kx_conn *conn, uint64_t now_ns)
{
    KX_ASSERT(conn->state == STATE_IDLE);
    conn->now_ns = now_ns;
    conn->deadline_ns = now_ns + KX_CONNECT_S_MAX * KX_NS_PER_S;
    conn->silent_due_ns = now_ns + SILENT_S * KX_NS_PER_S;
    conn->write_due_ns = 0;
    conn->curl_timer_ns = now_ns;
    conn->retry_after_s = 0;
    kx_ws_reset(conn->ws);
    if (begin(conn, &conn->failure) == KX_OK) {
        conn->state = STATE_CONNECTING;
        return;
    }
    shut(conn);
    conn->state = STATE_FAILED;
}

void kx_conn_stop(struct kx_conn *conn)
{
    kx_ws_reset(conn->ws);
    shut(conn);
    conn->retry_after_s = 0;
}

unsigned kx_conn_retry_after_s(const struct kx_conn *conn)
{
    return conn->retry_after_s;
}

bool kx_conn_is_open(const struct kx_conn *conn)
{
    return conn->state == STATE_OPEN;
}

size_t kx_conn_fds(struct kx_conn *conn, struct curl_waitfd fds[KX_CONN_FDS_MAX])
{
    size_t count = 0;
    if (conn->state == STATE_CONNECTING) {
        for (size_t i = 0; i < KX_CONN_FDS_MAX; i++) {
            const struct watch *watch = &conn->watches[i];
            if (watch->what == 0)
                continue;
            short events = 0;
            if (watch->what & CURL_POLL_IN)
                events |= CURL_WAIT_POLLIN;
            if (watch->what & CURL_POLL_OUT)
                events |= CURL_WAIT_POLLOUT;
            fds[count++] = (struct curl_waitfd){.fd = watch->fd, .events = events};
        }
    } else if (conn->state == STATE_UPGRADING || conn->state == STATE_OPEN) {
        short events = CURL_WAIT_POLLIN;
        if (conn->outbox.length > 0)
            events |= CURL_WAIT_POLLOUT;
        fds[count++] = (struct curl_waitfd){.fd = conn->socket, .events = events};
    }
    return count;
}

void kx_conn_ready(struct kx_conn *conn,
                   const struct curl_waitfd *fds,
                   size_t count,
                   uint64_t now_ns)
{
    conn->now_ns = now_ns;
    for (size_t i = 0; i < count && conn->state == STATE_CONNECTING; i++) {
        int mask = 0;
        if (fds[i].revents & CURL_WAIT_POLLIN)
            mask |= CURL_CSELECT_IN;
        if (fds[i].revents & CURL_WAIT_POLLOUT)
            mask |= CURL_CSELECT_OUT;
        if (fds[i].revents != 0 && mask == 0)
            mask = CURL_CSELECT_ERR;
        if (mask != 0)
            act(conn, fds[i].fd, mask);
    }
    bool connected_now = conn->state == STATE_UPGRADING || conn->state == STATE_OPEN;
    if (connected_now && count == 1 && fds[0].fd == conn->socket && fds[0].revents != 0 &&
        flush(conn))
        read_all(conn);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The timers of an open connection. Returns false when one of them ended it. */
static bool keep_alive(struct kx_conn *conn)
{
    if (conn->write_due_ns != 0 && conn->now_ns >= conn->write_due_ns) {
        fail_late(conn, KX_CONN_WRITE, "the server did not take our bytes", WRITE_STUCK_S);
        return false;
    }
    if (conn->now_ns >= conn->silent_due_ns) {
        fail_late(conn, KX_CONN_SILENT, "nothing came", SILENT_S);
        return false;
    }
    return write_controls(conn);
}

uint64_t kx_conn_tick(struct kx_conn *conn, uint64_t now_ns)
{
    conn->now_ns = now_ns;
    if (conn->state == STATE_FAILED) {
        struct kx_error err = conn->failure;
        fail(conn, cause_of(err.code), &err);
    }
    if (conn->state == STATE_CONNECTING && now_ns >= conn->curl_timer_ns) {
        conn->curl_timer_ns = UINT64_MAX;
        act(conn, CURL_SOCKET_TIMEOUT, 0);
    }
    bool early = conn->state == STATE_CONNECTING || conn->state == STATE_UPGRADING;
    if (early && now_ns >= conn->deadline_ns)
        fail_late(conn, KX_CONN_TIMEOUT, "no WebSocket upgrade", KX_CONNECT_S_MAX);
    if (conn->more && (conn->state == STATE_OPEN || conn->state == STATE_UPGRADING))
        read_all(conn);
    if (conn->state == STATE_OPEN)
        keep_alive(conn);
    switch (conn->state) {
    case STATE_IDLE:
        return UINT64_MAX;
    case STATE_FAILED:
        return 0;
    case STATE_CONNECTING:
        return earlier(conn->curl_timer_ns, conn->deadline_ns);
    case STATE_UPGRADING:
        return conn->more ? 0 : conn->deadline_ns;
    case STATE_OPEN:
        break;
    }
    if (conn->more)
        return 0;
    if (conn->write_due_ns != 0) /* the ping waits behind the unfinished write */
        return earlier(conn->silent_due_ns, conn->write_due_ns);
    return earlier(conn->silent_due_ns, conn->ping_due_ns);
}
