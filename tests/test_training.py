"""Training: trajectories against PyTorch and the reference, the documented order, what continues, what stops."""

from __future__ import annotations

import contextlib
import functools
from typing import Any

import numpy as np
import pytest
from oracles import OUTPUTS, Torch, targets, twin

import fastmlp
from fastmlp import reference

OPTIMIZERS = [
    fastmlp.SGD(0.05),
    fastmlp.SGD(0.02, momentum=0.9),
    fastmlp.SGD(0.02, momentum=0.9, nesterov=True),
    fastmlp.Adam(0.01),
    fastmlp.Adam(0.02, beta_1=0.5, beta_2=0.9, epsilon=1e-3),
]


def data(n_rows: int = 23, n_inputs: int = 3, seed: int = 0) -> tuple[Any, Any]:
    """Rows that float16 holds exactly, and labels 0 and 1."""
    rng = np.random.default_rng(seed)
    return rng.integers(-32, 33, size=(n_rows, n_inputs)) / 16, rng.integers(2, size=n_rows)


def classifier(build: Any, **words: Any) -> Any:
    return build([3, 5, 2], **{"activation": "tanh", "loss": "cross_entropy", "seed": 1, **words})


def assert_same(net: Any, other: Any) -> None:
    """The same bits in P and the same place in the random stream."""
    np.testing.assert_array_equal(net.parameters, other.parameters)
    assert net._random_state == other._random_state


# -- trajectories --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", OUTPUTS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_25_steps_against_pytorch(build64: Any, optimizer: Any, loss: str) -> None:
    net = build64([7, 17, 4], activation="tanh", loss=loss, seed=2)
    X, _ = data(16, 7)
    y = targets(np.random.default_rng(2), loss, 16, 4, "labels" if loss == "cross_entropy" else "values")
    start = net.parameters
    for expected_loss, expected in Torch(net).train(X, y, optimizer, 25):
        assert net.train_on_batch(X, y, optimizer) == pytest.approx(expected_loss, rel=1e-8)
        np.testing.assert_allclose(net.parameters, expected, rtol=0, atol=1e-8 * np.abs(expected).max())
    assert np.abs(net.parameters - start).max() > 1e-2


@pytest.mark.parametrize("loss", OUTPUTS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_25_steps_against_the_reference(build: Any, optimizer: Any, loss: str) -> None:
    net = build([3, 6, 2], activation="sigmoid", loss=loss, init="normal", seed=3)
    oracle = twin(net)
    X, y = data()
    for _ in range(25):
        build.assert_close(net.train_on_batch(X, y, optimizer), oracle.train_on_batch(X, y, optimizer), net.sizes, 25)
    build.assert_close(net.parameters, oracle.parameters, net.sizes, passes=3 * 25)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_fit_against_the_reference(build64: Any, optimizer: Any, shuffle: bool) -> None:
    net = classifier(build64)
    oracle = twin(net)
    X, y = data()
    words: dict[str, Any] = {"epochs": 3, "batch_size": 4, "optimizer": optimizer, "shuffle": shuffle}
    history = net.fit(X, y, validation_data=(X[:9], y[:9]), **words)
    expected = oracle.fit(X, y, validation_data=(X[:9], y[:9]), **words)
    assert list(history) == list(expected) == ["loss", "val_loss", "val_accuracy"]
    for name in history:
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-9)
    np.testing.assert_allclose(net.parameters, oracle.parameters, rtol=0, atol=1e-9)
    assert net._random_state == oracle._random.state


# -- fit is a loop of train_on_batch in the documented order ---------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 4, 23, 100, None])
def test_fit_is_a_loop_of_train_on_batch(build: Any, batch_size: int | None, shuffle: bool) -> None:
    """With a short last batch, one larger than the data, and the full batch; the loss is the rows' mean."""
    fitted, stepped = classifier(build), classifier(build)
    stream = reference.SplitMix64(fitted._random_state)
    X, y = data()
    optimizer = fastmlp.SGD(0.1, momentum=0.5)
    history = fitted.fit(X, y, epochs=3, batch_size=batch_size, optimizer=optimizer, shuffle=shuffle)
    size = batch_size or len(X)
    losses = []
    for _ in range(3):
        order = stream.permutation(len(X)) if shuffle else list(range(len(X)))
        batches = [order[i : i + size] for i in range(0, len(X), size)]
        each = [stepped.train_on_batch(X[rows], y[rows], optimizer) * len(rows) for rows in batches]
        losses.append(sum(each) / len(X))
    np.testing.assert_array_equal(fitted.parameters, stepped.parameters)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-12)
    assert fitted._random_state == stream.state


def test_the_first_draws_of_a_seed_are_the_references(build: Any) -> None:
    """From the seed alone: initial parameters, then the order of the rows."""
    words: dict[str, Any] = {"activation": "tanh", "loss": "cross_entropy", "seed": 2**64 - 1}
    net, oracle = build([3, 5, 2], **words), reference.Network([3, 5, 2], **words)
    X, y = data()
    net.fit(X, y, epochs=2, batch_size=1, optimizer=fastmlp.SGD(0.1))
    oracle.fit(X, y, epochs=2, batch_size=1, optimizer=fastmlp.SGD(0.1))
    build.assert_close(net.parameters, oracle.parameters, net.sizes, passes=3 * 46)


@pytest.mark.parametrize("optimizer", [fastmlp.SGD(0.1), fastmlp.SGD(0.1, momentum=0.9), fastmlp.Adam()], ids=repr)
@pytest.mark.parametrize("batch_size", [4, None])
def test_two_fits_of_five_epochs_are_one_of_ten(build: Any, optimizer: Any, batch_size: int | None) -> None:
    X, y = data()
    fit = functools.partial(fastmlp.Network.fit, X=X, y=y, batch_size=batch_size, optimizer=optimizer)
    once, twice = classifier(build), classifier(build)
    whole = fit(once, epochs=10)
    halves = [fit(twice, epochs=5), fit(twice, epochs=5)]
    assert whole.loss == halves[0].loss + halves[1].loss
    assert_same(once, twice)


@pytest.mark.parametrize("form", ["uint8", "int64", "float16", "columns", "lists"])
def test_forms_of_input_train_alike(build: Any, form: str) -> None:
    X = np.random.default_rng(4).integers(0, 5, size=(300, 3))
    y = np.random.default_rng(5).integers(2, size=300)
    forms = {
        "uint8": X.astype(np.uint8),
        "int64": X,
        "float16": X.astype(np.float16),
        "columns": np.asfortranarray(X.astype(build.dtype)),
        "lists": X.tolist(),
    }
    nets = [classifier(build) for _ in range(2)]
    histories = [
        net.fit(x, y, epochs=2, batch_size=7, validation_data=(x, y))
        for net, x in zip(nets, [X.astype(build.dtype), forms[form]], strict=True)
    ]
    assert dict(histories[0]) == dict(histories[1])
    assert_same(*nets)
    for net, x in zip(nets, [X.astype(build.dtype), forms[form]], strict=True):
        net.train_on_batch(x, y)
    assert_same(*nets)


def test_arguments_are_not_written(build: Any) -> None:
    net = classifier(build)
    X, y = data()
    X, kept = X.astype(build.dtype), X.astype(build.dtype)
    t = y.copy()
    for array in (X, y):
        array.setflags(write=False)
    net.fit(X, y, epochs=2)
    net.train_on_batch(X, y)
    np.testing.assert_array_equal(X, kept)
    np.testing.assert_array_equal(y, t)


# -- what continues and what starts anew -----------------------------------------------------------------------------------


def resumed(net: Any, X: Any, y: Any, optimizer: Any, how: str) -> None:
    if how == "fit":
        net.fit(X, y, epochs=1, batch_size=None, optimizer=optimizer, shuffle=False)
    else:
        net.train_on_batch(X, y, optimizer)


ADAM = fastmlp.Adam(0.05)


@pytest.mark.parametrize("first", ["fit", "batch"])
@pytest.mark.parametrize("second", ["fit", "batch"])
@pytest.mark.parametrize("optimizer", [fastmlp.Adam(0.05), None], ids=["equal", "none"])
def test_an_equal_optimizer_or_none_continues(build: Any, optimizer: Any, first: str, second: str) -> None:
    X, y = data()
    net, control = classifier(build), classifier(build)
    resumed(net, X, y, ADAM, first)
    resumed(net, X, y, optimizer, second)
    for _ in range(2):
        control.train_on_batch(X, y, ADAM)
    assert_same(net, control)


@pytest.mark.parametrize("first", ["fit", "batch"])
@pytest.mark.parametrize("second", ["fit", "batch"])
@pytest.mark.parametrize("other", [fastmlp.Adam(0.04), fastmlp.SGD(0.1, momentum=0.9)], ids=repr)
def test_another_optimizer_starts_anew(build: Any, other: Any, first: str, second: str) -> None:
    """Anew, but from the parameters that the first one left, and with the first one's state gone for good."""
    X, y = data()
    net = classifier(build)
    resumed(net, X, y, ADAM, first)
    control = net.copy()
    fresh = classifier(build)
    resumed(fresh, X, y, ADAM, first)  # as net, but never read in between
    for each in (net, control, fresh):
        resumed(each, X, y, other, second)
        resumed(each, X, y, ADAM, second)
    assert_same(net, control)
    assert_same(net, fresh)


@pytest.mark.parametrize("how", ["parameters", "set_layer"])
@pytest.mark.parametrize("optimizer", [ADAM, fastmlp.SGD(0.1, momentum=0.9)], ids=repr)
@pytest.mark.parametrize("first", ["fit", "batch"])
def test_new_parameters_start_the_optimizer_anew(build: Any, optimizer: Any, how: str, first: str) -> None:
    X, y = data()
    net = classifier(build)
    resumed(net, X, y, optimizer, first)
    P = net.parameters
    if how == "parameters":
        net.parameters = P
    else:
        net.set_layer(0, net.weights[0], net.biases[0])
    control = classifier(build)
    control.parameters = P
    for each in (net, control):
        each.train_on_batch(X, y, optimizer)
    assert_same(net, control)


def test_none_begins_with_adam(build: Any) -> None:
    X, y = data()
    nets = [classifier(build) for _ in range(4)]
    nets[0].train_on_batch(X, y)
    nets[1].train_on_batch(X, y, fastmlp.Adam())
    nets[2].fit(X, y, epochs=1, batch_size=None, shuffle=False, optimizer=None)
    nets[3].fit(X, y, epochs=1, batch_size=None, shuffle=False)
    for net in nets[1:]:
        assert_same(nets[0], net)


def test_none_after_new_parameters_keeps_the_choice(build: Any) -> None:
    """`parameters` starts the optimiser anew: the same one, without its state."""
    X, y = data()
    net, control = classifier(build), classifier(build)
    net.train_on_batch(X, y, fastmlp.SGD(0.5))
    control.parameters = net.parameters
    net.parameters = net.parameters
    expected = net.copy()
    net.train_on_batch(X, y)
    expected.train_on_batch(X, y, fastmlp.SGD(0.5))
    assert_same(net, expected)


def test_reading_between_the_steps_changes_nothing(build: Any) -> None:
    X, y = data()
    net, control = classifier(build), classifier(build)
    for _ in range(4):
        net.train_on_batch(X, y, ADAM)
        _ = net.parameters, net.weights, net.predict(X), net.evaluate(X, y), net.loss_and_grad(X, y), net.copy()
        control.train_on_batch(X, y, ADAM)
    assert_same(net, control)


def test_steps_are_seen_by_every_reader(build: Any) -> None:
    X, y = data()
    readers = [
        lambda net: net.parameters,
        lambda net: np.concatenate([w.ravel() for w in net.weights]),
        lambda net: np.concatenate(net.biases),
        lambda net: net.predict(X),
        lambda net: net.activations(X)[0],
        lambda net: net.evaluate(X, y)["loss"],
        lambda net: net.loss_and_grad(X, y)[1],
        lambda net: net.input_gradient(X, y),
        lambda net: net.copy().parameters,
        lambda net: net.fold_linear().parameters,
    ]
    for reader in readers:
        net, control = classifier(build), classifier(build)
        before = reader(net)
        net.train_on_batch(X, y, ADAM)
        control.train_on_batch(X, y, ADAM)
        _ = control.parameters
        assert np.any(reader(net) != before)
        np.testing.assert_array_equal(reader(net), reader(control))


def test_set_layer_after_a_step_keeps_the_other_layers(build: Any) -> None:
    X, y = data()
    net = classifier(build)
    net.train_on_batch(X, y, ADAM)
    control = net.copy()
    other = classifier(build)
    other.train_on_batch(X, y, ADAM)
    other.set_layer(1, np.zeros((2, 5)), np.zeros(2))
    np.testing.assert_array_equal(other.weights[0], control.weights[0])


# -- validation, history, callbacks, words -----------------------------------------------------------------------------------


def test_validation_is_what_evaluate_says_after_each_epoch(build: Any) -> None:
    X, y = data()
    Xv, yv = data(11, 3, seed=1)
    net = classifier(build)
    seen = []
    history = net.fit(
        X, y, epochs=4, validation_data=(Xv, yv), callbacks=[lambda epoch, logs: seen.append(net.evaluate(Xv, yv))]
    )
    assert history.val_loss == [each["loss"] for each in seen]
    assert history.val_accuracy == [each["accuracy"] for each in seen]
    assert len(set(history.val_loss)) == 4


def test_validation_does_not_change_the_training(build: Any) -> None:
    X, y = data()
    net, control = classifier(build), classifier(build)
    net.fit(X, y, epochs=3, validation_data=[X[:5], y[:5]])
    control.fit(X, y, epochs=3)
    assert_same(net, control)


@pytest.mark.parametrize(("loss", "names"), [("mse", ["loss", "val_loss"]), ("binary_cross_entropy", None)])
def test_the_names_in_a_history(build: Any, loss: str, names: list[str] | None) -> None:
    X, y = data()
    history = build([3, 1], loss=loss, seed=0).fit(X, y, epochs=2, validation_data=(X, y))
    assert isinstance(history, fastmlp.History)
    assert list(history) == (names or ["loss", "val_loss", "val_accuracy"])
    assert all(len(values) == 2 and all(type(v) is float for v in values) for values in history.values())
    assert list(build([3, 1], loss=loss, seed=0).fit(X, y)) == ["loss"]
    assert len(build([3, 1], seed=0).fit(X, y).loss) == 10


class Recorder:
    """Hooks that write down what they are called with."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.calls: list[Any] = []
        self.stop_at = stop_at

    def on_train_begin(self, logs: Any) -> None:
        self.calls.append(("train begin", dict(logs)))

    def on_epoch_begin(self, epoch: int, logs: Any) -> None:
        self.calls.append(("begin", epoch))

    def on_epoch_end(self, epoch: int, logs: Any) -> bool:
        self.calls.append(("end", epoch, dict(logs)))
        return epoch == self.stop_at

    def on_train_end(self, logs: Any) -> None:
        self.calls.append(("train end", dict(logs)))


def test_hooks_and_functions_are_called_in_order(build: Any) -> None:
    X, y = data()
    net, recorder, seen = classifier(build), Recorder(), []
    history = net.fit(X, y, epochs=2, callbacks=[recorder, lambda epoch, logs: seen.append((epoch, dict(logs)))])
    logs = [{"loss": loss} for loss in history.loss]
    assert seen == [(0, logs[0]), (1, logs[1])]
    assert recorder.calls == [
        ("train begin", {}),
        ("begin", 0),
        ("end", 0, logs[0]),
        ("begin", 1),
        ("end", 1, logs[1]),
        ("train end", logs[1]),
    ]


class OneHook:
    """One of the hooks alone is enough."""

    def __init__(self) -> None:
        self.n_calls = 0

    def on_train_end(self, logs: Any) -> None:
        self.n_calls += 1


def test_one_hook_is_enough(build: Any) -> None:
    callback = OneHook()
    classifier(build).fit(*data(), epochs=3, callbacks=(callback,))
    assert callback.n_calls == 1


@pytest.mark.parametrize("how", ["function", "hook"])
def test_a_callback_stops_the_training(build: Any, how: str) -> None:
    """After its epoch, when all callbacks have heard of it; the rest is as if fewer epochs had been asked for."""
    X, y = data()
    net, control, last = classifier(build), classifier(build), Recorder()
    stopper = Recorder(stop_at=2) if how == "hook" else (lambda epoch, logs: epoch == 2)
    history = net.fit(X, y, epochs=50, callbacks=[stopper, last])
    assert history.epochs == 3
    assert [call[:2] for call in last.calls[-2:]] == [("end", 2), ("train end", {"loss": history.loss[2]})]
    control.fit(X, y, epochs=3)
    assert_same(net, control)


@pytest.mark.parametrize("answer", [None, False, 0, 1, "yes"])
def test_only_true_stops(build: Any, answer: Any) -> None:
    assert classifier(build).fit(*data(), epochs=3, callbacks=[lambda epoch, logs: answer]).epochs == 3


def test_numpys_true_stops(build: Any) -> None:
    """What `logs["loss"] < np.float64(...)` gives is a NumPy bool."""
    assert classifier(build).fit(*data(), epochs=3, callbacks=[lambda epoch, logs: np.True_]).epochs == 1


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_epoch_end"])
def test_an_error_in_a_callback_leaves_whole_epochs(build: Any, hook: str) -> None:
    X, y = data()
    net, control = classifier(build), classifier(build)

    def fail(*arguments: Any) -> None:
        if hook == "on_train_begin" or arguments[0] == 1:
            raise KeyError(hook)

    callback = type("Callback", (), {hook: staticmethod(fail)})()
    with pytest.raises(KeyError, match=hook):
        net.fit(X, y, epochs=5, callbacks=[callback])
    n_epochs = {"on_train_begin": 0, "on_epoch_begin": 1, "on_epoch_end": 2}[hook]
    if n_epochs:
        control.fit(X, y, epochs=n_epochs)
    assert_same(net, control)
    net.fit(X, y, epochs=2)
    control.fit(X, y, epochs=2)
    assert_same(net, control)


def test_callbacks_may_read_the_network(build: Any) -> None:
    X, y = data()
    net, control, seen = classifier(build), classifier(build), []
    net.fit(X, y, epochs=3, callbacks=[lambda epoch, logs: seen.append((net.parameters, net.predict(X)))])
    for P, outputs in seen:
        control.fit(X, y, epochs=1)
        np.testing.assert_array_equal(P, control.parameters)
        np.testing.assert_array_equal(outputs, control.predict(X))


def test_the_first_hook_sees_the_steps_before_the_fit(build: Any) -> None:
    X, y = data()
    net, control, seen = classifier(build), classifier(build), []
    for each in (net, control):
        each.train_on_batch(X, y, ADAM)
    callback = type("Callback", (), {"on_train_begin": lambda self, logs: seen.append(net.parameters)})()
    net.fit(X, y, epochs=1, optimizer=ADAM, callbacks=[callback])
    np.testing.assert_array_equal(seen[0], control.parameters)


def test_verbose(build: Any, capsys: pytest.CaptureFixture[str]) -> None:
    X, y = data()
    classifier(build).fit(X, y, epochs=3)
    assert capsys.readouterr() == ("", "")
    history = classifier(build).fit(X, y, epochs=3, verbose=1, validation_data=(X, y))
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 3
    for epoch, line in enumerate(lines):
        assert f"{epoch + 1}/3" in line
        for name, values in history.items():
            assert f"{name} {values[epoch]:.6g}" in line


# -- a fit that fails ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [fastmlp.SGD(0.1, momentum=0.9), fastmlp.Adam(0.01)], ids=repr)
@pytest.mark.parametrize("before", ["fit", "steps", "nothing"])
def test_a_diverging_fit_leaves_the_network_as_it_was(build: Any, optimizer: Any, before: str) -> None:
    """Parameters, the optimiser's state and the random stream: later fits are as if it had not happened."""
    X, y = data()
    targets_ = np.column_stack([y, 1 - y]).astype(float)
    huge = float(np.finfo(build.dtype).max) / 8
    net, control = (build([3, 5, 2], activation="tanh", seed=1) for _ in range(2))
    for each in (net, control):
        if before == "fit":
            each.fit(X, targets_, epochs=2, batch_size=5, optimizer=optimizer)
        for _ in range(3 * (before == "steps")):
            each.train_on_batch(X, targets_, optimizer)
    with pytest.raises(FloatingPointError, match=r"epoch 1 of 3.*(learning_rate|scale)"):
        net.fit(X, targets_ * huge, epochs=3, batch_size=5, optimizer=optimizer)
    assert_same(net, control)
    for each in (net, control):
        each.fit(X, targets_, epochs=2, batch_size=5, optimizer=optimizer)
        each.train_on_batch(X, targets_, optimizer)
    assert_same(net, control)


def test_a_fit_that_diverges_later_keeps_the_last_good_epoch(build: Any) -> None:
    """The rate is too large, so the parameters grow for some epochs before they overflow."""
    X, y = data()
    optimizer = fastmlp.SGD(30.0, momentum=0.9)
    net, control, good = (build([3, 1], seed=1) for _ in range(2)), None, []
    net, control = net
    with pytest.raises(FloatingPointError) as error:
        net.fit(X, y, epochs=500, optimizer=optimizer, callbacks=[lambda epoch, logs: good.append(net.parameters)])
    assert f"epoch {len(good) + 1} of 500" in str(error.value)
    assert 1 < len(good) < 500
    np.testing.assert_array_equal(net.parameters, good[-1])
    assert np.isfinite(net.parameters).all()
    control.fit(X, y, epochs=len(good), optimizer=optimizer)
    assert_same(net, control)
    for each in (net, control):
        each.parameters = np.zeros(4)
        each.fit(X, y, epochs=2)
    assert_same(net, control)


def test_a_step_that_fails_is_no_step(build: Any) -> None:
    X, y = data()
    huge = float(np.finfo(build.dtype).max) / 8
    net, control = (build([3, 1], activation="tanh", seed=1) for _ in range(2))
    for each in (net, control):
        each.train_on_batch(X, y, ADAM)
    with pytest.raises(FloatingPointError, match="loss: expected a finite number"):
        net.train_on_batch(X, y * huge, ADAM)
    assert_same(net, control)
    for each in (net, control):
        each.train_on_batch(X, y, ADAM)
    assert_same(net, control)


# -- whole trainings ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [fastmlp.SGD(0.5, momentum=0.9), fastmlp.Adam(0.03)], ids=repr)
def test_learns_two_moons_like_rings(build: Any, optimizer: Any) -> None:
    """Two circles, one in the other, which no line separates."""
    rng = np.random.default_rng(6)
    angle, y = rng.uniform(0, 2 * np.pi, size=300), np.arange(300) % 2
    X = np.column_stack([np.cos(angle), np.sin(angle)]) * (0.5 + 0.5 * y)[:, np.newaxis]
    net = build([2, 8, 2], activation="tanh", loss="cross_entropy", seed=6)
    history = net.fit(X, y, epochs=60, batch_size=16, optimizer=optimizer)
    assert net.evaluate(X, y)["accuracy"] >= 0.99
    assert history.loss[-1] < 0.1 * history.loss[0]


def test_linear_regression_is_least_squares(build64: Any) -> None:
    X, _ = data(40, 3)
    y = X @ [[1.0, -2.0], [0.5, 0.0], [3.0, 1.0]] + [0.25, -1.0] + np.random.default_rng(7).normal(size=(40, 2))
    net = build64([3, 2], seed=7)
    net.fit(X, y, epochs=3000, batch_size=None, optimizer=fastmlp.SGD(0.2, momentum=0.5))
    solution = np.linalg.lstsq(np.column_stack([X, np.ones(40)]), y, rcond=None)[0]
    np.testing.assert_allclose(net.weights[0], solution[:3].T, rtol=0, atol=1e-9)
    np.testing.assert_allclose(net.biases[0], solution[3], rtol=0, atol=1e-9)


@pytest.mark.parametrize("where", ["hidden", "output"])
def test_a_threshold_is_refused_before_anything_is_written(build: Any, where: str) -> None:
    words = {"activation": "threshold"} if where == "hidden" else {"output_activation": "threshold"}
    net = build([3, 4, 1], seed=8, **words)
    P, state = net.parameters, net._random_state
    X, y = data()
    for method in (net.fit, net.train_on_batch, net.loss_and_grad, net.input_gradient):
        with pytest.raises(ValueError, match=rf"{method.__name__}: .*'threshold' in layer {int(where == 'output')}"):
            method(X, y)
    np.testing.assert_array_equal(net.parameters, P)
    assert net._random_state == state
    assert net.evaluate(X, y)["loss"] >= 0


def test_train_on_batch_takes_a_single_row(build: Any) -> None:
    X, y = data()
    nets = [classifier(build) for _ in range(3)]
    nets[0].train_on_batch(X[0], int(y[0]))
    nets[1].train_on_batch(X[:1], y[:1])
    nets[2].train_on_batch(X[0], np.eye(2)[y[0]])
    assert_same(nets[0], nets[1])
    assert_same(nets[0], nets[2])


def test_training_with_one_row_and_one_neuron(build: Any) -> None:
    net = build([1, 1], seed=9)
    net.fit([[2.0]], [3.0], epochs=200, optimizer=fastmlp.SGD(0.1))
    assert net.predict([2.0])[0] == pytest.approx(3.0, abs=1e-5)


def test_large_batches_release_the_lock_and_train_alike(build: Any) -> None:
    rng = np.random.default_rng(10)
    X, y = rng.uniform(size=(600, 784)).astype(np.float32), rng.integers(10, size=600)
    fitted, stepped = (build([784, 32, 10], loss="cross_entropy", seed=10) for _ in range(2))
    fitted.fit(X, y, epochs=1, batch_size=300, shuffle=False, optimizer=ADAM)
    for part in (slice(0, 300), slice(300, 600)):
        stepped.train_on_batch(X[part], y[part], ADAM)
    build.assert_close(fitted.parameters, stepped.parameters, fitted.sizes, passes=6)
    with contextlib.suppress(FloatingPointError):
        stepped.train_on_batch(X, y, ADAM)
