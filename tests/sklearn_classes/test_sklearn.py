"""fastmlp.sklearn: use with scikit-learn's tools, fitted attributes, and features beyond scikit-learn's classes.

test_sklearn_parity.py tests that it learns what scikit-learn's classes learn; test_sklearn_own_tests.py and
test_sklearn_checks.py run scikit-learn's own tests and its checks of estimators.
"""

from __future__ import annotations

import concurrent.futures
import copy
import inspect
import io
import math
import pathlib
import pickle
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.9")
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

import joblib  # noqa: E402
import sklearn  # noqa: E402
from scipy import sparse  # noqa: E402
from sklearn import neural_network  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.exceptions import ConvergenceWarning, NotFittedError  # noqa: E402
from sklearn.metrics import accuracy_score, r2_score  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

import fastmlp  # noqa: E402
from fastmlp.sklearn import MLPClassifier, MLPRegressor, parameters  # noqa: E402

(X, Y), _ = fastmlp.datasets.load_digits()
X, Y = X[:300].astype(np.float64), Y[:300]
CLASSES = [MLPClassifier, MLPRegressor]
WORDS: dict[str, Any] = {"hidden_layer_sizes": 16, "max_iter": 6, "random_state": 0}


def assert_same(a: Any, b: Any) -> None:
    """Check that two arrays are bitwise equal."""
    for name in ("coefs_", "intercepts_"):
        for p, q in zip(getattr(a, name), getattr(b, name), strict=True):
            np.testing.assert_array_equal(p, q)


# -- signatures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ours", CLASSES)
def test_scikit_learns_parameters_come_first(ours: Any) -> None:
    """Parameters have scikit-learn's names, kinds, defaults and order; additional ones are keyword-only."""
    theirs = getattr(neural_network, ours.__name__)
    expected, actual = (list(inspect.signature(each).parameters.values()) for each in (theirs, ours))
    assert [(p.name, p.kind, p.default) for p in actual[: len(expected)]] == [
        (p.name, p.kind, p.default) for p in expected
    ]
    assert all(p.kind is p.KEYWORD_ONLY for p in actual[len(expected) :])


@pytest.mark.parametrize("ours", CLASSES)
def test_methods_are_scikit_learns(ours: Any) -> None:
    theirs = getattr(neural_network, ours.__name__)
    public = {name for name in dir(theirs) if not name.startswith("_")}
    assert public <= set(dir(ours))
    for name in ("fit", "partial_fit", "predict", "score", "predict_proba", "predict_log_proba"):
        if hasattr(theirs, name):
            expected, actual = (list(inspect.signature(getattr(each, name)).parameters) for each in (theirs, ours))
            assert actual[: len(expected)] == expected


@pytest.mark.parametrize("ours", CLASSES)
@pytest.mark.parametrize(
    "bad",
    [
        {"alpha": -1.0},
        {"solver": "adm"},
        {"activation": "rel"},
        {"learning_rate": 0.1},
        {"learning_rate_init": 0.0},
        {"batch_size": 0},
        {"hidden_layer_sizes": (3, 0)},
        {"n_iter_no_change": 0},
        {"momentum": 1.5},
        {"early_stopping": "yes"},
        {"validation_fraction": 1.0},
        {"random_state": "zero"},
    ],
    ids=str,
)
def test_errors_are_scikit_learns(ours: Any, bad: dict[str, Any]) -> None:
    """Errors have scikit-learn's types and messages, except for additional options."""
    messages = []
    for each in (ours, getattr(neural_network, ours.__name__)):
        with pytest.raises(ValueError, match=r".") as caught:
            each(**bad).fit(X, Y)
        messages.append((type(caught.value), str(caught.value).partition(" must be ")[0]))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("ours", CLASSES)
def test_a_row_alone_and_no_fit_are_refused(ours: Any) -> None:
    with pytest.raises(NotFittedError):
        ours().predict(X)
    model = ours(**WORDS).fit(X, Y)
    for method in ("predict", "fit", "partial_fit", "predict_proba"):
        if hasattr(model, method):
            with pytest.raises(ValueError, match="Expected 2D array, got 1D array instead"):
                getattr(model, method)(X[0], *([Y[0]] if "fit" in method else []))
    for bad in (np.nan, np.inf):
        rows = X[:2].copy()
        rows[1, 3] = bad
        with pytest.raises(ValueError, match=r"Input X contains (NaN|infinity)"):
            model.predict(rows)
    with pytest.raises(ValueError, match=r"has 63 features, but MLP.* is expecting 64"):
        model.predict(X[:, :63])


# -- fitted attributes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ours", CLASSES)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_same_attributes(ours: Any, solver: str, early_stopping: bool) -> None:
    words = {**WORDS, "solver": solver, "early_stopping": early_stopping}
    actual, expected = ours(**words).fit(X, Y), getattr(neural_network, ours.__name__)(**words).fit(X, Y)
    public = {name for name in vars(expected) if name.endswith("_") and not name.startswith("_")}
    assert {name for name in vars(actual) if name.endswith("_") and not name.startswith("_")} == public | {"history_"}
    for a, b in zip(actual.coefs_ + actual.intercepts_, expected.coefs_ + expected.intercepts_, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
    assert actual.history_.epochs == actual.n_iter_


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_coefs_are_the_truth(dtype: str) -> None:
    """An array assigned in the list is used; the arrays of the list are read-only."""
    model = MLPRegressor(**WORDS).fit(X.astype(dtype), Y)
    before = model.predict(X)
    with pytest.raises(ValueError, match="read-only"):
        model.coefs_[0][0, 0] = 1.0
    model.intercepts_[-1] = model.intercepts_[-1] + 1
    np.testing.assert_allclose(model.predict(X), before + 1, rtol=1e-5)
    assert model.predict(X).dtype == dtype
    model.coefs_ = [np.zeros_like(w) for w in model.coefs_]
    np.testing.assert_array_equal(model.predict(X), np.full(300, model.intercepts_[-1][0]))
    model.partial_fit(X, Y)
    assert np.abs(model.coefs_[-1]).max() > 0


def test_a_network_may_be_made_of_coefs_alone() -> None:
    theirs = neural_network.MLPClassifier(**WORDS).fit(X, Y)
    ours = MLPClassifier(**WORDS)
    vars(ours).update({name: value for name, value in vars(theirs).items() if name.endswith("_") or "label" in name})
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", ["log_loss", "focal", "hinge"])
def test_a_tie_is_for_the_first_class(loss: str, dtype: Any) -> None:
    """On a tie the first class is predicted, as by scikit-learn and by the probabilities; also by to_network."""
    for y in (Y, Y % 2):
        model = MLPClassifier(**WORDS, loss=loss).fit(X.astype(dtype), y)
        model.coefs_, model.intercepts_ = ([np.zeros_like(p) for p in ps] for ps in (model.coefs_, model.intercepts_))
        np.testing.assert_array_equal(model.predict(X[:3]), [0, 0, 0])
        np.testing.assert_array_equal(model.to_network().classify(X[:3]), [0, 0, 0])
        if loss != "hinge":
            np.testing.assert_array_equal(model.predict_proba(X[:3]).argmax(axis=1), [0, 0, 0])
        assert model.score(X, y) == model.to_network().evaluate(X, y)["accuracy"] == np.mean(y == 0)


def test_coefs_of_other_layers_are_not_trained_on() -> None:
    model = MLPRegressor(**WORDS, warm_start=True).fit(X, Y)
    with pytest.raises(ValueError, match=r"expected layers of \[64, 16, 1\], those of coefs_, got \[64, 8, 1\]"):
        model.set_params(hidden_layer_sizes=8).fit(X, Y)


def test_a_network_of_its_own(tmp_path: pathlib.Path) -> None:
    model = MLPClassifier(**WORDS).fit(X, Y)
    network = model.to_network()
    network.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(fastmlp.load(tmp_path / "m.safetensors").predict(X), model.predict_proba(X))
    network.parameters = np.zeros(network.n_parameters)
    assert np.abs(model.coefs_[0]).max() > 0


def test_numbers_of_one_kind_stay_so() -> None:
    """float32 data are computed in float32, other data in float64, unless `dtype` is given."""
    for given, dtype, expected in [
        (np.float32, None, np.float32),
        (np.float64, None, np.float64),
        (np.uint8, None, np.float64),
        (np.float64, "float32", np.float32),
        (np.float32, "float64", np.float64),
    ]:
        model = MLPRegressor(**WORDS, dtype=dtype).fit(X.astype(given), Y)
        assert {p.dtype for p in model.coefs_ + model.intercepts_} == {np.dtype(expected)}
        assert model.predict(X.astype(given)).dtype == expected


# -- keeping ---------------------------------------------------------------------------------------------------------


def pickled(model: Any) -> Any:
    return pickle.loads(pickle.dumps(model))


def dumped(model: Any) -> Any:
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


@pytest.mark.parametrize("ours", CLASSES)
@pytest.mark.parametrize("keep", [pickled, dumped, copy.deepcopy])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_kept_estimator_predicts_and_goes_on(ours: Any, keep: Any, solver: str) -> None:
    """A pickled estimator continues with its optimiser state and adaptive rate; shuffling starts a new stream."""
    words = {
        **WORDS,
        "solver": solver,
        "shuffle": False,
        "learning_rate": "adaptive",
        "tol": 0.5,
        "n_iter_no_change": 1,
    }
    model = ours(**words).fit(X, Y)
    again = keep(model)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert not np.shares_memory(again.coefs_[0], model.coefs_[0])
    again = keep(model)
    for _ in range(3):
        for each in (model, again):
            each.partial_fit(X, Y)
    assert_same(model, again)
    assert again.loss_curve_ == model.loss_curve_
    assert again._optimizer.learning_rate == model._optimizer.learning_rate
    assert len(pickle.dumps(keep(keep(model)))) < 1.1 * len(pickle.dumps(model))


@pytest.mark.parametrize("ours", CLASSES)
def test_a_clone_has_all_parameters(ours: Any) -> None:
    model = ours(
        **WORDS,
        regularization=fastmlp.Regularization(dropout=0.25),
        schedule=fastmlp.ExponentialDecay(0.01, gamma=0.99),
        callbacks=[fastmlp.EarlyStopping("loss")],
        n_threads=2,
    )
    other = clone(model)
    assert {k: repr(v) for k, v in other.get_params().items()} == {k: repr(v) for k, v in model.get_params().items()}
    other.fit(X, Y)
    assert not hasattr(model, "coefs_")
    assert_same(other, clone(other).fit(X, Y))


# -- among scikit-learn's tools --------------------------------------------------------------------------------------


def search(n_jobs: int, backend: str = "loky") -> Any:
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(**WORDS))
    grid = {"mlpclassifier__alpha": [1e-4, 1.0], "mlpclassifier__solver": ["adam", "lbfgs"]}
    with joblib.parallel_config(backend=backend):
        return GridSearchCV(pipeline, grid, cv=3, n_jobs=n_jobs).fit(X, Y)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_a_search_has_the_same_results_in_parallel(backend: str) -> None:
    alone, parallel = search(1), search(2, backend)
    np.testing.assert_array_equal(parallel.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
    assert parallel.best_params_ == alone.best_params_
    assert_same(parallel.best_estimator_[-1], alone.best_estimator_[-1])


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_parallel_fits_have_a_core_each(backend: str) -> None:
    assert parameters.threads(None) == "auto"
    assert joblib.Parallel(2, backend=backend)(joblib.delayed(parameters.threads)(None) for _ in range(4)) == [1] * 4
    assert parameters.threads(2) == 2


def test_a_file_gives_what_an_array_does(tmp_path: pathlib.Path) -> None:
    """A memory-mapped file, as joblib passes to workers, gives the results of an array."""
    X.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", np.float64, "r", shape=X.shape)
    for early_stopping in (False, True):
        array, file = (MLPClassifier(**WORDS, early_stopping=early_stopping).fit(rows, Y) for rows in (X, mapped))
        assert_same(array, file)
        np.testing.assert_array_equal(array.predict(X), file.predict(mapped))


def test_fits_in_threads_are_the_same_as_one_after_another() -> None:
    def fit(seed: int) -> Any:
        return MLPClassifier(**{**WORDS, "random_state": seed}).fit(X, Y)

    alone = [fit(seed) for seed in range(6)]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        together = list(pool.map(fit, range(6)))
    for a, b in zip(alone, together, strict=True):
        assert_same(a, b)
        assert a.loss_curve_ == b.loss_curve_


def test_any_number_of_threads_gives_the_same_bits() -> None:
    fits = [
        MLPClassifier(**{**WORDS, "hidden_layer_sizes": 128, "engine": "native", "n_threads": n}) for n in (1, 2, 3)
    ]
    for each in fits:
        assert_same(each.fit(X, Y), fits[0])


def test_weights_are_routed() -> None:
    weights = np.random.default_rng(0).uniform(size=300)
    with sklearn.config_context(enable_metadata_routing=True):
        model = MLPRegressor(**WORDS).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model).fit(
            X, Y, sample_weight=weights
        )
        scores = cross_val_score(pipeline, X, Y, params={"sample_weight": weights}, cv=3)
    scaled = StandardScaler().fit_transform(X)
    assert_same(pipeline[-1], MLPRegressor(**WORDS).fit(scaled, Y, sample_weight=weights))
    assert np.isfinite(scores).all()


def test_frames() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    model = make_pipeline(StandardScaler().set_output(transform="pandas"), MLPClassifier(**WORDS)).fit(frame, Y)
    assert list(model[-1].feature_names_in_) == list(frame.columns)
    np.testing.assert_array_equal(model.predict(frame), model[-1].predict(model[0].transform(frame)))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model[-1].predict(X)
    with pytest.raises(ValueError, match="feature names should match"):
        model[-1].predict(model[0].transform(frame)[frame.columns[::-1]])


@pytest.mark.parametrize("make", [sparse.csr_matrix, sparse.csc_array], ids=["csr", "csc"])
@pytest.mark.parametrize("words", [{}, {"solver": "lbfgs"}, {"early_stopping": True}], ids=str)
def test_sparse_rows(make: Any, words: dict[str, Any]) -> None:
    model, control = (MLPClassifier(**{**WORDS, **words}) for _ in range(2))
    assert_same(model.fit(make(X), Y), control.fit(X, Y))
    np.testing.assert_array_equal(model.predict(make(X)), control.predict(X))


def test_rows_in_any_form_are_predicted_alike() -> None:
    """Rows of any form, read in place or converted, are predicted alike."""
    model = MLPClassifier(**WORDS).fit(X, Y)
    expected = model.predict_proba(X)
    for rows in (np.asfortranarray(X), X.tolist(), X.astype(">f8"), X[:, ::-1][:, ::-1], X.view(np.ndarray)):
        np.testing.assert_array_equal(model.predict_proba(rows), expected)
    for i in (0, 17):
        np.testing.assert_array_equal(model.predict_proba(X[i : i + 1])[0], expected[i])
    with sklearn.config_context(assume_finite=True):
        assert np.isnan(model.predict_proba(np.full((1, 64), np.nan))).all()


# -- stopping --------------------------------------------------------------------------------------------------------


def test_warnings_are_scikit_learns() -> None:
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(6\) reached and the optimization hasn't conv"):
        MLPClassifier(**WORDS).fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge after 6 iteration"):
        MLPClassifier(**WORDS, solver="lbfgs").fit(X, Y)
    with pytest.warns(UserWarning, match="larger than sample size. It is going to be clipped"):
        MLPClassifier(**WORDS, batch_size=301).fit(X, Y)


@pytest.mark.parametrize("ours", CLASSES)
def test_early_stopping_goes_back_to_the_best_weights(ours: Any) -> None:
    """The best weights have the best score on the rows that scikit-learn holds out."""
    model = ours(
        **{**WORDS, "max_iter": 200, "early_stopping": True, "n_iter_no_change": 3, "learning_rate_init": 0.03}
    )
    model.fit(X, Y)
    rng = np.random.RandomState(0)
    first = ours(**{**WORDS, "random_state": rng})
    first._check_data(X, Y, False, True)
    words_of_first = [64, 16, len(np.unique(Y)) if ours is MLPClassifier else 1]
    parameters.first_parameters(words_of_first, "relu", np.float64, rng)
    _, held_out, _, targets = train_test_split(X, Y, random_state=rng, test_size=0.1)
    score = accuracy_score if ours is MLPClassifier else r2_score
    assert score(targets, model.predict(held_out)) == pytest.approx(model.best_validation_score_, rel=1e-12)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.n_iter_ == len(model.validation_scores_) < 200
    assert model.history_.stopped == "early_stopping"


@pytest.mark.parametrize("ours", CLASSES)
def test_a_warm_start_that_improves_nothing_keeps_the_best_weights(ours: Any) -> None:
    words = {**WORDS, "early_stopping": True, "warm_start": True, "learning_rate_init": 0.03, "max_iter": 60}
    model = ours(**words).fit(X, Y)
    best, weights = model.best_validation_score_, model.coefs_
    model.set_params(max_iter=3).fit(X, Y[::-1])
    assert model.best_validation_score_ == best > model.validation_scores_[-1]
    for a, b in zip(model.coefs_, weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_weights_count_in_the_held_out_score() -> None:
    """If only the held-out rows of one class have weight, the score is that of these rows."""
    for ours in CLASSES:
        heavy = np.where(Y == 3, 1.0, 1e-9)
        words = {**WORDS, "max_iter": 1, "early_stopping": True}
        model = ours(**words).fit(X, Y, sample_weight=heavy)
        theirs = getattr(neural_network, ours.__name__)(**words, shuffle=False).fit(X, Y, sample_weight=heavy)
        unshuffled = ours(**words, shuffle=False).fit(X, Y, sample_weight=heavy)
        assert unshuffled.validation_scores_ == pytest.approx(theirs.validation_scores_, rel=1e-9)
        assert len(model.validation_scores_) == 1


class Interrupt:
    """A callback that raises KeyboardInterrupt in the third epoch."""

    def on_epoch_begin(self, epoch: int, logs: Any) -> None:
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_interrupted_fit_keeps_what_it_has(early_stopping: bool) -> None:
    words = {**WORDS, "early_stopping": early_stopping}
    model = MLPClassifier(**words, callbacks=[Interrupt()])
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, Y)
    control = MLPClassifier(**{**words, "max_iter": 2}).fit(X, Y)
    assert model.loss_curve_ == control.loss_curve_
    assert model.n_iter_ == 2
    assert_same(model, control)


def test_what_diverges_is_refused_and_the_best_kept() -> None:
    words = {**WORDS, "solver": "sgd", "activation": "identity", "learning_rate_init": 10.0, "max_iter": 50}
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        MLPRegressor(**words).fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="non-finite"), np.errstate(over="ignore"):
        model = MLPRegressor(**words, early_stopping=True).fit(X, Y)
    assert math.isnan(model.validation_scores_[-1])
    assert np.isfinite(model.predict(X)).all()


def test_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    words = {**WORDS, "verbose": True, "shuffle": False, "early_stopping": True, "max_iter": 3}
    outputs = []
    for module in (neural_network, __import__("fastmlp.sklearn").sklearn):
        module.MLPClassifier(**words).fit(X, Y)
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] != ""
    words = {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1, "max_iter": 60}
    for module in (neural_network, __import__("fastmlp.sklearn").sklearn):
        module.MLPClassifier(**{**WORDS, **words}, verbose=True, shuffle=False).fit(X, Y)
        outputs.append(capsys.readouterr().out)
    assert outputs[2] == outputs[3]
    assert "Learning rate too small. Stopping." in outputs[3]


# -- more than scikit-learn has --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "solver", ["adamw", "nadam", "rmsprop", "adagrad", "lion", "rprop", fastmlp.AdamW(0.01)], ids=str
)
def test_solvers(solver: Any) -> None:
    model = MLPClassifier(**{**WORDS, "max_iter": 30, "learning_rate_init": 0.01}, solver=solver).fit(X, Y)
    assert model.loss_curve_[-1] < 0.8 * model.loss_curve_[0]
    assert hasattr(model, "partial_fit") == (solver != "rprop")


def test_everything_that_the_trainer_has(tmp_path: pathlib.Path) -> None:
    """Each keyword argument reaches the network: a fit of a network with the same weights and arguments agrees."""
    regularization = fastmlp.Regularization(l1=1e-4, clip_norm=1.0)
    schedule = fastmlp.ExponentialDecay(0.01, gamma=0.99)
    model = MLPClassifier(
        [12, 8],
        ["gelu", fastmlp.Tanh()],
        max_iter=4,
        random_state=0,
        shuffle=False,
        loss=fastmlp.CrossEntropy(label_smoothing=0.1),
        class_weight={0: 3.0},
        regularization=regularization,
        schedule=schedule,
        callbacks=[fastmlp.Checkpoint(tmp_path / "c")],
        dtype="float32",
        engine="blas",
        n_threads=1,
    )
    model.fit(X, Y, X_val=X[:50], y_val=Y[:50])
    network = fastmlp.Network(
        [64, 12, 8, 10], activation=["gelu", "tanh"], loss=fastmlp.CrossEntropy(label_smoothing=0.1), engine="blas"
    )
    coefs, intercepts = parameters.first_parameters([64, 12, 8, 10], "gelu", np.float32, np.random.RandomState(0))
    for l, (w, b) in enumerate(zip(coefs, intercepts, strict=True)):
        network.set_layer(l, w.T, b)
    history = network.fit(
        X,
        Y,
        epochs=4,
        batch_size=200,
        shuffle=False,
        optimizer=fastmlp.AdamHat(schedule),
        regularization=regularization,
        class_weight={0: 3.0},
        validation_data=(X[:50], Y[:50]),
    )
    np.testing.assert_array_equal(model.coefs_[1].T, network.weights[1])
    assert model.history_.val_accuracy == history.val_accuracy
    again = clone(model).set_params(max_iter=6, resume=tmp_path / "c").fit(X, Y, X_val=X[:50], y_val=Y[:50])
    control = clone(model).set_params(max_iter=6, callbacks=()).fit(X, Y, X_val=X[:50], y_val=Y[:50])
    assert_same(again, control)
    assert again.loss_curve_ == control.loss_curve_
    assert (again.n_iter_, again.t_) == (control.n_iter_, control.t_)


def test_class_weights_are_scikit_learns() -> None:
    names = np.array(["odd", "even", "zero"])[np.where(Y == 0, 2, Y % 2)]
    weights = sklearn.utils.class_weight.compute_sample_weight("balanced", names)
    model = MLPClassifier(**WORDS, class_weight="balanced").fit(X, names)
    assert_same(model, MLPClassifier(**WORDS).fit(X, names, sample_weight=weights))
    with pytest.raises(ValueError, match="class_weight 'balanced' is not supported for partial_fit"):
        model.partial_fit(X, names)
    doubled = MLPClassifier(**WORDS, class_weight={"zero": 2.0}).fit(X, names, sample_weight=weights)
    assert_same(doubled, MLPClassifier(**WORDS).fit(X, names, sample_weight=weights * np.where(names == "zero", 2, 1)))


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "log_cosh", "gamma", fastmlp.Huber(0.5)], ids=str)
def test_losses_of_numbers(loss: Any) -> None:
    y = 1.0 + Y / 5
    model = MLPRegressor(loss, **{**WORDS, "max_iter": 60}, learning_rate_init=0.01).fit(X, y)
    assert model.score(X, y) > 0.5
    assert model.predict(X).shape == (300,)


def test_losses_with_more_outputs_than_targets() -> None:
    levels = MLPRegressor(fastmlp.Quantile([0.1, 0.5, 0.9]), **{**WORDS, "max_iter": 100}).fit(X, Y)
    low, middle, high = levels.to_network().predict(X).T
    assert levels.n_outputs_ == 1
    np.testing.assert_array_equal(levels.predict(X), middle)
    assert np.mean(low <= high) > 0.9
    normal = MLPRegressor("gaussian_nll", **{**WORDS, "max_iter": 60}, early_stopping=True).fit(X, Y)
    assert normal.predict(X).shape == (300,)


def test_losses_of_classes() -> None:
    for y in (Y, Y % 2, np.where(Y % 2, "odd", "even")):
        for loss in ("focal", "hinge"):
            model = MLPClassifier(**{**WORDS, "max_iter": 60}, learning_rate_init=0.01, loss=loss).fit(X, y)
            assert model.score(X, y) > 0.9
            assert hasattr(model, "predict_proba") == (loss == "focal")


def test_the_time_may_be_limited() -> None:
    model = MLPClassifier(16, max_iter=10**9, tol=0.0, n_iter_no_change=np.inf, max_time=0.2, random_state=0).fit(X, Y)
    assert model.history_.stopped == "max_time"
    assert model.n_iter_ == len(model.loss_curve_) > 0
