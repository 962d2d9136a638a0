/*
 * A YAML file as a tree with line numbers, read by libyaml.
 *
 * Owns text and tree; scalars are borrowed from it until destroy, which wipes them (they may be
 * secrets). Limits: KX_YAML_BYTES_MAX, KX_YAML_DEPTH_MAX; an alias is the node that it names, never
 * a copy, so a few bytes cannot become many. One thread. Failure: KX_ERR_CONFIG, "file:line: what,
 * and what to write instead".
 */
#ifndef KX_CONFIG_YAML_H
#define KX_CONFIG_YAML_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>

enum { KX_YAML_BYTES_MAX = 1 << 20, KX_YAML_DEPTH_MAX = 16 };

enum kx_yaml_type { KX_YAML_SCALAR, KX_YAML_SEQUENCE, KX_YAML_MAPPING };

struct kx_yaml; /* a node is an int, valid with its tree */

/* name: of the file, for messages. Empty, or more than one document = KX_ERR_CONFIG. */
enum kx_code kx_yaml_parse(const char *text,
                           size_t length,
                           const char *name,
                           struct kx_yaml **ret_yaml,
                           struct kx_error *err);
enum kx_code kx_yaml_read(const char *path, struct kx_yaml **ret_yaml, struct kx_error *err);
void kx_yaml_destroy(struct kx_yaml *yaml); /* NULL-safe */

int kx_yaml_root(const struct kx_yaml *yaml);
enum kx_yaml_type kx_yaml_type(const struct kx_yaml *yaml, int node);
unsigned kx_yaml_line(const struct kx_yaml *yaml, int node); /* from 1 */
/* The text of a scalar, NUL-terminated. */
const char *kx_yaml_text(const struct kx_yaml *yaml, int node);
/* Nothing was written: "key:", "~" or "null". */
bool kx_yaml_is_null(const struct kx_yaml *yaml, int node);
/* Items of a sequence, or pairs of a mapping. */
size_t kx_yaml_count(const struct kx_yaml *yaml, int node);
int kx_yaml_item(const struct kx_yaml *yaml, int sequence, size_t i);
int kx_yaml_key(const struct kx_yaml *yaml, int mapping, size_t i);
int kx_yaml_value(const struct kx_yaml *yaml, int mapping, size_t i);

const char *kx_yaml_name(const struct kx_yaml *yaml);
/* Others can read the file. */
bool kx_yaml_is_exposed(const struct kx_yaml *yaml);

#endif
