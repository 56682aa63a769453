"""What this installation has: `info`, versions, instruction sets, BLAS and threads; `get_include`, its C header."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np

from . import _core
from ._version import __version__


def blas_name() -> str:
    """Return the name and version of the BLAS that SciPy was built with."""
    import scipy

    try:
        blas = scipy.show_config(mode="dicts")["Build Dependencies"]["blas"]
        return f"{blas['name']} {blas['version']}"
    except (KeyError, TypeError):
        return "unknown"


def get_include() -> str:
    """Return the folder of the C header ``fastmlp.h``, for a compiler's include path.

    Examples
    --------
    >>> import os
    >>> os.listdir(fastmlp.get_include())
    ['fastmlp.h']
    """
    installed = Path(__file__).parent / "include"
    return str(installed if installed.is_dir() else Path(__file__).parents[2] / "csrc" / "include")  # of a checkout


def info() -> dict[str, Any]:
    """Return the versions of fastmlp and its dependencies, and what new networks compute with.

    Returns
    -------
    dict
        ``version`` of fastmlp; ``isa``, the instruction set of the kernels of new networks; ``isas``, all instruction
        sets that this build and this processor have; ``engines``, their names; ``blas``, name and version of SciPy's
        BLAS; ``threads``, the number of threads that this process may run (by its CPU affinity and quota); ``python``,
        ``numpy`` and ``scipy``, their versions.

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
