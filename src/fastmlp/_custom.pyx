# cython: boundscheck=False, cdivision=True
# Activations and losses that are a user's own Python functions.
#
# The core calls the wrappers in this file like its own kernels, through a row of its table fml_activation or through
# the network's own_loss, on any of its threads, with or without the GIL; the wrappers take the GIL. In the place of its
# hyper-parameters, a custom activation finds the address of a CustomLayer; the context of a custom loss is a
# CustomCall. Both belong to a single call of the core, so that calls that run at the same time do not mix up their
# errors.
#
# An exception that a function raises is appended to the list `errors` of the call. From then on the wrappers give NaN
# without calling functions, and the poll of the pass stops it, so that no step is taken. Networks without custom
# functions have no CustomCall. The file is a module of its own because it calls no function of the C core and so need
# not be linked with it.
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.ref cimport Py_INCREF, PyObject
from libc.math cimport NAN
from libc.string cimport memcpy, memset

from ._rows cimport PyArray_NewFromDescr

import numpy as np

from .inputs import targets as checks
from .inputs.arrays import unmasked

cnp.import_array()
cdef type ndarray_type = np.ndarray

cdef extern from "float_mode.h" nogil:
    ctypedef unsigned long long float_mode
    float_mode keep_denormals()
    void restore_mode(float_mode before)


cdef class CustomLayer:
    """The two functions (value and derivative) of a layer, for one call of the core."""


cdef class CustomCall:
    """A copy of the network for one call of the core, whose custom layers and custom loss refer to this call."""

    def __dealloc__(self):
        PyMem_Free(self.net.layers)

    cdef bint failed(self):
        """Return whether the first exception raised is an Exception, and not a KeyboardInterrupt or the like."""
        return len(self.errors) > 0 and isinstance(self.errors[0], Exception)

    cdef int check(self) except -1:
        """Raise the first exception that a function has raised, if any."""
        if self.errors:
            raise self.errors[0]
        return 0


cdef CustomCall new_call(const fml_network *net, list functions, own_loss, cnp.dtype descr, list errors):
    """Return a new CustomCall. `functions` has for each layer the user's functions (value, derivative), or None;
    `errors` is the list to which exceptions are appended."""
    cdef CustomCall call = CustomCall.__new__(CustomCall)
    cdef CustomLayer layer
    cdef PyObject *address
    cdef fml_layer *layers = <fml_layer *>PyMem_Malloc(net.n_layers * sizeof(fml_layer))
    cdef size_t l
    if layers == NULL:
        raise MemoryError("sizes: no memory for the layers")
    memcpy(layers, net.layers, net.n_layers * sizeof(fml_layer))
    call.net, call.layers, call.errors, call.loss, call.descr = net[0], [], errors, own_loss, descr
    call.net.layers = layers
    if own_loss is not None:
        call.net.own_loss, call.net.own_loss_context = custom_loss, <void *>call
    for l, both in enumerate(functions):
        if both is not None:
            layer = CustomLayer.__new__(CustomLayer)
            layer.value, layer.derivative = both
            layer.errors, layer.descr, layer.n_outputs = errors, descr, net.layers[l].n_outputs
            call.layers.append(layer)
            address = <PyObject *>layer
            memcpy(layers[l].hyper_parameters, &address, sizeof(address))
    return call


cdef cnp.ndarray strided_view(CustomLayer layer, const void *data, size_t rows, size_t O):
    """Return an array (rows, n_outputs of the layer) that is a view of memory with O numbers from row to row."""
    cdef cnp.npy_intp[2] shape = [<cnp.npy_intp>rows, <cnp.npy_intp>layer.n_outputs]
    cdef cnp.npy_intp[2] strides
    strides[1] = layer.descr.itemsize
    strides[0] = <cnp.npy_intp>O * strides[1]
    Py_INCREF(layer.descr)  # PyArray_NewFromDescr steals a reference
    return PyArray_NewFromDescr(ndarray_type, layer.descr, 2, shape, strides, <void *>data, cnp.NPY_ARRAY_WRITEABLE,
                                NULL)


cdef apply_custom(str argument, function, cnp.ndarray z):
    """Call the function with z, and check what it returns. The function may change and keep z."""
    shape = np.shape(z)
    result = np.asarray(unmasked(function(z)))
    if result.dtype.kind not in "fiub":
        raise TypeError(f"{argument}: expected a function that returns real numbers, got dtype {result.dtype}")
    if result.shape != shape:
        raise ValueError(f"{argument}: expected a function that returns an array of z's shape {shape}, got shape "
                         f"{result.shape}")
    return result


def custom_values(str argument, function, z):
    """Call a user's function with an array of numbers; like in the kernels, float32 stays float32, and all else is
    converted to float64."""
    array = np.asarray(z)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"z: expected real numbers, got dtype {array.dtype}")
    dtype = np.float32 if array.dtype == np.float32 else np.float64
    return apply_custom(argument, function, np.array(array, dtype=dtype)).astype(dtype)[()]


cdef int compute_rows(CustomLayer layer, const void *z, const void *dy, void *to, size_t rows, size_t O) except -1:
    """Compute to = f(z), or, if dy is given, to = dy f'(z). After an error of this call, fill `to` with NaN."""
    cdef cnp.ndarray target = strided_view(layer, to, rows, O), own
    if layer.errors:
        target.fill(np.nan)
        return 0
    own = strided_view(layer, z, rows, O).copy()
    argument, function = ("value", layer.value) if dy == NULL else ("derivative", layer.derivative)
    result = apply_custom(argument, function, own)
    with np.errstate(all="ignore"):
        if dy == NULL:
            target[...] = result
        else:
            np.multiply(strided_view(layer, dy, rows, O), result, out=target, casting="same_kind")
    return 0


cdef void custom_rows(const void *z, const void *dy, void *to, size_t rows, size_t O,
                      const double *h) noexcept with gil:
    """Call `compute_rows`; append an exception to the errors of the call, and fill the output with NaN."""
    cdef PyObject *address
    memcpy(&address, h, sizeof(address))
    cdef CustomLayer layer = <CustomLayer>address
    try:
        compute_rows(layer, z, dy, to, rows, O)
    except BaseException as error:
        layer.errors.append(error)
        compute_rows(layer, z, dy, to, rows, O)


cdef void custom_forward(const void *z, void *y, size_t rows, size_t O, const double *h) noexcept nogil:
    cdef float_mode mode = keep_denormals()
    custom_rows(z, NULL, y, rows, O, h)
    restore_mode(mode)


cdef void custom_backward(const void *z, const void *y, const void *dy, void *dz, size_t rows, size_t O,
                          const double *h) noexcept nogil:
    cdef float_mode mode = keep_denormals()
    custom_rows(z, dy, dz, rows, O, h)
    restore_mode(mode)


cdef fml_activation CUSTOM
CUSTOM.name = b"custom"
CUSTOM.reads_z = True
CUSTOM.whole_tiles = True
CUSTOM.forward = custom_forward
CUSTOM.backward = custom_backward


cdef const fml_activation *custom_activation() noexcept:
    """Return the row of the table of activations that calls a user's own functions."""
    return &CUSTOM


cdef cnp.ndarray new_matrix(cnp.dtype descr, const void *data, size_t rows, size_t columns):
    """Return a new array (rows, columns) with a copy of these numbers, which the user may change and keep."""
    cdef cnp.ndarray matrix = np.empty((rows, columns), dtype=descr)
    memcpy(cnp.PyArray_DATA(matrix), data, cnp.PyArray_NBYTES(matrix))
    return matrix


cdef double compute_loss(CustomCall call, const fml_loss_rows *rows) except *:
    """Call the user's loss; return the sum of the weighted losses, and write the weighted gradient to rows.d."""
    cdef size_t O = rows.net.layers[rows.net.n_layers - 1].n_outputs
    cdef cnp.npy_intp n_rows = <cnp.npy_intp>rows.rows
    cdef cnp.ndarray d, weights = np.ones(n_rows)
    if rows.weights != NULL:
        memcpy(cnp.PyArray_DATA(weights), rows.weights, rows.rows * sizeof(double))
    answer = call.loss(new_matrix(call.descr, rows.output, rows.rows, O), new_matrix(call.descr, rows.t, rows.rows, O))
    loss, gradient = checks.check_loss_result(answer, n_rows, O)
    counted = weights > 0  # a row of weight 0 is ignored, even if its loss is NaN or infinite
    if rows.d != NULL:
        slopes = np.where(counted[:, np.newaxis], gradient, 0) * (rows.scale * weights)[:, np.newaxis]
        d = checks.cast(slopes, call.descr)
        memcpy(rows.d, cnp.PyArray_DATA(d), cnp.PyArray_NBYTES(d))
    return np.dot(np.where(counted, loss, 0), weights)


cdef double loss_of_rows(void *context, const fml_loss_rows *rows) noexcept with gil:
    """Call `compute_loss`; append an exception to the errors of the call, and return NaN, which ends the pass."""
    cdef CustomCall call = <CustomCall>context
    cdef size_t O = rows.net.layers[rows.net.n_layers - 1].n_outputs
    try:
        if not call.errors:
            return compute_loss(call, rows)
    except BaseException as error:
        call.errors.append(error)
    if rows.d != NULL:
        memset(rows.d, 0, rows.rows * O * rows.net.kernels.real_size)
    return NAN


cdef double custom_loss(void *context, const fml_loss_rows *rows) noexcept nogil:
    cdef float_mode mode = keep_denormals()
    cdef double loss = loss_of_rows(context, rows)
    restore_mode(mode)
    return loss
