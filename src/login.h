/*
 * `kismet-export login`: from the admin's password to a key of role readonly in a file that only
 * its owner can read, and the lines that use it.
 *
 * Asks at a terminal; without one, takes user and password from configuration and environment. Runs
 * on the main thread, instead of any other. Neither the password nor the key is ever printed.
 */
#ifndef KX_LOGIN_H
#define KX_LOGIN_H

#include "config/config.h"

/* May change the url, user and password of the one source, which is why it is not constant. */
enum kx_code kx_login_run(struct kx_config *config, struct kx_error *err);

#endif
