# cython: boundscheck=False, cdivision=True
# Activations and losses that are a user's own Python functions.
#
# The core calls them as it calls its kernels, through a row of fml_activation or the network's own_loss, from any of
# its threads and with or without the GIL; the wrappers take the GIL. Where a kernel finds its hyper-parameters, those
# of activations find the address of a CustomLayer, and the loss's context is a CustomCall. Both belong to one call of
# the core, so that calls that overlap have their errors apart.
# What a function raises is kept in the call's list `caught`; from then on nothing is computed but NaN, and the poll
# of the pass says stop, so that no step is taken. Networks without such functions have no CustomCall.
# A module of its own: it calls no function of the C core, so it need not be linked with it.
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
    """A layer's two functions, as one call of the core uses them."""


cdef class CustomCall:
    """The network for one call of the core: layers with functions, and a loss that is one, refer to this call."""

    def __dealloc__(self):
        PyMem_Free(self.net.layers)

    cdef bint failed(self):
        """Whether a function has raised an error; Ctrl-C and the like are none."""
        return len(self.caught) > 0 and isinstance(self.caught[0], Exception)

    cdef int check(self) except -1:
        """Raises what a function has raised."""
        if self.caught:
            raise self.caught[0]
        return 0


cdef CustomCall new_call(const fml_network *net, list functions, own_loss, cnp.dtype descr, list caught):
    """A call of the core for a network; functions: of each layer the user's (value, derivative), or None."""
    cdef CustomCall call = CustomCall.__new__(CustomCall)
    cdef CustomLayer layer
    cdef PyObject *address
    cdef fml_layer *layers = <fml_layer *>PyMem_Malloc(net.n_layers * sizeof(fml_layer))
    cdef size_t l
    if layers == NULL:
        raise MemoryError("sizes: no memory for the layers")
    memcpy(layers, net.layers, net.n_layers * sizeof(fml_layer))
    call.net, call.layers, call.caught, call.loss, call.descr = net[0], [], caught, own_loss, descr
    call.net.layers = layers
    if own_loss is not None:
        call.net.own_loss, call.net.own_loss_context = custom_loss, <void *>call
    for l, both in enumerate(functions):
        if both is not None:
            layer = CustomLayer.__new__(CustomLayer)
            layer.value, layer.derivative = both
            layer.caught, layer.descr, layer.n_outputs = caught, descr, net.layers[l].n_outputs
            call.layers.append(layer)
            address = <PyObject *>layer
            memcpy(layers[l].hyper_parameters, &address, sizeof(address))
    return call


cdef cnp.ndarray strided_view(CustomLayer layer, const void *data, size_t rows, size_t O):
    """The layer's (rows, n_outputs) of memory whose rows are O reals apart."""
    cdef cnp.npy_intp[2] shape = [<cnp.npy_intp>rows, <cnp.npy_intp>layer.n_outputs]
    cdef cnp.npy_intp[2] strides
    strides[1] = layer.descr.itemsize
    strides[0] = <cnp.npy_intp>O * strides[1]
    Py_INCREF(layer.descr)  # PyArray_NewFromDescr takes it
    return PyArray_NewFromDescr(ndarray_type, layer.descr, 2, shape, strides, <void *>data, cnp.NPY_ARRAY_WRITEABLE,
                                NULL)


cdef apply_custom(str argument, function, cnp.ndarray z):
    """What the function makes of z, checked; z is given away."""
    shape = np.shape(z)
    result = np.asarray(unmasked(function(z)))
    if result.dtype.kind not in "fiub":
        raise TypeError(f"{argument}: expected a function that returns real numbers, got dtype {result.dtype}")
    if result.shape != shape:
        raise ValueError(f"{argument}: expected a function that returns an array of z's shape {shape}, got shape "
                         f"{result.shape}")
    return result


def custom_values(str argument, function, z):
    """The user's function of an array of numbers; float32 stays float32, all else is float64, as by the kernels."""
    array = np.asarray(z)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"z: expected real numbers, got dtype {array.dtype}")
    dtype = np.float32 if array.dtype == np.float32 else np.float64
    return apply_custom(argument, function, np.array(array, dtype=dtype)).astype(dtype)[()]


cdef int compute_rows(CustomLayer layer, const void *z, const void *dy, void *to, size_t rows, size_t O) except -1:
    """to = f(z), or where dy is given to = dy f'(z)."""
    cdef cnp.ndarray target = strided_view(layer, to, rows, O), own
    if layer.caught:
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
    """`compute_rows` with errors caught: the first of a call is kept, and its other tiles are NaN."""
    cdef PyObject *address
    memcpy(&address, h, sizeof(address))
    cdef CustomLayer layer = <CustomLayer>address
    try:
        compute_rows(layer, z, dy, to, rows, O)
    except BaseException as error:
        layer.caught.append(error)
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
    """The row of the activations that are a user's own."""
    return &CUSTOM


cdef cnp.ndarray new_matrix(cnp.dtype descr, const void *data, size_t rows, size_t columns):
    """A new array (rows, columns) with these numbers, which the user may keep."""
    cdef cnp.ndarray matrix = np.empty((rows, columns), dtype=descr)
    memcpy(cnp.PyArray_DATA(matrix), data, cnp.PyArray_NBYTES(matrix))
    return matrix


cdef double compute_loss(CustomCall call, const fml_loss_rows *rows) except *:
    """The function's answer, checked, weighted and written to d."""
    cdef size_t O = rows.net.layers[rows.net.n_layers - 1].n_outputs
    cdef cnp.npy_intp n_rows = <cnp.npy_intp>rows.rows
    cdef cnp.ndarray d, weights = np.ones(n_rows)
    if rows.weights != NULL:
        memcpy(cnp.PyArray_DATA(weights), rows.weights, rows.rows * sizeof(double))
    answer = call.loss(new_matrix(call.descr, rows.output, rows.rows, O), new_matrix(call.descr, rows.t, rows.rows, O))
    loss, gradient = checks.own_loss(answer, n_rows, O)
    there = weights > 0  # a row of weight 0 is as if it were not there
    if rows.d != NULL:
        slopes = np.where(there[:, np.newaxis], gradient, 0) * (rows.scale * weights)[:, np.newaxis]
        d = checks.cast(slopes, call.descr)
        memcpy(rows.d, cnp.PyArray_DATA(d), cnp.PyArray_NBYTES(d))
    return np.dot(np.where(there, loss, 0), weights)


cdef double loss_of_rows(void *context, const fml_loss_rows *rows) noexcept with gil:
    """`compute_loss` with errors caught: the first of a call is kept, and NaN ends the pass."""
    cdef CustomCall call = <CustomCall>context
    cdef size_t O = rows.net.layers[rows.net.n_layers - 1].n_outputs
    try:
        if not call.caught:
            return compute_loss(call, rows)
    except BaseException as error:
        call.caught.append(error)
    if rows.d != NULL:
        memset(rows.d, 0, rows.rows * O * rows.net.kernels.real_size)
    return NAN


cdef double custom_loss(void *context, const fml_loss_rows *rows) noexcept nogil:
    cdef float_mode mode = keep_denormals()
    cdef double loss = loss_of_rows(context, rows)
    restore_mode(mode)
    return loss
