/* A round of questions about a server's health; the contract stands in the header. */
#include "ingest/health.h"

#include "base/clock.h"
#include "ingest/json_scan.h"
#include <stdlib.h>
#include <string.h>

static const char STATUS_PATH[] = "/system/status.json";
static const char DATASOURCES_PATH[] = "/datasource/all_sources.json";

enum step { STEP_IDLE, STEP_STATUS, STEP_DATASOURCES };

struct kx_health {
    struct kx_health_parts parts;
    struct kx_rest *rest;
    enum step step;
    bool datasources;
    unsigned retry_after_s;
    char element[65536 + KX_JSON_PADDING]; /* one datasource, with the parser's padding */
};

static void copy_text(char *out, size_t capacity, const struct kx_json_text *text)
{
    if (text->data == NULL)
        return;
    size_t length = text->length < capacity - 1 ? text->length : capacity - 1;
    memcpy(out, text->data, length);
    out[length] = '\0';
}

static void read_status(struct kx_health *health, const struct kx_rest_result *result)
{
    struct kx_json_pick picks[] = {{.key = "kismet.system.server_uuid"},
                                   {.key = "kismet.system.version"},
                                   {.key = "kismet.system.devices.count"},
                                   {.key = "kismet.system.memory.rss"}};
    struct kx_source_status *status = health->parts.status;
    if (kx_json_pick(health->parts.json, result->body, result->body_length, picks, 4) != KX_JSON_OK)
        return;
    copy_text(status->server_uuid, sizeof(status->server_uuid), &picks[0].text);
    copy_text(status->version, sizeof(status->version), &picks[1].text);
    if (picks[2].has_number && picks[2].number >= 0 && picks[2].number < 1e15)
        status->devices = (int64_t)picks[2].number;
    if (picks[3].has_number && picks[3].number > 0 && picks[3].number < 1e12)
        status->memory_bytes = (int64_t)picks[3].number * 1024; /* Kismet gives kilobytes */
}

/* Whether a datasource runs: it says so, and no error. */
static bool runs(struct kx_health *health, struct kx_json_text source)
{
    struct kx_json_pick picks[] = {{.key = "kismet.datasource.running"},
                                   {.key = "kismet.datasource.error"}};
    if (source.length > sizeof(health->element) - KX_JSON_PADDING)
        return false;
    memcpy(health->element, source.data, source.length);
    memset(health->element + source.length, 0, KX_JSON_PADDING);
    return kx_json_pick(health->parts.json, health->element, source.length, picks, 2) ==
               KX_JSON_OK &&
           picks[0].has_number && picks[0].number != 0 &&
           !(picks[1].has_number && picks[1].number != 0);
}

static void read_datasources(struct kx_health *health, const struct kx_rest_result *result)
{
    struct kx_scan scan = {result->body, result->body + result->body_length};
    struct kx_source_status *status = health->parts.status;
    if (!kx_scan_array(&scan, NULL))
        return;
    int ok = 0;
    int failed = 0;
    struct kx_json_text source;
    while (kx_scan_element(&scan, &source)) {
        if (runs(health, source))
            ok++;
        else
            failed++;
    }
    status->datasources_ok = ok;
    status->datasources_failed = failed;
}

static void on_done(void *context, const struct kx_rest_result *result, const struct kx_error *err)
{
    struct kx_health *health = context;
    bool ok = result->code == KX_OK;
    kx_count(health->parts.counters, ok ? KX_C_REST_REQUESTS : KX_C_REST_FAILED, 1);
    kx_count(health->parts.counters, KX_C_BYTES, result->bytes);
    enum step step = health->step;
    health->step = STEP_IDLE;
    health->retry_after_s = result->retry_after_s;
    if (ok) {
        health->parts.status->last_contact_ns = kx_clock_wall_ns();
        if (step == STEP_STATUS)
            read_status(health, result);
        else
            read_datasources(health, result);
        if (step == STEP_STATUS && health->datasources) {
            health->step = STEP_DATASOURCES;
            kx_rest_get(health->rest, DATASOURCES_PATH, kx_clock_boot_ns());
            return;
        }
    }
    health->parts.ended(health->parts.context, result->code, err);
}

static const struct kx_rest_ops ops = {NULL, on_done};

enum kx_code kx_health_create(struct kx_health **ret_health,
                              const struct kx_health_parts *parts,
                              struct kx_error *err)
{
    struct kx_health *health = calloc(1, sizeof(*health));
    if (health == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the health questions");
    health->parts = *parts;
    enum kx_code code =
        kx_rest_create(&health->rest, parts->multi, parts->endpoint, &ops, health, err);
    if (code != KX_OK) {
        free(health);
        return code;
    }
    *ret_health = health;
    return KX_OK;
}

void kx_health_destroy(struct kx_health *health)
{
    if (health == NULL)
        return;
    kx_rest_destroy(health->rest);
    free(health);
}

void kx_health_begin(struct kx_health *health, bool datasources, uint64_t now_ns)
{
    KX_ASSERT(!kx_health_busy(health));
    health->datasources = datasources;
    health->retry_after_s = 0;
    health->step = STEP_STATUS;
    kx_rest_get(health->rest, STATUS_PATH, now_ns);
}

unsigned kx_health_retry_after_s(const struct kx_health *health)
{
    return health->retry_after_s;
}

bool kx_health_busy(const struct kx_health *health)
{
    return health->step != STEP_IDLE;
}

void kx_health_cancel(struct kx_health *health)
{
    health->step = STEP_IDLE;
    kx_rest_cancel(health->rest);
}

void kx_health_tick(struct kx_health *health, uint64_t now_ns)
{
    kx_rest_tick(health->rest, now_ns);
}
