# Part of _core.pyx: the objects that a Core holds while it predicts and trains.
#
# Block is memory for parameters; Training is an optimiser with its state, its parameters and its gradient; BlockOrder
# is the order of rows that are shuffled by blocks; RowLog has the rows of learn_one; StopFlag asks worker threads
# to stop; PollState decides when a long pass stops. Each frees its memory when the Python object is deallocated.


cdef class Block:
    """Aligned memory for the parameters of one network in its engine's layout, with their scalings and schema. A
    published block never changes while a reader holds a reference to it."""

    cdef void *data
    cdef Columns columns

    def __dealloc__(self):
        fml_free(self.data)


cdef class Predictor
cdef class Trainer(Predictor)


cdef uint32_t *order_pointer(order, size_t n) except? NULL:
    """Return the data of an order of n rows that is an array; NULL if the order is a BlockOrder or None."""
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
    """Return a block of that many bytes, uninitialised."""
    cdef Block block = Block.__new__(Block)
    block.data = fml_allocate(size)
    if block.data == NULL:
        raise MemoryError(f"sizes: no memory for {size} bytes of parameters")
    return block


cdef list names_of(void (*write_name)(size_t k, char *name) noexcept nogil, size_t n):
    """Return the first n names of a whole-batch method's vectors, or of its numbers; write_name writes name k."""
    cdef char[FML_NAME_SIZE] name
    names = []
    for k in range(n):
        write_name(k, name)
        names.append((<bytes>name).decode())
    return names


cdef class Training:
    """An optimiser that trains one network: its parameters, gradient and state, and a copy of the published state."""

    cdef fml_trainer trainer
    cdef fml_published_state published
    cdef const fml_method *method  # the table of a whole-batch method (L-BFGS); NULL for other optimisers
    cdef object optimizer  # the Python object with the hyper-parameters
    cdef object plateau    # the state of a schedule that derives the learning rate from losses, or None
    cdef object computed_rates  # the learning rates of the last compute_rates; `trainer` points into them
    cdef bint rate_by_function  # the learning rate is a Python function of the step
    cdef size_t size       # bytes of a block
    cdef size_t row_workspace  # bytes of workspace for a step on one row
    cdef object regularization  # the Python object, or None
    cdef bint needs_random_key  # the regularisation draws masks or noise, from random numbers with a key
    cdef fml_regularization terms  # `regularization` in the form that the core takes
    cdef cnp.ndarray dropout_rates  # of the layers; `terms` points to them

    def __cinit__(self, Trainer core not None, optimizer, regularization):
        core._check_built()
        cdef const fml_optimizer *kernel = &core.net.kernels.optimizers[<size_t>OPTIMIZER_ROWS[optimizer.name]]
        self.optimizer, self.size = optimizer, core.net.n_packed * core.net.kernels.real_size
        self.trainer.net, self.trainer.optimizer, self.method = &core.net, kernel, kernel.method
        for i, value in enumerate(optimizer.hyper_parameters):
            self.trainer.hyper_parameters[i] = value
        self._set_schedule()
        if not fml_trainer_allocate(&self.trainer, &self.published, core.published.data):
            raise MemoryError(f"optimizer: no memory to train {core.net.n_parameters} parameters with {optimizer}")
        self.regularization = regularization
        if regularization is not None:
            self._set_regularization(core)
        self.row_workspace = fml_training_workspace(&self.trainer, 1)

    def __dealloc__(self):
        fml_trainer_free(&self.trainer, &self.published)

    cdef int _set_schedule(self) except -1:
        """Set how the learning rate of a step is found: a schedule of the core, a plateau, or a Python function."""
        scheduled = self.optimizer._scheduled()
        if scheduled is not None:
            self.trainer.schedule = &fml_schedules[<size_t>SCHEDULE_ROWS[scheduled[0]]]
            for i, value in enumerate(scheduled[1]):
                self.trainer.schedule_parameters[i] = value
        self.plateau = self.optimizer._new_plateau()
        if self.plateau is not None:
            self.trainer.hyper_parameters[0] = self.plateau.rate
        self.rate_by_function = scheduled is None and self.plateau is None and self.optimizer.schedule is not None
        return 0

    cdef int _set_regularization(self, Trainer core) except -1:
        """Pass the regularisation to the trainer. If it draws random numbers, draw their key from the generator of the
        network."""
        r, terms = self.regularization, &self.terms
        terms.l1, terms.l2, terms.per_row, terms.weight_decay = r.l1, r.l2, r.per_row, r.weight_decay
        terms.clip_value, terms.clip_norm = r._limit("clip_value"), r._limit("clip_norm")
        terms.max_norm = r._limit("max_norm")
        terms.input_noise, terms.input_dropout = r.input_noise, r.input_dropout
        rates = r._rates(core.net.n_layers - 1)
        if rates:
            self.dropout_rates = np.array(rates, dtype=np.float64)
            terms.dropout = <double *>cnp.PyArray_DATA(self.dropout_rates)
        if r.average is not None:
            terms.decay = r.average
            if not fml_trainer_allocate_average(&self.trainer, &self.published, terms):
                raise MemoryError(f"average: no memory for twice {core.net.n_parameters} parameters")
        self.needs_random_key = r.input_noise > 0 or r.input_dropout > 0 or len(rates) > 0
        if self.needs_random_key:
            terms.key = fml_random_next(&core.random) >> 11  # a double holds all of its bits
        self.trainer.regularization = terms
        return 0

    cdef int compute_rates(self, size_t n_steps) except -1:
        """Call the Python function of the step for the learning rates of the next n_steps steps."""
        cdef cnp.ndarray rates = self.optimizer._rates(self.trainer.n_steps, n_steps)
        self.computed_rates = rates
        self.trainer.rates, self.trainer.first_rate = <double *>cnp.PyArray_DATA(rates), self.trainer.n_steps
        return 0

    cdef bint can_repeat(self) noexcept:
        """Return whether steps can be repeated from the published state with the same bits, without calling Python or
        allocating memory, as a released trainer would."""
        return self.method == NULL and not self.rate_by_function and not fml_trainer_is_released(&self.trainer)

    # -- the optimiser's state without the number of its steps, by name: vectors of n_packed reals, and numbers ------

    cdef list vector_names(self):
        """Return the names of the state's vectors in the core's order."""
        if self.method != NULL:
            return names_of(self.method.name_vector, fml_trainer_n_vectors(&self.trainer))
        names = list(self.optimizer.state_vectors)
        return [*names, "unaveraged_parameters"] if self.terms.average != NULL else names

    cdef dict numbers(self):
        """Return the state's numbers by name."""
        cdef cnp.ndarray exported = np.empty(fml_trainer_n_numbers(&self.trainer))
        fml_trainer_export_numbers(&self.trainer, <double *>cnp.PyArray_DATA(exported))
        values = exported.tolist()
        if self.method != NULL:
            return dict(zip(names_of(self.method.name_number, len(values)), values))
        found = {name: values[place] for name, place in self.optimizer.state_numbers.items()}
        found.update(self.rate_state())
        if self.needs_random_key:
            found["random_key"] = float(self.terms.key)
        return found

    cdef dict rate_state(self):
        """Return the learning rate as part of the state, if the number of steps does not determine it: a rate that may
        have been assigned, or the state of a plateau."""
        if self.plateau is not None:
            return {f"plateau.{name}": value for name, value in self.plateau.state.items()}
        if self.method != NULL or self.optimizer.schedule is not None:
            return {}
        return {"learning_rate": self.trainer.hyper_parameters[0]}

    cdef int restore_state(self, dict vectors, dict numbers) except -1:
        """Set the numbers of a state, and allocate its vectors, which the caller then fills. Entries that are missing
        keep their initial values, so that states of earlier versions, which lack some entries, can be restored."""
        if self.method != NULL:
            return self.restore_method_state(vectors, numbers)
        required = {"unaveraged_parameters"} if self.terms.average != NULL else set()
        needed = {"random_key"} if self.needs_random_key else set()
        cdef bint fits = required <= vectors.keys() <= set(self.vector_names())
        fits = fits and needed <= numbers.keys() <= set(self.numbers())
        fits = fits and all([np.isfinite(value) for name, value in numbers.items() if name != "plateau.best"])
        if fits and self.needs_random_key:
            fits = numbers["random_key"].is_integer() and 0 <= numbers["random_key"] < 2.0**53
        if not fits or not 0 < numbers.get("learning_rate", 1.0):
            self.refuse_state(vectors, numbers)
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
        if self.needs_random_key:
            self.terms.key = int(numbers["random_key"])
        return 0

    cdef int restore_method_state(self, dict vectors, dict numbers) except -1:
        """Like `restore_state`, for a whole-batch method, whose state must be complete or empty."""
        vector_names = names_of(self.method.name_vector, len(vectors))
        number_names = names_of(self.method.name_number, len(numbers))
        cdef bint fits = vectors.keys() == set(vector_names) and numbers.keys() == set(number_names)
        if not (fits and self.import_numbers(len(vectors), [numbers[name] for name in number_names])):
            self.refuse_state(vectors, numbers)
        return 0

    cdef bint import_numbers(self, size_t n_vectors, list numbers) except? True:
        """Pass numbers, in the core's order, and the number of vectors to the core; return whether it accepts them."""
        cdef cnp.ndarray given = np.array(numbers, dtype=np.float64)
        return fml_trainer_import_numbers(&self.trainer, n_vectors, len(numbers), <double *>cnp.PyArray_DATA(given))

    cdef int refuse_state(self, dict vectors, dict numbers) except -1:
        """Raise a ValueError with the expected and the given names."""
        raise ValueError(f"state: expected that of {self.optimizer}, with the vectors {self.vector_names()} and the "
                         f"numbers {list(self.numbers())}, got {list(vectors)} and {numbers}")

    cdef object next_rate(self):
        """Return the learning rate of the next step; None for an optimiser without one."""
        if self.rate_by_function:
            return float(self.optimizer._rates(self.trainer.n_steps, 1)[0])
        if not hasattr(self.optimizer, "learning_rate"):
            return None
        if self.trainer.schedule != NULL:
            return self.trainer.schedule.rate(self.trainer.schedule_parameters, self.trainer.n_steps)
        return self.trainer.hyper_parameters[0]


cdef bint has_become_not_finite(fml_trainer *trainer) noexcept nogil:
    """Return whether a parameter or a number of the optimiser's state is NaN or infinite, if a step since the last call
    may have made it so."""
    cdef size_t n = trainer.net.n_packed
    if not trainer.suspect:
        return False
    trainer.suspect = False
    if trainer.net.kernels.first_not_finite(trainer.block, n) < n:
        return True
    for k in range(trainer.optimizer.n_states):
        if trainer.net.kernels.first_not_finite(trainer.states[k], n) < n:
            return True
    return False


cdef fml_status train_rows(fml_trainer *trainer, const fml_data *data, size_t batch_size, bint draws, uint32_t *order,
                           size_t *first, size_t end, double *loss, fml_poll *poll, void *workspace) noexcept nogil:
    """Train on the rows from `first` to `end` of an order, which is drawn before if `draws`; see `fml_train_rows`."""
    if draws:
        fml_random_order(&trainer.random, order, data.n_rows)
    return fml_train_rows(trainer, data, batch_size, order, first, end, loss, poll, workspace)


cdef fml_status train_epochs(fml_trainer *trainer, const fml_data *data, size_t batch_size, uint32_t *drawn,
                             size_t n_epochs, size_t *done, bint *finite, double *loss, fml_poll *poll,
                             void *workspace) noexcept nogil:
    """Train n_epochs epochs, each in an order that is drawn into `drawn` unless that is NULL. Add the loss of epoch k
    to loss[k], count the epochs in `done`, and stop after one that is not complete or has made something not finite."""
    cdef fml_status status = FML_OK
    cdef size_t first
    while done[0] < n_epochs and status == FML_OK and finite[0]:
        first = 0
        status = train_rows(trainer, data, batch_size, drawn != NULL, drawn, &first, data.n_rows, &loss[done[0]], poll,
                            workspace)
        finite[0] = not has_become_not_finite(trainer)
        done[0] += status == FML_OK and finite[0]
    return status


cdef class BlockOrder:
    """The order of rows that an epoch shuffles by blocks, see csrc/block_order.c. `advise` says whether the rows are in
    a memory-mapped file, for which the operating system gets advice on what will be read."""

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
        """Return the rows at a slice of the order. It is fast if the core has their part of the order in memory."""
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
    """The rows that learn_one has trained on since the last publication: inputs as given, targets scaled.

    Its size is limited to that of the parameters, but at least 16 and at most 1024 rows. The memory has all labels,
    then all inputs, then all targets."""

    cdef char *memory
    cdef int64_t *labels  # -1 if the target is a vector
    cdef size_t capacity, n_rows, x_bytes, t_bytes  # sizes of the input and of the target of one row

    def __cinit__(self, Trainer core not None):
        core._check_built()
        self.x_bytes = core.n_inputs * core.net.kernels.real_size
        self.t_bytes = core.net.n_targets * core.net.kernels.real_size
        cdef size_t row = self.x_bytes + self.t_bytes + sizeof(int64_t)
        cdef size_t min_rows = 16, max_rows = 1024
        self.capacity = max(min_rows, min(max_rows, core.net.n_packed * core.net.kernels.real_size // row))
        self.memory = <char *>fml_allocate(self.capacity * row)
        if self.memory == NULL:
            raise MemoryError(f"no memory for a log of {self.capacity} rows")
        self.labels = <int64_t *>self.memory

    def __dealloc__(self):
        fml_free(self.memory)

    cdef void *x_of(self, size_t k) noexcept:
        """Return the input of row k."""
        return self.memory + self.capacity * sizeof(int64_t) + k * self.x_bytes

    cdef void *t_of(self, size_t k) noexcept:
        """Return the target of row k."""
        return self.memory + self.capacity * (sizeof(int64_t) + self.x_bytes) + k * self.t_bytes

    cdef fml_status step(self, Trainer core, Training training, size_t k, double *loss, void *workspace) noexcept:
        """Take one step on row k."""
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
        if core.n_weights < core.gil_work_limit // 4:
            return fml_train_step(trainer, &data, NULL, 1, 0, loss, NULL, workspace)
        with nogil:
            status = fml_train_step(trainer, &data, NULL, 1, 0, loss, NULL, workspace)
        return status


cdef dict stop_flags = {}  # the StopFlag of each thread that works under one, by the number of the thread


cdef class StopFlag:
    """A flag with which one thread asks others, which work for it, to stop as after Ctrl-C, as only the main thread
    receives signals. A training in a thread that has called `enter` raises KeyboardInterrupt once the flag is set."""

    cdef readonly bint is_set

    def set(self):
        """Ask the threads to stop."""
        self.is_set = True

    def enter(self):
        """Have the trainings in the calling thread follow the flag, until it calls `leave`."""
        stop_flags[PyThread_get_thread_ident()] = self

    def leave(self):
        """End what `enter` began."""
        stop_flags.pop(PyThread_get_thread_ident(), None)


cdef StopFlag stop_flag_here():
    """Return the flag that the calling thread follows, or None."""
    return stop_flags.get(PyThread_get_thread_ident()) if stop_flags else None


cpdef int check_stop_flag() except -1:
    """Raise KeyboardInterrupt if the calling thread follows a flag that is set."""
    cdef StopFlag flag = stop_flag_here()
    if flag is not None and flag.is_set:
        raise KeyboardInterrupt
    return 0


cdef class PollState:
    """What decides whether a long pass stops: errors of signal handlers and custom functions, a flag, a deadline."""

    cdef list errors      # the exceptions raised so far
    cdef StopFlag flag    # the flag that the thread follows, or None
    cdef double deadline  # on the clock of fml_seconds
    cdef bint deadline_passed

    def __cinit__(self):
        self.errors, self.flag, self.deadline = [], stop_flag_here(), INFINITY


cdef int poll_python(void *poll_state) noexcept with gil:
    """Run Python's signal handlers and check the deadline; return whether the pass should stop. The PollState gets the
    reason. `poll_state` is the context of the fml_poll, a PollState."""
    try:
        if (<PollState>poll_state).errors:
            return 1
        PyErr_CheckSignals()
        check_stop_flag()
    except BaseException as error:
        (<PollState>poll_state).errors.append(error)
        return 1
    (<PollState>poll_state).deadline_passed = fml_seconds() >= (<PollState>poll_state).deadline
    return (<PollState>poll_state).deadline_passed
