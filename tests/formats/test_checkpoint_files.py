"""Checkpoint files: what is written can be read, and a refused file does not change the network.

`altered` writes a checkpoint with one change in its training and correct checksums.
"""

from __future__ import annotations

import pathlib
import random
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import Checkpoint, EarlyStopping
from fastmlp.formats import model_file
from trainings import assert_same, classifier, data

X, Y = data(41)
PLATEAU = fastmlp.SGD(fastmlp.ReduceOnPlateau(0.1, patience=2, cooldown=1))


def words(optimizer: Any = None) -> dict[str, Any]:
    optimizer = optimizer or fastmlp.Adam(0.02)
    callbacks = [EarlyStopping(patience=3)]
    return {"epochs": 4, "batch_size": 8, "optimizer": optimizer, "validation_split": 0.25, "callbacks": callbacks}


def network(**more: Any) -> Any:
    return classifier(lambda sizes, **each: fastmlp.Network(sizes, **each), **more)


def altered(change: Any, path: pathlib.Path, optimizer: Any = None, **more: Any) -> None:
    to_bytes = model_file.to_bytes

    def changed(network: Any, extra: Any = None, training: Any = None) -> bytes:
        tensors, fields = dict(training.tensors), dict(training.fields)
        change(fields, tensors)
        return to_bytes(network, extra, model_file.SavedTraining(fields, tensors))

    how = words(optimizer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_file, "to_bytes", changed)
        network(**more).fit(X, Y, **{**how, "epochs": 2, "callbacks": [*how["callbacks"], Checkpoint(path)]})


def renamed(old: str, new: str) -> Any:
    def change(fields: Any, tensors: Any) -> None:
        tensors[f"history.{new}"] = tensors.pop(f"history.{old}")
        fields["history"] = [new if name == old else name for name in fields["history"]]

    return change


def number(name: str, value: Any) -> Any:
    return lambda fields, tensors: tensors.update({f"callbacks.0.{name}": value})


def plateau(name: str, text: str) -> Any:
    """Change one of the four numbers of a plateau: rate, best loss, bad epochs, cooldown epochs."""
    return lambda fields, tensors: fields["numbers"].update({f"plateau.{name}": text})


CASES: dict[str, Any] = {
    "curve renamed": renamed("loss", "lost"),
    "validation's curve renamed": renamed("val_loss", "loss2"),
    "curve twice": lambda f, t: f.update(history=[f["history"][0]] * len(f["history"])),
    "a reason of its own": lambda f, t: f.update(stopped="callback"),
    "steps that no number counts": lambda f, t: f.update(n_steps=2**53),
    "version true": lambda f, t: f.update(version=True),
    **{f"wait {n}": number("wait", np.array(n)) for n in (np.inf, -np.inf, np.nan, 0.5, -1.0)},
    **{f"best epoch {n}": number("best_epoch", np.array(n)) for n in (np.inf, np.nan, 1.5, -2.0)},
    "a vector for best": lambda f, t: t.update({"callbacks.0.best": t["callbacks.0.weights"]}),
    "a vector for wait": lambda f, t: t.update({"callbacks.0.wait": t["callbacks.0.weights"]}),
    "a number for weights": number("weights", np.array(1.0)),
    "30 dimensions": number("wait", np.zeros((1,) * 30)),
}
PLATEAUS = {
    f"{name} {text}": plateau(name, text)
    for name in ("rate", "best", "n_bad", "n_cooling")
    for text in ("inf", "-inf", "nan", "-0x1p+0", "0x1p-1", "0x1p+60")
    if (name, text) not in {("best", t) for t in ("inf", "-0x1p+0", "0x1p-1", "0x1p+60")} | {("rate", "0x1p-1")}
    if (name, text) != ("rate", "0x1p+60")
}


def state(net: Any) -> Any:
    return net.parameters.tobytes(), net._random_state, net._architecture(), net.learning_rate, repr(net), net.summary()


def assert_refused(path: pathlib.Path, optimizer: Any = None, **more: Any) -> None:
    """Check that resuming raises a `FormatError` naming the file, and changes neither network nor optimiser."""
    net, control = network(**more), network(**more)
    for each in (net, control):
        each.fit(X, Y, epochs=1, optimizer="adam", validation_split=0.25)  # with the same scaling as the checkpoint
    before = state(net)
    with pytest.raises(fastmlp.FormatError) as error:
        net.fit(X, Y, **words(optimizer), resume=path)
    assert str(error.value).startswith(f"{path}: ")
    assert state(net) == before
    for each in (net, control):
        each.fit(X, Y, epochs=1)
    np.testing.assert_array_equal(net.parameters, control.parameters)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("scaled", [None, "standard"])
def test_what_nothing_can_go_on_from(case: str, scaled: str | None, tmp_path: pathlib.Path) -> None:
    altered(CASES[case], tmp_path / "c", input_scaling=scaled)
    assert_refused(tmp_path / "c", input_scaling=scaled)


@pytest.mark.parametrize("case", PLATEAUS)
def test_a_plateau_that_cannot_be(case: str, tmp_path: pathlib.Path) -> None:
    altered(PLATEAUS[case], tmp_path / "c", PLATEAU)
    assert_refused(tmp_path / "c", PLATEAU)


def test_unaltered_it_goes_on(tmp_path: pathlib.Path) -> None:
    for optimizer in (None, PLATEAU):
        altered(lambda fields, tensors: None, tmp_path / "c", optimizer)
        net, whole = network(), network()
        net.fit(X, Y, **words(optimizer), resume=tmp_path / "c")
        whole.fit(X, Y, **words(optimizer))
        np.testing.assert_array_equal(net.parameters, whole.parameters)


# -- what is written can be read ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("which", ["vector", "number"])
def test_a_state_that_overflows_is_not_written(
    which: str, value: float, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state that is not finite is not written; the previous file stays, and can be resumed."""
    path, original, n_calls = tmp_path / "c", fastmlp.Network._training_state, 0

    def overflowed(net: Any) -> Any:
        nonlocal n_calls
        optimizer, regularization, P, vectors, numbers, *rest = original(net)
        n_calls += 1
        if n_calls == 3 and which == "vector":
            vectors["exp_avg_sq"][3] = value
        elif n_calls == 3:
            numbers["learning_rate"] = value
        return optimizer, regularization, P, vectors, numbers, *rest

    net, whole = network(), network()
    with monkeypatch.context() as patch:
        patch.setattr(fastmlp.Network, "_training_state", overflowed)
        with pytest.raises(
            FloatingPointError, match=r"checkpoint: expected finite numbers, .* the previous file is kept"
        ):
            net.fit(X, Y, **{**words(), "callbacks": [EarlyStopping(patience=3), Checkpoint(path)]})
    again = network()
    history = again.fit(X, Y, **words(), resume=path)
    assert history == whole.fit(X, Y, **words())
    np.testing.assert_array_equal(again.parameters, whole.parameters)


@pytest.mark.parametrize("optimizer", [fastmlp.Adam(0.02), fastmlp.RMSprop(0.01), fastmlp.AdaGrad(0.1)], ids=repr)
def test_squares_of_gradients_that_float32_cannot_hold(optimizer: Any, tmp_path: pathlib.Path) -> None:
    """With gradients above 1e22, a written file can be loaded, whether or not training can continue."""
    path, X, y = tmp_path / "c", [[1e10]] * 4, [1e12] * 4
    for epochs in (1, 3):
        try:
            fastmlp.Network([1, 1], seed=0).fit(X, y, epochs=epochs, optimizer=optimizer, callbacks=[Checkpoint(path)])
        except FloatingPointError:
            assert not path.exists()
        else:
            again = fastmlp.Network([1, 1], seed=0)
            assert again.fit(X, y, epochs=epochs, optimizer=optimizer, resume=path).epochs == epochs


class Keeper:
    """A callback with a state."""

    def __init__(self, kept: Any) -> None:
        self.kept, self.got = kept, None

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        pass

    def state(self) -> Any:
        return self.kept

    def restore(self, state: Any) -> None:
        self.got = state


@pytest.mark.parametrize(
    "kept",
    [
        {"a": np.zeros(3)},
        {"a": np.zeros(32)},  # float64 in a float32 network
        {"a": np.zeros((32, 1), np.float32)},
        {"a": np.full(32, np.nan, np.float32)},
        {"a": "text"},
        {"a": None},
        {"a": [1.0, 2.0]},
        {"a": 1j},
        {3: 1.0},
    ],
    ids=repr,
)
def test_a_callback_keeps_what_cannot_be_read(kept: Any, tmp_path: pathlib.Path) -> None:
    """A callback's state that could not be read is refused when it is written, not when it is resumed."""
    with pytest.raises((TypeError, ValueError), match=r"^callbacks: expected Keeper\.state\(\) to give") as error:
        network().fit(X, Y, epochs=2, callbacks=[Keeper(kept), Checkpoint(tmp_path / "c")])
    assert not isinstance(error.value, fastmlp.FormatError)
    assert not (tmp_path / "c").exists()


def test_a_callback_keeps_numbers_and_vectors(tmp_path: pathlib.Path) -> None:
    kept = {"n": 3, "share": np.float32(0.25), "least": -np.inf, "flag": True, "v": np.arange(32, dtype=np.float32)}
    network().fit(X, Y, epochs=2, callbacks=[Keeper(kept), Checkpoint(tmp_path / "c")])
    keeper = Keeper({})
    network().fit(X, Y, epochs=3, callbacks=[keeper], resume=tmp_path / "c")
    assert keeper.got is not None
    assert set(keeper.got) == set(kept)
    for name, value in kept.items():
        np.testing.assert_array_equal(keeper.got[name], value)


@pytest.mark.parametrize("error", [ValueError, KeyError, TypeError, OverflowError, IndexError, ZeroDivisionError])
def test_a_callback_refuses_its_state(error: type[Exception], tmp_path: pathlib.Path) -> None:
    class Refuses(Keeper):
        def restore(self, state: Any) -> None:
            raise error("not mine")

    Refuses.__name__ = "Keeper"
    network().fit(X, Y, epochs=2, callbacks=[Keeper({"a": 1.0}), Checkpoint(tmp_path / "c")])
    net = network()
    before = state(net)
    with pytest.raises(fastmlp.FormatError, match=r"states: .*not mine"):
        net.fit(X, Y, epochs=3, callbacks=[Refuses({})], resume=tmp_path / "c")
    assert state(net) == before


# -- damage ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "c"
    net = network()
    net.fit(X, Y, **{**words(), "epochs": 2, "callbacks": [EarlyStopping(patience=3), Checkpoint(path)]})
    return path.read_bytes()


def refused(content: bytes, file: bytes, path: pathlib.Path) -> bool:
    """Return whether the content is refused without changing the network; otherwise it must be the same checkpoint."""
    path.write_bytes(content)
    net, control = network(), network()
    try:
        history = net.fit(X, Y, **words(), resume=path)
    except fastmlp.FormatError:
        assert_same(net, control)
        return True
    control_path = path.with_name("whole")
    control_path.write_bytes(file)
    assert history == control.fit(X, Y, **words(), resume=control_path)
    assert_same(net, control)
    return False


def test_truncated(file: bytes, tmp_path: pathlib.Path) -> None:
    for length in [*range(40), *range(40, len(file), 37), len(file) - 1]:
        assert refused(file[:length], file, tmp_path / "c")
    assert refused(file + b"\0", file, tmp_path / "c")
    assert not refused(file, file, tmp_path / "c")


@pytest.mark.parametrize("mask", [0x01, 0x20, 0xFF])
def test_altered(file: bytes, mask: int, tmp_path: pathlib.Path) -> None:
    places = sorted(random.Random(mask).sample(range(len(file)), 700))
    n = sum(refused(file[:i] + bytes([file[i] ^ mask]) + file[i + 1 :], file, tmp_path / "c") for i in places)
    assert n > 0.95 * len(places)


HOSTILE = {
    "version": lambda f, t: f.update(version=1),
    "missing": lambda f, t: f.pop("loss"),
    "surplus": lambda f, t: f.update(code="import os"),
    "epoch": lambda f, t: f.update(epoch=-1),
    "epoch without curves": lambda f, t: f.update(epoch=3),
    "epoch is a truth": lambda f, t: f.update(epoch=True),
    "n_steps": lambda f, t: f.update(n_steps=2**64),
    "position": lambda f, t: f.update(position=3),
    "far position": lambda f, t: f.update(position=8 * 10**6),
    "loss": lambda f, t: f.update(loss="nan"),
    "loss is a number": lambda f, t: f.update(loss=1.5),
    "large loss": lambda f, t: f.update(loss="0x1p99999"),
    "stopped": lambda f, t: f.update(stopped=["early_stopping"]),
    "settings": lambda f, t: f.update(settings=[]),
    "setting": lambda f, t: f["settings"].pop("shuffle"),
    "history": lambda f, t: f.update(history={}),
    "curves": lambda f, t: f.update(history=["loss"]),
    "curve": lambda f, t: t.update({"history.loss": np.zeros(7)}),
    "renamed curve": lambda f, t: renamed("loss", "other")(f, t),
    "states": lambda f, t: f.update(callbacks=[]),
    "more states": lambda f, t: f.update(callbacks=[*f["callbacks"], []]),
    "state": lambda f, t: f.update(callbacks=[["wait", "other"]]),
    "names": lambda f, t: f.update(callbacks=[[1, 2, 3, 4]]),
    "no wait": lambda f, t: (
        f.update(callbacks=[[n for n in f["callbacks"][0] if n != "wait"]]),
        t.pop("callbacks.0.wait"),
    ),
    "weights": lambda f, t: t.update({"callbacks.0.weights": np.full(32, np.nan, "f4")}),
    "short weights": lambda f, t: t.update({"callbacks.0.weights": np.zeros(31, "f4")}),
    "wide weights": lambda f, t: t.update({"callbacks.0.weights": np.zeros(32)}),
    "optimizer": lambda f, t: t.update({"optimizer.exp_avg": np.full(32, np.inf, "f4")}),
    "short optimizer": lambda f, t: t.update({"optimizer.exp_avg": np.zeros(5, "f4")}),
    "wide optimizer": lambda f, t: t.update({"optimizer.exp_avg": np.zeros(32)}),
    "one more vector": lambda f, t: t.update({"optimizer.exp_max": t["optimizer.exp_avg"]}),
    "a vector without a name": lambda f, t: t.update({"optimizer.": t["optimizer.exp_avg"]}),
    "a vector by position": lambda f, t: t.update({"optimizer.0": t.pop("optimizer.exp_avg")}),
    "numbers in a list": lambda f, t: f.update(numbers=[]),
    "a number is none": lambda f, t: f["numbers"].update(learning_rate="nan"),
    "a rate below 0": lambda f, t: f["numbers"].update(learning_rate="-0x1p0"),
    "numbers are no texts": lambda f, t: f["numbers"].update(learning_rate=0.5),
    "one more number": lambda f, t: f["numbers"].update(step="0x1p0"),
    "an optimizer's field": lambda f, t: f["settings"]["optimizer"].update(amsgrad=True),
    "an optimizer is none": lambda f, t: f["settings"].update(optimizer=None),
    "a regularization's field": lambda f, t: f["settings"].update(regularization={"l3": 1.0}),
    "a regularization is a list": lambda f, t: f["settings"].update(regularization=[]),
    "another tensor": lambda f, t: t.update({"other": np.zeros(3)}),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile(what: str, tmp_path: pathlib.Path) -> None:
    altered(HOSTILE[what], tmp_path / "c")
    net, control = network(), network()
    with pytest.raises(fastmlp.FormatError):
        net.fit(X, Y, **words(), resume=tmp_path / "c")
    assert_same(net, control)
    net.fit(X, Y, epochs=1)


def test_a_training_without_a_checksum(file: bytes) -> None:
    for key in (b"fastmlp.tensors.sha256", b"fastmlp.training.sha256", b"fastmlp.parameters.sha256"):
        with pytest.raises(fastmlp.FormatError):
            model_file.parse(file.replace(key, key[:-1] + b"7"))
