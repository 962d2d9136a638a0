/*
 * Which secrets a sink uses: a password, a token, a connection string.
 *
 * Each one is two rows of the option table that fill one member, the value and the file that it is
 * in. The highest that gives either wins: command line, then $CREDENTIALS_DIRECTORY/SINK-KEY (such
 * as mqtt-password; the sink's name, `-` for `_` in the key), then environment, then file. All but
 * the configuration's file and systemd's are for a configuration with one sink of that type; a
 * secret is never sent to a server that it was not meant for. Runs at start and in a reload, one
 * thread. Failure: KX_ERR_CONFIG or, for a flag, KX_ERR_USAGE, with the remedy.
 */
#ifndef KX_CONFIG_SINK_SECRET_H
#define KX_CONFIG_SINK_SECRET_H

#include "config/config.h"
#include "config/options.h"

/* Whether a row is filled here, and not with the other options of a sink. */
bool kx_is_sink_secret(const struct kx_option *option);
/* Settles and reads the secrets of every sink, whose names are known; warnings go to
 * config->warnings. */
enum kx_code kx_sink_secrets_apply(struct kx_config *config,
                                   const struct kx_given *environment,
                                   const struct kx_given *command_line,
                                   struct kx_error *err);
/* Reads a secret from the file that it remembers, if it does; one that everybody can read is warned
 * of. */
enum kx_code
kx_secret_settle(struct kx_config *config, struct kx_secret *secret, struct kx_error *err);

#endif
