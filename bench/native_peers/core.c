/* The peer of native.py that is fastmlp's own C core: fml_forward_row, called directly. The option is the ISA. */
#include "peer.h"

#include "../../tests/core/find.h"

#include <stdlib.h>

typedef struct {
    fml_network net;
    fml_layer layers[LAYERS];
    void *block, *workspace;
} peer;

void *peer_open(const float *P, const char *isa) {
    static const size_t sizes[] = {SIZES};
    peer *p = fml_allocate(sizeof *p);
    p->net = (fml_network){.kernels = find_kernels(isa, FML_F32), .n_layers = LAYERS, .layers = p->layers};
    if (p->net.kernels == NULL) return NULL;
    p->net.engine = p->net.kernels->native;
    for (size_t l = 0; l < LAYERS; l++) {
        const fml_activation *f = find_activation(p->net.kernels, l + 1 < LAYERS ? HIDDEN : OUTPUT);
        p->layers[l] = (fml_layer){.n_inputs = sizes[l], .n_outputs = sizes[l + 1], .activation = f};
        p->layers[l].hyper_parameters[0] = 1; /* beta of the sigmoid */
    }
    fml_network_lay_out(&p->net);
    p->block = fml_allocate(p->net.n_packed * sizeof(float));
    p->workspace = fml_allocate(fml_row_workspace(&p->net));
    fml_network_pack(&p->net, P, p->block);
    return p;
}

void peer_row(const float *x, float *y, void *context) {
    const peer *p = context;
    fml_forward_row(&p->net, p->block, x, y, p->workspace);
}
