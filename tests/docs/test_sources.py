"""Every number of the essay "Mathematics of machine learning", on every implementation: formulas, figures, errata.

docs/errata.md names the sources, and its errata have the names E-1, P-4 and so on. Printed numbers are checked to their
printed digits, and the exact numbers to 1e-12; for an erratum, both the printed and the correct value are checked. The
oracles are loops written here, and central differences for statements about derivatives.
"""

from __future__ import annotations

import itertools
import math
import random
import statistics
from fractions import Fraction

import pytest

from implementations import (
    IMPLEMENTATIONS,
    S,
    as_lists,
    exactly,
    flat,
    gradient_of,
    load_implementation,
    network_maker,
    numbers,
    parameters_of,
)

implementation = pytest.fixture(load_implementation, scope="module", params=IMPLEMENTATIONS)
make_network = pytest.fixture(network_maker)


@pytest.fixture
def activate(make_network):
    """Return f(w x + b), the output of a network with one input and one output."""

    def value(x, b=0.0, activation="sigmoid", w=1.0):
        return as_lists(make_network([1, 1], [([[w]], [b])], output_activation=activation).predict([x]))[0]

    return value


LOSSES = {
    "squared_error": "identity",
    "half_squared_error": "identity",
    "mse": "identity",
    "binary_cross_entropy": "sigmoid",
    "cross_entropy": "softmax",
}


# --- essay, section 2: architecture ---


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ([3, 4, 2], 26),  # figure 1, with the picture's three inputs
        ([5, 7], 5 * 7 + 7),  # the input layer has no weights and no biases
        ([784, 16, 16, 10], 13_002),  # printed; Sanderson's network
        ([784, 30, 10], 23_860),  # Nielsen's
        ([784, 128, 10], 101_770),  # the Keras tutorial's dense head
        ([2, 2, 1], 9),  # Zhou's
        ([2, 4, 6, 6, 4, 1], 117),  # Skalski's
    ],
)
def test_number_of_parameters(make_network, sizes, count):
    net = make_network(sizes, seed=0)
    assert net.n_parameters == len(parameters_of(net)) == count
    _, gradient = gradient_of(net, [[0.5] * sizes[0]], [[0.0] * sizes[-1]])
    assert len(gradient) == count  # one backward pass gives them all


def test_28_by_28_pixels():
    assert 28 * 28 == 784
    assert (784 * 16 + 16, 16 * 16 + 16, 16 * 10 + 10) == (12_560, 272, 170)
    assert 12544 + 256 + 160 + 42 == 13_002


@pytest.mark.parametrize(
    ("name", "low", "high", "open_ends"),
    [
        ("sigmoid", 0.0, 1.0, True),
        ("tanh", -1.0, 1.0, True),
        ("piecewise_linear", 0.0, 1.0, False),
        ("threshold", 0.0, 1.0, False),
        ("gaussian", 0.0, 1 / math.sqrt(2 * math.pi), False),
        ("relu", 0.0, math.inf, False),
    ],
)
def test_ranges(implementation, name, low, high, open_ends):
    values = [implementation.value(name, z / 4) for z in range(-40, 41)]
    assert all(low < v < high if open_ends else low <= v <= high * (1 + 1e-15) for v in values)
    assert min(values) == pytest.approx(low, abs=1e-4)
    assert max(values) == (10.0 if name == "relu" else pytest.approx(high, abs=1e-4))


def test_e7_a_neuron_need_not_hold_0_to_1(activate):
    assert activate(3.0, activation="relu") == 3.0


def test_every_weight_changes_its_own_output_only(make_network):
    w, b, x = numbers(2, 3), [0.1, -0.2], [0.5, -1.0, 2.0]
    before = as_lists(make_network([3, 2], [(w, b)], output_activation="sigmoid").predict(x))
    for o, i in itertools.product(range(2), range(3)):
        moved = [row[:] for row in w]
        moved[o][i] += 0.25
        after = as_lists(make_network([3, 2], [(moved, b)], output_activation="sigmoid").predict(x))
        assert after[o] != before[o]
        assert after[1 - o] == before[1 - o]


def test_outputs_are_independent_classifiers(make_network):
    net = make_network([2, 2], [([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0])], loss="binary_cross_entropy")
    assert as_lists(net.predict([2.0, 2.0])) == exactly([S(2.0)] * 2)
    assert sum(as_lists(net.predict([2.0, 2.0]))) > 1.7
    assert float(net.evaluate([2.0, 2.0], [1.0, 1.0])["loss"]) == exactly(-2 * math.log(S(2.0)))


def test_e15_a_threshold_on_a_trained_network_is_a_perceptron(implementation, make_network):
    X, t = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]  # AND
    net = make_network([2, 1], output_activation="sigmoid", loss="binary_cross_entropy", seed=1)
    net.fit(X, t, epochs=400, batch_size=None, optimizer=implementation.make("sgd", learning_rate=2.0))
    layer = (as_lists(net.weights[0]), as_lists(net.biases[0]))
    perceptron = make_network([2, 1], [layer], output_activation="threshold")
    assert flat(as_lists(perceptron.predict(X))) == t == as_lists(net.classify(X))


# --- essay, section 3: the activation functions ---


@pytest.mark.parametrize(
    ("dot_product", "bias", "digits", "printed", "value"),
    [
        (1, 0, 4, 0.7311, 0.731058578630004879),
        (1, -5, 4, 0.0180, 0.017986209962091559),
        (-5, 0, 4, 0.0067, 0.006692850924284856),
        (-5, -5, 0, 0, 4.539786870243440e-5),
        (10, 0, 0, 1, 0.999954602131297566),
        (10, -5, 4, 0.9933, 0.993307149075715144),
        (0.5, 0, 4, 0.6225, 0.622459331201854593),
        (0.18704, 0, 3, 0.547, 0.546624154),
        (-2.18447, 0, 3, 0.101, 0.101153783),
    ],
)
def test_printed_values_of_s(activate, dot_product, bias, digits, printed, value):
    output = activate(float(dot_product), float(bias))
    assert round(output, digits) == printed
    assert output == pytest.approx(value, rel=1e-12 if len(str(value)) > 12 else 1e-8)


def test_the_extremes_are_0_and_1_to_four_digits(activate):
    assert round(activate(-5.0, -5.0), 4) == 0.0  # S(-10)
    assert activate(10.0) == pytest.approx(1.0, abs=5e-5)


def test_both_forms_of_s_are_one_function(implementation):
    for x in [-30.0, -5.0, -0.1, 0.0, 0.1, 5.0, 30.0]:
        assert implementation.value("sigmoid", x) == exactly(1 / (1 + math.exp(-x)))
        assert implementation.value("sigmoid", x) == exactly(math.exp(x) / (math.exp(x) + 1))


def test_limits_of_s(implementation):
    for x in (1000.0, math.inf):
        assert implementation.value("sigmoid", x) == 1.0
        assert implementation.value("sigmoid", -x) == 0.0
    assert math.isnan(implementation.value("sigmoid", math.nan))
    for form, x in ((lambda x: 1 / (1 + math.exp(-x)), -1000), (lambda x: math.exp(x) / (math.exp(x) + 1), 1000)):
        with pytest.raises(OverflowError):
            form(x)


def test_e11_s_rises_everywhere(implementation):
    values = [implementation.value("sigmoid", z / 16) for z in range(-480, 481)]
    assert all(a < b for a, b in itertools.pairwise(values))


def test_s_is_steepest_at_0(implementation):
    slopes = {z / 8: implementation.value("sigmoid", z / 8, derivative=True) for z in range(-40, 41)}
    assert max(slopes, key=slopes.get) == 0.0
    assert slopes[0.0] == 0.25
    width = 2 * math.log(9)
    assert width == pytest.approx(4.394, abs=5e-4)
    assert implementation.value("sigmoid", width / 2) == exactly(0.9)
    assert implementation.value("sigmoid", -width / 2) == exactly(0.1)


def test_a_bias_of_minus_5_asks_for_more_than_5(activate):
    assert activate(5.0, -5.0) == 0.5
    assert activate(math.nextafter(5.0, 6.0), -5.0) > 0.5
    assert activate(math.nextafter(5.0, 4.0), -5.0) < 0.5


def test_e24_the_bias_is_negligible_in_absolute_terms_only(activate):
    assert activate(-5.0) - activate(-5.0, -5.0) == pytest.approx(0.0066, abs=5e-5)
    assert activate(-5.0) / activate(-5.0, -5.0) == pytest.approx(147, abs=0.5)
    assert (activate(10.0, activation="relu"), activate(10.0, -5.0, "relu")) == (10.0, 5.0)


@pytest.mark.parametrize(("x", "bias", "value"), [(3, 0, 3), (3, -5, 0), (4.99, -5, 0), (-4, 0, 0), (-4, 5, 1)])
def test_printed_values_of_relu(activate, x, bias, value):
    assert activate(float(x), float(bias), "relu") == value


def test_e23_the_threshold_of_relu_is_minus_b(activate):
    assert activate(2.5, -5.0, "relu", w=2.0) == 0.0
    assert activate(math.nextafter(2.5, 3.0), -5.0, "relu", w=2.0) > 0.0
    assert activate(2.5 - 1e-9, -5.0, "relu", w=2.0) == 0.0


def test_corners_of_relu(implementation):
    assert implementation.value("relu", 0.0) == implementation.value("relu", -0.0) == 0.0
    assert math.isnan(implementation.value("relu", math.nan))
    assert implementation.value("relu", 5e-324) in (5e-324, 0.0)  # a denormal may be flushed
    assert implementation.value("relu", -5e-324) == 0.0
    slopes = [implementation.value("relu", z, derivative=True) for z in (-1.0, -0.0, 0.0, 1e-300, 2.0)]
    assert slopes == [0.0, 0.0, 0.0, 1.0, 1.0]  # E-26: undefined at 0, by convention 0


# --- essay, section 3: from layer to layer ---


def test_a_neuron_is_a_dot_product(make_network):
    w, x = numbers(1, 40), numbers(1, 40, seed=1)
    z = as_lists(make_network([40, 1], [(w, [0.0])]).predict(x[0]))[0]
    products = [Fraction(a) * Fraction(b) for a, b in zip(w[0], x[0], strict=True)]
    assert z == pytest.approx(float(sum(products)), rel=0, abs=40 * 2**-53 * float(sum(map(abs, products))))


def test_activation_of_neurons_written_out(make_network):
    layers = [(numbers(4, 3), [0.1, 0.2, 0.3, 0.4]), (numbers(2, 4, seed=1), [-0.1, 0.5])]
    net = make_network([3, 4, 2], layers, activation="sigmoid", output_activation="sigmoid")
    X = numbers(3, 3, seed=2)
    for x, outputs in zip(X, as_lists(net.predict(X)), strict=True):
        a = x
        for w, b in layers:  # set_layer(0, ...) is the essay's W_{2,1}, weights[1] its W_{3,2}
            a = [S(sum(w[m][p] * a[p] for p in range(len(a))) + b[m]) for m in range(len(b))]
        assert outputs == exactly(a)
        assert as_lists(net.predict(x)) == exactly(a)
    assert as_lists(net.weights[1]) == layers[1][0]


ESSAY_W = [[-1.48, -2.49, 2.72, 3.46], [-1.81, 2.84, -0.438, -4.80]]
ESSAY_L2 = [0.978, 0.322, 0.315, 0.201]
ESSAY_B = [0.884, -0.226]


def test_the_worked_layer(make_network):
    products = [[-1.44744, -0.80178, 0.8568, 0.69546], [-1.77018, 0.91448, -0.13797, -0.9648]]
    for row, expected in zip(ESSAY_W, products, strict=True):
        assert [w * a for w, a in zip(row, ESSAY_L2, strict=True)] == exactly(expected)
    plain = make_network([4, 2], [(ESSAY_W, [0.0, 0.0])])
    assert as_lists(plain.predict(ESSAY_L2)) == exactly([-0.69696, -1.95847])
    net = make_network([4, 2], [(ESSAY_W, ESSAY_B)], output_activation="sigmoid")
    assert as_lists(net.pre_activations(ESSAY_L2))[-1] == exactly([0.18704, -2.18447])
    L3 = as_lists(net.predict(ESSAY_L2))
    assert [round(a, 3) for a in L3] == [0.547, 0.101]
    assert exactly([S(0.18704), S(-2.18447)]) == L3
    assert pytest.approx([0.546624154, 0.101153783], abs=5e-10) == L3


def test_tens_of_layers(make_network):
    net = make_network([4] * 21, activation="tanh", seed=3)
    X, y = numbers(16, 4), numbers(16, 4, seed=1)
    losses = net.fit(X, y, epochs=10, batch_size=None)["loss"]
    assert len(net.weights) == 20
    assert losses[-1] < losses[0]


def test_random_initiation(make_network):
    first, second = (parameters_of(make_network([20, 30, 5], init="normal", seed=seed)) for seed in (1, 2))
    assert first == parameters_of(make_network([20, 30, 5], init="normal", seed=1)) != second
    assert statistics.fmean(first) == pytest.approx(0.0, abs=0.12)
    assert statistics.stdev(first) == pytest.approx(1.0, abs=0.08)


# --- essay, section 4: cost and gradient ---


def test_cost_is_the_sum_of_squares(make_network):
    net = make_network([2, 2], [([[1, 0], [0, 1]], [0, 0])], loss="squared_error")
    assert net.evaluate([0.8, 0.3], [1.0, 1.0])["loss"] == exactly(0.2**2 + 0.7**2)
    assert net.evaluate([[0.8, 0.3], [1.0, 2.0]], [[1.0, 1.0]] * 2)["loss"] == exactly((0.2**2 + 0.7**2 + 1.0) / 2)


def test_e18_p3_the_gradient_points_uphill(make_network):
    net = make_network([3, 4, 2], activation="sigmoid", output_activation="sigmoid", loss="squared_error", seed=1)
    X, y = numbers(6, 3), [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]] * 2
    loss, gradient = gradient_of(net, X, y)
    P = parameters_of(net)
    costs = []
    for t in (1e-3, -1e-3):
        net.parameters = [p + t * g for p, g in zip(P, gradient, strict=True)]
        costs.append(float(net.evaluate(X, y)["loss"]))
    assert costs[0] > loss > costs[1]
    square = sum(g * g for g in gradient)
    assert (costs[0] - costs[1]) / 2e-3 == pytest.approx(square, rel=1e-4)


def test_e2_the_learning_rate_is_positive(implementation, make_network):
    net = make_network([3, 2], seed=1)
    X, y = numbers(4, 3), numbers(4, 2, seed=1)
    with pytest.raises(ValueError, match=r"learning_rate.*gradient"):
        net.train_on_batch(X, y, implementation.make("sgd", learning_rate=-0.05))
    loss, gradient = gradient_of(net, X, y)
    P = parameters_of(net)
    net.parameters = [p + 0.05 * g for p, g in zip(P, gradient, strict=True)]  # what P - (-0.05) grad C would do
    assert net.evaluate(X, y)["loss"] > loss
    net.parameters = P
    assert net.train_on_batch(X, y, implementation.make("sgd", learning_rate=0.05)) == exactly(loss)
    assert parameters_of(net) == exactly([p - 0.05 * g for p, g in zip(P, gradient, strict=True)])  # E-3


@pytest.mark.parametrize("loss", LOSSES)
def test_full_batch_averages_the_gradients(make_network, loss):
    net = make_network([3, 4, 2], activation="tanh", loss=loss, seed=1)
    X, y = numbers(6, 3), [[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]] * 2
    each = [gradient_of(net, x, t) for x, t in zip(X, y, strict=True)]
    mean_loss, gradient = gradient_of(net, X, y)
    assert mean_loss == exactly(statistics.fmean(part[0] for part in each))
    assert gradient == exactly([statistics.fmean(column) for column in zip(*(part[1] for part in each), strict=True)])
    # E-6: equal batches at one P average to the full batch, so nothing is saved without a step after each
    batches = [gradient_of(net, X[i : i + 2], y[i : i + 2])[1] for i in (0, 2, 4)]
    assert gradient == exactly([statistics.fmean(column) for column in zip(*batches, strict=True)])


def test_e5_averaging_the_outputs_first_gives_another_gradient(make_network):
    words = {"output_activation": "sigmoid", "loss": "squared_error", "init": "normal"}
    net = make_network([3, 4, 2], activation="sigmoid", seed=1, **words)
    X, y = numbers(6, 3), [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]] * 2
    X = [[3 * v for v in x] for x in X]
    _, gradient = gradient_of(net, X, y)
    outputs = as_lists(net.predict(X))
    mean_output = [statistics.fmean(column) for column in zip(*outputs, strict=True)]
    mean_target = [statistics.fmean(column) for column in zip(*y, strict=True)]
    # the gradient of sum (mean output - mean target)^2 weighs each row's dC/dy alike: shift each row's target to it
    shifted = [[a - m + t for a, m, t in zip(row, mean_output, mean_target, strict=True)] for row in outputs]
    _, printed = gradient_of(net, X, shifted)
    difference = math.dist(printed, gradient) / math.hypot(*gradient)
    assert difference > 0.3


def test_three_small_steps_beat_one_full_step(implementation, make_network):
    X = numbers(60, 3, seed=4)
    y = [[S(4 * x[0] - 2 * x[1]), S(3 * x[2])] for x in X]
    results = {}
    for batch_size in (20, None):
        net = make_network([3, 4, 2], activation="sigmoid", output_activation="sigmoid", loss="squared_error", seed=1)
        before = float(net.evaluate(X, y)["loss"])
        sgd = implementation.make("sgd", learning_rate=0.1)
        net.fit(X, y, epochs=1, batch_size=batch_size, shuffle=False, optimizer=sgd)
        results[batch_size] = float(net.evaluate(X, y)["loss"])
    assert results[20] < results[None] < before


def test_different_sets_in_every_epoch(implementation, make_network):
    X, y = numbers(8, 3), numbers(8, 2, seed=1)
    sgd = implementation.make("sgd", learning_rate=0.1)

    def train(seed, shuffle):
        net = make_network([3, 2], [(numbers(2, 3, seed=2), [0.0, 0.0])], seed=seed)
        net.fit(X, y, epochs=2, batch_size=2, shuffle=shuffle, optimizer=sgd)
        return parameters_of(net)

    assert train(1, True) == train(1, True) != train(2, True)
    assert train(1, False) == train(2, False)
    by_hand = make_network([3, 2], [(numbers(2, 3, seed=2), [0.0, 0.0])])
    for i in [0, 2, 4, 6] * 2:
        by_hand.train_on_batch(X[i : i + 2], y[i : i + 2], sgd)
    assert train(1, False) == exactly(parameters_of(by_hand))


def test_until_unseen_data_are_classified(implementation, make_network):
    generator = random.Random(3)
    X = [[generator.gauss(2 * (i % 2) - 1, 0.4), generator.gauss(0, 1)] for i in range(120)]
    labels = [i % 2 for i in range(120)]
    net = make_network([2, 4, 2], activation="tanh", loss="cross_entropy", seed=0)
    history = net.fit(
        X[:80],
        labels[:80],
        epochs=200,
        batch_size=8,
        validation_data=(X[80:], labels[80:]),
        callbacks=[lambda epoch, logs: logs["val_accuracy"] >= 0.95],
    )
    assert len(history["loss"]) < 200
    assert history["val_accuracy"][-1] >= 0.95 > max(history["val_accuracy"][:-1], default=0.0)
    right = sum(guess == label for guess, label in zip(as_lists(net.classify(X[80:])), labels[80:], strict=True))
    assert net.evaluate(X[80:], labels[80:])["accuracy"] == right / 40  # E-19: on test samples


def test_e17_a_weight_before_the_last_layer_acts_on_several_paths(make_network):
    layers = [(numbers(4, 3), [0.1] * 4), (numbers(2, 4, seed=1), [0.2] * 2)]
    words = {"activation": "sigmoid", "output_activation": "sigmoid", "loss": "squared_error"}
    net = make_network([3, 4, 2], layers, **words)
    x, t = [0.5, -1.0, 0.7], [1.0, 0.0]
    h, y = as_lists(net.activations(x))
    w = layers[1][0]
    paths = [2 * (y[j] - t[j]) * y[j] * (1 - y[j]) * w[j][0] * h[0] * (1 - h[0]) * x[0] for j in range(2)]
    slope = gradient_of(net, x, t)[1][0]
    assert slope == exactly(sum(paths))
    assert all(abs(path / slope - 1) > 0.01 for path in paths)
    costs = []
    for step in (1e-6, -1e-6):
        moved = [row[:] for row in layers[0][0]]
        moved[0][0] += step
        costs.append(float(make_network([3, 4, 2], [(moved, [0.1] * 4), layers[1]], **words).evaluate(x, t)["loss"]))
    assert slope == pytest.approx((costs[0] - costs[1]) / 2e-6, rel=1e-6)


# --- essay, section 4: the worked gradient; W_11 = 0.15, a(n_1^2) = 0.8, AS = 0.5, E = 1 ---

EXACT_SLOPE = -0.14195753421


def worked(make_network, w=0.15):
    """One weight 0.15 on an activation of 0.8, and a bias that makes the activation sum 0.5."""
    words = {"output_activation": "sigmoid", "loss": "squared_error"}
    return make_network([1, 1], [([[w]], [0.5 - 0.15 * 0.8])], **words)


def test_the_worked_gradient(implementation, make_network):
    net = worked(make_network)
    assert as_lists(net.pre_activations([0.8]))[0] == exactly([0.5])
    a = as_lists(net.predict([0.8]))[0]
    assert round(a, 4) == 0.6225
    assert round(2 * (0.6225 - 1), 3) == -0.755
    assert 2 * (a - 1) == pytest.approx(-0.755081338, abs=5e-10)
    slope = implementation.value("sigmoid", 0.5, derivative=True)
    assert round(slope, 3) == 0.235
    assert slope == pytest.approx(0.235003712, abs=5e-10)
    assert slope == exactly(math.exp(-0.5) / (1 + math.exp(-0.5)) ** 2)
    assert slope == exactly(a * (1 - a))
    _, (dw, db) = gradient_of(net, [0.8], 1.0)
    assert round(dw, 3) == round(-0.755 * 0.235 * 0.8, 3) == -0.142
    assert exactly(-0.14194) == -0.755 * 0.235 * 0.8
    assert dw == exactly(2 * (S(0.5) - 1) * S(0.5) * (1 - S(0.5)) * 0.8)
    assert dw == pytest.approx(EXACT_SLOPE, abs=5e-10)
    assert db == pytest.approx(-0.177446917, abs=5e-10)  # the paper's dC/db
    dx = as_lists(net.input_gradient([0.8], 1.0))[0]
    assert dx == exactly(0.15 * db)  # the paper's dC/da^{L-1}


def test_the_second_output_does_not_matter(make_network):
    for second in (-3.0, 0.0, 2.0):
        layer = ([[0.15, 0.3], [second, second]], [0.5 - 0.15 * 0.8 - 0.3 * 0.4, second])
        net = make_network([2, 2], [layer], output_activation="sigmoid", loss="squared_error")
        assert gradient_of(net, [0.8, 0.4], [1.0, 1.0])[1][0] == pytest.approx(EXACT_SLOPE, abs=5e-10)


def test_e1_the_new_weight_is_0_1571(implementation, make_network):
    net = worked(make_network)
    assert net.train_on_batch([[0.8]], [[1.0]], implementation.make("sgd", learning_rate=0.05)) == pytest.approx(
        0.142537, abs=5e-7
    )
    new = as_lists(net.weights[0])[0][0]
    assert round(new, 4) == 0.1571  # printed: 0.1271
    assert new == pytest.approx(0.157097877, abs=5e-10)
    costs = [float(worked(make_network, w).evaluate([0.8], 1.0)["loss"]) for w in (0.15, new, 0.1271)]
    assert costs == pytest.approx([0.142537, 0.141532, 0.145814], abs=1e-6)
    assert costs[1] < costs[0] < costs[2]


def test_update_after_each_sample(implementation, make_network):
    X, y = numbers(7, 3), numbers(7, 2, seed=1)
    sgd = implementation.make("sgd", learning_rate=0.1)
    fitted, loop = (make_network([3, 4, 2], activation="sigmoid", seed=1) for _ in range(2))
    fitted.fit(X, y, epochs=1, batch_size=1, shuffle=False, optimizer=sgd)
    seen = [parameters_of(loop)]
    for x, t in zip(X, y, strict=True):
        loop.train_on_batch(x, t, sgd)
        seen.append(parameters_of(loop))
    assert parameters_of(fitted) == exactly(seen[-1])
    assert all(a != b for a, b in itertools.pairwise(seen))
