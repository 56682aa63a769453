"""The reference's training: optimisers, `fit`, what an error leaves behind, and copies.

The reference is loaded by its path, so these tests need no compiled package. The oracles are loops written here, and
networks that reach the same state in another way.
"""

from __future__ import annotations

import copy
import math
import pickle

import pytest

from implementations import load_reference, named, numbers

reference = load_reference()
Network = reference.Network


# --- optimisers ---


def sgd_by_hand(P, gradient, steps, r, mu, nesterov):
    buffer = None
    for _ in range(steps):
        g = gradient(P)
        if mu:
            buffer = g if buffer is None else [mu * b + d for b, d in zip(buffer, g, strict=True)]
            g = [d + mu * b for b, d in zip(buffer, g, strict=True)] if nesterov else buffer
        P = [p - r * d for p, d in zip(P, g, strict=True)]
    return P


def adam_by_hand(P, gradient, steps, r, beta_1, beta_2, epsilon):
    m, v = [0.0] * len(P), [0.0] * len(P)
    for t in range(1, steps + 1):
        g = gradient(P)
        m = [beta_1 * a + (1 - beta_1) * d for a, d in zip(m, g, strict=True)]
        v = [beta_2 * a + (1 - beta_2) * d**2 for a, d in zip(v, g, strict=True)]
        hats = [(a / (1 - beta_1**t), b / (1 - beta_2**t)) for a, b in zip(m, v, strict=True)]
        P = [p - r * a / (math.sqrt(b) + epsilon) for p, (a, b) in zip(P, hats, strict=True)]
    return P


OPTIMIZERS = [
    (named("sgd", learning_rate=0.3), lambda P, g, n: sgd_by_hand(P, g, n, 0.3, 0.0, False)),
    (named("sgd", learning_rate=0.1, momentum=0.9), lambda P, g, n: sgd_by_hand(P, g, n, 0.1, 0.9, False)),
    (
        named("sgd", learning_rate=0.1, momentum=0.8, nesterov=True),
        lambda P, g, n: sgd_by_hand(P, g, n, 0.1, 0.8, True),
    ),
    (named("adam"), lambda P, g, n: adam_by_hand(P, g, n, 0.001, 0.9, 0.999, 1e-8)),
    (
        named("adam", learning_rate=0.05, beta_1=0.5, beta_2=0.9, epsilon=0.1),
        lambda P, g, n: adam_by_hand(P, g, n, 0.05, 0.5, 0.9, 0.1),
    ),
]


@pytest.mark.parametrize(("optimizer", "by_hand"), OPTIMIZERS, ids=lambda value: repr(value)[:60])
def test_optimizers_against_loops(optimizer, by_hand):
    net = Network([3, 4, 2], activation="tanh", seed=2)
    X, y = numbers(6, 3), numbers(6, 2, seed=1)
    probe = net.copy()

    def gradient(P):
        probe.parameters = P
        return probe.loss_and_grad(X, y)[1]

    expected = by_hand(net.parameters, gradient, 25)
    for _ in range(25):
        net.train_on_batch(X, y, optimizer)
    assert net.parameters == pytest.approx(expected, rel=1e-12, abs=1e-13)


def trained(net, *steps):
    X, y = numbers(6, 3), numbers(6, 2, seed=1)
    for optimizer in steps:
        net.train_on_batch(X, y, optimizer)
    return net.parameters


MOMENTUM = named("sgd", learning_rate=0.1, momentum=0.9)


def test_an_equal_optimizer_or_none_continues():
    start = Network([3, 4, 2], seed=2)
    twin = named("sgd", learning_rate=0.1, momentum=0.9, nesterov=False)
    assert trained(start.copy(), MOMENTUM, MOMENTUM) == trained(start.copy(), MOMENTUM, None)
    assert trained(start.copy(), MOMENTUM, MOMENTUM) == trained(start.copy(), MOMENTUM, twin)
    assert trained(start.copy(), None, None) == trained(start.copy(), "adam", "adam")


def test_another_optimizer_starts_anew():
    start = Network([3, 4, 2], seed=2)
    other = named("sgd", learning_rate=0.1, momentum=0.8)
    fresh = start.copy()
    fresh.parameters = trained(start.copy(), MOMENTUM)
    assert trained(start.copy(), MOMENTUM, other) == trained(fresh.copy(), other)
    assert trained(start.copy(), MOMENTUM, MOMENTUM) != trained(fresh.copy(), MOMENTUM)
    assert trained(start.copy(), MOMENTUM, other, MOMENTUM) == trained(fresh.copy(), other, MOMENTUM)


@pytest.mark.parametrize("optimizer", [MOMENTUM, None], ids=["the same", "None"])
@pytest.mark.parametrize("how", ["parameters", "set_layer"])
def test_assigning_parameters_starts_anew(how, optimizer):
    net = Network([3, 4, 2], seed=2)
    trained(net, MOMENTUM)
    fresh = Network([3, 4, 2], seed=2)
    fresh.parameters = net.parameters
    if how == "parameters":
        net.parameters = net.parameters
    else:
        net.set_layer(0, net.weights[0], net.biases[0])
    assert trained(net, optimizer) == trained(fresh, MOMENTUM)  # None continues with the last optimiser


# --- fit ---


@pytest.mark.parametrize("optimizer", [optimizer for optimizer, _ in OPTIMIZERS] + ["adam", "sgd"], ids=repr)
def test_two_fits_of_five_epochs_are_one_of_ten(optimizer):
    X, y = numbers(17, 3), numbers(17, 2, seed=1)
    once, twice = Network([3, 4, 2], seed=2), Network([3, 4, 2], seed=2)
    history = once.fit(X, y, epochs=10, batch_size=5, optimizer=optimizer)
    first = twice.fit(X, y, epochs=5, batch_size=5, optimizer=optimizer)
    second = twice.fit(X, y, epochs=5, batch_size=5, optimizer=None)
    assert once.parameters == twice.parameters
    assert history["loss"] == first["loss"] + second["loss"]


@pytest.mark.parametrize("shuffle", [True, False])
def test_fit_is_a_loop_of_train_on_batch(shuffle):
    X, y = numbers(11, 3), numbers(11, 2, seed=1)
    net = Network([3, 4, 2], init="normal", seed=6)
    loop = net.copy()
    stream = reference.SplitMix64(6)
    for _ in range(2 * 26):  # the 26 parameters, two draws each
        stream.next()
    losses = []
    for _ in range(3):
        order = stream.permutation(11) if shuffle else list(range(11))
        total = 0.0
        for batch in (order[:4], order[4:8], order[8:]):
            total += len(batch) * loop.train_on_batch([X[k] for k in batch], [y[k] for k in batch], MOMENTUM)
        losses.append(total / 11)
    history = net.fit(X, y, epochs=3, batch_size=4, optimizer=MOMENTUM, shuffle=shuffle)
    assert net.parameters == loop.parameters
    assert history.loss == losses


def test_without_shuffling_nothing_is_drawn():
    net = Network([3, 2], seed=1)
    before = net._random.state
    net.fit(numbers(5, 3), numbers(5, 2), shuffle=False)
    assert net._random.state == before
    net.fit(numbers(5, 3), numbers(5, 2), epochs=1)
    assert net._random.state == (before + 4 * 0x9E3779B97F4A7C15) % 2**64


def test_batch_sizes():
    X, y = numbers(7, 3), numbers(7, 2, seed=1)
    start = Network([3, 2], seed=1)
    nets = [start.copy() for _ in range(3)]
    for net, batch_size in zip(nets, [None, 7, 1000], strict=True):
        net.fit(X, y, epochs=2, batch_size=batch_size, shuffle=False)
    assert nets[0].parameters == nets[1].parameters == nets[2].parameters


def test_history_and_validation():
    X, labels = numbers(12, 3), [i % 2 for i in range(12)]
    net = Network([3, 4, 2], activation="tanh", loss="cross_entropy", seed=0)
    history = net.fit(X, labels, epochs=3, validation_data=(X[:5], labels[:5]))
    assert list(history) == ["loss", "val_loss", "val_accuracy"]
    assert {len(values) for values in history.values()} == {3}
    assert history.val_loss is history["val_loss"]
    assert (history.val_loss[-1], history.val_accuracy[-1]) == tuple(net.evaluate(X[:5], labels[:5]).values())
    with pytest.raises(AttributeError):
        history.val_mae  # noqa: B018


def test_verbose_prints_a_line_an_epoch_to_stderr(capsys):
    Network([3, 2]).fit(numbers(4, 3), numbers(4, 2), epochs=3, verbose=1)
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.splitlines()) == 3
    Network([3, 2]).fit(numbers(4, 3), numbers(4, 2), epochs=3)
    assert capsys.readouterr().err == ""


def test_callbacks():
    calls = []

    class Recorder:
        def on_train_begin(self, logs):
            calls.append(("train_begin", logs))

        def on_epoch_begin(self, epoch, logs):
            calls.append(("epoch_begin", epoch))

        def on_epoch_end(self, epoch, logs):
            calls.append(("epoch_end", epoch, sorted(logs)))

        def on_train_end(self, logs):
            calls.append(("train_end", sorted(logs)))

    history = Network([3, 2]).fit(
        numbers(4, 3), numbers(4, 2), epochs=9, callbacks=[lambda epoch, logs: epoch == 1, Recorder()]
    )
    assert len(history.loss) == 2
    assert calls == [
        ("train_begin", {}),
        ("epoch_begin", 0),
        ("epoch_end", 0, ["loss"]),
        ("epoch_begin", 1),
        ("epoch_end", 1, ["loss"]),
        ("train_end", ["loss"]),
    ]
    assert len(Network([3, 2]).fit(numbers(4, 3), numbers(4, 2), epochs=3, callbacks=[lambda *_: 1]).loss) == 3


def state_of(net):
    return copy.deepcopy((net.parameters, net._random.state, net._optimizer, net._states, net._n_steps))


def test_divergence_keeps_the_last_good_epoch():
    X, y = numbers(8, 3), numbers(8, 2, seed=1)
    net = Network([3, 2], seed=2)  # one layer, so that it overflows after many epochs, within an epoch
    good = []
    optimizer = named("sgd", learning_rate=3.0, momentum=0.9)
    with pytest.raises(FloatingPointError, match=r"epoch \d+: loss"):
        net.fit(X, y, epochs=500, batch_size=1, optimizer=optimizer, callbacks=[lambda *_: good.append(state_of(net))])
    assert good
    assert state_of(net) == good[-1]
    assert all(map(math.isfinite, net.parameters))


def test_divergence_in_the_first_epoch_leaves_the_network_as_before_it():
    net, control = Network([3, 2], seed=2), Network([3, 2], seed=2)
    with pytest.raises(FloatingPointError, match="epoch 1"):
        net.fit([[1e200] * 3] * 2, [[1.0, 0.0]] * 2, optimizer=MOMENTUM)
    X, y = numbers(8, 3), numbers(8, 2, seed=1)
    net.fit(X, y, epochs=2, optimizer=None)
    control.fit(X, y, epochs=2, optimizer=MOMENTUM)
    assert state_of(net) == state_of(control)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_epoch_that_is_cut_short_is_taken_back(error):
    net = Network([3, 4, 2], seed=2)
    X, y = numbers(8, 3), numbers(8, 2, seed=1)
    net.fit(X, y, epochs=1, optimizer=MOMENTUM)
    before, step, calls = state_of(net), net._step, []

    def cut_short(gradient):
        calls.append(None)
        step(gradient)
        if len(calls) == 3:
            raise error

    net._step = cut_short
    with pytest.raises(error):
        net.fit(X, y, epochs=1, batch_size=2, optimizer=MOMENTUM)
    assert len(calls) == 3
    assert state_of(net) == before


def test_an_error_in_a_callback_keeps_the_epoch_that_it_heard_of():
    def refuse(epoch, logs):
        raise LookupError(epoch)

    net, control = Network([3, 4, 2], seed=2), Network([3, 4, 2], seed=2)
    with pytest.raises(LookupError):
        net.fit(numbers(8, 3), numbers(8, 2), callbacks=[refuse])
    control.fit(numbers(8, 3), numbers(8, 2), epochs=1)
    assert state_of(net) == state_of(control)


def test_train_on_batch_that_overflows_writes_nothing():
    net = Network([3, 2], seed=2)
    before = net.parameters
    with pytest.raises(FloatingPointError):
        net.train_on_batch([[1e200] * 3], [[1.0, 0.0]])
    assert net.parameters == before


# --- copies ---


@pytest.mark.parametrize(
    "duplicate",
    [lambda net: net.copy(), copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))],
    ids=["copy", "copy.copy", "deepcopy", "pickle"],
)
def test_copies_are_independent_and_start_their_optimizer_anew(duplicate):
    X, y = numbers(6, 3), numbers(6, 2, seed=1)
    net = Network([3, 4, 2], activation=named("sigmoid", beta=2.0), seed=5)
    net.fit(X, y, epochs=2, optimizer=MOMENTUM)
    before = state_of(net)
    anew = Network([3, 4, 2], activation=named("sigmoid", beta=2.0), seed=6)
    anew.parameters, anew._random.state = net.parameters, net._random.state
    twin = duplicate(net)
    assert state_of(twin) == state_of(anew)
    twin.fit(X, y, epochs=2, optimizer=MOMENTUM)
    anew.fit(X, y, epochs=2, optimizer=MOMENTUM)
    assert state_of(twin) == state_of(anew)
    assert state_of(net) == before
    net.fit(X, y, epochs=2, optimizer=MOMENTUM)
    assert net.parameters != twin.parameters  # it continues with its momentum
