/*
 * Two configurations side by side, by the option table.
 */
#include "config/reload.h"

#include "config/assign.h"
#include "config/kinds.h"
#include "config/options.h"
#include <stdlib.h>
#include <string.h>

/* --- rows --- */

/* What a section says holds for the rows in it that say nothing. */
static enum kx_reload reload_of(const struct kx_option *option)
{
    while (option->reload == KX_RELOAD_RESTART) {
        const struct kx_option *parent = kx_option_parent(option->scope);
        if (parent == NULL || parent->kind != KX_OPTION_SECTION)
            break;
        option = parent;
    }
    return option->reload;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_list(const struct kx_strings *a, const struct kx_strings *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

static bool same_extra(const struct kx_extra_fields *a, const struct kx_extra_fields *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!same_text(a->items[i].path, b->items[i].path) ||
            !same_text(a->items[i].as, b->items[i].as) || a->items[i].type != b->items[i].type)
            return false;
    return true;
}

static char *text_at(const void *member)
{
    char *text;
    memcpy(&text, member, sizeof text);
    return text;
}

/* Whether the values at one row are the same in two structs. */
static bool same(const struct kx_option *option, void *a, void *b)
{
    const void *left = kx_option_member(option, a);
    const void *right = kx_option_member(option, b);
    const struct kx_secret *secret = left;
    switch (option->kind) {
    case KX_OPTION_TEXT:
    case KX_OPTION_PATH:
    case KX_OPTION_URL:
        return same_text(text_at(left), text_at(right));
    case KX_OPTION_LIST:
    case KX_OPTION_PAIRS:
        return same_list(left, right);
    case KX_OPTION_SECRET:
    case KX_OPTION_SECRET_FILE:
        return same_text(kx_secret_reveal(secret), kx_secret_reveal(right));
    case KX_OPTION_ITEMS:
        return option->child != KX_SCOPE_EXTRA || same_extra(left, right);
    case KX_OPTION_SECTION: /* its rows are compared by themselves */
        return !option->shorthand || memcmp(left, right, sizeof(bool)) == 0;
    default:
        return memcmp(left, right, option->width) == 0;
    }
}

/* Empties what the row's member owns, without freeing it: somebody else owns it, too. */
static void let_go(const struct kx_option *option, void *object)
{
    void *member = kx_option_member(option, object);
    switch (option->kind) {
    case KX_OPTION_TEXT:
    case KX_OPTION_PATH:
    case KX_OPTION_URL:
        memset(member, 0, sizeof(char *));
        break;
    case KX_OPTION_LIST:
    case KX_OPTION_PAIRS:
        memset(member, 0, sizeof(struct kx_strings));
        break;
    case KX_OPTION_SECRET:
    case KX_OPTION_SECRET_FILE:
        memset(member, 0, sizeof(struct kx_secret));
        break;
    default:
        break;
    }
}

static bool copy_text(void *to, const char *text)
{
    char *copy = text == NULL ? NULL : strdup(text);
    memcpy(to, &copy, sizeof copy);
    return text == NULL || copy != NULL;
}

static bool copy_list(struct kx_strings *to, const struct kx_strings *from)
{
    for (size_t i = 0; i < from->count; i++)
        if (!kx_strings_add(to, from->items[i], strlen(from->items[i])))
            return false;
    return true;
}

/* A copy of its own of one row's value; the member in `to` is empty. False without memory. */
static bool copy(const struct kx_option *option, void *to, void *from)
{
    void *member = kx_option_member(option, to);
    const void *value = kx_option_member(option, from);
    switch (option->kind) {
    case KX_OPTION_TEXT:
    case KX_OPTION_PATH:
    case KX_OPTION_URL:
        return copy_text(member, text_at(value));
    case KX_OPTION_LIST:
    case KX_OPTION_PAIRS:
        return copy_list(member, value);
    case KX_OPTION_SECRET:
        return kx_secret_copy(member, value, NULL) == KX_OK;
    case KX_OPTION_SECTION:
        if (option->shorthand)
            memcpy(member, value, sizeof(bool));
        return true;
    case KX_OPTION_SECRET_FILE: /* the same member as the secret's */
    case KX_OPTION_ITEMS:
        return true;
    default:
        memcpy(member, value, option->width);
        return true;
    }
}

/* --- sinks --- */

struct merge {
    const struct kx_sink_config *running, *fresh;
    struct kx_sink_config *merged;
    bool reopen;
};

/* The running sink's own words and the new ones, at one place of all of them. */
struct place {
    void *running, *fresh, *merged;
};

static struct place inside(const struct kx_option *section, const struct place *at)
{
    return (struct place){kx_option_member(section, at->running),
                          kx_option_member(section, at->fresh),
                          kx_option_member(section, at->merged)};
}

static void empty_scope(enum kx_scope scope, void *object)
{
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        if (option->scope != scope)
            continue;
        let_go(option, object);
        if (option->kind == KX_OPTION_SECTION)
            empty_scope(option->child, kx_option_member(option, object));
    }
}

static bool merge_scope(struct merge *merge, enum kx_scope scope, const struct place *at)
{
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        if (option->scope != scope)
            continue;
        enum kx_reload reload = reload_of(option);
        if (!copy(option, at->merged, reload == KX_RELOAD_RESTART ? at->running : at->fresh))
            return false;
        if (reload == KX_RELOAD_REOPEN && !same(option, at->running, at->fresh))
            merge->reopen = true;
        struct place child = {0};
        if (option->kind == KX_OPTION_SECTION)
            child = inside(option, at);
        if (option->kind == KX_OPTION_SECTION && !merge_scope(merge, option->child, &child))
            return false;
    }
    return true;
}

enum kx_code kx_sink_config_merge(const struct kx_sink_config *running,
                                  const struct kx_sink_config *fresh,
                                  struct kx_sink_config **ret_merged,
                                  bool *ret_reopen,
                                  struct kx_error *err)
{
    if (fresh->type != running->type)
        fresh = running;
    /* Copies, because the table's members are found in what may be written. */
    struct kx_sink_config old = *running;
    struct kx_sink_config new = *fresh;
    struct merge merge = {.running = running, .fresh = fresh};
    merge.merged = malloc(sizeof *merge.merged);
    if (merge.merged == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a sink");
    *merge.merged = *fresh; /* what is no row: lines */
    const struct place at = {&old, &new, merge.merged};
    empty_scope(KX_SCOPE_SINK, merge.merged);
    enum kx_scope scopes[KX_SCOPES];
    size_t count = kx_sink_scopes(scopes);
    for (size_t i = 0; i < count; i++)
        empty_scope(scopes[i], merge.merged);
    bool merged = merge_scope(&merge, KX_SCOPE_SINK, &at);
    for (size_t i = 0; i < count && merged; i++)
        merged = merge_scope(&merge, scopes[i], &at);
    if (!merged) {
        kx_sink_config_destroy(merge.merged);
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a sink");
    }
    *ret_merged = merge.merged;
    *ret_reopen = merge.reopen;
    return KX_OK;
}

void kx_sink_config_destroy(struct kx_sink_config *sink)
{
    if (sink == NULL)
        return;
    kx_sink_release(sink);
    free(sink);
}

/* --- what wants a restart --- */

/* A sentence for each row of a scope that differs and that no reload changes. owner: "source
 * kitchen: ", "" at the top. */
static bool restart_rows(
    enum kx_scope scope, void *start, void *fresh, const char *owner, struct kx_strings *lines)
{
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        if (option->scope != scope)
            continue;
        const struct kx_option *section = kx_option_parent(scope);
        bool nested = section != NULL && section->kind == KX_OPTION_SECTION;
        if (option->key != NULL && reload_of(option) == KX_RELOAD_RESTART &&
            !same(option, start, fresh) &&
            !kx_strings_addf(lines, "%s%s%s%s has changed: it holds after a restart", owner,
                             nested ? section->key : "", nested ? "." : "", option->key))
            return false;
        if (option->kind == KX_OPTION_SECTION &&
            !restart_rows(option->child, kx_option_member(option, start),
                          kx_option_member(option, fresh), owner, lines))
            return false;
    }
    return true;
}

static bool restart_source(const struct kx_source_config *start,
                           const struct kx_source_config *fresh,
                           struct kx_strings *lines)
{
    struct kx_source_config old = *start;
    struct kx_source_config new = *fresh;
    char owner[KX_NAME_BYTES_MAX + 16];
    stpcpy(stpcpy(stpcpy(owner, "source "), start->name), ": ");
    return restart_rows(KX_SCOPE_SOURCE, &old, &new, owner, lines);
}

static bool restart_sink(const struct kx_sink_config *start,
                         const struct kx_sink_config *fresh,
                         struct kx_strings *lines)
{
    struct kx_sink_config old = *start;
    struct kx_sink_config new = *fresh;
    char owner[KX_NAME_BYTES_MAX + 16];
    stpcpy(stpcpy(stpcpy(owner, "sink "), start->name), ": ");
    if (start->type != fresh->type)
        return kx_strings_addf(lines, "%stype has changed: it stays as it is until a restart",
                               owner);
    const struct kx_sink_kind *kind = kx_sink_kind_of(start->type);
    return restart_rows(KX_SCOPE_SINK, &old, &new, owner, lines) &&
           restart_rows(kind->shared, &old, &new, owner, lines) &&
           restart_rows(kind->scope, &old, &new, owner, lines);
}

static bool say_gone(struct kx_strings *lines, const char *what, const char *name, const char *path)
{
    return kx_strings_addf(lines, "%s %s is no longer in %s: it runs on until a restart", what,
                           name, path == NULL ? "the configuration" : path);
}

static bool say_new(struct kx_strings *lines, const char *what, const char *name, unsigned line)
{
    return kx_strings_addf(lines, "%s %s (line %u) is new: it runs after a restart", what, name,
                           line);
}

static bool restart_sources(const struct kx_config *start,
                            const struct kx_config *fresh,
                            struct kx_strings *lines)
{
    bool said = true;
    for (size_t i = 0; i < start->source_count && said; i++) {
        const struct kx_source_config *found = kx_config_source(fresh, start->sources[i].name);
        said = found == NULL ? say_gone(lines, "source", start->sources[i].name, fresh->path)
                             : restart_source(&start->sources[i], found, lines);
    }
    for (size_t i = 0; i < fresh->source_count && said; i++)
        if (kx_config_source(start, fresh->sources[i].name) == NULL)
            said = say_new(lines, "source", fresh->sources[i].name, fresh->sources[i].line);
    return said;
}

static bool restart_sinks(const struct kx_config *start,
                          const struct kx_config *fresh,
                          struct kx_strings *lines)
{
    bool said = true;
    for (size_t i = 0; i < start->sink_count && said; i++) {
        const struct kx_sink_config *found = kx_config_sink(fresh, start->sinks[i].name);
        said = found == NULL ? say_gone(lines, "sink", start->sinks[i].name, fresh->path)
                             : restart_sink(&start->sinks[i], found, lines);
    }
    for (size_t i = 0; i < fresh->sink_count && said; i++)
        if (kx_config_sink(start, fresh->sinks[i].name) == NULL)
            said = say_new(lines, "sink", fresh->sinks[i].name, fresh->sinks[i].line);
    return said;
}

bool kx_config_restarts(const struct kx_config *start,
                        const struct kx_config *fresh,
                        struct kx_strings *lines)
{
    struct kx_config old = *start;
    struct kx_config new = *fresh;
    return restart_rows(KX_SCOPE_TOP, &old, &new, "", lines) &&
           restart_sources(start, fresh, lines) && restart_sinks(start, fresh, lines);
}
