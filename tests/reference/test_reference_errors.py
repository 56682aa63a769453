"""What the reference refuses: the type of the error, its words, and that nothing was written before it."""

from __future__ import annotations

import copy
import math

import pytest

from implementations import load_reference, named, numbers

Network = load_reference().Network
MOMENTUM = named("sgd", learning_rate=0.1, momentum=0.9)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"sizes": [3]}, ValueError, "sizes: expected at least 2"),
        ({"sizes": [3, 0]}, ValueError, r"sizes\[1\]"),
        ({"sizes": [3, 2.0]}, TypeError, r"sizes\[1\]: expected an integer, got 2.0"),
        ({"sizes": [3, True]}, TypeError, r"sizes\[1\]"),
        ({"sizes": 3}, TypeError, "sizes"),
        ({"sizes": [2**16, 2**16]}, ValueError, "sizes"),
        ({"activation": "rellu"}, ValueError, "activation: .*'tanh'.* did you mean 'relu'"),
        ({"sizes": [3, 2], "activation": "rellu"}, ValueError, "activation"),
        ({"activation": ["relu", "relu"]}, ValueError, "activation: expected a list of 1, .* got 2"),
        ({"activation": ["rellu", "tanh"]}, ValueError, "activation: expected a list of 1, .* got 2"),
        ({"activation": []}, ValueError, "activation: expected a list of 1, .* got 0"),
        ({"activation": ["rellu"]}, ValueError, r"activation\[0\]: .*did you mean 'relu'"),
        ({"activation": ["softmax"]}, ValueError, r"activation\[0\]: .*softmax"),
        ({"activation": "softmax"}, ValueError, "softmax"),
        ({"activation": 3}, TypeError, "activation"),
        ({"activation": named("sigmoid", beta=0.0)}, ValueError, "beta"),
        ({"activation": named("sigmoid", beta=math.nan)}, ValueError, "beta"),
        ({"activation": named("sigmoid", beta="1")}, TypeError, "beta"),
        ({"activation": named("gaussian", sigma=0.0)}, ValueError, "sigma"),
        ({"activation": named("piecewise_linear", x_min=1.0, x_max=1.0)}, ValueError, "x_min"),
        ({"loss": "msee"}, ValueError, "loss: .*did you mean 'mse'"),
        ({"loss": "cross_entropy", "output_activation": "sigmoid"}, ValueError, "expected 'softmax'"),
        ({"loss": "binary_cross_entropy", "output_activation": "tanh"}, ValueError, "expected 'sigmoid'"),
        ({"output_activation": "softmax"}, ValueError, "cross_entropy"),
        ({"init": "zeros"}, ValueError, "init: expected one of 'auto'"),
        ({"seed": -1}, ValueError, "seed"),
        ({"seed": 2**64}, ValueError, "seed"),
        ({"seed": 1.5}, TypeError, "seed"),
    ],
)
def test_refused_at_construction(arguments, error, words):
    with pytest.raises(error, match=words):
        Network(**{"sizes": [3, 4, 2], **arguments})


X4, Y4 = numbers(4, 3), numbers(4, 2, seed=1)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"X": []}, ValueError, r"X: expected shape \(B, 3\).*got \(0,\)"),
        ({"X": [[1.0, 2.0]] * 4}, ValueError, r"X: .*\(B, 3\).*got \(4, 2\)"),
        ({"X": [*X4[:3], [1.0]]}, ValueError, r"X\[3\]"),
        ({"X": [X4]}, ValueError, r"X: .*got \(1, 4, 3\)"),
        ({"X": X4[0], "y": Y4[0]}, ValueError, "X: expected shape"),
        ({"X": None}, TypeError, "X"),
        ({"X": [[1.0, 2.0, "3"]] * 4}, TypeError, "X.*'3'"),
        ({"X": [[1.0, 2.0, 3j]] * 4}, TypeError, "X.*3j"),
        ({"X": [*X4[:3], [1.0, math.nan, 2.0]]}, ValueError, "X: expected finite numbers, got nan in row 3, column 1"),
        ({"y": [*Y4[:3], [math.inf, 0.0]]}, ValueError, "y: expected finite numbers, got inf in row 3, column 0"),
        ({"y": Y4[:3]}, ValueError, r"y: expected shape \(4, 2\).*got \(3, 2\)"),
        ({"y": [[1.0]] * 4}, ValueError, r"got \(4, 1\)"),
        ({"y": [0, 1, 2, 0]}, ValueError, "y: expected class labels from 0 to 1, got 2 in row 2"),
        ({"y": [0, 1, -1, 0]}, ValueError, "got -1"),
        ({"y": [0, 1, 0.5, 0]}, ValueError, "got 0.5"),
        ({"y": ["0", "1", "0", "1"]}, TypeError, "y"),
        ({"epochs": 0}, ValueError, "epochs"),
        ({"epochs": 1.0}, TypeError, "epochs"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"optimizer": "adamm"}, ValueError, "optimizer: .*did you mean 'adam'"),
        ({"optimizer": named("sgd", learning_rate=-0.05)}, ValueError, "learning_rate: .*above 0"),
        ({"optimizer": named("sgd", learning_rate=math.inf)}, ValueError, "learning_rate"),
        ({"optimizer": named("sgd", momentum=1.0)}, ValueError, "momentum"),
        ({"optimizer": named("sgd", nesterov=True)}, ValueError, "nesterov"),
        ({"optimizer": named("adam", beta_2=1.0)}, ValueError, "beta_2"),
        ({"optimizer": 0.1}, TypeError, "optimizer"),
        ({"shuffle": 1}, TypeError, "shuffle"),
        ({"validation_data": X4}, TypeError, "validation_data"),
        ({"validation_data": (X4, Y4[:2])}, ValueError, r"validation_data\[1\]"),
        ({"callbacks": [3]}, TypeError, r"callbacks\[0\]"),
        ({"callbacks": [type("Hooks", (), {"on_train_end": print})]}, TypeError, r"callbacks\[0\]"),
        ({"callbacks": 3}, TypeError, "callbacks"),
        ({"verbose": -1}, ValueError, "verbose"),
    ],
)
def test_refused_by_fit_before_anything_is_written(arguments, error, words):
    net = Network([3, 4, 2], seed=1)
    net.train_on_batch(X4, Y4, MOMENTUM)
    before = copy.deepcopy((net.parameters, net._random.state, net._optimizer, net._states, net._n_steps))
    arguments = {"X": X4, "y": Y4, **arguments}
    with pytest.raises(error, match=words):
        net.fit(arguments.pop("X"), arguments.pop("y"), **arguments)
    assert before == (net.parameters, net._random.state, net._optimizer, net._states, net._n_steps)


def test_refused_by_methods():
    net = Network([3, 4, 2], seed=1)
    before = net.parameters
    with pytest.raises(ValueError, match=r"parameters: expected shape \(26,\), got \(3,\)"):
        net.parameters = [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match=r"parameters: .*nan in weights\[1\]\[0\], column 1"):
        net.parameters = [*before[:17], math.nan, *before[18:]]
    with pytest.raises(ValueError, match=r"parameters: .*inf in biases\[0\], column 3"):
        net.parameters = [*before[:15], math.inf, *before[16:]]
    with pytest.raises(IndexError, match="from -2 to 1"):
        net.set_layer(2, [[1]], [1])
    with pytest.raises(IndexError):
        net.set_layer(-3, [[1]], [1])
    with pytest.raises(ValueError, match=r"w: expected shape \(2, 4\), got \(4, 2\)"):
        net.set_layer(1, [[1, 2]] * 4, [0, 0])
    with pytest.raises(ValueError, match=r"b: expected shape \(2,\), got \(3,\)"):
        net.set_layer(1, [[1, 2, 3, 4]] * 2, [0, 0, 0])
    with pytest.raises(ValueError, match="b: expected finite numbers, got nan in layer 1"):
        net.set_layer(1, [[1, 2, 3, 4]] * 2, [0, math.nan])
    with pytest.raises(ValueError, match="X"):
        net.train_on_batch([[math.nan] * 3], [[0, 0]])
    assert net.parameters == before


@pytest.mark.parametrize("method", ["loss_and_grad", "input_gradient", "train_on_batch", "fit"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_gradient_of_inputs_that_are_not_finite_is_refused(method, value):
    net = Network([3, 4, 2], seed=1)
    with pytest.raises(ValueError, match=rf"^X: expected finite numbers, got {value} in row 2, column 1$"):
        getattr(net, method)([*X4[:2], [0.0, value, math.nan], X4[3]], Y4)


@pytest.mark.parametrize("loss", ["mse", "binary_cross_entropy", "cross_entropy"])
def test_predict_and_evaluate_pass_nan_through(loss):
    net = Network([3, 4, 2], activation="tanh", loss=loss, seed=1)
    X = [X4[0], [0.0, math.nan, 1.0], X4[2]]
    first, second, third = net.predict(X)
    assert all(map(math.isnan, second))
    assert [first, third] == net.predict([X4[0], X4[2]])
    assert math.isnan(net.evaluate(X, [[0.0, 1.0]] * 3)["loss"])


@pytest.mark.parametrize("method", ["loss_and_grad", "input_gradient", "evaluate", "train_on_batch", "fit"])
def test_targets_that_are_not_finite_are_refused(method):
    with pytest.raises(ValueError, match="y: expected finite numbers, got nan in row 3, column 1"):
        getattr(Network([3, 4, 2]), method)(X4, [*Y4[:3], [0.0, math.nan]])


def test_targets_of_cross_entropies_lie_between_0_and_1():
    for loss in ("cross_entropy", "binary_cross_entropy"):
        net = Network([3, 2], loss=loss)
        for y in ([[0.5, 1.5]], [[0.5, -0.5]]):
            with pytest.raises(ValueError, match=r"y: expected targets in \[0, 1\]"):
                net.loss_and_grad(X4[:1], y)


@pytest.mark.parametrize("where", ["activation", "output_activation"])
def test_a_threshold_predicts_but_does_not_train(where):
    net = Network([3, 4, 2], seed=1, **{where: "threshold"})
    assert len(net.predict(X4)) == 4
    assert net.evaluate(X4, Y4)
    for call in (net.fit, net.train_on_batch, net.loss_and_grad, net.input_gradient):
        with pytest.raises(ValueError, match="threshold"):
            call(X4, Y4)
