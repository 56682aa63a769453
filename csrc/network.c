/* The layout of a network's parameters in a block, and copying the parameter vector P into a block and out of it. */
#include "pass_common.h"
#include "row_program.h"

void fml_network_lay_out(fml_network *net) {
    size_t line = FML_ALIGNMENT / net->kernels->real_size, offset = 0;
    net->n_parameters = net->multiply_adds = 0;
    net->widest = net->layers[0].n_inputs;
    for (size_t l = 0; l < net->n_layers; l++) {
        fml_layer *layer = &net->layers[l];
        layer->weights = offset;
        offset += padded(net->engine->packed_weights(layer->n_inputs, layer->n_outputs), line);
        layer->biases = offset;
        offset += padded(layer->n_outputs, line);
        net->n_parameters += (layer->n_inputs + 1) * layer->n_outputs;
        net->multiply_adds += layer->n_inputs * layer->n_outputs;
        net->widest = size_max(net->widest, layer->n_outputs);
    }
    net->n_packed = offset;
    build_row_program(net);
}

void fml_network_pack(const fml_network *net, const void *P, void *block) {
    for (size_t l = 0; l < net->n_layers; l++) {
        const fml_layer *layer = &net->layers[l];
        const void *b = reals(net, P, layer->n_inputs * layer->n_outputs);
        net->engine->pack(net, l, P, b, block);
        P = reals(net, b, layer->n_outputs);
    }
}

void fml_network_unpack(const fml_network *net, const void *block, void *P) {
    for (size_t l = 0; l < net->n_layers; l++) {
        const fml_layer *layer = &net->layers[l];
        void *b = reals(net, P, layer->n_inputs * layer->n_outputs);
        net->engine->unpack(net, l, block, P, b);
        P = reals(net, b, layer->n_outputs);
    }
}
