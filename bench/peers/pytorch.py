"""PyTorch on one thread: eager functions, and TorchScript for the forward pass.

These choices were measured to be faster than the alternatives: functions instead of modules, one row as a matrix of one
row, fused optimisers, and rows gathered by `index_select`. Predictions run in inference mode, which is entered once
around many calls.
"""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import numpy as np
import torch
from face import Array, Implementation, flat, layer_arrays, optimizer_of, targets
from torch.nn import functional
from workloads import Workload, initial_parameters

_ACTIVATIONS = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "identity": lambda z: z,
    "softmax": lambda z: functional.softmax(z, -1),
}
_IN_PLACE = _ACTIVATIONS | {"sigmoid": torch.sigmoid_, "tanh": torch.tanh_, "relu": torch.relu_}


class PyTorch(Implementation):
    """Eager functions, autograd, and a fused optimiser."""

    name = "PyTorch"
    device = "cpu"  # of the parameters and the converted data

    def __init__(self, workload: Workload, dtype: str = "float32") -> None:
        super().__init__(workload, dtype)
        torch.set_num_threads(1)
        arrays = layer_arrays(initial_parameters(workload), workload, dtype)
        self._layers = [tuple(self._on_device(part).requires_grad_() for part in layer) for layer in arrays]
        self._output = _ACTIVATIONS[workload.output_activation]
        parameters = [part for layer in self._layers for part in layer]
        wanted = optimizer_of(workload)
        self._optimizer: torch.optim.Optimizer
        if wanted.name == "sgd":
            self._optimizer = torch.optim.SGD(parameters, wanted.learning_rate, fused=True)
        else:
            betas = (wanted.beta_1, wanted.beta_2)
            self._optimizer = torch.optim.Adam(
                parameters, wanted.learning_rate, betas, wanted.epsilon, fused=True, capturable=self.device != "cpu"
            )
        self.predict = self.predict_row = self._forward()

    def _on_device(self, array: Array) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)

    def _forward(self) -> Any:
        """Return the forward pass, a function (B, I) -> (B, O)."""
        *hidden, (last_w, last_b) = self._layers
        linear, activation = functional.linear, _IN_PLACE[self.workload.activation]
        output = _IN_PLACE[self.workload.output_activation]

        def forward(y: torch.Tensor) -> torch.Tensor:
            for w, b in hidden:
                y = activation(linear(y, w, b))
            return output(linear(y, last_w, last_b))

        return forward

    def convert(self, rows: Array) -> Any:
        if rows.dtype.kind != "i":
            return self._on_device(np.array(rows, self.dtype))
        is_label = self.workload.loss == "cross_entropy"
        return self._on_device(rows if is_label else targets(rows, self.workload, self.dtype))

    def single_rows(self, rows: Array) -> list[Any]:
        return list(self.convert(rows)[:, None])

    def context(self) -> contextlib.AbstractContextManager[Any]:
        return torch.inference_mode()

    def _loss(self, z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        if self.workload.loss == "cross_entropy":
            return functional.cross_entropy(z, t)
        return functional.mse_loss(self._output(z), t, reduction="sum") * (0.5 / len(t))

    def _step(self, x: torch.Tensor, y: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        """Take the step of a batch, and return its loss before the step."""
        activation, linear = _ACTIVATIONS[self.workload.activation], functional.linear
        *hidden, (last_w, last_b) = self._layers
        rows = x.index_select(0, indices)
        for w, b in hidden:
            rows = activation(linear(rows, w, b))
        loss = self._loss(linear(rows, last_w, last_b), y.index_select(0, indices))
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    def fit(self, x: Any, y: Any, *, shuffle: bool, batch_size: int) -> float:
        n_rows, total = len(x), torch.zeros((), dtype=x.dtype)
        order = torch.randperm(n_rows) if shuffle else torch.arange(n_rows)
        for indices in order.split(batch_size):
            total += self._step(x, y, indices) * len(indices)
        return float(total) / n_rows

    @property
    def parameters(self) -> Array:
        return flat([(w.detach().cpu(), b.detach().cpu()) for w, b in self._layers])


class TorchScript(PyTorch):
    """The forward pass of `PyTorch`, traced, frozen and optimised for inference."""

    name, trains = "TorchScript", False

    def _forward(self) -> Any:
        forward, example = super()._forward(), torch.zeros(1, self.workload.sizes[0], dtype=self._layers[0][0].dtype)

        class Module(torch.nn.Module):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                result: torch.Tensor = forward(x)
                return result

        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # TorchScript is deprecated
            for layer in self._layers:
                for part in layer:
                    part.requires_grad_(False)
            return torch.jit.optimize_for_inference(torch.jit.trace(Module().eval(), example))
