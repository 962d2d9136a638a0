/* The probe of an InfluxDB; the contract stands in the header. */
#include "sinks/influxdb_probe.h"

#include "base/clock.h"
#include "base/probe.h"
#include "encode/line.h"
#include "sinks/http.h"
#include "sinks/influxdb_words.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    ANSWER_S_MAX = 15,
    EXPIRY_S_WARN = 14 * 24 * 3600,
    QUERY_MAX = 1024,
};

struct probing {
    const struct kx_sink_config *config;
    struct kx_probe *probe;
    struct kx_http *http;
    struct kx_http_answer answer;
};

/* One request. url gets its NUL here. */
static enum kx_code ask(struct probing *probing,
                        struct kx_buf *url,
                        const struct kx_http_request *plain,
                        struct kx_error *err)
{
    const struct kx_influxdb_config *influxdb = &probing->config->influxdb;
    struct kx_http_request request = *plain;
    const struct kx_call call = {
        .deadline_ns = kx_clock_boot_ns() + ANSWER_S_MAX * KX_NS_PER_S,
        .stop_fd = -1,
    };
    kx_buf_byte(url, '\0');
    if (url->failed)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for an address");
    request.url = url->data;
    kx_influxdb_authorize(influxdb, kx_influxdb_secret(influxdb), &request);
    return kx_http_send(probing->http, &request, &call, &probing->answer, err);
}

/* --- is it there --- */

static void say_certificate(const struct probing *probing)
{
    const struct kx_http_answer *answer = &probing->answer;
    char ends[KX_CLOCK_RFC3339_MAX] = "a time that is not known";
    const char *issuer = answer->issuer[0] != '\0' ? answer->issuer : "an unknown issuer";
    if (probing->config->tls.insecure) {
        kx_probe_warn(probing->probe, "set tls.ca_file instead of tls.insecure",
                      "speaks TLS, which is not verified");
        return;
    }
    if (answer->certificate_ends_s > 0 && answer->certificate_ends_s < INT32_MAX)
        kx_clock_sql(answer->certificate_ends_s * (int64_t)KX_NS_PER_S, ends);
    ends[strcspn(ends, ".")] = '\0';
    int64_t left_s = answer->certificate_ends_s - kx_clock_wall_ns() / (int64_t)KX_NS_PER_S;
    if (answer->certificate_ends_s > 0 && left_s < EXPIRY_S_WARN)
        kx_probe_warn(probing->probe, "have it renewed",
                      "speaks TLS; its certificate, from %s, expires soon: %s UTC", issuer, ends);
    else
        kx_probe_ok(probing->probe, "speaks TLS; its certificate, from %s, expires %s UTC", issuer,
                    ends);
}

/* False = there is nobody. Any answer is one: some servers want a credential even for this. */
static bool probe_reach(struct probing *probing)
{
    const struct kx_influxdb_config *influxdb = &probing->config->influxdb;
    const struct kx_http_request request = {0};
    struct kx_error err;
    struct kx_buf url;
    kx_buf_init(&url, KX_INFLUXDB_URL_MAX);
    kx_influxdb_base(influxdb, &url);
    kx_buf_text(&url, "/ping");
    enum kx_code code = ask(probing, &url, &request, &err);
    kx_buf_fini(&url);
    if (code != KX_OK) {
        kx_probe_fail(probing->probe, NULL, "%s", err.text);
        return false;
    }
    kx_probe_ok(probing->probe, "answers at %s", influxdb->url);
    if (strncasecmp(influxdb->url, "https:", 6) == 0)
        say_certificate(probing);
    else if (kx_secret_is_set(kx_influxdb_secret(influxdb)) && !kx_influxdb_is_local(influxdb))
        kx_probe_warn(probing->probe, "use https, an ssh tunnel or a VPN",
                      "the credential travels unencrypted");
    return true;
}

/* --- may we write --- */

/* A write without a point: who answers that there is none has let us in and found the bucket. */
static bool probe_write(struct probing *probing)
{
    static const char comment[] = "# kismet-export probe\n";
    const struct kx_influxdb_config *influxdb = &probing->config->influxdb;
    const struct kx_http_request request = {.body = comment,
                                            .length = sizeof comment - 1,
                                            /* not to be shown when it is repeated to us */
                                            .secret = kx_influxdb_secret(influxdb)};
    const char *what = influxdb->api == KX_INFLUX_V2 ? "bucket" : "database";
    struct kx_error err;
    struct kx_buf url;
    kx_buf_init(&url, KX_INFLUXDB_URL_MAX);
    kx_influxdb_write_url(influxdb, &url);
    enum kx_code code = ask(probing, &url, &request, &err);
    kx_buf_fini(&url);
    enum kx_outcome outcome = KX_RETRY;
    if (code == KX_OK)
        outcome = kx_http_judge(probing->http, &request, &probing->answer, kx_influxdb_rules,
                                kx_influxdb_rule_count, NULL, &err);
    if (outcome != KX_SENT && outcome != KX_REJECTED) {
        kx_probe_fail(probing->probe, NULL, "%s", err.text);
        return false;
    }
    kx_probe_ok(probing->probe, "takes the credential, and lets us write into %s %s", what,
                influxdb->bucket);
    return true;
}

/* --- will our fields fit --- */

static const char *type_word(enum kx_field field)
{
    switch (kx_fields[field].type) {
    case KX_TYPE_TIME:
    case KX_TYPE_I64:
    case KX_TYPE_I32:
        return "integer";
    case KX_TYPE_F64:
        return "float";
    case KX_TYPE_BOOL:
        return "boolean";
    case KX_TYPE_TEXT:
    case KX_TYPE_JSON:
        break;
    }
    return "string";
}

/* A line of CSV: device_metrics,,signal_dbm,integer. True = it is a conflict, and was said. */
static bool is_conflict(struct probing *probing, uint64_t ours, char *line)
{
    char *words[4] = {NULL};
    for (size_t i = 0; i < 4; i++)
        words[i] = strsep(&line, ",");
    if (words[3] == NULL || strcmp(words[0], "device_metrics") != 0)
        return false;
    enum kx_field field = kx_field_find(words[2], strlen(words[2]));
    if (field == KX_FIELDS || (ours >> field & 1) == 0 || strcmp(type_word(field), words[3]) == 0)
        return false;
    kx_probe_fail(
        probing->probe,
        "its points are refused: write into another database, or leave the field out with "
        "`fields`",
        "the field %s is of type %.16s there, ours is %s", words[2], words[3], type_word(field));
    return true;
}

/* v1 alone can be asked; with the others the first write tells. */
static void probe_types(struct probing *probing)
{
    static const char *const headers[] = {"Accept: application/csv"};
    static const char query[] = "/query?q=SHOW%20FIELD%20KEYS%20FROM%20device_metrics&db=";
    const struct kx_http_request request = {.headers = headers, .header_count = 1};
    const struct kx_influxdb_config *influxdb = &probing->config->influxdb;
    struct kx_encode_line line;
    char database[QUERY_MAX];
    struct kx_error err;
    struct kx_buf url;
    snprintf(database, sizeof database, "%.*s", (int)kx_influxdb_database(influxdb),
             influxdb->bucket);
    kx_buf_init(&url, KX_INFLUXDB_URL_MAX);
    kx_influxdb_base(influxdb, &url);
    kx_buf_text(&url, query);
    kx_influxdb_escape(&url, database);
    enum kx_code code = ask(probing, &url, &request, &err);
    kx_buf_fini(&url);
    char *text =
        code == KX_OK && probing->answer.status == 200 ? strdup(probing->answer.body) : NULL;
    if (text == NULL) {
        kx_probe_warn(probing->probe, "a field of another type would be refused",
                      "cannot ask for the types of its fields: no right to read");
        return;
    }
    kx_encode_line_init(&line, probing->config, kx_sink_fields(probing->config));
    unsigned conflicts = 0;
    char *rest = text;
    for (char *at = strsep(&rest, "\n"); at != NULL; at = strsep(&rest, "\n"))
        conflicts += is_conflict(probing, line.fields, at);
    if (conflicts == 0)
        kx_probe_ok(probing->probe, "no field there has another type than ours");
    free(text);
}

enum kx_code kx_influxdb_probe(const struct kx_sink_config *config, struct kx_probe *probe)
{
    struct probing probing = {.config = config, .probe = probe};
    struct kx_error err;
    const struct kx_http_params params = {
        .who = config->influxdb.url, .tls = &config->tls, .certificate = true};
    enum kx_code code = kx_http_create(&probing.http, &params, &err);
    if (code != KX_OK) {
        kx_probe_fail(probe, NULL, "%s", err.text);
        return code;
    }
    if (probe_reach(&probing) && probe_write(&probing) && config->influxdb.api == KX_INFLUX_V1)
        probe_types(&probing);
    kx_http_destroy(probing.http);
    return KX_OK;
}
