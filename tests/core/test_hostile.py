"""Hostile and unfortunate use: no crash, no access out of bounds, and errors that say what was wrong.

Code that has crashed, or could, runs in a separate process (`crash_test`). A refused call does not change the network.
"""

from __future__ import annotations

import collections
import copy
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import fastmlp
from hostile import ONES, assert_whole, crash_test, small

# -- objects that are not, or not yet, or twice, built ----------------------------------------------------------------

METHODS = {
    "predict": "[1.0]",
    "__call__": "[1.0]",
    "classify": "[1.0]",
    "activations": "[1.0]",
    "pre_activations": "[1.0]",
    "evaluate": "[[1.0]], [1.0]",
    "loss_and_grad": "[[1.0]], [1.0]",
    "input_gradient": "[[1.0]], [1.0]",
    "fit": "[[1.0]], [1.0]",
    "train_on_batch": "[[1.0]], [1.0]",
    "set_layer": "0, [[1.0]], [1.0]",
    "summary": "",
    "copy": "",
    "fold_linear": "",
    "save": "'never.safetensors'",
    "__reduce__": "",
    "__deepcopy__": "{}",
    "__repr__": "",
}


def test_a_network_without_init() -> None:
    """Every public method and attribute of an object that only __new__ has made is refused or harmless."""
    crash_test(
        f"""
        half = Network.__new__(Network)
        for name, arguments in {METHODS!r}.items():
            refused(lambda: eval(f"half.{{name}}({{arguments}})"))
        for name in dir(half):
            try:
                getattr(half, name)
            except (AttributeError, RuntimeError):
                pass
        refused(lambda: setattr(half, "parameters", [1.0]))
        """
    )


def test_a_method_called_on_something_else() -> None:
    """Network.predict(X, ...), without a network, raises TypeError, as for every Python class."""
    crash_test(
        """
        for other in (object(), "text", None, np.ones(3), []):
            for name in ("predict", "__call__", "classify", "activations", "pre_activations"):
                refused(lambda: getattr(Network, name)(other, np.ones(3)), TypeError, AttributeError)
        """
    )


@pytest.mark.parametrize("trained", [False, True])
def test_init_called_again(trained: bool) -> None:
    """A second __init__ is refused, whatever its arguments, and changes nothing."""
    crash_test(
        f"""
        for sizes, words in [([300, 400, 200], {{}}), ([1] * 500, {{"activation": "no such"}}),
                             ([5000, 1], {{"loss": "no such"}}), ([3], {{}}), ([3, 4, 2], {{"seed": 1}})]:
            once = net()
            if {trained}:
                once.train_on_batch(np.ones((4, 3)), np.ones((4, 2)))
            before, said = once.parameters, repr(once)
            refused(lambda: once.__init__(sizes, **words))
            assert repr(once) == said
            assert [w.shape for w in once.weights] == [(4, 3), (2, 4)]
            assert np.array_equal(once.parameters, before)
            once.fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1)
            assert once.copy().predict(np.ones(3)).shape == (2,)
        """
    )


def test_init_called_again_during_a_fit() -> None:
    crash_test(
        """
        once = net()
        refused(lambda: once.fit(np.ones((64, 3)), np.ones((64, 2)), callbacks=[lambda *_: once.__init__([30, 40])]))
        assert once.sizes == (3, 4, 2)
        once.fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1)
        """
    )


def test_core_itself() -> None:
    crash_test(
        """
        from fastmlp import _core
        core = _core.Core()
        for name in dir(core):
            try:
                getattr(core, name)
            except (AttributeError, RuntimeError):
                pass
        refused(lambda: core.predict(np.ones((2, 0))))
        refused(lambda: core.classify(np.ones((2, 0), bool)))
        refused(lambda: core.activations(np.ones(0)))
        """
    )


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_half_built_network_cannot_be_pickled(protocol: int) -> None:
    with pytest.raises((AttributeError, RuntimeError, TypeError)):
        pickle.dumps(fastmlp.Network.__new__(fastmlp.Network), protocol)
    assert np.array_equal(pickle.loads(pickle.dumps(small(), protocol)).parameters, small().parameters)


# -- arrays that change after they were checked -----------------------------------------------------------------------


@pytest.mark.parametrize("where", ["training", "validation"])
def test_labels_that_change_during_a_fit(where: str) -> None:
    """A callback that changes the labels has no effect, and no kernel accesses memory out of bounds."""
    crash_test(
        f"""
        X = np.ones((64, 3))
        twin = net(loss="cross_entropy").fit(X, [0] * 64, epochs=3, validation_data=(X, [0] * 64))
        for label in (1, 2, -1, -5000, 10**7):
            y, z = np.zeros(64, np.int64), np.zeros(64, np.int64)

            def relabel(epoch, logs):
                (y if {where == "training"} else z)[:] = label

            history = net(loss="cross_entropy").fit(X, y, epochs=3, validation_data=(X, z), callbacks=[relabel])
            assert dict(history) == dict(twin)
        """
    )


def test_inputs_that_become_nan_during_a_fit() -> None:
    """The epoch that reads the NaN raises; the parameters of the epoch before are kept."""
    X, y, states = np.ones((64, 3), np.float32), np.ones((64, 2), np.float32), []
    net = small()

    def spoil(epoch: int, logs: dict[str, float]) -> None:
        states.append(net.parameters)
        X[7, 1] = np.nan

    with pytest.raises(ValueError, match="row 7, column 1"):
        net.fit(X, y, callbacks=[spoil])
    assert len(states) == 1
    assert np.array_equal(net.parameters, states[0])


def test_out_that_shrinks_while_x_is_converted() -> None:
    crash_test(
        """
        buffer = np.empty((100_000, 2), np.float32)

        class Shrinks:
            calls = 0

            def __array__(self, dtype=None, copy=None):
                Shrinks.calls += 1
                if Shrinks.calls == 2:
                    buffer.resize((1, 2), refcheck=False)
                return np.ones((100_000, 3), np.float32)

        network = net()
        try:
            network.predict(Shrinks(), out=buffer)
        except ValueError:
            pass
        assert network.predict(np.ones(3)).shape == (2,)
        """
    )


class Changing:
    """An array-like that has a different shape each time it is converted."""

    def __init__(self) -> None:
        self.calls = 0

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        self.calls += 1
        return np.ones((self.calls, 3))


def test_an_array_like_is_asked_once() -> None:
    net, X = small(), Changing()
    for n_rows, function in enumerate([net.predict, net.classify, net.activations, net.pre_activations], start=1):
        result = function(X)
        assert len(result[0] if isinstance(result, list) else result) == n_rows
    assert net.evaluate(Changing(), [[0, 0]])["loss"] > 0
    assert net.input_gradient(Changing(), [[0, 0]]).shape == (1, 3)
    assert net.predict(Changing(), out=np.empty((1, 2), np.float32)).shape == (1, 2)
    with pytest.raises(ValueError, match="y"):
        net.fit(X, np.ones((4, 2)))


def test_an_array_like_that_uses_the_network() -> None:
    """The conversion of X may read, train and write the network."""
    net = small()

    class Busy:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            net.fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1)
            net.train_on_batch(np.ones((4, 3)), np.ones((4, 2)), "sgd")
            net.parameters = net.parameters
            return np.ones((4, 3))

    assert net.predict(Busy()).shape == (4, 2)
    net.train_on_batch(Busy(), np.ones((4, 2)), "adam")
    with pytest.raises(RuntimeError, match="fit"):
        net.fit(Busy(), np.ones((4, 2)))
    assert_whole(net)


# -- subclasses and duck types ----------------------------------------------------------------------------------------


def test_a_subclass_with_other_attributes() -> None:
    """Attributes that a subclass overrides do not affect the core, which keeps its own sizes and dtype."""
    crash_test(
        """
        class Narrow(Network):
            dtype = property(lambda self: np.dtype(np.float32))

        class Short(Network):
            n_parameters = 5

        X, y = np.ones((100_000, 3)), np.ones((100_000, 2))
        narrow, twin = Narrow([3, 4, 2], dtype="float64", seed=0), net(dtype="float64")
        for network in (narrow, twin):
            try:
                network.fit(X, y, epochs=1)
                network.train_on_batch(X, y)
            except (TypeError, ValueError):
                pass
        assert np.array_equal(narrow.predict(X.astype(np.float32)), twin.predict(X.astype(np.float32)))
        assert np.array_equal(narrow.predict(X), twin.predict(X))

        short = Short([300, 400, 2], seed=0)
        try:
            short.parameters = np.zeros(5)
        except (TypeError, ValueError):
            pass
        assert np.isfinite(short.predict(np.ones((2, 300)))).all()
        """
    )


def test_a_subclass_with_another_predict() -> None:
    """classify refuses results of an overridden predict that are not valid outputs, or does not call it."""
    crash_test(
        """
        results = [
            lambda y: y[:, :1], lambda y: y.astype("f8"), lambda y: y.T, lambda y: y[::2], lambda y: y[0],
            lambda y: None, lambda y: np.zeros((5,), object), lambda y: np.ones(()),
        ]

        class Other(Network):
            def predict(self, X, *, out=None):
                return self.result(super().predict(X))

        other, twin = Other([3, 4, 2000], seed=0), net(3, 4, 2000)
        X = np.random.default_rng(0).random((1_000, 3))
        for other.result in results:
            try:
                classes = other.classify(X)
            except (TypeError, ValueError):
                continue
            assert np.array_equal(classes, twin.classify(X))
        """
    )


def test_a_subclass_with_other_parameters() -> None:
    crash_test(
        """
        class Other(Network):
            @property
            def parameters(self):
                return np.zeros(5)

        other = Other([3, 4, 2], seed=0)
        try:
            other.set_layer(0, np.ones((4, 3)), np.ones(4))
        except (TypeError, ValueError):
            pass
        assert np.isfinite(other.predict(np.ones(3))).all()
        """
    )


class Named(fastmlp.Network):
    """A subclass with an additional attribute."""

    title = "as built"


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net)), Named.copy])
def test_a_copy_of_a_subclass_is_of_the_subclass(how: Callable[[Any], Any]) -> None:
    assert type(how(Named([3, 4, 2], seed=0))) is Named


def test_a_list_of_activations_that_lies() -> None:
    crash_test(
        """
        class Liar(collections.abc.Sequence):
            def __len__(self):
                return 1

            def __getitem__(self, index):
                if index >= 5000:
                    raise IndexError
                return "relu"

        try:
            liar = net(activation=Liar())
        except ValueError:
            pass
        else:
            assert np.array_equal(liar.predict(np.ones(3)), net().predict(np.ones(3)))
        """
    )


def test_activations_that_have_no_kernel() -> None:
    crash_test(
        """
        from fastmlp.activations import Activation

        @dataclasses.dataclass(frozen=True)
        class Own(Activation):
            name = "swish"

        @dataclasses.dataclass(frozen=True)
        class Many(fastmlp.Sigmoid):
            hyper_parameters = property(lambda self: tuple(range(5000)))

        refused(lambda: Activation()(1.0))
        refused(lambda: Own()(1.0))
        refused(lambda: Own().derivative(1.0))
        refused(lambda: Activation.derivative(fastmlp.Softmax(), [1.0, 2.0]))
        refused(lambda: Many()(1.0))
        refused(lambda: net(activation=Own()))
        """
    )


# -- callbacks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [ValueError, SystemExit, GeneratorExit, KeyboardInterrupt, StopIteration, MemoryError]
)
@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end"])
def test_errors_in_callbacks(error: type[BaseException], hook: str) -> None:
    """`fit` raises the exceptions of callbacks unchanged, and the network can be trained afterwards."""

    def raise_it(self: Any, *_: Any) -> None:
        raise error("as it pleases")

    net = small()
    with pytest.raises(error, match="as it pleases"):
        net.fit(ONES, np.ones((4, 2)), callbacks=[type("Callback", (), {hook: raise_it})()])
    assert_whole(net)


@pytest.mark.parametrize("true", [True, np.True_, np.array([0.5]).max() > 0.1], ids=["True", "np.True_", "comparison"])
def test_a_callback_stops_with_any_true_boolean(true: Any) -> None:
    """A callback can also stop the fit with numpy.bool, the result of comparisons of NumPy's numbers."""
    assert len(small().fit(ONES, np.ones((4, 2)), callbacks=[lambda *_: true])["loss"]) == 1


@pytest.mark.parametrize("other", [None, 1, "stop", False, np.False_, [1]], ids=repr)
def test_a_callback_does_not_stop_with_anything_else(other: Any) -> None:
    assert len(small().fit(ONES, np.ones((4, 2)), epochs=3, callbacks=[lambda *_: other])["loss"]) == 3


def test_callbacks_that_spoil_what_they_get() -> None:
    def spoil(epoch: int, logs: dict[str, Any]) -> None:
        logs.clear()
        logs["loss"] = "none"

    net = small()
    with pytest.raises(TypeError, match=r"callback spoil: expected a number in logs\['loss'\], got 'none'"):
        net.fit(ONES, np.ones((4, 2)), epochs=3, callbacks=[spoil, spoil])
    assert_whole(net)


def test_a_callback_may_drop_the_last_reference() -> None:
    nets = [small()]
    history = nets[0].fit(ONES, np.ones((4, 2)), epochs=3, callbacks=[lambda *_: nets.clear()])
    assert len(history["loss"]) == 3


def test_a_callback_that_trains_another_network() -> None:
    """A fit may run within another network's fit, to any depth."""
    nets = collections.deque(small() for _ in range(50))

    def nested(epoch: int, logs: dict[str, float]) -> None:
        if nets:
            nets.pop().fit(ONES, np.ones((4, 2)), epochs=1, callbacks=[nested])

    nets.pop().fit(ONES, np.ones((4, 2)), epochs=1, callbacks=[nested])
    assert not nets


def test_a_callback_without_end() -> None:
    """An infinite recursion raises RecursionError and does not crash; the network can still be used."""
    net = small()

    def nested(epoch: int, logs: dict[str, float]) -> None:
        small().fit(ONES, np.ones((4, 2)), epochs=1, callbacks=[nested])

    with pytest.raises(RecursionError):
        net.fit(ONES, np.ones((4, 2)), callbacks=[nested])
    assert_whole(net)


@pytest.mark.parametrize("callbacks", [None, 3, "text", {"a": 1}, [3], [None], [[]], ["text"]], ids=repr)
def test_what_are_no_callbacks(callbacks: Any) -> None:
    with pytest.raises(TypeError, match=r"^callbacks"):
        small().fit(ONES, np.ones((4, 2)), callbacks=callbacks)


# -- extremes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [[1] * 300, [5] * 120, [1, 1], [1, 500, 1], [500, 1, 500]], ids=len)
def test_deep_and_narrow_networks(build: Callable[..., fastmlp.Network], sizes: Sequence[int]) -> None:
    net = build(sizes, activation="tanh", seed=0)
    X = np.random.default_rng(0).random((300, sizes[0]))
    assert np.isfinite(net.predict(X)).all()
    assert len(net.activations(X)) == len(sizes) - 1
    assert net.loss_and_grad(X, np.zeros((300, sizes[-1])))[1].shape == (net.n_parameters,)
    assert net.input_gradient(X, np.zeros((300, sizes[-1]))).shape == X.shape
    assert net.summary().count("\n") >= len(sizes)
    assert_whole(net)


def test_a_step_that_overflows_leaves_finite_parameters() -> None:
    """Parameters that overflow because of a very large learning rate are never kept."""
    net = small()
    X, y = np.full((4, 3), 1e3), np.zeros((4, 2))

    def train() -> None:
        for _ in range(3):
            net.train_on_batch(X, y, fastmlp.SGD(1e38))

    with pytest.raises(FloatingPointError):
        train()
    assert np.isfinite(net.parameters).all()
    assert np.isfinite(net.predict(X)).all()
    assert_whole(net)


def test_everything_at_once() -> None:
    """Six threads call all methods of one network; calls work or are refused."""
    crash_test(
        """
        import gc, pickle, random, time
        generator = np.random.default_rng(0)
        X, y = generator.random((300, 20), np.float32), generator.integers(0, 3, 300)
        many, labels = generator.random((5_000, 20), np.float32), generator.integers(0, 3, 5_000)
        shared = net(20, 64, 64, 3, loss="cross_entropy", activation="tanh")
        P = shared.parameters
        optimizers = [None, "adam", "sgd", fastmlp.SGD(0.01, momentum=0.9), fastmlp.Adam(1e-4)]

        def callback(epoch, logs):
            shared.predict(X[:5]), shared.copy(), shared.evaluate(X, y)

        def interrupted(epoch, logs):
            raise RuntimeError("interrupted")

        calls = [
            lambda: shared.predict(X[: random.randint(1, 300)]), lambda: shared.predict(many),
            lambda: shared.predict(X, out=np.empty((300, 3), np.float32)), lambda: shared.classify(X),
            lambda: shared.activations(X), lambda: shared.pre_activations(X[0]), lambda: shared.evaluate(X, y),
            lambda: shared.loss_and_grad(X, y), lambda: shared.input_gradient(X, y),
            lambda: shared.train_on_batch(X, y, random.choice(optimizers)),
            lambda: shared.train_on_batch(many, labels, random.choice(optimizers)),
            lambda: shared.fit(many, labels, epochs=2, optimizer=random.choice(optimizers), callbacks=[callback]),
            lambda: shared.fit(X, y, optimizer=random.choice(optimizers), callbacks=[interrupted]),
            lambda: setattr(shared, "parameters", P), lambda: shared.set_layer(0, shared.weights[0], shared.biases[0]),
            lambda: shared.copy(), lambda: pickle.loads(pickle.dumps(shared)), lambda: (repr(shared), shared.summary()),
        ]
        end, errors = time.monotonic() + 2, []

        def work(seed):
            choice = random.Random(seed)
            while time.monotonic() < end:
                try:
                    choice.choice(calls)()
                except RuntimeError as error:
                    assert "fit" in str(error) or "interrupted" in str(error), error
                except BaseException as error:
                    errors.append(error)

        workers = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert not errors, errors
        shared.fit(X, y, epochs=1)
        assert np.isfinite(shared.parameters).all()
        """
    )
