/* Questions at a terminal; the contract stands in the header. */
#include "terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

enum { SECRET_MAX = 1024 };

bool kx_terminal_is_there(void)
{
    return isatty(STDIN_FILENO) == 1;
}

static enum kx_code ended(struct kx_error *err)
{
    return kx_error_set(err, KX_ERR_STOPPED, 0, "the input ended before the answer");
}

/* A line from standard input, byte for byte: stdio would keep a copy of it. signal_fd: a readable
 * one ends it; -1 = none. */
static enum kx_code read_line(int signal_fd, char *out, size_t size, struct kx_error *err)
{
    size_t length = 0;
    for (;;) {
        struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                               {.fd = signal_fd, .events = POLLIN}};
        char byte;
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return kx_error_set(err, KX_ERR_IO, errno, "cannot wait for the terminal");
        if (fds[1].revents != 0)
            return kx_error_set(err, KX_ERR_STOPPED, 0, "interrupted");
        if (fds[0].revents == 0)
            continue;
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return ended(err);
        if (byte == '\n')
            break;
        if (length == size - 1)
            return kx_error_set(err, KX_ERR_USAGE, 0, "the answer is longer than %zu bytes",
                                size - 1);
        out[length++] = byte;
    }
    out[length] = '\0';
    return KX_OK;
}

enum kx_code kx_terminal_ask(
    const char *question, const char *fallback, char *out, size_t size, struct kx_error *err)
{
    fprintf(stderr, "%s [%s]: ", question, fallback);
    enum kx_code code = read_line(-1, out, size, err);
    if (code == KX_OK && out[0] == '\0')
        snprintf(out, size, "%s", fallback);
    return code;
}

/* --- secrets --- */

/* Signals that would end or stop us with the echo off. */
static void fill(sigset_t *set)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGALRM};
    sigemptyset(set);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaddset(set, signals[i]);
}

/* The echo is off meanwhile. */
static enum kx_code read_secret(int signal_fd, struct kx_secret *secret, struct kx_error *err)
{
    char text[SECRET_MAX];
    enum kx_code code = read_line(signal_fd, text, sizeof text, err);
    if (code == KX_OK)
        code = kx_secret_set(secret, text, err);
    explicit_bzero(text, sizeof text);
    return code;
}

enum kx_code
kx_terminal_ask_secret(const char *question, struct kx_secret *secret, struct kx_error *err)
{
    struct termios before;
    sigset_t set;
    sigset_t mask;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return kx_error_set(err, KX_ERR_IO, errno, "cannot ask the terminal");
    fill(&set);
    int signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signal_fd < 0)
        return kx_error_set(err, KX_ERR_IO, errno, "cannot make a signalfd");
    sigprocmask(SIG_BLOCK, &set, &mask);
    struct termios silent = before;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    enum kx_code code = KX_OK;
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) != 0)
        code = kx_error_set(err, KX_ERR_IO, errno, "the terminal does not stop echoing");
    if (code == KX_OK) {
        fprintf(stderr, "%s: ", question);
        code = read_secret(signal_fd, secret, err);
        fputc('\n', stderr);
    }
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    close(signal_fd);
    /* The signal was left pending, never read: it does its work here. */
    sigprocmask(SIG_SETMASK, &mask, NULL);
    return code;
}
