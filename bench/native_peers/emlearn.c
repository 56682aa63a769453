/* The peer of native.py that is emlearn's C: the public header eml_net.h. */
#include "peer.h"

#include <eml_net.h>

#include <stdlib.h>
#include <string.h>

typedef struct {
    EmlNet net;
    EmlNetLayer layers[LAYERS];
} peer;

static EmlNetActivationFunction function(const char *name) {
    static const struct {
        const char *name;
        EmlNetActivationFunction function;
    } NAMES[] = {{"relu", EmlNetActivationRelu}, {"sigmoid", EmlNetActivationLogistic}, {"tanh", EmlNetActivationTanh}};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (strcmp(name, NAMES[i].name) == 0) return NAMES[i].function;
    return EmlNetActivationIdentity;
}

void *peer_open(const float *P, const char *option) {
    static const int32_t sizes[] = {SIZES};
    peer *p = calloc(1, sizeof *p);
    int32_t widest = 0;
    (void)option;
    for (int l = 0; l < LAYERS; l++) {
        int32_t I = sizes[l], O = sizes[l + 1];
        float *w = malloc((size_t)I * (size_t)O * sizeof *w), *b = malloc((size_t)O * sizeof *b);
        for (int32_t o = 0; o < O; o++)
            for (int32_t i = 0; i < I; i++) w[i * O + o] = P[o * I + i];
        P += I * O;
        memcpy(b, P, (size_t)O * sizeof *b);
        P += O;
        p->layers[l] = (EmlNetLayer){O, I, w, b, function(l + 1 < LAYERS ? HIDDEN : OUTPUT)};
        widest = I > widest ? I : widest;
        widest = O > widest ? O : widest;
    }
    size_t bytes = (size_t)widest * sizeof(float);
    p->net = (EmlNet){LAYERS, p->layers, malloc(bytes), malloc(bytes), widest};
    return p;
}

void peer_row(const float *x, float *y, void *context) {
    static const int32_t sizes[] = {SIZES};
    eml_net_regress(&((peer *)context)->net, x, sizes[0], y, sizes[LAYERS]);
}
