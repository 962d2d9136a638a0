/*
 * ${VAR}, as the shell and Compose write it, and nothing more of them.
 */
#include "config/expand.h"

#include "base/buf.h"
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 128 };

/* Appends what "${...}" at text means and returns what follows it, or NULL (err is set). */
static const char *expand_one(struct kx_buf *out, const char *text, struct kx_error *err)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    char name[NAME_MAX_BYTES];
    const char *begin = text + 2;
    const char *end = strchr(begin, '}');
    size_t length = strspn(begin, letters);
    const char *rest = begin + length;
    bool digit = *begin >= '0' && *begin <= '9';
    bool words = rest[0] == ':' && rest[1] == '-';
    if (end == NULL || length == 0 || length >= sizeof name || digit || (rest != end && !words)) {
        kx_error_set(err, KX_ERR_CONFIG, 0,
                     "after '${' comes the name of an environment variable and '}': write ${NAME}, "
                     "${NAME:-default}, or $${ for a plain ${");
        return NULL;
    }
    memcpy(name, begin, length);
    name[length] = '\0';
    const char *value = getenv(name);
    if (words && (value == NULL || value[0] == '\0')) {
        kx_buf_bytes(out, rest + 2, (size_t)(end - rest - 2));
    } else if (value == NULL) {
        kx_error_set(err, KX_ERR_CONFIG, 0,
                     "the environment variable %s is not set: set it, or write ${%s:-default}",
                     name, name);
        return NULL;
    } else {
        kx_buf_text(out, value);
    }
    return end + 1;
}

/* The copy may be a secret: a buffer that grows leaves its old bytes behind, so it begins
 * full-size.
 */
enum kx_code kx_expand(const char *text, char **ret_text, bool *ret_expanded, struct kx_error *err)
{
    struct kx_buf out;
    bool expanded = false;
    kx_buf_init(&out, KX_EXPAND_BYTES_MAX);
    kx_buf_reserve(&out, strstr(text, "${") == NULL ? strlen(text) + 1 : KX_EXPAND_BYTES_MAX);
    while (*text != '\0' && !out.failed) {
        if (strncmp(text, "$${", 3) == 0) {
            kx_buf_text(&out, "${");
            text += 3;
        } else if (strncmp(text, "${", 2) == 0) {
            expanded = true;
            text = expand_one(&out, text, err);
            if (text == NULL)
                break;
        } else {
            kx_buf_byte(&out, *text++);
        }
    }
    kx_buf_byte(&out, '\0');
    char *copy = text == NULL || out.failed ? NULL : strdup(out.data);
    bool failed = out.failed;
    if (out.data != NULL)
        explicit_bzero(out.data, out.capacity);
    kx_buf_fini(&out);
    if (text == NULL)
        return KX_ERR_CONFIG;
    if (failed)
        return kx_error_set(err, KX_ERR_CONFIG, 0, "the value is longer than %d bytes",
                            KX_EXPAND_BYTES_MAX - 1);
    if (copy == NULL)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a value");
    *ret_text = copy;
    if (ret_expanded != NULL)
        *ret_expanded = expanded;
    return KX_OK;
}
