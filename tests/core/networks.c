/* The forward pass of whole networks: every layer against naive.h; the same bits for a row in any batch, at any
 * position and with any number of threads; packing and unpacking of parameters; evaluation. */
#include "naive.h"

#include <string.h>

void *predict(run *r, const model *m, const void *x, size_t rows) {
    fml_data data = {.x = x, .n_rows = rows};
    void *y = take_reals(r, rows * m->O), *workspace = take_aligned(r, fml_forward_workspace(&m->net, rows));
    fml_forward(&m->net, m->block, &data, NULL, NULL, y, workspace);
    return y;
}

void *predict_alone(run *r, const model *m, const void *x, size_t rows) {
    void *all = take_reals(r, rows * m->O), *workspace = take_aligned(r, fml_row_workspace(&m->net));
    size_t n_kept = r->n_taken, size = r->kernels->real_size;
    for (size_t i = 0; i < rows; i++) {
        void *row = memcpy(take_reals(r, m->I), at(r, x, i * m->I), m->I * size), *y = take_reals(r, m->O);
        fml_forward_row(&m->net, m->block, row, y, workspace);
        memcpy(at(r, all, i * m->O), y, m->O * size);
        release(r, n_kept);
    }
    return all;
}

void check_batches(run *r, const model *m, const void *x, const void *alone) {
    size_t n_kept = r->n_taken;
    for (size_t k = 0; k < N_BATCHES; k++) {
        size_t rows = BATCHES[k], last = MAX_ROWS - rows;
        void *first_y = predict(r, m, x, rows), *last_y = predict(r, m, at(r, x, last * m->I), rows);
        check_same_reals(r, first_y, alone, rows * m->O, "%s: the first %zu rows", m->name, rows);
        check_same_reals(r, last_y, at(r, alone, last * m->O), rows * m->O, "%s: the last %zu rows", m->name, rows);
        release(r, n_kept);
    }
}

/* The results of naive_forward for MAX_ROWS rows of x: z and y of each layer, (rows, O_l). */
static activities expect(run *r, const model *m, const void *x) {
    activities all, one = make_activities(r, m);
    bounded *row = take(r, m->I * sizeof *row);
    for (size_t l = 0; l < m->net.n_layers; l++) {
        all.z[l] = take(r, MAX_ROWS * m->layers[l].n_outputs * sizeof(bounded));
        all.y[l] = take(r, MAX_ROWS * m->layers[l].n_outputs * sizeof(bounded));
    }
    for (size_t i = 0; i < MAX_ROWS; i++) {
        for (size_t k = 0; k < m->I; k++) row[k] = (bounded){get(r, x, i * m->I + k), 0};
        naive_forward(r, m, row, &one);
        for (size_t l = 0; l < m->net.n_layers; l++) {
            size_t O = m->layers[l].n_outputs;
            memcpy(all.z[l] + i * O, one.z[l], O * sizeof(bounded));
            memcpy(all.y[l] + i * O, one.y[l], O * sizeof(bounded));
        }
    }
    return all;
}

/* Check layers of all pairs of EDGE_SIZES: single rows against naive.h, and batches against single rows. */
static void check_layers(run *r) {
    for (size_t k = 0; k < N_EDGE_SIZES * N_EDGE_SIZES; k++) {
        size_t i = k / N_EDGE_SIZES, o = k % N_EDGE_SIZES;
        if (left_out(r, i + o, 8)) continue;
        design wanted = {{EDGE_SIZES[i], EDGE_SIZES[o]}, NULL, "identity", "mse"};
        model *m = make_model(r, &wanted, 1, k);
        fml_data data = make_data(r, m, MAX_ROWS, VALUES, k);
        void *alone = predict_alone(r, m, data.x, MAX_ROWS);
        check_within(r, alone, expect(r, m, data.x).y[0], MAX_ROWS * m->O, "%s: single rows", m->name);
        check_batches(r, m, data.x, alone);
        release(r, 0);
    }
}

/* Check rows most of whose inputs are 0 or -0, which the pass for one row skips. */
static void check_sparse(run *r) {
    static const design WIDE[] = {{{130, 97}, NULL, "identity", "mse"}, {{65, 64, 129, 3}, "relu", "identity", "mse"}};
    for (size_t k = 0; k < LENGTH_OF(WIDE); k++) {
        model *m = make_model(r, &WIDE[k], 1, k);
        uint64_t random = k;
        void *x = normal_reals(r, MAX_ROWS * m->I, 1, &random);
        for (size_t i = 0; i < MAX_ROWS * m->I; i++)
            if (fml_random_below(&random, 4) > 0) put(r, x, i, get(r, x, i) < 0 ? -0.0 : 0);
        void *alone = predict_alone(r, m, x, MAX_ROWS);
        check_within(r, alone, expect(r, m, x).y[m->net.n_layers - 1], MAX_ROWS * m->O, "%s: sparse rows", m->name);
        check_batches(r, m, x, alone);
        release(r, 0);
    }
}

/* Check z and y of all layers, and that the last y has the same bits if the others are not requested. */
static void check_all_layers(run *r, const model *m, const fml_data *data, const void *alone) {
    void *z[MAX_LAYERS], *y[MAX_LAYERS], *workspace = take_aligned(r, fml_forward_workspace(&m->net, MAX_ROWS));
    size_t last = m->net.n_layers - 1;
    activities expected = expect(r, m, data->x);
    for (size_t l = 0; l <= last; l++) {
        z[l] = take_reals(r, MAX_ROWS * m->layers[l].n_outputs);
        y[l] = take_reals(r, MAX_ROWS * m->layers[l].n_outputs);
    }
    fml_forward(&m->net, m->block, data, z, y, NULL, workspace);
    for (size_t l = 0; l <= last; l++) {
        size_t n = MAX_ROWS * m->layers[l].n_outputs;
        check_within(r, z[l], expected.z[l], n, "%s: z of layer %zu", m->name, l);
        check_within(r, y[l], expected.y[l], n, "%s: y of layer %zu", m->name, l);
    }
    check_same_reals(r, y[last], alone, MAX_ROWS * m->O, "%s: the last y beside all others", m->name);
}

/* Check that x split in two batches at any row has the same bits. */
static void check_splits(run *r, const model *m, const void *x, const void *alone) {
    size_t n_kept = r->n_taken, step = r->quick ? 13 : 1;
    for (size_t first = step; first < MAX_ROWS; first += step) {
        size_t rest = MAX_ROWS - first;
        void *head = predict(r, m, x, first), *tail = predict(r, m, at(r, x, first * m->I), rest);
        check_same_reals(r, head, alone, first * m->O, "%s: %zu of two parts", m->name, first);
        check_same_reals(r, tail, at(r, alone, first * m->O), rest * m->O, "%s: %zu at the end", m->name, rest);
        release(r, n_kept);
    }
}

/* Check that bytes give the same bits as reals of the same values. */
/* Check that rows which are picked by index, most of them twice, have the bits that they have alone. */
static void check_picked(run *r, const model *m, const void *x, const void *alone) {
    enum { N_PICKED = 2 * MAX_ROWS };
    uint32_t *picked = take(r, N_PICKED * sizeof *picked);
    for (size_t i = 0; i < N_PICKED; i++) picked[i] = (uint32_t)(i * 7 % MAX_ROWS);
    fml_data data = {.x = x, .n_rows = N_PICKED, .x_rows = picked};
    char *y = take_reals(r, N_PICKED * m->O), *expected = take_reals(r, N_PICKED * m->O);
    void *workspace = take_aligned(r, fml_forward_workspace(&m->net, N_PICKED));
    fml_forward(&m->net, m->block, &data, NULL, NULL, y, workspace);
    size_t bytes = m->O * r->kernels->real_size;
    for (size_t i = 0; i < N_PICKED; i++) memcpy(expected + i * bytes, at(r, alone, picked[i] * m->O), bytes);
    check_same_reals(r, y, expected, N_PICKED * m->O, "%s: picked rows", m->name);
}

static void check_bytes(run *r, const model *m) {
    fml_data bytes = make_data(r, m, MAX_ROWS, BYTES, 5);
    void *x = take_reals(r, MAX_ROWS * m->I), *y = take_reals(r, MAX_ROWS * m->O);
    for (size_t i = 0; i < MAX_ROWS * m->I; i++) put(r, x, i, ((const uint8_t *)bytes.x)[i]);
    void *workspace = take_aligned(r, fml_forward_workspace(&m->net, MAX_ROWS));
    fml_forward(&m->net, m->block, &bytes, NULL, NULL, y, workspace);
    check_same_reals(r, y, predict(r, m, x, MAX_ROWS), MAX_ROWS * m->O, "%s: bytes", m->name);
}

/* Check that P is the same after packing and unpacking, and that the padding of a block is 0. */
static void check_packing(run *r, const model *m) {
    size_t n = m->net.n_parameters;
    void *P = take_reals(r, n), *expected = take_reals(r, n);
    void *block = take_aligned(r, m->net.n_packed * r->kernels->real_size);
    for (size_t i = 0; i < n; i++) put(r, expected, i, m->P[i].value);
    fml_network_unpack(&m->net, m->block, P);
    check_same_reals(r, P, expected, n, "%s: parameters out of the block", m->name);
    memset(block, 0, m->net.n_packed * r->kernels->real_size);
    fml_network_pack(&m->net, P, block);
    check_same_reals(r, block, m->block, m->net.n_packed, "%s: the block", m->name);
    size_t n_set = 0, n_there = 0;
    for (size_t i = 0; i < m->net.n_packed; i++) n_set += get(r, block, i) != 0;
    for (size_t i = 0; i < n; i++) n_there += get(r, P, i) != 0;
    check(r, n_set == n_there, "%s: %zu of %zu parameters in the block", m->name, n_set, n_there);
}

/* Check that predictions, loss and accuracy are the same on any number of threads, and that a limit of the calling
 * thread holds for the workspace, which has buffers for each thread. */
static void check_threads(run *r, const design *wanted) {
    enum { ROWS = 7 * MAX_ROWS };
    void *first_y = NULL;
    double first_loss = 0, first_right = 0;
    for (size_t i = 0; i < N_THREAD_COUNTS; i++) {
        model *m = make_model(r, wanted, THREAD_COUNTS[i], 3);
        fml_data data = make_data(r, m, ROWS, LABELS, 4);
        void *y = predict(r, m, data.x, ROWS), *workspace = take_aligned(r, fml_forward_workspace(&m->net, ROWS));
        double loss, right;
        fml_evaluate(&m->net, m->block, &data, &loss, &right, NULL, workspace);
        if (i == 0) {
            first_y = y;
            first_loss = loss;
            first_right = right;
        }
        check_same_reals(r, y, first_y, ROWS * m->O, "%s on %zu threads", m->name, THREAD_COUNTS[i]);
        check(r, loss == first_loss && right == first_right, "%s on %zu threads: loss %.17g and %.17g", m->name,
              THREAD_COUNTS[i], loss, first_loss);
        size_t whole = fml_forward_workspace(&m->net, ROWS);
        fml_limit_threads(1);
        size_t limited = fml_forward_workspace(&m->net, ROWS);
        m->net.n_threads = 1;
        check(r, limited == fml_forward_workspace(&m->net, ROWS), "%s: a limit of one thread", m->name);
        m->net.n_threads = THREAD_COUNTS[i];
        fml_limit_threads(0);
        check(r, whole == fml_forward_workspace(&m->net, ROWS), "%s: no limit any more", m->name);
    }
}

/* Each network of a population has the bits of its own predictions, for common rows and for rows of its own. */
static void check_populations(run *r, const design *wanted) {
    enum { N_NETWORKS = 7, ROWS = 50 };
    size_t size = r->kernels->real_size;
    for (size_t i = 0; i < N_THREAD_COUNTS; i++) {
        model *m = make_model(r, wanted, THREAD_COUNTS[i], 0);
        size_t n = m->net.n_parameters, O = m->O, I = m->I;
        uint64_t random = 8;
        char *x = normal_reals(r, N_NETWORKS * ROWS * I, 1, &random), *P = take_reals(r, N_NETWORKS * n);
        for (size_t k = 0; k < N_NETWORKS; k++)
            fml_network_unpack(&m->net, make_model(r, wanted, 1, k)->block, P + k * n * size);
        void *workspace = take_aligned(r, fml_population_workspace(&m->net, N_NETWORKS, ROWS));
        for (int own = 0; own < 2; own++) {
            fml_data data = {.x = x, .n_rows = ROWS};
            char *y = take_reals(r, N_NETWORKS * ROWS * O);
            fml_status status = fml_forward_population(&m->net, P, N_NETWORKS, &data, own, y, NULL, workspace);
            check(r, status == FML_OK, "%s: status %d of a population", m->name, (int)status);
            for (size_t k = 0; k < N_NETWORKS; k++) {
                const void *alone = predict(r, make_model(r, wanted, 1, k), x + own * k * ROWS * I * size, ROWS);
                check_same_reals(r, y + k * ROWS * O * size, alone, ROWS * O, "%s: network %zu of a population",
                                 m->name, k);
            }
        }
        release(r, 0);
    }
}

/* The argmax, the lowest index on a tie; for a single output, whether it is above 1/2. */
static size_t class_of(const double *y, size_t O) {
    size_t best = 0;
    for (size_t o = 1; o < O; o++)
        if (y[o] > y[best]) best = o;
    return O == 1 ? y[0] > 0.5 : best;
}

/* Check the loss of all rows, and the number of rows with the right class. */
static void check_evaluation(run *r, const model *m, data_kind kind, const void *alone) {
    fml_data data = make_data(r, m, MAX_ROWS, kind, 6); /* the inputs are those of `alone` */
    naive_batch all = {&data, NULL, MAX_ROWS};
    bounded expected = naive_gradient(r, m, &all, NULL, NULL);
    bounded *x = take(r, m->I * sizeof *x);
    double *t = take(r, m->O * sizeof *t), *y = take(r, m->O * sizeof *y), loss, right;
    size_t n_expected = 0;
    for (size_t i = 0; i < MAX_ROWS; i++) {
        naive_row(r, m, &all, i, x, t);
        for (size_t o = 0; o < m->O; o++) y[o] = get(r, alone, i * m->O + o);
        n_expected += class_of(y, m->O) == class_of(t, m->O);
    }
    void *workspace = take_aligned(r, fml_forward_workspace(&m->net, MAX_ROWS));
    fml_status status = fml_evaluate(&m->net, m->block, &data, &loss, &right, NULL, workspace);
    check(r, status == FML_OK && loss >= expected.value - expected.error && loss <= expected.value + expected.error,
          "%s: loss %.17g, expected %.17g within %g", m->name, loss, expected.value, expected.error);
    check(r, right == (double)n_expected, "%s: %g right, expected %zu", m->name, right, n_expected);
}

void check_networks(run *r) {
    static const design HARD = {{33, 17, 16, 2}, "threshold", "threshold", "mse"};
    check_layers(r);
    check_sparse(r);
    for (size_t k = 0; k <= N_DESIGNS; k++) {
        if (left_out(r, k, 3)) continue;
        model *m = make_model(r, k < N_DESIGNS ? &DESIGNS[k] : &HARD, 1, k);
        fml_data data = make_data(r, m, MAX_ROWS, VALUES, 6);
        void *alone = predict_alone(r, m, data.x, MAX_ROWS);
        check_all_layers(r, m, &data, alone);
        check_batches(r, m, data.x, alone);
        check_splits(r, m, data.x, alone);
        check_picked(r, m, data.x, alone);
        check_bytes(r, m);
        check_packing(r, m);
        check_evaluation(r, m, VALUES, alone);
        check_evaluation(r, m, LABELS, alone);
        check_threads(r, k < N_DESIGNS ? &DESIGNS[k] : &HARD);
        check_populations(r, k < N_DESIGNS ? &DESIGNS[k] : &HARD);
        release(r, 0);
    }
}
