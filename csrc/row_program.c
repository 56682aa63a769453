/* The row program: what the prediction of a single row does, fixed when the network is laid out.
 *
 * It is a sequence of steps, each the function that computes one layer, or several. A step is kept in the layer that it
 * begins with, so that a copy of the layers has the program, too. An engine chooses a layer's step by its shape and
 * activation; for a layer for which it has none, and for an engine without steps, the step is a call of the engine's
 * forward_layer. Steps find the parameters by offsets in a block, because a network's parameters are published block by
 * block. */
#include "row_program.h"

#include "pass_common.h"

/* The step for which forward_layer is called. */
static void run_layer(const fml_network *net, const fml_layer *layer, const void *block, const void *x, void *y) {
    net->engine->forward_layer(net, (size_t)(layer - net->layers), block, x, 0, 1, NULL, y, 0, 0);
}

void build_row_program(fml_network *net) {
    const fml_engine *engine = net->engine;
    for (size_t l = 0; l < net->n_layers; l++) {
        fml_row_step step = {NULL, 1, 0};
        if (engine->row_step != NULL) step = engine->row_step(net, l);
        if (step.run == NULL) step = (fml_row_step){run_layer, 1, 0};
        step.is_last = l + (size_t)step.n_layers == net->n_layers;
        net->layers[l].row = step;
    }
    net->row_buffer = padded(net->widest * net->kernels->real_size, FML_ALIGNMENT);
}

size_t fml_row_workspace(const fml_network *net) { return 2 * net->row_buffer; }

void fml_forward_row(const fml_network *net, const void *block, const void *x, void *y, void *workspace) {
    const float_mode before = current_mode();
    const int flushes = (before & FLUSH) == FLUSH;
    char *to = workspace, *other = to + net->row_buffer;
    const fml_layer *layer = net->layers;
    if (!flushes) restore_mode(before | FLUSH);
    while (!layer->row.is_last) {
        layer->row.run(net, layer, block, x, to);
        layer += layer->row.n_layers;
        x = to;
        to = other;
        other = (char *)(uintptr_t)x;
    }
    layer->row.run(net, layer, block, x, y);
    if (!flushes) restore_mode(before);
}
