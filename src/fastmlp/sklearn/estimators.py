"""MLPClassifier and MLPRegressor: the public classes, with scikit-learn's parameters and then, keyword-only, fastmlp's.

The parameters have scikit-learn's order and defaults; they are stored unchanged and interpreted in `fit`, by
`parameters.py`. `base.py` has the fitting and the network behind `coefs_`. This module has what differs between a
classifier and a regressor: targets, scores and predictions.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.special import xlogy
from sklearn.base import ClassifierMixin, RegressorMixin, _fit_context
from sklearn.metrics import accuracy_score, r2_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels

from .. import losses
from ..losses import BinaryCrossEntropy, BinaryFocal, CrossEntropy, Focal, HalfSquaredError, Hinge, Loss, Poisson
from ..network import Network
from . import parameters
from .base import FLOATS, BaseMLP
from .validation import validate_data


def goes_by_batches(estimator: Any) -> bool:
    """Return True if the solver trains by mini-batches; else raise scikit-learn's error of `partial_fit`."""
    if parameters.full_batch(estimator.solver):
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {estimator.solver} is not stochastic."
        )
    return True


def gives_probabilities(estimator: Any) -> bool:
    """Return True if the outputs are probabilities; for the hinge loss, where they are not, raise AttributeError."""
    if estimator.loss == "hinge" or isinstance(estimator.loss, Hinge):
        raise AttributeError(f"predict_proba is not available when loss={estimator.loss!r}")
    return True


class MLPClassifier(ClassifierMixin, BaseMLP):
    """scikit-learn's multilayer perceptron classifier, trained and run by `fastmlp.Network`.

    The parameters up to `max_fun` are scikit-learn's, with their meaning and default; those after it are additions. The
    labels may be of two or more classes, or an indicator matrix for multilabel targets.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int, or int, default (100,)
        Outputs of each hidden layer.
    activation : str, Activation, or a list of these, default "relu"
        The activation of the hidden layers: identity, logistic, tanh, relu, or any other of fastmlp; a list has one per
        layer.
    solver : str or Optimizer, default "adam"
        lbfgs, sgd, adam, or the name of another optimiser of fastmlp, which uses `learning_rate_init`; an Optimizer
        object is used unchanged.
    alpha : float, default 0.0001
        alpha / 2 times the sum of the squared weights, divided by the batch's weight, is added to the loss.
    batch_size : int or "auto", default "auto"
        Rows of a mini-batch; "auto" is min(200, n_samples).
    learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
        The learning rate of solver "sgd", by epochs: constant; learning_rate_init / (t_ + 1)^power_t; or divided by 5
        where scikit-learn would stop, until it is at most 1e-6.
    learning_rate_init : float, default 0.001
        The initial learning rate.
    power_t : float, default 0.5
        The exponent of "invscaling".
    max_iter : int, default 200
        The maximum number of epochs, or of iterations of lbfgs.
    shuffle : bool, default True
        Whether to shuffle the rows in each epoch.
    random_state : int, RandomState or None, default None
        Determines the initial weights and the split of early stopping, both as in scikit-learn, and the order of the
        rows, which differs from scikit-learn's.
    tol : float, default 1e-4
        The minimum improvement, see `n_iter_no_change`; the size of the gradient at which lbfgs stops.
    verbose : bool or int, default False
        Whether to print each epoch's loss on stdout.
    warm_start : bool, default False
        Whether `fit` begins with the present weights.
    momentum : float, default 0.9
        The momentum of "sgd", in [0, 1).
    nesterovs_momentum : bool, default True
        Whether "sgd" uses Nesterov's momentum.
    early_stopping : bool, default False
        Whether to hold out `validation_fraction` of the rows, stop when their score no longer improves, and restore
        the best weights.
    validation_fraction : float, default 0.1
        The fraction of the rows that early stopping holds out.
    beta_1, beta_2 : float, default 0.9 and 0.999
        The decay rates of the moments of "adam".
    epsilon : float, default 1e-8
        Added to the root of the second moment in "adam" (`fastmlp.AdamHat`).
    n_iter_no_change : int or inf, default 10
        Training stops when the loss (the score with early stopping) has not improved by `tol` for more than this number
        of epochs.
    max_fun : int, default 15000
        The maximum number of evaluations of the loss by lbfgs, checked after each iteration.
    loss : str or Loss, default "log_loss"
        "log_loss" is the cross entropy, or for two classes or multilabel targets the binary cross entropy of each
        output. Others are "focal", "hinge", or a Loss object of fastmlp.
    output_activation : str or Activation, optional
        The activation of the output layer; None is the one that belongs to the loss (`Loss.partner`).
    class_weight : dict or "balanced", optional
        The weight of each class, as in scikit-learn's other classifiers.
    regularization : Regularization, optional
        Dropout, penalties, limits and more; if it has an l1 or l2, that replaces `alpha`.
    schedule : Schedule or function of the step, optional
        Replaces `learning_rate_init`.
    callbacks : sequence, default ()
        Callbacks as for `Network.fit`, including `fastmlp.Checkpoint`.
    max_time : float, optional
        Seconds after which the training stops.
    resume : path-like, optional
        The file of a `fastmlp.Checkpoint` from which to resume.
    dtype : {"float32", "float64"}, optional
        The dtype of weights and computations; None is float32 if X is, else float64.
    engine : {"auto", "blas", "native"}, default "auto"
        The implementation that computes the layers.
    n_threads : int or "auto", optional
        The maximum number of threads of a fit or a prediction; "auto" is as many as the process may run. None is "auto"
        in the main thread of the main process, and 1 elsewhere, where several fits may run at once. Results do not
        depend on it.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        The weights (I, O) and biases (O,) of each layer. The arrays are read-only; assign another array to an element
        of the list to change it.
    loss_curve_, loss_, best_loss_
        The loss of each epoch as scikit-learn reports it, the last and the lowest of them.
    validation_scores_, best_validation_score_
        The accuracy of the rows that early stopping holds out, after each epoch, and the best of them.
    history_ : History
        All losses and metrics of the last fit.
    classes_, n_iter_, t_, n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As in scikit-learn.

    Examples
    --------
    >>> from fastmlp.sklearn import MLPClassifier
    >>> X, y = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], ["no", "yes", "yes", "no"]
    >>> model = MLPClassifier([8], "tanh", solver="lbfgs", random_state=0).fit(X, y)
    >>> model.predict(X).tolist()
    ['no', 'yes', 'yes', 'no']
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **parameters.CONSTRAINTS,
        "loss": [StrOptions({"log_loss", "focal", *losses.LOSSES}), Loss],
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        loss: Any = "log_loss",
        output_activation: Any = None,
        class_weight: Any = None,
        regularization: Any = None,
        schedule: Any = None,
        callbacks: Any = (),
        max_time: float | None = None,
        resume: Any = None,
        dtype: str | None = None,
        engine: str = "auto",
        n_threads: Any = None,
    ) -> None:
        self._set_parameters(locals())

    # -- targets -----------------------------------------------------------------------------------------------------

    @property
    def _is_multiclass(self) -> bool:
        """Whether there are more than two classes, one per row, with an output for each."""
        if "_label_binarizer" in self.__dict__ or "classes_" in self.__dict__:
            return bool(self._binarizer.y_type_ == "multiclass")
        return bool(getattr(self, "out_activation_", "softmax") == "softmax" and np.shape(self.coefs_[-1])[1] > 1)

    @property
    def _binarizer(self) -> LabelBinarizer:
        """The conversion between labels and outputs; without a fit, that of the `classes_` a user has assigned."""
        if "_label_binarizer" not in self.__dict__:
            several = getattr(self, "out_activation_", None) == "logistic" and np.shape(self.coefs_[-1])[1] > 1
            classes: Any = self.__dict__.get("classes_")
            if classes is None:
                raise AttributeError("classes_: expected an estimator that is fitted, got one without classes_")
            self._label_binarizer = LabelBinarizer().fit(np.eye(len(classes), dtype=np.int64) if several else classes)
        return self._label_binarizer

    def _class_names(self, n_classes: int) -> list[Any] | None:
        classes = self.__dict__.get("classes_", ())
        if len(classes) != n_classes or self._binarizer.y_type_.startswith("multilabel"):
            return None
        return parameters.class_names(classes)

    def _check_data(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        checks = {"accept_sparse": ["csr", "csc"], "multi_output": True, "dtype": FLOATS, "reset": reset}
        X, y = validate_data(self, X, y, **checks)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            self._refuse_other_classes(unique_labels(y))
        return X, self._encode(y)

    def _check_held_out(self, X: Any, y: Any) -> tuple[Any, Any]:
        checks = {"accept_sparse": ["csr", "csc"], "multi_output": True, "dtype": FLOATS, "reset": False}
        X, y = validate_data(self, X, y, **checks)
        if len(np.setdiff1d(unique_labels(y), self.classes_, assume_unique=True)):
            raise ValueError(f"`y_val` has classes not in `self.classes_`, {self.classes_}.")
        return X, self._encode(y)

    def _refuse_other_classes(self, classes: Any) -> None:
        """Refuse classes that the estimator did not have in its first fit."""
        if self.warm_start and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                f"got {self.classes_}, `y` has {classes}"
            )
        if len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _encode(self, y: Any) -> Any:
        """Return class indices (n,) for more than two classes, else booleans (n, n_outputs), one for each output."""
        if self._is_multiclass:
            return np.searchsorted(self.classes_, y)
        return self._label_binarizer.transform(y).astype(bool)

    def _resolve_loss(self) -> Loss:
        several = self._is_multiclass
        return parameters.loss(
            self.loss,
            {
                "log_loss": CrossEntropy() if several else BinaryCrossEntropy(),
                "focal": Focal() if several else BinaryFocal(),
            },
        )

    def _scoring(self, weights: Any) -> tuple[str, tuple[Any, ...]]:
        if weights is None and not self._binarizer.y_type_.startswith("multilabel"):
            return "val_accuracy", ("accuracy",)

        def subset_accuracy(t: Any, y: Any) -> float:
            return float(accuracy_score(t, self._decide(y), sample_weight=weights))

        return "val_subset_accuracy", (subset_accuracy,)

    # -- predictions -------------------------------------------------------------------------------------------------

    def _decide(self, outputs: Any) -> Any:
        """Return the class index of each row, or for two classes and multilabel targets a boolean for each output."""
        if self._is_multiclass:
            return np.argmax(outputs, axis=1)
        return outputs > (0.0 if isinstance(self._resolve_loss(), Hinge) else 0.5)

    def predict(self, X: Any) -> Any:
        """Predict the class of each row, or its labels for multilabel targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        X = self._validate_rows(X, self._current_network())
        network = self._network_for(X)
        if self._is_multiclass:
            return self.classes_[network.classify(X)]
        decided = self._decide(network.predict(X))
        if self._binarizer.y_type_ == "binary":
            return self.classes_[decided[:, 0].astype(np.intp) * (len(self.classes_) - 1)]
        return self._binarizer.inverse_transform(decided.astype(np.float64))

    @available_if(gives_probabilities)
    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of each class, in the order of `classes_`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        y = self._outputs(X)
        return y if y.shape[1] > 1 else np.hstack([1 - y, y])

    @available_if(gives_probabilities)
    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        y = self.predict_proba(X)
        return np.log(y, out=y)

    # -- fitting -----------------------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None) -> MLPClassifier:
        """Fit to rows X and labels y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
        sample_weight : array-like of shape (n_samples,), optional
        X_val, y_val : array-like, optional
            Rows and labels to evaluate after each epoch, see `history_`; with early stopping they replace the rows that
            would be held out.

        Returns
        -------
        self
        """
        self._fit(X, y, sample_weight, incremental=False, X_val=X_val, y_val=y_val)
        return self

    @available_if(goes_by_batches)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """Train one epoch over the rows, continuing the training so far.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), optional
        classes : array-like of shape (n_classes,), optional
            All classes that any call will have; required in the first call.

        Returns
        -------
        self
        """
        if _check_partial_fit_first_call(self, classes):
            several = type_of_target(y).startswith("multilabel")
            self._label_binarizer = LabelBinarizer().fit(y if several else classes)
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, BaseMLP):
    """scikit-learn's multilayer perceptron regressor, trained and run by `fastmlp.Network`.

    The parameters are scikit-learn's, with their meaning and default, and keyword-only additions. `MLPClassifier`
    documents all parameters but `loss`, and the fitted attributes; the score of early stopping is R^2 here.

    Parameters
    ----------
    loss : str or Loss, default "squared_error"
        "squared_error" is half the squared error and "poisson" half the Poisson deviance, as in scikit-learn; others
        are the names and Loss objects of fastmlp.

    Examples
    --------
    >>> from fastmlp.sklearn import MLPRegressor
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> model = MLPRegressor("squared_error", [16], "tanh", solver="lbfgs", tol=1e-6, random_state=0)
    >>> model = model.fit(X, X[:, 0] ** 2)
    >>> model.score(X, X[:, 0] ** 2) > 0.999
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **parameters.CONSTRAINTS,
        "loss": [StrOptions(set(losses.LOSSES)), Loss],
    }

    def __init__(
        self,
        loss: Any = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        output_activation: Any = None,
        regularization: Any = None,
        schedule: Any = None,
        callbacks: Any = (),
        max_time: float | None = None,
        resume: Any = None,
        dtype: str | None = None,
        engine: str = "auto",
        n_threads: Any = None,
    ) -> None:
        self._set_parameters(locals())

    # -- targets -----------------------------------------------------------------------------------------------------

    def _check_data(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        checks = {"accept_sparse": ["csr", "csc"], "multi_output": True, "y_numeric": True, "dtype": FLOATS}
        X, y = validate_data(self, X, y, **checks, reset=reset)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y.reshape(len(y), -1)

    def _check_held_out(self, X: Any, y: Any) -> tuple[Any, Any]:
        return self._check_data(X, y, incremental=True, reset=False)

    def _resolve_loss(self) -> Loss:
        return parameters.loss(self.loss, {"squared_error": HalfSquaredError(), "poisson": Poisson()})

    def _output_name(self, network: Network) -> str:
        return "exp" if isinstance(network.loss, Poisson) else super()._output_name(network)

    def _loss_unit(self, y: Any, weights: Any) -> tuple[float, float]:
        """Return the factor and summand that turn the network's loss into the one that scikit-learn reports.

        scikit-learn's squared error is the mean over the outputs; its Poisson deviance is 0 for a perfect prediction.
        """
        loss = self._resolve_loss()
        if isinstance(loss, HalfSquaredError):
            return 1.0 / self.n_outputs_, 0.0
        if isinstance(loss, Poisson):
            return self.n_outputs_, float(np.average(xlogy(y, y) - y, weights=weights, axis=0).sum())
        return 1.0, 0.0

    def _scoring(self, weights: Any) -> tuple[str, tuple[Any, ...]]:
        if weights is None:
            return "val_r2", ("r2",)
        loss = self._resolve_loss()

        def weighted_r2(t: Any, y: Any) -> float:
            return float(r2_score(t, loss.estimate(y), sample_weight=weights))

        return "val_weighted_r2", (weighted_r2,)

    # -- predictions -------------------------------------------------------------------------------------------------

    def predict(self, X: Any) -> Any:
        """Predict the targets of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        y = self._resolve_loss().estimate(self._outputs(X))
        return y[:, 0] if y.shape[1] == 1 else y

    # -- fitting -----------------------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None) -> MLPRegressor:
        """Fit to rows X and targets y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional
        X_val, y_val : array-like, optional
            Rows and targets to evaluate after each epoch, see `MLPClassifier.fit`.

        Returns
        -------
        self
        """
        self._fit(X, y, sample_weight, incremental=False, X_val=X_val, y_val=y_val)
        return self

    @available_if(goes_by_batches)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train one epoch over the rows, continuing the training so far.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self
        """
        self._fit(X, y, sample_weight, incremental=True)
        return self
