/*
 * The table of commands.
 */
#include "config/command.h"

static const struct kx_command_row commands[] = {
    {"run", KX_COMMAND_RUN, NULL, NULL, "read from Kismet until a signal (the default)"},
    {"replay", KX_COMMAND_REPLAY, "FILE", "capture.ndjson.zst",
     "send a recorded capture through the sinks"},
    {"check", KX_COMMAND_CHECK, NULL, NULL, "read the configuration, say what would run, and end"},
    {"probe", KX_COMMAND_PROBE, NULL, NULL, "test every Kismet and every sink, say what to mend"},
    {"schema", KX_COMMAND_SCHEMA, NULL, NULL, "print the SQL that a postgres sink wants"},
    {"login", KX_COMMAND_LOGIN, "[URL]", "http://pi.local:2501",
     "make an API key with the admin's password"},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

size_t kx_command_count(void)
{
    return COMMANDS;
}

const struct kx_command_row *kx_command_at(size_t i)
{
    KX_ASSERT(i < COMMANDS);
    return &commands[i];
}
