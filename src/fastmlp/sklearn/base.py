"""What the classifier and the regressor share: from an estimator's parameters and data to a `Network` and back.

`coefs_` and `intercepts_` are the truth, as in scikit-learn; the network is made of them, and made again when they are
assigned. Its arrays there are read-only, so that whoever wants to change a weight assigns an array and is seen to.
Predicting reads the network alone; rows that need no conversion go past scikit-learn's validation, whose checks the
short path makes itself. Private to `estimators.py`.
"""

from __future__ import annotations

import math
import operator
import warnings
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import check_is_fitted

from ..architecture import Architecture
from ..frozen import replace
from ..inputs import row_weights
from ..inputs import schema as schemas
from ..losses import HalfSquaredError, Loss
from ..network import Network
from ..regularization import resolve as resolve_regularization
from ..training.state import state_by_position
from . import layers, parameters
from .fit_callbacks import Following, MostEvaluations
from .validation import check_sample_weight, validate_data

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)
FLOATS = (np.float64, np.float32)
Data = tuple[Any, Any, Any]  # rows, targets as the network takes them, weights or None


class BaseMLP(BaseEstimator):
    """A network behind scikit-learn's methods; see `MLPClassifier` and `MLPRegressor`."""

    _parameter_constraints: ClassVar[dict[str, Any]] = parameters.CONSTRAINTS

    def _keep(self, given: dict[str, Any]) -> None:
        """The parameters, which are the names in `__init__`, as attributes of those names, as they came."""
        self.__dict__.update({name: value for name, value in given.items() if name != "self"})

    # -- what the two differ in --------------------------------------------------------------------------------------

    def _check_data(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        """X, and y as the network takes it."""
        raise NotImplementedError

    def _check_held_out(self, X: Any, y: Any) -> tuple[Any, Any]:
        """X and y to validate on, as the network takes them, once the data to train on have been checked."""
        raise NotImplementedError

    def _resolve_loss(self) -> Loss:
        """The loss of the targets at hand."""
        raise NotImplementedError

    def _output_name(self, network: Network) -> str:
        """`out_activation_`."""
        return parameters.OUT_ACTIVATIONS.get(network.output_activation.name, network.output_activation.name)

    def _loss_unit(self, y: Any, weights: Any) -> tuple[float, float]:
        """Factor and summand between the network's loss of targets y and scikit-learn's."""
        return 1.0, 0.0

    def _scoring(self, weights: Any) -> tuple[str, tuple[Any, ...]]:
        """The name in the logs of the score of rows with these weights, and the metrics that `fit` needs for it."""
        raise NotImplementedError

    # -- fitting -----------------------------------------------------------------------------------------------------

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, *, incremental: bool, X_val: Any = None, y_val: Any = None
    ) -> None:
        hidden = parameters.hidden_layers(self.hidden_layer_sizes)
        first_pass = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        given = y
        X, y = self._check_data(X, y, incremental, reset=first_pass)
        weights = self._weights(X, given, sample_weight, incremental)
        self.n_outputs_ = y.shape[1] if y.ndim == 2 else len(self.classes_)
        rng = check_random_state(self.random_state)
        sizes = [X.shape[1], *hidden, self.n_outputs_ * self._resolve_loss().n_heads]
        optimizer = parameters.optimizer(self)
        by_epochs = not optimizer.whole_batch_method
        if first_pass:
            self._begin(sizes, self._dtype(X), rng)
            if self.dtype is None and not by_epochs:  # as scikit-learn, whose parameters are float64 after L-BFGS
                for parts in (self.coefs_, self.intercepts_):
                    parts[:] = [part.astype(np.float64) for part in parts]
        elif sizes != self._sizes:
            raise ValueError(f"hidden_layer_sizes: expected layers of {self._sizes}, those of coefs_, got {sizes}")
        if by_epochs and (first_pass or not hasattr(self, "loss_curve_")):
            self._begin_curves()
        if by_epochs and self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        data, held_out = (X, y, weights), None
        if X_val is not None:
            held_out = (*self._check_held_out(X_val, y_val), None)
        elif by_epochs and self.early_stopping:
            data, held_out = self._hold_out(data, rng)
        network = self._network_to_train(incremental, rng)
        self.out_activation_ = self._output_name(network)
        if by_epochs:
            self._fit_by_epochs(network, optimizer, data, held_out, incremental)
        else:
            self._fit_by_iterations(network, optimizer, data)

    def _dtype(self, X: Any) -> Any:
        return np.dtype(self.dtype) if self.dtype is not None else X.dtype

    def _weights(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> Any:
        """The weight of each row, `class_weight` included; None where all are alike."""
        weights = None if sample_weight is None else check_sample_weight(sample_weight, X)
        class_weight = getattr(self, "class_weight", None)
        if class_weight is None:
            parameters.refuse_negative("sample_weight", weights)
            return weights
        if incremental and class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit, whose rows are not all that there are: give "
                "a dict of weights"
            )
        of_classes = compute_sample_weight(class_weight, y)
        parameters.refuse_negative("sample_weight", weights)
        parameters.refuse_negative("class_weight", of_classes)
        return of_classes if weights is None else weights * of_classes

    def _begin(self, sizes: list[int], dtype: Any, rng: Any) -> None:
        """The attributes of a fit that begins from nothing."""
        self.n_iter_ = self.t_ = 0
        self.n_layers_ = len(sizes)
        self.coefs_, self.intercepts_ = parameters.first_parameters(sizes, self.activation, dtype, rng)

    def _begin_curves(self) -> None:
        """What solvers that go by epochs keep of them."""
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
        self.validation_scores_: list[float] | None = [] if self.early_stopping else None
        self.best_validation_score_ = -math.inf if self.early_stopping else None
        self.best_loss_ = None if self.early_stopping else math.inf

    def _fit_by_iterations(self, network: Network, optimizer: Any, data: Data) -> None:
        """At most `max_iter` iterations and about `max_fun` evaluations."""
        most = MostEvaluations(self)
        history = self._run(network, data, epochs=self.max_iter, optimizer=optimizer, batch_size=None, callbacks=[most])
        if history is None:
            return
        self.n_iter_ = history.epochs
        self.loss_ = self._objective(network, data)
        if history.stopped in ("epochs", "max_fun"):
            limit = "max_iter" if history.stopped == "epochs" else "max_fun"
            warnings.warn(
                f"{optimizer.name} failed to converge after {self.n_iter_} iteration(s): {limit} = "
                f"{getattr(self, limit)} was reached.\n\n"
                "Increase the number of iterations to improve the convergence, or scale the data.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _objective(self, network: Network, data: Data) -> float:
        """What L-BFGS minimises, at the network's parameters: the loss of all rows with the penalty of the weights.

        It is evaluated there, as the history has the losses from before each iteration, and a fit that goes on from a
        checkpoint of its end, or that has gone back to its best weights, does no iteration that would say it.
        """
        X, y, weights = data
        factor, summand = self._loss_unit(y, weights)
        loss = network.evaluate(X, y, sample_weight=weights)["loss"]
        if self._regularization is not None:
            squares = sum(float(np.vdot(w, w)) for w in (w.astype(np.float64) for w in network.weights))
            total = len(y) if weights is None else float(row_weights.in_range(weights).sum())
            loss += self._regularization.l2 / 2 * squares / (total if self._regularization.per_row else 1)
        return float(factor * loss + summand)

    def _fit_by_epochs(
        self, network: Network, optimizer: Any, data: Data, held_out: Data | None, incremental: bool
    ) -> None:
        """Batches until nothing improves, `max_iter` is reached or a callback says stop; of `partial_fit` one epoch."""
        _, y, weights = data
        score, metrics = self._scoring(None if held_out is None else held_out[2])
        following = Following(self, len(y), score if self.early_stopping else None, self._loss_unit(y, weights))
        self.n_iter_ = 0
        history = self._run(
            network,
            data,
            epochs=1 if incremental else self.max_iter,
            optimizer=optimizer,
            batch_size=None if optimizer.full_batch else self._rows_of_a_step(len(y)),
            shuffle="rows" if self.shuffle else False,  # a file, as joblib makes of large arrays, gives what they do
            callbacks=[following],
            validation_data=None if held_out is None else held_out[:2],
            metrics=() if held_out is None else metrics,
        )
        if history is not None and history.stopped == "epochs" and not incremental:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                "converged yet.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _run(self, network: Network, data: Data, *, callbacks: list[Any], **fit: Any) -> Any:
        """The network's fit, and what it has learnt into the fitted attributes; None where it did not end by itself."""
        X, y, weights = data
        following = callbacks[0]
        history = None
        self._regularization = resolve_regularization(parameters.regularization(self))
        try:
            history = network.fit(
                X,
                y,
                sample_weight=weights,
                callbacks=[*callbacks, *self.callbacks],
                max_time=self.max_time,
                resume=self.resume,
                regularization=self._regularization,
                **fit,
            )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=5)  # early stopping has gone back to its best
        except FloatingPointError:
            if not getattr(following, "has_gone_back", False):
                raise ValueError(NOT_FINITE) from None
            following.record(math.nan, math.nan)
            warnings.warn(NOT_FINITE + " The best weights before are kept.", ConvergenceWarning, stacklevel=5)
        finally:  # after an error of a callback, too, coefs_ are those of the network
            if network.history is not None:
                self.history_ = network.history
            self._publish(network, True)
        if history is not None and self.resume is not None:
            self._take_curves(history, following)
        return history

    def _take_curves(self, history: Any, following: Any) -> None:
        """What is known of the epochs before a checkpoint, too."""
        if isinstance(following, Following):
            factor, summand = following.unit
            self.loss_curve_ = [factor * loss + summand for loss in history.get("loss", [])]
            if following.score:
                self.validation_scores_ = list(history[following.score])
            if following.best is not None:
                name = "best_validation_score_" if following.score else "best_loss_"
                setattr(self, name, following.best)
            if self.loss_curve_:
                self.loss_ = self.loss_curve_[-1]
            self.t_ = history.epochs * following.n_rows
        self.n_iter_ = history.epochs

    def _rows_of_a_step(self, n_rows: int) -> int:
        if self.batch_size == "auto":
            return min(200, n_rows)
        if self.batch_size > n_rows:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=5
            )
        return int(min(self.batch_size, n_rows))

    def _hold_out(self, data: Data, rng: Any) -> tuple[Data, Data]:
        """The rows to train on, and those to validate on: a split of scikit-learn's own."""
        X, y, weights = data
        stratify = y if is_classifier(self) and self.n_outputs_ == 1 else None
        arrays = [X, y] if weights is None else [X, y, weights]
        parts = train_test_split(*arrays, random_state=rng, test_size=self.validation_fraction, stratify=stratify)
        if parts[1].shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        parts += [None] * (6 - len(parts))
        return tuple(parts[0::2]), tuple(parts[1::2])

    # -- the network behind coefs_ -----------------------------------------------------------------------------------

    @property
    def _sizes(self) -> list[int]:
        """The sizes of the layers that coefs_ are of."""
        if not hasattr(self, "coefs_"):
            raise AttributeError("coefs_: expected an estimator that has weights, got one without")
        return layers.check(self, self._resolve_loss().n_heads).sizes

    def _build(self, seed: int, *, dtype: Any = None, **functions: Any) -> Network:
        """A network of coefs_ and intercepts_, with that state of its generator.

        dtype: that of the network, where it is not that of the weights; functions: its activations and loss, where they
        are not those of the estimator's parameters.
        """
        wanted = {
            "activation": list(self.activation) if isinstance(self.activation, tuple) else self.activation,
            "output_activation": self.output_activation,
            "loss": None,
            **functions,
        }
        wanted["loss"] = wanted["loss"] or self._resolve_loss()
        made = layers.check(self, wanted["loss"].n_heads)
        architecture = Architecture(sizes=tuple(made.sizes), dtype=made.dtype if dtype is None else dtype, **wanted)
        threads = parameters.threads(self.n_threads)
        return Network._from_architecture(
            architecture, made.parameters, random_state=seed, engine=self.engine, n_threads=threads
        )

    def _network_to_train(self, incremental: bool, rng: Any) -> Network:
        """For `fit` a new network; for `partial_fit` the one at hand, if it has trained, with its optimiser's state."""
        if incremental and self._is_current() and self._has_trained:
            return self._network
        seed = int(rng.randint(2**31 - 1))
        network, older = self._build(seed), self.__dict__.pop("_optimizer_state", None)
        if incremental and older is not None:  # of a pickle of 0.1.0, which had it without regularisation and seed
            terms = resolve_regularization(parameters.regularization(self))
            network.restore_training(state_by_position(older[0], terms, older[1:], seed))
        return network

    def _is_current(self) -> bool:
        """Whether there is a network, and coefs_ and intercepts_ are still its own."""
        attributes = self.__dict__
        if "_network" not in attributes:
            return False
        coefs, intercepts = attributes.get("coefs_"), attributes.get("intercepts_")
        if not (isinstance(coefs, list) and isinstance(intercepts, list)):
            return False
        if self._functions_now() != self._of_functions:
            return False
        now = [*coefs, *intercepts]
        return len(now) == len(self._of_network) and all(map(operator.is_, now, self._of_network))

    def _publish(self, network: Network, has_trained: bool) -> None:
        """The network's parameters as fitted attributes; one that has not trained is for predicting alone."""
        for name, arrays in (("coefs_", [w.T for w in network.weights]), ("intercepts_", network.biases)):
            listed = self.__dict__.get(name)
            if isinstance(listed, list):  # which somebody may hold, to put arrays into
                listed[:] = arrays
            else:
                setattr(self, name, arrays)
        self._remember(network, has_trained)

    def _remember(self, network: Network, has_trained: bool) -> None:
        """The network is that of coefs_ and intercepts_ as they are now."""
        self._network, self._has_trained = network, has_trained
        self._of_network = [*self.coefs_, *self.intercepts_]
        self._of_functions = self._functions_now()

    def _functions_now(self) -> tuple[Any, ...]:
        """What else the network is made of: what a fit has begun with stays until the next one."""
        return None if self._has_trained else self.activation, self.__dict__.get("out_activation_")

    def _current_network(self) -> Network:
        """The network to predict with."""
        if not self._is_current():
            check_is_fitted(self)
            network = self._build(0)
            given = self.__dict__.get("out_activation_", self._output_name(network))
            if given != self._output_name(network):
                functions = {"output_activation": parameters.output_activation(given), "loss": HalfSquaredError()}
                network = self._build(0, **functions)
            self._publish(network, False)
        return self._network

    def _network_for(self, X: Any) -> Network:
        """The network to predict these rows with: in float64 where they or the weights are, as NumPy has products.

        What comes out is rounded once, to the type of the weights. With a `dtype` of its own all is in that.
        """
        network = self._current_network()
        if self.dtype is not None or np.result_type(X.dtype, network.dtype) == network.dtype:
            return network
        if self.__dict__.get("_wide", (None,))[0] is not network:
            same = {"activation": network.activation, "output_activation": network.output_activation}
            self._wide = network, self._build(0, dtype=np.float64, loss=network.loss, **same)
        return self._wide[1]

    @property
    def _optimizer(self) -> Network:
        """What has the `learning_rate` at which training stands; scikit-learn's estimators have it under this name."""
        return self._network

    def to_network(self) -> Network:
        """A `fastmlp.Network` of its own with the weights of the estimator: to save, to run or to train on.

        Its outputs are those of the last layer: of two classes one, of a Poisson loss its logarithm. It has
        `feature_names_in_` as `feature_names`, and `classes_` as `class_names`, where these are text, or integers of 64
        bits, or finite floats; classes of other kinds (booleans, a mixture), and several labels a row, have no names
        there.
        """
        network = self._current_network().copy()
        n_classes = network._n_classes(network.sizes[-1])
        features = parameters.feature_names(getattr(self, "feature_names_in_", None))
        schema = schemas.check(features, None, self._class_names(n_classes), None, network.sizes[0], n_classes)
        network._set_columns(*network._columns[:2], schema, True)
        return network

    def _class_names(self, n_classes: int) -> list[Any] | None:
        """What a network of so many classes calls them, or None."""
        return None

    def __getstate__(self) -> dict[str, Any]:
        """coefs_ and what else the network has, its optimiser's state and random state included, stand for it."""
        state = dict(super().__getstate__())
        for name in ("coefs_", "intercepts_"):  # a shallow copy gets lists of its own
            if isinstance(state.get(name), list):
                state[name] = list(state[name])
        network = state.pop("_network", None)
        for name in ("_of_network", "_of_functions", "_wide"):
            state.pop(name, None)
        if network is not None and self._is_current():
            state["_network_state"] = {
                "functions": {
                    "activation": network.activation,
                    "output_activation": network.output_activation,
                    "loss": network.loss,
                },
                "random_state": network._random_state,
                "training": None,
            }
            if network.learning_rate is not None:  # else its optimiser begins anew
                state["_network_state"]["training"] = replace(network.training_state(), parameters=None)  # coefs_ has
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Makes the network again, so that what follows has the bits that it would have had."""
        state = dict(state)
        kept = state.pop("_network_state", None)
        super().__setstate__(state)
        if kept is None:
            return
        network = self._build(kept["random_state"], **kept["functions"])
        training = kept["training"]
        if isinstance(training, tuple):  # of no released version
            training = state_by_position(training[0], training[1], training[2:], kept["random_state"])
        if training is not None:
            network.restore_training(training)
        self._remember(network, self._has_trained)

    # -- predicting --------------------------------------------------------------------------------------------------

    def _rows(self, X: Any, network: Network) -> Any:
        """X, validated; an array that the network reads where it stands only has to be seen to be finite."""
        if (
            type(X) is np.ndarray
            and X.dtype == network.dtype
            and X.ndim == 2
            and X.shape[1] == network._sizes[0]
            and len(X) > 0
            and X.flags.c_contiguous
            and "feature_names_in_" not in self.__dict__
            and network._first_not_finite(X) is None
        ):
            return X
        return validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)

    def _outputs(self, X: Any) -> Any:
        """The network's outputs (n_samples, n_outputs)."""
        X = self._rows(X, self._current_network())
        outputs = self._network_for(X).predict(X)
        return outputs.astype(self._network.dtype, copy=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
