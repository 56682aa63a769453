# Part of _core.pyx: what a Core holds while it predicts and trains.
#
# Block is memory for parameters, Rows is checked data, RowLog rows that were learnt one by one, Training an optimiser
# at work, Watch what stops it. Their memory goes with the Python object; a Block that is published never changes while
# anybody else holds it.


cdef fml_element element_of(cnp.ndarray x, int typenum) noexcept:
    """What the elements of an array are to a network of that type; FML_REAL also where the core cannot read them."""
    cdef int kind = cnp.PyArray_TYPE(x)
    if kind == typenum:
        return FML_REAL
    if kind == cnp.NPY_UINT8:
        return FML_UINT8
    if kind == cnp.NPY_FLOAT16:
        return FML_FLOAT16
    return FML_FLOAT32 if kind == cnp.NPY_FLOAT32 else FML_FLOAT64 if kind == cnp.NPY_FLOAT64 else FML_REAL


cdef size_t row_distance(cnp.ndarray x) noexcept:
    """Elements from row to row where rows are in C order, with others between them; else 0."""
    cdef cnp.npy_intp size = cnp.PyArray_ITEMSIZE(x), row
    if cnp.PyArray_NDIM(x) != 2 or cnp.PyArray_DIM(x, 0) < 2 or cnp.PyArray_IS_C_CONTIGUOUS(x):
        return 0
    row = cnp.PyArray_STRIDE(x, 0)
    if cnp.PyArray_STRIDE(x, 1) != size or row < size * cnp.PyArray_DIM(x, 1) or row % size != 0:
        return 0
    return <size_t>(row // size)


cdef bint is_ready(cnp.ndarray x, int typenum, size_t n_inputs) noexcept:
    """Whether the kernels can read x where it stands: (., I) or (I,), aligned, rows in C order, of a type they know."""
    cdef int ndim = cnp.PyArray_NDIM(x)
    return (
        (cnp.PyArray_TYPE(x) == typenum or element_of(x, typenum) != FML_REAL)
        and (cnp.PyArray_IS_C_CONTIGUOUS(x) or row_distance(x) > 0)
        and cnp.PyArray_ISALIGNED(x) and cnp.PyArray_ISNOTSWAPPED(x)
        and (ndim == 1 or (ndim == 2 and cnp.PyArray_DIM(x, 0) > 0))
        and <size_t>cnp.PyArray_DIM(x, ndim - 1) == n_inputs
    )


cdef class Sparse:
    """Sparse rows, as the core takes them; made of an `inputs.Sparse` that has been checked."""

    cdef cnp.ndarray elements, columns, begins
    cdef readonly tuple shape
    cdef size_t n_columns

    def __init__(self, rows):
        self.elements, self.columns, self.begins, self.shape = rows.elements, rows.columns, rows.begins, rows.shape
        self.n_columns = rows.shape[1]

    cdef bint is_ready(self, int typenum, size_t n_inputs) noexcept:
        return (cnp.PyArray_TYPE(self.elements) == typenum or element_of(self.elements, typenum) != FML_REAL) and (
            cnp.PyArray_ISCARRAY_RO(self.elements) and cnp.PyArray_ISCARRAY_RO(self.columns)
            and cnp.PyArray_ISCARRAY_RO(self.begins) and cnp.PyArray_TYPE(self.columns) == cnp.NPY_INT32
            and cnp.PyArray_TYPE(self.begins) == cnp.NPY_INT64 and self.n_columns == n_inputs
        )


cdef int describe(x, int typenum, fml_data *data) except -1:
    """The inputs and their number, from an array that is ready or a Sparse; nothing else."""
    memset(data, 0, sizeof(fml_data))
    if type(x) is Sparse:
        data.x = cnp.PyArray_DATA((<Sparse>x).elements)
        data.element = element_of((<Sparse>x).elements, typenum)
        data.n_rows = <size_t>(<Sparse>x).begins.size - 1
        data.begins = <int64_t *>cnp.PyArray_DATA((<Sparse>x).begins)
        data.columns = <int32_t *>cnp.PyArray_DATA((<Sparse>x).columns)
    else:
        data.x = cnp.PyArray_DATA(<cnp.ndarray>x)
        data.element = element_of(<cnp.ndarray>x, typenum)
        data.n_rows, data.x_row = n_rows_of(<cnp.ndarray>x), row_distance(<cnp.ndarray>x)
    return 0


cdef size_t n_rows_of(cnp.ndarray x) noexcept:
    return <size_t>cnp.PyArray_DIM(x, 0) if cnp.PyArray_NDIM(x) == 2 else 1


cdef bint overlap(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Whether the rows a, with what lies between them, and the C-contiguous array b share a byte."""
    cdef char *first_a = <char *>cnp.PyArray_DATA(a)
    cdef char *first_b = <char *>cnp.PyArray_DATA(b)
    cdef cnp.npy_intp bytes_a = cnp.PyArray_NBYTES(a)
    if row_distance(a) > 0:
        bytes_a = cnp.PyArray_STRIDE(a, 0) * cnp.PyArray_DIM(a, 0)
    return first_a < first_b + cnp.PyArray_NBYTES(b) and first_b < first_a + bytes_a


cdef bint shares_memory(X, cnp.ndarray y) except -1:
    """Whether what was converted, if it is an array, may share memory with y."""
    return isinstance(X, np.ndarray) and np.may_share_memory(X, y)


cdef class Columns:
    """What a network knows of the columns of its data: never changed, and kept by every block that goes with it."""

    cdef fml_scaling scales, input_scales  # of both; of the inputs alone
    cdef const fml_scaling *scaling, *input_scaling  # those, or NULL where nothing is scaled
    cdef readonly object inputs, targets, schema  # each a Scaling or None; a Schema
    cdef list arrays   # what the scalings point into
    cdef bint wide     # float32 cannot hold what the scaling of the targets is undone to: predictions are float64
    cdef bint renamed  # a number that is given as a label is the name of a class, and not its index

    def __init__(self, inputs, targets, schema):
        self.inputs, self.targets, self.schema = inputs, targets, schema
        self.wide = targets is not None and targets.needs_float64
        self.renamed = not are_indices(schema.class_names)
        self.arrays = []
        fill(&self.scales.inputs, inputs, self.arrays)
        fill(&self.input_scales.inputs, inputs, self.arrays)
        fill(&self.scales.targets, targets, self.arrays)
        self.scaling = NULL if inputs is None and targets is None else &self.scales
        self.input_scaling = NULL if inputs is None else &self.input_scales


cdef int fill(fml_affine *affine, scaling, list arrays) except -1:
    """Has the core read a Scaling's arrays, which are kept in `arrays`."""
    cdef cnp.ndarray offset, scale
    if scaling is not None:
        offset, scale = scaling.offset, scaling.scale
        arrays += [offset, scale]
        affine.offset, affine.scale = <double *>cnp.PyArray_DATA(offset), <double *>cnp.PyArray_DATA(scale)
    return 0


cdef class Block:
    """Aligned memory for the parameters of one network in its engine's layout, and what belongs to them; never changed
    once published."""

    cdef void *data
    cdef Columns columns

    def __dealloc__(self):
        fml_free(self.data)


cdef class Predictor
cdef class Trainer(Predictor)


cdef uint32_t *order_of(order, size_t n) except? NULL:
    """The numbers of an order of n rows that is an array; NULL where it is a BlockOrder or there is none."""
    if order is None:
        return NULL
    if type(order) is BlockOrder:
        if (<BlockOrder>order).n_rows != n:
            raise ValueError(f"order: expected one of {n} rows, got one of {(<BlockOrder>order).n_rows}")
        return NULL
    cdef cnp.ndarray drawn = <cnp.ndarray?>order
    if (drawn.size != <cnp.npy_intp>n or cnp.PyArray_TYPE(drawn) != cnp.NPY_UINT32
            or not cnp.PyArray_ISCARRAY(drawn)):
        raise ValueError(f"order: expected {n} elements of uint32, got {drawn.size} of {drawn.dtype}")
    return <uint32_t *>cnp.PyArray_DATA(drawn)


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
    cdef const fml_method *method  # the whole-batch method that the optimiser is, or NULL
    cdef uint64_t published_steps
    cdef double[8] published_scalars  # FML_MAX_SCALARS
    cdef object optimizer  # the Python object that says which
    cdef object plateau    # where a learning rate stands that follows from losses, or None
    cdef object rates      # the learning rates of a function of the step, while they are used
    cdef bint by_function  # the learning rate is such a function
    cdef size_t size       # bytes of a block
    cdef size_t row_workspace  # bytes of workspace for a step on one row
    cdef object regularization     # the Python object, or None
    cdef bint draws                # masks or noise: it has a key
    cdef fml_regularization terms  # the same, as the core takes it
    cdef cnp.ndarray rates_of_dropout
    cdef void *published_raw  # the parameters that went with the published average; NULL where none is kept

    def __cinit__(self, Trainer core not None, optimizer, regularization):
        core._check_built()
        cdef const fml_optimizer *kernel = &core.net.kernels.optimizers[<size_t>OPTIMIZER_ROWS[optimizer.name]]
        self.optimizer, self.size = optimizer, core.net.n_packed * core.net.kernels.real_size
        self.trainer.net, self.trainer.optimizer, self.method = &core.net, kernel, kernel.method
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
        if self.method != NULL:
            self.trainer.method_state = fml_allocate(self.method.state_size(&core.net, self.trainer.hyper_parameters))
            if self.trainer.method_state == NULL:
                raise MemoryError(f"optimizer: no memory for {optimizer} with {core.net.n_parameters} parameters")
            self.method.begin(&core.net, self.trainer.hyper_parameters, self.trainer.method_state)
        self.regularization = regularization
        if regularization is not None:
            self._regularize(core)
        self.row_workspace = fml_training_workspace(&self.trainer, 1)

    def __dealloc__(self):
        fml_free(self.terms.average)
        fml_free(self.published_raw)
        fml_free(self.trainer.block)
        fml_free(self.trainer.gradient)
        fml_free(self.trainer.states[0])
        fml_free(self.published_states)
        fml_free(self.trainer.method_state)

    cdef int _follow(self) except -1:
        """Has the learning rate follow the optimiser's schedule."""
        scheduled = self.optimizer._scheduled()
        if scheduled is not None:
            self.trainer.schedule = &fml_schedules[<size_t>SCHEDULE_ROWS[scheduled[0]]]
            for i, value in enumerate(scheduled[1]):
                self.trainer.schedule_parameters[i] = value
        self.plateau = self.optimizer._new_plateau()
        if self.plateau is not None:
            self.trainer.hyper_parameters[0] = self.plateau.rate
        self.by_function = scheduled is None and self.plateau is None and self.optimizer.schedule is not None
        return 0

    cdef int _regularize(self, Trainer core) except -1:
        """Tells the trainer of the regularisation; what that draws at random has a key from the network's stream."""
        r, terms = self.regularization, &self.terms
        terms.l1, terms.l2, terms.per_row, terms.weight_decay = r.l1, r.l2, r.per_row, r.weight_decay
        terms.clip_value, terms.clip_norm = r._limit("clip_value"), r._limit("clip_norm")
        terms.max_norm = r._limit("max_norm")
        terms.input_noise, terms.input_dropout = r.input_noise, r.input_dropout
        rates = r._rates(core.net.n_layers - 1)
        if rates:
            self.rates_of_dropout = np.array(rates, dtype=np.float64)
            terms.dropout = <double *>cnp.PyArray_DATA(self.rates_of_dropout)
        if r.average is not None:
            terms.decay = r.average
            terms.average, self.published_raw = fml_allocate(self.size), fml_allocate(self.size)
            if terms.average == NULL or self.published_raw == NULL:
                raise MemoryError(f"average: no memory for twice {core.net.n_parameters} parameters")
            memcpy(terms.average, self.trainer.block, self.size)
            memcpy(self.published_raw, self.trainer.block, self.size)
        self.draws = r.input_noise > 0 or r.input_dropout > 0 or len(rates) > 0
        if self.draws:
            terms.key = fml_random_next(&core.random) >> 11  # a double holds all of its bits
        self.trainer.regularization = terms
        return 0

    cdef void *visible(self) noexcept:
        """The parameters that readers are to see: the average where one is kept."""
        return self.trainer.block if self.terms.average == NULL else self.terms.average

    cdef int plan(self, size_t n_steps) except -1:
        """Asks a function of the step for the learning rates of the next n_steps steps."""
        cdef cnp.ndarray rates = self.optimizer._rates(self.trainer.n_steps, n_steps)
        self.rates = rates
        self.trainer.rates, self.trainer.first_rate = <double *>cnp.PyArray_DATA(rates), self.trainer.n_steps
        return 0

    cdef bint can_repeat(self) noexcept:
        """Whether a step that is taken again from what is published has the same bits, and costs no call of Python."""
        return self.method == NULL and not self.by_function

    # What a checkpoint keeps of the optimiser beside the number of its steps: vectors of n_packed reals, and numbers.

    cdef size_t n_vectors(self) noexcept:
        if self.method != NULL:
            return self.method.n_vectors(self.trainer.method_state)
        return <size_t>self.trainer.optimizer.n_states + (self.terms.average != NULL)

    cdef void *vector(self, size_t k) noexcept:
        if self.method != NULL:
            return self.method.vector(self.trainer.net, self.trainer.method_state, k)
        if k == <size_t>self.trainer.optimizer.n_states:
            return self.trainer.block  # beside the average, which is what the file has as parameters
        return self.trainer.states[k]

    cdef list numbers(self):
        cdef cnp.ndarray exported
        if self.method != NULL:
            exported = np.empty(self.method.n_numbers(self.n_vectors()))
            self.method.export_numbers(self.trainer.method_state, <double *>cnp.PyArray_DATA(exported))
            return exported.tolist()
        scalars = [self.trainer.scalars[i] for i in range(FML_MAX_SCALARS)]
        return [*scalars, *self.rate_state(), *([float(self.terms.key)] if self.draws else [])]

    cdef list rate_state(self):
        """The learning rate, where the steps do not say it: a number, which may have been set, or a plateau."""
        if self.plateau is not None:
            return self.plateau.state
        return [self.trainer.hyper_parameters[0]] if self.optimizer.schedule is None else []

    cdef int remember(self, size_t n_vectors, list numbers) except -1:
        """Makes room for so many vectors, which the caller then fills, and takes the numbers that go with them."""
        cdef cnp.ndarray given = np.array(numbers, dtype=np.float64)
        cdef bint fits
        n_scalars = FML_MAX_SCALARS
        if self.method != NULL:
            fits = len(numbers) == <Py_ssize_t>self.method.n_numbers(n_vectors) and self.method.import_numbers(
                self.trainer.method_state, n_vectors, <double *>cnp.PyArray_DATA(given))
        else:
            n_more = len(self.rate_state()) + self.draws
            fits = (all(np.isfinite(numbers[:n_scalars])) and n_vectors == self.n_vectors()
                    and len(numbers) == n_scalars + n_more)
            if fits and self.draws:
                fits = numbers[-1].is_integer() and 0 <= numbers[-1] < 2.0**53
            if fits and self.optimizer.schedule is None:
                fits = 0 < numbers[n_scalars] < INFINITY
        if not fits:
            raise ValueError(f"states: expected those of {self.optimizer}, got {n_vectors} vectors and {numbers}")
        if self.method != NULL:
            return 0
        for i in range(FML_MAX_SCALARS):
            self.trainer.scalars[i] = numbers[i]
        if self.plateau is not None:
            self.plateau.restore(numbers[n_scalars:n_scalars + len(self.plateau.state)])
            self.trainer.hyper_parameters[0] = self.plateau.rate
        elif self.optimizer.schedule is None:
            self.trainer.hyper_parameters[0] = numbers[n_scalars]
        if self.draws:
            self.terms.key = int(numbers[-1])
        return 0

    cdef void meet_data(self) noexcept:
        """The rows of the next step may be others than those of the last, or the parameters."""
        if self.method != NULL:
            self.method.meet_data(self.trainer.method_state)

    cdef void forget_call(self, const fml_network *net) noexcept:
        """A step has ended in the middle of anything, and its thread with it."""
        self.trainer.net, self.trainer.suspect = net, False
        if self.method != NULL:
            self.method.forget(self.trainer.method_state)

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
        memcpy(block, self.visible(), self.size)
        if self.published_raw != NULL:
            memcpy(self.published_raw, self.trainer.block, self.size)
        memcpy(self.published_states, self.trainer.states[0], self.size * <size_t>self.trainer.optimizer.n_states)
        self.published_steps = self.trainer.n_steps
        memcpy(self.published_scalars, self.trainer.scalars, sizeof(self.published_scalars))

    cdef void roll_back(self, const void *block) noexcept:
        """Parameters and state as they were when last published, to `block`. The gradient's padding, which no pass
        writes and which must be 0, may have become NaN with the rest of it."""
        memset(self.trainer.gradient, 0, self.size)
        memcpy(self.visible(), block, self.size)
        if self.published_raw != NULL:
            memcpy(self.trainer.block, self.published_raw, self.size)
        memcpy(self.trainer.states[0], self.published_states, self.size * <size_t>self.trainer.optimizer.n_states)
        self.trainer.n_steps = self.published_steps
        self.meet_data()
        memcpy(self.trainer.scalars, self.published_scalars, sizeof(self.published_scalars))


cdef class Rows:
    """Checked input rows and, where there are any, their targets, as the C core takes them; keeps the arrays alive."""

    cdef fml_data data
    cdef readonly object x  # an array, or inputs.Sparse
    cdef readonly cnp.ndarray values, labels, weights
    cdef readonly double total_weight
    cdef int64_t largest_label
    cdef object source  # an array, or a Sparse
    cdef Columns columns  # of the pass that is, or was last, at work on them

    def __init__(self, x not None, cnp.ndarray values=None, cnp.ndarray labels=None, cnp.ndarray weights=None):
        self.x, self.values, self.labels, self.weights = x, values, labels, weights
        self.source = x if isinstance(x, np.ndarray) else Sparse(x)
        describe(self.source, -1, &self.data)
        self.data.values = NULL if values is None else cnp.PyArray_DATA(values)
        self.data.labels = NULL if labels is None else <int64_t *>cnp.PyArray_DATA(labels)
        self.largest_label = -1 if labels is None else np.max(labels)
        self.data.weights = NULL if weights is None else <double *>cnp.PyArray_DATA(weights)
        self.total_weight = self.data.n_rows if weights is None else np.sum(weights)

    cdef bint fit(self, int typenum, size_t n_inputs, size_t n_targets):
        """Whether they were made for a network of that type and shape; users cannot make others."""
        if self.source is None:
            return False
        cdef bint sparse = type(self.source) is Sparse
        if not ((<Sparse>self.source).is_ready(typenum, n_inputs) if sparse
                else is_ready(<cnp.ndarray>self.source, typenum, n_inputs)):
            return False
        self.data.element = element_of((<Sparse>self.source).elements if sparse else self.source, typenum)
        if self.weights is not None and not (
            cnp.PyArray_TYPE(self.weights) == cnp.NPY_FLOAT64 and cnp.PyArray_ISCARRAY_RO(self.weights)
            and <size_t>self.weights.size == self.data.n_rows
        ):
            return False
        if self.values is None:
            return (self.labels is not None and <size_t>self.labels.size == self.data.n_rows
                    and cnp.PyArray_TYPE(self.labels) == cnp.NPY_INT64 and cnp.PyArray_ISCARRAY_RO(self.labels)
                    and self.largest_label < <int64_t>n_targets)
        self.data.values_element = element_of(self.values, typenum)
        return ((cnp.PyArray_TYPE(self.values) == typenum or self.data.values_element != FML_REAL)
                and cnp.PyArray_ISCARRAY_RO(self.values)
                and <size_t>self.values.size == self.data.n_rows * n_targets)

    cdef void scale(self, Columns columns) noexcept:
        """Has the next pass scale them so."""
        self.columns = columns
        self.data.scaling = columns.scaling

    @property
    def n_rows(self):
        """How many rows there are."""
        return self.data.n_rows


cdef class BlockOrder:
    """The order of epochs by blocks, see csrc/order.c; `ask`: whether the rows lie in a file that is mapped."""

    cdef fml_block_order order
    cdef void *memory
    cdef size_t n_rows, batch_size
    cdef bint ask, drawn

    def __cinit__(self, size_t n_rows, size_t n_inputs, size_t batch_size, bint ask):
        if n_rows < 1 or n_inputs < 1 or batch_size < 1:
            raise ValueError(f"order: expected rows, got {n_rows} of {n_inputs} in batches of {batch_size}")
        cdef size_t block_rows = fml_block_rows(n_inputs)
        self.n_rows, self.batch_size, self.ask = n_rows, batch_size, ask
        self.memory = fml_allocate(fml_block_order_size(n_rows, block_rows, batch_size))
        if self.memory == NULL:
            raise MemoryError(f"shuffle: no memory for the order of {n_rows} rows")
        fml_block_order_begin(&self.order, n_rows, block_rows, self.memory)

    def __dealloc__(self):
        fml_free(self.memory)

    cdef void draw(self, uint64_t *random) noexcept:
        fml_block_order_draw(&self.order, random)
        self.drawn = True

    def __getitem__(self, part):
        """The rows of a part of the order, as of an array of them; quick where they are at hand."""
        if not isinstance(part, slice):
            raise TypeError(f"order: expected a slice, got {type(part).__name__}")
        cdef size_t first = part.start or 0, stop = self.n_rows if part.stop is None else part.stop, end
        if not (self.drawn and first <= stop <= self.n_rows):
            raise IndexError(f"order: expected rows of one of {self.n_rows} that is drawn, got {first} to {stop}")
        cdef cnp.ndarray rows = np.empty(stop - first, dtype=np.uint32)
        cdef uint32_t *to = <uint32_t *>cnp.PyArray_DATA(rows)
        while first < stop:
            end = min(first + self.batch_size, stop)
            fml_block_order_reach(&self.order, first, end)
            memcpy(to, self.order.rows + (first - self.order.first), (end - first) * sizeof(uint32_t))
            to += end - first
            first = end
        return rows


cdef class RowLog:
    """The rows that a network has learnt one by one since it last published, as they were given, with their targets,
    scaled: no more of them than fit into the size of its parameters."""

    cdef char *memory
    cdef int64_t *labels  # -1 where the target is a vector
    cdef size_t capacity, n_rows, x_bytes, t_bytes

    def __cinit__(self, Trainer core not None):
        core._check_built()
        self.x_bytes = core.n_inputs * core.net.kernels.real_size
        self.t_bytes = core.net.n_targets * core.net.kernels.real_size
        cdef size_t row = self.x_bytes + self.t_bytes + sizeof(int64_t)
        cdef size_t least = 16, most = 1024
        self.capacity = max(least, min(most, core.net.n_packed * core.net.kernels.real_size // row))
        self.memory = <char *>fml_allocate(self.capacity * row)
        if self.memory == NULL:
            raise MemoryError(f"no memory for a log of {self.capacity} rows")
        self.labels = <int64_t *>self.memory

    def __dealloc__(self):
        fml_free(self.memory)

    cdef void *x_of(self, size_t k) noexcept:
        return self.memory + self.capacity * sizeof(int64_t) + k * self.x_bytes

    cdef void *t_of(self, size_t k) noexcept:
        return self.memory + self.capacity * (sizeof(int64_t) + self.x_bytes) + k * self.t_bytes

    cdef fml_status step(self, Trainer core, Training training, size_t k, double *loss, void *workspace) noexcept:
        """A step of the core's training on row k."""
        cdef fml_data data
        memset(&data, 0, sizeof(fml_data))
        data.x, data.n_rows = self.x_of(k), 1
        data.scaling = core.columns.input_scaling
        if self.labels[k] < 0:
            data.values = self.t_of(k)
        else:
            data.labels = &self.labels[k]
        cdef fml_trainer *trainer = &training.trainer
        cdef fml_status status
        if core.n_weights < core.small // 4:
            return fml_train_step(trainer, &data, NULL, 1, 0, loss, NULL, workspace)
        with nogil:
            status = fml_train_step(trainer, &data, NULL, 1, 0, loss, NULL, workspace)
        return status


cdef class Watch:
    """What may stop a long pass: a signal handler or a user's function that raises, or the time."""

    cdef list caught      # what was raised
    cdef double deadline  # of fml_seconds
    cdef bint late

    def __cinit__(self):
        self.caught, self.deadline = [], INFINITY


cdef int stop_when_told(void *watch) noexcept with gil:
    """Runs Python's signal handlers and looks at the clock; the Watch keeps what it finds, and the pass stops."""
    try:
        if (<Watch>watch).caught:
            return 1
        PyErr_CheckSignals()
    except BaseException as error:
        (<Watch>watch).caught.append(error)
        return 1
    (<Watch>watch).late = fml_seconds() >= (<Watch>watch).deadline
    return (<Watch>watch).late
