/*
 * The scanner for a line of a capture: values are skipped by counting brackets outside strings.
 */
#include "ingest/capture.h"
#include "ingest/json_text.h"
#include <string.h>

struct scan {
    const char *at;
    const char *end;
};

static void skip_space(struct scan *scan)
{
    while (scan->at < scan->end && memchr(" \t\r\n", *scan->at, 4))
        scan->at++;
}

/* Skips white space and then that byte, if it is there. */
static bool take(struct scan *scan, char byte)
{
    skip_space(scan);
    if (scan->at == scan->end || *scan->at != byte)
        return false;
    scan->at++;
    return true;
}

/* From an opening quote to behind the closing one. */
static bool skip_string(struct scan *scan)
{
    scan->at++;
    while (scan->at < scan->end && *scan->at != '"')
        scan->at += *scan->at == '\\' && scan->end - scan->at > 1 ? 2 : 1;
    if (scan->at >= scan->end)
        return false;
    scan->at++;
    return true;
}

/* One value, whatever it is; ret_text is its bytes. Kinds of brackets are not told apart: whether
 * the frame is JSON is its parser's business. */
static bool skip_value(struct scan *scan, struct kx_json_text *ret_text)
{
    skip_space(scan);
    const char *start = scan->at;
    size_t depth = 0;
    while (scan->at < scan->end) {
        const char c = *scan->at;
        if (c == '"') {
            if (!skip_string(scan))
                return false;
            continue;
        }
        if (c == '{' || c == '[')
            depth++;
        else if (depth == 0 && (c == ',' || c == '}' || c == ']'))
            break;
        else if (c == '}' || c == ']')
            depth--;
        scan->at++;
    }
    const char *end = scan->at;
    while (end > start && memchr(" \t\r\n", end[-1], 4))
        end--;
    *ret_text = (struct kx_json_text){start, (size_t)(end - start)};
    return depth == 0 && end > start;
}

/* Seconds as the recorder writes them: digits with a fraction. strtod would ask the locale. */
static bool read_seconds(const struct kx_json_text *text, double *ret_seconds)
{
    if (!text->data || !kx_json_number_valid(text->data, text->length))
        return false;
    double value = 0;
    double unit = 1;
    bool fraction = false;
    for (size_t i = 0; i < text->length; i++) {
        const char c = text->data[i];
        if (c == '.') {
            fraction = true;
        } else if (c >= '0' && c <= '9') {
            value = value * 10 + (c - '0');
            unit *= fraction ? 10 : 1;
        } else {
            return false; /* a sign or an exponent: nobody recorded before he began */
        }
    }
    *ret_seconds = value / unit;
    return unit < 1e300 && value < 1e300;
}

/* The inside of a text without escapes. */
static bool read_plain(const struct kx_json_text *text, struct kx_json_text *ret_inside)
{
    if (!text->data || text->length < 2 || text->data[0] != '"' ||
        memchr(text->data, '\\', text->length))
        return false;
    *ret_inside = (struct kx_json_text){text->data + 1, text->length - 2};
    return true;
}

/* "key": value. */
static bool read_member(struct scan *scan, struct kx_json_text *ret_key, struct kx_json_text *ret)
{
    skip_space(scan);
    const char *start = scan->at;
    if (start == scan->end || *start != '"' || !skip_string(scan))
        return false;
    *ret_key = (struct kx_json_text){start + 1, (size_t)(scan->at - start) - 2};
    return take(scan, ':') && skip_value(scan, ret);
}

enum kx_json_result
kx_capture_parse(const char *line, size_t length, struct kx_capture_line *ret_line)
{
    struct scan scan = {line, line + length};
    struct kx_json_text t = {0}, s = {0}, d = {0};
    skip_space(&scan);
    if (scan.at == scan.end)
        return KX_JSON_EMPTY;
    if (!take(&scan, '{'))
        return KX_JSON_NOT_OBJECT;
    for (bool more = !take(&scan, '}'); more;) {
        struct kx_json_text key, value;
        if (!read_member(&scan, &key, &value))
            return KX_JSON_SYNTAX;
        const char name = key.length == 1 ? key.data[0] : '\0';
        struct kx_json_text *place = name == 't' ? &t : name == 's' ? &s : name == 'd' ? &d : NULL;
        if (place && !place->data)
            *place = value;
        more = take(&scan, ',');
        if (!more && !take(&scan, '}'))
            return KX_JSON_SYNTAX;
    }
    skip_space(&scan);
    if (scan.at != scan.end)
        return KX_JSON_SYNTAX;
    struct kx_capture_line found = {.frame = d};
    if (!d.data || !read_seconds(&t, &found.t) || !read_plain(&s, &found.stream))
        return KX_JSON_NO_KEY;
    *ret_line = found;
    return KX_JSON_OK;
}
