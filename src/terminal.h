/*
 * Questions at a terminal, for the commands that ask.
 *
 * Questions go to standard error, so that standard output has the results only. While a secret is
 * typed the terminal does not echo; whatever ends that (Enter, Ctrl-C, a signal from elsewhere, the
 * end of input), it echoes again afterwards. One thread.
 */
#ifndef KX_TERMINAL_H
#define KX_TERMINAL_H

#include "base/error.h"
#include "config/secret.h"
#include <stdbool.h>
#include <stddef.h>

/* Whether there is somebody to ask. */
bool kx_terminal_is_there(void);

/* Asks for a line; an empty one is the fallback. KX_ERR_STOPPED: the input ended. */
enum kx_code kx_terminal_ask(
    const char *question, const char *fallback, char *out, size_t size, struct kx_error *err);

/* Asks for a secret. Signals that would end the program wait until the terminal echoes again, and
 * end it then: this call does not return from them. */
enum kx_code
kx_terminal_ask_secret(const char *question, struct kx_secret *secret, struct kx_error *err);

#endif
