"""The library for C: its Makefile and CMake file against build.toml, the programs of examples/native, refused files."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp.activations import ACTIVATIONS
from fastmlp.formats import model_file

pytestmark = [
    pytest.mark.slow,  # compiles the library
    pytest.mark.skipif(shutil.which("make") is None or shutil.which("c++") is None, reason="needs make, cc and c++"),
]
TOP = Path(__file__).resolve().parents[2]
CSRC = TOP / "csrc"
EXAMPLES = TOP / "examples" / "native"
CORE = tomllib.loads((CSRC / "build.toml").read_text(encoding="utf-8"))
GROUPS = [
    group for group in CORE["groups"] if platform.machine().lower() in group.get("machines", [platform.machine()])
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, built with the Makefile; with little optimisation, which results do not depend on."""
    folder = tmp_path_factory.mktemp("library")
    subprocess.run(["make", "-C", CSRC, "-j2", f"BUILD={folder}", "CFLAGS=-O1"], check=True, capture_output=True)
    return folder / "libfastmlp.a"


def linked(library: Path, compiler: str, source: Path, *flags: str) -> Path:
    """Compile a program of examples/native, without warnings, and link it with the library."""
    program = library.with_name(source.name.replace(".", "_"))
    command = [compiler, *flags, "-O1", "-Wall", "-Wextra", "-Werror", source, f"-I{CSRC / 'include'}", library]
    subprocess.run([*command, "-pthread", "-lm", "-o", program], check=True)
    return program


@pytest.fixture(scope="module")
def program(library: Path) -> Path:
    return linked(library, "cc", EXAMPLES / "predict.c", "-std=c99", "-pedantic")


def run(program: Path, path: Path, X: Any = ()) -> subprocess.CompletedProcess[str]:
    text = "\n".join(" ".join(repr(float(value)) for value in row) for row in X)
    return subprocess.run([program, path], input=text, capture_output=True, text=True, check=False)


def predicted(program: Path, path: Path, net: Any, n_rows: int = 5) -> tuple[Any, Any]:
    """Return the outputs for some rows in C and in Python."""
    X = np.random.default_rng(0).normal(size=(n_rows, net.sizes[0])).astype(net.dtype)
    net.save(path)
    done = run(program, path, X)
    assert (done.returncode, done.stderr) == (0, "")
    found = np.array([[float(value) for value in line.split()] for line in done.stdout.splitlines()])
    return found, net.predict(X)


# -- building ----------------------------------------------------------------------------------------------------------


def test_the_makefile_compiles_the_files_of_the_table_with_their_flags(tmp_path: Path) -> None:
    command = ["make", "-C", CSRC, "-n", f"BUILD={tmp_path}"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    compiled = {m[1]: line.split() for line in lines if (m := re.search(r" -c (\S+)\.c ", line))}
    assert set(compiled) == {name for group in GROUPS for name in group["files"]}
    macros = [f"-D{group['macro']}=1" for group in GROUPS if "macro" in group]
    for group in GROUPS:
        for name in group["files"]:
            flags = [
                word for word in compiled[name] if word.startswith("-") and word not in ("-fPIC", "-I.", "-c", "-o")
            ]
            assert flags == [*CORE["flags"], *group.get("flags", []), *macros], name


def test_the_cmake_file_has_the_flags_of_the_table() -> None:
    text = " ".join((CSRC / "CMakeLists.txt").read_text(encoding="utf-8").split())
    assert f"set(FLAGS {' '.join(CORE['flags'])})" in text
    for group in CORE["groups"][1:]:
        isa = group["macro"].removeprefix("FML_HAVE_").lower()
        assert f"set(FLAGS_{isa} {' '.join(group['flags'])})" in text
        assert all(name.startswith(f"kernels/kernels_{isa}_") for name in group["files"])


def test_the_version_of_the_header_is_the_packages() -> None:
    header = (CSRC / "include" / "fastmlp.h").read_text(encoding="utf-8")
    assert f'#define FASTMLP_VERSION "{fastmlp.__version__}"' in header
    assert Path(fastmlp.get_include(), "fastmlp.h").read_text(encoding="utf-8") == header


# -- predictions -------------------------------------------------------------------------------------------------------

NETS = {
    "float32": {"activation": "tanh"},
    "float64": {"activation": "silu", "dtype": "float64"},
    "scaled": {
        "input_scaling": fastmlp.Scaling([0.1, -1.0, 3.0], [0.3, 2.0, 1e-3]),
        "target_scaling": fastmlp.Scaling([10.0, 0.0], [0.1, 7.0]),
    },
    "scaled float64": {"dtype": "float64", "target_scaling": fastmlp.Scaling([2000.5, -1e9], [0.1, 7.0])},
    "classes": {"loss": "cross_entropy", "class_names": ["yes", "n\u00f6"], "feature_names": ["a", "b", '"\\\n']},
}


@pytest.mark.parametrize("name", NETS)
def test_c_predicts_the_bits_of_predict(program: Path, tmp_path: Path, name: str) -> None:
    found, expected = predicted(program, tmp_path / "model", fastmlp.Network([3, 17, 9, 2], seed=1, **NETS[name]))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "f",
    [
        *(kind() for kind in dict.fromkeys(ACTIVATIONS.values()) if not kind.output_only),
        fastmlp.Sigmoid(-2.5), fastmlp.GELU("tanh"), fastmlp.HardTanh(-2.0, 0.5), fastmlp.Gaussian(1.0, 0.5),
        fastmlp.PiecewiseLinear(-0.5, 3.0), fastmlp.LeakyReLU(0.0), fastmlp.ELU(0.3), fastmlp.Softplus(3.0),
        fastmlp.Sine(0.1),
    ],
    ids=repr,
)  # fmt: skip
def test_c_reads_every_activation(program: Path, tmp_path: Path, f: Any) -> None:
    net = fastmlp.Network([3, 6, 2], activation=f, dtype="float64", seed=1)
    found, expected = predicted(program, tmp_path / "model", net)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("weights", ["float32", "bfloat16", "int8"])
def test_c_reads_bound_predictors(program: Path, tmp_path: Path, weights: str) -> None:
    bound = fastmlp.Network([40, 250, 3], seed=1).bind(weights)
    found, expected = predicted(program, tmp_path / "model", bound)
    np.testing.assert_array_equal(found, expected)


def test_a_program_in_cpp_predicts_in_threads(library: Path, tmp_path: Path) -> None:
    program = linked(library, "c++", EXAMPLES / "predict.cpp", "-std=c++17", "-pedantic")
    for dtype in ("float32", "float64"):
        fastmlp.Network([3, 2200, 2], dtype=dtype, seed=1).save(tmp_path / "model")
        done = run(program, tmp_path / "model")
        assert (done.returncode, done.stderr) == (0, "")
    assert "header" in run(program, Path(__file__)).stderr


# -- refused files -----------------------------------------------------------------------------------------------------


def split(data: bytes) -> tuple[dict[str, Any], bytes]:
    n = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + n]), data[8 + n :]


def joined(header: Any, tensors: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + tensors


def changed(net: Any, **fields: Any) -> bytes:
    """The model file of a network with other fields in its architecture, and a checksum that fits; None removes one."""
    header, tensors = split(model_file.to_bytes(net))
    described = {**json.loads(header["__metadata__"]["fastmlp.architecture"]), **fields}
    text = json.dumps({key: value for key, value in described.items() if value is not None})
    header["__metadata__"]["fastmlp.architecture"] = text
    header["__metadata__"]["fastmlp.architecture.sha256"] = hashlib.sha256(text.encode()).hexdigest()
    return joined(header, tensors)


NET = fastmlp.Network([3, 4, 2], activation="tanh", seed=0)
DATA = model_file.to_bytes(NET)
TANH, SOFTMAX = {"name": "tanh"}, {"name": "softmax"}


def with_header(change: Any) -> bytes:
    header, tensors = split(DATA)
    change(header)
    return joined(header, tensors)


def swap(header: dict[str, Any]) -> None:
    first, second = header["layers.0.bias"], header["layers.1.bias"]
    first["data_offsets"], second["data_offsets"] = second["data_offsets"], first["data_offsets"]


REFUSED = {
    "empty": (b"", "at least 8 bytes"),
    "text": (b"PK\x03\x04 no model file at all", "impossible length"),
    "another tool's": (joined({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"abcd"), "fastmlp model"),
    "short": (DATA[:-1], "layers that fit"),
    "long": (DATA + b"\0", "fill the file"),
    "a bit of a parameter": (DATA[:-4] + bytes([DATA[-4] ^ 1]) + DATA[-3:], "checksum"),
    "an infinite parameter": (DATA[:-4] + np.float32(np.inf).tobytes(), "finite numbers"),
    "a letter of the architecture": (DATA.replace(b"tanh", b"relu"), "checksum"),
    "a newer version": (changed(NET, version=3, more=[1]), "expected 2, got 3, written by fastmlp 0.1.0"),
    "an older version": (changed(NET, version=1), "expected 2, got 1"),
    "a field of later": (changed(NET, more=1), "got 'more'"),
    "no sizes": (changed(NET, sizes=None), "sizes"),
    "other sizes": (changed(NET, sizes=[3, 5, 2]), "layers that fit"),
    "huge sizes": (changed(NET, sizes=[2**31, 2**31, 2**31]), "layers that fit"),
    "more than the largest size": (changed(NET, sizes=[3, 2**31 + 1, 2]), "at most"),
    "a negative size": (changed(NET, sizes=[3, -4, 2]), "at least 0"),
    "many layers": (changed(NET, sizes=[1] * 10_002), "2 to 10001"),
    "few activations": (changed(NET, activation=[]), "hidden layers"),
    "many activations": (changed(NET, activation=[TANH] * 2), "hidden layers"),
    "an unknown activation": (changed(NET, output_activation={"name": "no"}), "got 'no'"),
    "a hidden softmax": (changed(NET, activation=[SOFTMAX]), "got 'softmax'"),
    "a wrong field": (changed(NET, activation=[{"name": "tanh", "beta": 1.0}]), "got 'beta'"),
    "a wrong value": (changed(NET, activation=[{"name": "sigmoid", "beta": 0}]), "another beta"),
    "another dtype": (changed(NET, dtype="float16"), "got 'float16'"),
    "the other dtype": (changed(NET, dtype="float64"), "dtype and shape"),
    "other weights": (changed(NET, weights="int4"), "got 'int4'"),
    "a scaling to come": (changed(NET, input_scaling="standard"), "Network.fit computes"),
    "a small scale": (changed(NET, input_scaling={"offset": [0] * 3, "scale": [1, 1, 1e-300]}), "2^-970"),
    "a short scaling": (changed(NET, input_scaling={"offset": [0] * 2, "scale": [1] * 3}), "expected 3 numbers"),
    "float64 outputs": (changed(NET, target_scaling={"offset": [0, 1e6], "scale": [1, 1]}), "dtype float64"),
    "an encoder": (changed(NET, encoder={"version": 1}), "encoder of columns"),
    "deep JSON": (joined(b'{"a":' + b"[" * 40 + b"]" * 40 + b"}", b""), "32 levels"),
    "not Unicode": (joined(b'{"\xed\xa0\x80":1}', b""), "Unicode"),
    "half a surrogate pair": (joined(rb'{"\ud800":1}', b""), "Unicode"),
    "NaN": (joined(b'{"a":NaN}', b""), "a value"),
    "a huge number": (joined(b'{"a":1e999}', b""), "finite"),
    "two values": (joined(b"{} {}", b""), "one value"),
    "metadata twice": (joined(b'{"__metadata__":{},"__metadata__":{}}', b""), "fastmlp model"),
    "a tensor less": (with_header(lambda header: header.pop("layers.1.bias")), "got fewer"),
    "a tensor more": (with_header(lambda header: header.update(x={})), "got 'x'"),
    "an overlap": (with_header(lambda h: h["layers.1.weight"].update(data_offsets=[0, 32])), "overlap"),
    "swapped tensors of other lengths": (with_header(swap), "length of layer"),
    "another shape": (with_header(lambda header: header["layers.0.weight"].update(shape=[3, 4])), "dtype and shape"),
    "a key of a tool": (with_header(lambda header: header["__metadata__"].update(x="y")), "got 'x'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_c_refuses(program: Path, tmp_path: Path, name: str) -> None:
    data, message = REFUSED[name]
    (tmp_path / "model").write_bytes(data)
    done = run(program, tmp_path / "model")
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_c_refuses_a_checkpoint(program: Path, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    NET.copy().fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1, callbacks=[fastmlp.Checkpoint(path)])
    assert "got a checkpoint" in run(program, path).stderr


def test_c_reads_tensors_in_another_order(program: Path, tmp_path: Path) -> None:
    """Tools that write safetensors sort them; the checksum of the parameters does not depend on it."""
    header, tensors = split(DATA)
    names, parts, end = sorted(name for name in header if name != "__metadata__"), [], 0
    for name in reversed(names):
        begin, old = header[name]["data_offsets"]
        header[name]["data_offsets"] = [end, end + old - begin]
        parts.append(tensors[begin:old])
        end += old - begin
    path, X = tmp_path / "model", np.eye(3, dtype=np.float32)
    path.write_bytes(joined(json.dumps(header, indent=1).encode(), b"".join(parts)))
    found = [[float(value) for value in line.split()] for line in run(program, path, X).stdout.splitlines()]
    np.testing.assert_array_equal(found, NET.predict(X))
