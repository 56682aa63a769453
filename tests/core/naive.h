/* Naive networks, the oracle of the core: loops over single elements in double, where every value has a bound for the
 * error of the core's result.
 *
 * The bounds are derived, not tuned. A sum of n products has an error of at most (n + 2) epsilon times the sum of their
 * absolute values, in any order and with or without fused multiply-adds; an activation that of its kernel (formulas.c);
 * and errors of operands are propagated to results. So bounds hold through layers, gradients and steps, and are small
 * compared with the effect of a mistake in the core. A model is one network in two forms: the core's, and that of this
 * code. */
#ifndef NAIVE_H
#define NAIVE_H

#include "formulas.h"

enum { MAX_LAYERS = 5 };

/* The description of a network. */
typedef struct {
    size_t sizes[MAX_LAYERS + 1]; /* ends with 0 */
    const char *hidden;           /* the activation of the hidden layers; NULL: a different one for each layer */
    const char *output, *loss;
} design;

/* Networks of several depths, with widths around multiples of panels and tiles, and with all activations. */
extern const design DESIGNS[];
extern const size_t N_DESIGNS;
/* Numbers of threads, for each of which the results must have the same bits. */
enum { N_THREAD_COUNTS = 3 };
extern const size_t THREAD_COUNTS[N_THREAD_COUNTS];

typedef struct {
    fml_network net;
    fml_layer layers[MAX_LAYERS];
    const formula *formulas[MAX_LAYERS]; /* NULL for softmax */
    const loss_formula *loss;
    size_t I, O;   /* of the network */
    bounded *P;    /* the parameters in the order of Network.parameters */
    void *block;   /* the parameters in the engine's layout */
    char name[96]; /* for messages */
} model;

/* Make a model of a design on the native engine, with random parameters. */
model *make_model(run *r, const design *wanted, size_t n_threads, uint64_t seed);

/* Make n_rows random rows of normally distributed inputs or of bytes 0 to 3, with targets in [0, 1) or labels. */
typedef enum { VALUES, LABELS, BYTES, BYTES_AND_LABELS } data_kind;
fml_data make_data(run *r, const model *m, size_t n_rows, data_kind kind, uint64_t seed);

/* The core's output for `rows` rows of x, in a new array: of all at once, and of each by fml_forward_row. */
void *predict(run *r, const model *m, const void *x, size_t rows);
void *predict_alone(run *r, const model *m, const void *x, size_t rows);
/* Check that the first and the last of MAX_ROWS rows, in batches of many sizes, have the same bits as `alone`. */
void check_batches(run *r, const model *m, const void *x, const void *alone);

/* z and y of each layer for one row of inputs. */
typedef struct {
    bounded *z[MAX_LAYERS], *y[MAX_LAYERS];
} activities;

activities make_activities(run *r, const model *m);
void naive_forward(const run *r, const model *m, const bounded *x, const activities *a);

/* A batch: the rows order[0 ... rows - 1] of data. */
typedef struct {
    const fml_data *data;
    const uint32_t *order; /* NULL: the rows 0 ... rows - 1 */
    size_t rows;
} naive_batch;

/* The input and the target of row i of the batch. */
void naive_row(const run *r, const model *m, const naive_batch *b, size_t i, bounded *x, double *t);
/* Return the sum of the rows' losses. Unless `gradient` is NULL, write the gradient of their mean with respect to P,
 * and, unless dx is NULL, that with respect to x. */
bounded naive_gradient(run *r, const model *m, const naive_batch *b, bounded *gradient, bounded *dx);
/* Return the loss of a row; unless dz is NULL, write scale * its gradient with respect to the last layer's z. */
bounded naive_loss(const run *r, const model *m, const activities *a, const double *t, double scale, bounded *dz);

/* An optimiser's step t for n parameters and their gradient. */
typedef struct {
    const char *name;
    void (*step)(const run *r, bounded *p, const bounded *g, bounded *const *states, size_t n, const double *h,
                 uint64_t t);
} optimizer_formula;

/* NULL if there is none of that name. */
const optimizer_formula *find_optimizer_formula(const char *name);

#endif
