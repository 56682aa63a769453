# Part of _core.pyx: Predictor, a network that does not train. It owns the published parameters, converts arrays, and
# computes predictions, classes, losses and gradients.
#
# Its subclass Trainer adds training; it overrides `_readable`, the method through which all methods here get the
# published parameters. A published Block never changes while a caller holds a reference to it. A call takes the spare
# workspace and returns it at its end; a call that finds none, because another call has it, allocates its own.


cdef inline void forward_or_classify(const fml_network *net, const void *block, const fml_data *data, void **z,
                                     void **y, void *output, int64_t *classes, void *workspace) noexcept nogil:
    """Call `fml_classify` if `classes` is given, else `fml_forward`."""
    if classes != NULL:
        fml_classify(net, block, data, classes, workspace)
    else:
        fml_forward(net, block, data, z, y, output, workspace)


cdef cnp.npy_intp replace_missing_classes(int64_t *classes, cnp.npy_intp n) noexcept:
    """Replace -1, which stands for a row whose outputs are NaN, by 0; return the first such row, -1 if none is."""
    cdef cnp.npy_intp i, first = -1
    for i in range(n - 1, -1, -1):
        if classes[i] < 0:
            classes[i], first = 0, i
    return first


cdef class Predictor:
    """Parameters and predictions of one network."""

    cdef fml_network net
    cdef Block published
    cdef Columns columns     # scalings and schema that training uses, which it publishes with the parameters
    cdef double min_target, max_target  # the range of targets that the loss takes
    cdef uint64_t random     # the state of the random number generator
    cdef list functions      # for each layer, the user's functions (value, derivative), or None
    cdef object own_loss     # the user's function of outputs and targets, or None
    cdef bint custom         # whether a layer or the loss is a user's function
    cdef size_t gil_work_limit   # a call of fewer multiply-adds than this keeps the GIL
    cdef void *spare_workspace   # one workspace for the next call, or NULL; taken and returned while holding the GIL
    cdef int typenum         # NumPy's number of the dtype
    cdef size_t n_inputs, n_outputs, n_weights
    cdef size_t row_workspace  # bytes of workspace for the prediction of one row
    cdef cnp.dtype descr       # the dtype of parameters and results
    cdef cnp.ndarray spare_1, spare_2  # the last two outputs of single rows, see _row_output

    def __dealloc__(self):
        fml_free(self.net.layers)
        fml_free(<void *>self.net.loss_hyper_parameters)
        fml_free(self.spare_workspace)

    # -- construction ----------------------------------------------------------------------------------------------

    def _build(self, sizes, activations, loss, bint double, str engine, isa, size_t n_threads, targets):
        """Build the network from arguments that the caller has checked. `activations` has for each layer the name, the
        hyper-parameters, and a user's functions or None; `targets` the smallest and the largest that the loss takes."""
        self._check_unbuilt()
        self.net.kernels = find_kernels(isa, FML_F64 if double else FML_F32)
        self.net.engine = find_engine(self.net.kernels, engine)
        if self._trains() and self.net.engine.weight_gradient == NULL:
            raise ValueError(f"engine: expected one that trains, got {engine!r}, which only predicts")
        self.net.n_layers = len(sizes) - 1
        self.net.n_threads = n_threads
        self.net.layers = <fml_layer *>fml_allocate(self.net.n_layers * sizeof(fml_layer))
        if self.net.layers == NULL:
            raise MemoryError("sizes: no memory for the layers")
        cdef size_t l
        self.functions, self.own_loss = [functions for _, _, functions in activations], getattr(loss, "function", None)
        self.custom = any(self.functions) or self.own_loss is not None
        # Pool threads that run custom functions wait for the GIL, so the calling thread must always release it.
        self.gil_work_limit = 0 if self.custom else MANY_MULTIPLY_ADDS
        for l, (name, hyper_parameters, functions) in enumerate(activations):
            self.net.layers[l].n_inputs = sizes[l]
            self.net.layers[l].n_outputs = sizes[l + 1]
            if functions is not None:
                self.net.layers[l].activation = custom_activation()
            else:
                self.net.layers[l].activation = &self.net.kernels.activations[<size_t>ACTIVATION_ROWS[name]]
            for i, value in enumerate(hyper_parameters):
                self.net.layers[l].hyper_parameters[i] = value
        fml_network_lay_out(&self.net)
        self.typenum = cnp.NPY_FLOAT64 if double else cnp.NPY_FLOAT32
        self._build_loss(loss, sizes[len(sizes) - 1])
        self.n_inputs, self.n_outputs = sizes[0], sizes[len(sizes) - 1]
        self.n_weights = sum([sizes[i] * sizes[i + 1] for i in range(len(sizes) - 1)])
        self.row_workspace = fml_row_workspace(&self.net)
        self.min_target, self.max_target = targets
        self.descr = self._type()
        self.columns = Columns(None, None, EMPTY)
        self.published = new_block(self.net.n_packed * self.net.kernels.real_size)
        self.published.columns = self.columns

    cdef int _build_loss(self, loss, size_t n_outputs) except -1:
        """Set the loss of the core's network, its hyper-parameters, and the number of targets of a row."""
        cdef size_t n = len(loss.hyper_parameters)
        cdef double *values = <double *>fml_allocate((n + 1) * sizeof(double))
        if values == NULL:
            raise MemoryError("loss: no memory for the hyper-parameters")
        self.net.loss_hyper_parameters, self.net.n_loss_hyper_parameters = values, n
        for i, value in enumerate(loss.hyper_parameters):
            values[i] = value
        self.net.loss = &self.net.kernels.losses[<size_t>LOSS_ROWS[loss.name]]
        self.net.n_targets = n_outputs // <size_t>loss.n_heads
        return 0

    def _draw_parameters(self, distributions, uint64_t random_state):
        """Draw the initial parameters. `distributions` has for each layer the kind ("uniform" or "normal"), the scale
        (the limit or the standard deviation), and whether biases are drawn, too; else they are 0."""
        self._check_built()
        if len(distributions) != <Py_ssize_t>self.net.n_layers:
            raise ValueError(f"distributions: expected {self.net.n_layers}, got {len(distributions)}")
        self.random = random_state
        for l, (kind, scale, biases) in enumerate(distributions):
            n_inputs, n_outputs = self.net.layers[l].n_inputs, self.net.layers[l].n_outputs
            w = self._draw_array(kind, scale, n_outputs * n_inputs)
            b = self._draw_array(kind, scale if biases else 0.0, n_outputs)
            self._pack(l, w, b)

    cdef cnp.ndarray _draw_array(self, str kind, double scale, size_t n):
        """Return n numbers of the network's dtype, each drawn in double; for the scale 0, zeros without drawing."""
        cdef cnp.ndarray values = np.zeros(n, dtype=self._type())
        cdef void *at = cnp.PyArray_DATA(values)
        cdef bint uniform = kind == "uniform", single = self.typenum == cnp.NPY_FLOAT32
        cdef double value
        cdef size_t i
        for i in range(n if scale != 0 else 0):
            value = 2 * fml_random_uniform(&self.random) - 1 if uniform else fml_random_normal(&self.random)
            if single:
                (<float *>at)[i] = <float>(scale * value)
            else:
                (<double *>at)[i] = scale * value
        return values

    cdef CustomCall _custom_call(self, list errors):
        """Return the CustomCall that a call of the core needs if the network has custom functions, else None."""
        return new_call(&self.net, self.functions, self.own_loss, self.descr, errors) if self.custom else None

    cdef const fml_network *_network(self, CustomCall call) noexcept:
        """Return the network that a call of the core uses: that of the CustomCall, or if that is None, `net`."""
        return &self.net if call is None else &call.net

    cdef object _type(self):
        """Return the dtype of parameters and results."""
        return cnp.PyArray_DescrFromType(self.typenum)

    cdef int _pack(self, size_t l, w, b) except -1:
        """Copy the weights and biases of layer l into the published block, which no reader holds yet."""
        cdef cnp.ndarray w_ = np.ascontiguousarray(w), b_ = np.ascontiguousarray(b)
        self.net.engine.pack(&self.net, l, cnp.PyArray_DATA(w_), cnp.PyArray_DATA(b_), self.published.data)
        return 0

    def _check_unbuilt(self):
        """Raise a RuntimeError if __init__ is called a second time."""
        if self.net.layers != NULL:
            raise RuntimeError("Network: expected one call of __init__, got a second one")

    cdef int _check_built(self) except -1:
        """Raise a RuntimeError if __init__ has not built the network."""
        if self.published is None:
            raise RuntimeError("Network: expected a network that __init__ has built, got one without it")
        return 0

    # -- description ------------------------------------------------------------------------------------------------

    @property
    def engine(self):
        """The name of the engine that computes the layers, ``"native"`` or ``"blas"``."""
        self._check_built()
        return self.net.engine.name.decode()

    @property
    def _isa(self):
        """The instruction set of the network's kernels."""
        self._check_built()
        return self.net.kernels.isa.decode()

    @property
    def dtype(self):
        """The NumPy dtype of parameters and results."""
        self._check_built()
        return np.dtype(self._type())

    @property
    def n_parameters(self):
        """The number of weights and biases."""
        return self.net.n_parameters

    # -- parameters -------------------------------------------------------------------------------------------------

    cdef bint _trains(self) noexcept:
        """Return whether this class trains, which not every engine does."""
        return False

    def _unpack(self):
        """Return the published parameters as a new vector P; those that an engine has rounded, as it uses them."""
        cdef Block block = self._readable()
        cdef cnp.ndarray P = self._empty(1, [self.net.n_parameters, 0])
        fml_network_unpack(&self.net, block.data, cnp.PyArray_DATA(P))
        return P

    cdef Block _packed(self, cnp.ndarray P):
        """Return a new block with the parameters P in the engine's layout."""
        self._check_built()
        self._check_vector("parameters", P)
        cdef Block block = new_block(self.net.n_packed * self.net.kernels.real_size)
        fml_network_pack(&self.net, cnp.PyArray_DATA(P), block.data)
        return block

    cdef int _check_vector(self, str argument, cnp.ndarray P) except -1:
        """Raise a ValueError unless P is a contiguous vector of n_parameters numbers of the network's dtype."""
        if (P.size != <cnp.npy_intp>self.net.n_parameters or cnp.PyArray_TYPE(P) != self.typenum
                or not cnp.PyArray_ISCARRAY_RO(P)):
            raise ValueError(f"{argument}: expected {self.net.n_parameters} numbers, got {P.size} of dtype {P.dtype}")
        return 0

    def _load(self, cnp.ndarray P not None, input_scaling, target_scaling, schema):
        """Set the parameters to P, which the caller has checked to be finite, and what belongs to them. Nobody may hold
        the network yet: predictions that run at the same time would see a part of this."""
        if self._trains():
            raise RuntimeError("_load: expected a network that only predicts")
        cdef Block block = self._packed(P)
        block.columns = self.columns = Columns(input_scaling, target_scaling, schema)
        self.published = block

    @property
    def _n_bytes(self):
        """The number of bytes that the parameters take in the layout of the engine, padding included."""
        self._check_built()
        return self.net.n_packed * self.net.kernels.real_size

    @property
    def _columns(self):
        """The Scaling or None of inputs and of targets, and the Schema, as training uses and will publish them."""
        self._check_built()
        return self.columns.inputs, self.columns.targets, self.columns.schema

    @property
    def _published_columns(self):
        """The scalings and the schema that belong to the published parameters, unlike `_columns`, which already has
        what a running fit has determined but not published."""
        cdef Block block = self._readable()
        return block.columns.inputs, block.columns.targets, block.columns.schema

    def _first_not_finite(self, cnp.ndarray x not None):
        """Return the flat index of the first element of x (C-contiguous, the network's dtype) not finite, or None."""
        self._check_built()
        if cnp.PyArray_TYPE(x) != self.typenum or not cnp.PyArray_ISCARRAY_RO(x):
            raise TypeError(f"x: expected a C-contiguous array of {self._type()}, got one of {x.dtype}")
        cdef size_t n = cnp.PyArray_SIZE(x), i
        cdef const void *data = cnp.PyArray_DATA(x)
        with nogil:
            i = self.net.kernels.first_not_finite(data, n)
        return None if i == n else i

    cdef Block _readable(self):
        """Return the published block."""
        self._check_built()
        return self.published

    # -- arrays -----------------------------------------------------------------------------------------------------

    cdef cnp.ndarray _empty(self, int ndim, size_t[2] shape):
        """Return a new array of the network's dtype, with ndim (1 or 2) dimensions of that shape."""
        cdef cnp.npy_intp[2] dimensions
        dimensions[0], dimensions[1] = <cnp.npy_intp>shape[0], <cnp.npy_intp>shape[1]
        self._check_built()
        Py_INCREF(self.descr)  # PyArray_NewFromDescr steals a reference
        return PyArray_NewFromDescr(ndarray_type, self.descr, ndim, dimensions, NULL, NULL, 0, NULL)

    cdef int _check_rows(self, Rows rows) except -1:
        """Raise a ValueError unless the rows have this network's dtype and numbers of inputs and targets."""
        self._check_built()
        if not rows.matches(self.typenum, self.n_inputs, self.net.n_targets):
            raise ValueError("X: expected rows that were made for this network, got others")
        return 0

    cdef object _input(self, X):
        """Return X as an array that the kernels can read, or as Sparse rows; X is only converted if it has to be."""
        self._check_built()
        if cnp.PyArray_CheckExact(X) and is_ready(<cnp.ndarray>X, self.typenum, self.n_inputs):
            return <cnp.ndarray>X
        cdef Columns columns = self._readable().columns
        if columns.schema.feature_names is not None:
            X = to_inputs(columns.schema, X)
        x = convert(X, self.n_inputs, self._type(), scaled=columns.inputs is not None)
        cdef Sparse sparse = None if isinstance(x, np.ndarray) else Sparse(x)
        cdef bint known = (is_ready(<cnp.ndarray?>x, self.typenum, self.n_inputs) if sparse is None
                           else sparse.is_ready(self.typenum, self.n_inputs))
        if not known:  # never, unless `convert` keeps a dtype that `element_of` lacks
            raise TypeError(f"X: expected a dtype that the core reads, got {x.dtype}")
        return x if sparse is None else sparse

    cdef cnp.ndarray _row_output(self):
        """Return an array (O,) for the output of one row: one that was returned before, if only the network still holds
        it and it is unmodified, else a new one. Two arrays alternate, because `y = net.predict(x)` holds the last
        output until the new one is there. To make an array takes as long as a row of a small network."""
        cdef cnp.ndarray y = self.spare_1
        cdef size_t[2] shape = [self.n_outputs, 0]
        if y is None or Py_REFCNT(y) > 2 or not self._is_unmodified(y):
            y = self._empty(1, shape)
        self.spare_1, self.spare_2 = self.spare_2, y
        return y

    cdef bint _is_unmodified(self, cnp.ndarray y) noexcept:
        """Return whether an output still has the shape, type and flags that it was made with."""
        return (cnp.PyArray_NDIM(y) == 1 and <size_t>cnp.PyArray_DIM(y, 0) == self.n_outputs
                and cnp.PyArray_TYPE(y) == self.typenum and cnp.PyArray_STRIDE(y, 0) == cnp.PyArray_ITEMSIZE(y)
                and cnp.PyArray_FLAGS(y) == OUTPUT_FLAGS)

    cdef cnp.ndarray _output(self, x, out):
        """Return an array for the predictions of x: `out`, after a check, or if that is None, a new one."""
        if type(x) is Sparse:
            return self._output_of(2, <size_t>((<Sparse>x).begins.size - 1), out)
        return self._output_of(cnp.PyArray_NDIM(<cnp.ndarray>x), <size_t>cnp.PyArray_DIM(<cnp.ndarray>x, 0), out)

    cdef inline cnp.ndarray _output_of(self, int ndim, size_t n, out):
        """Like `_output`, for n rows (ndim 2) or a single row (ndim 1)."""
        cdef size_t[2] shape = [n, self.n_outputs]
        if ndim == 1:
            shape[0] = self.n_outputs
        if out is None:
            return self._empty(ndim, shape) if ndim == 2 else self._row_output()
        if not (
            cnp.PyArray_CheckExact(out)
            and cnp.PyArray_TYPE(<cnp.ndarray>out) == self.typenum
            and cnp.PyArray_NDIM(<cnp.ndarray>out) == ndim
            and <size_t>cnp.PyArray_DIM(<cnp.ndarray>out, 0) == shape[0]
            and (ndim == 1 or <size_t>cnp.PyArray_DIM(<cnp.ndarray>out, 1) == shape[1])
            and cnp.PyArray_ISCARRAY(<cnp.ndarray>out)
        ):
            checks.refuse_output(out, (shape[0], shape[1])[:ndim], self._type())
        return <cnp.ndarray>out

    # -- workspace --------------------------------------------------------------------------------------------------

    cdef void *_take_workspace(self, size_t size) except NULL:
        """Return the spare workspace if it is large enough, else a new one. The capacity is stored before it."""
        cdef void *memory = self.spare_workspace
        self.spare_workspace = NULL
        if memory != NULL:
            if (<size_t *>memory)[0] >= size:
                return <char *>memory + WORKSPACE_HEADER
            fml_free(memory)
        memory = fml_allocate(size + WORKSPACE_HEADER)
        if memory == NULL:
            raise MemoryError(f"no memory for {size} bytes of workspace")
        (<size_t *>memory)[0] = size
        return <char *>memory + WORKSPACE_HEADER

    cdef void _return_workspace(self, void *workspace) noexcept:
        """Keep a workspace as the spare one, or free it if another call has already returned its own."""
        cdef void *memory = <char *>workspace - WORKSPACE_HEADER
        if self.spare_workspace == NULL:
            self.spare_workspace = memory
        else:
            fml_free(memory)

    def _release_workspace(self):
        """Free the spare workspace. The next call that needs one allocates it again."""
        cdef void *memory = self.spare_workspace
        self.spare_workspace = NULL
        fml_free(memory)

    # -- predictions ------------------------------------------------------------------------------------------------

    cdef int _forward(self, x, void **z, void **y, void *output, int64_t *classes=NULL, Block block=None) except -1:
        """Run all rows of x through the layers; write classes only, if `classes` is given. Release the GIL if the work
        is long. If a block is given, use its parameters, and do not undo the scaling of the targets."""
        cdef fml_data data
        cdef bint unscale = block is None
        if unscale:
            block = self._readable()
        cdef CustomCall call = self._custom_call([]) if self.custom else None
        cdef const fml_network *net = self._network(call)
        describe(x, self.typenum, &data)
        data.scaling = block.columns.scaling if unscale else block.columns.input_scaling
        cdef void *workspace = self._take_workspace(fml_forward_workspace(&self.net, data.n_rows))
        if data.n_rows * self.n_weights < self.gil_work_limit:
            forward_or_classify(net, block.data, &data, z, y, output, classes, workspace)
        else:
            with nogil:
                forward_or_classify(net, block.data, &data, z, y, output, classes, workspace)
        self._return_workspace(workspace)
        return 0 if call is None else call.check()

    cdef int _forward_row(self, const void *x, void *y) except -1:
        """Run one row of the network's dtype, without scaling and custom functions: `_forward` without its choices."""
        cdef Block block = self._readable()
        cdef void *workspace = self._take_workspace(self.row_workspace)
        fml_forward_row(&self.net, block.data, x, y, workspace)
        self._return_workspace(workspace)
        return 0

    def predict(self, X, *, out=None):
        """Compute the network's output for each row of X.

        Parameters
        ----------
        X : array_like, shape (B, I) or (I,)
            Rows of numbers. A C-contiguous array of the network's dtype, or of uint8, is read in place;
            other arrays are converted. If the network has `feature_names`, the columns of a frame are found by their
            names.
        out : ndarray, shape (B, O) or (O,), optional
            The array to write the output to: C-contiguous, of the dtype that is returned, not overlapping X. With it
            nothing is allocated.

        Returns
        -------
        ndarray, shape (B, O), or (O,) for a single row
            `out` if that was given. NaN in a row gives NaN. The dtype is the network's, with one exception: a float32
            network whose `target_scaling` has an offset of more than 1,024 times its scale, or exceeds the range of
            float32, returns float64, as float32 would lose the differences between predictions.

        Raises
        ------
        ValueError, TypeError
            If X or `out` has a wrong shape or dtype; the message has the expected one and the given one.

        Examples
        --------
        >>> net = fastmlp.Network([3, 2], seed=0)
        >>> net.predict([[0.0, 0.0, 0.0]])
        array([[0., 0.]], dtype=float32)
        """
        cdef object source = X
        if not (cnp.PyArray_CheckExact(X) and self.published is not None
                and is_ready(<cnp.ndarray>X, self.typenum, self.n_inputs)):
            source = self._input(X)
            if type(source) is Sparse:
                return self._predict_sparse(<Sparse>source, out)
        if self.columns.scaling != NULL and self._predicts_float64():
            return self._predict_float64(X, source, out)
        cdef cnp.ndarray x = <cnp.ndarray>source
        cdef cnp.ndarray y = self._output_of(cnp.PyArray_NDIM(x), <size_t>cnp.PyArray_DIM(x, 0), out)
        if out is not None and (overlap(x, y) or (x is not X and shares_memory(X, y))):
            raise ValueError("out: expected memory of its own, got an array that overlaps X")
        if (cnp.PyArray_NDIM(x) == 1 and cnp.PyArray_TYPE(x) == self.typenum and self.n_weights < self.gil_work_limit
                and self.columns.scaling == NULL):
            self._forward_row(cnp.PyArray_DATA(x), cnp.PyArray_DATA(y))
        else:
            self._forward(x, NULL, NULL, cnp.PyArray_DATA(y))
        return y

    cdef object _predict_sparse(self, Sparse x, out):
        if self._predicts_float64():
            return self._predict_float64(x.elements, x, out)
        cdef cnp.ndarray y = self._output(x, out)
        if out is not None and overlap(x.elements, y):
            raise ValueError("out: expected memory of its own, got an array that overlaps X")
        self._forward(x, NULL, NULL, cnp.PyArray_DATA(y))
        return y

    cdef bint _predicts_float64(self) except -1:
        """Return whether predictions are float64 although the network is float32, see `Scaling.needs_float64`."""
        return self.typenum == cnp.NPY_FLOAT32 and self._readable().columns.needs_float64

    cdef object _predict_float64(self, X, source, out):
        """Predict in float64, where float32 cannot hold targets whose scaling is undone."""
        cdef Block block = self._readable()
        cdef bint single = type(source) is not Sparse and cnp.PyArray_NDIM(<cnp.ndarray>source) == 1
        cdef size_t[2] shape = [1 if single else source.shape[0], self.n_outputs]
        cdef cnp.ndarray y = self._empty(2, shape)
        expected = (shape[0], shape[1])[single:]
        if out is not None and not checks.is_output(out, expected, np.float64):
            checks.refuse_output(out, expected, np.dtype(np.float64))
        if out is not None and (shares_memory(X, out) or shares_memory(source, out)):
            raise ValueError("out: expected memory of its own, got an array that overlaps X")
        self._forward(source, NULL, NULL, cnp.PyArray_DATA(y), NULL, block)
        numbers = block.columns.targets.undo(y).reshape(expected)
        if out is None:
            return numbers
        out[...] = numbers
        return out

    def __call__(self, X, *, out=None):
        """Predict: `net(X)` is `net.predict(X)`."""
        return self.predict(X, out=out)

    def _predict_population(self, cnp.ndarray P not None, X, size_t n_rows):
        """Return the outputs (K, n_rows, O) for each parameter vector in P (K, n_parameters), which is C-contiguous and
        has the network's dtype. X has n_rows rows for all of them, or K n_rows rows, n_rows for each."""
        cdef object x = self._input(X)
        cdef size_t K = 0, found = <size_t>x.shape[0]
        if cnp.PyArray_NDIM(P) == 2:
            K = <size_t>cnp.PyArray_DIM(P, 0)
        if (K == 0 or cnp.PyArray_TYPE(P) != self.typenum or not cnp.PyArray_ISCARRAY_RO(P)
                or <size_t>cnp.PyArray_DIM(P, 1) != self.net.n_parameters or len(x.shape) != 2 or n_rows == 0
                or (found != n_rows and found != K * n_rows) or (found != n_rows and type(x) is Sparse)):
            raise ValueError("P, X: expected arrays that `predict_population` has checked, got others")
        cdef Block block = self._readable()
        cdef bint wide = self._predicts_float64()
        cdef cnp.ndarray y = np.empty((K, n_rows, self.n_outputs), dtype=self._type())
        cdef PollState poll_state = PollState()
        cdef CustomCall call = self._custom_call(poll_state.errors)
        cdef const fml_network *net = self._network(call)
        cdef fml_poll poll = self._poll(poll_state)
        cdef fml_data data
        cdef fml_status status
        cdef bint own = found != n_rows
        describe(x, self.typenum, &data)
        data.n_rows = n_rows
        data.scaling = block.columns.input_scaling if wide else block.columns.scaling
        cdef void *workspace = self._take_workspace(fml_population_workspace(&self.net, K, n_rows))
        with nogil:
            status = fml_forward_population(net, cnp.PyArray_DATA(P), K, &data, own, cnp.PyArray_DATA(y), &poll,
                                            workspace)
        self._return_workspace(workspace)
        if call is not None:
            call.check()
        if status == FML_STOPPED:
            raise poll_state.errors[0]
        return block.columns.targets.undo(y) if wide else y

    def classify(self, X, *, names=False):
        """Compute the class of each row of X: the index of its largest output, the lowest index on a tie.

        With a single output, the class is 1 if the output is above 0.5 (with the hinge loss, whose classes differ in
        the sign, above 0), else 0. A row whose outputs are NaN has no class: its index is 0, and with `names` it is a
        ValueError.

        Parameters
        ----------
        X : array_like, shape (B, I) or (I,)
        names : bool, default False
            Return the class names instead of their indices; the network must have `class_names`.

        Returns
        -------
        ndarray of int64, shape (B,), or a single int64 for a single row
            Indices, into `class_names` if the network has them. With `names`, an array of names, whose dtype is str,
            int64, uint64 or float64 by the kind of the names, or a single name.

        Examples
        --------
        >>> net = fastmlp.Network([2, 3], seed=0)
        >>> net.set_layer(0, [[1, 0], [0, 1], [1, 1]], [0, 0, -1])
        >>> net.classify([[3.0, 1.0], [0.0, 2.0], [2.0, 2.0]])
        array([0, 1, 2])
        >>> net.classify([1.0, 1.0])  # three outputs of 1
        np.int64(0)
        """
        cdef bint single = False
        cdef cnp.ndarray classes = self._classes(X, &single)
        cdef cnp.npy_intp no_class = replace_missing_classes(<int64_t *>cnp.PyArray_DATA(classes), classes.size)
        if names and no_class >= 0:
            raise ValueError(f"X: row {no_class} has no class, as its outputs are NaN; expected finite outputs")
        if names:
            return named(self._readable().columns.schema.class_names, classes, single)
        return classes[0] if single else classes

    cdef cnp.ndarray _classes(self, X, bint *single):
        """Return the class of each row, -1 where the outputs are NaN; set *single to whether X is a single row."""
        cdef object x = self._input(X)
        cdef bint sparse = type(x) is Sparse
        single[0] = not sparse and cnp.PyArray_NDIM(<cnp.ndarray>x) == 1
        cdef cnp.npy_intp n_rows = (<Sparse>x).begins.size - 1 if sparse else n_rows_of(<cnp.ndarray>x)
        cdef cnp.ndarray classes = cnp.PyArray_EMPTY(1, &n_rows, cnp.NPY_INT64, 0)
        self._forward(x, NULL, NULL, NULL, <int64_t *>cnp.PyArray_DATA(classes))
        return classes

    def _classes_or_none(self, X):
        """Return the classes of rows (B, I), an array (B,) of int64 with -1 for a row whose outputs are NaN."""
        cdef bint single = False
        return self._classes(X, &single)

    def activations(self, X):
        """Compute the outputs of all layers, a list of L arrays (B, O_l).

        The last one is the output that `predict` returns, except that `target_scaling` is not undone.

        Examples
        --------
        >>> net = fastmlp.Network([2, 2, 1], activation="relu")
        >>> net.set_layer(0, [[1, 1], [1, -1]], [0, 0])
        >>> net.set_layer(1, [[1, 1]], [0.5])
        >>> net.activations([1.0, 2.0])
        [array([3., 0.], dtype=float32), array([3.5], dtype=float32)]
        """
        return self._all_layers(X, False)

    def pre_activations(self, X):
        """Compute the weighted sums z = x w^T + b of all layers, a list of L arrays (B, O_l).

        Examples
        --------
        >>> net = fastmlp.Network([2, 2, 1], activation="relu")
        >>> net.set_layer(0, [[1, 1], [1, -1]], [0, 0])
        >>> net.set_layer(1, [[1, 1]], [0.5])
        >>> net.pre_activations([1.0, 2.0])
        [array([ 3., -1.], dtype=float32), array([3.5], dtype=float32)]
        """
        return self._all_layers(X, True)

    cdef list _all_layers(self, X, bint pre):
        """Return z of all layers if `pre`, else y = f(z) of all layers."""
        cdef object x = self._input(X)
        cdef size_t L = self.net.n_layers, l
        cdef cnp.ndarray pointers = np.empty(L, dtype=np.uintp)
        cdef void **each = <void **>cnp.PyArray_DATA(pointers)
        cdef list results = []
        for l in range(L):
            shape = (*x.shape[:-1], self.net.layers[l].n_outputs)
            results.append(np.empty(shape, dtype=self._type()))
            each[l] = cnp.PyArray_DATA(<cnp.ndarray>results[l])
        self._forward(x, each if pre else NULL, NULL if pre else each, NULL)
        return results

    def _evaluate(self, Rows rows not None):
        """Return the weighted mean loss over the rows, and the weighted share of rows whose class is correct."""
        self._check_rows(rows)
        cdef Block block = self._readable()
        rows.scale(block.columns)
        cdef PollState poll_state = PollState()
        cdef CustomCall call = self._custom_call(poll_state.errors)
        cdef const fml_network *net = self._network(call)
        cdef fml_poll poll = self._poll(poll_state)
        cdef void *workspace = self._take_workspace(fml_forward_workspace(&self.net, rows.data.n_rows))
        cdef double loss = 0, right = 0
        cdef fml_status status
        if rows.data.n_rows * self.n_weights < self.gil_work_limit:
            status = fml_evaluate(net, block.data, &rows.data, &loss, &right, &poll, workspace)
        else:
            with nogil:
                status = fml_evaluate(net, block.data, &rows.data, &loss, &right, &poll, workspace)
        self._return_workspace(workspace)
        self._raise_status(status, rows, poll_state)
        return loss / rows.total_weight, right / rows.total_weight

    # -- gradients --------------------------------------------------------------------------------------------------

    def _gradient(self, Rows rows not None, bint inputs):
        """Return the mean loss, and its gradient with respect to the parameters or, if `inputs`, to X."""
        self._check_rows(rows)
        if self.net.engine.weight_gradient == NULL:
            raise RuntimeError(f"gradient: the engine {self.engine} only predicts")
        cdef Block block = self._readable(), gradient = new_block(self.net.n_packed * self.net.kernels.real_size)
        rows.scale(block.columns)
        cdef size_t[2] shape = [self.net.n_parameters, 0]
        if inputs:
            shape = [rows.data.n_rows, self.n_inputs]
        cdef cnp.ndarray result = self._empty(2 if inputs else 1, shape)
        cdef void *dx = cnp.PyArray_DATA(result) if inputs else NULL
        cdef CustomCall call = self._custom_call([])
        cdef void *workspace = self._take_workspace(fml_gradient_workspace(&self.net, rows.data.n_rows, inputs))
        cdef double loss
        cdef fml_status status
        cdef fml_pass pass_
        memset(&pass_, 0, sizeof(fml_pass))
        pass_.net, pass_.block, pass_.data, pass_.rows = self._network(call), block.data, &rows.data, rows.data.n_rows
        pass_.weight = fml_total_weight(&rows.data, NULL, rows.data.n_rows)
        pass_.gradient, pass_.dx, pass_.workspace = gradient.data, dx, workspace
        with nogil:
            status = fml_gradient(&pass_, &loss)
            if dx == NULL:
                fml_network_unpack(&self.net, gradient.data, cnp.PyArray_DATA(result))
        self._return_workspace(workspace)
        if call is not None:
            call.check()
        if status == FML_LOSS_NOT_FINITE:
            result.fill(np.nan)
        else:
            self._raise_status(status, rows, None)
        if inputs and rows.columns.inputs is not None:
            result = (result / rows.columns.inputs.scale).astype(self._type())
        return loss / rows.total_weight, result

    def _division(self, size_t n_rows):
        """Return on how many threads a gradient of that many rows is computed, and in how many parts."""
        self._check_built()
        cdef fml_division by = fml_division_of(&self.net, n_rows)
        return by.n_threads, by.n_rounds * by.n_parts

    # -- long passes -------------------------------------------------------------------------------------------------

    cdef fml_poll _poll(self, PollState poll_state):
        """Return how a long pass asks whether to stop: because of a signal (only the main thread receives signals), the
        flag that the thread follows, an error in a custom function, or the deadline."""
        import threading  # by the first long pass, as its import would take a tenth of fastmlp's

        cdef fml_poll poll
        poll.stop = NULL
        poll.context, poll.last, poll.work = <void *>poll_state, fml_seconds(), 0
        poll.interval = 0 if self.custom else 0.05
        if poll_state.deadline < INFINITY:
            poll.interval = min(poll.interval, max(poll_state.deadline - poll.last, 0))
        in_main_thread = threading.current_thread() is threading.main_thread()
        if self.custom or poll_state.deadline < INFINITY or poll_state.flag is not None or in_main_thread:
            poll.stop = poll_python
        return poll

    cdef int _raise_status(self, fml_status status, Rows rows, PollState poll_state) except -1:
        """Raise the error that a status stands for, if it does."""
        if status == FML_STOPPED:
            raise poll_state.errors[0]
        if status == FML_INPUT_NOT_FINITE:
            checks.refuse_not_finite("X", rows.x, self._type(), rows.columns.inputs)
        if status == FML_LOSS_NOT_FINITE:
            checks.refuse_loss()
        return 0
