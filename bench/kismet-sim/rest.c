/* What the REST routes answer, in Kismet's shapes. */
#include "rest.h"

#include "events.h"
#include "fields.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

struct pattern {
    enum route route;
    const char *path; /* ':' = any one part: a view or a time */
    const char *extensions;
    const char *name;
};

static const struct pattern patterns[] = {
    {ROUTE_MONITOR, "/devices/monitor", "ws", "monitor"},
    {ROUTE_MONITOR, "/devices/views/:view/monitor", "ws", "monitor"},
    {ROUTE_EVENTBUS, "/eventbus/events", "ws", "eventbus"},
    {ROUTE_DEVICES, "/devices/last-time/:since/devices", "json itjson ekjson", "devices"},
    {ROUTE_DEVICES, "/devices/views/:view/last-time/:since/devices", "json itjson ekjson",
     "devices"},
    {ROUTE_TIMESTAMP, "/system/timestamp", "json", "timestamp"},
    {ROUTE_STATUS, "/system/status", "json", "status"},
    {ROUTE_ALERTS, "/alerts/last-time/:since/alerts", "json", "alerts"},
    {ROUTE_ALERTS_WRAPPED, "/alerts/wrapped/last-time/:since/alerts", "json", "alerts_wrapped"},
    {ROUTE_MESSAGES, "/messagebus/last-time/:since/messages", "json", "messages"},
    {ROUTE_VIEWS, "/devices/views/all_views", "json", "views"},
    {ROUTE_PHYS, "/phy/all_phys", "json", "phys"},
    {ROUTE_SOURCES, "/datasource/all_sources", "json", "sources"},
    {ROUTE_SESSION, "/session/check_session", "", "session"},
    {ROUTE_LOGIN, "/session/check_login", "", "login"},
    {ROUTE_SETUP, "/session/check_setup_ok", "", "setup"},
    {ROUTE_APIKEY, "/auth/apikey/generate", "cmd", "apikey"},
};
enum { PATTERNS = sizeof(patterns) / sizeof(patterns[0]) };

static void copy_part(char *to, size_t size, const char *from, size_t length)
{
    if (length >= size)
        length = size - 1;
    memcpy(to, from, length);
    to[length] = '\0';
}

static bool match(const struct pattern *p, const char *path, size_t length, struct target *target)
{
    const char *at = path, *end = path + length, *want = p->path;
    while (*want && at < end) {
        if (*want != ':') {
            if (*want++ != *at++)
                return false;
            continue;
        }
        size_t name = strcspn(want, "/");
        const char *slash = memchr(at, '/', (size_t)(end - at));
        size_t part = slash ? (size_t)(slash - at) : (size_t)(end - at);
        if (part == 0)
            return false;
        if (want[1] == 'v')
            copy_part(target->view, sizeof(target->view), at, part);
        else
            copy_part(target->since, sizeof(target->since), at, part);
        want += name;
        at += part;
    }
    return !*want && at == end;
}

static bool word_in(const char *words, const char *word)
{
    size_t n = strlen(word);
    if (n == 0)
        return *words == '\0';
    for (const char *at = words; (at = strstr(at, word)); at += n) {
        if ((at == words || at[-1] == ' ') && (at[n] == '\0' || at[n] == ' '))
            return true;
    }
    return false;
}

void target_parse(const struct sim *s, const char *path, struct target *ret_target)
{
    const char *prefix = s->options.prefix;
    *ret_target = (struct target){.route = ROUTE_NONE};
    if (strncmp(path, prefix, strlen(prefix)) != 0)
        return;
    path += strlen(prefix);
    const char *slash = strrchr(path, '/');
    const char *dot = slash ? strrchr(slash, '.') : NULL;
    size_t length = dot ? (size_t)(dot - path) : strlen(path);
    const char *extension = dot ? dot + 1 : "";
    for (size_t i = 0; i < PATTERNS; i++) {
        struct target t = {.route = patterns[i].route, .view = "all", .since = "0"};
        if (!match(&patterns[i], path, length, &t) || !word_in(patterns[i].extensions, extension))
            continue;
        if (!scene_view_exists(&s->scene, t.view))
            return;
        t.websocket = t.route == ROUTE_MONITOR || t.route == ROUTE_EVENTBUS;
        t.format = strcmp(extension, "itjson") == 0   ? FORMAT_ITJSON
                   : strcmp(extension, "ekjson") == 0 ? FORMAT_EKJSON
                                                      : FORMAT_JSON;
        *ret_target = t;
        return;
    }
}

const char *route_name(enum route route)
{
    for (size_t i = 0; i < PATTERNS; i++) {
        if (patterns[i].route == route)
            return patterns[i].name;
    }
    return "none";
}

void rest_status(unsigned status, struct answer *ret_answer)
{
    ret_answer->status = status;
    ret_answer->type = "text/plain";
    ret_answer->body.length = 0;
    text_adds(&ret_answer->body, status == 200 ? "OK\n" : "Error\n");
}

static void refuse(struct answer *a, unsigned status, const char *why)
{
    rest_status(status, a);
    a->body.length = 0;
    text_addf(&a->body, "Invalid request: %s\n", why);
}

/* One condition of "regex": [["path", "pattern"], ...]; a device passes when any one matches. */
struct condition {
    char *path;
    regex_t regex;
};

struct conditions {
    struct condition *condition;
    size_t count;
};

static void conditions_fini(struct conditions *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->condition[i].path);
        regfree(&list->condition[i].regex);
    }
    free(list->condition);
}

static bool conditions_parse(struct span regex, struct conditions *list)
{
    struct json_walk walk, pair;
    struct span item, path, pattern;
    *list = (struct conditions){0};
    if (!regex.at)
        return true;
    if (!json_array(regex, &walk))
        return false;
    while (json_element(&walk, &item)) {
        if (!json_array(item, &pair) || !json_element(&pair, &path) ||
            !json_element(&pair, &pattern))
            return false;
        char *path_text = json_text(path), *pattern_text = json_text(pattern);
        regex_t compiled;
        bool good = path_text && pattern_text &&
                    regcomp(&compiled, pattern_text, REG_EXTENDED | REG_NOSUB) == 0;
        free(pattern_text);
        if (!good) {
            free(path_text);
            return false;
        }
        list->condition = xrealloc(list->condition, (list->count + 1) * sizeof(*list->condition));
        list->condition[list->count++] = (struct condition){path_text, compiled};
    }
    return !walk.bad;
}

static struct span resolve(const struct device *d, const char *path)
{
    struct span value = text_span(&d->record);
    if (d->aliased)
        return json_get(value, fields_alias(path));
    while (*path && value.at) {
        char name[256];
        size_t length = strcspn(path, "/");
        copy_part(name, sizeof(name), path, length);
        value = json_get(value, name);
        path += length + (path[length] == '/');
    }
    return value;
}

static bool conditions_hold(const struct conditions *list, const struct device *d)
{
    for (size_t i = 0; i < list->count; i++) {
        char *text = json_text(resolve(d, list->condition[i].path));
        bool hit = text && regexec(&list->condition[i].regex, text, 0, NULL, 0) == 0;
        free(text);
        if (hit)
            return true;
    }
    return list->count == 0;
}

/* Elasticsearch takes no dots in names: of all keys, nested ones too, and of nothing else. */
static void undot(char *at, size_t length)
{
    const char *end = at + length;
    while (at < end) {
        if (*at != '"') {
            at++;
            continue;
        }
        const char *stop = json_end(at, end);
        if (!stop)
            return;
        bool is_key = stop < end && *stop == ':';
        for (; at < stop; at++) {
            if (is_key && *at == '.')
                *at = '_';
        }
    }
}

static void list_devices(const struct sim *s,
                         const struct target *t,
                         const struct conditions *filter,
                         struct fields *fields,
                         struct text *out)
{
    int64_t since = strtoll(t->since, NULL, 10);
    if (since < 0)
        since += sim_clock_s(s);
    bool any = false;
    if (t->format == FORMAT_JSON)
        text_adds(out, "[");
    for (size_t i = 0; i < s->scene.count; i++) {
        const struct device *d = &s->scene.device[i];
        if (d->last_time <= since || !scene_in_view(&s->scene, d, t->view) ||
            !conditions_hold(filter, d))
            continue;
        if (t->format == FORMAT_JSON && any)
            text_adds(out, ",");
        size_t start = out->length;
        fields_apply(fields, text_span(&d->record), d->aliased, 0, out);
        if (t->format == FORMAT_EKJSON)
            undot(out->at + start, out->length - start);
        if (t->format != FORMAT_JSON)
            text_adds(out, "\n");
        any = true;
    }
    if (t->format == FORMAT_JSON)
        text_adds(out, "]");
}

static void
devices(const struct sim *s, const struct target *t, struct span request, struct answer *a)
{
    const char *why = "regex: expected [[\"path\", \"pattern\"], ...]";
    struct conditions filter;
    struct fields *fields = NULL;
    if (conditions_parse(json_get(request, "regex"), &filter))
        fields = fields_compile(json_get(request, "fields"), &why);
    if (fields)
        list_devices(s, t, &filter, fields, &a->body);
    else
        refuse(a, 400, why);
    fields_free(fields);
    conditions_fini(&filter);
}

static void timestamp(const struct sim *s, struct text *out)
{
    uint64_t now = sim_clock_ns(s);
    text_addf(out, "\"kismet.system.timestamp.sec\": %llu,\"kismet.system.timestamp.usec\": %llu",
              (unsigned long long)(now / 1000000000u), (unsigned long long)(now / 1000 % 1000000));
}

static void status(const struct sim *s, struct text *out)
{
    text_adds(
        out, "{\"kismet.system.battery.percentage\": 0,\"kismet.system.battery.charging\": "
             "\"unknown\",\"kismet.system.battery.ac\": 1,\"kismet.system.battery.remaining\": 0,");
    timestamp(s, out);
    text_addf(
        out,
        ",\"kismet.system.timestamp.start_sec\": %lld,\"kismet.system.memory.rss\": %zu,"
        "\"kismet.system.devices.count\": %zu,\"kismet.system.user\": \"kismet\","
        "\"kismet.system.version\": \"2025.09.R1-sim\",\"kismet.system.git\": \"sim\","
        "\"kismet.system.build_time\": \"Thu Sep 11 2025\",\"kismet.system.server_uuid\": \"%s\","
        "\"kismet.system.server_name\": \"kismet-sim\","
        "\"kismet.system.server_description\": \"\",\"kismet.system.server_location\": \"\","
        "\"kismet.system.num_fields\": 1000,\"kismet.system.num_components\": 100,"
        "\"kismet.system.num_http_connections\": 1,\"kismet.system.sensors.fan\": {},"
        "\"kismet.system.sensors.temp\": {},\"kismet.server.uuid\": \"%s\"}",
        (long long)s->started_s, 102400 + s->scene.count * 20, s->scene.count,
        s->options.scene.uuid, s->options.scene.uuid);
}

static void
add_view(const struct sim *s, const char *view, const char *description, struct text *out)
{
    size_t size = 0;
    for (size_t i = 0; i < s->scene.count; i++)
        size += scene_in_view(&s->scene, &s->scene.device[i], view);
    text_addf(out,
              "%s{\"kismet.devices.view.id\": \"%s\",\"kismet.devices.view.description\": \"%s\","
              "\"kismet.devices.view.size\": %zu,\"kismet.devices.view.indexed\": 1}",
              out->length > 1 ? "," : "", view, description, size);
}

static void views(const struct sim *s, struct text *out)
{
    char view[80];
    text_adds(out, "[");
    add_view(s, "all", "All devices", out);
    for (size_t i = 0; i < s->scene.phys; i++) {
        snprintf(view, sizeof(view), "phy-%s", s->scene.phy[i]);
        add_view(s, view, s->scene.phy[i], out);
    }
    add_view(s, "phydot11_accesspoints", "Wi-Fi Access Points", out);
    for (size_t i = 0; i < SYNTH_SOURCES; i++) {
        snprintf(view, sizeof(view), "seenby-%s", synth_source_uuid(i));
        add_view(s, view, "Devices seen by a datasource", out);
    }
    text_adds(out, "]");
}

static void phys(const struct sim *s, struct text *out)
{
    text_adds(out, "[");
    for (size_t p = 0; p < s->scene.phys; p++) {
        size_t count = 0;
        for (size_t i = 0; i < s->scene.count; i++)
            count += s->scene.device[i].phy == p;
        text_addf(out,
                  "%s{\"kismet.phy.phy_name\": \"%s\",\"kismet.phy.phy_id\": %zu,"
                  "\"kismet.phy.device_count\": %zu,\"kismet.phy.packet_count\": %llu}",
                  p ? "," : "", s->scene.phy[p], p, count, (unsigned long long)s->scene.changes);
    }
    text_adds(out, "]");
}

static void sources(const struct sim *s, struct text *out)
{
    static const char *const names[SYNTH_SOURCES] = {"wlan0", "hci0"};
    text_adds(out, "[");
    for (size_t i = 0; i < SYNTH_SOURCES && s->faults.datasource != DATASOURCE_NONE; i++) {
        /* Only the first one fails: the commonest failure is one radio of several. */
        bool bad = i == 0 && s->faults.datasource != DATASOURCE_OK;
        bool error = bad && s->faults.datasource == DATASOURCE_ERROR;
        text_addf(
            out,
            "%s{\"kismet.datasource.uuid\": \"%s\",\"kismet.datasource.name\": \"%s\","
            "\"kismet.datasource.interface\": \"%s\",\"kismet.datasource.capture_interface\": "
            "\"%s\",\"kismet.datasource.definition\": \"%s\",\"kismet.datasource.hardware\": "
            "\"simulated\",\"kismet.datasource.source_number\": %zu,"
            "\"kismet.datasource.running\": %d,\"kismet.datasource.paused\": 0,"
            "\"kismet.datasource.remote\": 0,\"kismet.datasource.passive\": 0,"
            "\"kismet.datasource.error\": %d,\"kismet.datasource.error_reason\": \"%s\","
            "\"kismet.datasource.warning\": \"\",\"kismet.datasource.channel\": \"6\","
            "\"kismet.datasource.hopping\": 1,\"kismet.datasource.num_packets\": %llu,"
            "\"kismet.datasource.num_error_packets\": 0,\"kismet.datasource.retry\": 1,"
            "\"kismet.datasource.retry_attempts\": 0}",
            i ? "," : "", synth_source_uuid(i), names[i], names[i], names[i], names[i], i, !bad,
            error, error ? "network interface is down" : "", (unsigned long long)s->scene.changes);
    }
    text_adds(out, "]");
}

static void alerts(const struct sim *s, const struct target *t, struct text *out)
{
    double since = strtod(t->since, NULL);
    bool wrapped = t->route == ROUTE_ALERTS_WRAPPED;
    text_adds(out, wrapped ? "{\"kismet.alert.list\": [" : "[");
    events_since(s->events, "ALERT", since, s->options.alert_backlog, out);
    text_adds(out, "]");
    uint64_t now = sim_clock_ns(s);
    if (wrapped)
        text_addf(out, ",\"kismet.alert.timestamp\": %llu.%06llu}",
                  (unsigned long long)(now / 1000000000u),
                  (unsigned long long)(now / 1000 % 1000000));
}

static void messages(const struct sim *s, const struct target *t, struct text *out)
{
    text_adds(out, "{\"kismet.messagebus.list\": [");
    events_since(s->events, "MESSAGE", strtod(t->since, NULL), 50, out);
    text_addf(out, "],\"kismet.messagebus.timestamp\": %lld}", (long long)sim_clock_s(s));
}

/* POST /auth/apikey/generate.cmd: a name is taken only once, as in Kismet. */
static void generate(struct sim *s, struct span request, struct answer *a)
{
    char *name = json_text(json_get(request, "name"));
    char *role = json_text(json_get(request, "role"));
    int64_t duration;
    bool good = name && role && json_integer(json_get(request, "duration"), &duration);
    for (size_t i = 0; good && i < s->token_count; i++)
        good = strcmp(s->tokens[2 * i], name) != 0;
    free(role);
    if (!good) {
        free(name);
        refuse(a, 500, "name, role and duration are needed, the name only once");
        return;
    }
    char token[33];
    snprintf(token, sizeof(token), "%016llX%016llX", (unsigned long long)scene_random(&s->scene),
             (unsigned long long)scene_random(&s->scene));
    s->tokens = xrealloc(s->tokens, 2 * (s->token_count + 1) * sizeof(char *));
    s->tokens[2 * s->token_count] = name;
    s->tokens[2 * s->token_count++ + 1] = xstrdup(token);
    a->type = "text/plain";
    text_adds(&a->body, token);
}

void rest_answer(struct sim *s, const struct target *t, struct span body, struct answer *ret_answer)
{
    struct answer *a = ret_answer;
    a->status = 200;
    a->type = "application/json";
    struct span request = json_document(body.at, body.length);
    if (body.length && !request.at) {
        refuse(a, 400, "the body is not JSON");
        return;
    }
    s->served[t->route]++;
    switch (t->route) {
    case ROUTE_DEVICES:
        devices(s, t, request, a);
        break;
    case ROUTE_TIMESTAMP:
        text_adds(&a->body, "{");
        timestamp(s, &a->body);
        text_adds(&a->body, "}");
        break;
    case ROUTE_STATUS:
        status(s, &a->body);
        break;
    case ROUTE_ALERTS:
    case ROUTE_ALERTS_WRAPPED:
        alerts(s, t, &a->body);
        break;
    case ROUTE_MESSAGES:
        messages(s, t, &a->body);
        break;
    case ROUTE_VIEWS:
        views(s, &a->body);
        break;
    case ROUTE_PHYS:
        phys(s, &a->body);
        break;
    case ROUTE_SOURCES:
        sources(s, &a->body);
        break;
    case ROUTE_SESSION:
    case ROUTE_LOGIN:
    case ROUTE_SETUP:
        rest_status(200, a);
        break;
    case ROUTE_APIKEY:
        generate(s, request, a);
        break;
    case ROUTE_NONE:
    case ROUTE_MONITOR:
    case ROUTE_EVENTBUS:
    case ROUTE_COUNT:
        rest_status(404, a);
        break;
    }
}
