"""The native engine: when it is chosen, and that results have the same bits in any batch."""

import itertools

import numpy as np
import pytest

import fastmlp
from fastmlp import _core, engines
from processes import run_python

# Widths around multiples of panels and tiles, with and without sums that are split into parts (narrow layers).
SHAPES = [
    [1, 1],
    [3, 5, 2],
    [10, 32, 32, 1],
    [127, 16, 10],
    [128, 17, 33, 1],
    [131, 48, 49, 3],
    [200, 64, 65, 130, 7],
    [784, 30, 10],
    [257, 1, 40],
]
BATCHES = [1, 2, 3, 5, 6, 7, 8, 9, 15, 16, 17, 47, 48, 49, 97, 131]


@pytest.fixture(params=list(itertools.product(_core.isas(), ("float32", "float64"))), ids="-".join)
def words(request):
    isa, dtype = request.param
    return {"engine": "native", "_isa": isa, "dtype": dtype}


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_a_row_has_the_same_bits_in_any_batch(words, sizes):
    net = fastmlp.Network(sizes, activation="tanh", seed=1, **words)
    X = np.random.default_rng(0).standard_normal((max(BATCHES), sizes[0])).astype(words["dtype"])
    alone = np.array([net.predict(x) for x in X])
    for n_rows in BATCHES:
        for first in (0, len(X) - n_rows):
            np.testing.assert_array_equal(net.predict(X[first : first + n_rows]), alone[first : first + n_rows])


@pytest.mark.parametrize("sizes", [[784, 128, 10], [70, 65, 130, 3], [64, 97, 1]], ids=str)
def test_a_row_with_zeros_has_the_same_bits_in_any_batch(words, sizes):
    """If a quarter of the inputs is 0, a single row skips them; biases of -0 must not change the bits."""
    generator = np.random.default_rng(0)
    net = fastmlp.Network(sizes, activation="relu", seed=1, **words)
    for layer, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        net.set_layer(layer, w * (generator.random(w.shape) < 0.7), np.where(generator.random(b.shape) < 0.5, -0.0, b))
    for share in (0.0, 0.2, 0.3, 0.9, 1.0):
        X = generator.standard_normal((13, sizes[0])).astype(words["dtype"])
        X[generator.random(X.shape) < share] = generator.choice([0.0, -0.0])
        X[5, ::3] = np.nan
        together = net.predict(X)
        for x, expected in zip(X, together, strict=True):
            assert net.predict(x).tobytes() == expected.tobytes()


def test_a_sum_that_is_flushed_to_minus_zero_has_the_same_bits_in_any_batch(words):
    """A sum that is flushed to -0 is +0 in a batch, where products of 0 are added to it; a single row skips these."""
    net = fastmlp.Network([64, 64], **words)
    least = np.finfo(words["dtype"]).tiny
    w, x = np.zeros((64, 64)), np.zeros(64, words["dtype"])
    w[:, 0], w[:, 1], w[:, 2], x[:2] = 1.5 * least, -1.75 * least, 1.0, 1.0
    net.set_layer(0, w, np.zeros(64))
    together = net.predict(np.tile(x, (7, 1)))
    assert all(net.predict(x).tobytes() == y.tobytes() for y in together)


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_gradient_descent_taken_as_it_goes_has_the_bits_of_a_step(words, sizes):
    """SGD, which is applied while the weight gradient is computed, gives the bits of P - r g."""
    X, y = np.random.default_rng(0).random((2, 40, 1))
    X, y = np.tile(X, sizes[0]).astype(words["dtype"]), np.tile(y, sizes[-1]).astype(words["dtype"])
    net = fastmlp.Network(sizes, activation="tanh", seed=1, **words)
    P, gradient = net.parameters, net.loss_and_grad(X, y)[1]
    net.train_on_batch(X, y, fastmlp.SGD(0.125))  # a rate that makes the product exact
    np.testing.assert_array_equal(net.parameters, P - gradient * gradient.dtype.type(0.125))


# Enough work for three threads with 144 rows and more (one for about 2**18 multiply-adds); inputs of a cache line or
# less, which only one thread can have; a single output.
THREADED_SHAPES = [
    [16, 64, 90, 4],
    [5, 97, 80, 33, 1],
    [784, 30, 10],
    [131, 48, 49, 3],
    [8001, 1],
    [33, 257, 2],
]


@pytest.mark.parametrize("sizes", THREADED_SHAPES, ids=str)
def test_any_number_of_threads_gives_the_same_bits(words, sizes):
    generator = np.random.default_rng(0)
    X, y = (generator.random((700, n)).astype(words["dtype"]) for n in (sizes[0], sizes[-1]))
    nets = [fastmlp.Network(sizes, activation="tanh", seed=1, n_threads=n, **words) for n in (1, 2, 3)]
    for optimizer, batch_size in [("adam", 144), (fastmlp.SGD(0.01), 144), (fastmlp.SGD(0.01, 0.9), 700), ("adam", 97)]:
        histories = [net.fit(X, y, epochs=2, batch_size=batch_size, optimizer=optimizer) for net in nets]
        results = [net.loss_and_grad(X, y) for net in nets]
        for net, history, (loss, gradient) in zip(nets[1:], histories[1:], results[1:], strict=True):
            assert history == histories[0]
            np.testing.assert_array_equal(net.parameters, nets[0].parameters)
            assert loss == results[0][0]
            np.testing.assert_array_equal(gradient, results[0][1])
            np.testing.assert_array_equal(net.predict(X), nets[0].predict(X))
            np.testing.assert_array_equal(net.input_gradient(X, y), nets[0].input_gradient(X, y))
            assert net.evaluate(X, y) == nets[0].evaluate(X, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_that_meet_within_a_piece(dtype: str) -> None:
    """With millions of weights, threads synchronise after 48 rows and after each layer, so that signals are handled."""
    X = np.random.default_rng(0).random((400, 2800)).astype(dtype)
    nets = [fastmlp.Network([2800, 2800, 3], dtype=dtype, seed=1, engine="native", n_threads=n) for n in (1, 2, 3)]
    for optimizer in (fastmlp.SGD(0.01), fastmlp.Adam(0.001)):
        for net in nets:
            net.fit(X, X[:, :3], epochs=1, batch_size=None, optimizer=optimizer)
    for net in nets[1:]:
        np.testing.assert_array_equal(net.parameters, nets[0].parameters)


# A piece of a gradient has 144 rows, the last one up to 240: batches of one piece, of two and of three.
PIECES = [143, 144, 145, 240, 241, 384, 385, 600]


@pytest.mark.parametrize(
    "regularization",
    [
        None,
        fastmlp.Regularization(l2=0.1),
        fastmlp.Regularization(l2=0.1, weight_decay=0.3),
        fastmlp.Regularization(l1=0.01, clip_value=0.01),
    ],
    ids=["none", "l2", "decay", "l1"],
)
@pytest.mark.parametrize(
    "optimizer", [fastmlp.SGD(0.1), fastmlp.SGD(0.1, momentum=0.9), fastmlp.Adam(0.01)], ids=["sgd", "momentum", "adam"]
)
def test_a_step_is_the_same_in_pieces_of_any_number(optimizer, regularization):
    for rows in PIECES:
        generator = np.random.default_rng(rows)
        X, y = (generator.normal(size=(rows + 7, n)) for n in (40, 3))
        engines = [{"engine": "blas"}] + [{"engine": "native", "_isa": isa, "n_threads": 2} for isa in _core.isas()]
        nets = [
            fastmlp.Network([40, 100, 20, 3], dtype="float64", activation="tanh", seed=2, **each) for each in engines
        ]
        for net in nets:
            net.fit(X, y, epochs=2, batch_size=rows, optimizer=optimizer, regularization=regularization)
        for net in nets[1:]:
            np.testing.assert_allclose(net.parameters, nets[0].parameters, rtol=1e-9, atol=1e-11)


def test_the_engine_that_was_asked_for_runs():
    for isa in _core.isas():
        assert fastmlp.Network([3, 2], engine="native", _isa=isa).engine == "native"
        assert fastmlp.Network([3, 2], engine="blas", _isa=isa).engine == "blas"


def test_auto_is_native_where_there_is_fused_multiply_add():
    for isa in _core.isas():
        net = fastmlp.Network([3, 2], _isa=isa)
        assert net.engine == ("blas" if isa == "base" else "native")
        assert f"engine {net.engine}" in net.summary()
        assert isa in net.summary()


@pytest.mark.parametrize(
    ("isa", "engine"), [("avx512", "native"), ("avx2", "native"), ("neon", "native"), ("base", "blas")]
)
def test_the_choice_for_an_instruction_set(isa, engine):
    chosen, reason = engines.choose("auto", isa)
    assert chosen == engine
    assert isa in reason


def test_parameters_pass_between_the_engines_unchanged():
    for sizes in SHAPES:
        native, blas = (fastmlp.Network(sizes, engine=engine, seed=3) for engine in ("native", "blas"))
        np.testing.assert_array_equal(native.parameters, blas.parameters)
        for w, v in zip(native.weights, blas.weights, strict=True):
            np.testing.assert_array_equal(w, v)


@pytest.mark.parametrize("n_inputs", [1, 16, 17])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fewer_lines_of_inputs_than_threads(n_inputs: int, dtype: str) -> None:
    """A thread without inputs updates no biases either, so each bias is updated once on any number of threads."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(140, n_inputs)).astype(dtype), rng.normal(size=(140, 4)).astype(dtype)
    sizes, parameters = [n_inputs, 128, 128, 4], []
    for n_threads in (1, 2, 7):
        net = fastmlp.Network(sizes, dtype=dtype, engine="native", n_threads=n_threads, seed=0)
        losses = [net.train_on_batch(X, y, "adam") for _ in range(3)]
        parameters.append([*net.parameters, *losses])
    assert parameters[0] == parameters[1] == parameters[2]


@pytest.mark.parametrize("isa", fastmlp.info()["isas"])
def test_an_instruction_set_by_the_environment(isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTMLP_ISA", isa)
    code = "import fastmlp; print(fastmlp._core.kernel_isa(), fastmlp.Network([2, 1])._isa)"
    assert run_python(code).split() == [isa, isa]


def test_an_unknown_instruction_set_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTMLP_ISA", "avx3")
    code = """
import fastmlp
try:
    fastmlp.Network([2, 1])
except ValueError as error:
    print(error)
"""
    assert run_python(code).startswith("FASTMLP_ISA: expected one of ")
    assert run_python(code).endswith("got 'avx3'\n")
