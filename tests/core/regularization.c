/* Regularisation: its kernels against simple loops, limits of norms in the engine's layout, steps with all terms, and
 * the same bits on any number of threads. The random numbers are computed here independently, as docs/design.md defines
 * them. */
#include "naive.h"

#include <math.h>
#include <string.h>

static const size_t LINES[] = {1, 2, 3, 5, 16, 17, 64, 65, 130, 517};

/* -- kernels on blocks ------------------------------------------------------------------------------------------- */

static double clip(double x, double limit) { return x > limit ? limit : x < -limit ? -limit : x; }

static void check_shaping(run *r, const void *p, const void *g, size_t n) {
    static const fml_shaping CASES[] = {
        {.l2 = 0.125, .limit = INFINITY, .scale = 1, .kept = 1},
        {.l1 = 0.5, .l2 = 0.25, .limit = 0.75, .scale = 0.5, .kept = 0.875},
        {.limit = 0.5, .scale = 1, .kept = 0.5},
        {.limit = INFINITY, .scale = 0.125, .kept = 1},
    };
    size_t size = n * r->kernels->real_size;
    for (size_t k = 0; k < LENGTH_OF(CASES); k++) {
        const fml_shaping *s = &CASES[k];
        void *new_p = memcpy(take_aligned(r, size), p, size), *new_g = memcpy(take_aligned(r, size), g, size);
        bounded *expected_p = take(r, n * sizeof *expected_p), *expected_g = take(r, n * sizeof *expected_g);
        for (size_t i = 0; i < n; i++) {
            double at = get(r, p, i), slope = get(r, g, i), terms[] = {s->l1 * ((at > 0) - (at < 0)), s->l2 * at};
            double sizes = fabs(slope) + fabs(terms[0]) + fabs(terms[1]);
            expected_p[i] = (bounded){s->kept * at, 2 * r->epsilon * fabs(at)};
            expected_g[i] = (bounded){s->scale * clip(slope + terms[0] + terms[1], s->limit), 4 * r->epsilon * sizes};
        }
        r->kernels->shape(s, new_p, new_g, n);
        check_within(r, new_g, expected_g, n, "shaping %zu of %zu: gradient", k, n);
        check_within(r, new_p, expected_p, n, "shaping %zu of %zu: parameters", k, n);
    }
}

static void check_sums(run *r, const void *a, size_t n) {
    long double sum = 0;
    for (size_t i = 0; i < n; i++) sum += fabsl((long double)get(r, a, i));
    double bound = (double)sum * (70 * r->epsilon + 0x1p-52 * (double)n), got = r->kernels->sum_absolute(a, n);
    check(r, fabsl(got - sum) <= bound, "sum of %zu sizes: %.17g, expected %.17Lg", n, got, sum);
}

static void check_average(run *r, const void *a, const void *p, size_t n) {
    size_t size = n * r->kernels->real_size;
    void *average = memcpy(take_aligned(r, size), a, size);
    bounded *expected = take(r, n * sizeof *expected);
    for (size_t i = 0; i < n; i++) {
        double from = get(r, a, i), to = get(r, p, i);
        expected[i] = (bounded){0.7 * from + 0.3 * to, 4 * r->epsilon * (fabs(from) + fabs(to))};
    }
    r->kernels->interpolate(average, p, n, 0.3);
    check_within(r, average, expected, n, "average of %zu", n);
    memcpy(average, p, size);
    r->kernels->interpolate(average, p, n, 0.3);
    check_same_reals(r, average, p, n, "average of %zu that has arrived", n);
}

/* -- norms ------------------------------------------------------------------------------------------------------- */

/* Check that weights into an output whose norm is above max_norm are scaled to that norm, and others are unchanged. */
static void check_norms(run *r, const design *wanted) {
    model *m = make_model(r, wanted, 1, 21);
    double max_norm = 0; /* 3/4 of the norm of the first output */
    for (size_t i = 0; i < m->net.layers[0].n_inputs; i++) max_norm += pow(m->P[i].value, 2);
    max_norm = rounded(r, 0.75 * sqrt(max_norm));
    void *after = take_reals(r, m->net.n_parameters);
    size_t at = 0, n_limited = 0;
    bounded *expected = take(r, m->net.n_parameters * sizeof *expected);
    for (size_t l = 0; l < m->net.n_layers; l++) {
        size_t I = m->net.layers[l].n_inputs, O = m->net.layers[l].n_outputs;
        for (size_t o = 0; o < O; o++) {
            double square = 0;
            for (size_t i = 0; i < I; i++) square += pow(m->P[at + o * I + i].value, 2);
            double factor = square > max_norm * max_norm ? max_norm / sqrt(square) : 1;
            n_limited += factor < 1;
            for (size_t i = 0; i < I; i++) {
                double value = factor * m->P[at + o * I + i].value;
                expected[at + o * I + i] = (bounded){value, (factor < 1) * (double)(I + 8) * r->epsilon * fabs(value)};
            }
        }
        for (size_t o = 0; o < O; o++) expected[at + I * O + o] = m->P[at + I * O + o];
        at += (I + 1) * O;
        m->net.engine->limit_norms(&m->net, l, m->block, max_norm);
    }
    fml_network_unpack(&m->net, m->block, after);
    check_within(r, after, expected, m->net.n_parameters, "%s: limited norms", m->name);
    check(r, n_limited > 0, "%s: norms above the limit", m->name);
    void *block = take_aligned(r, m->net.n_packed * r->kernels->real_size);
    fml_network_pack(&m->net, after, block);
    check_same_reals(r, block, m->block, m->net.n_packed, "%s: padding", m->name);
    for (size_t l = 0, first = 0; l < m->net.n_layers; l++) { /* limit_rows, which the engine `blas` uses */
        size_t I = m->net.layers[l].n_inputs, O = m->net.layers[l].n_outputs;
        void *w = take_reals(r, I * O);
        for (size_t i = 0; i < I * O; i++) put(r, w, i, m->P[first + i].value);
        r->kernels->limit_rows(w, O, I, max_norm);
        check_within(r, w, expected + first, I * O, "%s: limited rows", m->name);
        first += (I + 1) * O;
    }
    release(r, 0);
}

/* -- dropout and noise ------------------------------------------------------------------------------------------- */

/* The random number of a unit, 24 bits. */
static uint32_t number_of(uint64_t seed, size_t row, size_t unit) {
    uint64_t key = fml_random_at(seed, row);
    uint32_t h = (uint32_t)unit * UINT32_C(0x9E3779B1) + (uint32_t)key;
    h ^= h >> 16;
    h *= UINT32_C(0x7FEB352D);
    h ^= h >> 15;
    h += (uint32_t)(key >> 32);
    h *= UINT32_C(0x846CA68B);
    return (h ^ h >> 16) >> 8;
}

/* Check dropout and noise on rows of n elements with the row stride `row`; elements between the rows must not change,
 * and memory after the last row must not be accessed. */
static void check_dropout_and_noise(run *r, size_t n_rows, size_t n, size_t row, size_t first) {
    static const double PI = 3.14159265358979323846264338327950288;
    const double rate = 0.4, deviation = 0.75;
    const uint64_t seeds[] = {UINT64_C(0xFEDCBA9876543210), 77};
    size_t size = (n_rows - 1) * row + n;
    uint64_t random = n;
    void *x = normal_reals(r, size, 1, &random), *y = take_reals(r, size), *noisy = take_reals(r, size);
    memcpy(y, x, size * r->kernels->real_size);
    memcpy(noisy, x, size * r->kernels->real_size);
    bounded *dropped = take(r, size * sizeof *dropped), *with_noise = take(r, size * sizeof *with_noise);
    for (size_t i = 0; i < size; i++) dropped[i] = with_noise[i] = (bounded){get(r, x, i), 0};
    for (size_t k = 0; k < n_rows; k++)
        for (size_t unit = 0; unit < n; unit++) {
            size_t i = k * row + unit;
            double from = get(r, x, i);
            double kept = number_of(seeds[0], first + k, unit) >= floor(rate * 0x1p24 + 0.5) ? 1 / (1 - rate) : 0;
            double u = (number_of(seeds[0], first + k, unit) | 1) * 0x1p-24;
            double noise = deviation * sqrt(-2 * log(u)) * cos(2 * PI * 0x1p-24 * number_of(seeds[1], first + k, unit));
            dropped[i] = (bounded){kept * from, 2 * r->epsilon * fabs(kept * from)};
            with_noise[i] = (bounded){from + noise, 64 * r->epsilon * (1 + fabs(from))};
        }
    r->kernels->drop(x, y, n_rows, row, n, seeds[0], first, rate);
    check_within(r, y, dropped, size, "dropout of %zu rows of %zu", n_rows, n);
    r->kernels->drop(x, x, n_rows, row, n, seeds[0], first, rate);
    check_same_reals(r, x, y, size, "dropout of %zu rows of %zu in place", n_rows, n);
    r->kernels->add_noise(noisy, n_rows, row, n, seeds, first, deviation);
    check_within(r, noisy, with_noise, size, "noise on %zu rows of %zu", n_rows, n);
    release(r, 0);
}

/* -- steps ------------------------------------------------------------------------------------------------------- */

typedef struct {
    model *m;
    fml_data data;
    fml_trainer trainer;
    void *workspace;
} training;

static training make_training(run *r, const fml_regularization *regularization, const design *wanted, const char *name,
                              size_t n_rows, size_t n_threads) {
    training t = {.m = make_model(r, wanted, n_threads, 5)};
    size_t size = t.m->net.n_packed * r->kernels->real_size;
    t.data = make_data(r, t.m, n_rows, VALUES, 6);
    t.trainer = (fml_trainer){.net = &t.m->net,
                              .optimizer = find_optimizer(r->kernels, name),
                              .hyper_parameters = {0.125, 0.9, 0.999, 0.01},
                              .block = t.m->block,
                              .gradient = take_aligned(r, size),
                              .regularization = regularization};
    if (strcmp(name, "sgd") == 0) t.trainer.hyper_parameters[1] = 0;
    for (size_t s = 0; s < FML_MAX_STATES; s++) t.trainer.states[s] = take_aligned(r, size);
    t.workspace = take_aligned(r, fml_training_workspace(&t.trainer, n_rows));
    return t;
}

/* Check a step of gradient descent with penalties, clipping and weight decay against its formula, with the gradient
 * that fml_gradient returns. With clip_norm the step needs the whole gradient; without, it is taken during the pass. */
static void check_step(run *r, size_t n_rows, double clip_norm) {
    static const design WANTED = {{17, 33, 5}, "tanh", "identity", "mse"};
    fml_regularization terms = {.l1 = 0.01, .l2 = 0.25, .per_row = 1, .weight_decay = 0.5, .clip_value = 0.05};
    terms.clip_norm = clip_norm;
    terms.max_norm = INFINITY;
    training t = make_training(r, &terms, &WANTED, "sgd", n_rows, 1);
    size_t n = t.m->net.n_parameters;
    void *before = take_reals(r, n), *gradient = take_reals(r, n), *after = take_reals(r, n);
    double loss, with_penalty, penalty = 0, square = 0, rate = t.trainer.hyper_parameters[0];
    fml_pass pass = {.net = &t.m->net,
                     .block = t.m->block,
                     .data = &t.data,
                     .rows = n_rows,
                     .weight = fml_total_weight(&t.data, NULL, n_rows),
                     .gradient = t.trainer.gradient,
                     .workspace = t.workspace};
    fml_gradient(&pass, &loss);
    fml_network_unpack(&t.m->net, t.m->block, before);
    fml_network_unpack(&t.m->net, t.trainer.gradient, gradient);
    bounded *expected = take(r, n * sizeof *expected);
    double *slopes = take(r, n * sizeof *slopes), *kept = take(r, n * sizeof *kept);
    for (size_t l = 0, i = 0; l < t.m->net.n_layers; l++) {
        size_t n_weights = t.m->net.layers[l].n_inputs * t.m->net.layers[l].n_outputs;
        for (size_t k = 0; k < n_weights + t.m->net.layers[l].n_outputs; k++, i++) {
            double p = get(r, before, i), l1 = terms.l1 / (double)n_rows, l2 = terms.l2 / (double)n_rows;
            int weight = k < n_weights;
            kept[i] = weight ? 1 - rate * terms.weight_decay : 1;
            slopes[i] = clip(get(r, gradient, i) + (weight ? l1 * ((p > 0) - (p < 0)) + l2 * p : 0), 0.05);
            square += slopes[i] * slopes[i];
            penalty += weight ? l1 * fabs(p) + l2 / 2 * p * p : 0;
        }
    }
    double factor = sqrt(square) > clip_norm ? clip_norm / sqrt(square) : 1;
    for (size_t i = 0; i < n; i++) {
        double p = get(r, before, i);
        expected[i] = (bounded){kept[i] * p - rate * factor * slopes[i], 64 * r->epsilon * (fabs(p) + 0.05)};
    }
    fml_train_step(&t.trainer, &t.data, NULL, n_rows, 0, &with_penalty, NULL, t.workspace);
    fml_network_unpack(&t.m->net, t.m->block, after);
    check_within(r, after, expected, n, "a step of %zu rows, clip_norm %g", n_rows, clip_norm);
    double bound = 200 * r->epsilon * (fabs(loss) + penalty * (double)n_rows);
    check(r, fabs(with_penalty - loss - penalty * (double)n_rows) <= bound, "penalty of %zu rows: %g, expected %g",
          n_rows, with_penalty - loss, penalty * (double)n_rows);
    release(r, 0);
}

/* Check that with all terms, parameters, average and loss have the same bits on any number of threads. */
static void check_threads(run *r, const design *wanted, const char *optimizer, size_t n_rows) {
    static const double RATES[] = {0.5, 0, 0.25};
    fml_regularization all = {.l1 = 0.001,
                              .l2 = 0.01,
                              .weight_decay = 0.1,
                              .clip_value = 0.5,
                              .clip_norm = 1,
                              .max_norm = 1.5,
                              .input_noise = 0.25,
                              .input_dropout = 0.25,
                              .dropout = RATES,
                              .key = 99,
                              .decay = 0.5};
    void *first_block = NULL, *first_average = NULL;
    double first_loss = 0;
    for (size_t i = 0; i < N_THREAD_COUNTS; i++) {
        training t = make_training(r, &all, wanted, optimizer, n_rows, THREAD_COUNTS[i]);
        double loss = 0;
        all.average = take_aligned(r, t.m->net.n_packed * r->kernels->real_size);
        for (int step = 0; step < 3; step++)
            fml_train_step(&t.trainer, &t.data, NULL, n_rows, 0, &loss, NULL, t.workspace);
        if (i == 0) {
            first_block = t.m->block;
            first_average = all.average;
            first_loss = loss;
        }
        size_t n = t.m->net.n_packed;
        check_same_reals(r, t.m->block, first_block, n, "%s on %zu threads: block", t.m->name, THREAD_COUNTS[i]);
        check_same_reals(r, all.average, first_average, n, "%s on %zu threads: average", t.m->name, THREAD_COUNTS[i]);
        check(r, loss == first_loss && loss - loss == 0, "%s on %zu threads: loss", t.m->name, THREAD_COUNTS[i]);
    }
    release(r, 0);
}

void check_regularization(run *r) {
    static const design LARGE = {{97, 49, 130, 33, 10}, "tanh", "softmax", "cross_entropy"};
    for (size_t k = 0; k < LENGTH_OF(LINES); k++) {
        size_t n = LINES[k] * FML_ALIGNMENT / r->kernels->real_size, size = n * r->kernels->real_size;
        uint64_t random = n;
        void *a = memcpy(take_aligned(r, size), normal_reals(r, n, 1, &random), size);
        void *b = memcpy(take_aligned(r, size), normal_reals(r, n, 1, &random), size);
        check_shaping(r, a, b, n);
        check_sums(r, a, n);
        check_average(r, a, b, n);
        release(r, 0);
    }
    for (size_t d = 0; d < N_DESIGNS; d++)
        if (!left_out(r, d, 4)) check_norms(r, &DESIGNS[d]);
    for (size_t i = 0; i < N_EDGE_SIZES; i++)
        for (size_t n_rows = 1; n_rows < 5; n_rows += 3)
            if (!left_out(r, i, 3)) check_dropout_and_noise(r, n_rows, EDGE_SIZES[i], EDGE_SIZES[i] + i % 3, 7 * i);
    for (size_t n_rows = 7; n_rows <= 200; n_rows += 193) {
        check_step(r, n_rows, INFINITY);
        check_step(r, n_rows, 0.125);
        check_threads(r, &LARGE, "sgd", n_rows);
        check_threads(r, &LARGE, "adam", n_rows);
    }
}
