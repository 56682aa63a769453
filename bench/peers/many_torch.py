"""PyTorch for many networks: `torch.func`, that is, `vmap` over stacked parameters of `functional_call` and `grad`.

Networks have linear outputs and half the squared error. Adam works on each element by itself, so the fused optimiser
takes the step of all networks at once; it was measured to be faster than the same formula of `torch._foreach`. Each
network has its own order of the rows, an input that is converted before anything is timed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from face import Array, optimizer_of
from many_networks import Many
from torch.func import functional_call, grad_and_value, vmap
from workloads import Workload

_ACTIVATIONS = {"sigmoid": torch.nn.Sigmoid, "tanh": torch.nn.Tanh, "relu": torch.nn.ReLU}


class TorchMany(Many):
    """A module without parameters of its own, and the stacked parameters of all networks by name."""

    shuffles = False

    def __init__(self, workload: Workload, P: Array, dtype: str, n_threads: int) -> None:
        super().__init__(workload, P, dtype, n_threads)
        if (workload.output_activation, workload.loss) != ("identity", "half_squared_error"):
            raise ValueError(f"workload: expected linear outputs and half the squared error, got {workload}")
        modules: list[torch.nn.Module] = []
        for n_inputs, n_outputs in workload.layers:
            modules += [torch.nn.Linear(n_inputs, n_outputs), _ACTIVATIONS[workload.activation]()]
        self._module = torch.nn.Sequential(*modules[:-1]).to("meta")
        self._stacked = {name: part.clone() for name, part in self._views(self.P).items()}
        wanted = optimizer_of(workload)
        betas = (wanted.beta_1, wanted.beta_2)
        parameters = list(self._stacked.values())
        self._optimizer = torch.optim.Adam(parameters, wanted.learning_rate, betas, wanted.epsilon, fused=True)
        self._gradients = vmap(grad_and_value(self._loss))

    def _views(self, P: Array) -> dict[str, torch.Tensor]:
        """Return the parameters of each layer by name, as views of P (K, n_parameters)."""
        all_parts, result, offset = torch.from_numpy(P), {}, 0
        for name, like in self._module.named_parameters():
            result[name] = all_parts[:, offset : offset + like.numel()].view(len(P), *like.shape)
            offset += like.numel()
        return result

    def _outputs(self, parameters: dict[str, torch.Tensor], x: torch.Tensor) -> Any:
        return functional_call(self._module, parameters, (x,))

    def _loss(self, parameters: dict[str, torch.Tensor], x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return (self._outputs(parameters, x) - t).square().sum() * (0.5 / len(t))

    def epoch(self, x: Array, y: Array, orders: Array | None) -> Callable[[], Array]:
        assert orders is not None
        n_networks, n_rows = orders.shape
        rows, targets = (torch.from_numpy(np.ascontiguousarray(each, self.dtype)) for each in (x, y))
        batches = torch.from_numpy(orders.astype("int64")).split(self.workload.batch_size, dim=1)
        indices = [(batch.reshape(-1), (n_networks, batch.shape[1], -1)) for batch in batches]

        def run() -> Array:
            torch.set_num_threads(self.n_threads)
            total = torch.zeros(n_networks, dtype=rows.dtype)
            for chosen, shape in indices:
                batch, t = rows.index_select(0, chosen).view(shape), targets.index_select(0, chosen).view(shape)
                gradients, losses = self._gradients(self._stacked, batch, t)
                for name, parameter in self._stacked.items():
                    parameter.grad = gradients[name]
                self._optimizer.step()
                total += losses * shape[1]
            return (total / n_rows).numpy()

        return run

    def predictor(self, x: Array) -> Callable[[], Array]:
        rows = torch.from_numpy(np.ascontiguousarray(x, self.dtype))
        outputs = vmap(self._outputs, in_dims=(0, None))

        def run() -> Array:
            torch.set_num_threads(self.n_threads)
            with torch.no_grad():
                result: Array = outputs(self._views(self.P), rows).numpy()
            return result

        return run

    @property
    def parameters(self) -> Array:
        return np.concatenate([part.reshape(len(self.P), -1).numpy() for part in self._stacked.values()], axis=1)
