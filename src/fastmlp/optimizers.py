"""Optimisers: one immutable class each, with its update rule and hyper-parameters.

One compiled pass (`csrc/kernels/optimizers.inc`) updates the whole parameter vector P by the gradient g of the batch's
mean loss; the network owns the optimiser's state (velocity, moments, number of steps). The fields of a class have the
order of the kernel's parameters. The names of the state vectors and numbers are stored in `TrainingState` and in
checkpoints, so they must not change; they are PyTorch's where PyTorch has the optimiser. A learning rate is a number, a
schedule or a function of the step (see `schedules.py`). To add an optimiser, write a class here and its line in
`OPTIMIZERS`, a kernel and its row in `csrc/kernels/optimizers.inc`, and an update without branches in
`reference/functions.py`.
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
    """Base class of the optimisers, with what they have in common: a name, hyper-parameters and names of the state."""

    name: ClassVar[str]
    full_batch: ClassVar[bool] = False  # whether every step needs all rows
    whole_batch_method: ClassVar[bool] = False  # of csrc/method.h: it needs a smooth loss without a random part
    shuffles: ClassVar[bool] = True  # whether the order of the rows matters, so that `fit` shuffles them
    state_vectors: ClassVar[tuple[str, ...]] = ()  # names of the kernel's state vectors in its order; each is as P
    state_numbers: ClassVar[dict[str, int]] = {}  # names of numbers that steps pass on: their index among the scalars

    def _set(self, field: str, value: object) -> None:
        object.__setattr__(self, field, value)

    def _check_rate(self) -> None:
        self._set("learning_rate", schedules.resolve(self.learning_rate))  # type: ignore[attr-defined]

    def _check_real(
        self, *names: str, above: float | None = None, minimum: float | None = None, below: float | None = None
    ) -> None:
        for name in names:
            self._set(name, arguments.real(name, getattr(self, name), above=above, minimum=minimum, below=below))

    @property
    def schedule(self) -> Schedule | Callable[[int], float] | None:
        """The schedule or function of the step that is the learning rate; None if the rate is a number or missing."""
        rate = getattr(self, "learning_rate", 0.0)
        return None if isinstance(rate, float) else rate

    @property
    def hyper_parameters(self) -> tuple[float, ...]:
        """The fields as floats, in the order of the kernel's parameters; 0 for a learning rate that is not a number."""
        return tuple(0.0 if callable(value) else float(value) for value in astuple(self))

    def _scheduled(self) -> tuple[str, tuple[float, ...]] | None:
        """Name and hyper-parameters of the compiled schedule of the learning rate; None if it has no such schedule."""
        schedule = self.schedule
        if not isinstance(schedule, Schedule) or isinstance(schedule, ReduceOnPlateau):
            return None
        return schedule.name, schedule.hyper_parameters

    def _new_plateau(self) -> Plateau | None:
        """The initial state of a `ReduceOnPlateau` schedule; None if the learning rate has another schedule or none."""
        return Plateau(self.schedule) if isinstance(self.schedule, ReduceOnPlateau) else None

    def _rates(self, first: int, n: int) -> NDArray[np.float64] | None:
        """The learning rates of n steps, if the rate is a function of the step, else None.

        Before the first of these steps, `first` steps were taken.
        """
        schedule = self.schedule
        return None if schedule is None or isinstance(schedule, Schedule) else schedules.table(schedule, first, n)


@frozen
class SGD(Optimizer):
    """Gradient descent: P <- P - r v with v <- mu v + g. With Nesterov's momentum, P <- P - r (g + mu v).

    Parameters
    ----------
    learning_rate : float, Schedule or function of the step, default 0.01
        r; above 0.
    momentum : float, default 0.0
        mu; in [0, 1).
    nesterov : bool, default False
        Whether to use Nesterov's momentum, which needs a momentum above 0.

    References
    ----------
    Without momentum, P - r grad C of "Mathematics of machine learning: How does mathematics enable neural networks to
    'learn' to solve problems with real-world applications?", section 4. Momentum is as in PyTorch.

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
        self._check_real("momentum", minimum=0.0, below=1.0)
        self._set("nesterov", arguments.flag("nesterov", self.nesterov))
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: expected a momentum above 0 to go with nesterov=True, got momentum=0.0")


@frozen
class ClassicalMomentum(SGD):
    """SGD with the learning rate inside the velocity: v <- mu v + r g and P <- P - v (Nesterov: P - (r g + mu v)).

    With a constant learning rate the steps are those of `SGD`. When the rate changes, gradients that are already in the
    velocity keep the rate of their own step, while `SGD` multiplies the whole velocity by the new rate.

    Parameters
    ----------
    learning_rate : float, Schedule or function of the step, default 0.01
        r; above 0.
    momentum : float, default 0.9
        mu; in [0, 1).
    nesterov : bool, default False
        Whether to use Nesterov's momentum, which needs a momentum above 0.

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
    >>> net.biases[0]  # the first step is -1/2, the second -(0.5 * 1/2 + 0.5 * 1/2)
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
        Decay rates of the first and second moment; in [0, 1).
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
        self._check_real("beta_1", "beta_2", minimum=0.0, below=1.0)
        self._check_real("epsilon", above=0.0)


@frozen
class AdamHat(Adam):
    """Adam with epsilon added to sqrt(v): P <- P - r sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon).

    In the first steps, this epsilon has the effect of one in `Adam` that is up to 1 / sqrt(1 - beta_2) times as large.

    Parameters
    ----------
    learning_rate : float, Schedule or function of the step, default 0.001
        r; above 0.
    beta_1, beta_2 : float, default 0.9 and 0.999
        Decay rates of the first and second moment; in [0, 1).
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
    """Adam with decoupled weight decay: P is first multiplied by 1 - r weight_decay, then updated as in `Adam`.

    Parameters
    ----------
    learning_rate : float, Schedule or function of the step, default 0.001
        r; above 0.
    beta_1, beta_2 : float, default 0.9 and 0.999
        Decay rates of the first and second moment; in [0, 1).
    epsilon : float, default 1e-8
        Added after the bias correction, as in PyTorch; above 0.
    weight_decay : float, default 0.01
        It shrinks weights and biases; at least 0.

    References
    ----------
    Loshchilov and Hutter, "Decoupled weight decay regularization", 2019, algorithm 2. As in PyTorch, the decay is
    multiplied by r.

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
        self._check_real("weight_decay", minimum=0.0)


@frozen
class NAdam(Adam):
    """Adam with Nesterov's momentum, P <- P - r [(1 - mu) g / (1 - M) + mu' m / (1 - M mu')] / (sqrt(v') + epsilon).

    At step t = 1, 2, ..., mu is beta_1 (1 - 0.96^(t momentum_decay) / 2), mu' is its value at step t + 1, M is the
    product of the mu of all steps up to t, and m and v' are as in `Adam`.

    Parameters
    ----------
    learning_rate : float, Schedule or function of the step, default 0.002
        r; above 0.
    beta_1, beta_2 : float, default 0.9 and 0.999
        Decay rates of the first and second moment; in [0, 1).
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
        self._check_real("momentum_decay", minimum=0.0)


@frozen
class RMSprop(Optimizer):
    """P <- P - r g / (sqrt(v) + epsilon) with v <- alpha v + (1 - alpha) g^2.

    If centered, v - a^2 takes the place of v under the root, with the mean gradient a <- alpha a + (1 - alpha) g. With
    momentum, P <- P - r b with b <- mu b + u, where u is the quotient above.

    Parameters
    ----------
    learning_rate : float, Schedule or function of the step, default 0.01
        r; above 0.
    alpha : float, default 0.99
        Decay rate of the means; in [0, 1).
    epsilon : float, default 1e-8
        Above 0.
    momentum : float, default 0.0
        mu; in [0, 1).
    centered : bool, default False
        Whether to divide by an estimate of the gradient's standard deviation in place of its root mean square.

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
        self._check_real("alpha", "momentum", minimum=0.0, below=1.0)
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
        Initial value of v; at least 0.
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
        self._check_real("learning_rate_decay", "initial_accumulator", minimum=0.0)
        self._check_real("epsilon", above=0.0)


@frozen
class Lion(Optimizer):
    """P <- P (1 - r weight_decay) - r sign(beta_1 m + (1 - beta_1) g), then m <- beta_2 m + (1 - beta_2) g.

    Parameters
    ----------
    learning_rate : float, Schedule or function of the step, default 0.0001
        r; above 0. Each step changes every parameter by r, so r should be 3 to 10 times smaller than for `Adam`.
    beta_1, beta_2 : float, default 0.9 and 0.99
        Weights of m in the step and in its own update; in [0, 1).
    weight_decay : float, default 0.0
        It shrinks weights and biases; at least 0.

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
        self._check_real("beta_1", "beta_2", minimum=0.0, below=1.0)
        self._check_real("weight_decay", minimum=0.0)


@frozen
class Rprop(Optimizer):
    """P <- P - s sign(g) with a step size s for each parameter, which grows while g keeps its sign; full batches only.

    s is initially the learning rate. At each step it is multiplied by eta_plus if g has the same sign as at the step
    before and by eta_minus if it has the opposite sign, and clipped to [least_step, largest_step]. Where the sign has
    changed, g is replaced by 0.

    Parameters
    ----------
    learning_rate : float, default 0.01
        Initial value of s; above 0. It cannot be a schedule, because the step sizes adapt by themselves.
    eta_minus, eta_plus : float, default 0.5 and 1.2
        Factors of s; eta_minus is in (0, 1) and eta_plus above 1.
    least_step, largest_step : float, default 1e-6 and 50
        Bounds of s; above 0, and least_step <= largest_step.

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

    H approximates the inverse Hessian from the last steps and the changes of the gradient along them. A line search
    finds a step length s that satisfies the strong Wolfe conditions. `fit` ends when an iteration has converged. An
    iteration that finds no better point within rounding errors has converged too. Rows are not shuffled, so the random
    state does not advance.

    Parameters
    ----------
    memory : int, default 10
        Number of last steps that H is built from; at least 1. Each takes twice the memory of the parameters.
    gradient_tolerance : float, default 1e-5
        An iteration has converged if no element of the gradient is larger in magnitude; at least 0.
    loss_tolerance : float, default 2.22e-9
        An iteration has converged if it lowers the loss by less than this share of max(loss, 1); at least 0.
    max_evaluations : int, default 20
        Maximum number of evaluations of the loss in one line search; at least 2.

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
    whole_batch_method: ClassVar[bool] = True
    shuffles: ClassVar[bool] = False
    memory: int = 10
    gradient_tolerance: float = 1e-5
    loss_tolerance: float = 2.22e-9
    max_evaluations: int = 20

    def __post_init__(self) -> None:
        self._set("memory", arguments.integer("memory", self.memory, minimum=1, maximum=2**31))
        self._check_real("gradient_tolerance", "loss_tolerance", minimum=0.0)
        max_evaluations = arguments.integer("max_evaluations", self.max_evaluations, minimum=2, maximum=2**31)
        self._set("max_evaluations", max_evaluations)


OPTIMIZERS: dict[str, type[Optimizer]] = {
    optimizer.name: optimizer
    for optimizer in (
        SGD,
        ClassicalMomentum,
        Adam,
        AdamHat,
        AdamW,
        NAdam,
        RMSprop,
        AdaGrad,
        Lion,
        Rprop,
        LBFGS,
    )
}


def resolve(argument: str, value: object) -> Optimizer:
    """Return the optimiser that a name or an object stands for."""
    optimizer = arguments.by_name(argument, value, Optimizer, OPTIMIZERS)
    advice = (
        "give the learning_rate of one of them as a schedule or a function of the step, or take steps of your own with "
        "Network.loss_and_grad and Network.parameters"
    )
    arguments.refuse_subclass(argument, optimizer, OPTIMIZERS.values(), "optimisers", advice)
    return optimizer
