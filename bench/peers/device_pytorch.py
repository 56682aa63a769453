"""PyTorch on a given device, with CUDA graphs on a GPU: the functions of `pytorch.py`, captured once and replayed.

A graph has fixed addresses. A forward pass is captured for each input: for rows on the device their own tensor, for
rows from host memory a buffer of their shape. A step of training reads its place in the epoch from the device and moves
it on, so that the steps of an epoch are replayed without anything being copied between them; a shorter last batch has
a graph of its own. On the CPU the same functions are called instead of replayed. Products of float32 are computed in
float32 (no TF32, PyTorch's default).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from face import Array, Implementation
from workloads import Workload

from .pytorch import PyTorch

_NAMES = {"gpu": "cuda", "cpu": "cpu"}
_WARM_UP = 3  # calls before a capture, as PyTorch's documentation asks for


def gpu() -> str | None:
    """Return the name of the GPU that PyTorch finds; None if there is none."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def _captured(run: Callable[[], Any], device: str, reset: Callable[[], None] = lambda: None) -> Callable[[], Any]:
    """Return a function that replays `run` and returns what it returned, always the same tensors on a GPU.

    `run` is called a few times before; `reset` undoes what a call changes.
    """
    if device == "cpu":
        for _ in range(_WARM_UP):
            run()
            reset()
        return run
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(_WARM_UP):
            run()
            reset()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = run()

    def replay() -> Any:
        graph.replay()
        return result

    return replay


class _Part(NamedTuple):
    """The steps of an epoch that have batches of one size: indices (steps, B), the next step's number, the loss."""

    indices: torch.Tensor
    position: torch.Tensor
    total: torch.Tensor
    step: Callable[[], Any]


class OnDevice(PyTorch):
    """Inputs and outputs stay on the device; the outputs are waited for. An object trains on one set of data."""

    name = "PyTorch CUDA graphs, on the device"

    def __init__(self, workload: Workload, dtype: str = "float32", device: str = "gpu") -> None:
        self.device = _NAMES[device]
        self._parts: list[_Part] = []
        self._data: Any = None
        super().__init__(workload, dtype)
        self._tensors = [part for layer in self._layers for part in layer]
        self._initial = [part.detach().clone() for part in self._tensors]

    def _forward(self) -> Any:
        forward, graphs = super()._forward(), {}

        def predict(x: torch.Tensor) -> torch.Tensor:
            key = x.data_ptr(), x.shape  # the captured function keeps x, so that its address is not given to another
            if key not in graphs:
                graphs[key] = _captured(lambda: forward(x), self.device)
            outputs: torch.Tensor = graphs[key]()
            self._wait()
            return outputs

        return predict

    def _wait(self) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize()

    def values(self, outputs: Any) -> Any:
        return outputs.cpu()

    def fit(self, x: Any, y: Any, *, shuffle: bool, batch_size: int) -> float:
        if self._data is None:
            self.capture(x, y, batch_size)
        if self._data[0] is not x or self._data[1] is not y:
            raise ValueError("x, y: the steps have been captured for other data; make a new object")
        n_rows = len(x)
        order = (torch.randperm if shuffle else torch.arange)(n_rows, device=self.device)
        start = 0
        for part in self._parts:
            end = start + part.indices.numel()
            part.indices.copy_(order[start:end].view_as(part.indices))
            part.position.zero_()
            part.total.zero_()
            for _ in range(len(part.indices)):
                part.step()
            start = end
        return float(sum(part.total for part in self._parts)) / n_rows

    def capture(self, x: Any, y: Any, batch_size: int) -> None:
        """Capture the steps on these data; the network must be untrained, and stays so."""
        self._data = x, y
        full, short = divmod(len(x), batch_size)
        self._parts = [self._part(*shape) for shape in ((full, batch_size), (1, short)) if min(shape)]

    def _part(self, n_steps: int, size: int) -> _Part:
        """Capture the step of batches of this size."""
        x, y = self._data
        indices = torch.zeros((n_steps, size), dtype=torch.int64, device=self.device)
        position = torch.zeros(1, dtype=torch.int64, device=self.device)
        total = torch.zeros((), dtype=x.dtype, device=self.device)

        def step() -> None:
            total.add_(self._step(x, y, indices.index_select(0, position).view(-1)), alpha=size)
            position.add_(1)

        def reset() -> None:
            position.zero_()
            self._optimizer.zero_grad(set_to_none=True)
            with torch.no_grad():
                for tensor, value in zip(self._tensors, self._initial, strict=True):
                    tensor.copy_(value)
            for state in self._optimizer.state.values():
                for value in filter(torch.is_tensor, state.values()):
                    value.zero_()

        return _Part(indices, position, total, _captured(step, self.device, reset))


class FromHost(OnDevice):
    """NumPy arrays are moved into a buffer on the device, and the outputs back."""

    name, trains = "PyTorch CUDA graphs, from host memory", False
    convert = Implementation.convert

    def _forward(self) -> Any:
        predict, buffers = super()._forward(), {}

        def from_host(x: Array) -> Array:
            if x.shape not in buffers:
                buffers[x.shape] = torch.empty(x.shape, dtype=torch.from_numpy(x).dtype, device=self.device)
            buffer = buffers[x.shape]
            buffer.copy_(torch.from_numpy(x))
            result: Array = np.array(predict(buffer).cpu())
            return result

        return from_host

    def single_rows(self, rows: Array) -> list[Any]:
        return list(self.convert(rows)[:, None])

    def values(self, outputs: Any) -> Any:
        return outputs
