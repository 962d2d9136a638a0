/*
 * What a configuration means, in a few lines for people: what `kismet-export check` prints.
 *
 * Reads the configuration, any thread. No secret is in it, only whence it comes.
 */
#ifndef KX_CONFIG_DESCRIBE_H
#define KX_CONFIG_DESCRIBE_H

#include "base/buf.h"
#include "config/config.h"

void kx_config_describe(const struct kx_config *config, struct kx_buf *out);

#endif
