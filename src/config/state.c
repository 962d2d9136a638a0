/* Where the program keeps what outlives it. */
#include "config/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An absolute path of the environment; a relative one is to be ignored, says XDG. */
static const char *absolute(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] == '/' ? value : NULL;
}

enum kx_code
kx_state_path(const char *owner, const char *suffix, char **ret_path, struct kx_error *err)
{
    const char *below = "";
    const char *base = absolute("STATE_DIRECTORY");
    int length = base == NULL ? 0 : (int)strcspn(base, ":");
    if (base == NULL) {
        below = "/kismet-export";
        base = absolute("XDG_STATE_HOME");
    }
    if (base == NULL) {
        below = "/.local/state/kismet-export";
        base = absolute("HOME");
    }
    if (base == NULL) {
        *ret_path = NULL;
        return KX_OK;
    }
    if (length == 0)
        length = (int)strlen(base);
    char *path = NULL;
    if (asprintf(&path, "%.*s%s/%s%s", length, base, below, owner, suffix) < 0)
        return kx_error_set(err, KX_ERR_NOMEM, 0, "no memory for a path");
    char *name = path + strlen(path) - strlen(owner) - strlen(suffix);
    for (char *at = name; (at = strchr(at, '/')) != NULL; at++)
        *at = '_';
    *ret_path = path;
    return KX_OK;
}
