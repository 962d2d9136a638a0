/* Lines of a probe; the contract stands in the header. */
#include "base/probe.h"

#include "base/buf.h"
#include "base/text.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 1024, LINE_MAX_BYTES = 16384 };

void kx_probe_init(struct kx_probe *probe, int fd)
{
    *probe = (struct kx_probe){.fd = fd};
}

void kx_probe_subject(struct kx_probe *probe, const char *what, const char *name)
{
    snprintf(probe->subject, sizeof probe->subject, "%s %s", what, name);
}

static void write_line(const struct kx_probe *probe,
                       const char *grade,
                       const char *remedy,
                       const char *format,
                       va_list arguments)
{
    char text[TEXT_MAX];
    struct kx_buf line;
    vsnprintf(text, sizeof text, format, arguments); /* what is too long is cut */
    kx_buf_init(&line, LINE_MAX_BYTES);
    kx_buf_printf(&line, "%-4s ", grade);
    kx_text_terminal(&line, probe->subject, strlen(probe->subject));
    kx_buf_text(&line, "  ");
    kx_text_terminal(&line, text, strlen(text));
    if (remedy != NULL) {
        kx_buf_text(&line, ": ");
        kx_text_terminal(&line, remedy, strlen(remedy));
    }
    kx_buf_byte(&line, '\n');
    for (size_t sent = 0; sent < line.length && !line.failed;) {
        ssize_t written = write(probe->fd, line.data + sent, line.length - sent);
        if (written <= 0)
            break;
        sent += (size_t)written;
    }
    kx_buf_fini(&line);
}

void kx_probe_ok(struct kx_probe *probe, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(probe, "ok", NULL, format, arguments);
    va_end(arguments);
}

void kx_probe_warn(struct kx_probe *probe, const char *remedy, const char *format, ...)
{
    va_list arguments;
    probe->warnings++;
    va_start(arguments, format);
    write_line(probe, "warn", remedy, format, arguments);
    va_end(arguments);
}

void kx_probe_fail(struct kx_probe *probe, const char *remedy, const char *format, ...)
{
    va_list arguments;
    probe->failures++;
    va_start(arguments, format);
    write_line(probe, "FAIL", remedy, format, arguments);
    va_end(arguments);
}
