/* L-BFGS: minimises the loss over all rows. The rest of the core uses this file through the table fml_lbfgs.
 *
 * Algorithm: Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989. The search
 * direction is -H g, where the two-loop recursion computes H, an approximation of the inverse Hessian, from the last
 * pairs of a step s and the change y of the gradient. A line search finds the step along the direction. An iteration
 * that finds none, fails or is stopped leaves parameters and pairs as they were.
 *
 * Results have the same bits for any number of threads: the gradient does, and all sums here are formed by one
 * thread in a fixed order. */
#include "line_search.h"
#include "method.h"
#include "objective.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    size_t memory, n_pairs, newest; /* a ring buffer of `memory` pairs; `newest` is the index of the latest one */
    char *pairs;                    /* the blocks s and y of each pair */
    double *rhos;                   /* 1 / (s . y) of each pair */
    double *alphas;                 /* results of the recursion's first loop, which its second loop reads */
    double gamma;                   /* (s . y) / (y . y) of the newest pair */
    void *direction;
    void *start, *start_gradient; /* parameters and gradient at which the line search began */
    double loss;                  /* the weighted sum over the rows, at the trainer's parameters */
    int is_evaluated;             /* whether loss and the trainer's gradient belong to its parameters and data */
    int converged;
    size_t n_evaluations;
} lbfgs;

/* Indices of the hyper-parameters, in the order of the fields of the Python class. */
enum { MEMORY, GRADIENT_TOLERANCE, LOSS_TOLERANCE, MAX_EVALUATIONS };

/* The function to minimise and the state of the method. */
typedef struct {
    objective f;
    lbfgs *state;
} problem;

static size_t block_bytes(const fml_network *net) { return net->n_packed * net->kernels->real_size; }

static lbfgs *lay_out(const fml_network *net, size_t memory, arena *a) {
    lbfgs *state = arena_alloc(a, sizeof *state);
    lbfgs parts = {.memory = memory};
    parts.rhos = arena_alloc(a, memory * sizeof(double));
    parts.alphas = arena_alloc(a, memory * sizeof(double));
    parts.pairs = arena_alloc(a, 2 * memory * block_bytes(net));
    parts.direction = arena_alloc(a, block_bytes(net));
    parts.start = arena_alloc(a, block_bytes(net));
    parts.start_gradient = arena_alloc(a, block_bytes(net));
    if (a->base != NULL) *state = parts;
    return state;
}

static size_t state_size(const fml_network *net, const double *h) {
    arena a = {NULL, 0};
    lay_out(net, (size_t)h[MEMORY], &a);
    return a.used;
}

static void begin(const fml_network *net, const double *h, void *state) {
    arena a = {state, 0};
    lay_out(net, (size_t)h[MEMORY], &a);
}

static void data_changed(void *state_) {
    lbfgs *state = state_;
    state->is_evaluated = state->converged = 0;
}

static int converged(const void *state) { return ((const lbfgs *)state)->converged; }
static size_t n_evaluations(const void *state) { return ((const lbfgs *)state)->n_evaluations; }

/* -- the memory of pairs ----------------------------------------------------------------------------------------- */

/* The index in the ring buffer of the pair of age `age`; the newest pair has the age 0. */
static size_t ring_index(const lbfgs *state, size_t age) {
    return (state->newest + state->memory - age) % state->memory;
}

/* The block s (if which is 0) or y (if it is 1) of the pair of age `age`. */
static void *pair_block(const fml_network *net, const lbfgs *state, size_t age, size_t which) {
    return state->pairs + (2 * ring_index(state, age) + which) * block_bytes(net);
}

/* Let the ring buffer hold n_pairs pairs, which the caller then writes. */
static void set_n_pairs(lbfgs *state, size_t n_pairs) {
    state->n_pairs = n_pairs;
    state->newest = 0;
    data_changed(state);
}

static void forget(void *state) { set_n_pairs(state, 0); }

/* A checkpoint has the vectors s and y of each pair, from the newest to the oldest, and the numbers gamma and rho of
 * each pair in the same order. Without pairs it has neither vectors nor numbers. */
static size_t n_vectors(const void *state) { return 2 * ((const lbfgs *)state)->n_pairs; }
static size_t numbers_of(size_t n_pairs) { return n_pairs > 0 ? 1 + n_pairs : 0; }
static size_t n_numbers(const void *state) { return numbers_of(((const lbfgs *)state)->n_pairs); }

static void name_vector(size_t k, char *name) { snprintf(name, FML_NAME_SIZE, "%c.%zu", k % 2 ? 'y' : 's', k / 2); }
static void name_number(size_t k, char *name) {
    if (k == 0)
        snprintf(name, FML_NAME_SIZE, "gamma");
    else
        snprintf(name, FML_NAME_SIZE, "rho.%zu", k - 1);
}

static void *vector(const fml_network *net, void *state, size_t k) { return pair_block(net, state, k / 2, k % 2); }

static void export_numbers(const void *state_, double *numbers) {
    const lbfgs *state = state_;
    if (state->n_pairs > 0) numbers[0] = state->gamma;
    for (size_t age = 0; age < state->n_pairs; age++) numbers[1 + age] = state->rhos[ring_index(state, age)];
}

static int import_numbers(void *state_, size_t n_vectors, size_t n_numbers, const double *numbers) {
    lbfgs *state = state_;
    size_t n_pairs = n_vectors / 2;
    if (n_vectors % 2 != 0 || n_pairs > state->memory || n_numbers != numbers_of(n_pairs)) return 0;
    for (size_t i = 0; i < n_numbers; i++)
        if (!(numbers[i] > 0 && numbers[i] < INFINITY)) return 0;
    set_n_pairs(state, n_pairs);
    if (n_pairs > 0) state->gamma = numbers[0];
    for (size_t age = 0; age < n_pairs; age++) state->rhos[ring_index(state, age)] = numbers[1 + age];
    return 1;
}

/* -- the direction ----------------------------------------------------------------------------------------------- */

static void *pair(const problem *p, size_t age, size_t which) {
    return pair_block(p->f.pass.net, p->state, age, which);
}

/* The element of `values`, an array with one number per pair, that belongs to the pair of age `age`. */
static double *of_pair(const problem *p, double *values, size_t age) { return &values[ring_index(p->state, age)]; }

/* direction = -H g by the two-loop recursion, from H_0 = gamma, or 1 without pairs. */
static void find_direction(const problem *p) {
    const fml_kernels *k = p->f.pass.net->kernels;
    lbfgs *state = p->state;
    void *q = state->direction;
    size_t n = p->f.pass.net->n_packed;
    k->combine(-1, p->f.pass.gradient, 0, p->f.pass.gradient, q, n);
    for (size_t age = 0; age < state->n_pairs; age++) {
        double alpha = *of_pair(p, state->rhos, age) * k->dot(pair(p, age, 0), q, n);
        *of_pair(p, state->alphas, age) = alpha;
        k->combine(-alpha, pair(p, age, 1), 1, q, q, n);
    }
    if (state->n_pairs > 0) k->combine(state->gamma, q, 0, q, q, n);
    for (size_t age = state->n_pairs; age-- > 0;) {
        double beta = *of_pair(p, state->rhos, age) * k->dot(pair(p, age, 1), q, n);
        k->combine(*of_pair(p, state->alphas, age) - beta, pair(p, age, 0), 1, q, q, n);
    }
}

/* Add the pair s = step * direction, y = gradient - start_gradient, unless the curvature s . y is within rounding
 * errors of 0. slope: the derivative along the direction at the start. */
static void keep_pair(const problem *p, double step, double slope) {
    const fml_kernels *k = p->f.pass.net->kernels;
    lbfgs *state = p->state;
    size_t n = p->f.pass.net->n_packed;
    double epsilon = k->dtype == FML_F32 ? 1.2e-7 : 2.2e-16;
    k->combine(1, p->f.pass.gradient, -1, state->start_gradient, state->start_gradient, n);
    double curvature = step * k->dot(state->direction, state->start_gradient, n);
    if (!(curvature > -epsilon * step * slope)) return;
    state->newest = (state->newest + 1) % state->memory;
    state->n_pairs = size_min(state->n_pairs + 1, state->memory);
    k->combine(step, state->direction, 0, state->direction, pair(p, 0, 0), n);
    memcpy(pair(p, 0, 1), state->start_gradient, block_bytes(p->f.pass.net));
    *of_pair(p, state->rhos, 0) = 1 / curvature;
    state->gamma = curvature / k->dot(pair(p, 0, 1), pair(p, 0, 1), n);
}

/* -- the line search --------------------------------------------------------------------------------------------- */

static fml_status evaluate(const problem *p, double *loss) {
    p->state->n_evaluations++;
    return objective_evaluate(&p->f, loss);
}

/* Set the parameters to start + step * direction, and evaluate there. */
static fml_status evaluate_at(const problem *p, double step, double *loss) {
    p->state->n_evaluations++;
    return objective_evaluate_at(&p->f, p->state->start, step, p->state->direction, loss);
}

/* The derivative of the mean loss along the direction, at the trainer's parameters. */
static double slope_of(const problem *p) {
    const fml_network *net = p->f.pass.net;
    return net->kernels->dot(p->state->direction, p->f.pass.gradient, net->n_packed);
}

/* Search for a step along the direction. If there is one, *found becomes 1, s->trial is the step, *loss the loss
 * there, and the trainer has the parameters and the gradient there. */
static fml_status search(const problem *p, double slope, line_search *s, double *loss, int *found) {
    const fml_network *net = p->f.pass.net;
    const double *h = p->f.trainer->hyper_parameters;
    double weight = p->f.pass.weight, max_evaluations = h[MAX_EVALUATIONS], first = 1;
    search_state state = SEARCH_ON;
    if (p->state->n_pairs == 0) first = 1 / sqrt(-slope); /* then the direction is -g, and the step has length 1 */
    line_search_begin(s, p->state->loss / weight, slope, first);
    for (double i = 0; i < max_evaluations && state == SEARCH_ON; i++) {
        double step = s->trial;
        fml_status status = evaluate_at(p, step, loss);
        if (status != FML_OK && status != FML_LOSS_NOT_FINITE) return status;
        state = status == FML_OK ? line_search_update(s, *loss / weight, slope_of(p)) : line_search_overflow(s);
        if (state == SEARCH_FOUND) s->trial = step;
    }
    if (state != SEARCH_FOUND && line_search_has_decrease(s)) { /* the slope there is too large, but none is better */
        s->trial = s->best.step;
        fml_status status = evaluate_at(p, s->trial, loss);
        if (status != FML_OK) return status;
        state = SEARCH_FOUND;
    }
    *found = state == SEARCH_FOUND && net->kernels->first_not_finite(p->f.pass.block, net->n_packed) == net->n_packed;
    return FML_OK;
}

/* Restore parameters and gradient as they were at the start of the line search. */
static void restore_start(const problem *p) {
    memcpy(p->f.pass.block, p->state->start, block_bytes(p->f.pass.net));
    memcpy(p->f.pass.gradient, p->state->start_gradient, block_bytes(p->f.pass.net));
}

/* -- the iteration ----------------------------------------------------------------------------------------------- */

/* Whether the gradient is 0 within the tolerance. */
static int is_flat(const problem *p) {
    const fml_network *net = p->f.pass.net;
    return net->kernels->max_absolute(p->f.pass.gradient, net->n_packed) <=
           p->f.trainer->hyper_parameters[GRADIENT_TOLERANCE];
}

/* Accept the step that the line search has found: add its pair, and test for convergence. */
static void accept(const problem *p, double step, double slope, double loss) {
    lbfgs *state = p->state;
    double before = state->loss / p->f.pass.weight, now = loss / p->f.pass.weight;
    float_mode mode = flush_denormals();
    keep_pair(p, step, slope);
    restore_mode(mode);
    state->loss = loss;
    double size = fmax(1, fmax(fabs(before), fabs(now)));
    state->converged = is_flat(p) || before - now <= p->f.trainer->hyper_parameters[LOSS_TOLERANCE] * size;
    p->f.trainer->n_steps++;
}

/* Search along -H g or, if the loss does not fall in that direction, along -g; accept the step that is found. */
static fml_status try_step(const problem *p, int *found) {
    lbfgs *state = p->state;
    float_mode mode = flush_denormals();
    find_direction(p);
    double slope = slope_of(p);
    if (!(slope < 0)) {
        state->n_pairs = 0;
        find_direction(p);
        slope = slope_of(p);
    }
    restore_mode(mode);
    if (slope - slope != 0) return FML_LOSS_NOT_FINITE; /* g . g overflows, so that a step of length 1 would be 0 */
    memcpy(state->start, p->f.pass.block, block_bytes(p->f.pass.net));
    memcpy(state->start_gradient, p->f.pass.gradient, block_bytes(p->f.pass.net));
    line_search s;
    double loss = 0;
    fml_status status = search(p, slope, &s, &loss, found);
    if (status == FML_OK && *found)
        accept(p, s.trial, slope, loss);
    else
        restore_start(p);
    return status;
}

static fml_status iterate(fml_trainer *trainer, const fml_data *data, size_t rows, double *loss, fml_poll *poll,
                          void *workspace) {
    lbfgs *state = trainer->method_state;
    problem p = {.state = state, .f = objective_of(trainer, data, rows, poll, workspace)};
    if (!state->is_evaluated) {
        fml_status status = evaluate(&p, &state->loss);
        if (status != FML_OK) return status;
        state->is_evaluated = 1;
    }
    *loss = state->loss;
    state->converged = is_flat(&p);
    size_t n_pairs = state->n_pairs;
    int found = 0;
    while (!found && !state->converged) {
        int has_pairs = state->n_pairs > 0;
        fml_status status = try_step(&p, &found);
        if (status != FML_OK) {
            state->n_pairs = n_pairs;
            return status;
        }
        if (!found && !has_pairs) state->converged = 1; /* no step along -g is better: the rest is rounding errors */
        if (!found) state->n_pairs = 0;
    }
    return FML_OK;
}

const fml_method fml_lbfgs = {
    .state_size = state_size,
    .begin = begin,
    .data_changed = data_changed,
    .forget = forget,
    .iterate = iterate,
    .converged = converged,
    .n_evaluations = n_evaluations,
    .n_vectors = n_vectors,
    .n_numbers = n_numbers,
    .name_vector = name_vector,
    .name_number = name_number,
    .vector = vector,
    .export_numbers = export_numbers,
    .import_numbers = import_numbers,
};
