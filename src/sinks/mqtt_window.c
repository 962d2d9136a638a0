/* What is in flight; the contract stands in the header. */
#include "sinks/mqtt_window.h"

#include <stdlib.h>
#include <string.h>

static bool bit(const uint64_t *bits, uint32_t i)
{
    return (bits[i / 64] >> (i % 64) & 1) != 0;
}

static void set(uint64_t *bits, uint32_t i)
{
    bits[i / 64] |= 1ull << (i % 64);
}

static void clear(uint64_t *bits, uint32_t i)
{
    bits[i / 64] &= ~(1ull << (i % 64));
}

void kx_mqtt_window_fini(struct kx_mqtt_window *window)
{
    for (size_t i = 0; i < KX_MQTT_FLIGHTS; i++) {
        free(window->flights[i].out);
        free(window->flights[i].sent);
        free(window->flights[i].refused);
        window->flights[i] = (struct kx_mqtt_flight){0};
    }
}

/* Record 0 is there whatever the view: the bytes belong to the whole batch. */
static uint64_t first_sequence(const struct kx_batch *batch)
{
    return kx_batch_record(batch, 0)->sequence;
}

static bool grow_bits(uint64_t **bits, uint32_t words, uint32_t more)
{
    uint64_t *grown = realloc(*bits, more * sizeof *grown);
    if (grown == NULL)
        return false;
    memset(grown + words, 0, (more - words) * sizeof *grown);
    *bits = grown;
    return true;
}

static bool grow(struct kx_mqtt_flight *flight, uint32_t end)
{
    uint32_t words = (end + 63) / 64;
    if (words <= flight->words)
        return true;
    if (!grow_bits(&flight->out, flight->words, words) ||
        !grow_bits(&flight->sent, flight->words, words) ||
        !grow_bits(&flight->refused, flight->words, words))
        return false;
    flight->words = words;
    return true;
}

static void wipe(struct kx_mqtt_flight *flight)
{
    flight->out_count = 0;
    if (flight->words == 0)
        return;
    memset(flight->out, 0, flight->words * sizeof *flight->out);
    memset(flight->sent, 0, flight->words * sizeof *flight->sent);
    memset(flight->refused, 0, flight->words * sizeof *flight->refused);
}

struct kx_mqtt_flight *kx_mqtt_window_begin(struct kx_mqtt_window *window,
                                            const struct kx_batch *batch,
                                            const struct kx_mqtt_flight *other)
{
    struct kx_mqtt_flight *found = NULL;
    struct kx_mqtt_flight *spare = NULL;
    for (size_t i = 0; i < KX_MQTT_FLIGHTS; i++) {
        struct kx_mqtt_flight *flight = &window->flights[i];
        if (flight->batch.done == batch->done && flight->batch.done != NULL &&
            flight->sequence == first_sequence(batch))
            found = flight;
        else if (flight != other && (spare == NULL || flight->out_count < spare->out_count))
            spare = flight;
    }
    if (found == NULL) {
        found = spare;
        found->batch = *batch;
        found->sequence = first_sequence(batch);
        wipe(found);
    }
    if (!grow(found, batch->end)) {
        found->batch.done = NULL;
        return NULL;
    }
    if (batch->end > found->batch.end)
        found->batch.end = batch->end;
    found->cursor = batch->first;
    return found;
}

uint32_t kx_mqtt_window_index(const struct kx_mqtt_window *window,
                              const struct kx_mqtt_flight *flight)
{
    return (uint32_t)(flight - window->flights);
}

uint32_t kx_mqtt_flight_next(struct kx_mqtt_flight *flight, uint32_t end)
{
    uint32_t i = flight->cursor;
    while (i < end &&
           (kx_batch_done(&flight->batch, i) || bit(flight->out, i) || bit(flight->refused, i)))
        i++;
    flight->cursor = i;
    return i;
}

void kx_mqtt_flight_sent(struct kx_mqtt_flight *flight, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        if (!kx_batch_done(&flight->batch, i) && !bit(flight->out, i)) {
            set(flight->out, i);
            set(flight->sent, i);
            flight->out_count++;
        }
}

void kx_mqtt_flight_back(struct kx_mqtt_flight *flight,
                         uint32_t first,
                         uint32_t end,
                         bool confirmed)
{
    for (uint32_t i = first; i < end; i++) {
        if (!bit(flight->out, i))
            continue;
        clear(flight->out, i);
        flight->out_count--;
        if (confirmed)
            kx_batch_mark(&flight->batch, i);
    }
}

void kx_mqtt_flight_refuse(struct kx_mqtt_flight *flight, uint32_t i)
{
    set(flight->refused, i);
}

bool kx_mqtt_flight_refused(const struct kx_mqtt_flight *flight, uint32_t i)
{
    return bit(flight->refused, i);
}

bool kx_mqtt_flight_settled(const struct kx_mqtt_flight *flight, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++)
        if (!kx_batch_done(&flight->batch, i) && !bit(flight->refused, i))
            return false;
    return true;
}

static bool same_device(const struct kx_record *a, const struct kx_record *b)
{
    return a->kind == KX_KIND_DEVICE && b->kind == KX_KIND_DEVICE && a->device_id == b->device_id &&
           a->generation == b->generation;
}

/* Whether a record of the same device with a higher sequence is done, in this batch or the other.
 */
static bool superseded(const struct kx_mqtt_window *window, const struct kx_record *record)
{
    for (size_t f = 0; f < KX_MQTT_FLIGHTS; f++) {
        const struct kx_batch *batch = &window->flights[f].batch;
        for (uint32_t i = 0; batch->done != NULL && i < batch->end; i++) {
            const struct kx_record *newer = kx_batch_record(batch, i);
            if (newer->sequence > record->sequence && same_device(newer, record) &&
                kx_batch_done(batch, i))
                return true;
        }
    }
    return false;
}

void kx_mqtt_window_end(struct kx_mqtt_window *window)
{
    for (size_t f = 0; f < KX_MQTT_FLIGHTS; f++)
        if (window->flights[f].out_count == 0)
            window->flights[f].batch.done = NULL;
}

uint32_t kx_mqtt_window_lost(struct kx_mqtt_window *window)
{
    uint32_t marked = 0;
    for (size_t f = 0; f < KX_MQTT_FLIGHTS; f++) {
        struct kx_mqtt_flight *flight = &window->flights[f];
        if (flight->batch.done == NULL)
            continue;
        for (uint32_t i = 0; i < flight->batch.end; i++)
            if (bit(flight->sent, i) && !bit(flight->refused, i) &&
                !kx_batch_done(&flight->batch, i) &&
                superseded(window, kx_batch_record(&flight->batch, i))) {
                kx_batch_mark(&flight->batch, i);
                marked++;
            }
    }
    for (size_t f = 0; f < KX_MQTT_FLIGHTS; f++) {
        wipe(&window->flights[f]);
        window->flights[f].cursor = 0;
    }
    return marked;
}
