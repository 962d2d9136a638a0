/*
 * Where an MQTT broker is: host[:port], mqtt://host[:port], or mqtts://host[:port] with TLS.
 *
 * Plain data, owns nothing, any thread. Failure: KX_ERR_CONFIG, outputs untouched; the text of the
 * error never repeats a password that somebody wrote into the address.
 */
#ifndef KX_CONFIG_BROKER_H
#define KX_CONFIG_BROKER_H

#include "config/url.h"

enum { KX_BROKER_PORT = 1883, KX_BROKER_PORT_TLS = 8883 };

/* The prefix of *ret_url is empty; its port is that of the text, else the scheme's. */
enum kx_code kx_broker_parse(const char *text, struct kx_url *ret_url, struct kx_error *err);
/* A check of the option table: char *, becomes its full form. */
enum kx_code kx_check_broker(void *field, struct kx_error *err);

#endif
