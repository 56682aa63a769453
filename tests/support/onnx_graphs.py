"""Graphs for the tests of ONNX, made with the onnx package: a node a line, constants by value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import fastmlp
from fastmlp.convert import onnx_evaluate, onnx_graph

TYPES = {
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "float16": TensorProto.FLOAT16,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
    "str": TensorProto.STRING,
}


class Graph:
    """A graph that grows by calls of `op`; `x` is its input, of shape (batch, n_inputs)."""

    def __init__(
        self, n_inputs: int = 4, dtype: str = "float32", opset: int = 20, *, shape: Any = None, constants: bool = False
    ) -> None:
        self.dtype, self.opset, self.constants = dtype, opset, constants
        self.x, self.nodes, self.tensors = "x", list[Any](), list[Any]()
        self.shape = ["batch", n_inputs] if shape is None else shape
        self.domains = {"": opset}
        self.random = np.random.default_rng(opset + n_inputs)

    def tensor(self, value: Any, dtype: str | None = None) -> str:
        """Return the name of a constant: an initializer, or the output of a Constant node."""
        array = np.asarray(value)
        array = array.astype(dtype or (self.dtype if array.dtype.kind == "f" else array.dtype))
        name = f"tensor {len(self.tensors) + len(self.nodes)}"
        made = numpy_helper.from_array(array, name)
        if self.constants:
            self.nodes.append(helper.make_node("Constant", [], [name], value=made))
        else:
            self.tensors.append(made)
        return name

    def normal(self, *shape: int) -> Any:
        """Return random weights."""
        return self.random.normal(size=shape) * 0.6

    def op(
        self, operator: str, *inputs: Any, outputs: int = 1, name: str = "", domain: str = "", **attributes: Any
    ) -> Any:
        """Add a node. Inputs that are no names are constants; None is an input that is left out."""
        if domain:
            self.domains[domain] = 1
        named = [each if isinstance(each, str) else "" if each is None else self.tensor(each) for each in inputs]
        results = [f"value {len(self.nodes)}.{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(operator, named, results, name=name, domain=domain, **attributes))
        return results[0] if outputs == 1 else results

    def dense(self, x: str, n_inputs: int, n_outputs: int, weight: Any = None) -> str:
        """Add a layer by Gemm."""
        w = self.normal(n_outputs, n_inputs) if weight is None else weight
        return str(self.op("Gemm", x, w, self.normal(n_outputs), transB=1))

    def model(self, *outputs: Any, ir_version: int = 8, producer: str = "a tool", **types: str) -> bytes:
        """Return the bytes of the file; `types` are the outputs' types where they are not the graph's."""
        described = [helper.make_tensor_value_info(each, TYPES[types.get(each, self.dtype)], None) for each in outputs]
        value = helper.make_tensor_value_info(self.x, TYPES[self.dtype], self.shape)
        graph = helper.make_graph(self.nodes, "graph", [value], described, self.tensors)
        opsets = [helper.make_opsetid(domain, version) for domain, version in self.domains.items()]
        made = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version, producer_name=producer)
        made.producer_version = "1.0"
        data: bytes = made.SerializeToString()
        return data


def rows(n_inputs: int, dtype: str = "float32", n_rows: int = 40) -> Any:
    """Return rows for a network, some of them large."""
    random = np.random.default_rng(7)
    return (random.normal(size=(n_rows, n_inputs)) * np.array([1, 0.2, 3, 8])[np.arange(n_rows) % 4, None]).astype(
        dtype
    )


def reference(data: bytes, x: Any, output: str | None = None) -> Any:
    """Return what the onnx package's own evaluator gives."""
    from onnx.reference import ReferenceEvaluator
    from onnx.reference.op_run import OpRun

    class Erf(OpRun):
        """The function in float64: the package's own rounds its results to float32."""

        op_domain = ""

        def _run(self, x: Any) -> tuple[Any]:
            return (np.vectorize(math.erf, otypes=[np.float64])(x).astype(x.dtype),)

    evaluator = ReferenceEvaluator(onnx.load_model_from_string(data), new_ops=[Erf])
    names = None if output is None else [output]
    return evaluator.run(names, {evaluator.input_names[0]: x})[0]


def outputs(data: bytes, x: Any) -> Any:
    """Return the file's outputs by onnxruntime, or where it lacks an operator, by the onnx package."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(data, options)
    except Exception:
        return reference(data, x)
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def check(data: bytes, x: Any, expected: list[Any] | None = None, tolerance: float | None = None) -> fastmlp.Network:
    """Import the graph and compare it; its own evaluation by NumPy is compared as well.

    `expected` are the activations that the network must have: a graph that is understood by an extra layer, or by
    another function that happens to be near, fails.
    """
    net = fastmlp.from_onnx(data)
    answers = np.asarray(outputs(data, x), np.float64).reshape(len(x), -1)
    limit = tolerance or (2e-6 if x.dtype != np.float64 else 1e-13)
    scale = np.abs(answers).max()
    np.testing.assert_allclose(net.predict(x), answers, rtol=0, atol=limit * scale * (len(net.sizes) + 1))
    model, graph = onnx_graph.read(data, None)
    evaluated = onnx_evaluate.outputs(graph, {"x": np.asarray(x)}, [model.graph.output[0].name])[0]  # type: ignore[union-attr]
    np.testing.assert_allclose(
        evaluated.reshape(len(x), -1), answers, rtol=0, atol=limit * scale * (len(net.sizes) + 1)
    )
    if expected is not None:
        found = [*net.activation, net.output_activation]
        assert [type(f) for f in found] == [type(f) for f in expected]
        for f, g in zip(found, expected, strict=True):
            np.testing.assert_allclose(f.hyper_parameters, g.hyper_parameters, rtol=1e-6)
    return net
