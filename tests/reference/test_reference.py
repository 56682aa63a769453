"""The reference network: formulas, gradients, random stream, prediction, each against an independent oracle.

The reference is loaded by its path, so these tests need no compiled package. The oracles are central differences,
published test vectors, and statistics of the distributions. Training is tested in `test_reference_training.py`.
"""

from __future__ import annotations

import itertools
import math
import statistics
import subprocess
import sys

import pytest

from implementations import REFERENCE, load_reference, named, numbers

reference = load_reference()
functions, losses = reference.functions, reference.losses
Network = reference.Network


def central_differences(f, values, step=1e-6):
    slopes = []
    for i, value in enumerate(values):
        ends = []
        for moved in (value + step, value - step):
            ends.append(f([*values[:i], moved, *values[i + 1 :]]))
        slopes.append((ends[0] - ends[1]) / (2 * step))
    return slopes


# --- the package by itself ---

ALONE = """
import sys
sys.path.append(sys.argv[1])
import reference
reference.Network([2, 3, 1]).fit([[0.0, 1.0], [1.0, 0.0]], [0.0, 1.0], epochs=1)
print(*sorted({name.split(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)))
"""


def test_needs_the_standard_library_alone():
    command = [sys.executable, "-I", "-S", "-c", ALONE, str(REFERENCE.parent)]  # -S: no installed packages
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output.split() == ["__main__", "reference"]


# --- activations ---

ACTIVATIONS = [
    named("identity"),
    named("sigmoid", beta=1.0),
    named("sigmoid", beta=-2.5),
    named("tanh"),
    named("relu"),
    named("piecewise_linear", x_min=-0.75, x_max=1.25),
    named("gaussian", mu=0.25, sigma=0.7),
    named("leaky_relu", negative_slope=0.2),
    named("elu", alpha=0.6),
    named("selu"),
    named("gelu", approximate="none"),
    named("gelu", approximate="tanh"),
    named("silu"),
    named("mish"),
    named("softplus", beta=1.5),
    named("softsign"),
    named("hard_sigmoid"),
    named("hard_tanh", min_val=-1.25, max_val=0.75),
    named("sine", omega=1.5),
    named("stepwise_sigmoid"),
    named("stepwise_tanh"),
    named("custom", functions=(math.atan, lambda z: 1 / (1 + z * z))),
]


def function_and_derivative(activation):
    fields = {name: value for name, value in vars(activation).items() if name != "name"}
    value = getattr(functions, activation.name)
    derivative = getattr(functions, activation.name + "_derivative")
    return (lambda z: value(z, **fields)), (lambda z: derivative(z, **fields))


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_derivatives_of_activations(activation):
    f, df = function_and_derivative(activation)
    for z in [-6.3, -1.2, -0.4, 0.3, 0.9, 1.7, 5.1]:
        assert df(z) == pytest.approx((f(z + 1e-6) - f(z - 1e-6)) / 2e-6, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("beta", [1.0, -1.0, 0.5, 40.0])
def test_sigmoid_does_not_overflow(beta):
    for z in [1000.0, -1000.0, math.inf, -math.inf]:
        assert functions.sigmoid(z, beta) == pytest.approx(float(z * beta > 0), abs=1e-200)
        assert functions.sigmoid_derivative(z, beta) == pytest.approx(0.0, abs=1e-200)
        assert functions.tanh_derivative(z) == 0.0
    assert losses.binary_cross_entropy([1000.0], [1.0]) == 0.0
    assert losses.binary_cross_entropy([1000.0], [0.0]) == 1000.0
    assert losses.binary_cross_entropy([-1000.0], [0.25]) == 250.0
    assert losses.cross_entropy([1000.0, 0.0, -1000.0], [0.0, 0.0, 1.0]) == 2000.0
    assert losses.cross_entropy([-1000.0, -1000.0], [0.5, 0.5]) == pytest.approx(math.log(2), rel=1e-15)


def test_confident_cross_entropies_keep_their_digits():
    assert losses.binary_cross_entropy([50.0], [1.0]) == pytest.approx(math.exp(-50), rel=1e-12, abs=0)
    assert losses.binary_cross_entropy([-50.0], [0.0]) == pytest.approx(math.exp(-50), rel=1e-12, abs=0)
    assert losses.cross_entropy([50.0, 0.0], [1.0, 0.0]) == pytest.approx(math.exp(-50), rel=1e-12, abs=0)
    assert functions.tanh_derivative(20.0) == pytest.approx(1 / math.cosh(20) ** 2, rel=1e-12, abs=0)
    assert functions.sigmoid_derivative(40.0) == pytest.approx(math.exp(-40), rel=1e-12, abs=0)


@pytest.mark.parametrize("name", sorted({"threshold", *(f.name for f in ACTIVATIONS if f.name != "custom")}))
def test_activations_pass_nan_through(name):
    assert math.isnan(getattr(functions, name)(math.nan))


def test_softmax_passes_nan_through_and_is_a_distribution():
    assert all(map(math.isnan, functions.softmax([0.0, math.nan, 1.0])))
    y = functions.softmax([1000.0, 999.0, -1000.0])
    assert sum(y) == pytest.approx(1.0, rel=1e-15)
    assert y[0] / y[1] == pytest.approx(math.e, rel=1e-12)


# --- gradients: every loss, activation and depth ---

PAIRS = [
    (loss, output)
    for loss in ("mse", "squared_error", "half_squared_error")
    for output in ("identity", "sigmoid", "tanh", "relu", "piecewise_linear", "gaussian")
] + [
    ("binary_cross_entropy", "sigmoid"),
    ("binary_cross_entropy", named("sigmoid", beta=2.5)),
    ("cross_entropy", "softmax"),
]


def check_gradients(net, X, y):
    """Check both gradients against central differences of `evaluate`, which shares no code with backpropagation."""
    twin = net.copy()

    def loss_at(P):
        twin.parameters = P
        return twin.evaluate(X, y)["loss"]

    loss, gradient = net.loss_and_grad(X, y)
    assert loss == net.evaluate(X, y)["loss"]
    assert gradient == pytest.approx(central_differences(loss_at, net.parameters), rel=1e-6, abs=1e-8)

    n_inputs = net.sizes[0]

    def loss_of(flat):
        return net.evaluate([flat[i : i + n_inputs] for i in range(0, len(flat), n_inputs)], y)["loss"]

    slopes = central_differences(loss_of, list(itertools.chain(*X)))
    assert list(itertools.chain(*net.input_gradient(X, y))) == pytest.approx(slopes, rel=1e-6, abs=1e-8)
    return gradient


@pytest.mark.parametrize("hidden", ACTIVATIONS, ids=repr)
@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize(("loss", "output"), PAIRS, ids=str)
def test_gradients(loss, output, n_layers, hidden):
    sizes = [*[3, 5, 4][:n_layers], 2]
    net = Network(sizes, activation=hidden, output_activation=output, loss=loss, init="normal", seed=n_layers)
    X = numbers(3, 3, seed=7)
    y = [[0.2, 0.9], [1.0, 0.0], [0.5, 0.25]]
    gradient = check_gradients(net, X, y)
    assert output in ("relu", "piecewise_linear") or any(gradient)


def test_gradients_of_labels_and_of_a_single_row():
    net = Network([3, 4, 3], activation="tanh", loss="cross_entropy", seed=3)
    X = numbers(4, 3)
    one_hot = [[float(o == label) for o in range(3)] for label in [2, 0, 1, 2]]
    check_gradients(net, X, [2, 0, 1, 2])
    assert net.loss_and_grad(X, [2, 0, 1, 2]) == net.loss_and_grad(X, one_hot)
    for target in (2, [0.0, 0.0, 1.0]):
        assert net.loss_and_grad(X[0], target) == net.loss_and_grad(X[:1], [2])
        assert net.input_gradient(X[0], target) == net.input_gradient(X[:1], [2])[0]
        assert net.evaluate(X[0], target) == net.evaluate(X[:1], [2])


# --- the random stream ---


def test_splitmix64_vectors():
    stream = reference.SplitMix64(1234567)
    assert [stream.next() for _ in range(5)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_draws_are_made_of_the_stream():
    bits = reference.SplitMix64(1234567)
    first, second = bits.next(), bits.next()
    assert reference.SplitMix64(1234567).uniform() == (first >> 11) / 2**53
    assert reference.SplitMix64(1234567).below(10) == first * 10 // 2**64
    u, v = (first >> 11) / 2**53, (second >> 11) / 2**53
    expected = math.sqrt(-2 * math.log(1 - u)) * math.cos(2 * math.pi * v)
    assert reference.SplitMix64(1234567).normal() == pytest.approx(expected, rel=1e-15)
    assert reference.SplitMix64(2**64 - 1).state == 2**64 - 1


def test_permutation_is_fisher_yates_from_the_last_place():
    bits = reference.SplitMix64(5)
    expected = list(range(7))
    for i in [6, 5, 4, 3, 2, 1]:
        j = bits.next() * (i + 1) // 2**64
        expected[i], expected[j] = expected[j], expected[i]
    stream = reference.SplitMix64(5)
    assert stream.permutation(7) == expected
    assert stream.state == bits.state


def test_permutations_are_uniform():
    stream = reference.SplitMix64(0)
    counts = dict.fromkeys(itertools.permutations(range(4)), 0)
    for _ in range(4800):
        counts[tuple(stream.permutation(4))] += 1
    chi_square = sum((count - 200) ** 2 / 200 for count in counts.values())
    assert chi_square < 49.7  # the 0.999 quantile for 23 degrees of freedom


def test_statistics_of_draws():
    stream = reference.SplitMix64(11)
    uniforms = [stream.uniform() for _ in range(20000)]
    normals = [stream.normal() for _ in range(20000)]
    assert min(uniforms) >= 0.0
    assert max(uniforms) < 1.0
    assert statistics.fmean(uniforms) == pytest.approx(0.5, abs=0.01)
    assert statistics.fmean(normals) == pytest.approx(0.0, abs=0.03)
    assert statistics.stdev(normals) == pytest.approx(1.0, abs=0.02)
    assert statistics.fmean(abs(v) < 1.0 for v in normals) == pytest.approx(0.6827, abs=0.015)


# --- initial parameters ---


@pytest.mark.parametrize(
    ("init", "activation", "limit"),
    [
        ("auto", "relu", math.sqrt(6 / 100)),
        ("auto", "tanh", math.sqrt(6 / 160)),
        ("glorot_uniform", "relu", math.sqrt(6 / 160)),
        ("he_uniform", "tanh", math.sqrt(6 / 100)),
    ],
)
def test_uniform_bounds(init, activation, limit):
    net = Network([100, 60, 3], activation=activation, init=init, seed=1)
    values = list(itertools.chain(*net.weights[0]))
    assert max(map(abs, values)) == pytest.approx(limit, rel=0.01)
    assert max(map(abs, values)) <= limit
    assert statistics.stdev(values) == pytest.approx(limit / math.sqrt(3), rel=0.03)
    assert set(itertools.chain(*net.biases)) == {0.0}


@pytest.mark.parametrize(("init", "deviation"), [("lecun_normal", 0.1), ("normal", 1.0)])
def test_normal_deviations(init, deviation):
    net = Network([100, 60, 3], init=init, seed=1)
    assert statistics.stdev(itertools.chain(*net.weights[0])) == pytest.approx(deviation, rel=0.03)
    assert any(net.biases[0]) == (init == "normal")


def test_order_of_the_draws():
    stream = reference.SplitMix64(9)
    net = Network([2, 3, 1], init="normal", seed=9)
    assert net.parameters == [stream.normal() for _ in range(13)]
    stream = reference.SplitMix64(9)
    net = Network([2, 3, 1], activation="relu", output_activation="tanh", seed=9)
    he, glorot = math.sqrt(6 / 2), math.sqrt(6 / 4)
    assert net.weights[0] == [[(2 * stream.uniform() - 1) * he for _ in range(2)] for _ in range(3)]
    assert net.weights[1] == [[(2 * stream.uniform() - 1) * glorot for _ in range(3)]]


def test_seeds():
    assert Network([3, 2], seed=4).parameters == Network([3, 2], seed=4).parameters
    assert Network([3, 2], seed=4).parameters != Network([3, 2], seed=5).parameters
    assert Network([3, 2]).parameters != Network([3, 2]).parameters
    assert Network([3, 2]).seed is None


# --- prediction and the network as a whole ---


def test_rows_and_batches():
    net = Network([3, 4, 2], activation="tanh", output_activation="sigmoid", seed=1)
    X = numbers(5, 3)
    assert net(X) == net.predict(X) == net.activations(X)[-1] == [net.predict(x) for x in X]
    assert [len(layer) for layer in net.activations(X[0])] == [4, 2]
    z, y = net.pre_activations(X), net.activations(X)
    assert [[math.tanh(v) for v in row] for row in z[0]] == y[0]
    assert [[functions.sigmoid(v) for v in row] for row in z[1]] == y[1]
    assert net.classify(X) == [int(row[1] > row[0]) for row in net(X)]
    assert net.classify(X[0]) == net.classify(X)[0]


def test_classes():
    net = Network([2, 3])
    net.set_layer(0, [[1, 0], [1, 0], [0, 1]], [0, 0, 0])
    assert net.classify([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]) == [0, 2, 0]
    net = Network([1, 1])
    net.set_layer(0, [[1]], [0])
    assert net.classify([[0.5], [math.nextafter(0.5, 1)]]) == [0, 1]


def test_accuracy_by_hand():
    net = Network([2, 2], loss="cross_entropy")
    net.set_layer(0, [[1, 0], [0, 1]], [0, 0])
    X = [[1, 0], [0, 1], [2, 1], [3, 3]]
    assert net.evaluate(X, [0, 1, 1, 0])["accuracy"] == 0.75
    assert net.evaluate(X, [[1, 0], [0, 1], [0.4, 0.6], [0.5, 0.5]])["accuracy"] == 0.75
    net = Network([1, 1], loss="binary_cross_entropy")
    net.set_layer(0, [[1]], [0])
    assert net.evaluate([[1], [-1], [0], [-2]], [1, 0, 0, 1])["accuracy"] == 0.75
    assert "accuracy" not in Network([1, 1]).evaluate([[1]], [1])


def test_fold_linear():
    net = Network([3, 5, 4, 6, 2], activation=["identity", "tanh", "linear"], init="normal", seed=5)
    folded = net.fold_linear()
    assert folded.sizes == (3, 4, 2)
    assert folded._random.state == net._random.state
    assert [choice.name for choice in folded.activation] == ["tanh"]
    X = numbers(6, 3)
    for row, expected in zip(folded(X), net(X), strict=True):
        assert row == pytest.approx(expected, rel=1e-12)
    one = Network([2, 2, 2, 1], activation="identity", seed=5).fold_linear()
    assert one.sizes == (2, 1)


def test_what_is_read_is_a_copy():
    net = Network([3, 4, 2], seed=5)
    net.weights[0][0][0] = 99.0
    net.biases[0][0] = 99.0
    net.parameters[0] = 99.0
    assert 99.0 not in net.parameters


def test_parameters_and_layers():
    net = Network([2, 3, 1])
    net.parameters = list(range(13))
    assert net.n_parameters == 13
    assert net.weights == [[[0, 1], [2, 3], [4, 5]], [[9, 10, 11]]]
    assert net.biases == [[6, 7, 8], [12]]
    net.set_layer(-1, [[1, 2, 3]], [4])
    assert net.parameters[9:] == [1, 2, 3, 4]


def test_names_and_text():
    net = Network([2, 3, 1], activation="logistic", output_activation="linear", loss="half_squared_error", seed=3)
    assert (net.activation[0].name, net.output_activation.name) == ("sigmoid", "identity")
    assert (net.sizes, net.loss.name, net.init, net.seed) == ((2, 3, 1), "half_squared_error", "auto", 3)
    assert "13 parameters" in net.summary()
    assert "sigmoid" in net.summary()
    assert repr(net).startswith("Network([2, 3, 1], activation=")
    named = [loss for loss in losses.LOSSES if loss != "custom"]
    assert {loss: Network([1, 2], loss=loss).output_activation.name for loss in named} == {
        **dict.fromkeys(named, "identity"),
        **dict.fromkeys(["binary_cross_entropy", "binary_focal"], "sigmoid"),
        **dict.fromkeys(["cross_entropy", "focal"], "softmax"),
    }


def test_a_gaussian_nll_that_overflows_is_infinite() -> None:
    """A loss that overflows is infinite, as in the core, and raises no OverflowError."""
    net = reference.Network([1, 2], loss="gaussian_nll", init="normal", seed=0)
    net.set_layer(0, [[1e200], [0.0]], [0.0, 0.0])
    assert net.evaluate([[1.0]], [0.0])["loss"] == math.inf
