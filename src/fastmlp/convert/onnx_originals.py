"""The answers of an ONNX file itself, with which an imported network is compared.

onnxruntime gives them where it has been imported already: importing it takes longer than everything else here. Else,
and for quantised models and others whose arithmetic rounds more than a network's, onnx_evaluate.py does.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import onnx_evaluate
from .onnx_graph import OnnxGraph
from .onnx_messages import field
from .onnx_tails import Tail
from .onnx_walk import Rows, Walk

Array = NDArray[Any]
Original = Callable[[Array], Array]


def original(data: bytes | memoryview, graph: OnnxGraph, walk: Walk, tail: Tail, dtype: str) -> Original:
    """Return the function that gives the file's outputs for rows, comparable with a network's `predict`."""
    name = next(name for name, value in walk.values.items() if isinstance(value, Rows) and value is tail.rows)
    run = None
    if "onnxruntime" in sys.modules and not walk.inexact and {*walk.dtypes, walk.input.dtype} <= {dtype}:
        run = _session(sys.modules["onnxruntime"], data, graph, walk.input_name, name, np.dtype(dtype))
    in_runtime = run is not None
    if run is None:

        def run(x: Array) -> Array:
            return onnx_evaluate.outputs(graph, {walk.input_name: x}, [name])[0]

    def answers(X: Array) -> Array:
        X = np.asarray(X)
        if in_runtime and walk.batch is not None:
            return _in_batches(run, X, walk, tail)
        with contextlib.suppress(ValueError, RuntimeError):
            found = _rows(run(_shaped(X, walk.input)), len(X), tail.rows)
            if found is not None:
                return found
        return _in_batches(run, X, walk, tail)  # the file fixes the batch

    return answers


def _shaped(X: Array, like: Rows) -> Array:
    """Return rows in the shape of the file's input."""
    at = like.shape.index(None)
    return np.moveaxis(X.reshape(len(X), *(size for size in like.shape if size is not None)), 0, at)


def _rows(values: Array, n_rows: int, like: Rows) -> Array | None:
    """Return the file's outputs as rows; None if their number is another."""
    if values.size != n_rows * like.columns:
        return None
    at = like.shape.index(None)
    if values.ndim == len(like.shape) and values.shape[at] == n_rows:
        values = np.moveaxis(values, at, 0)
    return values.reshape(n_rows, like.columns)


def _in_batches(run: Callable[[Array], Array], X: Array, walk: Walk, tail: Tail) -> Array:
    size = walk.batch or 1
    pieces = []
    for first in range(0, len(X), size):
        piece = X[first : first + size]
        missing = size - len(piece)
        filled = np.concatenate([piece, np.repeat(piece[-1:], missing, axis=0)]) if missing else piece
        found = _rows(run(_shaped(filled, walk.input)), size, tail.rows)
        if found is None:
            raise ValueError(f"ONNX file: expected {size} rows of {tail.rows.columns} outputs, got others")
        pieces.append(found[: len(piece)])
    return np.concatenate(pieces) if pieces else np.empty((0, tail.rows.columns))


def _session(
    runtime: Any, data: bytes | memoryview, graph: OnnxGraph, input_name: str, name: str, dtype: np.dtype[Any]
) -> Callable[[Array], Array] | None:
    """Return what runs the file in onnxruntime; None if it cannot."""
    content = bytes(data)
    if name not in graph.outputs:
        # bytes that, behind those of a model, add to it: ModelProto.graph.output.name
        content += field(7, field(12, field(1, name.encode())))
    try:
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        if graph.folder.path is not None:
            folder = os.path.realpath(graph.folder.path)
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
        session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception:  # of onnxruntime's own classes: an operator that it has not for this type, a damaged file
        return None

    def run(x: Array) -> Array:
        found: Array = session.run([name], {input_name: x.astype(dtype)})[0]
        return found

    return run
