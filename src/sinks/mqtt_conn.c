/* One paho client; the contract stands in the header. */
#include "sinks/mqtt_conn.h"

#include "base/clock.h"
#include <MQTTAsync.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    INFLIGHT_MAX =
        64, /* paho looks through lists of that length for each message: more is slower */
    ARRIVED_COUNT = 8, /* incoming messages kept: our own echo, and Home Assistant's word */
    CONNECT_S = 10,
    POLL_MS_MAX = 1000,
    NUDGE_MS = 100, /* longer than a broker takes; paho wakes by itself within the second */
    RECEIVE_MAX_UNSAID = 65535, /* MQTT 5, 3.2.2.3.3 */
};

struct slot {
    struct kx_mqtt_conn *conn; /* a callback knows its slot only */
    struct kx_mqtt_tag tag;
    uint32_t next_free;
};

struct done {
    uint32_t slot;
    int code;
};

struct kx_mqtt_conn {
    MQTTAsync client; /* NULL = ended */
    int version;
    int wake_fd;
    uint32_t free_slot; /* INFLIGHT_MAX = none; the sender's */
    uint32_t out;       /* the sender's */
    struct slot slots[INFLIGHT_MAX];
    pthread_mutex_t mutex; /* of all below */
    struct kx_mqtt_status status;
    struct done done[INFLIGHT_MAX]; /* from done_first on, around its end */
    uint32_t done_first, done_count;
    struct kx_mqtt_arrived arrived[ARRIVED_COUNT];
    uint32_t arrived_first, arrived_count;
    bool sleeps;   /* the sender does */
    uint32_t want; /* completions that it waits for; 0 = for a message */
    bool left;     /* state moved since the sender looked */
};

/* --- paho's threads --- */

/* With the mutex held: whether somebody is to be woken. */
static bool wakes(struct kx_mqtt_conn *conn, bool urgent)
{
    if (!conn->sleeps || (!urgent && (conn->want == 0 || conn->done_count < conn->want)))
        return false;
    conn->sleeps = false;
    return true;
}

static void wake(struct kx_mqtt_conn *conn)
{
    uint64_t one = 1;
    ssize_t written = write(conn->wake_fd, &one, sizeof one);
    (void)written; /* a full counter wakes as well */
}

static void complete(struct slot *slot, int code)
{
    struct kx_mqtt_conn *conn = slot->conn;
    pthread_mutex_lock(&conn->mutex);
    uint32_t at = (conn->done_first + conn->done_count) % INFLIGHT_MAX;
    conn->done[at] = (struct done){.slot = (uint32_t)(slot - conn->slots), .code = code};
    conn->done_count++; /* a slot is in flight once, so there is room */
    bool sleeper = wakes(conn, false);
    pthread_mutex_unlock(&conn->mutex);
    if (sleeper)
        wake(conn);
}

static void on_success(void *context, MQTTAsync_successData *data)
{
    (void)data;
    complete(context, 0);
}

static void on_success5(void *context, MQTTAsync_successData5 *data)
{
    /* 16 is "nobody has subscribed", which is a success. */
    complete(context,
             data->reasonCode >= MQTTREASONCODE_UNSPECIFIED_ERROR ? (int)data->reasonCode : 0);
}

static void on_failure(void *context, MQTTAsync_failureData *data)
{
    complete(context, data != NULL && data->code != 0 ? data->code : MQTTASYNC_FAILURE);
}

/* Where a write fails paho leaves the reason code as memory was, so its own code comes first. */
static int failure5(const MQTTAsync_failureData5 *data)
{
    if (data->code < 0)
        return data->code;
    if (data->reasonCode >= MQTTREASONCODE_UNSPECIFIED_ERROR)
        return (int)data->reasonCode;
    return data->code > 0 ? data->code : MQTTASYNC_FAILURE;
}

static void on_failure5(void *context, MQTTAsync_failureData5 *data)
{
    complete(context, failure5(data));
}

/* A state is left once: REFUSED and LOST are final, and the first reason is the cause. */
static void leave(struct kx_mqtt_conn *conn, enum kx_mqtt_state state, int code, const char *text)
{
    pthread_mutex_lock(&conn->mutex);
    struct kx_mqtt_status *status = &conn->status;
    bool final = status->state == KX_MQTT_REFUSED || status->state == KX_MQTT_LOST;
    if (!final) {
        status->state = state;
        status->code = code;
        if (text != NULL && status->text[0] == '\0')
            snprintf(status->text, sizeof status->text, "%s", text);
    }
    conn->left = true;
    bool sleeper = wakes(conn, true);
    pthread_mutex_unlock(&conn->mutex);
    if (sleeper)
        wake(conn);
}

static void on_connect(void *context, MQTTAsync_successData *data)
{
    (void)data;
    leave(context, KX_MQTT_UP, 0, NULL);
}

static uint32_t number(MQTTProperties *properties, enum MQTTPropertyCodes id, uint32_t fallback)
{
    if (!MQTTProperties_hasProperty(properties, (int)id))
        return fallback;
    return (uint32_t)MQTTProperties_getNumericValue(properties, (int)id);
}

/* 80 %, so that paho's own window never fills; one at least. */
static uint32_t window_of(uint32_t receive_max)
{
    uint32_t limit = receive_max < INFLIGHT_MAX ? receive_max : INFLIGHT_MAX;
    return limit < 3 ? 1 : limit * 4 / 5;
}

static void on_connect5(void *context, MQTTAsync_successData5 *data)
{
    struct kx_mqtt_conn *conn = context;
    MQTTProperties *properties = &data->properties;
    uint32_t receive = number(properties, MQTTPROPERTY_CODE_RECEIVE_MAXIMUM, RECEIVE_MAX_UNSAID);
    pthread_mutex_lock(&conn->mutex);
    conn->status.window = window_of(receive);
    conn->status.packet_bytes_max = number(properties, MQTTPROPERTY_CODE_MAXIMUM_PACKET_SIZE, 0);
    conn->status.qos_max = (int)number(properties, MQTTPROPERTY_CODE_MAXIMUM_QOS, 2);
    conn->status.retain = number(properties, MQTTPROPERTY_CODE_RETAIN_AVAILABLE, 1) != 0;
    pthread_mutex_unlock(&conn->mutex);
    leave(conn, KX_MQTT_UP, 0, NULL);
}

static void on_refused(void *context, MQTTAsync_failureData *data)
{
    leave(context, KX_MQTT_REFUSED, data != NULL ? data->code : 0,
          data != NULL ? data->message : NULL);
}

static void on_refused5(void *context, MQTTAsync_failureData5 *data)
{
    leave(context, KX_MQTT_REFUSED, failure5(data), data->message);
}

static void on_lost(void *context, char *cause)
{
    leave(context, KX_MQTT_LOST, 0, cause);
}

/* MQTT 5: the broker's DISCONNECT, with its reason; the loss itself follows. */
static void on_disconnect(void *context, MQTTProperties *properties, enum MQTTReasonCodes reason)
{
    (void)properties;
    leave(context, KX_MQTT_LOST, (int)reason, NULL);
}

static int on_arrived(void *context, char *topic, int topic_length, MQTTAsync_message *message)
{
    struct kx_mqtt_conn *conn = context;
    size_t length = topic_length > 0 ? (size_t)topic_length : strlen(topic);
    pthread_mutex_lock(&conn->mutex);
    if (conn->arrived_count < ARRIVED_COUNT && length < KX_MQTT_TEXT_MAX) {
        uint32_t at = (conn->arrived_first + conn->arrived_count++) % ARRIVED_COUNT;
        struct kx_mqtt_arrived *arrived = &conn->arrived[at];
        arrived->retained = message->retained != 0;
        snprintf(arrived->topic, sizeof arrived->topic, "%.*s", (int)length, topic);
        snprintf(arrived->payload, sizeof arrived->payload, "%.*s", message->payloadlen,
                 (const char *)message->payload);
    }
    bool sleeper = wakes(conn, true);
    pthread_mutex_unlock(&conn->mutex);
    if (sleeper)
        wake(conn);
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    return 1;
}

/* OpenSSL's own words, the first of which is the cause. */
static int on_tls_error(const char *text, size_t length, void *context)
{
    struct kx_mqtt_conn *conn = context;
    pthread_mutex_lock(&conn->mutex);
    char *out = conn->status.text;
    if (out[0] == '\0') {
        /* "00:error:0A000086:SSL routines:tls_post_process...:certificate verify failed:file:line:"
         * has the reason behind its fourth colon from the front. */
        const char *reason = text;
        for (int colons = 0; colons < 5; colons++) {
            const char *colon = memchr(reason, ':', length - (size_t)(reason - text));
            if (colon == NULL)
                break;
            reason = colon + 1;
        }
        size_t rest = length - (size_t)(reason - text);
        const char *end = memchr(reason, ':', rest);
        snprintf(out, KX_MQTT_TEXT_MAX, "%.*s", (int)(end != NULL ? (size_t)(end - reason) : rest),
                 reason);
    }
    pthread_mutex_unlock(&conn->mutex);
    return 1;
}

/* --- life --- */

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* OpenSSL is set up already, and others in the process use it. */
static void init_library(void)
{
    MQTTAsync_init_options options = MQTTAsync_init_options_initializer;
    options.do_openssl_init = 0;
    MQTTAsync_global_init(&options);
}

static struct kx_mqtt_conn *allocate(int version)
{
    struct kx_mqtt_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        return NULL;
    conn->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (conn->wake_fd < 0 || pthread_mutex_init(&conn->mutex, NULL) != 0) {
        if (conn->wake_fd >= 0)
            close(conn->wake_fd);
        free(conn);
        return NULL;
    }
    conn->version = version;
    conn->status.window = window_of(INFLIGHT_MAX);
    conn->status.qos_max = 2;
    conn->status.retain = true;
    for (uint32_t i = 0; i < INFLIGHT_MAX; i++)
        conn->slots[i] = (struct slot){.conn = conn, .next_free = i + 1};
    return conn;
}

static int create_client(struct kx_mqtt_conn *conn, const struct kx_mqtt_conn_params *params)
{
    MQTTAsync_createOptions options = MQTTAsync_createOptions_initializer5;
    options.MQTTVersion = params->version == KX_MQTT_V5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
    options.maxBufferedMessages = INFLIGHT_MAX + 16;
    options.restoreMessages = 0;
    int result = MQTTAsync_createWithOptions(&conn->client, params->uri, params->client_id,
                                             MQTTCLIENT_PERSISTENCE_NONE, NULL, &options);
    if (result != MQTTASYNC_SUCCESS)
        return result;
    result = MQTTAsync_setCallbacks(conn->client, conn, on_lost, on_arrived, NULL);
    if (result == MQTTASYNC_SUCCESS)
        result = MQTTAsync_setDisconnected(conn->client, conn, on_disconnect);
    return result;
}

static MQTTAsync_SSLOptions tls_options(struct kx_mqtt_conn *conn, const struct kx_tls_config *tls)
{
    MQTTAsync_SSLOptions options = MQTTAsync_SSLOptions_initializer;
    options.trustStore = tls->ca_file; /* NULL: the system's */
    options.keyStore = tls->cert_file;
    options.privateKey = tls->key_file;
    options.enableServerCertAuth = !tls->insecure;
    options.verify = !tls->insecure; /* without it the host's name is not looked at */
    options.sslVersion = MQTT_SSL_VERSION_TLS_1_2;
    options.ssl_error_cb = on_tls_error;
    options.ssl_error_context = conn;
    return options;
}

static int begin_connect(struct kx_mqtt_conn *conn, const struct kx_mqtt_conn_params *params)
{
    MQTTAsync_connectOptions v311 = MQTTAsync_connectOptions_initializer;
    MQTTAsync_connectOptions v5 = MQTTAsync_connectOptions_initializer5;
    MQTTAsync_connectOptions options = conn->version == KX_MQTT_V5 ? v5 : v311;
    MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
    MQTTAsync_SSLOptions ssl;
    if (conn->version == KX_MQTT_V5) {
        options.onSuccess5 = on_connect5;
        options.onFailure5 = on_refused5;
    } else {
        options.MQTTVersion = MQTTVERSION_3_1_1;
        options.onSuccess = on_connect;
        options.onFailure = on_refused;
    }
    options.context = conn;
    options.keepAliveInterval = (int)params->keep_alive_s;
    options.connectTimeout = CONNECT_S;
    options.maxInflight = INFLIGHT_MAX;
    options.username = params->user;
    options.password = params->password;
    if (params->will_topic != NULL) {
        will.topicName = params->will_topic;
        will.message = "offline";
        will.retained = 1;
        will.qos = 1;
        options.will = &will;
    }
    if (strncmp(params->uri, "ssl:", 4) == 0) {
        ssl = tls_options(conn, params->tls);
        options.ssl = &ssl;
    }
    return MQTTAsync_connect(conn->client, &options);
}

enum kx_code kx_mqtt_conn_create(struct kx_mqtt_conn **ret_conn,
                                 const struct kx_mqtt_conn_params *params,
                                 struct kx_error *err)
{
    pthread_once(&once, init_library);
    struct kx_mqtt_conn *conn = allocate(params->version);
    if (conn == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a connection");
    int result = create_client(conn, params);
    if (result == MQTTASYNC_SUCCESS)
        result = begin_connect(conn, params);
    if (result != MQTTASYNC_SUCCESS) {
        kx_mqtt_conn_end(conn);
        kx_mqtt_conn_free(conn);
        const char *words = MQTTAsync_strerror(result);
        return kx_error_set(err, KX_ERR_UNAVAILABLE, 0, "paho refuses %s: %s (%d)", params->uri,
                            words != NULL ? words : "no reason given", result);
    }
    *ret_conn = conn;
    return KX_OK;
}

void kx_mqtt_conn_end(struct kx_mqtt_conn *conn)
{
    if (conn->client != NULL)
        MQTTAsync_destroy(&conn->client);
    conn->client = NULL;
}

void kx_mqtt_conn_free(struct kx_mqtt_conn *conn)
{
    if (conn == NULL)
        return;
    pthread_mutex_destroy(&conn->mutex);
    close(conn->wake_fd);
    free(conn);
}

static void on_goodbye(void *context, MQTTAsync_successData *data)
{
    (void)data;
    leave(context, KX_MQTT_LOST, 0, NULL);
}

static void on_goodbye5(void *context, MQTTAsync_successData5 *data)
{
    (void)data;
    leave(context, KX_MQTT_LOST, 0, NULL);
}

void kx_mqtt_conn_goodbye(struct kx_mqtt_conn *conn, uint64_t deadline_ns)
{
    MQTTAsync_disconnectOptions v311 = MQTTAsync_disconnectOptions_initializer;
    MQTTAsync_disconnectOptions v5 = MQTTAsync_disconnectOptions_initializer5;
    MQTTAsync_disconnectOptions options = conn->version == KX_MQTT_V5 ? v5 : v311;
    if (conn->version == KX_MQTT_V5)
        options.onSuccess5 = on_goodbye5;
    else
        options.onSuccess = on_goodbye;
    options.context = conn;
    if (conn->client == NULL || MQTTAsync_disconnect(conn->client, &options) != MQTTASYNC_SUCCESS)
        return;
    while (kx_mqtt_conn_wait(conn, INFLIGHT_MAX, deadline_ns, -1) == KX_MQTT_READY) {
        struct kx_mqtt_status status;
        kx_mqtt_conn_status(conn, &status);
        if (status.state != KX_MQTT_UP)
            return;
    }
}

/* --- the sender's thread --- */

void kx_mqtt_conn_status(struct kx_mqtt_conn *conn, struct kx_mqtt_status *ret_status)
{
    pthread_mutex_lock(&conn->mutex);
    *ret_status = conn->status;
    pthread_mutex_unlock(&conn->mutex);
}

int kx_mqtt_conn_version(const struct kx_mqtt_conn *conn)
{
    return conn->version;
}

uint32_t kx_mqtt_conn_out(const struct kx_mqtt_conn *conn)
{
    return conn->out;
}

/* A slot with the tag, or NULL. */
static struct slot *take_slot(struct kx_mqtt_conn *conn, const struct kx_mqtt_tag *tag)
{
    if (conn->free_slot == INFLIGHT_MAX || conn->client == NULL)
        return NULL;
    struct slot *slot = &conn->slots[conn->free_slot];
    conn->free_slot = slot->next_free;
    slot->tag = *tag;
    conn->out++;
    return slot;
}

static void give_back(struct kx_mqtt_conn *conn, struct slot *slot)
{
    slot->next_free = conn->free_slot;
    conn->free_slot = (uint32_t)(slot - conn->slots);
    conn->out--;
}

static MQTTAsync_responseOptions response_options(const struct kx_mqtt_conn *conn,
                                                  struct slot *slot)
{
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.context = slot;
    if (conn->version == KX_MQTT_V5) {
        options.onSuccess5 = on_success5;
        options.onFailure5 = on_failure5;
    } else {
        options.onSuccess = on_success;
        options.onFailure = on_failure;
    }
    return options;
}

static void add_uid(MQTTProperties *properties, const char *uid)
{
    static const char name[] = "event_uid";
    char value[KX_UID_BYTES * 2 + 1]; /* paho copies it, but wants it writable */
    char key[sizeof name];
    memcpy(key, name, sizeof name);
    snprintf(value, sizeof value, "%s", uid);
    MQTTProperty property = {.identifier = MQTTPROPERTY_CODE_USER_PROPERTY};
    property.value.data = (MQTTLenString){.len = sizeof name - 1, .data = key};
    property.value.value = (MQTTLenString){.len = (int)strlen(value), .data = value};
    MQTTProperties_add(properties, &property);
}

bool kx_mqtt_conn_publish(struct kx_mqtt_conn *conn,
                          const struct kx_mqtt_message *message,
                          const struct kx_mqtt_tag *tag)
{
    struct slot *slot = take_slot(conn, tag);
    if (slot == NULL)
        return false;
    MQTTAsync_responseOptions options = response_options(conn, slot);
    if (conn->version == KX_MQTT_V5) {
        if (message->expiry_s > 0) {
            MQTTProperty property = {.identifier = MQTTPROPERTY_CODE_MESSAGE_EXPIRY_INTERVAL,
                                     .value = {.integer4 = message->expiry_s}};
            MQTTProperties_add(&options.properties, &property);
        }
        if (message->uid != NULL)
            add_uid(&options.properties, message->uid);
    }
    int result = MQTTAsync_send(conn->client, message->topic, (int)message->length,
                                message->payload, message->qos, message->retain, &options);
    MQTTProperties_free(&options.properties);
    if (result != MQTTASYNC_SUCCESS)
        give_back(conn, slot);
    return result == MQTTASYNC_SUCCESS;
}

size_t kx_mqtt_conn_packet_bytes(const struct kx_mqtt_conn *conn,
                                 const struct kx_mqtt_message *message)
{
    enum { HEADER = 5, TOPIC_LENGTH = 2, PACKET_ID = 2, PROPERTIES = 4, EXPIRY = 5, PAIR = 5 };
    size_t bytes = HEADER + TOPIC_LENGTH + strlen(message->topic) + PACKET_ID + message->length;
    if (conn->version != KX_MQTT_V5)
        return bytes;
    bytes += PROPERTIES;
    if (message->expiry_s > 0)
        bytes += EXPIRY;
    if (message->uid != NULL)
        bytes += PAIR + strlen("event_uid") + strlen(message->uid);
    return bytes;
}

bool kx_mqtt_conn_subscribe(struct kx_mqtt_conn *conn,
                            const char *topic,
                            const struct kx_mqtt_tag *tag)
{
    struct slot *slot = take_slot(conn, tag);
    if (slot == NULL)
        return false;
    MQTTAsync_responseOptions options = response_options(conn, slot);
    int result = MQTTAsync_subscribe(conn->client, topic, 1, &options);
    if (result != MQTTASYNC_SUCCESS)
        give_back(conn, slot);
    return result == MQTTASYNC_SUCCESS;
}

/* With the mutex held: whether what is waited for is there. */
static bool ready(struct kx_mqtt_conn *conn, uint32_t want)
{
    bool left = conn->left;
    conn->left = false;
    bool there = want > 0 ? conn->done_count >= want : conn->arrived_count > 0;
    return there || left || conn->status.state == KX_MQTT_REFUSED ||
           conn->status.state == KX_MQTT_LOST;
}

/* Any command wakes paho's thread; this one asks the broker for nothing. */
static void nudge(struct kx_mqtt_conn *conn)
{
    MQTTAsync_unsubscribe(conn->client, "kismet-export/nudge", NULL);
}

enum kx_mqtt_wait
kx_mqtt_conn_wait(struct kx_mqtt_conn *conn, uint32_t want, uint64_t deadline_ns, int stop_fd)
{
    struct pollfd fds[] = {{.fd = conn->wake_fd, .events = POLLIN},
                           {.fd = stop_fd, .events = POLLIN}};
    bool nudged = false;
    for (;;) {
        pthread_mutex_lock(&conn->mutex);
        bool there = ready(conn, want);
        conn->sleeps = !there;
        conn->want = want;
        pthread_mutex_unlock(&conn->mutex);
        uint64_t now_ns = kx_clock_boot_ns();
        if (there)
            return KX_MQTT_READY;
        if (deadline_ns != 0 && now_ns >= deadline_ns) /* a wake-up too many does no harm */
            return KX_MQTT_TIMEOUT;
        bool nudges = !nudged && conn->out > 0 && conn->client != NULL;
        int most_ms = kx_clock_poll_ms(deadline_ns, now_ns, nudges ? NUDGE_MS : POLL_MS_MAX);
        if (poll(fds, 2, most_ms) == 0 && nudges && most_ms == NUDGE_MS) {
            nudged = true;
            nudge(conn);
        }
        uint64_t count;
        if (fds[0].revents != 0 && read(conn->wake_fd, &count, sizeof count) < 0 && errno != EAGAIN)
            return KX_MQTT_TIMEOUT;
        if (fds[1].revents != 0)
            return KX_MQTT_STOPPED;
        fds[0].revents = 0;
    }
}

uint32_t
kx_mqtt_conn_take(struct kx_mqtt_conn *conn, struct kx_mqtt_completion *completions, uint32_t count)
{
    uint32_t slots[64];
    if (count > sizeof slots / sizeof slots[0])
        count = sizeof slots / sizeof slots[0];
    pthread_mutex_lock(&conn->mutex);
    uint32_t taken = conn->done_count < count ? conn->done_count : count;
    for (uint32_t i = 0; i < taken; i++) {
        const struct done *done = &conn->done[(conn->done_first + i) % INFLIGHT_MAX];
        slots[i] = done->slot;
        completions[i].code = done->code;
    }
    conn->done_first = (conn->done_first + taken) % INFLIGHT_MAX;
    conn->done_count -= taken;
    pthread_mutex_unlock(&conn->mutex);
    for (uint32_t i = 0; i < taken; i++) {
        completions[i].tag = conn->slots[slots[i]].tag;
        give_back(conn, &conn->slots[slots[i]]);
    }
    return taken;
}

bool kx_mqtt_conn_arrived(struct kx_mqtt_conn *conn, struct kx_mqtt_arrived *ret_arrived)
{
    pthread_mutex_lock(&conn->mutex);
    bool some = conn->arrived_count > 0;
    if (some) {
        *ret_arrived = conn->arrived[conn->arrived_first];
        conn->arrived_first = (conn->arrived_first + 1) % ARRIVED_COUNT;
        conn->arrived_count--;
    }
    pthread_mutex_unlock(&conn->mutex);
    return some;
}
