"""Chains become networks of the same outputs: `fold`, against `Chain.evaluate` and against formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastmlp
from chains import ACTIVATIONS
from fastmlp.convert.chain import Activate, Affine, Chain, Complement, Linear, Step
from fastmlp.convert.checking import network
from fastmlp.convert.folding import MAX_IDENTITY, fold

RNG = np.random.default_rng(0)
TANH, RELU, SIGMOID = (Activate(f, f.name) for f in (fastmlp.Tanh(), fastmlp.ReLU(), fastmlp.Sigmoid()))


def linear(n_inputs: int, n_outputs: int, place: str = "linear", rng: Any = RNG) -> Linear:
    return Linear(rng.standard_normal((n_outputs, n_inputs)), rng.standard_normal(n_outputs), place)


def chain(*steps: Step, n_inputs: int = 3, **more: Any) -> Chain:
    return Chain(steps, "a tool", "1.0", more.pop("dtype", "float64"), n_inputs, **more)


def assert_same(given: Chain, X: Any = None) -> Any:
    """Check the network's outputs on other rows than those that it was compared on when it was made."""
    net = network(given)
    X = np.random.default_rng(1).standard_normal((50, given.n_inputs)) if X is None else X
    np.testing.assert_allclose(net.predict(X), given.evaluate(X), rtol=1e-12, atol=1e-12)
    return net


# -- what goes where ---------------------------------------------------------------------------------------------------


def test_layers_keep_their_numbers() -> None:
    first, second = linear(3, 4), linear(4, 2)
    net = assert_same(chain(first, TANH, second))
    assert net.sizes == (3, 4, 2)
    assert [f.name for f in (*net.activation, net.output_activation)] == ["tanh", "identity"]
    for layer, step in zip(range(2), (first, second), strict=True):
        assert np.array_equal(net.weights[layer], step.weight)
        assert np.array_equal(net.biases[layer], step.bias)
    assert net.conversion == fastmlp.convert.checking.Conversion("a tool", "1.0", net.conversion.difference, ())


def test_float32_rounds_the_float64_numbers_once() -> None:
    first = linear(3, 4)
    between = Affine(np.full(4, 0.1), np.full(4, 3.0), "batch_norm")
    net = network(chain(first, between, TANH, linear(4, 2), dtype="float32"))
    assert np.array_equal(net.weights[0], (first.weight * (1 / 3.0)).astype(np.float32))
    assert np.array_equal(net.biases[0], (first.bias * (1 / 3.0) + (0 - 0.1) / 3.0).astype(np.float32))


def test_a_scaler_before_the_first_layer_becomes_the_input_scaling() -> None:
    offset, scale = np.array([1e6, 0.1, -3.0]), np.array([0.3, 1e-5, 7.0])
    first = linear(3, 2)
    net = assert_same(chain(Affine(offset, scale, "scaler"), first))
    assert net.input_scaling == fastmlp.Scaling(offset, scale)
    assert np.array_equal(net.weights[0], first.weight)
    assert net.conversion.folded == ("scaler into input_scaling",)


def test_several_scalers_become_one_scaling() -> None:
    scalers = [
        Affine(np.array([1.0, 2.0, 3.0]), np.array([0.5, 2.0, 4.0]), "first"),
        Affine.times([3.0, 0.5, 2.0], [1.0, -1.0, 0.25], "second"),
        Affine(np.array([0.5]), np.array([8.0]), "third"),
    ]
    net = assert_same(chain(*scalers, linear(3, 2)))
    X = RNG.standard_normal((5, 3))
    expected = X
    for step in scalers:
        expected = step(expected)
    np.testing.assert_allclose(net.input_scaling.apply(X), expected, rtol=1e-13, atol=1e-13)


def test_negative_scales_put_their_sign_into_the_weights() -> None:
    first = linear(3, 2)
    net = assert_same(chain(Affine(np.ones(3), np.array([2.0, -2.0, 4.0]), "scaler"), first))
    assert net.input_scaling == fastmlp.Scaling([1.0, 1.0, 1.0], [2.0, 2.0, 4.0])
    assert np.array_equal(net.weights[0], first.weight * [1, -1, 1])


def test_a_factor_of_0_goes_into_the_layer() -> None:
    first = linear(3, 2)
    net = assert_same(chain(Affine.times([2.0, 0.0, 1.0], [1.0, 5.0, 0.0], "batch_norm"), first, TANH, linear(2, 2)))
    assert np.array_equal(net.weights[0], first.weight * [1, 0, 1])
    net = assert_same(chain(linear(3, 2), Affine.times([0.0, 2.0], [3.0, 4.0], "batch_norm")))
    assert net.target_scaling == fastmlp.Scaling([0.0, 4.0], [1.0, 2.0])
    assert not net.weights[0][0].any()
    assert net.biases[0][0] == 3


def test_a_scale_too_small_for_a_scaling_goes_into_the_layer() -> None:
    given = chain(
        Affine.times([1e300, 1.0, 1.0], [0.0, 0.0, 2.0], "scaler"), Linear(np.eye(3) * 1e-300, np.ones(3), "l")
    )
    net = assert_same(given)
    assert net.weights[0][0, 0] == 1.0


def test_steps_after_the_last_layer_become_the_target_scaling() -> None:
    last = linear(4, 2)
    net = assert_same(chain(linear(3, 4), RELU, last, Affine.times([0.1, 3.0], [1e6, -2.0], "inverse")))
    assert net.target_scaling == fastmlp.Scaling([1e6, -2.0], [0.1, 3.0])
    assert np.array_equal(net.weights[1], last.weight)
    assert net.conversion.folded == ("inverse into target_scaling",)


def test_a_negative_factor_after_the_last_layer_puts_its_sign_into_it() -> None:
    last = linear(3, 2)
    net = assert_same(chain(last, Affine.times([-2.0, 3.0], [1.0, 1.0], "inverse")))
    assert net.target_scaling == fastmlp.Scaling([1.0, 1.0], [2.0, 3.0])
    assert np.array_equal(net.weights[0], last.weight * [[-1], [1]])


def test_a_bounded_output_is_rescaled_by_the_target_scaling() -> None:
    """Actions are low + (tanh z + 1) / 2 (high - low)."""
    net = assert_same(chain(linear(3, 2), TANH, Affine.times([2.0, 0.5], [1.0, -1.0], "bounds")))
    assert net.output_activation.name == "tanh"
    assert net.target_scaling == fastmlp.Scaling([1.0, -1.0], [2.0, 0.5])


def test_a_bounded_output_with_a_negative_factor_gets_a_layer() -> None:
    net = assert_same(chain(linear(3, 2), TANH, Affine.times([-2.0, 0.5], [1.0, -1.0], "bounds")))
    assert net.sizes == (3, 2, 2)
    assert net.output_activation.name == "identity"


def test_steps_before_an_activation_go_into_its_layer_and_others_into_the_next() -> None:
    steps = (
        linear(3, 4),
        Affine(RNG.standard_normal(4), np.array([0.5, -1.0, 2.0, 3.0]), "bn before"),
        TANH,
        Affine.times(RNG.standard_normal(4), RNG.standard_normal(4), "bn after"),
        Affine(np.float64(0.25), np.float64(2.0), "rescaling"),
        linear(4, 5),
        RELU,
        linear(5, 2),
    )
    net = assert_same(chain(*steps))
    assert net.sizes == (3, 4, 5, 2)
    assert net.input_scaling is None
    assert net.target_scaling is None
    assert net.conversion.folded == ("bn before into layer 0", "bn after into layer 1", "rescaling into layer 1")


def test_linear_after_linear_stays_a_layer() -> None:
    net = assert_same(chain(linear(3, 4), linear(4, 2), TANH, linear(2, 2), Activate(fastmlp.Identity(), "i")))
    assert net.sizes == (3, 4, 2, 2)
    assert [f.name for f in net.activation] == ["identity", "tanh"]


def test_an_activation_without_a_layer_gets_one_of_the_identity() -> None:
    net = assert_same(chain(TANH, linear(3, 2)))
    assert net.sizes == (3, 3, 2)
    assert np.array_equal(net.weights[0], np.eye(3))
    net = assert_same(chain(linear(3, 2), TANH, Affine.times([2.0, 3.0], [0.5, 0.0], "slope"), SIGMOID))
    assert net.sizes == (3, 2, 2)
    assert np.array_equal(net.weights[1], np.diag([2.0, 3.0]))
    assert np.array_equal(net.biases[1], [0.5, 0.0])
    net = assert_same(chain(Affine(np.ones(3), np.full(3, 2.0), "scaler"), TANH))
    assert net.input_scaling == fastmlp.Scaling([1.0] * 3, [2.0] * 3)


def test_two_columns_of_a_sigmoid_are_one_output() -> None:
    given = chain(linear(3, 1), SIGMOID, Complement("Concat"), class_names=("no", "yes"))
    net = network(given)
    X = RNG.standard_normal((20, 3))
    np.testing.assert_allclose(net.predict(X)[:, 0], given.evaluate(X)[:, 1], rtol=1e-13)
    assert net.loss == fastmlp.BinaryCrossEntropy()
    assert net.class_names == ("no", "yes")
    assert net.conversion.folded == ("Concat: the columns 1 - p and p are one output p",)


def test_other_complements_become_a_layer() -> None:
    hard = Activate(fastmlp.HardSigmoid(), "hard")
    assert assert_same(chain(linear(3, 1), hard, Complement("Concat"))).sizes == (3, 1, 2)
    assert assert_same(chain(linear(3, 2), SIGMOID, Complement("Concat"))).sizes == (3, 2, 4)


@pytest.mark.parametrize(
    ("steps", "more", "loss"),
    [
        ((linear(3, 2), Activate(fastmlp.Softmax(), "s")), {}, fastmlp.CrossEntropy()),
        ((linear(3, 2), SIGMOID), {}, fastmlp.HalfSquaredError()),
        ((linear(3, 1), SIGMOID), {"class_names": ("a", "b")}, fastmlp.BinaryCrossEntropy()),
        ((linear(3, 1), SIGMOID), {"loss": "binary_cross_entropy"}, fastmlp.BinaryCrossEntropy()),
        ((linear(3, 1), SIGMOID, Complement("c")), {}, fastmlp.BinaryCrossEntropy()),
        ((linear(3, 1), SIGMOID, Affine.times(2.0, 1.0, "a")), {}, fastmlp.HalfSquaredError()),
        ((linear(3, 2), TANH), {}, fastmlp.HalfSquaredError()),
        ((linear(3, 2),), {"loss": "poisson"}, fastmlp.Poisson()),
        ((linear(3, 2), Affine.times(2.0, 1.0, "a")), {"loss": "poisson"}, fastmlp.Poisson()),
    ],
)
def test_the_loss_goes_with_the_output(
    steps: tuple[Step, ...], more: dict[str, Any], loss: fastmlp.losses.Loss
) -> None:
    assert network(chain(*steps, **more)).loss == loss


def test_a_loss_whose_targets_cannot_be_scaled_leaves_the_last_layer_to_take_the_steps() -> None:
    last = linear(3, 2)
    net = assert_same(chain(last, Affine.times([2.0, -3.0], [1.0, 0.0], "a"), loss="poisson"))
    assert net.target_scaling is None
    assert np.array_equal(net.weights[0], last.weight * [[2], [-3]])


def test_names_are_the_networks() -> None:
    net = network(chain(linear(3, 1), feature_names=("a", "b", "c"), target_name="t"))
    assert (net.feature_names, net.target_name) == (("a", "b", "c"), "t")


def test_what_the_importer_left_out_is_in_the_list() -> None:
    assert network(chain(linear(3, 1), folded=("Dropout 0.3",))).conversion.folded == ("Dropout 0.3",)


# -- random chains -----------------------------------------------------------------------------------------------------


def random_chain(seed: int, dtype: str = "float64") -> Chain:
    """Return a chain of up to 12 steps in random order, of which scales may be negative."""
    rng = np.random.default_rng(seed)
    n_inputs = columns = int(rng.integers(1, 9))
    steps: list[Step] = []
    for i in range(int(rng.integers(1, 13))):
        kind = rng.integers(4)
        if kind == 0 or (i == 0 and rng.random() < 0.5):
            width = int(rng.integers(1, 20))
            weight = rng.standard_normal((width, columns)) / np.sqrt(columns)
            steps.append(Linear(weight, rng.standard_normal(width), f"linear {i}"))
            columns = width
        elif kind == 1:
            scale = rng.choice([-1, 1], columns, p=[0.2, 0.8]) * rng.uniform(0.3, 3, columns)
            steps.append(Affine(rng.standard_normal(columns), scale, f"affine {i}", bool(rng.random() < 0.5)))
        else:
            steps.append(Activate(ACTIVATIONS[rng.integers(len(ACTIVATIONS))], f"activation {i}"))
    steps.append(linear(columns, 2, rng=rng) if rng.random() < 0.7 else steps[-1])
    if steps[-1] is steps[-2]:
        del steps[-1]
    if not any(isinstance(step, Linear) for step in steps):
        steps.append(linear(columns, 3, rng=rng))
    return chain(*steps, n_inputs=n_inputs, dtype=dtype)


@pytest.mark.parametrize("block", range(10))
def test_random_chains(block: int) -> None:
    for seed in range(block * 20, block * 20 + 20):
        given = random_chain(seed)
        X = np.random.default_rng(seed).standard_normal((20, given.n_inputs))
        net, expected = network(given), given.evaluate(X)
        scale = np.abs(expected).max()
        # Up to 13 steps of up to 20 terms, slopes of up to 3 each.
        assert np.abs(net.predict(X) - expected).max() <= 1e-11 * max(scale, 1), seed
        network(random_chain(seed, "float32"))


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((), "a tool: expected a model with a layer, got none"),
        ((Affine(np.ones(3), np.ones(3), "scaler"),), "a tool: expected a model with a layer, got none"),
        ((linear(2, 2, "first"),), r"first: expected weights of shape \(outputs, 3\) and a bias for each output, got"),
        ((linear(3, 2), TANH, linear(3, 2, "second")), r"second: expected weights of shape \(outputs, 2\)"),
        ((Linear(np.ones((2, 3)), np.ones(3), "first"),), r"got shapes \(2, 3\) and \(3,\)"),
        ((Linear(np.ones((0, 3)), np.ones(0), "first"),), r"got shapes \(0, 3\) and \(0,\)"),
        ((Linear(np.full((1, 3), np.nan), np.ones(1), "first"),), r"first: expected finite .*, got nan at \[0, 0\]"),
        ((Affine(np.ones(2), np.ones(2), "bn"), linear(3, 2)), "bn: expected a number for each of 3 columns, got"),
        ((Affine(np.ones(3), np.array([1, 0, 1]), "bn"), linear(3, 2)), "bn: expected a scale that is not 0, got 0 in"),
        ((linear(3, 1), Activate(fastmlp.Softmax(), "softmax")), "softmax: cannot be imported: a softmax of one"),
        (
            (linear(3, 2), Activate(fastmlp.Softmax(), "softmax"), linear(2, 2)),
            "softmax: cannot be imported: a softmax that is not the last layer",
        ),
        ((linear(3, 2), Activate(fastmlp.Softmax(), "s"), Affine.times(2.0, 1.0, "a")), "a: .* a step after a softmax"),
        ((Linear(np.full((2, 3), 1e300), np.ones(2), "l"), Affine.times(1e300, 0.0, "a"), TANH), "layer 0: .* finite"),
    ],
)  # fmt: skip
def test_refusals(steps: tuple[Step, ...], message: str) -> None:
    with pytest.raises(fastmlp.FormatError, match=message):
        fold(chain(*steps))


def test_layers_that_are_made_up_are_bounded() -> None:
    n = MAX_IDENTITY + 1
    with pytest.raises(fastmlp.FormatError, match=r"tanh: .* a step on 4,097 columns without a layer before it"):
        fold(chain(TANH, Linear(np.ones((1, n)), np.ones(1), "l"), n_inputs=n))
    with pytest.raises(fastmlp.FormatError, match=r"a step on 2,048 columns .*, or on fewer if there are more"):
        fold(chain(*[TANH] * 5, n_inputs=2048))
    assert len(fold(chain(*[TANH] * 4, n_inputs=2048)).layers) == 4


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"feature_names": ("a", "a", "b")}, "a tool: feature_names: expected different names"),
        ({"class_names": ("a", "b", "c")}, "a tool: class_names: expected 2 names"),
        ({"loss": "nothing"}, "a tool: loss: expected one of"),
        ({"loss": "cross_entropy"}, "a tool: sizes: expected at least 2 outputs for loss 'cross_entropy'"),
    ],
)
def test_what_does_not_go_together_is_a_format_error(more: dict[str, Any], message: str) -> None:
    with pytest.raises(fastmlp.FormatError, match=message):
        fold(chain(linear(3, 1), **more))
