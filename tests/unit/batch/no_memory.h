/*
 * Memory that runs out when a test says so: the program's own realloc comes before the library's,
 * and before a sanitizer's, to which it hands on.
 */
#ifndef KX_TESTS_BATCH_NO_MEMORY_H
#define KX_TESTS_BATCH_NO_MEMORY_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool no_memory;
static int memory_left; /* with no_memory: so many reallocs still succeed */

void *realloc(void *memory, size_t bytes)
{
    static void *(*next)(void *, size_t);
    if (next == NULL) {
        void *symbol = dlsym(RTLD_NEXT, "realloc");
        memcpy(&next, &symbol, sizeof next);
    }
    if (no_memory && memory_left-- <= 0)
        return NULL;
    return next(memory, bytes);
}

#endif
