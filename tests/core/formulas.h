/* Activations and losses by their definitions, independent of csrc: the oracles of the kernels.
 *
 * The bounds are those of the kernels' errors that tests/test_kernels.py states and asserts: here against the C library
 * in long double. Hyper-parameters are given as the dtype holds them. */
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
    /* How far a kernel's value and slope may be from the exact result at z. */
    double (*value_bound)(const run *r, double z, double exact, const double *h);
    double (*slope_bound)(const run *r, double z, double exact, const double *h);
    /* How far the exact value and slope may be from those at z.value where z, and y = f(z), are within their bounds. */
    double (*value_change)(bounded z, const double *h);
    double (*slope_change)(bounded z, bounded y, const double *h);
} formula;

/* All elementwise activations; a NULL name ends the table. */
extern const formula FORMULAS[];
const formula *find_formula(const char *name);
/* The k-th case, as the run's dtype holds it. */
void formula_case(const run *r, const formula *f, size_t k, double *h);

/* The distance of neighbouring reals at |x|. */
double spacing(const run *r, double x);

typedef struct {
    const char *name;
    int from_z;
    const char *output; /* the output activation that it is tried with; NULL: none, it has more outputs than targets */
    /* The loss of one row with n targets from its y or z, in long double; beta and h: the hyper-parameters of the
     * output activation and of the loss. */
    long double (*value)(const long double *output, const long double *t, size_t n, double beta, const double *h);
    size_t n_heads;  /* outputs for each target */
    double lowest_t; /* it is tried with targets from here to 1 */
    double far;      /* and with outputs of this size; differences of exponentials lose their digits soon */
    size_t n_h;
    double h[FML_MAX_HYPER_PARAMETERS]; /* those to try, which either dtype holds */
} loss_formula;

extern const loss_formula LOSS_FORMULAS[];
const loss_formula *find_loss_formula(const char *name);

#endif
