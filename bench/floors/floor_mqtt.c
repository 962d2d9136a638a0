/*
 * The floor of the mqtt sink: paho alone, the same payloads, a window of messages.
 *
 *   floor_mqtt URI VERSION(4|5) WINDOW MESSAGES PAYLOAD_BYTES
 * Prints messages a second. A semaphore is the window; the callback does nothing else.
 */
#include <MQTTAsync.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static sem_t window, connected;

static void on_sent(void *context, MQTTAsync_successData *data)
{
    (void)context, (void)data;
    sem_post(&window);
}

static void on_sent5(void *context, MQTTAsync_successData5 *data)
{
    (void)context, (void)data;
    sem_post(&window);
}

static void on_connect(void *context, MQTTAsync_successData *data)
{
    (void)context, (void)data;
    sem_post(&connected);
}

static void on_connect5(void *context, MQTTAsync_successData5 *data)
{
    (void)context, (void)data;
    sem_post(&connected);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (argc != 6)
        return 64;
    int version = atoi(argv[2]), messages = atoi(argv[4]), length = atoi(argv[5]);
    unsigned size = (unsigned)atoi(argv[3]);
    char *payload = malloc((size_t)length);
    memset(payload, 'x', (size_t)length);
    sem_init(&window, 0, size);
    sem_init(&connected, 0, 0);
    MQTTAsync client;
    MQTTAsync_createOptions create = MQTTAsync_createOptions_initializer5;
    create.MQTTVersion = version == 5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
    create.maxBufferedMessages = 100000;
    MQTTAsync_createWithOptions(&client, argv[1], "floor", MQTTCLIENT_PERSISTENCE_NONE, NULL,
                                &create);
    MQTTAsync_connectOptions v4 = MQTTAsync_connectOptions_initializer;
    MQTTAsync_connectOptions v5 = MQTTAsync_connectOptions_initializer5;
    MQTTAsync_connectOptions options = version == 5 ? v5 : v4;
    options.maxInflight = 60000;
    if (version == 5) {
        options.onSuccess5 = on_connect5;
    } else {
        options.MQTTVersion = MQTTVERSION_3_1_1;
        options.onSuccess = on_connect;
    }
    MQTTAsync_connect(client, &options);
    sem_wait(&connected);
    double begun = now();
    for (int i = 0; i < messages; i++) {
        char topic[64];
        snprintf(topic, sizeof topic, "floor/devices/02_00_00_00_%02X_%02X", i >> 8 & 15, i & 255);
        MQTTAsync_responseOptions response = MQTTAsync_responseOptions_initializer;
        if (version == 5)
            response.onSuccess5 = on_sent5;
        else
            response.onSuccess = on_sent;
        sem_wait(&window);
        if (MQTTAsync_send(client, topic, length, payload, 1, 0, &response) != MQTTASYNC_SUCCESS)
            return 1;
    }
    for (unsigned i = 0; i < size; i++)
        sem_wait(&window);
    printf("%.0f\n", messages / (now() - begun));
    MQTTAsync_destroy(&client);
    free(payload);
    return 0;
}
