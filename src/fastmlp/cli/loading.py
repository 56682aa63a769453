"""The data of the command line: `load` reads rows to train on, `read_input` reads rows for a saved network.

Everything determined from the table of the training is stored in the network: its `Encoder`, `target_name`,
`class_names` and scalings. Therefore `fastmlp predict` gives the results of `fastmlp.load(path).predict(frame)`.
Guesses and doubts about a file are written to stderr.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import datasets, encoder, network
from ..bound import BoundPredictor
from ..console import say
from ..encoder import Encoder
from ..frozen import frozen, replace
from ..inputs.labels import Label
from ..losses import LOSSES
from ..network import Network
from ..tables import columns, csv_reader, table_reader, target_column
from ..tables.columns import CellError, Numbers, PlainFrame, Texts
from ..tables.dialect import Options, name_in_header
from ..tables.parts import Part
from ..tables.target_column import Learnt, Target
from .preparation import choose_scaling, split

DATASETS = ("digits", "fashion-mnist")
TABLE_UPDATES = 1000  # the number of optimiser steps from which the number of epochs for a table is computed
TABLE_EPOCHS = (10, 300)  # the bounds of that number of epochs


@frozen
class Settings:
    """The values of options that the command line does not give."""

    layers: tuple[int, ...]
    epochs: int
    batch_size: int
    learning_rate: float | None = None  # for Adam; None is Adam's default


DEFAULTS = {
    "digits": Settings((128,), 40, 16, 0.002),
    "fashion-mnist": Settings((128,), 10, 64),
}


class Examples(NamedTuple):
    """Inputs (n, I) before scaling, targets in the form that `Network.fit` takes, and class indices, if any."""

    x: NDArray[Any]
    y: NDArray[Any]
    labels: NDArray[np.int64] | None


@frozen
class Data:
    """Rows to train on and to test on, and what the network stores about them. `how` describes the split in words."""

    name: str
    how: str
    train: Examples
    test: Examples | None
    settings: Settings
    classes: tuple[Label, ...] | None
    target_name: str | None = None
    encoder: Encoder | None = None
    validation: Examples | None = None
    input_scaling: str | None = None
    target_scaling: str | None = None

    @property
    def task(self) -> str:
        """Classification or regression."""
        return "regression" if self.classes is None else "classification"

    @property
    def n_targets(self) -> int:
        """The number of classes, or of numbers per row to predict."""
        return int(self.train.y.shape[1]) if self.classes is None else len(self.classes)


def note(text: str, *, quiet: bool = False) -> None:
    """Print a line on stderr about something that the user may not expect, unless `quiet`."""
    if not quiet:
        say(f"fastmlp: {text}", sys.stderr)


def options_of(args: argparse.Namespace) -> Options:
    """Return what the command line specifies about how the text is written."""
    return Options(args.separator, not args.no_header, args.decimal, tuple(args.null))


def network_of(path: str, *, n_threads: int | str = "auto") -> Network:
    """Return the network of a model file; raise a ValueError if it has a bound predictor, which can only predict."""
    model = network.load(path, n_threads=n_threads)
    refuse_predictor(path, model)
    return model


def refuse_predictor(path: str, model: Any) -> None:
    """Raise a ValueError if a model is a bound predictor."""
    if isinstance(model, BoundPredictor):
        raise ValueError(
            f"{path}: expected the file of a Network, got that of a BoundPredictor, which can only predict; use the "
            "file of the network that it was bound from"
        )


# ------------------------------------------------------------------------------------------------ rows to train on


def load(args: argparse.Namespace) -> Data:
    """Read the data that `fastmlp train` trains on."""
    if args.data == "digits":
        return _load_built_in(args, datasets.load_digits(), "fixed stratified split, 80/20")
    if args.data == "fashion-mnist":
        return _load_built_in(args, datasets.load_fashion_mnist(args.folder), "the data set's own split")
    return _load_arrays(args) if table_reader.suffix(args.data) == ".npz" else _load_table(args)


def _load_built_in(args: argparse.Namespace, pairs: Any, how: str) -> Data:
    train, test = (Examples(x, y, y) for x, y in pairs)
    scaling = None if args.scaling == "auto" else choose_scaling(args.scaling, train.x)
    classes = tuple(range(int(train.y.max()) + 1))
    return Data(args.data, how, train, test, DEFAULTS[args.data], classes, input_scaling=scaling)


def _read_target(args: argparse.Namespace, target: Target) -> Learnt:
    """Determine task, classes and values of the target column, and print notes about it."""
    try:
        learnt = target_column.read(target, args.task, drop_missing=args.drop_missing_target)
    except ValueError as error:
        raise ValueError(f"{args.data}: {error}") from None
    for text in learnt.notes:
        note(f"{args.data}: {text}")
    if learnt.present is not None:
        note(f"{args.data}: {int(np.sum(~learnt.present))} rows without a target are left out")
    return learnt


def _load_arrays(args: argparse.Namespace) -> Data:
    arrays = table_reader.read_arrays(args.data)
    assert arrays.y is not None
    x, y, how = arrays.x, arrays.y, "the file's own split"
    if args.null:
        note(f"{args.data}: --null applies to y alone, and the model does not keep it: give it to evaluate, too")
        _refuse_marks(args, x)
    if arrays.test is not None:
        if args.test_fraction is not None:
            raise ValueError(f"--test-fraction: expected an .npz of X and y, and {args.data} has its own test rows")
        x, y = (np.concatenate(pair) for pair in zip((x, y), arrays.test, strict=True))
    learnt = _read_target(args, target_column.of_array(y, "y", args.null))
    rows = np.arange(len(x)) if learnt.present is None else np.flatnonzero(learnt.present)
    if arrays.test is None:
        train, test, how = _split(args, learnt)
    else:
        train, test = np.flatnonzero(rows < len(arrays.x)), np.flatnonzero(rows >= len(arrays.x))
    return _make_data(args, how, learnt, (train, test), (x[rows[train]], x[rows[test]]), None, None)


def _refuse_marks(args: argparse.Namespace, x: NDArray[Any]) -> None:
    """Refuse an array of inputs that contains a mark of missing values: without an encoder, nothing replaces it."""
    numbers = [number for number in map(columns.number_of, args.null) if number is not None]
    rows, places = np.nonzero(np.isin(x, numbers))
    if len(rows):
        raise ValueError(
            f"{args.data if 'data' in args else args.input}: row {rows[0] + 1}, column {places[0]} of X: "
            f"{x[rows[0], places[0]]} is a mark of --null, and the X of an .npz may have no missing numbers; in a "
            "table with columns (.csv, .parquet) they become the median"
        )


def _read_frame(args: argparse.Namespace, table: table_reader.Table, target: str, spelled: list[str]) -> Any:
    """Read the frame of the table; the target, unless it is surely numbers, and the columns in `spelled` as text."""
    as_text = args.task == "classification" or table.decimal != "."
    if not as_text and target_column.are_surely_numbers(table.first_cells(target)):
        frame = table.read(spelled)
        if str(frame[target].dtype) != "String":  # polars reads numbers with blanks around them as strings
            return frame
    return table.read([target, *spelled])


def _load_table(args: argparse.Namespace) -> Data:
    table = table_reader.open_table(args.data, options_of(args))
    args.null = csv_reader.marks_with_points(args.null, table.decimal)
    name = _column(table, "--target", args.target)
    apart = {
        option: [_column(table, f"--{option}", given) for given in getattr(args, option)] for option in ("drop", "keep")
    }
    for option, names in apart.items():
        if name in names:
            raise ValueError(f"--{option}: expected another column than the target, got {name!r}")
    if table.guess is not None:
        note(f"{args.data}: {table.guess}", quiet=args.quiet)
    if table.doubt is not None:
        note(f"{args.data}: {table.doubt}")
    later = threading.Thread(target=import_module, args=("numpy.random",))
    later.start()  # for `split`: polars leaves time for it while it reads
    frame = _read_frame(args, table, name, [*apart["drop"], *apart["keep"]])
    table_reader.refuse_columns_without_text(args.data, frame, apart["keep"])
    if table_reader.counts_rows(table, frame) and table.names[0] not in (*apart["drop"], *apart["keep"], name):
        first = table.names[0]
        note(f"{args.data}: the column without a name is 0, 1, 2, ... and is an input; --drop {first} leaves it out")
    if table.decimal == "," and args.task != "classification":
        frame = csv_reader.numbers_with_points(frame, name, args.null)
    learnt = _read_target(args, target_column.of_frame(frame, name, args.null))
    train, test, how = _split(args, learnt)
    present = None if learnt.present is None else np.flatnonzero(learnt.present)
    train_rows, test_rows = (which if present is None else present[which] for which in (train, test))
    part, n_epochs = _select_rows(frame, train_rows), args.epochs or TABLE_EPOCHS[0]
    try:
        fitted, notes, x = encoder.learn_and_transform(
            part, n_epochs, target=name, drop=apart["drop"], keep=apart["keep"], missing=args.null
        )
        for each in notes:
            note(f"{args.data}: {each.text}", quiet=args.quiet and not each.warning)
    except CellError as error:
        raise _error_in_file(args.data, error, train_rows) from None
    except (ValueError, TypeError) as error:
        raise ValueError(f"{args.data}: {error}") from None
    tested = _select_rows(frame, test_rows)
    x_test = _encode(args.data, fitted, tested, test_rows, n_epochs) if len(test) else x[:0]
    return _make_data(args, how, learnt, (train, test), (x, x_test), name, fitted)


def with_validation(data: Data, share: float | None, seed: int) -> Data:
    """Move this share of the training rows to a validation set, stratified by class for a classification."""
    if share is None:
        return data
    by = data.train.y if data.train.labels is None else data.train.labels
    kept, apart = split(by, share, seed + 1, data.classes is not None)
    if 0 in (len(kept), len(apart)):
        raise ValueError(f"--validation: expected a share that leaves rows on both sides, got {share} of {len(by)}")
    train, validation = (
        Examples(data.train.x[rows], data.train.y[rows], None if data.train.labels is None else data.train.labels[rows])
        for rows in (kept, apart)
    )
    return replace(data, train=train, validation=validation)


def _select_rows(frame: Any, indices: NDArray[Any]) -> Any:
    """Select the rows with these ascending indices."""
    if len(indices) == len(frame):
        return frame
    return frame[indices] if isinstance(frame, PlainFrame) else Part(frame, indices)


def _column(table: table_reader.Table, option: str, given: str) -> str:
    try:
        return table.column(given)
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from None


def _error_in_file(path: str, error: CellError, rows: NDArray[Any] | None = None) -> ValueError:
    """Return the error with the path and the row in the file, counted from 1.

    `rows` are the file's rows, counted from 0, that the frame with the error consists of; None for all.
    """
    row = error.row if rows is None else int(rows[error.row])
    return ValueError(f"{path}: row {row + 1}, column {error.column!r}: {error.problem}")


def _encode(path: str, fitted: Encoder, frame: Any, rows: NDArray[Any] | None = None, n_reads: int = 1) -> NDArray[Any]:
    """Encode rows of a file, to a matrix that will be read about n_reads times; `rows` as for `_error_in_file`."""
    try:
        return encoder.transform(fitted, frame, n_reads)
    except CellError as error:
        raise _error_in_file(path, error, rows) from None
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from None


def _split(args: argparse.Namespace, learnt: Learnt) -> tuple[NDArray[Any], NDArray[Any], str]:
    """Return the rows to train on, the rows to test on, and a description of the split."""
    fraction = 0.2 if args.test_fraction is None else args.test_fraction
    train, test = split(learnt.values, fraction, args.seed, learnt.classes is not None)
    if not len(test):
        return train, test, "no split"
    return train, test, f"{'random' if learnt.classes is None else 'stratified'} split of seed {args.seed}"


def _make_data(
    args: argparse.Namespace,
    how: str,
    learnt: Learnt,
    indices: tuple[NDArray[Any], NDArray[Any]],
    inputs: tuple[NDArray[Any], NDArray[Any]],
    target_name: str | None,
    fitted: Encoder | None,
) -> Data:
    """Assemble the data of a file; `indices` and `inputs` are pairs, for the rows to train on and those to test on."""

    def examples(x: NDArray[Any], which: NDArray[Any]) -> Examples:
        values = learnt.values[which]
        return Examples(x, target_column.given(values, learnt.classes), None if learnt.classes is None else values)

    loss = LOSSES[args.loss or ("mse" if learnt.classes is None else "cross_entropy")]()
    if loss.targets == "one class" and learnt.classes is None:
        name = "y" if target_name is None else repr(target_name)
        raise ValueError(
            f"--loss {loss.name}: expected a target of classes, and {name} is numbers to predict; --task "
            "classification takes each different number for a class"
        )
    takes_scaled = loss.targets == "real" and loss.n_heads == 1 and not loss.classifies
    plain = args.output_activation in (None, "identity")
    scaled = learnt.classes is None and args.scaling != "none" and takes_scaled and plain
    batch_size = 32
    updates = math.ceil(len(indices[0]) / (args.batch_size or batch_size))
    epochs = min(max(math.ceil(TABLE_UPDATES / updates), TABLE_EPOCHS[0]), TABLE_EPOCHS[1])
    return Data(
        os.path.basename(args.data),
        how,
        examples(inputs[0], indices[0]),
        examples(inputs[1], indices[1]) if len(indices[1]) else None,
        Settings((64, 32), epochs, batch_size, 0.003),
        learnt.classes,
        target_name,
        fitted,
        input_scaling=choose_scaling(args.scaling, inputs[0]),
        target_scaling="standard" if scaled else None,
    )


# --------------------------------------------------------------------------------------------- rows for a saved network


class Input(NamedTuple):
    """Rows of a file in the form that `predict` takes, columns to copy as text, and the target if it was requested."""

    x: NDArray[Any]
    kept: dict[str, list[str]]
    target: Target | None


def read_input(args: argparse.Namespace, network: Network, target: str | None = None) -> Input:
    """Read the rows of INPUT for the network, and the column `target` if it is not None."""
    if table_reader.suffix(args.input) == ".npz":
        return _read_input_arrays(args, network, target)
    table = table_reader.open_table(args.input, options_of(args)._replace(missing=tuple(_marks(args, network))))
    args.null = csv_reader.marks_with_points(args.null, table.decimal)
    by_position = args.no_header and network.feature_names is not None
    names = _names_by_position(table, network) if by_position else _names_of_model(table, network)
    in_file = dict(zip(names, table.names, strict=True))
    are_counted = all(map(columns.NUMBER.fullmatch, network.feature_names or ()))
    if table.doubt is not None and are_counted:  # otherwise a wrong header is found by its names
        note(f"{args.input}: {table.doubt}")
    keep = _to_keep(args, network, table, names)
    if args.keep:  # names in the file, which without a header may differ from those in the model
        keep = [next((name for name in names if in_file[name] == each), each) for each in keep]
    if target is not None and target not in in_file:
        if args.target is None:
            problem = f"expected the column {target!r}, the target, got none; --target names another"
            raise ValueError(f"{args.input}: {problem}")
        target = names[table.names.index(_column(table, "--target", args.target))]
    as_text = [*keep, *_text_columns(network), *([] if target is None else [target])]
    wanted = [name for name in as_text if name in in_file]
    features = network.feature_names
    # Columns that the model does not use are read as text, which is never refused.
    unused = [] if features is None else [name for name in names if name not in features]
    frame = table.read([in_file[name] for name in {*wanted, *unused}])
    frame = _rename_columns(frame, names)
    table_reader.refuse_columns_without_text(args.input, frame, keep)
    marks = _marks(args, network)
    if target is not None and table.decimal == "," and network.class_names is None:
        frame = csv_reader.numbers_with_points(frame, target, marks)
    x = _inputs(args, network, frame, table, {*keep, target or ""})
    kept = {name: _as_text(frame[name]) for name in keep}
    return Input(x, kept, None if target is None else target_column.of_frame(frame, target, marks))


def _read_input_arrays(args: argparse.Namespace, network: Network, target: str | None) -> Input:
    arrays = table_reader.read_inputs(args.input)
    fitted = network.encoder
    width = network.sizes[0] if fitted is None else len(fitted.columns)
    if arrays.x.shape[1] != width:
        raise ValueError(f"{args.input}: expected X of shape (rows, {width}), got {arrays.x.shape}")
    x = arrays.x
    if fitted is None:
        _refuse_marks(args, x)
    else:
        frame = PlainFrame({name: x[:, i] for i, name in enumerate(fitted.columns)})
        x = _encode(args.input, fitted.with_missing(args.null), frame)
    if target is not None and arrays.y is None:
        raise ValueError(f"{args.input}: expected an array y of targets, got none")
    if target is None or arrays.y is None:
        return Input(x, {}, None)
    return Input(x, {}, target_column.of_array(arrays.y, "y", _marks(args, network)))


def _marks(args: argparse.Namespace, network: Network) -> list[str]:
    """Return the marks of missing values, from the command line and from the training."""
    return [*args.null, *(() if network.encoder is None else network.encoder.missing)]


def _names_by_position(table: table_reader.Table, network: Network) -> tuple[str, ...]:
    """Return the names of the columns of a file without a header: those in the model, in order.

    If the model was trained without a header, too, its columns are called "0", "1", ..., with the target among them;
    the file may have all of these columns, or lack the target, or have the inputs alone.
    """
    width = len(table.names)
    assert network.feature_names is not None
    passed = frozenset() if network.encoder is None else network.encoder.passed_over
    everything = {*network.feature_names, *passed, *([] if network.target_name is None else [network.target_name])}
    indices = [str(i) for i in range(len(everything))]
    if everything == set(indices):
        without_target = [name for name in indices if name != network.target_name]
        for names in (indices, without_target, [name for name in indices if name in network.feature_names]):
            if len(names) == width:
                return tuple(names)
    elif width == len(network.feature_names):
        return network.feature_names
    raise ValueError(
        f"{table.path}: expected {len(network.feature_names)} columns, the model's inputs, got {width}; read with "
        f"{table.guess}"
    )


def _names_of_model(table: table_reader.Table, network: Network) -> tuple[str, ...]:
    """Return the names of the columns, with the model's own for those that a header cannot hold (`name_in_header`)."""
    if table_reader.suffix(table.path) not in table_reader.TEXT or network.feature_names is None:
        return table.names
    kept = () if network.encoder is None else network.encoder.kept
    targets = () if network.target_name is None else (network.target_name,)
    missing = [name for name in (*network.feature_names, *kept, *targets) if name not in table.names]
    found: list[str] = []
    for index, name in enumerate(table.names):
        possible = [each for each in missing if name_in_header(each, index) == name]
        found.append(possible[0] if len(possible) == 1 and possible[0] not in found else name)
    return tuple(found)


def _to_keep(args: argparse.Namespace, network: Network, table: table_reader.Table, names: Sequence[str]) -> list[str]:
    """Return the columns to copy to the output: those of --keep, else those kept in training that the file has."""
    if args.keep:
        return [_column(table, "--keep", each) for each in args.keep]
    kept = () if network.encoder is None else network.encoder.kept
    missing = [name for name in kept if name not in names]
    if missing:
        note(f"{args.input}: no {encoder.few(missing)}, which the model keeps beside its predictions")
    return [name for name in kept if name in names]


def _text_columns(network: Network) -> list[str]:
    """Return the columns to read as text, because their spelling matters: the encoder's, except for numbers."""
    return [] if network.encoder is None else list(network.encoder.text_columns)


def _rename_columns(frame: Any, names: Sequence[str]) -> Any:
    if list(frame.columns) == list(names):
        return frame
    if isinstance(frame, PlainFrame):
        return PlainFrame({new: frame[old] for new, old in zip(names, frame.columns, strict=True)})
    return frame.rename(dict(zip(frame.columns, names, strict=True)))


def _as_text(column: Any) -> list[str]:
    if isinstance(column, np.ndarray):
        return [str(each) for each in column.tolist()]
    import polars as pl

    found: list[str] = column.cast(pl.String).fill_null("").to_list()
    return found


def _inputs(
    args: argparse.Namespace, network: Network, frame: Any, table: table_reader.Table, passed_over: set[str]
) -> NDArray[Any]:
    """Convert the frame's rows to the inputs of the network."""
    wanted = network.feature_names
    if wanted is None:
        return _numbers(args.input, _columns_by_position(args, network, frame, passed_over), args.null)
    missing = [name for name in wanted if name not in frame.columns]
    fitted = network.encoder
    passed_over = {*passed_over, *([] if fitted is None else fitted.passed_over), network.target_name or ""}
    unknown = [name for name in frame.columns if name not in wanted and name not in passed_over]
    if missing:
        beside = f" but the unknown {encoder.few(unknown)}" if unknown else ""
        doubt = "" if table.doubt is None else f"; {table.doubt}"
        how = "" if table.guess is None else f"; read with {table.guess}"
        raise ValueError(
            f"{args.input}: expected the model's columns, got no {encoder.few(missing)}{beside}{doubt or how}"
        )
    if unknown:
        note(
            f"{args.input}: columns that the model was not trained on are ignored: {encoder.few(unknown)}",
            quiet=args.quiet,
        )
    chosen = frame[list(wanted)]
    if fitted is None:
        return _numbers(args.input, chosen, args.null)
    return _encode(args.input, fitted.with_missing(args.null), chosen)


def _columns_by_position(args: argparse.Namespace, network: Network, frame: Any, passed_over: set[str]) -> Any:
    """Select the inputs of a model without column names: as many columns as it has inputs, in the file's order.

    Columns in `passed_over` and the target of the training are left out.
    """
    names = [name for name in frame.columns if name not in passed_over]
    target = network.target_name
    if len(names) == network.sizes[0] + 1 and target is not None:
        index = list(frame.columns).index(target) if target in frame.columns else -1
        if index < 0 and target.isdecimal() and int(target) < len(frame.columns):
            index = int(target)
        names = [name for name in names if index < 0 or name != frame.columns[index]]
    if len(names) != network.sizes[0]:
        raise ValueError(f"{args.input}: expected {network.sizes[0]} columns, the model's inputs, got {len(names)}")
    return frame[names]


def _numbers(path: str, frame: Any, null: Sequence[str]) -> NDArray[Any]:
    """Convert the columns to numbers, for a network without an encoder; refuse missing values."""
    parts = []
    for name in frame.columns:
        column = columns.read(frame, name, columns.MISSING.union(null))
        if isinstance(column, Numbers):
            gaps = ~np.isfinite(column.values.astype(np.float64))
            if not gaps.any():
                parts.append(column.values)
                continue
            value = float(column.values[gaps][0])
            got = "an empty cell" if math.isnan(value) else f"{value} (infinite, or too large for float64)"
            raise ValueError(
                f"{path}: row {int(np.argmax(gaps)) + 1}, column {name!r}: expected a finite number, got {got}"
            )
        if isinstance(column, Texts) and column.kind == "boolean" and not (column.codes < 0).any():
            parts.append(column.codes)
            continue
        raise ValueError(f"{path}: column {name!r}: expected numbers, got others; the model has no encoder for them")
    return np.column_stack(parts).astype(np.float64, copy=False)
