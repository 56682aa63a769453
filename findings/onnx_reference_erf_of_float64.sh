#!/usr/bin/env bash
# onnx 1.23.2: the reference evaluator computes Erf of float64 in double precision and then rounds it to float32.
#
# onnx.reference is the oracle that a writer of ONNX files reaches for. Of float64 tensors its Erf returns float64, but with
# the numbers of float32: it vectorises math.erf with the output type "f" and converts the result back. So a GELU in
# float64, written out as 0.5 x (1 + erf(x / sqrt 2)), is off by about 1e-8, which looks like a fault of whoever wrote the
# model. No second opinion is near: ONNX Runtime has no Erf of float64 at all.
#
# Seen (onnx 1.23.2, onnxruntime 1.32.0, NumPy 2.4.6)
#     erf(0.3) - math.erf(0.3)   onnx.reference -7.6e-09, of the type float64   ONNX Runtime: NotImplemented
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install -q onnx==1.23.2 onnxruntime==1.32.0 numpy==2.4.6 > log 2>&1 || { cat log; exit 1; }
env/bin/python - <<'PYTHON'
import math

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

X, Y = (helper.make_tensor_value_info(name, TensorProto.DOUBLE, [1]) for name in "XY")
graph = helper.make_graph([helper.make_node("Erf", ["X"], ["Y"])], "erf", [X], [Y])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
x = np.array([0.3])
(reference,) = ReferenceEvaluator(model).run(None, {"X": x})
exact = math.erf(0.3)
print(f"onnx.reference {reference[0] - exact:.1e} of {reference.dtype}")
assert reference.dtype == np.float64
assert reference[0] == float(np.float32(exact)) != exact, "the reference no longer rounds to float32"
try:
    onnxruntime.InferenceSession(model.SerializeToString())
except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented as error:
    print("ONNX Runtime:", str(error).splitlines()[0])
else:
    raise SystemExit("ONNX Runtime has an Erf of float64 now")
PYTHON
