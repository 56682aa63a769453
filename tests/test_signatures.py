"""The public face of a network: its names and signatures are the reference's and the contract's; what `info` says."""

from __future__ import annotations

import inspect
import os
from typing import Any

import pytest

import fastmlp
from fastmlp import reference

METHODS = [
    name
    for name in ("__init__", *dir(fastmlp.Network))
    if (name == "__init__" or not name.startswith("_")) and callable(getattr(fastmlp.Network, name))
]
STATES = {"save", "training_state", "restore_training"}  # files and states, which the reference does without
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
    assert public - {*STATES, "dtype", "engine", "n_threads", *SCHEMA} == {
        n for n in dir(theirs) if not n.startswith("_")
    }


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
