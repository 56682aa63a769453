"""Tables drawn at random: the command line, a loaded model, a network on encoded rows, and pandas with scikit-learn.

Each table is learnt and predicted for in four ways, which must agree: by `fastmlp train` and `fastmlp predict`; by
`predict` and `classify` of the loaded network on a frame of pandas or polars; by the network on `encoder.transform` of
that frame; and by the oracle of `table_oracle`. The first three agree to the last bit, the oracle within a bound of
rounding errors. Inputs of the network are the oracle's exactly, but for fractions of days.

FASTMLP_TABLES_SEED is the seed of the first table, FASTMLP_TABLES_COUNT their number. A failure prints the seed of its
table and a smallest case that fails in the same way.
"""

from __future__ import annotations

import collections
import contextlib
import io
import json
import os
import re
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import cli

for package in ("pandas", "polars", "sklearn", "pyarrow"):
    pytest.importorskip(package, reason=f"needs {package}")

import table_cases  # noqa: E402
import table_files  # noqa: E402
import table_oracle  # noqa: E402
from table_cases import Case  # noqa: E402

SEED = int(os.environ.get("FASTMLP_TABLES_SEED", "0"))
COUNT = int(os.environ.get("FASTMLP_TABLES_COUNT", "20000"))
KINDS_SHOWN = 12


class Difference(AssertionError):
    """Two ways of using a table that disagree; `kind` says which."""

    def __init__(self, kind: str, told: object = "") -> None:
        super().__init__(f"{kind}: {told}")
        self.kind = kind


def same(kind: str, actual: Any, expected: Any) -> None:
    """Arrays of the same shape and the same numbers, to the last bit; NaN is NaN."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape:
        raise Difference(kind, f"shapes {actual.shape} and {expected.shape}")
    if not np.array_equal(actual, expected, equal_nan=actual.dtype.kind == "f" and expected.dtype.kind == "f"):
        place = tuple(np.argwhere(actual != expected)[0].tolist())
        raise Difference(kind, f"at {place} {actual[place]!r} and {expected[place]!r}")


def near(kind: str, actual: Any, expected: Any, error: Any) -> None:
    """Arrays of the same shape, each number within its bound."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    if actual.shape != expected.shape:
        raise Difference(kind, f"shapes {actual.shape} and {expected.shape}")
    apart = ~(np.abs(actual - expected) <= error)
    if apart.any():
        place = tuple(np.argwhere(apart)[0].tolist())
        bound = np.broadcast_to(error, expected.shape)[place]
        raise Difference(kind, f"at {place} {actual[place]!r} and {expected[place]!r}, bound {bound:.3g}")


# ------------------------------------------------------------------------------------------------------------ one table


def check(case: Case, folder: Path) -> None:
    """Raise a Difference where two ways of using the table disagree."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Check(case, folder).run()


class Check:
    """The ways of using one table."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case, self.options = case, case.options
        self.folder = folder
        self.train_columns, self.new_columns = table_files.training(case), table_files.new(case)
        self.names, self.train_rows, self.new_rows = table_oracle.inputs(case)

    def run(self) -> None:
        """All comparisons."""
        self.train_frame, self.new_frame = self.frames()
        self.encoder = self.fit_encoder()
        self.compare_inputs()
        self.net = self.fit_network()
        self.compare_network()

    def frames(self) -> tuple[Any, Any]:
        """The training and the new table as frames of the case's library."""
        options = self.options
        if options.typed:
            return tuple(table_files.typed_frame(each, options) for each in (self.train_columns, self.new_columns))
        found = []
        for columns, name, stem in (
            (self.train_columns, options.train_format, "train"),
            (self.new_columns, options.new_format, "new"),
        ):
            path = table_files.write(columns, name, options, self.folder / stem)
            found.append(table_files.read_frame(path, columns, name, options))
        return found[0], found[1]

    def fit_encoder(self) -> fastmlp.Encoder:
        """The encoder of the training frame."""
        options = self.options
        return fastmlp.Encoder.fit(
            self.train_frame,
            target=self.case.target.name,
            drop=options.drop,
            keep=options.keep,
            missing=options.marks,
            min_count=options.min_count,
            max_categories=options.max_categories,
        )

    def compare_inputs(self) -> None:
        """The encoder's inputs and their names are the oracle's."""
        if list(self.encoder.feature_names_out) != self.names:
            raise Difference("names of inputs", f"{self.encoder.feature_names_out} and {self.names}")
        again = fastmlp.Encoder.from_description("encoder", json.loads(json.dumps(self.encoder.describe())))
        if again != self.encoder:
            raise Difference("encoder described and read again")
        fraction = np.array([name.endswith(".day_number") for name in self.names]) * 2.0**-52
        for part, frame, expected in (
            ("training", self.train_frame, self.train_rows),
            ("new", self.new_frame, self.new_rows),
        ):
            rows = self.encoder.transform(frame)
            near(f"inputs of {part} rows", rows, expected, fraction * np.abs(expected))

    def fit_network(self) -> fastmlp.Network:
        """A small network, trained for an epoch where the numbers allow it."""
        case, options = self.case, self.options
        scaling = None if options.scaling == "none" else options.scaling
        words: dict[str, Any] = {"dtype": options.dtype, "seed": case.seed, "encoder": self.encoder}
        words["input_scaling"] = scaling
        hidden = [fastmlp.ReLU() if case.seed % 2 else fastmlp.Tanh()]
        if case.target.kind == "classes":
            names = table_oracle.class_names(case.target.values)
            table = dict(zip(map(str, names), names, strict=True))
            y: Any = [table[label] for label in case.target.values]
            words |= {"loss": "cross_entropy", "class_names": names}
            width = len(names)
        else:
            y = np.array(case.target.values, np.float64)
            words["target_scaling"] = "standard"
            width = 1
        net = fastmlp.Network([self.encoder.n_outputs, 3, width], activation=hidden, **words)
        if not self.unlearnable():
            net.fit(self.train_frame, y, epochs=1, batch_size=32)
        elif scaling is not None or words.get("target_scaling"):
            plain = {**words, "input_scaling": None, "target_scaling": None}
            net = fastmlp.Network([self.encoder.n_outputs, 3, width], activation=hidden, **plain)
        return net

    def unlearnable(self) -> bool:
        """Whether numbers are there that no training can take: too large for it, or unscaled and large."""
        return self.case.extreme or (self.options.scaling == "none" and np.abs(self.train_rows).max() > 1e3)

    def compare_network(self) -> None:
        """The network on the frame, on encoded rows, loaded again, and the oracle."""
        path = self.folder / "model.safetensors"
        self.net.save(path)
        loaded = fastmlp.load(path)
        rows = self.encoder.transform(self.new_frame)
        predicted = self.net.predict(rows)
        same("predict of a frame and of its encoded rows", self.net.predict(self.new_frame), predicted)
        same("predict of the loaded network", loaded.predict(self.new_frame), predicted)
        self.compare_oracle(self.net, predicted)
        if self.case.target.kind == "classes":
            same("classify of the loaded network", loaded.classify(self.new_frame), self.net.classify(rows))
            named = loaded.classify(self.new_frame, names=True)
            names = table_oracle.class_names(self.case.target.values)
            for label, index in zip(named.tolist(), self.net.classify(rows).tolist(), strict=True):
                if (type(label), label) != (type(names[index]), names[index]):
                    raise Difference("names of classes", f"{label!r} and {names[index]!r}")

    def compare_oracle(self, net: fastmlp.Network, predicted: Any) -> None:
        """Predictions are within the oracle's bound."""
        scaling = "none" if net.input_scaling is None else self.options.scaling
        epsilon = table_oracle.EPSILON[str(net.dtype)]
        x = table_oracle.scaled(scaling, self.train_rows, self.new_rows, epsilon)
        z, error = table_oracle.outputs(net, x)
        if self.case.target.kind != "classes":
            targets = np.array(self.case.target.values, np.float64)[:, np.newaxis]
            expected, error = table_oracle.numbers(
                z, error, None if net.target_scaling is None else targets, str(predicted.dtype)
            )
            near("predicted numbers and the oracle", predicted, expected, error)
            return
        expected, error = table_oracle.probabilities(net, z, error)
        two = np.hstack([1 - predicted, predicted]) if predicted.shape[1] < expected.shape[1] else predicted
        near("probabilities and the oracle", two, expected, error)


# ----------------------------------------------------------------------------------------------------------- all tables


def failure(case: Case, folder: Path) -> tuple[str, str] | None:
    """The kind of a failure and what is said of it; None where all agree."""
    try:
        check(case, folder)
    except Difference as difference:
        return difference.kind, str(difference)
    except (Exception, SystemExit) as error:
        own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == __file__]
        told = re.sub(r"'[^']*'|\d+", "_", str(error))[:50]
        return f"{own[-1].name} raises {type(error).__name__} {told}", f"{type(error).__name__}: {error}"
    return None


def report(first: int, count: int, folder: Path) -> str:
    """What is to be said of the failures among so many tables, by kind, each with a minimal case; empty if none."""
    kinds: dict[str, list[int]] = collections.defaultdict(list)
    for seed in range(first, first + count):
        found = failure(table_cases.draw(seed), folder)
        if found is not None:
            kinds[found[0]].append(seed)
    lines = []
    for kind, seeds in sorted(kinds.items(), key=lambda item: -len(item[1])):
        lines.append(f"{len(seeds)} of {count} tables: {kind}; seeds {', '.join(map(str, seeds[:5]))}")
        if len(lines) <= 2 * KINDS_SHOWN:
            case = table_cases.draw(seeds[0])

            def fails(candidate: Case, kind: str = kind) -> bool:
                found = failure(candidate, folder)
                return found is not None and found[0] == kind

            case = table_cases.minimal(case, fails)
            again = failure(case, folder)
            lines.append(f"{table_cases.described(case)}\n  {again[1] if again else ''}")
    return "\n".join(lines)


def test_a_hundred_tables(tmp_path: Path) -> None:
    told = report(SEED, 100, tmp_path)
    assert not told, told


@pytest.mark.slow
def test_many_tables(tmp_path: Path) -> None:
    told = report(SEED + 100, COUNT, tmp_path)
    assert not told, told
