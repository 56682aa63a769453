/* The C API of fastmlp: load a model file that Network.save or BoundPredictor.save has written, and predict, without
 * Python. docs/native.md shows how to compile and link it; examples/native has programs.
 *
 * A model never changes after it is loaded, so any number of threads may predict with it at once. No function but
 * fastmlp_load allocates memory; no function writes to the model, except for the marks of the memory that fastmlp_call
 * is using. A "real" is a float or a double, by the dtype of the model (fastmlp_model_dtype): arrays of the other type
 * cannot be told apart here, and passing one is undefined behaviour. Scaling of inputs and targets is applied, so
 * inputs and outputs have the units of the data that the network was trained on. */
#ifndef FASTMLP_H
#define FASTMLP_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FASTMLP_VERSION "0.1.0"

typedef enum { FASTMLP_FLOAT32, FASTMLP_FLOAT64 } fastmlp_dtype;

typedef enum {
    FASTMLP_OK,
    FASTMLP_BAD_FILE,      /* not a model file, or truncated or altered */
    FASTMLP_OTHER_VERSION, /* of an older or newer version of the format; load and save it with a matching fastmlp */
    FASTMLP_NEEDS_PYTHON,  /* uses what only Python can do, such as an encoder of text columns */
    FASTMLP_NOT_ENOUGH_MEMORY
} fastmlp_status;

enum { FASTMLP_ERROR_SIZE = 256 };

/* Why fastmlp_load has failed: text is one line, which ends with a 0. */
typedef struct {
    fastmlp_status status;
    char text[FASTMLP_ERROR_SIZE];
} fastmlp_error;

typedef struct fastmlp_model fastmlp_model;

/* A function of one row, with a context: fastmlp_call with a model, or the `address` and the `context` of a
 * BoundPredictor in Python. x: (n_inputs,), y: (n_outputs,), which do not overlap. */
typedef void (*fastmlp_function)(const void *x, void *y, void *context);
typedef void (*fastmlp_function_f32)(const float *x, float *y, void *context);
typedef void (*fastmlp_function_f64)(const double *x, double *y, void *context);

/* The version of this library, which is FASTMLP_VERSION of its header. */
const char *fastmlp_version(void);

/* Load the model file that lies in memory at `file` and has `size` bytes; the file may be freed afterwards. Any bytes
 * are allowed: sizes are compared with `size` before memory is allocated, and checksums are verified. Returns NULL if
 * the file is refused, and then says why in *error. `error` may be NULL. */
fastmlp_model *fastmlp_load(const void *file, size_t size, fastmlp_error *error);
/* Free a model that fastmlp_load returned, which no call may be using; NULL is ignored. */
void fastmlp_free(fastmlp_model *model);

size_t fastmlp_n_inputs(const fastmlp_model *model);
size_t fastmlp_n_outputs(const fastmlp_model *model);
fastmlp_dtype fastmlp_model_dtype(const fastmlp_model *model);
/* The instruction set of the kernels that were chosen for this processor, such as "avx2". */
const char *fastmlp_isa(const fastmlp_model *model);

/* Bytes of workspace for predictions of up to n_rows rows. A workspace belongs to one call at a time, needs no
 * alignment and no initialisation. */
size_t fastmlp_workspace_size(const fastmlp_model *model, size_t n_rows);
/* y = the outputs (n_outputs,) of one row x (n_inputs,), for a workspace for 1 row or more. */
void fastmlp_predict_row(const fastmlp_model *model, const void *x, void *y, void *workspace);
/* y (n_rows, n_outputs) = the outputs of the rows x (n_rows, n_inputs), both contiguous; the same bits as row by row.
 * n_rows: below 2^32. The calling thread does all the work. */
void fastmlp_predict(const fastmlp_model *model, const void *x, size_t n_rows, void *y, void *workspace);
/* fastmlp_predict_row in memory of its own, for code that calls a function with a context; `model` is a fastmlp_model.
 * It works on the stack (16 KiB, twice as much with int8 weights) where the network is narrow enough, which is up to
 * about 2,000 floats or 1,000 doubles a layer. For wider ones it claims a piece of the model's memory; if more threads
 * call it at once than there are pieces (32, or fewer for layers of more than a million), a thread waits until another
 * has finished. */
void fastmlp_call(const void *x, void *y, void *model);

#ifdef __cplusplus
}
#endif

#endif
