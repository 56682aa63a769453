/* Activations and losses by their definitions, independent of csrc: the oracles of the kernels, computed in long
 * double.
 *
 * The bounds of the kernels' errors are those that tests/core/test_kernels.py states and checks against mpmath.
 * Hyper-parameters are rounded to the dtype. */
#ifndef FORMULAS_H
#define FORMULAS_H

#include "check.h"

enum { MAX_CASES = 6 };

typedef struct {
    const char *name;
    size_t n_cases;
    double cases[MAX_CASES][FML_MAX_HYPER_PARAMETERS]; /* hyper-parameters to try */
    double (*value)(double z, const double *h);
    double (*slope)(double z, const double *h);
    long double (*exact_value)(long double z, const double *h);
    long double (*exact_slope)(long double z, const double *h);
    /* The maximum error of a kernel's value and slope at z, where `exact` is the exact result. */
    double (*value_bound)(const run *r, double z, double exact, const double *h);
    double (*slope_bound)(const run *r, double z, double exact, const double *h);
    /* The maximum change of the exact value and slope if z.value changes by z.error, and y = f(z) by y.error. */
    double (*value_change)(bounded z, const double *h);
    double (*slope_change)(bounded z, bounded y, const double *h);
} formula;

/* All elementwise activations; a NULL name ends the table. */
extern const formula FORMULAS[];
const formula *find_formula(const char *name);
/* The hyper-parameters of case k, rounded to the run's dtype. */
void formula_case(const run *r, const formula *f, size_t k, double *h);

/* The distance between adjacent reals (ULP) at |x|. */
double spacing(const run *r, double x);

typedef struct {
    const char *name;
    int from_z;
    const char *output; /* the output activation it is tested with; NULL: none, as it has more outputs than targets */
    /* The loss of one row with n targets from its y or z, in long double; beta and h: the hyper-parameters of the
     * output activation and of the loss. */
    long double (*value)(const long double *output, const long double *t, size_t n, double beta, const double *h);
    size_t n_heads;  /* outputs for each target */
    double lowest_t; /* tested targets are from lowest_t to 1 */
    double far; /* standard deviation of large tested outputs; small for losses with exponentials, whose differences
                   are inaccurate */
    size_t n_h;
    double h[FML_MAX_HYPER_PARAMETERS]; /* tested hyper-parameters, exact in both dtypes */
} loss_formula;

extern const loss_formula LOSS_FORMULAS[];
const loss_formula *find_loss_formula(const char *name);

#endif
