/* usable_threads.c: the CPU quota of simulated cgroups of both versions, whose files are in a temporary folder; and the
 * affinity mask of this process. */
#define _GNU_SOURCE
#include "test_threads.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The content of the membership file, the files of a tree of cgroups (path and content), and the expected quota. */
typedef struct {
    const char *membership, *files[4][2];
    size_t expected;
} quota_case;

static const quota_case QUOTAS[] = {
    /* version 2: rounding up, no quota, the least quota among the ancestors, a namespace without the path */
    {"0::/a\n", {{"a/cpu.max", "200000 100000\n"}}, 2},
    {"0::/a\n", {{"a/cpu.max", "100001 100000\n"}}, 2},
    {"0::/a\n", {{"a/cpu.max", "1000 100000\n"}}, 1},
    {"0::/a\n", {{"a/cpu.max", "max 100000\n"}}, SIZE_MAX},
    {"0::/\n", {{"cpu.max", "250000 100000\n"}}, 3},
    {"0::/a/b/c\n", {{"a/b/c/cpu.max", "max 100000\n"}, {"a/b/cpu.max", "350000 50000\n"}}, 7},
    {"0::/a/b\n", {{"a/b/cpu.max", "400000 100000\n"}, {"a/cpu.max", "300000 100000\n"}, {"cpu.max", "max 1\n"}}, 3},
    {"0::/a/b\n", {{"a/b/cpu.max", "200000 100000\n"}, {"a/cpu.max", "300000 100000\n"}}, 2},
    {"0::/docker/x\n", {{"cpu.max", "50000 100000\n"}}, 1},
    {"0::/a:b\n", {{"a:b/cpu.max", "200000 100000\n"}}, 2},
    /* version 1: only the tree of the controller `cpu`, which may share its line and its tree with others */
    {"4:cpu,cpuacct:/a\n0::/\n", {{"cpu/a/cpu.cfs_quota_us", "150000\n"}, {"cpu/a/cpu.cfs_period_us", "50000\n"}}, 3},
    {"4:cpuacct,cpu:/\n", {{"cpu/cpu.cfs_quota_us", "150000\n"}, {"cpu/cpu.cfs_period_us", "100000\n"}}, 2},
    {"4:cpu:/a\n", {{"cpu/a/cpu.cfs_quota_us", "-1\n"}, {"cpu/a/cpu.cfs_period_us", "100000\n"}}, SIZE_MAX},
    {"4:cpuset:/a\n", {{"cpu/a/cpu.cfs_quota_us", "100000\n"}, {"cpu/a/cpu.cfs_period_us", "100000\n"}}, SIZE_MAX},
    {"4:cpu:/a\n", {{"cpu/a/cpu.cfs_quota_us", "100000\n"}}, SIZE_MAX},
    /* both versions: the lesser quota */
    {"2:cpu:/\n0::/a\n",
     {{"cpu/cpu.cfs_quota_us", "400000"}, {"cpu/cpu.cfs_period_us", "100000"}, {"a/cpu.max", "500000 100000"}},
     4},
    /* invalid files set no limit */
    {"", {{"cpu.max", "100000 100000\n"}}, SIZE_MAX},
    {"0:\nx\n:::::\n\n", {{"cpu.max", "1 "}}, SIZE_MAX},
    {"0::/a\n", {{"a/cpu.max", "0 100000\n"}}, SIZE_MAX},
    {"0::/a\n", {{"a/cpu.max", "100000 0\n"}}, SIZE_MAX},
    {"0::/a\n", {{"a/cpu.max", "100000\n"}}, SIZE_MAX},
    {"0::/a\n", {{"a/cpu.max", ""}}, SIZE_MAX},
    {"0::/../..\n", {{"cpu.max", "100000 100000\n"}}, 1},
};

/* Write a file below a directory, and create the directories of its path. */
static void write_file(const char *directory, const char *name, const char *content) {
    char path[512];
    int top = snprintf(path, sizeof path, "%s/", directory);
    snprintf(path + top, sizeof path - (size_t)top, "%s", name);
    for (char *slash = path + top; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    if (file == NULL || fputs(content, file) < 0 || fclose(file) != 0) perror(path), exit(2);
}

static void check_quota(tally *t, const quota_case *c) {
    char directory[] = "/tmp/fastmlp-cores-XXXXXX", path[512];
    if (mkdtemp(directory) == NULL) perror(directory), exit(2);
    write_file(directory, "membership", c->membership);
    for (size_t i = 0; i < LENGTH_OF(c->files) && c->files[i][0] != NULL; i++)
        write_file(directory, c->files[i][0], c->files[i][1]);
    snprintf(path, sizeof path, "%s/membership", directory);
    size_t threads = fml_quota_threads(path, directory);
    check(t, threads == c->expected, "quota of %s: %zu instead of %zu", c->files[0][0], threads, c->expected);
    snprintf(path, sizeof path, "rm -r '%s'", directory);
    if (system(path) != 0) perror(path), exit(2);
}

static void check_affinity(tally *t) {
    size_t quota = fml_quota_threads("/proc/self/cgroup", "/sys/fs/cgroup");
    cpu_set_t before, one;
    if (sched_getaffinity(0, sizeof before, &before) != 0) return; /* more processors than a cpu_set_t holds */
    size_t n = (size_t)CPU_COUNT(&before);
    check(t, fml_usable_threads() == (n < quota ? n : quota), "%zu usable threads", fml_usable_threads());
    int first = 0;
    while (!CPU_ISSET(first, &before)) first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    sched_setaffinity(0, sizeof one, &one);
    check(t, fml_usable_threads() == 1, "%zu usable threads on one processor", fml_usable_threads());
    sched_setaffinity(0, sizeof before, &before);
    check(t, fml_usable_threads() == (n < quota ? n : quota), "the mask is asked each time");
}

void check_cores(tally *t) {
    for (size_t i = 0; i < LENGTH_OF(QUOTAS); i++) check_quota(t, &QUOTAS[i]);
    check(t, fml_quota_threads("/no/such/file", "/") == SIZE_MAX, "no cgroups");
    check_affinity(t);
}
