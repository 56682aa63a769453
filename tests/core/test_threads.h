/* Shared by the tests of pool.c and usable_threads.c: counts of checks, and the test functions. */
#ifndef TEST_THREADS_H
#define TEST_THREADS_H

#include "core.h"

#include <stdio.h>

#define LENGTH_OF(array) (sizeof(array) / sizeof *(array))

typedef struct {
    int n_checks, n_failures;
} tally;

/* Count a check, and print the message if it has failed. */
#define check(t, ok, ...) \
    ((t)->n_checks++, (ok) ? (void)0 : ((t)->n_failures++, printf("FAILED: " __VA_ARGS__), (void)putchar('\n')))

/* Must be called once, before anything else starts threads. may_fork: whether to test forks; an emulator cannot. */
void check_pool(tally *t, int may_fork);
void check_cores(tally *t);

#endif
