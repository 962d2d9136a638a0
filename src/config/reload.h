/*
 * A configuration read again while the program runs: what is new in it, and what cannot be had
 * without a new start.
 *
 * The command line that the program was started with is part of the configuration (a copy, since
 * secrets in argv were overwritten), so reading again means what starting again would. What a
 * change takes is said by each row of the option table. One thread, main's.
 */
#ifndef KX_CONFIG_RELOAD_H
#define KX_CONFIG_RELOAD_H

#include "config/config.h"

/*
 * Reads file, environment and secret files again, with the command line of `running`. On success
 * *ret_config is the caller's, with its warnings; on failure (file and line, and the remedy, in
 * err) nothing happened.
 */
enum kx_code kx_config_reload(const struct kx_config *running,
                              struct kx_config **ret_config,
                              struct kx_error *err);

/*
 * What a running sink becomes by a new configuration: *ret_merged is its own copy of `running`
 * with each value of `fresh` that needs no new start. *ret_reopen: some of them are heeded only
 * when the sink is opened anew. Of another type: a copy of `running`. To be released with
 * kx_sink_config_destroy. KX_ERR_NOMEM leaves nothing behind.
 */
enum kx_code kx_sink_config_merge(const struct kx_sink_config *running,
                                  const struct kx_sink_config *fresh,
                                  struct kx_sink_config **ret_merged,
                                  bool *ret_reopen,
                                  struct kx_error *err);
void kx_sink_config_destroy(struct kx_sink_config *sink); /* NULL-safe */

/*
 * Appends to `lines` a sentence for each difference between the configuration of the start and
 * `fresh` that only a new start heeds: "sink lake (line 12) is new: it runs after a restart",
 * "source kitchen: url is another one: it holds after a restart". False without memory.
 */
bool kx_config_restarts(const struct kx_config *start,
                        const struct kx_config *fresh,
                        struct kx_strings *lines);

#endif
