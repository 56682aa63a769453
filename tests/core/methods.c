/* Whole-batch methods on least squares through a linear network: each ends where the plain gradient is 0, which there
 * is the minimum, on the way the loss falls, and the bits are the same on any number of threads. A state that is
 * exported and imported goes on with the same bits, and so does an iteration that was stopped; numbers that no state
 * has are refused. A method is a row of METHODS. */
#include "method.h"
#include "naive.h"

#include <math.h>
#include <string.h>

enum { ROWS = 7 * MAX_ROWS, MAX_ITERATIONS = 1000, MEMORY = 5 };

static const design LINEAR[] = {{{3, 2}, NULL, "identity", "mse"}, {{97, 10}, NULL, "identity", "half_squared_error"}};

typedef struct {
    const char *name;
    double h[FML_MAX_HYPER_PARAMETERS];
    size_t tolerance;                  /* the place of gradient_tolerance in h */
    int most_steps[LENGTH_OF(LINEAR)]; /* half as many again as it takes: a wrong direction leads down, too */
} method_case;

static const method_case METHODS[] = {
    {"lbfgs", {MEMORY, 0, 0, 20}, 1, {9, 24}},
};

/* A model in training, and how it went. */
typedef struct {
    model *m;
    fml_trainer trainer;
    const fml_method *method;
    fml_data data;
    double last_loss;
    int falls;
} descent;

static void iterate(descent *d, int most, void *workspace) {
    for (int i = 0; i < most && !d->method->converged(d->trainer.method_state); i++) {
        double loss;
        fml_status status = fml_train_step(&d->trainer, &d->data, NULL, ROWS, 0, &loss, NULL, workspace);
        d->falls &= status == FML_OK && loss <= d->last_loss;
        d->last_loss = loss;
    }
}

static void *new_state(run *r, const descent *d) {
    const double *h = d->trainer.hyper_parameters;
    void *state = take_aligned(r, d->method->state_size(d->trainer.net, h));
    d->method->begin(d->trainer.net, h, state);
    return state;
}

static descent descend(run *r, const method_case *c, const design *wanted, size_t n_threads, double tolerance,
                       int most) {
    descent d = {.m = make_model(r, wanted, n_threads, 1), .last_loss = INFINITY, .falls = 1};
    const fml_network *net = &d.m->net;
    void *workspace = take_aligned(r, fml_gradient_workspace(net, ROWS, 0));
    d.data = make_data(r, d.m, ROWS, VALUES, 2);
    d.trainer = (fml_trainer){.net = net,
                              .optimizer = find_optimizer(r->kernels, c->name),
                              .block = d.m->block,
                              .gradient = take_aligned(r, net->n_packed * r->kernels->real_size)};
    memcpy(d.trainer.hyper_parameters, c->h, sizeof c->h);
    d.trainer.hyper_parameters[c->tolerance] = tolerance;
    d.method = d.trainer.optimizer->method;
    d.trainer.method_state = new_state(r, &d);
    iterate(&d, most, workspace);
    return d;
}

/* Where it has converged, no element of the core's gradient is above the tolerance, and the plain one is within its
 * bound of that. */
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
    check(r, d->method->converged(d->trainer.method_state) && d->falls && d->trainer.n_steps > 1,
          "%s: %d steps, falling: %d", d->m->name, (int)d->trainer.n_steps, d->falls);
}

/* Whether a state takes numbers as those of so many vectors; it has then learnt nothing. */
static int takes(const descent *d, size_t n_vectors, size_t n_numbers, const double *numbers) {
    int taken = d->method->import_numbers(d->trainer.method_state, n_vectors, n_numbers, numbers);
    d->method->forget(d->trainer.method_state);
    return taken;
}

/* Two trainings are the same after three iterations; the state of the first goes into a new one of the second. */
static void check_export(run *r, const method_case *c, const design *wanted) {
    descent kept = descend(r, c, wanted, 1, 0, 3), moved = descend(r, c, wanted, 1, 0, 3);
    const fml_network *net = kept.trainer.net;
    void *from = kept.trainer.method_state, *to = new_state(r, &moved);
    void *workspace = take_aligned(r, fml_gradient_workspace(net, ROWS, 0));
    size_t n_vectors = kept.method->n_vectors(from), n_numbers = kept.method->n_numbers(from);
    double *numbers = take(r, (n_numbers + 1) * sizeof *numbers);
    kept.method->export_numbers(from, numbers);
    check(r, kept.method->import_numbers(to, n_vectors, n_numbers, numbers) == 1, "numbers of a state are refused");
    for (size_t k = 0; k < n_vectors; k++)
        memcpy(kept.method->vector(net, to, k), kept.method->vector(net, from, k),
               net->n_packed * r->kernels->real_size);
    moved.trainer.method_state = to;
    kept.method->data_changed(from);
    iterate(&kept, 3, workspace);
    iterate(&moved, 3, workspace);
    check_same_reals(r, moved.m->block, kept.m->block, net->n_packed, "%s, %s from an imported state", kept.m->name,
                     c->name);
    for (size_t i = 0; i < n_numbers; i++) {
        double good = numbers[i], bad[] = {NAN, INFINITY, -1};
        for (size_t j = 0; j < LENGTH_OF(bad); j++) {
            numbers[i] = bad[j];
            check(r, !takes(&moved, n_vectors, n_numbers, numbers), "%s takes %g as number %zu", c->name, bad[j], i);
        }
        numbers[i] = good;
    }
    check(r, takes(&moved, n_vectors, n_numbers, numbers), "%s does not take its own numbers", c->name);
    check(r, !takes(&moved, n_vectors, n_numbers + 1, numbers), "%s takes a number more", c->name);
    check(r, !takes(&moved, n_vectors + 1, n_numbers, numbers), "%s takes a vector more", c->name);
}

static int count_down(void *n_left) { return (*(int *)n_left)-- == 0; }

/* An iteration that is stopped, at one place after another until it is no longer, leaves all as it was each time. */
static void check_stops(run *r, const method_case *c, const design *wanted) {
    descent whole = descend(r, c, wanted, 1, 0, 3), stopped = descend(r, c, wanted, 1, 0, 3);
    const fml_network *net = whole.trainer.net;
    void *workspace = take_aligned(r, fml_gradient_workspace(net, ROWS, 0));
    fml_status status = FML_STOPPED;
    int n_stops = -1;
    while (status == FML_STOPPED) {
        int n_left = ++n_stops;
        double loss;
        fml_poll poll = {count_down, &n_left, 0, 0, 0};
        status = fml_train_step(&stopped.trainer, &stopped.data, NULL, ROWS, 0, &loss, &poll, workspace);
    }
    check(r, status == FML_OK && n_stops > 1, "%s, %s: status %d after %d stops", whole.m->name, c->name, (int)status,
          n_stops);
    iterate(&whole, 4, workspace);
    iterate(&stopped, 3, workspace);
    check_same_reals(r, stopped.m->block, whole.m->block, net->n_packed, "%s, %s after stops", whole.m->name, c->name);
    check(r, stopped.trainer.n_steps == whole.trainer.n_steps, "%s, %s: steps after stops", whole.m->name, c->name);
}

/* What L-BFGS keeps: two vectors and a number for each pair, and a number for all of them. */
static void check_pairs(run *r, const method_case *c, const design *wanted) {
    descent d = descend(r, c, wanted, 1, 0, 3);
    size_t n_vectors = d.method->n_vectors(d.trainer.method_state);
    size_t n_numbers = d.method->n_numbers(d.trainer.method_state);
    double good[2 + MEMORY] = {1, 1, 1, 1, 1, 1, 1}, nan[] = {1, NAN}, negative[] = {1, -1}, zero[] = {0, 1};
    check(r, n_vectors == 6 && n_numbers == 4, "%zu vectors, %zu numbers after 3 iterations", n_vectors, n_numbers);
    check(r, takes(&d, 2 * MEMORY, 1 + MEMORY, good) && takes(&d, 0, 0, good), "a full and an empty state");
    check(r, !takes(&d, 2 * MEMORY + 2, 2 + MEMORY, good) && !takes(&d, 1, 1, good),
          "more pairs than there may be, half a one");
    check(r, !takes(&d, 2, 1, good) && !takes(&d, 2, 3, good) && !takes(&d, 0, 1, good), "too few numbers, too many");
    check(r, !takes(&d, 2, 2, nan) && !takes(&d, 2, 2, negative) && !takes(&d, 2, 2, zero), "numbers of no state");
}

static void check_descent(run *r, const method_case *c, size_t k) {
    double tolerance = sqrt(r->epsilon); /* the fall of the loss by smaller slopes is below its rounding */
    descent first = descend(r, c, &LINEAR[k], THREAD_COUNTS[0], tolerance, MAX_ITERATIONS);
    for (size_t i = 1; i < N_THREAD_COUNTS; i++) {
        descent other = descend(r, c, &LINEAR[k], THREAD_COUNTS[i], tolerance, MAX_ITERATIONS);
        check_same_reals(r, other.m->block, first.m->block, first.m->net.n_packed, "%s, %s on %zu threads",
                         first.m->name, c->name, THREAD_COUNTS[i]);
        check(r, other.last_loss == first.last_loss && other.trainer.n_steps == first.trainer.n_steps,
              "%s, %s on %zu threads: loss and steps", first.m->name, c->name, THREAD_COUNTS[i]);
    }
    check_minimum(r, &first, tolerance);
    int n_steps = (int)first.trainer.n_steps;
    check(r, n_steps <= c->most_steps[k], "%s, %s: %d steps", first.m->name, c->name, n_steps);
    release(r, 0);
}

void check_methods(run *r) {
    for (const fml_optimizer *kernel = r->kernels->optimizers; kernel->name != NULL; kernel++) {
        size_t i = 0;
        while (i < LENGTH_OF(METHODS) && strcmp(METHODS[i].name, kernel->name) != 0) i++;
        check(r, kernel->method == NULL || i < LENGTH_OF(METHODS), "no test knows %s", kernel->name);
    }
    for (size_t i = 0; i < LENGTH_OF(METHODS); i++) {
        for (size_t k = 0; k < LENGTH_OF(LINEAR); k++) check_descent(r, &METHODS[i], k);
        check_export(r, &METHODS[i], &LINEAR[1]);
        check_stops(r, &METHODS[i], &LINEAR[1]);
        release(r, 0);
    }
    check_pairs(r, &METHODS[0], &LINEAR[1]);
    release(r, 0);
}
