"""The content of model files: what is written is read back, and other tools can read and rewrite it.

The `safetensors` library is the oracle of the format. Damaged files are tested in `test_damaged_files.py`, writing to
the disk in `test_saving.py`.
"""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp.activations import ACTIVATIONS
from fastmlp.formats import descriptions, files, model_file
from fastmlp.losses import LOSSES
from model_files import EXTRA, FILE, NETWORKS, assembled, assert_same, build, same_model, small

# ---------------------------------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize("name", NETWORKS)
def test_load_gives_what_was_saved(name: str, tmp_path: Any) -> None:
    network = build(name)
    network.save(tmp_path / "m.safetensors")
    loaded = fastmlp.load(str(tmp_path / "m.safetensors"))
    assert type(loaded) is fastmlp.Network
    assert_same(network, loaded)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("how", ["pickle", "copy", "deepcopy", "net.copy"])
def test_copies_are_equal_and_independent(name: str, how: str) -> None:
    network = build(name)
    ways: dict[str, Callable[[], Any]] = {
        "pickle": lambda: pickle.loads(pickle.dumps(network)),
        "copy": lambda: copy.copy(network),
        "deepcopy": lambda: copy.deepcopy(network),
        "net.copy": network.copy,
    }
    twin = ways[how]()
    assert_same(network, twin)
    before = network.parameters
    twin.parameters = before + 1
    assert network.parameters.tobytes() == before.tobytes()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_pickle_protocol(protocol: int) -> None:
    network = small()
    assert_same(network, pickle.loads(pickle.dumps(network, protocol)))


def test_the_random_stream_continues(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(32, 3)).astype(np.float32), rng.integers(0, 2, 32)
    network = small()
    network.fit(X, y, epochs=2, batch_size=4, optimizer=fastmlp.SGD(0.1))
    network.save(tmp_path / "m.safetensors")
    loaded = fastmlp.load(tmp_path / "m.safetensors")
    fresh = small()
    fresh.parameters = network.parameters
    for each in (network, loaded, fresh):
        each.fit(X, y, epochs=1, batch_size=4, optimizer=fastmlp.SGD(0.2))
    assert network.parameters.tobytes() == loaded.parameters.tobytes()
    assert network.parameters.tobytes() != fresh.parameters.tobytes()


@pytest.mark.parametrize("extra", [{}, EXTRA, {"": "", "\x00": '"\\\U0001f600', "a" * 1000: "b" * 1000}])
def test_extra_words(extra: dict[str, str]) -> None:
    model = model_file.parse(model_file.to_bytes(small(), extra))
    assert model.extra == extra


@pytest.mark.parametrize("extra", [[("a", "b")], "ab", {"a": 1}, {1: "a"}, {"a": None}])
def test_extra_of_another_kind(extra: Any) -> None:
    with pytest.raises(TypeError, match="extra: expected a mapping of str to str"):
        model_file.to_bytes(small(), extra)


def test_extra_that_no_file_can_hold() -> None:
    with pytest.raises(ValueError, match="extra: expected Unicode text"):
        model_file.to_bytes(small(), {"a": "\ud800"})
    with pytest.raises(ValueError, match="extra: expected a header of at most"):
        model_file.to_bytes(small(), {"a": "b" * 2**24})


def test_the_bytes_depend_on_the_network_alone() -> None:
    shuffled = dict(reversed(EXTRA.items()))
    assert model_file.to_bytes(small(), shuffled) == FILE
    assert model_file.to_bytes(small(seed=4), EXTRA) != FILE


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activations_as_json(name: str) -> None:
    activation = ACTIVATIONS[name]()
    description = json.loads(json.dumps(descriptions.describe(activation)))
    assert description["name"] == activation.name
    assert descriptions.activation_from(description) == activation


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_losses_as_json(name: str) -> None:
    assert descriptions.loss_from(json.loads(json.dumps(descriptions.describe(LOSSES[name]())))) == LOSSES[name]()


# ---------------------------------------------------------------------------------------------- the safetensors library


def test_layout_of_the_file() -> None:
    length = int.from_bytes(FILE[:8], "little")
    assert length % 8 == 0
    assert FILE[8:9] == b"{"
    header = json.loads(FILE[8 : 8 + length])
    assert list(header) == ["__metadata__", *(f"layers.{i}.{kind}" for i in range(3) for kind in ("weight", "bias"))]
    assert FILE[8 + length :] == small().parameters.astype("<f4").tobytes()


@pytest.mark.parametrize("spaces", [0, 1, 7, 64])
@pytest.mark.parametrize("order", ["forward", "backward", "by name"])
def test_another_order_and_padding(order: str, spaces: int) -> None:
    length = int.from_bytes(FILE[:8], "little")
    header, data = json.loads(FILE[8 : 8 + length]), FILE[8 + length :]
    names = [name for name in header if name != "__metadata__"]
    if order != "forward":
        names = sorted(names, reverse=order == "backward")
    out: dict[str, Any] = {}
    body = b""
    for name in names:
        begin, end = header[name]["data_offsets"]
        out[name] = {**header[name], "data_offsets": [len(body), len(body) + end - begin]}
        body += data[begin:end]
    assert (body == data) == (order == "forward")
    out["__metadata__"] = dict(reversed(header["__metadata__"].items()))
    text = json.dumps(out).encode() + b" " * spaces
    assert same_model(model_file.parse(assembled(text, None, body)), model_file.parse(FILE))


@pytest.mark.oracle
@pytest.mark.parametrize("name", NETWORKS)
def test_the_library_reads_what_we_write(name: str, tmp_path: Any) -> None:
    safetensors = pytest.importorskip("safetensors")
    load_file = pytest.importorskip("safetensors.numpy").load_file
    network = build(name)
    path = tmp_path / "m.safetensors"
    model_file.save(path, network, EXTRA)
    tensors = load_file(path)
    assert len(tensors) == 2 * len(network.weights)
    for i, (w, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        for ours, theirs in ((w, tensors[f"layers.{i}.weight"]), (b, tensors[f"layers.{i}.bias"])):
            assert ours.dtype == theirs.dtype
            assert ours.shape == theirs.shape
            assert ours.tobytes() == theirs.tobytes()
    with safetensors.safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
        assert json.loads(metadata["fastmlp.extra"]) == EXTRA
        assert metadata["fastmlp.parameters.sha256"] == hashlib.sha256(network.parameters.tobytes()).hexdigest()
        assert np.array_equal(file.get_tensor("layers.0.bias"), network.biases[0])


@pytest.mark.oracle
@pytest.mark.parametrize("name", NETWORKS)
def test_we_read_what_the_library_rewrites(name: str, tmp_path: Any) -> None:
    safetensors = pytest.importorskip("safetensors")
    numpy = pytest.importorskip("safetensors.numpy")
    network = build(name)
    ours, theirs = tmp_path / "ours.safetensors", tmp_path / "theirs.safetensors"
    model_file.save(ours, network, EXTRA)
    with safetensors.safe_open(ours, framework="numpy") as file:
        metadata = file.metadata()
    tensors = dict(reversed(numpy.load_file(ours).items()))
    numpy.save_file(tensors, theirs, metadata={**metadata, "tool": "another"})
    assert same_model(files.read(theirs), files.read(ours))
    assert_same(network, fastmlp.load(theirs))


@pytest.mark.oracle
def test_other_safetensors_files_are_refused(tmp_path: Any) -> None:
    numpy = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "other.safetensors"
    numpy.save_file({"layers.0.weight": np.ones((2, 3), np.float32)}, path)
    with pytest.raises(fastmlp.FormatError, match="__metadata__"):
        fastmlp.load(path)
