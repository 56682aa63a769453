/* How many threads this process may run: what its affinity mask and its cgroup's CPU quota allow.
 *
 * Linux alone tells both. The mask may change and is read each time (less than 1 us); the quota is read from files
 * and kept. A cgroup's quota is that of the tightest cgroup above it, itself included; where the cgroup of this
 * process is out of sight (a container without a namespace of its own), what stands at the mount is its own. Whatever
 * cannot be read or understood does not limit. */
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
    cpu_set_t mask[8]; /* 8,192 processors, the most that a kernel is built for */
    if (sched_getaffinity(0, sizeof mask, mask) != 0) return 1;
    int n = CPU_COUNT_S(sizeof mask, mask);
    return n > 0 ? (size_t)n : 1;
}

/* -- the quota of a cgroup --------------------------------------------------------------------------------------- */

/* One row per version of cgroups: the controller that its line of /proc/self/cgroup names, where its tree is mounted,
 * and its files: one with quota and period, or one each. */
typedef struct {
    const char *controller, *mount, *quota, *period;
} hierarchy;

static const hierarchy HIERARCHIES[] = {
    {"", "", "cpu.max", NULL},
    {"cpu", "/cpu", "cpu.cfs_quota_us", "cpu.cfs_period_us"},
};

/* Reads up to n numbers from a file of a directory; returns how many. */
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

/* The quota of one cgroup in threads, rounded up; SIZE_MAX where there is none ("max", -1, no such file). */
static size_t directory_threads(const hierarchy *tree, const char *directory) {
    long long numbers[2];
    int n = read_numbers(directory, tree->quota, numbers, tree->period == NULL ? 2 : 1);
    if (tree->period != NULL) n += read_numbers(directory, tree->period, numbers + 1, 1);
    if (n != 2 || numbers[0] <= 0 || numbers[1] <= 0) return SIZE_MAX;
    return (size_t)((numbers[0] - 1) / numbers[1]) + 1;
}

/* The tightest quota from directory `path` up to its first `top` characters; path is shortened on the way. */
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

/* Whether a list such as "cpu,cpuacct" has the controller; the list of version 2 is empty. */
static int lists(const char *controllers, const char *controller) {
    size_t length = strlen(controller);
    for (;;) {
        size_t n = strcspn(controllers, ",");
        if (n == length && memcmp(controllers, controller, n) == 0) return 1;
        if (controllers[n] == '\0') return 0;
        controllers += n + 1;
    }
}

/* What one line "number:controllers:path" of /proc/self/cgroup allows; the line is shortened on the way. */
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
    static atomic_size_t quota; /* 0: not read yet. Threads that read it at once find the same. */
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
    return 1; /* the pool has no threads there either */
#endif
}

#endif
