# Part of _core.pyx: what a Core holds while it predicts and trains.
#
# Block is memory for parameters, Rows is checked data, Training is an optimiser at work, OwnLoss a user's loss. Their
# memory goes with the Python object; a Block that is published never changes while anybody else holds it.


cdef bint is_ready(cnp.ndarray x, int typenum, size_t n_inputs) noexcept:
    """Whether the kernels can read x where it stands: (., I) or (I,), aligned, in C order, of that type or uint8."""
    cdef int ndim = cnp.PyArray_NDIM(x)
    return (
        (cnp.PyArray_TYPE(x) == typenum or cnp.PyArray_TYPE(x) == cnp.NPY_UINT8)
        and cnp.PyArray_IS_C_CONTIGUOUS(x) and cnp.PyArray_ISALIGNED(x) and cnp.PyArray_ISNOTSWAPPED(x)
        and (ndim == 1 or (ndim == 2 and cnp.PyArray_DIM(x, 0) > 0))
        and <size_t>cnp.PyArray_DIM(x, ndim - 1) == n_inputs
    )


cdef size_t n_rows_of(cnp.ndarray x) noexcept:
    return <size_t>cnp.PyArray_DIM(x, 0) if cnp.PyArray_NDIM(x) == 2 else 1


cdef bint overlap(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Whether two C-contiguous arrays share a byte."""
    cdef char *first_a = <char *>cnp.PyArray_DATA(a)
    cdef char *first_b = <char *>cnp.PyArray_DATA(b)
    return first_a < first_b + cnp.PyArray_NBYTES(b) and first_b < first_a + cnp.PyArray_NBYTES(a)

cdef class Block:
    """Aligned memory for the parameters of one network in its engine's layout; never changed once published."""

    cdef void *data

    def __dealloc__(self):
        fml_free(self.data)


cdef class Core


cdef Block new_block(size_t size):
    cdef Block block = Block.__new__(Block)
    block.data = fml_allocate(size)
    if block.data == NULL:
        raise MemoryError(f"sizes: no memory for {size} bytes of parameters")
    return block


cdef class Training:
    """An optimiser at work on one network: its block of parameters, gradient and state, and that state as published."""

    cdef fml_trainer trainer
    cdef void *published_states
    cdef void *lbfgs  # memory of that optimiser
    cdef uint64_t published_steps
    cdef double[8] published_scalars  # FML_MAX_SCALARS
    cdef object optimizer  # the Python object that says which
    cdef object plateau    # where a learning rate stands that follows from losses, or None
    cdef object rates      # the learning rates of a function of the step, while they are used
    cdef bint by_function  # the learning rate is such a function
    cdef size_t size       # bytes of a block

    def __cinit__(self, Core core, optimizer):
        cdef const fml_optimizer *kernel = fml_find_optimizer(core.net.kernels, optimizer.name.encode())
        self.optimizer, self.size = optimizer, core.net.n_packed * core.net.kernels.real_size
        self.trainer.net, self.trainer.optimizer = &core.net, kernel
        for i, value in enumerate(optimizer.hyper_parameters):
            self.trainer.hyper_parameters[i] = value
        self._follow()
        cdef size_t states = self.size * <size_t>kernel.n_states
        self.trainer.block, self.trainer.gradient = fml_allocate(self.size), fml_allocate(self.size)
        self.trainer.states[0], self.published_states = fml_allocate(states), fml_allocate(states)
        if (self.trainer.block == NULL or self.trainer.gradient == NULL or self.trainer.states[0] == NULL
                or self.published_states == NULL):
            raise MemoryError(f"no memory to train {core.net.n_parameters} parameters")
        for i in range(1, kernel.n_states):
            self.trainer.states[i] = <char *>self.trainer.states[0] + <size_t>i * self.size
        memcpy(self.trainer.block, core.published.data, self.size)
        cdef size_t memory
        if kernel.step == NULL:
            memory = optimizer.memory
            self.lbfgs = fml_allocate(fml_lbfgs_size(&core.net, memory))
            if self.lbfgs == NULL:
                raise MemoryError(f"memory: no memory for {memory} times {core.net.n_parameters} parameters")
            self.trainer.lbfgs = fml_lbfgs_begin(&core.net, memory, self.lbfgs)

    def __dealloc__(self):
        fml_free(self.trainer.block)
        fml_free(self.trainer.gradient)
        fml_free(self.trainer.states[0])
        fml_free(self.published_states)
        fml_free(self.lbfgs)

    cdef int _follow(self) except -1:
        """Has the learning rate follow the optimiser's schedule."""
        scheduled = self.optimizer._scheduled()
        if scheduled is not None:
            self.trainer.schedule = fml_find_schedule(scheduled[0].encode())
            for i, value in enumerate(scheduled[1]):
                self.trainer.schedule_parameters[i] = value
        self.plateau = self.optimizer._new_plateau()
        if self.plateau is not None:
            self.trainer.hyper_parameters[0] = self.plateau.rate
        self.by_function = scheduled is None and self.plateau is None and self.optimizer.schedule is not None
        return 0

    cdef int plan(self, size_t n_steps) except -1:
        """Asks a function of the step for the learning rates of the next n_steps steps."""
        cdef cnp.ndarray rates = self.optimizer._rates(self.trainer.n_steps, n_steps)
        self.rates = rates
        self.trainer.rates, self.trainer.first_rate = <double *>cnp.PyArray_DATA(rates), self.trainer.n_steps
        return 0

    cdef void meet_data(self) noexcept:
        """The rows of the next step may be others than those of the last, or the parameters."""
        if self.trainer.lbfgs != NULL:
            fml_lbfgs_new_data(self.trainer.lbfgs)

    cdef object next_rate(self):
        """The learning rate of the next step."""
        if self.by_function:
            return float(self.optimizer._rates(self.trainer.n_steps, 1)[0])
        if not hasattr(self.optimizer, "learning_rate"):
            return None
        if self.trainer.schedule != NULL:
            return self.trainer.schedule.rate(self.trainer.schedule_parameters, self.trainer.n_steps)
        return self.trainer.hyper_parameters[0]

    cdef void publish(self, void *block) noexcept:
        """Copies the parameters to `block`, and keeps the state that goes with them."""
        memcpy(block, self.trainer.block, self.size)
        memcpy(self.published_states, self.trainer.states[0], self.size * <size_t>self.trainer.optimizer.n_states)
        self.published_steps = self.trainer.n_steps
        memcpy(self.published_scalars, self.trainer.scalars, sizeof(self.published_scalars))

    cdef void roll_back(self, const void *block) noexcept:
        """Parameters and state as they were when last published, to `block`."""
        memcpy(self.trainer.block, block, self.size)
        memcpy(self.trainer.states[0], self.published_states, self.size * <size_t>self.trainer.optimizer.n_states)
        self.trainer.n_steps = self.published_steps
        self.meet_data()
        memcpy(self.trainer.scalars, self.published_scalars, sizeof(self.published_scalars))


cdef class Rows:
    """Checked input rows and, where there are any, their targets, as the C core takes them; keeps the arrays alive."""

    cdef fml_data data
    cdef readonly cnp.ndarray x, values, labels, weights
    cdef readonly double total_weight
    cdef int64_t largest_label

    def __init__(self, cnp.ndarray x not None, cnp.ndarray values=None, cnp.ndarray labels=None,
                 cnp.ndarray weights=None):
        self.x, self.values, self.labels, self.weights = x, values, labels, weights
        self.data.x = cnp.PyArray_DATA(x)
        self.data.bytes = cnp.PyArray_TYPE(x) == cnp.NPY_UINT8
        self.data.n_rows = <size_t>x.shape[0] if x.ndim == 2 else 1
        self.data.values = NULL if values is None else cnp.PyArray_DATA(values)
        self.data.labels = NULL if labels is None else <int64_t *>cnp.PyArray_DATA(labels)
        self.largest_label = -1 if labels is None else np.max(labels)
        self.data.weights = NULL if weights is None else <double *>cnp.PyArray_DATA(weights)
        self.total_weight = self.data.n_rows if weights is None else np.sum(weights)

    cdef bint fit(self, int typenum, size_t n_inputs, size_t n_targets):
        """Whether they were made for a network of that type and shape; users cannot make others."""
        if not is_ready(self.x, typenum, n_inputs):
            return False
        if self.weights is not None and not (
            cnp.PyArray_TYPE(self.weights) == cnp.NPY_FLOAT64 and cnp.PyArray_ISCARRAY_RO(self.weights)
            and <size_t>self.weights.size == self.data.n_rows
        ):
            return False
        if self.values is None:
            return (self.labels is not None and <size_t>self.labels.size == self.data.n_rows
                    and self.largest_label < <int64_t>n_targets)
        return (cnp.PyArray_TYPE(self.values) == typenum and cnp.PyArray_ISCARRAY_RO(self.values)
                and <size_t>self.values.size == self.data.n_rows * n_targets)

    @property
    def n_rows(self):
        """How many rows there are."""
        return self.data.n_rows


cdef int stop_on_signal(void *caught) noexcept with gil:
    """Runs Python's signal handlers; what they raise is kept in the list `caught`, and the pass stops."""
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        (<list>caught).append(error)
        return 1
    return 0


cdef class OwnLoss:
    """A user's loss, and by thread the first exception of the pass that runs there."""

    cdef object function
    cdef int typenum
    cdef dict caught

    def __init__(self, function, int typenum):
        self.function, self.typenum, self.caught = function, typenum, {}

    cdef cnp.ndarray _matrix(self, const void *data, size_t rows, size_t columns):
        """A new array (rows, columns) with these numbers, which the user may keep."""
        cdef cnp.ndarray matrix = np.empty((rows, columns), dtype=cnp.PyArray_DescrFromType(self.typenum))
        memcpy(cnp.PyArray_DATA(matrix), data, cnp.PyArray_NBYTES(matrix))
        return matrix

    cdef double call(self, const fml_loss_rows *rows) except *:
        """The function's answer, checked, weighted and written to d."""
        cdef size_t O = rows.net.layers[rows.net.n_layers - 1].n_outputs
        cdef cnp.npy_intp n_rows = <cnp.npy_intp>rows.rows
        cdef cnp.ndarray d, weights = np.ones(n_rows)
        if rows.weights != NULL:
            memcpy(cnp.PyArray_DATA(weights), rows.weights, rows.rows * sizeof(double))
        output = self._matrix(rows.output, rows.rows, O)
        answer = self.function(output, self._matrix(rows.t, rows.rows, O))
        loss, gradient = arrays.own_loss(answer, n_rows, O)
        there = weights > 0  # a row of weight 0 is as if it were not there
        if rows.d != NULL:
            slopes = np.where(there[:, np.newaxis], gradient, 0) * (rows.scale * weights)[:, np.newaxis]
            d = arrays.cast(slopes, cnp.PyArray_DescrFromType(self.typenum))
            memcpy(rows.d, cnp.PyArray_DATA(d), cnp.PyArray_NBYTES(d))
        return np.dot(np.where(there, loss, 0), weights)

    cdef int raise_caught(self) except -1:
        """Raises what this thread's pass has caught, if anything."""
        error = self.caught.pop(threading.get_ident(), None)
        if error is not None:
            raise error
        return 0


cdef double call_own_loss(void *context, const fml_loss_rows *rows) noexcept with gil:
    """The user's loss; what it raises is kept, and NaN ends the pass."""
    cdef OwnLoss own = <OwnLoss>context
    cdef size_t O = rows.net.layers[rows.net.n_layers - 1].n_outputs
    try:
        if threading.get_ident() not in own.caught:
            return own.call(rows)
    except BaseException as error:
        own.caught[threading.get_ident()] = error
    if rows.d != NULL:
        memset(rows.d, 0, rows.rows * O * rows.net.kernels.real_size)
    return float("nan")
