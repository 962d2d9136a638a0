/*
 * Rules of single values that go beyond their kind: what `check` in a row of the option table
 * calls.
 *
 * Each takes a pointer to the stored member and may make it canonical. No state, any thread.
 * Failure: KX_ERR_CONFIG, the member is as it was.
 */
#ifndef KX_CONFIG_CHECK_H
#define KX_CONFIG_CHECK_H

#include "base/error.h"
#include <stdbool.h>

/* char *: a name that logs, labels and topics carry: 1 to KX_NAME_BYTES_MAX bytes of UTF-8. */
enum kx_code kx_check_name(void *field, struct kx_error *err);
/* char *: a host name or an IP address; an IPv6 address loses its brackets. */
enum kx_code kx_check_host(void *field, struct kx_error *err);
/* char *: an address; becomes its full form. */
enum kx_code kx_check_url(void *field, struct kx_error *err);
/* char *: a Kismet view, which becomes part of a path. */
enum kx_code kx_check_view(void *field, struct kx_error *err);
/* struct kx_strings: MACs, each with an optional mask ("AA:BB:CC:00:00:00/FF:FF:FF:00:00:00"). */
enum kx_code kx_check_macs(void *field, struct kx_error *err);
/* struct kx_strings: MACs without a mask, each once, at most KX_PRESENCE_MACS_MAX. */
enum kx_code kx_check_plain_macs(void *field, struct kx_error *err);
/* char *: the name of a client at a broker. */
enum kx_code kx_check_client_id(void *field, struct kx_error *err);
/* struct kx_strings: fields of a device with a number and how far it may move, "signal_dbm=3". */
enum kx_code kx_check_deadbands(void *field, struct kx_error *err);
/* char *: a regular expression that compiles (base/pattern.h). */
enum kx_code kx_check_pattern(void *field, struct kx_error *err);
/* struct kx_strings: event topics; becomes their full names, or "none" alone. */
enum kx_code kx_check_topics(void *field, struct kx_error *err);
/* struct kx_strings: each a field's path and a pattern, "kismet.device.base.name=^Free". Whether
 * the pattern is one is the server's to say: the expressions are its own. */
enum kx_code kx_check_regex(void *field, struct kx_error *err);

/* struct kx_strings: names of a device's fields (record/record.h); "mac_addr, signal_dbm". */
enum kx_code kx_check_fields(void *field, struct kx_error *err);
/* char *: a field of Kismet's, by its path. */
enum kx_code kx_check_path(void *field, struct kx_error *err);
/* char *: a key of ours: lower-case letters, digits and '_', 1 to KX_EXTRA_NAME_BYTES_MAX, and the
 * name of no column (kx_columns_reserved). */
enum kx_code kx_check_key(void *field, struct kx_error *err);
/* char *: the name of a schema in a database, at most 63 bytes. */
enum kx_code kx_check_schema(void *field, struct kx_error *err);
/* struct kx_strings: columns that the postgres sink knows an index for. */
enum kx_code kx_check_indexes(void *field, struct kx_error *err);
/* char *: an http(s) address without credential, query or fragment; it stays as it is written. */
enum kx_code kx_check_http_url(void *field, struct kx_error *err);

/* Whether a connection string of libpq has a password in it. A doubtful one has. */
bool kx_check_conn_is_secret(const char *text);
/* char *: a webhook's address: http(s), any path and query, no credential, no fragment; it stays as
 * it is written. */
enum kx_code kx_check_webhook_url(void *field, struct kx_error *err);
/* struct kx_strings: HTTP headers as "Name=value", none of those that are ours. */
enum kx_code kx_check_headers(void *field, struct kx_error *err);

#endif
