"""JAX for many networks: `vmap` of the compiled epoch of `jax_xla.py`, and of its forward pass.

The networks are divided among as many devices of the CPU as there are threads (`shard_map`), each of which has one
thread; that was measured to be faster than one device whose products use all threads. Each network has its own order of
the rows, an input that is converted before anything is timed. This module must be imported before JAX is used, because
the number of devices cannot be changed after that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import numpy as np
from calibrate import AVAILABLE
from face import Array, optimizer_of
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from many_networks import Many
from workloads import Workload

from .jax_xla import compiled, rates

jax.config.update("jax_num_cpu_devices", len(AVAILABLE))

_EACH, _ALL = PartitionSpec("networks"), PartitionSpec()


def _layers(P: Any, workload: Workload) -> list[tuple[Any, Any]]:
    """Split parameters (..., n_parameters) into (w (..., I, O), b (..., O)) of each layer."""
    result, offset = [], 0
    for n_inputs, n_outputs in workload.layers:
        end = offset + n_inputs * n_outputs
        w = P[..., offset:end].reshape(*P.shape[:-1], n_outputs, n_inputs)
        offset = end + n_outputs
        result.append((w.swapaxes(-1, -2), P[..., end:offset]))
    return result


@cache
def _epoch(workload: Workload, mesh: Mesh) -> Any:
    steps = jax.vmap(compiled(workload).scan, in_axes=(0, 0, None, None, 0, None))
    places = (_EACH, _EACH, _ALL, _ALL, _EACH, _ALL)
    divided = jax.shard_map(steps, mesh=mesh, in_specs=places, out_specs=_EACH, check_vma=False)
    return jax.jit(divided, donate_argnums=(0, 1))


@cache
def _predict(workload: Workload, mesh: Mesh) -> Any:
    def outputs(parameters: Any, x: Any) -> Any:
        return compiled(workload).output(_layers(parameters, workload), x)

    all_outputs = jax.vmap(outputs, in_axes=(0, None))
    return jax.jit(jax.shard_map(all_outputs, mesh=mesh, in_specs=(_EACH, _ALL), out_specs=_EACH, check_vma=False))


class JaxMany(Many):
    """Stacked parameters, divided among devices; Adam as in `jax_xla.py`."""

    shuffles = False

    def __init__(self, workload: Workload, P: Array, dtype: str, n_threads: int) -> None:
        super().__init__(workload, P, dtype, n_threads)
        n_devices = max(n for n in range(1, n_threads + 1) if len(P) % n == 0)
        self._mesh = Mesh(np.array(jax.devices()[:n_devices]), ("networks",))
        layers = [(np.ascontiguousarray(w), np.ascontiguousarray(b)) for w, b in _layers(self.P, workload)]
        self._parameters = self._put(layers, _EACH)
        self._moments = [self._put(jax.tree.map(np.zeros_like, layers), _EACH) for _ in range(2)]
        self._optimizer, self._n_steps = optimizer_of(workload), 0

    def _put(self, arrays: Any, where: PartitionSpec) -> Any:
        return jax.device_put(arrays, NamedSharding(self._mesh, where))

    def epoch(self, x: Array, y: Array, orders: Array | None) -> Callable[[], Array]:
        assert orders is not None
        (n_networks, n_rows), size = orders.shape, self.workload.batch_size
        x, y = (self._put(np.ascontiguousarray(each, self.dtype), _ALL) for each in (x, y))
        full = n_rows - n_rows % size
        parts = [
            (part, self._put(part.astype("int32").reshape(n_networks, -1, min(size, part.shape[1])), _EACH))
            for part in (orders[:, :full], orders[:, full:])
            if part.shape[1]
        ]
        train = _epoch(self.workload, self._mesh)

        def run() -> Array:
            total: Any = 0.0
            for _, indices in parts:
                _, n_steps, n_batch = indices.shape
                step_rates = rates(self._optimizer, self._n_steps, n_steps, self.dtype)
                self._n_steps += n_steps
                self._parameters, self._moments, loss = train(
                    self._parameters, self._moments, x, y, indices, step_rates
                )
                total = total + np.asarray(loss) * n_batch
            return total / n_rows

        return run

    def predictor(self, x: Array) -> Callable[[], Array]:
        predict, x = _predict(self.workload, self._mesh), np.ascontiguousarray(x, self.dtype)
        return lambda: np.asarray(predict(self.P, x))

    @property
    def parameters(self) -> Array:
        parts = [part for w, b in self._parameters for part in (np.asarray(w).swapaxes(1, 2), np.asarray(b))]
        return np.concatenate([part.reshape(len(self.P), -1) for part in parts], axis=1)
