/*
 * The words of an InfluxDB: addresses, credential and statuses; three interfaces, three sets of
 * names.
 *
 * Pure functions over the configuration; the caller owns what they fill. Any thread.
 */
#ifndef KX_SINKS_INFLUXDB_WORDS_H
#define KX_SINKS_INFLUXDB_WORDS_H

#include "base/buf.h"
#include "config/config.h"
#include "sinks/http.h"
#include <stdbool.h>

enum { KX_INFLUXDB_URL_MAX = 8192 };

/* "http://db:8086/influx": the address without a slash at its end; what errors call the end. */
void kx_influxdb_base(const struct kx_influxdb_config *config, struct kx_buf *url);
/* Where lines are written, with its query. */
void kx_influxdb_write_url(const struct kx_influxdb_config *config, struct kx_buf *url);
/* Appends text so that a query or path can hold it. */
void kx_influxdb_escape(struct kx_buf *url, const char *text);
/* v1: DATABASE of DATABASE/POLICY, its length. */
size_t kx_influxdb_database(const struct kx_influxdb_config *config);

/* The member of the configuration that is the credential: the password with a user, else the token.
 */
const struct kx_secret *kx_influxdb_secret(const struct kx_influxdb_config *config);
/* Fills url-independent parts of a request: how the secret is presented. */
void kx_influxdb_authorize(const struct kx_influxdb_config *config,
                           const struct kx_secret *secret,
                           struct kx_http_request *request);
/* What InfluxDB's statuses mean beyond the shared table. */
extern const struct kx_http_rule kx_influxdb_rules[];
extern const size_t kx_influxdb_rule_count;
/* Whether the server runs on this host. */
bool kx_influxdb_is_local(const struct kx_influxdb_config *config);

#endif
