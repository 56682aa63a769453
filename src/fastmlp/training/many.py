"""`fastmlp.fit_many`: trains many networks on one X and y at the same time, each with the bits of its own `fit`.

Arguments are divided by per_network.py, rows are made by shared_rows.py, threads come from crew.py; a network is then
trained by the loop of `fit`, on one thread, whose passes may use others that have nothing to do. What a training needs
beside the network itself (the order of its rows, copies of targets, workspace) exists during its turn only.

All arguments and the shapes of all data are checked before any training begins. From then on an error belongs to the
network in whose training it was raised, and the others go on.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

from .. import _core, arguments, engines
from ..callbacks import Checkpoint, Monitor
from ..formats import atomic
from ..frozen import fields
from ..history import History
from ..network import Network
from . import per_network
from .crew import Crew
from .fit import Token, check_optimizer, loop_on_rows
from .loop import reported_names
from .plan import DEFAULT_BATCH_SIZE, FitPlan, is_auto
from .progress import Display, Overview
from .shared_rows import SharedRows
from .sources import rows_of_a_step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

ERRORS = ("raise", "record")


class Plans:
    """Makes the plans of networks: one for all networks that have the very same values, so that these are checked once.

    The values must outlive the object, as they are told apart by their identity.
    """

    FIELDS = tuple(name for name in fields(FitPlan) if name != "verbose")

    def __init__(self) -> None:
        self._made: dict[tuple[int, ...], FitPlan] = {}

    def plan(self, values: Mapping[str, Any]) -> FitPlan:
        """Return the plan that has those of the values that belong to it; an error if one is not valid."""
        own = {name: values[name] for name in self.FIELDS}
        key = tuple(map(id, own.values()))
        plan = self._made.get(key)
        if plan is None:
            plan = self._made[key] = FitPlan(verbose=0, **own)
        return plan


class Training:
    """The training of one network among many, which is a turn of a crew.

    Parameters
    ----------
    place : int
        The index of the network.
    network : Network
    values : mapping
        The arguments of `fit` for this network, by name.
    plans : Plans
        Makes its plan.
    shared : SharedRows
    indices : ndarray of uint32 or None
        The rows to train on; None stands for all.
    """

    def __init__(
        self,
        place: int,
        network: Network,
        values: Mapping[str, Any],
        plans: Plans,
        shared: SharedRows,
        indices: NDArray[np.uint32] | None,
    ) -> None:
        self.place, self.network, self.shared, self.indices = place, network, shared, indices
        self.optimizer, self.validation_data = values["optimizer"], values["validation_data"]
        self.overview: Overview | None = None
        self.history = History()
        self.n_rows = 0
        self.reservation = Token()
        try:
            self.plan = plans.plan(values)
            self._check()
        except (ValueError, TypeError, RuntimeError) as error:
            raise type(error)(f"networks[{place}]: {error}") from None
        except OSError as error:  # of a Checkpoint or of `resume`
            error.add_note(f"of networks[{place}], found before any training began")
            raise

    def _check(self) -> None:
        """Check all that can be checked without a change of the network; count the rows."""
        network = self.network
        network._refuse_while_fitting("fit_many")
        network._refuse_untrainable("fit_many")
        rows, validation, _ = self.shared.checked(network, self.plan, self.validation_data, self.indices)
        _, used = check_optimizer(network, self.optimizer, validation, self.plan)
        self.step_threads = network._division(rows_of_a_step(used, self.plan.batch_size, rows.n_rows))[0]
        for callback in self.plan.callbacks:
            if isinstance(callback, Monitor):
                callback.check_monitor(reported_names(network, validation is not None, self.plan))
            elif isinstance(callback, Checkpoint):
                atomic.check_place(callback.path)
        if self.plan.resume is not None and not is_auto(self.plan.resume):
            os.stat(self.plan.resume)
        self.n_rows = rows.n_rows

    def reserve(self) -> None:
        """Mark the network as being fitted until its turn comes, so that nothing else changes it."""
        self.network._begin_fit(self.reservation)

    def release(self) -> None:
        """Remove that mark."""
        self.network._end_fit(self.reservation)

    @property
    def cost(self) -> float:
        """The work of the training, in multiply-adds of a forward pass, if it runs all epochs."""
        return float(self.plan.epochs) * self.n_rows * self.network.n_parameters

    def __call__(self, crew: Crew) -> None:
        """Train the network; record an exception, unless it is one that stops the crew."""
        try:
            self._train(crew)
        except Exception as error:
            self._end_by(error)
        except BaseException as error:  # of the crew's flag, or raised by a callback
            self._end_by(error)
            if not crew.flag.is_set:
                crew.stop(error)
        if self.overview is not None:
            logs = {name: values[-1] for name, values in self.history.items() if values}
            self.overview.end(self.place, logs, self.history.epochs * self.n_rows)

    def _train(self, crew: Crew) -> None:
        network, plan, token = self.network, self.plan, Token()
        try:
            self.release()
            network._begin_fit(token)
            rows, validation, schema = self.shared.checked(network, plan, self.validation_data, self.indices)
            network._fit_columns(schema, rows)
            loop = loop_on_rows(network, rows, validation, self.optimizer, plan, TurnDisplay(self, crew))
            self.history = loop.history
            loop.train()
        finally:
            network._end_fit(token)
            network._release_memory()

    def _end_by(self, error: BaseException) -> None:
        """Keep the exception in the history, which also gets the reason if the training has not come to its loop."""
        if self.history.stopped is None:
            self.history._end_by(error)
        self.history._error = error


class TurnDisplay(Display):
    """The display of one training: it passes the progress on, and adjusts the number of threads as others end."""

    def __init__(self, training: Training, crew: Crew) -> None:
        super().__init__(training.plan.epochs)
        self.training, self.crew = training, crew
        overview = training.overview
        self.moves = min(crew.n_threads, training.step_threads) > 1 or (overview is not None and overview.moves)
        self.n_changes = -1  # of the crew, when the number of threads was adjusted last

    def _show(self, epoch: int, logs: Mapping[str, float], rows_per_second: float) -> None:
        self._progress(epoch + 1)

    def _move(self, epoch: int, share: float | None, rows: int, logs: Mapping[str, float]) -> None:
        self._progress(epoch + (share or 0.0))

    def _progress(self, epochs: float) -> None:
        if self.training.overview is not None:
            self.training.overview.move(self.training.place, epochs / self.epochs)
        if self.n_changes != self.crew.n_changes:
            self.n_changes = self.crew.n_changes
            self.crew.share(self.training)


def fit_many(
    networks: Sequence[Network],
    X: Any,
    y: ArrayLike,
    *,
    rows: Sequence[ArrayLike | None] | NDArray[Any] | None = None,
    n_threads: SupportsIndex | str = "auto",
    errors: str = "raise",
    epochs: Any = 10,
    batch_size: Any = DEFAULT_BATCH_SIZE,
    optimizer: Any = "adam",
    shuffle: Any = True,
    validation_data: Any = None,
    validation_split: Any = None,
    metrics: Any = (),
    callbacks: Any = (),
    max_time: Any = None,
    resume: Any = None,
    verbose: SupportsIndex = 0,
    sample_weight: Any = None,
    class_weight: Any = None,
    regularization: Any = None,
) -> list[History]:
    """Train many networks on rows of one X and y at the same time.

    Each network ends with the very bits of its own `Network.fit` with the same arguments, whatever the number of
    threads. The networks may differ in everything: layers, losses, dtypes, optimisers, epochs.

    Parameters
    ----------
    networks : sequence of Network
        Each occurs once.
    X : array_like, frame or sparse matrix, shape (B, I)
        Inputs as for `Network.fit`, for all networks; no batches. X is converted at most once for all networks that
        read it in the same form, and never copied for a single one.
    y : array_like, shape (B, O), or (B,)
        Targets as for `Network.fit`, for all networks.
    rows : sequence of K arrays, or an array (K, n), optional
        For each of the K networks the rows that it trains on: indices into X, in any order and also repeated, or a mask
        with a Boolean for each row of X; None is all rows. Network k is trained as by
        ``fit(X[rows[k]], y[rows[k]])``, with ``sample_weight[rows[k]]`` if there are weights. Names of columns and
        classes come from all rows, scalings and ``"balanced"`` class weights from those of the network; targets and
        weights are checked in all rows, those that no network uses too.
    n_threads : int or "auto", default "auto"
        The number of threads in all. "auto" is as many as the CPU affinity and the CPU quota of this process allow.
        Each network is trained on one of them, the longest training first; threads that have nothing more to do help
        with the networks that are left, up to `n_threads` of each network. (With the engine `blas`, BLAS has threads
        of its own.)
    errors : {"raise", "record"}, default "raise"
        What becomes of an exception in the training of a network, for example because its loss becomes infinite. The
        other networks are trained in any case. "raise" raises the first one, by the order of the networks, at the end.
        "record" only keeps each exception in `History.error`.
    epochs, batch_size, optimizer, shuffle, validation_split, max_time, resume, class_weight, regularization : optional
        As for `Network.fit`: one value for all networks, or a list or tuple with one for each. `max_time` is the time
        of each training by itself.
    validation_data : tuple or list of tuples, optional
        A tuple ``(X, y)`` or ``(X, y, sample_weight)`` for all networks, or a list with a tuple or None for each.
    metrics : sequence, or sequence of sequences, default ()
        The metrics for all networks, or a list with a list for each.
    callbacks : sequence, or sequence of sequences, default ()
        A list with a list of callbacks for each network, or callbacks for all. Of these, functions are called for every
        network, also from several threads at once, and each network gets a copy of each `EarlyStopping`; other objects
        have the state of a single training, so they are an error. Callbacks run in the threads that train.
    verbose : int, default 0
        1 shows a progress bar over all networks, or a line for each network that has ended; N shows a line for every N
        networks.
    sample_weight : array_like, shape (B,), or K of these, optional
        The weights of the rows of X for all networks, or a list with weights or None for each.

    Returns
    -------
    list of History
        That of each network. Its `error` is the exception that ended the training, or None.

    Raises
    ------
    ValueError, TypeError, RuntimeError
        If an argument is not valid for a network, before any training begins; the message has the index of the network.
    Exception
        With ``errors="raise"``, the first exception by the order of the networks, after the others have been trained.
        Its attribute ``histories`` has the list that would have been returned, and its attribute ``history``, as after
        `fit`, that of its network.
    KeyboardInterrupt
        On Ctrl-C, within 0.1 s. All networks keep what they have learnt, as after `fit`; the networks whose turn has
        not come are unchanged. Its attribute ``histories`` has the history of each.

    Examples
    --------
    >>> X, y = np.linspace(-1, 1, 40).reshape(-1, 1), np.linspace(-1, 1, 40) ** 2
    >>> networks = [fastmlp.Network([1, 8, 1], activation="tanh", seed=seed) for seed in range(3)]
    >>> halves = [np.arange(0, 20), np.arange(20, 40), np.arange(0, 40, 2)]
    >>> histories = fastmlp.fit_many(networks, X, y, rows=halves, epochs=[20, 30, 40], optimizer=fastmlp.Adam(0.01))
    >>> [history.epochs for history in histories]
    [20, 30, 40]
    >>> alone = fastmlp.Network([1, 8, 1], activation="tanh", seed=2)
    >>> history = alone.fit(X[halves[2]], y[halves[2]], epochs=40, optimizer=fastmlp.Adam(0.01))
    >>> np.array_equal(alone.parameters, networks[2].parameters)
    True
    """
    values = {name: value for name, value in locals().items() if name in per_network.PER_NETWORK}
    checked = per_network.check_networks(networks)
    n_workers = engines.check_threads(n_threads)
    how = arguments.name("errors", errors, ERRORS)
    if y is None:
        raise TypeError("y: expected targets, got None; fit_many takes no batches, as all networks share X and y")
    divided = per_network.divide(values, len(checked))
    shared, plans = SharedRows(X, y), Plans()
    indices = [None] * len(checked) if rows is None else per_network.check_rows(rows, len(checked), shared.n_rows)
    parts = zip(checked, divided, indices, strict=True)
    trainings = [Training(k, network, own, plans, shared, picked) for k, (network, own, picked) in enumerate(parts)]
    overview = Overview(_verbosity(verbose), len(trainings))
    for training in trainings:
        training.overview = overview
    return _train_all(trainings, _core.usable_threads() if isinstance(n_workers, str) else n_workers, overview, how)


def _verbosity(verbose: Any) -> int:
    """Return the argument `verbose`, checked as for `fit`."""
    return arguments.integer("verbose", int(verbose) if isinstance(verbose, bool) else verbose, minimum=0)


def _train_all(trainings: Sequence[Training], n_threads: int, overview: Overview, errors: str) -> list[History]:
    """Train all networks, the longest training first; return their histories or raise the first error."""
    longest_first = sorted(trainings, key=lambda training: -training.cost)
    crew = Crew(longest_first, n_threads)
    try:
        for training in trainings:
            training.reserve()
        overview.begin()
        crew.run()
    except BaseException as error:
        for training in trainings:
            if training.history.stopped is None:
                training.history._stopped = "interrupted"
        _attach(error, trainings)
        raise
    finally:
        overview.close()
        for training in trainings:
            training.release()
    for training in trainings:
        failure = training.history.error
        if failure is not None and errors == "raise":
            failure.add_note(f"raised in the training of networks[{training.place}]")
            _attach(failure, trainings)
            raise failure
        if failure is not None:
            traceback.clear_frames(failure.__traceback__)  # they hold rows and order of the training
    return [training.history for training in trainings]


def _attach(error: BaseException, trainings: Sequence[Training]) -> None:
    """Make the histories of all networks the exception's attribute `histories`."""
    with contextlib.suppress(Exception):  # an exception class need not allow it
        error.histories = [training.history for training in trainings]  # type: ignore[attr-defined]
