/*
 * The command line: which command, and which text for which row of the option table.
 *
 * Borrows argv and is valid as long as it. Runs before any thread (argp and getopt keep state of
 * their own). Failure: KX_ERR_USAGE with the remedy; nothing is printed and nobody exits.
 */
#ifndef KX_CONFIG_CLI_H
#define KX_CONFIG_CLI_H

#include "base/error.h"
#include "config/config.h"
#include "config/options.h"
#include <stdbool.h>
#include <stdio.h>

struct kx_cli {
    enum kx_command command;
    const char *operand;   /* replay's FILE, login's URL */
    struct kx_given given; /* a bare flag's value is "true" */
    bool done;             /* --help and the like were printed */
};

/* Parses argv. --help, --version and --help-options print to out and set ret_cli->done. The order
 * of argv may change, as getopt does. */
enum kx_code
kx_cli_parse(int argc, char **argv, FILE *out, struct kx_cli *ret_cli, struct kx_error *err);
/* Overwrites the secrets in argv, so that ps shows them no longer. */
void kx_cli_wipe(const struct kx_cli *cli);

#endif
