/* Regularisation: what a step does beside following the gradient of the loss. Private to train.c, objective.c and
 * backward.c, which call these functions only if a trainer has a regularisation.
 *
 * The order of a step: noise and dropout (in backward.c); the penalty and its gradient; clipping of the gradient;
 * weight decay; the optimiser's update; limits of the weights' norms; the average. All results have the same bits for
 * any number of threads. */
#ifndef FASTMLP_REGULARIZATION_H
#define FASTMLP_REGULARIZATION_H

#include "pass_common.h"

/* The penalty l1 sum |w| + l2 / 2 sum w^2 over the weights of all layers, for a batch of the total weight `weight`. */
double fml_penalty(const fml_network *net, const fml_regularization *r, const void *block, double weight);
/* Set the shaping of weights [0] and of biases [1] for a step with the learning rate `rate` on a batch of the total
 * weight `weight`; returns whether it changes anything. */
int fml_shaping_of(const fml_regularization *r, double weight, double rate, fml_shaping shaping[2]);
/* Apply a shaping to the elements begin ... begin + n - 1 of the blocks `block` and `gradient`. */
void fml_shape(const fml_network *net, const fml_shaping shaping[2], void *block, void *gradient, size_t begin,
               size_t n);
/* The factor that scales the gradient down to the norm max_norm; 1 if its norm is not larger. If a norm is out of the
 * dtype's range, the gradient itself is first scaled, and the factor is for the scaled gradient. */
double fml_limiting_factor(const fml_network *net, void *gradient, double max_norm);
/* Limit the norms of weights and update the average, after the optimiser's update of step n_steps = 1, 2, ... */
void fml_end_step(const fml_network *net, const fml_regularization *r, void *block, uint64_t n_steps, size_t n_threads);

/* Whether the inputs get noise or dropout. */
static inline int draws_for_inputs(const fml_regularization *r) {
    return r != NULL && (r->input_noise > 0 || r->input_dropout > 0);
}
/* The dropout rate of the outputs of layer l; 0 for the last layer. */
static inline double dropout_of(const fml_regularization *r, const fml_network *net, size_t l) {
    return r == NULL || r->dropout == NULL || l + 1 == net->n_layers ? 0 : r->dropout[l];
}
/* Apply noise and dropout to the inputs x (rows, I) with the row stride x_row; they are the rows first, first + 1, ...
 * of the batch. */
void fml_perturb_inputs(const fml_pass *pass, size_t first, size_t rows, void *x, size_t x_row);
/* y = x with the dropout of the outputs of layer l; both (rows, O) with the row stride `row`; y may be x. They are the
 * rows first, first + 1, ... of the batch. */
void fml_drop(const fml_pass *pass, size_t l, size_t first, size_t rows, const void *x, void *y, size_t row);

#endif
