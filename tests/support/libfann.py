"""The real FANN by ctypes: networks are made, changed, saved and run by libfann or libdoublefann, 2.2.0 of Debian.

`apt-get install libfann2` has both; without them these tests are skipped.
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest


class Fann:
    """A network of FANN."""

    def __init__(self, library: str, pointer: Any = None) -> None:
        self.real = ctypes.c_double if "double" in library else ctypes.c_float
        self.library = library
        try:
            self.lib = ctypes.CDLL(library + ".so.2")
        except OSError:
            pytest.skip(f"needs {library}: apt-get install libfann2")
        for name in ("fann_create_standard_array", "fann_create_shortcut_array"):
            getattr(self.lib, name).restype = ctypes.c_void_p
        self.lib.fann_create_from_file.restype = ctypes.c_void_p
        self.lib.fann_run.restype = ctypes.POINTER(self.real)
        self.pointer = pointer

    @classmethod
    def standard(cls, sizes: list[int], library: str = "libdoublefann") -> Fann:
        self = cls(library)
        array = (ctypes.c_uint * len(sizes))(*sizes)
        self.pointer = ctypes.c_void_p(self.lib.fann_create_standard_array(len(sizes), array))
        return self

    @classmethod
    def shortcut(cls, sizes: list[int], library: str = "libdoublefann") -> Fann:
        self = cls(library)
        array = (ctypes.c_uint * len(sizes))(*sizes)
        self.pointer = ctypes.c_void_p(self.lib.fann_create_shortcut_array(len(sizes), array))
        return self

    @classmethod
    def load(cls, path: Path, library: str = "libdoublefann") -> Fann:
        self = cls(library)
        self.pointer = ctypes.c_void_p(self.lib.fann_create_from_file(str(path).encode()))
        assert self.pointer.value, path
        return self

    def __del__(self) -> None:
        if self.pointer:
            self.lib.fann_destroy(self.pointer)

    def set_neuron(self, layer: int, neuron: int, code: int, steepness: float) -> None:
        self.lib.fann_set_activation_function(self.pointer, code, layer, neuron)
        self.lib.fann_set_activation_steepness(self.pointer, self.real(steepness), layer, neuron)

    def set_layer(self, layer: int, code: int, steepness: float) -> None:
        self.lib.fann_set_activation_function_layer(self.pointer, code, layer)
        self.lib.fann_set_activation_steepness_layer(self.pointer, self.real(steepness), layer)

    def draw_weights(self, rng: Any, size: float) -> None:
        """Draw weights, which FANN's own generator would not draw again, by names of neurons."""
        n = self.lib.fann_get_total_connections(self.pointer)

        class Connection(ctypes.Structure):
            _fields_ = (("source", ctypes.c_uint), ("target", ctypes.c_uint), ("weight", self.real))

        array = (Connection * n)()
        self.lib.fann_get_connection_array(self.pointer, array)
        for connection in array:
            connection.weight = rng.uniform(-size, size)
        self.lib.fann_set_weight_array(self.pointer, array, n)

    def save(self, path: Path) -> Path:
        assert self.lib.fann_save(self.pointer, str(path).encode()) == 0
        return path

    def thinned(self, path: Path, rng: Any, rate: float) -> Fann:
        """Return the network without some connections, shuffled, as fann_create_sparse makes them from another seed.

        FANN's own draws them from /dev/urandom.
        """
        text = self.save(path).read_text().replace("connection_rate=1.000000", f"connection_rate={rate:.6f}")
        head, neurons, connections = re.split(r"(?:neurons|connections) \([^=]*=", text)
        pairs = iter(re.findall(r"\(\d+, [^)]*\) ", connections))
        made, kept = [], []
        for n, rest in re.findall(r"\((\d+)(, [^)]*\) )", neurons):
            own = [next(pairs) for _ in range(int(n))]
            chosen = rng.permutation(len(own))[: max(int(n) > 0, round(rate * int(n)))]
            kept += [own[i] for i in chosen]
            made.append(f"({len(chosen)}{rest}")
        path.write_text(
            f"{head}neurons (num_inputs, activation_function, activation_steepness)={''.join(made)}\n"
            f"connections (connected_to_neuron, weight)={''.join(kept)}\n"
        )
        return Fann.load(path, self.library)

    def run(self, X: Any) -> Any:
        """Return fann_run of each row."""
        n_outputs = self.lib.fann_get_num_output(self.pointer)
        rows = []
        for row in np.asarray(X, np.float64):
            outputs = self.lib.fann_run(self.pointer, (self.real * len(row))(*row))
            rows.append(outputs[:n_outputs])
        return np.array(rows)
