# Declarations for calls of the core with a user's own activations and loss; see _custom.pyx.
cimport numpy as cnp

from ._csrc cimport *


cdef class CustomLayer:
    cdef object value, derivative
    cdef list errors
    cdef cnp.dtype descr
    cdef size_t n_outputs


cdef class CustomCall:
    cdef fml_network net
    cdef list layers, errors
    cdef object loss
    cdef cnp.dtype descr

    cdef bint failed(self)
    cdef int check(self) except -1


cdef CustomCall new_call(const fml_network *net, list functions, own_loss, cnp.dtype descr, list errors)
cdef const fml_activation *custom_activation() noexcept
