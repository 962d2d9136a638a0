/*
 * Lists of texts: short, made once at start, so the array grows by one at a time.
 */
#include "config/strings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Takes over text, which may be NULL (then false). */
static bool push(struct kx_strings *list, char *text)
{
    char **items = NULL;
    if (text != NULL && list->count < KX_STRINGS_MAX)
        items = reallocarray(list->items, list->count + 1, sizeof *items);
    if (items == NULL) {
        free(text);
        return false;
    }
    list->items = items;
    list->items[list->count++] = text;
    return true;
}

bool kx_strings_add(struct kx_strings *list, const char *text, size_t length)
{
    return push(list, strndup(text, length));
}

bool kx_strings_addf(struct kx_strings *list, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    return push(list, length < 0 ? NULL : text);
}

bool kx_strings_split(struct kx_strings *list, const char *text)
{
    size_t before = list->count;
    while (*text != '\0') {
        text += strspn(text, ", ");
        size_t length = strcspn(text, ",");
        size_t kept = length;
        while (kept > 0 && text[kept - 1] == ' ')
            kept--;
        if (kept > 0 && !kx_strings_add(list, text, kept)) {
            while (list->count > before)
                free(list->items[--list->count]);
            return false;
        }
        text += length;
    }
    return true;
}

void kx_strings_fini(struct kx_strings *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct kx_strings){0};
}
