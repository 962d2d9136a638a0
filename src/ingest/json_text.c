/*
 * JSON's escapes and its number grammar (RFC 8259, sections 6 and 7).
 */
#include "ingest/json_text.h"
#include <string.h>

enum {
    SURROGATE_HIGH = 0xD800,
    SURROGATE_LOW = 0xDC00,
    SURROGATE_END = 0xE000,
    REPLACEMENT = 0xFFFD,
};

/* A position in the raw text and what is left of it. */
struct cursor {
    const char *at;
    const char *end;
};

/* The four digits of \uXXXX; false when there are not four. */
static bool read_hex(struct cursor *cursor, uint32_t *ret_unit)
{
    if (cursor->end - cursor->at < 4)
        return false;
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        const char c = cursor->at[i];
        uint32_t digit;
        if (c >= '0' && c <= '9')
            digit = (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (uint32_t)(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            digit = (uint32_t)(c - 'A' + 10);
        else
            return false;
        unit = unit << 4 | digit;
    }
    cursor->at += 4;
    *ret_unit = unit;
    return true;
}

/* A code point from behind \u: one unit, or two that make a pair. A half that stands alone leaves
 * what follows it unread. */
static bool
read_code_point(struct cursor *cursor, uint32_t *ret_code_point, struct kx_json_notes *notes)
{
    uint32_t unit;
    if (!read_hex(cursor, &unit))
        return false;
    *ret_code_point = unit;
    if (unit == 0) {
        notes->nul++;
        *ret_code_point = REPLACEMENT;
    } else if (unit >= SURROGATE_HIGH && unit < SURROGATE_END) {
        struct cursor ahead = *cursor;
        uint32_t low = 0;
        const bool escape = ahead.end - ahead.at >= 2 && memcmp(ahead.at, "\\u", 2) == 0;
        if (escape) {
            ahead.at += 2;
            if (!read_hex(&ahead, &low))
                return false;
        }
        if (unit < SURROGATE_LOW && low >= SURROGATE_LOW && low < SURROGATE_END) {
            *ret_code_point = 0x10000 + ((unit - SURROGATE_HIGH) << 10) + (low - SURROGATE_LOW);
            *cursor = ahead;
        } else {
            notes->surrogate++;
            *ret_code_point = REPLACEMENT;
        }
    }
    return true;
}

static char *write_utf8(char *out, uint32_t code_point)
{
    if (code_point < 0x80) {
        *out++ = (char)code_point;
    } else if (code_point < 0x800) {
        *out++ = (char)(0xC0 | code_point >> 6);
        *out++ = (char)(0x80 | (code_point & 0x3F));
    } else if (code_point < 0x10000) {
        *out++ = (char)(0xE0 | code_point >> 12);
        *out++ = (char)(0x80 | (code_point >> 6 & 0x3F));
        *out++ = (char)(0x80 | (code_point & 0x3F));
    } else {
        *out++ = (char)(0xF0 | code_point >> 18);
        *out++ = (char)(0x80 | (code_point >> 12 & 0x3F));
        *out++ = (char)(0x80 | (code_point >> 6 & 0x3F));
        *out++ = (char)(0x80 | (code_point & 0x3F));
    }
    return out;
}

bool kx_json_unescape(
    const char *raw, size_t length, char *out, size_t *ret_length, struct kx_json_notes *notes)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    struct cursor cursor = {raw, raw + length};
    char *to = out;
    while (cursor.at < cursor.end) {
        const char c = *cursor.at++;
        if (c != '\\') {
            *to++ = c;
            continue;
        }
        if (cursor.at == cursor.end)
            return false;
        const char letter = *cursor.at++;
        if (letter == 'u') {
            uint32_t code_point;
            if (!read_code_point(&cursor, &code_point, notes))
                return false;
            to = write_utf8(to, code_point);
        } else {
            const char *known = memchr(letters, letter, sizeof letters - 1);
            if (!known)
                return false;
            *to++ = meanings[known - letters];
        }
    }
    *ret_length = (size_t)(to - out);
    return true;
}

size_t kx_json_raw_length(const char *raw, bool *ret_escaped)
{
    const char *at = raw;
    while (*at != '"')
        at += *at == '\\' ? 2 : 1;
    const size_t length = (size_t)(at - raw);
    *ret_escaped = memchr(raw, '\\', length) != NULL;
    return length;
}

/* Skips digits; false when there is none. */
static bool skip_digits(struct cursor *cursor)
{
    const char *start = cursor->at;
    while (cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9')
        cursor->at++;
    return cursor->at > start;
}

static bool skip_byte(struct cursor *cursor, char byte)
{
    if (cursor->at == cursor->end || *cursor->at != byte)
        return false;
    cursor->at++;
    return true;
}

bool kx_json_number_valid(const char *text, size_t length)
{
    struct cursor cursor = {text, text + length};
    skip_byte(&cursor, '-');
    if (!skip_byte(&cursor, '0') && !skip_digits(&cursor))
        return false;
    if (skip_byte(&cursor, '.') && !skip_digits(&cursor))
        return false;
    if (skip_byte(&cursor, 'e') || skip_byte(&cursor, 'E')) {
        if (!skip_byte(&cursor, '-'))
            skip_byte(&cursor, '+');
        if (!skip_digits(&cursor))
            return false;
    }
    return cursor.at == cursor.end;
}
