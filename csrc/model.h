/* The model of the C API: a network with its parameters and scalings, ready to predict. Private to csrc and _core.pyx.
 *
 * A model either owns the memory behind its pointers (fastmlp_load makes such a model, see model_file.c), or borrows
 * that of a BoundPredictor in Python, which outlives it. Nothing of it changes while it is in use but the marks of the
 * pieces. */
#ifndef FML_MODEL_H
#define FML_MODEL_H

#include "core.h"
#include "include/fastmlp.h"

#if defined(_MSC_VER) && !defined(__clang__)
typedef volatile long fml_mark;
#else
#include <stdatomic.h>
typedef _Atomic(long) fml_mark;
#endif

enum { FML_MAX_PIECES = 32 };

struct fastmlp_model {
    fml_network net;
    const void *block;
    fml_scaling scaling; /* its pointers are NULL where nothing is scaled */
    int is_scaled;       /* whether inputs or targets are scaled */
    int is_borrowed;
    double *scales;       /* the memory of the scaling, if it is owned */
    size_t row_workspace; /* of fastmlp_predict_row, without room for alignment */
    /* Workspaces of fastmlp_call where the stack is too small: n_pieces pieces of row_workspace bytes. The mark of a
     * piece is 0, or the number of the process in which a thread is using it. */
    char *pieces;
    size_t n_pieces;
    fml_mark marks[FML_MAX_PIECES];
};

/* Complete a model whose net, block and scaling are set: the memory that calls need. Returns 0 if there is not enough.
 * fml_model_release must be called in any case. */
int fml_model_prepare(fastmlp_model *model);
/* Free what the model owns, but not the model. */
void fml_model_release(fastmlp_model *model);
/* The engine for weights of a kind ("float32", "float64", "bfloat16", "int8") and a dtype; NULL if there is none. */
const fml_engine *fml_engine_of_weights(const fml_kernels *kernels, const char *weights);
/* Set net, block and scaling from a model file, all owned by the model, which is zeroed before. Returns 0, with an
 * error, if the file is refused; the model then has to be released, too. */
int fml_model_read(fastmlp_model *model, const void *file, size_t size, fastmlp_error *error);

#endif
