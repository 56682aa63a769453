"""The public face of a network: its names and signatures are the reference's and the contract's; what `info` says."""

from __future__ import annotations

import inspect
import os
from typing import Any

import pytest

import fastmlp
from fastmlp import reference
from fastmlp.architecture import Architecture
from fastmlp.frozen import defaults as defaults_of_fields
from fastmlp.frozen import fields, replace
from fastmlp.training import per_network
from fastmlp.training.plan import FitPlan

METHODS = [
    name
    for name in ("__init__", *dir(fastmlp.Network))
    if (name == "__init__" or not name.startswith("_")) and callable(getattr(fastmlp.Network, name))
]
WRITERS = {"to_c", "to_fann", "to_keras", "to_onnx", "to_sklearn", "to_torch"}
# Files, states, native callers and other tools' models, which the reference does without.
STATES = {"save", "training_state", "restore_training", "bind", *WRITERS}
SCHEMA = {"feature_names", "target_name", "class_names", "encoder"}
OURS_ALONE = {
    "__init__": {"dtype", "engine", "n_threads", *SCHEMA},
    "predict": {"out"},
    "classify": {"names"},
    "fit": {"resume"},
}


@pytest.mark.parametrize("name", sorted({*METHODS, "predict", "fit"} - STATES))
def test_signatures_are_the_references(name: str) -> None:
    ours = inspect.signature(getattr(fastmlp.Network, name)).parameters
    theirs = inspect.signature(getattr(reference.Network, name)).parameters
    public = {p: ours[p] for p in ours if not p.startswith("_")}
    assert set(public) - set(theirs) == OURS_ALONE.get(name, set())
    shared = [p for p in public if p in theirs]
    assert shared == list(theirs)
    for p in shared[1:]:  # after self
        assert (public[p].default, public[p].kind) == (theirs[p].default, theirs[p].kind), p


def test_public_names_are_the_references() -> None:
    theirs = reference.Network([2, 3, 1], seed=0)
    ours = fastmlp.Network([2, 3, 1], seed=0)
    public = {name for name in dir(ours) if not name.startswith("_")}
    assert public - {*STATES, "dtype", "engine", "n_threads", "conversion", *SCHEMA} == {
        n for n in dir(theirs) if not n.startswith("_")
    }


def test_an_architecture_has_the_arguments_of_a_network_that_do_not_belong_to_the_machine() -> None:
    given = inspect.signature(fastmlp.Network.__init__).parameters
    wanted = [name for name in given if name not in ("self", "engine", "n_threads", "_isa")]
    assert list(fields(Architecture)) == wanted
    for name, value in defaults_of_fields(Architecture).items():
        assert given[name].default == value, name


def test_an_architecture_is_checked_when_it_is_made() -> None:
    made = Architecture(sizes=[2, 3, 1], activation="tanh", output_activation=None, loss="mse", dtype="float64")  # type: ignore[arg-type]
    assert made.sizes == (2, 3, 1)
    assert made == fastmlp.Network([2, 3, 1], activation="tanh", dtype="float64")._architecture()
    with pytest.raises(ValueError, match="activation: expected a list of 1, one for each hidden layer, got 2"):
        replace(made, activation=(fastmlp.Tanh(), fastmlp.Tanh()))
    with pytest.raises(ValueError, match="output_activation: expected 'softmax', the partner of loss 'cross_entropy'"):
        replace(made, loss=fastmlp.CrossEntropy(), sizes=(2, 3, 2))


def test_signatures_and_defaults_of_the_contract() -> None:
    def defaults(function: Any) -> dict[str, Any]:
        parameters = inspect.signature(function).parameters.values()
        return {p.name: p.default for p in parameters if p.default is not p.empty and not p.name.startswith("_")}

    assert defaults(fastmlp.Network) == {
        "activation": "relu", "output_activation": None, "loss": "mse", "dtype": "float32", "init": "auto",
        "seed": None, "engine": "auto", "n_threads": "auto", "input_scaling": None, "target_scaling": None,
        "feature_names": None, "target_name": None, "class_names": None, "encoder": None,
    }  # fmt: skip
    assert defaults(fastmlp.Network.fit) == {
        "y": None,
        "epochs": 10, "batch_size": 32, "optimizer": "adam", "shuffle": True, "validation_data": None,
        "validation_split": None, "metrics": (), "callbacks": (), "max_time": None, "resume": None, "verbose": 0,
        "sample_weight": None, "class_weight": None, "regularization": None,
    }  # fmt: skip
    assert defaults(fastmlp.SGD) == {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False}
    assert defaults(fastmlp.Adam) == {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}


def test_info() -> None:
    info = fastmlp.info()
    assert info["version"] == fastmlp.__version__
    assert info["isa"] in info["isas"]
    assert {"engines", "blas", "threads"} <= set(info)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system has no affinity masks")
def test_threads_are_what_the_affinity_allows() -> None:
    allowed = os.sched_getaffinity(0)
    assert 1 <= fastmlp.info()["threads"] <= len(allowed)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert fastmlp.info()["threads"] == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_a_plan_has_the_arguments_of_fit() -> None:
    """A FitPlan has all arguments of `fit` except the data and the optimiser."""
    beside = {"self", "X", "y", "optimizer", "validation_data"}
    assert set(fields(FitPlan)) == set(inspect.signature(fastmlp.Network.fit).parameters) - beside


def test_fit_many_has_the_arguments_of_fit() -> None:
    """Each of them is an argument of `fit_many` with the same default; all but `verbose` may differ by network."""
    own, many = (inspect.signature(function).parameters for function in (fastmlp.Network.fit, fastmlp.fit_many))
    shared = {name: parameter.default for name, parameter in own.items() if name not in ("self", "X", "y")}
    assert shared == {name: many[name].default for name in shared}
    assert set(many) - set(shared) == {"networks", "X", "y", "rows", "n_threads", "errors"}
    assert set(per_network.PER_NETWORK) == set(shared) - {"verbose"}
