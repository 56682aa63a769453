"""A policy of reinforcement learning: a network, and what makes an action of its outputs.

`Policy.action` is called in a control loop, so each kind of action is a class with a method of its own, which does what
the network has not done already, and no more: scalings, clips of observations and squashing are in the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..network import Network

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    >>> from fastmlp.convert.policy import Clipped
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
        encode: Callable[[Any], Any] | None,
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
        bounds = (
            "" if self.low is None or self.high is None else f", low={self.low.tolist()}, high={self.high.tolist()}"
        )
        return f"<Policy, {type(self).__name__.lower()} actions of {self.network!r}{bounds:.200}>"


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
