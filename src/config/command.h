/*
 * The commands: a new one is one row in command.c.
 *
 * Constant data, any thread.
 */
#ifndef KX_CONFIG_COMMAND_H
#define KX_CONFIG_COMMAND_H

#include "config/config.h"

struct kx_command_row {
    const char *name;
    enum kx_command command;
    const char *operand; /* its one word, "[WORD]" when it may be left out, NULL = none */
    const char *example; /* of the operand */
    const char *help;
};

/* The first is the default. */
size_t kx_command_count(void);
const struct kx_command_row *kx_command_at(size_t i);

#endif
