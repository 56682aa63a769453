# Part of _core.pyx: Bound, a frozen network that native code calls without Python.
#
# The class is a Predictor whose parameters never change, with a model of the C API (csrc/model.h) that borrows its
# network and parameters. `address` is the C function that predicts a row, `context` that model. Numba, SciPy and
# others get an object that keeps the Bound alive; who takes the two integers has to do that.

cdef enum:
    MAX_SCIPY_INPUTS = 64  # of a function that SciPy integrates; floats of a row on the stack


cdef double scalar_function(int n, double *x, void *context) noexcept nogil:
    """The output for one row of n doubles, as SciPy's `double (int, double *, void *)`; NaN for another width."""
    cdef fastmlp_model *model = <fastmlp_model *>context
    cdef float[MAX_SCIPY_INPUTS] narrow
    cdef float result32 = 0
    cdef double result = 0
    cdef int i
    if n < 0 or <size_t>n != model.net.layers[0].n_inputs:
        return NAN
    if model.net.kernels.dtype == FML_F64:
        fastmlp_call(x, &result, context)
        return result
    for i in range(n):
        narrow[i] = <float>x[i]
    fastmlp_call(narrow, &result32, context)
    return result32


cdef double scalar_function_of_one(double x, void *context) noexcept nogil:
    """`scalar_function` for a network of one input, as SciPy's `double (double, void *)`."""
    return scalar_function(1, &x, context)


cdef void release_owner(object capsule) noexcept:
    """Drop the reference that a capsule of `_context_capsule` holds."""
    Py_XDECREF(<PyObject *>PyCapsule_GetContext(capsule))


cdef class Bound(Predictor):
    """Parameters of one network, which never change, and the C function that predicts a row with them."""

    cdef fastmlp_model model
    cdef Block bound_block  # the owner of the model's parameters
    cdef Columns bound_columns  # the owner of the numbers of its scaling
    cdef bint frozen  # the model is complete: native code may be using it

    def __dealloc__(self):
        fml_model_release(&self.model)

    def _freeze(self):
        """Make the model that native code calls, once, of what `_load` has set."""
        self._check_built()
        if self.frozen:
            raise RuntimeError("BoundPredictor: expected one call of _freeze, got a second one")
        if self.custom:
            raise ValueError("bind: expected a network without custom functions, got one with them")
        self.bound_block, self.bound_columns = self.published, self.columns
        self.model.is_borrowed = 1
        self.model.net, self.model.block = self.net, self.published.data
        if self.columns.scaling != NULL:
            self.model.scaling = self.columns.scaling[0]
        if not fml_model_prepare(&self.model):
            raise MemoryError("sizes: no memory for the calls of a bound predictor")
        self.frozen = True

    cdef int _check_native(self) except -1:
        """Raise an AttributeError if native code cannot get what `predict` gives: there is no C function then. It is no
        ValueError, as tools that read all attributes of an object expect that none of them raises another error."""
        self._check_built()
        if not self.frozen:
            raise RuntimeError("BoundPredictor: expected one that Network.bind has made")
        if self.columns.schema.encoder is not None:
            raise AttributeError("encoder: expected a network whose inputs are numbers, got one with an encoder, which "
                                 "native code cannot call; predict takes its frames")
        if self._predicts_float64():
            raise AttributeError("target_scaling: expected outputs that float32 can hold, got targets for which "
                                 "predict returns float64; native code needs a network of dtype float64")
        return 0

    @property
    def address(self):
        """The address of a C function ``void f(const REAL *x, REAL *y, void *context)``, an integer.

        REAL is float or double, by `dtype`; x has n_inputs numbers, y receives n_outputs, and context is `context`.
        The function gives the bits of `predict`, needs no GIL, allocates nothing, and may be called by any number of
        threads at once. Whoever calls it must keep the BoundPredictor alive and give it memory of these sizes.
        """
        self._check_native()
        return <size_t>&fastmlp_call

    @property
    def context(self):
        """The address of what the function at `address` takes as its context, an integer; see there."""
        self._check_native()
        return <size_t>&self.model

    def _native(self, dtype):
        """Return address, context and the numbers of inputs and outputs; a TypeError unless `dtype` is the network's,
        or None."""
        self._check_native()
        if dtype is not None and dtype != self.descr:
            raise TypeError(f"dtype: expected a predictor of {dtype}, got one of {self.descr}")
        return <size_t>&fastmlp_call, <size_t>&self.model, self.n_inputs, self.n_outputs

    def _scalar_capsules(self):
        """Return two capsules for `scipy.LowLevelCallable`: the C function of a row, and its context, which keeps this
        object alive; a ValueError if the network is none of numbers that SciPy integrates."""
        self._check_native()
        if self.n_outputs != 1 or self.n_inputs > MAX_SCIPY_INPUTS:
            raise ValueError(f"scipy: expected a network of one output and at most {MAX_SCIPY_INPUTS} inputs, got "
                             f"{self.n_inputs} inputs and {self.n_outputs} outputs")
        cdef object context = PyCapsule_New(&self.model, NULL, release_owner)
        PyCapsule_SetContext(context, <PyObject *>self)
        Py_INCREF(self)
        if self.n_inputs == 1:
            return PyCapsule_New(<void *>&scalar_function_of_one, "double (double, void *)", NULL), context
        return PyCapsule_New(<void *>&scalar_function, "double (int, double *, void *)", NULL), context
