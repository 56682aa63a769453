"""Damaged and hostile model files: each is refused with a `FormatError`, or loads to the identical network.

Damaged files have each truncation, each changed byte, or one of thousands of seeded mutations. A hostile file is a
valid one without checksums in which one entry is changed.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import random
import re
import tracemalloc
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp.formats import model_file
from model_files import FILE, assembled, same_model, small, taken_apart

# --------------------------------------------------------------------------------------------------------------- damage


def test_format_error_is_a_value_error() -> None:
    assert issubclass(fastmlp.FormatError, ValueError)


def test_truncated_at_every_byte() -> None:
    for length in range(len(FILE)):
        with pytest.raises(fastmlp.FormatError):
            model_file.parse(FILE[:length])


def test_surplus_bytes() -> None:
    for surplus in (b"\0", b" ", FILE):
        with pytest.raises(fastmlp.FormatError):
            model_file.parse(FILE + surplus)


def outcome(data: bytes, original: model_file.ModelFile) -> bool:
    """Return whether the data are refused; fail unless they are refused or load to the identical network."""
    try:
        model = model_file.parse(data)
    except fastmlp.FormatError:
        return True
    assert same_model(model, original), data
    return False


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80, 0xFF])
def test_every_byte_flipped(mask: int) -> None:
    original = model_file.parse(FILE)
    refused = 0
    for i in range(len(FILE)):
        refused += outcome(FILE[:i] + bytes([FILE[i] ^ mask]) + FILE[i + 1 :], original)
    assert refused > 0.95 * len(FILE)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return the data with one to three random edits."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        begin = rng.randrange(len(out))
        end = min(begin + rng.choice((1, 1, 2, 8, 40)), len(out))
        source = rng.randrange(len(out))
        match rng.choice(("flip", "replace", "insert", "delete", "copy", "swap", "zero", "digit")):
            case "flip":
                out[begin] ^= 1 << rng.randrange(8)
            case "replace":
                out[begin:end] = rng.randbytes(end - begin)
            case "insert":
                out[begin:begin] = rng.randbytes(end - begin)
            case "delete":
                del out[begin:end]
            case "copy":
                out[begin:end] = out[source : source + end - begin]
            case "swap":
                out[begin], out[source] = out[source], out[begin]
            case "zero":
                out[begin:end] = bytes(end - begin)
            case "digit":
                digits = [i for i in range(8, len(out)) if chr(out[i]).isdigit()]
                out[rng.choice(digits)] = ord(rng.choice("0123456789-.e"))
    return bytes(out)


@pytest.mark.parametrize("seed", range(4))
def test_random_mutations(seed: int) -> None:
    rng = random.Random(seed)
    original = model_file.parse(FILE)
    refused = sum(outcome(mutated(FILE, rng), original) for _ in range(2000))
    assert 1500 < refused < 2000  # some are refused, and some load


def test_a_damaged_file_is_named(tmp_path: Any) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(FILE[:-1])
    with pytest.raises(fastmlp.FormatError, match=re.escape(str(path))):
        fastmlp.load(path)


def test_a_damaged_pickle() -> None:
    data = pickle.dumps(small())
    broken = data.replace(b"layers.0.weight", b"layers.9.weight")
    assert broken != data
    with pytest.raises(fastmlp.FormatError):
        pickle.loads(broken)


# -------------------------------------------------------------------------------------------------------- hostile files


def test_without_checksums_the_file_loads() -> None:
    assert same_model(model_file.parse(assembled(*taken_apart())), model_file.parse(FILE))


HOSTILE_ARCHITECTURES: dict[str, tuple[dict[str, Any], str]] = {
    "later version": (
        {"version": 3, "written_by": "7.1"},
        "^version: expected at most 2, got 3; fastmlp 7.1 ",
    ),
    "version 0": ({"version": 0}, "version"),
    "written by a page": ({"written_by": "1" * 41}, "written_by"),
    "written by nobody": ({"written_by": None}, "written_by"),
    "version true": ({"version": True}, "version"),
    "version 1.0": ({"version": 1.0}, "version"),
    "unknown field": ({"extra": 1}, "fields"),
    "too many layers": ({"sizes": [1] * 10_002}, "at most 10,000 layers"),
    "huge sizes": ({"sizes": [2**31, 2**31, 2**31, 2]}, "at most 2147483647"),
    "huge size": ({"sizes": [2**40, 4, 2, 2]}, "sizes"),
    "size of 100 digits": ({"sizes": [10**99, 4, 2, 2]}, "20 digits"),
    "size 0": ({"sizes": [3, 0, 2, 2]}, "sizes"),
    "negative size": ({"sizes": [3, -4, 2, 2]}, "sizes"),
    "float size": ({"sizes": [3.0, 4, 2, 2]}, "sizes"),
    "true size": ({"sizes": [True, 4, 2, 2]}, "sizes"),
    "one size": ({"sizes": [3]}, "sizes"),
    "sizes an object": ({"sizes": {"0": 3}}, "sizes"),
    "other sizes": ({"sizes": [4, 3, 2, 2]}, "shape"),
    "more layers": ({"sizes": [3, 4, 2, 2, 2], "activation": [{"name": "relu"}] * 3}, "data section: expected 152"),
    "a layer less": ({"sizes": [3, 4, 2], "activation": [{"name": "relu"}]}, "names"),
    "too few activations": ({"activation": [{"name": "relu"}]}, "activation"),
    "activation a name": ({"activation": ["relu", "relu"]}, "activation"),
    "unknown activation": ({"activation": [{"name": "os.system"}, {"name": "relu"}]}, "name"),
    "unhashable name": ({"activation": [{"name": []}, {"name": "relu"}]}, "name"),
    "alias": ({"activation": [{"name": "linear"}, {"name": "relu"}]}, "name"),
    "hidden softmax": ({"activation": [{"name": "softmax"}, {"name": "relu"}]}, "elementwise"),
    "parameter of a later version": (
        {"activation": [{"name": "gaussian", "skew": 0.0}, {"name": "relu"}], "written_by": "7.1"},
        r"activation\[0\] 'gaussian': expected the fields \['mu', 'sigma'\], got 'skew'; fastmlp 7.1 wrote the file",
    ),
    "surplus parameter": ({"activation": [{"name": "relu", "beta": 1.0}, {"name": "relu"}]}, "fields"),
    "sigma 0": ({"activation": [{"name": "gaussian", "mu": 0.0, "sigma": 0.0}, {"name": "relu"}]}, "sigma"),
    "sigma text": ({"activation": [{"name": "gaussian", "mu": 0.0, "sigma": "1"}, {"name": "relu"}]}, "sigma"),
    "sigma true": ({"activation": [{"name": "gaussian", "mu": 0.0, "sigma": True}, {"name": "relu"}]}, "sigma"),
    "form a number": ({"activation": [{"name": "gelu", "approximate": 1.0}, {"name": "relu"}]}, "approximate"),
    "form unknown": ({"activation": [{"name": "gelu", "approximate": "erf"}, {"name": "relu"}]}, "approximate"),
    "slope text": (
        {"activation": [{"name": "leaky_relu", "negative_slope": "0.1"}, {"name": "relu"}]},
        "negative_slope",
    ),
    "custom": ({"activation": [{"name": "custom", "functions": "eval"}, {"name": "relu"}]}, "name"),
    "sigma NaN": ({"activation": [{"name": "gaussian", "mu": 0.0, "sigma": np.nan}, {"name": "relu"}]}, "NaN"),
    "a softmax of one output": ({"sizes": [3, 4, 2, 1]}, "binary_cross_entropy"),
    "without its partner": ({"output_activation": {"name": "sigmoid", "beta": 1.0}}, "partner"),
    "unknown loss": ({"loss": {"name": "hinge"}}, "loss"),
    "loss with a parameter": ({"loss": {"name": "cross_entropy", "weight": 1}}, "loss"),
    "dtype float16": ({"dtype": "float16"}, "dtype"),
    "dtype a list": ({"dtype": ["float32"]}, "dtype"),
    "dtype float64": ({"dtype": "float64"}, "dtype"),
    "unknown init": ({"init": "zeros"}, "init"),
    "negative seed": ({"seed": -1}, "seed"),
    "large seed": ({"seed": 2**64}, "seed"),
    "float seed": ({"seed": 0.0}, "seed"),
    "random state": ({"random_state": "0123456789ABCDEF"}, "random_state"),
    "random state with a newline": ({"random_state": "0123456789abcdef\n"}, "random_state"),
    "random state a number": ({"random_state": 1}, "random_state"),
}


@pytest.mark.parametrize("case", HOSTILE_ARCHITECTURES)
def test_hostile_architecture(case: str) -> None:
    change, match = HOSTILE_ARCHITECTURES[case]
    header, architecture, data = taken_apart()
    with pytest.raises(fastmlp.FormatError, match=match):
        model_file.parse(assembled(header, {**architecture, **change}, data))


@pytest.mark.parametrize("field", sorted(taken_apart()[1]))
def test_a_field_of_the_architecture_is_missing(field: str) -> None:
    header, architecture, data = taken_apart()
    del architecture[field]
    with pytest.raises(fastmlp.FormatError, match="version" if field == "version" else "fields"):
        model_file.parse(assembled(header, architecture, data))


HOSTILE_TENSORS: dict[str, tuple[dict[str, Any], str]] = {
    "F16": ({"dtype": "F16"}, "dtype"),
    "F64": ({"dtype": "F64"}, "dtype"),
    "I32": ({"dtype": "I32"}, "dtype"),
    "dtype a list": ({"dtype": []}, "dtype"),
    "transposed": ({"shape": [3, 4]}, "shape"),
    "flat": ({"shape": [12]}, "shape"),
    "float shape": ({"shape": [4.0, 3.0]}, "shape"),
    "huge shape": ({"shape": [2**62, 2**62]}, "shape"),
    "negative shape": ({"shape": [-4, -3]}, "shape"),
    "overlapping": ({"data_offsets": [16, 64]}, "a tensor that begins at"),
    "beyond the end": ({"data_offsets": [2**40, 2**40 + 48]}, "a tensor that begins at"),
    "negative": ({"data_offsets": [-48, 0]}, "a tensor that begins at"),
    "too long": ({"data_offsets": [0, 52]}, "48 bytes"),
    "backwards": ({"data_offsets": [48, 0]}, "48 bytes"),
    "float offsets": ({"data_offsets": [0.0, 48.0]}, "two integers"),
    "boolean offsets": ({"data_offsets": [False, 48]}, "two integers"),
    "three offsets": ({"data_offsets": [0, 48, 48]}, "two integers"),
    "offsets null": ({"data_offsets": None}, "two integers"),
    "surplus field": ({"device": "cuda"}, "fields"),
}


@pytest.mark.parametrize("case", HOSTILE_TENSORS)
def test_hostile_tensor(case: str) -> None:
    change, match = HOSTILE_TENSORS[case]
    header, architecture, data = taken_apart()
    assert header["layers.0.weight"] == {"dtype": "F32", "shape": [4, 3], "data_offsets": [0, 48]}
    header["layers.0.weight"].update(change)
    with pytest.raises(fastmlp.FormatError, match=match):
        model_file.parse(assembled(header, architecture, data))


def test_a_tensor_of_length_0_beside_another() -> None:
    header, architecture, data = taken_apart()
    header["layers.0.empty"] = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    with pytest.raises(fastmlp.FormatError, match="names"):
        model_file.parse(assembled(header, architecture, data))


@pytest.mark.parametrize("name", ["layers.0.weight", "layers.2.bias"])
def test_a_tensor_is_missing(name: str) -> None:
    header, architecture, data = taken_apart()
    del header[name]
    with pytest.raises(fastmlp.FormatError, match="names"):
        model_file.parse(assembled(header, architecture, data))


def test_bytes_that_belong_to_no_tensor() -> None:
    header, architecture, data = taken_apart()
    for name, entry in header.items():
        if name != "__metadata__":
            entry["data_offsets"] = [offset + 4 for offset in entry["data_offsets"]]
    with pytest.raises(fastmlp.FormatError, match="begins at 0"):
        model_file.parse(assembled(header, architecture, bytes(4) + data))


HOSTILE_METADATA: dict[str, tuple[dict[str, Any], str]] = {
    "another format": ({"format": "pt"}, "format"),
    "not a string": ({"answer": 42}, "a string"),
    "unknown key without checksums": ({"gastmlp.parameters.sha256": "0" * 64}, "unknown keys"),
    "checksum": ({"fastmlp.parameters.sha256": "0" * 64}, "SHA-256"),
    "checksum of the architecture": ({"fastmlp.architecture.sha256": "0" * 64}, "SHA-256"),
    "checksum of the extra words": ({"fastmlp.extra.sha256": "0" * 64}, "SHA-256"),
    "extra not JSON": ({"fastmlp.extra": "{"}, "JSON"),
    "extra a list": ({"fastmlp.extra": "[]"}, "mapping"),
    "extra numbers": ({"fastmlp.extra": '{"a": 1}'}, "mapping"),
    "extra surrogate": ({"fastmlp.extra": r'{"a": "\ud800"}'}, "Unicode"),
    "extra duplicate": ({"fastmlp.extra": '{"a": "1", "a": "2"}'}, "each key once"),
}


@pytest.mark.parametrize("case", HOSTILE_METADATA)
def test_hostile_metadata(case: str) -> None:
    change, match = HOSTILE_METADATA[case]
    header, architecture, data = taken_apart()
    header["__metadata__"].update(change)
    with pytest.raises(fastmlp.FormatError, match=match):
        model_file.parse(assembled(header, architecture, data))


@pytest.mark.parametrize("key", ["architecture.sha256", "extra.sha256", "parameters.sha256", "extra"])
def test_a_checksum_is_not_switched_off_by_a_damaged_name(key: str) -> None:
    length = int.from_bytes(FILE[:8], "little")
    assert FILE.count(b'"fastmlp.' + key.encode() + b'":') == 1
    damaged = FILE.replace(b'"fastmlp.' + key.encode() + b'":', b'"gastmlp.' + key.encode() + b'":')
    if key == "extra":
        damaged = damaged.replace(b"fastmlp.extra.sha256", b"fastmlp.extra.sha257")
    with pytest.raises(fastmlp.FormatError, match="unknown keys"):
        model_file.parse(damaged[: 8 + length] + bytes(len(FILE) - 8 - length))


def test_another_tool_may_add_its_own_words() -> None:
    length = int.from_bytes(FILE[:8], "little")
    header = json.loads(FILE[8 : 8 + length])
    header["__metadata__"]["tool"] = "another"
    assert same_model(model_file.parse(assembled(header, None, FILE[8 + length :])), model_file.parse(FILE))


def test_metadata_is_missing() -> None:
    header, _, data = taken_apart()
    del header["__metadata__"]
    with pytest.raises(fastmlp.FormatError, match=r"__metadata__ does not say .*, with 6 tensors \('layers.0.weight' "):
        model_file.parse(assembled(header, None, data))


def test_extra_words_cannot_be_dropped_from_under_their_checksum() -> None:
    length = int.from_bytes(FILE[:8], "little")
    header = json.loads(FILE[8 : 8 + length])
    del header["__metadata__"]["fastmlp.extra"]
    with pytest.raises(fastmlp.FormatError, match=r"fastmlp\.extra"):
        model_file.parse(assembled(header, None, FILE[8 + length :]))


@pytest.mark.parametrize(
    ("header", "match"),
    [
        (b"", "JSON"),
        (b"null", "an object"),
        (b"[]", "an object"),
        (b"{}", "__metadata__"),
        (b"\xff\xfe{}", "UTF-8"),
        (b"\xef\xbb\xbf{}", "JSON"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "Infinity"),
        (b'{"a":{},"a":{}}', "each key once"),
        (b'{"a":' + b"9" * 10_000 + b"}", "20 digits"),
        (b'{"a":' + b"[" * 500_000 + b"]" * 500_000 + b"}", "deep"),
        (b'{"a":' * 500_000, "deep"),
        (b'{"__metadata__":{"format":"fastmlp"}}', r"fastmlp\.architecture"),
        (b'{"__metadata__":{"format":"\\ud800","fastmlp.architecture":"\\ud800"}}', "format"),
    ],
)
def test_hostile_header(header: bytes, match: str) -> None:
    with pytest.raises(fastmlp.FormatError, match=match):
        model_file.parse(assembled(header, None, b""))


def test_a_tensor_twice() -> None:
    length = int.from_bytes(FILE[:8], "little")
    text = FILE[8 : 8 + length].rstrip()
    entry = b'"layers.0.bias":{"dtype":"F32","shape":[4],"data_offsets":[48,64]}'
    assert entry in text
    with pytest.raises(fastmlp.FormatError, match="each key once"):
        model_file.parse(assembled(text[:-1] + b"," + entry + b"}", None, FILE[8 + length :]))


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 2**40, len(FILE), len(FILE) - 7])
def test_a_header_longer_than_the_file(length: int) -> None:
    with pytest.raises(fastmlp.FormatError, match="header: expected at most"):
        model_file.parse(length.to_bytes(8, "little") + FILE[8:])


def peak(data: bytes) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(fastmlp.FormatError):
            model_file.parse(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_announced_sizes_allocate_nothing() -> None:
    header, architecture, data = taken_apart()
    architecture["sizes"] = [2**14, 2**15, 2, 2]
    shapes = {"layers.0.weight": [2**15, 2**14], "layers.0.bias": [2**15], "layers.1.weight": [2, 2**15]}
    end = 0
    for name, entry in header.items():
        if name != "__metadata__":
            entry["shape"] = shapes.get(name, entry["shape"])
            entry["data_offsets"] = [end, end + 4 * int(np.prod(entry["shape"]))]
            end = entry["data_offsets"][1]
    hostile = assembled(header, architecture, data)
    with pytest.raises(fastmlp.FormatError, match=f"data section: expected {end} bytes"):
        model_file.parse(hostile)
    assert peak(hostile) < 200_000


def test_an_announced_header_allocates_nothing() -> None:
    assert peak((2**40).to_bytes(8, "little") + FILE[8:]) < 100_000


def test_memory_of_a_good_file() -> None:
    data = model_file.to_bytes(fastmlp.Network([500, 1000, 500]))
    tracemalloc.start()
    try:
        model_file.parse(data)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(data) < most < 1.5 * len(data)


# ----------------------------------------------------------------------------------------------------------- parameters


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize(
    ("index", "where"),
    [
        (0, "layer 0, weight[0, 0]"),
        (11, "layer 0, weight[3, 2]"),
        (12, "layer 0, bias[0]"),
        (21, "layer 1, weight[1, 1]"),
        (31, "layer 2, bias[1]"),
    ],
)
def test_parameters_that_are_not_finite(value: float, checksum: bool, index: int, where: str) -> None:
    header, architecture, data = taken_apart()
    values = np.frombuffer(data, "<f4").copy()
    values[index] = value
    if checksum:
        header["__metadata__"]["fastmlp.parameters.sha256"] = hashlib.sha256(values.tobytes()).hexdigest()
    with pytest.raises(fastmlp.FormatError, match=re.escape(where)):
        model_file.parse(assembled(header, architecture, values.tobytes()))


def test_the_checksum_guards_each_parameter() -> None:
    header, architecture, data = taken_apart()
    values = np.frombuffer(data, "<f4").copy()
    values[5] += 1
    assert model_file.parse(assembled(header, architecture, values.tobytes())).parameters[5] == values[5]
    header["__metadata__"]["fastmlp.parameters.sha256"] = hashlib.sha256(data).hexdigest()
    assert np.array_equal(
        model_file.parse(assembled(header, architecture, data)).parameters, np.frombuffer(data, "<f4")
    )
    with pytest.raises(fastmlp.FormatError, match="SHA-256"):
        model_file.parse(assembled(header, architecture, values.tobytes()))
