/* Concurrent calls: several threads predict with the same block, each with its own workspace, while another thread
 * trains a copy of it. All must get the same bits as alone. Under ThreadSanitizer, shared memory that is written is
 * reported. */
#include "naive.h"

#include <pthread.h>
#include <string.h>

enum { N_CALLERS = 4, N_CALLS = 5, N_ROWS = 60 };

typedef struct {
    const model *m;
    const fml_data *data;
    void *output, *workspace;
    fml_trainer *trainer; /* NULL: a prediction */
    uint32_t *order;
} call;

static void *make_calls(void *context) {
    const call *c = context;
    double loss;
    for (int i = 0; i < N_CALLS; i++)
        if (c->trainer == NULL)
            fml_forward(&c->m->net, c->m->block, c->data, NULL, NULL, c->output, c->workspace);
        else
            fml_train_epoch(c->trainer, c->data, 16, c->order, &loss, NULL, c->workspace);
    return NULL;
}

/* A training of a copy of the block; all such trainings start from the same parameters. */
static call make_training(run *r, const model *m, const fml_data *data) {
    size_t size = m->net.n_packed * r->kernels->real_size;
    fml_trainer *trainer = take(r, sizeof *trainer);
    *trainer = (fml_trainer){.net = &m->net,
                             .optimizer = find_optimizer(r->kernels, "adam"),
                             .hyper_parameters = {0.001, 0.9, 0.999, 1e-8},
                             .block = memcpy(take_aligned(r, size), m->block, size),
                             .gradient = take_aligned(r, size),
                             .states = {take_aligned(r, size), take_aligned(r, size)}};
    return (call){.m = m,
                  .data = data,
                  .workspace = take_aligned(r, fml_gradient_workspace(&m->net, 16, 0)),
                  .trainer = trainer,
                  .order = take(r, N_ROWS * sizeof(uint32_t))};
}

static call make_prediction(run *r, const model *m, const fml_data *data) {
    return (call){.m = m,
                  .data = data,
                  .output = take_reals(r, N_ROWS * m->O),
                  .workspace = take_aligned(r, fml_forward_workspace(&m->net, N_ROWS))};
}

static void check_design(run *r, const design *wanted, size_t n_threads) {
    model *m = make_model(r, wanted, n_threads, 1);
    fml_data data = make_data(r, m, N_ROWS, VALUES, 2);
    pthread_t threads[N_CALLERS];
    call calls[N_CALLERS], prediction = make_prediction(r, m, &data), training = make_training(r, m, &data);
    make_calls(&prediction);
    make_calls(&training);
    for (size_t i = 0; i < N_CALLERS; i++) {
        calls[i] = i == 0 ? make_training(r, m, &data) : make_prediction(r, m, &data);
        check(r, pthread_create(&threads[i], NULL, make_calls, &calls[i]) == 0, "thread %zu", i);
    }
    for (size_t i = 0; i < N_CALLERS; i++) pthread_join(threads[i], NULL);
    check_same_reals(r, calls[0].trainer->block, training.trainer->block, m->net.n_packed, "%s: training", m->name);
    for (size_t i = 1; i < N_CALLERS; i++)
        check_same_reals(r, calls[i].output, prediction.output, N_ROWS * m->O, "%s: prediction %zu", m->name, i);
    release(r, 0);
}

void check_concurrency(run *r) {
    for (size_t i = 0; i < N_THREAD_COUNTS; i++)
        for (size_t d = 0; d < N_DESIGNS; d++)
            if (!left_out(r, d + i, 3)) check_design(r, &DESIGNS[d], THREAD_COUNTS[i]);
}
