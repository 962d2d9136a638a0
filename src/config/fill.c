/*
 * From YAML nodes to members. Every message says where, what, and what to write instead.
 */
#include "config/fill.h"

#include "base/buf.h"
#include "config/assign.h"
#include "config/expand.h"
#include "config/kinds.h"
#include "config/options.h"
#include "config/suggest.h"
#include <stdlib.h>
#include <string.h>

struct fill {
    const struct kx_yaml *yaml;
    struct kx_config *config;
};

/* A mapping of the file and where its keys go. */
struct mapping {
    int node;
    enum kx_scope scope;
    const struct kx_sink_kind *kind; /* of a sink: has keys here too; NULL = is none */
    void *object;
};

static enum kx_code
fill_mapping(struct fill *fill, const struct mapping *mapping, struct kx_error *err);

enum { KEYS_TEXT_MAX = 224 };

/* Whether a row is one of the mapping's keys. */
static bool is_key_of(const struct mapping *mapping, const struct kx_option *option)
{
    const struct kx_sink_kind *kind = mapping->kind;
    return option->key != NULL &&
           (option->scope == mapping->scope ||
            (kind != NULL && (option->scope == kind->scope || option->scope == kind->shared)));
}

static const struct kx_option *find_key(const struct mapping *mapping, const char *name)
{
    for (size_t i = 0; i < kx_option_count(); i++)
        if (is_key_of(mapping, kx_option_at(i)) && strcmp(kx_option_at(i)->key, name) == 0)
            return kx_option_at(i);
    return NULL;
}

/* "name, url, api_key, ..." */
static const char *keys_of(const struct mapping *mapping, char out[KEYS_TEXT_MAX])
{
    struct kx_buf text;
    kx_buf_init(&text, KEYS_TEXT_MAX - 1);
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        if (is_key_of(mapping, option))
            kx_buf_printf(&text, "%s%s", text.length > 0 ? ", " : "", option->key);
    }
    memcpy(out, text.data == NULL ? "" : text.data, text.length);
    out[text.length] = '\0';
    kx_buf_fini(&text);
    return out;
}

/* "in 'tls'", "at the top level" */
static const char *place_of(const struct mapping *mapping, char out[KX_OPTION_WORDS_MAX])
{
    const struct kx_option *parent = kx_option_parent(mapping->scope);
    if (parent == NULL)
        return strcpy(out, "at the top level");
    stpcpy(stpcpy(stpcpy(out, "in '"), parent->key), "'");
    return out;
}

static enum kx_code refuse_key(const struct fill *fill,
                               const struct mapping *mapping,
                               int key,
                               const char *name,
                               struct kx_error *err)
{
    char keys[KEYS_TEXT_MAX];
    char place[KX_OPTION_WORDS_MAX];
    char near[KX_SUGGEST_TEXT_MAX];
    char path[KX_OPTION_WORDS_MAX] = "";
    struct kx_suggest suggest = {.word = name};
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        if (is_key_of(mapping, option))
            kx_suggest_offer(&suggest, option->key);
        else if (option->key != NULL && strcmp(option->key, name) == 0)
            kx_option_path_words(option, path);
    }
    if (path[0] != '\0') /* known elsewhere, so not misspelt */
        suggest.best = NULL;
    kx_suggest_text(&suggest, "", near);
    if (strcmp(name, "<<") == 0)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "%s:%u: merge keys (<<) are not read: write the keys out",
                            kx_yaml_name(fill->yaml), kx_yaml_line(fill->yaml, key));
    return kx_error_set(
        err, KX_ERR_CONFIG, 0, "%s:%u: unknown key '%.40s' %s%s%s%s (keys here: %s)",
        kx_yaml_name(fill->yaml), kx_yaml_line(fill->yaml, key), name, place_of(mapping, place),
        near, path[0] == '\0' ? "" : ", it belongs to ", path, keys_of(mapping, keys));
}

/* Puts where a key stands before what went wrong with it. Returns code. */
static enum kx_code at_key(const struct fill *fill,
                           int node,
                           const struct kx_option *option,
                           enum kx_code code,
                           struct kx_error *err)
{
    kx_error_prefix(err, "%s:%u: %s", kx_yaml_name(fill->yaml), kx_yaml_line(fill->yaml, node),
                    option->key);
    return code;
}

static enum kx_code fill_scalar(struct fill *fill,
                                const struct kx_option *option,
                                int value,
                                void *object,
                                struct kx_error *err)
{
    char *text = NULL;
    bool expanded = false;
    enum kx_code code = kx_expand(kx_yaml_text(fill->yaml, value), &text, &expanded, err);
    if (code != KX_OK)
        return code;
    code = kx_option_assign(option, object, text, err);
    bool secret =
        option->kind == KX_OPTION_SECRET && (option->is_secret == NULL || option->is_secret(text));
    explicit_bzero(text, strlen(text)); /* it may be a secret */
    free(text);
    if (code != KX_OK || !secret || expanded || !kx_yaml_is_exposed(fill->yaml))
        return code;
    if (!kx_strings_addf(&fill->config->warnings,
                         "%s:%u: %s stands in a file that everybody can read: run 'chmod 600' on "
                         "it, or use %s_file",
                         kx_yaml_name(fill->yaml), kx_yaml_line(fill->yaml, value), option->key,
                         option->key))
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a warning");
    return KX_OK;
}

/* "key: value" lines as "key=value". */
static enum kx_code fill_pairs(struct fill *fill,
                               const struct kx_option *option,
                               int value,
                               void *object,
                               struct kx_error *err)
{
    struct kx_strings words = {0};
    enum kx_code code = KX_OK;
    for (size_t i = 0; i < kx_yaml_count(fill->yaml, value) && code == KX_OK; i++) {
        int key = kx_yaml_key(fill->yaml, value, i);
        int item = kx_yaml_value(fill->yaml, value, i);
        char *text = NULL;
        if (kx_yaml_type(fill->yaml, key) != KX_YAML_SCALAR ||
            kx_yaml_type(fill->yaml, item) != KX_YAML_SCALAR || kx_yaml_is_null(fill->yaml, item))
            code = kx_error_set(err, KX_ERR_CONFIG, 0, "entry %zu is not one key with one value",
                                i + 1);
        else
            code = kx_expand(kx_yaml_text(fill->yaml, item), &text, NULL, err);
        if (code == KX_OK && !kx_strings_addf(&words, "%s=%s", kx_yaml_text(fill->yaml, key), text))
            code = kx_error_set(err, KX_ERR_CONFIG, 0, "more than %d entries", KX_STRINGS_MAX);
        free(text);
    }
    if (code == KX_OK)
        return kx_option_assign_list(option, object, &words, err);
    kx_strings_fini(&words);
    return code;
}

static enum kx_code fill_list(struct fill *fill,
                              const struct kx_option *option,
                              int value,
                              void *object,
                              struct kx_error *err)
{
    struct kx_strings words = {0};
    enum kx_code code = KX_OK;
    for (size_t i = 0; i < kx_yaml_count(fill->yaml, value) && code == KX_OK; i++) {
        int item = kx_yaml_item(fill->yaml, value, i);
        char *text = NULL;
        if (kx_yaml_type(fill->yaml, item) != KX_YAML_SCALAR || kx_yaml_is_null(fill->yaml, item))
            code =
                kx_error_set(err, KX_ERR_CONFIG, 0, "item %zu of the list is not one value", i + 1);
        else
            code = kx_expand(kx_yaml_text(fill->yaml, item), &text, NULL, err);
        if (code == KX_OK && !kx_strings_add(&words, text, strlen(text)))
            code = kx_error_set(err, KX_ERR_CONFIG, 0, "more than %d items", KX_STRINGS_MAX);
        free(text);
    }
    if (code == KX_OK)
        return kx_option_assign_list(option, object, &words, err);
    kx_strings_fini(&words);
    return code;
}

/* A section: its own mapping, or true and false where that is short for it. */
static enum kx_code fill_section(struct fill *fill,
                                 const struct kx_option *option,
                                 int value,
                                 void *object,
                                 struct kx_error *err)
{
    const struct mapping inside = {value, option->child, NULL, kx_option_member(option, object)};
    char keys[KEYS_TEXT_MAX];
    bool mapping = kx_yaml_type(fill->yaml, value) == KX_YAML_MAPPING;
    if (option->placed && mapping)
        memcpy(inside.object, &(unsigned){kx_yaml_line(fill->yaml, value)}, sizeof(unsigned));
    if (option->shorthand) {
        if (kx_yaml_type(fill->yaml, value) == KX_YAML_SCALAR)
            return fill_scalar(fill, option, value, object, err);
        enum kx_code code = mapping ? kx_option_assign(option, object, "true", err) : KX_OK;
        if (code != KX_OK)
            return code;
    }
    if (!mapping)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "wants keys of its own: write them indented on the lines below it (%s)",
                            keys_of(&inside, keys));
    return fill_mapping(fill, &inside, err);
}

static enum kx_code
fill_source(struct fill *fill, const struct kx_option *option, int item, struct kx_error *err)
{
    struct kx_source_config *source = &fill->config->sources[fill->config->source_count++];
    const struct mapping inside = {item, option->child, NULL, source};
    source->line = kx_yaml_line(fill->yaml, item);
    enum kx_code code = kx_options_assign_defaults(KX_SCOPE_SOURCE, source, err);
    return code == KX_OK ? fill_mapping(fill, &inside, err) : code;
}

/* The sink's type, which decides about its other keys, so it is looked for before them. */
static enum kx_code find_kind(const struct fill *fill,
                              int item,
                              const struct kx_sink_kind **ret_kind,
                              struct kx_error *err)
{
    const struct kx_option *type =
        kx_option_by_member(KX_SCOPE_SINK, offsetof(struct kx_sink_config, type));
    for (size_t i = 0; i < kx_yaml_count(fill->yaml, item); i++) {
        int key = kx_yaml_key(fill->yaml, item, i);
        int value = kx_yaml_value(fill->yaml, item, i);
        char *text = NULL;
        if (kx_yaml_type(fill->yaml, key) != KX_YAML_SCALAR ||
            strcmp(kx_yaml_text(fill->yaml, key), type->key) != 0 ||
            kx_yaml_type(fill->yaml, value) != KX_YAML_SCALAR || kx_yaml_is_null(fill->yaml, value))
            continue;
        enum kx_code code = kx_expand(kx_yaml_text(fill->yaml, value), &text, NULL, err);
        if (code == KX_OK)
            code = kx_sink_kind_find(text, ret_kind, err);
        free(text);
        if (code != KX_OK)
            kx_error_prefix(err, "%s:%u: %s", kx_yaml_name(fill->yaml),
                            kx_yaml_line(fill->yaml, key), type->key);
        return code;
    }
    return kx_error_set(err, KX_ERR_CONFIG, 0,
                        "%s:%u: a sink without a type: write one, such as 'type: sqlite'",
                        kx_yaml_name(fill->yaml), kx_yaml_line(fill->yaml, item));
}

static enum kx_code
fill_sink(struct fill *fill, const struct kx_option *option, int item, struct kx_error *err)
{
    const struct kx_sink_kind *kind = NULL;
    enum kx_code code = find_kind(fill, item, &kind, err);
    if (code != KX_OK)
        return code;
    struct kx_sink_config *sink = &fill->config->sinks[fill->config->sink_count++];
    const struct mapping inside = {item, option->child, kind, sink};
    sink->line = kx_yaml_line(fill->yaml, item);
    code = kx_sink_defaults(sink, kind, err);
    return code == KX_OK ? fill_mapping(fill, &inside, err) : code;
}

static enum kx_code fill_extra(struct fill *fill,
                               const struct kx_option *option,
                               int item,
                               struct kx_extra_fields *list,
                               struct kx_error *err)
{
    struct kx_extra_field *field = &list->items[list->count++];
    const struct mapping inside = {item, option->child, NULL, field};
    enum kx_code code = kx_options_assign_defaults(KX_SCOPE_EXTRA, field, err);
    if (code == KX_OK)
        code = fill_mapping(fill, &inside, err);
    if (code == KX_OK && (field->path == NULL || field->as == NULL))
        code = at_key(fill, item, option,
                      kx_error_set(err, KX_ERR_CONFIG, 0,
                                   "wants path and as: write '- path: ...' and 'as: ...' below it"),
                      err);
    for (size_t i = 0; code == KX_OK && i + 1 < list->count; i++)
        if (strcmp(list->items[i].as, field->as) == 0)
            code =
                at_key(fill, item, option,
                       kx_error_set(err, KX_ERR_CONFIG, 0,
                                    "two fields are named '%s': give each its own key", field->as),
                       err);
    return code;
}

/* Room for the items of a list, all empty. */
static bool
make_items(const struct kx_option *option, struct kx_config *config, void *object, size_t count)
{
    if (option->child == KX_SCOPE_SOURCE)
        return (config->sources = calloc(count, sizeof *config->sources)) != NULL;
    if (option->child == KX_SCOPE_SINK)
        return (config->sinks = calloc(count, sizeof *config->sinks)) != NULL;
    struct kx_extra_fields *list = kx_option_member(option, object);
    return (list->items = calloc(count, sizeof *list->items)) != NULL;
}

static enum kx_code fill_item(
    struct fill *fill, const struct kx_option *option, int item, void *object, struct kx_error *err)
{
    if (option->child == KX_SCOPE_SOURCE)
        return fill_source(fill, option, item, err);
    if (option->child == KX_SCOPE_SINK)
        return fill_sink(fill, option, item, err);
    return fill_extra(fill, option, item, kx_option_member(option, object), err);
}

/* Makes room for the items of `sources`, `sinks` or `extra_fields` and fills each. */
static enum kx_code fill_items(struct fill *fill,
                               const struct kx_option *option,
                               int value,
                               void *object,
                               struct kx_error *err)
{
    bool sources = option->child == KX_SCOPE_SOURCE;
    bool sinks = option->child == KX_SCOPE_SINK;
    size_t count = kx_yaml_count(fill->yaml, value);
    size_t most = KX_EXTRA_FIELDS_MAX;
    if (sources || sinks)
        most = sources ? (size_t)KX_SOURCES_MAX : (size_t)KX_SINKS_MAX;
    enum kx_code code = KX_OK;
    if (kx_yaml_type(fill->yaml, value) != KX_YAML_SEQUENCE || count == 0 || count > most) {
        code = kx_error_set(err, KX_ERR_CONFIG, 0,
                            "wants a list of 1 to %zu: begin each one with '- ' on the lines below "
                            "it",
                            most);
        return at_key(fill, value, option, code, err);
    }
    if (!make_items(option, fill->config, object, count))
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for %s", option->key);
    for (size_t i = 0; i < count && code == KX_OK; i++) {
        int item = kx_yaml_item(fill->yaml, value, i);
        if (kx_yaml_type(fill->yaml, item) != KX_YAML_MAPPING) {
            code =
                kx_error_set(err, KX_ERR_CONFIG, 0,
                             "item %zu of the list has no keys: write '- %s: ...' and the others "
                             "below it",
                             i + 1,
                             sources ? "url"
                             : sinks ? "type"
                                     : "path");
            return at_key(fill, item, option, code, err);
        }
        code = fill_item(fill, option, item, object, err);
    }
    return code;
}

static enum kx_code fill_value(struct fill *fill,
                               const struct kx_option *option,
                               int key,
                               int value,
                               void *object,
                               struct kx_error *err)
{
    enum kx_yaml_type type = kx_yaml_type(fill->yaml, value);
    char words[KX_OPTION_WORDS_MAX];
    enum kx_code code;
    if (kx_yaml_is_null(fill->yaml, value)) {
        kx_option_default_words(option, words);
        code = kx_error_set(
            err, KX_ERR_CONFIG, 0, "has no value: write one, or leave the key out%s%s%s",
            words[0] == '\0' ? "" : " (then it is: ", words, words[0] == '\0' ? "" : ")");
        return at_key(fill, key, option, code, err);
    }
    if (option->kind == KX_OPTION_ITEMS)
        return fill_items(fill, option, value, object, err);
    if (option->kind == KX_OPTION_SECTION) {
        if (type == KX_YAML_MAPPING) /* errors inside say their own line */
            return fill_section(fill, option, value, object, err);
        code = fill_section(fill, option, value, object, err);
    } else if (option->kind == KX_OPTION_LIST && type == KX_YAML_SEQUENCE) {
        code = fill_list(fill, option, value, object, err);
    } else if (option->kind == KX_OPTION_PAIRS && type == KX_YAML_MAPPING) {
        code = fill_pairs(fill, option, value, object, err);
    } else if (type == KX_YAML_SCALAR) {
        code = fill_scalar(fill, option, value, object, err);
    } else {
        code = kx_error_set(err, KX_ERR_CONFIG, 0, "wants one value, not a %s: write '%s: %s'",
                            type == KX_YAML_MAPPING ? "mapping" : "list", option->key,
                            option->fallback != NULL ? option->fallback : "...");
    }
    return code == KX_OK ? KX_OK : at_key(fill, key, option, code, err);
}

static enum kx_code
fill_mapping(struct fill *fill, const struct mapping *mapping, struct kx_error *err)
{
    unsigned lines[KX_OPTIONS_MAX] = {0}; /* where each key was seen */
    enum kx_code code = KX_OK;
    for (size_t i = 0; i < kx_yaml_count(fill->yaml, mapping->node) && code == KX_OK; i++) {
        int key = kx_yaml_key(fill->yaml, mapping->node, i);
        unsigned line = kx_yaml_line(fill->yaml, key);
        if (kx_yaml_type(fill->yaml, key) != KX_YAML_SCALAR)
            return kx_error_set(err, KX_ERR_CONFIG, 0, "%s:%u: a key must be one word",
                                kx_yaml_name(fill->yaml), line);
        const char *name = kx_yaml_text(fill->yaml, key);
        const struct kx_option *option = find_key(mapping, name);
        if (option == NULL)
            return refuse_key(fill, mapping, key, name, err);
        unsigned *seen = &lines[kx_option_index(option)];
        if (*seen != 0)
            return kx_error_set(err, KX_ERR_CONFIG, 0,
                                "%s:%u: %s stands in line %u already: keep one",
                                kx_yaml_name(fill->yaml), line, name, *seen);
        *seen = line;
        code = fill_value(fill, option, key, kx_yaml_value(fill->yaml, mapping->node, i),
                          mapping->object, err);
    }
    return code;
}

enum kx_code
kx_config_fill(struct kx_config *config, const struct kx_yaml *yaml, struct kx_error *err)
{
    struct fill fill = {yaml, config};
    const struct mapping top = {kx_yaml_root(yaml), KX_SCOPE_TOP, NULL, config};
    char keys[KEYS_TEXT_MAX];
    if (kx_yaml_type(yaml, top.node) != KX_YAML_MAPPING)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "%s:%u: the file must hold keys (%s)",
                            kx_yaml_name(yaml), kx_yaml_line(yaml, top.node), keys_of(&top, keys));
    return fill_mapping(&fill, &top, err);
}
