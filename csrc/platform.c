/* What the operating system gives: aligned zeroed memory, reading ahead and a monotonic clock; and the error by which a
 * sanitizer build is seen to work. */
#if !defined(_WIN32) && !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200112L
#endif
#include "core.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifndef _WIN32
#include <sys/mman.h>
#include <unistd.h>
#endif

/* calloc and a shift by hand, the original pointer kept just below: large zeroed blocks come as untouched pages. */
void *fml_allocate(size_t bytes) {
    if (bytes > SIZE_MAX - FML_ALIGNMENT - sizeof(void *)) return NULL;
    char *memory = calloc(1, bytes + FML_ALIGNMENT + sizeof(void *));
    if (memory == NULL) return NULL;
    uintptr_t address = (uintptr_t)(memory + sizeof(void *));
    size_t shift = (FML_ALIGNMENT - address % FML_ALIGNMENT) % FML_ALIGNMENT;
    char *aligned = memory + sizeof(void *) + shift;
    memcpy(aligned - sizeof(void *), &memory, sizeof(void *));
    return aligned;
}

void fml_free(void *memory) {
    if (memory == NULL) return;
    void *original;
    memcpy(&original, (char *)memory - sizeof(void *), sizeof(void *));
    free(original);
}

/* Read ahead by the kernel, meanwhile: nothing waits. */
void fml_advise(const void *memory, size_t bytes) {
#ifdef POSIX_MADV_WILLNEED
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)memory / page * page;
    posix_madvise((void *)begin, (uintptr_t)memory + bytes - begin, POSIX_MADV_WILLNEED);
#else
    (void)memory, (void)bytes;
#endif
}

double fml_seconds(void) {
    struct timespec now;
#ifdef CLOCK_MONOTONIC
    clock_gettime(CLOCK_MONOTONIC, &now);
#else
    timespec_get(&now, TIME_UTC);
#endif
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Reads past the end of a block. Only a sanitizer build does it, when its test asks: that run must fail. */
int fml_plant_error(void) {
#ifdef FML_SANITIZED
    char *volatile memory = malloc(8); /* volatile: the compiler must not see how small it is */
    if (memory == NULL) return 0;
    int beyond = memory[8];
    free(memory);
    return beyond;
#else
    return 0;
#endif
}
