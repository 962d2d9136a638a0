/*
 * Where the program keeps what outlives it, when nobody says otherwise.
 *
 * $STATE_DIRECTORY (systemd's StateDirectory=, the first of several), else
 * $XDG_STATE_HOME/kismet-export, else ~/.local/state/kismet-export. Reads the environment only: the
 * directory need not be there. Before the threads start, or on the main thread.
 */
#ifndef KX_CONFIG_STATE_H
#define KX_CONFIG_STATE_H

#include "base/error.h"

/* The path of <owner><suffix> there; a '/' in owner, which is a name and no path, becomes '_'.
 * *ret_path is the caller's to free, and NULL when there is no such place (no home). */
enum kx_code
kx_state_path(const char *owner, const char *suffix, char **ret_path, struct kx_error *err);

#endif
