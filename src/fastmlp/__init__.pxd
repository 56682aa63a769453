# fastmlp for Cython: `cimport fastmlp`, with fastmlp.get_include() among the include folders.
#
#     cdef fastmlp.Float32Function f = fastmlp.float32_function(bound)  # a BoundPredictor
#     f.call(x, y, f.context)                                          # x: f.n_inputs floats, y: f.n_outputs floats
#
# The functions give the bits of `predict`, need no GIL, and may be called by any number of threads at once. The structs
# hold no reference: whoever keeps one must keep the BoundPredictor, too.

cdef extern from "fastmlp.h" nogil:
    ctypedef void (*fastmlp_function_f32)(const float *x, float *y, void *context) noexcept nogil
    ctypedef void (*fastmlp_function_f64)(const double *x, double *y, void *context) noexcept nogil

ctypedef struct Float32Function:
    fastmlp_function_f32 call
    void *context
    size_t n_inputs
    size_t n_outputs

ctypedef struct Float64Function:
    fastmlp_function_f64 call
    void *context
    size_t n_inputs
    size_t n_outputs


cdef inline tuple native_parts(object bound, str dtype):
    """Return address, context and sizes of a BoundPredictor; a TypeError if it is none, or of another dtype."""
    from fastmlp.bound import BoundPredictor

    if not isinstance(bound, BoundPredictor):
        raise TypeError(f"bound: expected a BoundPredictor, which Network.bind makes, got {type(bound).__name__}")
    return bound._native(dtype)


cdef inline Float32Function float32_function(object bound) except *:
    """Return the C function of a BoundPredictor of dtype float32."""
    cdef Float32Function made
    cdef size_t address, context
    address, context, made.n_inputs, made.n_outputs = native_parts(bound, "float32")
    made.call, made.context = <fastmlp_function_f32>address, <void *>context
    return made


cdef inline Float64Function float64_function(object bound) except *:
    """Return the C function of a BoundPredictor of dtype float64."""
    cdef Float64Function made
    cdef size_t address, context
    address, context, made.n_inputs, made.n_outputs = native_parts(bound, "float64")
    made.call, made.context = <fastmlp_function_f64>address, <void *>context
    return made
