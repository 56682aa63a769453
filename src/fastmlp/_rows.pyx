# cython: boundscheck=False, cdivision=True
# Rows of data as the core takes them: dense or sparse inputs, targets and weights, and the scalings of their columns.
#
# The objects are made from arrays that the package `inputs` has checked, and hold references to them. A kernel may read
# Rows only if `matches` has returned True for its network. The file is a module of its own because it calls no function
# of the C core and so need not be linked with it.
import numpy as np

from .inputs.arrays import RowSubset
from .inputs.labels import are_indices

cnp.import_array()


cdef class Sparse:
    """Sparse rows (CSR) as the core takes them, made from a checked `inputs.arrays.SparseRows`."""

    def __init__(self, rows):
        self.elements, self.columns, self.begins, self.shape = rows.elements, rows.columns, rows.begins, rows.shape
        self.n_columns = rows.shape[1]

    cdef bint is_ready(self, int typenum, size_t n_inputs) noexcept:
        """Return whether the kernels of a network with that type and number of inputs can read the rows."""
        return (cnp.PyArray_TYPE(self.elements) == typenum or element_of(self.elements, typenum) != FML_REAL) and (
            cnp.PyArray_ISCARRAY_RO(self.elements) and cnp.PyArray_ISCARRAY_RO(self.columns)
            and cnp.PyArray_ISCARRAY_RO(self.begins) and cnp.PyArray_TYPE(self.columns) == cnp.NPY_INT32
            and cnp.PyArray_TYPE(self.begins) == cnp.NPY_INT64 and self.n_columns == n_inputs
        )


cdef bint shares_memory(X, cnp.ndarray y) except -1:
    """Return whether X is an array that may share memory with y."""
    return isinstance(X, np.ndarray) and np.may_share_memory(X, y)


cdef class Columns:
    """The scalings and the schema of a network's columns. It never changes; each Block refers to those it was made
    with."""

    def __init__(self, inputs, targets, schema):
        self.inputs, self.targets, self.schema = inputs, targets, schema
        self.needs_float64 = targets is not None and targets.needs_float64
        self.labels_are_names = not are_indices(schema.class_names)
        self.arrays = []
        set_affine(&self.scales.inputs, inputs, self.arrays)
        set_affine(&self.input_scales.inputs, inputs, self.arrays)
        set_affine(&self.scales.targets, targets, self.arrays)
        self.scaling = NULL if inputs is None and targets is None else &self.scales
        self.input_scaling = NULL if inputs is None else &self.input_scales


cdef int set_affine(fml_affine *affine, scaling, list arrays) except -1:
    """Point `affine` to the arrays of a Scaling, and keep these alive in `arrays`; do nothing for None."""
    cdef cnp.ndarray offset, scale
    if scaling is not None:
        offset, scale = scaling.offset, scaling.scale
        arrays += [offset, scale]
        affine.offset, affine.scale = <double *>cnp.PyArray_DATA(offset), <double *>cnp.PyArray_DATA(scale)
    return 0


cdef class Rows:
    """Checked input rows with their targets (values or labels) and weights, as the C core takes them."""

    def __init__(self, x not None, cnp.ndarray values=None, cnp.ndarray labels=None, cnp.ndarray weights=None):
        self.x, self.values, self.labels, self.weights = x, values, labels, weights
        self.picked, self.largest_index = None, -1
        if isinstance(x, RowSubset):
            self.picked, x = x.indices, x.whole
        self.source = x if isinstance(x, np.ndarray) else Sparse(x)
        describe(self.source, -1, &self.data)
        if self.picked is not None:
            self._pick()
        self.data.values = NULL if values is None else cnp.PyArray_DATA(values)
        self.data.labels = NULL if labels is None else <int64_t *>cnp.PyArray_DATA(labels)
        self.largest_label = -1 if labels is None else np.max(labels)
        self.data.weights = NULL if weights is None else <double *>cnp.PyArray_DATA(weights)
        self.total_weight = self.data.n_rows if weights is None else np.sum(weights)

    cdef int _pick(self) except -1:
        """Take the rows `picked` of the inputs, instead of all of them."""
        cdef size_t n_rows = self.data.n_rows
        if (cnp.PyArray_TYPE(self.picked) != cnp.NPY_UINT32 or not cnp.PyArray_ISCARRAY_RO(self.picked)
                or cnp.PyArray_NDIM(self.picked) != 1 or self.picked.size < 1 or len(self.x.whole.shape) != 2):
            raise ValueError("x: expected a subset of at least one row, with indices of uint32, of a matrix")
        self.largest_index = np.max(self.picked)
        if self.largest_index >= <int64_t>n_rows:
            raise ValueError(f"x: expected indices below {n_rows}, got {self.largest_index}")
        self.data.n_rows, self.data.x_rows = self.picked.size, <uint32_t *>cnp.PyArray_DATA(self.picked)
        return 0

    cdef bint matches(self, int typenum, size_t n_inputs, size_t n_targets):
        """Return whether the rows have the types and shapes that a network of that type and size can read. It is False
        only for rows of another network, or made by hand: all public methods convert their rows."""
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
        """Set the scalings of the next pass over the rows."""
        self.columns = columns
        self.data.scaling = columns.scaling

    @property
    def n_rows(self):
        """The number of rows."""
        return self.data.n_rows
