"""`fastmlp train`: from a data set to a model file.

In order: look whether the model file can be written, read the data, train under a progress bar on stderr, save,
report on stdout. An interruption ends the training and nothing else: what was learnt is saved and reported all
the same. What is measured at the end is measured on rows that the network has not seen, where there are any.
"""

from __future__ import annotations

import argparse
import errno
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import datasets, persistence, tables
from .activations import Sigmoid
from .console import say
from .losses import LOSSES
from .network import Network
from .optimizers import OPTIMIZERS, Optimizer
from .preparation import Preparation, choose_scaling, read_targets, split
from .progress import Progress
from .scaling import Scaling

DATASETS = ("digits", "fashion-mnist")
INTERRUPTED = 130
TABLE_UPDATES = 1000
TABLE_EPOCHS = (10, 300)

Arrays = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class Settings:
    """What is used where the command line says nothing."""

    layers: tuple[int, ...]
    epochs: int
    batch_size: int
    learning_rate: float | None = None  # of Adam; None is its own


DEFAULTS = {
    "digits": Settings((128,), 40, 16, 0.002),
    "fashion-mnist": Settings((128,), 10, 64),
}


@dataclass(frozen=True)
class Data:
    """Rows to train on and rows to test on, as the network takes them, and how they were made."""

    name: str
    how: str
    preparation: Preparation
    train: Arrays
    test: Arrays | None
    settings: Settings

    @property
    def n_outputs(self) -> int:
        """As many as there are classes, or numbers to learn."""
        classes = self.preparation.classes
        return int(self.train[1].shape[1]) if classes is None else len(classes)


def run(args: argparse.Namespace) -> int:
    """Train as the arguments say; the exit code."""
    _check_usage(args)
    output = args.output or f"{_stem(args.data)}.safetensors"
    _check_writable(output, args.data)
    data = _load(args)
    network = _network(args, data)
    if not (args.quiet or args.json):
        _introduce(data, network)
    progress = Progress(
        args.epochs or data.settings.epochs,
        len(data.train[0]),
        None if data.test is None else lambda: _score(network, data, data.test or data.train),
        None if args.quiet else sys.stderr,
    )
    interrupted = _fit(args, network, data, progress)
    persistence.save(output, network, data.preparation.to_extra())
    if interrupted:
        done = f"interrupted after {progress.epochs_done} of {progress.epochs} epochs"
        say(f"fastmlp: {done}; what was learnt is saved in {output}", sys.stderr)
    _report(args, network, data, progress, output, interrupted)
    return INTERRUPTED if interrupted else 0


def _check_usage(args: argparse.Namespace) -> None:
    """Refuse options that do not go together; argparse's own way, exit code 2."""
    error: Callable[[str], None] = args.usage_error
    kind = args.data if args.data in DATASETS else tables.suffix(args.data)
    if kind not in (*DATASETS, ".csv", ".npz"):
        error(f"DATA: expected 'digits', 'fashion-mnist', a .npz or a .csv file, got {args.data!r}")
    if kind == ".csv" and args.target is None:
        error("--target: expected the name or index of the column to learn from a .csv, got none")
    if kind != ".csv" and args.target is not None:
        error(f"--target: expected a .csv to go with it, got {args.data!r}")
    if kind in DATASETS and args.test_fraction is not None:
        error(f"--test-fraction: expected a .csv or .npz to go with it, and {kind} has a fixed split")
    if kind in DATASETS and args.task == "regression":
        error(f"--task: expected 'classification', which is what {kind} is for, got 'regression'")
    if kind != "fashion-mnist" and args.folder is not None:
        error(f"--folder: expected fashion-mnist to go with it, got {args.data!r}")
    if args.momentum is not None and args.optimizer != "sgd":
        error(f"--momentum: expected --optimizer sgd to go with it, got {args.optimizer!r}")


def _stem(data: str) -> str:
    return os.path.splitext(os.path.basename(data))[0]


def _check_writable(path: str, data: str) -> None:
    """Refuse before the training what could not be saved after it."""
    target = os.path.realpath(path)
    try:
        if os.path.isdir(target):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if os.path.exists(target) and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if os.path.isfile(target) or not os.path.exists(target):
            with tempfile.TemporaryFile(dir=os.path.dirname(target)):
                pass
    except OSError as error:
        raise ValueError(f"--output: expected a file that can be written, got {path!r} ({error.strerror})") from None
    if os.path.exists(data) and os.path.exists(target) and os.path.samefile(data, target):
        raise ValueError(f"--output: expected another file than the data, got {path!r}")


# ------------------------------------------------------------------------------------------------ data


def _load(args: argparse.Namespace) -> Data:
    if args.data not in DATASETS:
        return _load_table(args)
    if args.data == "digits":
        train, test = datasets.load_digits()
        how = "fixed stratified split, 80/20"
    else:
        train, test = datasets.load_fashion_mnist(args.folder)
        how = "the data set's own split"
    _, classes, _ = read_targets(train[1], "classification")
    scaling = None if args.scaling == "auto" else choose_scaling(args.scaling, train[0])
    preparation = Preparation("classification", None, None, classes, scaling)
    return _prepared(args, args.data, how, preparation, train, test, DEFAULTS[args.data])


def _load_table(args: argparse.Namespace) -> Data:
    table = tables.read_training(args.data, args.target)
    assert table.y is not None
    everything = table.y if table.test is None else np.concatenate((table.y, table.test[1]))
    task, classes, values = read_targets(everything, args.task, table.target)
    train, test, how = _set_apart(args, table, values, classes is not None)
    x, y = train
    preparation = Preparation(task, table.columns, table.target, classes, choose_scaling(args.scaling, x))
    any_number = args.loss is None or LOSSES[args.loss].targets == "real"
    if classes is None and args.scaling != "none" and any_number and args.output_activation in (None, "identity"):
        preparation = replace(preparation, target_scaling=Scaling.fit(y))
    batch_size = 32
    updates = math.ceil(len(x) / (args.batch_size or batch_size))
    epochs = min(max(math.ceil(TABLE_UPDATES / updates), TABLE_EPOCHS[0]), TABLE_EPOCHS[1])
    settings = Settings((64, 32), epochs, batch_size, 0.003)
    name = os.path.basename(args.data)
    return _prepared(args, name, how, preparation, train, test, settings)


def _set_apart(
    args: argparse.Namespace, table: tables.Table, values: NDArray[Any], stratified: bool
) -> tuple[Arrays, Arrays | None, str]:
    """The rows to train on, the rows to test on, and in words how they were told apart."""
    if table.test is not None:
        if args.test_fraction is not None:
            raise ValueError(f"--test-fraction: expected an .npz of X and y, and {args.data} has its own test rows")
        count = len(table.x)
        return (table.x, values[:count]), (table.test[0], values[count:]), "the file's own split"
    fraction = 0.2 if args.test_fraction is None else args.test_fraction
    train, test = split(values, fraction, args.seed, stratified)
    if not len(test):
        return (table.x, values), None, "no split"
    how = f"{'stratified' if stratified else 'random'} split of seed {args.seed}"
    return (table.x[train], values[train]), (table.x[test], values[test]), how


def _prepared(
    args: argparse.Namespace,
    name: str,
    how: str,
    preparation: Preparation,
    train: Arrays,
    test: Arrays | None,
    settings: Settings,
) -> Data:
    def arrays(pair: Arrays) -> Arrays:
        return preparation.inputs(pair[0], args.dtype), preparation.targets(pair[1], args.dtype)

    return Data(name, how, preparation, arrays(train), None if test is None else arrays(test), settings)


# -------------------------------------------------------------------------------------------- training


def _network(args: argparse.Namespace, data: Data) -> Network:
    loss = LOSSES[args.loss or ("mse" if data.preparation.classes is None else "cross_entropy")]()
    n_outputs = data.n_outputs * loss.n_heads
    if loss.partner is Sigmoid and data.preparation.classes is not None and n_outputs == 2:
        n_outputs = 1
    hidden = data.settings.layers if args.layers is None else args.layers
    return Network(
        [data.train[0].shape[1], *hidden, n_outputs],
        activation=args.activation,
        output_activation=args.output_activation,
        loss=loss,
        dtype=args.dtype,
        seed=args.seed,
        engine=args.engine,
        n_threads=args.threads,
    )


def _optimizer(args: argparse.Namespace, settings: Settings) -> Optimizer:
    fields: dict[str, Any] = {"learning_rate": args.learning_rate, "momentum": args.momentum}
    if args.optimizer == "adam" and args.learning_rate is None:
        fields["learning_rate"] = settings.learning_rate
    given = {name: value for name, value in fields.items() if value is not None}
    return OPTIMIZERS[args.optimizer](**given)


def _fit(args: argparse.Namespace, network: Network, data: Data, progress: Progress) -> bool:
    """Train; whether it was interrupted."""
    try:
        network.fit(
            *data.train,
            epochs=progress.epochs,
            batch_size=args.batch_size or data.settings.batch_size,
            optimizer=_optimizer(args, data.settings),
            callbacks=[progress],
        )
    except KeyboardInterrupt:
        return True
    finally:
        progress.close()
    return False


def _score(network: Network, data: Data, rows: Arrays) -> dict[str, float]:
    """Loss, and for classes accuracy, which `evaluate` leaves out for losses that are not made for classes."""
    scores = {name: float(value) for name, value in network.evaluate(*rows).items()}
    if data.preparation.classes is not None and "accuracy" not in scores:
        scores["accuracy"] = float(np.mean(network.classify(rows[0]) == rows[1]))
    return scores


def _score_at_end(network: Network, data: Data) -> dict[str, float]:
    """The scores, and for numbers the root mean square error in the target's unit and the mean R2 of the columns."""
    rows = data.train if data.test is None else data.test
    scores = _score(network, data, rows)
    if data.preparation.classes is None:
        target = data.preparation.numbers(rows[1]).astype(np.float64)
        error = data.preparation.numbers(network.loss.estimate(network.predict(rows[0]))) - target
        variance = target.var(axis=0)
        scores["rmse"] = math.sqrt(float(np.square(error).mean()))
        scores["r2"] = float(np.mean(1 - np.square(error).mean(axis=0) / variance)) if variance.all() else math.nan
    return scores


# ---------------------------------------------------------------------------------------------- report


def _introduce(data: Data, network: Network) -> None:
    tested = f"{len(data.test[0])} to test on" if data.test is not None else "none to test on"
    classes = data.preparation.classes
    learnt = "regression" if classes is None else f"{len(classes)} classes"
    n_inputs = network.sizes[0]
    say(f"{data.name}: {len(data.train[0])} rows to train on, {tested} ({data.how}), {n_inputs} inputs, {learnt}")
    functions = [activation.name for activation in (*network.activation, network.output_activation)]
    sizes = "-".join(map(str, network.sizes))
    say(f"network: {sizes} ({', '.join(functions)}), {network.loss.name}, {network.n_parameters:,} parameters")


def _report(
    args: argparse.Namespace, network: Network, data: Data, progress: Progress, output: str, interrupted: bool
) -> None:
    scores = _score_at_end(network, data)
    part = "training" if data.test is None else "test"
    if args.json:
        say(json.dumps(_record(args, network, data, progress, output, interrupted, scores), allow_nan=False))
        return
    if "accuracy" in scores:
        say(f"{part} accuracy {100 * scores['accuracy']:.2f} %")
    else:
        say(f"{part} loss {scores['loss']:.6g}, RMSE {scores['rmse']:.6g}, R2 {scores['r2']:.4f}")
    say(f"saved {output}")


def _record(
    args: argparse.Namespace,
    network: Network,
    data: Data,
    progress: Progress,
    output: str,
    interrupted: bool,
    scores: dict[str, float],
) -> dict[str, Any]:
    """What --json prints; a number that is not finite becomes null."""
    part = "training" if data.test is None else "test"
    return {
        "data": args.data,
        "task": data.preparation.task,
        "training_rows": len(data.train[0]),
        "test_rows": 0 if data.test is None else len(data.test[0]),
        "sizes": list(network.sizes),
        "activation": [activation.name for activation in network.activation],
        "output_activation": network.output_activation.name,
        "loss": network.loss.name,
        "parameters": network.n_parameters,
        "engine": network.engine,
        "seed": args.seed,
        "epochs": progress.epochs_done,
        "seconds": progress.seconds,
        "rows_per_second": progress.rows_per_second,
        **{f"{part}_{name}": _finite(value) for name, value in scores.items()},
        "history": {name: list(map(_finite, values)) for name, values in progress.history.items()},
        "interrupted": interrupted,
        "saved": output,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
