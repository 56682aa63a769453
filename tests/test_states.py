"""Every attribute of every object, in every state: a value or a Python error, never a crash.

`inspect.getmembers`, debuggers and the completion of a shell read all attributes, also private ones, and may call what
takes no argument. Each test runs in a separate process, so that a crash is a failure with a traceback.
"""

from __future__ import annotations

import textwrap

import pytest

import fastmlp
from processes import run_python

TOOLS = textwrap.dedent(
    """
    import gc, inspect, itertools, os, tempfile, warnings
    import numpy as np
    import fastmlp
    from fastmlp import _core

    folder = tempfile.TemporaryDirectory()  # for methods that write a file called "x"
    os.chdir(folder.name)

    X = np.random.default_rng(0).random((40, 3)).astype(np.float32)
    y = X @ np.ones((3, 2), np.float32)
    JUNK = (None, 0, -1, 1.5, "x", b"", [], [None], {}, X, X[0], X[::2], np.zeros(0), np.zeros((), bool), object())

    def look(thing, built=True):
        '''Reads every attribute; a built network has no property that raises, but for those of missing packages.'''
        try:
            names = dir(thing)
        except AttributeError:  # an object whose __init__ was not called
            assert not built
            return
        for name in names:
            try:
                repr(getattr(thing, name))
            except (RuntimeError, AttributeError) as error:
                # a missing attribute of the network, or the error of a network whose __init__ was not called
                assert not built or "pip install" in str(error), (name, error)
        if built:
            inspect.getmembers(thing)

    def call(thing, junk=()):
        '''Calls every method, private ones included, but for those that Python itself calls, and those that import
        PyTorch or Keras, which takes seconds.'''
        for name in dir(type(thing)):
            if name.startswith("__") or name in ("save", "to_torch", "to_keras"):
                continue
            method = getattr(type(thing), name)
            if isinstance(method, (property, type(_core.Rows.n_rows))) or not callable(method):
                continue
            for n in range(1 + 3 * bool(junk)):
                for args in itertools.islice(itertools.product(junk, repeat=n), 0, None, 1 if n < 2 else 7):
                    try:
                        getattr(thing, name)(*args)
                    except Exception:
                        pass

    def net(sizes=(3, 4, 2), **words):
        return fastmlp.Network(sizes, seed=0, **words)
    """
)

OPTIMIZERS = sorted(fastmlp.optimizers.OPTIMIZERS)


def run(code: str) -> None:
    assert run_python(TOOLS + textwrap.dedent(code), timeout=300).endswith("done\n")


def test_a_network_that_init_has_not_built() -> None:
    run(
        """
        for make in (lambda: fastmlp.Network.__new__(fastmlp.Network), _core.Core, _core.Predictor):
            look(make(), built=False)
            call(make())
            call(make(), JUNK)
        print("done")
        """
    )


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_a_bound_predictor(weights: str) -> None:
    run(
        f"""
        look(fastmlp.BoundPredictor.__new__(fastmlp.BoundPredictor), built=False)
        call(fastmlp.BoundPredictor.__new__(fastmlp.BoundPredictor), JUNK)
        bound = net((3, 300, 40, 2)).bind({weights!r})
        look(bound)
        call(bound)
        call(bound, JUNK)
        function, context = bound.ctypes
        x, out = np.ones(3, np.float32), np.empty(2, np.float32)
        function(x.ctypes.data, out.ctypes.data, context)
        assert np.isfinite(out).all()
        print("done")
        """
    )


def test_a_network_whose_init_has_failed() -> None:
    run(
        """
        half = fastmlp.Network.__new__(fastmlp.Network)
        for words in ({"sizes": [3, 0]}, {"sizes": [3, 2], "loss": "no"}, {"sizes": [3, 2], "engine": "no"}):
            try:
                half.__init__(**words)
            except ValueError:
                pass
        look(half, built=False)
        call(half)
        print("done")
        """
    )


@pytest.mark.parametrize("engine", ["native", "blas"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_network_before_and_after_training(engine: str, optimizer: str) -> None:
    run(
        f"""
        network = net(engine={engine!r})
        look(network)
        call(network)
        network.fit(X, y, optimizer={optimizer!r}, epochs=2)
        look(network)
        assert (network._n_evaluations is None) == (not fastmlp.optimizers.OPTIMIZERS[{optimizer!r}].whole_batch_method)
        network.train_on_batch(X, y)
        look(network)
        network.learn_one(X[0], y[0])
        network.learn_one(X[1], y[1])
        look(network)
        call(network)
        network.parameters = network.parameters
        look(network)
        call(network)
        network.set_layer(0, network.weights[0], network.biases[0])
        look(network)
        network.fit(X, y, optimizer={optimizer!r}, epochs=1)
        call(network, JUNK)
        look(network)
        del network
        gc.collect()
        print("done")
        """
    )


def test_a_network_in_a_fit_and_after_an_error() -> None:
    """Attributes are read from every hook, and after a fit that an error in a callback or loss has ended."""
    run(
        """
        class Hooks:
            def __init__(self, network, act): self.network, self.act = network, act
            def on_train_begin(self, logs): self.act(self.network)
            def on_epoch_begin(self, epoch, logs): self.act(self.network)
            def on_batch_begin(self, batch, logs): self.act(self.network)
            def on_batch_end(self, batch, logs): self.act(self.network)
            def on_epoch_end(self, epoch, logs): self.act(self.network)
            def on_train_end(self, logs): self.act(self.network)

        def touch(network):
            look(network)
            call(network)

        def fail(network):
            raise ZeroDivisionError

        more = [{}, {"regularization": fastmlp.Regularization(average=0.5, dropout=0.1, l2=1e-3)}]
        plateau = fastmlp.ReduceOnPlateau(0.1, monitor="loss")
        for words in more:
            for optimizer in ("adam", fastmlp.Adam(plateau), fastmlp.SGD(lambda t: 0.1)):
                network, words = net(), {**words, "optimizer": optimizer, "epochs": 2}
                network.fit(X, y, batch_size=20, callbacks=[Hooks(network, look)], **words)
                try:
                    network.fit(X, y, callbacks=[Hooks(network, touch)], **words)
                except Exception:
                    pass  # the methods have changed the training
                look(network)
                try:
                    network.fit(X, y, optimizer="sgd", callbacks=[Hooks(network, fail)])
                except ZeroDivisionError:
                    touch(network)
        for optimizer in (fastmlp.SGD(1e30), fastmlp.SGD(1e30, momentum=0.9)):
            network = net()
            for act in (network.fit, network.train_on_batch):
                try:
                    for _ in range(9):
                        act(X, y, optimizer=optimizer)
                except FloatingPointError:
                    touch(network)
        network = net(input_scaling="standard", target_scaling="minmax")
        touch(network)
        network.fit(X, y, epochs=1)
        touch(network)
        print("done")
        """
    )


def test_networks_with_functions_of_the_users() -> None:
    run(
        """
        cube = fastmlp.CustomActivation(lambda z: z**3, lambda z: 3 * z**2)
        loss = fastmlp.CustomLoss(lambda y, t: (((y - t) ** 2).sum(axis=1), 2 * (y - t)))
        for words in ({"activation": cube}, {"loss": loss}, {"activation": cube, "loss": loss}):
            network = net(**words)
            look(network)
            call(network)
            network.fit(X, y, epochs=1, optimizer="sgd")
            look(network)
            call(network, JUNK[:9])
            look(network)
        print("done")
        """
    )


def test_the_parts_of_the_core() -> None:
    """Classes of the core refuse None and objects of other types in place of a network."""
    run(
        """
        unbuilt, built = fastmlp.Network.__new__(fastmlp.Network), net()
        built.fit(X, y, epochs=1)
        kinds = [getattr(_core, name) for name in dir(_core) if isinstance(getattr(_core, name), type)]
        kinds = [kind for kind in kinds if kind.__module__.startswith("fastmlp")]
        assert len(kinds) > 8, kinds
        arguments = (unbuilt, built, None, fastmlp.Adam(), [], X, np.zeros(3, np.int8), 0, 5, True)
        made = []
        for kind in kinds:
            for n in range(5):
                for args in itertools.islice(itertools.product(arguments, repeat=n), 0, None, 1 if n < 4 else 13):
                    try:
                        made.append(kind(*args))
                    except Exception:
                        pass
            try:
                made.append(kind.__new__(kind))
            except Exception:
                pass
        assert len(made) > 50
        for thing in made[::1 + len(made) // 300]:
            look(thing, built=False)
            call(thing, JUNK[:4])
        rows = [thing for thing in made if isinstance(thing, _core.Rows)]
        orders = [thing for thing in made if isinstance(thing, _core.BlockOrder)]
        for network in (unbuilt, built, net([1, 1]), net(dtype="float64")):
            for thing in rows[::1 + len(rows) // 40]:
                for act in (network._evaluate, lambda r: network._gradient(r, True),
                            lambda r: network._step(r, fastmlp.Adam(), None),
                            lambda r: network._begin_epoch(r, None),
                            lambda r: network._stretch(r, 1, None, 0, 5, 0.0, 1.0)):
                    try:
                        act(thing)
                    except Exception:
                        pass
        for order in orders[:20]:
            for part in (slice(0, 1), slice(None, None), slice(3, 1), slice(0, 10**9), slice(-1, 2), 0, None):
                try:
                    order[part]
                except Exception:
                    pass
        print("done")
        """
    )


PUBLIC = """
for name in names:
    thing = fastmlp
    for part in name.split("."):
        thing = getattr(thing, part)
    look(thing, built=False)
    if not isinstance(thing, type):
        continue
    for n in range(3):
        for args in itertools.product([0.5, "val_loss", (0.1, 0.2), lambda *a: 0.1], repeat=n):
            try:
                made = thing(*args)
            except Exception:
                continue
            look(made, built=False)
    look(thing.__new__(thing), built=False)
"""


def test_every_public_object() -> None:
    """All exported objects, and their instances made without arguments or with a few."""
    run(f"names = fastmlp.__all__\n{PUBLIC}\nprint('done')")


def test_every_estimator() -> None:
    pytest.importorskip("sklearn", reason="needs scikit-learn: pip install scikit-learn")
    code = """
    for estimator in (fastmlp.sklearn.MLPRegressor, fastmlp.sklearn.MLPClassifier):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for solver in ("adam", "sgd", "lbfgs"):
                fitted = estimator(hidden_layer_sizes=[4], solver=solver, max_iter=3)
                fitted.fit(X, (y[:, 0] > 1).astype(int))
                look(fitted, built=False)
                network = fitted.to_network()
                look(network)
                call(network)
    """
    names = 'import fastmlp.sklearn\nnames = [f"sklearn.{name}" for name in fastmlp.sklearn.__all__]'
    run(f"{names}\n{PUBLIC}\n{textwrap.dedent(code)}\nprint('done')")
