/* Training: one optimiser step, and one epoch of them.
 *
 * The rows of a batch are gathered by network.c from the shuffled order, so an epoch copies each row once. A step
 * changes the parameters only when its whole gradient is there and its loss is finite; an epoch that ends early
 * leaves whole steps behind. */
#include "fastmlp.h"
#include "float_mode.h"

fml_status fml_train_step(fml_trainer *trainer, const fml_data *data, const uint32_t *order, size_t rows, size_t n_next,
                          double *loss, fml_poll *poll, void *workspace) {
    const fml_optimizer *optimizer = trainer->optimizer;
    const fml_engine *engine = trainer->net->engine;
    fml_pass pass = {.net = trainer->net,
                     .block = trainer->block,
                     .data = data,
                     .order = order,
                     .rows = rows,
                     .gradient = trainer->gradient,
                     .next = order == NULL ? NULL : order + rows,
                     .n_next = n_next,
                     .poll = poll,
                     .workspace = workspace};
    if (optimizer->plain_rate != NULL && engine->takes_rate && rows <= engine->gradient_rows)
        pass.rate = optimizer->plain_rate(trainer->hyper_parameters);
    fml_status status = fml_gradient(&pass, loss);
    if (status != FML_OK) return status;
    trainer->n_steps++;
    if (pass.rate != 0) return FML_OK;
    float_mode mode = flush_denormals();
    optimizer->step(trainer->block, trainer->gradient, trainer->states, trainer->net->n_packed,
                    trainer->hyper_parameters, trainer->n_steps);
    restore_mode(mode);
    return FML_OK;
}

/* The data from row `first` on. */
static fml_data rows_from(const fml_network *net, const fml_data *data, size_t first) {
    size_t I = net->layers[0].n_inputs, O = net->layers[net->n_layers - 1].n_outputs;
    size_t real_size = net->kernels->real_size;
    fml_data rest = *data;
    rest.x = (const char *)data->x + first * I * (data->bytes ? 1 : real_size);
    rest.n_rows -= first;
    if (data->values != NULL) rest.values = (const char *)data->values + first * O * real_size;
    if (data->labels != NULL) rest.labels = data->labels + first;
    return rest;
}

fml_status fml_train_epoch(fml_trainer *trainer, const fml_data *data, size_t batch_size, uint32_t *order, double *loss,
                           fml_poll *poll, void *workspace) {
    fml_status status = FML_OK;
    *loss = 0;
    if (order != NULL) fml_random_order(&trainer->random, order, data->n_rows);
    for (size_t first = 0; first < data->n_rows && status == FML_OK; first += batch_size) {
        size_t rows = data->n_rows - first < batch_size ? data->n_rows - first : batch_size;
        size_t rest_rows = data->n_rows - first - rows, n_next = rest_rows < batch_size ? rest_rows : batch_size;
        double batch_loss = 0;
        if (order != NULL)
            status = fml_train_step(trainer, data, order + first, rows, n_next, &batch_loss, poll, workspace);
        else {
            fml_data rest = rows_from(trainer->net, data, first);
            status = fml_train_step(trainer, &rest, NULL, rows, 0, &batch_loss, poll, workspace);
        }
        *loss += batch_loss;
    }
    return status;
}
