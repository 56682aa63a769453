"""Iterators of batches as data: the rows in their order, what they cannot have, and what goes wrong in one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from conftest import Implementation

import fastmlp
from fastmlp import reference
from input_rows import REAL, TARGETS, WEIGHTS, I, N, O, batches


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["list", "function", "iterable"])
def test_batches_are_the_rows_in_their_order(build: Implementation, kind: str, weighted: bool) -> None:
    class Loader:
        def __iter__(self) -> Iterator[Any]:
            return batches(weighted=weighted)

    sources: dict[str, Any] = {
        "list": [list(batch) for batch in batches(weighted=weighted)],
        "function": lambda: batches(weighted=weighted),
        "iterable": Loader(),
    }
    nets = [build([I, 7, O], seed=2) for _ in range(2)]
    words: dict[str, Any] = {"epochs": 3, "validation_data": (REAL, TARGETS), "metrics": ["mae"], "optimizer": "adam"}
    ours = nets[0].fit(sources[kind], **words)
    weights = WEIGHTS if weighted else None
    theirs = nets[1].fit(REAL, TARGETS, batch_size=40, shuffle=False, sample_weight=weights, **words)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)
    assert list(ours) == list(theirs)
    np.testing.assert_allclose(ours["loss"], theirs["loss"], rtol=1e-12)
    assert ours.stopped == "epochs"


def test_batches_of_the_reference(build64: Implementation) -> None:
    net, other = build64([I, 3, O], seed=2), reference.Network([I, 3, O], seed=2)
    ours = net.fit(lambda: batches(weighted=True), epochs=2)
    theirs = other.fit(lambda: ((x.tolist(), y.tolist(), w.tolist()) for x, y, w in batches(weighted=True)), epochs=2)
    np.testing.assert_allclose(ours["loss"], theirs["loss"], rtol=1e-9)
    build64.assert_close(net.parameters, other.parameters, [I, 3, O], passes=30)


def test_an_iterator_lasts_for_one_epoch() -> None:
    net = fastmlp.Network([I, O], seed=0)
    assert len(net.fit(batches(), epochs=1).loss) == 1
    with pytest.raises(ValueError, match=r"X: expected batches that 2 epochs can go through, .* got generator"):
        net.fit(batches(), epochs=2)


def test_what_goes_wrong_in_a_batch_is_taken_back() -> None:
    net = fastmlp.Network([I, O], seed=0)
    net.fit(list(batches()), epochs=1)
    before = net.parameters

    def broken(kind: str) -> Iterator[Any]:
        yield from batches()
        if kind == "error":
            raise OSError("the disk")
        yield {"shape": (REAL[:, :3], TARGETS), "nan": (np.full((2, I), np.nan), TARGETS[:2]), "type": 3}[kind]

    for kind, error, message in (
        ("error", OSError, "the disk"),
        ("shape", ValueError, "batch 6: X: expected shape"),
        ("nan", ValueError, "X: expected finite numbers, got nan at row 0, column 0"),
        ("type", TypeError, r"X: expected batches \(X, y\) .* got int as batch 6"),
    ):
        with pytest.raises(error, match=message):
            net.fit(lambda kind=kind: broken(kind), epochs=2)
        np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"batch_size": 3}, "batch_size"),
        ({"shuffle": "blocks"}, "shuffle"),
        ({"validation_split": 0.5}, "validation_split"),
        ({"sample_weight": [1.0]}, "sample_weight"),
        ({"class_weight": "balanced"}, "class_weight"),
        ({"resume": "file"}, "resume"),
        ({"callbacks": [fastmlp.Checkpoint("file")]}, "callbacks: expected no Checkpoint"),
        ({"optimizer": "lbfgs"}, "optimizer: expected one that takes batches"),
        ({"metrics": ["mae"]}, "metrics"),
    ],
)
def test_what_batches_cannot_have(words: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fastmlp.Network([I, O]).fit(list(batches()), **words)
    if not {"resume", "callbacks"} & set(words):  # the reference does not have these arguments
        with pytest.raises(ValueError, match=message.split(":")[0]):
            reference.Network([I, O]).fit(list(batches()), **words)


def test_weights_of_classes_in_batches(build64: Implementation) -> None:
    """Weights of classes count in batches as for all rows, and as in the reference."""
    words: dict[str, Any] = {"loss": "cross_entropy", "seed": 2}
    nets = [build64([I, O], **words), build64([I, O], **words), reference.Network([I, O], **words)]
    labels = np.arange(N) % O
    given = [(REAL[i : i + 40].tolist(), labels[i : i + 40].tolist()) for i in range(0, N, 40)]
    weights = {0: 3.0, 1: 0.5}
    losses = [nets[i].fit(given, epochs=2, class_weight=weights).loss for i in (0, 2)]
    losses.append(nets[1].fit(REAL, labels, batch_size=40, shuffle=False, epochs=2, class_weight=weights).loss)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)
    build64.assert_close(nets[2].parameters, nets[1].parameters, [I, O], passes=30)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-9)
    np.testing.assert_allclose(losses[0], losses[2], rtol=1e-12)


def test_what_are_no_batches() -> None:
    net = fastmlp.Network([I, O], seed=0)
    with pytest.raises(TypeError, match="y: expected targets beside X, got None"):
        net.fit(REAL)
    with pytest.raises(TypeError, match="X: expected an iterable of batches"):
        net.fit(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="X: expected batches, got none in epoch 1"):
        net.fit([])


def test_ctrl_c_in_a_batch_keeps_what_was_learnt() -> None:
    def interrupted() -> Iterator[Any]:
        yield from batches()
        raise KeyboardInterrupt

    nets = [fastmlp.Network([I, O], seed=0) for _ in range(2)]
    with pytest.raises(KeyboardInterrupt):
        nets[0].fit(interrupted, epochs=3)
    nets[1].fit(list(batches()), epochs=1)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)


def test_callbacks_and_time_with_batches() -> None:
    net = fastmlp.Network([I, O], seed=0)
    seen: list[tuple[int, float]] = []

    class Watch:
        def on_batch_end(self, batch: int, logs: Any) -> bool:
            seen.append((batch, logs["loss"]))
            return len(seen) == 4

    history = net.fit(list(batches()), epochs=5, callbacks=[Watch()])
    assert [batch for batch, _ in seen] == [0, 1, 2, 3]
    assert history.stopped == "callback"
    assert history["loss"] == [seen[-1][1]]
    assert net.fit(lambda: batches(), epochs=10**6, max_time=0.05).stopped == "max_time"
    stopping = fastmlp.EarlyStopping(monitor="loss", patience=1, min_delta=10.0)
    assert net.fit(list(batches()), epochs=9, callbacks=[stopping]).stopped == "early_stopping"


def test_a_frame_to_validate_batches_on_has_their_columns() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    net = fastmlp.Network([2, 1], seed=0)
    with pytest.raises(ValueError, match=r"^validation_data: X: expected the columns 'a', 'b', got some without 'a'"):
        net.fit([(frame, [1.0, 2.0])], validation_data=(frame.rename(columns={"a": "c"}), [1.0, 2.0]))
    assert net.feature_names is None
    net.fit([(frame, [1.0, 2.0])], validation_data=(frame, [1.0, 2.0]))
    assert net.feature_names == ("a", "b")
