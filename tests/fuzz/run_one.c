/*
 * Replays files through a fuzz target without libFuzzer: each argument is a file or a directory of
 * files. Links with any target; ctest runs it over the corpus. An input that the target does not
 * survive ends the program; no input at all is an error, so that a lost corpus does not pass.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILE_BYTES_MAX = 64 << 20 };

static bool complain(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return false;
}

static bool run_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    /* Exactly as large as the input, so that a sanitizer sees a read one byte behind it. */
    uint8_t *bytes = size <= FILE_BYTES_MAX ? malloc(size > 0 ? size : 1) : NULL;
    bool good = file != NULL && bytes != NULL && fread(bytes, 1, size, file) == size;
    if (good) {
        /* Said first: whoever crashes is known by the last line. */
        fprintf(stderr, "%s (%zu bytes)\n", path, size);
        LLVMFuzzerTestOneInput(bytes, size);
    } else {
        complain(path);
    }
    free(bytes);
    if (file != NULL)
        fclose(file);
    return good;
}

static bool run_path(const char *path, size_t *count);

static bool run_directory(const char *path, size_t *count)
{
    struct dirent **entries = NULL;
    const int found = scandir(path, &entries, NULL, alphasort);
    if (found < 0)
        return complain(path);
    bool good = true;
    for (int i = 0; i < found; i++) {
        char *inner = NULL;
        if (entries[i]->d_name[0] != '.') {
            if (asprintf(&inner, "%s/%s", path, entries[i]->d_name) < 0)
                good = complain(path);
            else
                good = run_path(inner, count) && good;
        }
        free(inner);
        free(entries[i]);
    }
    free(entries);
    return good;
}

static bool run_path(const char *path, size_t *count)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return complain(path);
    if (S_ISDIR(status.st_mode))
        return run_directory(path, count);
    ++*count;
    return run_file(path, (size_t)status.st_size);
}

int main(int argc, char **argv)
{
    size_t count = 0;
    bool good = true;
    for (int i = 1; i < argc; i++)
        good = run_path(argv[i], &count) && good;
    if (count == 0)
        fprintf(stderr, "usage: %s FILE|DIRECTORY...: no input was found\n", argv[0]);
    return good && count > 0 ? 0 : 1;
}
