/* PCRE2 behind three calls. */
#include "base/pattern.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    MATCH_LIMIT = 10000, /* steps: far above what a name of 1 KiB needs, far below a stall */
    HEAP_LIMIT_KIB = 256,
    MESSAGE_MAX = 128,
};

struct kx_pattern {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
};

static enum kx_code refuse(const char *text, int fault, size_t at, struct kx_error *err)
{
    char message[MESSAGE_MAX];
    if (pcre2_get_error_message(fault, (PCRE2_UCHAR *)message, sizeof message) < 0)
        strcpy(message, "not a regular expression");
    return kx_error_set(err, KX_ERR_CONFIG, 0,
                        "'%.100s' is no regular expression: at character %zu: %s", text, at + 1,
                        message);
}

enum kx_code
kx_pattern_create(struct kx_pattern **ret_pattern, const char *text, struct kx_error *err)
{
    struct kx_pattern *pattern = calloc(1, sizeof *pattern);
    int fault = 0;
    PCRE2_SIZE at = 0;
    if (pattern == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a regular expression");
    pattern->code =
        pcre2_compile((PCRE2_SPTR)text, strlen(text),
                      PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &fault, &at, NULL);
    if (pattern->code == NULL) {
        free(pattern);
        return refuse(text, fault, at, err);
    }
    /* Without the compiler (a hardened kernel forbids writable code) it is interpreted. */
    (void)pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE);
    pattern->match = pcre2_match_data_create(1, NULL);
    pattern->context = pcre2_match_context_create(NULL);
    if (pattern->match == NULL || pattern->context == NULL) {
        kx_pattern_destroy(pattern);
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a regular expression");
    }
    pcre2_set_match_limit(pattern->context, MATCH_LIMIT);
    pcre2_set_heap_limit(pattern->context, HEAP_LIMIT_KIB);
    *ret_pattern = pattern;
    return KX_OK;
}

void kx_pattern_destroy(struct kx_pattern *pattern)
{
    if (pattern == NULL)
        return;
    pcre2_match_context_free(pattern->context); /* NULL-safe, as the others */
    pcre2_match_data_free(pattern->match);
    pcre2_code_free(pattern->code);
    free(pattern);
}

bool kx_pattern_match(const struct kx_pattern *pattern, const char *subject, size_t length)
{
    /* Ours are well-formed by construction (the record's texts): no second check. */
    return pcre2_match(pattern->code, (PCRE2_SPTR)subject, length, 0, PCRE2_NO_UTF_CHECK,
                       pattern->match, pattern->context) >= 0;
}
