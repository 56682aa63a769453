/* Training: the parameters after an epoch against naive.h; the same bits on any number of threads; and steps that must
 * not be taken, after which nothing has changed. */
#include "naive.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *optimizer;
    double h[FML_MAX_HYPER_PARAMETERS];
} OPTIMIZERS[] = {
    {"sgd", {0.02}},
    {"sgd", {0.01, 0.9, 0}},
    {"sgd", {0.01, 0.9, 1}},
    {"adam", {0.001, 0.9, 0.999, 0.01}},
    {"nadam", {0.001, 0.9, 0.999, 0.01, 0.004}},
    {"rmsprop", {0.001, 0.9, 0.1, 0.5, 1}},
};
enum { N_OPTIMIZERS = LENGTH_OF(OPTIMIZERS) };

/* A training of a model, by the core and by naive.h (states, m->P). */
typedef struct {
    model *m;
    fml_trainer core;
    bounded *states[FML_MAX_STATES];
    void *workspace;
    uint32_t *order;
    fml_data data;
} training;

static training make_training(run *r, const design *wanted, size_t k, size_t n_threads, data_kind kind, size_t n_rows,
                              size_t batch_size) {
    model *m = make_model(r, wanted, n_threads, 11);
    size_t size = m->net.n_packed * r->kernels->real_size;
    training all = {.m = m, .data = make_data(r, m, n_rows, kind, 12), .order = take(r, n_rows * sizeof(uint32_t))};
    all.core = (fml_trainer){.net = &m->net,
                             .optimizer = find_optimizer(r->kernels, OPTIMIZERS[k].optimizer),
                             .block = m->block,
                             .gradient = take_aligned(r, size),
                             .random = 13};
    for (size_t i = 0; i < FML_MAX_HYPER_PARAMETERS; i++) all.core.hyper_parameters[i] = OPTIMIZERS[k].h[i];
    for (size_t s = 0; s < FML_MAX_STATES; s++) {
        all.core.states[s] = take_aligned(r, size);
        all.states[s] = take(r, m->net.n_parameters * sizeof(bounded));
    }
    all.workspace = take_aligned(r, fml_gradient_workspace(&m->net, batch_size, 0));
    return all;
}

static void *parameters(run *r, const training *all) {
    void *P = take_reals(r, all->m->net.n_parameters);
    fml_network_unpack(&all->m->net, all->core.block, P);
    return P;
}

/* -- epochs against naive.h -------------------------------------------------------------------------------------- */

/* Train the naive network for an epoch; returns its loss. The order is by fml_random_order, which random.c tests. */
static bounded naive_epoch(run *r, training *all, int shuffled, size_t batch_size, uint64_t *random, uint64_t *t) {
    model *m = all->m;
    size_t n_rows = all->data.n_rows, n = m->net.n_parameters;
    uint32_t *order = take(r, n_rows * sizeof *order);
    bounded *gradient = take(r, n * sizeof *gradient), loss = {0, 0};
    for (size_t i = 0; i < n_rows; i++) order[i] = (uint32_t)i;
    if (shuffled) fml_random_order(random, order, n_rows);
    for (size_t first = 0; first < n_rows; first += batch_size) {
        size_t rest = n_rows - first;
        naive_batch batch = {&all->data, order + first, rest < batch_size ? rest : batch_size};
        bounded part = naive_gradient(r, m, &batch, gradient, NULL);
        loss = (bounded){loss.value + part.value, loss.error + part.error};
        ++*t;
        find_optimizer_formula(all->core.optimizer->name)
            ->step(r, m->P, gradient, all->states, n, all->core.hyper_parameters, *t);
    }
    return loss;
}

/* Check that the padding of the block is still 0: a block packed from P must be the same. */
static void check_padding(run *r, const training *all, const void *P) {
    void *block = take_aligned(r, all->m->net.n_packed * r->kernels->real_size);
    fml_network_pack(&all->m->net, P, block);
    check_same_reals(r, block, all->core.block, all->m->net.n_packed, "%s: padding", all->m->name);
}

/* Check two epochs, as the second continues with the states, steps and random state of the first. */
static void check_epochs(run *r, const design *wanted, size_t k, data_kind kind, size_t n_rows, size_t batch_size) {
    enum { EPOCHS = 2 };
    training all = make_training(r, wanted, k, 1, kind, n_rows, batch_size);
    uint64_t random = all.core.random, t = 0;
    int shuffled = kind != VALUES;
    const char *name = all.m->name, *optimizer = all.core.optimizer->name;
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        double loss;
        uint32_t *order = shuffled ? all.order : NULL;
        fml_status status = fml_train_epoch(&all.core, &all.data, batch_size, order, &loss, NULL, all.workspace);
        bounded expected = naive_epoch(r, &all, shuffled, batch_size, &random, &t);
        check(r, status == FML_OK, "%s, %s: status %d of an epoch", name, optimizer, (int)status);
        check(r, fabs(loss - expected.value) <= expected.error, "%s, %s: loss %.17g, expected %.17g within %g", name,
              optimizer, loss, expected.value, expected.error);
        void *P = parameters(r, &all);
        check_within(r, P, all.m->P, all.m->net.n_parameters, "%s, %s %zu: parameters", name, optimizer, k);
        check_padding(r, &all, P);
        check(r, all.core.random == random && all.core.n_steps == t, "%s, %s: the stream and the steps", name,
              optimizer);
    }
    double worst = 0;
    for (size_t i = 0; i < all.m->net.n_parameters; i++) worst = fmax(worst, all.m->P[i].error);
    check(r, worst < 1e5 * r->epsilon, "%s, %s: bounds up to %g on parameters", name, optimizer, worst);
}

/* -- the same bits ----------------------------------------------------------------------------------------------- */

/* Check that parameters, states and loss after two epochs have the same bits on any number of threads. */
static void check_threads(run *r, const design *wanted, size_t k, size_t n_rows, size_t batch_size) {
    void *first_P = NULL, *first_state = NULL;
    double first_loss = 0;
    for (size_t i = 0; i < N_THREAD_COUNTS; i++) {
        training all = make_training(r, wanted, k, THREAD_COUNTS[i], LABELS, n_rows, batch_size);
        double loss = 0;
        for (int epoch = 0; epoch < 2; epoch++)
            fml_train_epoch(&all.core, &all.data, batch_size, all.order, &loss, NULL, all.workspace);
        void *P = parameters(r, &all), *state = all.core.states[0];
        if (i == 0) {
            first_P = P;
            first_state = state;
            first_loss = loss;
        }
        size_t n = all.m->net.n_parameters, n_packed = all.m->net.n_packed;
        check_same_reals(r, P, first_P, n, "%s on %zu threads: parameters", all.m->name, THREAD_COUNTS[i]);
        check_same_reals(r, state, first_state, n_packed, "%s on %zu threads: state", all.m->name, THREAD_COUNTS[i]);
        check(r, loss == first_loss, "%s on %zu threads: loss", all.m->name, THREAD_COUNTS[i]);
    }
    release(r, 0);
}

/* -- steps that are not taken ------------------------------------------------------------------------------------- */

static int return_context(void *context) { return *(const int *)context; }

/* Check that a step with NaN or infinity in the data, or one that the poll stops, is not taken and changes nothing. */
static void check_refusals(run *r, size_t k) {
    static const design WANTED = {{17, 33, 5}, "tanh", "identity", "mse"};
    static const struct {
        double input, target;
        int stop;
        fml_status status;
    } CASES[] = {
        {NAN, 0, 0, FML_INPUT_NOT_FINITE},
        {-INFINITY, 0, 0, FML_INPUT_NOT_FINITE},
        {0, NAN, 0, FML_LOSS_NOT_FINITE},
        {0, INFINITY, 0, FML_LOSS_NOT_FINITE},
        {0, 0, 1, FML_STOPPED},
        {0, 0, 0, FML_OK},
    };
    enum { ROWS = 21 };
    for (size_t c = 0; c < LENGTH_OF(CASES); c++) {
        training all = make_training(r, &WANTED, k, 1, VALUES, ROWS, ROWS);
        size_t n = all.m->net.n_packed, size = n * r->kernels->real_size;
        void *block = memcpy(take_reals(r, n), all.core.block, size), *zeros = take_reals(r, n);
        int stop = CASES[c].stop;
        fml_poll poll = {return_context, &stop, 0, 0, 0};
        double loss;
        put(r, (void *)(uintptr_t)all.data.x, 20 * 17 + 16, CASES[c].input);
        put(r, (void *)(uintptr_t)all.data.values, 20 * 5 + 4, CASES[c].target);
        fml_status status = fml_train_step(&all.core, &all.data, NULL, ROWS, 0, &loss, &poll, all.workspace);
        check(r, status == CASES[c].status, "%s %zu, case %zu: status %d", OPTIMIZERS[k].optimizer, k, c, (int)status);
        if (status == FML_OK) continue;
        check_same_reals(r, all.core.block, block, n, "%s %zu, case %zu: block", OPTIMIZERS[k].optimizer, k, c);
        check_same_reals(r, all.core.states[0], zeros, n, "%s %zu, case %zu: state", OPTIMIZERS[k].optimizer, k, c);
        check(r, all.core.n_steps == 0, "%s %zu, case %zu: steps", OPTIMIZERS[k].optimizer, k, c);
    }
    release(r, 0);
}

void check_training(run *r) {
    static const struct {
        design wanted;
        size_t n_rows, batch_size; /* the last batch has the rows that are left */
    } SMALL[] = {
        {{{3, 5, 2}, "tanh", "sigmoid", "binary_cross_entropy"}, 23, 10},
        {{{10, 32, 32, 1}, "tanh", "identity", "half_squared_error"}, 23, 10},
        {{{16, 17, 7}, "sigmoid", "softmax", "cross_entropy"}, 31, 16},
        {{{33, 15, 6}, "gaussian", "identity", "mse"}, 5, 1},
        {{{17, 1, 3}, "tanh", "tanh", "squared_error"}, 12, 5},
        {{{5, 47, 2}, "relu", "softmax", "cross_entropy"}, 2 * MAX_ROWS - 1, MAX_ROWS},
    };
    static const struct {
        design wanted;
        size_t n_rows, batch_size; /* enough for two or three threads */
    } LARGE[] = {
        {{{97, 49, 130, 10}, "tanh", "softmax", "cross_entropy"}, 333, 150},
        {{{97, 49, 130, 10}, "tanh", "softmax", "cross_entropy"}, 97, 60},
        {{{500, 16, 2}, "sigmoid", "sigmoid", "binary_cross_entropy"},
         230,
         128}, /* a layer with fewer panels than threads */
    };
    for (size_t k = 0; k < N_OPTIMIZERS; k++) {
        for (size_t d = 0; d < LENGTH_OF(SMALL); d++) {
            if (left_out(r, d + k, 3)) continue;
            check_epochs(r, &SMALL[d].wanted, k, (data_kind)((d + k) % 4), SMALL[d].n_rows, SMALL[d].batch_size);
            release(r, 0);
        }
        for (size_t d = 0; d < LENGTH_OF(LARGE); d++)
            if (!left_out(r, d + k, 3)) check_threads(r, &LARGE[d].wanted, k, LARGE[d].n_rows, LARGE[d].batch_size);
        check_refusals(r, k);
    }
}
