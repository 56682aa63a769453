"""Spaces of gymnasium as a file of stable-baselines3 describes them: kinds, shapes, and the bounds of actions.

A description is JSON: `:type:` is the class, `_shape` a list, and numbers such as `n`, `nvec`, `low` and `high` are
texts as NumPy prints them, so that bounds are rounded. stable_baselines3.py is the only caller.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from ..policy import Flatten, OneHot
from .chain import refuse

MAX_SHOWN = 64  # bounds in a message


def kind(space: Mapping[str, Any], what: str) -> str:
    """Return the name of a space's class: Box, Discrete, MultiDiscrete, MultiBinary."""
    found = re.fullmatch(r"<class 'gym(?:nasium)?\.spaces\.[a-z_]{1,40}\.([A-Za-z]{1,40})'>", str(space.get(":type:")))
    if found is None or found[1] not in ("Box", "Discrete", "MultiDiscrete", "MultiBinary"):
        refuse(what, f"the space {space.get(':type:')!r:.80}", "Box, Discrete, MultiDiscrete and MultiBinary are known")
    return found[1]


def shape(space: Mapping[str, Any], what: str) -> tuple[int, ...]:
    """Return the shape of a space."""
    found = space.get("_shape")
    if not isinstance(found, list) or not all(type(n) is int and 0 < n < 2**31 for n in found) or len(found) > 32:
        raise FormatError(f"{what}: _shape: expected a list of lengths, got {found!r:.60}")
    return tuple(found)


def counts(space: Mapping[str, Any], key: str, what: str) -> tuple[int, ...]:
    """Return integers that are written as text, such as "3" or "[3 4]"."""
    text = str(space.get(key))
    numbers = tuple(int(digits) for digits in re.findall("[0-9]{1,9}", text))
    if not re.fullmatch(r"\[?[0-9\s]+\]?", text) or not all(numbers):
        raise FormatError(f"{what}: {key}: expected numbers of values, got {text!r:.60}")
    return numbers


def observations(space: Mapping[str, Any], n_inputs: int) -> Flatten | OneHot | None:
    """Return what makes the network's inputs of an observation; None if it is a vector already."""
    what = "observation_space"
    found = kind(space, what)
    if found in ("Discrete", "MultiDiscrete"):
        n_values = counts(space, "n" if found == "Discrete" else "nvec", what)
        if sum(n_values) != n_inputs:
            refuse(what, f"{sum(n_values)} values for {n_inputs} inputs")
        return OneHot(n_values, is_single=found == "Discrete")
    lengths = shape(space, what)
    if len(lengths) == 3 and space.get("dtype") == "uint8":
        refuse(what, "images, which the policy divides by 255 or not", "only vectors of numbers are understood")
    if math.prod(lengths) != n_inputs:
        refuse(what, f"observations of shape {lengths} for {n_inputs} inputs")
    return None if len(lengths) == 1 else Flatten(lengths)


def bound(name: str, given: Any, space: Mapping[str, Any], shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Return a bound of the actions in the space's shape and dtype, which must not contradict what the file prints."""
    printed = space.get(name)
    if given is None:
        shown = f", rounded as NumPy prints it: {_shown(printed)}" if isinstance(printed, str) else ""
        raise FormatError(
            f"{name}: expected the bounds of the environment's actions as low= and high= (env.action_space.{name}), "
            f"which the file has only inside a pickle{shown}"
        )
    try:
        made = np.broadcast_to(np.asarray(given, np.float64), shape).astype(dtype)
    except (ValueError, TypeError):
        raise ValueError(f"{name}: expected a number, or numbers of shape {shape}, got {given!r:.60}") from None
    if np.isnan(made).any():
        raise ValueError(f"{name}: expected numbers, got NaN")
    rounded = _printed(printed, made.size)
    if rounded is not None:
        number, error = rounded
        flat = made.astype(np.float64).ravel()
        with np.errstate(invalid="ignore"):
            fits = (flat == number) | (np.abs(flat - number) <= error + 1e-6 * np.abs(number))
        if not fits.all():
            where = tuple(np.argwhere(~fits.reshape(shape))[0].tolist())
            raise ValueError(
                f"{name}: expected what the file prints, {_shown(printed)}, got {made[where].item()!r} at {list(where)}"
            )
    return made


def _shown(printed: object) -> str:
    """Return bounds that NumPy has printed so that they can be copied: one number, if all are equal, or a list."""
    words = str(printed).replace("[", " ").replace("]", " ").split()
    if "..." in words or len(words) > MAX_SHOWN:
        return "more numbers than a message can have"
    return words[0].rstrip(".") if len(set(words)) == 1 else f"[{', '.join(words)}]"


def _printed(text: object, size: int) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Return the numbers that NumPy has printed, and by how much each may be rounded; None if some are left out."""
    if not isinstance(text, str) or "..." in text:
        return None
    words = re.findall(r"[-+]?(?:inf|[0-9]{1,40}\.?[0-9]{0,40}(?:e[-+]?[0-9]{1,3})?)", text)
    if len(words) != size:
        return None
    errors = []
    for word in words:
        digits, _, exponent = word.partition("e")
        errors.append(float(f"0.5e{int(exponent or 0) - len(digits.partition('.')[2])}"))
    return np.array([float(word) for word in words]), np.array(errors)
