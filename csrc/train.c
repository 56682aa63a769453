/* Training: one optimiser step (fml_train_step), the steps of some of an epoch's rows, and those of a whole epoch.
 *
 * The backward pass reads the rows of a batch through the shuffled order, so that an epoch copies each row once. A step
 * either changes the parameters completely or not at all: it begins to change them when the loss is known to be finite
 * and the caller has not asked to stop. An epoch that ends early has therefore taken complete steps only.
 *
 * Where the engine can (fml_updates_in_pass), the backward pass applies the update to each part of the gradient while
 * that part is in the cache; the gradient of a batch of one piece is then never written to memory. Otherwise, and where
 * something needs the whole gradient before the update (needs_whole_gradient: the limit of its norm), the update runs
 * after the pass, shared by threads. What regularisation adds is in regularization.c, which is only called where there
 * is a regularisation. */
#include "method.h"
#include "pass_common.h"
#include "regularization.h"

#include <math.h>
#include <string.h>

/* The least number of parameters for which another thread takes part in an update. */
enum { MIN_SHARE = 1 << 12 };

/* An update that runs after the backward pass: each thread updates its share of the parameters. */
typedef struct {
    const fml_trainer *trainer;
    const fml_update *update;
    size_t n_threads;
} late_step;

/* The index of the first parameter of share i; *n is set to the number of its parameters. */
static size_t share(const late_step *late, size_t i, size_t *n) {
    const fml_network *net = late->trainer->net;
    size_t line = FML_ALIGNMENT / net->kernels->real_size;
    size_t begin = part_begin(net->n_packed, line, i, late->n_threads);
    *n = part_begin(net->n_packed, line, i + 1, late->n_threads) - begin;
    return begin;
}

static void shape_task(void *context, size_t i) {
    const late_step *late = context;
    const fml_trainer *trainer = late->trainer;
    size_t n, begin = share(late, i, &n);
    fml_shape(trainer->net, late->update->shaping, trainer->block, trainer->gradient, begin, n);
}

static void late_step_task(void *context, size_t i) {
    const late_step *late = context;
    const fml_trainer *trainer = late->trainer;
    const fml_network *net = trainer->net;
    size_t n, begin = share(late, i, &n);
    void *states[FML_MAX_STATES] = {NULL};
    if (late->update->shaping != NULL) shape_task(context, i);
    for (int k = 0; k < trainer->optimizer->n_states; k++) states[k] = reals(net, trainer->states[k], begin);
    trainer->optimizer->step(reals(net, trainer->block, begin), reals(net, trainer->gradient, begin), states, n,
                             late->update->scalars);
}

/* Whether something has to see the whole gradient of a batch between the backward pass and the update. */
static int needs_whole_gradient(const fml_trainer *trainer) {
    const fml_regularization *r = trainer->regularization;
    return r != NULL && r->clip_norm < INFINITY;
}

/* The place between the backward pass and the update, where that happens. The gradient belongs to the weight that the
 * pass was given, and is not yet shaped. Here it is shaped and its norm is limited: what is then left to be done to it
 * takes the place of the shaping. */
static void whole_gradient(late_step *late, fml_update *update, fml_shaping scaling[2]) {
    const fml_trainer *trainer = late->trainer;
    if (update->shaping != NULL) run(late->n_threads, shape_task, late);
    double factor = fml_limiting_factor(trainer->net, trainer->gradient, trainer->regularization->clip_norm);
    scaling[0] = scaling[1] = (fml_shaping){.limit = INFINITY, .scale = factor, .kept = 1};
    update->shaping = factor != 1 ? scaling : NULL;
}

/* Completes a step after its backward pass: the update, unless the pass has applied it, and what regularisation does to
 * the parameters after an update. */
static void finish_step(fml_trainer *trainer, fml_update *update, size_t rows, int updated) {
    const fml_regularization *r = trainer->regularization;
    size_t shares = 1 + trainer->net->n_packed / MIN_SHARE;
    late_step late = {trainer, update, size_min(threads_for(trainer->net, rows), shares)};
    fml_shaping scaling[2];
    float_mode mode = flush_denormals();
    if (needs_whole_gradient(trainer)) whole_gradient(&late, update, scaling);
    if (!updated) run(late.n_threads, late_step_task, &late);
    if (r != NULL) fml_end_step(trainer->net, r, trainer->block, trainer->n_steps, late.n_threads);
    trainer->suspect |= late.n_threads > 1 || exceptions_raised();
    restore_mode(mode);
}

/* Computes the scalars of the next step from the hyper-parameters, with the learning rate of that step. */
static void prepare_step(fml_trainer *trainer, fml_update *update) {
    const fml_optimizer *optimizer = trainer->optimizer;
    double *h = trainer->hyper_parameters;
    uint64_t n_steps = trainer->n_steps;
    if (trainer->schedule != NULL) h[0] = trainer->schedule->rate(trainer->schedule_parameters, n_steps);
    if (trainer->rates != NULL) h[0] = trainer->rates[n_steps - trainer->first_rate];
    memcpy(update->scalars, trainer->scalars, sizeof update->scalars);
    optimizer->prepare(h, n_steps + 1, update->scalars);
    if (optimizer->plain_rate != NULL) update->rate = optimizer->plain_rate(h);
}

/* Sets what the regularisation does to the gradient of a batch of that weight; returns the penalty. */
static double regularize(const fml_trainer *trainer, double weight, fml_update *update, fml_shaping shaping[2]) {
    const fml_regularization *r = trainer->regularization;
    if (fml_shaping_of(r, weight, trainer->hyper_parameters[0], shaping)) update->shaping = shaping;
    return fml_penalty(trainer->net, r, trainer->block, weight);
}

fml_status fml_train_step(fml_trainer *trainer, const fml_data *data, const uint32_t *order, size_t rows, size_t n_next,
                          double *loss, fml_poll *poll, void *workspace) {
    const fml_regularization *r = trainer->regularization;
    const fml_method *method = trainer->optimizer->method;
    /* Overflows on the engine's own threads and in the factors of a regularisation raise no flag of this thread. */
    trainer->suspect |= !trainer->net->engine->takes_threads || r != NULL || method != NULL;
    if (method != NULL) return method->iterate(trainer, data, rows, loss, poll, workspace);
    fml_update update = {.optimizer = trainer->optimizer, .states = trainer->states};
    fml_shaping shaping[2];
    fml_pass pass = {.net = trainer->net,
                     .block = trainer->block,
                     .data = data,
                     .order = order,
                     .rows = rows,
                     .weight = fml_total_weight(data, order, rows),
                     .gradient = trainer->gradient,
                     .n_next = n_next,
                     .poll = poll,
                     .workspace = workspace,
                     .regularization = r,
                     .n_steps = trainer->n_steps,
                     .suspect = &trainer->suspect};
    prepare_step(trainer, &update);
    double penalty = 0;
    if (r != NULL && pass.weight > 0) penalty = regularize(trainer, pass.weight, &update, shaping);
    int finite = penalty - penalty == 0,
        in_pass = fml_updates_in_pass(trainer->net, rows) && !needs_whole_gradient(trainer);
    if (pass.weight > 0 && finite && in_pass) pass.update = &update;
    fml_status status = fml_gradient(&pass, loss);
    if (status != FML_OK || pass.weight == 0) return status;
    *loss += pass.weight * penalty;
    if (!finite) return FML_LOSS_NOT_FINITE;
    trainer->n_steps++;
    memcpy(trainer->scalars, update.scalars, sizeof update.scalars);
    if (pass.update == NULL || r != NULL) finish_step(trainer, &update, rows, pass.update != NULL);
    return FML_OK;
}

/* The data without their first rows. */
static fml_data rows_from(const fml_network *net, const fml_data *data, size_t first) {
    fml_data rest = *data;
    if (data->x_rows != NULL)
        rest.x_rows = data->x_rows + first;
    else if (data->begins != NULL)
        rest.begins = data->begins + first;
    else
        rest.x = (const char *)data->x + first * row_bytes(net, data);
    rest.n_rows -= first;
    if (data->values != NULL)
        rest.values = (const char *)data->values + first * net->n_targets * element_size(net, data->values_element);
    if (data->labels != NULL) rest.labels = data->labels + first;
    if (data->weights != NULL) rest.weights = data->weights + first;
    return rest;
}

fml_status fml_train_rows(fml_trainer *trainer, const fml_data *data, size_t batch_size, const uint32_t *order,
                          size_t *first, size_t end, double *loss, fml_poll *poll, void *workspace) {
    while (*first < end) {
        size_t rows = size_min(batch_size, data->n_rows - *first);
        size_t n_next = size_min(batch_size, data->n_rows - *first - rows);
        double batch_loss = 0;
        fml_status status;
        if (order != NULL)
            status = fml_train_step(trainer, data, order + *first, rows, n_next, &batch_loss, poll, workspace);
        else {
            fml_data rest = rows_from(trainer->net, data, *first);
            status = fml_train_step(trainer, &rest, NULL, rows, 0, &batch_loss, poll, workspace);
        }
        if (status != FML_OK) return status;
        *loss += batch_loss;
        *first += rows;
    }
    return FML_OK;
}

fml_status fml_train_blocks(fml_trainer *trainer, const fml_data *data, size_t batch_size, fml_block_order *order,
                            int advise, size_t *first, size_t end, double *loss, fml_poll *poll, void *workspace) {
    fml_data known = *data;
    fml_status status = FML_OK;
    while (*first < end && status == FML_OK) {
        size_t last = size_min(*first + batch_size, data->n_rows), at_hand = order->first + order->n;
        fml_block_order_reach(order, *first, last);
        if (advise && order->first + order->n > at_hand)
            fml_block_order_advise(order, data->x, row_bytes(trainer->net, data));
        at_hand = order->first + order->n;
        size_t stop = end, begin = *first - order->first, at = begin;
        if (at_hand < data->n_rows) stop = size_min(end, *first + (at_hand - *first) / batch_size * batch_size);
        known.n_rows = order->n;
        status =
            fml_train_rows(trainer, &known, batch_size, order->rows, &at, at + stop - *first, loss, poll, workspace);
        *first += at - begin;
    }
    return status;
}

fml_status fml_train_epoch(fml_trainer *trainer, const fml_data *data, size_t batch_size, uint32_t *order, double *loss,
                           fml_poll *poll, void *workspace) {
    size_t first = 0;
    *loss = 0;
    if (order != NULL) fml_random_order(&trainer->random, order, data->n_rows);
    return fml_train_rows(trainer, data, batch_size, order, &first, data->n_rows, loss, poll, workspace);
}
