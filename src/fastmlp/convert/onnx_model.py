"""Models in ONNX: `read` walks the graph of a file along its edges, and returns the chain of layers that it says.

The modules behind it: onnx_wire.py reads the bytes, onnx_tensors.py the numbers, onnx_graph.py orders the nodes,
onnx_walk.py walks along them with the functions of onnx_operators.py, onnx_quantised.py and onnx_tails.py;
onnx_activations.py and onnx_compounds.py find the activations in the formulas between the layers. onnx_originals.py
computes the graph itself, for comparison.
"""

from __future__ import annotations

import os
from typing import Any

from .. import activations
from ..errors import FormatError, format_error
from ..formats import atomic
from ..formats.safetensors import as_dict, json_value
from . import onnx_graph, onnx_operators, onnx_originals, onnx_quantised, onnx_tails
from .chain import HALF_ADVICE, ROUNDING, Activate, Chain, Complement, Step, refuse
from .onnx_activations import Forms
from .onnx_compounds import COMPOUNDS
from .onnx_expressions import Expression
from .onnx_graph import OnnxGraph, Operation
from .onnx_layout import Shape
from .onnx_operators import DTYPES
from .onnx_tails import Tail
from .onnx_walk import HALF, Walk
from .onnx_wire import Model

MAX_BYTES = 2**31  # of a file: as many as ONNX allows
OPERATORS = {**onnx_operators.OPERATORS, **onnx_quantised.OPERATORS, **onnx_tails.OPERATORS}


# ---------------------------------------------------------------------------------------------------------- reading


def read(source: str | os.PathLike[str] | bytes, *, output: str | None = None, half_precision: bool = False) -> Chain:
    """Read a model in ONNX.

    Parameters
    ----------
    source : path or bytes
        The file, or its content. Numbers in a file beside it are read if a path is given.
    output : str, optional
        The name of the graph's output to import, where there are several that are no labels of a classifier.
    half_precision : bool, default False
        Whether a model that computes in float16 or bfloat16 is read as one that computes in float32. Its outputs are
        then more precise than those of the file.

    Returns
    -------
    Chain
        The layers, and as `original` a plain computation of the graph: by onnxruntime if it has been imported and the
        model is not quantised, else by NumPy.

    Raises
    ------
    FormatError
        If the bytes are not those of an ONNX file, or the graph is no multilayer perceptron; the node is named.
    OSError
        If the file cannot be read.
    """
    data, folder = _content(source)
    model, graph = onnx_graph.read(data, folder)
    names = _outputs(graph, output)
    walk, values = _walk(graph, names)
    tail = onnx_tails.find(names, values)
    dtype = "float64" if "float64" in walk.dtypes else "float32"
    _check_roundings(walk, dtype, half_precision)
    steps, forms = _steps(walk, tail)
    is_formula = dtype == "float64" and bool(forms.thresholds)  # the formula differs from the file by 1e-9 there
    if is_formula:
        walk.folded.append("the threshold of softplus, above which the file gives the input itself")
    described = _described(model)
    return Chain(
        steps=tuple(steps),
        tool=model.producer_name or "ONNX",
        version=model.producer_version,
        dtype=dtype,
        n_inputs=walk.input.columns,
        loss=described.get("loss", _loss(steps, tail)),
        feature_names=described.get("feature_names"),
        target_name=described.get("target_name"),
        class_names=tail.class_names or described.get("class_names"),
        original=None if is_formula else onnx_originals.original(data, graph, walk, tail, dtype),
        folded=tuple(dict.fromkeys(walk.folded)),
    )


def _check_roundings(walk: Walk, dtype: str, half_precision: bool) -> None:
    """Refuse half precision unless it is asked for, and rounding to fewer digits before a layer of float64."""
    for rounding in walk.roundings:
        if rounding.dtype in HALF and not half_precision:
            refuse(rounding.place, f"arithmetic in half precision ({rounding.dtype})", HALF_ADVICE)
        if rounding.dtype not in HALF and dtype == "float64" and rounding.n_layers < len(walk.dtypes):
            refuse(rounding.place, f"a rounding to {rounding.dtype} before a layer of float64", "export it without it")
        if rounding.dtype in HALF or dtype == "float64":
            walk.folded.append(f"{rounding.place}: {rounding.dtype}, computed in {dtype}")
            walk.inexact = True


def _content(source: Any) -> tuple[bytes | memoryview, str | None]:
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source), None
    if hasattr(source, "SerializeToString"):  # a ModelProto of the onnx package
        return bytes(source.SerializeToString()), None
    path = atomic.name_of(source, "model")
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > MAX_BYTES:
            raise FormatError(f"{path}: expected an ONNX file of at most 2 GiB, got {size} bytes")
        return stream.read(), os.path.dirname(path) or "."


def _outputs(graph: OnnxGraph, output: str | None) -> list[str]:
    names = graph.outputs
    if not names:
        raise FormatError("ONNX file: expected a graph with an output, got none")
    if output is None:
        return names
    if output not in names:
        raise FormatError(f"output: expected one of {names[:20]}, got {output!r}")
    return [output]


def _walk(graph: OnnxGraph, names: list[str]) -> tuple[Walk, list[Any]]:
    """Walk the graph to the outputs. Where the file does not tell the number of inputs, the first weight does."""
    needed = graph.needed(names)
    used = {name for operation in needed for name in operation.inputs} | set(names)
    inputs = [value for name, value in graph.inputs.items() if name in used]
    if len(inputs) != 1:
        names = [value.name for value in inputs][:20]
        raise FormatError(
            f"ONNX file: expected one input of rows, got {names}; export the model with one of all columns"
        )
    (value,) = inputs
    declared = value.type.tensor_type if value.type is not None else None
    if declared is None:
        raise FormatError(f"ONNX file: expected a tensor as the input {value.name!r:.80}, got another type")
    dtype = DTYPES.get(declared.elem_type, "integer")
    dims = None
    if declared.shape is not None:
        dims = [each.dim_value if each.dim_value and each.dim_value > 0 else None for each in declared.shape.dim]
    errors = list[FormatError]()
    for shape, batch in _shapes(graph, needed, dims, value.name):
        walk = Walk(graph, OPERATORS, value.name, shape, batch, dtype)
        try:
            return walk, walk.run(names)
        except FormatError as error:
            errors.append(error)
    raise errors[0]


def _shapes(graph: OnnxGraph, needed: list[Operation], dims: Any, name: str) -> list[tuple[Shape, int | None]]:
    """Return the shapes that the input may have, each with the fixed size of its batch, if it has one."""
    if dims is not None and not 2 <= len(dims) <= 8:
        raise FormatError(
            f"input {name!r:.80}: expected rows, an array of 2 dimensions, got {len(dims)}; export it with a batch"
        )
    if dims is not None and dims.count(None) <= 1:
        at = dims.index(None) if None in dims else 0
        return [(tuple(None if i == at else size for i, size in enumerate(dims)), dims[at])]
    if dims is not None and len(dims) != 2:
        raise FormatError(f"input {name!r:.80}: expected one free dimension, the batch, got {dims}")
    sizes = dict[int, None]()
    for operation in needed:
        for each in operation.inputs:
            if graph.is_constant(each) and len(sizes) < 4:
                sizes.update(dict.fromkeys(size for size in graph.constant(each).shape if size))
    if not sizes:
        raise FormatError(f"input {name!r:.80}: expected the number of columns, got none")
    return [((None, size), None) for size in sizes]


def _steps(walk: Walk, tail: Tail) -> tuple[list[Step], Forms]:
    """Return the steps of a chain from the input to the rows of the tail, and what found the activations."""
    dtype = "float64" if "float64" in walk.dtypes else walk.dtypes[0] if walk.dtypes else "float32"
    forms = Forms(walk.builder, ROUNDING.get(dtype, ROUNDING["float32"]), COMPOUNDS)
    expressions: list[Expression] = []
    at: Expression | None = tail.rows.expression
    while at is not None:
        expressions.append(at)
        at = at.base.argument
    steps: list[Step] = []
    for expression in reversed(expressions):
        linear = expression.base.linear
        steps += [] if linear is None else [linear]
        steps += forms.steps(expression)
    walk.inexact = walk.inexact or forms.inexact
    if not walk.dtypes:
        refuse("ONNX file", "a graph without a dense layer", "expected Gemm or MatMul with a constant weight")
    for step in steps[:-1]:
        if isinstance(step, Activate) and isinstance(step.activation, activations.Softmax):
            refuse(step.place, "a softmax that is not the last operation", "softmax is an activation of the outputs")
    if tail.complement:
        steps.append(Complement(tail.complement))
    return steps, forms


def _loss(steps: list[Step], tail: Tail) -> str | None:
    """Return the loss that a tail with labels implies."""
    last = next((step for step in reversed(steps) if not isinstance(step, Complement)), None)
    if not tail.classifies:
        return None
    name = last.activation.name if isinstance(last, Activate) else "identity"
    without_probability = "hinge" if tail.rows.columns == 1 else None  # whose classes are the signs of the output
    return {"softmax": "cross_entropy", "sigmoid": "binary_cross_entropy"}.get(name, without_probability)


def _described(model: Model) -> dict[str, Any]:
    """Return what onnx_writer.py has written beside the graph: names, and the loss."""
    texts = {entry.key: entry.value for entry in model.metadata_props}
    if model.producer_name != "fastmlp" or "fastmlp" not in texts:
        return {}
    described = as_dict("metadata fastmlp", json_value("metadata fastmlp", texts["fastmlp"]))
    found: dict[str, Any] = {}
    for key, value in described.items():
        is_list = key in ("feature_names", "class_names")
        kinds = {"loss": (str,), "target_name": (str,), "feature_names": (str,), "class_names": (str, int, float)}.get(
            key
        )
        values = value if is_list else [value]
        if kinds is None or not isinstance(values, list) or not all(type(each) in kinds for each in values):
            raise format_error(f"metadata fastmlp: {key}", "names", value)
        found[key] = tuple(values) if is_list else value
    return found
