"""Files of Keras that are damaged, or made to harm: a `FormatError`, bounded memory, no crash and no endless loop."""

from __future__ import annotations

import copy
import io
import json
import os
import pathlib
import random
import zipfile

import h5py
import numpy as np
import pytest

import fastmlp
from fastmlp import FormatError
from fastmlp.convert import hdf5_file, keras_file, keras_models
from fastmlp.formats import strict_json

MODELS = pathlib.Path(__file__).parent / "models"
FILES = sorted(path for tool in ("keras", "tf-keras") for path in (MODELS / tool).iterdir() if path.suffix != ".npz")
KERAS = [path for path in FILES if path.suffix == ".keras"]
ONE = MODELS / "keras" / "sequential_relu_softmax.keras"
H5 = MODELS / "keras" / "sequential_relu_softmax.h5"


def parts_of(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(parts, method=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return stream.getvalue()


def mutate(data, rng):
    """Return the bytes with bits flipped, cut off, overwritten, or two parts exchanged."""
    data = bytearray(data)
    kind = rng.randrange(4)
    if kind == 0:
        for _ in range(rng.choice([1, 1, 2, 8])):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del data[rng.randrange(len(data)) :]
    elif kind == 2:
        for _ in range(rng.choice([1, 2, 4])):
            position, length = rng.randrange(len(data) - 8), rng.choice([1, 2, 4, 8])
            data[position : position + length] = rng.choice([b"\xff", b"\0", b"\x7f", b"\x01"]) * length
    else:
        a, b = rng.randrange(len(data) - 16), rng.randrange(len(data) - 16)
        data[a : a + 8], data[b : b + 8] = data[b : b + 8], data[a : a + 8]
    return bytes(data)


def read_or_refuse(data):
    """Read a file; only a FormatError may come of it. Return whether it was read."""
    try:
        net = fastmlp.from_keras(data)
    except FormatError:
        return False
    assert np.isfinite(net.parameters).all()
    return True


# ---------------------------------------------------------------------------------------------------------------- fuzz


def fuzz(seeds):
    for seed in seeds:
        rng = random.Random(seed)
        path = rng.choice(FILES)
        data = path.read_bytes()
        if path.suffix == ".keras" and rng.random() < 0.8:  # damage in a member, with a checksum that is right
            parts = parts_of(path)
            name = rng.choice(["model.weights.h5", "model.weights.h5", "config.json"])
            read_or_refuse(pack({**parts, name: mutate(parts[name], rng)}))
        else:
            read_or_refuse(mutate(data, rng))


def test_damaged_files_are_refused():
    fuzz(range(60))


@pytest.mark.slow
def test_1500_damaged_files_are_refused():
    fuzz(range(10_000, 11_500))


JUNK = (None, True, 0, -1, 3, 2**40, 1e300, -0.5, "", "x", "softmax", [], [0], [[]], {}, {"a": 1}, [None, 3], [-1])


def places(value, found=None):
    """Return the container and key of each value in nested JSON."""
    found = [] if found is None else found
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in pairs:
        found.append((value, key))
        places(inner, found)
    return found


def test_configurations_with_other_values_are_read_or_refused(monkeypatch):
    items = {path: hdf5_file.read(parts_of(path)["model.weights.h5"], "weights") for path in KERAS}
    outcomes = {True: 0, False: 0}
    for seed in range(1500):
        rng = random.Random(seed)
        path = rng.choice(KERAS)
        parts = parts_of(path)
        config = strict_json.parse(parts["config.json"].decode())
        for _ in range(rng.choice([1, 1, 2])):
            container, key = rng.choice(places(config))
            other_container, other_key = rng.choice(places(config))
            container[key] = copy.deepcopy(rng.choice((*JUNK, other_container[other_key])))
        monkeypatch.setattr(hdf5_file, "read", lambda data, what, path=path: items[path])
        outcomes[read_or_refuse(pack({**parts, "config.json": json.dumps(config).encode()}))] += 1
    assert min(outcomes.values()) > 100  # both happen: settings of the training change nothing


# ---------------------------------------------------------------------------------------------------- the HDF5 library


def run_child(monkeypatch, tmp_path, program, timeout=60.0):
    child = tmp_path / "child.py"
    child.write_text(program)
    monkeypatch.setattr(hdf5_file, "CHILD", child)
    monkeypatch.setattr(hdf5_file, "TIMEOUT", timeout)
    return fastmlp.from_keras(ONE)


def test_a_crash_of_the_hdf5_library_is_a_format_error(monkeypatch, tmp_path):
    with pytest.raises(FormatError, match=r"model.weights.h5: .* on which the HDF5 library ends"):
        run_child(monkeypatch, tmp_path, "import os; os.abort()")


def test_an_endless_loop_in_the_hdf5_library_is_a_format_error(monkeypatch, tmp_path):
    with pytest.raises(FormatError, match="does not finish"):
        run_child(monkeypatch, tmp_path, "while True: pass", timeout=0.5)


def test_output_of_a_child_that_went_wrong_is_a_format_error(monkeypatch, tmp_path):
    with pytest.raises(FormatError, match="cannot read"):
        run_child(monkeypatch, tmp_path, "print('nothing')")
    header = {"objects": {"/layers": {"attributes": {}, "shape": [100], "dtype": "<f4"}}}
    with pytest.raises(FormatError, match="expected all numbers of /layers, got fewer"):
        run_child(monkeypatch, tmp_path, f"print({json.dumps(header)!r})")


def changed(path, change):
    """Return an .h5 file after a change by h5py."""
    stream = io.BytesIO(path.read_bytes())
    with h5py.File(stream, "a") as file:
        change(file)
    return stream.getvalue()


def replace(file):
    """Remove a kernel, for another dataset in its place; return its group and its numbers."""
    group = file["model_weights/dense/sequential/dense"]
    old = group["kernel"][()]
    del group["kernel"]
    return group, old


def compressed(file):
    group, old = replace(file)
    group.create_dataset("kernel", data=old, compression="gzip")


def unallocated(file):
    group, _ = replace(file)
    group.create_dataset("kernel", shape=(2**20, 2**20), dtype="f4")


def external_storage(file):
    group, old = replace(file)
    group.create_dataset("kernel", shape=old.shape, dtype="f4", external=[("/etc/hostname", 0, 60)])


def external_link(file):
    group, _ = replace(file)
    group["kernel"] = h5py.ExternalLink("/etc/hostname", "/x")


def soft_link(file):
    group, _ = replace(file)
    group["kernel"] = h5py.SoftLink("/model_weights/dense_1")


def circle(file):
    file["model_weights/dense/itself"] = file["model_weights"]


def missing(file):
    replace(file)


def other_shape(file):
    group, old = replace(file)
    group["kernel"] = old.T


def text(file):
    group, _ = replace(file)
    group["kernel"] = "text"


def one_more(file):
    group = file["model_weights/dense"]
    group["lora"] = np.zeros(3)
    group.attrs["weight_names"] = [*group.attrs["weight_names"], "lora"]


def no_group(file):
    del file["model_weights/dense"]


def no_weights(file):
    del file["model_weights"]


def config_is_no_json(file):
    file.attrs["model_config"] = "{"


def config_is_numbers(file):
    file.attrs["model_config"] = 3.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (compressed, "got compressed or distant ones"),
        (unallocated, "arrays that fit in the file"),
        (external_storage, "got compressed or distant ones"),
        (external_link, "got a link"),
        (soft_link, "got a link"),
        (circle, "at most 64 levels|at most 100,000 groups|do not fit|fit in the file"),
        (missing, "layer 'dense'.*kernel"),
        (other_shape, r"layer 'dense'.*kernel of shape \(5, 3\).*expected shape \(3, 5\)"),
        (text, "layer 'dense'.*kernel"),
        (one_more, "layer 'dense'.*the weights kernel, bias, lora"),
        (no_group, "layer 'dense'.*no group"),
        (no_weights, "expected the group /model_weights"),
        (config_is_no_json, "model_config: expected JSON"),
        (config_is_numbers, "weights alone"),
    ],
)
def test_an_hdf5_file_with_something_else_is_refused(change, message):
    with pytest.raises(FormatError, match=message):
        fastmlp.from_keras(changed(H5, change))


def test_numbers_of_other_kinds_are_read(tmp_path):
    def big_endian(file):
        group, old = replace(file)
        group["kernel"] = old.astype(">f8")

    assert np.array_equal(fastmlp.from_keras(changed(H5, big_endian)).parameters, fastmlp.from_keras(H5).parameters)


def test_weight_names_in_pieces_are_read():
    def in_pieces(file):
        attributes = file["model_weights/dense"].attrs
        names = attributes["weight_names"]
        del attributes["weight_names"]
        attributes["weight_names0"], attributes["weight_names1"] = names[:1], names[1:]

    assert np.array_equal(fastmlp.from_keras(changed(H5, in_pieces)).parameters, fastmlp.from_keras(H5).parameters)


# ----------------------------------------------------------------------------------------------------------- zip, JSON


def test_an_archive_without_a_member_is_refused():
    for name in parts_of(ONE):
        with pytest.raises(FormatError, match=name):
            fastmlp.from_keras(pack({key: data for key, data in parts_of(ONE).items() if key != name}))


def test_weights_in_several_files_are_refused():
    parts = parts_of(ONE)
    parts["model.weights.json"] = parts.pop("model.weights.h5")
    with pytest.raises(FormatError, match=r"model\.weights\.json.*in one file"):
        fastmlp.from_keras(pack(parts))


def test_a_packed_archive_is_read_and_a_bomb_is_not():
    assert fastmlp.from_keras(pack(parts_of(ONE), zipfile.ZIP_DEFLATED)).sizes == (3, 5, 3)
    with pytest.raises(FormatError, match="times the archive"):
        fastmlp.from_keras(pack({**parts_of(ONE), "config.json": b" " * 10**8}, zipfile.ZIP_DEFLATED))


def edited(change):
    """Return a .keras file whose configuration has been changed."""
    parts = parts_of(ONE)
    config = json.loads(parts["config.json"])
    change(config["config"]["layers"], config)
    return pack({**parts, "config.json": json.dumps(config).encode()})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layers, config: config.update(class_name="Mine"), "class 'Mine'"),
        (lambda layers, config: config.update(registered_name="mine>Sequential"), "class 'Sequential'"),
        (lambda layers, config: layers[1].update(module="mine.layers"), "layer 'dense'.*mine.layers.Dense"),
        (lambda layers, config: layers[1]["config"].update(units=4), r"kernel of shape \(3, 5\).*shape \(3, 4\)"),
        (lambda layers, config: layers[1]["config"].update(units=-1), "kernel of shape"),
        (lambda layers, config: layers[1]["config"].update(use_bias=False), "2 weights.*expected 1: kernel"),
        (lambda layers, config: layers[1]["config"].update(name="other"), "layer 'other'.*named 'dense'"),
        (lambda layers, config: layers[0]["config"].update(batch_shape=[None, 4]), r"expected shape \(4, 5\)"),
        (lambda layers, config: layers[0]["config"].update(batch_shape=[None, None]), "expected known lengths"),
        (lambda layers, config: layers[0]["config"].update(batch_shape=[None, 2**40]), "at most"),
        (
            lambda layers, config: layers[1]["config"].update(activation={"class_name": "function", "config": "f"}),
            "'f'",
        ),
        (lambda layers, config: layers.insert(1, {"class_name": ["x"]}), "class"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(change, message):
    with pytest.raises(FormatError, match=message):
        fastmlp.from_keras(edited(change))


def functional(nodes):
    """Return the configuration of a Functional model from its layers' names, classes and calls before."""
    layers = [
        {
            "module": "keras.layers",
            "class_name": class_name,
            "registered_name": None,
            "name": name,
            "config": {"name": name, "batch_shape": [None, 3]},
            "inbound_nodes": [[[before, 0, 0, {}]] for before in calls],
        }
        for name, class_name, calls in nodes
    ]
    config = {"name": "m", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["y", 0, 0]]}
    return {"class_name": "Functional", "config": config}


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([("x", "InputLayer", []), ("y", "Identity", ["z"]), ("z", "Identity", ["y"])], "comes back"),
        ([("x", "InputLayer", []), ("y", "Identity", ["nobody"])], "call of the layer 'nobody'"),
        ([("x", "InputLayer", []), ("x", "Identity", ["x"])], "two layers of one name"),
        ([("x", "InputLayer", []), ("y", "InputLayer", [])], "another input"),
        ([("x", "InputLayer", []), ("y", "Identity", [])], "call 0 of 0"),
        ([("x", "InputLayer", []), ("y", "Identity", ["x"])], "no Dense layer"),
    ],
)
def test_calls_that_lead_nowhere_are_refused(nodes, message):
    scope = keras_file.Groups({}, "", [])
    path = keras_models.Path(keras_file.Source(functional(nodes), scope, "2.15.0", None), False)

    def read():
        path.model(functional(nodes), scope, "", 0)
        return path.chain(None)

    with pytest.raises(FormatError, match=message):
        read()


def test_a_file_that_others_may_read_is_only_read(tmp_path):
    path = tmp_path / "model.h5"
    path.write_bytes(H5.read_bytes())
    os.chmod(path, 0o444)
    before = path.stat().st_mtime_ns
    fastmlp.from_keras(path)
    assert path.stat().st_mtime_ns == before
