"""BaseMLP: what the classifier and the regressor share, from the parameters of an estimator to a `Network` and back.

As in scikit-learn, `coefs_` and `intercepts_` define the model. The network is built from them, and built again after a
user has assigned to them. A fit publishes them as read-only views of the network's parameters, so that a weight can
only be changed by assigning an array, which `_is_current` detects. Predictions use the network alone. Rows that need no
conversion skip scikit-learn's validation; `_validate_rows` makes its checks. Only `estimators.py` uses this module.
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
Data = tuple[Any, Any, Any]  # rows, targets in the form that the network takes, weights of the rows or None


class BaseMLP(BaseEstimator):
    """The base class of `MLPClassifier` and `MLPRegressor`."""

    _parameter_constraints: ClassVar[dict[str, Any]] = parameters.CONSTRAINTS

    def _set_parameters(self, given: dict[str, Any]) -> None:
        """Store the arguments of `__init__` unchanged as attributes, as scikit-learn requires; `given` is locals()."""
        self.__dict__.update({name: value for name, value in given.items() if name != "self"})

    # -- defined by the subclasses -----------------------------------------------------------------------------------

    def _check_data(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        """Validate X and y; return X, and y in the form that the network takes."""
        raise NotImplementedError

    def _check_held_out(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Check the rows to validate on, after those to train on; return them like `_check_data`."""
        raise NotImplementedError

    def _resolve_loss(self) -> Loss:
        """Return the loss object for the `loss` parameter and the kind of targets."""
        raise NotImplementedError

    def _output_name(self, network: Network) -> str:
        """Return the value of `out_activation_`, scikit-learn's name of the network's output activation."""
        return parameters.OUT_ACTIVATIONS.get(network.output_activation.name, network.output_activation.name)

    def _loss_unit(self, y: Any, weights: Any) -> tuple[float, float]:
        """Return the factor and summand that turn the network's loss for targets y into scikit-learn's."""
        return 1.0, 0.0

    def _scoring(self, weights: Any) -> tuple[str, tuple[Any, ...]]:
        """Return the key in the logs of the validation score for these weights, and the metrics `fit` needs for it."""
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
            if self.dtype is None and not by_epochs:  # like scikit-learn, whose parameters are float64 after L-BFGS
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
        """Return the weight of each row, including `class_weight`; None if all are equal."""
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
        """Set the attributes of a fit that begins with new parameters."""
        self.n_iter_ = self.t_ = 0
        self.n_layers_ = len(sizes)
        self.coefs_, self.intercepts_ = parameters.first_parameters(sizes, self.activation, dtype, rng)

    def _begin_curves(self) -> None:
        """Set the attributes in which solvers that train by epochs record them."""
        self.loss_curve_: list[float] = []
        self._no_improvement_count = 0
        self.validation_scores_: list[float] | None = [] if self.early_stopping else None
        self.best_validation_score_ = -math.inf if self.early_stopping else None
        self.best_loss_ = None if self.early_stopping else math.inf

    def _fit_by_iterations(self, network: Network, optimizer: Any, data: Data) -> None:
        """Minimise over all rows, in at most `max_iter` iterations and about `max_fun` evaluations of the loss."""
        limit_evaluations = [MostEvaluations(self)]
        history = self._run(
            network, data, epochs=self.max_iter, optimizer=optimizer, batch_size=None, callbacks=limit_evaluations
        )
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
        """Return what L-BFGS minimises: the loss of all rows plus the penalty on the weights, at the final parameters.

        It has to be evaluated here: the history has the losses before each iteration, and a fit that resumes from a
        checkpoint of its end, or that restores its best weights, makes no further iteration.
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
        """Train by mini-batches until nothing improves, `max_iter` is reached or a callback stops the fit.

        `partial_fit` (`incremental`) trains one epoch.
        """
        _, y, weights = data
        score, metrics = self._scoring(None if held_out is None else held_out[2])
        following = Following(self, len(y), score if self.early_stopping else None, self._loss_unit(y, weights))
        self.n_iter_ = 0
        history = self._run(
            network,
            data,
            epochs=1 if incremental else self.max_iter,
            optimizer=optimizer,
            batch_size=None if optimizer.full_batch else self._rows_per_batch(len(y)),
            shuffle="rows" if self.shuffle else False,  # as for an array, if joblib has mapped it from a file
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
        """Fit the network, and set the fitted attributes; return the history, or None after an interruption.

        `callbacks` begins with the estimator's own callback.
        """
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
            warnings.warn("Training interrupted by user.", stacklevel=5)  # early stopping has restored its best weights
        except FloatingPointError:
            if not getattr(following, "has_gone_back", False):
                raise ValueError(NOT_FINITE) from None
            following.record(math.nan, math.nan)
            warnings.warn(NOT_FINITE + " The best weights before are kept.", ConvergenceWarning, stacklevel=5)
        finally:  # also after an exception in a callback, coefs_ must be those of the network
            if network.history is not None:
                self.history_ = network.history
            self._publish(network, True)
        if history is not None and self.resume is not None:
            self._set_curves(history, following)
        return history

    def _set_curves(self, history: Any, following: Any) -> None:
        """Set the fitted attributes from a history that includes the epochs before the checkpoint."""
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

    def _rows_per_batch(self, n_rows: int) -> int:
        if self.batch_size == "auto":
            return min(200, n_rows)
        if self.batch_size > n_rows:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=5
            )
        return int(min(self.batch_size, n_rows))

    def _hold_out(self, data: Data, rng: Any) -> tuple[Data, Data]:
        """Split off `validation_fraction` of the rows by scikit-learn's `train_test_split`."""
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
        """The sizes of the layers, from coefs_ and intercepts_."""
        if not hasattr(self, "coefs_"):
            raise AttributeError("coefs_: expected an estimator that has weights, got one without")
        return layers.check(self, self._resolve_loss().n_heads).sizes

    def _build(self, seed: int, *, dtype: Any = None, **functions: Any) -> Network:
        """Build a network from coefs_ and intercepts_; `seed` is the state of its random generator.

        `dtype` replaces the dtype of the weights, and `functions` the activations and the loss that the estimator's
        parameters name.
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
        """Return a new network for `fit`; for `partial_fit` the present one, with its optimiser, if it has trained."""
        if incremental and self._is_current() and self._has_trained:
            return self._network
        seed = int(rng.randint(2**31 - 1))
        network, older = self._build(seed), self.__dict__.pop("_optimizer_state", None)
        if incremental and older is not None:  # from a pickle of 0.1.0, which has no regularisation and seed in it
            terms = resolve_regularization(parameters.regularization(self))
            network.restore_training(state_by_position(older[0], terms, older[1:], seed))
        return network

    def _is_current(self) -> bool:
        """Whether there is a network, and coefs_, intercepts_ and the activations are unchanged since it was made."""
        attributes = self.__dict__
        if "_network" not in attributes:
            return False
        coefs, intercepts = attributes.get("coefs_"), attributes.get("intercepts_")
        if not (isinstance(coefs, list) and isinstance(intercepts, list)):
            return False
        if self._current_functions() != self._network_functions:
            return False
        now = [*coefs, *intercepts]
        return len(now) == len(self._network_arrays) and all(map(operator.is_, now, self._network_arrays))

    def _publish(self, network: Network, has_trained: bool) -> None:
        """Set coefs_ and intercepts_ from the network; if it has not trained, it only serves predictions."""
        for name, arrays in (("coefs_", [w.T for w in network.weights]), ("intercepts_", network.biases)):
            listed = self.__dict__.get(name)
            if isinstance(listed, list):  # keep the list: a user may hold it and assign to its elements
                listed[:] = arrays
            else:
                setattr(self, name, arrays)
        self._remember(network, has_trained)

    def _remember(self, network: Network, has_trained: bool) -> None:
        """Remember the network, which belongs to the present coefs_ and intercepts_."""
        self._network, self._has_trained = network, has_trained
        self._network_arrays = [*self.coefs_, *self.intercepts_]
        self._network_functions = self._current_functions()

    def _current_functions(self) -> tuple[Any, ...]:
        """Return the other attributes that the network depends on; after a fit, `activation` is not one of them."""
        return None if self._has_trained else self.activation, self.__dict__.get("out_activation_")

    def _current_network(self) -> Network:
        """Return the network to predict with; build it if coefs_ or intercepts_ have been assigned."""
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
        """Return the network to predict these rows with, which computes in the dtype that NumPy would use.

        It is a float64 network if the rows or the weights are float64; `_outputs` rounds its results once, to the dtype
        of the weights. If the estimator's `dtype` is set, everything is computed in it.
        """
        network = self._current_network()
        if self.dtype is not None or np.result_type(X.dtype, network.dtype) == network.dtype:
            return network
        if self.__dict__.get("_float64_network", (None,))[0] is not network:
            same = {"activation": network.activation, "output_activation": network.output_activation}
            self._float64_network = network, self._build(0, dtype=np.float64, loss=network.loss, **same)
        return self._float64_network[1]

    @property
    def _optimizer(self) -> Network:
        """An object with the current `learning_rate`; scikit-learn's estimators have one under this name."""
        return self._network

    def to_network(self) -> Network:
        """Return an independent `fastmlp.Network` with the weights of the estimator: to save, to run or to train.

        Its outputs are those of the last layer: one output for two classes, the logarithm of the prediction for a
        Poisson loss. `feature_names_in_` become its `feature_names`, and `classes_` its `class_names` if they are text,
        integers of 64 bits or finite floats. Other classes (booleans, a mixture) and multilabel targets have no names
        in the network.
        """
        network = self._current_network().copy()
        n_classes = network._n_classes(network.sizes[-1])
        features = parameters.feature_names(getattr(self, "feature_names_in_", None))
        schema = schemas.check(features, None, self._class_names(n_classes), None, network.sizes[0], n_classes)
        network._set_columns(*network._columns[:2], schema, True)
        return network

    def _class_names(self, n_classes: int) -> list[Any] | None:
        """Return the names of the classes for a network with `n_classes` classes, or None."""
        return None

    def __getstate__(self) -> dict[str, Any]:
        """Replace the network by a description: its functions, random state and optimiser state; coefs_ is stored."""
        state = dict(super().__getstate__())
        for name in ("coefs_", "intercepts_"):  # so that a shallow copy does not share the lists
            if isinstance(state.get(name), list):
                state[name] = list(state[name])
        network = state.pop("_network", None)
        for name in ("_network_arrays", "_network_functions", "_float64_network"):
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
            if network.learning_rate is not None:  # otherwise it has no optimiser yet
                # The parameters are stored as coefs_ and intercepts_.
                state["_network_state"]["training"] = replace(network.training_state(), parameters=None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Build the network again, so that further training has the same results, bit for bit, as without pickling."""
        state = dict(state)
        kept = state.pop("_network_state", None)
        super().__setstate__(state)
        if kept is None:
            return
        network = self._build(kept["random_state"], **kept["functions"])
        training = kept["training"]
        if isinstance(training, tuple):  # written by a development version between releases
            training = state_by_position(training[0], training[1], training[2:], kept["random_state"])
        if training is not None:
            network.restore_training(training)
        self._remember(network, self._has_trained)

    # -- predicting --------------------------------------------------------------------------------------------------

    def _validate_rows(self, X: Any, network: Network) -> Any:
        """Validate X like scikit-learn; only check that it is finite if the network can read it in place."""
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
        """Return the network's outputs (n_samples, n_outputs) in the dtype of the weights."""
        X = self._validate_rows(X, self._current_network())
        outputs = self._network_for(X).predict(X)
        return outputs.astype(self._network.dtype, copy=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
