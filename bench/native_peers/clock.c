/* Times the rows of a compiled peer of native.py without Python. */
#define _POSIX_C_SOURCE 200809L
#include "peer.h"

#include <time.h>

typedef void row_function(const float *x, float *y, void *context);

/* Call f n times for each of the rows x, which are `stride` numbers apart; return the seconds in all. */
double clock_rows(row_function *f, void *context, const float *x, size_t stride, size_t rows, float *y, size_t n) {
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < rows; i++) f(x + i * stride, y, context);
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
}
