"""Finite numbers out of float32's range: errors show the original number, also of PyTorch's tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import fastmlp

LARGE = np.array([[1.0, 2.0], [3.0, 1e39]])
TOLD = r"expected finite numbers, got 1e\+39, more than float32 can hold"
FORMS: dict[str, Callable[[], Any]] = {
    "array": lambda: LARGE,
    "list": lambda: LARGE.tolist(),
    "columns first": lambda: np.asfortranarray(LARGE),
    "long double": lambda: LARGE.astype(np.longdouble),
    "big endian": lambda: LARGE.astype(">f8"),
    "sparse": lambda: scipy.sparse.csr_array(LARGE),
}


def network() -> fastmlp.Network:
    return fastmlp.Network([2, 4, 1], seed=0)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("use", ["fit", "validation", "train_on_batch", "batches"])
def test_inputs(form: str, use: str) -> None:
    x, net = FORMS[form](), network()
    before = net.parameters
    calls: dict[str, Callable[[], Any]] = {
        "fit": lambda: net.fit(x, [1.0, 2.0]),
        "validation": lambda: net.fit(np.ones((2, 2)), [1.0, 2.0], validation_data=(x, [1.0, 2.0])),
        "train_on_batch": lambda: net.train_on_batch(x, [1.0, 2.0]),
        "batches": lambda: net.fit([(x, [1.0, 2.0])]),
    }
    with pytest.raises(ValueError, match=rf"X: {TOLD} at row 1, column 1"):
        calls[use]()
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("mixed", [False, True])
def test_frames(library: str, mixed: bool) -> None:
    module = pytest.importorskip(library)
    frame = module.DataFrame({"a": [1, 3] if mixed else [1.0, 3.0], "b": [2.0, 1e39]})
    with pytest.raises(ValueError, match=rf"X: {TOLD} at row 1, column 1"):
        network().fit(frame, [1.0, 2.0])


def test_targets_and_parameters() -> None:
    net = network()
    with pytest.raises(ValueError, match=rf"y: {TOLD} at row 1, column 0"):
        net.fit(np.ones((2, 2)), [1.0, 1e39])
    with pytest.raises(ValueError, match=rf"validation_data: y: {TOLD} at row 0"):
        net.fit(np.ones((2, 2)), [1.0, 1.0], validation_data=(np.ones((1, 2)), [1e39]))
    with pytest.raises(ValueError, match=rf"w: {TOLD} in layer 1 at \(0, 2\)"):
        net.set_layer(1, [[0.0, 0.0, 1e39, 0.0]], [0.0])
    with pytest.raises(ValueError, match=rf"b: {TOLD} in layer 1 at \(0,\)"):
        net.set_layer(1, [[0.0] * 4], [1e39])
    with pytest.raises(ValueError, match=rf"parameters: {TOLD} at index 3 \(layer 0\)"):
        net.parameters = [1e39 if i == 3 else 0.0 for i in range(17)]


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_is_named_so(value: float) -> None:
    for y in ([1.0, value], np.array([1.0, value], np.float32)):
        with pytest.raises(ValueError, match=rf"got {value} at row 1"):
            network().fit(np.ones((2, 2)), y)


def test_the_first_of_several_is_named() -> None:
    with pytest.raises(ValueError, match="X: expected finite numbers, got nan at row 0, column 1"):
        network().fit([[1.0, np.nan], [1e39, 1.0]], [1.0, 2.0])


def test_a_scaling_that_makes_it_fit() -> None:
    net = fastmlp.Network([2, 4, 1], seed=0, input_scaling=fastmlp.Scaling([0.0, 0.0], [1.0, 1e39]))
    assert np.isfinite(net.predict(LARGE)).all()


@pytest.mark.skipif(np.finfo(np.longdouble).max == np.finfo(np.float64).max, reason="long double is float64 here")
def test_more_than_float64_can_hold() -> None:
    large = np.array([[np.longdouble("1e400")]])
    for call in (
        lambda: fastmlp.Scaling.fit(large),
        lambda: fastmlp.Scaling([0.0], large[0]),
    ):
        with pytest.raises(ValueError, match=r"got 1e\+400, more than float64 can hold"):
            call()


# -- tensors -----------------------------------------------------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_tensors_that_require_grad(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(2, 1).to(getattr(torch, dtype))
    net = fastmlp.Network([2, 1])
    net.set_layer(0, layer.weight, layer.bias)
    np.testing.assert_array_equal(net.weights[0], layer.weight.detach().numpy().astype(np.float32))
    net.parameters = torch.cat([layer.weight.ravel(), layer.bias])
    np.testing.assert_array_equal(net.biases[0], layer.bias.detach().numpy().astype(np.float32))
    x = torch.rand(5, 2, dtype=getattr(torch, dtype), requires_grad=True)
    np.testing.assert_array_equal(net.predict(x), net.predict(x.detach()))
    net.fit(x, x[:, 0], sample_weight=torch.ones(5, requires_grad=True), epochs=1)
    net.train_on_batch(x, x[:, 0])
    net.learn_one(x[0], x[0, 0])
    assert layer.weight.requires_grad
    assert x.requires_grad


@pytest.mark.oracle
def test_bfloat16_is_refused_by_name() -> None:
    torch = pytest.importorskip("torch")
    x = torch.ones(3, 2, dtype=torch.bfloat16)
    for call in (lambda: network().predict(x), lambda: network().fit(x.float(), x[:, 0])):
        with pytest.raises(
            TypeError, match=r"expected an array of numbers that NumPy has, got torch.bfloat16; give x.float"
        ):
            call()
