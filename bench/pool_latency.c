/* The latency of the thread pool: the time of a job of two tasks on two threads, by the duration of a task and of the
 * pause before the job (after which the worker spins or sleeps); and the processor time of an idle pool.
 *
 *     cc -std=c11 -O3 -pthread -Icsrc -o pool_latency bench/pool_latency.c csrc/{pool,usable_threads,platform}.c
 *     ./pool_latency
 *
 * Run it on two idle cores. A job of two tasks of 30 us takes 30 us and the latency of the pool, or 60 us and more if
 * one thread ran both. It prints the median, the 90th and the 99th percentile of the jobs that are made in 0.5 s. */
#define _GNU_SOURCE
#include "core.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MAX_JOBS = 1 << 19 };
static const double TASKS[] = {0, 2e-6, 30e-6, 200e-6}, PAUSES[] = {0, 5e-6, 50e-6, 500e-6}, DURATION = 0.5;
static double times[MAX_JOBS];

static void keep_busy(double seconds) {
    for (double end = fml_seconds() + seconds; fml_seconds() < end;) {
    }
}

static void task(void *seconds, size_t i) {
    (void)i;
    if (*(double *)seconds > 0) keep_busy(*(double *)seconds);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(double seconds, double pause) {
    size_t n = 0;
    for (double end = fml_seconds() + DURATION; n < MAX_JOBS && fml_seconds() < end; n++) {
        if (pause > 0) keep_busy(pause);
        double start = fml_seconds();
        fml_parallel(2, task, &seconds);
        times[n] = fml_seconds() - start;
    }
    qsort(times, n, sizeof *times, compare);
    printf("%7.0f %8.0f %11.2f %9.2f %9.2f %9zu\n", 1e6 * seconds, 1e6 * pause, 1e6 * times[n / 2],
           1e6 * times[n * 9 / 10], 1e6 * times[n * 99 / 100], n);
}

int main(void) {
    printf("usable threads: %zu; times in us\n   task    pause  job: median  90th pct  99th pct      jobs\n",
           fml_usable_threads());
    for (size_t t = 0; t < sizeof TASKS / sizeof *TASKS; t++)
        for (size_t p = 0; p < sizeof PAUSES / sizeof *PAUSES; p++) measure(TASKS[t], PAUSES[p]);
    clock_t before = clock();
    nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    printf("processor time of 1 s of idling: %.0f us\n", 1e6 * (double)(clock() - before) / CLOCKS_PER_SEC);
    return 0;
}
