"""`fit_many`: arguments that are refused before any training, and errors of one network among many."""

from __future__ import annotations

import copy
import pathlib
import pickle
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp.training import plan
from many import FOLDS, X, Y, networks, same

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


def test_arguments_for_all_are_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One value for all networks makes one plan, values of their own make a plan for each network."""
    checks: list[plan.FitPlan] = []
    check = plan.FitPlan.__post_init__
    monkeypatch.setattr(plan.FitPlan, "__post_init__", lambda made: (checks.append(made), check(made))[1])
    fastmlp.fit_many(networks(), X, Y, epochs=2, optimizer=["adam", "sgd", "adam"], callbacks=[lambda *_: None])
    assert len(checks) == 1
    fastmlp.fit_many(networks(), X, Y, epochs=[2, 3, 3])
    assert [each.epochs for each in checks[1:]] == [2, 3]
    fastmlp.fit_many(networks(), X, Y, epochs=2, callbacks=[fastmlp.EarlyStopping("loss")])
    assert len(checks) == 6


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
