/* A field list that somebody asked for, compiled once and shared by all who ask for the same, with
 * the frames that it rendered: a device that did not change is not rendered again.
 *
 * Owns: the compiled fields and one reference of each cached frame. Threads: one. Lifetime: by
 * reference count. Full: one frame a device. */
#pragma once

#include "fields.h"
#include "frame.h"
#include "scene.h"

struct program;

/* From the "fields" of a request (.at = NULL: none). NULL with a reason. */
struct program *program_get(struct program **list, struct span fields, const char **ret_why);
void program_put(struct program **list, struct program *p);
/* The device as asked for; the caller owns one reference. */
struct frame *
program_device(struct program *p, const struct scene *s, size_t index, uint64_t due_ns);
/* An event as asked for: each inner record is simplified. */
struct frame *program_event(struct program *p, struct span message);
