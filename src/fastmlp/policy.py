"""A policy of reinforcement learning: a network, and what makes an action of its outputs.

`Policy.action` is called in a control loop, so each kind of action is a class with a method of its own, which does what
the network has not done already, and no more: scalings, clips of observations and squashing are in the network.

Files and pickles hold the network and a description, which `_describe` makes and `_described` checks: JSON, because a
file is not trusted. `KINDS` is the table of the classes by the names that it has for them.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any, ClassVar, SupportsIndex

import numpy as np

from .errors import FormatError, format_error
from .formats import atomic, policy_file
from .formats.safetensors import as_dict, is_integers
from .network import Network

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

try:
    from numpy._core.umath import clip as _clip  # type: ignore[attr-defined]  # np.clip without its Python code, which takes 2 us
except ImportError:  # NumPy may move it

    def _clip(x: Any, low: Any, high: Any) -> Any:
        return np.minimum(np.maximum(x, low), high)


class Policy:
    """A network that chooses actions; `fastmlp.from_stable_baselines3` makes it.

    Attributes
    ----------
    network : Network
        Its inputs are observations as the environment gives them (if statistics were given, it normalises them itself).
        Its outputs are actions before they are clipped to the bounds; where the algorithm squashes them (SAC, TD3,
        DDPG, `squash_output`), the actions themselves; for discrete actions, a score for each.
    outputs : str
        What the network's outputs are, in words.
    low, high : ndarray or None
        The bounds of continuous actions.

    Examples
    --------
    >>> from fastmlp.policy import Clipped
    >>> net = fastmlp.Network([2, 1])
    >>> net.set_layer(0, [[1.0, 2.0]], [0.5])
    >>> policy = Clipped(net, None, (1,), low=[-2.0], high=[2.0])
    >>> policy.action([0.5, 0.0])
    array([1.], dtype=float32)
    >>> policy.action([[10.0, 0.0], [-10.0, 0.0]])
    array([[ 2.],
           [-2.]], dtype=float32)
    """

    outputs: ClassVar[str]

    def __init__(
        self,
        network: Network,
        encode: Flatten | OneHot | None,
        action_shape: Sequence[int],
        *,
        low: ArrayLike | None = None,
        high: ArrayLike | None = None,
        dtype: Any = np.float32,
    ) -> None:
        self.network = network
        self.low, self.high = (None if bound is None else np.array(bound, dtype) for bound in (low, high))
        self._encode = encode
        self._shape = tuple(action_shape)
        self._dtype = np.result_type(np.float32, dtype)

    def action(self, observations: ArrayLike) -> Any:
        """Return the best action for each observation, without exploration.

        Parameters
        ----------
        observations : array_like, shape (B, ...) or (...)
            Rows of observations, or one observation. One C-contiguous array (I,) of float32 is the quickest.

        Returns
        -------
        ndarray, shape (B, ...) or (...), or an int64
            What stable-baselines3's ``predict(observations, deterministic=True)[0]`` gives: the actions of a Box as
            float32 within the bounds, the indices of a Discrete or MultiDiscrete as int64, those of a MultiBinary as
            float32.
        """
        raise NotImplementedError

    def _outputs(self, observations: ArrayLike) -> Any:
        """Return the network's outputs; those of an observation that is not one vector are (1, O) or (O,)."""
        return self.network.predict(observations if self._encode is None else self._encode(observations))

    def _shaped(self, actions: NDArray[Any]) -> NDArray[Any]:
        """Return actions (B, k) or (k,) in the shape of the action space."""
        return actions if len(self._shape) == 1 else actions.reshape(actions.shape[:-1] + self._shape)

    def __repr__(self) -> str:
        bounds = "".join(
            f", {name}={_shown(bound)}" for name, bound in (("low", self.low), ("high", self.high)) if bound is not None
        )
        return f"<Policy, {type(self).__name__.lower()} actions of {self.network!r}{bounds}>"

    # -- files and pickles ---------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the policy to one file: the network, the bounds of actions, and how observations are read.

        A crash leaves the old file or the new one. The network alone is saved by ``policy.network.save(path)``.

        Parameters
        ----------
        path : path-like
            An existing file is replaced.

        Raises
        ------
        OSError
            As `Network.save`.

        Examples
        --------
        >>> from fastmlp.policy import Clipped
        >>> policy = Clipped(fastmlp.Network([2, 1], seed=0), None, (1,), low=[-2.0], high=[2.0])
        >>> policy.save("policy.zip")
        >>> fastmlp.Policy.load("policy.zip").low
        array([-2.], dtype=float32)
        """
        atomic.write(path, policy_file.to_bytes(self.network._published_contents(), self._describe()))

    @staticmethod
    def load(path: str | os.PathLike[str], *, engine: str = "auto", n_threads: SupportsIndex | str = "auto") -> Policy:
        """Return the policy that `save` wrote.

        Parameters
        ----------
        path : path-like
        engine, n_threads
            As for `Network`.

        Raises
        ------
        FormatError
            If the file is truncated, altered, or not that of a policy; no code from it is run.
        OSError
            If it cannot be read.
        """
        contents, description = policy_file.read(path)
        network = Network._from_architecture(
            contents.architecture,
            contents.parameters,
            random_state=contents.random_state,
            engine=engine,
            n_threads=n_threads,
        )
        try:
            return _described(description, network)
        except FormatError as error:
            raise FormatError(f"{atomic.name_of(path)}: {error}") from None

    def _describe(self) -> dict[str, Any]:
        """Return all but the network as JSON; a bound that is infinite is None."""
        description: dict[str, Any] = {
            "kind": next(name for name, each in KINDS.items() if each is type(self)),
            "action_shape": [int(length) for length in self._shape],
        }
        if self.low is not None and self.high is not None:
            description["dtype"] = self.low.dtype.name
            for name, bound in (("low", self.low), ("high", self.high)):
                flat = bound.astype(np.float64).ravel()
                description[name] = [number if math.isfinite(number) else None for number in flat.tolist()]
        if isinstance(self, MultiDiscrete):
            description["n_values"] = [block.stop - block.start for block in self._blocks]
        if self._encode is not None:
            description["observations"] = self._encode.describe()
        return description

    def __reduce__(self) -> tuple[Any, ...]:
        return _described, (self._describe(), self.network)


class Clipped(Policy):
    """Actions are the network's outputs, clipped to the bounds: PPO and A2C."""

    outputs = "actions before they are clipped to low and high"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        assert self.low is not None
        assert self.high is not None
        self._low, self._high = self.low.ravel(), self.high.ravel()
        self._predict = self.network.predict
        self._is_plain = self._encode is None and len(self._shape) == 1

    def action(self, observations: ArrayLike) -> Any:
        """Return the best action for each observation, see `Policy.action`."""
        if self._is_plain:
            return _clip(self._predict(observations), self._low, self._high)
        return self._shaped(_clip(self._outputs(observations), self._low, self._high))


class Squashed(Policy):
    """Actions are the network's outputs: a tanh, scaled to the bounds."""

    outputs = "actions"

    def action(self, observations: ArrayLike) -> Any:
        """Return the best action for each observation, see `Policy.action`."""
        actions = self._outputs(observations)
        if actions.dtype != self._dtype:
            actions = actions.astype(self._dtype)
        return self._shaped(actions)


class Discrete(Policy):
    """The action is the index of the largest output, the lowest index on a tie."""

    outputs = "a score for each action, of which the largest is taken"

    def action(self, observations: ArrayLike) -> Any:
        """Return the best action for each observation, see `Policy.action`."""
        if self._encode is not None:
            observations = self._encode(observations)
        if self.network.sizes[-1] > 1:
            return self.network.classify(observations)
        return np.zeros(self.network.predict(observations).shape[:-1], np.int64)[()]


class MultiDiscrete(Policy):
    """The outputs are blocks, in each of which the index of the largest is a part of the action."""

    outputs = "scores in a block for each part of the action, of which the largest is taken"

    def __init__(self, *args: Any, n_values: Sequence[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        ends = np.cumsum(n_values).tolist()
        self._blocks = [slice(end - n, end) for n, end in zip(n_values, ends, strict=True)]

    def action(self, observations: ArrayLike) -> Any:
        """Return the best action for each observation, see `Policy.action`."""
        scores = self._outputs(observations)
        actions = np.empty((*scores.shape[:-1], len(self._blocks)), np.int64)
        for i, block in enumerate(self._blocks):
            actions[..., i] = scores[..., block].argmax(axis=-1)
        return actions


class MultiBinary(Policy):
    """Each output is the logit of a part of the action, which is 1 where the probability is above one half."""

    outputs = "a logit for each part of the action, which is 1 where the logit is above 0"

    def action(self, observations: ArrayLike) -> Any:
        """Return the best action for each observation, see `Policy.action`."""
        return self._shaped((self._outputs(observations) > 0).astype(np.float32))


# -------------------------------------------------------------------------- observations that are not one vector


class Flatten:
    """Makes vectors of observations of several dimensions, or of one number."""

    def __init__(self, shape: Sequence[int]) -> None:
        self._shape = tuple(shape)

    def describe(self) -> dict[str, Any]:
        """Return what a file says of it."""
        return {"kind": "flatten", "shape": [int(length) for length in self._shape]}

    def __call__(self, observations: ArrayLike) -> Any:
        """Return vectors (I,) or (B, I)."""
        rows = np.asarray(observations)
        n = len(self._shape)
        if rows.ndim not in (n, n + 1) or rows.shape[rows.ndim - n :] != self._shape:
            raise ValueError(
                f"observations: expected shape {self._shape} or (B, *{self._shape}), got shape {rows.shape}"
            )
        return rows.reshape(*rows.shape[: rows.ndim - n], -1)


class OneHot:
    """Makes vectors of discrete observations: for each part as many columns as it has values, a 1 in one of them."""

    def __init__(self, n_values: Sequence[int], *, is_single: bool) -> None:
        self._n_values = np.array(n_values)
        self._offsets = np.cumsum(self._n_values) - self._n_values
        self._is_single = is_single

    def describe(self) -> dict[str, Any]:
        """Return what a file says of it."""
        return {"kind": "one_hot", "n_values": self._n_values.tolist(), "is_single": self._is_single}

    def __call__(self, observations: ArrayLike) -> Any:
        """Return vectors (I,) or (B, I)."""
        parts = np.asarray(observations)
        if parts.dtype.kind not in "iu":
            raise TypeError(f"observations: expected integers, got dtype {parts.dtype}")
        parts = parts[..., np.newaxis] if self._is_single else parts
        if parts.ndim not in (1, 2) or parts.shape[-1] != len(self._n_values):
            raise ValueError(f"observations: expected {len(self._n_values)} numbers each, got shape {parts.shape}")
        if not ((parts >= 0) & (parts < self._n_values)).all():
            raise ValueError(
                f"observations: expected numbers from 0 to below {self._n_values.tolist()!s:.60}, got others"
            )
        rows = np.zeros((*parts.shape[:-1], int(self._n_values.sum())), np.float32)
        np.put_along_axis(rows, parts + self._offsets, 1.0, axis=-1)
        return rows


# ------------------------------------------------------------------------------------------------------ descriptions


KINDS: dict[str, type[Policy]] = {
    "clipped": Clipped,
    "squashed": Squashed,
    "discrete": Discrete,
    "multi_discrete": MultiDiscrete,
    "multi_binary": MultiBinary,
}
MAX_DIMENSIONS = 32
MAX_SHOWN = 12  # bounds of a policy that its repr has


def _described(description: Mapping[str, Any], network: Network) -> Policy:
    """Return the policy of a description and its network, after a check that they fit each other."""
    kind = description.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise format_error("policy: kind", f"one of {', '.join(KINDS)}", kind)
    bounds = ("dtype", "low", "high") if kind in ("clipped", "squashed") else ()
    blocks = ("n_values",) if kind == "multi_discrete" else ()
    fields = {"kind", "action_shape", *bounds, *blocks}
    if not fields <= set(description) <= fields | {"observations"}:
        raise format_error("policy", f"the fields {', '.join(sorted(fields))}", sorted(description))
    shape = _lengths(description["action_shape"], "action_shape")
    n_inputs, n_outputs = network.sizes[0], network.sizes[-1]
    kwargs: dict[str, Any] = {name: _lengths(description[name], name) for name in blocks}
    if kind == "multi_discrete":
        is_fit = shape == (len(kwargs["n_values"]),) and sum(kwargs["n_values"]) == n_outputs
    else:
        is_fit = shape == () if kind == "discrete" else math.prod(shape) == n_outputs
    if not is_fit:
        raise format_error("policy: action_shape", f"the shape of actions of {n_outputs} outputs", list(shape))
    if bounds:
        kwargs.update(_bounds(description, shape))
    given = description.get("observations")
    encode = None if given is None else _encoder(as_dict("policy: observations", given), n_inputs)
    return KINDS[kind](network, encode, shape, **kwargs)


def _lengths(value: object, name: str) -> tuple[int, ...]:
    if not is_integers(value) or not all(0 < each < 2**31 for each in value) or len(value) > MAX_DIMENSIONS**2:  # type: ignore[attr-defined, arg-type]
        raise format_error(f"policy: {name}", "a list of numbers above 0", value)
    return tuple(value)  # type: ignore[arg-type]


def _bounds(description: Mapping[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the dtype and the bounds of actions, of which None stands for no bound."""
    dtype = description["dtype"]
    if dtype not in ("float32", "float64") or len(shape) > MAX_DIMENSIONS:
        raise format_error("policy: dtype", "float32 or float64", dtype)
    found: dict[str, Any] = {"dtype": np.dtype(dtype)}
    for name, none in (("low", -math.inf), ("high", math.inf)):
        numbers = description[name]
        is_list = isinstance(numbers, list) and all(n is None or type(n) in (int, float) for n in numbers)
        if not is_list or len(numbers) != math.prod(shape):
            raise format_error(f"policy: {name}", f"{math.prod(shape)} numbers", numbers)
        exact = np.array([none if n is None else n for n in numbers], np.float64)
        with np.errstate(over="ignore"):
            found[name] = exact.astype(dtype).reshape(shape)
        if not (found[name].ravel() == exact).all():
            raise format_error(f"policy: {name}", f"numbers of {dtype}", numbers)
    if not (found["low"] < found["high"]).all():
        raise format_error("policy: low", "numbers below those of high", description["low"])
    return found


def _encoder(given: dict[str, Any], n_inputs: int) -> Flatten | OneHot:
    """Return what makes vectors of observations, which must have as many columns as the network has inputs."""
    kind = given.pop("kind", None)
    if kind == "flatten" and list(given) == ["shape"]:
        shape = _lengths(given["shape"], "observations: shape")
        if math.prod(shape) == n_inputs and len(shape) <= MAX_DIMENSIONS:
            return Flatten(shape)
    elif kind == "one_hot" and given.keys() == {"n_values", "is_single"} and type(given["is_single"]) is bool:
        n_values = _lengths(given["n_values"], "observations: n_values")
        if sum(n_values) == n_inputs and (len(n_values) == 1 or not given["is_single"]):
            return OneHot(n_values, is_single=given["is_single"])
    raise format_error("policy: observations", f"what makes {n_inputs} columns of them", {"kind": kind, **given})


def _shown(bound: NDArray[Any]) -> str:
    """Return bounds as a user can give them, or what has them, if they are many."""
    if bound.size and (bound == bound.flat[0]).all():
        return repr(bound.flat[0].item())
    return str(bound.tolist()) if bound.size <= MAX_SHOWN else f"{bound.size:,} numbers"
