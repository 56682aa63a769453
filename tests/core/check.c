/* The functions of check.h. The first MAX_REPORTS failures of a run are printed; all are counted. */
#include "check.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_REPORTS = 5 };

const size_t EDGE_SIZES[N_EDGE_SIZES] = {1, 2, 5, 6, 7, 15, 16, 17, 31, 32, 33, 47, 48, 49, 97, 130, 131};
const size_t BATCHES[N_BATCHES] = {1, 2, 3, 5, 6, 7, 8, 9, 15, 16, 17, 47, 48, 49, 97, MAX_ROWS};

/* -- checks ------------------------------------------------------------------------------------------------------ */

/* Count a check; if it has failed, print "FAILED <isa> <dtype> <subject>: <message>" without the end of the line.
 * Returns whether it has printed, so that the caller must print the rest of the line. */
static int count(run *r, int ok, const char *format, va_list values) {
    r->checks++;
    if (ok) return 0;
    if (r->failures++ >= MAX_REPORTS) return 0;
    printf("FAILED %s %s %s: ", r->kernels->isa, r->kernels->dtype == FML_F32 ? "float32" : "float64", r->subject);
    vprintf(format, values);
    return 1;
}

#define COUNT(r, ok, format, reported)           \
    do {                                         \
        va_list values;                          \
        va_start(values, format);                \
        reported = count(r, ok, format, values); \
        va_end(values);                          \
    } while (0)

int check(run *r, int ok, const char *format, ...) {
    int reported;
    COUNT(r, ok, format, reported);
    if (reported) printf("\n");
    return ok;
}

int left_out(const run *r, size_t i, size_t n) { return r->quick && i % n != 0; }

int check_same_reals(run *r, const void *a, const void *b, size_t n, const char *format, ...) {
    size_t size = r->kernels->real_size, i = 0;
    int ok = memcmp(a, b, n * size) == 0, reported;
    while (!ok && memcmp(at(r, a, i), at(r, b, i), size) == 0) i++;
    COUNT(r, ok, format, reported);
    if (reported) printf(": element %zu of %zu is %.17g and %.17g\n", i, n, get(r, a, i), get(r, b, i));
    return ok;
}

int check_within(run *r, const void *actual, const bounded *expected, size_t n, const char *format, ...) {
    size_t i = 0;
    while (i < n && fabs(get(r, actual, i) - expected[i].value) <= expected[i].error) i++;
    int ok = i == n, reported;
    COUNT(r, ok, format, reported);
    if (reported)
        printf(": element %zu of %zu is %.17g, expected %.17g within %.2g\n", i, n, get(r, actual, i),
               expected[i].value, expected[i].error);
    return ok;
}

/* -- memory ------------------------------------------------------------------------------------------------------ */

static void *keep(run *r, void *memory, void (*give_back)(void *)) {
    struct taken *taken = realloc(r->taken, (r->n_taken + 1) * sizeof *taken);
    if (memory == NULL || taken == NULL) {
        fprintf(stderr, "no memory\n");
        exit(2);
    }
    r->taken = taken;
    r->taken[r->n_taken++] = (struct taken){memory, give_back};
    return memory;
}

void *take(run *r, size_t bytes) { return keep(r, calloc(1, bytes > 0 ? bytes : 1), free); }
void *take_aligned(run *r, size_t bytes) { return keep(r, fml_allocate(bytes), fml_free); }
void *take_reals(run *r, size_t n) { return take(r, n * r->kernels->real_size); }

void release(run *r, size_t n_kept) {
    for (; r->n_taken > n_kept; r->n_taken--) r->taken[r->n_taken - 1].give_back(r->taken[r->n_taken - 1].memory);
    if (n_kept > 0) return;
    free(r->taken);
    r->taken = NULL;
}

/* -- reals ------------------------------------------------------------------------------------------------------- */

double get(const run *r, const void *reals, size_t i) {
    return r->kernels->dtype == FML_F32 ? (double)((const float *)reals)[i] : ((const double *)reals)[i];
}

void put(const run *r, void *reals, size_t i, double value) {
    if (r->kernels->dtype == FML_F32)
        ((float *)reals)[i] = (float)value;
    else
        ((double *)reals)[i] = value;
}

void *at(const run *r, const void *reals, size_t i) { return (char *)(uintptr_t)reals + i * r->kernels->real_size; }

double rounded(const run *r, double value) { return r->kernels->dtype == FML_F32 ? (double)(float)value : value; }

void *uniform_reals(run *r, size_t n, double low, double high, uint64_t *random) {
    void *reals = take_reals(r, n);
    for (size_t i = 0; i < n; i++) put(r, reals, i, low + (high - low) * fml_random_uniform(random));
    return reals;
}

void *normal_reals(run *r, size_t n, double scale, uint64_t *random) {
    void *reals = take_reals(r, n);
    for (size_t i = 0; i < n; i++) put(r, reals, i, scale * fml_random_normal(random));
    return reals;
}

void *equal_reals(run *r, size_t n, double value) {
    void *reals = take_reals(r, n);
    for (size_t i = 0; i < n; i++) put(r, reals, i, value);
    return reals;
}
