/* Whole-batch methods: optimisers, such as L-BFGS, that use all parameters and all rows in every iteration.
 *
 * A method is a table of functions on a state, which the caller allocates, zeroed, and only the method reads. train.c
 * calls `iterate` in place of a gradient step; a checkpoint stores what the functions from n_vectors on return. The
 * function to minimise is in objective.h.
 *
 * To add a method: write a file with its functions and its table, as lbfgs.c, and name it in build.toml; declare the
 * table below; add a row in optimizers.inc that points to it, a class in optimizers.py with whole_batch_method =
 * True and a field gradient_tolerance, and a row in reference/minimizers.py. docs/extending/whole_batch_method.md does
 * so with an example. */
#ifndef FASTMLP_METHOD_H
#define FASTMLP_METHOD_H

#include "core.h"

enum { FML_NAME_SIZE = 32 };

struct fml_method {
    /* Bytes of a state; h: the hyper-parameters, in the order of the fields of the Python class. */
    size_t (*state_size)(const fml_network *net, const double *h);
    /* Initialise a state of zeros. */
    void (*begin)(const fml_network *net, const double *h, void *state);
    /* The data or the parameters of the next iteration may not be those of the last one. */
    void (*data_changed)(void *state);
    /* Discard all that was learnt in earlier iterations; an iteration may have been left in its middle. */
    void (*forget)(void *state);
    /* Make one iteration on the first `rows` rows of data. It lowers the loss, or leaves the parameters as they were
     * and has converged. *loss: the sum over the rows of weight * loss before the iteration, including penalties.
     * Parameters and state are unchanged unless the result is FML_OK. */
    fml_status (*iterate)(fml_trainer *trainer, const fml_data *data, size_t rows, double *loss, fml_poll *poll,
                          void *workspace);
    /* Whether the last iteration has found a minimum of the loss over its rows. */
    int (*converged)(const void *state);
    /* The number of gradients evaluated since `begin`. */
    size_t (*n_evaluations)(const void *state);

    /* -- what a checkpoint stores of a state: vectors (blocks) and numbers, each with a name ----------------------- */

    size_t (*n_vectors)(const void *state);
    size_t (*n_numbers)(const void *state);
    /* Write the name of vector or number k, at most FML_NAME_SIZE characters with its final 0. A name depends on k
     * alone. Checkpoint files contain the names, so they must never change. */
    void (*name_vector)(size_t k, char *name);
    void (*name_number)(size_t k, char *name);
    void *(*vector)(const fml_network *net, void *state, size_t k);
    void (*export_numbers)(const void *state, double *numbers);
    /* Set the numbers of a state and make room for n_vectors vectors, which the caller then writes to the addresses
     * that `vector` returns. Returns 0, and changes nothing, if no state with these hyper-parameters has such
     * numbers or so many vectors. */
    int (*import_numbers)(void *state, size_t n_vectors, size_t n_numbers, const double *numbers);
};

extern const fml_method fml_lbfgs; /* lbfgs.c */

#endif
