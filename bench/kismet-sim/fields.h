/* Kismet's field simplification: a compiled list of paths that cuts a record down to what was
 * asked.
 *
 * Owns: its copy of the request. Threads: one (it keeps scratch). Lifetime: fields_free().
 * A path that leads nowhere gives the integer 0, whatever its type should be: so does Kismet. */
#pragma once

#include "jsonspan.h"

struct fields;

/* From the JSON array of a request; NULL with a reason when Kismet would refuse it.
 * An absent (.at = NULL) or empty list is valid and keeps records whole. */
struct fields *fields_compile(struct span list, const char **ret_why);
void fields_free(struct fields *f);
/* True when records pass whole. */
bool fields_whole(const struct fields *f);
/* True when the due time is asked for: then each push is rendered anew. */
bool fields_wants_due(const struct fields *f);
/* Appends the simplified record. `aliased`: the record was itself recorded with fields, so names
 * are looked up by alias. due_ns = 0: the record has no due time. */
void fields_apply(
    struct fields *f, struct span record, bool aliased, uint64_t due_ns, struct text *out);
/* The alias under which our captures hold a path ("" = they do not). */
const char *fields_alias(const char *path);
