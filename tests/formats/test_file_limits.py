"""The sizes that a model file states are compared with its length before memory is allocated for them.

Files of a kilobyte with correct checksums are read in a process that is limited to 64 MB, each within a second.
"""

from __future__ import annotations

import pathlib
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp.formats import model_file
from file_mutations import Parts, put_together, take_apart
from processes import run_python

SCALING = {"offset": [0.0], "scale": [1.0]}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "inputs": {"sizes": [500_000_000, 1]},
    "outputs": {"sizes": [1, 500_000_000]},
    "hidden units": {"sizes": [1, 500_000_000, 1], "activation": [{"name": "relu"}]},
    "names": {"sizes": [500_000_000, 1], "feature_names": ["a"]},
    "scaled inputs": {"sizes": [500_000_000, 1], "input_scaling": SCALING},
    "scaled targets": {"sizes": [1, 500_000_000], "target_scaling": SCALING},
    "layers": {"sizes": [1] * 10_001, "activation": [{"name": "relu"}] * 9_999},
    "classes": {"sizes": [1, 500_000_000], "loss": {"name": "cross_entropy"}, "output_activation": {"name": "softmax"}},
    "double": {"sizes": [500_000_000, 1], "dtype": "float64"},
}
TRAININGS: dict[str, Any] = {
    "curve": {"tensors": [["history.loss", [2**40], "float64"]], "words": {}},
    "empty": {"tensors": [["history.loss", [0, 2**62, 2**62], "float64"]], "words": {}},
    "product": {"tensors": [["history.loss", [10**19] * 100_000, "float64"]], "words": {}},
    "vector": {"tensors": [["optimizer.0", [2**40], "float32"]], "fields": {}},
    "tensors": {"tensors": [[f"optimizer.{k}", [2**30], "float32"] for k in range(1000)], "words": {}},
}


def small_file() -> Parts:
    return take_apart(model_file.to_bytes(fastmlp.Network([1, 1], seed=0)))


def hostile(case: str) -> bytes:
    """Return a small file that is valid except for one entry."""
    parts = small_file()
    if case in ARCHITECTURES:
        parts.values["fastmlp.architecture"].update(ARCHITECTURES[case])
        sizes = parts.values["fastmlp.architecture"]["sizes"]
        shapes = {"weight": [sizes[1], sizes[0]], "bias": [sizes[1]]}
        end = 0
        for kind, shape in shapes.items():
            begin, end = end, end + 4 * int(np.prod(shape))
            parts.tensors[f"layers.0.{kind}"] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
    else:
        parts.values["fastmlp.training"] = TRAININGS[case]
        for name, shape, dtype in TRAININGS[case]["tensors"]:
            code = {"float32": "F32", "float64": "F64"}[dtype]
            parts.tensors[name] = {"dtype": code, "shape": shape, "data_offsets": [8, 8]}
    return put_together(parts)


READ = """
import pathlib, resource, sys, time
import fastmlp
from fastmlp.formats import model_file

model_file.parse(model_file.to_bytes(fastmlp.Network([1, 1])))  # import what is imported on first use
size = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 2**26, size + 2**26))
for path in sorted(pathlib.Path(FOLDER).iterdir()):
    start = time.process_time()
    try:
        fastmlp.load(path)
        raise AssertionError(f"{path.name} loads")
    except fastmlp.FormatError:
        pass
    except MemoryError:
        raise AssertionError(f"{path.name} takes more than 64 MB") from None
    seconds = time.process_time() - start
    assert seconds < 1, f"{path.name} takes {seconds} s"
    print(path.name)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's limits and /proc")
@pytest.mark.parametrize("cases", [ARCHITECTURES, TRAININGS], ids=["architectures", "trainings"])
def test_small_files_take_little(cases: Any, tmp_path: pathlib.Path) -> None:
    for case in cases:
        (tmp_path / case).write_bytes(hostile(case))
    assert sorted(run_python(f"FOLDER = {str(tmp_path)!r}\n{READ}").splitlines()) == sorted(cases)


def test_the_message_says_what_does_not_fit() -> None:
    with pytest.raises(
        fastmlp.FormatError, match=r"expected 2000000004 bytes or more for the sizes \[500000000, 1\], got 8"
    ):
        model_file.parse(hostile("inputs"))


@pytest.mark.parametrize(
    "piece", [b"[],", b"{},", b"[[[]]],", b'{"":0},', b'{"a":1},', b'{"ab":{}},', b"[0,", b'{"a":[']
)
def test_a_header_of_small_pieces(piece: bytes) -> None:
    """Lists, objects and keys, which take up to 100 times the memory of their text, are counted before parsing."""
    text = b'{"a":[' + piece * (15_000_000 // len(piece)) + b"0]}"
    data = len(text).to_bytes(8, "little") + text
    tracemalloc.start()
    try:
        with pytest.raises(fastmlp.FormatError, match=r"header: expected JSON of at most"):
            model_file.parse(data)
        assert tracemalloc.get_traced_memory()[1] < 4 * len(data)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("levels", [33, 100, 900, 100_000])
@pytest.mark.parametrize("key", ["fastmlp.extra", "fastmlp.architecture"])
def test_deep_json(levels: int, key: str) -> None:
    parts = small_file()
    text = '{"a":' * levels + "1" + "}" * levels
    parts.metadata[key] = text
    del parts.values[key]
    with pytest.raises(fastmlp.FormatError, match="deep"):
        model_file.parse(put_together(parts))


def test_wide_networks_are_within_the_limits() -> None:
    """A file with names, including brackets and colons, and scalings of 50,000 columns is within the limits."""
    n = 50_000
    scaling = fastmlp.Scaling(np.linspace(0, 1, n), np.linspace(1, 2, n))
    names = [f"chr1[{i}]:{{a}}" for i in range(n)]
    net = fastmlp.Network([n, 1], seed=0, input_scaling=scaling, feature_names=names)
    again = model_file.parse(model_file.to_bytes(net))
    assert again.architecture == net._architecture()


def test_deep_networks_are_within_the_limits() -> None:
    net = fastmlp.Network([1] * 10_001, activation=fastmlp.Gaussian(0.5), seed=0)
    assert model_file.parse(model_file.to_bytes(net)).parameters.size == 20_000


# -- hyper-parameters -------------------------------------------------------------------------------------------------

TOO_LARGE: dict[str, dict[str, Any]] = {
    "activation": {"activation": [{"name": "gaussian", "mu": 1e39, "sigma": 1.0}]},
    "small": {"activation": [{"name": "elu", "alpha": 1e-40}]},
    "output": {"output_activation": {"name": "sigmoid", "beta": 1e300}},
    "loss": {"loss": {"name": "huber", "delta": 1e39}},
}


@pytest.mark.parametrize("case", TOO_LARGE)
def test_hyper_parameters_that_float32_cannot_hold(case: str, tmp_path: pathlib.Path) -> None:
    parts = take_apart(model_file.to_bytes(fastmlp.Network([1, 2, 1], seed=0)))
    parts.values["fastmlp.architecture"].update(TOO_LARGE[case])
    (tmp_path / "m").write_bytes(put_together(parts))
    with pytest.raises(fastmlp.FormatError, match="expected a number that float32 can hold"):
        fastmlp.load(tmp_path / "m")


@pytest.mark.parametrize("dimensions", [33, 64, 65, 1000])
def test_tensors_of_many_dimensions(dimensions: int) -> None:
    parts = small_file()
    shape = [1] * dimensions
    parts.values["fastmlp.training"] = {"tensors": [["x", shape, "float32"]], "fields": {}}
    parts.tensors["x"] = {"dtype": "F32", "shape": shape, "data_offsets": [8, 12]}
    parts.data += bytes(4)
    with pytest.raises(fastmlp.FormatError, match="a name, a shape and a dtype"):
        model_file.parse(put_together(parts))


@pytest.mark.parametrize("names", [["\ud800"], ["a\udfff"]])
def test_names_that_are_no_unicode_are_not_written(names: list[str]) -> None:
    with pytest.raises(ValueError, match=r"feature_names\[0\]: expected text that UTF-8 can hold"):
        fastmlp.Network([1, 1], seed=0, feature_names=names)
