/* The optimiser kernels: some steps with random gradients against naive.h, for several numbers of cache lines; and
 * padding stays 0. */
#include "naive.h"

#include <string.h>

enum { STEPS = 6 };

static const struct {
    const char *name;
    double h[FML_MAX_HYPER_PARAMETERS], plain_rate;
} CASES[] = {
    {"sgd", {0.1}, 0.1},
    {"sgd", {0.03, 0.9, 0}, 0},
    {"sgd", {0.03, 0.9, 1}, 0},
    {"sgd", {0.5, 0.25, 1}, 0},
    {"classical_momentum", {0.1, 0, 0}, 0.1},
    {"classical_momentum", {0.03, 0.9, 0}, 0},
    {"classical_momentum", {0.5, 0.25, 1}, 0},
    {"adam", {0.001, 0.9, 0.999, 1e-8}, 0},
    {"adam", {0.1, 0.5, 0.75, 1e-3}, 0},
    {"adam", {0.01, 0, 0.9, 1}, 0},
    {"adam_hat", {0.001, 0.9, 0.999, 1e-8}, 0},
    {"adam_hat", {0.1, 0.5, 0.75, 1e-3}, 0},
    {"adamw", {0.001, 0.9, 0.999, 1e-8, 0.01}, 0},
    {"adamw", {0.1, 0.5, 0.75, 1e-3, 0.5}, 0},
    {"nadam", {0.002, 0.9, 0.999, 1e-8, 0.004}, 0},
    {"nadam", {0.1, 0.5, 0.75, 1e-3, 2}, 0},
    {"rmsprop", {0.01, 0.99, 1e-8, 0, 0}, 0},
    {"rmsprop", {0.01, 0.9, 1e-6, 0.9, 0}, 0},
    {"rmsprop", {0.01, 0.9, 1e-6, 0, 1}, 0},
    {"rmsprop", {0.1, 0.5, 1e-3, 0.5, 1}, 0},
    {"adagrad", {0.01, 0, 0, 1e-10}, 0},
    {"adagrad", {0.1, 0.5, 0.1, 1e-3}, 0},
    {"lion", {0.001, 0.9, 0.99, 0}, 0},
    {"lion", {0.1, 0.5, 0.75, 0.5}, 0},
    {"rprop", {0.01, 0.5, 1.2, 1e-6, 50}, 0},
    {"rprop", {0.1, 0.25, 2, 0.05, 0.3}, 0}, /* step sizes reach the minimum and the maximum */
};

/* Parameters and states of the core (p, states) and of naive.h. */
typedef struct {
    void *p, *states[FML_MAX_STATES];
    bounded *plain_p, *plain_states[FML_MAX_STATES];
} parameters;

static parameters make_parameters(run *r, size_t n, uint64_t *random) {
    parameters all = {.p = take_aligned(r, n * r->kernels->real_size), .plain_p = take(r, n * sizeof(bounded))};
    for (size_t i = 0; i < n; i++) {
        put(r, all.p, i, fml_random_normal(random));
        all.plain_p[i].value = get(r, all.p, i);
    }
    for (size_t k = 0; k < FML_MAX_STATES; k++) {
        all.states[k] = take_aligned(r, n * r->kernels->real_size);
        all.plain_states[k] = take(r, n * sizeof(bounded));
    }
    return all;
}

/* Random gradients of very different magnitudes. */
static bounded *make_gradient(run *r, void *g, size_t n, uint64_t *random) {
    bounded *plain = take(r, n * sizeof *plain);
    for (size_t i = 0; i < n; i++) {
        double sizes[] = {1, 1e-3, 1e3, 1e-6};
        put(r, g, i, sizes[i % 4] * fml_random_normal(random));
        plain[i].value = get(r, g, i);
    }
    return plain;
}

/* Take one step; `scalars` are those of the step before, as in a trainer. */
static void take_step(const fml_optimizer *kernel, void *p, const void *g, void *const *states, size_t n,
                      const double *h, uint64_t t, double *scalars) {
    kernel->prepare(h, t, scalars);
    kernel->step(p, g, states, n, scalars);
}

static void check_steps(run *r, size_t k, size_t n) {
    const fml_optimizer *kernel = find_optimizer(r->kernels, CASES[k].name);
    const optimizer_formula *oracle = find_optimizer_formula(CASES[k].name);
    uint64_t random = n;
    double h[FML_MAX_HYPER_PARAMETERS], scalars[FML_MAX_SCALARS];
    for (size_t i = 0; i < FML_MAX_HYPER_PARAMETERS; i++) h[i] = CASES[k].h[i];
    parameters all = make_parameters(r, n, &random);
    void *g = take_aligned(r, n * r->kernels->real_size);
    for (uint64_t t = 1; t <= STEPS; t++) {
        bounded *plain_g = make_gradient(r, g, n, &random);
        take_step(kernel, all.p, g, all.states, n, h, t, scalars);
        oracle->step(r, all.plain_p, plain_g, all.plain_states, n, h, t);
        check_within(r, all.p, all.plain_p, n, "%s, case %zu, %zu parameters, step %d", CASES[k].name, k, n, (int)t);
        for (int s = 0; s < kernel->n_states; s++)
            check_within(r, all.states[s], all.plain_states[s], n, "%s, case %zu, state %d of %zu", CASES[k].name, k, s,
                         n);
    }
}

/* Check that a parameter of 0 with gradients of 0, such as padding, stays 0, and that its states are as expected. */
static void check_padding(run *r, size_t k) {
    const fml_optimizer *kernel = find_optimizer(r->kernels, CASES[k].name);
    size_t n = FML_ALIGNMENT / r->kernels->real_size;
    void *zeros = take_aligned(r, FML_ALIGNMENT), *p = take_aligned(r, FML_ALIGNMENT), *states[FML_MAX_STATES];
    bounded plain_p = {0, 0}, plain_g = {0, 0}, plain[FML_MAX_STATES] = {{0, 0}}, *plain_states[FML_MAX_STATES];
    double scalars[FML_MAX_SCALARS];
    for (size_t s = 0; s < FML_MAX_STATES; s++) {
        states[s] = take_aligned(r, FML_ALIGNMENT);
        plain_states[s] = &plain[s];
    }
    for (uint64_t t = 1; t <= STEPS; t++) {
        take_step(kernel, p, zeros, states, n, CASES[k].h, t, scalars);
        find_optimizer_formula(kernel->name)->step(r, &plain_p, &plain_g, plain_states, 1, CASES[k].h, t);
    }
    check_same_reals(r, p, zeros, n, "%s, case %zu: padding", CASES[k].name, k);
    for (size_t s = 0; s < FML_MAX_STATES; s++)
        check_same_reals(r, states[s], equal_reals(r, n, plain[s].value), n, "%s, case %zu: state %zu of padding",
                         CASES[k].name, k, s);
}

void check_optimizers(run *r) {
    static const size_t LINES[] = {1, 2, 3, 7};
    for (const fml_optimizer *kernel = r->kernels->optimizers; kernel->name != NULL; kernel++)
        check(r, kernel->step == NULL || find_optimizer_formula(kernel->name) != NULL, "no test knows %s",
              kernel->name);
    for (size_t k = 0; k < LENGTH_OF(CASES); k++) {
        const fml_optimizer *kernel = find_optimizer(r->kernels, CASES[k].name);
        double rate = kernel->plain_rate == NULL ? 0 : kernel->plain_rate(CASES[k].h);
        check(r, rate == CASES[k].plain_rate, "%s, case %zu: plain rate %g", CASES[k].name, k, rate);
        for (size_t j = 0; j < LENGTH_OF(LINES); j++)
            check_steps(r, k, LINES[j] * FML_ALIGNMENT / r->kernels->real_size);
        check_padding(r, k);
        release(r, 0);
    }
}
