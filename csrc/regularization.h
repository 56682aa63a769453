/* What regularisation does to a step, around the optimiser's update.
 *
 * Private to train.c, objective.c and backward.c, which call it only where a trainer has a regularisation. In the order
 * of a step: what rows get at random (backward.c), the penalty and its gradient, limits of the gradient, decay of the
 * weights, [the update], limits of the weights, the average. Every result is the same for any number of threads. */
#ifndef FASTMLP_REGULARIZATION_H
#define FASTMLP_REGULARIZATION_H

#include "pass_common.h"

/* l1 sum |w| + l2 / 2 sum w^2 over the weights of all layers, for a batch of that weight. */
double fml_penalty(const fml_network *net, const fml_regularization *r, const void *block, double weight);
/* What the step of that learning rate does to the gradients of weights [0] and of biases [1]; whether it does anything.
 */
int fml_shaping_of(const fml_regularization *r, double weight, double rate, fml_shaping shaping[2]);
/* Shapes n reals of a gradient, and their parameters, from real `begin` of both blocks on. */
void fml_shape(const fml_network *net, const fml_shaping shaping[2], void *block, void *gradient, size_t begin,
               size_t n);
/* The factor that takes the whole gradient, which may be scaled for it, to at most the length `max_norm`. */
double fml_limiting_factor(const fml_network *net, void *gradient, double max_norm);
/* After the update of step number n_steps (from 1 on): norms of weights, and the average. */
void fml_end_step(const fml_network *net, const fml_regularization *r, void *block, uint64_t n_steps, size_t n_threads);

/* What is drawn for the rows of a batch. */
static inline int draws_for_inputs(const fml_regularization *r) {
    return r != NULL && (r->input_noise > 0 || r->input_dropout > 0);
}
static inline double dropout_of(const fml_regularization *r, const fml_network *net, size_t l) {
    return r == NULL || r->dropout == NULL || l + 1 == net->n_layers ? 0 : r->dropout[l];
}
/* Noise and dropout of the inputs x (rows, I), x_row reals apart; first: the place of the first of them in the batch.
 */
void fml_disturb_inputs(const fml_pass *pass, size_t first, size_t rows, void *x, size_t x_row);
/* y (rows, O) = dropout of x, both `row` reals apart, with the masks of the outputs of layer l; y may be x. */
void fml_drop(const fml_pass *pass, size_t l, size_t first, size_t rows, const void *x, void *y, size_t row);

#endif
