/* The loss kernels: values against the definitions in long double, and gradients against central differences of these,
 * for numbers of outputs around multiples of the vector's width; with a scale, in place, and without gradient; and for
 * large outputs, where a cross entropy computed from y would overflow. */
#include "formulas.h"

#include <math.h>
#include <string.h>

enum { ROWS = 3, WIDEST = 97 };
static const size_t WIDTHS[] = {1, 2, 3, 5, 7, 8, 10, 15, 16, 17, 33, WIDEST};

/* A batch of ROWS rows for one loss; the network has only the members that a loss reads. */
typedef struct {
    const loss_formula *oracle;
    const fml_loss *kernel;
    fml_network net;
    fml_layer last;
    size_t n, O; /* targets and outputs of a row */
    double scale;
    void *output, *t;
} batch;

/* A batch without outputs and targets yet. */
static batch *new_batch(run *r, const loss_formula *oracle, size_t n, double beta) {
    batch *b = take(r, sizeof *b);
    *b = (batch){.oracle = oracle, .kernel = find_loss(r->kernels, oracle->name), .n = n, .O = n * oracle->n_heads};
    b->last = (fml_layer){.n_outputs = b->O, .hyper_parameters = {beta}};
    b->net = (fml_network){.kernels = r->kernels,
                           .loss = b->kernel,
                           .loss_hyper_parameters = oracle->h,
                           .n_loss_hyper_parameters = oracle->n_h,
                           .n_targets = n,
                           .n_layers = 1,
                           .layers = &b->last};
    return b;
}

static batch *make_batch(run *r, const loss_formula *oracle, size_t n, double spread) {
    uint64_t random = n;
    batch *b = new_batch(r, oracle, n, rounded(r, 1.7));
    b->output = normal_reals(r, ROWS * b->O, spread, &random);
    b->t = uniform_reals(r, ROWS * n, oracle->lowest_t, 1, &random);
    b->scale = 0.37;
    return b;
}

/* Call the kernel for some rows of the batch. */
static double value_and_gradient(const batch *b, const void *output, const void *t, void *d, size_t rows) {
    fml_loss_rows all = {.net = &b->net, .output = output, .t = t, .d = d, .rows = rows, .scale = b->scale};
    return b->kernel->value_and_gradient(&all);
}

/* The loss of row i by the definition, with `by` added to output o. */
static long double row_loss(const run *r, const batch *b, size_t i, size_t o, long double by) {
    long double output[2 * WIDEST], t[WIDEST];
    for (size_t k = 0; k < b->O; k++) output[k] = get(r, b->output, i * b->O + k);
    for (size_t k = 0; k < b->n; k++) t[k] = get(r, b->t, i * b->n + k);
    output[o] += by;
    return b->oracle->value(output, t, b->n, b->last.hyper_parameters[0], b->oracle->h);
}

/* The sum of the losses of the rows. The bound: the kernel rounds the loss of each output to the dtype, and sums in
 * double; losses of z have in addition the error of exp. */
static bounded expected_value(const run *r, const batch *b) {
    bounded sum = {0, 0};
    for (size_t i = 0; i < ROWS; i++) sum.value += (double)row_loss(r, b, i, 0, 0);
    sum.error = fabs(sum.value) * (4 * r->epsilon + 0x1p-52 * ROWS * (double)b->O);
    if (b->oracle->from_z) sum.error += 8 * r->epsilon * ROWS * (double)b->O;
    return sum;
}

/* The gradient by central differences with a step of 1e-4 in long double. As the third derivative of a loss is at most
 * about its slope or beta^3, the error is about 1e-8 of the slope. No output is that near to a corner. */
static void expect_gradient(const run *r, const batch *b, bounded *d) {
    const long double step = 1e-4L;
    for (size_t i = 0; i < ROWS; i++)
        for (size_t o = 0; o < b->O; o++) {
            long double difference = row_loss(r, b, i, o, step) - row_loss(r, b, i, o, -step);
            double slope = b->scale * (double)(difference / (2 * step));
            d[i * b->O + o] =
                (bounded){slope, 1e-8 * (1 + fabs(slope)) +
                                     r->epsilon * (4 * fabs(slope) + 8 * b->last.hyper_parameters[0] * b->scale)};
        }
}

static void check_batch(run *r, const batch *b) {
    size_t n = ROWS * b->O;
    void *d = take_reals(r, n), *copy = memcpy(take_reals(r, n), b->output, n * r->kernels->real_size);
    bounded *expected = take(r, n * sizeof *expected), value = expected_value(r, b);
    double sum = value_and_gradient(b, b->output, b->t, d, ROWS);
    double alone = value_and_gradient(b, b->output, b->t, NULL, ROWS);
    double in_place = value_and_gradient(b, copy, b->t, copy, ROWS);
    check(r, fabs(sum - value.value) <= value.error, "%s of %zu: %.17g, expected %.17g within %g", b->oracle->name,
          b->O, sum, value.value, value.error);
    check(r, sum == alone && sum == in_place, "%s of %zu: the same value without gradient, in place", b->oracle->name,
          b->O);
    check_same_reals(r, copy, d, n, "gradient of %s of %zu in place", b->oracle->name, b->O);
    expect_gradient(r, b, expected);
    check_within(r, d, expected, n, "gradient of %s of %zu", b->oracle->name, b->O);
}

/* Check that the loss and the gradient of a batch are those of its rows, each computed alone. */
static void check_rows_alone(run *r, const batch *b) {
    void *d = take_reals(r, ROWS * b->O), *row = take_reals(r, b->O);
    double sum = value_and_gradient(b, b->output, b->t, d, ROWS), rows = 0;
    for (size_t i = 0; i < ROWS; i++) {
        const void *output = at(r, b->output, i * b->O), *t = at(r, b->t, i * b->n);
        rows += value_and_gradient(b, output, t, row, 1);
        check_same_reals(r, row, at(r, d, i * b->O), b->O, "gradient of %s, row %zu alone", b->oracle->name, i);
    }
    check(r, fabs(sum - rows) <= 1e-14 * fabs(sum) * (double)(ROWS * b->O), "%s of %zu: the sum of its rows",
          b->oracle->name, b->O);
}

/* Check that -ln sigmoid and -ln softmax of +-1000 are 0 and 1000, and their gradients 0 and +-1. */
static void check_far_out(run *r) {
    batch *binary = new_batch(r, find_loss_formula("binary_cross_entropy"), 1, 1);
    batch *both = new_batch(r, find_loss_formula("cross_entropy"), 2, 1);
    void *z = take_reals(r, 2), *t = take_reals(r, 2), *d = take_reals(r, 2);
    binary->scale = both->scale = 1;
    for (int right = 0; right < 2; right++) {
        put(r, z, 0, right ? 1000 : -1000);
        put(r, t, 0, 1);
        double loss = value_and_gradient(binary, z, t, d, 1);
        check(r, loss == (right ? 0 : 1000) && get(r, d, 0) == (right ? 0 : -1), "binary cross entropy at %g: %g, %g",
              get(r, z, 0), loss, get(r, d, 0));
        loss = value_and_gradient(both, z, t, d, 1);
        check(r, loss == (right ? 0 : 1000) && get(r, d, 0) == (right ? 0 : -1) && get(r, d, 1) == (right ? 0 : 1),
              "cross entropy at %g: %g, %g, %g", get(r, z, 0), loss, get(r, d, 0), get(r, d, 1));
    }
}

void check_losses(run *r) {
    size_t n_widths = LENGTH_OF(WIDTHS) - (r->quick ? 2 : 0); /* central differences of wide rows take long */
    for (const fml_loss *loss = r->kernels->losses; loss->name != NULL; loss++)
        check(r, loss->value_and_gradient == NULL || find_loss_formula(loss->name) != NULL, "no test knows %s",
              loss->name);
    for (const loss_formula *oracle = LOSS_FORMULAS; oracle->name != NULL; oracle++)
        for (size_t k = 0; k < n_widths; k++)
            for (int far = 0; far < 2; far++) {
                batch *b = make_batch(r, oracle, WIDTHS[k], far ? oracle->far : 1);
                check(r, b->kernel->from_z == oracle->from_z, "%s from z", oracle->name);
                check_batch(r, b);
                check_rows_alone(r, b);
                release(r, 0);
            }
    check_far_out(r);
    release(r, 0);
}
