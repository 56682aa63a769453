"""What is installed and what runs: `fastmlp.info()`."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np

from . import _core
from ._version import __version__


def blas_name() -> str:
    """The name and version of the BLAS that SciPy was built with."""
    import scipy

    try:
        blas = scipy.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return f"{blas['name']} {blas['version']}"
    except (KeyError, TypeError):
        return "unknown"


def info() -> dict[str, Any]:
    """What is installed and what runs.

    Returns
    -------
    dict
        ``version``; ``isa``, the instruction set of new networks' kernels, and ``isas``, all that this build and
        processor have; ``engines``; ``blas``; ``threads``, as many as this process may run (by affinity
        and CPU quota); ``python``,
        ``numpy`` and ``scipy`` versions.

    Examples
    --------
    >>> "blas" in fastmlp.info()["engines"]
    True
    """
    import scipy

    return {
        "version": __version__,
        "isa": _core.kernel_isa(),
        "isas": _core.isas(),
        "engines": ["native", "blas"],
        "blas": blas_name(),
        "threads": _core.usable_threads(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }
