/*
 * How to find a row of the option table, and what to tell people about it.
 */
#include "config/options.h"

#include "base/buf.h"
#include "config/kinds.h"
#include "config/value.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const struct kx_option *kx_option_by_flag(const char *flag, size_t length)
{
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        if (option->flag != NULL && strlen(option->flag) == length &&
            memcmp(option->flag, flag, length) == 0)
            return option;
    }
    return NULL;
}

const struct kx_option *kx_option_by_member(enum kx_scope scope, size_t offset)
{
    for (size_t i = 0; i < kx_option_count(); i++)
        if (kx_option_at(i)->scope == scope && kx_option_at(i)->offset == offset)
            return kx_option_at(i);
    kx_assert_failed(__FILE__, __LINE__, "every member has a row");
}

const struct kx_option *kx_option_parent(enum kx_scope scope)
{
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        bool opens = option->kind == KX_OPTION_SECTION || option->kind == KX_OPTION_ITEMS;
        if (opens && option->child == scope)
            return option;
    }
    return NULL;
}

enum kx_code kx_option_blame(const struct kx_option *option,
                             bool by_flag,
                             enum kx_code code,
                             struct kx_error *err)
{
    if (by_flag)
        kx_error_prefix(err, "--%s", option->flag);
    else
        kx_error_prefix(err, "%s in the environment", option->env);
    if (by_flag && code == KX_ERR_CONFIG)
        code = KX_ERR_USAGE;
    if (err != NULL)
        err->code = code;
    return code;
}

/* Copies what was written into out, cut when it must be. */
static const char *finish(struct kx_buf *text, char out[KX_OPTION_WORDS_MAX])
{
    size_t length = text->length < KX_OPTION_WORDS_MAX ? text->length : KX_OPTION_WORDS_MAX - 1;
    if (length > 0)
        memcpy(out, text->data, length);
    out[length] = '\0';
    kx_buf_fini(text);
    return out;
}

/* "console 100ms, sqlite 1s": a default that each kind of sink has for itself. */
static void append_kinds(struct kx_buf *text, const struct kx_option *option)
{
    bool age = option->scope == KX_SCOPE_DELTA &&
               option->offset == offsetof(struct kx_delta_config, max_age_ns);
    if (option->scope != KX_SCOPE_BATCH && !age)
        return;
    for (size_t i = 0; i < kx_sink_kind_count(); i++) {
        const struct kx_sink_kind *kind = kx_sink_kind_at(i);
        kx_buf_printf(text, "%s%s %s", text->length > 0 ? ", " : "", kind->name,
                      age ? kind->max_age : kx_sink_kind_batch(kind, option));
    }
}

const char *kx_option_default_words(const struct kx_option *option, char out[KX_OPTION_WORDS_MAX])
{
    struct kx_buf text;
    kx_buf_init(&text, KX_OPTION_WORDS_MAX - 1);
    if (option->fallback != NULL)
        kx_buf_text(&text, option->fallback);
    else if (option->fallback_words != NULL)
        kx_buf_text(&text, option->fallback_words);
    else
        append_kinds(&text, option);
    return finish(&text, out);
}

static void append_number(struct kx_buf *text, const struct kx_option *option, uint64_t value)
{
    char words[KX_VALUE_TEXT_MAX];
    if (option->kind == KX_OPTION_DURATION)
        kx_buf_text(text, kx_value_duration_text(value, words));
    else if (option->kind == KX_OPTION_SIZE)
        kx_buf_text(text, kx_value_size_text(value, words));
    else
        kx_buf_u64(text, value);
}

const char *kx_option_range_words(const struct kx_option *option, char out[KX_OPTION_WORDS_MAX])
{
    struct kx_buf text;
    kx_buf_init(&text, KX_OPTION_WORDS_MAX - 1);
    for (size_t i = 0; option->choices != NULL && option->choices[i] != NULL; i++)
        kx_buf_printf(&text, "%s%s", i > 0 ? ", " : "", option->choices[i]);
    if (option->kind == KX_OPTION_BOOL && option->arg == NULL && option->flag == NULL)
        kx_buf_text(&text, "true, false");
    if (option->max > 0 && option->kind == KX_OPTION_NUMBER) {
        kx_buf_printf(&text, "up to %" PRIu64, option->max);
    } else if (option->max > 0 && option->kind == KX_OPTION_REAL) {
        kx_buf_printf(&text, "-%" PRIu64 " to %" PRIu64, option->max, option->max);
    } else if (option->max > 0) {
        append_number(&text, option, option->min);
        kx_buf_text(&text, " to ");
        append_number(&text, option, option->max);
    }
    if (option->step > 0) {
        kx_buf_text(&text, " in steps of ");
        append_number(&text, option, option->step);
    }
    if (option->zero != NULL)
        kx_buf_printf(&text, ", or %s", option->zero);
    return finish(&text, out);
}

static void append_path(struct kx_buf *text, enum kx_scope scope)
{
    const struct kx_option *parent = kx_option_parent(scope);
    if (parent == NULL && kx_sink_kind_of_scope(scope) != NULL) {
        append_path(text, KX_SCOPE_SINK);
    } else if (parent != NULL) {
        append_path(text, parent->scope);
        kx_buf_printf(text, "%s%s.", parent->key, parent->kind == KX_OPTION_ITEMS ? "[]" : "");
    }
}

const char *kx_option_path_words(const struct kx_option *option, char out[KX_OPTION_WORDS_MAX])
{
    struct kx_buf text;
    kx_buf_init(&text, KX_OPTION_WORDS_MAX - 1);
    if (option->key != NULL) {
        const char *before = " (";
        append_path(&text, option->scope);
        kx_buf_text(&text, option->key);
        for (size_t i = 0; i < kx_sink_kind_count(); i++) {
            if (!kx_sink_kind_has(kx_sink_kind_at(i), option->scope))
                continue;
            kx_buf_printf(&text, "%s%s", before, kx_sink_kind_at(i)->name);
            before = ", ";
        }
        if (before[0] == ',')
            kx_buf_byte(&text, ')');
    }
    return finish(&text, out);
}
