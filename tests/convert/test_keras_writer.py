"""Networks become models of Keras with the same parameters, and come back bit for bit."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest

import fastmlp
from fastmlp import Scaling

KNOWN = [
    fastmlp.Identity(),
    fastmlp.Sigmoid(),
    fastmlp.Tanh(),
    fastmlp.ReLU(),
    fastmlp.PiecewiseLinear(),
    fastmlp.LeakyReLU(0.07),
    fastmlp.ELU(0.7),
    fastmlp.SELU(),
    fastmlp.GELU(),
    fastmlp.SiLU(),
    fastmlp.Mish(),
    fastmlp.Softplus(),
    fastmlp.Softsign(),
    fastmlp.HardSigmoid(),
    fastmlp.HardTanh(),
    fastmlp.HardTanh(0.0, 2.5),
]
FOREIGN = [
    fastmlp.Sigmoid(2.0),
    fastmlp.PiecewiseLinear(0.0, 1.0),
    fastmlp.Gaussian(),
    fastmlp.Threshold(),
    fastmlp.GELU("tanh"),
    fastmlp.Softplus(2.0),
    fastmlp.HardTanh(-2.0, 1.0),
    fastmlp.Sine(),
]


def random_network(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 12, rng.integers(2, 6)).tolist()
    words = {"dtype": str(rng.choice(["float32", "float64"])), "seed": seed}
    words["activation"] = [KNOWN[i] for i in rng.integers(len(KNOWN), size=len(sizes) - 2)]
    if rng.random() < 0.3:
        sizes[-1] += 1
        words["loss"] = "cross_entropy"
    elif rng.random() < 0.5:
        offset = rng.normal(size=sizes[-1]) * 10.0 ** rng.integers(-3, 7)
        words["target_scaling"] = Scaling(offset, rng.uniform(0.1, 3, sizes[-1]))
    if rng.random() < 0.7:
        offset = rng.normal(size=sizes[0]) * 10.0 ** rng.integers(-3, 7)
        scale = rng.uniform(0.1, 3, sizes[0]) * 10.0 ** (rng.integers(-14, 12) if rng.random() < 0.3 else 0)
        words["input_scaling"] = Scaling(offset, scale)
    net = fastmlp.Network(sizes, **words)
    net.parameters = rng.normal(size=net.n_parameters) * 0.5
    return net, rng


def check(net, rng, path=None):
    model = net.to_keras()
    source = model
    if path is not None:
        model.save(path)
        source = path
    again = fastmlp.from_keras(source)
    assert again.sizes == net.sizes
    assert again.dtype == net.dtype
    assert again.activation == net.activation
    assert again.output_activation == net.output_activation
    assert np.array_equal(again.parameters, net.parameters)
    assert again.input_scaling == net.input_scaling
    assert again.target_scaling == net.target_scaling
    X = rng.normal(size=(20, net.sizes[0]))
    if net.input_scaling is not None:
        X = net.input_scaling.undo(X)
    X = X.astype(np.float32)
    theirs, ours, bound = model.predict(X, verbose=0), net.predict(X), 1e-5
    if net.target_scaling is not None:  # in float32, y scale + offset has an error of up to 2**-14 scales
        theirs, ours, bound = net.target_scaling.apply(theirs), net.target_scaling.apply(ours), 2**-14
    assert np.abs(theirs - ours).max() <= bound * max(1, np.abs(ours).max())


def test_round_trip_keeps_every_bit(tmp_path):
    for seed in range(60):
        net, rng = random_network(seed)
        check(net, rng, [None, None, tmp_path / "m.keras", tmp_path / "m.h5"][seed % 4])


@pytest.mark.slow
def test_200_round_trips_keep_every_bit(tmp_path):
    for seed in range(1000, 1200):
        net, rng = random_network(seed)
        check(net, rng, [None, tmp_path / "m.keras"][seed % 2])


@pytest.mark.parametrize("activation", KNOWN, ids=repr)
def test_every_activation_that_keras_has(activation):
    net = fastmlp.Network([3, 4, 2], activation=activation, seed=0)
    check(net, np.random.default_rng(0))


@pytest.mark.parametrize("activation", FOREIGN, ids=repr)
def test_an_activation_that_keras_has_not_is_refused(activation):
    with pytest.raises(ValueError, match="to_keras: layer 1: expected an activation that Keras has"):
        fastmlp.Network([3, 4, 4, 2], activation=["tanh", activation], seed=0).to_keras()


def test_scales_below_the_smallest_of_normalization_are_kept():
    scaling = Scaling([1e-9, 1e200, -2e40], [3e-12, 1e-250, 7e200])
    net = fastmlp.Network([3, 4, 2], input_scaling=scaling, dtype="float64", seed=0)
    with pytest.raises(ValueError, match="offset / scale is finite"):
        net.to_keras()
    scaling = Scaling([1e-9, 5e-249, -2e40], [3e-12, 1e-250, 7e200])
    net = fastmlp.Network([3, 4, 2], input_scaling=scaling, dtype="float64", seed=0)
    assert fastmlp.from_keras(net.to_keras()).input_scaling == scaling


def test_a_scaling_that_is_not_learnt_is_refused():
    with pytest.raises(ValueError, match=r"input_scaling: expected one that a fit has computed"):
        fastmlp.Network([3, 2], input_scaling="standard").to_keras()


def test_the_model_is_one_of_keras(tmp_path):
    model = fastmlp.Network([3, 4, 2], input_scaling=Scaling([1.0] * 3, [2.0] * 3), seed=0).to_keras()
    model.save(tmp_path / "model.keras")
    X = np.ones((2, 3), np.float32)
    assert np.array_equal(
        keras.models.load_model(tmp_path / "model.keras").predict(X, verbose=0), model.predict(X, verbose=0)
    )


def test_a_backend_that_is_missing_is_named(monkeypatch):
    """Keras is there and TensorFlow, its default, is not."""
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ImportError, match="KERAS_BACKEND=torch"):
        fastmlp.Network([2, 1]).to_keras()
