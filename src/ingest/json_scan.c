/* Quotes and brackets; the contract stands in the header. */
#include "ingest/json_scan.h"

#include <string.h>

void kx_scan_space(struct kx_scan *scan)
{
    while (scan->at < scan->end && memchr(" \t\r\n", *scan->at, 4))
        scan->at++;
}

bool kx_scan_take(struct kx_scan *scan, char byte)
{
    kx_scan_space(scan);
    if (scan->at == scan->end || *scan->at != byte)
        return false;
    scan->at++;
    return true;
}

/* From an opening quote to behind the closing one. */
static bool skip_string(struct kx_scan *scan)
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
bool kx_scan_value(struct kx_scan *scan, struct kx_json_text *ret_text)
{
    kx_scan_space(scan);
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

bool kx_scan_is_object_line(const char *text, size_t length)
{
    struct kx_scan scan = {text, text + length};
    size_t depth = 0;
    if (length < 2 || text[0] != '{' || memchr(text, '\n', length) || memchr(text, '\r', length))
        return false;
    while (scan.at < scan.end) {
        const char c = *scan.at;
        if (c == '"') {
            if (!skip_string(&scan))
                return false;
            continue;
        }
        scan.at++;
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && --depth == 0)
            return scan.at == scan.end && c == '}';
    }
    return false;
}

/* "key": value. */
bool kx_scan_member(struct kx_scan *scan, struct kx_json_text *ret_key, struct kx_json_text *ret)
{
    kx_scan_space(scan);
    const char *start = scan->at;
    if (start == scan->end || *start != '"' || !skip_string(scan))
        return false;
    *ret_key = (struct kx_json_text){start + 1, (size_t)(scan->at - start) - 2};
    return kx_scan_take(scan, ':') && kx_scan_value(scan, ret);
}

bool kx_scan_array(struct kx_scan *scan, const char *key)
{
    if (kx_scan_take(scan, '['))
        return true;
    if (key == NULL || !kx_scan_take(scan, '{'))
        return false;
    for (;;) {
        struct kx_json_text name, value;
        if (!kx_scan_member(scan, &name, &value))
            return false;
        if (name.length == strlen(key) && memcmp(name.data, key, name.length) == 0) {
            scan->at = value.data;
            return kx_scan_take(scan, '[');
        }
        if (!kx_scan_take(scan, ','))
            return false;
    }
}

bool kx_scan_element(struct kx_scan *scan, struct kx_json_text *ret_value)
{
    kx_scan_take(scan, ',');
    return kx_scan_value(scan, ret_value);
}
