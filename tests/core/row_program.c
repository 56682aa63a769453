/* The row program: one row has the bits that it has in a batch, for random shapes with every activation, at any
 * address, in any floating-point mode of the caller, and whether the steps are the engine's own or calls of
 * forward_layer. */
#include "float_mode.h"
#include "naive.h"

#include <string.h>

enum { ROWS = 9, SHAPES = 24, GUARD = 64, FILLER = 0x5a };

/* Rows with zeros and denormals among the normally distributed numbers. */
static void *mixed_rows(run *r, size_t n, uint64_t *random) {
    void *x = normal_reals(r, n, 1, random);
    for (size_t i = 0; i < n; i++) {
        size_t kind = fml_random_below(random, 8);
        if (kind < 2) put(r, x, i, kind == 0 ? 0.0 : -0.0);
        if (kind == 2) put(r, x, i, get(r, x, i) * r->smallest / 16);
    }
    return x;
}

/* Predict each row of x alone, from and to memory that begins `shift` reals after a cache line, into y (ROWS, O). */
static void predict_each(run *r, const model *m, const void *x, void *y, size_t shift) {
    size_t size = r->kernels->real_size, n_kept = r->n_taken, O = m->O * size;
    char *row = (char *)take_aligned(r, (m->I + shift) * size) + shift * size;
    char *out = (char *)take_aligned(r, O + shift * size + GUARD) + shift * size, filler[GUARD];
    void *workspace = take_aligned(r, fml_row_workspace(&m->net));
    memset(filler, FILLER, GUARD);
    for (size_t i = 0; i < ROWS; i++) {
        memcpy(row, at(r, x, i * m->I), m->I * size);
        memset(out, FILLER, O + GUARD);
        fml_forward_row(&m->net, m->block, row, out, workspace);
        memcpy(at(r, y, i * m->O), out, O);
        check(r, memcmp(out + O, filler, GUARD) == 0, "%s: nothing after the outputs", m->name);
    }
    release(r, n_kept);
}

/* Check a network's rows against the batch `expected`, in the given floating-point mode, which must not change. */
static void check_in_mode(run *r, const model *m, const void *x, const void *expected, float_mode mode) {
    void *y = take_reals(r, ROWS * m->O);
    float_mode before = current_mode();
    for (size_t shift = 0; shift < 3; shift++) {
        restore_mode(mode);
        predict_each(r, m, x, y, shift);
        float_mode after = current_mode();
        restore_mode(before);
        check_same_reals(r, y, expected, ROWS * m->O, "%s: alone, shifted by %zu", m->name, shift);
        check(r, (after & FLUSH) == (mode & FLUSH), "%s: the caller's mode is restored", m->name);
    }
}

static void check_network(run *r, const design *wanted, uint64_t seed) {
    model *m = make_model(r, wanted, 1, seed);
    uint64_t random = seed;
    fml_engine other = *m->net.engine;
    fml_data data = {.x = mixed_rows(r, ROWS * m->I, &random), .n_rows = ROWS};
    void *expected = take_reals(r, ROWS * m->O);
    fml_forward(&m->net, m->block, &data, NULL, NULL, expected, take_aligned(r, fml_forward_workspace(&m->net, ROWS)));
    check_in_mode(r, m, data.x, expected, current_mode());
    check_in_mode(r, m, data.x, expected, current_mode() | FLUSH);
    other.row_step = NULL; /* an engine without steps of its own */
    m->net.engine = &other;
    fml_network_lay_out(&m->net);
    check_in_mode(r, m, data.x, expected, current_mode());
    release(r, 0);
}

/* The steps take the activation from the layer, also where a layer with one output follows. */
static void check_activation(run *r, size_t k) {
    static const size_t LAST[] = {1, 1, 2, 10};
    const fml_activation *hidden = &r->kernels->activations[k];
    uint64_t random = k;
    size_t n_shapes = r->quick ? SHAPES / 4 : SHAPES, n_others = 0;
    while (r->kernels->activations[n_others].name != NULL) n_others++;
    for (size_t i = 0; i < n_shapes; i++) {
        design wanted = {{0}, hidden->name, "identity", "mse"};
        size_t L = 1 + fml_random_below(&random, 3);
        for (size_t l = 0; l < L; l++) wanted.sizes[l] = EDGE_SIZES[fml_random_below(&random, N_EDGE_SIZES)];
        wanted.sizes[L] = LAST[fml_random_below(&random, LENGTH_OF(LAST))];
        if (i % 2 == 0) wanted.sizes[L - 1] = (size_t)8 << fml_random_below(&random, 4); /* whole vecs before the end */
        wanted.output = r->kernels->activations[fml_random_below(&random, n_others)].name;
        check_network(r, &wanted, i);
    }
}

/* y = w x, where the product is exact and denormal, is 0. */
static void check_exact_denormal(run *r, size_t O) {
    design wanted = {{1, O}, NULL, "identity", "mse"};
    model *m = make_model(r, &wanted, 1, 1);
    void *P = take_reals(r, 2 * O), *x = equal_reals(r, 1, 0.5), *y = equal_reals(r, O, 1);
    for (size_t o = 0; o < O; o++) put(r, P, o, r->smallest);
    fml_network_pack(&m->net, P, m->block);
    fml_forward_row(&m->net, m->block, x, y, take_aligned(r, fml_row_workspace(&m->net)));
    for (size_t o = 0; o < O; o++)
        check(r, get(r, y, o) == 0, "half the smallest normal number is %g, %zu outputs", get(r, y, o), O);
    release(r, 0);
}

void check_row_program(run *r) {
    for (size_t k = 0; r->kernels->activations[k].name != NULL; k++)
        if (!r->kernels->activations[k].is_softmax) check_activation(r, k);
    for (size_t k = 0; k < N_EDGE_SIZES; k++) check_exact_denormal(r, EDGE_SIZES[k]);
}
