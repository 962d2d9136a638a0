/*
 * Which server answers for which source: notices when one name stands for two servers, or two
 * addresses lead to one.
 *
 * (source name, device key) is what tables are read by, so either mixes sensors up: the first when
 * a name server or a balancer points elsewhere now, the second when a sensor's SD card was copied
 * with Kismet's server_uuid on it, or a Kismet was configured twice.
 *
 * One thread (ingest, or the probe's). Borrows the configuration. Each finding is told once.
 */
#ifndef KX_INGEST_IDENTITY_H
#define KX_INGEST_IDENTITY_H

#include "base/error.h"
#include "config/config.h"
#include <stdbool.h>
#include <stddef.h>

struct kx_identity;

enum { KX_IDENTITY_TEXT_MAX = 512 };

enum kx_code kx_identity_create(struct kx_identity **ret_identity,
                                const struct kx_config *config,
                                struct kx_error *err);
void kx_identity_destroy(struct kx_identity *identity);

/* The server of config->sources[i] says that it is uuid; empty = it says nothing. True: ret_text
 * is a warning about it that has not been given yet. */
bool kx_identity_learn(struct kx_identity *identity,
                       size_t i,
                       const char *uuid,
                       char ret_text[KX_IDENTITY_TEXT_MAX]);

#endif
