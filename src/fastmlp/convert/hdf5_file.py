"""Reads the groups, arrays and texts of an HDF5 file that is not trusted, by h5py in a process of its own.

The HDF5 library can hang or crash on a damaged file; here that ends a child process (hdf5_child.py), and the caller
gets a `FormatError`. The memory of the child is bounded by the file's size where the system can limit it, its time by
`TIMEOUT`. keras_file.py is the only caller.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from ..frozen import frozen

TIMEOUT = 60.0  # seconds, and one more for each 10 MB
CHILD = Path(__file__).with_name("hdf5_child.py")


@frozen(eq=False)
class Item:
    """A group (array is None) or an array, with those of its attributes that are text."""

    attributes: dict[str, str | list[str]]
    array: NDArray[Any] | None


def read(data: bytes, what: str) -> dict[str, Item]:
    """Return the groups and arrays of an HDF5 file by their paths, such as "/layers/dense/vars/0"; the root is "".

    Parameters
    ----------
    data : bytes
        The file.
    what : str
        How messages call it.

    Raises
    ------
    FormatError
        If the HDF5 library cannot read it.
    ImportError
        If h5py is not installed.
    """
    header, _, body = _run(data, what).partition(b"\n")
    try:
        described = json.loads(header)
    except ValueError:
        raise FormatError(f"{what}: expected an HDF5 file, got one that the HDF5 library cannot read") from None
    if "error" in described:
        raise FormatError(f"{what}: {described['error']}")
    return dict(_items(described["objects"], body, what))


def _run(data: bytes, what: str) -> bytes:
    """Return what the child process writes."""
    from importlib.util import find_spec

    if find_spec("h5py") is None:
        raise ImportError("reading a file of Keras needs h5py; install it by: pip install 'fastmlp[keras]'")
    if not sys.executable:
        raise FormatError(f"{what}: expected a Python interpreter in sys.executable, which reads it, got none")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONIOENCODING": "utf-8",
    }
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(CHILD)],
            input=data,
            capture_output=True,
            timeout=TIMEOUT + len(data) / 1e7,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise FormatError(f"{what}: expected an HDF5 file, got one that the HDF5 library does not finish") from None
    if done.returncode:
        raise FormatError(
            f"{what}: expected an HDF5 file, got one on which the HDF5 library ends (status {done.returncode})"
        )
    return done.stdout


def _items(objects: dict[str, dict[str, Any]], body: bytes, what: str) -> Iterator[tuple[str, Item]]:
    position = 0
    for path, entry in objects.items():
        array = None
        if entry.get("shape") is not None:
            is_bfloat16, count = entry["dtype"] == "bfloat16", math.prod(entry["shape"])
            dtype = np.dtype("<u2" if is_bfloat16 else entry["dtype"])
            if position + count * dtype.itemsize > len(body):
                raise FormatError(f"{what}: expected all numbers of {path}, got fewer")
            array = np.frombuffer(body, dtype, count, position).reshape(entry["shape"])
            position += array.nbytes
            if is_bfloat16:
                array = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
        yield path, Item(entry["attributes"], array)
