"""Bad input raises the correct exception, with the argument, what was expected and what was given, and changes nothing.

Parameters, optimiser state and random state are unchanged: later training gives the same bits as without the bad call.
Ctrl-C is tested in test_signals.py, two writers in test_concurrency.py, a loss that is not finite in
test_continuation.py, model files in test_damaged_files.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import fastmlp
from trainings import ADAM, assert_same, data

X, LABELS = data(12, 3)
ONE_HOT = np.eye(4)[LABELS]


class Bad(NamedTuple):
    """A call, the exception that it must raise, and parts of the message in their order."""

    call: Callable[[Any], Any]
    error: type[Exception]
    says: tuple[str, ...]


def changed(array: Any, index: Any, value: Any) -> Any:
    array = np.array(array, dtype=object if isinstance(value, str) else np.float64)
    array[index] = value
    return array


def too_large(dtype: Any) -> Any:
    """Return finite numbers, one of which is out of the dtype's range."""
    array = X.astype(np.longdouble)
    array[4, 1] = np.longdouble(np.finfo(dtype).max) * 4
    return array


class NoNumber:
    """An object whose conversion to a number fails."""

    def __repr__(self) -> str:
        return "NoNumber()"


SHAPES = {
    "X of another width": Bad(lambda net: net.predict(np.ones((2, 4))), ValueError, ("X: ", "(B, 3)", "(2, 4)")),
    "row of another width": Bad(lambda net: net.predict(np.ones(4)), ValueError, ("X: ", "(3,)", "(4,)")),
    "X of rank 3": Bad(lambda net: net.predict(np.ones((2, 2, 3))), ValueError, ("X: ", "(B, 3)", "(2, 2, 3)")),
    "X of rank 0": Bad(lambda net: net.predict(1.0), ValueError, ("X: ", "(B, 3)", "()")),
    "no rows": Bad(lambda net: net.predict(np.ones((0, 3))), ValueError, ("X: ", "B >= 1", "(0, 3)")),
    "no rows, fast": Bad(lambda net: net.predict(np.ones((0, 3), net.dtype)), ValueError, ("X: ", "(0, 3)")),
    "empty list": Bad(lambda net: net.predict([]), ValueError, ("X: ", "(B, 3)", "(0,)")),
    "ragged rows": Bad(lambda net: net.predict([[1.0, 2.0, 3.0], [1.0]]), ValueError, ("X: ", "unequal length")),
    "classify": Bad(lambda net: net.classify(np.ones((2, 4))), ValueError, ("X: ", "(B, 3)", "(2, 4)")),
    "activations": Bad(lambda net: net.activations(np.ones((2, 4))), ValueError, ("X: ", "(B, 3)", "(2, 4)")),
    "pre_activations": Bad(lambda net: net.pre_activations(np.ones((2, 4))), ValueError, ("X: ", "(B, 3)", "(2, 4)")),
    "call": Bad(lambda net: net(np.ones((2, 4))), ValueError, ("X: ", "(B, 3)", "(2, 4)")),
    "fit of X": Bad(lambda net: net.fit(np.ones((12, 4)), LABELS), ValueError, ("X: ", "(B, 3)", "(12, 4)")),
    "fit of a row": Bad(lambda net: net.fit(X[0], 1), ValueError, ("X: ", "(B, 3)", "(3,)")),
    "fit of no rows": Bad(lambda net: net.fit(X[:0], LABELS[:0]), ValueError, ("X: ", "B >= 1", "(0, 3)")),
    "too few labels": Bad(lambda net: net.fit(X, LABELS[:-1]), ValueError, ("y: ", "(12, 4)", "(12,)", "(11,)")),
    "too many rows": Bad(lambda net: net.fit(X[:5], ONE_HOT), ValueError, ("y: ", "(5, 4)", "(12, 4)")),
    "narrow one-hot": Bad(lambda net: net.fit(X, ONE_HOT[:, :3]), ValueError, ("y: ", "(12, 4)", "(12, 3)")),
    "wide one-hot": Bad(lambda net: net.fit(X, np.eye(5)[LABELS]), ValueError, ("y: ", "(12, 4)", "(12, 5)")),
    "y of rank 3": Bad(lambda net: net.fit(X, ONE_HOT[:, :, None]), ValueError, ("y: ", "(12, 4)", "(12, 4, 1)")),
    "labels as a column": Bad(lambda net: net.fit(X, LABELS[:, None]), ValueError, ("y: ", "(12,)", "(12, 1)")),
    "train_on_batch": Bad(lambda net: net.train_on_batch(X, LABELS[:3]), ValueError, ("y: ", "(12, 4)", "(3,)")),
    "loss_and_grad": Bad(lambda net: net.loss_and_grad(X, LABELS[:3]), ValueError, ("y: ", "(12, 4)", "(3,)")),
    "input_gradient": Bad(lambda net: net.input_gradient(X, LABELS[:3]), ValueError, ("y: ", "(12, 4)", "(3,)")),
    "evaluate": Bad(lambda net: net.evaluate(X, LABELS[:3]), ValueError, ("y: ", "(12, 4)", "(3,)")),
    "a row's target": Bad(lambda net: net.train_on_batch(X[0], [1.0, 0.0]), ValueError, ("y: ", "4", "(2,)")),
    "validation": Bad(
        lambda net: net.fit(X, LABELS, validation_data=(X[:, :2], LABELS)),
        ValueError,
        ("validation_data", "X", "(B, 3)", "(12, 2)"),
    ),
    "validation's y": Bad(
        lambda net: net.fit(X, LABELS, validation_data=(X, LABELS[:2])),
        ValueError,
        ("validation_data", "y", "(12, 4)", "(2,)"),
    ),
    "validation of one": Bad(
        lambda net: net.fit(X, LABELS, validation_data=X), TypeError, ("validation_data: ", "(X, y)", "ndarray")
    ),
    "parameters": Bad(
        lambda net: setattr(net, "parameters", np.ones(3)), ValueError, ("parameters: ", "(44,)", "(3,)")
    ),
    "parameters as a matrix": Bad(
        lambda net: setattr(net, "parameters", np.ones((44, 1))), ValueError, ("parameters: ", "(44,)", "(44, 1)")
    ),
    "w": Bad(
        lambda net: net.set_layer(0, np.ones((3, 5)), np.ones(5)), ValueError, ("w: ", "(5, 3)", "layer 0", "(3, 5)")
    ),
    "b": Bad(
        lambda net: net.set_layer(-1, np.ones((4, 5)), np.ones((4, 1))), ValueError, ("b: ", "(4,)", "1", "(4, 1)")
    ),
    "ragged w": Bad(lambda net: net.set_layer(0, [[1.0], [2.0, 3.0]], np.ones(5)), ValueError, ("w: ", "unequal")),
    "no such layer": Bad(
        lambda net: net.set_layer(2, np.ones((5, 3)), np.ones(5)), IndexError, ("l: ", "0", "1", "got 2")
    ),
    "no such layer from the end": Bad(
        lambda net: net.set_layer(-3, np.ones((5, 3)), np.ones(5)), IndexError, ("l: ", "got -3")
    ),
    "a layer that is no integer": Bad(
        lambda net: net.set_layer(0.0, np.ones((5, 3)), np.ones(5)), TypeError, ("l: ", "an integer", "0.0")
    ),
}

DTYPES = {
    "complex X": Bad(lambda net: net.predict(X * 1j), TypeError, ("X: ", "real numbers", "complex128")),
    "object X": Bad(lambda net: net.predict(X.astype(object)), TypeError, ("X: ", "real numbers", "object")),
    "words": Bad(lambda net: net.predict([["a", "b", "c"]]), TypeError, ("X: ", "real numbers", "<U1")),
    "None": Bad(lambda net: net.predict(None), TypeError, ("X: ", "real numbers", "object")),
    "dates": Bad(lambda net: net.predict(X.astype("M8[s]")), TypeError, ("X: ", "real numbers", "datetime64")),
    "fit of objects": Bad(lambda net: net.fit(X.astype(object), LABELS), TypeError, ("X: ", "object")),
    "y of words": Bad(lambda net: net.fit(X, ["a"] * 12), ValueError, ("y: ", "different labels", "'a'")),
    "complex y": Bad(lambda net: net.train_on_batch(X, ONE_HOT * 1j), TypeError, ("y: ", "complex128")),
    "object parameters": Bad(
        lambda net: setattr(net, "parameters", np.ones(44).astype(object)), TypeError, ("parameters: ", "object")
    ),
    "complex w": Bad(lambda net: net.set_layer(0, np.ones((5, 3)) * 1j, np.ones(5)), TypeError, ("w: ", "complex")),
    "object b": Bad(lambda net: net.set_layer(0, np.ones((5, 3)), [NoNumber()] * 5), TypeError, ("b: ", "object")),
}

NAN, INF = np.nan, np.inf
NOT_FINITE = {
    "NaN in X": Bad(
        lambda net: net.fit(changed(X, (7, 2), NAN), LABELS, optimizer=None),
        ValueError,
        ("X: ", "nan", "row 7", "column 2"),
    ),
    "inf in X": Bad(
        lambda net: net.fit(changed(X, (0, 0), INF), LABELS, optimizer=None),
        ValueError,
        ("X: ", "inf", "row 0", "column 0"),
    ),
    "the first of several": Bad(
        lambda net: net.fit(changed(changed(X, (9, 1), NAN), (3, 2), -INF), LABELS, batch_size=1, optimizer=None),
        ValueError,
        ("X: ", "-inf", "row 3", "column 2"),
    ),
    "too large for the dtype": Bad(
        lambda net: net.fit(too_large(net.dtype), LABELS, optimizer=None),
        ValueError,
        ("X: ", "expected finite numbers, got ", "row 4", "column 1"),
    ),
    "NaN in X of a step": Bad(
        lambda net: net.train_on_batch(changed(X, (7, 2), NAN), LABELS), ValueError, ("X: ", "nan", "row 7", "column 2")
    ),
    "NaN in a row of a step": Bad(
        lambda net: net.train_on_batch(changed(X, (7, 2), NAN)[7], 1), ValueError, ("X: ", "nan", "column 2")
    ),
    "NaN in X of a gradient": Bad(
        lambda net: net.loss_and_grad(changed(X, (7, 2), NAN), LABELS), ValueError, ("X: ", "nan", "row 7", "column 2")
    ),
    "NaN in y": Bad(
        lambda net: net.fit(X, changed(ONE_HOT, (5, 3), NAN)), ValueError, ("y: ", "nan", "row 5", "column 3")
    ),
    "inf in y": Bad(
        lambda net: net.train_on_batch(X, changed(ONE_HOT, (5, 3), INF)),
        ValueError,
        ("y: ", "inf", "row 5", "column 3"),
    ),
    "NaN in labels": Bad(
        lambda net: net.fit(X, changed(LABELS, 6, NAN)), ValueError, ("y: ", "labels", "nan", "row 6")
    ),
    "NaN in validation": Bad(
        lambda net: net.fit(X, LABELS, validation_data=(changed(X, (7, 2), NAN), LABELS)),
        ValueError,
        ("validation_data", "X", "nan", "row 7", "column 2"),
    ),
    "NaN in parameters": Bad(
        lambda net: setattr(net, "parameters", changed(np.ones(44), 21, NAN)),
        ValueError,
        ("parameters: ", "nan", "index 21", "layer 1"),
    ),
    "inf in parameters": Bad(
        lambda net: setattr(net, "parameters", changed(np.ones(44), 19, -INF)),
        ValueError,
        ("parameters: ", "-inf", "index 19", "layer 0"),
    ),
    "NaN in w": Bad(
        lambda net: net.set_layer(1, changed(np.ones((4, 5)), (2, 3), NAN), np.ones(4)),
        ValueError,
        ("w: ", "nan", "layer 1", "(2, 3)"),
    ),
    "inf in b": Bad(
        lambda net: net.set_layer(0, np.ones((5, 3)), changed(np.ones(5), 4, INF)),
        ValueError,
        ("b: ", "inf", "layer 0", "4"),
    ),
}

LABELLING = {
    "too large": Bad(
        lambda net: net.fit(X, changed(LABELS, 11, 4).astype(int)), ValueError, ("y: ", "0 to 3", "got ", "row 11")
    ),
    "negative": Bad(lambda net: net.fit(X, changed(LABELS, 2, -1).astype(int)), ValueError, ("y: ", "-1", "row 2")),
    "fractional": Bad(lambda net: net.fit(X, changed(LABELS, 2, 1.5)), ValueError, ("y: ", "whole", "1.5", "row 2")),
    "huge": Bad(
        lambda net: net.fit(X, np.full(12, 2**63, dtype=np.uint64)), ValueError, ("y: ", "9223372036854775808", "row 0")
    ),
    "of a step": Bad(lambda net: net.train_on_batch(X, LABELS + 4), ValueError, ("y: ", "0 to 3", "row 0")),
    "of evaluate": Bad(lambda net: net.evaluate(X, LABELS - 1), ValueError, ("y: ", "0 to 3", "-1")),
    "of a row": Bad(lambda net: net.loss_and_grad(X[0], 4), ValueError, ("y: ", "0 to 3", "4")),
    "no probability": Bad(
        lambda net: net.fit(X, changed(ONE_HOT, (3, 1), 1.5)), ValueError, ("y: ", "[0, 1]", "1.5", "row 3", "column 1")
    ),
    "negative probability": Bad(
        lambda net: net.evaluate(X, changed(ONE_HOT, (3, 1), -0.5)), ValueError, ("y: ", "[0, 1]", "-0.5", "row 3")
    ),
}


def fit(**words: Any) -> Callable[[Any], Any]:
    return lambda net: net.fit(X, LABELS, **words)


WORDS = {
    "no epochs": Bad(fit(epochs=0), ValueError, ("epochs: ", "at least 1", "0")),
    "epochs as a float": Bad(fit(epochs=1.0), TypeError, ("epochs: ", "an integer", "1.0")),
    "epochs as a bool": Bad(fit(epochs=True), TypeError, ("epochs: ", "an integer", "True")),
    "batch_size 0": Bad(fit(batch_size=0), ValueError, ("batch_size: ", "at least 1", "0")),
    "batch_size -1": Bad(fit(batch_size=-1), ValueError, ("batch_size: ", "at least 1", "-1")),
    "batch_size as a word": Bad(fit(batch_size="32"), TypeError, ("batch_size: ", "an integer", "'32'")),
    "optimizer": Bad(fit(optimizer="adma"), ValueError, ("optimizer: ", "'sgd'", "'adam'", "'adma'", "did you mean")),
    "optimizer as a class": Bad(fit(optimizer=fastmlp.SGD), TypeError, ("optimizer: ", "'sgd'", "SGD")),
    "optimizer of a step": Bad(lambda net: net.train_on_batch(X, LABELS, "sdg"), ValueError, ("optimizer: ", "'sdg'")),
    "shuffle": Bad(fit(shuffle="no"), TypeError, ("shuffle: ", "True or False", "'no'")),
    "shuffle as an integer": Bad(fit(shuffle=1), TypeError, ("shuffle: ", "True or False", "1")),
    "verbose": Bad(fit(verbose=-1), ValueError, ("verbose: ", "at least 0", "-1")),
    "callbacks": Bad(fit(callbacks=print), TypeError, ("callbacks: ", "sequence", "print")),
    "a class": Bad(fit(callbacks=[fastmlp.EarlyStopping]), TypeError, ("callbacks[0]: ", "object", "EarlyStopping")),
    "a callback": Bad(fit(callbacks=[print, 3]), TypeError, ("callbacks[1]: ", "function", "3")),
    "validation_data": Bad(fit(validation_data=(X,)), TypeError, ("validation_data: ", "(X, y)", "tuple")),
}

OUT = {
    "wrong rows": Bad(lambda net: net.predict(X, out=np.empty((11, 4), net.dtype)), ValueError, ("(12, 4)", "(11, 4)")),
    "wrong width": Bad(
        lambda net: net.predict(X, out=np.empty((12, 3), net.dtype)), ValueError, ("(12, 4)", "(12, 3)")
    ),
    "wrong rank": Bad(lambda net: net.predict(X, out=np.empty(48, net.dtype)), ValueError, ("(12, 4)", "(48,)")),
    "a matrix for a row": Bad(
        lambda net: net.predict(X[0], out=np.empty((1, 4), net.dtype)), ValueError, ("(4,)", "(1, 4)")
    ),
    "dtype": Bad(lambda net: net.predict(X, out=np.empty((12, 4), np.int32)), ValueError, ("dtype", "int32")),
    "other float": Bad(
        lambda net: net.predict(X, out=np.empty((12, 4), "f8" if net.dtype == "f4" else "f4")), ValueError, ("dtype",)
    ),
    "swapped": Bad(
        lambda net: net.predict(X, out=np.empty((12, 4), net.dtype.newbyteorder())), ValueError, ("dtype", ">f")
    ),
    "read-only": Bad(
        lambda net: net.predict(X, out=np.broadcast_to(net.dtype.type(0), (12, 4))),
        ValueError,
        ("writeable", "read-only"),
    ),
    "columns": Bad(
        lambda net: net.predict(X, out=np.empty((4, 12), net.dtype).T), ValueError, ("C-contiguous", "another layout")
    ),
    "steps": Bad(
        lambda net: net.predict(X, out=np.empty((12, 8), net.dtype)[:, ::2]), ValueError, ("C-contiguous", "layout")
    ),
    "a list": Bad(lambda net: net.predict(X, out=[[0.0] * 4] * 12), TypeError, ("array", "list")),
    "call": Bad(lambda net: net(X, out=np.empty((11, 4), net.dtype)), ValueError, ("(12, 4)", "(11, 4)")),
}
OUT = {name: bad._replace(says=("out: ", *bad.says)) for name, bad in OUT.items()}

TABLES = {
    "shape": SHAPES,
    "dtype": DTYPES,
    "not finite": NOT_FINITE,
    "labels": LABELLING,
    "words": WORDS,
    "out": OUT,
}
ROWS = [pytest.param(bad, id=f"{table}-{name}") for table, rows in TABLES.items() for name, bad in rows.items()]


def seasoned(build: Any) -> Any:
    """Return a network after some steps of Adam that are not yet published."""
    net = build([3, 5, 4], activation="tanh", loss="cross_entropy", seed=1)
    net.fit(X, LABELS, epochs=2, batch_size=5, optimizer=ADAM)
    net.train_on_batch(X, LABELS, ADAM)
    return net


def assert_untouched(net: Any, control: Any) -> None:
    """Check that parameters, random state and the state of the training are unchanged."""
    assert_same(net, control)
    for each in (net, control):
        each.fit(X, LABELS, epochs=1, batch_size=5, optimizer=None)
        each.train_on_batch(X, LABELS, ADAM)
    assert_same(net, control)


def assert_says(error: Exception, says: tuple[str, ...]) -> None:
    message, at = str(error), 0
    for words in says:
        found = message.find(words, at)
        assert found >= 0, f"{words!r} is not in {message[at:]!r} of {message!r}"
        at = found + len(words)
    assert "expect" in message
    assert message.startswith(says[0])


@pytest.mark.parametrize("bad", ROWS)
def test_bad_input(build: Any, bad: Bad) -> None:
    net, control = seasoned(build), seasoned(build)
    with pytest.raises(bad.error) as caught:
        bad.call(net)
    assert_says(caught.value, bad.says)
    assert_untouched(net, control)


@pytest.mark.parametrize("method", ["fit", "train_on_batch"])
@pytest.mark.parametrize("which", ["X", "y"])
def test_data_refused_with_another_optimizer_keeps_the_old_ones_state(build: Any, which: str, method: str) -> None:
    """If the data are refused, the new optimiser has not replaced the old one."""
    net, control = seasoned(build), seasoned(build)
    arguments = (changed(X, (7, 2), NAN), LABELS) if which == "X" else (X, changed(ONE_HOT, (7, 2), NAN))
    with pytest.raises(ValueError, match=rf"^{which}: .*row 7, column 2"):
        getattr(net, method)(*arguments, optimizer=fastmlp.SGD(0.5, momentum=0.5))
    assert_untouched(net, control)


def test_overlapping_out_is_refused(build: Any) -> None:
    net = build([4, 4], seed=0)
    memory = np.zeros((10, 4), dtype=net.dtype)
    for X_, out in [
        (memory[:5], memory[:5]),
        (memory[:5], memory[4:9]),
        (memory[4:9], memory[:5]),
        (memory[:5][::-1], memory[:5]),  # converted first, but still the caller's memory
        (memory[0], memory[0]),
        (memory.view(np.uint8)[:5, :4], memory[:5]),
    ]:
        before = memory.copy()
        with pytest.raises(ValueError, match=r"^out: expected .* overlaps X"):
            net.predict(X_, out=out)
        np.testing.assert_array_equal(memory, before)
    net.predict(memory[:5], out=memory[5:])


def test_out_stays_as_it_was_when_x_is_refused(build: Any) -> None:
    net, out = seasoned(build), np.full((12, 4), 7, dtype=build.dtype)
    with pytest.raises(ValueError, match="X: expected"):
        net.predict(X[:, :2], out=out)
    assert (out == 7).all()


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_predict_and_evaluate_take_what_is_not_finite(build: Any, value: float) -> None:
    net = seasoned(build)
    bad = changed(X, (7, 2), value)
    assert np.isfinite(net.predict(bad)[np.arange(12) != 7]).all()
    if np.isnan(value):
        assert np.isnan(net.predict(bad)[7]).all()
        assert np.isnan(net.evaluate(bad, LABELS)["loss"])


# -- construction ------------------------------------------------------------------------------------------------------

CONSTRUCTION: dict[str, tuple[Any, dict[str, Any], type[Exception], tuple[str, ...]]] = {
    "size 0": ([3, 0, 1], {}, ValueError, ("sizes[1]: ", "at least 1", "0")),
    "negative size": ([-3, 1], {}, ValueError, ("sizes[0]: ", "at least 1", "-3")),
    "float size": ([3, 2.0], {}, TypeError, ("sizes[1]: ", "an integer", "2.0")),
    "bool size": ([True, 2], {}, TypeError, ("sizes[0]: ", "an integer", "True")),
    "word size": (["3", 2], {}, TypeError, ("sizes[0]: ", "an integer", "'3'")),
    "nested sizes": ([[3, 2]], {}, TypeError, ("sizes[0]: ", "an integer", "[3, 2]")),
    "one size": ([3], {}, ValueError, ("sizes: ", "at least 2", "[3]")),
    "no sizes": ([], {}, ValueError, ("sizes: ", "at least 2", "[]")),
    "a number": (3, {}, TypeError, ("sizes: ", "sequence", "3")),
    "a word": ("32", {}, TypeError, ("sizes: ", "sequence", "'32'")),
    "None": (None, {}, TypeError, ("sizes: ", "sequence", "None")),
    "a product too large": ([2**16, 2**16], {}, ValueError, ("sizes: ", "2**31", "[65536, 65536]")),
    "a size too large": ([1, 2**40], {}, ValueError, ("sizes[1]: ", "at most", "1099511627776")),
    "a huge integer": ([1, 10**30], {}, ValueError, ("sizes[1]: ", "at most", "10000")),
    "a sum too large": ([2**15] * 4, {}, ValueError, ("sizes: ", "2**31")),
    "a softmax of one output": (
        [3, 1],
        {"loss": "cross_entropy"},
        ValueError,
        ("sizes: ", "at least 2", "'sigmoid'", "'binary_cross_entropy'", "got 1"),
    ),
    "a named softmax of one output": (
        [3, 2, 1],
        {"loss": "focal", "output_activation": "softmax"},
        ValueError,
        ("sizes: ", "at least 2", "'focal'", "'sigmoid'", "'binary_cross_entropy'"),
    ),
    "hidden softmax": ([3, 2, 1], {"activation": "softmax"}, ValueError, ("activation: ", "'softmax'", "output")),
    "too few activations": ([3, 2, 2, 1], {"activation": ["relu"]}, ValueError, ("activation: ", "2", "got 1")),
    "too many activations": ([3, 1], {"activation": ["relu"]}, ValueError, ("activation: ", "0", "got 1")),
    "an activation of a list": (
        [3, 2, 2, 1],
        {"activation": ["relu", "rleu"]},
        ValueError,
        ("activation[1]: ", "'relu'", "'rleu'", "did you mean 'relu'"),
    ),
    "activation None": ([3, 2, 1], {"activation": None}, TypeError, ("activation: ", "None")),
    "activation as a class": ([3, 2, 1], {"activation": fastmlp.Tanh}, TypeError, ("activation: ", "Tanh")),
    "cross entropy without softmax": (
        [3, 2],
        {"loss": "cross_entropy", "output_activation": "sigmoid"},
        ValueError,
        ("output_activation: ", "'softmax'", "'cross_entropy'", "'sigmoid'"),
    ),
    "softmax with another loss": (
        [3, 2],
        {"output_activation": "softmax"},
        ValueError,
        ("output_activation: ", "'softmax'", "'cross_entropy'", "'mse'"),
    ),
    "softmax with binary cross entropy": (
        [3, 2],
        {"loss": "binary_cross_entropy", "output_activation": "softmax"},
        ValueError,
        ("output_activation: ", "'sigmoid'", "'binary_cross_entropy'", "'softmax'"),
    ),
    "binary cross entropy without a sigmoid": (
        [3, 2],
        {"loss": "binary_cross_entropy", "output_activation": fastmlp.Tanh()},
        ValueError,
        ("output_activation: ", "'sigmoid'", "'binary_cross_entropy'", "'tanh'"),
    ),
    "loss None": ([3, 2], {"loss": None}, TypeError, ("loss: ", "'mse'", "None")),
    "integer dtype": ([3, 2], {"dtype": np.int32}, ValueError, ("dtype: ", "'float32'", "'float64'", "'int32'")),
    "half precision": ([3, 2], {"dtype": "float16"}, ValueError, ("dtype: ", "'float32'", "'float16'")),
    "dtype of nothing": ([3, 2], {"dtype": object()}, TypeError, ("dtype: ", "'float32'", "object")),
    "init None": ([3, 2], {"init": None}, TypeError, ("init: ", "'auto'", "None")),
    "negative seed": ([3, 2], {"seed": -1}, ValueError, ("seed: ", "at least 0", "-1")),
    "seed too large": ([3, 2], {"seed": 2**64}, ValueError, ("seed: ", str(2**64 - 1), str(2**64))),
    "float seed": ([3, 2], {"seed": 1.0}, TypeError, ("seed: ", "an integer", "1.0")),
    "engine": ([3, 2], {"engine": "gpu"}, ValueError, ("engine: ", "'auto'", "'blas'", "'native'", "'gpu'")),
    "no threads": ([3, 2], {"n_threads": 0}, ValueError, ("n_threads: ", "at least 1", "0")),
    "half a thread": ([3, 2], {"n_threads": 0.5}, TypeError, ("n_threads: ", "0.5")),
    "threads by word": ([3, 2], {"n_threads": "all"}, TypeError, ("n_threads: ", "'all'")),
}


@pytest.mark.parametrize("name", CONSTRUCTION)
def test_construction(name: str) -> None:
    sizes, words, error, says = CONSTRUCTION[name]
    with pytest.raises(error) as caught:
        fastmlp.Network(sizes, **words)
    assert_says(caught.value, says)


def test_arguments_are_named() -> None:
    with pytest.raises(TypeError):
        fastmlp.Network([3, 2], "relu")
    with pytest.raises(TypeError, match="learning_rate"):
        fastmlp.Network([3, 2], learning_rate=0.1)
    with pytest.raises(TypeError):
        fastmlp.Network([3, 2]).fit(X, X, 5)


HYPER_PARAMETERS: dict[str, tuple[Callable[[], Any], type[Exception], tuple[str, ...]]] = {
    "rate 0": (lambda: fastmlp.SGD(0), ValueError, ("learning_rate: ", "above 0", "0.0")),
    "the essay's rate": (lambda: fastmlp.SGD(-0.05), ValueError, ("learning_rate: ", "above 0", "-0.05", "descends")),
    "rate NaN": (lambda: fastmlp.Adam(NAN), ValueError, ("learning_rate: ", "finite", "nan")),
    "rate inf": (lambda: fastmlp.Adam(INF), ValueError, ("learning_rate: ", "finite", "inf")),
    "rate as a word": (lambda: fastmlp.SGD("0.1"), TypeError, ("learning_rate: ", "real number", "'0.1'")),
    "rate None": (lambda: fastmlp.SGD(None), TypeError, ("learning_rate: ", "real number", "None")),
    "rate complex": (lambda: fastmlp.SGD(1j), TypeError, ("learning_rate: ", "real number", "1j")),
    "momentum 1": (lambda: fastmlp.SGD(momentum=1), ValueError, ("momentum: ", "below 1", "1.0")),
    "momentum -0.1": (lambda: fastmlp.SGD(momentum=-0.1), ValueError, ("momentum: ", "at least 0", "-0.1")),
    "nesterov alone": (lambda: fastmlp.SGD(nesterov=True), ValueError, ("nesterov: ", "momentum", "0.0")),
    "nesterov as a word": (lambda: fastmlp.SGD(momentum=0.9, nesterov="yes"), TypeError, ("nesterov: ", "'yes'")),
    "beta_1": (lambda: fastmlp.Adam(beta_1=1.0), ValueError, ("beta_1: ", "below 1", "1.0")),
    "beta_2": (lambda: fastmlp.Adam(beta_2=-1.0), ValueError, ("beta_2: ", "at least 0", "-1.0")),
    "epsilon": (lambda: fastmlp.Adam(epsilon=0.0), ValueError, ("epsilon: ", "above 0", "0.0")),
    "beta 0": (lambda: fastmlp.Sigmoid(0.0), ValueError, ("beta: ", "not 0", "0.0")),
    "beta inf": (lambda: fastmlp.Sigmoid(INF), ValueError, ("beta: ", "finite", "inf")),
    "beta NaN": (lambda: fastmlp.Sigmoid(NAN), ValueError, ("beta: ", "finite", "nan")),
    "beta as a list": (lambda: fastmlp.Sigmoid([1.0]), TypeError, ("beta: ", "real number", "[1.0]")),
    "sigma 0": (lambda: fastmlp.Gaussian(0.0, 0.0), ValueError, ("sigma: ", "above 0", "0.0")),
    "sigma -1": (lambda: fastmlp.Gaussian(sigma=-1), ValueError, ("sigma: ", "above 0", "-1.0")),
    "mu NaN": (lambda: fastmlp.Gaussian(mu=NAN), ValueError, ("mu: ", "finite", "nan")),
    "slope -1": (lambda: fastmlp.LeakyReLU(-1), ValueError, ("negative_slope: ", "at least 0", "-1.0")),
    "alpha 0": (lambda: fastmlp.ELU(0), ValueError, ("alpha: ", "above 0", "0.0")),
    "softplus beta -1": (lambda: fastmlp.Softplus(-1), ValueError, ("beta: ", "above 0", "-1.0")),
    "softplus beta text": (lambda: fastmlp.Softplus("1"), TypeError, ("beta: ", "real number", "'1'")),
    "omega 0": (lambda: fastmlp.Sine(0), ValueError, ("omega: ", "not 0", "0.0")),
    "omega infinite": (lambda: fastmlp.Sine(INF), ValueError, ("omega: ", "finite", "inf")),
    "hard tanh backwards": (lambda: fastmlp.HardTanh(2, 1), ValueError, ("min_val: ", "below max_val = 1.0", "2.0")),
    "hard tanh NaN": (lambda: fastmlp.HardTanh(-1, NAN), ValueError, ("max_val: ", "finite", "nan")),
    "GELU of another form": (lambda: fastmlp.GELU("tan"), ValueError, ("approximate: ", "'none', 'tanh'", "'tan'")),
    "GELU True": (lambda: fastmlp.GELU(True), TypeError, ("approximate: ", "'none', 'tanh'", "True")),
    "custom without a derivative": (
        lambda: fastmlp.CustomActivation(np.tanh, None),
        TypeError,
        ("derivative: ", "function", "None"),
    ),
    "custom of a name": (
        lambda: fastmlp.CustomActivation("tanh", np.cos),
        TypeError,
        ("value: ", "function", "'tanh'"),
    ),
    "a ramp of no width": (lambda: fastmlp.PiecewiseLinear(1.0, 1.0), ValueError, ("x_min: ", "below x_max", "1.0")),
    "a ramp backwards": (lambda: fastmlp.PiecewiseLinear(2.0, 1.0), ValueError, ("x_min: ", "below x_max", "2.0")),
    "a ramp from nowhere": (lambda: fastmlp.PiecewiseLinear(-INF, 1.0), ValueError, ("x_min: ", "finite", "-inf")),
}


@pytest.mark.parametrize("name", HYPER_PARAMETERS)
def test_hyper_parameters(name: str) -> None:
    make, error, says = HYPER_PARAMETERS[name]
    with pytest.raises(error) as caught:
        make()
    assert_says(caught.value, says)
