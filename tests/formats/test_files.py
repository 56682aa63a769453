"""The table of file formats: `fastmlp.load` reads a format with a row in it, by the rules for all formats."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

import fastmlp
from fastmlp.architecture import Architecture
from fastmlp.formats import files
from fastmlp.formats.files import Format
from fastmlp.formats.model_file import ModelFile, Saveable


def read(stream: io.BufferedIOBase, size: int) -> ModelFile:
    """Read the format of this test: a magic number, then JSON with the sizes and parameters of a tanh network."""
    if size > 1000:
        raise fastmlp.FormatError(f"expected at most 1000 bytes, got {size}")
    content = json.loads(stream.read()[4:])
    architecture = Architecture(
        sizes=tuple(content["sizes"]),
        activation="tanh",  # type: ignore[arg-type]
        output_activation=None,  # type: ignore[arg-type]
        loss="mse",  # type: ignore[arg-type]
        dtype=np.dtype("float64"),
    )
    return ModelFile(architecture, np.array(content["P"]))


def write(network: Saveable) -> bytes:
    content = {"sizes": network._architecture().sizes, "P": network.parameters.tolist()}
    return b"TOY1" + json.dumps(content).encode()


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Format("toy", lambda head: head.startswith(b"TOY1"), read, write)
    monkeypatch.setattr(files, "FORMATS", (row, *files.FORMATS))


def test_a_row_is_all_that_load_needs(tmp_path: Path) -> None:
    net = fastmlp.Network([3, 4, 2], activation="tanh", dtype="float64", seed=0)
    (tmp_path / "model.toy").write_bytes(write(net))
    again = fastmlp.load(tmp_path / "model.toy")
    np.testing.assert_array_equal(again.predict([1.0, 2.0, 3.0]), net.predict([1.0, 2.0, 3.0]))
    again.save(tmp_path / "model")
    np.testing.assert_array_equal(fastmlp.load(tmp_path / "model").parameters, net.parameters)


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.toy"
    path.write_bytes(b"TOY1" + bytes(1000))
    with pytest.raises(fastmlp.FormatError, match=r"model\.toy: expected at most 1000 bytes, got 1004"):
        fastmlp.load(path)


def test_errors_of_a_format_of_text_are_its_readers(tmp_path: Path) -> None:
    """Errors of a reader that has recognised its file are not replaced by those of `foreign`."""
    path = tmp_path / "model.toy"
    path.write_bytes(b"TOY1" + b"1, 2\n" * 1000)
    with pytest.raises(fastmlp.FormatError, match=r"model\.toy: expected at most 1000 bytes, got 5004"):
        fastmlp.load(path)


def test_other_files_go_to_the_reader_of_model_files(tmp_path: Path) -> None:
    net = fastmlp.Network([2, 1], seed=0)
    net.save(tmp_path / "model")
    assert np.array_equal(fastmlp.load(tmp_path / "model").parameters, net.parameters)
    assert files.FORMATS[-1].name == "fastmlp"
