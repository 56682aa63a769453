/* Models (see naive.h): the core's network on the native engine with its parameters, and data for it. */
#include "naive.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const design DESIGNS[] = {
    {{1, 1}, NULL, "identity", "mse"},
    {{2, 1, 1, 5}, "sigmoid", "tanh", "half_squared_error"},
    {{3, 5, 2}, "tanh", "sigmoid", "binary_cross_entropy"},
    {{10, 32, 32, 1}, "tanh", "identity", "half_squared_error"},
    {{16, 17, 15, 31, 7}, NULL, "softmax", "cross_entropy"},
    {{127, 16, 10}, "relu", "softmax", "cross_entropy"},
    {{128, 17, 33, 1}, "gaussian", "sigmoid", "binary_cross_entropy"},
    {{131, 48, 49, 3}, "piecewise_linear", "identity", "squared_error"},
    {{97, 65, 33, 6}, "identity", "identity", "mse"},
    {{257, 1, 40}, "sigmoid", "sigmoid", "half_squared_error"},
    {{130, 47, 16, 2}, NULL, "gaussian", "squared_error"},
    {{300, 30, 10}, "relu", "softmax", "cross_entropy"},
    {{9, 17, 33, 3}, "leaky_relu", "identity", "mse"},
    {{5, 31, 4}, "elu", "selu", "mse"},
    {{17, 15, 2}, "softplus", "softplus", "squared_error"},
    {{16, 33, 9, 5}, "silu", "softmax", "cross_entropy"},
    {{7, 18, 3}, "mish", "softsign", "mse"},
    {{33, 16, 7, 2}, "gelu", "hard_sigmoid", "mse"},
    {{6, 12, 47, 3}, "hard_tanh", "sine", "mse"},
};
const size_t N_DESIGNS = LENGTH_OF(DESIGNS);
const size_t THREAD_COUNTS[] = {1, 2, 3};

/* The hidden activations of a design whose `hidden` is NULL, one layer after another. */
static const char *const MIXTURE[] = {"tanh", "relu", "gaussian", "sigmoid", "piecewise_linear"};

static void set_layer(const run *r, model *m, size_t l, const char *activation) {
    fml_layer *layer = &m->layers[l];
    m->formulas[l] = find_formula(activation);
    layer->activation = find_activation(r->kernels, activation);
    if (m->formulas[l] != NULL) formula_case(r, m->formulas[l], l % 2, layer->hyper_parameters);
}

static void set_name(model *m, const design *wanted) {
    size_t n = 0;
    for (size_t l = 0; wanted->sizes[l] > 0; l++)
        n += (size_t)snprintf(m->name + n, sizeof m->name - n, "%s%zu", l > 0 ? "-" : "", wanted->sizes[l]);
    snprintf(m->name + n, sizeof m->name - n, " %s %s %s", wanted->hidden == NULL ? "mixed" : wanted->hidden,
             wanted->output, wanted->loss);
}

/* Random weights of variance 1 / I and biases of variance 1 / 16, rounded to the dtype. */
static void set_parameters(run *r, model *m, uint64_t seed) {
    uint64_t random = seed;
    size_t n = 0;
    void *P = take_reals(r, m->net.n_parameters);
    m->P = take(r, m->net.n_parameters * sizeof *m->P);
    for (size_t l = 0; l < m->net.n_layers; l++) {
        size_t I = m->layers[l].n_inputs, O = m->layers[l].n_outputs;
        for (size_t i = 0; i < (I + 1) * O; i++, n++) {
            double scale = i < I * O ? 1 / sqrt((double)I) : 0.25;
            put(r, P, n, scale * fml_random_normal(&random));
            m->P[n].value = get(r, P, n);
        }
    }
    m->block = take_aligned(r, m->net.n_packed * r->kernels->real_size);
    fml_network_pack(&m->net, P, m->block);
}

model *make_model(run *r, const design *wanted, size_t n_threads, uint64_t seed) {
    model *m = take(r, sizeof *m);
    size_t L = 0;
    for (; L < MAX_LAYERS && wanted->sizes[L + 1] > 0; L++) {
        int last = L + 1 == MAX_LAYERS || wanted->sizes[L + 2] == 0;
        const char *hidden = wanted->hidden != NULL ? wanted->hidden : MIXTURE[L % LENGTH_OF(MIXTURE)];
        m->layers[L].n_inputs = wanted->sizes[L];
        m->layers[L].n_outputs = wanted->sizes[L + 1];
        set_layer(r, m, L, last ? wanted->output : hidden);
    }
    m->loss = find_loss_formula(wanted->loss);
    m->I = wanted->sizes[0];
    m->O = wanted->sizes[L];
    m->net = (fml_network){.kernels = r->kernels,
                           .engine = r->kernels->native,
                           .loss = find_loss(r->kernels, wanted->loss),
                           .loss_hyper_parameters = m->loss->h,
                           .n_loss_hyper_parameters = m->loss->n_h,
                           .n_targets = m->O,
                           .n_layers = L,
                           .layers = m->layers,
                           .n_threads = n_threads};
    fml_network_lay_out(&m->net);
    set_name(m, wanted);
    set_parameters(r, m, seed);
    return m;
}

fml_data make_data(run *r, const model *m, size_t n_rows, data_kind kind, uint64_t seed) {
    int bytes = kind == BYTES || kind == BYTES_AND_LABELS;
    fml_data data = {.element = bytes ? FML_UINT8 : FML_REAL, .n_rows = n_rows};
    uint64_t random = seed;
    if (bytes) {
        uint8_t *x = take(r, n_rows * m->I);
        for (size_t i = 0; i < n_rows * m->I; i++) x[i] = (uint8_t)fml_random_below(&random, 4);
        data.x = x;
    } else
        data.x = normal_reals(r, n_rows * m->I, 1, &random);
    if (kind == VALUES || kind == BYTES) {
        data.values = uniform_reals(r, n_rows * m->O, 0, 1, &random);
        return data;
    }
    int64_t *labels = take(r, n_rows * sizeof *labels);
    for (size_t i = 0; i < n_rows; i++) labels[i] = (int64_t)fml_random_below(&random, m->O);
    data.labels = labels;
    return data;
}
