"""The libraries that fastmlp is measured against, each optional: a table of what is found here.

A peer is a subclass of `face.Implementation` in a module of its own, imported when it is first used, and computes
the workload with its library's fastest means for one thread that a user of the library has. The extra `bench`
installs them all. NumPy's network is not here: it is written for this comparison (`numpy_network.py`).
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import NamedTuple

from face import Implementation
from workloads import Workload


class Peer(NamedTuple):
    """Where a peer's class is, and the package that it needs."""

    package: str
    module: str
    name: str
    trains: bool


PEERS = {
    "scikit-learn": Peer("sklearn", "scikit_learn", "ScikitLearn", True),
    "PyTorch": Peer("torch", "pytorch", "PyTorch", True),
    "TorchScript": Peer("torch", "pytorch", "TorchScript", False),
    "ONNX Runtime": Peer("onnxruntime", "onnx_runtime", "OnnxRuntime", False),
    "JAX": Peer("jax", "jax_xla", "Jax", True),
}


def installed() -> list[str]:
    """The names of the peers whose package is installed."""
    return [name for name, peer in PEERS.items() if importlib.util.find_spec(peer.package)]


def make(name: str, workload: Workload, dtype: str) -> Implementation:
    """The peer of that name, with the workload's initial parameters."""
    module = importlib.import_module(f"peers.{PEERS[name].module}")
    result: Implementation = getattr(module, PEERS[name].name)(workload, dtype)
    return result
