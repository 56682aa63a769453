/* A deterministic program that makes one pass through a network, whose instructions instructions.py counts.
 *
 *     instructions ISA DTYPE SIZES ACTIVATION OUTPUT LOSS ROWS [BATCH OPTIMIZER HYPER-PARAMETER ...]
 *
 * It predicts ROWS rows (a single row by fml_forward_row) or, with an optimiser, trains one shuffled epoch on them, on
 * one thread. SIZES is a list such as 784,30,10. The rows are dense and uniform in [0, 1); a network with several
 * outputs has labels. The instructions to count are those of the function `counted` and what it calls. Exit status 2:
 * this processor lacks the ISA. */
#include "../tests/core/find.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LAYERS = 8 };

typedef struct {
    fml_network net;
    fml_layer layers[MAX_LAYERS];
    fml_trainer trainer;
    fml_data data;
    size_t batch_size; /* 0: predict */
    uint32_t *order;
    void *block, *output, *workspace;
} job;

static void *allocated(size_t bytes) {
    void *memory = fml_allocate(bytes);
    if (memory == NULL) exit(1);
    return memory;
}

static void *uniform(const fml_kernels *kernels, size_t n, double low, double high, uint64_t *random) {
    void *reals = allocated(n * kernels->real_size);
    for (size_t i = 0; i < n; i++) {
        double value = low + (high - low) * fml_random_uniform(random);
        if (kernels->dtype == FML_F32)
            ((float *)reals)[i] = (float)value;
        else
            ((double *)reals)[i] = value;
    }
    return reals;
}

/* Set the layers from sizes such as "784,30,10", with their activations. */
static void set_layers(job *j, const char *sizes, const char *hidden, const char *output) {
    char *rest;
    size_t I = strtoul(sizes, &rest, 10);
    while (*rest == ',' && j->net.n_layers < MAX_LAYERS) {
        size_t O = strtoul(rest + 1, &rest, 10);
        const fml_activation *f = find_activation(j->net.kernels, *rest == ',' ? hidden : output);
        j->layers[j->net.n_layers++] = (fml_layer){.n_inputs = I, .n_outputs = O, .activation = f};
        j->layers[j->net.n_layers - 1].hyper_parameters[0] = 1; /* beta of the sigmoid */
        I = O;
    }
    j->net.n_targets = I;
    j->net.layers = j->layers;
    fml_network_lay_out(&j->net);
}

static void set_data(job *j, size_t n_rows, uint64_t *random) {
    size_t O = j->layers[j->net.n_layers - 1].n_outputs;
    int64_t *labels = allocated(n_rows * sizeof *labels);
    for (size_t i = 0; i < n_rows; i++) labels[i] = (int64_t)fml_random_below(random, O);
    j->data.x = uniform(j->net.kernels, n_rows * j->layers[0].n_inputs, 0, 1, random);
    j->data.n_rows = n_rows;
    j->data.labels = O > 1 ? labels : NULL;
    j->data.values = O > 1 ? NULL : uniform(j->net.kernels, n_rows, -1, 1, random);
}

static void set_training(job *j, char **words) {
    size_t size = j->net.n_packed * j->net.kernels->real_size;
    j->batch_size = strtoul(words[0], NULL, 10);
    j->trainer = (fml_trainer){.net = &j->net, .optimizer = find_optimizer(j->net.kernels, words[1])};
    for (size_t i = 0; i < FML_MAX_HYPER_PARAMETERS && words[2 + i] != NULL; i++)
        j->trainer.hyper_parameters[i] = atof(words[2 + i]);
    j->trainer.block = j->block;
    j->trainer.gradient = allocated(size);
    for (size_t i = 0; i < FML_MAX_STATES; i++) j->trainer.states[i] = allocated(size);
    j->order = allocated(j->data.n_rows * sizeof *j->order);
    j->workspace = allocated(fml_gradient_workspace(&j->net, j->batch_size, 0));
}

__attribute__((noinline)) void counted(job *j);
void counted(job *j) {
    double loss;
    if (j->batch_size > 0)
        fml_train_epoch(&j->trainer, &j->data, j->batch_size, j->order, &loss, NULL, j->workspace);
    else if (j->data.n_rows == 1)
        fml_forward_row(&j->net, j->block, j->data.x, j->output, j->workspace);
    else
        fml_forward(&j->net, j->block, &j->data, NULL, NULL, j->output, j->workspace);
}

int main(int n_words, char **words) {
    static job j;
    uint64_t random = 0;
    if (n_words < 8) return 1;
    j.net.kernels = find_kernels(words[1], strcmp(words[2], "float32") == 0 ? FML_F32 : FML_F64);
    if (j.net.kernels == NULL) return 2;
    j.net.engine = j.net.kernels->native;
    j.net.loss = find_loss(j.net.kernels, words[6]);
    static const double smoothing = 0;
    j.net.loss_hyper_parameters = &smoothing;
    j.net.n_loss_hyper_parameters = 1;
    j.net.n_threads = 1;
    set_layers(&j, words[3], words[4], words[5]);
    void *P = uniform(j.net.kernels, j.net.n_parameters, -1 / sqrt(j.layers[0].n_inputs),
                      1 / sqrt(j.layers[0].n_inputs), &random);
    j.block = allocated(j.net.n_packed * j.net.kernels->real_size);
    fml_network_pack(&j.net, P, j.block);
    set_data(&j, strtoul(words[7], NULL, 10), &random);
    if (n_words > 8)
        set_training(&j, words + 8);
    else {
        size_t row = fml_row_workspace(&j.net), batch = fml_forward_workspace(&j.net, j.data.n_rows);
        j.workspace = allocated(row > batch ? row : batch);
        j.output = allocated(j.data.n_rows * j.layers[j.net.n_layers - 1].n_outputs * j.net.kernels->real_size);
    }
    counted(&j);
    return 0;
}
