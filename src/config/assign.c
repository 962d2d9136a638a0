/*
 * Texts into members, kind by kind.
 */
#include "config/assign.h"

#include "config/suggest.h"
#include "config/value.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void *kx_option_member(const struct kx_option *option, void *object)
{
    return (char *)object + option->offset;
}

static enum kx_code no_memory(struct kx_error *err)
{
    return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for the configuration");
}

static enum kx_code check(const struct kx_option *option, void *member, struct kx_error *err)
{
    return option->check == NULL ? KX_OK : option->check(member, err);
}

static enum kx_code
assign_text(const struct kx_option *option, char **member, const char *text, struct kx_error *err)
{
    char *old = *member;
    *member = strdup(text);
    enum kx_code code = *member == NULL ? no_memory(err) : check(option, member, err);
    if (code == KX_OK) {
        free(old);
        return KX_OK;
    }
    free(*member);
    *member = old;
    return code;
}

static enum kx_code
wrong_kind(const struct kx_option *option, const char *text, struct kx_error *err)
{
    static const char *const examples[] = {
        [KX_OPTION_INTEGER] = "whole number: write digits, such as 1000",
        [KX_OPTION_SIZE] = "size: write 65536, 64KiB or 16MiB",
        [KX_OPTION_DURATION] = "duration: write 5s, 500ms, 10m, 2h or 30d",
        [KX_OPTION_NUMBER] = "number: write 2 or 0.5",
        [KX_OPTION_REAL] = "number: write 52.52 or -60",
        [KX_OPTION_RATE] = "rate: write 100/s",
        [KX_OPTION_BOOL] = "true or false",
        [KX_OPTION_SECTION] = "true or false",
    };
    char range[KX_OPTION_WORDS_MAX];
    kx_option_range_words(option, range);
    return kx_error_set(err, KX_ERR_CONFIG, 0, "'%s' is no %s%s%s%s", text, examples[option->kind],
                        range[0] == '\0' ? "" : " (", range, range[0] == '\0' ? "" : ")");
}

/* A number against the row's range. */
static enum kx_code
in_range(const struct kx_option *option, const char *text, uint64_t value, struct kx_error *err)
{
    char range[KX_OPTION_WORDS_MAX];
    bool right = value >= option->min && (option->max == 0 || value <= option->max) &&
                 (option->step == 0 || value % option->step == 0);
    if (right || (value == 0 && option->zero != NULL))
        return KX_OK;
    return kx_error_set(err, KX_ERR_CONFIG, 0, "%s is out of range (%s)", text,
                        kx_option_range_words(option, range));
}

/* "100/s", or "100" */
static bool read_rate(const char *text, uint64_t *ret_value)
{
    char digits[KX_VALUE_TEXT_MAX];
    size_t length = strcspn(text, "/");
    if (length >= sizeof digits || (text[length] != '\0' && strcmp(text + length, "/s") != 0))
        return false;
    memcpy(digits, text, length);
    digits[length] = '\0';
    return kx_value_integer(digits, ret_value);
}

static enum kx_code
assign_integer(const struct kx_option *option, void *member, const char *text, struct kx_error *err)
{
    uint64_t value = 0;
    bool right = option->zero != NULL && strcasecmp(text, option->zero) == 0;
    if (!right && option->kind == KX_OPTION_DURATION)
        right = kx_value_duration(text, &value);
    else if (!right && option->kind == KX_OPTION_SIZE)
        right = kx_value_size(text, &value);
    else if (!right && option->kind == KX_OPTION_RATE)
        right = read_rate(text, &value);
    else if (!right)
        right = kx_value_integer(text, &value);
    if (!right)
        return wrong_kind(option, text, err);
    enum kx_code code = in_range(option, text, value, err);
    if (code != KX_OK)
        return code;
    if (option->width == sizeof(uint32_t)) {
        KX_ASSERT(value <= UINT32_MAX); /* the row's max */
        memcpy(member, &(uint32_t){(uint32_t)value}, sizeof(uint32_t));
    } else {
        KX_ASSERT(option->width == sizeof value);
        memcpy(member, &value, sizeof value);
    }
    return KX_OK;
}

static enum kx_code assign_number(const struct kx_option *option,
                                  double *member,
                                  const char *text,
                                  struct kx_error *err)
{
    double value = 0;
    char range[KX_OPTION_WORDS_MAX];
    bool zero = option->zero != NULL && strcasecmp(text, option->zero) == 0;
    if (!zero && !kx_value_number(text, &value))
        return wrong_kind(option, text, err);
    if (!zero && (value <= 0 || value > (double)option->max))
        return kx_error_set(err, KX_ERR_CONFIG, 0, "%s is out of range (above 0, %s)", text,
                            kx_option_range_words(option, range));
    *member = value;
    return KX_OK;
}

static enum kx_code assign_real(const struct kx_option *option,
                                struct kx_real *member,
                                const char *text,
                                struct kx_error *err)
{
    double value;
    char range[KX_OPTION_WORDS_MAX];
    bool negative = text[0] == '-';
    if (!kx_value_number(text + negative, &value))
        return wrong_kind(option, text, err);
    if (value > (double)option->max)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "%s is out of range (%s)", text,
                            kx_option_range_words(option, range));
    *member = (struct kx_real){.value = negative ? -value : value, .given = true};
    return KX_OK;
}

static enum kx_code
assign_choice(const struct kx_option *option, void *member, const char *text, struct kx_error *err)
{
    struct kx_suggest suggest = {.word = text};
    char range[KX_OPTION_WORDS_MAX];
    char near[KX_SUGGEST_TEXT_MAX];
    const char *word = text;
    bool on;
    if (kx_value_bool(text, &on)) /* for the choice of on and off; no other has such words */
        word = on ? "on" : "off";
    KX_ASSERT(option->width == sizeof(unsigned)); /* how gcc and clang store an enum */
    for (unsigned i = 0; option->choices[i] != NULL; i++) {
        if (strcasecmp(word, option->choices[i]) == 0) {
            memcpy(member, &i, sizeof i);
            return KX_OK;
        }
        kx_suggest_offer(&suggest, option->choices[i]);
    }
    return kx_error_set(err, KX_ERR_CONFIG, 0, "'%s' is none of: %s%s", text,
                        kx_option_range_words(option, range), kx_suggest_text(&suggest, "", near));
}

/* Two rows fill one secret: the value, or the file that holds it. Not both. */
static enum kx_code assign_secret(const struct kx_option *option,
                                  struct kx_secret *member,
                                  const char *text,
                                  struct kx_error *err)
{
    if (kx_secret_is_set(member) || member->file != NULL)
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "given twice, as a value and as a file: keep the file");
    if (option->kind == KX_OPTION_SECRET)
        return kx_secret_set(member, text, err);
    member->file = strdup(text); /* read later, when it is known that nothing overrides it */
    return member->file == NULL ? no_memory(err) : KX_OK;
}

/* What no value may be: empty, or with bytes that would forge a header or a log line. */
static enum kx_code check_text(const char *text, struct kx_error *err)
{
    if (text[0] == '\0')
        return kx_error_set(err, KX_ERR_CONFIG, 0,
                            "the value is empty: write one, or leave it out for the default");
    for (size_t i = 0; text[i] != '\0'; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return kx_error_set(err, KX_ERR_CONFIG, 0,
                                "the value holds a control byte at place %zu", i + 1);
    return KX_OK;
}

enum kx_code kx_option_assign(const struct kx_option *option,
                              void *object,
                              const char *text,
                              struct kx_error *err)
{
    void *member = kx_option_member(option, object);
    bool secret =
        option->kind == KX_OPTION_SECRET; /* has its own check, and may end in a newline */
    enum kx_code code = secret && text[0] != '\0' ? KX_OK : check_text(text, err);
    struct kx_strings words = {0};
    if (code != KX_OK)
        return code;
    switch (option->kind) {
    case KX_OPTION_TEXT:
    case KX_OPTION_PATH:
    case KX_OPTION_URL:
        return assign_text(option, member, text, err);
    case KX_OPTION_INTEGER:
    case KX_OPTION_SIZE:
    case KX_OPTION_DURATION:
        return assign_integer(option, member, text, err);
    case KX_OPTION_RATE:
        return assign_integer(option, member, text, err);
    case KX_OPTION_NUMBER:
        return assign_number(option, member, text, err);
    case KX_OPTION_REAL:
        return assign_real(option, member, text, err);
    case KX_OPTION_CHOICE:
        return assign_choice(option, member, text, err);
    case KX_OPTION_LIST:
    case KX_OPTION_PAIRS:
        if (!kx_strings_split(&words, text))
            return no_memory(err);
        if (words.count == 0)
            return kx_error_set(err, KX_ERR_CONFIG, 0,
                                "the list is empty: write one word at least");
        return kx_option_assign_list(option, object, &words, err);
    case KX_OPTION_SECRET:
    case KX_OPTION_SECRET_FILE:
        return assign_secret(option, member, text, err);
    case KX_OPTION_BOOL:
    case KX_OPTION_SECTION: /* with a short form: its struct begins with the switch */
        return kx_value_bool(text, member) ? KX_OK : wrong_kind(option, text, err);
    case KX_OPTION_ITEMS:
        break;
    }
    return kx_error_set(err, KX_ERR_BUG, 0, "an option of this kind takes no text");
}

enum kx_code kx_option_assign_list(const struct kx_option *option,
                                   void *object,
                                   struct kx_strings *words,
                                   struct kx_error *err)
{
    struct kx_strings *member = kx_option_member(option, object);
    enum kx_code code = KX_OK;
    for (size_t i = 0; i < words->count && code == KX_OK; i++)
        code = check_text(words->items[i], err);
    if (code == KX_OK)
        code = check(option, words, err);
    if (code == KX_OK) {
        kx_strings_fini(member);
        *member = *words;
        *words = (struct kx_strings){0};
    }
    kx_strings_fini(words);
    return code;
}

enum kx_code kx_options_assign_defaults(enum kx_scope scope, void *object, struct kx_error *err)
{
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        enum kx_code code = KX_OK;
        if (option->scope != scope)
            continue;
        if (option->kind == KX_OPTION_SECTION)
            code = kx_options_assign_defaults(option->child, kx_option_member(option, object), err);
        if (option->fallback != NULL && code == KX_OK)
            code = kx_option_assign(option, object, option->fallback, err);
        if (code != KX_OK)
            return code;
    }
    return KX_OK;
}

enum kx_code
kx_sink_defaults(struct kx_sink_config *sink, const struct kx_sink_kind *kind, struct kx_error *err)
{
    sink->type = kind->type;
    enum kx_code code = kx_options_assign_defaults(KX_SCOPE_SINK, sink, err);
    /* Those of the other kinds too: their members are there, and nobody should find a 0 in them. */
    enum kx_scope scopes[KX_SCOPES];
    size_t count = kx_sink_scopes(scopes);
    for (size_t i = 0; i < count && code == KX_OK; i++)
        code = kx_options_assign_defaults(scopes[i], sink, err);
    for (size_t i = 0; i < kx_option_count() && code == KX_OK; i++)
        if (kx_option_at(i)->scope == KX_SCOPE_BATCH)
            code = kx_option_assign(kx_option_at(i), &sink->batch,
                                    kx_sink_kind_batch(kind, kx_option_at(i)), err);
    const struct kx_option *max_age =
        kx_option_by_member(KX_SCOPE_DELTA, offsetof(struct kx_delta_config, max_age_ns));
    if (code == KX_OK)
        code = kx_option_assign(max_age, &sink->delta, kind->max_age, err);
    return code;
}

void kx_sink_release(struct kx_sink_config *sink)
{
    enum kx_scope scopes[KX_SCOPES];
    size_t count = kx_sink_scopes(scopes);
    kx_options_release(KX_SCOPE_SINK, sink);
    for (size_t i = 0; i < count; i++)
        kx_options_release(scopes[i], sink);
}

static void release_extra(struct kx_extra_fields *list)
{
    for (size_t i = 0; i < list->count; i++)
        kx_options_release(KX_SCOPE_EXTRA, &list->items[i]);
    free(list->items);
    *list = (struct kx_extra_fields){0};
}

void kx_options_release(enum kx_scope scope, void *object)
{
    for (size_t i = 0; i < kx_option_count(); i++) {
        const struct kx_option *option = kx_option_at(i);
        void *member = kx_option_member(option, object);
        char *text;
        if (option->scope != scope)
            continue;
        switch (option->kind) {
        case KX_OPTION_TEXT:
        case KX_OPTION_PATH:
        case KX_OPTION_URL:
            memcpy(&text, member, sizeof text);
            free(text);
            memset(member, 0, sizeof text);
            break;
        case KX_OPTION_LIST:
        case KX_OPTION_PAIRS:
            kx_strings_fini(member);
            break;
        case KX_OPTION_SECRET:
        case KX_OPTION_SECRET_FILE:
            kx_secret_fini(member);
            break;
        case KX_OPTION_SECTION:
            kx_options_release(option->child, member);
            break;
        case KX_OPTION_INTEGER:
        case KX_OPTION_SIZE:
        case KX_OPTION_DURATION:
        case KX_OPTION_NUMBER:
        case KX_OPTION_REAL:
        case KX_OPTION_RATE:
        case KX_OPTION_BOOL:
        case KX_OPTION_CHOICE:
            break;
        case KX_OPTION_ITEMS:
            if (option->child == KX_SCOPE_EXTRA)
                release_extra(member);
            break;
        }
    }
}
