"""The class BoundPredictor: a frozen network that native code calls, which `Network.bind` makes.

It predicts as a Network does, by the same compiled class, but its parameters never change, so their addresses can be
given away: to Numba, SciPy, Cython, C. `callers/` has what each of these gets; the C function itself is `fastmlp_call`
of csrc/model.c. A BoundPredictor has a file of its own kind: a model file whose architecture has the field `weights`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self, SupportsIndex

import numpy as np

from . import _core, engines, quantization
from .activations import CustomActivation
from .architecture import Architecture
from .description import Described
from .formats import atomic, model_file
from .formats.model_file import ModelFile
from .losses import CustomLoss

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .network import Network


def bind(net: Network, weights: str | None) -> BoundPredictor:
    """Do what `Network.bind` does."""
    allowed = model_file.WEIGHTS[net.dtype.name]
    kind = net.dtype.name if weights is None else weights
    if not isinstance(kind, str):
        raise TypeError(f"weights: expected a name or None, got {type(kind).__name__}")
    if kind not in allowed:
        expected = ", ".join(map(repr, allowed))
        raise ValueError(f"weights: expected one of {expected} for a {net.dtype.name} network, got {kind!r}")
    for layer, f in enumerate([*net.activation, net.output_activation]):
        if isinstance(f, CustomActivation):
            raise ValueError(
                f"bind: expected activations with a kernel, got Python functions in layer {layer}, {f!r:.60}"
            )
    if isinstance(net.loss, CustomLoss):
        raise ValueError(f"bind: expected a loss with a kernel, got {net.loss!r:.60}, a Python function")
    net._refuse_unscaled("bind")
    contents = net._published_contents()
    made = ModelFile(contents.architecture, contents.parameters, contents.random_state, weights=kind)
    return BoundPredictor._from_contents(made, n_threads=net.n_threads, isa=net._isa)


class BoundPredictor(_core.Bound, Described):
    """A frozen network, which predicts as the network did that `Network.bind` made it of, also without Python.

    It is made by `Network.bind`, and read from its file by `fastmlp.load`. `predict`, `classify` and `activations` are
    those of a `Network`; nothing changes it. docs/native.md shows how Numba, Cython, SciPy, ctypes, cffi, C and C++
    call it.

    Examples
    --------
    >>> net = fastmlp.Network([2, 1])
    >>> net.set_layer(0, [[1.0, 2.0]], [0.5])
    >>> bound = net.bind()
    >>> net.set_layer(0, [[0.0, 0.0]], [0.0])
    >>> bound([10.0, 100.0])
    array([210.5], dtype=float32)
    >>> bound
    BoundPredictor([2, 1], identity, mse, float32)
    """

    _weight_dtype: str
    _random_state: int

    def __init__(self, *args: object, **kwargs: object) -> None:
        raise TypeError("BoundPredictor: cannot be constructed; Network.bind makes one, and fastmlp.load reads one")

    @classmethod
    def _from_contents(
        cls, contents: ModelFile, *, n_threads: SupportsIndex | str = "auto", isa: str | None = None
    ) -> Self:
        """Return the predictor that a file describes, whose field `weights` is set."""
        assert contents.weights is not None
        made = cls.__new__(cls)
        made._weight_dtype, made._random_state = contents.weights, contents.random_state
        given: Architecture = contents.architecture
        made._n_threads = threads = engines.check_threads(n_threads)
        max_threads = threads if isinstance(threads, int) else _core.usable_threads()
        own, P = contents.weights == given.dtype.name, np.ascontiguousarray(contents.parameters, given.dtype)
        made._build_described(given, quantization.ENGINES.get(contents.weights, "native"), isa, max_threads)
        made._load(P, *given.scalings, given.schema)
        if not own:
            quantization.check_rounding(contents.weights, given.sizes, P, made._unpack())
        made._freeze()
        return made

    # -- description -----------------------------------------------------------------------------------------------

    @property
    def weight_dtype(self) -> str:
        """What the weights are in memory: "float32", "float64", "bfloat16" or "int8"."""
        return self._weight_dtype

    @property
    def parameters(self) -> NDArray[Any]:
        """All weights and biases, as the predictor computes with them, in a new vector; see `Network.parameters`."""
        P: NDArray[Any] = self._unpack()
        return P

    @property
    def n_threads(self) -> int | str:
        """The largest number of threads of `predict` for many rows, as of the network; native calls use none."""
        return self._n_threads

    def __repr__(self) -> str:
        own = self._weight_dtype == self._dtype.name
        return f"BoundPredictor({', '.join([*self._described(), *([] if own else [f'weights {self._weight_dtype}'])])})"

    def summary(self) -> str:
        """Describe the layers, the weights and the kernels in a table.

        Examples
        --------
        >>> print(fastmlp.Network([784, 30, 10]).bind().summary())  # doctest: +ELLIPSIS
        layer  weights    activation  parameters
        0      (30, 784)  ReLU()      23,550
        1      (10, 30)   Identity()  310
        23,860 parameters, float32, loss mse
        weights in float32, frozen, kernels ...
        """
        frozen = f"weights in {self._weight_dtype}, frozen, kernels {self._isa}"
        return "\n".join([*self._layer_lines(), *self._column_lines(), frozen])

    # -- native callers --------------------------------------------------------------------------------------------

    @property
    def numba(self) -> Any:
        """The predictor as an argument, or a global, of functions that Numba compiles; needs Numba.

        In such a function, ``f(x, y)`` writes the outputs of the row x to y, two contiguous vectors of the network's
        dtype. It is a ValueError there if a length is wrong. It works with ``nogil``, ``parallel`` and, where it is an
        argument, ``cache=True``.

        Raises
        ------
        AttributeError
            If Numba is not installed (the extra `numba`).

        Examples
        --------
        >>> import numba
        >>> @numba.njit
        ... def total(f, rows):
        ...     y, result = np.empty(1), 0.0
        ...     for i in range(len(rows)):
        ...         f(rows[i], y)
        ...         result += y[0]
        ...     return result
        >>> net = fastmlp.Network([2, 1], dtype="float64")
        >>> net.set_layer(0, [[1.0, 2.0]], [0.5])
        >>> total(net.bind().numba, np.array([[1.0, 1.0], [2.0, 3.0]]))
        12.0
        """
        try:
            from .callers.numba_function import NumbaFunction
        except ModuleNotFoundError as error:  # as an attribute that is missing, so that `inspect` and `hasattr` work
            message = f"{error.name} is needed for this and is not installed: pip install 'fastmlp[numba]'"
            raise AttributeError(message, name="numba", obj=self) from error

        return NumbaFunction(self)

    def scipy(self, kind: str) -> Any:
        """Return the predictor as a function that SciPy integrates.

        Parameters
        ----------
        kind : {"quad", "nquad", "ode"}
            "quad" and "nquad": a `scipy.LowLevelCallable` for the function of that name, of a network of one output and
            at most 64 inputs; its arguments are the inputs, in their order. "ode": a Python function ``f(t, y)``, since
            SciPy's solvers take no other; for a network of as many inputs as outputs, or of one more, which is t and
            comes first.

        Raises
        ------
        ValueError
            If the network has another number of inputs or outputs, or for "ode" an encoder.

        Examples
        --------
        >>> from scipy.integrate import quad, solve_ivp
        >>> net = fastmlp.Network([1, 1], dtype="float64")
        >>> net.set_layer(0, [[2.0]], [1.0])
        >>> round(quad(net.bind().scipy("quad"), 0.0, 3.0)[0], 9)
        12.0
        >>> solve_ivp(net.bind().scipy("ode"), (0.0, 1.0), [0.0], rtol=1e-9).y[0, -1].round(3)
        np.float64(3.195)
        """
        from .callers.scipy_function import make

        return make(self, kind)

    @property
    def ctypes(self) -> Any:
        """The C function and its context as ctypes objects, which keep the predictor alive: ``(function, context)``.

        The function takes two pointers and the context, as `address` says. ctypes checks no sizes.

        Examples
        --------
        >>> net = fastmlp.Network([2, 1])
        >>> net.set_layer(0, [[1.0, 2.0]], [0.5])
        >>> function, context = net.bind().ctypes
        >>> x, y = np.array([10.0, 100.0], np.float32), np.empty(1, np.float32)
        >>> function(x.ctypes.data, y.ctypes.data, context)
        >>> y
        array([210.5], dtype=float32)
        """
        from .callers.ctypes_function import make

        return make(self)

    # -- files, pickles and copies ---------------------------------------------------------------------------------

    def _architecture(self) -> Architecture:
        return self._given_architecture

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the predictor to a model file, which `fastmlp.load` and the C API read, as `Network.save` does.

        Examples
        --------
        >>> bound = fastmlp.Network([3, 2], seed=0).bind()
        >>> bound.save("bound.safetensors")
        >>> fastmlp.load("bound.safetensors")
        BoundPredictor([3, 2], identity, mse, float32)
        """
        atomic.write(path, model_file.to_bytes(self, weights=self._weight_dtype))

    def copy(self) -> Self:
        """Return the predictor itself: it never changes.

        Examples
        --------
        >>> bound = fastmlp.Network([3, 2], seed=0).bind()
        >>> bound.copy() is bound
        True
        """
        return self

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_bytes, (model_file.to_bytes(self, weights=self._weight_dtype), self._n_threads, self._isa)


def _from_bytes(data: bytes, n_threads: int | str, isa: str) -> BoundPredictor:
    """Rebuild a predictor from a pickle; it keeps its instruction set if this processor has that."""
    contents = model_file.parse(data)
    return BoundPredictor._from_contents(contents, n_threads=n_threads, isa=isa if isa in _core.isas() else None)
