"""What `fit` returns: a mapping from a name to its list per epoch, readable by attribute."""

from __future__ import annotations

import copy
import json
import pickle
import re
from collections.abc import Mapping
from typing import Any

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


def test_an_epoch_without_a_number_has_nan() -> None:
    """An epoch without a value for a name has NaN, so that all lists have the same length."""
    history = History()
    history._append({"loss": 1.0})
    history._append({"loss": 2.0})
    history._note({"rate": 5.0})
    history._append({"loss": 3.0})
    assert [repr(values) for values in history.values()] == ["[1.0, 2.0, 3.0]", "[nan, 5.0, nan]"]
    history._append({"loss": 4.0, "new": 1.0})
    assert repr(history["new"]) == "[nan, nan, nan, 1.0]"
    assert {len(values) for values in history.values()} == {history.epochs} == {4}


def test_what_a_ctrl_c_has_left_half_is_cut_off() -> None:
    history, error = History(RECORDS), KeyboardInterrupt()
    history.loss.append(1.0)
    history._end_by(error)
    assert history == RECORDS
    assert (error.history, history.stopped) == (history, "interrupted")  # type: ignore[attr-defined]


# -- other forms -------------------------------------------------------------------------------------------------------


def test_a_plain_dict() -> None:
    history = History(RECORDS)
    plain = history.to_dict()
    assert type(plain) is dict
    assert plain == RECORDS
    plain["loss"].append(0.0)
    assert history == RECORDS
    assert json.loads(json.dumps(history.to_dict())) == json.loads(json.dumps(history)) == RECORDS


@pytest.mark.parametrize("records", [RECORDS, {"loss": [0.5]}, {"loss": [], "val_loss": []}, {}])
@pytest.mark.parametrize("form", ["itself", "to_dict"])
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_has_a_row_per_epoch_and_a_column_per_curve(library: str, form: str, records: Any) -> None:
    history = History(records)
    frame = pytest.importorskip(library).DataFrame(history if form == "itself" else history.to_dict())
    assert list(frame.columns) == list(records)
    assert frame.shape == (history.epochs, len(records))
    for name, values in records.items():
        assert frame[name].to_list() == values


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
def test_repr_of(records: dict[str, list[float]], text: str) -> None:
    assert repr(History(records)) == text


def test_repr_is_a_line() -> None:
    text = repr(History({f"val_metric_{i}": [1e-300 / 3, 1e300 / 3] for i in range(50)}))
    assert text.startswith("History(2 epochs: val_metric_0 3.333e-301 -> 3.333e+299, ")
    assert re.search(r", and \d+ more\)$", text)
    assert text.count("val_metric_") + int(re.findall(r"and (\d+) more", text)[0]) == 50
    assert len(text) < 160


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol: int) -> None:
    history = History(RECORDS)
    again = pickle.loads(pickle.dumps(history, protocol))
    assert type(again) is History
    assert again == history


OLD = [
    b"\x80\x02cfastmlp.history\nHistory\nq\x00)\x81q\x01N}q\x02(X\x08\x00\x00\x00_recordsq\x03}q\x04(X\x04\x00\x00\x00lossq"
    b"\x05]q\x06(G?\xe0\x00\x00\x00\x00\x00\x00G?\xd0\x00\x00\x00\x00\x00\x00eX\x08\x00\x00\x00val_lossq\x07]q\x08(G?\xe8\x00"
    b"\x00\x00\x00\x00\x00G?\xe0\x00\x00\x00\x00\x00\x00euX\x08\x00\x00\x00_stoppedq\tX\x06\x00\x00\x00epochsq\nu\x86q\x0bb.",
    b"\x80\x05\x95\x8b\x00\x00\x00\x00\x00\x00\x00\x8c\x0ffastmlp.history\x94\x8c\x07History\x94\x93\x94)\x81\x94N}\x94"
    b"(\x8c\x08_records\x94}\x94(\x8c\x04loss\x94]\x94(G?\xe0\x00\x00\x00\x00\x00\x00G?\xd0\x00\x00\x00\x00\x00\x00e\x8c\x08"
    b"val_loss\x94]\x94(G?\xe8\x00\x00\x00\x00\x00\x00G?\xe0\x00\x00\x00\x00\x00\x00eu\x8c\x08_stopped\x94\x8c\x06epochs\x94"
    b"u\x86\x94b.",
]


@pytest.mark.parametrize("data", OLD)
def test_pickles_of_the_first_version(data: bytes) -> None:
    """Histories pickled by 0.1.0, alone and within estimators, can be loaded."""
    history = pickle.loads(data)
    assert (type(history), history.stopped) == (History, "epochs")
    assert history == {"loss": [0.5, 0.25], "val_loss": [0.75, 0.5]}


def test_copies_are_independent() -> None:
    history = History(RECORDS)
    deep = copy.deepcopy(history)
    deep._append({"loss": 0.0, "val_loss": 0.0})
    assert history == RECORDS
    assert deep.epochs == 4
    assert copy.copy(history) == history
