/* Schedules of the learning rate, one function each, and the table fml_schedules.
 *
 * t is the number of optimiser steps taken before: 0 at the first step. The hyper-parameters h are in the order of the
 * fields of the Python class; numbers of steps are integers in a double. After its last step a schedule keeps its last
 * rate. The formulas are those of torch.optim.lr_scheduler; inverse_scaling is scikit-learn's. */
#include "core.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

/* Interpolation between `from` (u = 0) and `to` (u = 1): along half a period of a cosine, and linear. */
static double along_cosine(double from, double to, double u) { return to + (from - to) * (1 + cos(PI * u)) / 2; }
static double along_line(double from, double to, double u) { return from + (to - from) * u; }

/* h: rate. */
static double constant(const double *h, uint64_t t) {
    (void)t;
    return h[0];
}

/* h: rate r, step size, gamma. r gamma^floor(t / step size). */
static double step(const double *h, uint64_t t) { return h[0] * pow(h[2], floor((double)t / h[1])); }

/* h: rate r, gamma. r gamma^t. */
static double exponential(const double *h, uint64_t t) { return h[0] * pow(h[1], (double)t); }

/* h: rate r, power. r / (t + 1)^power. */
static double inverse_scaling(const double *h, uint64_t t) { return h[0] / pow((double)t + 1, h[1]); }

/* h: rate r, steps N, warm-up steps W, first rate, final rate. Linear from the first rate at t = 0 to r at t = W, then
 * half a cosine to the final rate at t = N. */
static double cosine(const double *h, uint64_t t) {
    double steps = h[1], warmup = h[2], at = fmin((double)t, steps);
    if (at < warmup) return along_line(h[3], h[0], at / warmup);
    return along_cosine(h[0], h[4], (at - warmup) / (steps - warmup));
}

/* h: maximum rate r, steps N, fraction of the steps in which the rate rises, r / first rate, first rate / last rate,
 * whether to interpolate linearly instead of along a cosine, whether there are three phases. The rate rises from the
 * first rate to r and falls to the last rate; with three phases it falls to the first rate in as many steps as it rose,
 * and then to the last rate. */
static double one_cycle(const double *h, uint64_t t) {
    double (*along)(double, double, double) = h[5] != 0 ? along_line : along_cosine;
    double top = h[0], last = h[1] - 1, first_rate = top / h[3], last_rate = first_rate / h[4];
    double peak = h[2] * h[1] - 1, at = fmin((double)t, last);
    if (at <= peak) return along(first_rate, top, at / peak);
    if (h[6] == 0) return along(top, last_rate, (at - peak) / (last - peak));
    double back = 2 * h[2] * h[1] - 2;
    if (at <= back) return along(top, first_rate, (at - peak) / (back - peak));
    return along(first_rate, last_rate, (at - back) / (last - back));
}

const fml_schedule fml_schedules[] = {
    {"constant", constant},
    {"step", step},
    {"exponential", exponential},
    {"inverse_scaling", inverse_scaling},
    {"cosine", cosine},
    {"one_cycle", one_cycle},
    {NULL, NULL},
};
