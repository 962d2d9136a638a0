/*
 * What a call that can fail says about it.
 *
 * Owns nothing: the struct is plain data in the caller's frame. Threads: none shared. A callee
 * fills it once, at the place of the failure, with the object and the remedy in the text; the
 * thread's own loop logs it, once. A callee that succeeds leaves it untouched.
 */
#ifndef KX_BASE_ERROR_H
#define KX_BASE_ERROR_H

#include <stdarg.h>

/* The kinds of failure that somebody decides upon. Anything finer is text. */
enum kx_code {
    KX_OK = 0,
    KX_ERR_USAGE,       /* the command line is wrong: exit 64 */
    KX_ERR_CONFIG,      /* the configuration is wrong: exit 78 */
    KX_ERR_UNAVAILABLE, /* an end cannot be reached now: exit 69 */
    KX_ERR_AUTH,        /* an end refuses the credential */
    KX_ERR_NOT_FOUND,   /* the thing asked for does not exist there */
    KX_ERR_PROTOCOL,    /* the peer broke its protocol */
    KX_ERR_PARSE,       /* a text is not what its format demands */
    KX_ERR_LIMIT,       /* a size or count passed its limit */
    KX_ERR_TIMEOUT,     /* a deadline passed */
    KX_ERR_STOPPED,     /* somebody asked us to stop */
    KX_ERR_IO,          /* the operating system refused; sys holds errno */
    KX_ERR_NOMEM,       /* no memory */
    KX_ERR_BUG,         /* our own mistake: exit 70 */
};

enum { KX_ERROR_TEXT_MAX = 384 };

struct kx_error {
    enum kx_code code;
    int sys;                      /* errno at the failure, 0 when none */
    char text[KX_ERROR_TEXT_MAX]; /* one line, NUL-terminated, the errno text at its end */
};

/*
 * Fills *err (NULL is allowed: the caller wants the code only) and returns code, so that a failing
 * function ends in `return kx_error_set(err, KX_ERR_IO, errno, "cannot open %s", path);`.
 * A positive sys appends ": <its text>". Control bytes in the text become '?'; a text that is too
 * long is cut and says so by "...". errno stays what it was.
 */
enum kx_code kx_error_set(struct kx_error *err, enum kx_code code, int sys, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "prefix: " before the text that is there: the callers' part of the story. Returns err->code;
 * with a NULL err nobody knows it, and KX_ERR_BUG is returned. */
enum kx_code kx_error_prefix(struct kx_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A short word for a code ("timeout", "config"): for logs and metric labels. */
const char *kx_code_name(enum kx_code code);

/* Ends the program with file, line and the condition: for our own bugs only, on in every build. */
_Noreturn void kx_assert_failed(const char *file, int line, const char *condition);
#define KX_ASSERT(condition)                                                                       \
    ((condition) ? (void)0 : kx_assert_failed(__FILE__, __LINE__, #condition))

#endif
