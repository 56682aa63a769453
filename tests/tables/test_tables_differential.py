"""Random tables: the command line, a loaded model, a network on encoded rows, and an oracle by scikit-learn.

There are four ways to train on a table and to predict, which must agree: `fastmlp train` and `fastmlp predict`;
`predict` and `classify` of the loaded network on a frame of pandas or polars; the network on `encoder.transform` of
that frame; and the oracle of `table_oracle`. The first three give the same bits, the oracle agrees within a bound of
rounding errors. The inputs of the network are exactly the oracle's, except for fractions of days.

FASTMLP_TABLES_SEED is the seed of the first table, FASTMLP_TABLES_COUNT the number of tables. A failure prints the seed
of its table and a simple case that fails in the same way.
"""

from __future__ import annotations

import collections
import contextlib
import csv
import io
import json
import os
import re
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import cli
from fastmlp.cli import command_line

for package in ("pandas", "polars", "sklearn", "pyarrow"):
    pytest.importorskip(package, reason=f"needs {package}")

import table_cases  # noqa: E402
import table_files  # noqa: E402
import table_oracle  # noqa: E402
from table_cases import Case  # noqa: E402

SEED = int(os.environ.get("FASTMLP_TABLES_SEED", "0"))
COUNT = int(os.environ.get("FASTMLP_TABLES_COUNT", "20000"))
KINDS_SHOWN = 12
QUOTED = r"'[^']*'|\d+|/\S*"


class Difference(AssertionError):  # noqa: N818
    """The exception for two ways of using a table that disagree; `kind` names them."""

    def __init__(self, kind: str, told: object = "") -> None:
        super().__init__(f"{kind}: {told}")
        self.kind = kind


def same(kind: str, actual: Any, expected: Any) -> None:
    """Check that arrays have the same shape and bits; NaN equals NaN."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape:
        raise Difference(kind, f"shapes {actual.shape} and {expected.shape}")
    if not np.array_equal(actual, expected, equal_nan=actual.dtype.kind == "f" and expected.dtype.kind == "f"):
        place = tuple(np.argwhere(actual != expected)[0].tolist())
        raise Difference(kind, f"at {place} {actual[place]!r} and {expected[place]!r}")


def near(kind: str, actual: Any, expected: Any, error: Any) -> None:
    """Check that arrays have the same shape, and that each difference is within its bound."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    if actual.shape != expected.shape:
        raise Difference(kind, f"shapes {actual.shape} and {expected.shape}")
    apart = ~(np.abs(actual - expected) <= error)
    if apart.any():
        place = tuple(np.argwhere(apart)[0].tolist())
        bound = np.broadcast_to(error, expected.shape)[place]
        raise Difference(kind, f"at {place} {actual[place]!r} and {expected[place]!r}, bound {bound:.3g}")


def same_labels(kind: str, actual: list[Any], expected: list[Any]) -> None:
    """Check that lists have the same labels of the same types."""
    if list(map(repr, actual)) != list(map(repr, expected)):
        place = next(
            (i for i, pair in enumerate(zip(actual, expected, strict=False)) if repr(pair[0]) != repr(pair[1])), -1
        )
        raise Difference(
            kind, f"{len(actual)} and {len(expected)}, at {place} {actual[place]!r} and {expected[place]!r}"
        )


# ------------------------------------------------------------------------------------------------------------ one table


def check(case: Case, folder: Path) -> None:
    """Raise a Difference where two ways of using the table disagree."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Check(case, folder).run()


class Check:
    """The comparisons of the ways to use one table."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.whole, self.case, self.options = case, case.learnt, case.options
        self.folder = folder
        self.train_columns, self.new_columns = table_files.training(case), table_files.new(case)
        self.names, self.train_rows, self.new_rows = table_oracle.inputs(self.case)

    def run(self) -> None:
        """Run all comparisons."""
        self.train_path, self.new_path = (
            table_files.write(columns, name, self.options, self.folder / stem)
            for columns, name, stem in (
                (self.train_columns, self.options.train_format, "train"),
                (self.new_columns, self.options.new_format, "new"),
            )
        )
        self.train_frame, self.new_frame = self.frames()
        if not all(self.whole.has_target):
            present = np.array(self.whole.has_target)
            self.train_frame = (
                self.train_frame.filter(present) if self.options.library == "polars" else self.train_frame[present]
            )
        self.encoder = self.fit_encoder()
        self.compare_inputs()
        self.net = self.network_of_command() if self.options.by_command else self.fit_network()
        self.compare_network()
        self.compare_command()

    def frames(self) -> tuple[Any, Any]:
        """Return the training table and the new table as frames of the case's library."""
        options = self.options
        if options.typed:
            return tuple(table_files.typed_frame(each, options) for each in (self.train_columns, self.new_columns))
        return (
            table_files.read_frame(self.train_path, self.train_columns, options.train_format, options),
            table_files.read_frame(self.new_path, self.new_columns, options.new_format, options),
        )

    def fit_encoder(self) -> fastmlp.Encoder:
        """Return the encoder fitted to the training frame."""
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
        """Compare the encoder's inputs and their names with the oracle's."""
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
            self.encoded = self.encoder.transform(frame)
            near(f"inputs of {part} rows", self.encoded, expected, fraction * np.abs(expected))

    def fit_network(self) -> fastmlp.Network:
        """Return a small network, trained for an epoch if the numbers allow it."""
        case, options = self.case, self.options
        scaling = None if options.scaling == "none" else options.scaling
        words: dict[str, Any] = {"dtype": options.dtype, "seed": case.seed, "encoder": self.encoder}
        words |= {"input_scaling": scaling, "target_name": case.target.name}
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
        frame = self.train_frame
        if self.needs_no_encoder():
            words["encoder"], frame = None, frame[[column.name for column in case.inputs]]
        net = fastmlp.Network([self.encoder.n_outputs, 3, width], activation=hidden, **words)
        if not self.is_untrainable():
            net.fit(frame, y, epochs=1, batch_size=32)
        elif scaling is not None or words.get("target_scaling"):
            plain = {**words, "input_scaling": None, "target_scaling": None}
            net = fastmlp.Network([self.encoder.n_outputs, 3, width], activation=hidden, **plain)
        return net

    def needs_no_encoder(self) -> bool:
        """Whether the columns can be trained on as they are: all numbers, also to the reader, and none missing.

        Without an encoder nothing is known of further columns, which a file without header has unnamed.
        """
        if not self.options.header and (self.options.drop or self.options.keep):
            return False
        frames = (self.train_frame, self.new_frame)
        dtypes = [frame[column.name].dtype for column in self.case.inputs for frame in frames]
        numeric = all(dtype.is_numeric() if hasattr(dtype, "is_numeric") else dtype.kind in "iuf" for dtype in dtypes)
        values = [value for column in self.case.inputs for value in column.values + column.new_values]
        return numeric and None not in values and not self.is_untrainable()

    def is_untrainable(self) -> bool:
        """Return whether inputs are too large for training, or large and not scaled."""
        return self.case.untrainable or (self.options.scaling == "none" and np.abs(self.train_rows).max() > 1e3)

    def compare_network(self) -> None:
        """Compare the loaded network on the frame, the network on encoded rows, and the oracle."""
        if self.options.by_command:
            loaded = self.net
        else:
            self.net.save(self.folder / "model.safetensors")
            loaded = fastmlp.load(self.folder / "model.safetensors")
        self.predicted = self.net.predict(self.encoded)
        self.answers = self.predicted[:, 0].tolist()
        same("predict of a frame and of its encoded rows", loaded.predict(self.new_frame), self.predicted)
        self.compare_oracle(self.net, self.predicted)
        if self.case.target.kind == "classes":
            names = table_oracle.class_names(self.case.target.values)
            expected = [names[index] for index in self.net.classify(self.encoded)]
            self.answers = loaded.classify(self.new_frame, names=True).tolist()
            same_labels("names of classes", self.answers, expected)

    # ------------------------------------------------------------------------------------------------ the command line

    def command(self, *arguments: str) -> str:
        """Run the command line and return what it prints."""
        out, told = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):
            code = cli.main(list(arguments))
        if code != 0:
            line = re.sub(QUOTED, "_", told.getvalue().splitlines()[-1].removeprefix("fastmlp: error: "))
            raise Difference(f"fastmlp {arguments[0]} fails: {line[:70]}", told.getvalue())
        return out.getvalue()

    def how_written(self, columns: table_files.Columns, format_name: str) -> list[str]:
        """Return the options that describe a file: those that cannot be inferred, and half of the others."""
        if not format_name.startswith("csv"):
            return []
        no_header = [] if self.options.header else ["--no-header"]
        texts = [text for column, cells in columns for text in (column.name, *(text for text, _ in cells))]
        other = set("\t;|, ") - {self.options.separator}
        guessable = len(columns) > 1 and self.options.decimal == "." and not any(other.intersection(t) for t in texts)
        if guessable and self.case.seed % 2:
            return no_header
        return [*no_header, f"--separator={self.options.separator}", f"--decimal={self.options.decimal}"]

    def network_of_command(self) -> fastmlp.Network:
        """Return the network that `fastmlp train` saves; check that its encoder equals Python's."""
        options, path = self.options, str(self.folder / "model.safetensors")
        words = [f"--{option}={name}" for option in ("drop", "keep") for name in getattr(options, option)]
        words += [f"--null={mark}" for mark in options.marks]
        words += [] if all(self.whole.has_target) else ["--drop-missing-target"]
        words += [f"--target={self.case.target.name}", "--test-fraction=0", "--quiet", "--epochs=1", "--layers=3"]
        words += [f"--task={options.task}", f"--dtype={options.dtype}", f"--scaling={options.scaling}"]
        words += self.how_written(self.train_columns, options.train_format)
        self.command("train", str(self.train_path), "-o", path, *words)
        net = fastmlp.load(path)
        if net.encoder != self.encoder:
            raise Difference("encoder of the command line", f"{net.encoder and net.encoder.describe()}")
        if net.target_name != self.case.target.name:
            raise Difference("target of the command line", net.target_name)
        expected = table_oracle.class_names(self.case.target.values) if self.case.target.kind == "classes" else None
        if repr(net.class_names) != repr(expected):
            raise Difference("classes of the command line", f"{net.class_names} and {expected}")
        return net

    def compare_command(self) -> None:
        """Compare `fastmlp predict` and `fastmlp evaluate` with the network's predictions for the frame."""
        words = self.how_written(self.new_columns, self.options.new_format)
        self.arguments = [str(self.folder / "model.safetensors"), str(self.new_path), "--quiet", *words]
        as_json, proba = self.case.seed % 3 == 0, self.case.seed % 3 == 1
        is_classes = self.case.target.kind == "classes"
        if as_json:
            self.compare_json(is_classes)
        else:
            self.compare_lines(is_classes, proba and is_classes)
        narrow = self.net.target_scaling is None and self.options.dtype == "float32"
        beyond = narrow and any(isinstance(v, float) and abs(v) > 1e38 for v in self.case.target.new_values)
        if self.options.with_target and self.case.seed % 4 == 0 and not beyond:
            self.compare_scores(is_classes)

    def compare_json(self, is_classes: bool) -> None:
        """Compare the predictions in the output of `fastmlp predict --json`."""
        given = json.loads(self.command("predict", *self.arguments, "--json"))["predictions"]
        if is_classes or self.predicted.dtype == np.float64:
            same_labels("predictions of the command line as JSON", given, self.answers)
        else:
            same("predictions of the command line as JSON", np.float32(given), self.predicted[:, 0])

    def compare_lines(self, is_classes: bool, proba: bool) -> None:
        """Compare the lines of `fastmlp predict`, which are CSV with kept columns or --proba."""
        kept = (
            list(self.options.keep) if self.net.encoder is not None else []
        )  # a network without an encoder does not know these columns
        printed = self.command("predict", *self.arguments, *["--proba"] * proba)
        is_csv = proba or bool(kept)
        rows = list(csv.reader(io.StringIO(printed)))[1:] if is_csv else [[line] for line in printed.splitlines()]
        if proba:
            two = np.hstack([1 - self.predicted, self.predicted]) if self.predicted.shape[1] == 1 else self.predicted
            numbers = [[two.dtype.type(cell) for cell in row[len(kept) :]] for row in rows]
            same("probabilities of the command line", numbers, two)
        elif is_classes:
            same_labels("classes that the command line prints", [row[-1] for row in rows], list(map(str, self.answers)))
        else:
            numbers = [self.predicted.dtype.type(row[-1]) for row in rows]
            same("numbers that the command line prints", numbers, self.predicted[:, 0])
        for i, name in enumerate(kept):
            column = next(column for column in self.case.columns if column.name == name)
            if column.kind == "text" and self.options.new_format.startswith("csv"):
                same_labels("kept column", [row[i].strip() for row in rows], [text.strip() for text, _ in column.new])

    def compare_scores(self, is_classes: bool) -> None:
        """Compare the accuracy or the mean absolute error that `fastmlp evaluate` prints."""
        told = json.loads(self.command("evaluate", *self.arguments, "--json"))
        truth = self.case.target.new_values
        if is_classes:
            right = [str(answer) == label for answer, label in zip(self.answers, truth, strict=True)]
            same("accuracy", told["accuracy"], np.mean(right))
        elif told["mae"] is not None:
            expected = np.mean(np.abs(np.array(self.answers) - np.array(truth, np.float64)))
            near("mean absolute error", told["mae"], expected, 1e-5 * expected)

    # ------------------------------------------------------------------------------------------------------ the oracle

    def compare_oracle(self, net: fastmlp.Network, predicted: Any) -> None:
        """Check that predictions are within the oracle's bound."""
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
    """Return the kind of a failure and its message, or None if all ways agree."""
    try:
        check(case, folder)
    except Difference as difference:
        return difference.kind, str(difference)
    except (Exception, SystemExit) as error:
        own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == __file__]
        told = re.sub(QUOTED, "_", str(error))[:50]
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


@pytest.fixture(autouse=True)
def without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Save time: do not sync model files to the disk, and reuse the parser of the command line."""
    parser = command_line._parser()
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(command_line, "_parser", lambda: parser)


def test_a_hundred_tables(tmp_path: Path) -> None:
    told = report(SEED, 100, tmp_path)
    assert not told, told


@pytest.mark.slow
def test_many_tables(tmp_path: Path) -> None:
    told = report(SEED + 100, COUNT, tmp_path)
    assert not told, told
