/* What makes things happen: a capture that is played, synthetic devices that change, the heartbeat.
 *
 * Owns: the capture's lines (the whole file, unpacked). Threads: one. Lifetime: main(). Failure: a
 * capture that cannot be read ends the program at start. */
#pragma once

#include "sim.h"

/* Reads the capture; NULL with the reason on stderr. A list of devices is put into the scene at
 * once. */
struct player *player_open(struct sim *s, const char *path);
void player_close(struct player *p);
bool player_done(const struct player *p);
void player_print(const struct player *p, struct text *out);

/* Starts all timers. */
void play_start(struct sim *s);
void play_stop(struct sim *s);
/* `count` synthetic devices change now; returns how many there were to change. */
size_t play_change(struct sim *s, size_t count, uint64_t due_ns);
/* Nothing changes any more, until it is thawed: then a capture goes on where it stopped. */
void play_freeze(struct sim *s, bool freeze);
