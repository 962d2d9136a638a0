/* HTTP: one exchange at a time on a connection; a WebSocket upgrade becomes a client of stream.c.
 *
 * Answers are chunked by hand, because Kismet's are and lws does not do it for a server. */
#include "server.h"

#include "control.h"
#include "rest.h"
#include "stream.h"

#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BODY_BYTES_MAX = 4 << 20,
    CHUNK_BYTES = 32 << 10,
    IDLE_S = 300, /* after which Kismet closes a silent peer */
};

enum role {
    ROLE_NOBODY,
    ROLE_READONLY,
    ROLE_ADMIN,
};

struct exchange {
    struct sim *sim;
    struct lws *wsi;
    struct target target;
    enum role role;
    bool is_post;
    struct text body;
    struct answer answer;
    bool answered; /* the answer is made */
    bool begun;    /* its headers are out */
    size_t sent;
    lws_sorted_usec_list_t timer; /* `rest slow` */
};

struct session { /* lws' memory of a connection, zeroed by it */
    struct exchange *exchange;
    struct client *client;
};

/* --- credentials --- */

static bool token_valid(const struct sim *s, const char *token, size_t length)
{
    struct span t = {token, length};
    if (s->options.api_key && span_is(t, s->options.api_key))
        return true;
    for (size_t i = 0; i < s->token_count; i++) {
        if (span_is(t, s->tokens[2 * i + 1]))
            return true;
    }
    return false;
}

static bool cookie_valid(const struct sim *s, const char *cookies)
{
    for (const char *at = cookies; *at;) {
        at += strspn(at, "; ");
        size_t length = strcspn(at, ";");
        if (strncmp(at, "KISMET=", 7) == 0 && token_valid(s, at + 7, length - 7))
            return true;
        at += length;
    }
    return false;
}

static bool login_valid(const struct sim *s, const char *user, const char *password)
{
    return s->options.user && s->options.password && strcmp(user, s->options.user) == 0 &&
           strcmp(password, s->options.password) == 0;
}

static bool basic_valid(const struct sim *s, const char *header)
{
    char decoded[256];
    if (strncasecmp(header, "Basic ", 6) != 0)
        return false;
    int n = lws_b64_decode_string(header + 6, decoded, sizeof(decoded) - 1);
    if (n < 0)
        return false;
    decoded[n] = '\0';
    char *colon = strchr(decoded, ':');
    if (!colon)
        return false;
    *colon = '\0';
    return login_valid(s, decoded, colon + 1);
}

/* The value of a URI argument, or NULL. */
static const char *argument(struct lws *wsi, const char *name, char *buffer, int size)
{
    return lws_get_urlarg_by_name(wsi, name, buffer, size);
}

/* In the order in which Kismet looks: with any cookie nothing else is read. */
static enum role role_of(const struct sim *s, struct lws *wsi)
{
    char text[1024], more[1024];
    if (!s->options.api_key && !s->options.user)
        return ROLE_ADMIN;
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_COOKIE) > 0) {
        if (lws_hdr_copy(wsi, text, sizeof(text), WSI_TOKEN_HTTP_COOKIE) < 0)
            return ROLE_NOBODY;
        return cookie_valid(s, text) ? ROLE_READONLY : ROLE_NOBODY;
    }
    const char *token = argument(wsi, "KISMET=", text, sizeof(text));
    if (token)
        return token_valid(s, token, strlen(token)) ? ROLE_READONLY : ROLE_NOBODY;
    if (lws_hdr_copy(wsi, text, sizeof(text), WSI_TOKEN_HTTP_AUTHORIZATION) > 0)
        return basic_valid(s, text) ? ROLE_ADMIN : ROLE_NOBODY;
    const char *user = argument(wsi, "user=", text, sizeof(text));
    const char *password = argument(wsi, "password=", more, sizeof(more));
    return user && password && login_valid(s, user, password) ? ROLE_ADMIN : ROLE_NOBODY;
}

/* --- REST --- */

static void exchange_destroy(struct session *session)
{
    struct exchange *x = session->exchange;
    if (!x)
        return;
    lws_sul_cancel(&x->timer);
    text_free(&x->body);
    text_free(&x->answer.body);
    free(x);
    session->exchange = NULL;
}

static void wake(lws_sorted_usec_list_t *timer)
{
    struct exchange *x = lws_container_of(timer, struct exchange, timer);
    lws_callback_on_writable(x->wsi);
}

/* json=%7B...: the form that older clients send. */
static void decode_form(struct text *body)
{
    if (body->length < 5 || memcmp(body->at, "json=", 5) != 0)
        return;
    struct text plain = {0};
    lws_urldecode(text_room(&plain, body->length + 1), text_c(body) + 5, (int)body->length);
    plain.length = strlen(plain.at);
    text_free(body);
    *body = plain;
}

static unsigned status_of(const struct exchange *x)
{
    const struct sim *s = x->sim;
    switch ((enum rest_mode)s->faults.rest) {
    case REST_FAIL503:
        return 503;
    case REST_FAIL404:
        return 404;
    case REST_FAIL401:
        return 401;
    case REST_OK:
    case REST_SLOW:
    case REST_HANG:
    case REST_HALF:
        break;
    }
    if (x->target.route == ROUTE_NONE || x->target.websocket ||
        (x->target.route == ROUTE_APIKEY && !x->is_post))
        return 404;
    if (x->target.route == ROUTE_SETUP)
        return s->faults.admin == ADMIN_UNSET ? 500 : 200;
    bool admins = x->target.route == ROUTE_APIKEY || x->target.route == ROUTE_LOGIN;
    if (s->faults.admin == ADMIN_UNSET || x->role < (admins ? ROLE_ADMIN : ROLE_READONLY))
        return 401;
    return 200;
}

static void answer(struct exchange *x)
{
    struct sim *s = x->sim;
    x->answered = true;
    lws_set_timeout(x->wsi, NO_PENDING_TIMEOUT, 0);
    unsigned status = status_of(x);
    if (s->faults.rest == REST_HANG)
        return;
    if (status == 200) {
        decode_form(&x->body);
        rest_answer(s, &x->target, text_span(&x->body), &x->answer);
    } else {
        rest_status(status, &x->answer);
    }
    sim_note(s, "%s -> %u, %zu bytes", route_name(x->target.route), x->answer.status,
             x->answer.body.length);
    lws_usec_t wait =
        s->faults.rest == REST_SLOW ? s->faults.slow_ms * (lws_usec_t)LWS_US_PER_MS : 0;
    if (wait > 0)
        lws_sul_schedule(s->lws, 0, &x->timer, wake, wait);
    else
        lws_callback_on_writable(x->wsi);
}

static bool send_headers(struct exchange *x)
{
    unsigned char room[LWS_PRE + 1024], *start = room + LWS_PRE, *at = start;
    unsigned char *end = room + sizeof(room) - 1;
    const unsigned char *type = (const unsigned char *)x->answer.type;
    int type_length = (int)strlen(x->answer.type);
    x->begun = true;
    return !lws_add_http_header_status(x->wsi, x->answer.status, &at, end) &&
           !lws_add_http_header_by_token(x->wsi, WSI_TOKEN_HTTP_CONTENT_TYPE, type, type_length,
                                         &at, end) &&
           !lws_add_http_header_by_token(x->wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING,
                                         (const unsigned char *)"chunked", 7, &at, end) &&
           !lws_finalize_write_http_header(x->wsi, start, &at, end);
}

static bool send_chunk(struct exchange *x, size_t length)
{
    struct text chunk = {0};
    text_room(&chunk, LWS_PRE);
    chunk.length = LWS_PRE;
    if (length) {
        text_addf(&chunk, "%zx\r\n", length);
        text_add(&chunk, x->answer.body.at + x->sent, length);
        text_adds(&chunk, "\r\n");
    } else {
        text_adds(&chunk, "0\r\n\r\n");
    }
    x->sent += length;
    int n = lws_write(x->wsi, (unsigned char *)chunk.at + LWS_PRE, chunk.length - LWS_PRE,
                      length ? LWS_WRITE_HTTP : LWS_WRITE_HTTP_FINAL);
    text_free(&chunk);
    return n >= 0;
}

/* True = close the connection. */
static bool write_answer(struct session *session)
{
    struct exchange *x = session->exchange;
    if (!x || !x->answered || x->answer.status == 0)
        return false;
    if (!x->begun) {
        if (!send_headers(x))
            return true;
        lws_callback_on_writable(x->wsi);
        return false;
    }
    size_t left = x->answer.body.length - x->sent;
    if (x->sim->faults.rest == REST_HALF && x->sent >= x->answer.body.length / 2)
        return true;
    size_t length = left < CHUNK_BYTES ? left : CHUNK_BYTES;
    if (x->sim->faults.rest == REST_HALF && length > 1)
        length /= 2;
    if (!send_chunk(x, length))
        return true;
    if (length > 0) {
        lws_callback_on_writable(x->wsi);
        return false;
    }
    struct lws *wsi = x->wsi;
    exchange_destroy(session);
    return lws_http_transaction_completed(wsi) != 0;
}

static void
begin_exchange(struct sim *s, struct lws *wsi, struct session *session, const char *path)
{
    exchange_destroy(session);
    struct exchange *x = xmalloc(sizeof(*x));
    *x = (struct exchange){.sim = s, .wsi = wsi, .role = role_of(s, wsi)};
    target_parse(s, path, &x->target);
    session->exchange = x;
    x->is_post = lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0;
    char length[24];
    /* With a body the answer waits for its end, whatever it will be: the connection is kept. */
    if (lws_hdr_copy(wsi, length, sizeof(length), WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0 &&
        atol(length) > 0)
        return;
    answer(x);
}

static bool read_body(struct exchange *x, const void *bytes, size_t length)
{
    if (!x || x->body.length + length > BODY_BYTES_MAX)
        return true;
    text_add(&x->body, bytes, length);
    return false;
}

/* --- WebSocket upgrades --- */

static void path_of(struct lws *wsi, char *path, int size)
{
    path[0] = '\0';
    if (lws_hdr_copy(wsi, path, size, WSI_TOKEN_GET_URI) < 0)
        path[0] = '\0';
}

/* Answers an upgrade with these bytes and ends the connection. lws has not looked at the request's
 * connection headers yet, so its own lws_return_http_status() would be closed before it is written.
 */
static int reply_upgrade(struct lws *wsi, const char *reply)
{
    struct text room = {0};
    text_room(&room, LWS_PRE);
    room.length = LWS_PRE;
    text_adds(&room, reply);
    int n = lws_write(wsi, (unsigned char *)room.at + LWS_PRE, room.length - LWS_PRE,
                      LWS_WRITE_HTTP_HEADERS);
    text_free(&room);
    return n < 0 ? -1 : 1; /* > 0 tells lws that the answer is out */
}

static int reject(struct lws *wsi, const char *status)
{
    struct text reply = {0};
    text_addf(&reply,
              "HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n"
              "Connection: close\r\n\r\nError\n",
              status);
    int n = reply_upgrade(wsi, text_c(&reply));
    text_free(&reply);
    return n;
}

/* A handshake that is never answered: lws can only answer or close, so it is given another socket
 * to close, and the client's own stays open, read by nobody, until this program ends. */
static int stall(struct lws *wsi)
{
    int pair[2];
    if (dup(lws_get_socket_fd(wsi)) >= 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0) {
        dup2(pair[0], lws_get_socket_fd(wsi));
        close(pair[0]);
        close(pair[1]);
    }
    return -1;
}

/* 0 = go on with the upgrade. */
static int confirm_upgrade(const struct sim *s, struct lws *wsi)
{
    char path[512];
    struct target target;
    path_of(wsi, path, sizeof(path));
    target_parse(s, path, &target);
    sim_note(s, "upgrade of %s", path);
    switch ((enum handshake_mode)s->faults.handshake) {
    case HANDSHAKE_STALL:
        return stall(wsi);
    case HANDSHAKE_REJECT401:
        return reject(wsi, "401 Unauthorized");
    case HANDSHAKE_REJECT404:
        return reject(wsi, "404 Not Found");
    case HANDSHAKE_REJECT503:
        return reject(wsi, "503 Service Unavailable");
    case HANDSHAKE_BADACCEPT:
        return reply_upgrade(wsi, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\n"
                                  "Sec-WebSocket-Accept: bm90IHRoZSByaWdodCBvbmU=\r\n\r\n");
    case HANDSHAKE_OK:
        break;
    }
    if (!target.websocket)
        return reject(wsi, "404 Not Found");
    if (role_of(s, wsi) == ROLE_NOBODY)
        return reject(wsi, "401 Unauthorized");
    return 0;
}

static void established(struct sim *s, struct lws *wsi, struct session *session)
{
    char path[512];
    struct target target;
    path_of(wsi, path, sizeof(path));
    target_parse(s, path, &target);
    enum client_kind kind = target.route == ROUTE_EVENTBUS ? CLIENT_EVENTBUS : CLIENT_MONITOR;
    session->client = client_create(s, wsi, kind, target.view[0] ? target.view : "all");
}

static int tls_version(const char *text)
{
    return strcmp(text, "1.0") == 0   ? TLS1_VERSION
           : strcmp(text, "1.1") == 0 ? TLS1_1_VERSION
           : strcmp(text, "1.2") == 0 ? TLS1_2_VERSION
                                      : TLS1_3_VERSION;
}

static void limit_tls(const struct sim *s, SSL_CTX *tls)
{
    if (s->options.tls_min || s->options.tls_max) {
        /* Distributions forbid 1.0 and 1.1 by security level; a test wants to be refused by the
         * client, not by this end. */
        SSL_CTX_set_security_level(tls, 0);
        SSL_CTX_set_min_proto_version(tls, s->options.tls_min ? tls_version(s->options.tls_min)
                                                              : TLS1_VERSION);
    }
    if (s->options.tls_max)
        SSL_CTX_set_max_proto_version(tls, tls_version(s->options.tls_max));
}

static int
on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length)
{
    struct sim *s = lws_context_user(lws_get_context(wsi));
    struct session *session = user;
    switch (reason) {
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
        limit_tls(s, user);
        return 0;
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
        return confirm_upgrade(s, wsi);
    case LWS_CALLBACK_ESTABLISHED:
        established(s, wsi, session);
        return 0;
    case LWS_CALLBACK_RECEIVE:
        return session->client && client_receive(session->client, in, length) ? -1 : 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return session->client && client_send(session->client) ? -1 : 0;
    case LWS_CALLBACK_CLOSED:
        if (session->client)
            client_destroy(session->client);
        session->client = NULL;
        return 0;
    case LWS_CALLBACK_HTTP:
        begin_exchange(s, wsi, session, in);
        return 0;
    case LWS_CALLBACK_HTTP_BODY:
        return read_body(session->exchange, in, length) ? -1 : 0;
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        if (session->exchange && !session->exchange->answered)
            answer(session->exchange);
        return 0;
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return write_answer(session) ? -1 : 0;
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
        if (session)
            exchange_destroy(session);
        return 0;
    default:
        return 0;
    }
}

/* --- start and stop --- */

static const struct lws_protocols protocols[] = {
    {.name = "kismet", .callback = on_event, .per_session_data_size = sizeof(struct session)},
    {.name = NULL},
};

static struct lws_vhost *open_http(struct sim *s, struct lws_context_creation_info *info)
{
    const struct sim_options *o = &s->options;
    info->port = o->port;
    info->iface = o->bind;
    info->protocols = protocols;
    info->vhost_name = "kismet";
    info->options = strchr(o->bind, ':') != NULL ? 0 : LWS_SERVER_OPTION_DISABLE_IPV6;
    info->keepalive_timeout = IDLE_S;
    info->timeout_secs = IDLE_S;
    if (o->tls_cert) {
        info->options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info->ssl_cert_filepath = o->tls_cert;
        info->ssl_private_key_filepath = o->tls_key;
        info->alpn = "http/1.1";
        info->ssl_ca_filepath = o->tls_ca;
        if (o->tls_ca)
            info->options |= LWS_SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT;
    }
    return lws_create_vhost(s->lws, info);
}

int server_open(struct sim *s)
{
    lws_retry_bo_t idle = {.secs_since_valid_ping = (uint16_t)s->options.ping_s,
                           .secs_since_valid_hangup = IDLE_S};
    static lws_retry_bo_t idle_policy; /* lws keeps the pointer */
    idle_policy = idle;
    struct lws_context_creation_info info = {.port = CONTEXT_PORT_NO_LISTEN,
                                             .user = s,
                                             .retry_and_idle_policy = &idle_policy,
                                             .options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS};
    if (s->options.tls_cert)
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    lws_set_log_level(s->options.verbose ? LLL_ERR | LLL_WARN : LLL_ERR, NULL);
    s->lws = lws_create_context(&info);
    if (!s->lws)
        return 0;
    struct lws_vhost *vhost = open_http(s, &info);
    if (!vhost || (s->options.control && !control_open(s)))
        return 0;
    return lws_get_vhost_listen_port(vhost);
}

void server_close(struct sim *s)
{
    if (s->lws)
        lws_context_destroy(s->lws);
    s->lws = NULL;
    if (s->options.control)
        control_close(s);
}
