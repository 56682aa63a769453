"""PEERS: the table of the other libraries with which fastmlp is compared; each of them is optional.

A peer is a subclass of `face.Implementation` in its own module, which is imported when it is first used. It computes
the workload on one thread, in the fastest way that its library offers to users. The extra `bench` installs all of
these libraries. The NumPy network, which is written for the comparison, is in `numpy_network.py`.

MANY is the table of the ways in which these libraries train many networks at once: subclasses of `many_networks.Many`.
GPU is the table of what runs on a GPU, or on the CPU for a check: subclasses of `face.Implementation` that are also
given the device. Those that train keep all data on the device; the others predict from host memory into host memory.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, NamedTuple

from face import Implementation
from many_networks import Many
from workloads import Workload


class Peer(NamedTuple):
    """The package that a peer needs, its module and class, and whether it trains."""

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

MANY = {
    "JAX vmap": Peer("jax", "many_jax", "JaxMany", True),
    "torch.func vmap": Peer("torch", "many_torch", "TorchMany", True),
    "scikit-learn, joblib threading": Peer("sklearn", "many_scikit_learn", "Threading", True),
    "scikit-learn, joblib loky": Peer("sklearn", "many_scikit_learn", "Loky", True),
}

GPU = {
    "JAX, from host memory": Peer("jax", "device_jax", "FromHost", False),
    "JAX, on the device": Peer("jax", "device_jax", "OnDevice", True),
    "PyTorch CUDA graphs, from host memory": Peer("torch", "device_pytorch", "FromHost", False),
    "PyTorch CUDA graphs, on the device": Peer("torch", "device_pytorch", "OnDevice", True),
}


def _module(peer: Peer) -> Any:
    return importlib.import_module(f"peers.{peer.module}")


def installed() -> list[str]:
    """Return the names of the peers of which the package is installed."""
    return [name for name, peer in PEERS.items() if importlib.util.find_spec(peer.package)]


def make(name: str, workload: Workload, dtype: str) -> Implementation:
    """Make the peer of that name, with the workload's initial parameters."""
    result: Implementation = getattr(_module(PEERS[name]), PEERS[name].name)(workload, dtype)
    return result


def many() -> dict[str, type[Many]]:
    """Return the classes of MANY whose packages are installed."""
    return {
        name: getattr(_module(peer), peer.name) for name, peer in MANY.items() if importlib.util.find_spec(peer.package)
    }


def on_device(name: str) -> Any:
    """Return the class of GPU of that name; its module has a function `gpu` that describes the GPU, or returns None."""
    return getattr(_module(GPU[name]), GPU[name].name)


def gpus() -> dict[str, str]:
    """Return the names of GPU whose library finds a GPU, each with the GPU's description."""
    there = {name: peer for name, peer in GPU.items() if importlib.util.find_spec(peer.package)}
    found = {name: _module(peer).gpu() for name, peer in there.items()}
    return {name: gpu for name, gpu in found.items() if gpu}
