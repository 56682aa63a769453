/* Schedules of the learning rate: each rate against its definition in long double; and a trainer with a schedule takes
 * the same steps as one whose learning rate is set before each step. */
#include "naive.h"

#include <math.h>
#include <string.h>

enum { N_STEPS = 120 };
static const long double PI = 3.14159265358979323846264338327950288L;

typedef struct {
    const char *name;
    double h[FML_MAX_HYPER_PARAMETERS];
    void (*rates)(const double *h, long double *rates); /* computes the rates of steps 0 ... N_STEPS - 1 */
} schedule_case;

static void constant(const double *h, long double *rates) {
    for (int t = 0; t < N_STEPS; t++) rates[t] = h[0];
}

/* h: rate, step size, gamma. The rate is multiplied by gamma after every `step size` steps. */
static void step(const double *h, long double *rates) {
    long double rate = h[0];
    for (int t = 0; t < N_STEPS; t++) {
        if (t > 0 && t % (int)h[1] == 0) rate *= h[2];
        rates[t] = rate;
    }
}

/* h: rate, gamma. The rate is multiplied by gamma after every step. */
static void exponential(const double *h, long double *rates) {
    const double every_step[] = {h[0], 1, h[1]};
    step(every_step, rates);
}

/* h: rate r, power. r / (t + 1)^power. */
static void inverse_scaling(const double *h, long double *rates) {
    for (int t = 0; t < N_STEPS; t++) rates[t] = h[0] * expl(-h[1] * logl(t + 1));
}

/* A phase from the rate `from` at step `begin` to the rate `to` at step `end`, linear or along half a cosine. */
typedef struct {
    long double begin, end, from, to;
    int linear;
} phase;

/* The rates of phases, one after another; after the last phase, the rate stays at its end. */
static void follow(const phase *phases, size_t n, long double *rates) {
    for (int t = 0; t < N_STEPS; t++) {
        size_t k = 0;
        while (k + 1 < n && t > phases[k].end) k++;
        const phase *p = &phases[k];
        long double u = (fminl(t, p->end) - p->begin) / (p->end - p->begin);
        if (!p->linear) u = sinl(PI * u / 2) * sinl(PI * u / 2); /* (1 - cos pi u) / 2 */
        rates[t] = p->from + (p->to - p->from) * u;
    }
}

/* h: rate, steps, warm-up steps, first rate, final rate. */
static void cosine(const double *h, long double *rates) {
    const phase phases[] = {{0, h[2], h[3], h[0], 1}, {h[2], h[1], h[0], h[4], 0}};
    size_t first = h[2] == 0;
    follow(phases + first, 2 - first, rates);
}

/* h: rate, steps, fraction of the rise, rate / first rate, first rate / last rate, linear, three phases. */
static void one_cycle(const double *h, long double *rates) {
    long double last = h[1] - 1, peak = (long double)h[2] * h[1] - 1, first_rate = (long double)h[0] / h[3];
    long double last_rate = first_rate / h[4], back = 2 * (long double)h[2] * h[1] - 2;
    int linear = h[5] != 0;
    const phase two[] = {{0, peak, first_rate, h[0], linear}, {peak, last, h[0], last_rate, linear}};
    const phase three[] = {two[0], {peak, back, h[0], first_rate, linear}, {back, last, first_rate, last_rate, linear}};
    follow(h[6] != 0 ? three : two, h[6] != 0 ? 3 : 2, rates);
}

static const schedule_case CASES[] = {
    {"constant", {0.3}, constant},
    {"step", {0.1, 7, 0.5}, step},
    {"step", {0.1, 1, 0.97}, step},
    {"exponential", {0.2, 0.9}, exponential},
    {"exponential", {0.2, 1}, exponential},
    {"inverse_scaling", {0.1, 0.5}, inverse_scaling},
    {"inverse_scaling", {0.1, 2}, inverse_scaling},
    {"cosine", {0.1, 100, 0, 0, 0}, cosine},
    {"cosine", {0.1, 100, 10, 0.001, 0.01}, cosine},
    {"one_cycle", {0.1, 100, 0.3, 25, 1e4, 0, 0}, one_cycle},
    {"one_cycle", {0.1, 90, 0.25, 10, 100, 1, 0}, one_cycle},
    {"one_cycle", {0.1, 100, 0.3, 25, 1e4, 0, 1}, one_cycle},
    {"one_cycle", {0.1, 90, 0.25, 10, 100, 1, 1}, one_cycle},
};

/* Check the rates. The core computes in double, with a few rounding errors: relative to the rate for powers and
 * products, relative to h[0], the largest rate, for interpolations. */
static void check_rates(run *r, const schedule_case *c) {
    const fml_schedule *schedule = find_schedule(c->name);
    long double rates[N_STEPS];
    c->rates(c->h, rates);
    int is_way = strcmp(c->name, "cosine") == 0 || strcmp(c->name, "one_cycle") == 0, t = 0;
    while (t < N_STEPS) {
        long double size = is_way ? c->h[0] : rates[t];
        if (!(fabsl(schedule->rate(c->h, (uint64_t)t) - rates[t]) <= 16 * 0x1p-53L * size)) break;
        t++;
    }
    check(r, t == N_STEPS, "%s(%g, %g, %g): the rate at step %d", c->name, c->h[0], c->h[1], c->h[2], t);
}

/* -- a trainer with a schedule ----------------------------------------------------------------------------------- */

enum { ROWS = 21, TAKEN = 5 };

static fml_trainer make_trainer(run *r, const model *m) {
    size_t size = m->net.n_packed * r->kernels->real_size;
    return (fml_trainer){.net = &m->net,
                         .optimizer = find_optimizer(r->kernels, "sgd"),
                         .hyper_parameters = {1, 0.5},
                         .block = memcpy(take_aligned(r, size), m->block, size),
                         .gradient = take_aligned(r, size),
                         .states = {take_aligned(r, size)}};
}

/* Check that three trainers take the same steps: with a schedule, with an array of rates, and with the rate set. */
static void check_trainer(run *r, const schedule_case *c) {
    static const design WANTED = {{5, 17, 3}, "tanh", "identity", "mse"};
    model *m = make_model(r, &WANTED, 1, 1);
    fml_data data = make_data(r, m, ROWS, VALUES, 2);
    void *workspace = take_aligned(r, fml_gradient_workspace(&m->net, ROWS, 0));
    fml_trainer scheduled = make_trainer(r, m), listed = make_trainer(r, m), by_hand = make_trainer(r, m);
    double rates[TAKEN], loss;
    scheduled.n_steps = listed.n_steps = by_hand.n_steps = listed.first_rate = 7;
    scheduled.schedule = find_schedule(c->name);
    memcpy(scheduled.schedule_parameters, c->h, sizeof c->h);
    for (uint64_t t = 0; t < TAKEN; t++) rates[t] = scheduled.schedule->rate(c->h, 7 + t);
    listed.rates = rates;
    for (size_t t = 0; t < TAKEN; t++) {
        by_hand.hyper_parameters[0] = rates[t];
        fml_trainer *const all[] = {&scheduled, &listed, &by_hand};
        for (size_t i = 0; i < LENGTH_OF(all); i++)
            fml_train_step(all[i], &data, NULL, ROWS, 0, &loss, NULL, workspace);
    }
    check_same_reals(r, scheduled.block, by_hand.block, m->net.n_packed, "%s: parameters by the schedule", c->name);
    check_same_reals(r, listed.block, by_hand.block, m->net.n_packed, "%s: parameters by its rates", c->name);
    release(r, 0);
}

void check_schedules(run *r) {
    check(r, find_schedule("none") == NULL, "a schedule that there is not");
    for (size_t k = 0; k < LENGTH_OF(CASES); k++) {
        check_rates(r, &CASES[k]);
        check_trainer(r, &CASES[k]);
    }
}
