"""What `fit` returns: a mapping from a name to its list per epoch, readable by attribute."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Mapping

import pytest

from fastmlp.history import History

RECORDS = {"loss": [0.5, 0.25, 0.125], "val_loss": [0.75, 0.5, 0.375]}


def test_is_a_mapping_in_the_order_of_recording() -> None:
    history = History(RECORDS)
    assert isinstance(history, Mapping)
    assert list(history) == ["loss", "val_loss"]
    assert dict(history) == RECORDS
    assert len(history) == 2
    assert "loss" in history
    assert "val_accuracy" not in history
    with pytest.raises(KeyError):
        history["val_accuracy"]


def test_attributes() -> None:
    history = History(RECORDS)
    assert history.loss == RECORDS["loss"]
    assert history.val_loss == RECORDS["val_loss"]
    assert {"loss", "val_loss", "epochs"} <= set(dir(history))
    with pytest.raises(AttributeError, match="val_accuracy"):
        _ = history.val_accuracy
    assert not hasattr(history, "_loss")


def test_takes_a_copy_of_what_it_begins_with() -> None:
    records = {"loss": [1.0]}
    history = History(records)
    records["loss"].append(2.0)
    assert history.loss == [1.0]


def test_grows_by_an_epoch_at_a_time() -> None:
    history = History()
    assert history.epochs == 0
    history._append({"loss": 1, "val_loss": 2.0})
    history._append({"val_loss": 1.0, "loss": 0.5})
    assert history == {"loss": [1.0, 0.5], "val_loss": [2.0, 1.0]}
    assert type(history.loss[0]) is float
    assert history.epochs == 2
    with pytest.raises(ValueError, match="names"):
        history._append({"loss": 0.25})
    assert history.epochs == 2
    assert history.loss == [1.0, 0.5]


def test_lists_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="equal length"):
        History({"loss": [1.0], "val_loss": []})


@pytest.mark.parametrize(
    ("records", "text"),
    [
        ({}, "History(0 epochs)"),
        ({"loss": [0.25]}, "History(1 epoch: loss 0.25)"),
        (RECORDS, "History(3 epochs: loss 0.5 -> 0.125, val_loss 0.75 -> 0.375)"),
    ],
)
def test_repr(records: dict[str, list[float]], text: str) -> None:
    assert repr(History(records)) == text


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol: int) -> None:
    history = History(RECORDS)
    again = pickle.loads(pickle.dumps(history, protocol))
    assert type(again) is History
    assert again == history


def test_copies_are_independent() -> None:
    history = History(RECORDS)
    deep = copy.deepcopy(history)
    deep._append({"loss": 0.0, "val_loss": 0.0})
    assert history == RECORDS
    assert deep.epochs == 4
    assert copy.copy(history) == history
