# The engine `blas`: the forward and backward pass of a layer with SciPy's BLAS, for any processor.
#
# Weights are stored row-major (O, I), so pack and unpack are copies. `multiply` is the only function that calls BLAS;
# it swaps row-major and column-major order, so that no other code passes a 'T'. Operations other than matrix products
# come from the network's kernel table. The rounding of BLAS depends on the shapes: the outputs of a row alone and of
# the same row in a batch may differ in the last bits.
#
# The routines are bound at first use, because importing scipy.linalg takes ten times as long as importing fastmlp; so
# Cython's cimport, which binds when this module is imported, cannot be used. It is documented that
# scipy.linalg.cython_blas exports these routines (its docstring), and that a Cython module keeps its exports as
# capsules whose names are C signatures (scipy.LowLevelCallable, from_cython). It is not documented how a signature
# spells SciPy's own names of float and double. So the check does not depend on them: all parameters that are neither
# char * nor int * must have one and the same type, and the name of the routine says whether that is float or double.
from cpython.pycapsule cimport PyCapsule_GetName, PyCapsule_GetPointer
from cython cimport floating
from libc.string cimport memcpy

from ._csrc cimport FML_F32, fml_ahead, fml_engine, fml_layer, fml_network, fml_pass, fml_share, fml_update

import os
from _thread import RLock  # that of `threading`, whose import would take a tenth of fastmlp's

# A fork waits until an import of SciPy in another thread is complete: in the child, that thread would not exist, and
# the modules that it was importing would stay locked for ever.
_binding = RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_binding.acquire, after_in_parent=_binding.release, after_in_child=_binding.release)

ctypedef void (*gemm_f32)(char *, char *, int *, int *, int *, float *, const float *, int *, const float *, int *,
                          float *, float *, int *) noexcept nogil
ctypedef void (*gemm_f64)(char *, char *, int *, int *, int *, double *, const double *, int *, const double *, int *,
                          double *, double *, int *) noexcept nogil
ctypedef void (*gemv_f32)(char *, int *, int *, float *, const float *, int *, const float *, int *, float *, float *,
                          int *) noexcept nogil
ctypedef void (*gemv_f64)(char *, int *, int *, double *, const double *, int *, const double *, int *, double *,
                          double *, int *) noexcept nogil

cdef gemm_f32 sgemm = NULL
cdef gemm_f64 dgemm = NULL
cdef gemv_f32 sgemv = NULL
cdef gemv_f64 dgemv = NULL

# The types of the parameters of a routine: c is char *, i is int *, r is float * or double *.
GEMM = "cciiirririrri"
GEMV = "ciirririrri"


cdef void *_bind(dict functions, str name, str expected) except NULL:
    """Return the address of a BLAS routine, after checking that its parameters have the expected types."""
    capsule = functions[name]
    cdef const char *signature = PyCapsule_GetName(capsule)
    found = (<bytes>signature).decode()
    types = found.removeprefix("void (").removesuffix(")").split(", ")
    kinds = "".join([{"char *": "c", "int *": "i"}.get(each, "r") for each in types])
    real_types = set(types) - {"char *", "int *"}
    if found != f"void ({', '.join(types)})" or kinds != expected or len(real_types) != 1:
        raise ImportError(f"scipy.linalg.cython_blas.{name}: expected parameters {expected!r} (c: char *, i: int *, "
                          f"r: a pointer to its real type) and no result, got the signature {found!r}; "
                          "use engine='native' with this SciPy")
    return PyCapsule_GetPointer(capsule, signature)


cdef const fml_engine *blas_engine() except NULL:
    """Return the table of the engine; bind the routines of BLAS on the first call."""
    global sgemm, dgemm, sgemv, dgemv
    if dgemv == NULL:
        with _binding:
            from scipy.linalg import cython_blas

            functions = cython_blas.__pyx_capi__
            sgemm = <gemm_f32>_bind(functions, "sgemm", GEMM)
            dgemm = <gemm_f64>_bind(functions, "dgemm", GEMM)
            sgemv = <gemv_f32>_bind(functions, "sgemv", GEMV)
            dgemv = <gemv_f64>_bind(functions, "dgemv", GEMV)
    return &ENGINE


cdef void multiply(bint transpose_a, bint transpose_b, int M, int N, int K, const floating *A, const floating *B,
                   floating beta, floating *C) noexcept nogil:
    """C := op(A) op(B) + beta C with op(A) (M, K), op(B) (K, N) and C (M, N), all row-major and dense."""
    cdef char t = b"T", n = b"N"
    cdef int lda = M if transpose_a else K, ldb = K if transpose_b else N, one = 1
    cdef floating alpha = 1
    # Row-major C is column-major C^T = op(B)^T op(A)^T; a row-major matrix is its own transpose to BLAS.
    if M == 1:
        if floating is float:
            sgemv(&t if transpose_b else &n, &K if transpose_b else &N, &N if transpose_b else &K, &alpha, B, &ldb,
                  A, &one, &beta, C, &one)
        else:
            dgemv(&t if transpose_b else &n, &K if transpose_b else &N, &N if transpose_b else &K, &alpha, B, &ldb,
                  A, &one, &beta, C, &one)
    elif N == 1:
        if floating is float:
            sgemv(&n if transpose_a else &t, &M if transpose_a else &K, &K if transpose_a else &M, &alpha, A, &lda,
                  B, &one, &beta, C, &one)
        else:
            dgemv(&n if transpose_a else &t, &M if transpose_a else &K, &K if transpose_a else &M, &alpha, A, &lda,
                  B, &one, &beta, C, &one)
    elif floating is float:
        sgemm(&t if transpose_b else &n, &t if transpose_a else &n, &N, &M, &K, &alpha, B, &ldb, A, &lda, &beta, C, &N)
    else:
        dgemm(&t if transpose_b else &n, &t if transpose_a else &n, &N, &M, &K, &alpha, B, &ldb, A, &lda, &beta, C, &N)


cdef void forward(const fml_network *net, size_t l, floating *block, floating *x, size_t rows, void *z,
                  void *y) noexcept nogil:
    """z = x w^T + b and y = f(z), each if it is not NULL; if z is NULL, y holds the pre-activations first."""
    cdef const fml_layer *layer = &net.layers[l]
    cdef size_t O = layer.n_outputs
    cdef void *pre = z if z != NULL else y
    multiply(False, True, <int>rows, <int>O, <int>layer.n_inputs, x, block + layer.weights, <floating>0,
             <floating *>pre)
    net.kernels.add_bias(block + layer.biases, pre, rows, O)
    if y != NULL:
        layer.activation.forward(pre, y, rows, O, layer.hyper_parameters)


cdef void gradient(const fml_pass *pass_, size_t l, floating *x, floating *dz, size_t rows,
                   int accumulate) noexcept nogil:
    """dw = [dw +] dz^T x and db = [db +] the sum of the rows of dz; with what is in brackets if `accumulate`."""
    cdef const fml_layer *layer = &pass_.net.layers[l]
    cdef int I = <int>layer.n_inputs, O = <int>layer.n_outputs
    cdef floating *gradient = <floating *>pass_.gradient
    multiply(True, False, O, I, <int>rows, dz, x, <floating>accumulate, gradient + layer.weights)
    pass_.net.kernels.sum_rows(dz, gradient + layer.biases, rows, layer.n_outputs, accumulate)


# The functions of the engine's table. This engine has a single thread, and its table asks for neither padded rows nor
# scratch memory, so rows are dense and no update is passed. The parameters for distances of rows, for ranges of inputs
# and for prefetching are therefore not used.

cdef void forward_layer(const fml_network *net, size_t l, const void *block, const void *x, size_t x_row, size_t rows,
                        void *z, void *y, size_t y_row, int ahead) noexcept nogil:
    if net.kernels.dtype == FML_F32:
        forward[float](net, l, <float *>block, <float *>x, rows, z, y)
    else:
        forward[double](net, l, <double *>block, <double *>x, rows, z, y)


cdef void input_gradient(const fml_network *net, size_t l, const void *block, const void *prepared, const void *dz,
                         size_t dz_row, size_t rows, void *dx, size_t dx_row) noexcept nogil:
    """dx = dz w"""
    cdef const fml_layer *layer = &net.layers[l]
    cdef int I = <int>layer.n_inputs, O = <int>layer.n_outputs
    if net.kernels.dtype == FML_F32:
        multiply(False, False, <int>rows, I, O, <float *>dz, <float *>block + layer.weights, <float>0, <float *>dx)
    else:
        multiply(False, False, <int>rows, I, O, <double *>dz, <double *>block + layer.weights, <double>0, <double *>dx)


cdef void weight_gradient(const fml_pass *pass_, size_t l, const void *x, size_t x_row, const void *delta, size_t rows,
                          int accumulate, const fml_update *update, const fml_share *share, void *scratch,
                          const fml_ahead *ahead) noexcept nogil:
    if pass_.net.kernels.dtype == FML_F32:
        gradient[float](pass_, l, <float *>x, <float *>delta, rows, accumulate)
    else:
        gradient[double](pass_, l, <double *>x, <double *>delta, rows, accumulate)


cdef size_t packed_weights(size_t I, size_t O) noexcept nogil:
    return I * O


cdef void pack(const fml_network *net, size_t l, const void *w, const void *b, void *block) noexcept nogil:
    cdef const fml_layer *layer = &net.layers[l]
    cdef size_t size = net.kernels.real_size
    memcpy(<char *>block + layer.weights * size, w, layer.n_inputs * layer.n_outputs * size)
    memcpy(<char *>block + layer.biases * size, b, layer.n_outputs * size)


cdef void unpack(const fml_network *net, size_t l, const void *block, void *w, void *b) noexcept nogil:
    cdef const fml_layer *layer = &net.layers[l]
    cdef size_t size = net.kernels.real_size
    memcpy(w, <const char *>block + layer.weights * size, layer.n_inputs * layer.n_outputs * size)
    memcpy(b, <const char *>block + layer.biases * size, layer.n_outputs * size)


cdef void limit_norms(const fml_network *net, size_t l, void *block, double max_norm) noexcept nogil:
    """Scale each row of w whose Euclidean norm is larger than max_norm to that norm."""
    cdef const fml_layer *layer = &net.layers[l]
    cdef char *w = <char *>block + layer.weights * net.kernels.real_size
    net.kernels.limit_rows(w, layer.n_outputs, layer.n_inputs, max_norm)


cdef fml_engine ENGINE
ENGINE.name = b"blas"
ENGINE.tile_rows = 256
ENGINE.gradient_rows = 256
ENGINE.packed_weights = packed_weights
ENGINE.pack = pack
ENGINE.unpack = unpack
ENGINE.forward_layer = forward_layer
ENGINE.input_gradient = input_gradient
ENGINE.weight_gradient = weight_gradient
ENGINE.limit_norms = limit_norms
