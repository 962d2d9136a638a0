/* The table of faults; what its columns mean stands in the header. */
#include "sinks/postgres_sqlstate.h"

#include <string.h>

static const struct kx_postgres_fault faults[] = {
    /* The connection, the server's state, its resources: nobody's fault, it passes. */
    {"08", KX_RETRY, KX_ERR_UNAVAILABLE, false, NULL},
    {"25006", KX_RETRY, KX_ERR_UNAVAILABLE, false,
     "this server is a standby or read-only; name all hosts in `conn`, and the one that takes "
     "writes is found"},
    {"40", KX_RETRY, KX_ERR_TIMEOUT, true, "another transaction was in the way; tried again"},
    {"53", KX_RETRY, KX_ERR_UNAVAILABLE, false, "the server is short of something"},
    {"53100", KX_RETRY, KX_ERR_UNAVAILABLE, false, "make room on the server's disk"},
    {"53300", KX_RETRY, KX_ERR_UNAVAILABLE, false,
     "raise max_connections, or put a pooler before the server"},
    {"55P03", KX_RETRY, KX_ERR_TIMEOUT, true, "another session holds a lock; pg_locks says which"},
    {"57", KX_RETRY, KX_ERR_UNAVAILABLE, false, NULL},
    {"57014", KX_RETRY, KX_ERR_TIMEOUT, true,
     "the statement took longer than the call had time; is the server overloaded?"},
    {"57P04", KX_HOLD, KX_ERR_NOT_FOUND, false, "the database was dropped; create it"},
    {"58", KX_RETRY, KX_ERR_UNAVAILABLE, false, "the server's own log says more"},

    /* Somebody has to do something. */
    {"28", KX_HOLD, KX_ERR_AUTH, false, "check user and password, and the server's pg_hba.conf"},
    {"3D000", KX_HOLD, KX_ERR_NOT_FOUND, false, "create it: createdb -E UTF8 -T template0 NAME"},
    {"3F", KX_HOLD, KX_ERR_NOT_FOUND, false, "create the schema, or set `schema`"},
    {"42", KX_HOLD, KX_ERR_CONFIG, false,
     "a table is not as we make it; `kismet-export probe` says how"},
    {"42501", KX_HOLD, KX_ERR_AUTH, false,
     "grant it; `kismet-export probe` and deploy/sql/roles.sql say how"},
    {"42P01", KX_HOLD, KX_ERR_NOT_FOUND, false, "set `migrate: auto`, or create the table"},
    {"42703", KX_HOLD, KX_ERR_NOT_FOUND, false, "set `migrate: auto`, or add the column"},

    /* The record's fault. */
    {"22", KX_REJECTED, KX_ERR_PARSE, true, "no column can hold this value"},
    {"23", KX_REJECTED, KX_ERR_PARSE, true, "a constraint of the table refuses this row"},
};

static const struct kx_postgres_fault unknown = {"", KX_RETRY, KX_ERR_IO, false, NULL};
static const struct kx_postgres_fault no_connection = {"", KX_RETRY, KX_ERR_UNAVAILABLE, false,
                                                       NULL};

const struct kx_postgres_fault *kx_postgres_fault_find(const char *state)
{
    const struct kx_postgres_fault *found = &unknown;
    if (state[0] == '\0')
        return &no_connection;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        size_t length = strlen(faults[i].state);
        if (length > strlen(found->state) && strncmp(faults[i].state, state, length) == 0)
            found = &faults[i];
    }
    return found;
}
