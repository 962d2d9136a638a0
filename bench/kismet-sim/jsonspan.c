/* The raw JSON scanner. Kismet's records are 14 kB and most of it is skipped, so skipping is what
 * this file does fast: strings by memchr(), containers by a table of the bytes that matter. */
#include "jsonspan.h"

#include <stdlib.h>
#include <string.h>

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at;
}

/* `at` is behind the opening quote; returns what follows the closing one. */
static const char *string_end(const char *at, const char *end)
{
    const char *start = at;
    while (at < end) {
        const char *quote = memchr(at, '"', (size_t)(end - at));
        if (!quote)
            return NULL;
        const char *back = quote;
        while (back > start && back[-1] == '\\')
            back--;
        if ((quote - back) % 2 == 0)
            return quote + 1;
        at = quote + 1;
    }
    return NULL;
}

static const char *container_end(const char *at, const char *end)
{
    static const unsigned char matters[256] = {
        ['"'] = 1, ['{'] = 2, ['['] = 2, ['}'] = 3, [']'] = 3};
    size_t depth = 0;
    while (at < end) {
        switch (matters[(unsigned char)*at++]) {
        case 1:
            at = string_end(at, end);
            if (!at)
                return NULL;
            break;
        case 2:
            depth++;
            break;
        case 3:
            if (--depth == 0)
                return at;
            break;
        default:
            break;
        }
    }
    return NULL;
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '+' || c == '.';
}

const char *json_end(const char *at, const char *end)
{
    if (at >= end)
        return NULL;
    if (*at == '"')
        return string_end(at + 1, end);
    if (*at == '{' || *at == '[')
        return container_end(at, end);
    const char *word = at;
    while (at < end && is_word(*at))
        at++;
    return at > word ? at : NULL;
}

struct span json_document(const char *at, size_t length)
{
    const char *end = at + length;
    const char *start = skip_space(at, end);
    const char *stop = json_end(start, end);
    if (!stop || skip_space(stop, end) != end)
        return (struct span){0};
    return (struct span){start, (size_t)(stop - start)};
}

static bool open_container(struct span value, char open, struct json_walk *walk)
{
    *walk = (struct json_walk){0};
    if (!value.at || value.length < 2 || *value.at != open)
        return false;
    walk->end = value.at + value.length - 1;
    walk->at = skip_space(value.at + 1, walk->end);
    return true;
}

bool json_object(struct span value, struct json_walk *walk)
{
    return open_container(value, '{', walk);
}

bool json_array(struct span value, struct json_walk *walk)
{
    return open_container(value, '[', walk);
}

/* Behind a value: over the comma to the next one. A comma before the end is malformed. */
static void next_item(struct json_walk *walk, const char *stop)
{
    const char *at = skip_space(stop, walk->end);
    if (at == walk->end) {
        walk->at = at;
        return;
    }
    walk->bad = *at != ',';
    walk->at = skip_space(at + 1, walk->end);
    walk->bad = walk->bad || walk->at == walk->end;
}

bool json_element(struct json_walk *walk, struct span *ret_value)
{
    if (walk->bad || walk->at >= walk->end)
        return false;
    const char *stop = json_end(walk->at, walk->end);
    if (!stop) {
        walk->bad = true;
        return false;
    }
    *ret_value = (struct span){walk->at, (size_t)(stop - walk->at)};
    next_item(walk, stop);
    return true;
}

bool json_member(struct json_walk *walk, struct span *ret_key, struct span *ret_value)
{
    if (walk->bad || walk->at >= walk->end)
        return false;
    walk->bad = true;
    if (*walk->at != '"')
        return false;
    const char *key_end = string_end(walk->at + 1, walk->end);
    if (!key_end)
        return false;
    const char *colon = skip_space(key_end, walk->end);
    if (colon == walk->end || *colon != ':')
        return false;
    const char *value = skip_space(colon + 1, walk->end);
    const char *stop = json_end(value, walk->end);
    if (!stop)
        return false;
    walk->bad = false;
    *ret_key = (struct span){walk->at + 1, (size_t)(key_end - walk->at) - 2};
    *ret_value = (struct span){value, (size_t)(stop - value)};
    next_item(walk, stop);
    return true;
}

bool span_is(struct span s, const char *text)
{
    size_t n = strlen(text);
    return s.at && s.length == n && memcmp(s.at, text, n) == 0;
}

struct span json_get(struct span object, const char *key)
{
    struct json_walk walk;
    struct span name, value;
    if (json_object(object, &walk)) {
        while (json_member(&walk, &name, &value)) {
            if (span_is(name, key))
                return value;
        }
    }
    return (struct span){0};
}

bool json_is_string(struct span value)
{
    return value.at && value.length >= 2 && *value.at == '"';
}

static int hex4(const char *at)
{
    int n = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        n = n * 16 + digit;
    }
    return n;
}

/* \u escapes below 0x10000 only: surrogate pairs become two three-byte sequences, which is good
 * enough for names, paths and patterns that a test writes. */
static char *put_unicode(char *out, int code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xC0 | (code >> 6));
        *out++ = (char)(0x80 | (code & 0x3F));
    } else {
        *out++ = (char)(0xE0 | (code >> 12));
        *out++ = (char)(0x80 | ((code >> 6) & 0x3F));
        *out++ = (char)(0x80 | (code & 0x3F));
    }
    return out;
}

char *json_text(struct span value)
{
    if (!json_is_string(value))
        return NULL;
    char *text = xmalloc(value.length);
    char *out = text;
    const char *end = value.at + value.length - 1;
    for (const char *at = value.at + 1; at < end; at++) {
        if (*at != '\\' || at + 1 == end) {
            *out++ = *at;
            continue;
        }
        static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
        const char *known = strchr(from, *++at);
        int code = *at == 'u' && end - at > 4 ? hex4(at + 1) : -1;
        if (code >= 0) {
            out = put_unicode(out, code);
            at += 4;
        } else {
            *out++ = known && *known ? to[known - from] : *at;
        }
    }
    *out = '\0';
    return text;
}

bool json_integer(struct span value, int64_t *ret_number)
{
    char digits[24];
    if (!value.at || value.length == 0 || value.length >= sizeof(digits))
        return false;
    memcpy(digits, value.at, value.length);
    digits[value.length] = '\0';
    char *stop;
    long long n = strtoll(digits, &stop, 10);
    if (*stop || stop == digits)
        return false;
    *ret_number = n;
    return true;
}

bool json_number(struct span value, double *ret_number)
{
    char digits[64];
    if (!value.at || value.length == 0 || value.length >= sizeof(digits))
        return false;
    memcpy(digits, value.at, value.length);
    digits[value.length] = '\0';
    char *stop;
    double n = strtod(digits, &stop);
    if (*stop || stop == digits)
        return false;
    *ret_number = n;
    return true;
}
