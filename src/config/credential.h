/*
 * Which credential a source uses, when file, environment, systemd and command line each offer one.
 *
 * The highest that gives an API key or a login wins as a whole: command line, then
 * $CREDENTIALS_DIRECTORY/kismet-api-key, then environment, then file. All but the file are for a
 * configuration with one source; a key is never sent to a server that it was not meant for. Runs at
 * start, one thread. Failure: KX_ERR_CONFIG or, for a flag, KX_ERR_USAGE, with the remedy.
 */
#ifndef KX_CONFIG_CREDENTIAL_H
#define KX_CONFIG_CREDENTIAL_H

#include "config/config.h"
#include "config/options.h"

/* Settles and reads the credential of every source; warnings go to config->warnings. */
enum kx_code kx_credentials_apply(struct kx_config *config,
                                  const struct kx_given *environment,
                                  const struct kx_given *command_line,
                                  struct kx_error *err);

/* For `login`: user and password of the one source, in the same order, and its key forgotten. One
 * without the other is no error: who is missing is asked for. */
enum kx_code kx_credentials_apply_login(struct kx_config *config,
                                        const struct kx_given *environment,
                                        const struct kx_given *command_line,
                                        struct kx_error *err);

#endif
