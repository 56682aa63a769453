/* Times one row of a file that Network.to_c has written: latency and throughput, in seconds, as one line of JSON.
 *
 *     cc -O3 -march=native -DMODEL='"model.c"' -DPREDICT=predict -DINPUTS=10 -DOUTPUTS=1 -DREAL=float bench/c_row.c
 *
 * MODEL is included, but its function is called through a pointer that the compiler cannot follow, as from another
 * file. Latency: an input of each call is computed from an output of the one before. Throughput: calls do not depend on
 * each other and go over 64 rows. Each is the median of ROUNDS rounds, which are interleaved. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include MODEL

enum { ROWS = 64, ROUNDS = 41 };
static const double ROUND_SECONDS = 0.005;
static REAL rows[ROWS][INPUTS], output[OUTPUTS];
static void (*volatile function)(const REAL *, REAL *) = PREDICT;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static double dependent(long n) {
    double start = now();
    for (long i = 0; i < n; i++) {
        function(rows[0], output);
        rows[0][0] = output[0] * (REAL)1e-3;
    }
    return (now() - start) / (double)n;
}

static double independent(long n) {
    double start = now();
    for (long i = 0; i < n; i++) function(rows[i % ROWS], output);
    return (now() - start) / (double)n;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void) {
    double latency[ROUNDS], throughput[ROUNDS];
    for (int i = 0; i < ROWS; i++)
        for (int k = 0; k < INPUTS; k++) rows[i][k] = (REAL)(rand() / (double)RAND_MAX - 0.5);
    long n = 1;
    while (independent(n) * (double)n < ROUND_SECONDS) n *= 2;
    for (int round = 0; round < ROUNDS; round++) {
        latency[round] = dependent(n);
        throughput[round] = independent(n);
    }
    qsort(latency, ROUNDS, sizeof *latency, ascending);
    qsort(throughput, ROUNDS, sizeof *throughput, ascending);
    printf("{\"latency\": %.4g, \"throughput\": %.4g}\n", latency[ROUNDS / 2], throughput[ROUNDS / 2]);
    return 0;
}
