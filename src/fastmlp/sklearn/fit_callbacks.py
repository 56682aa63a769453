"""The callbacks that an estimator passes to `Network.fit`.

`Following` records each epoch in the estimator's fitted attributes, so that an interrupted fit has them up to the last
complete epoch, stops the fit by scikit-learn's rule, and changes the learning rate of "adaptive" and "invscaling".
`MostEvaluations` limits the evaluations of L-BFGS to `max_fun`. Checkpoints store the names of these classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..callbacks import EarlyStopping
from .parameters import MAX_EPOCHS

MIN_RATE = 1e-6  # "adaptive" stops when the learning rate is at most this
DIVISOR = 5.0  # "adaptive" divides the learning rate by this where "constant" would stop


class Following(EarlyStopping):
    """Records one `fit` or `partial_fit` of an estimator and stops it, continuing from the estimator's attributes.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    n_rows : int
        The number of rows that an epoch trains on.
    score : str or None
        The key in the logs of the validation score that early stopping monitors; None monitors the loss.
    unit : (float, float)
        The factor and summand that turn the network's loss into the one that scikit-learn reports.
    """

    def __init__(self, estimator: Any, n_rows: int, score: str | None, unit: tuple[float, float]) -> None:
        patience = estimator.n_iter_no_change
        super().__init__(
            score or "loss",
            patience=MAX_EPOCHS if math.isinf(patience) else patience + 1,
            min_delta=min(estimator.tol, 1e300),
            mode="max" if score else "min",
            cumulative=False,
            restore_best_weights=bool(score),
        )
        self.estimator, self.n_rows, self.score, self.unit = estimator, n_rows, score, unit
        self.adapts = estimator.solver == "sgd" and estimator.learning_rate == "adaptive"
        self.scales = estimator.solver == "sgd" and estimator.learning_rate == "invscaling"

    def on_train_begin(self, logs: Mapping[str, float]) -> None:
        """Continue from the estimator's best score or loss and its number of epochs without improvement."""
        super().on_train_begin(logs)
        known = self.estimator.best_validation_score_ if self.score else self.estimator.best_loss_
        self._wait = self.estimator._no_improvement_count
        self.best = known if known is not None and math.isfinite(known) else None
        if self.score and self.best is not None:
            self._weights = self._network.parameters  # the best weights, which the fit before has restored

    def _soonest_stop(self) -> int:
        """Return after how many further epochs it may stop the fit or change the network at the soonest, see loop.py.

        1 also where each epoch has to be printed at once.
        """
        return 1 if self.score or self.scales or self.estimator.verbose else self.patience - self._wait

    @property
    def has_gone_back(self) -> bool:
        """Whether the base class restores best weights after an error in this fit."""
        return bool(self.score) and self.best is not None

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> bool:
        """Record the epoch, and return whether to stop the fit."""
        estimator = self.estimator
        factor, summand = self.unit
        loss = factor * logs["loss"] + summand
        self.record(loss, logs.get(self.score or "", math.nan))
        stop = super().on_epoch_end(epoch, {**logs, "loss": loss})
        if self.score:
            estimator.best_validation_score_ = self.best
        else:
            estimator.best_loss_ = self.best
        if self.scales:
            self._network.learning_rate = estimator.learning_rate_init / (estimator.t_ + 1) ** estimator.power_t
        if stop:
            self.say_why()
            stop = not self.adapt()
        estimator._no_improvement_count = self._wait
        return stop

    def record(self, loss: float, score: float) -> None:
        """Append an epoch's loss and score to the estimator's lists, and print them if it is verbose."""
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.t_ += self.n_rows
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)
        self.say(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        if self.score:
            estimator.validation_scores_.append(score)
            self.say(f"Validation score: {score:f}")

    def adapt(self) -> bool:
        """Lower an adaptive learning rate; return False if it is not adaptive or already at its minimum."""
        if not self.adapts or self._network.learning_rate <= MIN_RATE:
            return False
        self._network.learning_rate /= DIVISOR
        self._wait = 0
        return True

    def say_why(self) -> None:
        """Print what scikit-learn prints when nothing has improved for too long."""
        what = "Validation score" if self.score else "Training loss"
        end = "Stopping."
        if self.adapts:
            rate = self._network.learning_rate
            end = f"Setting learning rate to {rate / DIVISOR:f}"
            if rate <= MIN_RATE:
                end = "Learning rate too small. Stopping."
        self.say(
            f"{what} did not improve more than tol={self.estimator.tol:f} for {self.estimator.n_iter_no_change} "
            f"consecutive epochs. {end}"
        )

    def say(self, line: str) -> None:
        """Print a line if the estimator is verbose."""
        if self.estimator.verbose:
            print(line)


class MostEvaluations:
    """Ends L-BFGS after the iteration in which it has evaluated the loss more than `max_fun` times."""

    stop_reason = "max_fun"

    def __init__(self, estimator: Any) -> None:
        self.estimator, self._network = estimator, None

    def set_network(self, network: Any) -> None:
        """Set the network whose evaluations are counted; called by `fit`."""
        self._network = network

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> bool:
        """Record the iteration, and return whether to stop because of too many evaluations."""
        self.estimator.n_iter_ = epoch + 1
        if self.estimator.verbose:
            print(f"Iteration {epoch + 1}, loss = {logs['loss']:.8f}")
        return bool(self._network._n_evaluations > self.estimator.max_fun)  # type: ignore[attr-defined]
