/* What the tests of pool.c and usable_threads.c share: a tally of checks, and their subjects. */
#ifndef TEST_THREADS_H
#define TEST_THREADS_H

#include "core.h"

#include <stdio.h>

#define LENGTH_OF(array) (sizeof(array) / sizeof *(array))

typedef struct {
    int n_checks, n_failures;
} tally;

/* Counts a check; where it fails, the message is printed. */
#define check(t, ok, ...) \
    ((t)->n_checks++, (ok) ? (void)0 : ((t)->n_failures++, printf("FAILED: " __VA_ARGS__), (void)putchar('\n')))

/* Once, and before anything else starts threads; forking is more than an emulated processor's threads can stand. */
void check_pool(tally *t, int may_fork);
void check_cores(tally *t);

#endif
