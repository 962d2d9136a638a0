/* Loading as a whole: a file in full, every refusal with its line, who overrides whom, credentials,
 * names, and what `check` prints. */
#include "base/buf.h"
#include "config/columns.h"
#include "config/config.h"
#include "config/describe.h"
#include "config/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { WORDS_MAX = 40 };

static char folder[] = "/tmp/kx-config-XXXXXX";
static char yaml_path[64];
static char key_path[64];

/* What one kx_config_load made. */
struct loaded {
    struct kx_config *config;
    struct kx_error err;
    enum kx_code code;
    bool done;
};

static void write_file(const char *path, const char *text, mode_t mode)
{
    unlink(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(yaml_path, sizeof yaml_path, "%s/f.yaml", folder);
    snprintf(key_path, sizeof key_path, "%s/kismet-api-key", folder);
    write_file(key_path, "from-the-file\n", 0600);
    return chdir(folder); /* so that messages begin with f.yaml */
}

static int teardown(void **state)
{
    (void)state;
    unlink(yaml_path);
    unlink(key_path);
    return chdir("/") == 0 ? rmdir(folder) : -1;
}

/* Before each test: nothing of the table in the environment. */
static int clean(void **state)
{
    (void)state;
    for (size_t i = 0; i < kx_option_count(); i++)
        if (kx_option_at(i)->env != NULL)
            unsetenv(kx_option_at(i)->env);
    unsetenv("CREDENTIALS_DIRECTORY");
    return 0;
}

/* Loads yaml (NULL = no file) and the words of line. */
static struct loaded load(const char *yaml, const char *line)
{
    struct loaded loaded = {.done = true};
    char *argv[WORDS_MAX + 1] = {NULL};
    int argc = 0;
    argv[argc++] = strdup("kismet-export");
    if (yaml != NULL) {
        write_file("f.yaml", yaml, 0600);
        argv[argc++] = strdup("--config=f.yaml");
    }
    while (*line != '\0') {
        size_t length = strcspn(line, " ");
        assert_in_range(argc, 1, WORDS_MAX - 1);
        argv[argc++] = strndup(line, length);
        line += length;
        line += *line == ' ';
    }
    loaded.code = kx_config_load(argc, argv, &loaded.config, &loaded.done, &loaded.err);
    assert_int_equal(loaded.code == KX_OK, loaded.config != NULL);
    assert_false(loaded.done);
    if (loaded.code != KX_OK)
        assert_int_equal(loaded.err.code, loaded.code);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return loaded;
}

static struct kx_config *load_good(const char *yaml, const char *line)
{
    struct loaded loaded = load(yaml, line);
    if (loaded.code != KX_OK)
        fail_msg("%s", loaded.err.text);
    return loaded.config;
}

static bool warned(const struct kx_config *config, const char *words)
{
    for (size_t i = 0; i < config->warnings.count; i++)
        if (strstr(config->warnings.items[i], words) != NULL)
            return true;
    return false;
}

static void nothing_given(void **state)
{
    (void)state;
    char host[256] = "";
    struct kx_config *config = load_good(NULL, "");
    gethostname(host, sizeof host - 1);
    assert_int_equal(config->command, KX_COMMAND_RUN);
    assert_null(config->path);
    assert_string_equal(config->sensor, host);
    assert_int_equal(config->source_count, 1);
    assert_string_equal(config->sources[0].url, "http://localhost:2501");
    assert_string_equal(config->sources[0].name, host);
    assert_false(kx_secret_is_set(&config->sources[0].api_key));
    assert_null(config->sources[0].user);
    assert_int_equal(config->sink_count, 1);
    assert_int_equal(config->sinks[0].type, KX_SINK_CONSOLE);
    assert_string_equal(config->sinks[0].name, "console");
    assert_int_equal(config->warnings.count, 0);
    kx_config_destroy(config);
    kx_config_destroy(NULL);
}

static const char full_file[] =
    "sensor: attic\n"
    "ring_bytes: 3MiB\n"
    "max_devices: 5000\n"
    "log: {level: debug, format: json}\n"
    "sources:\n"
    "  - url: http://127.0.0.1:2501\n"
    "    api_key: inline-key\n"
    "    rate: 2\n"
    "    reconcile: 10s\n"
    "    mode: poll\n"
    "    view: phy-IEEE802.11\n"
    "    macs: [AA:BB:CC:DD:EE:FF, 11:22:33:00:00:00/FF:FF:FF:00:00:00]\n"
    "    events: [newdevice, alert]\n"
    "    location: last\n"
    "    reconnect: {min: 1s, max: 10s}\n"
    "  - name: roof\n"
    "    url: https://roof.example/kismet/\n"
    "    user: reader\n"
    "    password_file: kismet-api-key\n"
    "    events: none\n"
    "    tls:\n"
    "      ca_file: /ca.pem\n"
    "      cert_file: /c.pem\n"
    "      key_file: /k.pem\n"
    "      insecure: yes\n"
    "sinks:\n"
    "  - type: console\n"
    "    format: json\n"
    "    mac_case: lower\n"
    "    compat: script\n"
    "  - type: sqlite\n"
    "    path: /var/a.db\n"
    "    per_source: on\n"
    "    history: {min_interval: 5m, retention: forever}\n"
    "    batch: {records: 10, bytes: 64KiB, interval: 50ms}\n"
    "  - {type: sqlite, path: b.db, history: true}\n"
    "  - {type: sqlite, path: c.db, name: third, history: false}\n";

static void file_sources(void **state)
{
    (void)state;
    struct kx_config *config = load_good(full_file, "check");
    assert_int_equal(config->command, KX_COMMAND_CHECK);
    assert_string_equal(config->path, "f.yaml");
    assert_string_equal(config->sensor, "attic");
    assert_int_equal(config->ring_bytes, 4 << 20); /* a power of two */
    assert_int_equal(config->max_devices, 5000);
    assert_int_equal(config->log_level, KX_LOG_DEBUG);
    assert_int_equal(config->log_format, KX_LOG_JSON);
    assert_int_equal(config->source_count, 2);
    const struct kx_source_config *a = &config->sources[0];
    assert_string_equal(a->name, "attic"); /* beside us: the sensor's */
    assert_int_equal(a->line, 6);
    assert_string_equal(kx_secret_reveal(&a->api_key), "inline-key");
    assert_int_equal(a->rate_ns, 2000000000);
    assert_int_equal(a->reconcile_ns, 10000000000);
    assert_int_equal(a->mode, KX_MODE_POLL);
    assert_string_equal(a->view, "phy-IEEE802.11");
    assert_int_equal(a->macs.count, 2);
    assert_string_equal(a->macs.items[1], "11:22:33:00:00:00/FF:FF:FF:00:00:00");
    assert_int_equal(a->events.count, 2);
    assert_string_equal(a->events.items[0], "ALERT");
    assert_string_equal(a->events.items[1], "NEW_DEVICE");
    assert_int_equal(a->location, KX_LOCATION_LAST);
    assert_int_equal(a->reconnect_min_ns, 1000000000);
    assert_int_equal(a->reconnect_max_ns, 10000000000);
    const struct kx_source_config *b = &config->sources[1];
    assert_string_equal(b->name, "roof");
    assert_string_equal(b->url, "https://roof.example:443/kismet");
    assert_string_equal(b->user, "reader");
    assert_string_equal(kx_secret_reveal(&b->password), "from-the-file");
    assert_int_equal(b->events.count, 0);
    assert_string_equal(b->tls.ca_file, "/ca.pem");
    assert_string_equal(b->tls.cert_file, "/c.pem");
    assert_string_equal(b->tls.key_file, "/k.pem");
    assert_true(b->tls.insecure);
    assert_true(warned(config, "source roof: tls is insecure"));
    assert_int_equal(config->warnings.count, 1);
    kx_config_destroy(config);
}

static void file_sinks(void **state)
{
    (void)state;
    struct kx_config *config = load_good(full_file, "");
    const struct kx_sink_config *sinks = config->sinks;
    assert_int_equal(config->sink_count, 4);
    assert_string_equal(sinks[0].name, "console");
    assert_int_equal(sinks[0].console.format, KX_FORMAT_JSON);
    assert_int_equal(sinks[0].mac_case, KX_MAC_LOWER);
    assert_int_equal(sinks[0].compat, KX_COMPAT_SCRIPT);
    assert_int_equal(sinks[0].batch.records, 100);
    assert_string_equal(sinks[1].name, "sqlite");
    assert_string_equal(sinks[1].sqlite.path, "/var/a.db");
    assert_int_equal(sinks[1].tables.per_source, KX_ON);
    assert_true(sinks[1].tables.history.on);
    assert_int_equal(sinks[1].tables.history.min_interval_ns, 300000000000);
    assert_int_equal(sinks[1].tables.history.retention_ns, 0);
    assert_int_equal(sinks[1].batch.records, 10);
    assert_int_equal(sinks[1].batch.bytes, 65536);
    assert_int_equal(sinks[1].batch.interval_ns, 50000000);
    assert_string_equal(sinks[2].name, "sqlite-2");
    assert_true(sinks[2].tables.history.on);
    assert_int_equal(sinks[2].tables.history.min_interval_ns, 60000000000);
    assert_int_equal(sinks[2].batch.records, 1000);
    assert_string_equal(sinks[3].name, "third");
    assert_false(sinks[3].tables.history.on);
    kx_config_destroy(config);
}

struct bad_file {
    const char *yaml;
    unsigned line; /* 0 = the text has no line */
    const char *words;
};

static void refuse_all(const struct bad_file *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct loaded loaded = load(rows[i].yaml, "");
        char where[32] = "";
        if (rows[i].line > 0)
            snprintf(where, sizeof where, "f.yaml:%u: ", rows[i].line);
        if (loaded.code != KX_ERR_CONFIG)
            fail_msg("row %zu was taken: %s", i, rows[i].yaml);
        if (strncmp(loaded.err.text, where, strlen(where)) != 0 ||
            strstr(loaded.err.text, rows[i].words) == NULL)
            fail_msg("row %zu (%s %s): %s", i, where, rows[i].words, loaded.err.text);
        assert_null(strstr(loaded.err.text, "hunter2"));
    }
}

static void refuses_shapes(void **state)
{
    (void)state;
    static const struct bad_file rows[] = {
        {"", 1, "the file is empty"},
        {"just a text\n", 1, "the file must hold keys (sensor, sources, sinks, ring_bytes, "},
        {"- a\n- b\n", 1, "the file must hold keys"},
        {"sensor: x\n\tlog: y\n", 2, "a tab begins the line"},
        {"sensor: x\nsensors: y\n", 2,
         "unknown key 'sensors' at the top level, did you mean 'sensor'? (keys here: sensor, "
         "sources, sinks, ring_bytes, max_devices, log, capture, stats)"},
        {"rate: 5\n", 1, "unknown key 'rate' at the top level, it belongs to sources[].rate"},
        {"sources:\n  - url: http://pi\n    rats: 5\n", 3,
         "unknown key 'rats' in 'sources', did you mean 'rate'? (keys here: name, url, api_key, "},
        {"sources:\n  - url: http://pi\n    tls:\n      ca-file: x\n", 4,
         "unknown key 'ca-file' in 'tls', did you mean 'ca_file'?"},
        {"sources:\n  - tls: &a {insecure: *a}\n", 2, "wants one value, not a mapping"},
        {"sources:\n  - &a {tls: *a}\n", 2, "unknown key 'tls' in 'tls'"},
        {"sources:\n  - &a {name: x}\n  - {<<: *a}\n", 3, "merge keys (<<) are not read"},
        {"sinks:\n  - type: console\n    path: x\n", 3,
         "unknown key 'path' in 'sinks', it belongs to sinks[].path (sqlite) (keys here: name, "
         "type, mac_case, compat, "},
        {"sensor: x\nlog: {}\nsensor: y\n", 3, "sensor stands in line 1 already: keep one"},
        {"sources:\n  - url: http://a\n    url: http://b\n", 3, "url stands in line 2 already"},
        {"? [a, b]\n: c\n", 1, "a key must be one word"},
        {"sources: x\n", 1, "sources: wants a list of 1 to 256"},
        {"sources: {url: x}\n", 1, "sources: wants a list"},
        {"sources: []\n", 1, "sources: wants a list of 1 to 256"},
        {"sources:\n", 1,
         "sources: has no value: write one, or leave the key out (then it is: a "
         "Kismet at localhost:2501)"},
        {"sources:\n  - http://pi\n", 2, "item 1 of the list has no keys: write '- url: ...'"},
        {"sinks:\n  - console\n", 2, "item 1 of the list has no keys: write '- type: ...'"},
        {"sinks:\n  - name: x\n", 2, "a sink without a type: write one"},
        {"sinks:\n  - type:\n", 2, "a sink without a type"},
        {"sinks:\n  - path: x\n    type: sqlit\n", 3, "did you mean 'sqlite'?"},
        {"log: debug\n", 1,
         "log: wants keys of its own: write them indented on the lines below it "
         "(level, format)"},
        {"log: [x]\n", 1, "log: wants keys of its own"},
        {"sinks:\n  - type: sqlite\n    history: [x]\n", 3,
         "history: wants keys of its own: write them indented on the lines below it "
         "(min_interval, retention)"},
    };
    refuse_all(rows, sizeof rows / sizeof rows[0]);
}

static void fields(void **state)
{
    (void)state;
    struct kx_config *config =
        load_good("sources:\n  - url: http://pi\n    extra_fields:\n"
                  "      - {path: dot11.device/dot11.device.last_bssid, as: bssid}\n"
                  "      - {path: kismet.device.base.freq_khz, as: khz_2, type: integer}\n"
                  "  - url: http://pa\n"
                  "sinks:\n  - type: sqlite\n    fields: [signal_dbm, last_seen]\n"
                  "  - {type: console, fields: \"extra, name\"}\n",
                  "");
    const struct kx_extra_fields *extra = &config->sources[0].extra;
    assert_int_equal(extra->count, 2);
    assert_string_equal(extra->items[0].path, "dot11.device/dot11.device.last_bssid");
    assert_string_equal(extra->items[0].as, "bssid");
    assert_int_equal(extra->items[0].type, KX_EXTRA_TEXT);
    assert_string_equal(extra->items[1].as, "khz_2");
    assert_int_equal(extra->items[1].type, KX_EXTRA_INTEGER);
    assert_int_equal(config->sources[1].extra.count, 0);
    assert_int_equal(config->sinks[0].fields.count, 2);
    assert_string_equal(config->sinks[0].fields.items[1], "last_seen");
    assert_string_equal(config->sinks[1].fields.items[0], "extra");
    kx_config_destroy(config);
}

/* Sources that want the same field share its column; there is an end to how many. */
static void extra_columns(void **state)
{
    (void)state;
    struct kx_config *config =
        load_good("sources:\n  - url: http://pi\n    extra_fields:\n"
                  "      - {path: a.b, as: one}\n      - {path: a.c, as: two, type: number}\n"
                  "  - url: http://pa\n    extra_fields:\n"
                  "      - {path: a.d, as: two, type: number}\n"
                  "      - {path: a.e, as: three, type: bool}\n",
                  "");
    struct kx_extra_columns columns;
    kx_columns_get(config, &columns);
    assert_int_equal(columns.count, 3);
    assert_string_equal(columns.items[0].name, "one");
    assert_string_equal(columns.items[1].name, "two");
    assert_int_equal(columns.items[1].type, KX_EXTRA_NUMBER);
    assert_string_equal(columns.items[2].name, "three");
    assert_int_equal(columns.items[2].type, KX_EXTRA_BOOL);
    kx_config_destroy(config);
    struct kx_buf file;
    kx_buf_init(&file, 1 << 20);
    kx_buf_text(&file, "sources:\n");
    for (unsigned i = 0; i <= KX_EXTRA_COLUMNS_MAX; i++) {
        if (i % KX_EXTRA_FIELDS_MAX == 0)
            kx_buf_printf(&file, "  - url: http://h%u\n    extra_fields:\n", i);
        kx_buf_printf(&file, "      - {path: a.b, as: x%u}\n", i);
    }
    kx_buf_byte(&file, '\0');
    const struct bad_file many = {file.data, 2 + 2 * (KX_EXTRA_FIELDS_MAX + 2),
                                  "'x64' is one too many"};
    refuse_all(&many, 1);
    kx_buf_fini(&file);
}

static void refuses_fields(void **state)
{
    (void)state;
#define EXTRA "sources:\n  - url: http://pi\n    extra_fields:\n"
    static const struct bad_file rows[] = {
        {"sinks:\n  - type: sqlite\n    fields: [mac_addr, signal]\n", 3,
         "fields: 'signal' is no field of a device"},
        {"sinks:\n  - type: sqlite\n    fields: [signal_dbn]\n", 3, "did you mean 'signal_dbm'?"},
        {EXTRA "      - {path: kismet.x, as: x}\n      - {path: kismet.y, as: x}\n", 5,
         "extra_fields: two fields are named 'x'"},
        {EXTRA "      - {path: kismet.x}\n", 4, "extra_fields: wants path and as"},
        {EXTRA "      - {as: x}\n", 4, "extra_fields: wants path and as"},
        {EXTRA "      - kismet.x\n", 4, "item 1 of the list has no keys: write '- path: ...'"},
        {EXTRA "      - {path: kismet, as: x}\n", 4, "path: 'kismet' is no field of Kismet"},
        {EXTRA "      - {path: 'a\"b.c', as: x}\n", 4, "is no field of Kismet"},
        {EXTRA "      - {path: a.b/, as: x}\n", 4, "is no field of Kismet"},
        {EXTRA "      - {path: a.b, as: X}\n", 4, "as: 'X' cannot be a key"},
        {EXTRA "      - {path: a.b, as: x23456789012345678901234567890123}\n", 4,
         "cannot be a key"},
        {EXTRA "      - {path: a.b, as: ''}\n", 4, "as: "},
        {EXTRA "      - {path: a.b, as: channel}\n", 4, "as: 'channel' is a column already"},
        {EXTRA "      - {path: a.b, as: updated_at}\n", 4, "write another name, such as kismet_"},
        {EXTRA "      - {path: a.b, as: ctid}\n", 4, "is a column already"},
        {EXTRA "      - {path: a.b, as: x, type: float}\n", 4, "type: 'float' is none of: text"},
        {EXTRA "      - {path: a.b, as: x, typ: text}\n", 4, "unknown key 'typ' in 'extra_fields'"},
        {EXTRA "      - {path: a.b, as: x}\n  - url: http://pa\n    extra_fields:\n"
               "      - {path: a.b, as: x, type: bool}\n",
         5, "the extra field 'x' has another type in another source"},
    };
#undef EXTRA
    refuse_all(rows, sizeof rows / sizeof rows[0]);
}

static void refuses_values(void **state)
{
    (void)state;
    static const struct bad_file rows[] = {
        {"sensor: [a]\n", 1, "sensor: wants one value, not a list: write 'sensor: ...'"},
        {"log: {level: {a: b}}\n", 1, "level: wants one value, not a mapping: write 'level: auto'"},
        {"sensor:\n", 1,
         "sensor: has no value: write one, or leave the key out (then it is: the "
         "host name)"},
        {"\nsensor: \"\"\n", 2, "sensor: the value is empty"},
        {"sensor: ~\n", 1, "sensor: has no value"},
        {"sensor: \"a\\nb\"\n", 1, "sensor: the value holds a control byte at place 2"},
        {"log:\n  level: loud\n", 2, "level: 'loud' is none of: error, warning, info, debug"},
        {"sources:\n  - rate: 0\n", 2, "rate: 0 is out of range (1s to 1h in steps of 1s)"},
        {"sources:\n  - rate: soon\n", 2, "rate: 'soon' is no duration: write 5s, "},
        {"sources:\n  - tls:\n      insecure: maybe\n", 3, "insecure: 'maybe' is no true or false"},
        {"ring_bytes: 1KiB\n", 1, "ring_bytes: 1KiB is out of range (1MiB to 1GiB)"},
        {"max_devices: lots\n", 1, "max_devices: 'lots' is no whole number"},
        {"sinks:\n  - type: sqlite\n    batch:\n      records: 0\n", 4,
         "records: 0 is out of range (1 to 100000)"},
        {"sinks:\n  - type: sqlite\n    history: often\n", 3, "history: 'often' is no true or"},
        {"sinks:\n  - type: console\n    format: csv\n", 3, "format: 'csv' is none of: text, json"},
        {"sources:\n  - url: wss://pi\n", 2, "url: wss:// is not written here: write https://"},
        {"sources:\n  - url: http://me:hunter2@pi\n", 2, "url: a credential does not belong"},
        {"sources:\n  - events: [ALERT, ALRT]\n", 2, "did you mean 'ALERT'?"},
        {"sources:\n  - events: [[ALERT]]\n", 2, "events: item 1 of the list is not one value"},
        {"sources:\n  - macs:\n    - AA:BB:CC:DD:EE:FF\n    -\n", 2,
         "macs: item 2 of the list is not one value"},
        {"sources:\n  - macs: [AABBCCDDEEFF, \"x\\n\"]\n", 2,
         "macs: the value holds a control byte"},
        {"sources:\n  - macs: [x]\n", 2, "macs: 'x' is no MAC address"},
        {"sources:\n  - view: a/b\n", 2, "view: 'a/b' is no Kismet view"},
        {"sensor: ${KX_NOT_SET}\n", 1,
         "sensor: the environment variable KX_NOT_SET is not set: set it, or write "
         "${KX_NOT_SET:-default}"},
        {"sources:\n  - macs: [\"${KX_NOT_SET}\"]\n", 2, "KX_NOT_SET is not set"},
        {"sinks:\n  - type: ${KX_NOT_SET}\n", 2, "type: the environment variable KX_NOT_SET"},
        {"sensor: ${oops\n", 1, "sensor: after '${' comes the name"},
        {"sources:\n  - api_key: \"hunter2\\t\"\n", 2, "api_key: the secret holds a control byte"},
    };
    unsetenv("KX_NOT_SET");
    refuse_all(rows, sizeof rows / sizeof rows[0]);
}

static void refuses_combinations(void **state)
{
    (void)state;
    static const struct bad_file rows[] = {
        {"sources:\n  - name: a\n  - name: b\n  - name: a\n", 4,
         "two sources are named 'a', the other in line 2: give each its own name"},
        {"sources:\n  - name: a\n  - name: b\n  - name: b\n", 4,
         "two sources are named 'b', the other in line 3"},
        {"sinks:\n  - type: console\n  - {type: sqlite, path: x}\n  - {type: sqlite, path: x}\n", 4,
         "the sinks 'sqlite' and 'sqlite-2' write the same file x"},
        {"sensor: s\nsources:\n  - url: http://localhost:1\n  - url: http://[::1]:2\n", 4,
         "two sources are named 's', the other in line 3"},
        {"sources:\n  - url: http://pi\n  - url: http://pi:2501/x\n", 3,
         "two sources are named 'pi:2501', the other in line 2"},
        {"sinks:\n  - {type: console, name: x}\n  - {type: sqlite, name: x}\n", 3,
         "two sinks are named 'x', the other in line 2"},
        {"sinks:\n  - type: sqlite\n  - type: sqlite\n", 3,
         "the sinks 'sqlite' and 'sqlite-2' write the same file kismet.db"},
        {"sources:\n  - reconnect: {min: 1m}\n", 2,
         "reconnect.min is more than reconnect.max, which is 30s"},
        {"sensor: s\nsources:\n  - url: https://pi\n    tls: {cert_file: /c}\n", 3,
         "source pi:443: cert_file and key_file belong together"},
        {"sources:\n  - url: http://pi\n    tls: {ca_file: /c}\n", 2,
         "source pi:2501: tls is for https"},
        {"sources:\n  - api_key: hunter2\n    api_key_file: kismet-api-key\n", 3,
         "api_key_file: given twice, as a value and as a file: keep the file"},
        {"sources:\n  - user: me\n", 2, "a user without a password: give password_file"},
        {"sources:\n  - password: hunter2\n", 2, "a password without a user"},
        {"sources:\n  - {user: me, password: hunter2, api_key: hunter2}\n", 2,
         "an API key and a user or password: give one of the two"},
        {"sources:\n  - api_key_file: nowhere\n", 2,
         "cannot open the secret file nowhere: No such file or directory"},
    };
    refuse_all(rows, sizeof rows / sizeof rows[0]);
    struct loaded loaded = load(NULL, "--config nowhere.yaml");
    assert_int_equal(loaded.code, KX_ERR_CONFIG);
    assert_string_equal(loaded.err.text,
                        "cannot open the configuration nowhere.yaml: No such file or directory");
}

/* 257 sources are one too many; 4,097 words in a list are, too. */
static void limits(void **state)
{
    (void)state;
    enum { SIZE = 128 << 10 };
    char *text = malloc(SIZE);
    assert_non_null(text);
    size_t length = (size_t)sprintf(text, "sources:\n");
    for (unsigned i = 0; i <= KX_SOURCES_MAX; i++)
        length += (size_t)sprintf(text + length, "  - url: http://h%u\n", i);
    struct loaded loaded = load(text, "");
    assert_int_equal(loaded.code, KX_ERR_CONFIG);
    assert_non_null(strstr(loaded.err.text, "sources: wants a list of 1 to 256"));
    *strrchr(text, '-') = '#'; /* one fewer */
    kx_config_destroy(load_good(text, ""));
    length = (size_t)sprintf(text, "sources:\n  - macs: [");
    for (unsigned i = 0; i <= KX_STRINGS_MAX; i++)
        length += (size_t)sprintf(text + length, "AABBCCDDEEFF,");
    sprintf(text + length, "]\n");
    loaded = load(text, "");
    assert_int_equal(loaded.code, KX_ERR_CONFIG);
    assert_non_null(strstr(loaded.err.text, "f.yaml:2: macs: more than 4096 items"));
    free(text);
}

/* Default, file, environment, command line: each overrides the one before. */
static void precedence(void **state)
{
    (void)state;
    static const char yaml[] = "log: {level: debug}\n"
                               "sources:\n"
                               "  - {name: a, url: http://pi:1000/p, rate: 7, mode: poll}\n";
    struct kx_config *config = load_good(yaml, "");
    assert_int_equal(config->sources[0].rate_ns, 7000000000);
    assert_string_equal(config->sources[0].url, "http://pi:1000/p");
    assert_int_equal(config->log_level, KX_LOG_DEBUG);
    kx_config_destroy(config);

    setenv("UPDATE_RATE", "8", 1);
    setenv("KISMET_PORT", "1001", 1);
    setenv("EXPORT_TYPE", "sqlite,console", 1);
    config = load_good(yaml, "");
    assert_int_equal(config->sources[0].rate_ns, 8000000000);
    assert_string_equal(config->sources[0].url, "http://pi:1001/p");
    assert_string_equal(config->sources[0].name, "a");
    assert_int_equal(config->sink_count, 2);
    kx_config_destroy(config);

    config = load_good(yaml, "--update-rate 9 --kismet-host https://new/q --export-type console "
                             "--mode monitor --log-level error --sensor me --events ALERT");
    assert_int_equal(config->sources[0].rate_ns, 9000000000);
    assert_string_equal(config->sources[0].url, "https://new:1001/q"); /* the port of KISMET_PORT */
    assert_int_equal(config->sources[0].mode, KX_MODE_MONITOR);
    assert_int_equal(config->sources[0].events.count, 1);
    assert_int_equal(config->sink_count, 1);
    assert_int_equal(config->log_level, KX_LOG_ERROR);
    assert_string_equal(config->sensor, "me");
    kx_config_destroy(config);

    setenv("UPDATE_RATE", "", 1); /* empty is unset */
    unsetenv("KISMET_PORT");
    config = load_good(yaml, "");
    assert_int_equal(config->sources[0].rate_ns, 7000000000);
    kx_config_destroy(config);
}

static void flags_reach_every_sink(void **state)
{
    (void)state;
    struct kx_config *config =
        load_good("sources:\n  - url: http://a\n  - url: http://b\n"
                  "sinks:\n  - type: console\n  - type: sqlite\n",
                  "--batch-records 7 --batch-bytes 1MiB --batch-interval 2s --compat script "
                  "--sqlite-path x.db --history --data-format json --update-rate 3 "
                  "--ring-bytes 1MiB --max-devices 777 --log-format json --once --duration 1m");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(config->sources[i].rate_ns, 3000000000);
        assert_int_equal(config->sinks[i].batch.records, 7);
        assert_int_equal(config->sinks[i].batch.bytes, 1 << 20);
        assert_int_equal(config->sinks[i].batch.interval_ns, 2000000000);
        assert_int_equal(config->sinks[i].compat, KX_COMPAT_SCRIPT);
    }
    assert_int_equal(config->sinks[0].console.format, KX_FORMAT_JSON);
    assert_string_equal(config->sinks[1].sqlite.path, "x.db");
    assert_true(config->sinks[1].tables.history.on);
    assert_int_equal(config->ring_bytes, 1 << 20);
    assert_int_equal(config->max_devices, 777);
    assert_int_equal(config->log_format, KX_LOG_JSON);
    assert_true(config->once);
    assert_int_equal(config->duration_ns, 60000000000);
    kx_config_destroy(config);
}

/* --export-type keeps the file's sinks of these types, adds the missing, drops the others. */
static void export_type_picks(void **state)
{
    (void)state;
    static const char yaml[] = "sinks:\n  - {type: sqlite, path: a.db}\n"
                               "  - {type: sqlite, path: b.db, name: b}\n";
    struct kx_config *config = load_good(yaml, "--export-type sqlite");
    assert_int_equal(config->sink_count, 2);
    assert_string_equal(config->sinks[1].sqlite.path, "b.db");
    kx_config_destroy(config);
    config = load_good(yaml, "--export-type console");
    assert_int_equal(config->sink_count, 1);
    assert_int_equal(config->sinks[0].type, KX_SINK_CONSOLE);
    kx_config_destroy(config);
    config = load_good(yaml, "--export-type Console,sqlite,console");
    assert_int_equal(config->sink_count, 3);
    assert_string_equal(config->sinks[2].name, "console");
    assert_int_equal(config->sinks[2].batch.records, 100);
    kx_config_destroy(config);
}

static void addresses(void **state)
{
    (void)state;
    static const struct {
        const char *host, *port, *line, *url, *name; /* host, port: of the environment */
    } rows[] = {
        {NULL, NULL, "--kismet-host pi", "http://pi:2501", "pi:2501"},
        {NULL, NULL, "--kismet-port 99", "http://localhost:99", "s"},
        {NULL, NULL, "--kismet-host pi --kismet-port 99", "http://pi:99", "pi:99"},
        {NULL, NULL, "--kismet-host https://pi/x/", "https://pi:443/x", "pi:443"},
        {NULL, NULL, "--kismet-host pi:7 --kismet-port 7", "http://pi:7", "pi:7"},
        {NULL, NULL, "--kismet-host [::1]", "http://[::1]:2501", "s"},
        {NULL, NULL, "--kismet-host 127.0.0.2", "http://127.0.0.2:2501", "s"},
        {"env", NULL, "", "http://env:2501", "env:2501"},
        {"env:5", "6", "--kismet-host pi", "http://pi:6", "pi:6"},
        {NULL, "6", "--kismet-host pi:5", "http://pi:5", "pi:5"},
        {"env:5", NULL, "--kismet-port 6", "http://env:6", "env:6"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clean(NULL);
        if (rows[i].host != NULL)
            setenv("KISMET_HOST", rows[i].host, 1);
        if (rows[i].port != NULL)
            setenv("KISMET_PORT", rows[i].port, 1);
        struct kx_config *config = load_good("sensor: s\n", rows[i].line);
        assert_string_equal(config->sources[0].url, rows[i].url);
        assert_string_equal(config->sources[0].name, rows[i].name);
        kx_config_destroy(config);
    }
}

static void refuses_lines(void **state)
{
    (void)state;
    static const char two[] = "sources:\n  - url: http://a\n  - url: http://b\n";
    static const struct {
        const char *yaml, *line, *text;
    } rows[] = {
        {NULL, "--update-rate soon",
         "--update-rate: 'soon' is no duration: write 5s, 500ms, 10m, "
         "2h or 30d (1s to 1h in steps of 1s)"},
        {NULL, "--kismet-host ws://pi",
         "--kismet-host: ws:// is not written here: write http://, the WebSocket paths are found "
         "from there"},
        {NULL, "--kismet-host pi:1 --kismet-port 2",
         "--kismet-host: the address names port 1, and --kismet-port 2: leave one of them out"},
        {NULL, "--kismet-port 0", "--kismet-port: 0 is out of range (1 to 65535)"},
        {NULL, "--export-type ,", "--export-type: the list is empty: write one word at least"},
        {NULL, "--sqlite-path x",
         "--sqlite-path is for the sqlite sink, which does not run: add sqlite to --export-type"},
        {NULL, "--history --export-type console",
         "--history is for the sqlite sink, which does not run: add sqlite to --export-type"},
        {two, "--kismet-host pi",
         "--kismet-host is for one Kismet, and f.yaml names 2: write it at "
         "its source there"},
        {two, "--kismet-api-key-file kismet-api-key",
         "--kismet-api-key-file is for one Kismet, and f.yaml names 2: write it at its source "
         "there"},
        {NULL, "--kismet-api-key= ",
         "--kismet-api-key: the value is empty: write one, or leave it "
         "out for the default"},
        {NULL, "--kismet-api-key a --kismet-api-key-file b",
         "--kismet-api-key-file: given twice, as a value and as a file: keep the file"},
        {NULL, "--sensor 0123456789012345678901234567890123456789012345678901234567890123456789",
         "--sensor: the name has 70 bytes: 64 at most"},
        {NULL, "--zzz", "unknown flag --zzz: try --help"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct loaded loaded = load(rows[i].yaml, rows[i].line);
        if (loaded.code != KX_ERR_USAGE)
            fail_msg("%s: %s", rows[i].line, loaded.err.text);
        assert_string_equal(loaded.err.text, rows[i].text);
    }
    setenv("UPDATE_RATE", "soon", 1);
    struct loaded loaded = load(NULL, "");
    assert_int_equal(loaded.code, KX_ERR_CONFIG);
    assert_int_equal(strncmp(loaded.err.text, "UPDATE_RATE in the environment: 'soon' is no", 44),
                     0);
    clean(NULL);
    setenv("EXPORT_TYPE", "sockets", 1);
    loaded = load(NULL, "");
    assert_int_equal(loaded.code, KX_ERR_CONFIG);
    assert_int_equal(
        strncmp(loaded.err.text, "EXPORT_TYPE in the environment: 'sockets' is no sink", 52), 0);
    clean(NULL);
    setenv("KISMET_HOST", "ws://pi", 1);
    loaded = load(NULL, "");
    assert_int_equal(loaded.code, KX_ERR_CONFIG);
    assert_int_equal(strncmp(loaded.err.text, "KISMET_HOST in the environment: ws://", 37), 0);
}

/* Who wins, by what each level gives: k = API key, f = API key file, u = user, p = password. */
static void credentials(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *env, *systemd, *line;
        const char *key, *user, *password; /* wanted; NULL = not set */
        const char *error;
    } rows[] = {
        {"", "", "", "", NULL, NULL, NULL, NULL},
        {"api_key: fk", "", "", "", "fk", NULL, NULL, NULL},
        {"api_key_file: kismet-api-key", "", "", "", "from-the-file", NULL, NULL, NULL},
        {"user: fu\n    password: fp", "", "", "", NULL, "fu", "fp", NULL},
        {"api_key: fk", "k", "", "", "ek", NULL, NULL, NULL},
        {"api_key: fk", "f", "", "", "from-the-file", NULL, NULL, NULL},
        {"api_key_file: nowhere", "k", "", "", "ek", NULL, NULL, NULL}, /* never opened */
        {"api_key: fk", "up", "", "", NULL, "eu", "ep", NULL},
        {"user: fu\n    password: fp", "k", "", "", "ek", NULL, NULL, NULL},
        {"user: fu\n    password: fp", "p", "", "", NULL, "fu", "ep", NULL},
        {"user: fu\n    password: fp", "up", "", "", NULL, "eu", "ep", NULL},
        {"user: fu", "p", "", "", NULL, "fu", "ep", NULL},
        {"api_key: fk", "k", "yes", "", "from-the-file", NULL, NULL, NULL},
        {"", "up", "yes", "", "from-the-file", NULL, NULL, NULL},
        {"", "", "yes", "--kismet-api-key ck", "ck", NULL, NULL, NULL},
        {"", "p", "yes", "--kismet-username cu", NULL, "cu", "ep", NULL},
        {"", "k", "", "--kismet-api-key-file kismet-api-key", "from-the-file", NULL, NULL, NULL},
        {"", "", "", "--kismet-username cu --kismet-password cp", NULL, "cu", "cp", NULL},
        {"", "", "", "--kismet-username cu --kismet-password-file kismet-api-key", NULL, "cu",
         "from-the-file", NULL},
        {"", "kf", "", "", NULL, NULL, NULL, "KISMET_API_KEY_FILE in the environment: given twice"},
        {"", "kup", "", "", NULL, NULL, NULL, "an API key and a user or password"},
        {"", "u", "", "", NULL, NULL, NULL, "a user without a password"},
        {"", "", "", "--kismet-username cu", NULL, NULL, NULL, "a user without a password"},
        {"", "k", "", "--kismet-username cu", NULL, NULL, NULL, "a user without a password"},
        {"", "p", "", "", NULL, NULL, NULL, "a password without a user"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char yaml[256];
        clean(NULL);
        snprintf(yaml, sizeof yaml, "sources:\n  - name: a\n    %s\n", rows[i].yaml);
        for (const char *letter = rows[i].env; *letter != '\0'; letter++)
            setenv(*letter == 'k'   ? "KISMET_API_KEY"
                   : *letter == 'f' ? "KISMET_API_KEY_FILE"
                   : *letter == 'u' ? "KISMET_USERNAME"
                                    : "KISMET_PASSWORD",
                   *letter == 'k'   ? "ek"
                   : *letter == 'f' ? "kismet-api-key"
                   : *letter == 'u' ? "eu"
                                    : "ep",
                   1);
        if (rows[i].systemd[0] != '\0')
            setenv("CREDENTIALS_DIRECTORY", folder, 1);
        struct loaded loaded = load(yaml, rows[i].line);
        if ((loaded.code == KX_OK) != (rows[i].error == NULL))
            fail_msg("row %zu: %s", i, loaded.err.text);
        if (rows[i].error != NULL) {
            if (strstr(loaded.err.text, rows[i].error) == NULL)
                fail_msg("row %zu: %s", i, loaded.err.text);
            continue;
        }
        const struct kx_source_config *source = &loaded.config->sources[0];
        const char *key = kx_secret_reveal(&source->api_key);
        const char *password = kx_secret_reveal(&source->password);
        if (strcmp(key == NULL ? "-" : key, rows[i].key == NULL ? "-" : rows[i].key) != 0)
            fail_msg("row %zu: key %s", i, key);
        if (strcmp(source->user == NULL ? "-" : source->user,
                   rows[i].user == NULL ? "-" : rows[i].user) != 0)
            fail_msg("row %zu: user %s", i, source->user);
        if (strcmp(password == NULL ? "-" : password,
                   rows[i].password == NULL ? "-" : rows[i].password) != 0)
            fail_msg("row %zu: password %s", i, password);
        kx_config_destroy(loaded.config);
    }
}

/* One server's key never goes to another. */
static void several_sources(void **state)
{
    (void)state;
    static const char yaml[] = "sources:\n  - {url: 'http://a', api_key: ka}\n"
                               "  - {url: 'http://b', api_key: '${KISMET_API_KEY}'}\n"
                               "  - {url: 'http://c'}\n";
    setenv("KISMET_API_KEY", "ek", 1);
    setenv("KISMET_HOST", "other", 1);
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    struct kx_config *config = load_good(yaml, "");
    assert_string_equal(config->sources[0].url, "http://a:2501");
    assert_string_equal(kx_secret_reveal(&config->sources[0].api_key), "ka");
    assert_string_equal(kx_secret_reveal(&config->sources[1].api_key), "ek");
    assert_false(kx_secret_is_set(&config->sources[2].api_key));
    assert_true(warned(config,
                       "KISMET_API_KEY in the environment is left out, because f.yaml names "
                       "3 sources: write ${KISMET_API_KEY} at the one it is for"));
    assert_true(warned(config, "KISMET_HOST in the environment is left out"));
    kx_config_destroy(config);
}

/* Where a database is is no secret; its password is. */
static void conn_on_the_command_line(void **state)
{
    (void)state;
    static const struct {
        const char *conn;
        bool secret;
    } cases[] = {
        {"postgresql://kx@db.example/kismet", false},
        {"postgresql://kx@db.example:5432,other:5433/kismet?sslmode=verify-full", false},
        {"postgresql://[::1]:5432/kismet", false},
        {"postgresql:///kismet?host=/run/postgresql&user=a@b:c", false},
        {"host=db.example", false},
        {"service=kismet", false},
        {"passfile=/etc/kismet-export/pgpass", false},
        {"postgresql://kx:pw@db.example/kismet", true},
        {"postgres://kx:@db.example", true},
        {"postgresql://kx:p/w@db.example", true},
        {"postgresql://db.example/kismet?user=kx&password=pw", true},
        {"password=pw", true},
        {"sslpassword=pw", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[256];
        snprintf(line, sizeof line, "--export-type postgres --postgres-conn %s", cases[i].conn);
        struct kx_config *config = load_good(NULL, line);
        if (warned(config, "--postgres-conn puts a secret") != cases[i].secret)
            fail_msg("%s", cases[i].conn);
        kx_config_destroy(config);
    }
}

static void warnings(void **state)
{
    (void)state;
    struct kx_config *config = load_good(NULL, "--kismet-api-key k --kismet-host far.example");
    assert_int_equal(config->warnings.count, 2);
    assert_true(warned(config, "--kismet-api-key puts a secret where every user"));
    assert_true(warned(config, "use --kismet-api-key-file, or KISMET_API_KEY in the environment"));
    assert_true(warned(config, "the credential for http://far.example:2501 travels unencrypted"));
    kx_config_destroy(config);
    config = load_good(NULL, "--kismet-username u --kismet-password p");
    assert_true(warned(config, "--kismet-password puts a secret"));
    assert_int_equal(config->warnings.count, 1);
    kx_config_destroy(config);

    chmod(key_path, 0444);
    config = load_good(NULL, "--kismet-api-key-file kismet-api-key");
    assert_int_equal(config->warnings.count, 1);
    assert_true(warned(config, "everybody on this machine can read the secret in kismet-api-key"));
    kx_config_destroy(config);
    chmod(key_path, 0602);
    struct loaded loaded = load(NULL, "--kismet-api-key-file kismet-api-key");
    assert_int_equal(loaded.code, KX_ERR_CONFIG);
    assert_non_null(strstr(loaded.err.text, "everybody may write the secret file"));
    chmod(key_path, 0600);

    config = load_good("sinks:\n  - type: sqlite\n", "--data-format json"); /* the script's flag */
    assert_true(warned(
        config, "--data-format is for the console and the socket sink, neither of which runs"));
    kx_config_destroy(config);
}

/* One flag for two kinds: each takes what it knows. */
static void data_format_is_for_console_and_socket(void **state)
{
    (void)state;
    static const struct {
        const char *format;
        enum kx_format console;
        enum kx_socket_format socket;
    } rows[] = {
        {"json", KX_FORMAT_JSON, KX_SOCKET_JSON},
        {"csv", KX_FORMAT_TEXT, KX_SOCKET_CSV},
        {"Simple", KX_FORMAT_TEXT, KX_SOCKET_SIMPLE},
        {"text", KX_FORMAT_TEXT, KX_SOCKET_JSON},
    };
    char line[128];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(line, sizeof line, "--export-type console,socket --server-host h --data-format %s",
                 rows[i].format);
        struct kx_config *config = load_good(NULL, line);
        assert_int_equal(config->sink_count, 2);
        assert_int_equal(config->sinks[0].console.format, rows[i].console);
        assert_int_equal(config->sinks[1].socket.format, rows[i].socket);
        assert_int_equal(config->sinks[1].socket.port, 9999);
        kx_config_destroy(config);
    }
    static const char *const refused[] = {
        "--data-format csv",
        "--export-type socket --server-host h --data-format text",
        "--export-type socket --server-host h --data-format xml",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct loaded loaded = load(NULL, refused[i]);
        assert_int_equal(loaded.code, KX_ERR_USAGE);
        assert_non_null(strstr(loaded.err.text, "--data-format"));
    }
}

static void socket_and_webhook_want_an_address(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *line, *text;
        enum kx_code code;
    } rows[] = {
        {NULL, "--export-type socket", "add --server-host", KX_ERR_USAGE},
        {NULL, "--export-type webhook", "add --webhook-url", KX_ERR_USAGE},
        {"sinks:\n  - type: socket\n", "", "f.yaml:2: sink socket: where to?", KX_ERR_CONFIG},
        {"sinks:\n  - type: webhook\n", "", "f.yaml:2: sink webhook: where to?", KX_ERR_CONFIG},
        {"sinks:\n  - {type: socket, host: a, tls: {ca_file: x}}\n", "", "tls is for protocol: tls",
         KX_ERR_CONFIG},
        {"sinks:\n  - {type: socket, host: 'http://a'}\n", "", "without a scheme", KX_ERR_CONFIG},
        {"sinks:\n  - {type: socket, host: 'a:1'}\n", "", "an option of its own", KX_ERR_CONFIG},
        {"sinks:\n  - {type: webhook, url: 'http://u:p@a/'}\n", "",
         "does not belong into the address", KX_ERR_CONFIG},
        {"sinks:\n  - {type: webhook, url: 'http://a', tls: {ca_file: x}}\n", "",
         "tls is for https", KX_ERR_CONFIG},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct loaded loaded = load(rows[i].yaml, rows[i].line);
        assert_int_equal(loaded.code, rows[i].code);
        if (strstr(loaded.err.text, rows[i].text) == NULL)
            fail_msg("%s", loaded.err.text);
    }
}

/* A literal secret in a file that others can read warns; one from the environment does not. */
static void warns_of_exposed_file(void **state)
{
    (void)state;
    static const char *const keys[] = {"literal", "${KX_KEY}"};
    setenv("KX_KEY", "value", 1);
    for (size_t i = 0; i < 2; i++) {
        char text[128];
        char program[] = "kismet-export";
        char flag[] = "--config=f.yaml";
        char *argv[] = {program, flag, NULL};
        struct kx_config *config = NULL;
        struct kx_error err = {0};
        bool done;
        snprintf(text, sizeof text, "sources:\n  - api_key: %s\n", keys[i]);
        write_file("f.yaml", text, 0644);
        assert_int_equal(kx_config_load(2, argv, &config, &done, &err), KX_OK);
        assert_int_equal(warned(config, "f.yaml:2: api_key stands in a file that everybody can "
                                        "read: run 'chmod 600' on it, or use api_key_file"),
                         i == 0);
        kx_config_destroy(config);
    }
}

static void replays(void **state)
{
    (void)state;
    setenv("KISMET_HOST", "pi", 1);
    setenv("KISMET_API_KEY_FILE", "nowhere", 1); /* a replay needs no Kismet */
    struct kx_config *config =
        load_good("sensor: s\nsources:\n  - url: http://a\n  - url: http://b\n",
                  "replay cap.ndjson.zst --speed max --events ALERT --export-type sqlite");
    assert_int_equal(config->command, KX_COMMAND_REPLAY);
    assert_string_equal(config->replay.path, "cap.ndjson.zst");
    assert_true(config->replay.speed == 0.0);
    assert_int_equal(config->source_count, 1);
    assert_null(config->sources[0].url);
    assert_string_equal(config->sources[0].name, "s");
    assert_int_equal(config->sources[0].events.count, 1);
    assert_int_equal(config->sources[0].rate_ns, 5000000000);
    kx_config_destroy(config);
    config = load_good(NULL, "replay cap --speed 0.5");
    assert_true(config->replay.speed == 0.5);
    kx_config_destroy(config);
    assert_int_equal(load(NULL, "replay cap --speed 1001").code, KX_ERR_USAGE);
    assert_int_equal(load(NULL, "replay cap --speed -1").code, KX_ERR_USAGE);
}

static void done_without_config(void **state)
{
    (void)state;
    char program[] = "kismet-export";
    char flag[] = "--version";
    char *argv[] = {program, flag, NULL};
    struct kx_config *config = NULL;
    struct kx_error err = {0};
    bool done = false;
    assert_int_equal(kx_config_load(2, argv, &config, &done, &err), KX_OK);
    assert_true(done);
    assert_null(config);
}

static void secrets_leave_argv(void **state)
{
    (void)state;
    char program[] = "kismet-export";
    char flag[] = "--kismet-api-key=hunter2";
    char wrong[] = "--update-rate=x";
    char *argv[] = {program, flag, wrong, NULL};
    struct kx_config *config = NULL;
    struct kx_error err = {0};
    bool done = false;
    assert_int_equal(kx_config_load(3, argv, &config, &done, &err), KX_ERR_USAGE); /* even then */
    assert_string_equal(flag, "--kismet-api-key=xxxxxxx");
}

static void describes(void **state)
{
    (void)state;
    struct kx_buf text;
    setenv("STATE_DIRECTORY", "/var/lib/kx", 1);
    struct kx_config *config =
        load_good("sensor: attic\n"
                  "sources:\n"
                  "  - {url: 'http://localhost', api_key: hunter2, view: phy-Bluetooth, macs: "
                  "AABBCCDDEEFF}\n"
                  "  - {url: 'https://b/p', user: me, password_file: kismet-api-key, events: none, "
                  "tls: {insecure: true}}\n"
                  "  - {url: 'http://c', name: \"a\\u202Eb\", rate: 10}\n"
                  "sinks:\n"
                  "  - {type: console, compat: script, dead_letter: off}\n"
                  "  - {type: sqlite, history: {retention: forever}}\n",
                  "check");
    unsetenv("STATE_DIRECTORY");
    kx_buf_init(&text, 65536);
    kx_config_describe(config, &text);
    kx_buf_byte(&text, '\0');
    assert_false(text.failed);
    assert_string_equal(
        text.data,
        "configuration: f.yaml\n"
        "sensor attic: ring 16MiB, 200000 devices at most, log level info as text\n"
        "source attic: http://localhost:2501, each 5s, mode auto, view phy-Bluetooth, 1 MACs only, "
        "9 event topics, API key given\n"
        "source b:443: https://b:443/p, each 5s, mode auto, 0 event topics, user me, password "
        "given "
        "by kismet-api-key, TLS UNVERIFIED\n"
        "source a\\u202Eb: http://c:2501, each 10s, mode auto, 9 event topics, NO CREDENTIAL: "
        "Kismet will answer 401; give --kismet-api-key-file\n"
        "sink console: console, text, compatible with the script, batches of 100 records, 256KiB "
        "or "
        "100ms\n"
        "sink sqlite: sqlite, file kismet.db, history each 1m, kept forever, batches of 1000 "
        "records, 1MiB or 1s, dead letters in /var/lib/kx/sqlite.dead-letter.ndjson\n"
        "warning: source b:443: tls is insecure: whoever sits between can read and change "
        "everything; use ca_file instead\n");
    kx_buf_fini(&text);
    kx_config_destroy(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_given, clean),
        cmocka_unit_test_setup(file_sources, clean),
        cmocka_unit_test_setup(file_sinks, clean),
        cmocka_unit_test_setup(refuses_shapes, clean),
        cmocka_unit_test_setup(fields, clean),
        cmocka_unit_test_setup(refuses_fields, clean),
        cmocka_unit_test_setup(extra_columns, clean),
        cmocka_unit_test_setup(refuses_values, clean),
        cmocka_unit_test_setup(refuses_combinations, clean),
        cmocka_unit_test_setup(limits, clean),
        cmocka_unit_test_setup(precedence, clean),
        cmocka_unit_test_setup(flags_reach_every_sink, clean),
        cmocka_unit_test_setup(export_type_picks, clean),
        cmocka_unit_test_setup(addresses, clean),
        cmocka_unit_test_setup(refuses_lines, clean),
        cmocka_unit_test_setup(credentials, clean),
        cmocka_unit_test_setup(several_sources, clean),
        cmocka_unit_test_setup(conn_on_the_command_line, clean),
        cmocka_unit_test_setup(warnings, clean),
        cmocka_unit_test_setup(data_format_is_for_console_and_socket, clean),
        cmocka_unit_test_setup(socket_and_webhook_want_an_address, clean),
        cmocka_unit_test_setup(warns_of_exposed_file, clean),
        cmocka_unit_test_setup(replays, clean),
        cmocka_unit_test_setup(done_without_config, clean),
        cmocka_unit_test_setup(secrets_leave_argv, clean),
        cmocka_unit_test_setup(describes, clean),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
