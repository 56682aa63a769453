/* L-BFGS on least squares with a linear network: the loss decreases in each iteration until the gradient is 0, which is
 * the minimum, with the same bits on any number of threads. Training goes on with the same bits after a state is
 * exported and imported; invalid numbers are refused. */
#include "method.h"
#include "naive.h"

#include <math.h>
#include <string.h>

enum { ROWS = 7 * MAX_ROWS, MAX_ITERATIONS = 200, MEMORY = 5 };

/* A training. */
typedef struct {
    model *m;
    fml_trainer trainer;
    fml_data data;
    double last_loss;
    int falls; /* whether no iteration has failed or increased the loss */
} descent;

static void iterate(descent *d, int max_iterations, void *workspace) {
    for (int i = 0; i < max_iterations && !fml_lbfgs.converged(d->trainer.method_state); i++) {
        double loss;
        fml_status status = fml_train_step(&d->trainer, &d->data, NULL, ROWS, 0, &loss, NULL, workspace);
        d->falls &= status == FML_OK && loss <= d->last_loss;
        d->last_loss = loss;
    }
}

static descent descend(run *r, const design *wanted, size_t n_threads, double tolerance, int max_iterations) {
    descent d = {.m = make_model(r, wanted, n_threads, 1), .last_loss = INFINITY, .falls = 1};
    const fml_network *net = &d.m->net;
    size_t size = net->n_packed * r->kernels->real_size;
    void *workspace = take_aligned(r, fml_gradient_workspace(net, ROWS, 0));
    d.data = make_data(r, d.m, ROWS, VALUES, 2);
    d.trainer = (fml_trainer){.net = net,
                              .optimizer = find_optimizer(r->kernels, "lbfgs"),
                              .hyper_parameters = {MEMORY, tolerance, 0, 20},
                              .block = d.m->block,
                              .gradient = take_aligned(r, size)};
    const double *h = d.trainer.hyper_parameters;
    d.trainer.method_state = take_aligned(r, fml_lbfgs.state_size(net, h));
    fml_lbfgs.begin(net, h, d.trainer.method_state);
    iterate(&d, max_iterations, workspace);
    return d;
}

/* At convergence, no element of the core's gradient is above the tolerance, nor of the naive one beyond its bound. */
static void check_minimum(run *r, const descent *d, double tolerance) {
    size_t n = d->m->net.n_parameters;
    void *P = take_reals(r, n);
    bounded *gradient = take(r, n * sizeof *gradient);
    fml_network_unpack(&d->m->net, d->m->block, P);
    for (size_t i = 0; i < n; i++) d->m->P[i] = (bounded){get(r, P, i), 0};
    naive_batch all = {&d->data, NULL, ROWS};
    naive_gradient(r, d->m, &all, gradient, NULL);
    size_t i = 0;
    while (i < n && fabs(gradient[i].value) <= tolerance + gradient[i].error) i++;
    check(r, i == n, "%s: slope %g of parameter %zu at the minimum", d->m->name, i < n ? gradient[i].value : 0, i);
    check(r, fml_lbfgs.converged(d->trainer.method_state) && d->falls && d->trainer.n_steps > 1,
          "%s: %d steps, falling: %d", d->m->name, (int)d->trainer.n_steps, d->falls);
}

/* Whether import_numbers accepts the numbers; the state has no pairs afterwards. */
static int takes(const descent *d, size_t n_vectors, size_t n_numbers, const double *numbers) {
    int taken = fml_lbfgs.import_numbers(d->trainer.method_state, n_vectors, n_numbers, numbers);
    fml_lbfgs.forget(d->trainer.method_state);
    return taken;
}

/* Check export and import: of two equal trainings of three iterations, the state of the first is moved to a new state
 * of the second, and both continue with the same bits. Check which numbers are refused. */
static void check_export(run *r, const design *wanted) {
    descent kept = descend(r, wanted, 1, 0, 3), moved = descend(r, wanted, 1, 0, 3);
    const fml_network *net = kept.trainer.net;
    void *from = kept.trainer.method_state,
         *to = take_aligned(r, fml_lbfgs.state_size(net, moved.trainer.hyper_parameters));
    void *workspace = take_aligned(r, fml_gradient_workspace(net, ROWS, 0));
    size_t n_vectors = fml_lbfgs.n_vectors(from);
    size_t n_numbers = fml_lbfgs.n_numbers(from);
    double numbers[1 + MEMORY] = {0};
    check(r, n_vectors == 6 && n_numbers == 4, "%zu vectors, %zu numbers after 3 iterations", n_vectors, n_numbers);
    fml_lbfgs.begin(net, moved.trainer.hyper_parameters, to);
    fml_lbfgs.export_numbers(from, numbers);
    check(r, fml_lbfgs.import_numbers(to, n_vectors, n_numbers, numbers) == 1, "numbers of a state are refused");
    for (size_t k = 0; k < n_vectors; k++)
        memcpy(fml_lbfgs.vector(net, to, k), fml_lbfgs.vector(net, from, k), net->n_packed * r->kernels->real_size);
    moved.trainer.method_state = to;
    moved.trainer.net = net;
    fml_lbfgs.data_changed(from);
    iterate(&kept, 3, workspace);
    iterate(&moved, 3, workspace);
    check_same_reals(r, moved.m->block, kept.m->block, net->n_packed, "%s from an imported state", kept.m->name);
    double good[2 + MEMORY] = {1, 1, 1, 1, 1, 1, 1}, nan[] = {1, NAN}, negative[] = {1, -1}, zero[] = {0, 1};
    check(r, takes(&moved, 2 * MEMORY, 1 + MEMORY, good) && takes(&moved, 0, 0, good), "a full and an empty state");
    check(r, !takes(&moved, 2 * MEMORY + 2, 2 + MEMORY, good) && !takes(&moved, 1, 1, good),
          "more pairs than there may be, half a one");
    check(r, !takes(&moved, 2, 1, good) && !takes(&moved, 2, 3, good) && !takes(&moved, 0, 1, good),
          "too few numbers, too many");
    check(r, !takes(&moved, 2, 2, nan) && !takes(&moved, 2, 2, negative) && !takes(&moved, 2, 2, zero),
          "numbers of no state");
}

void check_lbfgs(run *r) {
    static const struct {
        design wanted;
        int max_steps; /* 1.5 times the steps that it takes; with a wrong direction it takes twice as many */
    } LINEAR[] = {{{{3, 2}, NULL, "identity", "mse"}, 9}, {{{97, 10}, NULL, "identity", "half_squared_error"}, 24}};
    double tolerance = sqrt(r->epsilon); /* with smaller gradients, the decrease of the loss is below rounding errors */
    for (size_t k = 0; k < LENGTH_OF(LINEAR); k++) {
        descent first = descend(r, &LINEAR[k].wanted, THREAD_COUNTS[0], tolerance, MAX_ITERATIONS);
        for (size_t i = 1; i < N_THREAD_COUNTS; i++) {
            descent other = descend(r, &LINEAR[k].wanted, THREAD_COUNTS[i], tolerance, MAX_ITERATIONS);
            check_same_reals(r, other.m->block, first.m->block, first.m->net.n_packed, "%s on %zu threads",
                             first.m->name, THREAD_COUNTS[i]);
            check(r, other.last_loss == first.last_loss && other.trainer.n_steps == first.trainer.n_steps,
                  "%s on %zu threads: loss and steps", first.m->name, THREAD_COUNTS[i]);
        }
        check_minimum(r, &first, tolerance);
        int n_steps = (int)first.trainer.n_steps;
        check(r, n_steps <= LINEAR[k].max_steps, "%s: %d steps", first.m->name, n_steps);
        release(r, 0);
    }
    check_export(r, &LINEAR[1].wanted);
    release(r, 0);
}
