/*
 * A secret: a value that no format string can print, because its bytes are behind a function.
 *
 * Owns its bytes, wiped on fini. Filled from $CREDENTIALS_DIRECTORY, a file, the environment or
 * (with a warning) the command line. Zeroed memory is a secret that is not set. One thread fills it
 * and, when the far end refuses it, reads its file again; nobody else looks at it meanwhile.
 * Failure: the old value stays.
 */
#ifndef KX_CONFIG_SECRET_H
#define KX_CONFIG_SECRET_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>

enum { KX_SECRET_BYTES_MAX = 65536 };

struct kx_secret {
    struct kx_secret_bytes *bytes; /* NULL = not set */
    char *file;                    /* where it came from, to be read again; NULL otherwise */
};

bool kx_secret_is_set(const struct kx_secret *secret);
/* The NUL-terminated value, or NULL when not set. Valid until fini or the next set/reload. Copy it
 * only into memory that is wiped. */
const char *kx_secret_reveal(const struct kx_secret *secret);
/* Takes a copy of value (line ends at its end cut) and forgets a file. Empty, over
 * KX_SECRET_BYTES_MAX or control bytes inside = KX_ERR_CONFIG. */
enum kx_code kx_secret_set(struct kx_secret *secret, const char *value, struct kx_error *err);
/* Reads it from a file of at most KX_SECRET_BYTES_MAX bytes and remembers the path. A file that
 * others can write is refused (KX_ERR_CONFIG), as is one that is not there; *ret_exposed (may be
 * NULL) says that others can read it: the caller warns. */
enum kx_code
kx_secret_load(struct kx_secret *secret, const char *path, bool *ret_exposed, struct kx_error *err);
/* Reads the file again; keeps the old value on failure. No file: does nothing, KX_OK. */
enum kx_code kx_secret_reload(struct kx_secret *secret, struct kx_error *err);
/* A copy that knows the file, too; of an unset secret an unset one. to is unset. */
enum kx_code
kx_secret_copy(struct kx_secret *to, const struct kx_secret *from, struct kx_error *err);
void kx_secret_fini(struct kx_secret *secret);

#endif
