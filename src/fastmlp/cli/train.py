"""`fastmlp train`: trains a network on a data set and writes a model file.

The steps are: check that the model file can be written, read the data, train with a progress bar on stderr, save, and
report on stdout. Ctrl-C only ends the training: the network is still saved and reported. The final scores are those of
the test rows, or of the training rows if there are no test rows.
"""

from __future__ import annotations

import argparse
import errno
import json
import math
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..activations import Sigmoid
from ..console import INTERRUPTED, say
from ..losses import LOSSES
from ..network import Network
from ..tables import table_reader
from ..training.progress import Progress
from . import loading, options
from .loading import DATASETS, DEFAULTS, Data
from .preparation import refuse_wide

TEXT_OPTIONS = ("separator", "no_header", "decimal")  # which only a table written as text can have
REGRESSION_METRICS = ("rmse", "r2")  # reported at the end of a regression


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    _check_usage(args)
    output = args.output or f"{_stem(args.data)}.safetensors"
    _check_writable("--output", output, args.data, "the data")
    if args.checkpoint is not None:
        _check_writable("--checkpoint", args.checkpoint, output, "the model")
    data = loading.load(args)
    fit_arguments = options.fit_arguments(args, data.settings, len(data.train.x))
    data = loading.with_validation(data, fit_arguments.pop("validation_split"), args.seed)
    network = _network(args, data)
    if not (args.quiet or args.json):
        _print_summary(data, network)
    scores = Scores(network, data, fit_arguments["epochs"])
    progress = Progress(
        fit_arguments["epochs"],
        len(data.train.x),
        None if data.test is None else scores.of_epoch,
        None if args.quiet else sys.stderr,
        args.verbose,
    )
    try:
        interrupted = _fit(network, data, progress, fit_arguments)
    except ValueError:
        _refuse_wide(args.data, data)
        raise
    network.save(output)
    if interrupted:
        done = f"interrupted after {progress.epochs_done} of {progress.epochs} epochs"
        say(f"fastmlp: {done}; what was learnt is saved in {output}", sys.stderr)
    _report(args, network, data, progress, output, interrupted, scores.at_end())
    return INTERRUPTED if interrupted else 0


def _check_usage(args: argparse.Namespace) -> None:
    """Refuse options that cannot be combined, as a usage error of argparse (exit code 2)."""
    error: Callable[[str], None] = args.usage_error
    kind = args.data if args.data in DATASETS else table_reader.suffix(args.data)
    is_table = kind in table_reader.KINDS
    if not is_table and kind not in (*DATASETS, ".npz"):
        known = ", ".join(table_reader.KINDS)
        error(f"DATA: expected 'digits', 'fashion-mnist', an .npz or a table ({known}), got {args.data!r}")
    if is_table and args.target is None:
        error("--target: expected the name or index of the column to learn from a table, got none")
    if not is_table and (args.target is not None or args.drop or args.keep):
        error(f"--target, --drop, --keep: expected a table to go with them, got {args.data!r}")
    if kind not in table_reader.TEXT and any(getattr(args, name) for name in TEXT_OPTIONS):
        error(f"--separator, --no-header, --decimal: expected a .csv, .tsv or .txt to go with them, got {args.data!r}")
    if kind in DATASETS and (args.null or args.drop_missing_target):
        error(f"--null, --drop-missing-target: expected a file to go with them, got {kind}")
    if kind in DATASETS and args.test_fraction is not None:
        error(f"--test-fraction: expected a file to go with it, and {kind} has a fixed split")
    if kind in DATASETS and args.task == "regression":
        error(f"--task: expected 'classification', which is what {kind} is for, got 'regression'")
    if kind != "fashion-mnist" and args.folder is not None:
        error(f"--folder: expected fashion-mnist to go with it, got {args.data!r}")
    try:
        options.fit_arguments(args, DEFAULTS["digits"], 1)
    except (ValueError, TypeError) as wrong:
        error(str(wrong))


def _stem(data: str) -> str:
    name = os.path.basename(data)
    return os.path.splitext(name[:-3] if name.lower().endswith(".gz") else name)[0]


def _check_writable(option: str, path: str, other: str, what: str) -> None:
    """Refuse, before the training, a path that could not be written after it or that would overwrite `other`.

    `what` says in the message what the other file holds.
    """
    target = os.path.realpath(path)
    try:
        if os.path.isdir(target):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if os.path.exists(target) and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if os.path.isfile(target) or not os.path.exists(target):
            import tempfile

            with tempfile.TemporaryFile(dir=os.path.dirname(target)):
                pass
    except OSError as error:
        raise ValueError(f"{option}: expected a file that can be written, got {path!r} ({error.strerror})") from None
    same = os.path.exists(other) and os.path.exists(target) and os.path.samefile(other, target)
    if same or os.path.realpath(other) == target:
        raise ValueError(f"{option}: expected another file than {what}, got {path!r}")


# -------------------------------------------------------------------------------------------- training


def _network(args: argparse.Namespace, data: Data) -> Network:
    loss = LOSSES[args.loss or ("mse" if data.classes is None else "cross_entropy")]()
    n_outputs = data.n_targets * loss.n_heads
    if loss.partner is Sigmoid and data.classes is not None and n_outputs == 2:
        n_outputs = 1
    hidden = data.settings.layers if args.layers is None else args.layers
    return Network(
        [data.train.x.shape[1], *hidden, n_outputs],
        activation=args.activation,
        output_activation=args.output_activation,
        loss=loss,
        dtype=args.dtype,
        seed=args.seed,
        engine=args.engine,
        n_threads=args.threads,
        input_scaling=data.input_scaling,
        target_scaling=data.target_scaling,
        target_name=data.target_name,
        class_names=data.classes,
        encoder=data.encoder,
    )


def _fit(network: Network, data: Data, progress: Progress, fit_arguments: dict[str, Any]) -> bool:
    """Train, and return whether Ctrl-C interrupted the training."""
    if data.validation is not None:
        fit_arguments["validation_data"] = data.validation[:2]
    fit_arguments["callbacks"] = [progress, *fit_arguments["callbacks"]]
    try:
        network.fit(data.train.x, data.train.y, **fit_arguments)
    except KeyboardInterrupt:
        return True
    finally:
        progress.close()
    return False


def _refuse_wide(path: str, data: Data) -> None:
    """Raise an error that names the column with numbers too far apart to be scaled, if there is one."""
    names = [f"X, column {i}" for i in range(data.train.x.shape[1])]
    if data.encoder is not None:
        names = [f"column {name!r}" for name in data.encoder.feature_names_out]
    refuse_wide(path, data.train.x, names)
    if data.classes is None:
        name = "y" if data.target_name is None else f"column {data.target_name!r}"
        refuse_wide(path, data.train.y, [name] * data.n_targets)


class Scores:
    """The scores of the test rows (of the training rows if there are none) after each epoch and at the end.

    The scores at the end are those of the last epoch, unless the weights have changed since then: EarlyStopping, for
    example, restores those of the best epoch.
    """

    def __init__(self, network: Network, data: Data, epochs: int) -> None:
        self.network, self.data, self.rows, self.epochs = network, data, data.test or data.train, epochs
        self.last: tuple[NDArray[Any], dict[str, float]] | None = None  # parameters after the last epoch and scores

    def of_epoch(self, epoch: int) -> dict[str, float]:
        """Return the scores to show after an epoch: the loss, and the accuracy of a classification."""
        if epoch < self.epochs - 1:
            return self._loss_and_accuracy()
        scores = self._final_scores()
        self.last = self.network.parameters, scores
        return {name: value for name, value in scores.items() if name not in REGRESSION_METRICS}

    def at_end(self) -> dict[str, float]:
        """Return the final scores: the loss, and the accuracy or the metrics in `REGRESSION_METRICS`."""
        if self.last is not None and np.array_equal(self.last[0], self.network.parameters):
            return self.last[1]
        return self._final_scores()

    def _loss_and_accuracy(self) -> dict[str, float]:
        """Return the loss, and for classes the accuracy, which `evaluate` omits for a loss not made for classes."""
        rows = self.rows
        scores = {name: float(value) for name, value in self.network.evaluate(rows.x, rows.y).items()}
        if self.data.classes is not None and "accuracy" not in scores:
            scores["accuracy"] = float(np.mean(self.network.classify(rows.x) == rows.labels))
        return scores

    def _final_scores(self) -> dict[str, float]:
        """Return the final scores: RMSE is in the unit of the target, R2 is the mean over the columns."""
        if self.data.classes is not None:
            return self._loss_and_accuracy()
        scores = self.network.evaluate(self.rows.x, self.rows.y, metrics=REGRESSION_METRICS)
        if not np.var(self.rows.y, axis=0).all():
            scores["r2"] = math.nan
        return scores


# ---------------------------------------------------------------------------------------------- report


def _print_summary(data: Data, network: Network) -> None:
    tested = f"{len(data.test.x)} to test on" if data.test is not None else "none to test on"
    if data.validation is not None:
        tested = f"{len(data.validation.x)} to validate on, {tested}"
    learnt = "regression" if data.classes is None else f"{len(data.classes)} classes"
    n_inputs = network.sizes[0]
    say(f"{data.name}: {len(data.train.x)} rows to train on, {tested} ({data.how}), {n_inputs} inputs, {learnt}")
    functions = [activation.name for activation in (*network.activation, network.output_activation)]
    sizes = "-".join(map(str, network.sizes))
    say(f"network: {sizes} ({', '.join(functions)}), {network.loss.name}, {network.n_parameters:,} parameters")


def _report(
    args: argparse.Namespace,
    network: Network,
    data: Data,
    progress: Progress,
    output: str,
    interrupted: bool,
    scores: dict[str, float],
) -> None:
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
    """Return the object that --json prints; a number that is not finite becomes null."""
    part = "training" if data.test is None else "test"
    return {
        "data": args.data,
        "task": data.task,
        "training_rows": len(data.train.x),
        "validation_rows": 0 if data.validation is None else len(data.validation.x),
        "test_rows": 0 if data.test is None else len(data.test.x),
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
        "stopped": None if network.history is None else network.history.stopped,
        "interrupted": interrupted,
        "saved": output,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
