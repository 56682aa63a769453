"""A bound predictor for Numba: the type of `BoundPredictor.numba` in compiled functions, and its call ``f(x, y)``.

A compiled function that takes the predictor as an argument holds no address: each call of it unpacks function, context
and sizes from the object. So such a function can be cached in a file and used by another process. A predictor that is
a global or a closure variable is a constant: its addresses become part of the code, which Numba then refuses to cache,
and the predictor lives as long as the process. The value in compiled code owns a reference to the Python object, as an
array does, so that the predictor outlives every copy of the value.

This module is imported by `BoundPredictor.numba`, and it alone imports Numba.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llvmlite import ir
from numba import from_dtype
from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.core.imputils import lower_builtin, lower_constant
from numba.extending import (
    NativeValue,
    intrinsic,
    make_attribute_wrapper,
    models,
    overload_method,
    register_model,
    typeof_impl,
    unbox,
)

if TYPE_CHECKING:
    from ..bound import BoundPredictor


class NumbaFunction:
    """A bound predictor as an object that functions compiled by Numba take and call, ``f(x, y)``.

    Attributes
    ----------
    predictor : BoundPredictor
    """

    __slots__ = ("_native", "_predictor")

    def __init__(self, predictor: BoundPredictor) -> None:
        self._predictor = predictor
        self._native = predictor._native(None)

    def __call__(self, x: Any, y: Any) -> None:
        """Write the outputs of the row x to y, as in compiled code."""
        self._predictor.predict(x, out=y)

    def __repr__(self) -> str:
        return f"{self._predictor!r}.numba"

    def __reduce__(self) -> tuple[Any, ...]:
        return NumbaFunction, (self._predictor,)


class PredictorType(types.Type):
    """The Numba type of a `NumbaFunction`, for each dtype of the network."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"fastmlp.BoundPredictor({dtype})")


@register_model(PredictorType)
class PredictorModel(models.StructModel):
    """The value in compiled code; `owner` is a counted reference to the Python object, NULL for a constant."""

    def __init__(self, dmm: Any, fe_type: PredictorType) -> None:
        members = [
            ("owner", types.MemInfoPointer(types.voidptr)),
            ("function", types.uintp),
            ("context", types.uintp),
            ("n_inputs", types.uintp),
            ("n_outputs", types.uintp),
        ]
        super().__init__(dmm, fe_type, members)


make_attribute_wrapper(PredictorType, "n_inputs", "n_inputs")
make_attribute_wrapper(PredictorType, "n_outputs", "n_outputs")
NUMBERS = ("function", "context", "n_inputs", "n_outputs")  # in the order of `Bound._native`
_constants: list[NumbaFunction] = []  # those whose addresses are part of compiled code, which may run at any time


@typeof_impl.register(NumbaFunction)
def _type_of(value: NumbaFunction, context: Any) -> PredictorType:
    return PredictorType(from_dtype(value._predictor.dtype))


@unbox(PredictorType)
def _unbox(fe_type: PredictorType, obj: Any, c: Any) -> NativeValue:
    """Read addresses and sizes from the Python object, and take a reference to it."""
    value = cgutils.create_struct_proxy(fe_type)(c.context, c.builder)
    numbers = c.pyapi.object_getattr_string(obj, "_native")
    for i, name in enumerate(NUMBERS):
        setattr(value, name, c.pyapi.long_as_ulonglong(c.pyapi.tuple_getitem(numbers, i)))
    c.pyapi.decref(numbers)
    pointer = c.builder.inttoptr(value.context, cgutils.voidptr_t)
    value.owner = c.pyapi.nrt_meminfo_new_from_pyobject(pointer, obj)
    return NativeValue(value._getvalue(), is_error=cgutils.is_not_null(c.builder, c.pyapi.err_occurred()))


@lower_constant(PredictorType)
def _constant(context: Any, builder: Any, fe_type: PredictorType, value: NumbaFunction) -> Any:
    """Make the addresses part of the code, which Numba then does not cache."""
    made = cgutils.create_struct_proxy(fe_type)(context, builder)
    _constants.append(value)
    for name, number in zip(NUMBERS, value._native, strict=True):
        constant = context.get_constant(types.uintp, number)
        if name in ("function", "context"):
            constant = builder.ptrtoint(context.add_dynamic_addr(builder, number, info=name), constant.type)
        setattr(made, name, constant)
    made.owner = cgutils.get_null_value(made.owner.type)
    return made._getvalue()


@intrinsic
def _call(typing_context: Any, f: Any, x: Any, y: Any) -> Any:
    """Call the C function for contiguous vectors of the right dtype and length."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = cgutils.create_struct_proxy(f)(context, builder, value=args[0])
        arrays = [context.make_array(t)(context, builder, arg) for t, arg in ((x, args[1]), (y, args[2]))]
        pointer = cgutils.voidptr_t
        function_type = ir.FunctionType(ir.VoidType(), [pointer] * 3)
        function = builder.inttoptr(value.function, function_type.as_pointer())
        data = [builder.bitcast(array.data, pointer) for array in arrays]
        builder.call(function, [*data, builder.inttoptr(value.context, pointer)])
        return context.get_dummy_value()

    return types.void(f, x, y), generate


def _checked_call(f: Any, x: Any, y: Any) -> None:
    """Check the lengths, and call the C function; this is compiled."""
    if len(x) != f.n_inputs:
        raise ValueError("x: expected as many numbers as the predictor has inputs")
    if len(y) != f.n_outputs:
        raise ValueError("y: expected as many numbers as the predictor has outputs")
    _call(f, x, y)


@overload_method(PredictorType, "__call__")
def _typed_call(f: Any, x: Any, y: Any) -> Any:
    """Type ``f(x, y)``, after a check of the arrays' types."""
    for name, array in (("x", x), ("y", y)):
        is_vector = isinstance(array, types.Array) and array.ndim == 1 and array.layout == "C"
        if not is_vector or array.dtype != f.dtype:
            raise TypingError(f"{name}: expected a contiguous vector of {f.dtype}, got {array}")
    if not y.mutable:
        raise TypingError(f"y: expected an array that can be written to, got {y}")

    return _checked_call


@lower_builtin(PredictorType, PredictorType, types.Array, types.Array)
def _lower_call(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    """Compile the call of a value; Numba finds a method's type by its name, but not its code."""
    return context.compile_internal(builder, _checked_call, signature, args)
