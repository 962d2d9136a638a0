/*
 * The option table: every key, flag and environment variable of the program, once.
 *
 * The YAML reader, the command line, --help and the README's list are made from these rows; nothing
 * else spells a key. A row says where its value lies by an offset into the struct of its scope, so
 * a new option is a new row and a new member.
 *
 * Constant data, owns nothing, any thread.
 */
#ifndef KX_CONFIG_OPTIONS_H
#define KX_CONFIG_OPTIONS_H

#include "base/error.h"
#include "config/config.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { KX_OPTIONS_MAX = 400 }; /* rows of the table at most */

/* Which mapping of the file a key stands in, and so which struct its offset is in. */
enum kx_scope {
    KX_SCOPE_INVOCATION, /* no key: what the command line and the environment ask for; struct
                          * kx_invocation
                          */
    KX_SCOPE_TOP,        /* struct kx_config */
    KX_SCOPE_LOG,        /* struct kx_config too */
    KX_SCOPE_CAPTURE,
    KX_SCOPE_STATS,
    KX_SCOPE_SOURCE,
    KX_SCOPE_EXTRA,     /* struct kx_extra_field */
    KX_SCOPE_RECONNECT, /* struct kx_source_config too */
    KX_SCOPE_TLS,
    KX_SCOPE_SINK,   /* what every sink has */
    KX_SCOPE_TABLES, /* struct kx_sink_config too, as all that follow: what several kinds share */
    KX_SCOPE_TRANSPORT, /* ... */
    KX_SCOPE_SINK_TLS,  /* struct kx_tls_config */
    KX_SCOPE_CONSOLE,   /* one kind's own */
    KX_SCOPE_SQLITE,
    KX_SCOPE_POSTGRES,
    KX_SCOPE_INFLUXDB,
    KX_SCOPE_MQTT,
    KX_SCOPE_PRESENCE,
    KX_SCOPE_WEBHOOK,
    KX_SCOPE_SOCKET,
    KX_SCOPE_BATCH,
    KX_SCOPE_FILTER,
    KX_SCOPE_GEOFENCE,
    KX_SCOPE_DELTA,
    KX_SCOPE_DEAD_LETTER,
    KX_SCOPE_HISTORY,
    KX_SCOPE_RETENTION,
    KX_SCOPES,
};

enum kx_option_kind {
    KX_OPTION_TEXT,        /* char * */
    KX_OPTION_PATH,        /* char * */
    KX_OPTION_URL,         /* char *, made canonical */
    KX_OPTION_INTEGER,     /* uint32_t or uint64_t */
    KX_OPTION_SIZE,        /* uint64_t, bytes */
    KX_OPTION_DURATION,    /* uint64_t, ns */
    KX_OPTION_NUMBER,      /* double above 0 */
    KX_OPTION_REAL,        /* struct kx_real: from -max to max */
    KX_OPTION_RATE,        /* uint32_t, a second */
    KX_OPTION_BOOL,        /* bool */
    KX_OPTION_CHOICE,      /* enum: the place of the word among the choices */
    KX_OPTION_LIST,        /* struct kx_strings */
    KX_OPTION_PAIRS,       /* struct kx_strings of "key=value"; in the file a mapping */
    KX_OPTION_SECRET,      /* struct kx_secret: the value itself */
    KX_OPTION_SECRET_FILE, /* struct kx_secret: the file that it is in */
    KX_OPTION_SECTION,     /* a mapping of its own, scope `child` */
    KX_OPTION_ITEMS,       /* a list of mappings, scope `child` */
};

/* What a changed value takes to be heeded. A section's holds for what is in it. */
enum kx_reload {
    KX_RELOAD_RESTART, /* a new start */
    KX_RELOAD_LIVE,    /* nothing: SIGHUP swaps it */
    KX_RELOAD_REOPEN,  /* of a sink: SIGHUP closes and opens it between two batches */
};

/* Under which heading --help shows a flag, in this order. */
enum kx_option_group {
    KX_GROUP_KISMET,
    KX_GROUP_EXPORT,
    KX_GROUP_TABLES,
    KX_GROUP_SQLITE,
    KX_GROUP_POSTGRES,
    KX_GROUP_INFLUXDB,
    KX_GROUP_MQTT,
    KX_GROUP_WEBHOOK,
    KX_GROUP_SOCKET,
    KX_GROUP_REPLAY, /* and capture */
    KX_GROUP_LIMITS,
    KX_GROUP_PROGRAM,
    KX_GROUPS,
};

struct kx_option {
    const char *key;  /* in its scope; NULL = not in the file */
    const char *flag; /* without "--"; NULL = only in the file */
    const char *env;  /* NULL = none */
    const char *arg;  /* what --help calls the value; NULL = a flag without a value */
    const char *help; /* one sentence, no full stop */
    char letter;      /* -c; 0 = none */
    enum kx_option_kind kind;
    enum kx_scope scope, child;
    enum kx_option_group group;
    size_t offset, width; /* of the member in the scope's struct */
    const char *fallback; /* default, as somebody would write it; NULL = absent, or said so: */
    const char *fallback_words; /* the default in words */
    const char *const *choices; /* CHOICE: NULL-terminated, in the order of the enum */
    const char *zero;           /* the word that means 0 (in numbers); NULL = 0 is a number */
    uint64_t min, max;          /* numbers; max 0 = no range */
    uint64_t step;              /* numbers: a multiple of this; 0 = any */
    unsigned commands;          /* bits 1 << enum kx_command that know the flag; 0 = all */
    enum kx_reload reload;
    bool single;        /* for one Kismet: useless when the file names several */
    bool credential;    /* config/credential.c combines it */
    bool placed;        /* SECTION: its struct begins with the line where it stands */
    bool shorthand;     /* SECTION: `key: true` sets a bool at its beginning */
    bool lenient;       /* a flag of the script: useless = a warning, not an error */
    const char *better; /* SECRET: the flag to use instead of this one */
    /* SECRET: whether this value has one in it; NULL = every value is one. */
    bool (*is_secret)(const char *value);
    /* Checks, or makes canonical, the stored value; NULL = nothing to check. */
    enum kx_code (*check)(void *field, struct kx_error *err);
};

/* Where KX_SCOPE_INVOCATION lies. */
struct kx_invocation {
    char *file; /* --config */
    char *host; /* --kismet-host; NULL = not given */
    uint32_t port;
    struct kx_strings types; /* --export-type */
    char *format;            /* --data-format: of the sinks that have such a one */
};

/* What the environment or the command line gives, by row; NULL = nothing. Borrowed texts. */
struct kx_given {
    char *values[KX_OPTIONS_MAX];
};

/* The rows, in the order of the documentation. */
size_t kx_option_count(void);
const struct kx_option *kx_option_at(size_t i);
size_t kx_option_index(const struct kx_option *option);
const struct kx_option *kx_option_by_flag(const char *flag, size_t length);
/* The row of a member; it must exist. */
const struct kx_option *kx_option_by_member(enum kx_scope scope, size_t offset);
/* The section or list that a scope is the inside of, or NULL. */
const struct kx_option *kx_option_parent(enum kx_scope scope);

/* Puts "--flag" or "NAME in the environment" before an error; a wrong value of a flag is a wrong
 * command line, so KX_ERR_CONFIG becomes KX_ERR_USAGE. Returns the code. */
enum kx_code kx_option_blame(const struct kx_option *option,
                             bool by_flag,
                             enum kx_code code,
                             struct kx_error *err);

enum { KX_OPTION_WORDS_MAX = 256 };
/* The default as people read it: "5s", "the host name", "" when there is none. Returns out. */
const char *kx_option_default_words(const struct kx_option *option, char out[KX_OPTION_WORDS_MAX]);
/* What is allowed: "1s to 1h", "auto, monitor, poll", "" when nothing is worth saying. */
const char *kx_option_range_words(const struct kx_option *option, char out[KX_OPTION_WORDS_MAX]);
/* Where the key stands: "sources[].tls.ca_file", "sinks[].path (sqlite)", "" when nowhere. */
const char *kx_option_path_words(const struct kx_option *option, char out[KX_OPTION_WORDS_MAX]);

#endif
