"""`fastmlp.fit_many` against `fit` of each network alone: the same bits, histories and files.

The oracle is `fit` itself with copies of the rows, X[rows] and y[rows].
"""

from __future__ import annotations

import pathlib
import threading
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import _core
from fastmlp.inputs.arrays import RowSubset
from many import BOOTSTRAPS, FOLDS, LABELS, RNG, THREADS, X, Y, compare, networks, same

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
