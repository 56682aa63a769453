/* L-BFGS: minimises the loss over all rows, an iteration at a time.
 *
 * Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989: the direction is -H g, with
 * H from the last steps s and changes y of the gradient, by the two-loop recursion; along it a step is searched for. An
 * iteration changes the parameters, and the memory of pairs, only when it has found a step; whatever else ends it
 * leaves both as they were. All sums are in a fixed order on one thread, and the gradient has the same bits for any
 * number of threads, so the result has. The rest of the core reaches this file through the table fml_lbfgs. */
#include "line_search.h"
#include "method.h"
#include "objective.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    size_t memory, n_pairs, newest; /* pairs in a ring; `newest` is the place of the last one */
    char *pairs;                    /* s and y of each, a block each */
    double *weights, *alphas;       /* 1 / (s . y); what the first loop leaves to the second */
    double scale;                   /* (s . y) / (y . y) of the newest pair */
    void *direction, *from, *from_gradient;
    double loss; /* the weighted sum over the rows at the parameters; the trainer's gradient belongs to it */
    int known;   /* whether those are known, for the data at hand */
    int converged;
    size_t n_evaluations;
} lbfgs;

/* The hyper-parameters, in the order of the Python object's fields. */
enum { MEMORY, GRADIENT_TOLERANCE, LOSS_TOLERANCE, MAX_EVALUATIONS };

/* What an iteration is over. */
typedef struct {
    objective f;
    lbfgs *state;
} problem;

static size_t block_bytes(const fml_network *net) { return net->n_packed * net->kernels->real_size; }

static lbfgs *lay_out(const fml_network *net, size_t memory, arena *a) {
    lbfgs *state = arena_alloc(a, sizeof *state);
    lbfgs parts = {.memory = memory};
    parts.weights = arena_alloc(a, memory * sizeof(double));
    parts.alphas = arena_alloc(a, memory * sizeof(double));
    parts.pairs = arena_alloc(a, 2 * memory * block_bytes(net));
    parts.direction = arena_alloc(a, block_bytes(net));
    parts.from = arena_alloc(a, block_bytes(net));
    parts.from_gradient = arena_alloc(a, block_bytes(net));
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

static void meet_data(void *state_) {
    lbfgs *state = state_;
    state->known = state->converged = 0;
}

static int converged(const void *state) { return ((const lbfgs *)state)->converged; }
static size_t n_evaluations(const void *state) { return ((const lbfgs *)state)->n_evaluations; }

/* -- the memory of pairs ----------------------------------------------------------------------------------------- */

/* The place in the ring of the pair that is `age` iterations old. */
static size_t place(const lbfgs *state, size_t age) { return (state->newest + state->memory - age) % state->memory; }

/* s (which 0) or y (which 1) of that pair. */
static void *pair_block(const fml_network *net, const lbfgs *state, size_t age, size_t which) {
    return state->pairs + (2 * place(state, age) + which) * block_bytes(net);
}

static void remember(lbfgs *state, size_t n_pairs) {
    state->n_pairs = n_pairs;
    state->newest = 0;
    meet_data(state);
}

static void forget(void *state) { remember(state, 0); }

/* A checkpoint has s and y of each pair from the newest on, then the scale of H, gamma, and rho = 1 / (s . y) of each
 * pair; without a pair it has nothing. */
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
    if (state->n_pairs > 0) numbers[0] = state->scale;
    for (size_t age = 0; age < state->n_pairs; age++) numbers[1 + age] = state->weights[place(state, age)];
}

static int import_numbers(void *state_, size_t n_vectors, size_t n_numbers, const double *numbers) {
    lbfgs *state = state_;
    size_t n_pairs = n_vectors / 2;
    if (n_vectors % 2 != 0 || n_pairs > state->memory || n_numbers != numbers_of(n_pairs)) return 0;
    for (size_t i = 0; i < n_numbers; i++)
        if (!(numbers[i] > 0 && numbers[i] < INFINITY)) return 0;
    remember(state, n_pairs);
    if (n_pairs > 0) state->scale = numbers[0];
    for (size_t age = 0; age < n_pairs; age++) state->weights[place(state, age)] = numbers[1 + age];
    return 1;
}

/* -- the direction ----------------------------------------------------------------------------------------------- */

static void *pair(const problem *p, size_t age, size_t which) {
    return pair_block(p->f.pass.net, p->state, age, which);
}

static double *of_pair(const problem *p, double *values, size_t age) { return &values[place(p->state, age)]; }

/* direction = -H g */
static void find_direction(const problem *p) {
    const fml_kernels *k = p->f.pass.net->kernels;
    lbfgs *state = p->state;
    void *q = state->direction;
    size_t n = p->f.pass.net->n_packed;
    k->combine(-1, p->f.pass.gradient, 0, p->f.pass.gradient, q, n);
    for (size_t age = 0; age < state->n_pairs; age++) {
        double alpha = *of_pair(p, state->weights, age) * k->dot(pair(p, age, 0), q, n);
        *of_pair(p, state->alphas, age) = alpha;
        k->combine(-alpha, pair(p, age, 1), 1, q, q, n);
    }
    if (state->n_pairs > 0) k->combine(state->scale, q, 0, q, q, n);
    for (size_t age = state->n_pairs; age-- > 0;) {
        double beta = *of_pair(p, state->weights, age) * k->dot(pair(p, age, 1), q, n);
        k->combine(*of_pair(p, state->alphas, age) - beta, pair(p, age, 0), 1, q, q, n);
    }
}

/* Keeps s = step * direction and y = g - the gradient before, if the curvature along s is above rounding errors. */
static void keep_pair(const problem *p, double step, double slope) {
    const fml_kernels *k = p->f.pass.net->kernels;
    lbfgs *state = p->state;
    size_t n = p->f.pass.net->n_packed;
    double epsilon = k->dtype == FML_F32 ? 1.2e-7 : 2.2e-16;
    k->combine(1, p->f.pass.gradient, -1, state->from_gradient, state->from_gradient, n);
    double curvature = step * k->dot(state->direction, state->from_gradient, n);
    if (!(curvature > -epsilon * step * slope)) return;
    state->newest = (state->newest + 1) % state->memory;
    state->n_pairs = size_min(state->n_pairs + 1, state->memory);
    k->combine(step, state->direction, 0, state->direction, pair(p, 0, 0), n);
    memcpy(pair(p, 0, 1), state->from_gradient, block_bytes(p->f.pass.net));
    *of_pair(p, state->weights, 0) = 1 / curvature;
    state->scale = curvature / k->dot(pair(p, 0, 1), pair(p, 0, 1), n);
}

/* -- the search -------------------------------------------------------------------------------------------------- */

static fml_status evaluate(const problem *p, double *loss) {
    p->state->n_evaluations++;
    return objective_evaluate(&p->f, loss);
}

/* Goes `step` along the direction and evaluates there. */
static fml_status evaluate_at(const problem *p, double step, double *loss) {
    p->state->n_evaluations++;
    return objective_evaluate_at(&p->f, p->state->from, step, p->state->direction, loss);
}

static double slope_of(const problem *p) {
    const fml_network *net = p->f.pass.net;
    return net->kernels->dot(p->state->direction, p->f.pass.gradient, net->n_packed);
}

/* A step along the direction; *found tells whether there is one, and the trainer is then there. */
static fml_status search(const problem *p, double slope, line_search *s, double *loss, int *found) {
    const fml_network *net = p->f.pass.net;
    const double *h = p->f.trainer->hyper_parameters;
    double weight = p->f.pass.weight, max_evaluations = h[MAX_EVALUATIONS], first = 1;
    search_state state = SEARCH_ON;
    if (p->state->n_pairs == 0) first = 1 / sqrt(-slope); /* of length 1 */
    line_search_begin(s, p->state->loss / weight, slope, first);
    for (double i = 0; i < max_evaluations && state == SEARCH_ON; i++) {
        double at = s->at;
        fml_status status = evaluate_at(p, at, loss);
        if (status != FML_OK && status != FML_LOSS_NOT_FINITE) return status;
        state = status == FML_OK ? line_search_tell(s, *loss / weight, slope_of(p)) : line_search_overflow(s);
        if (state == SEARCH_FOUND) s->at = at;
    }
    if (state != SEARCH_FOUND && line_search_falls(s)) { /* its slope is too large, but there is none better */
        s->at = s->best.step;
        fml_status status = evaluate_at(p, s->at, loss);
        if (status != FML_OK) return status;
        state = SEARCH_FOUND;
    }
    *found = state == SEARCH_FOUND && net->kernels->first_not_finite(p->f.pass.block, net->n_packed) == net->n_packed;
    return FML_OK;
}

/* Parameters and gradient as they were before a search. */
static void go_back(const problem *p) {
    memcpy(p->f.pass.block, p->state->from, block_bytes(p->f.pass.net));
    memcpy(p->f.pass.gradient, p->state->from_gradient, block_bytes(p->f.pass.net));
}

/* -- the iteration ----------------------------------------------------------------------------------------------- */

static int is_flat(const problem *p) {
    const fml_network *net = p->f.pass.net;
    return net->kernels->largest(p->f.pass.gradient, net->n_packed) <=
           p->f.trainer->hyper_parameters[GRADIENT_TOLERANCE];
}

/* Takes the step that was found. */
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

/* One search along -H g, or along -g where that is no way down. */
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
    memcpy(state->from, p->f.pass.block, block_bytes(p->f.pass.net));
    memcpy(state->from_gradient, p->f.pass.gradient, block_bytes(p->f.pass.net));
    line_search s;
    double loss = 0;
    fml_status status = search(p, slope, &s, &loss, found);
    if (status == FML_OK && *found)
        accept(p, s.at, slope, loss);
    else
        go_back(p);
    return status;
}

static fml_status iterate(fml_trainer *trainer, const fml_data *data, size_t rows, double *loss, fml_poll *poll,
                          void *workspace) {
    lbfgs *state = trainer->method_state;
    problem p = {.state = state, .f = objective_of(trainer, data, rows, poll, workspace)};
    if (!state->known) {
        fml_status status = evaluate(&p, &state->loss);
        if (status != FML_OK) return status;
        state->known = 1;
    }
    *loss = state->loss;
    state->converged = is_flat(&p);
    int found = 0;
    while (!found && !state->converged) {
        int remembered = state->n_pairs > 0;
        fml_status status = try_step(&p, &found);
        if (status != FML_OK) return status;
        if (!found && !remembered) state->converged = 1; /* rounding errors hide what is left */
        if (!found) state->n_pairs = 0;
    }
    return FML_OK;
}

const fml_method fml_lbfgs = {
    .state_size = state_size,
    .begin = begin,
    .meet_data = meet_data,
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
