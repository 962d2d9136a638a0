/*
 * The configuration: one validated, constant struct, made from file, environment and command line.
 *
 * kx_config_load fills it before any thread starts; afterwards it is read-only and every thread may
 * read it. Owns all of its strings; kx_config_destroy frees them and wipes the secrets. Precedence:
 * command line, then environment, then file, then default. Every key stands once in options.c, and
 * from there come the YAML parser, --help and the option list of the documentation.
 */
#ifndef KX_CONFIG_CONFIG_H
#define KX_CONFIG_CONFIG_H

#include "base/error.h"
#include "base/log.h"
#include "config/extra.h"
#include "config/secret.h"
#include "config/strings.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KX_SOURCES_MAX = 256,
    KX_SINKS_MAX = 32,
    KX_NAME_BYTES_MAX = 64, /* of a sensor, source or sink */
    KX_PRESENCE_MACS_MAX = 256,
};

enum kx_command {
    KX_COMMAND_RUN,    /* kismet-export [run] */
    KX_COMMAND_REPLAY, /* kismet-export replay FILE */
    KX_COMMAND_CHECK,  /* read the configuration, say what it means, exit */
    KX_COMMAND_PROBE,  /* test every source and every sink, say what is wrong */
    KX_COMMAND_SCHEMA, /* print the SQL that a sink's database wants */
    KX_COMMAND_LOGIN,  /* kismet-export login [URL]: make an API key */
};

enum kx_source_mode { KX_MODE_AUTO, KX_MODE_MONITOR, KX_MODE_POLL };
enum kx_location { KX_LOCATION_AVG, KX_LOCATION_LAST, KX_LOCATION_PEAK };
enum kx_mac_case { KX_MAC_UPPER, KX_MAC_LOWER };
enum kx_format { KX_FORMAT_TEXT, KX_FORMAT_JSON, KX_FORMAT_CSV, KX_FORMAT_SIMPLE };
/* Of a record as a line. */
enum kx_socket_format { KX_SOCKET_JSON, KX_SOCKET_CSV, KX_SOCKET_SIMPLE };
enum kx_protocol { KX_PROTOCOL_TCP, KX_PROTOCOL_TLS, KX_PROTOCOL_UDP };
enum kx_compat { KX_COMPAT_NONE, KX_COMPAT_SCRIPT };
enum kx_switch { KX_AUTO, KX_ON, KX_OFF };
/* Who makes and completes a database's tables: we, or somebody else whom we check, or ask nothing.
 */
enum kx_migrate { KX_MIGRATE_AUTO, KX_MIGRATE_CHECK, KX_MIGRATE_OFF };

/* How TLS is spoken to one end. Empty strings are never stored: absent is NULL. */
struct kx_tls_config {
    char *ca_file;   /* PEM; NULL = the system's */
    char *cert_file; /* PEM client certificate */
    char *key_file;  /* its key */
    bool insecure;   /* verify nothing; loud */
};

struct kx_source_config {
    char *name;    /* default: the sensor's name for a loopback Kismet, else host:port */
    char *url;     /* http(s)://host:port[/prefix]; NULL = a replay */
    unsigned line; /* where it stands in the file; 0 = command line or default */
    struct kx_secret api_key;
    char *user; /* HTTP Basic, only when given */
    struct kx_secret password;
    uint64_t rate_ns;      /* device updates each */
    uint64_t reconcile_ns; /* 0 = 2 x rate */
    enum kx_source_mode mode;
    char *view; /* NULL = all */
    struct kx_strings macs;
    struct kx_strings regex;      /* PATH=PATTERN; REST alone knows them, so mode is poll */
    struct kx_strings events;     /* topics */
    struct kx_extra_fields extra; /* other fields of Kismet's, for `extra` */
    enum kx_location location;
    uint64_t reconnect_min_ns, reconnect_max_ns;
    struct kx_tls_config tls;
};

struct kx_batch_config {
    uint32_t records;
    uint64_t bytes;
    uint64_t interval_ns;
};

struct kx_history_config {
    bool on; /* first: `history: true` is short for it */
    uint64_t min_interval_ns;
    uint64_t retention_ns; /* 0 = for ever */
};

/* How long rows are kept; 0 = for ever. */
struct kx_retention_config {
    uint64_t devices_ns;
    uint64_t history_ns; /* 0 = as the history's own retention says */
    uint64_t events_ns;
};

/* A number that may be absent, and below 0. */
struct kx_real {
    double value;
    bool given;
};

enum kx_fence_unknown { KX_FENCE_DROP, KX_FENCE_PASS };

/* A circle or a box, checked to be one of them when it is given. */
struct kx_geofence_config {
    unsigned line; /* first: where it stands in the file; 0 = not there */
    struct kx_real lat, lon;
    double radius_m;
    struct kx_real lat_min, lat_max, lon_min, lon_max;
    enum kx_fence_unknown unknown; /* a device without a place */
};

enum kx_random { KX_RANDOM_ANY, KX_RANDOM_ONLY, KX_RANDOM_NEVER };
/* Kismet's levels are 0, 5, 10, 15 and 20. */
enum kx_severity {
    KX_SEVERITY_ANY,
    KX_SEVERITY_INFO,
    KX_SEVERITY_LOW,
    KX_SEVERITY_MEDIUM,
    KX_SEVERITY_HIGH,
    KX_SEVERITY_CRITICAL,
};

/* Which records a sink gets; all zero = every one. */
struct kx_filter_config {
    struct kx_strings phy_type, device_type;
    struct kx_strings macs_allow, macs_deny;
    enum kx_random mac_random;
    struct kx_real min_signal_dbm;
    struct kx_geofence_config geofence;
    char *name;               /* a regular expression; NULL = any */
    struct kx_strings topics; /* of events; "none" alone = no event */
    enum kx_severity min_severity;
};

enum kx_delta_mode { KX_DELTA_CHANGED, KX_DELTA_FIELDS, KX_DELTA_OFF };

/* When a device is told again. */
struct kx_delta_config {
    enum kx_delta_mode mode;
    struct kx_strings deadband; /* "signal_dbm=3" */
    struct kx_strings ignore;   /* fields */
    uint64_t heartbeat_ns;      /* 0 = off, as of the others */
    uint64_t min_interval_ns;
    uint64_t max_age_ns;
    uint32_t max_rate; /* devices a second */
};

enum kx_mqtt_protocol { KX_MQTT_AUTO, KX_MQTT_ONLY_5, KX_MQTT_ONLY_311 };
enum kx_mqtt_form { KX_MQTT_DEVICE, KX_MQTT_DELTA, KX_MQTT_BATCH };

/* Whether watched devices are near. */
struct kx_presence_config {
    struct kx_strings macs; /* none = nobody is watched */
    uint64_t away_after_ns;
    bool discovery; /* announced to Home Assistant */
    char *discovery_prefix;
};

struct kx_mqtt_config {
    char *url;     /* mqtt(s)://host[:port]; checked to be there */
    uint32_t port; /* 0 = the url's, or its scheme's */
    char *prefix;
    char *topic; /* a template; NULL = {prefix}/devices/{mac} */
    char *username;
    struct kx_secret password;
    char *client_id; /* NULL = made from sensor, machine and sink */
    enum kx_mqtt_protocol protocol;
    uint32_t qos;
    bool retain;        /* of devices */
    uint64_t expiry_ns; /* 0 = never */
    uint64_t keep_alive_ns;
    enum kx_mqtt_form payload;
    struct kx_presence_config presence;
};

/* Where records go that the far end can never take. */
struct kx_dead_letter_config {
    bool on;    /* first: `dead_letter: off` is short for it */
    char *path; /* NULL = there is no place: no home */
    uint64_t bytes;
};

enum kx_webhook_format { KX_WEBHOOK_ARRAY, KX_WEBHOOK_NDJSON };
enum kx_webhook_probe { KX_WEBHOOK_PROBE_OPTIONS, KX_WEBHOOK_PROBE_EMPTY };

enum { KX_WEBHOOK_HEADERS_MAX = 64 };

struct kx_webhook_config {
    char *url; /* http(s)://...; its path and query may be a secret */
    enum kx_webhook_format format;
    struct kx_strings headers; /* "Name=value"; values may be secrets */
    struct kx_secret secret;   /* of the signature; not set = none */
    bool gzip;
    enum kx_webhook_probe probe;
};

enum kx_sink_type {
    KX_SINK_CONSOLE,
    KX_SINK_SQLITE,
    KX_SINK_POSTGRES,
    KX_SINK_INFLUXDB,
    KX_SINK_MQTT,
    KX_SINK_WEBHOOK,
    KX_SINK_SOCKET,
    KX_SINK_TYPES,
};

enum kx_influx_api { KX_INFLUX_V2, KX_INFLUX_V1, KX_INFLUX_V3 };
enum kx_influx_precision { KX_INFLUX_NS, KX_INFLUX_US, KX_INFLUX_MS, KX_INFLUX_S };
enum kx_influx_time { KX_INFLUX_LAST_SEEN, KX_INFLUX_RECEIVED };
enum kx_influx_mac { KX_INFLUX_MAC_TAG, KX_INFLUX_MAC_FIELD, KX_INFLUX_MAC_BOTH };

struct kx_influxdb_config {
    char *url; /* http(s)://host[:port][/prefix] */
    enum kx_influx_api api;
    char *org;    /* v2; NULL = not said */
    char *bucket; /* of v1 and v3 the database, of v1 perhaps DATABASE/POLICY */
    char *user;   /* v1 */
    struct kx_secret token, password;
    enum kx_influx_precision precision;
    enum kx_influx_time timestamp;
    enum kx_influx_mac mac_as;
    enum kx_switch gzip; /* auto = to another host */
};

/* When a COMMIT is confirmed; as the server does by itself, or by PostgreSQL's own words. */
enum kx_sync_commit {
    KX_SYNC_SERVER,
    KX_SYNC_OFF,
    KX_SYNC_LOCAL,
    KX_SYNC_REMOTE_WRITE,
    KX_SYNC_ON,
    KX_SYNC_REMOTE_APPLY,
};

struct kx_sink_config {
    char *name; /* default: its type, with -2, -3 ... when there are several */
    enum kx_sink_type type;
    unsigned line; /* where it stands in the file; 0 = command line or default */
    struct kx_batch_config batch;
    struct kx_filter_config filter;
    struct kx_delta_config delta;
    struct kx_dead_letter_config dead_letter;
    enum kx_compat compat;
    enum kx_mac_case mac_case;
    struct kx_strings fields; /* names of what leaves the program; none = all */
    struct {
        enum kx_format format;
    } console;
    struct {                       /* of the kinds that keep tables */
        enum kx_switch per_source; /* kismet_device_sources; auto = with more than one source */
        struct kx_history_config history;
    } tables;
    struct kx_tls_config tls; /* of the kinds that speak to a server through us */
    struct {
        char *path;
    } sqlite;
    struct {
        char *host; /* NULL only where it was not given, and then there is no start */
        uint32_t port;
        enum kx_protocol protocol;
        enum kx_socket_format format;
        bool formula_guard;
    } socket;
    struct kx_influxdb_config influxdb;
    struct kx_webhook_config webhook;
    struct {
        struct kx_secret conn; /* URI or "key=value ..."; it may have a password in it */
        struct kx_secret password;
        enum kx_switch pooler;
        enum kx_sync_commit synchronous_commit;
        char *schema; /* NULL = where the search_path leads */
        enum kx_migrate migrate;
        struct kx_strings indexes; /* columns of kismet_devices */
        struct kx_retention_config retention;
    } postgres;
    struct kx_mqtt_config mqtt;
};

/* enum kx_log_level's words, and one more. */
enum kx_log_choice {
    KX_LOG_CHOICE_ERROR,
    KX_LOG_CHOICE_WARNING,
    KX_LOG_CHOICE_INFO,
    KX_LOG_CHOICE_DEBUG,
    KX_LOG_CHOICE_AUTO,
};

/* What a replayed frame counts as received at. */
enum kx_replay_time { KX_TIME_RECORDED, KX_TIME_NOW };

struct kx_replay_config {
    char *path;
    double speed; /* times the recorded pace; 0 = as fast as it goes */
    enum kx_replay_time time;
};

/* The raw frames of a run, kept in a file. */
struct kx_capture_config {
    char *path;     /* NULL = no capture */
    uint64_t bytes; /* on disk, of one file */
    uint32_t files; /* with the older ones: path, path.1, ... */
};

/* The port that shows what the program does. */
struct kx_stats_config {
    char *listen;     /* as stats/listen.h has it; NULL = nobody asked for a place */
    char *token_file; /* NULL = no token */
    char *cert_file, *key_file, *client_ca_file;
};

/* For which Kismet `login` makes a key, and where it goes. */
struct kx_login_config {
    char *url;          /* from the command line; NULL = not given there */
    bool address_given; /* by that, by --kismet-host and the like, or by the file: do not ask */
    char *key_file;     /* NULL = in the user's configuration directory */
};

struct kx_saved_call; /* the command line's own words, to be heeded again by a reload */

struct kx_config {
    enum kx_command command;
    struct kx_saved_call *call;
    char *path;   /* of the YAML file, NULL when none */
    char *sensor; /* default: the host name */
    struct kx_source_config *sources;
    size_t source_count;
    struct kx_sink_config *sinks;
    size_t sink_count;
    struct kx_replay_config replay;
    struct kx_capture_config capture;
    struct kx_stats_config stats;
    struct kx_login_config login;
    char *schema_sink; /* --sink: whose SQL `schema` prints; NULL = not given */
    bool once;
    uint64_t duration_ns; /* 0 = until a signal */
    uint64_t ring_bytes;
    uint32_t max_devices;
    enum kx_log_choice log_choice; /* as asked for */
    enum kx_log_level log_level;   /* what follows from it */
    bool no_progress;
    bool progress; /* standard error is a terminal for the progress view */
    enum kx_log_format log_format;
    struct kx_strings warnings; /* lines for the log, once it is configured */
};

/*
 * Reads the command line, the environment and the file that they name. On success *ret_config is
 * the caller's to destroy; he configures the log from it and then logs its warnings (a secret on
 * argv, a secret file that others can read, TLS that verifies nothing). KX_ERR_USAGE: exit 64;
 * KX_ERR_CONFIG: exit 78, err names file and line, or flag, and the remedy. --help, --version and
 * --help-options print to standard output, set *ret_done and leave *ret_config NULL. The bytes of
 * secrets in argv are overwritten, so argv must be writable, as main's is.
 *
 * With `replay` there is exactly one source, without url; its name is the sensor's. With `login`
 * there is exactly one, too, with its settings from the file when it stands there; of credentials
 * only user and password are looked for, and their absence is no error.
 */
enum kx_code kx_config_load(
    int argc, char **argv, struct kx_config **ret_config, bool *ret_done, struct kx_error *err);
void kx_config_destroy(struct kx_config *config);

/* By name; NULL = there is none. */
const struct kx_source_config *kx_config_source(const struct kx_config *config, const char *name);
const struct kx_sink_config *kx_config_sink(const struct kx_config *config, const char *name);

/* What a sink writes of a device: bit (1ull << enum kx_field); mac_addr always. */
uint64_t kx_sink_fields(const struct kx_sink_config *sink);

/* "console", "sqlite": what `type:` and --export-type call it. */
const char *kx_sink_type_name(enum kx_sink_type type);

#endif
