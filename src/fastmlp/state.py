"""`TrainingState`: all that a training is made of beside its data, as named vectors and numbers.

A checkpoint, the pickle of an estimator and whoever moves a training from one network to another hold this one object.
Names come from the optimiser (`Optimizer.state_vectors`), PyTorch's where it has the optimiser. What a state does not
have is as it is when an optimiser begins, so a file need not hold it, and an older file does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import arguments, construction, descriptions, optimizers
from .frozen import fields, frozen
from .optimizers import Optimizer
from .regularization import Regularization
from .regularization import resolve as resolve_regularization
from .schedules import Plateau, ReduceOnPlateau

if TYPE_CHECKING:
    from numpy.typing import NDArray


@frozen(kw_only=True, eq=False)
class TrainingState:
    """Where a training of a network stands; from `Network.training_state`, for `Network.restore_training`.

    Parameters
    ----------
    optimizer : Optimizer
    regularization : Regularization or None
    parameters : ndarray of shape (n_parameters,) or None
        As `Network.parameters`: the moving average where the regularisation keeps one. None stands for those that the
        network has.
    vectors : mapping of str to ndarray
        What the optimiser keeps for each parameter, in the order of `Network.parameters`: its moments, velocity or
        steps, and with an average `unaveraged_parameters`. A vector that is not there is 0.
    numbers : mapping of str to float
        `learning_rate`, where it is a number; `plateau.<name>`, where it follows from losses; what the optimiser itself
        keeps; `random_key` of dropout and noise.
    n_steps : int
        How many the optimiser has taken.
    random_state : int
        64 bits, of the network's generator.

    Examples
    --------
    >>> net, other = (fastmlp.Network([1, 1], seed=seed) for seed in (0, 1))
    >>> for _ in range(2):
    ...     _ = net.train_on_batch([[0.5]], [1.0], fastmlp.Adam(0.25))
    >>> state = net.training_state()
    >>> sorted(state.vectors), state.numbers, state.n_steps
    (['exp_avg', 'exp_avg_sq'], {'learning_rate': 0.25}, 2)
    >>> other.restore_training(state)
    >>> net.train_on_batch([[0.5]], [1.0]) == other.train_on_batch([[0.5]], [1.0])
    True
    >>> np.array_equal(net.parameters, other.parameters)
    True
    """

    optimizer: Optimizer
    regularization: Regularization | None
    parameters: NDArray[Any] | None
    vectors: Mapping[str, NDArray[Any]]
    numbers: Mapping[str, float]
    n_steps: int
    random_state: int

    def essential_vectors(self) -> dict[str, NDArray[Any]]:
        """The vectors but for those that are 0, in every bit."""
        return {name: v for name, v in self.vectors.items() if v.view(np.uint8).any()}

    def essential_numbers(self) -> dict[str, float]:
        """The numbers but for those that an optimiser begins with."""
        by_default = {"learning_rate": getattr(self.optimizer, "learning_rate", None)}
        by_default.update(dict.fromkeys(self.optimizer.state_numbers, 0.0))
        schedule = self.optimizer.schedule
        if isinstance(schedule, ReduceOnPlateau):
            by_default.update({f"plateau.{name}": value for name, value in Plateau(schedule).state.items()})
        return {name: v for name, v in self.numbers.items() if name not in by_default or by_default[name] != v}

    def __reduce__(self) -> tuple[Any, ...]:
        """Its fields by name; a field that comes later has its default in an older pickle."""
        return _from_fields, ({name: getattr(self, name) for name in fields(self)},)


STATE_FIELDS = fields(TrainingState)


def _from_fields(values: dict[str, Any]) -> TrainingState:
    """What pickle calls."""
    return TrainingState(**values)


def state_by_position(
    optimizer: Optimizer,
    regularization: Regularization | None,
    kept: tuple[Sequence[NDArray[Any]], Sequence[float], int],
    random_state: int,
) -> TrainingState:
    """The state of which an older pickle has kept vectors and numbers, by position, and the number of steps; its
    parameters are the network's.
    """
    from . import upgrade  # which most programs do without

    vectors, numbers, n_steps = kept
    described = descriptions.describe_optimizer(optimizer), descriptions.describe_regularization(regularization)
    named = upgrade.state_by_name(*described, vectors, numbers)
    return TrainingState(
        optimizer=optimizer,
        regularization=regularization,
        parameters=None,
        vectors=named[0],
        numbers=named[1],
        n_steps=n_steps,
        random_state=random_state,
    )


def check_state(state: object, dtype: np.dtype[Any], n_hidden: int) -> dict[str, Any]:
    """The fields of a state as the core of a network takes them, which itself knows names and lengths."""
    if not isinstance(state, TrainingState):
        raise TypeError(f"state: expected a TrainingState, got {type(state).__name__}")
    optimizer = construction.check_precision(optimizers.resolve("state.optimizer", state.optimizer), dtype)
    terms = resolve_regularization(state.regularization)
    if terms is not None:
        terms._check_use(optimizer, n_hidden, dtype)
    return {
        "optimizer": optimizer,
        "regularization": terms,
        "parameters": None if state.parameters is None else _vector("parameters", state.parameters, dtype),
        "vectors": {str(name): _vector(f"vectors[{name!r}]", v, dtype) for name, v in state.vectors.items()},
        "numbers": {str(name): _number(f"numbers[{name!r}]", number) for name, number in state.numbers.items()},
        "n_steps": arguments.integer("state.n_steps", state.n_steps, least=0, most=2**53 - 1),
        "random_state": arguments.integer("state.random_state", state.random_state, least=0, most=2**64 - 1),
    }


def _vector(name: str, value: object, dtype: np.dtype[Any]) -> NDArray[Any]:
    """A vector of finite numbers of that dtype."""
    vector = np.asarray(value)
    if vector.dtype != dtype or vector.ndim != 1 or not np.isfinite(vector).all():
        raise ValueError(
            f"state.{name}: expected a vector of finite numbers of {dtype}, got shape {vector.shape} of {vector.dtype}"
        )
    return np.require(vector, dtype, ["C", "A"])


def _number(name: str, value: object) -> float:
    """A number that is not NaN; the best loss of a plateau may be infinite."""
    if not isinstance(value, (int, float, np.number)) or value != value:
        raise ValueError(f"state.{name}: expected a number, got {value!r:.60}")
    return float(value)
