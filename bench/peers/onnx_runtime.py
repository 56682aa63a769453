"""ONNX Runtime on one thread, for the forward pass.

The graph has Gemm and activation nodes, and all optimisations of the runtime are on. It runs with an I/O binding: the
output is bound once per number of rows, and the input of a call is an OrtValue that `convert` has made, which is faster
than `run` with arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from face import Array, Implementation, layer_arrays
from onnx import helper, numpy_helper
from workloads import Workload, initial_parameters

_ACTIVATIONS = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu", "identity": "Identity", "softmax": "Softmax"}
_OPSET, _IR_VERSION = 17, 8


class OnnxRuntime(Implementation):
    """A session of the CPU provider."""

    name, trains = "ONNX Runtime", False

    def __init__(self, workload: Workload, dtype: str = "float32") -> None:
        super().__init__(workload, dtype)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            _model(workload, dtype).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._bound: dict[int, Any] = {}

    def convert(self, rows: Array) -> Any:
        if rows.dtype.kind == "i":
            return rows
        return onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(rows, self.dtype))

    def single_rows(self, rows: Array) -> list[Any]:
        return [self.convert(row[None]) for row in rows]

    def _binding(self, n_rows: int) -> tuple[Any, Array]:
        """Return a binding with an output of n_rows rows, and the array of this output."""
        binding, output = self._session.io_binding(), np.zeros((n_rows, self.workload.sizes[-1]), self.dtype)
        value = onnxruntime.OrtValue.ortvalue_from_numpy(output)
        binding.bind_ortvalue_output("y", value)
        return binding, value.numpy()

    def _runner(self, n_rows: int) -> Any:
        if n_rows not in self._bound:
            binding, output = self._binding(n_rows)
            bind, run = binding.bind_ortvalue_input, self._session.run_with_iobinding

            def call(x: Any) -> Array:
                bind("x", x)
                run(binding)
                return output

            self._bound[n_rows] = call
        return self._bound[n_rows]

    def predict(self, x: Any) -> Any:
        return self._runner(x.shape()[0])(x)

    @property
    def predict_row(self) -> Any:  # type: ignore[override]
        return self._runner(1)


def _model(workload: Workload, dtype: str) -> Any:
    """Return the network as an ONNX model with the input x and the output y."""
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes, constants, last = [], [], "x"
    layers = layer_arrays(initial_parameters(workload), workload, dtype)
    names = [workload.activation] * (len(layers) - 1) + [workload.output_activation]
    for layer, ((w, b), name) in enumerate(zip(layers, names, strict=True)):
        constants += [numpy_helper.from_array(w, f"w{layer}"), numpy_helper.from_array(b, f"b{layer}")]
        output = "y" if layer == len(layers) - 1 else f"y{layer}"
        z = output if name == "identity" else f"z{layer}"
        nodes.append(helper.make_node("Gemm", [last, f"w{layer}", f"b{layer}"], [z], transB=1))
        if z != output:
            nodes.append(helper.make_node(_ACTIVATIONS[name], [z], [output]))
        last = output
    sides = [
        [helper.make_tensor_value_info(name, element, ["B", size])]
        for name, size in (("x", workload.sizes[0]), ("y", workload.sizes[-1]))
    ]
    graph = helper.make_graph(nodes, "network", *sides, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
