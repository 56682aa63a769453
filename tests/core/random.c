/* The random generator: the published numbers of SplitMix64, the ranges and moments of uniform and normal numbers, and
 * permutations. */
#include "check.h"

#include <string.h>

/* The first numbers of SplitMix64 from state 0, as computed by its authors' prng.di.unimi.it/splitmix64.c. */
static const uint64_t FROM_ZERO[] = {UINT64_C(0xE220A8397B1DCDAF), UINT64_C(0x6E789E6AA1B965F4),
                                     UINT64_C(0x06C45D188009454F), UINT64_C(0xF88BB8A8724C81EC)};

/* The Fisher-Yates shuffle, from the last element down, where j is the upper half of next * (i + 1). */
static void shuffle(uint64_t *state, uint32_t *order, size_t n) {
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    for (size_t i = n; i-- > 1;) {
        uint64_t u = fml_random_next(state), high = u >> 32, low = u & UINT32_MAX;
        size_t j = (size_t)((high * (i + 1) + (low * (i + 1) >> 32)) >> 32);
        uint32_t swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
    }
}

void check_random(run *r) {
    uint64_t state = 0;
    for (size_t i = 0; i < LENGTH_OF(FROM_ZERO); i++)
        check(r, fml_random_next(&state) == FROM_ZERO[i], "number %zu from state 0", i);
    double min = 1, max = 0, sum = 0, squares = 0;
    for (int i = 0; i < 10000; i++) {
        double u = fml_random_uniform(&state), x = fml_random_normal(&state);
        min = u < min ? u : min;
        max = u > max ? u : max;
        sum += x;
        squares += x * x;
    }
    check(r, min >= 0 && min < 0.001 && max < 1 && max > 0.999, "uniform from %g to %g", min, max);
    check(r, sum * sum < 16 * 10000.0 && squares > 9500 && squares < 10500, "normal: sum %g, squares %g", sum, squares);
    for (size_t n = 0; n <= MAX_ROWS; n++) {
        uint64_t a = n, b = n;
        uint32_t *order = take(r, n * sizeof *order), *expected = take(r, n * sizeof *expected);
        fml_random_order(&a, order, n);
        shuffle(&b, expected, n);
        check(r, a == b && memcmp(order, expected, n * sizeof *order) == 0, "order of %zu", n);
    }
    release(r, 0);
}
