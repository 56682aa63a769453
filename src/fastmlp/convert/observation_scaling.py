"""Statistics of observations, as VecNormalize keeps them, as steps of a chain: `steps`.

They are an argument of `from_stable_baselines3`, because a file of stable-baselines3 does not hold them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..activations import HardTanh
from ..frozen import frozen
from ..scaling import Scaling
from .chain import Activate, Affine, Step

CLIP, EPSILON = 10.0, 1e-8  # VecNormalize's defaults of clip_obs and epsilon
NAME = "observation_scaling"


@frozen(eq=False)
class _Statistics:
    mean: ArrayLike
    var: ArrayLike
    clip: float = CLIP
    epsilon: float = EPSILON


def steps(given: Any, n_inputs: int) -> tuple[Step, ...]:
    """Return the steps of what the argument gives: clip((x - mean) / sqrt(var + epsilon), -clip, clip)."""
    if isinstance(given, Scaling):
        _check_length(given.offset, n_inputs)
        return (Affine(given.offset, given.scale, NAME),)
    found = _statistics(given)
    if found is None:
        return ()
    mean, var = (np.array(each, np.float64).ravel() for each in (found.mean, found.var))
    clip, epsilon = float(found.clip), float(found.epsilon)
    for each in (mean, var):
        _check_length(each, n_inputs)
    finite = np.isfinite(mean).all() and np.isfinite(var).all() and (var + epsilon > 0).all()
    if not (finite and clip > 0):
        raise ValueError(f"{NAME}: expected finite numbers, variances of at least 0 and a clip above 0, got others")
    scaled = Affine(mean, np.sqrt(var + epsilon), NAME)
    if clip > float(np.finfo(np.float32).max):
        return (scaled,)
    return scaled, Activate(HardTanh(-clip, clip), f"{NAME}: clip")


def _statistics(given: Any) -> _Statistics | None:
    """Return the statistics in what the argument gives; None of a VecNormalize that leaves observations as they are."""
    if given is None:
        return None
    if isinstance(given, (str, bytes, os.PathLike)):
        raise TypeError(
            f"{NAME}: expected the statistics, got a path: VecNormalize.save writes a pickle, which can run any code "
            "and is not opened here; where you trust it, give VecNormalize.load(path, env), or its obs_rms.mean and "
            "obs_rms.var as (mean, var)"
        )
    if isinstance(given, Mapping):
        if not {"mean", "var"} <= set(given) <= {"mean", "var", "clip", "epsilon"}:
            names = ", ".join(map(str, given))
            raise ValueError(f"{NAME}: expected mean, var and perhaps clip and epsilon, got {names:.100}")
        return _Statistics(**given)
    if isinstance(given, (tuple, list)) and len(given) == 2:
        return _Statistics(*given)
    if hasattr(given, "obs_rms"):
        rms = given.obs_rms
        return _Statistics(rms.mean, rms.var, given.clip_obs, given.epsilon) if given.norm_obs else None
    if hasattr(given, "var") and hasattr(given, "mean") and not isinstance(given, np.ndarray):
        return _Statistics(given.mean, given.var)
    raise TypeError(
        f"{NAME}: expected a VecNormalize, its obs_rms, (mean, var), a dictionary of mean, var, clip and epsilon, or a "
        f"Scaling, got {type(given).__name__}"
    )


def _check_length(numbers: NDArray[Any], n_inputs: int) -> None:
    if len(numbers) != n_inputs:
        raise ValueError(f"{NAME}: expected {n_inputs} numbers, one for each input, got {len(numbers)}")
