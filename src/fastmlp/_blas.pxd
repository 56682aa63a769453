from ._csrc cimport fml_engine

cdef const fml_engine *blas_engine() except NULL
