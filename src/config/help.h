/*
 * What --help, --help-options and --version print: made from the option table.
 *
 * A kx_help owns the texts that argp borrows. One thread.
 */
#ifndef KX_CONFIG_HELP_H
#define KX_CONFIG_HELP_H

#include "base/error.h"
#include <argp.h>
#include <stdio.h>

/* argp's key of row i is KX_HELP_KEY_FIRST + i; rows with a letter have it as their key. */
enum { KX_HELP_KEY_FIRST = 0x200, KX_HELP_KEY_OPTIONS = 0x100 };

struct kx_help;

enum kx_code kx_help_create(struct kx_help **ret_help, struct kx_error *err);
void kx_help_destroy(struct kx_help *help);

/* For argp.options, argp.args_doc and argp.doc. */
const struct argp_option *kx_help_argp_options(const struct kx_help *help);
const char *kx_help_args(const struct kx_help *help);
const char *kx_help_doc(const struct kx_help *help);

/* The option table as Markdown: one row an option, those of missing sinks left out. */
void kx_help_markdown(FILE *out);

#endif
