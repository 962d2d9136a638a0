/*
 * A secret: a value that no format string can print, because its bytes are behind a function.
 *
 * Owns its bytes, wiped on fini. Filled from $CREDENTIALS_DIRECTORY, a file, the environment or
 * (with a warning) the command line. One thread fills it; afterwards it is read-only.
 */
#ifndef KX_CONFIG_SECRET_H
#define KX_CONFIG_SECRET_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>

struct kx_secret {
    struct kx_secret_bytes *bytes; /* NULL = not set */
    char *file;                    /* where it came from, to be read again; NULL otherwise */
};

bool kx_secret_is_set(const struct kx_secret *secret);
/* The NUL-terminated value, or NULL when not set. Valid until fini or the next set/reload. Copy it
 * only into memory that is wiped. */
const char *kx_secret_reveal(const struct kx_secret *secret);
/* Takes a copy of value (trailing newlines cut). Control bytes inside = KX_ERR_CONFIG. */
enum kx_code kx_secret_set(struct kx_secret *secret, const char *value, struct kx_error *err);
/* Reads it from a file of at most 64 KiB and remembers the path. Warns when others can read the
 * file, refuses it (KX_ERR_CONFIG) when others can write it. */
enum kx_code kx_secret_load(struct kx_secret *secret, const char *path, struct kx_error *err);
/* Reads the file again; keeps the old value on failure. No file: does nothing, KX_OK. */
enum kx_code kx_secret_reload(struct kx_secret *secret, struct kx_error *err);
void kx_secret_fini(struct kx_secret *secret);

#endif
