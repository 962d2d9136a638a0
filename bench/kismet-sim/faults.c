/* The table of faults. */
#include "faults.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct fault_name {
    const char *name;
    size_t offset;
    const char *values[8]; /* in the order of the enum; none = a whole number */
};

static const struct fault_name names[] = {
    {"monitor", offsetof(struct faults, monitor), {"changed", "repeat", "once", "never"}},
    {"timestamp", offsetof(struct faults, timestamp), {"on", "stalled", "recorded"}},
    {"rest",
     offsetof(struct faults, rest),
     {"ok", "slow", "fail503", "fail404", "fail401", "hang", "half"}},
    {"handshake",
     offsetof(struct faults, handshake),
     {"ok", "stall", "reject401", "reject404", "reject503", "badaccept"}},
    {"datasource", offsetof(struct faults, datasource), {"ok", "error", "stopped", "none"}},
    {"eventbus", offsetof(struct faults, eventbus), {"ok", "ignore"}},
    {"admin", offsetof(struct faults, admin), {"set", "unset"}},
    {"duplicate-events", offsetof(struct faults, duplicate), {"off", "on"}},
    {"pushes", offsetof(struct faults, pushes), {"on", "off"}},
    {"sending", offsetof(struct faults, sending), {"on", "off"}},
    {"frozen", offsetof(struct faults, frozen), {"off", "on"}},
    {"clock-skew", offsetof(struct faults, skew_s), {NULL}},
    {"packet-clock", offsetof(struct faults, packets_s), {NULL}},
    {"slow-ms", offsetof(struct faults, slow_ms), {NULL}},
};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

static int *field(struct faults *f, const struct fault_name *n)
{
    return (int *)(void *)((char *)f + n->offset);
}

static bool set_number(int *field, const char *value, struct text *why)
{
    char *stop;
    long n = strtol(value, &stop, 10);
    if (*stop || stop == value || n < -2000000000L || n > 2000000000L) {
        text_addf(why, "'%s' is not a whole number", value);
        return false;
    }
    *field = (int)n;
    return true;
}

bool faults_set(struct faults *f, const char *name, const char *value, struct text *why)
{
    for (size_t i = 0; i < NAMES; i++) {
        const struct fault_name *n = &names[i];
        if (strcmp(n->name, name) != 0)
            continue;
        if (!n->values[0])
            return set_number(field(f, n), value, why);
        for (int v = 0; v < 8 && n->values[v]; v++) {
            if (strcmp(n->values[v], value) == 0) {
                *field(f, n) = v;
                return true;
            }
        }
        text_addf(why, "%s: expected", name);
        for (int v = 0; v < 8 && n->values[v]; v++)
            text_addf(why, "%s%s", v ? "|" : " ", n->values[v]);
        return false;
    }
    text_addf(why, "no such fault: %s", name);
    return false;
}

void faults_print(const struct faults *f, struct text *out)
{
    text_adds(out, "{");
    for (size_t i = 0; i < NAMES; i++) {
        const struct fault_name *n = &names[i];
        int value = *(const int *)(const void *)((const char *)f + n->offset);
        text_addf(out, "%s\"%s\": ", i ? ", " : "", n->name);
        if (n->values[0])
            text_addjson(out, n->values[value]);
        else
            text_addi(out, value);
    }
    text_adds(out, "}");
}
