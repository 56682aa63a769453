# Part of _core.pyx: activations that are a user's own Python functions.
#
# The core calls them as it calls its kernels, through a row of fml_activation, from any of its threads and with or
# without the GIL; the wrappers take the GIL. Where a kernel finds its hyper-parameters, they find the address of a
# CustomLayer, which belongs to one call of the core (CustomCall): calls that overlap have their errors apart.
# What a function raises is kept in the call's list `caught`; from then on nothing is computed but NaN, and the poll
# of the pass says stop, so that no step is taken. Networks without such functions have no CustomCall.

cdef extern from "float_mode.h" nogil:
    ctypedef unsigned long long float_mode
    float_mode keep_denormals()
    void restore_mode(float_mode before)


cdef class CustomLayer:
    """A layer's two functions, as one call of the core uses them."""

    cdef object value, derivative
    cdef list caught
    cdef cnp.dtype descr
    cdef size_t n_outputs


cdef class CustomCall:
    """The network for one call of the core: the layers with functions refer to this call."""

    cdef fml_network net
    cdef list layers, caught

    def __cinit__(self, Core core, list caught):
        cdef size_t size = core.net.n_layers * sizeof(fml_layer), l
        cdef CustomLayer layer
        cdef PyObject *address
        self.net, self.layers, self.caught = core.net, [], caught
        self.net.layers = <fml_layer *>fml_allocate(size)
        if self.net.layers == NULL:
            raise MemoryError("sizes: no memory for the layers")
        memcpy(self.net.layers, core.net.layers, size)
        for l, functions in enumerate(core.functions):
            if functions is not None:
                layer = CustomLayer.__new__(CustomLayer)
                layer.value, layer.derivative = functions
                layer.caught, layer.descr, layer.n_outputs = caught, core.descr, core.net.layers[l].n_outputs
                self.layers.append(layer)
                address = <PyObject *>layer
                memcpy(self.net.layers[l].hyper_parameters, &address, sizeof(address))

    def __dealloc__(self):
        fml_free(self.net.layers)

    cdef bint failed(self):
        """Whether a function has raised an error; Ctrl-C and the like are none."""
        return len(self.caught) > 0 and isinstance(self.caught[0], Exception)

    cdef int check(self) except -1:
        """Raises what a function has raised."""
        if self.caught:
            raise self.caught[0]
        return 0


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
    result = np.asarray(function(z))
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
    result = apply_custom("value", layer.value, own) if dy == NULL else apply_custom("derivative", layer.derivative, own)
    with np.errstate(all="ignore"):
        if dy == NULL:
            target[...] = result
        else:
            np.multiply(strided_view(layer, dy, rows, O), result, out=target, casting="same_kind")
    return 0


cdef void custom_rows(const void *z, const void *dy, void *to, size_t rows, size_t O, const double *h) noexcept with gil:
    """The same, with errors caught: the first of a call is kept, and its other tiles are NaN."""
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
