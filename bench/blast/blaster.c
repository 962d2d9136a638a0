#include "blast/blaster.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    FRAME_ROOM = 768,      /* of one synthetic device's, with its head */
    CHUNK_BYTES = 65536,   /* written at once */
    HEAD_MAX = 16384,      /* of a request */
    PACE_STEP_NS = 200000, /* the generator looks this often what is due */
    LATE_NS = 1000000,
    COUNTER_DIGITS = 10,
    DUE_DIGITS = 19,
};
static const uint64_t NS = 1000000000u;

struct cut { /* of one frame in bytes */
    size_t at, end;
    size_t packets, size, seen, due; /* where their digits stand; 0 = nowhere */
};

struct blaster {
    char *bytes;
    struct cut *cuts;
    size_t count;
    uint64_t sent; /* frames; count of them are once round */
    int listener;
    pthread_mutex_t mutex; /* the fds, and who writes to them */
    int fds[BLASTER_STREAMS];
    _Atomic bool ready[BLASTER_STREAMS];
};

static void die(const char *what)
{
    fprintf(stderr, "blaster: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS + (uint64_t)now.tv_nsec;
}

/* --- what is sent --- */

static struct blaster *create(size_t count, size_t bytes)
{
    struct blaster *blaster = calloc(1, sizeof *blaster);
    if (blaster == NULL || (blaster->bytes = malloc(bytes)) == NULL ||
        (blaster->cuts = calloc(count, sizeof(struct cut))) == NULL)
        die("memory");
    blaster->count = count;
    pthread_mutex_init(&blaster->mutex, NULL);
    for (int i = 0; i < BLASTER_STREAMS; i++)
        blaster->fds[i] = -1;
    return blaster;
}

static size_t put_head(char *to, size_t length)
{
    to[0] = (char)0x81;
    if (length < 126) {
        to[1] = (char)length;
        return 2;
    }
    if (length < 65536) {
        to[1] = 126;
        to[2] = (char)(length >> 8);
        to[3] = (char)(length & 255);
        return 4;
    }
    to[1] = 127;
    for (int i = 0; i < 8; i++)
        to[2 + i] = (char)(length >> (56 - 8 * i) & 255);
    return 10;
}

struct blaster *blaster_frames(const struct frames *frames)
{
    struct blaster *blaster = create(frames->count, frames->bytes + 10 * frames->count);
    size_t at = 0;
    for (size_t i = 0; i < frames->count; i++) {
        struct cut *cut = &blaster->cuts[i];
        cut->at = at;
        at += put_head(blaster->bytes + at, frames->items[i].length);
        memcpy(blaster->bytes + at, frames->items[i].text, frames->items[i].length);
        cut->end = at += frames->items[i].length;
    }
    return blaster;
}

static void put_number(char *to, int digits, uint64_t number)
{
    for (int i = digits - 1; i >= 0; i--, number /= 10)
        to[i] = (char)('0' + number % 10);
}

static size_t find(const char *text, const char *key, size_t base)
{
    const char *at = strstr(text, key);
    return at == NULL ? 0 : base + (size_t)(at - text) + strlen(key);
}

struct blaster *blaster_devices(unsigned devices, bool due)
{
    struct blaster *blaster = create(devices, (size_t)devices * FRAME_ROOM);
    size_t at = 0;
    uint64_t now_s = clock_ns(CLOCK_REALTIME) / NS;
    for (unsigned i = 0; i < devices; i++) {
        char text[FRAME_ROOM], mac[18];
        unsigned octets = i * 2654435761u; /* devices do not come in the order of their MACs */
        snprintf(mac, sizeof mac, "3C:5A:%02X:%02X:%02X:%02X", octets >> 24, octets >> 16 & 255,
                 octets >> 8 & 255, octets & 255);
        int length = snprintf(
            text, sizeof text,
            "{\"key\":\"4202770D00000000_%08X5A3C\",\"server_uuid\":"
            "\"BFAE90F0-E6A4-11F1-B392-4B49534D4554\",\"mac_addr\":\"%s\",\"name\":\"device-%u\","
            "\"common_name\":\"device-%u\",\"username\":\"\",\"phy_type\":\"IEEE802.11\","
            "\"manufacturer\":\"Espressif Inc.\",\"device_type\":\"Wi-Fi AP\","
            "\"crypt\":\"WPA2 WPA2-PSK AES-CCMP\",\"first_seen\":%" PRIu64 ",\"last_seen\":%" PRIu64
            ",\"mod_time\":%" PRIu64 ",\"channel\":\"11\",\"frequency\":2462000,"
            "\"total_packets\":1000000000,\"tx_packets\":800,\"rx_packets\":450,"
            "\"data_size\":1000000000,\"num_alerts\":0,\"signal_dbm\":-%u,\"noise_dbm\":-95,"
            "\"signal_type\":\"dbm\",\"geopoint\":[-74.00%04u,40.712800],\"altitude\":10.500000,"
            "\"fix\":3%s}",
            octets, mac, i, i, now_s - 3600, now_s, now_s, 45 + i % 40, i % 10000,
            due ? ",\"extra_0\":1000000000000000000" : "");
        struct cut *cut = &blaster->cuts[i];
        cut->at = at;
        at += put_head(blaster->bytes + at, (size_t)length);
        memcpy(blaster->bytes + at, text, (size_t)length);
        cut->packets = find(text, "\"total_packets\":", at);
        cut->size = find(text, "\"data_size\":", at);
        cut->seen = find(text, "\"last_seen\":", at);
        cut->due = find(text, "\"extra_0\":", at);
        cut->end = at += (size_t)length;
    }
    return blaster;
}

/* Frame number n of all, as it leaves: whether its device has changed since its last frame is
 * spread over the devices, another part of them each time round. */
static void touch(struct blaster *blaster, uint64_t n, unsigned change, uint64_t due_ns)
{
    const struct cut *cut = &blaster->cuts[n % blaster->count];
    uint64_t round = n / blaster->count;
    if (cut->due != 0)
        put_number(blaster->bytes + cut->due, DUE_DIGITS, due_ns);
    if (cut->packets == 0 || (n % blaster->count + round * change) % 100 >= change)
        return;
    put_number(blaster->bytes + cut->packets, COUNTER_DIGITS, 1000000000 + (round + 1) % NS);
    put_number(blaster->bytes + cut->size, COUNTER_DIGITS, 1000000000 + (round + 1) * 1100 % NS);
    put_number(blaster->bytes + cut->seen, COUNTER_DIGITS, clock_ns(CLOCK_REALTIME_COARSE) / NS);
}

/* --- the server --- */

static bool write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t count = send(fd, bytes, length, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        bytes += count;
        length -= (size_t)count;
    }
    return true;
}

static void answer(int fd, const char *path)
{
    char body[512] = "[]", head[128];
    uint64_t now_ns = clock_ns(CLOCK_REALTIME);
    if (strncmp(path, "/system/", 8) == 0)
        snprintf(body, sizeof body,
                 "{\"kismet.system.timestamp.sec\":%" PRIu64
                 ",\"kismet.system.timestamp.usec\":%" PRIu64
                 ",\"kismet.system.server_uuid\":\"BFAE90F0-E6A4-11F1-B392-4B49534D4554\","
                 "\"kismet.system.version\":\"blaster\",\"kismet.system.devices.count\":1}",
                 now_ns / NS, now_ns % NS / 1000);
    else if (strstr(path, "itjson") != NULL)
        body[0] = '\0';
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", strlen(body));
    if (write_all(fd, head, strlen(head)))
        write_all(fd, body, strlen(body));
}

static void upgrade(struct blaster *blaster, int fd, const char *head, enum blaster_stream stream)
{
    const char *at = strcasestr(head, "sec-websocket-key:");
    char key[128] = "", text[256];
    unsigned char hash[SHA_DIGEST_LENGTH], base64[64];
    if (at == NULL || sscanf(at + strlen("sec-websocket-key:"), " %60s", key) != 1)
        return;
    strcat(key, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    SHA1((const unsigned char *)key, strlen(key), hash);
    EVP_EncodeBlock(base64, hash, sizeof hash);
    snprintf(text, sizeof text,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n\r\n",
             base64);
    write_all(fd, text, strlen(text));
    pthread_mutex_lock(&blaster->mutex);
    blaster->fds[stream] = fd;
    pthread_mutex_unlock(&blaster->mutex);
    if (stream == BLASTER_RAW)
        atomic_store(&blaster->ready[stream], true);
    char ignored[4096];
    while (recv(fd, ignored, sizeof ignored, 0) > 0) /* the subscription, then pings */
        atomic_store(&blaster->ready[stream], true);
    atomic_store(&blaster->ready[stream], false);
    pthread_mutex_lock(&blaster->mutex);
    if (blaster->fds[stream] == fd)
        blaster->fds[stream] = -1;
    pthread_mutex_unlock(&blaster->mutex);
}

struct visit {
    struct blaster *blaster;
    int fd;
};

/* Requests one behind the other. A body (the list of fields) is never larger than one read. */
static void *serve(void *context)
{
    struct visit visit = *(struct visit *)context;
    char head[HEAD_MAX];
    size_t have = 0;
    free(context);
    for (;;) {
        ssize_t count = recv(visit.fd, head + have, sizeof head - 1 - have, 0);
        if (count <= 0)
            break;
        have += (size_t)count;
        head[have] = '\0';
        const char *end = strstr(head, "\r\n\r\n");
        const char *length = strcasestr(head, "content-length:");
        size_t body = length != NULL && length < end ? strtoul(length + 15, NULL, 10) : 0;
        char path[512];
        if (end == NULL || have < (size_t)(end + 4 - head) + body)
            continue;
        if (sscanf(head, "%*s %500s", path) != 1)
            break;
        have = 0;
        if (strcasestr(head, "upgrade: websocket") == NULL) {
            answer(visit.fd, path);
            continue;
        }
        enum blaster_stream stream = strstr(path, "eventbus") != NULL ? BLASTER_EVENTBUS
                                     : strcmp(path, "/raw") == 0      ? BLASTER_RAW
                                                                      : BLASTER_MONITOR;
        upgrade(visit.blaster, visit.fd, head, stream);
        break;
    }
    close(visit.fd);
    return NULL;
}

static void start_thread(void *(*run)(void *), void *context)
{
    pthread_t thread;
    errno = pthread_create(&thread, NULL, run, context);
    if (errno != 0)
        die("thread");
    pthread_detach(thread);
}

static void *accept_all(void *context)
{
    struct blaster *blaster = context;
    for (;;) {
        struct visit *visit = malloc(sizeof *visit);
        int on = 1;
        if (visit == NULL)
            die("memory");
        *visit = (struct visit){blaster, accept(blaster->listener, NULL, NULL)};
        if (visit->fd < 0)
            die("accept");
        setsockopt(visit->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        start_thread(serve, visit);
    }
    return NULL;
}

/* Each second: the eventbus's heartbeat, and a byte for streams that have nothing to say. */
static void *beat(void *context)
{
    struct blaster *blaster = context;
    for (;;) {
        static const char pong[] = {(char)0x8a, 0};
        struct timespec second = {.tv_sec = 1};
        char text[128], frame[160];
        uint64_t now_ns = clock_ns(CLOCK_REALTIME);
        int length = snprintf(text, sizeof text,
                              "{\"TIMESTAMP\":{\"kismet.system.timestamp.sec\":%" PRIu64
                              ",\"kismet.system.timestamp.usec\":%" PRIu64 "}}",
                              now_ns / NS, now_ns % NS / 1000);
        size_t head = put_head(frame, (size_t)length);
        memcpy(frame + head, text, (size_t)length);
        pthread_mutex_lock(&blaster->mutex);
        for (int i = 0; i < BLASTER_STREAMS; i++)
            if (blaster->fds[i] < 0 || !atomic_load(&blaster->ready[i]))
                continue;
            else if (i == BLASTER_EVENTBUS)
                write_all(blaster->fds[i], frame, head + (size_t)length);
            else
                write_all(blaster->fds[i], pong, sizeof pong);
        pthread_mutex_unlock(&blaster->mutex);
        nanosleep(&second, NULL);
    }
    return NULL;
}

int blaster_start(struct blaster *blaster)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    blaster->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (blaster->listener < 0 ||
        bind(blaster->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(blaster->listener, 16) != 0 ||
        getsockname(blaster->listener, (struct sockaddr *)&address, &length) != 0)
        die("listen");
    start_thread(accept_all, blaster);
    start_thread(beat, blaster);
    return ntohs(address.sin_port);
}

bool blaster_ready(struct blaster *blaster, enum blaster_stream stream)
{
    return atomic_load(&blaster->ready[stream]);
}

/* --- sending --- */

/* Frames [sent, sent + frames), which lie one behind the other but for the wrap. */
static void send_some(struct blaster *blaster,
                      enum blaster_stream stream,
                      uint64_t frames,
                      struct blaster_result *result)
{
    size_t first = blaster->sent % blaster->count;
    while (frames > 0) {
        size_t end = first + frames > blaster->count ? blaster->count : first + (size_t)frames;
        const char *at = blaster->bytes + blaster->cuts[first].at;
        size_t left = blaster->cuts[end - 1].end - blaster->cuts[first].at;
        pthread_mutex_lock(&blaster->mutex);
        if (blaster->fds[stream] < 0 || !write_all(blaster->fds[stream], at, left))
            die("the client has gone");
        pthread_mutex_unlock(&blaster->mutex);
        result->bytes += left;
        result->frames += end - first;
        blaster->sent += end - first;
        frames -= end - first;
        first = 0;
    }
}

struct blaster_result
blaster_send(struct blaster *blaster, enum blaster_stream stream, uint64_t frames, unsigned change)
{
    struct blaster_result result = {0};
    uint64_t begun_ns = clock_ns(CLOCK_MONOTONIC);
    while (frames > 0) {
        uint64_t some = 0;
        size_t bytes = 0;
        for (; some < frames && bytes < CHUNK_BYTES; some++) {
            const struct cut *cut = &blaster->cuts[(blaster->sent + some) % blaster->count];
            if (cut->packets != 0)
                touch(blaster, blaster->sent + some, change, 0);
            bytes += cut->end - cut->at;
        }
        send_some(blaster, stream, some, &result);
        frames -= some;
    }
    result.took_ns = clock_ns(CLOCK_MONOTONIC) - begun_ns;
    return result;
}

/* How many are due at elapsed_ns. */
static uint64_t due_count(double rate, uint64_t elapsed_ns, bool burst)
{
    if (burst)
        return (uint64_t)(rate * (double)(elapsed_ns / NS + 1));
    return (uint64_t)((double)elapsed_ns * rate / 1e9) + 1;
}

static uint64_t due_at_ns(double rate, uint64_t i, bool burst)
{
    double seconds = (double)i / rate;
    return burst ? (uint64_t)seconds * NS : (uint64_t)(seconds * 1e9);
}

struct blaster_result
blaster_pace(struct blaster *blaster, double rate, uint64_t frames, unsigned change, bool burst)
{
    struct blaster_result result = {0};
    uint64_t begun_ns = clock_ns(CLOCK_MONOTONIC);
    uint64_t begun_wall_ns = clock_ns(CLOCK_REALTIME);
    while (result.frames < frames) {
        uint64_t elapsed_ns = clock_ns(CLOCK_MONOTONIC) - begun_ns;
        uint64_t due = due_count(rate, elapsed_ns, burst);
        due = due < frames ? due : frames;
        if (due == result.frames) {
            struct timespec step = {.tv_nsec = PACE_STEP_NS};
            nanosleep(&step, NULL);
            continue;
        }
        uint64_t some = due - result.frames, first = result.frames;
        some = some < CHUNK_BYTES / FRAME_ROOM ? some : CHUNK_BYTES / FRAME_ROOM;
        some = some < blaster->count ? some : blaster->count;
        for (uint64_t i = 0; i < some; i++)
            touch(blaster, blaster->sent + i, change,
                  begun_wall_ns + due_at_ns(rate, first + i, burst));
        send_some(blaster, BLASTER_MONITOR, some, &result);
        uint64_t after_ns = clock_ns(CLOCK_MONOTONIC) - begun_ns;
        for (uint64_t i = first; i < first + some; i++) {
            uint64_t late_ns = after_ns - due_at_ns(rate, i, burst);
            result.late += late_ns > LATE_NS;
            result.late_max_ns = late_ns > result.late_max_ns ? late_ns : result.late_max_ns;
        }
    }
    result.took_ns = clock_ns(CLOCK_MONOTONIC) - begun_ns;
    return result;
}
