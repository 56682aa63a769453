/* The number of threads that this process may run at once, by its affinity mask and its cgroup's CPU quota (both on
 * Linux only; elsewhere it is the number of processors).
 *
 * The mask may change and is read at each call, which takes less than 1 us; the quota is read from files once. The
 * quota that holds for a cgroup is the least one among its own and those of its ancestors. If the path of this
 * process's cgroup does not exist (in a container that shares the host's cgroup namespace), the files at the mount
 * point are those of its cgroup. A file that cannot be read or parsed sets no limit. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "core.h"

#if defined(__linux__)

#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* -- the affinity mask ------------------------------------------------------------------------------------------- */

static size_t affinity_threads(void) {
    cpu_set_t mask[8]; /* for 8,192 processors, the maximum that a kernel can be configured for */
    if (sched_getaffinity(0, sizeof mask, mask) != 0) return 1;
    int n = CPU_COUNT_S(sizeof mask, mask);
    return n > 0 ? (size_t)n : 1;
}

/* -- the quota of a cgroup --------------------------------------------------------------------------------------- */

/* The files of a version of cgroups. */
typedef struct {
    const char *controller;     /* the controller's name in a line of /proc/self/cgroup */
    const char *mount;          /* the mount point of its tree, relative to that of all trees */
    const char *quota, *period; /* the files with these numbers; period NULL: quota's file has both */
} hierarchy;

static const hierarchy HIERARCHIES[] = {
    {"", "", "cpu.max", NULL},                                /* version 2 */
    {"cpu", "/cpu", "cpu.cfs_quota_us", "cpu.cfs_period_us"}, /* version 1 */
};

/* Read up to n numbers from a file in a directory; returns how many were read. */
static int read_numbers(const char *directory, const char *name, long long *numbers, int n) {
    char path[3 * PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "re");
    if (file == NULL) return 0;
    int n_read = 0;
    while (n_read < n && fscanf(file, "%lld", &numbers[n_read]) == 1) n_read++;
    fclose(file);
    return n_read;
}

/* The quota of one cgroup in threads, rounded up; SIZE_MAX if it has none (its file has "max" or -1, or is missing). */
static size_t directory_threads(const hierarchy *tree, const char *directory) {
    long long numbers[2];
    int n = read_numbers(directory, tree->quota, numbers, tree->period == NULL ? 2 : 1);
    if (tree->period != NULL) n += read_numbers(directory, tree->period, numbers + 1, 1);
    if (n != 2 || numbers[0] <= 0 || numbers[1] <= 0) return SIZE_MAX;
    return (size_t)((numbers[0] - 1) / numbers[1]) + 1;
}

/* The least quota of the directories from `path` up to its first `top` characters. Shortens path. */
static size_t path_threads(const hierarchy *tree, char *path, size_t top) {
    size_t fewest = SIZE_MAX;
    for (;;) {
        size_t threads = directory_threads(tree, path);
        if (threads < fewest) fewest = threads;
        char *slash = strrchr(path + top, '/');
        if (slash == NULL) return fewest;
        *slash = '\0';
    }
}

/* Whether a list such as "cpu,cpuacct" contains the controller. The list of version 2 is empty, as is its controller.
 */
static int lists(const char *controllers, const char *controller) {
    size_t length = strlen(controller);
    for (;;) {
        size_t n = strcspn(controllers, ",");
        if (n == length && memcmp(controllers, controller, n) == 0) return 1;
        if (controllers[n] == '\0') return 0;
        controllers += n + 1;
    }
}

/* The quota in threads by one line "number:controllers:path" of /proc/self/cgroup. Changes the line. */
static size_t line_threads(char *line, const char *mount) {
    char *controllers = strchr(line, ':');
    char *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (group == NULL) return SIZE_MAX;
    *group++ = '\0';
    group[strcspn(group, "\n")] = '\0';
    for (size_t i = 0; i < sizeof HIERARCHIES / sizeof *HIERARCHIES; i++) {
        const hierarchy *tree = &HIERARCHIES[i];
        if (!lists(controllers + 1, tree->controller)) continue;
        char path[2 * PATH_MAX];
        int top = snprintf(path, sizeof path, "%s%s", mount, tree->mount);
        snprintf(path + top, sizeof path - (size_t)top, "%s", group);
        return path_threads(tree, path, (size_t)top);
    }
    return SIZE_MAX;
}

size_t fml_quota_threads(const char *membership, const char *mount) {
    char line[PATH_MAX];
    size_t fewest = SIZE_MAX;
    FILE *file = fopen(membership, "re");
    if (file == NULL) return SIZE_MAX;
    while (fgets(line, sizeof line, file) != NULL) {
        size_t threads = line_threads(line, mount);
        if (threads < fewest) fewest = threads;
    }
    fclose(file);
    return fewest;
}

size_t fml_usable_threads(void) {
    static atomic_size_t quota; /* 0: not read yet. Several threads may read it at once, with the same result. */
    if (atomic_load(&quota) == 0) atomic_store(&quota, fml_quota_threads("/proc/self/cgroup", "/sys/fs/cgroup"));
    size_t threads = affinity_threads(), allowed = atomic_load(&quota);
    return threads < allowed ? threads : allowed;
}

#else

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

size_t fml_quota_threads(const char *membership, const char *mount) {
    (void)membership, (void)mount;
    return SIZE_MAX;
}

size_t fml_usable_threads(void) {
#if defined(_SC_NPROCESSORS_ONLN)
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (size_t)n : 1;
#else
    return 1; /* the pool has no threads on such platforms */
#endif
}

#endif
