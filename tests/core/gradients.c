/* The backward pass of whole networks: loss, gradient and dx against naive.h, for batches of many sizes, with and
 * without an order of the rows, of reals and bytes, with targets and labels. */
#include "backward.h"
#include "naive.h"

#include <math.h>

enum { N_ROWS = MAX_ROWS + 9 };

/* The core's gradient of a batch, in the order of P; dx is NULL unless it was requested. */
typedef struct {
    void *P, *dx;
    double loss;
} result;

static result gradient_by(run *r, const model *m, const naive_batch *b, double weight, int wants_dx) {
    result got = {take_reals(r, m->net.n_parameters), wants_dx ? take_reals(r, b->rows * m->I) : NULL, 0};
    void *block = take_aligned(r, m->net.n_packed * r->kernels->real_size);
    fml_pass pass = {.net = &m->net,
                     .block = m->block,
                     .data = b->data,
                     .order = b->order,
                     .rows = b->rows,
                     .weight = weight,
                     .gradient = block,
                     .dx = got.dx,
                     .workspace = take_aligned(r, fml_gradient_workspace(&m->net, b->rows, wants_dx))};
    fml_status status = fml_gradient(&pass, &got.loss);
    check(r, status == FML_OK, "%s: status %d of a gradient", m->name, (int)status);
    fml_network_unpack(&m->net, block, got.P);
    return got;
}

static result gradient(run *r, const model *m, const naive_batch *b, int wants_dx) {
    return gradient_by(r, m, b, fml_total_weight(b->data, b->order, b->rows), wants_dx);
}

/* The gradients of two parts of a batch, each divided by the weight of the whole batch, add up to its gradient. */
static void check_shares(run *r, const model *m, const naive_batch *b, const bounded *expected) {
    if (b->order == NULL || b->rows < 2) return;
    naive_batch first = *b, second = *b;
    double weight = fml_total_weight(b->data, b->order, b->rows);
    first.rows = b->rows / 3 + 1;
    second.rows = b->rows - first.rows;
    second.order = b->order + first.rows;
    result left = gradient_by(r, m, &first, weight, 0), right = gradient_by(r, m, &second, weight, 0);
    for (size_t i = 0; i < m->net.n_parameters; i++) {
        double sum = get(r, left.P, i) + get(r, right.P, i);
        check(r, fabs(sum - expected[i].value) <= 2 * expected[i].error, "%s: shares of %zu and %zu rows: %g, not %g",
              m->name, first.rows, second.rows, sum, expected[i].value);
    }
}

static void check_batch(run *r, const model *m, const naive_batch *b) {
    size_t n = m->net.n_parameters;
    bounded *expected = take(r, n * sizeof *expected), *dx = take(r, b->rows * m->I * sizeof *dx);
    bounded loss = naive_gradient(r, m, b, expected, dx);
    result got = gradient(r, m, b, 1), without_dx = gradient(r, m, b, 0);
    check(r, fabs(got.loss - loss.value) <= loss.error, "%s, %zu rows: loss %.17g, expected %.17g within %g", m->name,
          b->rows, got.loss, loss.value, loss.error);
    check_within(r, got.P, expected, n, "%s, %zu rows: gradient", m->name, b->rows);
    check_within(r, got.dx, dx, b->rows * m->I, "%s, %zu rows: dx", m->name, b->rows);
    check_same_reals(r, without_dx.P, got.P, n, "%s, %zu rows: gradient without dx", m->name, b->rows);
    check_shares(r, m, b, expected);
}

/* Check that the bounds are small compared with the gradient, so that the other checks can fail. */
static void check_bounds(run *r, const model *m, const naive_batch *b) {
    size_t n = m->net.n_parameters;
    bounded *expected = take(r, n * sizeof *expected);
    double size = 0, error = 0;
    naive_gradient(r, m, b, expected, NULL);
    for (size_t i = 0; i < n; i++) {
        size += fabs(expected[i].value);
        error += expected[i].error;
    }
    check(r, error < size * 1e6 * r->epsilon, "%s: bounds of %g on gradients of %g", m->name, error, size);
}

/* Check that gradient, dx and loss of n_rows rows have the same bits on any number of threads. is_wide: whether several
 * threads divide the outputs of some layers. */
static void check_threads(run *r, const design *wanted, size_t n_rows, int is_wide) {
    result first = {NULL, NULL, 0};
    for (size_t i = 0; i < N_THREAD_COUNTS; i++) {
        model *m = make_model(r, wanted, THREAD_COUNTS[i], 3);
        fml_data data = make_data(r, m, n_rows, VALUES, 4);
        naive_batch all = {&data, NULL, n_rows};
        result got = gradient(r, m, &all, 1);
        if (i == 0) first = got;
        size_t n = m->net.n_parameters;
        if (is_wide && i > 0) check(r, n_wide_layers(&m->net, n_rows) == 2, "%s: wide layers", m->name);
        check_same_reals(r, got.P, first.P, n, "%s on %zu threads: gradient", m->name, THREAD_COUNTS[i]);
        check_same_reals(r, got.dx, first.dx, all.rows * m->I, "%s on %zu threads: dx", m->name, THREAD_COUNTS[i]);
        check(r, got.loss == first.loss, "%s on %zu threads: loss", m->name, THREAD_COUNTS[i]);
    }
    release(r, 0);
}

/* Two layers so wide that threads divide their outputs. */
static const design WIDE = {{150, 300, 270, 3}, NULL, "softmax", "cross_entropy"};

/* The workspace for up to R rows must suffice for every smaller number of rows, whatever number of threads and division
 * they get: the pass gets exactly as many bytes. Under AddressSanitizer, a byte beyond them is reported. */
static void check_workspace(run *r, const design *wanted, size_t n_threads, size_t max_rows) {
    model *m = make_model(r, wanted, n_threads, 3);
    fml_data data = make_data(r, m, max_rows, VALUES, 4);
    size_t size = fml_gradient_workspace(&m->net, max_rows, 1);
    void *block = take_aligned(r, m->net.n_packed * r->kernels->real_size), *dx = take_reals(r, max_rows * m->I);
    for (size_t rows = max_rows; rows > 0; rows = rows > 40 ? rows - 7 : rows - 1) {
        fml_pass pass = {.net = &m->net,
                         .block = m->block,
                         .data = &data,
                         .rows = rows,
                         .weight = (double)rows,
                         .gradient = block,
                         .dx = dx,
                         .workspace = fml_allocate(size)};
        double loss = 0;
        check(r, fml_gradient_workspace(&m->net, rows, 1) <= size, "%s, %zu of %zu rows on %zu threads: workspace",
              m->name, rows, max_rows, n_threads);
        check(r, fml_gradient(&pass, &loss) == FML_OK, "%s, %zu rows: status", m->name, rows);
        fml_free(pass.workspace);
    }
    release(r, 0);
}

static const design ODD_SHAPES[] = {
    {{60, 515, 1, 1}, "tanh", "identity", "mse"}, /* shorter batches have a grid where longer ones have none, */
    {{64, 300, 32, 10}, "tanh", "identity", "mse"},
    {{64, 1000, 1}, "tanh", "identity", "mse"}, /* or are one piece where those are divided into parts */
    {{10, 32, 32, 1}, "tanh", "identity", "mse"},
};

void check_gradients(run *r) {
    check_threads(r, &WIDE, 20, 1);
    for (size_t k = 0; k < sizeof ODD_SHAPES / sizeof *ODD_SHAPES; k++)
        for (size_t n_threads = 2; n_threads <= 16; n_threads *= 2)
            for (size_t max_rows = 210; max_rows <= 300; max_rows += 45)
                if (!left_out(r, k + n_threads + max_rows, 7)) check_workspace(r, &ODD_SHAPES[k], n_threads, max_rows);
    for (size_t d = 0; d < N_DESIGNS; d++)
        if (!left_out(r, d, 3)) check_threads(r, &DESIGNS[d], 3 * N_ROWS, 0);
    for (size_t d = 0; d < N_DESIGNS; d++)
        for (size_t k = 0; k < N_BATCHES; k++) {
            if (left_out(r, d + k, 6)) continue;
            model *m = make_model(r, &DESIGNS[d], 1, d);
            fml_data data = make_data(r, m, N_ROWS, (data_kind)(k % 4), k);
            uint32_t *order = take(r, N_ROWS * sizeof *order);
            uint64_t random = k;
            fml_random_order(&random, order, N_ROWS);
            naive_batch batch = {&data, k % 3 == 0 ? NULL : order, BATCHES[k]};
            check_batch(r, m, &batch);
            check_bounds(r, m, &batch);
            release(r, 0);
        }
}
