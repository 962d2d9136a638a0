/* A REST pass; the contract stands in the header. */
#include "ingest/sweep.h"

#include "base/clock.h"
#include "base/text.h"
#include "ingest/fields.h"
#include "ingest/json_scan.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char CLOCK_PATH[] = "/system/timestamp.json";

enum step { STEP_IDLE, STEP_CLOCK, STEP_DEVICES, STEP_ALERTS };

struct kx_sweep {
    struct kx_sweep_parts parts;
    struct kx_rest *rest;
    char *body; /* of the POST: field list and filters */
    enum step step;
    uint64_t now_ns;
    int64_t alerts_since_ns;
    struct kx_buf alert; /* one alert as the eventbus would have sent it */
};

static struct kx_counters *counters(struct kx_sweep *sweep)
{
    return sweep->parts.origin->counters;
}

static void end(struct kx_sweep *sweep, enum kx_code code, const struct kx_error *err)
{
    sweep->step = STEP_IDLE;
    kx_ring_publish(sweep->parts.ring);
    uint64_t now_ns = kx_clock_boot_ns();
    enum kx_verdict verdict =
        kx_reconcile_end(sweep->parts.origin->reconcile, code == KX_OK, now_ns);
    sweep->parts.ended(sweep->parts.context, verdict, code, err);
}

/* --- the server's clock --- */

static bool read_clock(struct kx_sweep *sweep, const struct kx_rest_result *result, double *ret_s)
{
    struct kx_json_pick picks[] = {{.key = "kismet.system.timestamp.sec"},
                                   {.key = "kismet.system.timestamp.usec"}};
    struct kx_json *json = kx_intake_json(sweep->parts.intake);
    if (kx_json_pick(json, result->body, result->body_length, picks, 2) != KX_JSON_OK ||
        !picks[0].has_number || picks[0].number < 1 || picks[0].number > 9e9)
        return false;
    double micros = picks[1].has_number ? picks[1].number : 0;
    *ret_s = picks[0].number + (micros >= 0 && micros < 1e6 ? micros / 1e6 : 0);
    return true;
}

static void ask_devices(struct kx_sweep *sweep, double server_s)
{
    const struct kx_source_config *config = sweep->parts.endpoint->config;
    int64_t since_s =
        kx_reconcile_begin(sweep->parts.origin->reconcile, (int64_t)server_s, sweep->now_ns);
    char path[400];
    if (config->view == NULL)
        snprintf(path, sizeof(path), "/devices/last-time/%lld/devices.itjson", (long long)since_s);
    else
        snprintf(path, sizeof(path), "/devices/views/%.200s/last-time/%lld/devices.itjson",
                 config->view, (long long)since_s);
    sweep->step = STEP_DEVICES;
    kx_rest_post_lines(sweep->rest, path, sweep->body, sweep->now_ns);
}

/* --- devices --- */

static bool on_line(void *context, const char *line, size_t length, int64_t received_ns)
{
    struct kx_sweep *sweep = context;
    struct kx_origin *origin = sweep->parts.origin;
    /* An answer can wait: half of the ring is for what cannot. (The loop publishes, then resumes.)
     */
    if (!kx_ring_has_room(sweep->parts.ring))
        return false;
    enum kx_taken taken =
        kx_intake_device(sweep->parts.intake, origin, KX_VIA_REST, line, length, received_ns);
    if (taken == KX_TAKEN_FULL)
        return false;
    kx_recorder_frame(sweep->parts.recorder, origin->index, KX_STREAM_REST, line, length,
                      received_ns);
    kx_count(origin->counters, KX_C_FRAMES_REST, 1);
    if (taken == KX_TAKEN)
        kx_count(origin->counters, KX_C_BY_REST, 1);
    return true;
}

/* --- alerts --- */

/* An alert of the REST list, made into the eventbus's message, so that both ways give one uid. */
static void take_alert(struct kx_sweep *sweep, struct kx_json_text alert)
{
    static const char head[] = "{\"ALERT\":";
    static const char padding[KX_JSON_PADDING] = {0};
    kx_buf_clear(&sweep->alert);
    kx_buf_bytes(&sweep->alert, head, sizeof(head) - 1);
    kx_buf_bytes(&sweep->alert, alert.data, alert.length);
    kx_buf_byte(&sweep->alert, '}');
    size_t length = sweep->alert.length;
    kx_buf_bytes(&sweep->alert, padding, sizeof(padding));
    if (sweep->alert.failed) {
        kx_count(counters(sweep), KX_C_PARSE_TOO_BIG, 1);
        return;
    }
    int64_t now_ns = kx_clock_wall_ns();
    kx_recorder_frame(sweep->parts.recorder, sweep->parts.origin->index, KX_STREAM_ALERT,
                      sweep->alert.data, length, now_ns);
    kx_intake_event(sweep->parts.intake, sweep->parts.origin, sweep->alert.data, length, now_ns,
                    NULL);
}

static void take_alerts(struct kx_sweep *sweep, const struct kx_rest_result *result)
{
    struct kx_scan scan = {result->body, result->body + result->body_length};
    if (!kx_scan_array(&scan, "kismet.alert.list")) {
        kx_count(counters(sweep), KX_C_PARSE_NOT_OBJECT, 1);
        return;
    }
    struct kx_json_text alert;
    while (kx_scan_element(&scan, &alert))
        take_alert(sweep, alert);
}

static void ask_alerts(struct kx_sweep *sweep)
{
    char path[128];
    int64_t micros = sweep->alerts_since_ns / 1000;
    snprintf(path, sizeof(path), "/alerts/last-time/%lld.%06d/alerts.json",
             (long long)(micros / 1000000), (int)(micros % 1000000));
    sweep->step = STEP_ALERTS;
    kx_rest_get(sweep->rest, path, sweep->now_ns);
}

/* --- the steps --- */

static void on_done(void *context, const struct kx_rest_result *result, const struct kx_error *err)
{
    struct kx_sweep *sweep = context;
    sweep->now_ns = kx_clock_boot_ns();
    bool ok = result->code == KX_OK;
    kx_count(counters(sweep), ok ? KX_C_REST_REQUESTS : KX_C_REST_FAILED, 1);
    kx_count(counters(sweep), KX_C_BYTES, result->bytes);
    if (result->skipped > 0)
        kx_count(counters(sweep), KX_C_PARSE_TOO_BIG, result->skipped);
    if (!ok) {
        end(sweep, result->code, err);
        return;
    }
    if (sweep->step == STEP_CLOCK) {
        double server_s = 0;
        if (!read_clock(sweep, result, &server_s)) {
            struct kx_error bad;
            kx_error_set(&bad, KX_ERR_PARSE, 0, "%s gives no time", CLOCK_PATH);
            end(sweep, bad.code, &bad);
            return;
        }
        ask_devices(sweep, server_s);
    } else if (sweep->step == STEP_DEVICES && sweep->alerts_since_ns > 0) {
        ask_alerts(sweep);
    } else {
        if (sweep->step == STEP_ALERTS)
            take_alerts(sweep, result);
        end(sweep, KX_OK, NULL);
    }
}

void kx_sweep_begin(struct kx_sweep *sweep, int64_t alerts_since_ns, uint64_t now_ns)
{
    KX_ASSERT(!kx_sweep_busy(sweep));
    sweep->now_ns = now_ns;
    sweep->alerts_since_ns = alerts_since_ns;
    sweep->step = STEP_CLOCK;
    sweep->parts.origin->reconcile->begun_ns = now_ns;
    kx_rest_get(sweep->rest, CLOCK_PATH, now_ns);
}

bool kx_sweep_busy(const struct kx_sweep *sweep)
{
    return sweep->step != STEP_IDLE;
}

void kx_sweep_cancel(struct kx_sweep *sweep)
{
    sweep->step = STEP_IDLE;
    kx_rest_cancel(sweep->rest);
}

void kx_sweep_tick(struct kx_sweep *sweep, uint64_t now_ns)
{
    sweep->now_ns = now_ns;
    kx_rest_tick(sweep->rest, now_ns);
}

bool kx_sweep_paused(const struct kx_sweep *sweep)
{
    return kx_rest_paused(sweep->rest);
}

void kx_sweep_resume(struct kx_sweep *sweep)
{
    kx_rest_resume(sweep->rest);
    kx_ring_publish(sweep->parts.ring);
}

/* --- life --- */

static const struct kx_rest_ops ops = {on_line, on_done};

/* ,"regex":[["path","pattern"],...]: a device comes when any one of them matches. */
static void append_regex(struct kx_buf *body, const struct kx_strings *regex)
{
    for (size_t i = 0; i < regex->count; i++) {
        const char *path = regex->items[i];
        size_t length = strcspn(path, "=");
        kx_buf_text(body, i == 0 ? ",\"regex\":[[\"" : ",[\"");
        kx_text_json(body, path, length);
        kx_buf_text(body, "\",\"");
        kx_text_json(body, path + length + 1, strlen(path + length + 1));
        kx_buf_text(body, "\"]");
    }
    if (regex->count > 0)
        kx_buf_byte(body, ']');
}

enum kx_code kx_sweep_create(struct kx_sweep **ret_sweep,
                             const struct kx_sweep_parts *parts,
                             struct kx_error *err)
{
    struct kx_sweep *sweep = calloc(1, sizeof(*sweep));
    if (sweep == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a sweep");
    sweep->parts = *parts;
    kx_buf_init(&sweep->alert, 1 << 20);
    struct kx_buf body;
    kx_buf_init(&body, 1 << 20);
    kx_buf_text(&body, "{\"fields\":");
    kx_fields_source_json(&body, parts->endpoint->config);
    append_regex(&body, &parts->endpoint->config->regex);
    kx_buf_text(&body, "}");
    kx_buf_byte(&body, '\0');
    enum kx_code code = KX_OK;
    if (!body.failed)
        sweep->body = strdup(body.data);
    kx_buf_fini(&body);
    if (sweep->body == NULL)
        code = kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a sweep");
    if (code == KX_OK)
        code = kx_rest_create(&sweep->rest, parts->multi, parts->endpoint, &ops, sweep, err);
    if (code != KX_OK) {
        kx_sweep_destroy(sweep);
        return code;
    }
    *ret_sweep = sweep;
    return KX_OK;
}

void kx_sweep_destroy(struct kx_sweep *sweep)
{
    if (sweep == NULL)
        return;
    kx_rest_destroy(sweep->rest);
    kx_buf_fini(&sweep->alert);
    free(sweep->body);
    free(sweep);
}
