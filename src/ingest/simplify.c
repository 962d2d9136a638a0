/* Field simplification; one pass over the record's first level, then only into what is asked for.
 */
#include "ingest/simplify.h"

#include "ingest/fields.h"
#include "ingest/json_scan.h"
#include <string.h>

enum { FIELDS_MAX = 64 };

/* The first name of a path: up to its '/', or all of it. */
static size_t first_name(const char *path)
{
    const char *slash = strchr(path, '/');
    return slash != NULL ? (size_t)(slash - path) : strlen(path);
}

static bool same(struct kx_json_text text, const char *word, size_t length)
{
    return text.length == length && memcmp(text.data, word, length) == 0;
}

/* The value of a path inside an object's text; data NULL when there is none. */
static struct kx_json_text resolve(struct kx_json_text object, const char *path)
{
    const struct kx_json_text none = {0};
    while (*path != '\0') {
        const size_t name = first_name(path);
        struct kx_scan scan = {object.data, object.data + object.length};
        struct kx_json_text key, value;
        bool found = false;
        if (!kx_scan_take(&scan, '{'))
            return none;
        while (!found && kx_scan_member(&scan, &key, &value)) {
            found = same(key, path, name);
            if (!found && !kx_scan_take(&scan, ','))
                break;
        }
        if (!found)
            return none;
        object = value;
        path += name + (path[name] == '/');
    }
    return object;
}

/* Each field's value at the record's first level, in one pass. */
static bool read_first_level(const char *text,
                             size_t length,
                             enum kx_location location,
                             struct kx_json_text values[FIELDS_MAX])
{
    struct kx_scan scan = {text, text + length};
    if (!kx_scan_take(&scan, '{'))
        return false;
    for (;;) {
        struct kx_json_text key, value;
        if (!kx_scan_member(&scan, &key, &value))
            return false;
        for (size_t i = 0; i < kx_fields_count(); i++) {
            const struct kx_field_path field = kx_fields_at(i, location);
            const char *path = field.record != NULL ? field.record : field.path;
            if (values[i].data == NULL && same(key, path, first_name(path)))
                values[i] = value;
        }
        if (!kx_scan_take(&scan, ','))
            return kx_scan_take(&scan, '}');
    }
}

static const char *behind_first(const char *path)
{
    const size_t name = first_name(path);
    return path + name + (path[name] == '/');
}

bool kx_simplify(const char *text, size_t length, enum kx_location location, struct kx_buf *out)
{
    struct kx_json_text values[FIELDS_MAX] = {0};
    KX_ASSERT(kx_fields_count() <= FIELDS_MAX);
    const size_t before = out->length;
    if (!read_first_level(text, length, location, values) || values[0].data == NULL)
        return false;
    for (size_t i = 0; i < kx_fields_count(); i++) {
        const struct kx_field_path field = kx_fields_at(i, location);
        struct kx_json_text value = values[i];
        if (value.data != NULL && field.record != NULL)
            value = resolve(value, behind_first(field.record));
        if (value.data != NULL)
            value = resolve(value, field.record != NULL ? field.path : behind_first(field.path));
        kx_buf_text(out, i == 0 ? "{\"" : ",\"");
        kx_buf_text(out, field.alias);
        kx_buf_text(out, "\": ");
        if (value.data != NULL)
            kx_buf_bytes(out, value.data, value.length);
        else
            kx_buf_byte(out, '0');
    }
    kx_buf_byte(out, '}');
    if (out->failed)
        kx_buf_truncate(out, before);
    return !out->failed;
}
