/* The definitions of formulas.h, each written once for double and long double by <tgmath.h>. */
#include <tgmath.h>

#include "formulas.h"

#include <string.h>

double spacing(const run *r, double x) { return ldexp(r->epsilon, ilogb(fmax(fabs(x), r->smallest))); }

/* The error of a result if an intermediate number or the result itself is flushed to 0 because it is below the smallest
 * normal number; factor: what the intermediate number is still multiplied by. */
static double underflow(const run *r, double exact, double factor) {
    return fabs(exact) <= r->smallest * factor ? r->smallest * factor : 0;
}

/* Define EXPRESSION of z and h as NAME, in double, and as NAME_exact, in long double; `real` is the type. */
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

/* -- the ReLU family --------------------------------------------------------------------------------------------- */

BOTH(leaky, z > 0 ? z : h[0] * z)
BOTH(leaky_slope, z > 0 ? 1 : h[0])
BOUND(leaky_bound, spacing(r, exact) + underflow(r, exact, 1))
VALUE_CHANGE(leaky, fmax(1, fabs(h[0])) * z.error)
SLOPE_CHANGE(leaky, may_cross(z, 0) ? fabs(1 - h[0]) : 0)

BOTH(elu, z > 0 ? z : h[0] * expm1(z))
BOTH(elu_slope, z > 0 ? 1 : h[0] * exp(z))
BOUND(elu_bound, 3 * spacing(r, exact) + underflow(r, exact, fmax(h[0], 1 / h[0])))
BOUND(elu_slope_bound, 2.5 * r->epsilon * h[0] + underflow(r, exact, fmax(h[0], 1 / h[0])))
VALUE_CHANGE(elu, fmax(1, h[0]) * z.error)
SLOPE_CHANGE(elu, y.error + (may_cross(z, 0) ? fabs(1 - h[0]) : 0))

#define LAMBDA 1.0507009873554804934193349852946L
#define LAMBDA_ALPHA (LAMBDA * 1.6732632423543772848170429916717L)
BOTH(selu, z > 0 ? (real)LAMBDA * z : (real)LAMBDA_ALPHA * expm1(z))
BOTH(selu_slope, z > 0 ? (real)LAMBDA : (real)LAMBDA_ALPHA * exp(z))
BOUND(selu_bound, 4 * spacing(r, exact) + underflow(r, exact, 1))
BOUND(selu_slope_bound, 2.5 * r->epsilon * (double)LAMBDA_ALPHA)
VALUE_CHANGE(selu, (double)LAMBDA_ALPHA *z.error)
SLOPE_CHANGE(selu, y.error + (may_cross(z, 0) ? (double)(LAMBDA_ALPHA - LAMBDA) : 0))

BOTH(smooth_relu, (fmax(h[0] * z, (real)0) + log1p(exp(-fabs(h[0] * z)))) / h[0])
BOTH(smooth_relu_slope, 1 / (1 + exp(-h[0] * z)))
static double smooth_relu_bound(const run *r, double z, double exact, const double *h) {
    int exponent;
    double ulps = frexp(h[0], &exponent) == 0.5 ? 4 : 6 + fabs(h[0] * z); /* beta z is rounded or not */
    return ulps * spacing(r, exact) + underflow(r, exact, fmax(h[0], 1 / h[0]));
}
BOUND(smooth_relu_slope_bound, 3 * r->epsilon)
VALUE_CHANGE(smooth_relu, z.error)
SLOPE_CHANGE(smooth_relu, h[0] * y.error)

/* -- z times a gate from 0 to 1; the factors of the changes are maxima of the first and second derivative --------- */

BOUND(gated_slope_bound, 6 * r->epsilon)

BOTH(silu, z / (1 + exp(-z)))
BOTH(silu_slope, 1 / (1 + exp(-z)) + z / (4 * cosh(z / 2) * cosh(z / 2)))
BOUND(silu_bound, 4 * spacing(r, exact) + underflow(r, exact, fmax(1, fabs(z))))
VALUE_CHANGE(silu, 1.1 * z.error)
SLOPE_CHANGE(silu, 0.5 * z.error)

#define SOFTPLUS log1p(exp(z))
BOTH(mish, z *tanh(SOFTPLUS))
BOTH(mish_slope, tanh(SOFTPLUS) + z / (cosh(SOFTPLUS) * cosh(SOFTPLUS) * (1 + exp(-z))))
BOUND(mish_bound, 5 * spacing(r, exact) + underflow(r, exact, fmax(1, fabs(z))))
VALUE_CHANGE(mish, 1.1 * z.error)
SLOPE_CHANGE(mish, 0.65 * z.error)

/* h[0] selects the form: 0 exact, 1 tanh, where V is the argument of tanh. */
#define ROOT_2_OVER_PI 0.797884560802865355879892119868763737L
#define V ((real)ROOT_2_OVER_PI * (z + (real)0.044715 * z * z * z))
BOTH(gelu, h[0] == 0 ? z * erfc(-z / sqrt((real)2)) / 2 : z / (1 + exp(-2 * V)))
BOTH(gelu_slope, h[0] == 0 ? erfc(-z / sqrt((real)2)) / 2 + z * exp(-z * z / 2) * (real)ONE_OVER_SQRT_2_PI
                           : 1 / (1 + exp(-2 * V)) +
                                 z * (real)ROOT_2_OVER_PI * (1 + 3 * (real)0.044715 * z * z) / (2 * cosh(V) * cosh(V)))
static double gelu_bound(const run *r, double z, double exact, const double *h) {
    typedef double real;
    double ulps = h[0] == 0 ? 5 + 1.5 * z * z : 4 + 6 * fabs(V); /* z^2 and V are rounded before the exponential */
    return ulps * spacing(r, exact) + underflow(r, exact, fmax(1, fabs(z)));
}
VALUE_CHANGE(gelu, 1.13 * z.error)
SLOPE_CHANGE(gelu, 0.8 * z.error)

/* -- others ------------------------------------------------------------------------------------------------------ */

BOTH(softsign, z / (1 + fabs(z)))
BOTH(softsign_slope, 1 / ((1 + fabs(z)) * (1 + fabs(z))))
BOUND(softsign_bound, 2 * spacing(r, exact) + underflow(r, exact, 1))
BOUND(softsign_slope_bound, 4 * spacing(r, exact))
VALUE_CHANGE(softsign, z.error)
SLOPE_CHANGE(softsign, 2 * z.error)

BOTH(hard_sigmoid, z <= -3 ? 0 : z >= 3 ? 1 : (z + 3) / 6)
BOTH(hard_sigmoid_slope, fabs(z) < 3 ? 1 / (real)6 : 0)
BOUND(hard_sigmoid_bound, 1.5 * spacing(r, exact))
BOUND(hard_sigmoid_slope_bound, spacing(r, exact))
VALUE_CHANGE(hard_sigmoid, z.error / 6)
SLOPE_CHANGE(hard_sigmoid, may_cross(z, -3) || may_cross(z, 3) ? 1.0 / 6 : 0)

BOTH(hard_tanh, z <= h[0] ? h[0] : z >= h[1] ? h[1] : z)
BOTH(hard_tanh_slope, z > h[0] && z < h[1])
BOUND(hard_tanh_bound, underflow(r, exact, 1))
VALUE_CHANGE(hard_tanh, z.error)
SLOPE_CHANGE(hard_tanh, may_cross(z, h[0]) || may_cross(z, h[1]))

/* A line through (x0, y0) and (x1, y1), and its slope. */
#define SLOPE(X0, Y0, X1, Y1) (((real)(Y1) - (Y0)) / ((real)(X1) - (X0)))
#define LINE(X0, Y0, X1, Y1) ((Y0) + (z - (X0)) * SLOPE(X0, Y0, X1, Y1))
#define S1 -5.293304920196533203, 0.0049999998882412910461, -2.944438934326171875, 0.050000000745058059692
#define S2 -2.944438934326171875, 0.050000000745058059692, -1.0986123085021972656, 0.25
#define S3 -1.0986123085021972656, 0.25, 1.0986123085021972656, 0.75
#define S4 1.0986123085021972656, 0.75, 2.9444386959075927734, 0.94999998807907104492
#define S5 2.9444386959075927734, 0.94999998807907104492, 5.2933058738708496094, 0.99500000476837158203
#define APPLY(MACRO, ARGUMENTS) MACRO(ARGUMENTS)
#define FIVE(WHAT, A, B, C, D)  \
    (z <= A   ? APPLY(WHAT, S1) \
     : z <= B ? APPLY(WHAT, S2) \
     : z <= C ? APPLY(WHAT, S3) \
     : z <= D ? APPLY(WHAT, S4) \
              : APPLY(WHAT, S5))
#define SIGMOID_LINES(WHAT) \
    FIVE(WHAT, -2.944438934326171875, -1.0986123085021972656, 1.0986123085021972656, 2.9444386959075927734)
BOTH(stepwise_sigmoid, z < -5.293304920196533203 ? 0 : z < 5.2933058738708496094 ? SIGMOID_LINES(LINE) : (real)1)
BOTH(stepwise_sigmoid_slope, z > -5.293304920196533203 && z < 5.2933058738708496094 ? SIGMOID_LINES(SLOPE) : 0)
#undef S1
#undef S2
#undef S3
#undef S4
#undef S5
#define S1 -2.6466529369354248047, -0.99000000953674316406, -1.4722193479537963867, -0.89999997615814208984
#define S2 -1.4722193479537963867, -0.89999997615814208984, -0.54930615425109863281, -0.5
#define S3 0, 0, 0.54930615425109863281, 0.5
#define S4 0.54930615425109863281, 0.5, 1.4722193479537963867, 0.89999997615814208984
#define S5 1.4722193479537963867, 0.89999997615814208984, 2.6466529369354248047, 0.99000000953674316406
#define TANH_LINES(WHAT) \
    FIVE(WHAT, -1.4722193479537963867, -0.54930615425109863281, 0.54930615425109863281, 1.4722193479537963867)
BOTH(stepwise_tanh, z < -2.6466529369354248047 ? -1 : z < 2.6466529369354248047 ? TANH_LINES(LINE) : (real)1)
BOTH(stepwise_tanh_slope, fabs(z) < 2.6466529369354248047 ? TANH_LINES(SLOPE) : 0)
BOUND(stepwise_bound, 3 * spacing(r, exact) + underflow(r, exact, 1))
BOUND(stepwise_slope_bound, spacing(r, exact))
/* The corners are symmetric but for a few float32 roundings, which the larger of two takes in. */
static int may_jump(bounded z, double corner) { return fabs(fabs(z.value) - corner) <= z.error + 1e-6; }
VALUE_CHANGE(stepwise_sigmoid, 0.228 * z.error + 0.006 * may_jump(z, 5.293305))
SLOPE_CHANGE(stepwise_sigmoid, 0.228 * (may_jump(z, 1.0986123) || may_jump(z, 2.9444388) || may_jump(z, 5.293305)))
VALUE_CHANGE(stepwise_tanh, 0.911 * z.error + 0.011 * may_jump(z, 2.646653))
SLOPE_CHANGE(stepwise_tanh, 0.911 * (may_jump(z, 0.54930615) || may_jump(z, 1.4722193) || may_jump(z, 2.646653)))
BOTH(sine, sin(h[0] * z))
BOTH(sine_slope, h[0] * cos(h[0] * z))
/* The error due to rounding omega z and to range reduction. */
static double sine_error(const run *r, double z, const double *h) {
    int exponent;
    double rounding = frexp(fabs(h[0]), &exponent) == 0.5 ? 0 : fabs(h[0] * z) * r->epsilon;
    return rounding + (r->kernels->dtype == FML_F32 ? 1e-12 : 1e-24);
}
BOUND(sine_bound, 2 * spacing(r, exact) + sine_error(r, z, h) + underflow(r, exact, 1))
BOUND(sine_slope_bound, 3 * spacing(r, exact) + fabs(h[0]) * sine_error(r, z, h))
VALUE_CHANGE(sine, fabs(h[0]) * z.error)
SLOPE_CHANGE(sine, h[0] * h[0] * z.error)

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
    {"leaky_relu", 3, {{0.01}, {0}, {0.25}}, FUNCTIONS(leaky, leaky_bound, exact_bound)},
    {"elu", 3, {{1}, {0.3}, {2}}, FUNCTIONS(elu, elu_bound, elu_slope_bound)},
    {"selu", 1, {{0}}, FUNCTIONS(selu, selu_bound, selu_slope_bound)},
    {"softplus", 4, {{1}, {0.7}, {2}, {30}}, FUNCTIONS(smooth_relu, smooth_relu_bound, smooth_relu_slope_bound)},
    {"silu", 1, {{0}}, FUNCTIONS(silu, silu_bound, gated_slope_bound)},
    {"mish", 1, {{0}}, FUNCTIONS(mish, mish_bound, gated_slope_bound)},
    {"gelu", 2, {{0}, {1}}, FUNCTIONS(gelu, gelu_bound, gated_slope_bound)},
    {"softsign", 1, {{0}}, FUNCTIONS(softsign, softsign_bound, softsign_slope_bound)},
    {"hard_sigmoid", 1, {{0}}, FUNCTIONS(hard_sigmoid, hard_sigmoid_bound, hard_sigmoid_slope_bound)},
    {"hard_tanh", 3, {{-1, 1}, {0.5, 4}, {-6, -0.1}}, FUNCTIONS(hard_tanh, hard_tanh_bound, exact_bound)},
    {"sine", 3, {{1}, {30}, {-0.7}}, FUNCTIONS(sine, sine_bound, sine_slope_bound)},
    {"stepwise_sigmoid", 1, {{0}}, FUNCTIONS(stepwise_sigmoid, stepwise_bound, stepwise_slope_bound)},
    {"stepwise_tanh", 1, {{0}}, FUNCTIONS(stepwise_tanh, stepwise_bound, stepwise_slope_bound)},
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

#define LOSS(NAME) \
    static long double NAME(const long double *output, const long double *t, size_t n, double beta, const double *h)
/* Define a loss FACTOR * the sum over the outputs of EXPRESSION, of y (the output, y or z), T (the target) and e = y -
 * T. */
#define SUM_LOSS(NAME, FACTOR, EXPRESSION)                     \
    LOSS(NAME) {                                               \
        long double sum = 0;                                   \
        (void)beta, (void)h;                                   \
        for (size_t o = 0; o < n; o++) {                       \
            long double y = output[o], e = y - t[o], T = t[o]; \
            (void)y, (void)e, (void)T;                         \
            sum += EXPRESSION;                                 \
        }                                                      \
        return sum * (FACTOR);                                 \
    }

SUM_LOSS(squared_error, 1, e *e)
SUM_LOSS(half_squared_error, 0.5L, e *e)
SUM_LOSS(mse, 1.0L / n, e *e)
SUM_LOSS(mae, 1.0L / n, fabs(e))
SUM_LOSS(huber, 1.0L / n, fabs(e) <= h[0] ? e * e / 2 : h[0] * (fabs(e) - h[0] / 2))
SUM_LOSS(log_cosh, 1.0L / n, log(cosh(e)))
SUM_LOSS(poisson, 1.0L / n, exp(y) - T * y)
SUM_LOSS(gamma_deviance, 1.0L / n, y + T / exp(y))

/* -ln sigmoid(u) = softplus(-u) */
static long double softplus(long double u) { return fmax(u, 0.0L) + log1p(exp(-fabs(u))); }

/* A target with label smoothing over n classes. */
static long double smoothed(long double t, long double share, size_t n) { return t * (1 - share) + share / n; }
SUM_LOSS(binary_cross_entropy, 1,
         smoothed(T, h[0], 2) * softplus(-beta * y) + (1 - smoothed(T, h[0], 2)) * softplus(beta * y))
SUM_LOSS(binary_focal, 1,
         T *exp(-h[0] * softplus(beta * y)) * softplus(-beta * y) +
             (1 - T) * exp(-h[0] * softplus(-beta * y)) * softplus(beta * y))

static long double ln_sum_exp(const long double *z, size_t n) {
    long double largest = z[0], sum = 0;
    for (size_t o = 1; o < n; o++) largest = fmax(largest, z[o]);
    for (size_t o = 0; o < n; o++) sum += exp(z[o] - largest);
    return largest + log(sum);
}

LOSS(cross_entropy) {
    long double all = ln_sum_exp(output, n), loss = 0;
    (void)beta;
    for (size_t o = 0; o < n; o++) loss += smoothed(t[o], h[0], n) * (all - output[o]);
    return loss;
}

LOSS(focal) {
    long double all = ln_sum_exp(output, n), loss = 0;
    (void)beta;
    for (size_t o = 0; o < n; o++) loss += t[o] * pow(-expm1(output[o] - all), h[0]) * (all - output[o]);
    return loss;
}

/* With two quantile levels. */
LOSS(quantile) {
    long double sum = 0;
    (void)beta;
    for (size_t o = 0; o < 2 * n; o++) {
        long double e = t[o % n] - output[o], tau = h[o / n];
        sum += fmax(tau * e, (tau - 1) * e);
    }
    return sum / (2 * n);
}

/* The outputs are n means and then n log variances. */
LOSS(gaussian_nll) {
    long double sum = 0;
    (void)beta, (void)h;
    for (size_t o = 0; o < n; o++) {
        long double e = output[o] - t[o], s = output[n + o];
        sum += (s + e * e / exp(s)) / 2;
    }
    return sum / n;
}

LOSS(hinge) {
    size_t label = 0;
    long double sum = 0;
    (void)beta;
    if (n == 1) return fmax(0.0L, h[0] - (t[0] > 0 ? output[0] : -output[0]));
    for (size_t o = 1; o < n; o++)
        if (t[o] > t[label]) label = o;
    for (size_t o = 0; o < n; o++)
        if (o != label) sum += fmax(0.0L, h[0] - output[label] + output[o]);
    return sum / n;
}

const loss_formula LOSS_FORMULAS[] = {
    {"mse", 0, "identity", mse, 1, 0, 20, 0, {0}},
    {"squared_error", 0, "sigmoid", squared_error, 1, 0, 20, 0, {0}},
    {"half_squared_error", 0, "tanh", half_squared_error, 1, 0, 20, 0, {0}},
    {"mae", 0, "identity", mae, 1, 0, 20, 0, {0}},
    {"huber", 0, "identity", huber, 1, 0, 20, 1, {0.75}},
    {"log_cosh", 0, "identity", log_cosh, 1, 0, 20, 0, {0}},
    {"quantile", 0, NULL, quantile, 2, 0, 20, 2, {0.25, 0.875}},
    {"poisson", 1, "identity", poisson, 1, 0, 3, 0, {0}},
    {"gamma", 1, "identity", gamma_deviance, 1, 0, 3, 0, {0}},
    {"gaussian_nll", 1, NULL, gaussian_nll, 2, 0, 3, 0, {0}},
    {"binary_cross_entropy", 1, "sigmoid", binary_cross_entropy, 1, 0, 20, 1, {0}},
    {"binary_cross_entropy", 1, "sigmoid", binary_cross_entropy, 1, 0, 20, 1, {0.125}},
    {"cross_entropy", 1, "softmax", cross_entropy, 1, 0, 20, 1, {0}},
    {"cross_entropy", 1, "softmax", cross_entropy, 1, 0, 20, 1, {0.125}},
    {"binary_focal", 1, "sigmoid", binary_focal, 1, 0, 20, 1, {2}},
    {"focal", 1, "softmax", focal, 1, 0, 20, 1, {2}},
    {"hinge", 0, "identity", hinge, 1, -1, 20, 1, {0.5}},
    {NULL, 0, NULL, NULL, 0, 0, 0, 0, {0}},
};

const loss_formula *find_loss_formula(const char *name) {
    const loss_formula *loss = LOSS_FORMULAS;
    while (loss->name != NULL && strcmp(loss->name, name) != 0) loss++;
    return loss->name == NULL ? NULL : loss;
}
