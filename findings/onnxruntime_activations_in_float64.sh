#!/usr/bin/env bash
# ONNX Runtime 1.32.0: most activations do not run in float64 on the CPU, and some run in opset 18 and not in 17 or 19.
#
# The ONNX standard allows tensor(double) for them and onnx.checker accepts the models. InferenceSession raises
# NotImplemented ("Could not find an implementation"), as there is no kernel for double. Where the standard also defines
# the operator as a function of others, the runtime falls back on that, but only from the opset that the function was
# written in (18; 16 for LeakyRelu and PRelu) up to 18, as opset 19 has a new Constant and CastLike: the same model of Elu
# loads as opset 18 and not as 17, 19 or newer. Relu, Sigmoid, Tanh and Softmax run in all of them. (Celu is no case of
# this: the standard has it in float only.) A network in double with another activation has to be exported as opset 18,
# in float32, or with the activation written out.
#
# Seen (Python 3.11, onnx 1.23.2), for opsets 13 to 26 that have the operator:
#     runs in none of them   Erf, Gelu
#     only in 18             Elu, Selu, Softplus, Softsign, HardSigmoid, HardSwish, ThresholdedRelu, Mish
#     only in 16, 17, 18     LeakyRelu, PRelu
#     in all                 Relu, Sigmoid, Tanh, Softmax
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q onnxruntime==1.32.0 onnx==1.23.2
"$folder/env/bin/python" - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NoKernel

onnxruntime.set_default_logger_severity(4)
FIRST = {"HardSwish": 14, "Mish": 18, "Gelu": 20}  # the opset that an operator came with, where that is after 13


def runs(operator, opset):
    inputs = ["x", "slope"] if operator == "PRelu" else ["x"]
    ends = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, [2, 3]) for name in (*inputs, "y")]
    graph = helper.make_graph([helper.make_node(operator, inputs, ["y"])], "one", ends[:-1], ends[-1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)  # valid in float64
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    except NoKernel as error:
        assert "Could not find an implementation" in str(error)
        return False
    (y,) = session.run(None, {name: np.ones((2, 3)) for name in inputs})
    return y.dtype == np.float64


everywhere = [*range(13, 27)]
expected = dict.fromkeys(("Erf", "Gelu"), [])
expected |= dict.fromkeys("Elu Selu Softplus Softsign HardSigmoid HardSwish ThresholdedRelu Mish".split(), [18])
expected |= dict.fromkeys(("LeakyRelu", "PRelu"), [16, 17, 18])
expected |= dict.fromkeys(("Relu", "Sigmoid", "Tanh", "Softmax"), everywhere)
for operator, opsets in expected.items():
    seen = [opset for opset in everywhere if opset >= FIRST.get(operator, 13) and runs(operator, opset)]
    print(f"{operator:16} runs in float64 in opsets", *(seen or ["none"]))
    assert seen == opsets, f"{operator} runs in other opsets now: {seen}"
PYTHON
