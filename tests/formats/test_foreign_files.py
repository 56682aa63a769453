"""`fastmlp.load` of a file of another program says what the file is and what to do.

The files are written by these programs if they are installed; otherwise they are the first bytes of such files.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pathlib
import pickle
import struct
import tarfile
import zipfile
import zlib
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp.formats import foreign, model_file

COPY = r"net\.set_layer\(l, weight, bias\)"


def said(content: bytes, folder: pathlib.Path) -> str:
    """Return the message of `load` for a file, after its name."""
    path = folder / "model"
    path.write_bytes(content)
    with pytest.raises(fastmlp.FormatError) as error:
        fastmlp.load(path)
    text = str(error.value)
    assert text.startswith(f"{path}: expected a fastmlp model file, got ")
    return text.removeprefix(f"{path}: expected a fastmlp model file, got ")


def npz(**arrays: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.ones(3))
    return stream.getvalue()


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name in names:
            file.writestr(name, "{}")
    return stream.getvalue()


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        file.addfile(tarfile.TarInfo("weights"))
    return stream.getvalue()


FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "an empty file"),
    **{
        f"pickle {p}": (pickle.dumps({"coefs_": [1.0]}, p), r"a pickle .* can run any code.*fastmlp\.from_sklearn")
        for p in (2, 3, 4, 5)
    },
    "npz": (npz(X=np.ones((2, 2))), rf"a NumPy archive \(\.npz\).*{COPY}"),
    "npy": (npy(), "a NumPy array"),
    "keras": (
        zipped("metadata.json", "config.json", "model.weights.h5"),
        r"a Keras model .*fastmlp\.from_keras reads it",
    ),
    "xlsx": (zipped("[Content_Types].xml", "xl/workbook.xml"), "an Office document"),
    "zip": (zipped("a.txt"), "a zip archive"),
    "empty zip": (zipped(), "a zip archive"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(40), r"an HDF5 file.*fastmlp\.from_keras reads it"),
    "stable-baselines3": (zipped("data", "policy.pth"), r"a model of stable.*fastmlp\.from_stable_baselines3 reads it"),
    "fann": (b"FANN_FLO_2.1\nnum_layers=3\n", r"a network of FANN\. fastmlp\.from_fann reads it"),
    "onnx": (b"\x08\x08\x12\x07pytorch\x1a\x052.4.0", r"an ONNX model\. fastmlp\.from_onnx reads it"),
    "saved model": (b"\x08\x01\x12\xf5\x0a\x0a", "a TensorFlow SavedModel"),
    "tflite": (b"\x1c\x00\x00\x00TFL3" + bytes(20), "a TensorFlow Lite model"),
    "gguf": (b"GGUF\x03\x00\x00\x00" + bytes(20), "a GGUF model"),
    "json": (json.dumps({"layers": [1, 2]}).encode(), "JSON text"),
    "json list": (b" \n[1, 2]", "JSON text"),
    "html": (b"<!DOCTYPE html>\n<html>", "an HTML page, perhaps in place of what was to be downloaded"),
    "xml": (b"<?xml version='1.0'?><PMML/>", "XML text"),
    "csv": (b"age,income\n3,4\n", "a table as text, whose first line is 'age,income'.*fastmlp train"),
    "csv of letters": ("größe;länge\n1;2\n".encode(), "a table as text, whose first line is 'größe;länge'"),
    "text": (b"hello world, how are you?"[:11] + b"\n", "text that begins 'hello world'"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer.*git lfs pull"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(20), "a PNG image"),
    "jpeg": (b"\xff\xd8\xff\xe0" + bytes(20), "a JPEG image"),
    "pdf": (b"%PDF-1.7\n", "a PDF document"),
    "parquet": (b"PAR1" + bytes(20), "a Parquet table"),
    "gzip": (gzip.compress(b"a" * 50), "packed by gzip. Unpack"),
    "bzip2": (bz2.compress(b"a" * 50), "packed by bzip2"),
    "xz": (lzma.compress(b"a" * 50), "packed by xz"),
    "tar": (tar(), "a tar archive"),
    "joblib with compress": (zlib.compress(pickle.dumps([1])), r"a pickle \(\.pkl, joblib\)"),
    "torch.export": (zipped("net/data/weights/weight_0"), r"a program of torch\.export"),
    "text like zlib": (b"x^2 + 1\n", "text that begins"),
    "sqlite": (b"SQLite format 3\x00" + bytes(20), "an SQLite database"),
}


@pytest.mark.parametrize("kind", FILES)
def test_another_file(kind: str, tmp_path: pathlib.Path) -> None:
    content, match = FILES[kind]
    text = said(content, tmp_path)
    with pytest.raises(ValueError, match=match):
        raise ValueError(text)
    assert len(text) < 700


def safetensors(tensors: dict[str, list[int]], metadata: dict[str, str] | None = None) -> bytes:
    header: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    end = 0
    for name, shape in tensors.items():
        begin, end = end, end + 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {}])
def test_safetensors_of_another_program(metadata: dict[str, str] | None, tmp_path: pathlib.Path) -> None:
    shapes = {"fc1.weight": [4, 3], "fc1.bias": [4], "fc2.weight": [2, 4], "fc2.bias": [2], "more": [1]}
    text = said(safetensors(shapes, metadata), tmp_path)
    assert "a safetensors file" in text
    assert ("of the format 'pt'" in text) == bool(metadata)
    assert "with 5 tensors ('fc1.weight' [4, 3], 'fc1.bias' [4], 'fc2.weight' [2, 4], 'fc2.bias' [2], ...)" in text
    assert "fastmlp.from_torch(path, activation=...) reads the layers in it" in text


@pytest.mark.oracle
def test_what_the_message_says_works(tmp_path: pathlib.Path) -> None:
    """A state dict saved by PyTorch can be read as the message says."""
    torch, library = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    torch.manual_seed(0)
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2))
    library.save_file(theirs.state_dict(), tmp_path / "model", metadata={"format": "pt"})
    text = said((tmp_path / "model").read_bytes(), tmp_path)
    assert "'0.bias' [5], '0.weight' [5, 3], '2.bias' [2], '2.weight' [2, 5]" in text
    net = fastmlp.from_torch(tmp_path / "model", activation="tanh", output_activation="identity")
    X = np.linspace(-1, 1, 12).reshape(4, 3).astype(np.float32)
    np.testing.assert_allclose(net.predict(X), theirs(torch.tensor(X)).detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.oracle
def test_files_of_torch_and_joblib(tmp_path: pathlib.Path) -> None:
    torch, joblib = pytest.importorskip("torch"), pytest.importorskip("joblib")
    state = torch.nn.Linear(3, 2).state_dict()
    torch.save(state, tmp_path / "new.pt")
    torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    joblib.dump({"a": np.ones(3)}, tmp_path / "joblib")
    assert "a PyTorch file, as torch.save writes" in said((tmp_path / "new.pt").read_bytes(), tmp_path)
    assert "a PyTorch file of before version 1.6" in said((tmp_path / "old.pt").read_bytes(), tmp_path)
    assert "a pickle" in said((tmp_path / "joblib").read_bytes(), tmp_path)


def test_a_damaged_model_is_no_other_file(tmp_path: pathlib.Path) -> None:
    """A damaged model file whose first bytes look like a pickle or gzip file is not reported as one."""
    for n_inputs in range(1, 400):
        net = fastmlp.Network([n_inputs, 1], seed=0, feature_names=[f"x{i}" for i in range(n_inputs)])
        content = model_file.to_bytes(net)
        assert foreign.describe(content[: foreign.N_BYTES], len(content)) is None
    (tmp_path / "m").write_bytes(content[:-1])
    with pytest.raises(fastmlp.FormatError, match=r"data section: expected"):
        fastmlp.load(tmp_path / "m")


@pytest.mark.parametrize("content", [b"\x00", b"\x00" * 600, b"\x01\x02\x03\x04\xff", bytes(range(256)) * 3])
def test_what_nobody_knows(content: bytes, tmp_path: pathlib.Path) -> None:
    (tmp_path / "m").write_bytes(content)
    assert foreign.describe(content[: foreign.N_BYTES], len(content)) is None
    with pytest.raises(fastmlp.FormatError, match=r"(header|model file): expected"):
        fastmlp.load(tmp_path / "m")


def test_every_beginning_is_described(tmp_path: pathlib.Path) -> None:
    """The first bytes of a file, cut at any length and followed by any bytes, are described without an exception."""
    rng = np.random.default_rng(0)
    for content, _ in FILES.values():
        for length in range(min(len(content), 64)):
            for tail in (b"", rng.bytes(30), "é".encode()[:1]):
                foreign.describe(content[:length] + tail, length + len(tail))
