/* The loss kernels: values against the definitions in long double, gradients by central differences of those, over
 * shapes around the vector's width; scaled, in place, without gradient; and far out, where a cross entropy from y would
 * overflow. */
#include "formulas.h"

#include <math.h>
#include <string.h>

enum { ROWS = 3 };
static const size_t WIDTHS[] = {1, 2, 3, 5, 7, 8, 10, 15, 16, 17, 33, 97};

/* A batch and what is expected of it. */
typedef struct {
    const loss_formula *oracle;
    const fml_loss *kernel;
    size_t O;
    double h[FML_MAX_HYPER_PARAMETERS], scale;
    void *output, *t;
} batch;

static batch make_batch(run *r, const loss_formula *oracle, size_t O, double spread) {
    uint64_t random = O;
    batch b = {.oracle = oracle, .kernel = fml_find_loss(r->kernels, oracle->name), .O = O, .h = {rounded(r, 1.7)}};
    b.output = normal_reals(r, ROWS * O, spread, &random);
    b.t = uniform_reals(r, ROWS * O, 0, 1, &random);
    b.scale = 0.37;
    return b;
}

/* The loss of row i with `by` added to output o. */
static long double row_loss(const run *r, const batch *b, size_t i, size_t o, long double by) {
    long double output[97], t[97];
    for (size_t k = 0; k < b->O; k++) {
        output[k] = get(r, b->output, i * b->O + k);
        t[k] = get(r, b->t, i * b->O + k);
    }
    output[o] += by;
    return b->oracle->value(output, t, b->O, b->h);
}

/* The sum of the rows, which is kept in double. A squared error is rounded as a real per output; a cross entropy
 * carries the error of exp. */
static bounded expected_value(const run *r, const batch *b) {
    bounded sum = {0, 0};
    for (size_t i = 0; i < ROWS; i++) sum.value += (double)row_loss(r, b, i, 0, 0);
    sum.error = fabs(sum.value) * (4 * r->epsilon + 0x1p-52 * ROWS * (double)b->O);
    if (b->oracle->from_z) sum.error += 8 * r->epsilon * ROWS * (double)b->O;
    return sum;
}

/* d (y - t) has a second difference of 0 or, for the cross entropies, a fourth derivative below beta^4 / 8: with steps
 * of 1e-4 in long double the formula is good to 1e-8. */
static void expect_gradient(const run *r, const batch *b, bounded *d) {
    const long double step = 1e-4L;
    for (size_t i = 0; i < ROWS; i++)
        for (size_t o = 0; o < b->O; o++) {
            long double difference = row_loss(r, b, i, o, step) - row_loss(r, b, i, o, -step);
            double slope = b->scale * (double)(difference / (2 * step));
            d[i * b->O + o] = (bounded){slope, 1e-8 + r->epsilon * (4 * fabs(slope) + 8 * b->h[0] * b->scale)};
        }
}

static void check_batch(run *r, const batch *b) {
    size_t n = ROWS * b->O;
    void *d = take_reals(r, n), *copy = memcpy(take_reals(r, n), b->output, n * r->kernels->real_size);
    bounded *expected = take(r, n * sizeof *expected), value = expected_value(r, b);
    double sum = b->kernel->value_and_gradient(b->output, b->t, d, ROWS, b->O, b->scale, b->h);
    double alone = b->kernel->value_and_gradient(b->output, b->t, NULL, ROWS, b->O, b->scale, b->h);
    double in_place = b->kernel->value_and_gradient(copy, b->t, copy, ROWS, b->O, b->scale, b->h);
    check(r, fabs(sum - value.value) <= value.error, "%s of %zu: %.17g, expected %.17g within %g", b->oracle->name,
          b->O, sum, value.value, value.error);
    check(r, sum == alone && sum == in_place, "%s of %zu: the same value without gradient, in place", b->oracle->name,
          b->O);
    check_same_reals(r, copy, d, n, "gradient of %s of %zu in place", b->oracle->name, b->O);
    expect_gradient(r, b, expected);
    check_within(r, d, expected, n, "gradient of %s of %zu", b->oracle->name, b->O);
}

/* The loss of a row is that of the row alone, so a batch's is the sum of its rows'. */
static void check_rows_alone(run *r, const batch *b) {
    void *d = take_reals(r, ROWS * b->O), *row = take_reals(r, b->O);
    double sum = b->kernel->value_and_gradient(b->output, b->t, d, ROWS, b->O, b->scale, b->h), rows = 0;
    for (size_t i = 0; i < ROWS; i++) {
        const void *output = at(r, b->output, i * b->O), *t = at(r, b->t, i * b->O);
        rows += b->kernel->value_and_gradient(output, t, row, 1, b->O, b->scale, b->h);
        check_same_reals(r, row, at(r, d, i * b->O), b->O, "gradient of %s, row %zu alone", b->oracle->name, i);
    }
    check(r, fabs(sum - rows) <= 1e-14 * fabs(sum) * (double)(ROWS * b->O), "%s of %zu: the sum of its rows",
          b->oracle->name, b->O);
}

/* -ln sigmoid and -ln softmax of +-1000 are 1000 and 0, and their gradients +-1 and 0. */
static void check_far_out(run *r) {
    const double one = 1;
    void *z = take_reals(r, 2), *t = take_reals(r, 2), *d = take_reals(r, 2);
    for (int right = 0; right < 2; right++) {
        put(r, z, 0, right ? 1000 : -1000);
        put(r, t, 0, 1);
        double loss = fml_find_loss(r->kernels, "binary_cross_entropy")->value_and_gradient(z, t, d, 1, 1, 1, &one);
        check(r, loss == (right ? 0 : 1000) && get(r, d, 0) == (right ? 0 : -1), "binary cross entropy at %g: %g, %g",
              get(r, z, 0), loss, get(r, d, 0));
        loss = fml_find_loss(r->kernels, "cross_entropy")->value_and_gradient(z, t, d, 1, 2, 1, &one);
        check(r, loss == (right ? 0 : 1000) && get(r, d, 0) == (right ? 0 : -1) && get(r, d, 1) == (right ? 0 : 1),
              "cross entropy at %g: %g, %g, %g", get(r, z, 0), loss, get(r, d, 0), get(r, d, 1));
    }
}

void check_losses(run *r) {
    static const double SPREADS[] = {1, 20};
    size_t n_widths = LENGTH_OF(WIDTHS) - (r->quick ? 2 : 0); /* differences of wide rows take long */
    for (const fml_loss *loss = r->kernels->losses; loss->name != NULL; loss++)
        check(r, find_loss_formula(loss->name) != NULL, "no test knows %s", loss->name);
    for (const loss_formula *oracle = LOSS_FORMULAS; oracle->name != NULL; oracle++)
        for (size_t k = 0; k < n_widths; k++)
            for (size_t j = 0; j < LENGTH_OF(SPREADS); j++) {
                batch b = make_batch(r, oracle, WIDTHS[k], SPREADS[j]);
                check(r, b.kernel->from_z == oracle->from_z, "%s from z", oracle->name);
                check_batch(r, &b);
                check_rows_alone(r, &b);
                release(r, 0);
            }
    check_far_out(r);
    release(r, 0);
}
