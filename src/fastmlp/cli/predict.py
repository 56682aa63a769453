"""The commands that use a model file: `fastmlp predict`, `fastmlp evaluate` and `fastmlp info MODEL`.

Numbers are printed in the shortest decimal form that converts back to the same number of their dtype. A prediction that
is not finite is printed as nan, inf or -inf in text and as null in JSON, and reported on stderr.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import os
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import network
from ..bound import BoundPredictor
from ..console import say
from ..inputs.labels import Label
from ..network import Network
from ..scaling import Scaling
from ..tables import target_column
from ..tables.target_column import Target
from . import loading
from .loading import Input

REGRESSION_METRICS = ("rmse", "mae", "r2")


def _is_classifier(model: Network) -> bool:
    return model.loss.classifies or model.class_names is not None


# ------------------------------------------------------------------------------------------------------------- predict


def predict(args: argparse.Namespace) -> int:
    """Print the model's prediction for each row of a file."""
    model = network.load(args.model, n_threads=args.threads)
    if args.proba and not _is_classifier(model):
        raise ValueError(f"--proba: expected a model of classes, got {args.model}, a regression")
    rows = loading.read_input(args, model)
    record: dict[str, Any] = {"model": args.model, "input": args.input, "rows": len(rows.x)}
    if _is_classifier(model):
        classes = model.class_names or tuple(range(max(2, model.sizes[-1])))
        indices = model._classes_or_none(rows.x)
        _note_non_finite(args, model, indices >= 0)
        labels: list[Label | None] = [None if index < 0 else classes[index] for index in indices.tolist()]
        record["predictions"] = labels
        header: Sequence[Label] = [_prediction_name(model, rows)]
        cells: list[list[str]] = [["nan" if label is None else str(label)] for label in labels]
        if args.proba:
            outputs = _per_class(model.predict(rows.x))
            cells, header = _as_texts(outputs), classes
            record.update(classes=list(classes), probabilities=_json_numbers(outputs))
    else:
        numbers = np.asarray(model.loss.estimate(model.predict(rows.x)))
        _note_non_finite(args, model, np.isfinite(numbers).reshape(len(numbers), -1).all(axis=1))
        cells, name = _as_texts(numbers), _prediction_name(model, rows)
        header = [name] if len(cells[0]) == 1 else [f"{name}_{i}" for i in range(len(cells[0]))]
        values = _json_numbers(numbers)
        record["predictions"] = [row[0] for row in values] if len(cells[0]) == 1 else values
    if rows.kept:
        record["kept"] = rows.kept
        header, cells = (
            [*rows.kept, *header],
            [[*kept, *row] for *kept, row in zip(*rows.kept.values(), cells, strict=True)],
        )
    write(args, record, _lines(header if rows.kept or args.proba else None, cells, bool(rows.kept) or args.proba))
    return 0


def _note_non_finite(args: argparse.Namespace, model: Network, finite: NDArray[np.bool_]) -> None:
    """Print a note on stderr if the predictions of some rows are not finite."""
    if not finite.all():
        count, row = int(np.count_nonzero(~finite)), int(np.argmin(finite)) + 1
        loading.note(
            f"{args.input}: {count} of {len(finite)} rows have a prediction that is not finite, row {row} first; their "
            f"inputs are too large for this network in {model.dtype}"
        )


def _prediction_name(model: Network, rows: Input) -> str:
    """Return the name of the column of predictions: the target's, unless a column that is copied has it."""
    name = model.target_name or "prediction"
    return "prediction" if name in rows.kept else name


def _per_class(outputs: NDArray[Any]) -> NDArray[Any]:
    """Return one column per class; a single output is the probability of the second of two classes."""
    return np.hstack((1 - outputs, outputs)) if outputs.shape[1] == 1 else outputs


def _as_texts(rows: NDArray[Any]) -> list[list[str]]:
    """Convert each number to the shortest text that converts back to it in its dtype."""
    return [list(map(str, row)) for row in rows]


def _json_numbers(rows: NDArray[Any]) -> list[list[float | None]]:
    """Return the numbers for JSON: None where not finite; float32 is rounded to its own shortest decimal form."""
    plain = rows.tolist() if rows.dtype == np.float64 else [[float(str(value)) for value in row] for row in rows]
    return [[value if math.isfinite(value) else None for value in row] for row in plain]


def _lines(header: Sequence[Label] | None, cells: Iterable[Sequence[str]], as_csv: bool) -> list[str]:
    """Format the rows as lines of text, as CSV with a header if `as_csv`, else as the bare predictions.

    Bare predictions are quoted as in CSV, too, if a label contains a line end, so that the rows can be told apart.
    """
    cells = list(cells)
    if not as_csv and not any(end in cell for row in cells for cell in row for end in "\r\n"):
        return [",".join(row) for row in cells]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header is not None:
        writer.writerow(header)
    writer.writerows(cells)
    return [text.getvalue().removesuffix("\n")]


def write(args: argparse.Namespace, record: dict[str, Any], lines: list[str]) -> None:
    """Write the lines to --output, or print them; with --json, print the record."""
    if args.output is not None:
        exists = os.path.exists(args.output)
        if exists and any(os.path.samefile(args.output, path) for path in (args.model, args.input)):
            raise ValueError(f"--output: expected another file than MODEL and INPUT, got {args.output!r}")
        with open(args.output, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        record["output"] = args.output
    if args.json:
        say(json.dumps(record, allow_nan=False))
    elif args.output is None:
        say("\n".join(lines))


# ------------------------------------------------------------------------------------------------------------ evaluate


def evaluate(args: argparse.Namespace) -> int:
    """Print the loss and metrics of the model on a file with targets."""
    model = loading.network_of(args.model, n_threads=args.threads)
    name = args.target if args.target is not None else model.target_name
    if name is None and not args.input.lower().endswith(".npz"):
        raise ValueError(f"--target: expected the column of {args.input} with the right answers, got none")
    rows = loading.read_input(args, model, name or "y")
    assert rows.target is not None
    try:
        y, present = _known_targets(model, rows.target, drop=args.drop_missing_target)
    except ValueError as error:
        raise ValueError(f"{args.input}: {error}") from None
    x = rows.x if present is None else rows.x[present]
    chosen = list(args.metrics or (() if _is_classifier(model) else REGRESSION_METRICS))
    if _is_classifier(model) and "accuracy" not in chosen:
        chosen.insert(0, "accuracy")
    scores = model.evaluate(x, y, metrics=chosen)
    record: dict[str, Any] = {"model": args.model, "input": args.input, "rows": len(x)}
    record |= {each: value if math.isfinite(value) else None for each, value in scores.items()}
    if args.json:
        say(json.dumps(record, allow_nan=False))
        return 0
    width = max(map(len, scores))
    say(f"{'rows':<{width}}  {len(x)}")
    for each, value in scores.items():
        say(f"{each:<{width}}  " + (f"{100 * value:.2f} %" if each == "accuracy" else f"{value:.6g}"))
    return 0


def _known_targets(model: Network, target: Target, *, drop: bool) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Return the targets of the rows that have one, as the network takes them, and the mask of these rows."""
    present = target_column.present(target, drop)
    kept = slice(None) if present is None else present
    if _is_classifier(model):
        classes = model.class_names or tuple(range(max(2, model.sizes[-1])))
        return target_column.given(target_column.indices(target, classes)[kept], classes), present
    numbers = target_column.as_numbers(target)[kept].astype(np.float64)
    return numbers.reshape(len(numbers), -1), present


# ---------------------------------------------------------------------------------------------------------------- info


def model_record(path: str) -> dict[str, Any]:
    """Return what `fastmlp info MODEL` prints, for a file of any version and writer."""
    model = network.load(path)
    own = {"weights": model.weight_dtype} if isinstance(model, BoundPredictor) else {"seed": model.seed}
    scalings = {"input_scaling": model.input_scaling, "target_scaling": model.target_scaling}
    return {
        "file": path,
        "sizes": list(model.sizes),
        "activation": [repr(activation) for activation in model.activation],
        "output_activation": repr(model.output_activation),
        "loss": model.loss.name,
        "dtype": str(model.dtype),
        "parameters": model.n_parameters,
        **own,
        "checksums": _checksums(path),
        "task": "classification" if _is_classifier(model) else "regression",
        "columns": None if model.feature_names is None else list(model.feature_names),
        "encoded": None if model.encoder is None else dict(model.encoder.summary()),
        "kept": None if model.encoder is None else list(model.encoder.kept),
        "target": model.target_name,
        "classes": None if model.class_names is None else list(model.class_names),
        "scaled_inputs": model.input_scaling is not None,
        "scaled_targets": model.target_scaling is not None,
        **{name: _scaling(value) for name, value in scalings.items()},
    }


def _scaling(value: str | Scaling | None) -> object:
    """Return the numbers of a scaling, or the name of one that has not been computed yet."""
    if isinstance(value, Scaling):
        return {"offset": value.offset.tolist(), "scale": value.scale.tolist()}
    return value


def _checksums(path: str) -> dict[str, str]:
    """Return which checksums a file has; they have been verified, because the file was loaded just before."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        metadata = json.loads(file.read(length))["__metadata__"]
    parts = ("architecture", "parameters", "extra") if "fastmlp.extra" in metadata else ("architecture", "parameters")
    return {part: "verified" if f"fastmlp.{part}.sha256" in metadata else "absent" for part in parts}
