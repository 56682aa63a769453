#!/usr/bin/env bash
# ONNX Runtime 1.32.0: quantize_static takes the Clip out of a network, and no node of the graph says ReLU6 any more.
#
# In the format QDQ, quantize_static removes a Clip or Relu whose output is quantised: QuantizeLinear saturates at the
# same bounds. The runtime is right, but ReLU6 is now only a scale and a zero point (6 = 255 * 0.0235294). A reader that
# takes pairs of QuantizeLinear and DequantizeLinear for the identity sees two linear layers. The bounds are those of the
# calibration rows: where these stay below 6, the quantised network saturates below 6.
# extra_options={"QDQKeepRemovableActivations": True} keeps the node; it is off by default.
#
# Seen (Python 3.11, onnx 1.23.2), without the pairs of QuantizeLinear and DequantizeLinear:
#     before Gemm Clip Gemm      after Gemm Gemm      kept Gemm Clip Gemm
#     rows between -100 and 100, largest error of the quantised model 2.1, of its graph read without the pairs 843
#     the quantised activation lies in 0 to 6; after calibration with rows ten thousand times smaller, in 0 to 0.039
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q onnxruntime==1.32.0 onnx==1.23.2 sympy
cd "$folder"
env/bin/python - 2> log <<'PYTHON' || { cat log; exit 1; }
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

rng = np.random.default_rng(0)
arrays = {
    "w1": rng.normal(size=(4, 8)), "b1": np.zeros(8), "w2": rng.normal(size=(8, 2)), "b2": np.zeros(2),
    "low": np.array(0.0), "high": np.array(6.0),
}  # fmt: skip
arrays = {name: value.astype(np.float32) for name, value in arrays.items()}
nodes = [
    helper.make_node("Gemm", ["x", "w1", "b1"], ["z"]),
    helper.make_node("Clip", ["z", "low", "high"], ["a"]),
    helper.make_node("Gemm", ["a", "w2", "b2"], ["y"]),
]
ends = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", n])] for name, n in (("x", 4), ("y", 2))]
constants = [numpy_helper.from_array(value, name) for name, value in arrays.items()]
model = helper.make_model(
    helper.make_graph(nodes, "relu6", *ends, constants), opset_imports=[helper.make_opsetid("", 17)], ir_version=9
)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, "float.onnx")


class Rows(CalibrationDataReader):
    def __init__(self, x):
        self.batches = iter([{"x": x}])

    def get_next(self):
        return next(self.batches, None)


def quantised(name, x, **options):
    quantize_static("float.onnx", name, Rows(x), quant_format=QuantFormat.QDQ, extra_options=options)
    return onnx.load(name)


def kinds(model):
    return " ".join(node.op_type for node in model.graph.node if not node.op_type.endswith("Linear"))


def bounds(model):
    value = {constant.name: numpy_helper.to_array(constant) for constant in model.graph.initializer}
    return (np.array([-128.0, 127.0]) - value["a_zero_point"]) * value["a_scale"]


def run(name, x):
    return onnxruntime.InferenceSession(name, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


x = rng.uniform(-100, 100, size=(500, 4)).astype(np.float32)
after = quantised("after.onnx", x)
kept = quantised("kept.onnx", x, QDQKeepRemovableActivations=True)
narrow = quantised("narrow.onnx", x / 10000)
print("before", kinds(model), "| after", kinds(after), "| kept", kinds(kept))
print("all nodes after:", *(node.op_type for node in after.graph.node))
right, read = run("float.onnx", x), x @ arrays["w1"] @ arrays["w2"]
errors = abs(run("after.onnx", x) - right).max(), abs(read - right).max()
print("errors of the quantised model and of the graph without the pairs", *errors)
print("the activation lies in", bounds(after), "or, of small calibration rows, in", bounds(narrow))
assert kinds(model) == kinds(kept) == "Gemm Clip Gemm"
assert kinds(after) == "Gemm Gemm", "the Clip stays now"
assert np.allclose(bounds(after), [0, 6]) and bounds(narrow)[1] < 1
assert errors[0] < 10 < 100 < errors[1]
PYTHON
