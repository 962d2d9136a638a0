/* The option table: every row is whole, its default is legal, its range is held, and the
 * documentation is what the table says. */
#include "config/assign.h"
#include "config/help.h"
#include "config/kinds.h"
#include "config/options.h"
#include "config/suggest.h"
#include "config/topics.h"
#include "config/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

/* Room for the struct of any scope. */
union object {
    struct kx_config config;
    struct kx_invocation call;
    struct kx_source_config source;
    struct kx_sink_config sink;
};

static const struct kx_option *row(const char *key, enum kx_scope scope)
{
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        if (option->scope == scope && option->key != NULL && strcmp(option->key, key) == 0)
            return option;
    }
    fail_msg("no row for %s", key);
    return NULL;
}

static void rows_are_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        const char *name = option->flag != NULL ? option->flag : option->key;
        assert_non_null(name);
        assert_int_equal(kx_option_index(option), i);
        assert_non_null(option->help);
        assert_in_range(strlen(option->help), 5, 100);
        assert_true(option->help[strlen(option->help) - 1] != '.');
        if (option->env != NULL)
            assert_non_null(option->flag);
        if (option->kind == KX_OPTION_SECTION || option->kind == KX_OPTION_ITEMS)
            assert_ptr_equal(kx_option_parent(option->child), option);
        else if (option->width == 0)
            fail_msg("%s has no member", name);
        if (option->kind == KX_OPTION_CHOICE)
            assert_non_null(option->choices);
        if (option->kind == KX_OPTION_SECRET && option->flag != NULL)
            assert_non_null(kx_option_by_flag(option->better + 2, strlen(option->better + 2)));
        if (option->flag != NULL && option->arg == NULL)
            assert_true(option->kind == KX_OPTION_BOOL || option->shorthand);
        for (size_t j = 0; j < i; j++) {
            const struct kx_option *other = kx_option_at(j);
            if (option->flag != NULL && other->flag != NULL)
                assert_string_not_equal(option->flag, other->flag);
            if (option->env != NULL && other->env != NULL)
                assert_string_not_equal(option->env, other->env);
            if (option->key != NULL && other->key != NULL && option->scope == other->scope)
                assert_string_not_equal(option->key, other->key);
        }
    }
    assert_null(kx_option_by_flag("confi", 5));
}

/* What the Python script understood, and what its users therefore type. */
static void script_flags_are_there(void **state)
{
    (void)state;
    static const char *const flags[] = {
        "kismet-host",       "kismet-port",   "update-rate",   "export-type",   "postgres-conn",
        "influx-url",        "influx-token",  "influx-org",    "influx-bucket", "mqtt-host",
        "mqtt-port",         "mqtt-username", "mqtt-password", "server-host",   "server-port",
        "mqtt-topic-prefix", "data-format",
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (kx_option_by_flag(flags[i], strlen(flags[i])) == NULL)
            fail_msg("--%s is gone", flags[i]);
}

static void defaults_are_as_designed(void **state)
{
    (void)state;
    union object object = {0};
    struct kx_error err = {0};
    assert_int_equal(kx_options_assign_defaults(KX_SCOPE_TOP, &object.config, &err), KX_OK);
    assert_int_equal(object.config.ring_bytes, 16 << 20);
    assert_int_equal(object.config.max_devices, 200000);
    assert_int_equal(object.config.log_choice, KX_LOG_CHOICE_AUTO);
    assert_int_equal(object.config.log_format, KX_LOG_TEXT);
    assert_true(object.config.replay.speed == 1.0);
    assert_int_equal(object.config.duration_ns, 0);
    kx_options_release(KX_SCOPE_TOP, &object.config);

    object = (union object){0};
    assert_int_equal(kx_options_assign_defaults(KX_SCOPE_SOURCE, &object.source, &err), KX_OK);
    assert_string_equal(object.source.url, "http://localhost:2501");
    assert_int_equal(object.source.rate_ns, 5000000000);
    assert_int_equal(object.source.reconcile_ns, 0);
    assert_int_equal(object.source.reconnect_min_ns, 500000000);
    assert_int_equal(object.source.reconnect_max_ns, 30000000000);
    assert_int_equal(object.source.mode, KX_MODE_AUTO);
    assert_int_equal(object.source.location, KX_LOCATION_AVG);
    assert_false(object.source.tls.insecure);
    static const char *const topics[] = {
        "ALERT",
        "NEW_DEVICE",
        "NEW_DATASOURCE",
        "DATASOURCE_OPENED",
        "DATASOURCE_CLOSED",
        "DATASOURCE_ERROR",
        "DATASOURCE_PAUSED",
        "DATASOURCE_RESUMED",
        "DOT11_WPA_HANDSHAKE",
    };
    assert_int_equal(object.source.events.count, sizeof topics / sizeof topics[0]);
    for (size_t i = 0; i < object.source.events.count; i++)
        assert_string_equal(object.source.events.items[i], topics[i]);
    kx_options_release(KX_SCOPE_SOURCE, &object.source);
    assert_null(object.source.url);
    assert_int_equal(object.source.events.count, 0);
}

static void sink_defaults_are_as_designed(void **state)
{
    (void)state;
    static const struct kx_batch_config batches[KX_SINK_TYPES] = {
        [KX_SINK_CONSOLE] = {100, 256 << 10, 100000000},
        [KX_SINK_SQLITE] = {1000, 1 << 20, 1000000000},
        [KX_SINK_POSTGRES] = {1000, 1 << 20, 1000000000},
        [KX_SINK_INFLUXDB] = {5000, 1 << 20, 1000000000},
        [KX_SINK_MQTT] = {100, 256 << 10, 100000000},
        [KX_SINK_WEBHOOK] = {100, 256 << 10, 1000000000},
        [KX_SINK_SOCKET] = {100, 256 << 10, 100000000},
    };
    const struct kx_option *type = row("type", KX_SCOPE_SINK);
    const struct kx_sink_kind *kind = NULL;
    struct kx_error err = {0};
    for (unsigned i = 0; i < KX_SINK_TYPES; i++) {
        struct kx_sink_config sink = {0};
        kind = kx_sink_kind_of((enum kx_sink_type)i);
        assert_non_null(kind);
        assert_string_equal(kind->name, type->choices[i]); /* the two lists are one */
        assert_string_equal(kx_sink_type_name(kind->type), kind->name);
        assert_ptr_equal(kx_sink_kind_of_scope(kind->scope), kind);
        assert_int_equal(kx_sink_defaults(&sink, kind, &err), KX_OK);
        assert_int_equal(sink.type, i);
        assert_int_equal(sink.batch.records, batches[i].records);
        assert_int_equal(sink.batch.bytes, batches[i].bytes);
        assert_int_equal(sink.batch.interval_ns, batches[i].interval_ns);
        assert_int_equal(sink.compat, KX_COMPAT_NONE);
        assert_int_equal(sink.mac_case, KX_MAC_UPPER);
        assert_string_equal(sink.sqlite.path, "kismet.db");
        assert_int_equal(sink.tables.per_source, KX_AUTO);
        assert_false(sink.tables.history.on);
        assert_int_equal(sink.tables.history.min_interval_ns, 60000000000);
        assert_int_equal(sink.tables.history.retention_ns, 30 * 86400000000000);
        kx_sink_release(&sink);
        assert_null(sink.sqlite.path);
    }
    assert_null(type->choices[KX_SINK_TYPES]);
    assert_ptr_equal(kx_sink_kind_of_scope(KX_SCOPE_HISTORY), kx_sink_kind_of(KX_SINK_SQLITE));
    assert_null(kx_sink_kind_of_scope(KX_SCOPE_BATCH));
    assert_int_equal(kx_sink_kind_find("SQLite", &kind, &err), KX_OK);
    assert_int_equal(kx_sink_kind_find("sqlit", &kind, &err), KX_ERR_CONFIG);
    assert_string_equal(
        err.text,
        "'sqlit' is no sink, did you mean 'sqlite'? (sinks: console, sqlite, postgres, influxdb, "
        "mqtt, webhook, socket)");
}

/* Each number of the table: its least and most are taken, what lies beyond is refused. */
static void ranges_are_held(void **state)
{
    (void)state;
    unsigned checked = 0;
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        union object object = {0};
        struct kx_error err = {0};
        char text[64];
        const char *unit = option->kind == KX_OPTION_DURATION ? "ns" : "";
        bool number = option->kind == KX_OPTION_INTEGER || option->kind == KX_OPTION_SIZE ||
                      option->kind == KX_OPTION_DURATION;
        if (!number)
            continue;
        uint64_t step = option->step > 0 ? option->step : 1;
        const uint64_t values[] = {option->min, option->max, option->min - step,
                                   option->max + step};
        for (unsigned j = 0; j < 4; j++) {
            snprintf(text, sizeof text, "%llu%s", (unsigned long long)values[j], unit);
            bool zero = values[j] == 0 && option->zero != NULL;
            enum kx_code wanted = j < 2 || zero ? KX_OK : KX_ERR_CONFIG;
            if (kx_option_assign(option, &object, text, &err) != wanted)
                fail_msg("%s = %s: %s", option->help, text, err.text);
            if (wanted == KX_ERR_CONFIG)
                assert_non_null(strstr(err.text, "is out of range ("));
        }
        assert_int_equal(kx_option_assign(option, &object, "many", &err), KX_ERR_CONFIG);
        assert_non_null(strstr(err.text, "'many' is no "));
        assert_int_equal(kx_option_assign(option, &object, "-1", &err), KX_ERR_CONFIG);
        checked++;
    }
    assert_true(checked > 10);
}

static void single_values(void **state)
{
    (void)state;
    static const struct {
        enum kx_scope scope;
        const char *key, *text, *words; /* words NULL = taken */
    } rows[] = {
        {KX_SCOPE_SOURCE, "rate", "2.5", "2.5 is out of range (1s to 1h in steps of 1s)"},
        {KX_SCOPE_SOURCE, "rate", "10", NULL},
        {KX_SCOPE_SOURCE, "reconcile", "AUTO", NULL},
        {KX_SCOPE_SOURCE, "reconcile", "0", NULL},
        {KX_SCOPE_SOURCE, "reconcile", "1s", "(2s to 1h, or auto)"},
        {KX_SCOPE_SOURCE, "mode", "Poll", NULL},
        {KX_SCOPE_SOURCE, "mode", "monitr",
         "'monitr' is none of: auto, monitor, poll, did you mean 'monitor'?"},
        {KX_SCOPE_SOURCE, "mode", "yes", "'yes' is none of"},
        {KX_SCOPE_SOURCE, "view", "phy-IEEE802.11", NULL},
        {KX_SCOPE_SOURCE, "view", "../all", "no Kismet view"},
        {KX_SCOPE_SOURCE, "macs", "AA:BB:CC:DD:EE:FF, aabbcc000000/ffffff000000", NULL},
        {KX_SCOPE_SOURCE, "macs", "AA:BB:CC:DD:EE", "no MAC address"},
        {KX_SCOPE_SOURCE, "macs", "AA:BB:CC:DD:EE:FF/x", "no MAC address"},
        {KX_SCOPE_SOURCE, "macs", "AA:BB:CC:DD:EE:FF/", "no MAC address"},
        {KX_SCOPE_SOURCE, "macs", " , ", "the list is empty"},
        {KX_SCOPE_SOURCE, "regex", "kismet.device.base.name=^Free, a.b=x=y", NULL},
        {KX_SCOPE_SOURCE, "regex", "a.b=x, name=x", "'name=x' is no PATH=PATTERN"},
        {KX_SCOPE_SOURCE, "regex", "a.b=", "no PATH=PATTERN"},
        {KX_SCOPE_SOURCE, "regex", "=x.y", "no PATH=PATTERN"},
        {KX_SCOPE_SOURCE, "regex", "a.b x", "no PATH=PATTERN"},
        {KX_SCOPE_SOURCE, "regex", "a.b=\xff", "no PATH=PATTERN"},
        {KX_SCOPE_SOURCE, "url", "wss://pi", "write https://"},
        {KX_SCOPE_SOURCE, "name", "", "the value is empty"},
        {KX_SCOPE_SOURCE, "name", "a\nb", "control byte at place 2"},
        {KX_SCOPE_SOURCE, "name", "a\xff", "not UTF-8"},
        {KX_SCOPE_SOURCE, "name",
         "0123456789012345678901234567890123456789012345678901234567890123", NULL},
        {KX_SCOPE_SOURCE, "name",
         "01234567890123456789012345678901234567890123456789012345678901234", "65 bytes: 64"},
        {KX_SCOPE_SOURCE, "api_key", "", "the value is empty"},
        {KX_SCOPE_SOURCE, "api_key", "a\tb", "control byte"},
        {KX_SCOPE_TLS, "insecure", "Yes", NULL},
        {KX_SCOPE_TLS, "insecure", "maybe", "'maybe' is no true or false (true, false)"},
        {KX_SCOPE_TABLES, "per_source", "true", NULL},
        {KX_SCOPE_TABLES, "per_source", "sometimes", "'sometimes' is none of: auto, on, off"},
        {KX_SCOPE_TABLES, "history", "on", NULL},
        {KX_SCOPE_TABLES, "history", "30d", "'30d' is no true or false"},
        {KX_SCOPE_HISTORY, "retention", "forever", NULL},
        {KX_SCOPE_BATCH, "bytes", "1 MiB", NULL},
        {KX_SCOPE_BATCH, "bytes", "1MiBs", "'1MiBs' is no size"},
        {KX_SCOPE_TOP, "max_devices", "1,000_000", NULL},
        {KX_SCOPE_TOP, "max_devices", "1e6", "'1e6' is no whole number"},
        {KX_SCOPE_TOP, "sources", "x", "takes no text"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        union object object = {0};
        struct kx_error err = {0};
        const struct kx_option *option = row(rows[i].key, rows[i].scope);
        enum kx_code code = kx_option_assign(option, &object, rows[i].text, &err);
        if ((code == KX_OK) != (rows[i].words == NULL))
            fail_msg("%s: %s: %s", rows[i].key, rows[i].text, err.text);
        if (rows[i].words != NULL && strstr(err.text, rows[i].words) == NULL)
            fail_msg("%s: %s: %s", rows[i].key, rows[i].text, err.text);
        kx_options_release(rows[i].scope, &object);
    }
}

static void failure_keeps_the_old_value(void **state)
{
    (void)state;
    struct kx_source_config source = {0};
    struct kx_error err = {0};
    assert_int_equal(kx_options_assign_defaults(KX_SCOPE_SOURCE, &source, &err), KX_OK);
    static const char *const keys[] = {"url", "events", "rate", "mode", "macs"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        assert_int_not_equal(kx_option_assign(row(keys[i], KX_SCOPE_SOURCE), &source, "://", &err),
                             KX_OK);
    assert_string_equal(source.url, "http://localhost:2501");
    assert_int_equal(source.events.count, 9);
    assert_int_equal(source.rate_ns, 5000000000);

    const struct kx_option *value = row("api_key", KX_SCOPE_SOURCE);
    const struct kx_option *file = row("api_key_file", KX_SCOPE_SOURCE);
    assert_int_equal(kx_option_assign(value, &source, "s3cret", &err), KX_OK);
    assert_int_equal(kx_option_assign(file, &source, "/a/file", &err), KX_ERR_CONFIG);
    assert_non_null(strstr(err.text, "given twice"));
    assert_string_equal(kx_secret_reveal(&source.api_key), "s3cret");
    kx_options_release(KX_SCOPE_SOURCE, &source);
    assert_int_equal(kx_option_assign(file, &source, "/a/file", &err), KX_OK);
    assert_int_equal(kx_option_assign(value, &source, "s3cret", &err), KX_ERR_CONFIG);
    assert_string_equal(source.api_key.file, "/a/file"); /* and it is not opened yet */
    kx_options_release(KX_SCOPE_SOURCE, &source);
}

static void topics(void **state)
{
    (void)state;
    static const struct {
        const char *words, *wanted; /* joined by commas */
    } rows[] = {
        {"alert", "ALERT"},
        {"NEWDEVICE", "NEW_DEVICE"},
        {"newdevice,Alert,alert,NEW_DEVICE", "ALERT,NEW_DEVICE"},
        {"none", ""},
        {"datasource_*", "DATASOURCE_OPENED,DATASOURCE_CLOSED,DATASOURCE_ERROR,DATASOURCE_PAUSED,"
                         "DATASOURCE_RESUMED"},
        {"all", "ALERT,MESSAGE,NEW_DEVICE,NEW_DATASOURCE,DATASOURCE_OPENED,DATASOURCE_CLOSED,"
                "DATASOURCE_ERROR,DATASOURCE_PAUSED,DATASOURCE_RESUMED,DOT11_ADVERTISED_SSID,"
                "DOT11_RESPONSE_SSID,DOT11_PROBED_SSID,DOT11_WPA_HANDSHAKE,GPS_LOCATION,BATTERY,"
                "STATISTICS,PACKETCHAIN_STATS,RADIATION"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kx_strings list = {0};
        struct kx_error err = {0};
        char joined[1024] = "";
        assert_true(kx_strings_split(&list, rows[i].words));
        if (kx_topics_resolve(&list, &err) != KX_OK)
            fail_msg("%s", err.text);
        for (size_t j = 0; j < list.count; j++) {
            strcat(joined, j > 0 ? "," : "");
            strcat(joined, list.items[j]);
        }
        assert_string_equal(joined, rows[i].wanted);
        kx_strings_fini(&list);
    }
    static const char *const wrong[][2] = {
        {"ALRT", "'ALRT' is no event topic, did you mean 'ALERT'?"},
        {"timestamp", "heartbeat"},
        {"none,ALERT", "'none' stands alone"},
        {"FOO_*", "'FOO_*' is no event topic"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct kx_strings list = {0};
        struct kx_error err = {0};
        assert_true(kx_strings_split(&list, wrong[i][0]));
        size_t before = list.count;
        assert_int_equal(kx_topics_resolve(&list, &err), KX_ERR_CONFIG);
        if (strstr(err.text, wrong[i][1]) == NULL)
            fail_msg("%s", err.text);
        assert_int_equal(list.count, before);
        kx_strings_fini(&list);
    }
}

static void values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ns;
        bool right;
    } durations[] = {
        {"5", 5000000000, true},
        {"0.5s", 500000000, true},
        {"1.000000001s", 1000000001, true},
        {"0.0000000019s", 1, true}, /* beyond nanoseconds: cut */
        {"100 ms", 100000000, true},
        {"10m", 600000000000, true},
        {"2H", 7200000000000, true},
        {"1.5d", 129600000000000, true},
        {"0.1d", 8640000000000, true},
        {"213503d", UINT64_C(213503) * 86400000000000, true},
        {"213504d", 0, false}, /* does not fit 64 bits */
        {"18446744073709551616ns", 0, false},
        {"18446744073709551615ns", UINT64_MAX, true},
        {"", 0, false},
        {"s", 0, false},
        {"-1s", 0, false},
        {"+1s", 0, false},
        {" 1s", 0, false},
        {"1s ", 0, false},
        {"1,5s", 0, false},
        {".5s", 0, false},
        {"5.s", 0, false},
        {"0x10", 0, false},
        {"nan", 0, false},
        {"1e3", 0, false},
        {"5 fortnights", 0, false},
    };
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        uint64_t ns = 77;
        if (kx_value_duration(durations[i].text, &ns) != durations[i].right)
            fail_msg("'%s'", durations[i].text);
        assert_int_equal(ns, durations[i].right ? durations[i].ns : 77);
    }
    uint64_t value = 0;
    assert_true(kx_value_size("1.5KiB", &value) && value == 1536);
    assert_true(kx_value_size("2 mb", &value) && value == 2 << 20);
    assert_true(kx_value_size("3G", &value) && value == 3ull << 30);
    assert_true(kx_value_size("7", &value) && value == 7);
    assert_false(kx_value_size("17179869184GiB", &value));
    assert_false(kx_value_size("1TiB", &value));
    assert_true(kx_value_integer("1_000,000", &value) && value == 1000000);
    assert_false(kx_value_integer("", &value));
    assert_false(kx_value_integer("_1", &value));
    assert_false(kx_value_integer("1_", &value));
    assert_false(kx_value_integer("1__0", &value));
    assert_false(kx_value_integer("18446744073709551616", &value));
    double number = 0;
    assert_true(kx_value_number("0.25", &number) && number == 0.25);
    assert_false(kx_value_number("2x", &number));
    bool on = false;
    assert_true(kx_value_bool("ON", &on) && on);
    assert_true(kx_value_bool("False", &on) && !on);
    assert_false(kx_value_bool("1", &on));
}

static void values_as_text(void **state)
{
    (void)state;
    static const struct {
        uint64_t ns;
        const char *text;
    } rows[] = {
        {0, "0s"},
        {1, "1ns"},
        {1500, "1500ns"},
        {100000000, "100ms"},
        {90000000000, "90s"},
        {3600000000000, "1h"},
        {86400000000000, "1d"},
        {UINT64_MAX, "18446744073709551615ns"},
    };
    char out[KX_VALUE_TEXT_MAX];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t back;
        assert_string_equal(kx_value_duration_text(rows[i].ns, out), rows[i].text);
        assert_true(kx_value_duration(out, &back));
        assert_int_equal(back, rows[i].ns);
    }
    assert_string_equal(kx_value_size_text(0, out), "0");
    assert_string_equal(kx_value_size_text(65536, out), "64KiB");
    assert_string_equal(kx_value_size_text(65537, out), "65537");
    assert_string_equal(kx_value_size_text(1ull << 30, out), "1GiB");
}

static void words_about_rows(void **state)
{
    (void)state;
    static const struct {
        enum kx_scope scope;
        const char *key, *fallback, *range, *path;
    } rows[] = {
        {KX_SCOPE_TOP, "sensor", "the host name", "", "sensor"},
        {KX_SCOPE_SOURCE, "rate", "5s", "1s to 1h in steps of 1s", "sources[].rate"},
        {KX_SCOPE_TLS, "insecure", "false", "true, false", "sources[].tls.insecure"},
        {KX_SCOPE_BATCH, "records",
         "console 100, sqlite 1000, postgres 1000, influxdb 5000, mqtt 100, webhook 100, socket "
         "100",
         "1 to 100000", "sinks[].batch.records"},
        {KX_SCOPE_SQLITE, "path", "kismet.db", "", "sinks[].path (sqlite)"},
        {KX_SCOPE_HISTORY, "retention", "30d", "1h to 3650d, or forever",
         "sinks[].history.retention (sqlite, postgres)"},
        {KX_SCOPE_CONSOLE, "format", "text", "text, json", "sinks[].format (console)"},
    };
    char out[KX_OPTION_WORDS_MAX];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct kx_option *option = row(rows[i].key, rows[i].scope);
        assert_string_equal(kx_option_default_words(option, out), rows[i].fallback);
        assert_string_equal(kx_option_range_words(option, out), rows[i].range);
        assert_string_equal(kx_option_path_words(option, out), rows[i].path);
    }
    const struct kx_option *speed = kx_option_by_flag("speed", 5);
    assert_string_equal(kx_option_range_words(speed, out), "up to 1000, or max");
    assert_string_equal(kx_option_path_words(speed, out), "");
}

static void suggestions(void **state)
{
    (void)state;
    static const char *const words[] = {"rate", "name", "mode", "reconcile"};
    static const char *const rows[][2] = {
        {"rat", "rate"},    {"rates", "rate"},
        {"nmae", "name"},   {"reconsile", "reconcile"},
        {"tate", "rate"},   {"nate", "rate"},
        {"x", NULL},        {"", NULL},
        {"interval", NULL}, {"recconcil", "reconcile"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kx_suggest suggest = {.word = rows[i][0]};
        char out[KX_SUGGEST_TEXT_MAX];
        for (size_t j = 0; j < sizeof words / sizeof words[0]; j++)
            kx_suggest_offer(&suggest, words[j]);
        if (rows[i][1] == NULL) {
            assert_null(suggest.best);
            assert_string_equal(kx_suggest_text(&suggest, "", out), "");
        } else {
            if (suggest.best == NULL)
                fail_msg("nothing for %s", rows[i][0]);
            assert_string_equal(suggest.best, rows[i][1]);
        }
    }
}

/* docs/options.md is what --help-options prints, below its heading. */
static void documentation_is_the_table(void **state)
{
    (void)state;
    char *printed = NULL;
    char *kept = NULL;
    size_t size = 0;
    size_t kept_size = 0;
    FILE *memory = open_memstream(&printed, &size);
    assert_non_null(memory);
    kx_help_markdown(memory);
    assert_int_equal(fclose(memory), 0);
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        char cell[KX_OPTION_WORDS_MAX + 8];
        char path[KX_OPTION_WORDS_MAX];
        if (option->flag != NULL) {
            snprintf(cell, sizeof cell, "| `--%s` |", option->flag);
            assert_non_null(strstr(printed, cell));
        }
        if (option->key != NULL) {
            snprintf(cell, sizeof cell, "| `%s` |", kx_option_path_words(option, path));
            assert_non_null(strstr(printed, cell));
        }
    }

    FILE *file = fopen(KX_TESTS_DIR "/../docs/options.md", "r");
    if (file == NULL)
        fail_msg("docs/options.md is not there: kismet-export --help-options prints its table");
    assert_true(getdelim(&kept, &kept_size, '\0', file) > 0);
    fclose(file);
    const char *table = strstr(kept, "| file |");
    assert_non_null(table);
    if (strncmp(table, printed, size) != 0)
        fail_msg("docs/options.md is old: put in what kismet-export --help-options prints");
    free(kept);
    free(printed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_whole),
        cmocka_unit_test(script_flags_are_there),
        cmocka_unit_test(defaults_are_as_designed),
        cmocka_unit_test(sink_defaults_are_as_designed),
        cmocka_unit_test(ranges_are_held),
        cmocka_unit_test(single_values),
        cmocka_unit_test(failure_keeps_the_old_value),
        cmocka_unit_test(topics),
        cmocka_unit_test(values),
        cmocka_unit_test(values_as_text),
        cmocka_unit_test(words_about_rows),
        cmocka_unit_test(suggestions),
        cmocka_unit_test(documentation_is_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
