"""Every number of Lopez Davila's paper and of other cited networks, on every implementation: formulas, figures, errata.

docs/errata.md names the sources, and its errata have the names E-1, P-4 and so on. Printed numbers are checked to their
printed digits, and the exact numbers to 1e-12; for an erratum, both the printed and the correct value are checked. The
oracles are loops written here, and central differences for statements about derivatives.
"""

from __future__ import annotations

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


# --- paper, sections 2 and 3: weighted sums and the table of functions ---


def test_p5_p6_a_row_for_each_neuron(make_network):
    w, b, a = [[1.0, -2.0, 3.0, 0.5], [0.25, 4.0, -1.0, 2.0]], [0.5, -1.5], [2.0, 1.0, -1.0, 4.0]  # k = 1, n = 3
    net = make_network([4, 2], [(w, b)])
    z = [sum(w_ij * a_j for w_ij, a_j in zip(row, a, strict=True)) + b_i for row, b_i in zip(w, b, strict=True)]  # P-7
    assert as_lists(net.predict(a)) == exactly(z)
    assert z == [-0.5, 12.0]
    with pytest.raises(ValueError, match="b"):
        net.set_layer(0, w, [0.0] * 4)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.5])
def test_sigmoid_with_slope(implementation, make_network, beta):
    for x in [-3.0, -0.4, 0.0, 0.7, 2.0]:
        f = 1 / (1 + math.exp(-beta * x))
        assert implementation.value("sigmoid", x, beta=beta) == exactly(f)
        assert implementation.value("sigmoid", x, derivative=True, beta=beta) == exactly(beta * f * (1 - f))
        net = make_network(
            [1, 1],
            [([[1.0]], [0.0])],
            output_activation=implementation.make("sigmoid", beta=beta),
            loss="binary_cross_entropy",
        )
        assert gradient_of(net, [x], 1.0)[1][1] == exactly(beta * (f - 1))


def test_p9_piecewise_linear(implementation):
    ends = {"x_min": -0.5, "x_max": 1.5}
    m, b = 1 / 2, 0.25  # m = 1 / (x_max - x_min), b = -x_min / (x_max - x_min)
    for x in [-0.4, 0.0, 0.3, 1.4]:
        assert implementation.value("piecewise_linear", x, **ends) == exactly(m * x + b)
        assert implementation.value("piecewise_linear", x, derivative=True, **ends) == m
    for x, value in [(-0.5, 0.0), (-7.0, 0.0), (1.5, 1.0), (7.0, 1.0)]:
        assert implementation.value("piecewise_linear", x, **ends) == value
        assert implementation.value("piecewise_linear", x, derivative=True, **ends) == 0.0


@pytest.mark.parametrize(("x_min", "x_max"), [(1.0, 1.0), (2.0, 1.0), (math.nan, 1.0), (0.0, math.inf)])
def test_p9_a_ramp_rises(implementation, make_network, x_min, x_max):
    with pytest.raises(ValueError, match="x_m"):
        make_network([1, 1], output_activation=implementation.make("piecewise_linear", x_min=x_min, x_max=x_max))


@pytest.mark.parametrize("sigma", [0.25, 0.7, 2.0, 4.0])
def test_p2_the_gaussian_is_a_density(implementation, sigma):
    mu, step = 0.5, sigma / 20
    area = step * sum(implementation.value("gaussian", mu + k * step, mu=mu, sigma=sigma) for k in range(-240, 241))
    assert area == exactly(1.0)
    printed = area * math.sqrt(2 * math.pi) * sigma / math.sqrt(2 * math.pi * sigma)
    assert printed == exactly(math.sqrt(sigma))  # 0.5 for 0.25, 2.0 for 4
    for x in (mu - 0.9 * sigma, mu, mu + 0.4 * sigma):
        f = math.exp(-((x - mu) ** 2) / (2 * sigma**2)) / (math.sqrt(2 * math.pi) * sigma)
        assert implementation.value("gaussian", x, mu=mu, sigma=sigma) == exactly(f)
        slope = implementation.value("gaussian", x, derivative=True, mu=mu, sigma=sigma)
        assert slope == exactly(-(x - mu) / sigma**2 * f)


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan])
def test_gaussian_refuses_a_deviation_of_0(implementation, make_network, sigma):
    with pytest.raises(ValueError, match="sigma"):
        make_network([1, 1], output_activation=implementation.make("gaussian", mu=0.0, sigma=sigma))


def test_p10_threshold(implementation):
    for x, value in [(0.0, 1.0), (-0.0, 1.0), (1e-300, 1.0), (-1e-300, 0.0), (7.0, 1.0), (-7.0, 0.0)]:
        assert implementation.value("threshold", x) == value
        assert implementation.value("threshold", x, derivative=True) == 0.0
    assert math.isnan(implementation.value("threshold", math.nan))


def test_p20_tanh_is_the_hyperbolic_tangent(implementation):
    for x in [-3.0, -1e-3, 0.0, 0.5, 4.0]:
        y = implementation.value("tanh", x)
        assert y == exactly(math.tanh(x))
        assert y == exactly(2 * implementation.value("sigmoid", 2 * x) - 1)
        assert implementation.value("tanh", x, derivative=True) == exactly(1 - y * y)


def solve(A, y):
    """Return the solution of A v = y, by Gaussian elimination with fractions."""
    rows = [[Fraction(v) for v in (*row, b)] for row, b in zip(A, y, strict=True)]
    for i in range(len(rows)):
        pivot = next(k for k in range(i, len(rows)) if rows[k][i])
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [v / rows[i][i] for v in rows[i]]
        for k in range(len(rows)):
            if k != i:
                rows[k] = [a - rows[k][i] * b for a, b in zip(rows[k], rows[i], strict=True)]
    return [float(row[-1]) for row in rows]


def test_without_activations_it_is_linear_regression(implementation, make_network):
    X, noise = numbers(12, 3, seed=1), numbers(12, 1, seed=2)
    y = [[x[0] - 2 * x[1] + 0.5 * x[2] + 0.3 + 0.2 * e[0]] for x, e in zip(X, noise, strict=True)]
    design = [[*x, 1.0] for x in X]
    normal = [[math.fsum(row[i] * row[j] for row in design) for j in range(4)] for i in range(4)]
    best = solve(normal, [math.fsum(row[i] * t[0] for row, t in zip(design, y, strict=True)) for i in range(4)])
    net = make_network([3, 2, 1], activation="identity", loss="half_squared_error", seed=1)
    sgd = implementation.make("sgd", learning_rate=0.2, momentum=0.8)
    net.fit(X, y, epochs=2000, batch_size=None, optimizer=sgd)
    folded = net.fold_linear()
    found = [*as_lists(folded.weights[0])[0], *as_lists(folded.biases[0])]
    assert found == pytest.approx(best, abs=1e-9)
    assert flat(as_lists(net.predict(X))) == pytest.approx(
        [sum(a * v for a, v in zip(row, best, strict=True)) for row in design], abs=1e-9
    )


def test_composition_of_affine_maps(make_network):
    (w1, b1), (w2, b2) = (numbers(4, 3), [0.1, 0.2, 0.3, 0.4]), (numbers(2, 4, seed=1), [0.5, -0.5])
    net = make_network([3, 4, 2], [(w1, b1), (w2, b2)], activation="identity")
    W = [[sum(w2[i][k] * w1[k][j] for k in range(4)) for j in range(3)] for i in range(2)]
    B = [sum(w2[i][k] * b1[k] for k in range(4)) + b2[i] for i in range(2)]
    folded = net.fold_linear()
    assert [len(layer) for layer in as_lists(folded.weights)] == [2]
    assert as_lists(folded.weights[0]) == [exactly(row) for row in W]
    assert as_lists(folded.biases[0]) == exactly(B)
    assert as_lists(net.predict([0.0] * 3)) == exactly(B)  # P-8: affine, f(0) = B, not linear
    x = [0.3, -0.6, 0.9]
    assert as_lists(folded.predict(x)) == exactly(as_lists(net.predict(x)))
    curved = make_network([3, 4, 2], [(w1, b1), (w2, b2)], activation="tanh").fold_linear()
    assert len(curved.weights) == 2  # h = sigma(W a + b) does not fold


@pytest.mark.parametrize(("activation", "limit"), [("tanh", math.sqrt(6 / 80)), ("relu", math.sqrt(6 / 50))])
def test_p18_bounds_of_glorot_and_bengio(make_network, activation, limit):
    values = flat(as_lists(make_network([50, 30, 2], activation=activation, seed=1).weights[0]))
    assert max(map(abs, values)) <= limit
    assert max(map(abs, values)) == pytest.approx(limit, rel=0.01)
    assert statistics.pstdev(values) == pytest.approx(limit / math.sqrt(3), rel=0.05)


# --- paper, section 4: classes and losses ---


def test_p16_two_nodes_or_one(make_network):
    two = make_network([2, 2], [([[1, 0], [0, 1]], [0, 0])])
    assert as_lists(two.classify([[0.2, 0.9], [0.9, 0.2], [0.7, 0.7]])) == [1, 0, 0]  # the lowest index on a tie
    one = make_network([1, 1], [([[1]], [0])], output_activation="sigmoid")
    assert as_lists(one.classify([[0.1], [-0.1], [0.0]])) == [1, 0, 0]  # which a tie is for here, too


def test_p4_three_squared_errors(make_network):
    values, gradients = {}, {}
    for loss in ("squared_error", "half_squared_error", "mse"):
        layer = ([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], [0.0] * 3)
        net = make_network([2, 3], [layer], loss=loss)
        values[loss], gradients[loss] = gradient_of(net, [1.0, 3.0], [0.5, 1.0, 3.0])
    error = [0.5, 2.0, 1.0]
    square = sum(e * e for e in error)
    assert values == {"squared_error": square, "half_squared_error": square / 2, "mse": exactly(square / 3)}
    assert gradients["half_squared_error"][-3:] == exactly(error)
    for loss, factor in [("squared_error", 2), ("half_squared_error", 1), ("mse", 2 / 3)]:
        assert gradients[loss] == exactly([factor * g for g in gradients["half_squared_error"]])


@pytest.mark.parametrize(
    ("label", "y", "value"), [(1.0, 0.9, 0.10536), (0.0, 0.2, 0.22314), (0.3, 0.4, None), (0.5, 0.5, None)]
)
def test_p1_cross_entropy(make_network, label, y, value):
    net = make_network([1, 1], [([[1.0]], [0.0])], loss="binary_cross_entropy")
    loss, (_, db) = gradient_of(net, [math.log(y / (1 - y))], label)
    assert loss == exactly(-(label * math.log(y) + (1 - label) * math.log(1 - y)))
    assert db == exactly(y - label)
    assert value is None or round(loss, 5) == value


def test_p1_cross_entropy_of_saturated_outputs_is_finite(make_network):
    net = make_network([1, 1], [([[1.0]], [0.0])], loss="binary_cross_entropy")
    assert [gradient_of(net, [z], t)[0] for z, t in [(800.0, 0.0), (-800.0, 1.0), (800.0, 1.0)]] == [800.0, 800.0, 0.0]
    net = make_network([1, 2], [([[1.0], [-1.0]], [0.0, 0.0])], loss="cross_entropy")
    assert gradient_of(net, [[500.0]], [1])[0] == 1000.0


# --- paper, section 5: backpropagation ---


def test_one_node_in_each_layer_by_hand(make_network):
    w, b, x, t = [0.7, -1.2, 0.9], [0.1, 0.2, -0.3], 0.6, 1.0
    words = {"activation": "sigmoid", "output_activation": "sigmoid", "loss": "squared_error"}
    net = make_network([1, 1, 1, 1], [([[w_l]], [b_l]) for w_l, b_l in zip(w, b, strict=True)], **words)
    a = [x]
    for w_l, b_l in zip(w, b, strict=True):
        a.append(S(w_l * a[-1] + b_l))
    expected, da = [], 2 * (a[3] - t)
    for layer in (2, 1, 0):
        dz = a[layer + 1] * (1 - a[layer + 1]) * da
        expected = [a[layer] * dz, dz, *expected]  # dC/dw = a^{L-1} s'(z) 2 (a - y), dC/db = s'(z) 2 (a - y)
        da = w[layer] * dz  # dC/da^{L-1} = w s'(z) 2 (a - y)
    loss, gradient = gradient_of(net, [x], t)
    assert loss == exactly((a[3] - t) ** 2)
    assert gradient == exactly(expected)
    assert as_lists(net.input_gradient([x], t)) == exactly([da])


def test_many_nodes_index_by_index(make_network):
    (w1, b1), (w2, b2) = (numbers(4, 3), [0.1, 0.2, 0.3, 0.4]), (numbers(2, 4, seed=1), [0.5, -0.5])
    X, Y = numbers(6, 3, seed=2), [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]] * 2
    sums = [0.0] * 26
    for x, t in zip(X, Y, strict=True):
        h = [S(sum(w1[k][i] * x[i] for i in range(3)) + b1[k]) for k in range(4)]
        a = [S(sum(w2[j][k] * h[k] for k in range(4)) + b2[j]) for j in range(2)]
        delta2 = [a[j] * (1 - a[j]) * 2 * (a[j] - t[j]) for j in range(2)]
        dh = [sum(w2[j][k] * delta2[j] for j in range(2)) for k in range(4)]  # P-12: dC/da_k = sum over j
        delta1 = [h[k] * (1 - h[k]) * dh[k] for k in range(4)]
        one = [delta1[k] * x[i] for k in range(4) for i in range(3)] + delta1
        one += [delta2[j] * h[k] for j in range(2) for k in range(4)] + delta2
        sums = [
            s + g / 6 for s, g in zip(sums, one, strict=True)
        ]  # P-11: averaged over the examples, each weight on its own
    words = {"activation": "sigmoid", "output_activation": "sigmoid", "loss": "squared_error"}
    net = make_network([3, 4, 2], [(w1, b1), (w2, b2)], **words)
    assert gradient_of(net, X, Y)[1] == exactly(sums)  # in the order dw1, db1, dw2, db2
    assert parameters_of(net) == exactly([*flat(w1), *b1, *flat(w2), *b2])


def test_gradient_at_the_input_against_differences(make_network):
    net = make_network([3, 4, 2], activation="sigmoid", output_activation="sigmoid", loss="squared_error", seed=2)
    x, t = [0.4, -0.3, 0.8], [1.0, 0.0]
    slopes = []
    for i in range(3):
        ends = [[*x[:i], x[i] + step, *x[i + 1 :]] for step in (1e-6, -1e-6)]
        costs = [float(net.evaluate(end, t)["loss"]) for end in ends]
        slopes.append((costs[0] - costs[1]) / 2e-6)
    assert as_lists(net.input_gradient(x, t)) == pytest.approx(slopes, rel=1e-6, abs=1e-9)


def test_p14_too_large_a_rate_diverges(implementation, make_network):
    X, y = numbers(8, 3), numbers(8, 2, seed=1)
    net = make_network([3, 4, 2], activation="identity", seed=1)
    with pytest.raises(FloatingPointError):
        net.fit(X, y, epochs=2000, optimizer=implementation.make("sgd", learning_rate=50.0))
    assert all(map(math.isfinite, parameters_of(net)))
    net = make_network([3, 4, 2], activation="identity", seed=1)
    losses = net.fit(X, y, epochs=200, optimizer=implementation.make("sgd", learning_rate=0.01))["loss"]
    assert losses[-1] < losses[0]


# --- the cited networks ---


def test_nielsen_one_mini_batch(implementation, make_network):
    sizes, eta = [784, 30, 10], 3.0
    net = make_network(
        sizes,
        activation="sigmoid",
        output_activation="sigmoid",
        loss="half_squared_error",
        init="normal",
        seed=0,
    )
    generator = random.Random(1)
    X = [[generator.random() * (generator.random() < 0.19) for _ in range(784)] for _ in range(10)]
    labels = [generator.randrange(10) for _ in range(10)]
    w, b = as_lists(net.weights), as_lists(net.biases)
    nabla_w = [[[0.0] * len(row) for row in layer] for layer in w]
    nabla_b = [[0.0] * len(layer) for layer in b]
    for x, label in zip(X, labels, strict=True):
        a = [x]
        for w_l, b_l in zip(w, b, strict=True):
            a.append([S(math.fsum(map(float.__mul__, row, a[-1])) + bias) for row, bias in zip(w_l, b_l, strict=True)])
        delta = [(v - (o == label)) * v * (1 - v) for o, v in enumerate(a[-1])]
        for layer in (1, 0):
            for o, d in enumerate(delta):
                nabla_b[layer][o] += d
                nabla_w[layer][o] = [g + d * v for g, v in zip(nabla_w[layer][o], a[layer], strict=True)]
            back = [sum(w[layer][o][i] * d for o, d in enumerate(delta)) for i in range(len(a[layer]))]
            delta = [v * (1 - v) * d for v, d in zip(a[layer], back, strict=True)]
    for layer in (0, 1):
        w[layer] = [
            [p - eta / 10 * g for p, g in zip(*rows, strict=True)]
            for rows in zip(w[layer], nabla_w[layer], strict=True)
        ]
        b[layer] = [p - eta / 10 * g for p, g in zip(b[layer], nabla_b[layer], strict=True)]
    net.train_on_batch(X, labels, implementation.make("sgd", learning_rate=eta))
    assert [flat(layer) for layer in as_lists(net.weights)] == [exactly(flat(layer)) for layer in w]
    assert as_lists(net.biases) == [exactly(layer) for layer in b]


def test_nielsen_starts_saturated(implementation, make_network):
    """N(0, 1) for 784 inputs gives z a standard deviation of 11.3, so 67 % of the units hardly learn."""
    net = make_network([784, 1000], init="normal", seed=2)
    intensity = math.sqrt((11.3**2 - 1) / 149)  # 19 % of the pixels on, each this bright
    z = as_lists(net.predict([intensity] * 149 + [0.0] * 635))
    assert statistics.pstdev(z) == pytest.approx(11.3, rel=0.08)
    assert statistics.fmean(S(v) * (1 - S(v)) < 0.01 for v in z) == pytest.approx(0.67, abs=0.06)


ZHOU_X = [[-2, -1], [25, 6], [17, 4], [-15, -6]]
ZHOU_Y = [1, 0, 0, 1]
ZHOU = {"activation": "sigmoid", "output_activation": "sigmoid", "loss": "mse", "init": "normal"}


def test_zhou_worked_numbers(make_network):
    neuron = make_network([2, 1], [([[0, 1]], [4])], output_activation="sigmoid")
    assert round(as_lists(neuron.predict([2, 3]))[0], 5) == 0.99909
    net = make_network([2, 2, 1], [([[0, 1], [0, 1]], [0, 0]), ([[0, 1]], [0])], **ZHOU)
    assert round(as_lists(net.predict([2, 3]))[0], 5) == 0.72163
    net = make_network([2, 2, 1], [([[1, 1], [1, 1]], [0, 0]), ([[1, 1]], [0])], **ZHOU)
    h, o = as_lists(net.activations([-2, -1]))
    assert ([round(v, 5) for v in h], round(o[0], 5)) == ([0.04743, 0.04743], 0.52370)
    assert round(gradient_of(net, [-2, -1], 1)[1][0], 5) == 0.02147
    zero = make_network([2, 1], [([[0, 0]], [0])], loss="mse")
    assert float(zero.evaluate(ZHOU_X, ZHOU_Y)["loss"]) == 0.5


def zhou_step(P, x, t, rate=0.1):
    """Return Zhou's update for one row, with each partial derivative written out; P is w1..w4, b1, b2, w5, w6, b3."""
    w1, w2, w3, w4, b1, b2, w5, w6, b3 = P
    h1, h2 = S(w1 * x[0] + w2 * x[1] + b1), S(w3 * x[0] + w4 * x[1] + b2)
    o = S(w5 * h1 + w6 * h2 + b3)
    d = -2 * (t - o) * o * (1 - o)
    d1, d2 = d * w5 * h1 * (1 - h1), d * w6 * h2 * (1 - h2)
    gradient = [d1 * x[0], d1 * x[1], d2 * x[0], d2 * x[1], d1, d2, d * h1, d * h2, d]
    return [p - rate * g for p, g in zip(P, gradient, strict=True)]


def test_zhou_step_by_step(implementation, make_network):
    net = make_network([2, 2, 1], seed=0, **ZHOU)
    sgd = implementation.make("sgd", learning_rate=0.1)
    P = parameters_of(net)
    for _ in range(50):
        for x, t in zip(ZHOU_X, ZHOU_Y, strict=True):
            P = zhou_step(P, x, t)
            net.train_on_batch(x, t, sgd)
            assert parameters_of(net) == pytest.approx(P, rel=1e-9, abs=1e-11)


def test_zhou_trained(implementation, make_network):
    sgd = implementation.make("sgd", learning_rate=0.1)
    for seed in range(6):
        net = make_network([2, 2, 1], seed=seed, **ZHOU)
        net.fit(ZHOU_X, ZHOU_Y, epochs=1000, batch_size=1, shuffle=False, optimizer=sgd)
        emily, frank = flat(as_lists(net.predict([[-7, -3], [20, 2]])))
        assert 0.93 < emily < 0.98
        assert 0.02 < frank < 0.30
        assert 0.0010 < float(net.evaluate(ZHOU_X, ZHOU_Y)["loss"]) < 0.0030


def test_skalski_two_circles(implementation, make_network):
    generator = random.Random(0)
    X, y = [], []
    for k in range(400):
        angle, radius = 2 * math.pi * k / 200, (0.3 if k % 2 else 1.0)
        X.append([radius * f(angle) + generator.gauss(0, 0.1) for f in (math.cos, math.sin)])
        y.append(k % 2)
    net = make_network([2, 4, 6, 6, 4, 1], activation="relu", loss="binary_cross_entropy", seed=4)
    net.fit(X[:300], y[:300], epochs=40, batch_size=16, optimizer=implementation.make("adam", learning_rate=0.01))
    assert net.evaluate(X[300:], y[300:])["accuracy"] > 0.99


def test_olah_graph():
    """e = (a + b)(b + 1) at a = 2, b = 1, by reverse mode: from e back, as sums over the paths."""
    a, b = 2.0, 1.0
    c, d = a + b, b + 1
    e = c * d
    de_dc, de_dd = d, c
    assert (e, de_dc, de_dc + de_dd) == (6.0, 2.0, 5.0)


def test_olah_graph_as_a_network(make_network):
    """The graph e = (a + b)(b + 1) as networks: (c, d) is a linear layer; (c^2, d^2, (c + d)^2) give the product."""
    linear = make_network([2, 2], [([[1, 1], [0, 1]], [0, 1])], loss="half_squared_error")
    c, d = as_lists(linear.predict([2.0, 1.0]))
    assert (c, d, c * d) == (3.0, 2.0, 6.0)
    # with target y - (d, c), the gradient that enters the layer is de/d(c, d) = (d, c)
    gradient = as_lists(linear.input_gradient([2.0, 1.0], [c - d, d - c]))
    assert gradient == exactly([2.0, 5.0])
