/* The control socket: one command a line, one reply a line, `ok ...` or `error ...`.
 *
 * Owns: the unix socket's name. Threads: one. Lifetime: between control_open() and control_close().
 */
#pragma once

#include "sim.h"

/* What --help and the command `help` say. */
extern const char control_help[];

bool control_open(struct sim *s);
void control_close(struct sim *s);
