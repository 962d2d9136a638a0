/* Reading /proc; the contract stands in the header. */
#include "stats/process.h"

#include "base/clock.h"
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { STAT_MAX = 1024, FIELDS = 24 };

/* Fields of proc(5)'s stat, as it counts them. */
enum {
    STAT_UTIME = 14,
    STAT_STIME = 15,
    STAT_THREADS = 20,
    STAT_START = 22,
    STAT_VSIZE = 23,
    STAT_RSS = 24
};

struct stat_line {
    char name[KX_PROCESS_NAME_MAX];
    unsigned long long fields[FIELDS + 1]; /* from the fourth on */
};

static bool read_text(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = read(fd, out, size - 1);
    close(fd);
    if (got <= 0)
        return false;
    out[got] = '\0';
    return true;
}

/* "pid (name) S 1 2 3 ...": the name may hold blanks and brackets, so it ends at the last one. */
static bool parse_stat(const char *text, struct stat_line *ret_line)
{
    const char *open = strchr(text, '(');
    const char *close = strrchr(text, ')');
    if (open == NULL || close == NULL || close < open)
        return false;
    size_t length = (size_t)(close - open - 1);
    *ret_line = (struct stat_line){0};
    if (length >= sizeof ret_line->name)
        length = sizeof ret_line->name - 1;
    memcpy(ret_line->name, open + 1, length);
    if (strlen(close) < 4)
        return false;
    char *at = NULL;
    const char *from = close + 3; /* behind ") S" */
    for (size_t i = 4; i <= FIELDS; i++) {
        ret_line->fields[i] = strtoull(from, &at, 10);
        if (at == from)
            return false;
        from = at;
    }
    return true;
}

static double ticks_s(unsigned long long ticks)
{
    long a_second = sysconf(_SC_CLK_TCK);
    return a_second > 0 ? (double)ticks / (double)a_second : 0;
}

static double cpu_s(const struct stat_line *line)
{
    return ticks_s(line->fields[STAT_UTIME] + line->fields[STAT_STIME]);
}

/* Worked out from two clocks, so good to a few milliseconds. */
static double start_time_s(const struct stat_line *line)
{
    double up_s = (double)kx_clock_boot_ns() / 1e9;
    return (double)kx_clock_wall_ns() / 1e9 - up_s + ticks_s(line->fields[STAT_START]);
}

static uint64_t count_fds(void)
{
    DIR *directory = opendir("/proc/self/fd");
    if (directory == NULL)
        return 0;
    uint64_t count = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += isdigit((unsigned char)entry->d_name[0]) != 0;
    closedir(directory);
    return count > 0 ? count - 1 : 0; /* without the directory's own */
}

void kx_process_usage(struct kx_process_usage *usage)
{
    char text[STAT_MAX];
    struct stat_line line;
    struct rlimit limit;
    *usage = (struct kx_process_usage){.open_fds = count_fds(), .started_s = usage->started_s};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        usage->max_fds = limit.rlim_cur;
    if (!read_text("/proc/self/stat", text, sizeof text) || !parse_stat(text, &line))
        return;
    long page = sysconf(_SC_PAGESIZE);
    usage->cpu_s = cpu_s(&line);
    usage->threads = line.fields[STAT_THREADS];
    if (usage->started_s == 0)
        usage->started_s = start_time_s(&line);
    usage->virtual_bytes = line.fields[STAT_VSIZE];
    usage->resident_bytes = line.fields[STAT_RSS] * (page > 0 ? (uint64_t)page : 0);
}

static bool is_there(const struct kx_process_thread *threads, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(threads[i].name, name) == 0)
            return true;
    return false;
}

size_t kx_process_threads(struct kx_process_thread threads[KX_PROCESS_THREADS_MAX])
{
    size_t count = 0;
    DIR *directory = opendir("/proc/self/task");
    if (directory == NULL)
        return 0;
    /* The kernel lists them in the order in which they began. */
    for (struct dirent *entry;
         count < KX_PROCESS_THREADS_MAX && (entry = readdir(directory)) != NULL;) {
        char path[sizeof "/proc/self/task//stat" + sizeof entry->d_name];
        char text[STAT_MAX];
        struct stat_line line;
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/stat", entry->d_name);
        if (!read_text(path, text, sizeof text) || !parse_stat(text, &line))
            continue;
        if (strtol(entry->d_name, NULL, 10) == getpid())
            snprintf(line.name, sizeof line.name, KX_PROCESS_MAIN);
        if (is_there(threads, count, line.name))
            continue;
        memcpy(threads[count].name, line.name, sizeof line.name);
        threads[count++].cpu_s = cpu_s(&line);
    }
    closedir(directory);
    return count;
}
