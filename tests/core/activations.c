/* The activation kernels on arrays: slopes against central differences; values at infinity, NaN, zeros and corners; the
 * same bits at any position in an array. accuracy.c tests how accurate they are. */
#include "formulas.h"

#include <math.h>
#include <string.h>

enum { N_BIT_POINTS = 3 * 97, N_SLOPE_POINTS = 400 };
static const size_t LENGTHS[] = {0, 1, 2, 5, 6, 7, 15, 16, 17, 97}, STARTS[] = {0, 1, 3, 50};

/* y = f(z) and dz = dy f'(z), by the kernels. An activation whose derivative is a function of y gets z = NULL. */
static void *values(run *r, const fml_activation *f, const void *z, size_t n, const double *h) {
    void *y = take_reals(r, n);
    f->forward(z, y, 1, n, h);
    return y;
}

static void *slopes(run *r, const fml_activation *f, const void *z, const void *dy, size_t n, const double *h) {
    void *dz = take_reals(r, n), *y = values(r, f, z, n, h);
    f->backward(f->reads_z ? z : NULL, y, dy, dz, 1, n, h);
    return dz;
}

/* Check f'(z) against (f(z + d) - f(z - d)) / 2d away from corners, with f in double by its definition. No third
 * derivative is above 27,000 (that of sin 30 z), so the error of the difference for d = 1e-5 is below 5e-7. */
static void check_differences(run *r, const fml_activation *f, const formula *oracle, const double *h) {
    const double d = 1e-5, corners[] = {0, h[0], h[1], -3, 3};
    uint64_t random = 1;
    void *z = uniform_reals(r, N_SLOPE_POINTS, -8, 8, &random), *dy = normal_reals(r, N_SLOPE_POINTS, 1, &random);
    void *dz = slopes(r, f, z, dy, N_SLOPE_POINTS, h);
    bounded *expected = take(r, N_SLOPE_POINTS * sizeof *expected);
    for (size_t i = 0; i < N_SLOPE_POINTS; i++) {
        double at_z = get(r, z, i), by = get(r, dy, i), slope;
        slope = (oracle->value(at_z + d, h) - oracle->value(at_z - d, h)) / (2 * d);
        expected[i].value = by * slope;
        expected[i].error = fabs(by) * (oracle->slope_bound(r, at_z, slope, h) + 5e-7) + r->epsilon * fabs(by * slope);
        for (size_t c = 0; c < LENGTH_OF(corners); c++)
            if (fabs(at_z - corners[c]) < 2 * d) expected[i].error = INFINITY;
    }
    check_within(r, dz, expected, N_SLOPE_POINTS, "slope of %s(%g, %g)", f->name, h[0], h[1]);
}

/* Check that any part of an array, and the array in place, gives the same bits as the whole array. */
static void check_bits(run *r, const fml_activation *f, const double *h) {
    uint64_t random = 2;
    void *z = normal_reals(r, N_BIT_POINTS, 4, &random), *dy = normal_reals(r, N_BIT_POINTS, 1, &random);
    put(r, z, 0, NAN);
    put(r, z, 50, INFINITY);
    put(r, z, 96, -0.0);
    put(r, z, 290, -INFINITY);
    void *y = values(r, f, z, N_BIT_POINTS, h), *dz = slopes(r, f, z, dy, N_BIT_POINTS, h);
    for (size_t s = 0; s < LENGTH_OF(STARTS); s++)
        for (size_t k = 0; k < LENGTH_OF(LENGTHS); k++) {
            size_t n = LENGTHS[k], first = STARTS[s], size = n * r->kernels->real_size;
            void *part = memcpy(take_reals(r, n), at(r, z, first), size);
            void *part_dy = memcpy(take_reals(r, n), at(r, dy, first), size);
            check_same_reals(r, values(r, f, part, n, h), at(r, y, first), n, "%s, %zu from %zu", f->name, n, first);
            check_same_reals(r, slopes(r, f, part, part_dy, n, h), at(r, dz, first), n, "slope of %s, %zu from %zu",
                             f->name, n, first);
        }
    f->backward(f->reads_z ? z : NULL, y, dy, dy, 1, N_BIT_POINTS, h);
    check_same_reals(r, dy, dz, N_BIT_POINTS, "slope of %s in place", f->name);
    f->forward(z, z, 1, N_BIT_POINTS, h);
    check_same_reals(r, z, y, N_BIT_POINTS, "%s in place", f->name);
}

enum { N_EDGES = 7 };
#define SELU 1.0507009873554805
#define SELU_LEFT 1.7580993408473766
#define FORMULA 99 /* stands for the value by the definition */
static const struct {
    const char *name;
    double values[N_EDGES], slopes[N_EDGES]; /* at -inf, -largest, -0, 0, largest, inf, NaN */
} EDGES[] = {
    {"identity", {FORMULA, FORMULA, 0, 0, FORMULA, FORMULA, NAN}, {1, 1, 1, 1, 1, 1, NAN}},
    {"relu", {0, 0, 0, 0, FORMULA, FORMULA, NAN}, {0, 0, 0, 0, 1, 1, NAN}},
    {"threshold", {0, 0, 1, 1, 1, 1, NAN}, {0, 0, 0, 0, 0, 0, NAN}},
    {"sigmoid", {0, 0, 0.5, 0.5, 1, 1, NAN}, {0, 0, 0.25, 0.25, 0, 0, NAN}},
    {"tanh", {-1, -1, 0, 0, 1, 1, NAN}, {0, 0, 1, 1, 0, 0, NAN}},
    {"piecewise_linear", {0, 0, 0.5, 0.5, 1, 1, NAN}, {0, 0, 0.5, 0.5, 0, 0, NAN}},
    {"gaussian", {0, 0, 0.3989422804014327, 0.3989422804014327, 0, 0, NAN}, {0, 0, 0, 0, 0, 0, NAN}},
    {"leaky_relu", {-INFINITY, FORMULA, 0, 0, FORMULA, FORMULA, NAN}, {0.01, 0.01, 0.01, 0.01, 1, 1, NAN}},
    {"elu", {-1, -1, 0, 0, FORMULA, FORMULA, NAN}, {0, 0, 1, 1, 1, 1, NAN}},
    {"selu", {FORMULA, FORMULA, 0, 0, INFINITY, INFINITY, NAN}, {0, 0, SELU_LEFT, SELU_LEFT, SELU, SELU, NAN}},
    {"softplus", {0, 0, 0.6931471805599453, 0.6931471805599453, FORMULA, FORMULA, NAN}, {0, 0, 0.5, 0.5, 1, 1, NAN}},
    {"silu", {0, 0, 0, 0, FORMULA, FORMULA, NAN}, {0, 0, 0.5, 0.5, 1, 1, NAN}},
    {"mish", {0, 0, 0, 0, FORMULA, FORMULA, NAN}, {0, 0, 0.6, 0.6, 1, 1, NAN}},
    {"gelu", {0, 0, 0, 0, FORMULA, FORMULA, NAN}, {0, 0, 0.5, 0.5, 1, 1, NAN}},
    {"softsign", {-1, -1, 0, 0, 1, 1, NAN}, {0, 0, 1, 1, 0, 0, NAN}},
    {"hard_sigmoid", {0, 0, 0.5, 0.5, 1, 1, NAN}, {0, 0, 1.0 / 6, 1.0 / 6, 0, 0, NAN}},
    {"hard_tanh", {-1, -1, 0, 0, 1, 1, NAN}, {0, 0, 1, 1, 0, 0, NAN}},
    {"sine", {NAN, FORMULA, 0, 0, FORMULA, NAN, NAN}, {NAN, FORMULA, 1, 1, FORMULA, NAN, NAN}},
    {"stepwise_sigmoid", {0, 0, 0.5, 0.5, 1, 1, NAN}, {0, 0, FORMULA, FORMULA, 0, 0, NAN}},
    {"stepwise_tanh", {-1, -1, 0, 0, 1, 1, NAN}, {0, 0, FORMULA, FORMULA, 0, 0, NAN}},
};

/* Whether both are equal or NaN, or differ by a few rounding errors. */
static int alike(const run *r, double actual, double expected) {
    if (isnan(expected)) return isnan(actual);
    return actual == expected || fabs(actual - expected) <= 4 * r->epsilon * fabs(expected);
}

static void check_edges(run *r) {
    const double z[N_EDGES] = {-INFINITY, -r->largest, -0.0, 0.0, r->largest, INFINITY, NAN};
    void *reals = take_reals(r, N_EDGES);
    for (size_t i = 0; i < N_EDGES; i++) put(r, reals, i, z[i]);
    for (size_t k = 0; k < LENGTH_OF(EDGES); k++) {
        const fml_activation *f = find_activation(r->kernels, EDGES[k].name);
        double h[FML_MAX_HYPER_PARAMETERS];
        const formula *oracle = find_formula(f->name);
        formula_case(r, oracle, 0, h);
        void *y = values(r, f, reals, N_EDGES, h), *dz = slopes(r, f, reals, equal_reals(r, N_EDGES, 1), N_EDGES, h);
        for (size_t i = 0; i < N_EDGES; i++) {
            double value = EDGES[k].values[i], slope = EDGES[k].slopes[i];
            if (value == FORMULA) value = rounded(r, oracle->value(z[i], h));
            if (slope == FORMULA) slope = oracle->slope(z[i], h);
            check(r, alike(r, get(r, y, i), value), "%s(%g) = %g", f->name, z[i], get(r, y, i));
            check(r, alike(r, get(r, dz, i), slope), "%s'(%g) = %g", f->name, z[i], get(r, dz, i));
        }
    }
}

/* An argument below the smallest normal number counts as it is or as 0, whether denormals are flushed or not. */
static void check_subnormals(run *r) {
    static const char *const NAMES[] = {"identity", "relu", "tanh"};
    const double z[3] = {r->smallest * r->epsilon, r->smallest / 2, -r->smallest / 2};
    const double one = 1;
    void *reals = take_reals(r, 3);
    for (size_t i = 0; i < 3; i++) put(r, reals, i, z[i]);
    for (size_t k = 0; k < LENGTH_OF(NAMES); k++) {
        const fml_activation *f = find_activation(r->kernels, NAMES[k]);
        void *y = values(r, f, reals, 3, &one);
        for (size_t i = 0; i < 3; i++) {
            double exact = k == 1 && z[i] < 0 ? 0 : z[i], actual = get(r, y, i);
            check(r, actual == exact || actual == 0, "%s(%g) = %g", f->name, z[i], actual);
        }
    }
    void *y = values(r, find_activation(r->kernels, "sigmoid"), reals, 3, &one);
    check_same_reals(r, y, equal_reals(r, 3, 0.5), 3, "sigmoid of subnormals");
}

/* At a corner the value is exact and the slope is 0; at the adjacent reals, the slope is that of their side. */
static void check_corner(run *r, const fml_activation *f, const formula *oracle, const double *h, double corner) {
    double apart = fmax(spacing(r, corner), r->smallest);
    void *z = take_reals(r, 3), *ones = equal_reals(r, 3, 1);
    for (int i = 0; i < 3; i++) put(r, z, (size_t)i, corner + (i - 1) * apart);
    void *y = values(r, f, z, 3, h), *dz = slopes(r, f, z, ones, 3, h);
    check(r, get(r, y, 1) == oracle->value(corner, h), "%s at the corner %g is %g", f->name, corner, get(r, y, 1));
    check(r, get(r, dz, 1) == 0, "%s' at the corner %g is %g", f->name, corner, get(r, dz, 1));
    for (size_t i = 0; i < 3; i += 2) {
        double expected = oracle->slope(get(r, z, i), h), actual = get(r, dz, i);
        check(r, alike(r, actual, expected), "%s'(%.17g) = %g", f->name, get(r, z, i), actual);
    }
}

static void check_corners(run *r) {
    static const struct {
        const char *name;
        size_t n_fixed; /* 0: the corners are the hyper-parameters */
        double fixed[2];
    } CORNERED[] = {
        {"relu", 1, {0}}, {"piecewise_linear", 0, {0}}, {"hard_sigmoid", 2, {-3, 3}}, {"hard_tanh", 0, {0}}};
    for (size_t k = 0; k < LENGTH_OF(CORNERED); k++) {
        const formula *oracle = find_formula(CORNERED[k].name);
        for (size_t j = 0; j < oracle->n_cases; j++) {
            double h[FML_MAX_HYPER_PARAMETERS];
            formula_case(r, oracle, j, h);
            const double *corners = CORNERED[k].n_fixed > 0 ? CORNERED[k].fixed : h;
            for (size_t c = 0; c < (CORNERED[k].n_fixed > 0 ? CORNERED[k].n_fixed : 2); c++)
                check_corner(r, find_activation(r->kernels, oracle->name), oracle, h, corners[c]);
        }
    }
}

/* Some lanes have arguments too large for the vectorised range reduction; these lanes have the C library's result. */
static void check_far_sine(run *r) {
    const fml_activation *f = find_activation(r->kernels, "sine");
    const formula *oracle = find_formula(f->name);
    uint64_t random = 5;
    void *z = uniform_reals(r, N_SLOPE_POINTS, -1e7, 1e7, &random);
    bounded *value = take(r, N_SLOPE_POINTS * sizeof *value), *slope = take(r, N_SLOPE_POINTS * sizeof *slope);
    const double one = 1;
    for (size_t i = 0; i < N_SLOPE_POINTS; i++) {
        if (i % 3 == 0) put(r, z, i, ldexp(get(r, z, i), -(int)(i % 30)));
        double at_z = get(r, z, i);
        value[i].value = oracle->value(at_z, &one);
        value[i].error = oracle->value_bound(r, at_z, value[i].value, &one);
        slope[i].value = oracle->slope(at_z, &one);
        slope[i].error = oracle->slope_bound(r, at_z, slope[i].value, &one);
    }
    check_within(r, values(r, f, z, N_SLOPE_POINTS, &one), value, N_SLOPE_POINTS, "sine far out");
    void *ones = equal_reals(r, N_SLOPE_POINTS, 1);
    check_within(r, slopes(r, f, z, ones, N_SLOPE_POINTS, &one), slope, N_SLOPE_POINTS, "slope of sine far out");
}

/* -- softmax ----------------------------------------------------------------------------------------------------- */

static void check_softmax_bits(run *r) {
    enum { ROWS = 23 };
    const fml_activation *softmax = find_activation(r->kernels, "softmax");
    for (size_t k = 1; k < LENGTH_OF(LENGTHS); k++) {
        size_t O = LENGTHS[k];
        uint64_t random = O;
        void *z = normal_reals(r, ROWS * O, 4, &random), *y = take_reals(r, ROWS * O);
        softmax->forward(z, y, ROWS, O, NULL);
        for (size_t i = 0; i < ROWS; i++) {
            void *row = memcpy(take_reals(r, O), at(r, z, i * O), O * r->kernels->real_size);
            softmax->forward(row, row, 1, O, NULL);
            check_same_reals(r, row, at(r, y, i * O), O, "softmax, row %zu of %zu alone", i, O);
        }
    }
}

static void check_softmax_edges(run *r) {
    const double m = r->largest, third = 1.0 / 3;
    const double z[4][3] = {{m, m, -m}, {-m, -m, -m}, {0, -INFINITY, 0}, {0, NAN, 1}};
    const double expected[4][3] = {{0.5, 0.5, 0}, {third, third, third}, {0.5, 0, 0.5}, {NAN, NAN, NAN}};
    const fml_activation *softmax = find_activation(r->kernels, "softmax");
    check(r, softmax->backward == NULL, "softmax has no derivative of its own");
    void *reals = take_reals(r, 12);
    for (size_t i = 0; i < 12; i++) put(r, reals, i, z[i / 3][i % 3]);
    softmax->forward(reals, reals, 4, 3, NULL);
    for (size_t i = 0; i < 12; i++) {
        double actual = get(r, reals, i);
        check(r, alike(r, actual, expected[i / 3][i % 3]), "softmax, row %zu: %g", i / 3, actual);
    }
}

void check_activations(run *r) {
    for (const formula *oracle = FORMULAS; oracle->name != NULL; oracle++) {
        const fml_activation *f = find_activation(r->kernels, oracle->name);
        for (size_t k = 0; k < oracle->n_cases; k++) {
            double h[FML_MAX_HYPER_PARAMETERS];
            formula_case(r, oracle, k, h);
            check_differences(r, f, oracle, h);
            check_bits(r, f, h);
            release(r, 0);
        }
    }
    for (const fml_activation *f = r->kernels->activations; f->name != NULL; f++)
        check(r, find_formula(f->name) != NULL || strcmp(f->name, "softmax") == 0, "no test knows %s", f->name);
    check_edges(r);
    check_subnormals(r);
    check_corners(r);
    check_far_sine(r);
    check_softmax_bits(r);
    check_softmax_edges(r);
    release(r, 0);
}
