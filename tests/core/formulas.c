/* The definitions behind formulas.h, each written once for double and long double by <tgmath.h>. */
#include <tgmath.h>

#include "formulas.h"

#include <string.h>

double spacing(const run *r, double x) { return ldexp(r->epsilon, ilogb(fmax(fabs(x), r->smallest))); }

/* What a result may be off by because a number that leads to it, or the result itself, is below the smallest normal
 * one: `factor` is what that number is still multiplied by. */
static double underflow(const run *r, double exact, double factor) {
    return fabs(exact) <= r->smallest * factor ? r->smallest * factor : 0;
}

/* `expression` over z and h, in double as NAME and in long double as NAME_exact; `real` is the type. */
#define BOTH(NAME, EXPRESSION)                                        \
    static double NAME(double z, const double *h) {                   \
        typedef double real;                                          \
        (void)z, (void)h;                                             \
        return (real)(EXPRESSION);                                    \
    }                                                                 \
    static long double NAME##_exact(long double z, const double *h) { \
        typedef long double real;                                     \
        (void)z, (void)h;                                             \
        return (real)(EXPRESSION);                                    \
    }
#define BOUND(NAME, EXPRESSION)                                                 \
    static double NAME(const run *r, double z, double exact, const double *h) { \
        (void)r, (void)z, (void)exact, (void)h;                                 \
        return EXPRESSION;                                                      \
    }
#define VALUE_CHANGE(NAME, EXPRESSION)                              \
    static double NAME##_value_change(bounded z, const double *h) { \
        (void)z, (void)h;                                           \
        return EXPRESSION;                                          \
    }
#define SLOPE_CHANGE(NAME, EXPRESSION)                                         \
    static double NAME##_slope_change(bounded z, bounded y, const double *h) { \
        (void)z, (void)y, (void)h;                                             \
        return EXPRESSION;                                                     \
    }

BOUND(exact_bound, 0)
static int may_cross(bounded z, double corner) { return fabs(z.value - corner) <= z.error; }

BOTH(identity, z)
BOTH(identity_slope, 1)
VALUE_CHANGE(identity, z.error)
SLOPE_CHANGE(identity, 0)

BOTH(sigmoid, 1 / (1 + exp(-h[0] * z)))
BOTH(sigmoid_slope, h[0] / (4 * cosh(h[0] * z / 2) * cosh(h[0] * z / 2)))
static double sigmoid_bound(const run *r, double z, double exact, const double *h) {
    int exponent;
    double rounding = frexp(fabs(h[0]), &exponent) == 0.5 ? 0 : fabs(h[0] * z); /* of beta z */
    return spacing(r, exact) * (2.5 + rounding) + underflow(r, exact, 1);
}
BOUND(sigmoid_slope_bound, 0.75 * r->epsilon * fabs(h[0]) + underflow(r, exact, 1))
VALUE_CHANGE(sigmoid, fabs(h[0]) / 4 * z.error)
SLOPE_CHANGE(sigmoid, fabs(h[0]) * y.error * (1 + y.error))

BOTH(hyperbolic, tanh(z))
BOTH(hyperbolic_slope, 1 / (cosh(z) * cosh(z)))
static double ulps_of_tanh(const run *r) { return r->kernels->dtype == FML_F32 ? 6.5 : 2.5; }
BOUND(hyperbolic_bound, ulps_of_tanh(r) * spacing(r, exact) + underflow(r, exact, 1))
BOUND(hyperbolic_slope_bound, ulps_of_tanh(r) * r->epsilon)
VALUE_CHANGE(hyperbolic, z.error)
SLOPE_CHANGE(hyperbolic, (2 * fabs(y.value) + y.error) * y.error)

BOTH(relu, z > 0 ? z : 0)
BOTH(relu_slope, z > 0)
BOUND(relu_bound, underflow(r, exact, 1))
VALUE_CHANGE(relu, z.error)
SLOPE_CHANGE(relu, may_cross(z, 0))

BOTH(ramp, z <= h[0] ? 0 : z >= h[1] ? 1 : (z - h[0]) / (h[1] - h[0]))
BOTH(ramp_slope, z > h[0] && z < h[1] ? 1 / ((real)h[1] - h[0]) : 0)
BOUND(ramp_bound, r->epsilon)
BOUND(ramp_slope_bound, spacing(r, exact))
VALUE_CHANGE(ramp, z.error / (h[1] - h[0]))
SLOPE_CHANGE(ramp, may_cross(z, h[0]) || may_cross(z, h[1]) ? 1 / (h[1] - h[0]) : 0)

#define ONE_OVER_SQRT_2_PI 0.398942280401432677939946059934381868L
BOTH(bell, exp(-((z - h[0]) / h[1]) * ((z - h[0]) / h[1]) / 2) * (real)ONE_OVER_SQRT_2_PI / h[1])
BOTH(bell_slope, -(z - h[0]) / ((real)h[1] * h[1]) * exp(-((z - h[0]) / h[1]) * ((z - h[0]) / h[1]) / 2) *
                     (real)ONE_OVER_SQRT_2_PI / h[1])
static double peak(const double *h) { return fmax(1, 0.3989422804014327 / h[1]); }
static double ulps_of_bell(double z, const double *h) { return 2.5 * (z - h[0]) / h[1] * ((z - h[0]) / h[1]); }
BOUND(bell_bound, spacing(r, exact) * (3 + ulps_of_bell(z, h)) + underflow(r, exact, peak(h)))
BOUND(bell_slope_bound, spacing(r, exact) * (5 + ulps_of_bell(z, h)) +
                            underflow(r, exact, peak(h) * fmax(1, fabs(z - h[0]) / (h[1] * h[1]))))
VALUE_CHANGE(bell, 0.25 / (h[1] * h[1]) * z.error)
SLOPE_CHANGE(bell, 0.4 / (h[1] * h[1] * h[1]) * z.error)

BOTH(threshold, z >= 0)
BOTH(threshold_slope, 0)
VALUE_CHANGE(threshold, may_cross(z, 0))
SLOPE_CHANGE(threshold, 0)

/* clang-format off */
#define FUNCTIONS(NAME, VALUE_BOUND, SLOPE_BOUND) \
    NAME, NAME##_slope, NAME##_exact, NAME##_slope_exact, VALUE_BOUND, SLOPE_BOUND, NAME##_value_change, \
    NAME##_slope_change
const formula FORMULAS[] = {
    {"identity", 1, {{0}}, FUNCTIONS(identity, exact_bound, exact_bound)},
    {"sigmoid", 6, {{1}, {2}, {-0.5}, {0.7}, {1e-3}, {30}}, FUNCTIONS(sigmoid, sigmoid_bound, sigmoid_slope_bound)},
    {"tanh", 1, {{0}}, FUNCTIONS(hyperbolic, hyperbolic_bound, hyperbolic_slope_bound)},
    {"relu", 1, {{0}}, FUNCTIONS(relu, relu_bound, exact_bound)},
    {"piecewise_linear", 3, {{-1, 1}, {0, 4}, {0.1, 0.3}}, FUNCTIONS(ramp, ramp_bound, ramp_slope_bound)},
    {"gaussian", 4, {{0, 1}, {0.3, 0.5}, {-2, 3}, {5, 0.125}}, FUNCTIONS(bell, bell_bound, bell_slope_bound)},
    {"threshold", 1, {{0}}, FUNCTIONS(threshold, exact_bound, exact_bound)},
    {NULL, 0, {{0}}, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL},
};
/* clang-format on */

const formula *find_formula(const char *name) {
    const formula *f = FORMULAS;
    while (f->name != NULL && strcmp(f->name, name) != 0) f++;
    return f->name == NULL ? NULL : f;
}

void formula_case(const run *r, const formula *f, size_t k, double *h) {
    for (size_t i = 0; i < FML_MAX_HYPER_PARAMETERS; i++) h[i] = rounded(r, f->cases[k % f->n_cases][i]);
}

/* -- losses ------------------------------------------------------------------------------------------------------ */

static long double squared_error(const long double *y, const long double *t, size_t O, const double *h) {
    long double sum = 0;
    (void)h;
    for (size_t o = 0; o < O; o++) sum += (y[o] - t[o]) * (y[o] - t[o]);
    return sum;
}

static long double half_squared_error(const long double *y, const long double *t, size_t O, const double *h) {
    return squared_error(y, t, O, h) / 2;
}

static long double mse(const long double *y, const long double *t, size_t O, const double *h) {
    return squared_error(y, t, O, h) / O;
}

/* -ln sigmoid(u) = softplus(-u) */
static long double softplus(long double u) { return fmax(u, 0.0L) + log1p(exp(-fabs(u))); }

static long double binary_cross_entropy(const long double *z, const long double *t, size_t O, const double *h) {
    long double sum = 0;
    for (size_t o = 0; o < O; o++) sum += t[o] * softplus(-h[0] * z[o]) + (1 - t[o]) * softplus(h[0] * z[o]);
    return sum;
}

static long double cross_entropy(const long double *z, const long double *t, size_t O, const double *h) {
    long double largest = z[0], sum = 0, loss = 0;
    (void)h;
    for (size_t o = 1; o < O; o++) largest = fmax(largest, z[o]);
    for (size_t o = 0; o < O; o++) sum += exp(z[o] - largest);
    for (size_t o = 0; o < O; o++) loss += t[o] == 0 ? 0 : t[o] * (log(sum) + largest - z[o]);
    return loss;
}

const loss_formula LOSS_FORMULAS[] = {
    {"mse", 0, "identity", mse},
    {"squared_error", 0, "sigmoid", squared_error},
    {"half_squared_error", 0, "tanh", half_squared_error},
    {"binary_cross_entropy", 1, "sigmoid", binary_cross_entropy},
    {"cross_entropy", 1, "softmax", cross_entropy},
    {NULL, 0, NULL, NULL},
};

const loss_formula *find_loss_formula(const char *name) {
    const loss_formula *loss = LOSS_FORMULAS;
    while (loss->name != NULL && strcmp(loss->name, name) != 0) loss++;
    return loss->name == NULL ? NULL : loss;
}
