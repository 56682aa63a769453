/* What a peer of native.py that is compiled gives: its network, for one workload. The workload comes as macros:
 *
 *   LAYERS        the number of layers
 *   SIZES         the number of inputs and those of outputs of each layer, such as 10, 32, 32, 1
 *   HIDDEN, OUTPUT   the names of the activations, as strings
 */
#ifndef PEER_H
#define PEER_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Make the network with the parameters P (w (O, I), b (O,) of each layer); `option` is the peer's own. */
void *peer_open(const float *P, const char *option);
/* y = the network's outputs for the row x, which is aligned to 64 bytes. */
void peer_row(const float *x, float *y, void *context);

#ifdef __cplusplus
}
#endif

#endif
