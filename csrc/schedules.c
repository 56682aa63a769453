/* Schedules of the learning rate: a formula each, then the table of all of them.
 *
 * t counts the optimiser steps that were taken before, so that t = 0 for the first step. Hyper-parameters come in the
 * order of the Python object's fields; counts of steps are whole numbers in a double. A schedule that has an end stays
 * at its last rate. The formulas are those of torch.optim.lr_scheduler; inverse scaling is scikit-learn's. */
#include "core.h"

#include <math.h>

static const double PI = 3.14159265358979323846;

/* From `from` to `to` as u goes from 0 to 1, along half a cosine. */
static double along_cosine(double from, double to, double u) { return to + (from - to) * (1 + cos(PI * u)) / 2; }
static double along_line(double from, double to, double u) { return from + (to - from) * u; }

/* h: rate. */
static double constant(const double *h, uint64_t t) {
    (void)t;
    return h[0];
}

/* h: rate, step size, gamma. r gamma^floor(t / size). */
static double step(const double *h, uint64_t t) { return h[0] * pow(h[2], floor((double)t / h[1])); }

/* h: rate, gamma. r gamma^t. */
static double exponential(const double *h, uint64_t t) { return h[0] * pow(h[1], (double)t); }

/* h: rate, power. r / (t + 1)^power. */
static double inverse_scaling(const double *h, uint64_t t) { return h[0] / pow((double)t + 1, h[1]); }

/* h: rate, steps N, warm-up steps W, first rate, final rate. A line from the first rate to r in W steps, then half a
 * cosine from r to the final rate, reached at t = N. */
static double cosine(const double *h, uint64_t t) {
    double steps = h[1], warmup = h[2], at = fmin((double)t, steps);
    if (at < warmup) return along_line(h[3], h[0], at / warmup);
    return along_cosine(h[0], h[4], (at - warmup) / (steps - warmup));
}

/* h: largest rate r, steps N, share of the rise, r / the first rate, the first rate / the last, linear, three phases.
 * Up from the first rate to r, then down to the last; with three phases down to the first rate as slowly as up, then to
 * the last. */
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
