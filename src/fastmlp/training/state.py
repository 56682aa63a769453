"""The class TrainingState: all that is needed to continue a training on the same data, as named vectors and numbers.

Checkpoints and pickles of estimators store it, and users can move a training from one network to another with it. The
optimiser determines the names (`Optimizer.state_vectors`); they are PyTorch's where PyTorch has the optimiser. An entry
that is missing has its initial value, so files leave out initial values, and files of older versions can be read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import arguments, optimizers
from ..architecture import check_precision
from ..formats import descriptions
from ..frozen import fields, frozen
from ..optimizers import Optimizer
from ..regularization import Regularization
from ..regularization import resolve as resolve_regularization
from ..schedules import Plateau, ReduceOnPlateau

if TYPE_CHECKING:
    from numpy.typing import NDArray


@frozen(kw_only=True, eq=False)
class TrainingState:
    """The state of a training: `Network.training_state` returns it, and `Network.restore_training` continues from it.

    Parameters
    ----------
    optimizer : Optimizer
    regularization : Regularization or None
    parameters : ndarray of shape (n_parameters,) or None
        Like `Network.parameters`: the moving average if the regularisation keeps one. None stands for the current
        parameters of the network.
    vectors : mapping of str to ndarray
        The optimiser's state for each parameter, in the order of `Network.parameters`: its moments, velocity or
        steps; with a moving average also `unaveraged_parameters`. A vector that is missing is 0.
    numbers : mapping of str to float
        `learning_rate`, if no schedule determines it; `plateau.<name>`, the state of a ReduceOnPlateau schedule; the
        optimiser's own numbers; `random_key`, the key of the random numbers of dropout and noise.
    n_steps : int
        The number of steps that the optimiser has taken.
    random_state : int
        The state of the network's random number generator, 64 bits.

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
        """Return the vectors without those whose bits are all 0."""
        return {name: v for name, v in self.vectors.items() if v.view(np.uint8).any()}

    def essential_numbers(self) -> dict[str, float]:
        """Return the numbers without those that have their initial value."""
        initial = {"learning_rate": getattr(self.optimizer, "learning_rate", None)}
        initial.update(dict.fromkeys(self.optimizer.state_numbers, 0.0))
        schedule = self.optimizer.schedule
        if isinstance(schedule, ReduceOnPlateau):
            initial.update({f"plateau.{name}": value for name, value in Plateau(schedule).state.items()})
        return {name: v for name, v in self.numbers.items() if name not in initial or initial[name] != v}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the fields by name, so that a later version with more fields can read the pickle."""
        return _from_fields, ({name: getattr(self, name) for name in fields(self)},)


STATE_FIELDS = fields(TrainingState)


def _from_fields(values: dict[str, Any]) -> TrainingState:
    """Rebuild a state from a pickle."""
    return TrainingState(**values)


def state_by_position(
    optimizer: Optimizer,
    regularization: Regularization | None,
    kept: tuple[Sequence[NDArray[Any]], Sequence[float], int],
    random_state: int,
) -> TrainingState:
    """Return the state that a pickle of an older version holds.

    `kept` has the vectors and the numbers of the optimiser by position instead of by name, and the number of steps. The
    parameters of the state are None, as the pickle of the network has them.
    """
    from ..formats import upgrade  # imported here, as only pickles of older versions need it

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
    """Check a state, and return its fields as the core takes them; the core checks the names and the lengths."""
    if not isinstance(state, TrainingState):
        raise TypeError(f"state: expected a TrainingState, got {type(state).__name__}")
    optimizer = check_precision(optimizers.resolve("state.optimizer", state.optimizer), dtype)
    resolved = resolve_regularization(state.regularization)
    if resolved is not None:
        resolved._check_use(optimizer, n_hidden, dtype)
    return {
        "optimizer": optimizer,
        "regularization": resolved,
        "parameters": None if state.parameters is None else _vector("parameters", state.parameters, dtype),
        "vectors": {str(name): _vector(f"vectors[{name!r}]", v, dtype) for name, v in state.vectors.items()},
        "numbers": {str(name): _number(f"numbers[{name!r}]", number) for name, number in state.numbers.items()},
        "n_steps": arguments.integer("state.n_steps", state.n_steps, minimum=0, maximum=2**53 - 1),
        "random_state": arguments.integer("state.random_state", state.random_state, minimum=0, maximum=2**64 - 1),
    }


def _vector(name: str, value: object, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the value as a contiguous vector of finite numbers of that dtype."""
    vector = np.asarray(value)
    if vector.dtype != dtype or vector.ndim != 1 or not np.isfinite(vector).all():
        raise ValueError(
            f"state.{name}: expected a vector of finite numbers of {dtype}, got shape {vector.shape} of {vector.dtype}"
        )
    return np.require(vector, dtype, ["C", "A"])


def _number(name: str, value: object) -> float:
    """Return the value as a float that is not NaN; it may be infinite, like the best loss of a plateau."""
    if not isinstance(value, (int, float, np.number)) or value != value:
        raise ValueError(f"state.{name}: expected a number, got {value!r:.60}")
    return float(value)
