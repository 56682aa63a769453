# Declarations of rows of data and of their columns, for the modules that pass them to the core; see _rows.pyx. The
# functions that predictions call are defined here as inline, because a call into another extension module goes through
# a pointer, which the compiler cannot inline.
cimport numpy as cnp
from cpython.ref cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint32_t
from libc.string cimport memset

from ._csrc cimport *

cdef extern from "numpy/arrayobject.h":
    cnp.ndarray PyArray_NewFromDescr(type subtype, cnp.dtype descr, int nd, cnp.npy_intp *dims, cnp.npy_intp *strides,
                                     void *data, int flags, PyObject *obj)


cdef class Sparse:
    cdef cnp.ndarray elements, columns, begins
    cdef readonly tuple shape
    cdef size_t n_columns

    cdef bint is_ready(self, int typenum, size_t n_inputs) noexcept


cdef class Columns:
    cdef fml_scaling scales, input_scales  # the scaling of inputs and targets; that of the inputs only
    cdef const fml_scaling *scaling  # `scales`, or NULL if nothing is scaled
    cdef const fml_scaling *input_scaling  # `input_scales`, or NULL if the inputs are not scaled
    cdef readonly object inputs, targets, schema  # Scaling or None; Scaling or None; Schema
    cdef list arrays   # the arrays of the scalings, into which `scales` and `input_scales` point
    cdef bint needs_float64  # predictions are float64, as float32 cannot hold targets whose scaling is undone
    cdef bint labels_are_names  # a number that is given as a label is the name of a class, and not its index


cdef class Rows:
    cdef fml_data data
    cdef readonly object x  # an array, or inputs.arrays.SparseRows or RowSubset
    cdef readonly cnp.ndarray values, labels, weights
    cdef readonly double total_weight
    cdef int64_t largest_label
    cdef object source  # `x` as an array or a Sparse; of an arrays.RowSubset, those that it picks rows of
    cdef cnp.ndarray picked  # the indices of an arrays.RowSubset, to which `data` points; else None
    cdef int64_t largest_index  # of `picked`; -1 without it
    cdef Columns columns  # the scalings and schema that the last pass over the rows has used

    cdef int _pick(self) except -1
    cdef bint matches(self, int typenum, size_t n_inputs, size_t n_targets)
    cdef void scale(self, Columns columns) noexcept


cdef bint shares_memory(X, cnp.ndarray y) except -1


cdef inline fml_element element_of(cnp.ndarray x, int typenum) noexcept:
    """Return the type of an array's elements for a network of type typenum. FML_REAL is the network's own type, and is
    also returned for elements that the core cannot read."""
    cdef int kind = cnp.PyArray_TYPE(x)
    if kind == typenum:
        return FML_REAL
    if kind == cnp.NPY_UINT8:
        return FML_UINT8
    if kind == cnp.NPY_FLOAT16:
        return FML_FLOAT16
    return FML_FLOAT32 if kind == cnp.NPY_FLOAT32 else FML_FLOAT64 if kind == cnp.NPY_FLOAT64 else FML_REAL


cdef inline size_t row_distance(cnp.ndarray x) noexcept:
    """Return the number of elements from row to row if x is not contiguous but each of its rows is; else 0."""
    cdef cnp.npy_intp size = cnp.PyArray_ITEMSIZE(x), row
    if cnp.PyArray_NDIM(x) != 2 or cnp.PyArray_DIM(x, 0) < 2 or cnp.PyArray_IS_C_CONTIGUOUS(x):
        return 0
    row = cnp.PyArray_STRIDE(x, 0)
    if cnp.PyArray_STRIDE(x, 1) != size or row < size * cnp.PyArray_DIM(x, 1) or row % size != 0:
        return 0
    return <size_t>(row // size)


cdef inline bint is_ready(cnp.ndarray x, int typenum, size_t n_inputs) noexcept:
    """Return whether the kernels can read x in place: it is (B, I) or (I,) with B > 0, aligned, in native byte order,
    has contiguous rows, and elements of a type that the kernels can convert."""
    cdef int ndim = cnp.PyArray_NDIM(x)
    return (
        (cnp.PyArray_TYPE(x) == typenum or element_of(x, typenum) != FML_REAL)
        and (cnp.PyArray_IS_C_CONTIGUOUS(x) or row_distance(x) > 0)
        and cnp.PyArray_ISALIGNED(x) and cnp.PyArray_ISNOTSWAPPED(x)
        and (ndim == 1 or (ndim == 2 and cnp.PyArray_DIM(x, 0) > 0))
        and <size_t>cnp.PyArray_DIM(x, ndim - 1) == n_inputs
    )


cdef inline size_t n_rows_of(cnp.ndarray x) noexcept:
    return <size_t>cnp.PyArray_DIM(x, 0) if cnp.PyArray_NDIM(x) == 2 else 1


cdef inline int describe(x, int typenum, fml_data *data) except -1:
    """Set the inputs of `data` and the number of rows from a Sparse or an array that is_ready; clear all else."""
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


cdef inline bint overlap(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Return whether the memory from the first to the last row of a overlaps that of the C-contiguous array b."""
    cdef char *first_a = <char *>cnp.PyArray_DATA(a)
    cdef char *first_b = <char *>cnp.PyArray_DATA(b)
    cdef cnp.npy_intp bytes_a = cnp.PyArray_NBYTES(a)
    if row_distance(a) > 0:
        bytes_a = cnp.PyArray_STRIDE(a, 0) * cnp.PyArray_DIM(a, 0)
    return first_a < first_b + cnp.PyArray_NBYTES(b) and first_b < first_a + bytes_a
