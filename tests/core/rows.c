/* The kernels on rows: gathering and its check for NaN and infinity, bytes, one-hot encoding, bias, sums over a batch,
 * classes. */
#include "check.h"

#include <math.h>
#include <string.h>

enum { ROWS = 11, MAX_SEARCHED = 150 };

/* Indices of some of the ROWS rows, one of them twice. */
static const uint32_t ORDER[] = {7, 0, 10, 3, 3, 9, 1};
enum { N_ORDER = LENGTH_OF(ORDER) };

static void check_gather(run *r, size_t I) {
    static const double SPOILED[] = {NAN, INFINITY, -INFINITY};
    uint64_t random = I;
    size_t size = I * r->kernels->real_size, x_row = I + 3;
    void *X = normal_reals(r, ROWS * I, 1, &random), *x = take_reals(r, (N_ORDER - 1) * x_row + I),
         *all = take_reals(r, ROWS * I);
    put(r, X, 0, r->largest);
    check(r, r->kernels->gather(X, NULL, ROWS, I, all, I) == 1, "gather finds %zu columns finite", I);
    check_same_reals(r, all, X, ROWS * I, "gather of all rows of %zu", I);
    check(r, r->kernels->gather(X, ORDER, N_ORDER, I, x, x_row) == 1, "gather in order finds %zu columns finite", I);
    int same = 1;
    for (size_t i = 0; i < N_ORDER; i++) same &= memcmp(at(r, x, i * x_row), at(r, X, ORDER[i] * I), size) == 0;
    check(r, same, "gather in order of %zu", I);
    for (size_t i = 0; i < I; i++) {
        memcpy(all, X, ROWS * size);
        put(r, all, 9 * I + i, SPOILED[i % 3]);
        check(r, r->kernels->gather(all, ORDER, N_ORDER, I, x, x_row) == 0, "gather sees column %zu of %zu", i, I);
        check(r, r->kernels->gather(all, ORDER, 5, I, x, x_row) == 1, "gather looks only at its rows, of %zu", I);
    }
}

static void check_bytes_and_labels(run *r, size_t I) {
    uint8_t *X = take(r, ROWS * I);
    int64_t *labels = take(r, ROWS * sizeof *labels);
    size_t x_row = I + 5;
    void *x = take_reals(r, (ROWS - 1) * x_row + I), *t = take_reals(r, ROWS * I);
    for (size_t i = 0; i < ROWS * I; i++) X[i] = (uint8_t)(i * 37 + 255);
    for (size_t i = 0; i < ROWS; i++) labels[i] = (int64_t)(i * 13 % I);
    for (int ordered = 0; ordered < 2; ordered++) {
        size_t rows = ordered ? N_ORDER : ROWS, wrong = 0;
        fml_matrix bytes = {.elements = X, .element = FML_UINT8, .n_columns = I};
        r->kernels->gather_converted(&bytes, ordered ? ORDER : NULL, rows, x, x_row);
        r->kernels->one_hot(labels, ordered ? ORDER : NULL, rows, I, t);
        for (size_t i = 0; i < rows * I; i++) {
            size_t row = ordered ? ORDER[i / I] : i / I;
            wrong += get(r, x, i / I * x_row + i % I) != X[row * I + i % I];
            wrong += get(r, t, i) != (labels[row] == (int64_t)(i % I));
        }
        check(r, wrong == 0, "bytes and labels of %zu columns%s", I, ordered ? " in order" : "");
    }
}

/* z + b, and sums over rows; a sum of ROWS + 1 terms has at most that many rounding errors. */
static void check_bias_and_sums(run *r, size_t O) {
    uint64_t random = O;
    void *b = normal_reals(r, O, 1, &random), *z = normal_reals(r, ROWS * O, 1, &random), *sums = take_reals(r, O);
    bounded *expected = take(r, ROWS * O * sizeof *expected), *totals = take(r, O * sizeof *totals);
    for (size_t i = 0; i < ROWS * O; i++) {
        expected[i].value = rounded(r, get(r, z, i) + get(r, b, i % O));
        totals[i % O].value += get(r, z, i);
        totals[i % O].error += (ROWS + 1) * r->epsilon * fabs(get(r, z, i));
    }
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        r->kernels->sum_rows(z, sums, ROWS, O, accumulate);
        check_within(r, sums, totals, O, "sums of %zu columns, %d", O, accumulate);
        for (size_t o = 0; o < O; o++) totals[o] = (bounded){2 * totals[o].value, 3 * totals[o].error};
    }
    r->kernels->add_bias(b, z, ROWS, O);
    check_within(r, z, expected, ROWS * O, "bias of %zu columns", O);
}

static void check_search(run *r) {
    static const double SPOILED[] = {NAN, INFINITY, -INFINITY};
    for (size_t n = 0; n <= MAX_SEARCHED; n++) {
        void *x = equal_reals(r, n, -r->largest);
        check(r, r->kernels->first_not_finite(x, n) == n, "all of %zu are finite", n);
        for (size_t i = n; i-- > 0;) { /* from the last to the first, as later elements must not be found */
            put(r, x, i, SPOILED[i % 3]);
            check(r, r->kernels->first_not_finite(x, n) == i, "element %zu of %zu is not finite", i, n);
        }
    }
}

static int64_t class_of(const run *r, const void *y, size_t O, double threshold) {
    size_t best = 0;
    for (size_t o = 0; o < O; o++) {
        if (isnan(get(r, y, o))) return -1;
        if (get(r, y, o) > get(r, y, best)) best = o;
    }
    return O == 1 ? get(r, y, 0) > threshold : (int64_t)best;
}

static void check_classes(run *r, size_t O) {
    uint64_t random = O;
    void *y = take_reals(r, ROWS * O);
    int64_t *classes = take(r, ROWS * sizeof *classes);
    for (size_t i = 0; i < ROWS * O; i++) put(r, y, i, (double)fml_random_below(&random, 5) / 4); /* with ties */
    for (double threshold = 0.25; threshold < 1; threshold += 0.25) {
        r->kernels->classify(y, ROWS, O, threshold, classes);
        for (size_t i = 0; i < ROWS; i++)
            check(r, classes[i] == class_of(r, at(r, y, i * O), O, threshold), "class of row %zu of %zu outputs", i, O);
    }
}

/* Check classify_softmax against the classes of softmax's outputs, also where outputs are equal because of rounding, or
 * NaN. */
static void check_softmax_classes(run *r, size_t O) {
    static const double SCALES[] = {1, 1e-4, 1e-6, 1e-8, 1e-12, 1e-15, 0, 1e4}, ODD[] = {NAN, INFINITY, -INFINITY};
    uint64_t random = O;
    int64_t classes[ROWS];
    for (size_t k = 0; k < LENGTH_OF(SCALES); k++) {
        void *z = normal_reals(r, ROWS * O, SCALES[k], &random), *y = take_reals(r, ROWS * O);
        for (size_t i = 0; i < LENGTH_OF(ODD); i++) put(r, z, i * O + i % O, ODD[i]);
        find_activation(r->kernels, "softmax")->forward(z, y, ROWS, O, NULL);
        r->kernels->classify_softmax(z, ROWS, O, classes);
        for (size_t i = 0; i < ROWS; i++)
            check(r, classes[i] == class_of(r, at(r, y, i * O), O, 0), "class of row %zu of %zu outputs by %g", i, O,
                  SCALES[k]);
    }
}

void check_rows(run *r) {
    for (size_t k = 0; k < N_EDGE_SIZES; k++) {
        check_gather(r, EDGE_SIZES[k]);
        check_bytes_and_labels(r, EDGE_SIZES[k]);
        check_bias_and_sums(r, EDGE_SIZES[k]);
        check_classes(r, EDGE_SIZES[k]);
        if (EDGE_SIZES[k] > 1) check_softmax_classes(r, EDGE_SIZES[k]);
        release(r, 0);
    }
    check_search(r);
    release(r, 0);
}
