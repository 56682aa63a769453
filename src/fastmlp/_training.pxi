# Part of _core.pyx: what a Core holds while it predicts and trains.
#
# Block is memory for parameters, Rows is checked data, RowLog rows that were learnt one by one, Training an optimiser
# at work, Watch what stops it. Their memory goes with the Python object; a Block that is published never changes while
# anybody else holds it.


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


cdef list names_of(void (*write_name)(size_t k, char *name) noexcept nogil, size_t n):
    """The first n names that a whole-batch method gives to its vectors, or to its numbers."""
    cdef char[FML_NAME_SIZE] name
    names = []
    for k in range(n):
        write_name(k, name)
        names.append((<bytes>name).decode())
    return names


cdef class Training:
    """An optimiser at work on one network: its block of parameters, gradient and state, and that state as published."""

    cdef fml_trainer trainer
    cdef fml_published_state published
    cdef const fml_method *method  # the whole-batch method that the optimiser is, or NULL
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

    def __cinit__(self, Trainer core not None, optimizer, regularization):
        core._check_built()
        cdef const fml_optimizer *kernel = &core.net.kernels.optimizers[<size_t>OPTIMIZER_ROWS[optimizer.name]]
        self.optimizer, self.size = optimizer, core.net.n_packed * core.net.kernels.real_size
        self.trainer.net, self.trainer.optimizer, self.method = &core.net, kernel, kernel.method
        for i, value in enumerate(optimizer.hyper_parameters):
            self.trainer.hyper_parameters[i] = value
        self._follow()
        if not fml_trainer_allocate(&self.trainer, &self.published, core.published.data):
            raise MemoryError(f"optimizer: no memory to train {core.net.n_parameters} parameters with {optimizer}")
        self.regularization = regularization
        if regularization is not None:
            self._regularize(core)
        self.row_workspace = fml_training_workspace(&self.trainer, 1)

    def __dealloc__(self):
        fml_trainer_free(&self.trainer, &self.published)

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
            if not fml_trainer_allocate_average(&self.trainer, &self.published, terms):
                raise MemoryError(f"average: no memory for twice {core.net.n_parameters} parameters")
        self.draws = r.input_noise > 0 or r.input_dropout > 0 or len(rates) > 0
        if self.draws:
            terms.key = fml_random_next(&core.random) >> 11  # a double holds all of its bits
        self.trainer.regularization = terms
        return 0

    cdef int plan(self, size_t n_steps) except -1:
        """Asks a function of the step for the learning rates of the next n_steps steps."""
        cdef cnp.ndarray rates = self.optimizer._rates(self.trainer.n_steps, n_steps)
        self.rates = rates
        self.trainer.rates, self.trainer.first_rate = <double *>cnp.PyArray_DATA(rates), self.trainer.n_steps
        return 0

    cdef bint can_repeat(self) noexcept:
        """Whether a step that is taken again from what is published has the same bits, and costs no call of Python."""
        return self.method == NULL and not self.by_function

    # The optimiser's state beside the number of its steps, by name: vectors of n_packed reals, and numbers.

    cdef list vector_names(self):
        if self.method != NULL:
            return names_of(self.method.name_vector, fml_trainer_n_vectors(&self.trainer))
        names = list(self.optimizer.state_vectors)
        return [*names, "unaveraged_parameters"] if self.terms.average != NULL else names

    cdef dict numbers(self):
        cdef cnp.ndarray exported = np.empty(fml_trainer_n_numbers(&self.trainer))
        fml_trainer_export_numbers(&self.trainer, <double *>cnp.PyArray_DATA(exported))
        values = exported.tolist()
        if self.method != NULL:
            return dict(zip(names_of(self.method.name_number, len(values)), values))
        found = {name: values[place] for name, place in self.optimizer.state_numbers.items()}
        found.update(self.rate_state())
        if self.draws:
            found["random_key"] = float(self.terms.key)
        return found

    cdef dict rate_state(self):
        """The learning rate, where the steps do not say it: a number, which may have been set, or a plateau."""
        if self.plateau is not None:
            return {f"plateau.{name}": value for name, value in self.plateau.state.items()}
        if self.method != NULL or self.optimizer.schedule is not None:
            return {}
        return {"learning_rate": self.trainer.hyper_parameters[0]}

    cdef int remember(self, dict vectors, dict numbers) except -1:
        """Takes the numbers of a state, and makes room for its vectors, which the caller then fills. What a state does
        not have is as it is when an optimiser begins, so that one of an earlier version need not have it."""
        if self.method != NULL:
            return self.remember_method(vectors, numbers)
        required = {"unaveraged_parameters"} if self.terms.average != NULL else set()
        needed = {"random_key"} if self.draws else set()
        cdef bint fits = required <= vectors.keys() <= set(self.vector_names())
        fits = fits and needed <= numbers.keys() <= set(self.numbers())
        fits = fits and all([np.isfinite(value) for name, value in numbers.items() if name != "plateau.best"])
        if fits and self.draws:
            fits = numbers["random_key"].is_integer() and 0 <= numbers["random_key"] < 2.0**53
        if not fits or not 0 < numbers.get("learning_rate", 1.0):
            self.refuse(vectors, numbers)
        if self.plateau is not None:
            before = len("plateau.")
            self.plateau.restore({name[before:]: x for name, x in numbers.items() if name.startswith("plateau.")})
            self.trainer.hyper_parameters[0] = self.plateau.rate
        elif "learning_rate" in numbers:
            self.trainer.hyper_parameters[0] = numbers["learning_rate"]
        scalars = [0.0] * FML_MAX_SCALARS
        for name, place in self.optimizer.state_numbers.items():
            scalars[place] = numbers.get(name, 0.0)
        self.import_numbers(fml_trainer_n_vectors(&self.trainer), scalars)
        if self.draws:
            self.terms.key = int(numbers["random_key"])
        return 0

    cdef int remember_method(self, dict vectors, dict numbers) except -1:
        """Like `remember`, for a whole-batch method: its state comes whole, or it begins without one."""
        vector_names = names_of(self.method.name_vector, len(vectors))
        number_names = names_of(self.method.name_number, len(numbers))
        cdef bint fits = vectors.keys() == set(vector_names) and numbers.keys() == set(number_names)
        if not (fits and self.import_numbers(len(vectors), [numbers[name] for name in number_names])):
            self.refuse(vectors, numbers)
        return 0

    cdef bint import_numbers(self, size_t n_vectors, list numbers) except? True:
        """Whether the core takes numbers, in its order, as those of a state with so many vectors."""
        cdef cnp.ndarray given = np.array(numbers, dtype=np.float64)
        return fml_trainer_import_numbers(&self.trainer, n_vectors, len(numbers), <double *>cnp.PyArray_DATA(given))

    cdef int refuse(self, dict vectors, dict numbers) except -1:
        raise ValueError(f"state: expected that of {self.optimizer}, with the vectors {self.vector_names()} and the "
                         f"numbers {list(self.numbers())}, got {list(vectors)} and {numbers}")

    cdef object next_rate(self):
        """The learning rate of the next step."""
        if self.by_function:
            return float(self.optimizer._rates(self.trainer.n_steps, 1)[0])
        if not hasattr(self.optimizer, "learning_rate"):
            return None
        if self.trainer.schedule != NULL:
            return self.trainer.schedule.rate(self.trainer.schedule_parameters, self.trainer.n_steps)
        return self.trainer.hyper_parameters[0]


cdef class BlockOrder:
    """The order of epochs by blocks, see csrc/block_order.c; `advise`: whether the rows lie in a mapped file."""

    cdef fml_block_order order
    cdef void *memory
    cdef size_t n_rows, batch_size
    cdef bint advise, drawn

    def __cinit__(self, size_t n_rows, size_t n_inputs, size_t batch_size, bint advise):
        if n_rows < 1 or n_inputs < 1 or batch_size < 1:
            raise ValueError(f"order: expected rows, got {n_rows} of {n_inputs} in batches of {batch_size}")
        cdef size_t block_rows = fml_block_rows(n_inputs)
        self.n_rows, self.batch_size, self.advise = n_rows, batch_size, advise
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
