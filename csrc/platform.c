/* Services of the operating system: aligned zeroed memory, read-ahead of mapped files, a monotonic clock; and an error
 * that shows that a sanitizer build works. */
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

/* Aligned by hand, with the original pointer stored just below the result, as calloc takes large blocks from zeroed
 * pages without writing to them; aligned_alloc and memset would write to all of them. */
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

/* The kernel reads in the background; the call does not wait. */
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

/* In a sanitizer build, read past the end of an allocation: a test checks that the sanitizer reports it. */
int fml_plant_error(void) {
#ifdef FML_SANITIZED
    char *volatile memory = malloc(8); /* volatile, so that the compiler does not know the size */
    if (memory == NULL) return 0;
    int beyond = memory[8];
    free(memory);
    return beyond;
#else
    return 0;
#endif
}
