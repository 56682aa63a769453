# Part of _core.pyx: the core's tables of kernels, the number of threads, memory for a matrix, and activations and
# schedules on arrays.
#
# A row of a table (an activation, loss, optimiser or schedule) is found by its index, which is the same in the tables
# of all ISAs and dtypes. The names are read from the tables when the module is imported, so that a new row of a table
# needs no change here.

cdef list ISAS = []  # the instruction sets that this build has and this processor runs, best first
cdef dict ACTIVATION_ROWS = {}, LOSS_ROWS = {}, OPTIMIZER_ROWS = {}, SCHEDULE_ROWS = {}  # the index of each name


cdef int _read_names() except -1:
    """Fill ISAS and the dictionaries of indices from the core's tables."""
    cdef const fml_kernels *kernels = fml_kernels_of(0, FML_F32)
    cdef size_t i = 0
    while fml_kernels_of(i, FML_F32) != NULL:
        ISAS.append(fml_kernels_of(i, FML_F32).isa.decode())
        i += 1
    i = 0
    while kernels.activations[i].name != NULL:
        ACTIVATION_ROWS[kernels.activations[i].name.decode()] = i
        i += 1
    i = 0
    while kernels.losses[i].name != NULL:
        LOSS_ROWS[kernels.losses[i].name.decode()] = i
        i += 1
    i = 0
    while kernels.optimizers[i].name != NULL:
        OPTIMIZER_ROWS[kernels.optimizers[i].name.decode()] = i
        i += 1
    i = 0
    while fml_schedules[i].name != NULL:
        SCHEDULE_ROWS[fml_schedules[i].name.decode()] = i
        i += 1
    return 0


_read_names()


def isas():
    """Return the instruction sets that this build has and this processor runs, best first."""
    return list(ISAS)


cdef const fml_kernels *find_kernels(isa, fml_dtype dtype) except NULL:
    """Return the kernel table of the named ISA; None is the value of FASTMLP_ISA, or if that is not set, the best."""
    wanted = isa or os.environ.get("FASTMLP_ISA") or ISAS[0]
    if wanted not in ISAS:
        source = "isa" if isa else "FASTMLP_ISA"
        raise ValueError(f"{source}: expected one of {', '.join(map(repr, ISAS))} (what this build and this "
                         f"processor have), got {wanted!r}")
    return fml_kernels_of(ISAS.index(wanted), dtype)


cdef const fml_engine *find_engine(const fml_kernels *kernels, str name) except NULL:
    """Return the engine of that name: "blas", or one of those that are compiled for the dtype and the ISA."""
    if name == "blas":
        return blas_engine()
    cdef const fml_engine *engine = fml_find_engine(kernels, name.encode())
    if engine == NULL:
        dtype = "float32" if kernels.dtype == FML_F32 else "float64"
        raise ValueError(f"engine: expected one for {dtype} and {kernels.isa.decode()} on this processor, got {name!r}")
    return engine


def kernel_isa(isa=None):
    """Return the instruction set that the kernels of a new network with this argument use."""
    return find_kernels(isa, FML_F32).isa.decode()


def usable_threads():
    """Return how many threads the CPU affinity and the CPU quota of this process allow, at least 1."""
    return fml_usable_threads()


def limit_threads(size_t n):
    """Limit the threads of each pass that the calling thread begins to n, its own included; 0 is no limit."""
    fml_limit_threads(n)


cdef class Memory:
    """The owner of an array's memory, which `fml_allocate` returned."""

    cdef void *start

    def __dealloc__(self):
        fml_free(self.start)


def new_matrix(size_t n_rows, size_t n_columns):
    """Return a matrix of zeros, float64, whose memory the system provides when it is first written to.

    It is in pages of the usual size, unless the system always makes huge ones. NumPy asks for huge pages for a large
    array. In a virtual machine whose host takes free memory back, these can take five times as long to provide.
    """
    cdef Memory memory = Memory.__new__(Memory)
    cdef cnp.npy_intp[2] shape = [<cnp.npy_intp>n_rows, <cnp.npy_intp>n_columns]
    if n_columns > 0 and n_rows > SIZE_MAX // 2 // sizeof(double) // n_columns:
        raise MemoryError(f"no memory for a matrix of shape ({n_rows}, {n_columns})")
    memory.start = fml_allocate(n_rows * n_columns * sizeof(double))
    if memory.start == NULL:
        raise MemoryError(f"no memory for a matrix of shape ({n_rows}, {n_columns})")
    matrix = cnp.PyArray_SimpleNewFromData(2, shape, cnp.NPY_FLOAT64, memory.start)
    cnp.set_array_base(matrix, memory)
    return matrix


def _plant_error():
    """Read out of bounds in a sanitizer build, so that CI can test that such a build finds errors; else do nothing."""
    fml_plant_error()


def activation_values(str name, hyper_parameters, z, bint derivative, isa=None):
    """Compute f(z), or f'(z), of the named activation with the compiled kernels; return an array of z's shape.

    float32 arrays stay float32; all else is computed in float64. Softmax works along the last axis.
    """
    array = np.asarray(z)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"z: expected real numbers, got dtype {array.dtype}")
    cdef bint single = array.dtype.kind == "f" and array.dtype.itemsize == 4
    cdef cnp.ndarray values = np.array(array, dtype=np.float32 if single else np.float64, order="C", ndmin=1)
    cdef const fml_kernels *kernels = find_kernels(isa, FML_F32 if single else FML_F64)
    cdef const fml_activation *activation = NULL
    if name in ACTIVATION_ROWS:
        activation = &kernels.activations[<size_t>ACTIVATION_ROWS[name]]
    if activation == NULL or (derivative and activation.backward == NULL) or len(hyper_parameters) > 4:
        raise TypeError(f"activation: expected one of fastmlp's elementwise activations, got {name!r}")
    cdef double[4] h = [0, 0, 0, 0]
    for i, value in enumerate(hyper_parameters):
        h[i] = value
    cdef size_t n = values.size, O = values.shape[values.ndim - 1]
    cdef cnp.ndarray y = np.empty_like(values), slopes
    if n > 0:
        activation.forward(cnp.PyArray_DATA(values), cnp.PyArray_DATA(y), n // O, O, h)
    if derivative:
        slopes = np.ones_like(values)
        if n > 0:
            activation.backward(cnp.PyArray_DATA(values), cnp.PyArray_DATA(y), cnp.PyArray_DATA(slopes),
                                cnp.PyArray_DATA(slopes), n // O, O, h)
        y = slopes
    return y.reshape(array.shape)[()]


def schedule_rates(str name, hyper_parameters, t):
    """Compute the learning rates of the named schedule after t steps: an array of float64 in the shape of t."""
    steps = np.asarray(t)
    if steps.dtype.kind not in "iu" or (steps.size and steps.min() < 0):
        raise ValueError(f"t: expected numbers of steps, integers of at least 0, got {t!r}")
    if name not in SCHEDULE_ROWS or len(hyper_parameters) > FML_MAX_HYPER_PARAMETERS:
        raise TypeError(f"schedule: expected one of fastmlp's schedules of the step, got {name!r}")
    cdef const fml_schedule *schedule = &fml_schedules[<size_t>SCHEDULE_ROWS[name]]
    cdef double[8] h = [0, 0, 0, 0, 0, 0, 0, 0]
    for i, value in enumerate(hyper_parameters):
        h[i] = value
    rates = [schedule.rate(h, step) for step in steps.ravel().tolist()]
    return np.array(rates, dtype=np.float64).reshape(steps.shape)[()]
