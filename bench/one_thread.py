"""One thread for every BLAS, and a processor that BLAS detects by itself: the conditions of all figures here.

BLAS libraries read their variables when they are loaded, so the environment must be right before NumPy is
imported. This module imports neither NumPy nor fastmlp; import it first.
"""

from __future__ import annotations

import os
import sys

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS")
OVERRIDES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # would make OpenBLAS take this processor for another


def environment() -> dict[str, str]:
    """This process's environment with one thread and no overrides."""
    kept = {name: value for name, value in os.environ.items() if name not in OVERRIDES}
    return kept | dict.fromkeys(THREADS, "1") | {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}


def ensure() -> None:
    """Start this program anew in the right environment, unless it runs in it already."""
    wanted = environment()
    if wanted != dict(os.environ):
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], wanted)


def enter() -> None:
    """Make the environment right without a new process; an error where NumPy has been imported in another one."""
    wanted = environment()
    if wanted != dict(os.environ) and "numpy" in sys.modules:
        raise RuntimeError(f"NumPy is imported already; set {'=1 '.join(THREADS)}=1 and unset {' '.join(OVERRIDES)}")
    for name in OVERRIDES:
        os.environ.pop(name, None)
    os.environ.update(wanted)
