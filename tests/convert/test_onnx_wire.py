"""The reader of ONNX's bytes: what it takes, and that damaged files give a FormatError and nothing else."""

from __future__ import annotations

import os
import pathlib
import struct
import tracemalloc
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import fastmlp
from fastmlp.convert import onnx_messages, onnx_model, onnx_tensors, onnx_wire
from fastmlp.convert.onnx_tensors import Folder
from onnx_graphs import Graph

FOLDER = pathlib.Path(__file__).parent / "models"
FILES = sorted(FOLDER.glob("*/*.onnx"))


def tensor(made: Any) -> Any:
    """Return the array of a TensorProto as our reader reads it."""
    data = made.SerializeToString()
    read = onnx_wire._Reader(memoryview(data)).message(onnx_wire.Tensor, 0, len(data), "tensor")
    return onnx_tensors.to_array(read, Folder(None), "tensor")


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("shape", [(), (1,), (3, 4), (0, 2)], ids=str)
@pytest.mark.parametrize(
    "dtype",
    ["float16", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool"],
)
def test_tensors(dtype: str, shape: Any, raw: bool) -> None:
    array = (np.random.default_rng(0).normal(size=shape) * 50).astype(dtype)
    code = helper.np_dtype_to_tensor_dtype(array.dtype)
    made = numpy_helper.from_array(array) if raw else helper.make_tensor("t", code, shape, array.reshape(-1))
    found = tensor(made)
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


@pytest.mark.parametrize("raw", [False, True])
def test_more_types_of_tensors(raw: bool) -> None:
    values = np.array([1.5, -2.0, 0.0, 1e30], np.float32)
    made = helper.make_tensor("t", TensorProto.BFLOAT16, [4], values)
    if raw:
        bits = (values.view(np.uint32) >> 16).astype(np.uint16)
        made = TensorProto(data_type=TensorProto.BFLOAT16, dims=[4], raw_data=bits.tobytes())
    np.testing.assert_allclose(tensor(made), values, rtol=0.01)
    for code, numbers in ((TensorProto.INT4, [-8, -1, 0, 7, 3]), (TensorProto.UINT4, [0, 15, 8, 7, 1])):
        assert np.array_equal(tensor(helper.make_tensor("t", code, [5], numbers)), numbers)
    assert tensor(helper.make_tensor("t", TensorProto.STRING, [2], [b"\xc3\xa4", b"b"])).tolist() == ["ä", "b"]
    with pytest.raises(fastmlp.FormatError, match="data type 17"):
        tensor(helper.make_tensor("t", TensorProto.FLOAT8E4M3FN, [1], [1.0]))


def test_numbers_that_are_not_packed() -> None:
    body = b"".join(bytes([1 << 3]) + bytes([size]) for size in (2, 2)) + bytes([2 << 3, 1])
    body += b"".join(bytes([4 << 3 | 5]) + struct.pack("<f", value) for value in (1, 2, 3, 4))
    read = onnx_wire._Reader(memoryview(body)).message(onnx_wire.Tensor, 0, len(body), "tensor")
    assert onnx_tensors.to_array(read, Folder(None), "t").tolist() == [[1, 2], [3, 4]]


def test_negative_numbers_and_long_ones() -> None:
    values = [-1, -(2**63), 2**63 - 1, 0, 127, 128, 2**35]
    assert tensor(helper.make_tensor("t", TensorProto.INT64, [7], values)).tolist() == values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dims": [3]}, "expected 12 bytes for shape"),
        ({"dims": [2**40, 2**40]}, "expected 4835703278458516698824704 bytes for shape"),
        ({"dims": [-1]}, "dimensions of at least 0"),
        ({"dims": [1] * 9}, "at most 8 dimensions"),
        ({"data_type": 99}, "got data type 99"),
        ({"data_location": 7}, "data_location 0 or 1"),
    ],
    ids=str,
)
def test_tensors_that_lie(change: dict[str, Any], message: str) -> None:
    fields = {"dims": [2], "data_type": 1, "raw_data": b"\0" * 8, **change}
    if fields.get("data_location") == 7:
        data = (
            TensorProto(**{k: v for k, v in fields.items() if k != "data_location"}).SerializeToString() + b"\x70\x07"
        )
        read = onnx_wire._Reader(memoryview(data)).message(onnx_wire.Tensor, 0, len(data), "tensor")
        with pytest.raises(fastmlp.FormatError, match=message):
            onnx_tensors.to_array(read, Folder(None), "tensor")
        return
    with pytest.raises(fastmlp.FormatError, match=message):
        tensor(TensorProto(**fields))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "a model with a version and a graph"),
        (b"\x08", "a number of 64 bits"),
        (b"\x08" + b"\xff" * 10, "a number of 64 bits"),
        (b"\x08\x08\x3a\xff\xff\xff\xff\x0f\x00", "expected at most 1 bytes at byte 8, got a length of 4294967295"),
        (b"\x08\x08\x3b\x00", "a known wire type"),
        (b"\x08\x08\x08\x08", "expected it once, got it twice"),
        (b"\x00\x08", "a field's number"),
        (b"\x0d\x00\x00\x00\x00", "ir_version: expected wire type 0, got 5"),
        (b"\x08\x08\x12\x01\xff", "producer_name: expected text in UTF-8"),
        (b"\x08\x08\x3a\x00", "operators of version 7 or later, got 0"),
        (b"\x08\x08\x3a\x00\x42\x02\x10\x11", "a graph with an output"),
        (b"PK\x03\x04 another kind of file", "ONNX file"),
    ],
    ids=repr,
)
def test_bytes_that_are_no_model(data: bytes, message: str) -> None:
    with pytest.raises(fastmlp.FormatError, match=message):
        onnx_model.read(data)


# ------------------------------------------------------------------------------------------------- data outside


def external(folder: pathlib.Path, location: str, **entries: str) -> pathlib.Path:
    """Write a model whose weight is in another file; 64 bytes of it."""
    g = Graph(4)
    data = g.model(g.dense(g.x, 4, 4))
    model = onnx.load_model_from_string(data)
    w = model.graph.initializer[0]
    w.ClearField("raw_data")
    w.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": "64", **entries}.items():
        w.external_data.add(key=key, value=value)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_external_data(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    numbers = np.arange(32, dtype=np.float32)
    (tmp_path / "inner" / "data.bin").write_bytes(numbers.tobytes())
    path = external(tmp_path, "inner/data.bin", offset="16")
    assert np.array_equal(fastmlp.from_onnx(path).weights[0].reshape(-1), numbers[4:20])
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(fastmlp.from_onnx("model.onnx").weights[0].reshape(-1), numbers[4:20])


@pytest.mark.parametrize(
    "location",
    [
        "../outside.bin",
        "/etc/hostname",
        "inner/../../outside.bin",
        "link.bin",
        "linked/outside.bin",
        "",
        ".",
        "a\0b",
        "C:\\x",
        "fifo",
        "missing",
    ],
)
def test_data_outside_of_the_folder(location: str, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "model"
    (folder / "inner").mkdir(parents=True)
    (tmp_path / "outside.bin").write_bytes(bytes(64))
    os.symlink(tmp_path / "outside.bin", folder / "link.bin")
    os.symlink(tmp_path, folder / "linked")
    os.mkfifo(folder / "fifo")
    path = external(folder, location)
    with pytest.raises(fastmlp.FormatError, match=r"initializer 'tensor 0': "):
        onnx_model.read(path)


@pytest.mark.parametrize(
    "entries",
    [
        {"offset": "1"},
        {"offset": "-1"},
        {"length": "63"},
        {"length": "65"},
        {"offset": "9" * 30},
        {"length": "1e3"},
        {"offset": "18446744073709551615"},
    ],
    ids=str,
)
def test_places_in_data_that_lie(entries: dict[str, str], tmp_path: pathlib.Path) -> None:
    (tmp_path / "data.bin").write_bytes(bytes(64))
    with pytest.raises(fastmlp.FormatError, match=r"initializer 'tensor 0': "):
        onnx_model.read(external(tmp_path, "data.bin", **entries))


# ------------------------------------------------------------------------------------------------ bounded memory


def bomb(kind: str) -> bytes:
    """Return a small file that means much memory to a reader that believes it."""
    g = Graph(256, opset=13)
    if kind == "shared":
        w, y = g.tensor(g.normal(256, 256)), g.x
        for _ in range(2000):
            y = g.op("Tanh", g.op("MatMul", y, w))
        return g.model(y)
    if kind == "broadcast":
        return g.model(g.op("MatMul", g.x, g.op("Add", np.zeros((256, 1, 1)), np.zeros((1, 1, 9999)))))
    if kind == "shape":
        return g.model(g.op("MatMul", g.x, g.op("ConstantOfShape", np.array([256, 10**9]))))
    if kind == "gather":
        big = g.op("Gather", np.zeros((2, 30000), np.float32), np.zeros(30000, np.int64))
        return g.model(g.op("MatMul", g.x, big))
    if kind == "squares":
        y = g.dense(g.x, 256, 4)
        for _ in range(60):
            y = g.op("Mul", y, y)
        return g.model(y)
    y = np.zeros((256, 300))
    name = g.tensor(y)
    for _ in range(300):
        name = g.op("Add", name, 1.0)
    return g.model(g.op("MatMul", g.x, name))


@pytest.mark.parametrize("kind", ["shared", "broadcast", "shape", "gather", "squares", "chain"])
def test_memory_is_bounded_by_the_file(kind: str) -> None:
    data = bomb(kind)
    tracemalloc.start()
    try:
        with pytest.raises(fastmlp.FormatError):
            onnx_model.read(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 300 * len(data) + 2**25


def test_many_small_messages() -> None:
    content = b"\x0a\x00" * 600_000
    data = b"\x08\x08" + onnx_messages.field(7, content)
    with pytest.raises(fastmlp.FormatError, match="at most 500,000 messages"):
        onnx_model.read(data)


def test_deep_graphs_are_no_recursion() -> None:
    g = Graph(4)
    y = g.dense(g.x, 4, 4)
    for _ in range(5000):
        y = g.op("Identity", y)
    for _ in range(3000):
        y = g.op("Neg", y)
    assert fastmlp.from_onnx(g.model(y)).sizes == (4, 4)


# ------------------------------------------------------------------------------------------------------- fuzzing


def attempts(data: bytes, random: Any, count: int) -> Any:
    """Yield damaged copies: flipped bits, other bytes, cut off, pieces swapped, doubled or removed."""
    for i in range(count):
        damaged = bytearray(data)
        a, b = sorted(int(each) for each in random.integers(0, len(data), 2))
        kind = i % 6
        if kind == 0:
            for at in random.integers(0, len(data), 1 + i % 4):
                damaged[at] ^= 1 << int(random.integers(8))
        elif kind == 1:
            damaged[a] = int(random.choice([0, 1, 127, 128, 255]))
        elif kind == 2:
            del damaged[a:]
        elif kind == 3:
            del damaged[a : a + 1 + (b - a) % 9]
        elif kind == 4:
            damaged[a:a] = damaged[b : b + 8]
        else:
            damaged[a : a + 2], damaged[b : b + 2] = damaged[b : b + 2], damaged[a : a + 2]
        yield bytes(damaged)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_damaged_files(path: pathlib.Path) -> None:
    """Each gives a chain, or a FormatError; only a change of numbers or names can give a chain."""
    data, refused = path.read_bytes(), 0
    random = np.random.default_rng(len(data))
    for damaged in attempts(data, random, 300):
        try:
            with np.errstate(all="ignore"):
                onnx_model.read(damaged)
        except fastmlp.FormatError:
            refused += 1
    assert refused > 50


def test_damaged_constants_and_tails() -> None:
    g = Graph(4, opset=13, constants=True)
    x = g.op("Div", g.op("Sub", g.x, [1.0, 2.0, 3.0, 4.0]), g.op("Sqrt", [1.0, 2.0, 3.0, 4.0]))
    x = g.op("Reshape", x, g.op("Concat", g.op("Gather", g.op("Shape", x), np.array([0])), np.array([-1]), axis=0))
    p = g.op("Sigmoid", g.dense(g.op("BatchNormalization", g.dense(x, 4, 3), *[np.ones(3)] * 4), 3, 1))
    both = g.op("Concat", g.op("Sub", 1.0, p), p, axis=1)
    index = g.op("ArgMax", both, axis=1)
    label = g.op("ArrayFeatureExtractor", np.array([3, 4], np.int32), index, domain="ai.onnx.ml")
    data = g.model(both, label, **{label: "int64"})
    assert fastmlp.from_onnx(data).class_names == (3, 4)
    for damaged in attempts(data, np.random.default_rng(0), 3000):
        try:
            with np.errstate(all="ignore"):
                onnx_model.read(damaged)
        except fastmlp.FormatError:
            pass


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_damaged_files_become_networks_or_errors(path: pathlib.Path) -> None:
    data = path.read_bytes()
    for damaged in attempts(data, np.random.default_rng(1 + len(data)), 500):
        try:
            with np.errstate(all="ignore"):
                fastmlp.from_onnx(damaged)
        except fastmlp.FormatError:
            pass
