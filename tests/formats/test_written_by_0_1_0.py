"""Models, checkpoints and pickles written by version 0.1.0 must always load, with the results of 0.1.0.

`written_by_0_1_0/` has the files, `cases_of_0_1_0.py` defines their networks and trainings, and `write.py` is the
program that wrote them. On the instruction set of the files, results have the same bits; on others, each step may add
the rounding errors of three passes, which `conftest.py` bounds.
"""

from __future__ import annotations

import math
import pathlib
import pickle
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from conftest import SAFETY, ULP

import fastmlp

HERE = pathlib.Path(__file__).parent / "written_by_0_1_0"
ISAS = fastmlp.info()["isas"]
sys.path.append(str(HERE))
import cases_of_0_1_0 as cases  # noqa: E402 - pickles find their functions in it

EXPECTED = {kind: cases.read_expected(HERE / kind / "expected.npz") for kind in ("models", "checkpoints", "pickles")}
WRITTEN_ON = EXPECTED["models"][0]


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The instruction set of every network that a test makes or loads."""
    monkeypatch.setenv("FASTMLP_ISA", request.param)
    return request.param


def assert_as_before(
    kind: str, name: str, isa: str, actual: Any, *, dtype: str, n_steps: int, exact: bool = True
) -> None:
    """Check for the same bits on the file's instruction set, else within the rounding errors of `steps` steps."""
    expected = EXPECTED[kind][1][name]
    if isa == WRITTEN_ON and exact:
        np.testing.assert_array_equal(actual, expected)
        return
    bound = SAFETY * ULP[dtype] * 3 * (n_steps + 1) * 3 * (math.sqrt(5) + 4)
    scale = np.nanmax(np.abs(expected))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=bound * scale)


def test_every_file_is_of_a_case() -> None:
    names = {"models": set(cases.models()), "checkpoints": set(cases.checkpoints())}
    for kind, suffix in (("models", ".model"), ("checkpoints", ".checkpoint")):
        assert {path.stem for path in (HERE / kind).glob(f"*{suffix}")} == names[kind] == set(EXPECTED[kind][1])
    pickles = {path.stem for path in (HERE / "pickles").glob("*.pickle")}
    assert pickles == set(EXPECTED["pickles"][1]) | {"objects", "others"}


def test_the_files_are_complete() -> None:
    """The files have every activation, loss, optimiser, schedule and field of a regularisation of 0.1.0."""
    found = [fastmlp.load(path) for path in (HERE / "models").glob("*.model")]
    activations = {f.name for net in found for f in (*net.activation, net.output_activation)}
    assert activations == {f.name for f in cases.ACTIVATIONS.values()} | {"softmax"}
    assert {net.loss.name for net in found} == {loss.name for loss, _ in cases.LOSSES.values()}
    assert {str(net.dtype) for net in found} == {"float32", "float64"}
    trainings = cases.checkpoints().values()
    optimizers = {words["optimizer"].name for words in trainings if "optimizer" in words}
    assert optimizers >= {"sgd", "classical_momentum", "adam", "adam_hat", "adamw", "nadam", "rmsprop", "adagrad"}
    assert optimizers >= {"lion", "rprop", "lbfgs"}


@pytest.mark.parametrize("name", cases.models())
def test_models(name: str, isa: str) -> None:
    words = cases.models()[name]
    net = fastmlp.load(HERE / "models" / f"{name}.model")
    made = fastmlp.Network(words["sizes"], **{key: value for key, value in words.items() if key != "sizes"})
    for field in ("sizes", "activation", "output_activation", "loss", "dtype", "init", "seed"):
        assert getattr(net, field) == getattr(made, field), field
    assert_as_before("models", name, isa, cases.of_model(net, name), dtype=net.dtype.name, n_steps=3)


@pytest.mark.parametrize("name", cases.checkpoints())
def test_checkpoints(name: str, isa: str) -> None:
    case = cases.checkpoints()[name]
    net, (X, y) = cases.network(case["net"]), cases.rows(case)
    history = net.fit(X, y, resume=HERE / "checkpoints" / f"{name}.checkpoint", **cases.to_the_end(case))
    actual = cases.of_checkpoint(net, history)
    assert_as_before("checkpoints", name, isa, actual, dtype=net.dtype.name, n_steps=15)


def unpickled(name: str) -> Any:
    return pickle.loads((HERE / "pickles" / f"{name}.pickle").read_bytes())


@pytest.mark.parametrize("name", [path.stem[8:] for path in sorted((HERE / "pickles").glob("network_*.pickle"))])
def test_networks(name: str) -> None:
    """An unpickled network has the pickled engine and, if the processor has it, the instruction set."""
    net = unpickled(f"network_{name}")
    actual = cases.of_network(net)
    exact = name != "blas"  # the order of sums depends on the BLAS
    assert_as_before("pickles", f"network_{name}", net._isa, actual, dtype=net.dtype.name, n_steps=6, exact=exact)


def test_objects() -> None:
    assert unpickled("objects") == cases.objects()
    assert {name: repr(each) for name, each in unpickled("others").items()} == {
        name: repr(each) for name, each in cases.others().items()
    }


ESTIMATORS = [path.stem[10:] for path in sorted((HERE / "pickles").glob("estimator_*.pickle"))]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_estimators(name: str, isa: str) -> None:
    pytest.importorskip("sklearn")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about convergence, and about other versions of scikit-learn
        made, y, what = cases.estimators()[name]
        actual = cases.of_estimator((HERE / "pickles" / f"estimator_{name}.pickle").read_bytes(), y, what)
    assert_as_before("pickles", f"estimator_{name}", isa, actual, dtype=made.dtype or "float64", n_steps=24)
