/* Gathering of rows of every element type and of sparse rows, with and without scaling; its inverse; and the order of
 * an epoch by blocks. */
#include "check.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { ROWS = 7 };
static const uint32_t ORDER[] = {6, 0, 3, 3, 5};
enum { N_ORDER = LENGTH_OF(ORDER) };

/* The value of a half-precision float by the definition of its format. */
static double value_of_half(unsigned half) {
    int exponent = (int)(half >> 10 & 31), fraction = (int)(half & 1023);
    double magnitude = exponent == 31  ? (fraction ? NAN : INFINITY)
                       : exponent == 0 ? ldexp(fraction, -24)
                                       : ldexp(1024 + fraction, exponent - 25);
    return half >> 15 ? -magnitude : magnitude;
}

static void check_halves(run *r) {
    size_t n = 65536, wrong = 0;
    uint16_t *halves = take(r, n * sizeof *halves);
    void *x = take_reals(r, n);
    for (size_t i = 0; i < n; i++) halves[i] = (uint16_t)i;
    fml_matrix X = {.elements = halves, .element = FML_FLOAT16, .n_columns = n};
    int finite = r->kernels->gather_converted(&X, NULL, 1, x, n);
    for (size_t i = 0; i < n; i++) {
        double value = value_of_half((unsigned)i), got = get(r, x, i);
        wrong += isnan(value) ? !isnan(got) : got != value || signbit(got) != signbit(value);
    }
    check(r, wrong == 0 && !finite, "%zu halves differ", wrong);
    release(r, 0);
}

/* The value of element i of a test matrix; for FML_UINT8 and FML_FLOAT16 it is exact. */
static double element_value(fml_element element, size_t i) {
    double value = (double)(i * 37 % 251);
    return element == FML_UINT8 ? value : element == FML_FLOAT16 ? value / 8 - 9 : value / 3 - 40;
}

static void put_element(const run *r, fml_element element, void *elements, size_t i) {
    double value = element_value(element, i);
    switch (element) {
    case FML_REAL:
        put(r, elements, i, value);
        break;
    case FML_UINT8:
        ((uint8_t *)elements)[i] = (uint8_t)value;
        break;
    case FML_FLOAT16: /* |value| < 32 in eighths: found by search, for the conversion is what is tested */
        for (unsigned half = 0; half < 65536; half++)
            if (value_of_half(half) == value) ((uint16_t *)elements)[i] = (uint16_t)half;
        break;
    case FML_FLOAT32:
        ((float *)elements)[i] = (float)value;
        break;
    case FML_FLOAT64:
        ((double *)elements)[i] = value;
        break;
    }
}

/* element_value, rounded to the element type. */
static double held(const run *r, fml_element element, size_t i) {
    double value = element_value(element, i);
    return element == FML_REAL ? rounded(r, value) : element == FML_FLOAT32 ? (double)(float)value : value;
}

static void check_dense(run *r, fml_element element, size_t I, size_t row, int scaled) {
    static const size_t SIZES[] = {8, 1, 2, 4, 8};
    size_t size = element == FML_REAL ? r->kernels->real_size : SIZES[element], x_row = I + 3, wrong = 0;
    void *elements = take(r, (ROWS - 1) * row * size + I * size), *x = take_reals(r, (ROWS - 1) * x_row + I);
    double *offset = take(r, I * sizeof *offset), *scale = take(r, I * sizeof *scale);
    for (size_t i = 0; i < (ROWS - 1) * row + I; i++) put_element(r, element, elements, i);
    for (size_t k = 0; k < I; k++) offset[k] = (double)k / 7 - 1, scale[k] = 1 + (double)(k % 5) / 3;
    fml_matrix X = {.elements = elements, .element = element, .n_columns = I, .row = row == I ? 0 : row};
    if (scaled) X.scaling = (fml_affine){offset, scale};
    for (int ordered = 0; ordered < 2; ordered++) {
        size_t rows = ordered ? N_ORDER : ROWS;
        check(r, r->kernels->gather_converted(&X, ordered ? ORDER : NULL, rows, x, x_row) == 1, "finite, type %d",
              element);
        for (size_t i = 0; i < rows * I; i++) {
            double value = held(r, element, (ordered ? ORDER[i / I] : i / I) * row + i % I);
            if (scaled) value = (value - offset[i % I]) / scale[i % I];
            wrong += get(r, x, i / I * x_row + i % I) != rounded(r, value);
        }
    }
    check(r, wrong == 0, "%zu elements of type %d, %zu columns, scaled %d", wrong, element, I, scaled);
}

/* Check sparse rows. Row i has elements in every (i + 1)-th column from i on. Every other row has also one whose column
 * is out of range and, without scaling, a further one in the last column. */
static void check_sparse(run *r, size_t I, int scaled) {
    size_t wrong = 0, n = 0;
    int64_t begins[ROWS + 1] = {0};
    int32_t *columns = take(r, (ROWS * (I + 2)) * sizeof *columns);
    void *elements = take_reals(r, ROWS * (I + 2)), *x = take_reals(r, ROWS * I);
    double *dense = take(r, ROWS * I * sizeof *dense), *offset = take(r, I * sizeof *offset),
           *scale = take(r, I * sizeof *scale);
    for (size_t k = 0; k < I; k++) offset[k] = (double)k / 7 - 1, scale[k] = 1 + (double)(k % 5) / 3;
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t k = i; k < I; k += i + 1, n++) columns[n] = (int32_t)k, put(r, elements, n, 1 + (double)(n % 16));
        if (i % 2 && !scaled) columns[n] = (int32_t)I - 1, put(r, elements, n++, 64);
        if (i % 2) columns[n] = -1, put(r, elements, n++, 9);
        begins[i + 1] = (int64_t)n;
        for (size_t at = (size_t)begins[i]; at < n; at++)
            if (columns[at] >= 0) dense[i * I + (size_t)columns[at]] += get(r, elements, at);
    }
    fml_matrix X = {.elements = elements, .n_columns = I, .begins = begins, .columns = columns};
    if (scaled) X.scaling = (fml_affine){offset, scale};
    for (int ordered = 0; ordered < 2; ordered++) {
        size_t rows = ordered ? N_ORDER : ROWS;
        r->kernels->gather_converted(&X, ordered ? ORDER : NULL, rows, x, I);
        for (size_t i = 0; i < rows * I; i++) {
            double value = dense[(ordered ? ORDER[i / I] : i / I) * I + i % I];
            if (scaled) value = (value - offset[i % I]) / scale[i % I];
            wrong += get(r, x, i) != rounded(r, value);
        }
    }
    check(r, wrong == 0, "%zu elements of sparse rows of %zu, scaled %d", wrong, I, scaled);
    if (n > 0) put(r, elements, 0, NAN);
    check(r, r->kernels->gather_converted(&X, NULL, ROWS, x, I) == (n == 0), "NaN in sparse rows of %zu", I);
}

static void check_unscale(run *r, size_t O) {
    uint64_t random = O;
    size_t wrong = 0;
    void *y = normal_reals(r, ROWS * O, 1, &random), *before = take_reals(r, ROWS * O);
    double *offset = take(r, O * sizeof *offset), *scale = take(r, O * sizeof *scale);
    memcpy(before, y, ROWS * O * r->kernels->real_size);
    for (size_t o = 0; o < O; o++) offset[o] = (double)o - 3, scale[o] = 0.5 + (double)o;
    r->kernels->unscale(y, ROWS, O, &(fml_affine){offset, scale});
    for (size_t i = 0; i < ROWS * O; i++)
        wrong += get(r, y, i) != rounded(r, get(r, before, i) * scale[i % O] + offset[i % O]);
    check(r, wrong == 0, "%zu of %zu outputs scaled back", wrong, O);
}

/* The whole order of an epoch by blocks, as docs/design.md defines it. */
static void naive_order(run *r, size_t n_rows, size_t block_rows, uint64_t *random, uint32_t *order) {
    size_t n_blocks = (n_rows + block_rows - 1) / block_rows, n = 0;
    uint32_t *blocks = take(r, n_blocks * sizeof *blocks), *rows = take(r, n_rows * sizeof *rows),
             *places = take(r, n_rows * sizeof *places);
    fml_random_order(random, blocks, n_blocks);
    uint64_t windows = fml_random_next(random);
    for (size_t w = 0; w * FML_WINDOW_BLOCKS < n_blocks; w++) {
        size_t n_window = 0;
        for (size_t b = w * FML_WINDOW_BLOCKS; b < n_blocks && b < (w + 1) * FML_WINDOW_BLOCKS; b++)
            for (size_t i = blocks[b] * block_rows; i < n_rows && i < (blocks[b] + 1) * block_rows; i++)
                rows[n_window++] = (uint32_t)i;
        uint64_t seed = windows + w, state = fml_random_next(&seed);
        fml_random_order(&state, places, n_window);
        for (size_t i = 0; i < n_window; i++) order[n++] = rows[places[i]];
    }
}

static void check_order(run *r, size_t n_rows, size_t block_rows, size_t batch_rows) {
    uint64_t random = n_rows, same = n_rows;
    uint32_t *expected = take(r, n_rows * sizeof *expected);
    fml_block_order o;
    fml_block_order_begin(&o, n_rows, block_rows, take(r, fml_block_order_size(n_rows, block_rows, batch_rows)));
    for (int epoch = 0; epoch < 2; epoch++) {
        size_t wrong = 0, step = batch_rows;
        fml_block_order_draw(&o, &random);
        naive_order(r, n_rows, block_rows, &same, expected);
        for (size_t first = epoch * step; first < n_rows; first += step) { /* the second epoch begins in its middle */
            size_t end = first + step < n_rows ? first + step : n_rows;
            fml_block_order_reach(&o, first, end);
            wrong += o.first > first || o.first + o.n < end;
            if (wrong) break;
            wrong += memcmp(o.rows + (first - o.first), expected + first, (end - first) * sizeof *expected) != 0;
        }
        check(r, wrong == 0 && random == same, "%zu rows in blocks of %zu, batches of %zu", n_rows, block_rows,
              batch_rows);
        if (2 * step < n_rows) {
            fml_block_order_reach(&o, step, 2 * step); /* an earlier batch again */
            check(r, memcmp(o.rows + (step - o.first), expected + step, step * sizeof *expected) == 0, "back");
        }
    }
}

void check_sources(run *r) {
    static const size_t COUNTS[] = {1, 2, 63, 64, 65, 200, 1000};
    check_halves(r);
    for (size_t k = 0; k < N_EDGE_SIZES; k++)
        for (int scaled = 0; scaled < 2; scaled++) {
            for (int element = FML_REAL; element <= FML_FLOAT64; element++)
                for (size_t apart = 0; apart < 4; apart += 3)
                    check_dense(r, (fml_element)element, EDGE_SIZES[k], EDGE_SIZES[k] + apart, scaled);
            check_sparse(r, EDGE_SIZES[k], scaled);
            check_unscale(r, EDGE_SIZES[k]);
            release(r, 0);
        }
    check(r, fml_block_rows(1) == 65536 && fml_block_rows(784) == 83 && fml_block_rows(1 << 20) == 1,
          "rows of a block");
    for (size_t k = 0; k < LENGTH_OF(COUNTS); k++)
        for (size_t block_rows = 1; block_rows < 8; block_rows += 3)
            for (size_t batch = 1; batch < 600; batch = batch * 5 + 2) {
                check_order(r, COUNTS[k], block_rows, batch);
                release(r, 0);
            }
}
