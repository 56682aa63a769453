"""Weights in bfloat16 and int8: the formulas in NumPy, the same bits, refusals, and the report.

tests/core/narrow.c has the same formulas for sizes at the edges of panels and tiles, for every variant of the kernels.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import _core, quantization
from fastmlp.activations import ACTIVATIONS
from fastmlp.inputs import targets

ISAS = fastmlp.info()["isas"]
Array = np.ndarray[Any, Any]


def random_net(sizes: tuple[int, ...], **words: Any) -> fastmlp.Network:
    net = fastmlp.Network(sizes, seed=0, **words)
    rng = np.random.default_rng(1)
    for layer, (n_inputs, n_outputs) in enumerate(itertools.pairwise(sizes)):
        net.set_layer(layer, rng.normal(size=(n_outputs, n_inputs)) / n_inputs**0.5, rng.normal(size=n_outputs) / 4)
    return net


def random_rows(n: int, n_inputs: int) -> Array:
    """Rows of both signs, rows that are mostly 0, and rows that are not negative."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(n, n_inputs)).astype(np.float32)
    X[1::3] *= rng.random((len(X[1::3]), n_inputs)) > 0.6
    X[2::3] = abs(X[2::3])
    return X


def is_narrow(n_inputs: int, n_outputs: int) -> bool:
    """Whether the weights of a layer are narrowed."""
    return n_outputs > 16 and n_inputs * n_outputs > 8192


def to_bfloat16(w: Array) -> Array:
    """Round float32 numbers to 8 significant bits, ties to even."""
    fraction, exponent = np.frexp(w.astype(np.float64))
    return np.ldexp(np.rint(np.ldexp(fraction, 8)), exponent - 8).astype(np.float32)


def int8_layer(w: Array, b: Array, X: Array) -> Array:
    """Compute z = x w^T + b with integers, by the formulas at the head of int8.inc, with its roundings to float32."""
    s = abs(w).max(axis=1) / np.float32(127)
    q = np.rint(w / s[:, None]).astype(np.int64)
    low, high = np.minimum(X.min(axis=1), 0), np.maximum(X.max(axis=1), 0)
    span = high.astype(np.float64) - low
    span[span == 0] = 1  # a row of zeros
    t, inverse = (span / 127).astype(np.float32), (127 / span).astype(np.float32)
    zero = np.rint(-low * inverse)
    p = np.clip(np.rint(X * inverse[:, None]) + zero[:, None], 0, 127).astype(np.int64)
    sums = p @ q.T - zero.astype(np.int64)[:, None] * q.sum(axis=1)
    return sums * (t[:, None] * s).astype(np.float64) + b


# ------------------------------------------------------------------------------------------------------------ formulas


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("sizes", [(260, 33), (500, 17), (129, 130), (3, 2800)], ids=str)
def test_int8_is_its_formula(isa: str, sizes: tuple[int, int]) -> None:
    net, X = random_net(sizes, _isa=isa), random_rows(60, sizes[0])
    X[0] = np.random.default_rng(4).integers(-3, 124, sizes[0]) + 0.5  # half way between two levels, as t is 1
    X[0, :2] = -3, 124
    expected = int8_layer(net.weights[0], net.biases[0], X)
    found = quantization.predictor(net, "int8").predict(X)
    # An integer is rounded when it becomes a float, and so is the result: at most 1 ULP of each where there is no
    # fused multiply-add.
    bound = np.spacing(abs(expected - net.biases[0]).astype(np.float32)) + np.spacing(abs(expected).astype(np.float32))
    assert (abs(found - expected) <= bound).all()


@pytest.mark.parametrize("isa", ISAS)
def test_bfloat16_has_the_bits_of_a_float32_network_with_rounded_weights(isa: str) -> None:
    sizes = (130, 100, 97, 33, 300, 10)
    net, X = random_net(sizes, _isa=isa, engine="native"), random_rows(60, 130)
    assert [is_narrow(*shape) for shape in itertools.pairwise(sizes)] == [True, True, False, True, False]
    ties = np.random.default_rng(3).integers(-511, 512, (100, 130)) / 512  # those of 9 bits are half way between two
    net.set_layer(0, ties, net.biases[0])
    narrow = quantization.predictor(net, "bfloat16").predict(X)
    for layer, shape in enumerate(itertools.pairwise(sizes)):
        if is_narrow(*shape):
            net.set_layer(layer, to_bfloat16(net.weights[layer]), net.biases[layer])
    assert narrow.tobytes() == net.predict(X).tobytes()


@pytest.mark.parametrize("weights", ["bfloat16", "int8"])
def test_layers_of_few_weights_or_outputs_stay_float32(weights: str) -> None:
    net, X = random_net((600, 16, 512, 1, 8192), engine="native"), random_rows(30, 600)
    assert quantization.predictor(net, weights).predict(X).tobytes() == net.predict(X).tobytes()


# ----------------------------------------------------------------------------------------------------------- same bits


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("weights", ["bfloat16", "int8"])
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_rows_batches_and_layers(isa: str, weights: str, name: str) -> None:
    words = {"output_activation": "softmax", "loss": "cross_entropy"} if name == "softmax" else {"activation": name}
    net, X = random_net((100, 90, 95, 3), _isa=isa, engine="native", **words), random_rows(61, 100)
    narrow = quantization.predictor(net, weights)
    y = narrow.predict(X)
    assert all(narrow.predict(row).tobytes() == of_batch.tobytes() for row, of_batch in zip(X, y, strict=True))
    assert narrow.predict(X[5:30]).tobytes() == y[5:30].tobytes()
    assert narrow.activations(X)[-1].tobytes() == y.tobytes()
    assert (narrow.classify(X) == y.argmax(axis=1)).all()
    if name not in ("threshold", "stepwise_sigmoid", "stepwise_tanh"):  # where a small change can be a large one
        assert 0 < abs(y - net.predict(X)).max() < 0.3 * (1 + abs(y).max())


@pytest.mark.parametrize("weights", ["bfloat16", "int8"])
def test_threads(weights: str) -> None:
    X = random_rows(3000, 100)
    outputs = [
        quantization.predictor(random_net((100, 200, 20), n_threads=n), weights).predict(X).tobytes() for n in (1, 2, 3)
    ]
    assert outputs[0] == outputs[1] == outputs[2]


def test_instruction_sets_give_equal_sums_of_int8() -> None:
    X = random_rows(30, 200)
    first, *others = (quantization.predictor(random_net((200, 70), _isa=isa), "int8").predict(X) for isa in ISAS)
    for other in others:  # they differ in the last rounding alone
        assert np.allclose(other, first, rtol=3e-7, atol=3e-7 * abs(first).max())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite(bad: float) -> None:
    X = random_rows(9, 40)
    X[4, 7] = bad
    net = random_net((40, 300))
    y = quantization.predictor(net, "int8").predict(X)
    assert np.isnan(y[4]).all()
    assert np.isfinite(np.delete(y, 4, axis=0)).all()
    y = quantization.predictor(net, "bfloat16").predict(X)
    assert np.isfinite(y).all(axis=1).tolist() == [i != 4 for i in range(9)]


# ------------------------------------------------------------------------------------------------------------ refusals


def test_a_layer_that_would_lose_too_much() -> None:
    net = random_net((784, 32, 10))
    w = net.weights[0].copy()
    w[:, 3] = 2.0  # about 56 times the others
    net.set_layer(0, w, net.biases[0])
    with pytest.raises(ValueError, match=r"layer 0; 'int8' would change its weights by 5\.\d% .* more than 3\.1%"):
        quantization.predictor(net, "int8")
    quantization.predictor(net, "bfloat16")
    report = fastmlp.quantization_report(net, random_rows(5, 784))
    assert "would change" in str(report["int8"].refused)
    assert "refused: " in str(report)
    assert report["bfloat16"].refused is None


def test_the_error_of_a_layer_is_that_of_its_weights() -> None:
    w = np.array([3.0, 4.0, 1.0, 1.0])  # one layer of weights (2, 1), (1, 1) with a bias each
    P, sizes = np.array([3.0, 4.0, 0.5, 0.5, 1.0, 1.0, 0.0]), (1, 2, 1)
    assert w.size == 4
    just, above = P.copy(), P.copy()
    just[0] += 0.999 * 5 / 32
    above[0] += 1.001 * 5 / 32
    quantization.check_rounding("int8", sizes, P, just)
    with pytest.raises(ValueError, match=r"layer 0; 'int8' would change its weights by 3\.1%"):
        quantization.check_rounding("int8", sizes, P, above)
    above = P.copy()
    above[5] += 1.0
    with pytest.raises(ValueError, match="layer 1"):
        quantization.check_rounding("int8", sizes, P, above)
    changed = P.copy()
    changed[2] += 7  # a bias
    quantization.check_rounding("int8", sizes, P, changed)
    quantization.check_rounding("int8", sizes, 0 * P, 0 * P)


def test_a_weight_that_is_infinite_in_bfloat16() -> None:
    net = random_net((20, 600, 2))
    w = np.zeros((600, 20), np.float32)
    w[5, 3] = 3.397e38  # above the largest number of 8 bits by more than half of its last
    net.set_layer(0, w, np.zeros(600))
    with pytest.raises(ValueError, match=r"layer 0; its largest weight, 3\.397e\+38, is infinite in 'bfloat16'"):
        quantization.predictor(net, "bfloat16")
    w[5, 3] = 3.39e38
    net.set_layer(0, w, np.zeros(600))
    quantization.predictor(net, "bfloat16")


def build(core: Any, net: fastmlp.Network, engine: str, isa: str | None = None) -> Any:
    described = [(f.name, f.hyper_parameters, None) for f in (*net.activation, net.output_activation)]
    bounds = targets.TARGETS[net.loss.targets].bounds
    core._build(net.sizes, described, net.loss, net.dtype == np.float64, engine, isa, 1, bounds)
    return core


@pytest.mark.parametrize("engine", ["native-bfloat16", "native-int8"])
def test_engines_that_only_predict(engine: str) -> None:
    net = random_net((5, 20, 2))
    with pytest.raises(ValueError, match=f"engine: expected one that trains, got '{engine}'"):
        build(_core.Core(), net, engine)
    with pytest.raises(ValueError, match="engine: expected one of 'auto', 'blas', 'native'"):
        fastmlp.Network([5, 20, 2], engine=engine)
    with pytest.raises(ValueError, match=f"engine: expected one for float64 and .*, got '{engine}'"):
        build(_core.Predictor(), random_net((5, 20, 2), dtype="float64"), engine)
    with pytest.raises(ValueError, match="engine: expected one for float32"):
        build(_core.Predictor(), net, "native-int4")
    narrow = build(_core.Predictor(), net, engine)
    narrow._load(net.parameters, *net._published_columns)
    with pytest.raises(RuntimeError, match="only predicts"):
        narrow._gradient(net._rows(np.zeros((3, 5)), np.zeros((3, 2))), True)
    with pytest.raises(RuntimeError, match="_load: expected a network that only predicts"):
        net._load(net.parameters, *net._published_columns)
    with pytest.raises(ValueError, match="parameters: expected 162 numbers"):
        narrow._load(net.parameters[:-1], *net._published_columns)


def scaled_net() -> fastmlp.Network:
    return fastmlp.Network([3, 20, 1], input_scaling="standard", seed=0)


BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no network": (lambda: fastmlp.quantization_report(3, [1.0]), TypeError, "net: expected a Network, got 'int'"),
    "float64": (
        lambda: fastmlp.quantization_report(fastmlp.Network([3, 2], dtype="float64"), np.ones((2, 3))),
        ValueError,
        "net: expected a float32 network.*float64",
    ),
    "unfitted": (
        lambda: fastmlp.quantization_report(scaled_net(), np.ones((2, 3))),
        ValueError,
        "input_scaling: expected a Scaling before quantization_report",
    ),
    "columns": (
        lambda: fastmlp.quantization_report(fastmlp.Network([3, 2]), np.ones((2, 4))),
        ValueError,
        r"X: expected shape \(B, 3\).*\(2, 4\)",
    ),
    "text": (lambda: fastmlp.quantization_report(fastmlp.Network([3, 2]), ["a"]), TypeError, "X: expected"),
    "not finite": (
        lambda: fastmlp.quantization_report(fastmlp.Network([3, 2]), [[1, 2, np.nan]]),
        ValueError,
        "X: expected finite numbers, got nan at row 0, column 2",
    ),
    "targets": (
        lambda: fastmlp.quantization_report(fastmlp.Network([3, 2]), np.ones((2, 3)), np.ones((3, 2))),
        ValueError,
        "y: expected",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments(case: str) -> None:
    call, error, message = BAD[case]
    with pytest.raises(error, match=message):
        call()


# ---------------------------------------------------------------------------------------------------------- the report


def test_the_figures_of_a_report() -> None:
    (X, y), (X_test, y_test) = fastmlp.datasets.load_digits()
    net = fastmlp.Network([64, 200, 10], loss="cross_entropy", seed=0)
    net.fit(X, y, epochs=5)
    before = net.parameters
    report = fastmlp.quantization_report(net, X_test, y_test)
    assert report.score_name == "accuracy"
    assert [line.weights for line in report.formats] == ["float32", "bfloat16", "int8"]
    exact = quantization.predictor(net, "float32").predict(X_test).astype(np.float64)
    for line in report.formats:
        predicted = quantization.predictor(net, line.weights)
        differences = abs(predicted.predict(X_test) - exact)
        assert line.worst_difference == pytest.approx(differences.max())
        assert line.mean_difference == pytest.approx(differences.mean())
        assert line.score == pytest.approx((predicted.classify(X_test) == y_test).mean())
        assert line.row_seconds > 0
        assert line is report[line.weights]
    assert report["float32"].loss == pytest.approx(net.evaluate(X_test, y_test)["loss"], rel=1e-5)
    sizes = [line.n_bytes for line in report.formats]
    assert sizes[0] > sizes[1] > sizes[2] > 64 * 200
    assert 0 < report["bfloat16"].worst_difference < 0.02
    assert 0 < report["int8"].worst_difference < 0.2
    assert all(abs(line.score - report["float32"].score) < 0.01 for line in report.formats)
    assert (net.parameters == before).all()
    with pytest.raises(KeyError):
        report["float16"]


def test_the_text_of_a_report() -> None:
    net = random_net((20, 500, 1))
    X = random_rows(40, 20)
    lines = str(fastmlp.quantization_report(net, X)).splitlines()
    assert lines[0].split() == ["weights", "bytes", "one", "row", "worst", "difference", "mean", "difference"]
    assert [line.split()[0] for line in lines[1:]] == ["float32", "bfloat16", "int8"]
    assert len({len(line) for line in lines}) == 1
    with_targets = fastmlp.quantization_report(net, X, net.predict(X))
    assert with_targets.score_name == "r2"
    assert with_targets["float32"].score == pytest.approx(1)
    assert 0.9 < with_targets["int8"].score < 1
    assert str(with_targets).splitlines()[0].endswith("loss        r2")


def test_reports_on_other_kinds_of_networks_and_rows() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    X = random_rows(50, 20)
    t = X[:, :1].astype(np.float64) * 3 + 100
    scaled = fastmlp.Network([20, 500, 1], input_scaling="standard", target_scaling="standard", seed=0)
    scaled.fit(X, t, epochs=3)
    report = fastmlp.quantization_report(scaled, X, t)
    assert report["int8"].worst_difference < 1
    custom = fastmlp.CustomActivation(lambda z: z * 2, lambda z, y: np.full_like(z, 2))
    for net, rows in (
        (random_net((20, 500, 2), activation=custom), X),
        (random_net((20, 500, 2)), sparse.csr_matrix(X)),
        (random_net((20, 500, 2)), X[0]),
        (random_net((20, 500, 2)), (abs(X) * 50).astype(np.uint8)),
    ):
        report = fastmlp.quantization_report(net, rows)
        assert report["float32"].worst_difference == 0
        assert 0 < report["bfloat16"].mean_difference < report["int8"].mean_difference


def test_import_is_late() -> None:
    code = "import sys, fastmlp; assert 'fastmlp.quantization' not in sys.modules; fastmlp.quantization_report"
    subprocess.run([sys.executable, "-c", code], check=True)
