/* Transfers over libcurl; the contract stands in the header. */
#include "sinks/http.h"

#include "base/buf.h"
#include "base/clock.h"
#include "sinks/gzip.h"
#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum {
    CONNECT_S_MAX = 10,
    STALL_S_MAX = 20, /* without a byte */
    KEEPALIVE_IDLE_S = 15,
    KEEPALIVE_INTERVAL_S = 5,
    USER_TIMEOUT_MS = 20000,   /* unacknowledged bytes this old end a connection */
    UPLOAD_BYTES = 256 << 10,  /* libcurl's own buffer: fewer writes a batch */
    DRAIN_BYTES_MAX = 1 << 20, /* of a body; then the connection is not worth it */
    WAIT_MS_MAX = 1000,        /* libcurl has timers of its own, and says so */
    AUTHORIZATION_MAX = 80 << 10,
};

struct kx_http {
    char who[KX_HTTP_WHO_MAX];
    CURL *easy;
    CURLM *multi;
    struct kx_buf body;   /* of the answer */
    struct kx_gzip *gzip; /* made with the first body that wants it */
    uint64_t taken;       /* bytes of the answer's body, kept or not */
    uint64_t retry_after_ns;
    bool certificate;
    bool client_certificate;
    char error[CURL_ERROR_SIZE];
};

/* --- life --- */

/* What notices a peer that vanished while we were writing; keepalive does not. Not fatal where a
 * kernel lacks it. */
static int on_socket(void *context, curl_socket_t socket, curlsocktype purpose)
{
    (void)context;
    (void)purpose;
    unsigned timeout_ms = USER_TIMEOUT_MS;
    (void)setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
    return CURL_SOCKOPT_OK;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct kx_http *http = context;
    size_t length = size * count;
    size_t room = KX_HTTP_ANSWER_MAX - http->body.length;
    kx_buf_bytes(&http->body, data, length < room ? length : room);
    http->taken += length;
    return http->taken > DRAIN_BYTES_MAX ? 0 : length;
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    static const char name[] = "retry-after:";
    struct kx_http *http = context;
    size_t length = size * count;
    char value[128];
    if (length < sizeof name - 1 || strncasecmp(data, name, sizeof name - 1) != 0)
        return length;
    snprintf(value, sizeof value, "%.*s", (int)(length - (sizeof name - 1)),
             data + sizeof name - 1);
    int64_t wall_s = kx_clock_wall_ns() / (int64_t)KX_NS_PER_S;
    http->retry_after_ns = kx_http_retry_after_ns(value, wall_s);
    return length;
}

static CURLcode set_tls(CURL *easy, const struct kx_tls_config *tls)
{
    CURLcode result = curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (tls == NULL)
        return result;
    if (result == CURLE_OK && tls->ca_file != NULL)
        result = curl_easy_setopt(easy, CURLOPT_CAINFO, tls->ca_file);
    if (result == CURLE_OK && tls->cert_file != NULL)
        result = curl_easy_setopt(easy, CURLOPT_SSLCERT, tls->cert_file);
    if (result == CURLE_OK && tls->key_file != NULL)
        result = curl_easy_setopt(easy, CURLOPT_SSLKEY, tls->key_file);
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, tls->insecure ? 0L : 1L);
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, tls->insecure ? 0L : 2L);
    return result;
}

/* What is the same for every request. */
static CURLcode set_up(struct kx_http *http)
{
    const struct {
        CURLoption option;
        long value;
    } numbers[] = {
        {CURLOPT_NOSIGNAL, 1},
        {CURLOPT_FOLLOWLOCATION, 0}, /* a redirect would carry the credential elsewhere */
        {CURLOPT_CONNECTTIMEOUT, CONNECT_S_MAX},
        {CURLOPT_LOW_SPEED_LIMIT, 1},
        {CURLOPT_LOW_SPEED_TIME, STALL_S_MAX},
        {CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1},
        {CURLOPT_TCP_NODELAY, 1},
        {CURLOPT_TCP_KEEPALIVE, 1},
        {CURLOPT_TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {CURLOPT_TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {CURLOPT_UPLOAD_BUFFERSIZE, UPLOAD_BYTES},
        {CURLOPT_CERTINFO, http->certificate},
        {CURLOPT_QUICK_EXIT, 1}, /* a resolver that hangs must not hold our own end */
    };
    CURL *easy = http->easy;
    CURLcode result = CURLE_OK;
    for (size_t i = 0; result == CURLE_OK && i < sizeof numbers / sizeof numbers[0]; i++)
        result = curl_easy_setopt(easy, numbers[i].option, numbers[i].value);
    const struct {
        CURLoption option;
        void *value;
    } pointers[] = {
        {CURLOPT_ERRORBUFFER, http->error}, {CURLOPT_WRITEDATA, http}, {CURLOPT_HEADERDATA, http}};
    for (size_t i = 0; result == CURLE_OK && i < sizeof pointers / sizeof pointers[0]; i++)
        result = curl_easy_setopt(easy, pointers[i].option, pointers[i].value);
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_USERAGENT, "kismet-export/" KX_VERSION);
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    return result;
}

enum kx_code
kx_http_create(struct kx_http **ret_http, const struct kx_http_params *params, struct kx_error *err)
{
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    if ((info->features & CURL_VERSION_ASYNCHDNS) == 0)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "this libcurl resolves host names while everything waits: install one "
                            "with the threaded resolver");
    struct kx_http *http = calloc(1, sizeof *http);
    if (http == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a connection");
    snprintf(http->who, sizeof http->who, "%s", params->who);
    http->certificate = params->certificate;
    http->client_certificate = params->tls != NULL && params->tls->cert_file != NULL;
    kx_buf_init(&http->body, KX_HTTP_ANSWER_MAX + 1);
    http->easy = curl_easy_init();
    http->multi = curl_multi_init();
    CURLcode result =
        http->easy != NULL && http->multi != NULL ? set_up(http) : CURLE_OUT_OF_MEMORY;
    if (result == CURLE_OK)
        result = set_tls(http->easy, params->tls);
    if (result != CURLE_OK) {
        kx_http_destroy(http);
        return kx_error_set(err, KX_ERR_NOMEM, 0, "cannot prepare a connection: %s",
                            curl_easy_strerror(result));
    }
    *ret_http = http;
    return KX_OK;
}

void kx_http_destroy(struct kx_http *http)
{
    if (http == NULL)
        return;
    curl_easy_cleanup(http->easy);
    curl_multi_cleanup(http->multi);
    kx_gzip_destroy(http->gzip);
    kx_buf_fini(&http->body);
    free(http);
}

/* --- the request --- */

static bool is_one_line(const char *text)
{
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return false;
    return true;
}

/* The slist's copies of a secret are wiped with it. */
static void free_headers(struct curl_slist *list)
{
    for (struct curl_slist *item = list; item != NULL; item = item->next)
        explicit_bzero(item->data, strlen(item->data));
    curl_slist_free_all(list);
}

static bool append(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer == NULL)
        return false;
    *list = longer;
    return true;
}

static bool append_secret(struct curl_slist **list, const struct kx_http_request *request)
{
    struct kx_buf line;
    kx_buf_init(&line, AUTHORIZATION_MAX);
    kx_buf_text(&line, "Authorization: ");
    kx_buf_text(&line, request->scheme);
    kx_buf_byte(&line, ' ');
    kx_buf_text(&line, kx_secret_reveal(request->secret));
    kx_buf_byte(&line, '\0');
    bool appended = !line.failed && append(list, line.data);
    if (line.data != NULL)
        explicit_bzero(line.data, line.capacity);
    kx_buf_fini(&line);
    return appended;
}

static bool has_secret(const struct kx_http_request *request)
{
    return request->secret != NULL && kx_secret_is_set(request->secret);
}

static enum kx_code
make_headers(const struct kx_http_request *request, struct curl_slist **list, struct kx_error *err)
{
    bool room = append(list, "Expect:"); /* no wait for a 100 before the body */
    for (size_t i = 0; room && i < request->header_count; i++) {
        if (!is_one_line(request->headers[i]))
            return kx_error_set(err, KX_ERR_CONFIG, 0,
                                "a header holds a line break or another control byte: remove it");
        room = append(list, request->headers[i]);
    }
    if (room && request->body != NULL && request->gzip)
        room = append(list, "Content-Encoding: gzip");
    if (room && has_secret(request) && request->scheme != NULL)
        room = append_secret(list, request);
    return room ? KX_OK : kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a request's headers");
}

static CURLcode set_basic(CURL *easy, const struct kx_http_request *request)
{
    bool basic = has_secret(request) && request->user != NULL;
    CURLcode result = curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_USERNAME, basic ? request->user : NULL);
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_PASSWORD,
                                  basic ? kx_secret_reveal(request->secret) : NULL);
    return result;
}

static CURLcode set_body(CURL *easy, const struct kx_http_request *request, struct kx_span body)
{
    CURLcode result = CURLE_OK;
    if (request->body == NULL) {
        result = curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    } else {
        /* The size first: with it POSTFIELDS takes the bytes as they are, NULs and all. */
        result = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.length);
        if (result == CURLE_OK)
            result = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.bytes);
        if (result == CURLE_OK)
            result = curl_easy_setopt(easy, CURLOPT_POST, 1L);
    }
    if (result == CURLE_OK)
        result = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    return result;
}

static enum kx_code compress(struct kx_http *http,
                             const struct kx_http_request *request,
                             struct kx_span *ret_body,
                             struct kx_error *err)
{
    if (http->gzip == NULL) {
        enum kx_code code = kx_gzip_create(&http->gzip, err);
        if (code != KX_OK)
            return code;
    }
    return kx_gzip_body(http->gzip, request->body, request->length, ret_body, err);
}

/* --- the transfer --- */

/* Whether the call is over; ret_wait_ms: how long it may wait. */
static enum kx_code check_call(const struct kx_http *http,
                               const struct kx_call *call,
                               int *ret_wait_ms,
                               struct kx_error *err)
{
    struct pollfd stop = {.fd = call->stop_fd, .events = POLLIN};
    if (call->stop_fd >= 0 && poll(&stop, 1, 0) > 0)
        return kx_error_set(err, KX_ERR_STOPPED, 0, "%s: stopped before it answered", http->who);
    uint64_t now_ns = kx_clock_boot_ns();
    if (call->deadline_ns != 0 && now_ns >= call->deadline_ns)
        return kx_error_set(err, KX_ERR_TIMEOUT, 0, "%s: no answer in time", http->who);
    *ret_wait_ms = kx_clock_poll_ms(call->deadline_ns, now_ns, WAIT_MS_MAX);
    return KX_OK;
}

/* Runs the added handle until it has a result, the deadline, or a stop: stop_fd is waited for with
 * libcurl's own sockets, so a stop is heeded at once. */
static enum kx_code
run(struct kx_http *http, const struct kx_call *call, CURLcode *ret_result, struct kx_error *err)
{
    for (;;) {
        int running = 0;
        int wait_ms = 0;
        if (curl_multi_perform(http->multi, &running) != CURLM_OK)
            return kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "%s: libcurl cannot go on", http->who);
        int left = 0;
        const CURLMsg *message = curl_multi_info_read(http->multi, &left);
        if (message != NULL && message->msg == CURLMSG_DONE) {
            *ret_result = message->data.result;
            return KX_OK;
        }
        enum kx_code code = check_call(http, call, &wait_ms, err);
        if (code != KX_OK)
            return code;
        struct curl_waitfd stop = {.fd = call->stop_fd, .events = CURL_WAIT_POLLIN};
        unsigned extra = call->stop_fd >= 0;
        if (curl_multi_poll(http->multi, extra ? &stop : NULL, extra, wait_ms, NULL) != CURLM_OK)
            return kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "%s: libcurl cannot wait", http->who);
    }
}

static enum kx_code explain(const struct kx_http *http, CURLcode result, struct kx_error *err)
{
    const char *text = http->error[0] != '\0' ? http->error : curl_easy_strerror(result);
    switch (result) {
    case CURLE_OUT_OF_MEMORY:
        return kx_error_set(err, KX_ERR_NOMEM, 0, "%s: no memory for a request", http->who);
    case CURLE_UNSUPPORTED_PROTOCOL: /* what libcurl says of an answer without an HTTP head, too */
        return kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "%s: %s; does it speak HTTP there?",
                            http->who, text);
    case CURLE_URL_MALFORMAT:
        return kx_error_set(err, KX_ERR_CONFIG, 0, "%s: %s; set `url` to http(s)://host:port",
                            http->who, text);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "%s: %s; check the host name in `url`",
                            http->who, text);
    case CURLE_COULDNT_CONNECT:
        return kx_error_set(err, KX_ERR_UNAVAILABLE, 0,
                            "%s: %s; is it running there, and is the port right?", http->who, text);
    case CURLE_OPERATION_TIMEDOUT:
        return kx_error_set(err, KX_ERR_TIMEOUT, 0, "%s: %s", http->who, text);
    case CURLE_PEER_FAILED_VERIFICATION:
        return kx_error_set(err, KX_ERR_AUTH, 0,
                            "%s: its certificate is not accepted: %s; set tls.ca_file when it is "
                            "signed by an authority of your own",
                            http->who, text);
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return kx_error_set(err, KX_ERR_AUTH, 0, "%s: %s; check the files under `tls`", http->who,
                            text);
    case CURLE_SSL_CONNECT_ERROR:
        return kx_error_set(err, KX_ERR_UNAVAILABLE, 0,
                            "%s: no TLS connection: %s; does it speak https there?", http->who,
                            text);
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
        if (http->client_certificate || strncmp(http->who, "https", 5) != 0)
            break;
        /* With TLS 1.3 a server refuses us only after the handshake. */
        return kx_error_set(err, KX_ERR_UNAVAILABLE, 0,
                            "%s: %s; a server that wants a client certificate (tls.cert_file) ends "
                            "like this, too",
                            http->who, text);
    default:
        break;
    }
    return kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "%s: %s", http->who, text);
}

/* The value of "Key:value" in a certificate's list, or NULL. */
static const char *find(const struct curl_slist *list, const char *key)
{
    size_t length = strlen(key);
    for (; list != NULL; list = list->next)
        if (strncmp(list->data, key, length) == 0 && list->data[length] == ':')
            return list->data + length + 1;
    return NULL;
}

static void read_certificate(struct kx_http *http, struct kx_http_answer *answer)
{
    struct curl_certinfo *info = NULL;
    if (!http->certificate || curl_easy_getinfo(http->easy, CURLINFO_CERTINFO, &info) != CURLE_OK ||
        info == NULL || info->num_of_certs < 1)
        return;
    const char *issuer = find(info->certinfo[0], "Issuer");
    const char *ends = find(info->certinfo[0], "Expire date");
    if (issuer != NULL)
        snprintf(answer->issuer, sizeof answer->issuer, "%s", issuer);
    time_t time = ends != NULL ? curl_getdate(ends, NULL) : -1;
    if (time > 0)
        answer->certificate_ends_s = (int64_t)time;
}

static enum kx_code transfer(struct kx_http *http,
                             const struct kx_call *call,
                             struct kx_http_answer *answer,
                             struct kx_error *err)
{
    CURLcode result = CURLE_OK;
    kx_buf_clear(&http->body);
    http->taken = http->retry_after_ns = 0;
    http->error[0] = '\0';
    if (curl_multi_add_handle(http->multi, http->easy) != CURLM_OK)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "%s: no memory for a request", http->who);
    enum kx_code code = run(http, call, &result, err);
    if (code == KX_OK) {
        curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &answer->status);
        read_certificate(http, answer);
    }
    /* Of a transfer that is under way, this closes the connection. */
    curl_multi_remove_handle(http->multi, http->easy);
    if (code != KX_OK)
        return code;
    /* An endless body is no failure: what the far end means stands in its status. Nor is a server
     * that says 413 and closes while we still write. */
    bool endless = result == CURLE_WRITE_ERROR && http->taken > DRAIN_BYTES_MAX;
    if (result != CURLE_OK && !endless && answer->status < 400)
        return explain(http, result, err);
    kx_buf_byte(&http->body, '\0');
    if (http->body.failed)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "%s: no memory for its answer", http->who);
    answer->body = http->body.data;
    answer->length = http->body.length - 1;
    answer->cut = http->taken > answer->length;
    answer->retry_after_ns = http->retry_after_ns;
    return KX_OK;
}

enum kx_code kx_http_send(struct kx_http *http,
                          const struct kx_http_request *request,
                          const struct kx_call *call,
                          struct kx_http_answer *ret_answer,
                          struct kx_error *err)
{
    struct kx_span body = {request->body, request->length};
    struct curl_slist *headers = NULL;
    struct kx_http_answer answer = {0};
    int wait_ms = 0;
    enum kx_code code = check_call(http, call, &wait_ms, err);
    if (code == KX_OK)
        code = make_headers(request, &headers, err);
    if (code == KX_OK && request->body != NULL && request->gzip)
        code = compress(http, request, &body, err);
    if (code == KX_OK) {
        CURLcode result = curl_easy_setopt(http->easy, CURLOPT_URL, request->url);
        if (result == CURLE_OK)
            result = set_basic(http->easy, request);
        if (result == CURLE_OK)
            result = set_body(http->easy, request, body);
        if (result == CURLE_OK)
            result = curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, headers);
        if (result != CURLE_OK)
            code = explain(http, result, err);
    }
    if (code == KX_OK)
        code = transfer(http, call, &answer, err);
    curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, NULL);
    curl_easy_setopt(http->easy, CURLOPT_PASSWORD, NULL);
    free_headers(headers);
    if (code == KX_OK)
        *ret_answer = answer;
    return code;
}

const char *kx_http_who(const struct kx_http *http)
{
    return http->who;
}
