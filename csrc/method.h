/* Whole-batch methods: optimisers that look at all parameters and at all rows in every iteration, as L-BFGS does.
 *
 * A method is one table of functions over a state of its own, which the caller allocates zeroed and only the method
 * reads. train.c calls `iterate` in place of a gradient step, and checkpoints keep what `n_vectors` and the functions
 * after it give. What it minimises is in objective.h. To add a method: a file with its functions and its table, as
 * lbfgs.c, named in build.toml; a declaration below; a row in optimizers.inc that points to it; a class in
 * optimizers.py with whole_batch_method = True and a field gradient_tolerance; a row in reference/minimizers.py.
 * docs/extending/whole_batch_method.md does it with an example. */
#ifndef FASTMLP_METHOD_H
#define FASTMLP_METHOD_H

#include "core.h"

enum { FML_NAME_SIZE = 32 };

struct fml_method {
    /* Bytes of a state for a network and the hyper-parameters h, in the order of the Python object's fields. */
    size_t (*state_size)(const fml_network *net, const double *h);
    void (*begin)(const fml_network *net, const double *h, void *state);
    /* Tells the method that the rows of the next iteration, or the parameters, may differ from those it last saw. */
    void (*meet_data)(void *state);
    /* Drops all that earlier iterations have taught the method, which may be half written. */
    void (*forget)(void *state);
    /* One iteration on the first `rows` rows of data. After it the trainer is where it was or, unless the method has
     * converged, at less loss. *loss: the weighted sum of the rows' losses before it, penalties included. Parameters
     * and state are as before unless the result is FML_OK. */
    fml_status (*iterate)(fml_trainer *trainer, const fml_data *data, size_t rows, double *loss, fml_poll *poll,
                          void *workspace);
    /* Whether the last iteration has found a minimum of the loss over its rows. */
    int (*converged)(const void *state);
    /* How many gradients the method has evaluated since `begin`. */
    size_t (*n_evaluations)(const void *state);

    /* -- what a checkpoint keeps of a state: vectors of n_packed reals, and numbers, by name ----------------------- */

    size_t (*n_vectors)(const void *state);
    size_t (*n_numbers)(const void *state);
    /* Write the name of the k-th vector and of the k-th number, with its 0 at most FML_NAME_SIZE characters. Names are
     * in files, so they stay as they are, and they are the same for every state that has so many. */
    void (*name_vector)(size_t k, char *name);
    void (*name_number)(size_t k, char *name);
    void *(*vector)(const fml_network *net, void *state, size_t k);
    void (*export_numbers)(const void *state, double *numbers);
    /* Takes numbers and makes room for so many vectors, which the caller then writes to `vector`. The result is 0, and
     * the state is as before, where no state of these hyper-parameters has such numbers with so many vectors. */
    int (*import_numbers)(void *state, size_t n_vectors, size_t n_numbers, const double *numbers);
};

extern const fml_method fml_lbfgs; /* lbfgs.c */

#endif
