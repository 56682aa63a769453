"""The environment of all benchmarks: BLAS libraries use one thread, and detect the processor by themselves.

BLAS libraries read environment variables when they are loaded, so these must be set before NumPy is imported. Import
this module first; it imports neither NumPy nor fastmlp.
"""

from __future__ import annotations

import os
import sys

THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS")
OVERRIDES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # would make OpenBLAS assume another processor


def environment() -> dict[str, str]:
    """Return this process's environment with one thread and without overrides."""
    kept = {name: value for name, value in os.environ.items() if name not in OVERRIDES}
    return kept | dict.fromkeys(THREADS, "1") | {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}


def ensure() -> None:
    """Restart this program in the right environment, unless it already runs in it."""
    wanted = environment()
    if wanted != dict(os.environ):
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], wanted)


def enter() -> None:
    """Set the environment without a new process; raise RuntimeError if NumPy was imported in another environment."""
    wanted = environment()
    if wanted != dict(os.environ) and "numpy" in sys.modules:
        raise RuntimeError(f"NumPy is imported already; set {'=1 '.join(THREADS)}=1 and unset {' '.join(OVERRIDES)}")
    for name in OVERRIDES:
        os.environ.pop(name, None)
    os.environ.update(wanted)
