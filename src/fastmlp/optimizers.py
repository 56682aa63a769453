"""Optimisers: one immutable class each, with its update rule and hyper-parameters.

The update of the whole parameter vector P by the gradient g of the batch's mean loss is one compiled
pass (`csrc/kernels/optimizers.inc`); its state (velocity, moments, number of steps) belongs to the network.
The order of an object's fields is the order of the kernel's parameters. The names of the state are those in a
`TrainingState` and in checkpoints, so they stay as they are; they are PyTorch's where it has the optimiser. A learning
rate is a number, a schedule or a function of the step, see `schedules.py`. To add one: a class and its line in
`OPTIMIZERS` here, a kernel and its row there, a branch-free update in `reference/functions.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from . import arguments, schedules
from .frozen import astuple, frozen
from .schedules import LearningRate, Plateau, ReduceOnPlateau, Schedule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@frozen
class Optimizer:
    """What all optimisers have: a name and hyper-parameters."""

    name: ClassVar[str]
    full_batch: ClassVar[bool] = False  # makes sense with all rows in every step alone
    shuffles: ClassVar[bool] = True  # the order of the rows means something to it
    state_vectors: ClassVar[tuple[str, ...]] = ()  # the kernel's states, one number for each parameter, in its order
    state_numbers: ClassVar[dict[str, int]] = {}  # what a step leaves to the next one: its place among the scalars

    def _set(self, field: str, value: object) -> None:
        object.__setattr__(self, field, value)

    def _check_rate(self) -> None:
        self._set("learning_rate", schedules.resolve(self.learning_rate))  # type: ignore[attr-defined]

    def _check_real(
        self, *names: str, above: float | None = None, least: float | None = None, below: float | None = None
    ) -> None:
        for name in names:
            self._set(name, arguments.real(name, getattr(self, name), above=above, least=least, below=below))

    @property
    def schedule(self) -> Schedule | Callable[[int], float] | None:
        """What the learning rate follows; None where it is a number, or there is none."""
        rate = getattr(self, "learning_rate", 0.0)
        return None if isinstance(rate, float) else rate

    @property
    def hyper_parameters(self) -> tuple[float, ...]:
        """The fields as floats, in the kernel's order; 0 for a learning rate that is none yet."""
        return tuple(0.0 if callable(value) else float(value) for value in astuple(self))

    def _scheduled(self) -> tuple[str, tuple[float, ...]] | None:
        """The compiled schedule of the learning rate, its name and hyper-parameters."""
        schedule = self.schedule
        if not isinstance(schedule, Schedule) or isinstance(schedule, ReduceOnPlateau):
            return None
        return schedule.name, schedule.hyper_parameters

    def _new_plateau(self) -> Plateau | None:
        """Where the learning rate's plateau begins."""
        return Plateau(self.schedule) if isinstance(self.schedule, ReduceOnPlateau) else None

    def _rates(self, first: int, n: int) -> NDArray[np.float64] | None:
        """The learning rates of n steps from a function of the step; None where it is none."""
        schedule = self.schedule
        return None if schedule is None or isinstance(schedule, Schedule) else schedules.table(schedule, first, n)


@frozen
class SGD(Optimizer):
    """Gradient descent, P <- P - r v with v <- mu v + g (Nesterov: with g + mu v in place of v).

    Parameters
    ----------
    learning_rate : float, Schedule or function of the step, default 0.01
        r; above 0.
    momentum : float, default 0.0
        mu; in [0, 1).
    nesterov : bool, default False
        Look ahead along the velocity; needs a momentum above 0.

    References
    ----------
    The essay's P - r grad C; momentum and Nesterov as in PyTorch.

    Examples
    --------
    >>> SGD(0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9, nesterov=False)
    """

    name: ClassVar[str] = "sgd"
    state_vectors: ClassVar[tuple[str, ...]] = ("momentum_buffer",)
    learning_rate: LearningRate = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        self._check_rate()
        self._check_real("momentum", least=0.0, below=1.0)
        self._set("nesterov", arguments.flag("nesterov", self.nesterov))
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: expected a momentum above 0 to go with it, got momentum=0.0")


@frozen
class ClassicalMomentum(SGD):
    """SGD whose velocity has the rate in it, v <- mu v + r g and P <- P - v (Nesterov: P - (r g + mu v)).

    With one learning rate these are the steps of `SGD`. Where the rate changes, what was gathered before keeps the rate
    that it came with, while SGD's velocity takes the new one at once.

    Parameters
    ----------
    learning_rate : float, Schedule or function of the step, default 0.01
        r; above 0.
    momentum : float, default 0.9
        mu; in [0, 1).
    nesterov : bool, default False
        Look ahead along the velocity; needs a momentum above 0.

    References
    ----------
    Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013, equations 1 and 2;
    as in scikit-learn and Keras.

    Examples
    --------
    >>> net = fastmlp.Network([1, 1], loss="half_squared_error", dtype="float64")
    >>> net.set_layer(0, [[0.0]], [0.0])
    >>> for _ in range(2):
    ...     _ = net.train_on_batch([[0.0]], [-1.0], ClassicalMomentum(0.5, momentum=0.5))
    >>> net.biases[0]  # -1/2, then a step of 1/2 of that and of half the gradient, 1/2
    array([-1.])
    """

    name: ClassVar[str] = "classical_momentum"
    momentum: float = 0.9


@frozen
class Adam(Optimizer):
    """Adam, P <- P - r m' / (sqrt(v') + epsilon), with m' = m / (1 - beta_1^t) and v' = v / (1 - beta_2^t).

    Parameters
    ----------
    learning_rate : float, Schedule or function of the step, default 0.001
        r; above 0.
    beta_1, beta_2 : float, default 0.9 and 0.999
        Decay of the first and second moment; in [0, 1).
    epsilon : float, default 1e-8
        Added after the bias correction, as in PyTorch; above 0.

    References
    ----------
    Kingma and Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1.

    Examples
    --------
    >>> Adam(0.002).beta_2
    0.999
    """

    name: ClassVar[str] = "adam"
    state_vectors: ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq")
    learning_rate: LearningRate = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        self._check_rate()
        self._check_real("beta_1", "beta_2", least=0.0, below=1.0)
        self._check_real("epsilon", above=0.0)


@frozen
class AdamHat(Adam):
    """Adam with epsilon beside sqrt(v), P <- P - r sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon).

    In the first steps, where v is small, this epsilon is up to 1 / sqrt(1 - beta_2) times `Adam`'s.

    Parameters
    ----------
    learning_rate : float, Schedule or function of the step, default 0.001
        r; above 0.
    beta_1, beta_2 : float, default 0.9 and 0.999
        Decay of the first and second moment; in [0, 1).
    epsilon : float, default 1e-8
        Added before the bias correction; above 0.

    References
    ----------
    Kingma and Ba, "Adam: a method for stochastic optimization", 2015, the epsilon-hat of the end of section 2; as in
    scikit-learn and TensorFlow.

    Examples
    --------
    >>> AdamHat(0.002).beta_2
    0.999
    """

    name: ClassVar[str] = "adam_hat"


@frozen
class AdamW(Adam):
    """Adam with decoupled weight decay: Adam's step, taken from P (1 - r weight_decay).

    Parameters
    ----------
    learning_rate : float, Schedule or function of the step, default 0.001
        r; above 0.
    beta_1, beta_2 : float, default 0.9 and 0.999
        Decay of the first and second moment; in [0, 1).
    epsilon : float, default 1e-8
        Added after the bias correction, as in PyTorch; above 0.
    weight_decay : float, default 0.01
        Of weights and biases; at least 0.

    References
    ----------
    Loshchilov and Hutter, "Decoupled weight decay regularization", 2019, algorithm 2; with r in the
    decay, as in PyTorch.

    Examples
    --------
    >>> net = fastmlp.Network([1, 1], dtype="float64")
    >>> net.set_layer(0, [[2.0]], [0.0])
    >>> net.train_on_batch([[0.0]], [0.0], AdamW(0.1, weight_decay=0.5))  # the gradient is 0
    0.0
    >>> net.weights[0]
    array([[1.9]])
    """

    name: ClassVar[str] = "adamw"
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_real("weight_decay", least=0.0)


@frozen
class NAdam(Adam):
    """Adam with Nesterov's momentum, P <- P - r [(1 - mu) g / (1 - M) + mu' m / (1 - M mu')] / (sqrt(v') + epsilon).

    Here mu = beta_1 (1 - 0.96^(t momentum_decay) / 2) of step t = 1, 2, ..., mu' that of the next step, M the product
    of all mu up to this step, m and v' as in Adam.

    Parameters
    ----------
    learning_rate : float, Schedule or function of the step, default 0.002
        r; above 0.
    beta_1, beta_2 : float, default 0.9 and 0.999
        Decay of the first and second moment; in [0, 1).
    epsilon : float, default 1e-8
        Above 0.
    momentum_decay : float, default 0.004
        At least 0.

    References
    ----------
    Dozat, "Incorporating Nesterov momentum into Adam", 2016; as in PyTorch.

    Examples
    --------
    >>> NAdam().momentum_decay
    0.004
    """

    name: ClassVar[str] = "nadam"
    state_numbers: ClassVar[dict[str, int]] = {"mu_product": 5}
    learning_rate: LearningRate = 0.002
    momentum_decay: float = 0.004

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_real("momentum_decay", least=0.0)


@frozen
class RMSprop(Optimizer):
    """P <- P - r g / (sqrt(v) + epsilon) with v <- alpha v + (1 - alpha) g^2.

    Centered, the square of the gradient's mean a <- alpha a + (1 - alpha) g is taken from v. With a momentum
    b <- mu b + u of that update u = g / (...), P <- P - r b.

    Parameters
    ----------
    learning_rate : float, Schedule or function of the step, default 0.01
        r; above 0.
    alpha : float, default 0.99
        In [0, 1).
    epsilon : float, default 1e-8
        Above 0.
    momentum : float, default 0.0
        mu; in [0, 1).
    centered : bool, default False

    References
    ----------
    Tieleman and Hinton, lecture 6.5 of "Neural networks for machine learning", 2012; centered as in Graves,
    "Generating sequences with recurrent neural networks", 2013; as in PyTorch.

    Examples
    --------
    >>> RMSprop(0.001, momentum=0.9).alpha
    0.99
    """

    name: ClassVar[str] = "rmsprop"
    state_vectors: ClassVar[tuple[str, ...]] = ("square_avg", "momentum_buffer", "grad_avg")
    learning_rate: LearningRate = 0.01
    alpha: float = 0.99
    epsilon: float = 1e-8
    momentum: float = 0.0
    centered: bool = False

    def __post_init__(self) -> None:
        self._check_rate()
        self._check_real("alpha", "momentum", least=0.0, below=1.0)
        self._check_real("epsilon", above=0.0)
        self._set("centered", arguments.flag("centered", self.centered))


@frozen
class AdaGrad(Optimizer):
    """P <- P - r / (1 + (t - 1) learning_rate_decay) g / (sqrt(v) + epsilon) with v <- v + g^2, at step t = 1, 2, ...

    Parameters
    ----------
    learning_rate : float, Schedule or function of the step, default 0.01
        r; above 0.
    learning_rate_decay : float, default 0.0
        At least 0.
    initial_accumulator : float, default 0.0
        What v begins with; at least 0.
    epsilon : float, default 1e-10
        Above 0.

    References
    ----------
    Duchi, Hazan and Singer, "Adaptive subgradient methods", 2011; as in PyTorch.

    Examples
    --------
    >>> AdaGrad(0.1)
    AdaGrad(learning_rate=0.1, learning_rate_decay=0.0, initial_accumulator=0.0, epsilon=1e-10)
    """

    name: ClassVar[str] = "adagrad"
    state_vectors: ClassVar[tuple[str, ...]] = ("sum",)
    learning_rate: LearningRate = 0.01
    learning_rate_decay: float = 0.0
    initial_accumulator: float = 0.0
    epsilon: float = 1e-10

    def __post_init__(self) -> None:
        self._check_rate()
        self._check_real("learning_rate_decay", "initial_accumulator", least=0.0)
        self._check_real("epsilon", above=0.0)


@frozen
class Lion(Optimizer):
    """P <- P (1 - r weight_decay) - r sign(beta_1 m + (1 - beta_1) g), then m <- beta_2 m + (1 - beta_2) g.

    Parameters
    ----------
    learning_rate : float, Schedule or function of the step, default 0.0001
        r; above 0. Every step has this length, so it is 3 to 10 times smaller than Adam's.
    beta_1, beta_2 : float, default 0.9 and 0.99
        In [0, 1).
    weight_decay : float, default 0.0
        Of weights and biases; at least 0.

    References
    ----------
    Chen et al., "Symbolic discovery of optimization algorithms", 2023, algorithm 2.

    Examples
    --------
    >>> net = fastmlp.Network([1, 1], dtype="float64")
    >>> net.set_layer(0, [[1.0]], [0.0])
    >>> loss = net.train_on_batch([[3.0]], [0.0], Lion(0.25))
    >>> net.parameters
    array([ 0.75, -0.25])
    """

    name: ClassVar[str] = "lion"
    state_vectors: ClassVar[tuple[str, ...]] = ("exp_avg",)
    learning_rate: LearningRate = 0.0001
    beta_1: float = 0.9
    beta_2: float = 0.99
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        self._check_rate()
        self._check_real("beta_1", "beta_2", least=0.0, below=1.0)
        self._check_real("weight_decay", least=0.0)


@frozen
class Rprop(Optimizer):
    """P <- P - s sign(g) with a step s for each parameter, which grows while g keeps its sign; full batches alone.

    s starts as the learning rate, is multiplied by eta_plus where g has the sign that it had before and by eta_minus
    where it has the other, and kept within [least_step, largest_step]; where the sign has changed g counts as 0.

    Parameters
    ----------
    learning_rate : float, default 0.01
        The first s; above 0, and no schedule, as the steps find their own lengths.
    eta_minus, eta_plus : float, default 0.5 and 1.2
        In (0, 1), and above 1.
    least_step, largest_step : float, default 1e-6 and 50
        Above 0; the first is not above the second.

    References
    ----------
    Riedmiller and Braun, "A direct adaptive method for faster backpropagation learning: the RPROP algorithm", 1993; as
    in PyTorch.

    Examples
    --------
    >>> net = fastmlp.Network([1, 1], seed=0)
    >>> history = net.fit([[0.0], [1.0]], [1.0, 3.0], epochs=200, optimizer=Rprop())
    >>> net.predict([[2.0]]).round(3)
    array([[5.]], dtype=float32)
    """

    name: ClassVar[str] = "rprop"
    state_vectors: ClassVar[tuple[str, ...]] = ("prev", "step_size")
    full_batch: ClassVar[bool] = True
    learning_rate: float = 0.01
    eta_minus: float = 0.5
    eta_plus: float = 1.2
    least_step: float = 1e-6
    largest_step: float = 50.0

    def __post_init__(self) -> None:
        self._set("learning_rate", schedules.check_rate(self.learning_rate))
        self._check_real("eta_minus", above=0.0, below=1.0)
        self._check_real("eta_plus", above=1.0)
        self._check_real("least_step", "largest_step", above=0.0)
        if self.least_step > self.largest_step:
            raise ValueError(
                f"least_step: expected at most largest_step = {self.largest_step!r}, got {self.least_step!r}"
            )


@frozen
class LBFGS(Optimizer):
    """P <- P + s d with d = -H g: a quasi-Newton method over all rows; an epoch is one iteration.

    H is made of the last steps and the changes of the gradient along them, s is searched for until the strong Wolfe
    conditions hold. `fit` ends where an iteration has converged; one that finds no better point within rounding errors
    has, too. Rows are taken as they stand, so nothing is drawn to shuffle them.

    Parameters
    ----------
    memory : int, default 10
        How many steps are remembered; at least 1. Each takes twice the memory of the parameters.
    gradient_tolerance : float, default 1e-5
        Converged where no element of the gradient is larger; at least 0.
    loss_tolerance : float, default 2.22e-9
        Converged where an iteration lowers the loss by less than this share of max(loss, 1); at least 0.
    max_evaluations : int, default 20
        The most evaluations of the loss in one search; at least 2.

    References
    ----------
    Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989; More and Thuente, "Line
    search algorithms with guaranteed sufficient decrease", 1994. Constants and tolerances as in SciPy's L-BFGS-B.

    Examples
    --------
    >>> net = fastmlp.Network([1, 1], dtype="float64", seed=0)
    >>> history = net.fit([[0.0], [1.0]], [1.0, 3.0], epochs=100, optimizer=LBFGS())
    >>> history.epochs < 10
    True
    >>> net.predict([[2.0]]).round(6)
    array([[5.]])
    """

    name: ClassVar[str] = "lbfgs"
    full_batch: ClassVar[bool] = True
    shuffles: ClassVar[bool] = False
    memory: int = 10
    gradient_tolerance: float = 1e-5
    loss_tolerance: float = 2.22e-9
    max_evaluations: int = 20

    def __post_init__(self) -> None:
        self._set("memory", arguments.integer("memory", self.memory, least=1, most=2**31))
        self._check_real("gradient_tolerance", "loss_tolerance", least=0.0)
        self._set("max_evaluations", arguments.integer("max_evaluations", self.max_evaluations, least=2, most=2**31))


OPTIMIZERS: dict[str, type[Optimizer]] = {
    optimizer.name: optimizer
    for optimizer in (SGD, ClassicalMomentum, Adam, AdamHat, AdamW, NAdam, RMSprop, AdaGrad, Lion, Rprop, LBFGS)
}


def resolve(argument: str, value: object) -> Optimizer:
    """The optimiser that a name or an object stands for."""
    optimizer = arguments.by_name(argument, value, Optimizer, OPTIMIZERS)
    instead = (
        "give the learning_rate of one of them as a schedule or a function of the step, or take steps of your own with "
        "Network.loss_and_grad and Network.parameters"
    )
    arguments.refuse_subclass(argument, optimizer, OPTIMIZERS.values(), "optimisers", instead)
    return optimizer
