/* The REST part of a probe; the contract stands in the header. */
#include "ingest/probe_source.h"

#include "base/clock.h"
#include "ingest/ask.h"
#include "ingest/fields.h"
#include "ingest/json_scan.h"
#include "ingest/probe_stream.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SAMPLE = 50,     /* devices whose fields are looked at */
    SKEW_S_WARN = 5, /* what a machine that keeps time does not reach */
    EXPIRY_S_WARN = 14 * 86400,
    NAMES_MAX = 512,
};

struct probing {
    struct kx_probe *probe;
    const struct kx_source_config *config;
    size_t index;
    struct kx_identity *identity;
    struct kx_endpoint endpoint;
    struct kx_json *json;
    size_t sampled; /* devices in the answer */
};

static bool has_credential(const struct probing *probing)
{
    return kx_secret_is_set(&probing->endpoint.credential.api_key) ||
           kx_secret_is_set(&probing->endpoint.credential.password);
}

/* --- reaching it --- */

static void say_tls(struct probing *probing, const struct kx_answer *answer)
{
    if (!probing->endpoint.url.tls)
        return;
    if (probing->config->tls.insecure)
        kx_probe_warn(probing->probe, "use tls.ca_file in its place",
                      "TLS, but its certificate is not verified (tls.insecure)");
    char expires[KX_CLOCK_RFC3339_MAX] = "a time that is not known";
    const char *issuer = answer->issuer[0] != '\0' ? answer->issuer : "an unknown issuer";
    if (answer->expires_s > 0 && answer->expires_s < INT64_MAX / 1000000000)
        kx_clock_sql(answer->expires_s * 1000000000, expires);
    expires[strcspn(expires, ".")] = '\0';
    int64_t left_s = answer->expires_s - kx_clock_wall_ns() / 1000000000;
    if (answer->expires_s > 0 && left_s < EXPIRY_S_WARN)
        kx_probe_warn(probing->probe, "renew it",
                      "speaks TLS; its certificate, from %s, expires soon: %s UTC", issuer,
                      expires);
    else
        kx_probe_ok(probing->probe, "speaks TLS; its certificate, from %s, expires %s UTC", issuer,
                    expires);
}

/* Whether bytes of HTTP came back at all, and the lines about the way there. */
static bool
say_way(struct probing *probing, const struct kx_answer *answer, const struct kx_error *err)
{
    const struct kx_url *url = &probing->endpoint.url;
    if (answer->result == CURLE_COULDNT_RESOLVE_HOST) {
        kx_probe_fail(probing->probe, NULL, "does not resolve: %s", err->text);
        return false;
    }
    if (answer->connected_s <= 0) {
        kx_probe_fail(probing->probe, NULL, "does not connect: %s", err->text);
        return false;
    }
    if (strcmp(url->host, answer->address) != 0)
        kx_probe_ok(probing->probe, "resolves: %s is %s", url->host, answer->address);
    kx_probe_ok(probing->probe, "connects to %s port %u", answer->address, (unsigned)url->port);
    if (answer->status == 0) {
        kx_probe_fail(probing->probe, NULL, "%s: %s",
                      url->tls ? "no TLS, or no answer" : "no answer", err->text);
        return false;
    }
    say_tls(probing, answer);
    return true;
}

/* --- the credential --- */

/* Why a server said 401. */
static void say_refused(struct probing *probing)
{
    struct kx_answer answer;
    struct kx_error err;
    const struct kx_question question = {.path = "/session/check_setup_ok", .anonymous = true};
    kx_ask(&probing->endpoint, &question, &answer, &err);
    if (answer.status == 500)
        kx_probe_fail(probing->probe,
                      "open its web page once and set the login, then run kismet-export login",
                      "this Kismet has no admin password yet, and lets nobody in");
    else if (!has_credential(probing))
        kx_probe_fail(probing->probe,
                      "run kismet-export login, it makes a key and says how to use it",
                      "answers 401: no credential is given");
    else
        kx_probe_fail(
            probing->probe, "run kismet-export login, it makes a new key of role readonly",
            "answers 401: it refuses the %s",
            kx_secret_is_set(&probing->endpoint.credential.api_key) ? "API key"
                                                                    : "user and password");
    kx_answer_fini(&answer);
}

/* Kismet tells nobody his role, but one route is the admin's alone. */
static void say_role(struct probing *probing)
{
    struct kx_answer answer;
    struct kx_error err;
    const struct kx_question question = {.path = "/session/check_login"};
    kx_ask(&probing->endpoint, &question, &answer, &err);
    if (!has_credential(probing))
        kx_probe_ok(probing->probe, "lets us in without a credential");
    else if (answer.status == 401)
        kx_probe_ok(probing->probe, "accepts the credential; its role is not the admin's, as it "
                                    "should be (readonly suffices)");
    else if (answer.status >= 200 && answer.status < 300)
        kx_probe_warn(probing->probe, "run kismet-export login, it makes a key of role readonly",
                      "accepts the credential, which may do all that the admin may");
    else
        kx_probe_ok(probing->probe, "accepts the credential; with which role cannot be told here");
    kx_answer_fini(&answer);
}

/* Everything up to an accepted credential. False = nothing else is worth trying. */
static bool reach(struct probing *probing)
{
    struct kx_answer answer;
    struct kx_error err;
    const struct kx_question question = {.path = "/session/check_session"};
    enum kx_code code = kx_ask(&probing->endpoint, &question, &answer, &err);
    bool reached = say_way(probing, &answer, &err);
    if (reached && code == KX_ERR_AUTH)
        say_refused(probing);
    else if (reached && answer.redirect[0] != '\0')
        kx_probe_fail(probing->probe, "write that address as the source's url",
                      "redirects to %s, which we do not follow with a credential", answer.redirect);
    else if (reached && code != KX_OK)
        kx_probe_fail(probing->probe, NULL, "%s", err.text);
    kx_answer_fini(&answer);
    if (!reached || code != KX_OK)
        return false;
    say_role(probing);
    return true;
}

/* --- routes --- */

/* Asks a route that we need; a line says so when it is not there. */
static bool ask_route(struct probing *probing,
                      const char *what,
                      const struct kx_question *question,
                      struct kx_answer *answer)
{
    struct kx_error err;
    if (kx_ask(&probing->endpoint, question, answer, &err) == KX_OK)
        return true;
    if (err.code == KX_ERR_NOT_FOUND && probing->config->view != NULL &&
        strcmp(what, "devices") == 0)
        kx_probe_fail(probing->probe, "see /devices/views/all_views.json for those it has",
                      "route %s: this Kismet has no view %s", what, probing->config->view);
    else
        kx_probe_fail(probing->probe, NULL, "route %s: %s", what, err.text);
    return false;
}

static void copy_text(char *out, size_t size, const struct kx_json_text *text)
{
    snprintf(out, size, "%.*s", (int)(text->length < size ? text->length : size - 1),
             text->data != NULL ? text->data : "");
}

/* Who it is. Asked first and last: a balancer before two servers gives itself away. */
static void probe_status(struct probing *probing, bool first)
{
    struct kx_json_pick picks[] = {{.key = "kismet.system.server_uuid"},
                                   {.key = "kismet.system.version"},
                                   {.key = "kismet.system.devices.count"}};
    struct kx_answer answer;
    const struct kx_question question = {.path = "/system/status.json"};
    if (ask_route(probing, "status", &question, &answer)) {
        char uuid[64] = "";
        char version[64] = "";
        char text[KX_IDENTITY_TEXT_MAX];
        if (kx_json_pick(probing->json, answer.body.data, answer.body.length, picks, 3) ==
            KX_JSON_OK) {
            copy_text(uuid, sizeof uuid, &picks[0].text);
            copy_text(version, sizeof version, &picks[1].text);
        }
        if (first && uuid[0] != '\0')
            kx_probe_ok(probing->probe, "route status: Kismet %s, server_uuid %s, %.0f devices",
                        version, uuid, picks[2].has_number ? picks[2].number : 0);
        else if (first)
            kx_probe_fail(probing->probe, "is this Kismet's address, with its path prefix?",
                          "route status: the answer is not a Kismet's");
        if (kx_identity_learn(probing->identity, probing->index, uuid, text))
            kx_probe_warn(probing->probe, NULL, "%s", text);
    }
    kx_answer_fini(&answer);
}

static void probe_clock(struct probing *probing)
{
    struct kx_json_pick picks[] = {{.key = "kismet.system.timestamp.sec"},
                                   {.key = "kismet.system.timestamp.usec"}};
    struct kx_answer answer;
    const struct kx_question question = {.path = "/system/timestamp.json"};
    if (ask_route(probing, "timestamp", &question, &answer)) {
        bool right = kx_json_pick(probing->json, answer.body.data, answer.body.length, picks, 2) ==
                         KX_JSON_OK &&
                     picks[0].has_number;
        double server_s = picks[0].number + (picks[1].has_number ? picks[1].number / 1e6 : 0);
        double ours_s = ((double)answer.begun_ns + (double)answer.first_byte_ns) / 2e9;
        double skew_s = server_s - ours_s;
        const char *side = skew_s < 0 ? "behind" : "ahead of";
        if (!right)
            kx_probe_fail(probing->probe, "is this Kismet's address, with its path prefix?",
                          "route timestamp: the answer is not a Kismet's");
        else if (fabs(skew_s) > SKEW_S_WARN)
            kx_probe_warn(probing->probe,
                          "set both clocks by NTP (systemd-timesyncd, chrony); last_seen is told "
                          "by Kismet's",
                          "route timestamp: Kismet's clock is %.1f s %s ours", fabs(skew_s), side);
        else
            kx_probe_ok(probing->probe, "route timestamp: Kismet's clock is %.1f s %s ours",
                        fabs(skew_s), side);
    }
    kx_answer_fini(&answer);
}

static void probe_alerts(struct probing *probing)
{
    char path[128];
    struct kx_answer answer;
    const struct kx_question question = {.path = path};
    snprintf(path, sizeof path, "/alerts/last-time/%lld.0/alerts.json",
             (long long)(kx_clock_wall_ns() / 1000000000));
    if (ask_route(probing, "alerts", &question, &answer))
        kx_probe_ok(probing->probe, "route alerts: there");
    kx_answer_fini(&answer);
}

/* --- devices and their fields --- */

static const char *const aliases[] = {
#define KX_FIELD(alias, path) #alias,
#include "ingest/fields.def"
};
enum { FIELDS = sizeof aliases / sizeof aliases[0] };

/* Kismet answers 0 for a field that it does not have. These may be 0, or be absent from every
 * device of a server without GPS, without being unknown to it. */
static bool may_be_zero(const char *alias)
{
    static const char *const words[] = {"username",   "frequency", "total_packets", "tx_packets",
                                        "rx_packets", "data_size", "num_alerts",    "signal_dbm",
                                        "noise_dbm",  "geopoint",  "altitude",      "fix"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i], alias) == 0)
            return true;
    return false;
}

/* Marks the fields that this device has. */
static void look_at_device(struct probing *probing, const char *line, size_t length, bool *seen)
{
    struct kx_json_pick picks[FIELDS];
    char padded[65536 + KX_JSON_PADDING];
    for (size_t i = 0; i < FIELDS; i++)
        picks[i] = (struct kx_json_pick){.key = aliases[i]};
    if (length > sizeof padded - KX_JSON_PADDING)
        return;
    memcpy(padded, line, length);
    memset(padded + length, 0, KX_JSON_PADDING);
    if (kx_json_pick(probing->json, padded, length, picks, FIELDS) != KX_JSON_OK)
        return;
    probing->sampled++;
    for (size_t i = 0; i < FIELDS; i++)
        seen[i] =
            seen[i] || picks[i].text.data != NULL || (picks[i].has_number && picks[i].number != 0);
}

static void say_fields(struct probing *probing, const bool *seen)
{
    char names[NAMES_MAX] = "";
    size_t length = 0;
    for (size_t i = 0; i < FIELDS; i++) {
        if (seen[i] || may_be_zero(aliases[i]) || length > NAMES_MAX - 40)
            continue;
        length += (size_t)snprintf(names + length, sizeof names - length, "%s%s",
                                   length > 0 ? ", " : "", aliases[i]);
    }
    if (probing->sampled == 0)
        kx_probe_warn(probing->probe,
                      probing->config->view != NULL
                          ? "see whether the view of this source has any"
                          : "see whether its datasources run; the fields could not be tested",
                      "route devices: there, but it knows no device");
    else if (length > 0)
        kx_probe_warn(
            probing->probe, "this Kismet may be too old or too new; their columns stay empty",
            "route devices: missing in all of the first %zu devices: %s", probing->sampled, names);
    else
        kx_probe_ok(probing->probe, "route devices: every field of ours is in the first %zu",
                    probing->sampled);
}

static void probe_devices(struct probing *probing)
{
    char path[320] = "/devices/last-time/0/devices.itjson";
    struct kx_buf body;
    if (probing->config->view != NULL)
        snprintf(path, sizeof path, "/devices/views/%.200s/last-time/0/devices.itjson",
                 probing->config->view);
    kx_buf_init(&body, 65536);
    kx_buf_text(&body, "{\"fields\":");
    kx_fields_json(&body, probing->config->location);
    kx_buf_text(&body, "}");
    kx_buf_byte(&body, '\0');
    if (body.failed) {
        kx_probe_fail(probing->probe, NULL, "no memory to ask for devices");
        kx_buf_fini(&body);
        return;
    }
    struct kx_answer answer;
    const struct kx_question question = {.path = path, .body = body.data, .lines_max = SAMPLE};
    if (ask_route(probing, "devices", &question, &answer)) {
        bool seen[FIELDS] = {false};
        const char *at = answer.body.data;
        const char *end = at + answer.body.length;
        while (at != NULL && at < end) {
            const char *stop = memchr(at, '\n', (size_t)(end - at));
            size_t length = (size_t)((stop != NULL ? stop : end) - at);
            look_at_device(probing, at, length, seen);
            at = stop != NULL ? stop + 1 : end;
        }
        say_fields(probing, seen);
    }
    kx_answer_fini(&answer);
    kx_buf_fini(&body);
}

/* --- datasources --- */

struct radios {
    unsigned running, failed;
    char troubles[NAMES_MAX];
};

static void
look_at_radio(struct probing *probing, struct kx_json_text source, struct radios *radios)
{
    struct kx_json_pick picks[] = {{.key = "kismet.datasource.running"},
                                   {.key = "kismet.datasource.error"},
                                   {.key = "kismet.datasource.name"},
                                   {.key = "kismet.datasource.error_reason"}};
    char padded[65536 + KX_JSON_PADDING];
    if (source.length > sizeof padded - KX_JSON_PADDING)
        return;
    memcpy(padded, source.data, source.length);
    memset(padded + source.length, 0, KX_JSON_PADDING);
    if (kx_json_pick(probing->json, padded, source.length, picks, 4) != KX_JSON_OK)
        return;
    bool error = picks[1].has_number && picks[1].number != 0;
    if (picks[0].has_number && picks[0].number != 0 && !error) {
        radios->running++;
        return;
    }
    char name[64];
    char reason[128];
    copy_text(name, sizeof name, &picks[2].text);
    copy_text(reason, sizeof reason, &picks[3].text);
    size_t length = strlen(radios->troubles);
    snprintf(radios->troubles + length, sizeof radios->troubles - length, "%s%s (%s)",
             radios->failed > 0 ? ", " : "", name,
             reason[0] != '\0' ? reason
             : error           ? "in error"
                               : "stopped");
    radios->failed++;
}

static void probe_datasources(struct probing *probing)
{
    struct kx_answer answer;
    const struct kx_question question = {.path = "/datasource/all_sources.json"};
    if (ask_route(probing, "datasources", &question, &answer)) {
        struct kx_scan scan = {answer.body.data, answer.body.data + answer.body.length};
        struct radios radios = {0};
        struct kx_json_text source;
        if (answer.body.data != NULL && kx_scan_array(&scan, NULL))
            while (kx_scan_element(&scan, &source))
                look_at_radio(probing, source, &radios);
        if (radios.running + radios.failed == 0)
            kx_probe_fail(probing->probe, "add one in Kismet (kismet -c INTERFACE)",
                          "route datasources: this Kismet has no datasource, so it hears nothing");
        else if (radios.running == 0)
            kx_probe_fail(probing->probe, "see Data Sources in Kismet's web page",
                          "route datasources: none runs: %s", radios.troubles);
        else if (radios.failed > 0)
            kx_probe_warn(probing->probe, "see Data Sources in Kismet's web page",
                          "route datasources: %u running, not running %s", radios.running,
                          radios.troubles);
        else
            kx_probe_ok(probing->probe, "route datasources: %u running", radios.running);
    }
    kx_answer_fini(&answer);
}

void kx_probe_source(struct kx_probe *probe,
                     const struct kx_config *config,
                     size_t i,
                     struct kx_identity *identity)
{
    struct probing probing = {
        .probe = probe, .config = &config->sources[i], .index = i, .identity = identity};
    struct kx_error err;
    kx_probe_subject(probe, "source", probing.config->name);
    if (kx_endpoint_init(&probing.endpoint, probing.config, &err) != KX_OK) {
        kx_probe_fail(probe, NULL, "%s", err.text);
        return;
    }
    probing.json = kx_json_create();
    if (probing.json == NULL) {
        kx_probe_fail(probe, NULL, "no memory for the parser");
    } else if (reach(&probing)) {
        probe_status(&probing, true);
        probe_clock(&probing);
        probe_devices(&probing);
        probe_alerts(&probing);
        probe_datasources(&probing);
        kx_probe_streams(probe, &probing.endpoint, probing.sampled > 0);
        probe_status(&probing, false);
    }
    kx_json_destroy(probing.json);
    kx_endpoint_fini(&probing.endpoint);
}
