"""Random networks: the package against the pure-Python reference, and against itself with the same bits.

A case of tests/support/network_cases.py is a network, data, options of a training and a few operations. `run` does the
operations and records all numbers that they return. Then

- another number of threads (native engine), another kind of input with the same numbers, fits resumed from a
  checkpoint, batches instead of rows, a row by `train_on_batch` instead of `learn_one`, and another way to keep a
  network (save, pickle, copy) must each give the same bits;
- a single row must be predicted as in its batch (native engine), and a kept network must predict as the original;
- the reference must give the same numbers within the tolerance of conftest, plus that of ill-conditioned numbers, see
  `movement`.

The message of a failure has the seed and a minimal case as lines to run in this folder. The long test takes the same
networks each time; FASTMLP_DIFFERENTIAL_SEED is the seed of another first one, and FASTMLP_DIFFERENTIAL_NETWORKS their
number.
"""

from __future__ import annotations

import copy
import os
import pathlib
import pickle
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import pytest
from conftest import ULP, Implementation

import fastmlp
import network_cases
from fastmlp import reference
from fastmlp.reference.lbfgs import LineSearch
from network_cases import TRAINING, Case, Data, as_source, data_of

QUICK = 40
HUGE = 1e15  # the squares of float32 end at 1e38
WORK = 2e6  # multiplications of the reference, about a second
Trace = list[tuple[str, Any]]


class Runner:
    """Run the operations of a case on a network of the package or the reference, in one of several ways."""

    def __init__(self, case: Case, folder: pathlib.Path, way: str = "", net: Any = None) -> None:
        self.case, self.folder, self.way = case, folder, way
        self.net = case.network() if net is None else net
        self.data = data_of(case)
        self.trace: Trace = []
        self.X = as_source(self.data.X, case.source, folder)
        self.compiled = isinstance(self.net, fastmlp.Network)
        if not self.compiled:
            self.data = plain(case, self.data)
            self.X = self.data.X

    def run(self) -> Trace:
        """Yield each operation with its result or the type of its error, and the parameters if it trains."""
        trace = self.trace
        for name in self.case.operations:
            try:
                trace.append((name, getattr(self, name)()))
            except (ValueError, TypeError, FloatingPointError) as error:
                trace.append((name, type(error)))
            if name in TRAINING:
                trace.append(("parameters", np.array(self.net.parameters)))
        return trace

    def weights(self) -> dict[str, Any]:
        return {"sample_weight": self.data.sample_weight, "class_weight": self.data.class_weight}

    def training(self) -> dict[str, Any]:
        return {"optimizer": self.case.optimizer, "regularization": self.case.regularization}

    def fit(self) -> Any:
        case = self.case
        shuffle = "rows" if case.shuffle is True and case.source == "memmap" else case.shuffle
        batch_size = {} if case.batch_size is None and case.optimizer.full_batch else {"batch_size": case.batch_size}
        words = {**self.training(), **self.weights(), **batch_size, "epochs": case.epochs, "shuffle": shuffle}
        if case.validation_split is not None:
            words["validation_split"] = case.validation_split
        if self.way == "batches":
            history = self._fit_batches(words)
        elif self.way == "resumed" and case.epochs > 1:
            path = self.folder / "checkpoint"
            self.net.fit(self.X, self.data.y, **{**words, "epochs": 1}, callbacks=[fastmlp.Checkpoint(path)])
            self.net = self.case.network()
            history = self.net.fit(self.X, self.data.y, **words, resume=path)
        else:
            history = self.net.fit(self.X, self.data.y, **words)
        return [np.array(values) for _, values in sorted(history.to_dict().items()) if isinstance(values, list)]

    def _fit_batches(self, words: dict[str, Any]) -> Any:
        d, n = self.data, self.case.batch_size or self.case.n_rows
        cuts = [slice(start, start + n) for start in range(0, self.case.n_rows, n)]
        weights = [() if d.sample_weight is None else (d.sample_weight[cut],) for cut in cuts]
        batches = [(d.X[cut], d.y[cut], *weight) for cut, weight in zip(cuts, weights, strict=True)]
        return self.net.fit(batches, **{k: v for k, v in words.items() if k not in ("batch_size", "sample_weight")})

    def partial_fit(self) -> None:
        batch_size = {"batch_size": self.case.batch_size}
        self.net.partial_fit(self.X, self.data.y, **batch_size, **self.training(), **self.weights())

    def train_on_batch(self) -> Any:
        return np.array(self.net.train_on_batch(self.X, self.data.y, **self.training(), **self.weights()))

    def learn_one(self) -> Any:
        losses = []
        for x, y in zip(self.data.X[:3], self.data.y[:3], strict=True):
            if self.way == "one row":
                losses.append(self.net.train_on_batch(x[None], [y], **self.training()))
            else:
                losses.append(self.net.learn_one(x, y, **self.training()))
        return np.array(losses)

    def rate(self) -> Any:
        now = self.net.learning_rate
        self.net.learning_rate = 0.5 * (now or 1.0)
        return np.array(self.net.learning_rate)

    def keep(self) -> None:
        """Continue with a saved and loaded network, which must equal the original."""
        if not self.compiled:
            self.net = self.net.copy()
            return
        net, path = self.net, self.folder / "kept.safetensors"
        if self.way == "copied":
            self.net = copy.deepcopy(net.copy())
        elif self.way == "pickled":
            self.net = pickle.loads(pickle.dumps(net))
        else:
            net.save(path)
            self.net = fastmlp.load(path, engine=self.case.engine, n_threads=self.case.n_threads)
        same_isa = self.case.isa == fastmlp.info()["isa"]  # `load` takes no other
        if self.way in ("copied", "pickled") or same_isa:
            assert_equal(self.net.predict(self.X), net.predict(self.X), "kept")
        assert_equal(self.net.parameters, net.parameters, "kept")
        if not same_isa:
            self.net = net.copy()

    def evaluate(self) -> Any:
        found = self.net.evaluate(self.X, self.data.y, **self.weights())
        return np.array([found[name] for name in sorted(found)])

    def predict(self) -> Any:
        Y = np.array(self.net.predict(self.X))
        if self.compiled and self.case.engine == "native":
            rows = [self.net.predict(x) for x in self.data.X[:9]]
            assert_equal(np.stack(rows), Y[:9], "rows alone and in their batch")
            assert_equal(self.net.predict(self.data.X[1:]), Y[1:], "another batch")
        return Y

    def classify(self) -> Any:
        return np.array(self.net.classify(self.X))

    def loss_and_grad(self) -> Any:
        loss, gradient = self.net.loss_and_grad(self.X, self.data.y, **self.weights())
        return [np.array(loss), np.array(gradient)]

    def input_gradient(self) -> Any:
        return np.array(self.net.input_gradient(self.X, self.data.y, **self.weights()))


def plain(case: Case, data: Data) -> Data:
    """Return the data as lists, with classes as numbers, as the reference has no class names."""
    y = data.T.tolist()
    if case.targets != "rows":
        y = data.T.argmax(axis=1).tolist() if case.n_targets > 1 else [int(t) for t in data.T[:, 0]]
    weight = None if data.sample_weight is None else data.sample_weight.tolist()
    return Data(data.X.tolist(), y, data.T.tolist(), weight, case.class_weight)


def parts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def is_error(value: Any) -> bool:
    return isinstance(value, type)


def assert_equal(actual: Any, expected: Any, what: str) -> None:
    """Check that bits, shape and dtype are equal; NaN equals NaN."""
    a, e = np.asarray(actual), np.asarray(expected)
    same = (a.shape, a.dtype) == (e.shape, e.dtype) and np.array_equal(a, e, equal_nan=a.dtype.kind == "f")
    assert same, f"{what}: got {a.tolist()!r:.200}, expected {e.tolist()!r:.200}, {a.dtype} and {e.dtype}"


def assert_same_bits(actual: Trace, expected: Trace, what: str) -> None:
    for (name, a), (_, e) in zip(actual, expected, strict=True):
        assert is_error(a) == is_error(e), f"{what}, {name}: got {a!r:.80}, expected {e!r:.80}"
        for one, other in zip(parts(a), parts(e), strict=True):
            if is_error(one):
                assert one is other, f"{what}, {name}: {one} and {other}"
            else:
                assert_equal(one, other, f"{what}, {name}")


def movement(case: Case, folder: pathlib.Path, expected: Trace) -> list[list[float]]:
    """Return the largest change of each number of the trace if the initial parameters change by a few ULP.

    Two right implementations differ by roundings in each step. Where a step divides by a gradient's size, takes its
    sign, or a unit stands at a kink, such a difference grows without bound; then the numbers of these runs differ, too.
    """
    moved = [[0.0] * len(parts(value)) for _, value in expected]
    for trial in range(3):
        net = case.network()
        rng = np.random.default_rng(trial)
        signs = rng.choice([-4.0, 4.0], size=(2, net.n_parameters)) * ULP[case.dtype]
        net.parameters = net.parameters * (1 + signs[0]) + 0.1 * signs[1]
        for place, ((_, a), (_, e)) in enumerate(zip(Runner(case, folder, net=net).run(), expected, strict=True)):
            for k, (one, other) in enumerate(zip(parts(a), parts(e), strict=False)):
                if is_error(one) or is_error(other) or np.shape(one) != np.shape(other):
                    moved[place][k] = np.inf if one is not other else 0.0
                elif one is not None and np.size(one):
                    distance = np.abs(one.astype(float) - other.astype(float)).max()
                    moved[place][k] = max(moved[place][k], float(np.nan_to_num(distance, nan=0.0)))
    return moved


def steps_by_signs(optimizer: Any) -> bool:
    """Return whether the size of a step does not depend on that of the gradient, so that rounding errors matter."""
    divides = isinstance(optimizer, fastmlp.Adam) and optimizer.epsilon < 1e-6
    return divides or isinstance(optimizer, (fastmlp.Lion, fastmlp.Rprop))


def run_reference(case: Case, folder: pathlib.Path, net: Any) -> tuple[Trace, list[bool]]:
    """Return the trace of the reference and, for each place of it, whether rounding has decided a line search before.

    So it does where a step changes the loss by less than the dtype's rounding errors, and where the loss at a step is
    finite for the reference but may be infinite in the dtype. The search, in another dtype, takes another way there.
    """
    runner, undecided = Runner(case, folder, net=net), list[int]()
    update, largest, error = LineSearch.update, float(np.finfo(case.dtype).max) ** 0.5, 8 * ULP[case.dtype]

    def watched(search: LineSearch, value: float, slope: float) -> bool:
        if abs(value) > largest or abs(value - search.value) < error * abs(search.value):
            undecided.append(len(runner.trace))
        return update(search, value, slope)

    with mock.patch.object(LineSearch, "update", watched):
        trace = runner.run()
    return trace, [place >= min(undecided, default=len(trace)) for place in range(len(trace))]


def assert_near_reference(case: Case, folder: pathlib.Path, expected: Trace) -> None:
    """Check the difference to the reference: the tolerance of a step for each step, plus 200 times `movement`.

    What `steps_by_signs` is compared up to the first operation that trains. The comparison also ends where rounding
    decides a line search, and where numbers grow beyond the dtype: the reference, which has doubles alone, may go on.
    """
    net = reference.Network(case.sizes, **case.words())
    net.parameters = case.network().parameters.tolist()  # rounded as in the package
    moved = movement(case, folder, expected)
    found, is_undecided = run_reference(case, folder, net)
    steps = 0
    build = Implementation(case.engine, case.isa, case.dtype)
    for place, ((name, e), (_, a)) in enumerate(zip(found, expected, strict=True)):
        steps += name in TRAINING and case.epochs * case.n_rows
        if is_undecided[place] or (name in TRAINING and steps_by_signs(case.optimizer)):
            return
        if a is FloatingPointError and not is_error(e) and max(np.abs(each).max() for each in parts(e)) > HUGE:
            return
        bound = build.tolerance(case.sizes, 3 * max(1, steps))
        for k, (one, other) in enumerate(zip(parts(a), parts(e), strict=False)):
            if is_error(one) or is_error(other) or one is None:
                assert one is other or np.inf in moved[place], f"{name}: {one!r:.80}, the reference {other!r:.80}"
                continue
            assert one.shape == np.shape(other), f"{name}: shape {one.shape}, the reference {np.shape(other)}"
            if name == "classify" or not one.size:  # a rounding error may change the class on a tie
                continue
            error = np.abs(one.astype(float) - other)
            most = bound * max(np.abs(other).max(), 1e-3) + 200 * moved[place][k]
            assert not (error > most).any(), (
                f"{name} ({k}): the reference differs by {error.max():.3g}, above {most:.3g}"
            )


def every_batch_counts(case: Case) -> bool:
    """Return whether each batch has a row of a weight above 0; without, `fit` skips a batch, an iterator is refused."""
    weight, n = data_of(case).sample_weight, case.batch_size or case.n_rows
    return weight is None or all(weight[start : start + n].any() for start in range(0, case.n_rows, n))


def ways(case: Case) -> list[tuple[str, Case, str]]:
    """Yield ways to run the case that must give the same bits: a description, the case, and the way."""
    found = [
        ("float64 in C order", replace(case, source="float64"), ""),
        ("resumed", case, "resumed"),
        ("copied", case, "copied"),
        ("pickled", case, "pickled"),
        ("learn_one by train_on_batch", case, "one row"),
    ]
    if case.engine == "native":  # the number of threads of BLAS is its own
        found += [(f"{n} threads", replace(case, n_threads=n), "") for n in (1, 2, 3) if n != case.n_threads]
    rows_in_order = not case.shuffle and case.validation_split is None and not case.optimizer.full_batch
    learns = isinstance(case.input_scaling, str) or isinstance(case.target_scaling, str)
    if rows_in_order and every_batch_counts(case) and case.class_weight != "balanced" and not learns:
        found.append(("batches", case, "batches"))
    if learns and "partial_fit" in case.operations:  # a network not yet trained would fit its scalings to other rows
        found = [each for each in found if each[2] != "resumed"]
    words = {"resumed": "fit", "copied": "keep", "pickled": "keep", "one row": "learn_one", "batches": "fit"}
    return [each for each in found if words.get(each[2]) in (None, *case.operations)]


def check(case: Case) -> None:
    """Compare a case with the reference, and with other ways to run it."""
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = pathlib.Path(name)
        expected = Runner(case, folder).run()
        for what, other, way in ways(case):
            assert_same_bits(Runner(other, folder, way).run(), expected, what)
        if case.work * (1 + len(case.operations)) < WORK:
            assert_near_reference(case, folder, expected)


def failure(case: Case) -> str | None:
    try:
        check(case)
    except (AssertionError, OverflowError) as error:
        return str(error)
    return None


def check_seed(seed: int, fails: Callable[[Case], str | None] = failure) -> None:
    """Check the case of a seed; the error of a failure shows a minimal case."""
    case = network_cases.draw(seed)
    found = fails(case)
    if found is None:
        return
    kind = found.split(":")[0]  # a simpler case must fail with the same type of error
    least = network_cases.minimal(case, lambda other: (fails(other) or "").split(":")[0] == kind)
    lines = [
        f"seed {seed}: {found}",
        "A minimal case, to run in tests/:",
        "from fastmlp import *",
        "from network_cases import Case",
        "from test_differential import check",
        f"check({least})",
        f"It fails with: {fails(least)}",
    ]
    raise AssertionError("\n".join(lines))


@pytest.mark.filterwarnings("ignore")
def test_some_networks() -> None:
    for seed in range(QUICK):
        if network_cases.draw(seed).source != "tensor":  # importing PyTorch would take most of the time
            check_seed(seed)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_networks_at_random() -> None:
    first = int(os.environ.get("FASTMLP_DIFFERENTIAL_SEED", QUICK))
    for seed in range(first, first + int(os.environ.get("FASTMLP_DIFFERENTIAL_NETWORKS", "2500"))):
        check_seed(seed)
