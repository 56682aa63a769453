/* Networks as the textbook has them: loops over single elements in plain double, every value with a bound of how far
 * from it the core may be.
 *
 * The bounds are derived, not tuned: a sum of n products may be off by (n + 2) epsilon times the sum of their sizes, in
 * any order and with or without fused multiply-adds, an activation by its kernel's bound (formulas.c), and what is off
 * in an operand passes on to the result. So they hold through layers, gradients and steps, and stay small against what
 * an error of the core would change. A model is the same network twice: as the core has it, and as this code does. */
#ifndef NAIVE_H
#define NAIVE_H

#include "formulas.h"

enum { MAX_LAYERS = 5 };

/* What a network is to be. */
typedef struct {
    size_t sizes[MAX_LAYERS + 1]; /* ends at 0 */
    const char *hidden;           /* the activation of the hidden layers; NULL: another for each layer */
    const char *output, *loss;
} design;

/* Depths, widths around the edges of panels and tiles, every activation and loss. */
extern const design DESIGNS[];
extern const size_t N_DESIGNS;
/* A network has the same bits for each of these. */
enum { N_THREAD_COUNTS = 3 };
extern const size_t THREAD_COUNTS[N_THREAD_COUNTS];

typedef struct {
    fml_network net;
    fml_layer layers[MAX_LAYERS];
    const formula *formulas[MAX_LAYERS]; /* NULL for softmax */
    const loss_formula *loss;
    size_t I, O;   /* of the network */
    bounded *P;    /* the parameters in the order of Network.parameters */
    void *block;   /* the same, packed */
    char name[96]; /* for messages */
} model;

/* The network on the native engine with normal weights and biases from the seed, for n_threads threads. */
model *make_model(run *r, const design *wanted, size_t n_threads, uint64_t seed);

/* n_rows rows of normal inputs, or of the bytes 0 to 3, with labels or with targets in [0, 1). */
typedef enum { VALUES, LABELS, BYTES, BYTES_AND_LABELS } data_kind;
fml_data make_data(run *r, const model *m, size_t n_rows, data_kind kind, uint64_t seed);

/* z and y of each layer for one row of inputs. */
typedef struct {
    bounded *z[MAX_LAYERS], *y[MAX_LAYERS];
} activities;

activities make_activities(run *r, const model *m);
void naive_forward(const run *r, const model *m, const bounded *x, const activities *a);

/* A batch as the core gets it: rows, and targets or labels. */
typedef struct {
    const fml_data *data;
    const uint32_t *order; /* NULL: as they stand */
    size_t rows;
} naive_batch;

/* The input and the target of row i of the batch. */
void naive_row(const run *r, const model *m, const naive_batch *b, size_t i, bounded *x, double *t);
/* The sum of the rows' losses; unless they are NULL, the gradient of their mean with respect to P, and with it to x. */
bounded naive_gradient(run *r, const model *m, const naive_batch *b, bounded *gradient, bounded *dx);
/* The loss of a row; and, unless dz is NULL, scale times its gradient with respect to the last z. */
bounded naive_loss(const run *r, const model *m, const activities *a, const double *t, double scale, bounded *dz);

/* Optimisers: n parameters go one step along a gradient. */
typedef struct {
    const char *name;
    void (*step)(const run *r, bounded *p, const bounded *g, bounded *const *states, size_t n, const double *h,
                 uint64_t t);
} optimizer_formula;

/* NULL where there is none of that name. */
const optimizer_formula *find_optimizer_formula(const char *name);

#endif
