/* The accuracy of the activation kernels: values and slopes at many points against the C library in long double, within
 * the bounds of formulas.c, which are in ULP. exp is tested through the Gaussian and softmax. */
#include "formulas.h"

#include <math.h>

/* Numbers of points: evenly spaced over the range in which exp is a normal number, and as many over [-6, 6]; normally
 * distributed; random in each of many binades. */
typedef struct {
    size_t even, normal, binades, total;
} sweep;

static sweep plan(const run *r) {
    sweep s = {r->quick ? 500 : 10000, r->quick ? 200 : 2000, 51 * (r->quick ? 2 : 20), 0};
    s.total = 2 * s.even + s.normal + 2 * s.binades;
    return s;
}

static void *points(run *r, const sweep *s) {
    double limit = r->kernels->dtype == FML_F32 ? 105 : 750;
    void *z = take_reals(r, s->total);
    uint64_t random = 3;
    size_t n = 0;
    for (size_t i = 0; i < s->even; i++) {
        double x = 2 * (double)i / (double)(s->even - 1) - 1;
        put(r, z, n++, limit * x);
        put(r, z, n++, 6 * x);
    }
    for (size_t i = 0; i < s->normal; i++) put(r, z, n++, 3 * fml_random_normal(&random));
    for (size_t i = 0; i < s->binades; i++) {
        double x = ldexp(1 + fml_random_uniform(&random), (int)(i % 51) - 40);
        put(r, z, n++, x);
        put(r, z, n++, -x);
    }
    return z;
}

/* The index of the first point where |actual - exact| > bound, with the difference in long double; n if none. */
static size_t first_wrong(const run *r, const formula *f, const double *h, int slope, const void *z, const void *actual,
                          size_t n) {
    for (size_t i = 0; i < n; i++) {
        double at_z = get(r, z, i);
        long double exact = (slope ? f->exact_slope : f->exact_value)(at_z, h);
        double bound = (slope ? f->slope_bound : f->value_bound)(r, at_z, (double)exact, h);
        if (!(fabsl(get(r, actual, i) - exact) <= bound)) return i;
    }
    return n;
}

static void check_formula(run *r, const formula *f, const double *h, const void *z, size_t n) {
    const fml_activation *kernel = find_activation(r->kernels, f->name);
    void *y = take_reals(r, n), *dz = take_reals(r, n), *ones = equal_reals(r, n, 1);
    kernel->forward(z, y, 1, n, h);
    kernel->backward(z, y, ones, dz, 1, n, h);
    for (int slope = 0; slope < 2; slope++) {
        void *actual = slope ? dz : y;
        size_t i = first_wrong(r, f, h, slope, z, actual, n);
        check(r, i == n, "%s%s(%g, %g) at %.17g is %.17g", f->name, slope ? "'" : "", h[0], h[1],
              i < n ? get(r, z, i) : 0, i < n ? get(r, actual, i) : 0);
    }
}

/* The bound of softmax is 4 + (largest z - z) spacings, as the difference is rounded before the exponential, and one
 * more for every 32 outputs, as their sum is rounded. */
static void check_softmax(run *r, size_t O, double scale) {
    uint64_t random = O;
    void *z = normal_reals(r, O, scale, &random), *y = take_reals(r, O);
    bounded *expected = take(r, O * sizeof *expected);
    long double largest = get(r, z, 0), sum = 0;
    for (size_t o = 1; o < O; o++) largest = fmaxl(largest, get(r, z, o));
    for (size_t o = 0; o < O; o++) sum += expl(get(r, z, o) - largest);
    for (size_t o = 0; o < O; o++) {
        double value = (double)(expl(get(r, z, o) - largest) / sum);
        double ulps = 4 + (double)O / 32 + (double)(largest - get(r, z, o));
        expected[o] = (bounded){value, spacing(r, value) * ulps + (value <= r->smallest ? r->smallest : 0)};
    }
    find_activation(r->kernels, "softmax")->forward(z, y, 1, O, NULL);
    check_within(r, y, expected, O, "softmax of %zu times %g", O, scale);
}

void check_accuracy(run *r) {
    static const double SCALES[] = {0.01, 1, 3, 10, 50, 1e4};
    const sweep s = plan(r);
    void *z = points(r, &s);
    size_t n_kept = r->n_taken;
    for (const formula *f = FORMULAS; f->name != NULL; f++)
        for (size_t k = 0; k < f->n_cases; k++) {
            double h[FML_MAX_HYPER_PARAMETERS];
            formula_case(r, f, k, h);
            check_formula(r, f, h, z, s.total);
            release(r, n_kept);
        }
    for (size_t k = 0; k < N_EDGE_SIZES; k++)
        for (size_t j = 0; j < LENGTH_OF(SCALES); j++) check_softmax(r, EDGE_SIZES[k], SCALES[j]);
    release(r, 0);
}
