/*
 * `kismet-export probe`: tests every source and every sink and says what to mend.
 *
 * Runs on the main thread, before and instead of any other; Ctrl-C ends it by its default action:
 * nothing is left half done.
 */
#ifndef KX_PROBE_H
#define KX_PROBE_H

#include "config/config.h"

/* Prints a line a finding to standard output. KX_ERR_UNAVAILABLE when one of them is a failure; err
 * says how many. */
enum kx_code kx_probe_run(const struct kx_config *config, struct kx_error *err);

#endif
