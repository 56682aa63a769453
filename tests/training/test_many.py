"""`fastmlp.fit_many` against `fit` of each network alone: the same bits, histories, errors and files.

The oracle is `fit` itself with copies of the rows, X[rows] and y[rows].
"""

from __future__ import annotations

import concurrent.futures
import copy
import os
import pathlib
import pickle
import threading
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import _core
from fastmlp.inputs.arrays import RowSubset
from fastmlp.training import crew
from processes import run_python

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 6))
Y = np.sin(X[:, 0]) * X[:, 1]
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
FOLDS = [np.flatnonzero(np.arange(150) % 3 != k) for k in range(3)]
BOOTSTRAPS = [RNG.integers(0, 150, size=n) for n in (150, 90, 200)]
THREADS = (1, 2, 3, 5)


def networks(n: int = 3, sizes: tuple[int, ...] = (6, 16, 1), **words: Any) -> list[fastmlp.Network]:
    return [fastmlp.Network(sizes, seed=seed, **words) for seed in range(n)]


def state_of(network: fastmlp.Network) -> fastmlp.TrainingState | None:
    """Return the training state; None after EarlyStopping has restored parameters: the optimiser starts anew."""
    try:
        return network.training_state()
    except RuntimeError:
        return None


def same(a: fastmlp.Network, b: fastmlp.Network) -> None:
    """Check that two networks have the same parameters and random states, and optimisers in the same state."""
    np.testing.assert_array_equal(a.parameters, b.parameters)
    assert a._random_state == b._random_state
    one, other = state_of(a), state_of(b)
    assert (one is None) == (other is None)
    if one is None or other is None:
        return
    assert (one.numbers, one.n_steps, one.random_state) == (other.numbers, other.n_steps, other.random_state)
    assert one.vectors.keys() == other.vectors.keys()
    for name, vector in one.vectors.items():
        np.testing.assert_array_equal(vector, other.vectors[name])


def compare(
    make: Any, x: Any, y: Any, *, rows: Any = None, n_threads: int = 2, of: Any = lambda words, k: words, **words: Any
) -> list[fastmlp.History]:
    """Train networks together and alone, compare them, and return the histories; `of` gives the words of network k."""
    together, alone = make(), make()
    histories = fastmlp.fit_many(together, x, y, rows=rows, n_threads=n_threads, **words)
    assert len(histories) == len(together)
    for k, (network, other) in enumerate(zip(together, alone, strict=True)):
        own = dict(of(words, k))
        if rows is not None:
            own["sample_weight"] = None if own.get("sample_weight") is None else own["sample_weight"][rows[k]]
        history = other.fit(*((x, y) if rows is None else (x[rows[k]], y[rows[k]])), **own)
        same(network, other)
        np.testing.assert_equal(dict(histories[k]), dict(history))
        assert (histories[k].stopped, histories[k].error) == (history.stopped, None)
        assert network.history is histories[k]
    return histories


# -- the same bits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_threads", THREADS)
@pytest.mark.parametrize("rows", [None, FOLDS, BOOTSTRAPS], ids=["all", "folds", "bootstraps"])
def test_rows_and_threads(rows: Any, n_threads: int) -> None:
    compare(networks, X, Y, rows=rows, n_threads=n_threads, epochs=4)


@pytest.mark.parametrize("rows", [None, BOOTSTRAPS], ids=["all", "bootstraps"])
@pytest.mark.parametrize("optimizer", sorted(fastmlp.optimizers.OPTIMIZERS))
def test_optimizers(optimizer: str, rows: Any) -> None:
    compare(networks, X, Y, rows=rows, epochs=5, optimizer=optimizer)


@pytest.mark.parametrize("engine", ["native", "blas"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shuffle", [True, False, "blocks", "rows"])
@pytest.mark.parametrize("rows", [None, BOOTSTRAPS], ids=["all", "bootstraps"])
def test_engines_dtypes_and_orders(engine: str, dtype: str, shuffle: Any, rows: Any) -> None:
    compare(lambda: networks(engine=engine, dtype=dtype), X, Y, rows=rows, epochs=3, shuffle=shuffle, batch_size=17)


@pytest.mark.parametrize("rows", [None, BOOTSTRAPS], ids=["all", "bootstraps"])
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_weights_of_rows_and_classes(optimizer: str, rows: Any) -> None:
    weights = RNG.random(150)
    weights[::7] = 0
    compare(
        lambda: networks(sizes=(6, 8, 3), loss="cross_entropy"),
        X,
        LABELS,
        rows=rows,
        epochs=3,
        optimizer=optimizer,
        sample_weight=weights,
        class_weight="balanced",
        validation_split=0.25,
        metrics=["f1", "auc", lambda t, y: float(np.mean(t == y.argmax(axis=1)))],
    )


def test_regularisation() -> None:
    noisy = fastmlp.Regularization(
        l1=1e-4, l2=1e-3, dropout=0.2, input_dropout=0.1, input_noise=0.1, clip_norm=1.0, max_norm=2.0, average=0.9
    )
    compare(networks, X, Y, rows=BOOTSTRAPS, epochs=4, regularization=noisy)


@pytest.mark.parametrize("kind", ["float32", "float16", "uint8", "gaps", "fortran", "sparse", "list", "memmap"])
@pytest.mark.parametrize("scaling", [None, "standard", "minmax"])
def test_kinds_of_rows(kind: str, scaling: Any, tmp_path: pathlib.Path) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    dense = np.round(np.where(RNG.random((150, 6)) < 0.5, 0, 100 * RNG.random((150, 6))))
    np.save(tmp_path / "x.npy", dense.astype(np.float32))
    x: Any = {
        "gaps": lambda: np.repeat(dense.astype(np.float32), 2, axis=1)[:, :6],
        "fortran": lambda: np.asfortranarray(dense),
        "sparse": lambda: sparse.csr_matrix(dense),
        "list": lambda: dense,
        "memmap": lambda: np.load(tmp_path / "x.npy", mmap_mode="r"),
    }.get(kind, lambda: dense.astype(kind))()

    def make() -> list[fastmlp.Network]:
        return networks(input_scaling=scaling, target_scaling=scaling)

    rate = fastmlp.SGD(1e-5)
    compare(make, x, Y, rows=BOOTSTRAPS, epochs=3, optimizer=rate, validation_split=0.2, metrics=["r2"])
    compare(make, x, Y, epochs=3, optimizer=rate)
    if kind == "list":
        listed = make()
        fastmlp.fit_many(listed, dense.tolist(), Y.tolist(), rows=[list(each) for each in FOLDS], epochs=2)
        arrays = make()
        fastmlp.fit_many(arrays, dense, Y, rows=FOLDS, epochs=2)
        for a, b in zip(listed, arrays, strict=True):
            same(a, b)


def test_scalings_are_those_of_the_rows_of_a_network() -> None:
    together = networks(input_scaling="standard")
    fastmlp.fit_many(together, X, Y, rows=FOLDS, epochs=1)
    for network, rows in zip(together, FOLDS, strict=True):
        assert network.input_scaling == fastmlp.Scaling.fit(X[rows], "standard")


def test_validation_rows_for_all_with_scalings_of_each() -> None:
    """A pass over rows keeps the network's scaling with them, so each network needs rows of its own."""
    many = np.tile(X, (60, 1)), np.tile(Y, 60), RNG.random(9000)
    compare(
        lambda: networks(6, (6, 200, 1), input_scaling="standard", target_scaling="standard"),
        X,
        Y,
        rows=[np.sort(RNG.integers(0, 150, size=40)) for _ in range(6)],
        n_threads=3,
        epochs=8,
        validation_data=many,
        metrics=["r2"],
    )


def test_networks_may_differ_in_everything() -> None:
    own = fastmlp.CustomActivation(np.sin, np.cos)

    def make() -> list[fastmlp.Network]:
        return [
            fastmlp.Network([6, 5, 3], loss="cross_entropy", seed=0),
            fastmlp.Network([6, 30, 30, 3], loss="hinge", seed=1, dtype="float64", activation="tanh"),
            fastmlp.Network([6, 3], loss="focal", seed=2, engine="blas", input_scaling="standard"),
            fastmlp.Network([6, 9, 3], loss="cross_entropy", seed=3, n_threads=1, activation=own),
        ]

    per_network: dict[str, list[Any]] = {
        "epochs": [1, 5, 3, 4],
        "batch_size": [7, None, 32, 150],
        "optimizer": ["sgd", fastmlp.Adam(0.01), "lbfgs", None],
        "shuffle": [True, False, True, "rows"],
        "validation_split": [None, 0.1, None, 0.5],
        "validation_data": [(X, LABELS), None, (X[:9], LABELS[:9], np.arange(9.0)), None],
        "metrics": [["f1"], [], ["auc", "recall"], ["precision"]],
        "callbacks": [[], [fastmlp.EarlyStopping(patience=1)], [], []],
        "max_time": [None, 100, None, None],
        "sample_weight": [None, np.arange(150.0), None, np.ones(150)],
        "class_weight": ["balanced", None, {0: 2.0}, None],
        "regularization": [None, fastmlp.Regularization(l2=0.1), None, None],
    }
    per_network["batch_size"][2] = None
    compare(make, X, LABELS, of=lambda words, k: {name: value[k] for name, value in words.items()}, **per_network)


def test_large_networks_share_the_threads() -> None:
    """A network whose steps are long enough for several threads has the same bits beside others and at the end."""

    def make() -> list[fastmlp.Network]:
        return [fastmlp.Network([6, 256, 256, 1], seed=seed, n_threads=4) for seed in range(3)]

    for n_threads in (2, 4, 7):
        compare(make, X, Y, n_threads=n_threads, epochs=[8, 2, 2], of=lambda words, k: {"epochs": [8, 2, 2][k]})


def test_a_training_goes_on() -> None:
    """A second call continues the optimisers, as a second `fit` does."""
    together, alone = networks(), networks()
    for _ in range(2):
        fastmlp.fit_many(together, X, Y, rows=FOLDS, epochs=2)
        for network, rows in zip(alone, FOLDS, strict=True):
            network.fit(X[rows], Y[rows], epochs=2)
    for a, b in zip(together, alone, strict=True):
        same(a, b)


def test_masks_and_all_rows() -> None:
    mask = X[:, 0] > 0
    together, alone = networks(), networks()
    fastmlp.fit_many(together, X, Y, rows=[mask, None, mask.tolist()], epochs=2)
    for network, rows in zip(alone, [mask, slice(None), mask], strict=True):
        network.fit(X[rows], Y[rows], epochs=2)
    for a, b in zip(together, alone, strict=True):
        same(a, b)


def test_frames_and_text_labels() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcdef"))
    names = pandas.Series(np.array(["low", "middle", "top"])[LABELS], name="class")
    together, alone = (networks(sizes=(6, 5, 3), loss="cross_entropy") for _ in range(2))
    fastmlp.fit_many(together, frame, names, rows=FOLDS, epochs=2)
    for a, b, rows in zip(together, alone, FOLDS, strict=True):
        b.fit(frame.iloc[rows], names.iloc[rows], epochs=2)
        same(a, b)
        assert (a.feature_names, a.target_name, a.class_names) == (b.feature_names, b.target_name, b.class_names)


def test_an_encoder_is_not_fitted_to_rows_of_others() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": X[:, 0], "b": np.array(["x", "y", "z"])[LABELS]})
    encoder = fastmlp.Encoder.fit(frame)
    sizes = (encoder.n_outputs, 4, 1)
    with pytest.raises(ValueError, match="rows: X has columns that are not numbers"):
        fastmlp.fit_many(networks(sizes=sizes), frame, Y, rows=FOLDS)
    together, alone = (networks(sizes=sizes, encoder=encoder) for _ in range(2))
    fastmlp.fit_many(together, frame, Y, rows=FOLDS, epochs=2)
    for a, b, rows in zip(together, alone, FOLDS, strict=True):
        same(a, b.fit(frame.iloc[rows], Y[rows], epochs=2) and b)


# -- rows by their indices, in the core -------------------------------------------------------------------------------


def test_a_matrix_is_not_copied() -> None:
    x = X.astype(np.float32)
    seen: list[Any] = []

    class Watcher:
        def on_train_begin(self, logs: Any) -> None:
            import gc

            seen.extend(each for each in gc.get_objects() if type(each) is RowSubset)

    fastmlp.fit_many(networks(), x, Y, rows=FOLDS, epochs=1, callbacks=[[Watcher()] for _ in range(3)])
    assert len(seen) >= 3
    assert all(each.whole is x for each in seen)
    seen.clear()
    fastmlp.fit_many(networks(), X, Y, rows=FOLDS, epochs=1, callbacks=[[Watcher()] for _ in range(3)])
    assert len({id(each.whole) for each in seen}) == 1  # the networks are float32: one conversion for all of them
    assert seen[0].whole.dtype == np.float32


@pytest.mark.parametrize("engine", ["native", "blas"])
def test_passes_over_a_subset(engine: str) -> None:
    network = fastmlp.Network([6, 40, 2], engine=engine, dtype="float64", seed=0)
    t = RNG.normal(size=(150, 2))
    for n in (1, 15, 47, 48, 49, 255, 256, 257, 600):
        indices = RNG.integers(0, 150, size=n).astype(np.uint32)
        subset = _core.Rows(RowSubset(X, indices), t[indices])
        copied = _core.Rows(X[indices], t[indices])
        assert network._evaluate(subset) == network._evaluate(copied)
        loss, gradient = network._gradient(subset, False)
        assert loss == network._gradient(copied, False)[0]
        np.testing.assert_array_equal(gradient, network._gradient(copied, False)[1])
        np.testing.assert_array_equal(network._gradient(subset, True)[1], network._gradient(copied, True)[1])


@pytest.mark.parametrize(
    "indices",
    [
        np.array([0, 150], np.uint32),
        np.array([0, 1], np.int64),
        np.array([], np.uint32),
        np.array([[0, 1]], np.uint32),
        np.arange(8, dtype=np.uint32)[::2],
    ],
    ids=["too large", "dtype", "empty", "matrix", "gaps"],
)
def test_indices_that_the_core_refuses(indices: Any) -> None:
    subset = RowSubset(X, np.zeros(2, np.uint32))
    subset.indices = indices
    with pytest.raises(ValueError, match="x: expected"):
        _core.Rows(subset, np.zeros((2, 1)))


def test_a_copied_subset_of_sparse_rows() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    matrix = sparse.random(40, 6, 0.3, "csr", random_state=0)
    rows = fastmlp.inputs.arrays.sparse_rows(matrix, np.dtype(np.float64))
    indices = RNG.integers(0, 40, size=70).astype(np.uint32)
    np.testing.assert_array_equal(RowSubset(rows, indices).toarray(np.float64), matrix.toarray()[indices])
    np.testing.assert_array_equal(RowSubset(rows, indices)[3:9].toarray(np.float64), matrix.toarray()[indices[3:9]])


# -- errors before any training ---------------------------------------------------------------------------------------


def untouched(error: type[Exception], match: str, nets: Any = None, x: Any = X, y: Any = Y, **words: Any) -> None:
    """Check that a call raises an error and leaves the networks as they were."""
    nets = networks() if nets is None else nets
    before = [each.parameters for each in nets if isinstance(each, fastmlp.Network)]
    with pytest.raises(error, match=match):
        fastmlp.fit_many(nets, x, y, **words)
    for network, P in zip((each for each in nets if isinstance(each, fastmlp.Network)), before, strict=True):
        np.testing.assert_array_equal(network.parameters, P)
        assert network.history is None


STOP = fastmlp.EarlyStopping("loss")


class Hooked:
    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        pass


HOOKED = Hooked()


@pytest.mark.parametrize(
    ("error", "match", "words"),
    [
        (ValueError, "networks: expected at least one", {"nets": []}),
        (TypeError, r"networks\[1\]: expected a Network", {"nets": [*networks(1), 3]}),
        (ValueError, r"networks\[2\]: expected each network once", {"nets": (lambda a, b: [a, b, a])(*networks(2))}),
        (TypeError, "y: expected targets", {"y": None}),
        (ValueError, r"networks\[0\]: X: expected shape", {"x": X[:, :5]}),
        (ValueError, r"networks\[0\]: X: expected shape \(B, 6\), got shape \(6,\)", {"x": X[0], "y": 1.0}),
        (ValueError, r"networks\[0\]: y: expected shape", {"y": Y[:-1]}),
        (TypeError, "X: expected an array of rows, got generator", {"x": (row for row in X), "rows": FOLDS}),
        (ValueError, r"networks\[2\]: epochs", {"epochs": [1, 2, 0]}),
        (ValueError, "epochs: expected one value for all networks, or a list of 3", {"epochs": [1, 2]}),
        (ValueError, "validation_data.*are a tuple", {"validation_data": [X, Y]}),
        (TypeError, r"networks\[0\]: validation_data", {"validation_data": [X, Y, None]}),
        (ValueError, r"networks\[1\]: validation_data: X", {"validation_data": [None, (X[:, :3], Y), None]}),
        (ValueError, "sample_weight: expected one value", {"sample_weight": np.ones((2, 150))}),
        (ValueError, r"networks\[0\]: sample_weight: expected shape", {"sample_weight": np.ones(149)}),
        (ValueError, r"networks\[1\]: sample_weight", {"sample_weight": [None, -np.ones(150), None]}),
        (ValueError, r"networks\[0\]: metrics", {"metrics": ["r2"]}),
        (ValueError, r"networks\[1\]: metrics", {"metrics": [[], ["no"], []]}),
        (ValueError, r"networks\[1\]: optimizer", {"optimizer": ["adam", "no", "adam"]}),
        (ValueError, r"networks\[1\]: batch_size", {"optimizer": ["adam", "lbfgs", "adam"], "batch_size": 3}),
        (ValueError, r"networks\[0\]: monitor", {"callbacks": [fastmlp.EarlyStopping()]}),
        (ValueError, r"callbacks\[0\]: expected a function or an EarlyStopping", {"callbacks": [HOOKED]}),
        (ValueError, r"callbacks\[0\]: expected a function", {"callbacks": [fastmlp.Checkpoint("x")]}),
        (ValueError, r"callbacks\[2\]: expected an object of its own", {"callbacks": [[STOP], [], [STOP]]}),
        (ValueError, r"callbacks\[1\]: expected an object of its own", {"callbacks": [[HOOKED]] * 3}),
        (
            ValueError,
            r"callbacks\[1\]: expected a file of its own",
            {"callbacks": [[fastmlp.Checkpoint("x")], [fastmlp.Checkpoint("./x")], []]},
        ),
        (TypeError, r"callbacks\[0\]: expected a function", {"callbacks": [[3], [], []]}),
        (ValueError, "n_threads", {"n_threads": 0}),
        (TypeError, "n_threads", {"n_threads": 1.5}),
        (ValueError, "errors", {"errors": "ignore"}),
        (TypeError, "verbose", {"verbose": [1, 1, 1]}),
        (TypeError, "rows: expected a list", {"rows": 3}),
        (TypeError, "rows: expected a list", {"rows": np.arange(3)}),
        (ValueError, "rows: expected a list of 3", {"rows": FOLDS[:2]}),
        (TypeError, r"rows\[1\]: expected a vector", {"rows": [FOLDS[0], 3, None]}),
        (TypeError, r"rows\[1\]: expected a vector", {"rows": [FOLDS[0], [0.5], None]}),
        (ValueError, r"rows\[2\]: expected at least one", {"rows": [FOLDS[0], None, np.zeros(150, bool)]}),
        (ValueError, r"rows\[0\]: expected indices from 0 to 149, got -1", {"rows": [[0, -1], None, None]}),
        (ValueError, r"rows\[0\]: expected indices from 0 to 149, got 150", {"rows": [[150], None, None]}),
        (ValueError, r"rows\[0\]: expected a mask with 150", {"rows": [[True, False], None, None]}),
        (ValueError, r"networks\[1\]: validation_split", {"rows": [None, [3], None], "validation_split": 0.5}),
        (
            ValueError,
            r"networks\[2\]: sample_weight: expected weights with a sum",
            {"rows": [None, None, [0]], "sample_weight": np.arange(150.0)},
        ),
    ],
)
def test_wrong_arguments(error: type[Exception], match: str, words: dict[str, Any]) -> None:
    untouched(error, match, **{"nets": networks(), **words})


def test_a_network_that_is_being_fitted() -> None:
    """A callback that trains the same networks is an error in its own training, and leaves the others alone."""
    nets = networks()
    errors: list[BaseException] = []

    def again(epoch: int, logs: Any) -> None:
        try:
            fastmlp.fit_many(nets, X, Y, epochs=1)
        except RuntimeError as error:
            errors.append(error)

    nets[0].fit(X, Y, epochs=1, callbacks=[again])
    assert "networks[0]: fit_many: expected a network at rest" in str(errors[0])


# -- errors of one network --------------------------------------------------------------------------------------------


def bad_networks() -> list[fastmlp.Network]:
    nets = networks(4)
    nets[1].parameters = np.full(nets[1].n_parameters, 1e19)
    nets[3].parameters = np.full(nets[3].n_parameters, 1e19)
    return nets


@pytest.mark.parametrize("n_threads", [1, 2])
def test_an_error_belongs_to_its_network(n_threads: int) -> None:
    nets, alone = bad_networks(), networks(4)
    histories = fastmlp.fit_many(nets, X, Y, epochs=3, errors="record", n_threads=n_threads)
    assert [history.stopped for history in histories] == ["epochs", "error", "epochs", "error"]
    assert [type(history.error) for history in histories] == [type(None), FloatingPointError] * 2
    assert str(histories[1].error).startswith("epoch 1 of 3: loss")
    for k in (0, 2):
        alone[k].fit(X, Y, epochs=3)
        same(nets[k], alone[k])
    np.testing.assert_array_equal(nets[1].parameters, bad_networks()[1].parameters)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_the_first_error_is_raised_at_the_end(n_threads: int) -> None:
    nets, alone = bad_networks(), networks(4)
    with pytest.raises(FloatingPointError) as caught:
        fastmlp.fit_many(nets, X, Y, epochs=[1, 2, 3, 9], n_threads=n_threads)
    assert caught.value.__notes__ == ["raised in the training of networks[1]"]
    histories: list[fastmlp.History] = caught.value.histories  # type: ignore[attr-defined]
    assert histories[1] is caught.value.history is nets[1].history  # type: ignore[attr-defined]
    assert [history.epochs for history in histories] == [1, 0, 3, 0]
    alone[2].fit(X, Y, epochs=3)
    same(nets[2], alone[2])


def test_numbers_that_are_not_finite() -> None:
    """A NaN in rows that only one network trains on is the error of that network; the message has its row of X."""
    x = X.copy()
    x[140, 2] = np.nan
    histories = fastmlp.fit_many(networks(), x, Y, rows=[range(100), range(100, 150), None], epochs=2, errors="record")
    assert [type(history.error) for history in histories] == [type(None), ValueError, ValueError]
    assert all("row 140, column 2" in str(history.error) for history in histories[1:])


def test_an_error_of_a_callback() -> None:
    def fail(epoch: int, logs: Any) -> None:
        raise OSError("disk")

    histories = fastmlp.fit_many(networks(), X, Y, epochs=2, callbacks=[[], [fail], []], errors="record")
    assert [type(history.error) for history in histories] == [type(None), OSError, type(None)]
    assert histories[1].epochs == 1


def test_histories_can_be_copied_without_their_errors() -> None:
    history = fastmlp.fit_many(bad_networks()[1:2], X, Y, errors="record")[0]
    assert isinstance(history.error, FloatingPointError)
    for copied in (pickle.loads(pickle.dumps(history)), copy.deepcopy(history)):
        assert (copied, copied.stopped, copied.error) == (history, "error", None)


def test_an_exit_stops_all() -> None:
    def leave(epoch: int, logs: Any) -> None:
        raise SystemExit(3)

    nets = networks()
    with pytest.raises(SystemExit) as caught:
        fastmlp.fit_many(nets, X, Y, epochs=10**7, callbacks=[[], [leave], []], n_threads=2)
    stopped = [history.stopped for history in caught.value.histories]  # type: ignore[attr-defined]
    assert stopped == ["interrupted", "error", "interrupted"]


# -- callbacks, time, checkpoints, display ----------------------------------------------------------------------------


@pytest.mark.parametrize("n_threads", [1, 2])
def test_early_stopping_for_all(n_threads: int) -> None:
    """Each network gets a copy of the callback, so that each stops by its own figures."""
    stop = fastmlp.EarlyStopping(patience=2)
    words: dict[str, Any] = {"epochs": 60, "validation_split": 0.3, "optimizer": fastmlp.Adam(0.05)}
    histories = compare(
        networks,
        X,
        Y,
        rows=BOOTSTRAPS,
        n_threads=n_threads,
        callbacks=[stop],
        of=lambda words, k: {**words, "callbacks": [fastmlp.EarlyStopping(patience=2)]},
        **words,
    )
    assert {history.stopped for history in histories} == {"early_stopping"}
    assert len({history.epochs for history in histories}) > 1
    assert stop.best is None


def test_functions_are_called_for_each_network() -> None:
    calls: list[tuple[str, int]] = []
    fastmlp.fit_many(
        networks(),
        X,
        Y,
        epochs=[1, 2, 3],
        callbacks=[lambda epoch, logs: calls.append((threading.current_thread().name, epoch))],
    )
    assert sorted(epoch for _, epoch in calls) == [0, 0, 0, 1, 1, 2]


def test_each_network_has_its_own_callbacks() -> None:
    class Recorder:
        def set_network(self, network: Any) -> None:
            self.network, self.seen = network, list[float]()

        def on_batch_end(self, batch: int, logs: Any) -> None:
            self.seen.append(logs["loss"])

    recorders, nets = [Recorder() for _ in range(3)], networks()
    fastmlp.fit_many(nets, X, Y, epochs=2, callbacks=[[each] for each in recorders])
    for recorder, network, alone in zip(recorders, nets, networks(), strict=True):
        own = Recorder()
        alone.fit(X, Y, epochs=2, callbacks=[own])
        assert recorder.network is network
        assert recorder.seen == own.seen
        same(network, alone)


def test_max_time_is_of_each_training() -> None:
    histories = fastmlp.fit_many(networks(), X, Y, epochs=10**8, max_time=[0.1, 0.2, 0.1], n_threads=1)
    assert [history.stopped for history in histories] == ["max_time"] * 3


def test_checkpoints(tmp_path: pathlib.Path) -> None:
    """A checkpoint of fit_many resumes in `fit` on X[rows], and the other way round."""
    paths = [tmp_path / f"{k}.safetensors" for k in range(3)]
    whole = networks()
    fastmlp.fit_many(whole, X, Y, rows=FOLDS, epochs=6)
    begun = networks()
    own = [[fastmlp.Checkpoint(path)] for path in paths]
    fastmlp.fit_many(begun, X, Y, rows=FOLDS, epochs=3, callbacks=own)
    alone, together = networks(), networks()
    for network, path, rows in zip(alone, paths, FOLDS, strict=True):
        network.fit(X[rows], Y[rows], epochs=6, resume=path)
    fastmlp.fit_many(together, X, Y, rows=FOLDS, epochs=6, resume="auto", callbacks=own)
    for a, b, c in zip(whole, alone, together, strict=True):
        same(a, b)
        same(a, c)


def test_lines(capsys: pytest.CaptureFixture[str]) -> None:
    fastmlp.fit_many(networks(5), X, Y, epochs=2, verbose=1)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in lines] == [f"network {n}/5" for n in range(1, 6)]
    fastmlp.fit_many(networks(5), X, Y, epochs=2, verbose=2)
    assert len(capsys.readouterr().err.splitlines()) == 3
    fastmlp.fit_many(networks(5), X, Y, epochs=2)
    assert capsys.readouterr().err == ""


def test_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    tqdm = pytest.importorskip("tqdm.auto")
    import io

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    fastmlp.fit_many(networks(), X, Y, epochs=50, verbose=1)
    assert tqdm is not None
    assert "network 3/3 100%" in terminal.getvalue()


# -- Ctrl-C, threads, forks -------------------------------------------------------------------------------------------

SETUP = """
    import os, signal, threading, time
    import numpy as np
    import fastmlp

    signal.signal(signal.SIGINT, signal.default_int_handler)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 20)).astype(np.float32)
    y = X[:, 0] * X[:, 1]

    def networks(n, width=64):
        return [fastmlp.Network([20, width, 1], seed=seed) for seed in range(n)]

    def interrupt_when(holds):
        def send():
            while not holds():
                time.sleep(0.01)
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=send, daemon=True).start()
"""


@pytest.mark.skipif(os.name != "posix", reason="a signal to the process itself")
@pytest.mark.parametrize("n_threads", [1, 2, 4])
@pytest.mark.parametrize("batch_size", [32, None])
def test_ctrl_c(n_threads: int, batch_size: Any) -> None:
    """After Ctrl-C all threads have ended, and each network has its complete steps and can be trained again."""
    code = f"""
    nets = networks(5)
    before = [net.parameters for net in nets]
    interrupt_when(lambda: sum(net.history is not None and net.history.epochs > 0 for net in nets) == {n_threads})
    try:
        fastmlp.fit_many(nets, X, y, epochs=10**6, n_threads={n_threads}, batch_size={batch_size})
    except KeyboardInterrupt as error:
        histories = error.histories
    changed = [not np.array_equal(net.parameters, P) for net, P in zip(nets, before)]
    assert [history.stopped for history in histories] == ["interrupted"] * 5, histories
    assert sum(changed) == min({n_threads}, 5), changed
    assert not [thread for thread in threading.enumerate() if thread.name == "fastmlp.fit_many"]
    for net, history, is_changed in zip(nets, histories, changed):
        assert is_changed == (history.epochs > 0), (is_changed, history.epochs)
        if is_changed:
            state = net.training_state()
            assert state.n_steps >= history.epochs
            assert np.array_equal(state.parameters, net.parameters)
        net.fit(X, y, epochs=1)
    print("done")
    """
    assert run_python(SETUP + code) == "done\n"


@pytest.mark.skipif(os.name != "posix", reason="a signal to the process itself")
def test_ctrl_c_restores_the_best_weights() -> None:
    code = """
    nets = networks(2)
    stops = [fastmlp.EarlyStopping("loss", patience=10**6) for _ in nets]
    interrupt_when(lambda: all(net.history is not None and net.history.epochs > 0 for net in nets))
    try:
        fastmlp.fit_many(nets, X, y, epochs=10**6, optimizer=fastmlp.SGD(1e-3), n_threads=2,
                         callbacks=[[each] for each in stops])
    except KeyboardInterrupt as error:
        histories = error.histories
    print([stop.best == min(history.loss) for stop, history in zip(stops, histories)])
    """
    assert run_python(SETUP + code) == "[True, True]\n"


@pytest.mark.skipif(os.name != "posix", reason="a signal to the process itself")
def test_ctrl_c_within_a_long_step() -> None:
    """A step over all rows of a large network is stopped, too."""
    code = """
    X = rng.normal(size=(20000, 20)).astype(np.float32)
    y = X[:, 0]
    nets = networks(2, 8192)
    interrupt_when(lambda: nets[0].history is not None)
    try:
        fastmlp.fit_many(nets, X, y, epochs=100, batch_size=None, n_threads=2)
    except KeyboardInterrupt as error:
        print([history.stopped for history in error.histories])
    """
    assert run_python(SETUP + code) == "['interrupted', 'interrupted']\n"


def test_within_a_pool_of_threads() -> None:
    """Several calls at the same time, from threads that are not the main one."""
    alone = networks()
    for network, rows in zip(alone, FOLDS, strict=True):
        network.fit(X[rows], Y[rows], epochs=4)

    def work(_: int) -> list[fastmlp.Network]:
        nets = networks()
        fastmlp.fit_many(nets, X, Y, rows=FOLDS, epochs=4, n_threads=2)
        return nets

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for nets in pool.map(work, range(8)):
            for a, b in zip(nets, alone, strict=True):
                same(a, b)


def test_a_call_within_a_callback() -> None:
    inner: list[fastmlp.Network] = []

    def nested(epoch: int, logs: Any) -> None:
        nets = networks()
        fastmlp.fit_many(nets, X, Y, epochs=2, n_threads=2)
        inner.extend(nets)

    fastmlp.fit_many(networks(2), X, Y, epochs=1, callbacks=[nested], n_threads=2)
    alone = networks()
    for network in alone:
        network.fit(X, Y, epochs=2)
    for k, network in enumerate(inner):
        same(network, alone[k % 3])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork() -> None:
    """A child of a process that has trained, and one forked by a callback while others train, can train."""
    code = """
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)

    def check():
        nets, alone = networks(3, 8), networks(3, 8)
        fastmlp.fit_many(nets, X, y, epochs=2, n_threads=3)
        for a, b in zip(nets, alone):
            b.fit(X, y, epochs=2)
            assert np.array_equal(a.parameters, b.parameters)

    def in_child(epoch=0, logs=None):
        pid = os.fork()
        if pid == 0:
            try:
                check()
                os._exit(0)
            except BaseException:
                os._exit(1)
        codes.append(os.waitpid(pid, 0)[1])

    codes = []
    check()
    in_child()
    fastmlp.fit_many(networks(4, 8), X, y, epochs=3, n_threads=2, callbacks=[[in_child], [], [], []])
    print(codes)
    """
    assert run_python(SETUP + code) == "[0, 0, 0, 0]\n"


@pytest.mark.parametrize(
    ("n_threads", "n_turns", "expected"),
    [(1, 1, [1]), (2, 2, [1, 1]), (5, 3, [2, 2, 1]), (8, 3, [3, 3, 2]), (6, 1, [6]), (2, 3, [1, 1, 1])],
)
def test_shares_of_threads(monkeypatch: pytest.MonkeyPatch, n_threads: int, n_turns: int, expected: list[int]) -> None:
    """Threads without a turn are lent to the turns that are left, the earlier ones first."""
    limits: list[int] = []
    monkeypatch.setattr(_core, "limit_threads", limits.append)
    turns: list[Any] = [lambda own, k=k: k for k in range(n_turns)]
    own = crew.Crew(turns, n_threads)
    own._active = list(turns)
    for turn in turns:
        own.share(turn)
    assert limits == expected


def test_threads_are_lent_as_others_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest training gets all threads once it is the last one."""
    limits: dict[Any, list[int]] = {}
    monkeypatch.setattr(
        _core, "limit_threads", lambda n: limits.setdefault(threading.current_thread().ident, []).append(n)
    )
    ended = threading.Event()

    def end(logs: Any) -> None:
        ended.set()

    class Short:
        on_train_end = staticmethod(end)

    class Long:
        @staticmethod
        def on_epoch_begin(epoch: int, logs: Any) -> None:
            assert epoch < 3 or ended.wait(60)

    fastmlp.fit_many(networks(2), X, Y, epochs=[3000, 2], callbacks=[[Long()], [Short()]], n_threads=2)
    assert sorted(each[-2:] for each in limits.values()) == [[1, 0], [2, 0]]


@pytest.mark.parametrize("n_allowed", [0, 1])
def test_a_system_without_threads(monkeypatch: pytest.MonkeyPatch, n_allowed: int) -> None:
    """The threads that there are do the work; if there is none, the one that calls."""
    start = crew.Worker.start
    started: list[Any] = []

    def limited(worker: crew.Worker) -> None:
        if len(started) == n_allowed:
            raise RuntimeError("can't start new thread")
        started.append(worker)
        start(worker)

    monkeypatch.setattr(crew.Worker, "start", limited)
    together, alone = networks(), networks()
    fastmlp.fit_many(together, X, Y, epochs=2, n_threads=3)
    for a, b in zip(together, alone, strict=True):
        b.fit(X, Y, epochs=2)
        same(a, b)


def test_the_longest_training_is_first() -> None:
    began: list[int] = []
    watchers = [type("Watcher", (), {"on_train_begin": lambda self, logs, k=k: began.append(k)})() for k in range(4)]
    nets = [fastmlp.Network([6, width, 1]) for width in (2, 50, 10, 10)]
    rows = [None, None, None, range(20)]
    words: dict[str, Any] = {"epochs": [40, 4, 10, 10], "callbacks": [[each] for each in watchers]}
    fastmlp.fit_many(nets, X, Y, rows=rows, n_threads=1, **words)
    assert began == [1, 2, 0, 3]  # 4 * 401 > 10 * 81 > 40 * 17 > 10 * 81 * 20 / 150


def test_a_limit_of_threads_ends_with_the_thread() -> None:
    """Neither the limit nor the flag of a crew stays with the thread that calls fit_many."""
    flag = _core.StopFlag()
    flag.enter()
    flag.set()
    try:
        with pytest.raises(KeyboardInterrupt):
            fastmlp.Network([6, 1]).fit(X, Y, epochs=1)
    finally:
        flag.leave()
    fastmlp.Network([6, 1]).fit(X, Y, epochs=1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="reads /proc")
def test_memory() -> None:
    """Workspace, which these networks need far more of than parameters, exists for the networks at work only."""
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("needs /proc")
    code = """
    def megabytes():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    nets = [fastmlp.Network([20, 4000, 1], seed=seed) for seed in range(60)]
    fastmlp.fit_many(nets[:2], X, y, epochs=1, batch_size=240, n_threads=2)
    before = megabytes()
    fastmlp.fit_many(nets, X, y, epochs=1, batch_size=240, n_threads=2)
    grown = megabytes() - before
    parameters = 60 * nets[0].n_parameters * 4 / 2**20
    print(grown < 8 * parameters + 40, grown, parameters)
    """
    assert run_python(SETUP + code).startswith("True")


# -- what a network in the list may meet before its turn, and messages --


def test_a_network_that_waits_for_its_turn_cannot_be_changed() -> None:
    X, y = np.ones((30, 2)), np.ones(30)
    networks = [fastmlp.Network([2, 3, 1], seed=k) for k in range(3)]
    refused = []

    def change_the_last(epoch: int, logs: dict[str, float]) -> None:
        for act in (
            lambda: networks[2].fit(X, y, epochs=1),
            lambda: setattr(networks[2], "parameters", networks[2].parameters * 0),
        ):
            with pytest.raises(RuntimeError, match="a network at rest"):
                act()
            refused.append(epoch)
        assert np.isfinite(networks[2].predict(X)).all()

    fastmlp.fit_many(networks, X, y, epochs=[3, 2, 1], n_threads=1, callbacks=[[change_the_last], [], []])
    assert refused == [0, 0, 1, 1, 2, 2]
    alone = fastmlp.Network([2, 3, 1], seed=2)
    alone.fit(X, y, epochs=1)
    assert np.array_equal(alone.parameters, networks[2].parameters)
    networks[2].fit(X, y, epochs=1)  # it is free again


def test_networks_are_free_again_after_an_error() -> None:
    networks = [fastmlp.Network([2, 1], seed=k) for k in range(3)]

    def stop(epoch: int, logs: dict[str, float]) -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        fastmlp.fit_many(networks, np.ones((9, 2)), np.ones(9), n_threads=1, callbacks=[stop])
    for network in networks:
        network.fit(np.ones((9, 2)), np.ones(9), epochs=1)


def test_an_exception_that_allows_no_attributes_is_raised_itself() -> None:
    class ReadOnlyError(Exception):
        histories = property(lambda self: None)
        history = property(lambda self: None)

    def fail(epoch: int, logs: dict[str, float]) -> None:
        raise ReadOnlyError("the cause")

    networks = [fastmlp.Network([2, 1], seed=k) for k in range(2)]
    with pytest.raises(ReadOnlyError, match="the cause"):
        fastmlp.fit_many(networks, np.ones((9, 2)), np.ones(9), callbacks=[fail])


def test_a_file_to_resume_from_is_looked_for_before_any_training(tmp_path: pathlib.Path) -> None:
    networks = [fastmlp.Network([2, 1], seed=k) for k in range(2)]
    before = networks[0].parameters
    with pytest.raises(FileNotFoundError) as caught:
        fastmlp.fit_many(networks, np.ones((9, 2)), np.ones(9), resume=[None, tmp_path / "none"])
    assert "networks[1]" in "".join(caught.value.__notes__)
    assert np.array_equal(networks[0].parameters, before)


def test_folds_with_their_test_rows_are_refused_with_how_to_write_them() -> None:
    folds = [(np.arange(6), np.arange(6, 9)), (np.arange(3, 9), np.arange(3))]
    networks = [fastmlp.Network([2, 1], seed=k) for k in range(2)]
    with pytest.raises(TypeError, match=r"rows\[0\]: .*folds \(train, test\)"):
        fastmlp.fit_many(networks, np.ones((9, 2)), np.ones(9), rows=folds)


@pytest.mark.oracle
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_weights_in_a_frame_are_a_row_for_each_network(library: str) -> None:
    frames = pytest.importorskip(library)
    X, y = np.random.default_rng(0).normal(size=(4, 2)), np.arange(4.0)
    weights = np.arange(1.0, 17.0).reshape(4, 4)  # as many networks as rows, so that columns would be taken, too
    pairs = [[fastmlp.Network([2, 3, 1], seed=k) for k in range(4)] for _ in range(2)]
    fastmlp.fit_many(pairs[0], X, y, epochs=2, sample_weight=weights)
    fastmlp.fit_many(pairs[1], X, y, epochs=2, sample_weight=frames.DataFrame(weights))
    assert all(np.array_equal(a.parameters, b.parameters) for a, b in zip(*pairs, strict=True))
