/* Simplification. The paths form a tree, so one walk over the record finds all of them, and it
 * stops as soon as the last one is found. */
#include "fields.h"

#include <stdlib.h>
#include <string.h>

struct field {
    char *path;
    char *label;       /* the output name as JSON, quotes and colon included */
    char *alias;       /* unquoted, for records that were recorded with fields */
    const char *known; /* the alias of our own captures, or "" */
    struct span value;
    int next; /* another field of the same path, -1 = none */
};

struct node {
    char *name;
    size_t length;
    int child;   /* -1 = leaf */
    int sibling; /* ring: the last sibling points to the first */
    int field;   /* -1 = no field ends here */
};

struct fields {
    struct field *field;
    size_t count;
    struct node *node; /* [0] is the record itself */
    size_t nodes;
    size_t leaves; /* nodes with a field: when that many are found the walk ends */
    size_t left;
    bool due;
};

static const char due_path[] = "kismet.sim.due_ns";

/* What `captures/` were recorded with. */
static const char *const aliases[][2] = {
    {"kismet.device.base.key", "key"},
    {"kismet.server.uuid", "server_uuid"},
    {"kismet.device.base.macaddr", "mac_addr"},
    {"kismet.device.base.name", "name"},
    {"kismet.device.base.commonname", "common_name"},
    {"kismet.device.base.username", "username"},
    {"kismet.device.base.phyname", "phy_type"},
    {"kismet.device.base.manuf", "manufacturer"},
    {"kismet.device.base.type", "device_type"},
    {"kismet.device.base.crypt", "crypt"},
    {"kismet.device.base.first_time", "first_seen"},
    {"kismet.device.base.last_time", "last_seen"},
    {"kismet.device.base.mod_time", "mod_time"},
    {"kismet.device.base.channel", "channel"},
    {"kismet.device.base.frequency", "frequency"},
    {"kismet.device.base.packets.total", "total_packets"},
    {"kismet.device.base.packets.tx_total", "tx_packets"},
    {"kismet.device.base.packets.rx_total", "rx_packets"},
    {"kismet.device.base.datasize", "data_size"},
    {"kismet.device.base.num_alerts", "num_alerts"},
    {"kismet.device.base.signal/kismet.common.signal.last_signal", "signal_dbm"},
    {"kismet.device.base.signal/kismet.common.signal.last_noise", "noise_dbm"},
    {"kismet.device.base.signal/kismet.common.signal.type", "signal_type"},
    {"kismet.device.base.location/kismet.common.location.avg_loc/kismet.common.location.geopoint",
     "geopoint"},
    {"kismet.device.base.location/kismet.common.location.avg_loc/kismet.common.location.alt",
     "altitude"},
    {"kismet.device.base.location/kismet.common.location.avg_loc/kismet.common.location.fix",
     "fix"},
};

const char *fields_alias(const char *path)
{
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (strcmp(aliases[i][0], path) == 0)
            return aliases[i][1];
    }
    return "";
}

static int add_node(struct fields *f, const char *name, size_t length)
{
    f->node = xrealloc(f->node, (f->nodes + 1) * sizeof(*f->node));
    int index = (int)f->nodes++;
    char *copy = xmalloc(length + 1);
    memcpy(copy, name, length);
    copy[length] = '\0';
    f->node[index] =
        (struct node){.name = copy, .length = length, .child = -1, .sibling = index, .field = -1};
    return index;
}

static int find_child(const struct fields *f, int parent, const char *name, size_t length)
{
    int first = f->node[parent].child;
    for (int i = first; i >= 0;) {
        if (f->node[i].length == length && memcmp(f->node[i].name, name, length) == 0)
            return i;
        i = f->node[i].sibling;
        if (i == first)
            break;
    }
    return -1;
}

static int child_of(struct fields *f, int parent, const char *name, size_t length)
{
    int found = find_child(f, parent, name, length);
    if (found >= 0)
        return found;
    found = add_node(f, name, length);
    int last = f->node[parent].child;
    if (last >= 0) {
        /* `child` is the newest: its sibling is the oldest, so the ring keeps the asked order. */
        f->node[found].sibling = f->node[last].sibling;
        f->node[last].sibling = found;
    }
    f->node[parent].child = found;
    return found;
}

static void add_path(struct fields *f, int index)
{
    int node = 0;
    for (const char *at = f->field[index].path; *at;) {
        size_t length = strcspn(at, "/");
        if (length)
            node = child_of(f, node, at, length);
        at += length + (at[length] == '/');
    }
    if (node == 0)
        return;
    f->leaves += f->node[node].field < 0;
    f->field[index].next = f->node[node].field;
    f->node[node].field = index;
}

/* Takes over the path; the alias is raw JSON text without quotes, or absent. */
static void add_field(struct fields *f, char *path, struct span alias)
{
    f->field = xrealloc(f->field, (f->count + 1) * sizeof(*f->field));
    struct field *field = &f->field[f->count++];
    const char *slash = strrchr(path, '/');
    const char *last = slash ? slash + 1 : path;
    if (!alias.at)
        alias = (struct span){last, strlen(last)};
    struct text label = {0};
    text_add(&label, "\"", 1);
    text_addspan(&label, alias);
    text_adds(&label, "\": ");
    text_c(&label);
    char *bare = xmalloc(alias.length + 1);
    memcpy(bare, alias.at, alias.length);
    bare[alias.length] = '\0';
    *field = (struct field){
        .path = path, .label = label.at, .alias = bare, .known = fields_alias(path), .next = -1};
    f->due = f->due || strcmp(path, due_path) == 0;
}

static bool add_request(struct fields *f, struct span item)
{
    if (json_is_string(item)) {
        add_field(f, json_text(item), (struct span){0});
        return true;
    }
    struct json_walk walk;
    struct span path, alias, more;
    if (!json_array(item, &walk) || !json_element(&walk, &path) || !json_element(&walk, &alias) ||
        json_element(&walk, &more) || walk.bad || !json_is_string(path) || !json_is_string(alias))
        return false;
    add_field(f, json_text(path), (struct span){alias.at + 1, alias.length - 2});
    return true;
}

struct fields *fields_compile(struct span list, const char **ret_why)
{
    struct fields *f = xmalloc(sizeof(*f));
    *f = (struct fields){0};
    add_node(f, "", 0);
    struct json_walk walk;
    struct span item;
    if (!list.at)
        return f;
    bool good = json_array(list, &walk);
    while (good && json_element(&walk, &item))
        good = add_request(f, item);
    if (!good || walk.bad) {
        *ret_why = "fields: expected [\"path\", [\"path\", \"alias\"], ...]";
        fields_free(f);
        return NULL;
    }
    for (size_t i = 0; i < f->count; i++)
        add_path(f, (int)i);
    return f;
}

void fields_free(struct fields *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->count; i++) {
        free(f->field[i].path);
        free(f->field[i].label);
        free(f->field[i].alias);
    }
    for (size_t i = 0; i < f->nodes; i++)
        free(f->node[i].name);
    free(f->field);
    free(f->node);
    free(f);
}

bool fields_whole(const struct fields *f)
{
    return f->count == 0;
}

bool fields_wants_due(const struct fields *f)
{
    return f->due;
}

static void found(struct fields *f, int node, struct span value)
{
    if (f->field[f->node[node].field].value.at)
        return;
    f->left--;
    for (int i = f->node[node].field; i >= 0; i = f->field[i].next)
        f->field[i].value = value;
}

/* Recursion goes as deep as the longest asked path, never as deep as the record. */
static void walk_object(struct fields *f, int parent, struct span object)
{
    struct json_walk walk;
    struct span key, value;
    if (!json_object(object, &walk))
        return;
    /* Records keep their order, and so do most requests: the next key is probably the next child.
     */
    int expected = f->node[f->node[parent].child].sibling;
    while (f->left && json_member(&walk, &key, &value)) {
        int node = expected;
        do {
            if (f->node[node].length == key.length &&
                memcmp(f->node[node].name, key.at, key.length) == 0) {
                expected = f->node[node].sibling;
                if (f->node[node].field >= 0)
                    found(f, node, value);
                if (f->node[node].child >= 0 && *value.at == '{')
                    walk_object(f, node, value);
                break;
            }
            node = f->node[node].sibling;
        } while (node != expected);
    }
}

static void walk_aliased(struct fields *f, struct span record)
{
    struct json_walk walk;
    struct span key, value;
    if (!json_object(record, &walk))
        return;
    while (json_member(&walk, &key, &value)) {
        for (size_t i = 0; i < f->count; i++) {
            struct field *field = &f->field[i];
            if (span_is(key, field->alias) || span_is(key, field->known))
                field->value = value;
        }
    }
}

void fields_apply(
    struct fields *f, struct span record, bool aliased, uint64_t due_ns, struct text *out)
{
    if (fields_whole(f)) {
        text_addspan(out, record);
        return;
    }
    for (size_t i = 0; i < f->count; i++)
        f->field[i].value = (struct span){0};
    f->left = f->leaves;
    if (aliased)
        walk_aliased(f, record);
    else if (f->node[0].child >= 0)
        walk_object(f, 0, record);
    for (size_t i = 0; i < f->count; i++) {
        struct field *field = &f->field[i];
        text_add(out, i ? "," : "{", 1);
        text_adds(out, field->label);
        if (due_ns && f->due && strcmp(field->path, due_path) == 0)
            text_addf(out, "\"%llu\"", (unsigned long long)due_ns);
        else if (field->value.at)
            text_addspan(out, field->value);
        else
            text_add(out, "0", 1);
    }
    text_add(out, "}", 1);
}
