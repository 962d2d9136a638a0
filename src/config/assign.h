/*
 * Texts into members: the one place where a row of the option table meets a struct.
 *
 * `object` is the struct of the row's scope. Members own what they are given; kx_options_release
 * frees all of a scope's members, by the same rows. One thread. Failure: the member is as it was,
 * KX_ERR_CONFIG with a text that says what to write instead but not where: the caller puts file and
 * line, or the flag, before it. A secret's value is never repeated.
 */
#ifndef KX_CONFIG_ASSIGN_H
#define KX_CONFIG_ASSIGN_H

#include "config/kinds.h"
#include "config/options.h"

/* The value as somebody wrote it; of a list, its comma form; of a section, its short form. */
enum kx_code kx_option_assign(const struct kx_option *option,
                              void *object,
                              const char *text,
                              struct kx_error *err);
/* Only for a list; *words is taken over, and empty afterwards, in success and failure. */
enum kx_code kx_option_assign_list(const struct kx_option *option,
                                   void *object,
                                   struct kx_strings *words,
                                   struct kx_error *err);
/* Every default of a scope and the sections in it. */
enum kx_code kx_options_assign_defaults(enum kx_scope scope, void *object, struct kx_error *err);
/* What a sink of a kind is before anybody says anything: type, defaults, batch. */
enum kx_code kx_sink_defaults(struct kx_sink_config *sink,
                              const struct kx_sink_kind *kind,
                              struct kx_error *err);
/* Frees and empties every member of a scope and the sections in it. */
void kx_options_release(enum kx_scope scope, void *object);
void kx_sink_release(struct kx_sink_config *sink); /* all of a sink's */

/* The member of option in its scope's struct; of a section, the struct of the section's scope. */
void *kx_option_member(const struct kx_option *option, void *object);

#endif
