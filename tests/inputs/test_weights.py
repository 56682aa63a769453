"""`sample_weight` and `class_weight`: their meaning in every method that takes them, and invalid weights.

The loss of a batch is sum(w_i l_i) / sum(w_i). So in a full batch the weight 2 equals a row given twice, 0 a row left
out, and a common factor of all weights has no effect. The oracles are the reference, scikit-learn and PyTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastmlp
from loss_cases import CASES, LossCase, draw_targets
from oracles import central_differences, twin

SIZES = [4, 7, 3]


def network(build: Any, case: LossCase, seed: int = 0) -> Any:
    sizes = [*SIZES[:-1], case.n_outputs(3)]
    return build(sizes, activation="tanh", loss=case.loss, output_activation=case.output, init="normal", seed=seed)


def data(case: LossCase, n_rows: int, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4)).astype(np.float32).astype(np.float64)
    return X, draw_targets(rng, case.kind, n_rows, 3)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_whole_weight_is_a_row_given_as_often(build: Any, case: LossCase) -> None:
    net, (X, t) = network(build, case), data(case, 61)
    counts = np.random.default_rng(1).integers(0, 4, size=61)
    often = np.repeat(np.arange(61), counts)
    loss, gradient = net.loss_and_grad(X, t, sample_weight=counts)
    expected_loss, expected = net.loss_and_grad(X[often], t[often])
    build.assert_close(loss, expected_loss, net.sizes)
    build.assert_close(gradient, expected, net.sizes, passes=3)
    weighted, repeated = net.evaluate(X, t, sample_weight=counts), net.evaluate(X[often], t[often])
    assert weighted == pytest.approx(repeated, rel=build.tolerance(net.sizes))
    dx, each = net.input_gradient(X, t, sample_weight=counts), net.input_gradient(X[often], t[often])
    summed = np.zeros_like(dx)
    np.add.at(summed, often, each)
    build.assert_close(dx, summed, net.sizes, passes=3)
    assert not dx[counts == 0].any()


@pytest.mark.parametrize("optimizer", [fastmlp.SGD(0.05), fastmlp.Adam(0.01)], ids=repr)
@pytest.mark.parametrize("loss", ["cross_entropy", "half_squared_error"])
def test_a_weight_of_two_in_a_full_batch_trains_like_the_row_twice(build: Any, loss: str, optimizer: Any) -> None:
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(150, 4)), rng.integers(3, size=150)
    weights = rng.integers(1, 3, size=150)
    often = np.repeat(np.arange(150), weights)
    one, two = (build(SIZES, activation="tanh", loss=loss, seed=2) for _ in range(2))
    words = {"epochs": 3, "batch_size": None, "optimizer": optimizer, "shuffle": False}
    history = one.fit(X, y, sample_weight=weights, **words)
    expected = two.fit(X[often], y[often], **words)
    tolerance = {"float32": 1e-4, "float64": 1e-12}[build.dtype]
    assert history["loss"] == pytest.approx(expected["loss"], rel=tolerance)
    np.testing.assert_allclose(one.parameters, two.parameters, rtol=0, atol=tolerance)
    a, b = one.train_on_batch(X, y, sample_weight=weights), two.train_on_batch(X[often], y[often])
    assert a == pytest.approx(b, rel=tolerance)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_weights_that_are_no_whole_numbers(build64: Any, case: LossCase) -> None:
    """Fractional weights agree with the reference and central differences."""
    net, (X, t) = network(build64, case), data(case, 7)
    w = np.random.default_rng(3).uniform(size=7)
    w[2] = 0
    loss, gradient = net.loss_and_grad(X, t, sample_weight=w)
    other = twin(net)
    expected_loss, expected = other.loss_and_grad(X.tolist(), t.tolist(), sample_weight=w.tolist())
    build64.assert_close(loss, expected_loss, net.sizes)
    build64.assert_close(gradient, expected, net.sizes, passes=3)
    dx = other.input_gradient(X.tolist(), t.tolist(), sample_weight=w.tolist())
    build64.assert_close(net.input_gradient(X, t, sample_weight=w), dx, net.sizes, passes=3)
    numeric = central_differences(lambda x: net.evaluate(x, t, sample_weight=w)["loss"], X)
    np.testing.assert_allclose(
        net.input_gradient(X, t, sample_weight=w), numeric, rtol=0, atol=1e-7 * np.abs(numeric).max()
    )
    assert net.evaluate(X, t, sample_weight=w) == pytest.approx(
        other.evaluate(X.tolist(), t.tolist(), sample_weight=w.tolist()), rel=1e-12
    )


@pytest.mark.parametrize("batch_size", [1, 5, None])
@pytest.mark.parametrize("shuffle", [True, False])
def test_fits_are_those_of_the_reference(build64: Any, shuffle: bool, batch_size: int | None) -> None:
    """Short batches, batches of weight 0, the weighted mean loss of an epoch and the random state agree."""
    rng = np.random.default_rng(4)
    X, y, w = rng.normal(size=(23, 4)), rng.integers(3, size=23), rng.uniform(size=23)
    w[5:10], w[17] = 0, 3
    net = build64(SIZES, activation="tanh", loss="cross_entropy", seed=4)
    other = twin(net)
    words: dict[str, Any] = {"epochs": 3, "batch_size": batch_size, "optimizer": fastmlp.Adam(0.02), "shuffle": shuffle}
    history = net.fit(X, y, sample_weight=w, class_weight={0: 2.0, 2: 0.5}, **words)
    expected = other.fit(X.tolist(), y.tolist(), sample_weight=w.tolist(), class_weight={0: 2.0, 2: 0.5}, **words)
    assert history["loss"] == pytest.approx(expected["loss"], rel=1e-10)
    np.testing.assert_allclose(net.parameters, other.parameters, rtol=0, atol=1e-10)
    assert net._random_state == other._random.state


@pytest.mark.parametrize("optimizer", [fastmlp.SGD(0.1, momentum=0.9), fastmlp.Adam(0.1), fastmlp.SGD(0.1)], ids=repr)
def test_a_batch_of_zero_weights_makes_no_step(build: Any, optimizer: Any) -> None:
    """A batch of weight 0 takes no step, which with momentum would change parameters, and counts no step."""
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(12, 4)), rng.normal(size=(12, 3))
    one, two = (build(SIZES, activation="tanh", seed=5) for _ in range(2))
    words = {"epochs": 3, "batch_size": 4, "optimizer": optimizer, "shuffle": False}
    rest = [*range(4), *range(8, 12)]
    history = one.fit(X, y, sample_weight=[1] * 4 + [0] * 4 + [1] * 4, **words)
    expected = two.fit(X[rest], y[rest], sample_weight=[1] * 8, **words)
    np.testing.assert_array_equal(one.parameters, two.parameters)
    assert history["loss"] == expected["loss"]


def test_weights_of_one_change_nothing_but_rounding(build: Any) -> None:
    case = CASES[0]
    net, (X, t) = network(build, case), data(case, 300)
    for w in (np.ones(300), np.full(300, 7.5), np.full(300, 1e-300), np.full(300, 1e300), np.ones(300, np.uint8)):
        loss, gradient = net.loss_and_grad(X, t, sample_weight=w)
        build.assert_close(loss, net.loss_and_grad(X, t)[0], net.sizes)
        build.assert_close(gradient, net.loss_and_grad(X, t)[1], net.sizes, passes=3)


def test_any_number_of_threads_gives_the_same_bits() -> None:
    rng = np.random.default_rng(6)
    X, y, w = rng.normal(size=(1000, 64)), rng.integers(10, size=1000), rng.uniform(size=1000)
    nets = [fastmlp.Network([64, 100, 10], loss="focal", seed=6, n_threads=n, engine="native") for n in (1, 2)]
    for net in nets:
        net.fit(X, y, epochs=2, batch_size=300, sample_weight=w, class_weight="balanced")
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)
    assert len({net.evaluate(X, y, sample_weight=w)["loss"] for net in nets}) == 1


def test_accuracy_is_weighted(build: Any) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(7)
    net = build(SIZES, loss="cross_entropy", seed=7)
    X, y, w = rng.normal(size=(700, 4)), rng.integers(3, size=700), rng.uniform(size=700)
    expected = sklearn.accuracy_score(y, net.classify(X), sample_weight=w)
    assert net.evaluate(X, y, sample_weight=w)["accuracy"] == pytest.approx(expected, rel=1e-12)


def numbers(result: Any) -> list[float]:
    """Return all numbers of a result as one array."""
    parts = result.values() if isinstance(result, dict) else result if isinstance(result, tuple) else [result]
    return [float(v) for part in parts for v in np.ravel(part)]


@pytest.mark.parametrize("form", ["labels", "one-hot", "one output", "signs"])
@pytest.mark.parametrize("class_weight", ["balanced", {0: 3.0}, {0: 0.5, 1: 0.25}], ids=str)
def test_class_weights_are_scikit_learns(build64: Any, class_weight: Any, form: str) -> None:
    utils = pytest.importorskip("sklearn.utils.class_weight")
    rng = np.random.default_rng(8)
    classes = (rng.uniform(size=40) < 0.2).astype(int)
    X, w = rng.normal(size=(40, 4)), rng.uniform(size=40)
    full = class_weight if isinstance(class_weight, str) else {0: 1.0, 1: 1.0, **class_weight}
    table = utils.compute_class_weight(full, classes=np.array([0, 1]), y=classes)
    loss = {"one output": "binary_cross_entropy", "signs": "hinge"}.get(form, "cross_entropy")
    y = {"one-hot": np.eye(2)[classes], "signs": 2 * classes - 1}.get(form, classes)
    one, two = (build64([4, 5, 2 if loss == "cross_entropy" else 1], loss=loss, seed=8) for _ in range(2))
    words = {"epochs": 2, "optimizer": "sgd", "shuffle": False, "batch_size": 16}
    one.fit(X, y, class_weight=class_weight, sample_weight=w, **words)
    two.fit(X, y, sample_weight=w * table[classes], **words)
    np.testing.assert_allclose(one.parameters, two.parameters, rtol=1e-12)
    a = one.train_on_batch(X, y, class_weight=class_weight)
    assert a == pytest.approx(two.train_on_batch(X, y, sample_weight=table[classes]), rel=1e-12)
    two = twin(one)
    for name in ("evaluate", "loss_and_grad", "input_gradient"):
        by_class = getattr(one, name)(X, y, class_weight=class_weight, sample_weight=w)
        for oracle, given in (
            (one, {"sample_weight": w * table[classes]}),
            (two, {"sample_weight": w, "class_weight": class_weight}),
        ):
            expected = getattr(oracle, name)(X.tolist(), y.tolist(), **given)
            assert numbers(by_class) == pytest.approx(numbers(expected), rel=1e-9, abs=1e-12)


def test_balanced_counts_the_classes_that_are_there() -> None:
    utils = pytest.importorskip("sklearn.utils.class_weight")
    y = np.array([0, 0, 0, 2])
    table = utils.compute_class_weight("balanced", classes=np.array([0, 2]), y=y)
    net = fastmlp.Network([1, 5], loss="cross_entropy", dtype="float64", seed=0)
    rows = net._rows(np.zeros((4, 1)), y, None, "balanced")
    np.testing.assert_allclose(rows.weights, table[[0, 0, 0, 1]])


# -- bad ones ---------------------------------------------------------------------------------------------------------

METHODS = ["fit", "train_on_batch", "evaluate", "loss_and_grad", "input_gradient"]
X, LABELS = np.arange(12.0).reshape(6, 2), np.array([0, 1, 2, 2, 1, 0])

BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "too few": ({"sample_weight": [1.0] * 5}, ValueError, r"sample_weight: expected shape \(6,\).*\(5,\)"),
    "a matrix": ({"sample_weight": np.ones((6, 1))}, ValueError, r"sample_weight: expected shape \(6,\).*\(6, 1\)"),
    "a number": ({"sample_weight": 2.0}, ValueError, r"sample_weight: expected shape \(6,\).*\(\)"),
    "negative": ({"sample_weight": [1, 1, -1, 1, 1, 1]}, ValueError, "sample_weight: .*at least 0, got -1.0 at row 2"),
    "NaN": ({"sample_weight": [1, np.nan, 1, 1, 1, 1]}, ValueError, "sample_weight: .*finite.*got nan at row 1"),
    "infinite": ({"sample_weight": [1, 1, 1, 1, 1, np.inf]}, ValueError, "sample_weight: .*got inf at row 5"),
    "all 0": ({"sample_weight": np.zeros(6)}, ValueError, "sample_weight: .*sum that is above 0.*got 0.0"),
    "words": ({"sample_weight": ["1"] * 6}, TypeError, "sample_weight: expected real numbers"),
}
BAD_CLASSES: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "a word": ({"class_weight": "balance"}, ValueError, "class_weight: expected.*did you mean 'balanced'"),
    "a list": ({"class_weight": [1, 2, 3]}, TypeError, "class_weight: expected 'balanced' or a dict"),
    "no label": ({"class_weight": {3: 1.0}}, ValueError, "class_weight: label: .*at most 2, got 3"),
    "a name": ({"class_weight": {"cat": 1.0}}, TypeError, "class_weight: label: expected an integer, got 'cat'"),
    "negative": ({"class_weight": {1: -1.0}}, ValueError, r"class_weight\[1\]: .*at least 0, got -1.0"),
    "no number": ({"class_weight": {1: "2"}}, TypeError, r"class_weight\[1\]: expected a real number"),
    "all 0": ({"class_weight": {0: 0, 1: 0, 2: 0}}, ValueError, "class_weight: .*sum that is above 0"),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", BAD)
def test_bad_sample_weights(bad: str, method: str) -> None:
    words, error, says = BAD[bad]
    net = fastmlp.Network([2, 3], loss="cross_entropy", seed=0)
    before = net.parameters
    with pytest.raises(error, match=f"^{says}"):
        getattr(net, method)(X, LABELS, **words)
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", BAD_CLASSES)
def test_bad_class_weights(bad: str, method: str) -> None:
    words, error, says = BAD_CLASSES[bad]
    net = fastmlp.Network([2, 3], loss="cross_entropy", seed=0)
    with pytest.raises(error, match=f"^{says}"):
        getattr(net, method)(X, LABELS, **words)


@pytest.mark.parametrize(
    ("loss", "y"),
    [("mse", np.ones((6, 3))), ("cross_entropy", np.full((6, 3), 1 / 3)), ("binary_cross_entropy", np.ones((6, 3)))],
)
def test_class_weights_need_classes(loss: str, y: Any) -> None:
    for module in (fastmlp, fastmlp.reference):
        with pytest.raises(ValueError, match=r"^class_weight: expected targets that are one class"):
            module.Network([2, 3], loss=loss).fit(X, y, class_weight="balanced")


def test_labels_have_classes_with_any_loss() -> None:
    net = fastmlp.Network([2, 3], loss="mse", seed=0)
    assert net.fit(X, LABELS, class_weight={0: 2.0}, epochs=1).loss[0] > 0


def test_weights_are_copied() -> None:
    w = np.ones(6)
    nets = [fastmlp.Network([2, 3], loss="cross_entropy", seed=0) for _ in range(2)]
    nets[0].fit(X, LABELS, sample_weight=w, epochs=3, callbacks=[lambda epoch, logs: w.fill(epoch)])
    nets[1].fit(X, LABELS, sample_weight=np.ones(6), epochs=3)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)


def test_a_row_alone() -> None:
    net = fastmlp.Network([2, 3], loss="cross_entropy", seed=0)
    assert net.loss_and_grad(X[1], 1, sample_weight=0.5)[0] == pytest.approx(net.loss_and_grad(X[1], 1)[0])
    assert net.train_on_batch(X[1], 1, sample_weight=[2.0]) > 0


@pytest.mark.parametrize("batch_size", [5, 12])
@pytest.mark.parametrize("shuffle", [True, False, "blocks"])
def test_the_loss_of_an_epoch_so_far_is_weighted(build64: Any, shuffle: Any, batch_size: int) -> None:
    rng = np.random.default_rng(8)
    X, y, w = rng.normal(size=(23, 4)), rng.normal(size=(23, 3)), rng.integers(0, 3, size=23)

    class Look:
        def __init__(self) -> None:
            self.seen: list[float] = []

        def on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
            self.seen.append(logs["loss"])

    ours, theirs = Look(), Look()
    net = build64(SIZES, seed=1)
    words = {"epochs": 2, "batch_size": batch_size, "shuffle": shuffle}
    twin(net).fit(X.tolist(), y.tolist(), sample_weight=w.tolist(), callbacks=[theirs], **words)
    history = net.fit(X, y, sample_weight=w, callbacks=[ours], **words)
    assert ours.seen == pytest.approx(theirs.seen, rel=1e-9)
    half = len(ours.seen) // 2
    assert [ours.seen[half - 1], ours.seen[-1]] == history.loss


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_weights_are_split_with_their_rows(build64: Any, class_weight: Any) -> None:
    rng = np.random.default_rng(9)
    X, y, w = rng.normal(size=(40, 4)), rng.integers(3, size=40), rng.random(40)
    words = {"epochs": 2, "shuffle": False, "batch_size": 7, "class_weight": class_weight}
    one, two = (build64(SIZES, loss="cross_entropy", seed=3) for _ in range(2))
    history = one.fit(X, y, validation_split=0.25, sample_weight=w, **words)
    expected = two.fit(X[:30], y[:30], validation_data=(X[30:], y[30:], w[30:]), sample_weight=w[:30], **words)
    assert history == expected
    np.testing.assert_array_equal(one.parameters, two.parameters)
    assert history.val_loss[-1] == one.evaluate(X[30:], y[30:], sample_weight=w[30:])["loss"]
    with pytest.raises(ValueError, match="sample_weight: expected weights above 0 on both sides of validation_split"):
        one.fit(X, y, validation_split=0.25, sample_weight=[1.0] * 30 + [0.0] * 10)


def test_partial_fit_takes_weights(build: Any) -> None:
    rng = np.random.default_rng(10)
    X, y, w = rng.normal(size=(20, 4)), rng.integers(3, size=20), rng.random(20)
    one, two = (build(SIZES, loss="cross_entropy", seed=3) for _ in range(2))
    one.partial_fit(X, y, sample_weight=w, class_weight={1: 2.0})
    two.fit(X, y, epochs=1, shuffle=False, optimizer="adam", sample_weight=w, class_weight={1: 2.0})
    np.testing.assert_array_equal(one.parameters, two.parameters)


# -- a factor that all weights share -----------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [2.0**1010, 1e304, 2.0**600, 2.0**-600, 1e-300, 2.0**-1060])
def test_a_factor_of_all_weights_changes_nothing(build: Any, factor: float) -> None:
    """A factor of all weights has no effect, even if sums of weighted losses would overflow or be flushed to 0."""
    rng = np.random.default_rng(0)
    X, y, w = rng.normal(size=(50, 3)), rng.normal(size=(50, 2)), rng.integers(0, 9, 50).astype(np.float64)
    net, twin = (build([3, 4, 2], activation="tanh", seed=0) for _ in range(2))
    oracle = fastmlp.reference.Network([3, 4, 2], activation="tanh", seed=0)
    results = []
    for each, weights in ((net, w * factor), (twin, w)):
        figures = each.evaluate(X, y, sample_weight=weights)
        loss, gradient = each.loss_and_grad(X, y, sample_weight=weights)
        dx = each.input_gradient(X, y, sample_weight=weights)
        history = each.fit(
            X, y, sample_weight=weights, validation_data=(X, y, weights), epochs=2, optimizer=fastmlp.SGD(0.1)
        )
        step = each.train_on_batch(X, y, sample_weight=weights)
        each.partial_fit(X, y, sample_weight=weights)
        results.append((figures, loss, gradient.tolist(), dx.tolist(), dict(history), step, each.parameters.tolist()))
    if factor in (1e304, 1e-300):  # no power of two: the weights are rounded
        assert np.allclose(results[0][2], results[1][2], rtol=1e-4)
    else:
        assert results[0] == results[1]
    loss, _ = oracle.loss_and_grad(X.tolist(), y.tolist(), sample_weight=(w * factor).tolist())
    assert loss == pytest.approx(results[1][1], rel=1e-4)


def test_class_weights_times_sample_weights_of_any_size(build: Any) -> None:
    X, labels, w = np.eye(3), [0, 1, 1], np.array([1.0, 2.0, 3.0])
    net = build([3, 2], loss="cross_entropy", seed=0)
    expected = net.evaluate(X, labels, sample_weight=w, class_weight={0: 1.0, 1: 2.0})
    for factor in (2.0**900, 2.0**-900):
        table = {0: factor, 1: 2 * factor}
        assert net.evaluate(X, labels, sample_weight=w * factor, class_weight=table) == expected
