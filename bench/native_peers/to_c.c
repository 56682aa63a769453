/* The peer of native.py that is a file of Network.to_c, compiled beside this one. The parameters are in it. */
#include "peer.h"

void predict(const float *x, float *y);

void *peer_open(const float *P, const char *option) {
    static char opened;
    (void)P;
    (void)option;
    return &opened;
}

void peer_row(const float *x, float *y, void *context) {
    (void)context;
    predict(x, y);
}
