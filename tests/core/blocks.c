/* The kernels of vector_algebra.inc: dot product, linear combination and maximum norm of blocks, for lengths around
 * multiples of SUM_CHUNK. */
#include "check.h"

#include <math.h>
#include <string.h>

static const size_t LINES[] = {1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 130, 517};

/* The kernel sums chunks of at most 64 vecs in the dtype, with at most 70 rounding errors relative to the sum of
 * absolute values, and the chunks in double. */
static void check_products(run *r, const void *a, const void *b, size_t n) {
    long double sum = 0, sizes = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (long double)get(r, a, i) * get(r, b, i);
        sizes += fabsl((long double)get(r, a, i) * get(r, b, i));
    }
    double dot = r->kernels->dot(a, b, n), bound = (double)sizes * (70 * r->epsilon + 0x1p-52 * (double)n);
    check(r, fabsl(dot - sum) <= bound, "scalar product of %zu: %.17g, expected %.17Lg", n, dot, sum);
    check(r, r->kernels->dot(b, a, n) == dot, "scalar product of %zu the other way round", n);
}

static void check_combinations(run *r, const void *a, const void *b, size_t n) {
    const double s = 0.7, t = -1.3;
    void *out = take_aligned(r, n * r->kernels->real_size);
    bounded *expected = take(r, n * sizeof *expected);
    for (size_t i = 0; i < n; i++) {
        double x = s * get(r, a, i), y = t * get(r, b, i);
        expected[i] = (bounded){x + y, 2 * r->epsilon * (fabs(x) + fabs(y))};
    }
    r->kernels->combine(s, a, t, b, out, n);
    check_within(r, out, expected, n, "combination of %zu", n);
    for (int second = 0; second < 2; second++) {
        void *copy = take_aligned(r, n * r->kernels->real_size);
        memcpy(copy, second ? b : a, n * r->kernels->real_size);
        r->kernels->combine(s, second ? a : copy, t, second ? copy : b, copy, n);
        check_same_reals(r, copy, out, n, "combination of %zu in place", n);
    }
}

static void check_largest(run *r, void *a, size_t n) {
    for (size_t k = 0, i = 0; k < 16; k++, i = k * (n - 1) / 15) {
        double before = get(r, a, i), most = (i % 2 == 0 ? 1 : -1) * rounded(r, 1e6);
        put(r, a, i, most);
        check(r, r->kernels->max_absolute(a, n) == fabs(most), "the largest of %zu at %zu", n, i);
        put(r, a, i, before);
    }
}

void check_blocks(run *r) {
    for (size_t k = 0; k < LENGTH_OF(LINES); k++) {
        size_t n = LINES[k] * FML_ALIGNMENT / r->kernels->real_size, size = n * r->kernels->real_size;
        uint64_t random = n;
        void *a = memcpy(take_aligned(r, size), normal_reals(r, n, 1, &random), size);
        void *b = memcpy(take_aligned(r, size), normal_reals(r, n, 1, &random), size);
        check_products(r, a, b, n);
        check_combinations(r, a, b, n);
        check_largest(r, a, n);
        release(r, 0);
    }
}
