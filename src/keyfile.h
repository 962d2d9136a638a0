/*
 * Where an API key is kept, and how it gets there: a file that only its owner can read, whole or
 * not at all.
 *
 * Paths are the caller's to free. One thread. Failure: what was at the path before is untouched.
 */
#ifndef KX_KEYFILE_H
#define KX_KEYFILE_H

#include "config/secret.h"
#include "config/url.h"

/* $XDG_CONFIG_HOME/kismet-export/HOST_PORT.key, or the same in ~/.config; a path prefix of the url
 * is part of the name. */
enum kx_code kx_keyfile_default(const struct kx_url *url, char **ret_path, struct kx_error *err);

/* Whether a key can be written to path; makes its directory (0700) when it is missing. Before a key
 * is made, since one that cannot be kept is one more to revoke. */
enum kx_code kx_keyfile_prepare(const char *path, struct kx_error *err);

/* Writes the key: a new file (0600) beside it, synced, renamed over it. */
enum kx_code kx_keyfile_write(const char *path, const struct kx_secret *key, struct kx_error *err);

#endif
