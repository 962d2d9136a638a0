/*
 * Errors as text: one line, cut with "..." rather than refused, its errno's words kept at the end.
 */
#include "base/error.h"
#include "base/text.h"
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUFFIX_MAX = 128 }; /* the words of an errno, far under KX_ERROR_TEXT_MAX */

/* Lays text and then suffix into out; what does not fit is cut from text. */
static void
join(char out[KX_ERROR_TEXT_MAX], const char *text, bool text_was_cut, const char *suffix)
{
    static const char dots[] = "...";
    size_t dots_length = sizeof dots - 1;
    size_t text_length = strlen(text);
    size_t suffix_length = strlen(suffix);
    size_t room = KX_ERROR_TEXT_MAX - 1 - suffix_length;
    bool cut = text_was_cut || text_length > room;
    if (cut)
        text_length = kx_text_utf8_cut(text, text_length, room - dots_length);

    memcpy(out, text, text_length);
    if (cut) {
        memcpy(out + text_length, dots, dots_length);
        text_length += dots_length;
    }
    memcpy(out + text_length, suffix, suffix_length);
    out[text_length + suffix_length] = '\0';
    for (char *at = out; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
}

enum kx_code kx_error_set(struct kx_error *err, enum kx_code code, int sys, const char *format, ...)
{
    if (err == NULL)
        return code;
    int saved = errno;
    /* Not straight into err->text: it may be among the arguments. */
    char text[KX_ERROR_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0)
        text[0] = '\0';

    char suffix[SUFFIX_MAX] = "";
    if (sys > 0) {
        char words[SUFFIX_MAX - 2];
        snprintf(suffix, sizeof suffix, ": %s", strerror_r(sys, words, sizeof words));
    }
    join(err->text, text, length >= KX_ERROR_TEXT_MAX, suffix);
    err->code = code;
    err->sys = sys;
    errno = saved;
    return code;
}

enum kx_code kx_error_prefix(struct kx_error *err, const char *format, ...)
{
    if (err == NULL)
        return KX_ERR_BUG;
    char text[KX_ERROR_TEXT_MAX * 2];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, KX_ERROR_TEXT_MAX, format, arguments);
    va_end(arguments);
    size_t used = 0;
    if (length >= 0)
        used = length < KX_ERROR_TEXT_MAX ? (size_t)length : KX_ERROR_TEXT_MAX - 1;
    snprintf(text + used, sizeof text - used, ": %s", err->text);
    join(err->text, text, false, "");
    return err->code;
}

const char *kx_code_name(enum kx_code code)
{
    switch (code) {
    case KX_OK:
        return "ok";
    case KX_ERR_USAGE:
        return "usage";
    case KX_ERR_CONFIG:
        return "config";
    case KX_ERR_UNAVAILABLE:
        return "unavailable";
    case KX_ERR_AUTH:
        return "auth";
    case KX_ERR_NOT_FOUND:
        return "not_found";
    case KX_ERR_PROTOCOL:
        return "protocol";
    case KX_ERR_PARSE:
        return "parse";
    case KX_ERR_LIMIT:
        return "limit";
    case KX_ERR_TIMEOUT:
        return "timeout";
    case KX_ERR_STOPPED:
        return "stopped";
    case KX_ERR_IO:
        return "io";
    case KX_ERR_NOMEM:
        return "no_memory";
    case KX_ERR_BUG:
        return "bug";
    }
    return "unknown";
}

void kx_assert_failed(const char *file, int line, const char *condition)
{
    char text[512];
    int length =
        snprintf(text, sizeof text, "kismet-export: a bug of ours at %s:%d: %s does not hold\n",
                 file, line, condition);
    if (length > 0) {
        size_t bytes = (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
        ssize_t written = write(STDERR_FILENO, text, bytes);
        (void)written; /* nothing is left to be told of a failure */
    }
    abort();
}
