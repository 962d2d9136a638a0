/*
 * The opening handshake of a WebSocket client (RFC 6455, section 4; the head as RFC 9112 writes
 * it).
 *
 * Strict where leniency would let another answer slip in (folded lines, bare line ends, a second
 * Sec-WebSocket-Accept), lenient where servers and proxies really differ (case, blanks, HTTP/1.0).
 */
#include "ingest/ws.h"
#include <limits.h>
#include <openssl/evp.h>
#include <string.h>

enum {
    NONCE_BYTES = 16,
    SHA1_BYTES = 20,
    ACCEPT_BYTES = 29, /* base64 of a SHA-1, with its NUL */
    TLS_ALERT = 0x15,  /* first byte of what a TLS server says to a plain request */
    LOCATION_SHOWN = 160,
};

static const char accept_guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

struct span {
    const char *data;
    size_t length;
};

/* What the head says, as far as a handshake asks. */
struct head {
    struct kx_ws_response response;
    struct span accept;
    bool has_accept;
    bool upgrade;    /* Upgrade names websocket */
    bool connection; /* Connection names upgrade */
    bool extension, subprotocol;
};

/* ------------------------------------------------------------------ the request */

static bool is_control(char byte)
{
    const unsigned char value = (unsigned char)byte;
    return value < 0x20 || value == 0x7f;
}

/* The bytes of a header's name (RFC 9110, section 5.6.2). */
static bool is_token(char byte)
{
    if ((byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
        (byte >= 'a' && byte <= 'z'))
        return true;
    return byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL;
}

static size_t token_length(const char *text, size_t length)
{
    size_t i = 0;
    while (i < length && is_token(text[i]))
        i++;
    return i;
}

/* A target or a host is one word of visible ASCII: anything else would end it early. */
static bool is_word(const char *text)
{
    for (const char *at = text; *at != '\0'; at++)
        if (is_control(*at) || *at == ' ' || (unsigned char)*at >= 0x80)
            return false;
    return *text != '\0';
}

static enum kx_code check_header(const char *header, size_t index, struct kx_error *err)
{
    const size_t length = strlen(header);
    const size_t name = token_length(header, length);
    if (name == 0 || name == length || header[name] != ':')
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "request header %zu is not of the form Name: value", index + 1);
    for (size_t i = name; i < length; i++)
        if (is_control(header[i]))
            return kx_error_set(err, KX_ERR_CONFIG, 0,
                                "the request header %.*s holds a control byte: is there a line "
                                "break in its key or its file?",
                                (int)(name < 64 ? name : 64), header);
    return KX_OK;
}

enum kx_code kx_ws_request(struct kx_buf *out,
                           const char *target,
                           const char *host,
                           const char *const *headers,
                           size_t header_count,
                           const uint8_t nonce[16],
                           char ret_key[KX_WS_KEY_BYTES],
                           struct kx_error *err)
{
    if (target[0] != '/' || !is_word(target))
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "the path of the url must begin with / and hold neither blanks nor "
                            "other bytes that have to be percent-encoded");
    if (!is_word(host))
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "the host of the url is empty or holds a blank or control byte");
    for (size_t i = 0; i < header_count; i++) {
        const enum kx_code code = check_header(headers[i], i, err);
        if (code != KX_OK)
            return code;
    }

    char key[KX_WS_KEY_BYTES];
    EVP_EncodeBlock((unsigned char *)key, nonce, NONCE_BYTES);
    const size_t before = out->length;
    kx_buf_text(out, "GET ");
    kx_buf_text(out, target);
    kx_buf_text(out, " HTTP/1.1\r\nHost: ");
    kx_buf_text(out, host);
    kx_buf_text(out, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ");
    kx_buf_text(out, key);
    kx_buf_text(out, "\r\nSec-WebSocket-Version: 13\r\n");
    for (size_t i = 0; i < header_count; i++) {
        kx_buf_text(out, headers[i]);
        kx_buf_text(out, "\r\n");
    }
    kx_buf_text(out, "\r\n");
    if (out->failed) {
        kx_buf_truncate(out, before);
        return kx_error_set(err, KX_ERR_LIMIT, 0, "the upgrade request does not fit into %zu bytes",
                            out->limit);
    }
    memcpy(ret_key, key, sizeof key);
    return KX_OK;
}

/* ------------------------------------------------------------------ reading the head */

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static struct span trimmed(struct span span)
{
    while (span.length > 0 && is_blank(span.data[0])) {
        span.data++;
        span.length--;
    }
    while (span.length > 0 && is_blank(span.data[span.length - 1]))
        span.length--;
    return span;
}

static char lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte - 'A' + 'a') : byte;
}

/* word: lower case. Not strncasecmp: that one follows the locale. */
static bool is_same(struct span span, const char *word)
{
    if (span.length != strlen(word))
        return false;
    for (size_t i = 0; i < span.length; i++)
        if (lower(span.data[i]) != word[i])
            return false;
    return true;
}

/* True when the comma-separated list names word (lower case). */
static bool has_word(struct span list, const char *word)
{
    while (list.length > 0) {
        const char *comma = memchr(list.data, ',', list.length);
        const size_t length = comma != NULL ? (size_t)(comma - list.data) : list.length;
        if (is_same(trimmed((struct span){list.data, length}), word))
            return true;
        const size_t used = comma != NULL ? length + 1 : length;
        list.data += used;
        list.length -= used;
    }
    return false;
}

/* Seconds; -1 for the form with a date, which a clock would have to read. */
static int retry_after(struct span value)
{
    int seconds = value.length > 0 ? 0 : -1;
    for (size_t i = 0; i < value.length; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return -1;
        const int digit = value.data[i] - '0';
        seconds = seconds <= (INT_MAX - digit) / 10 ? seconds * 10 + digit : INT_MAX;
    }
    return seconds;
}

static enum kx_code protocol_error(struct kx_error *err, const char *what)
{
    return kx_error_set(err, KX_ERR_PROTOCOL, 0, "the server's answer to the upgrade %s", what);
}

/* Says early that this is no HTTP answer: a wrong port would else keep us waiting. */
static enum kx_code check_http(const char *bytes, size_t length, struct kx_error *err)
{
    static const char start[] = "HTTP/1.";
    const size_t shown = length < sizeof start - 1 ? length : sizeof start - 1;
    if (memcmp(bytes, start, shown) == 0)
        return KX_OK;
    if (bytes[0] == TLS_ALERT)
        return protocol_error(err, "is TLS: write https:// (wss://) in the url");
    return protocol_error(err, "is not HTTP/1: is the port that of Kismet's web server?");
}

/* "HTTP/1.1 101 Switching Protocols"; the reason may be missing. */
static enum kx_code read_status(struct span line, int *ret_status, struct kx_error *err)
{
    enum { VERSION = 7, CODE = 9, CODE_END = 12 };
    bool good =
        line.length >= CODE_END && (line.data[VERSION] == '0' || line.data[VERSION] == '1') &&
        line.data[VERSION + 1] == ' ' && (line.length == CODE_END || line.data[CODE_END] == ' ');
    int status = 0;
    for (size_t i = CODE; good && i < CODE_END; i++) {
        good = line.data[i] >= '0' && line.data[i] <= '9';
        status = status * 10 + (line.data[i] - '0');
    }
    if (!good || status < 100 || status > 599)
        return protocol_error(err, "has a status line that is not HTTP/1.0 or HTTP/1.1");
    *ret_status = status;
    return KX_OK;
}

static enum kx_code read_header_line(struct span line, struct head *head, struct kx_error *err)
{
    if (is_blank(line.data[0]))
        return protocol_error(err, "has a folded header line");
    const size_t name_length = token_length(line.data, line.length);
    if (name_length == 0 || name_length == line.length || line.data[name_length] != ':')
        return protocol_error(err, "has a header line without a name and a colon");
    const struct span name = {line.data, name_length};
    const struct span value =
        trimmed((struct span){line.data + name_length + 1, line.length - name_length - 1});

    if (is_same(name, "upgrade")) {
        head->upgrade = head->upgrade || has_word(value, "websocket");
    } else if (is_same(name, "connection")) {
        head->connection = head->connection || has_word(value, "upgrade");
    } else if (is_same(name, "sec-websocket-accept")) {
        if (head->has_accept)
            return protocol_error(err, "has two Sec-WebSocket-Accept headers");
        head->has_accept = true;
        head->accept = value;
    } else if (is_same(name, "sec-websocket-extensions")) {
        head->extension = head->extension || value.length > 0;
    } else if (is_same(name, "sec-websocket-protocol")) {
        head->subprotocol = true;
    } else if (is_same(name, "retry-after")) {
        head->response.retry_after_s = retry_after(value);
    } else if (is_same(name, "location")) {
        head->response.location = value.data;
        head->response.location_length = value.length;
    }
    return KX_OK;
}

/* Reads the lines of a whole head: bytes up to the CRLF of its last line, that included. */
static enum kx_code read_head(struct span bytes, struct head *head, struct kx_error *err)
{
    bool first = true;
    while (bytes.length > 0) {
        const char *end = memmem(bytes.data, bytes.length, "\r\n", 2);
        KX_ASSERT(end != NULL);
        const struct span line = {bytes.data, (size_t)(end - bytes.data)};
        bytes.data += line.length + 2;
        bytes.length -= line.length + 2;
        for (size_t i = 0; i < line.length; i++)
            if (is_control(line.data[i]) && line.data[i] != '\t')
                return protocol_error(err, "has a control byte in its head");
        const enum kx_code code = first ? read_status(line, &head->response.status, err)
                                        : read_header_line(line, head, err);
        if (code != KX_OK)
            return code;
        first = false;
    }
    return KX_OK;
}

/* ------------------------------------------------------------------ judging it */

static enum kx_code accept_of(const char *key, char out[ACCEPT_BYTES], struct kx_error *err)
{
    char text[KX_WS_KEY_BYTES + sizeof accept_guid];
    unsigned char digest[EVP_MAX_MD_SIZE];
    const size_t key_length = strnlen(key, KX_WS_KEY_BYTES - 1);
    memcpy(text, key, key_length);
    memcpy(text + key_length, accept_guid, sizeof accept_guid - 1);
    unsigned int length = 0;
    if (EVP_Digest(text, key_length + sizeof accept_guid - 1, digest, &length, EVP_sha1(), NULL) !=
            1 ||
        length != SHA1_BYTES)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "OpenSSL's policy on this machine refuses SHA-1, without which no "
                            "WebSocket handshake can be checked");
    EVP_EncodeBlock((unsigned char *)out, digest, SHA1_BYTES);
    return KX_OK;
}

static enum kx_code judge_upgrade(const struct head *head, const char *key, struct kx_error *err)
{
    if (!head->upgrade || !head->connection)
        return protocol_error(err, "has status 101 without Upgrade: websocket and Connection: "
                                   "Upgrade");
    if (head->extension)
        return protocol_error(err, "names an extension that was not asked for");
    if (head->subprotocol)
        return protocol_error(err, "names a subprotocol that was not asked for");
    if (!head->has_accept)
        return protocol_error(err, "has no Sec-WebSocket-Accept");
    char accept[ACCEPT_BYTES];
    const enum kx_code code = accept_of(key, accept, err);
    if (code != KX_OK)
        return code;
    if (head->accept.length != ACCEPT_BYTES - 1 ||
        memcmp(head->accept.data, accept, ACCEPT_BYTES - 1) != 0)
        return protocol_error(err, "has a wrong Sec-WebSocket-Accept: it belongs to another "
                                   "request, is a cache in between?");
    return KX_OK;
}

/* Where a redirect leads, without what may be a credential: a query, a user part. */
static enum kx_code redirected(const struct kx_ws_response *response, struct kx_error *err)
{
    struct span to = {response->location, response->location_length};
    if (to.data == NULL || memchr(to.data, '@', to.length) != NULL)
        to = (struct span){"another address", sizeof "another address" - 1};
    const char *query = memchr(to.data, '?', to.length);
    size_t shown = query != NULL ? (size_t)(query - to.data) : to.length;
    if (shown > LOCATION_SHOWN)
        shown = LOCATION_SHOWN;
    return kx_error_set(err, KX_ERR_UNAVAILABLE, 0,
                        "the server redirects (%d) to %.*s: write the address that it has moved to "
                        "in the url",
                        response->status, (int)shown, to.data);
}

static enum kx_code refused(const struct kx_ws_response *response, struct kx_error *err)
{
    const int status = response->status;
    switch (status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return redirected(response, err);
    case 401:
        return kx_error_set(err, KX_ERR_AUTH, 0,
                            "the server refuses the key or its role (401): make one with role "
                            "readonly (kismet-export login) and give it as api_key_file");
    case 403:
        /* Not Kismet's word, which is 401 for whatever it refuses. */
        return kx_error_set(err, KX_ERR_UNAVAILABLE, 0,
                            "a proxy before Kismet forbids this route (403): it must let this "
                            "host in");
    case 404:
        return kx_error_set(err, KX_ERR_NOT_FOUND, 0,
                            "no such route (404): an old Kismet, or a path prefix of a proxy is "
                            "missing in the url, or the proxy does not pass the Upgrade header on");
    case 429:
    case 503:
        return kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "the server is too busy now (%d)", status);
    case 502:
    case 504:
        return kx_error_set(err, KX_ERR_UNAVAILABLE, 0,
                            "a proxy before Kismet does not reach it (%d): is Kismet running?",
                            status);
    default:
        return kx_error_set(err, KX_ERR_UNAVAILABLE, 0,
                            "the server answers %d where a WebSocket was asked for: does a proxy "
                            "before it pass the headers Upgrade and Connection on?",
                            status);
    }
}

enum kx_code kx_ws_response(const char *bytes,
                            size_t length,
                            const char key[KX_WS_KEY_BYTES],
                            struct kx_ws_response *ret_response,
                            struct kx_error *err)
{
    struct head head = {.response = {.retry_after_s = -1}};
    const size_t looked_at = length < KX_WS_RESPONSE_MAX ? length : KX_WS_RESPONSE_MAX;
    if (length > 0) {
        const enum kx_code code = check_http(bytes, length, err);
        if (code != KX_OK)
            return code;
    }
    const char *end = length > 0 ? memmem(bytes, looked_at, "\r\n\r\n", 4) : NULL;
    if (end == NULL) {
        if (length >= KX_WS_RESPONSE_MAX)
            return protocol_error(err, "has a head of more than 16 KiB");
        *ret_response = head.response;
        return KX_OK;
    }
    const size_t lines = (size_t)(end - bytes) + 2;
    enum kx_code code = read_head((struct span){bytes, lines}, &head, err);
    if (code != KX_OK)
        return code;
    head.response.consumed = lines + 2;
    code =
        head.response.status == 101 ? judge_upgrade(&head, key, err) : refused(&head.response, err);
    if (code != KX_ERR_PROTOCOL && code != KX_ERR_CONFIG)
        *ret_response = head.response;
    return code;
}
